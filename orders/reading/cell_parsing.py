"""Parsing: a raw column into ids, instants or numbers, with a mark on each cell that is none.

Only one reading is accepted without being told: ISO 8601 dates and plain numbers. `1,234` is twelve
hundred in one country and one and a bit in another, and a guess would be a wrong number that looks
right; so anything else is a fault that names the `orders.format` key which says how to read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ...configs.schema import FormatConfig
from ..columns import Float64, Int64, Mask
from ..dates import ISO_CELL
from ..missing_values import MISSING_WORDS
from .date_formats import (
    ISO,
    ISO_WITH_OFFSET,
    parse_stamps,
    suggest_date_format,
    suggest_number_format,
)
from .number_formats import PLAIN, make_plain, suggest_decimal

__all__ = ["Mask", "Parsed", "is_missing", "is_number", "parse_instant_cells", "parse_number_cells"]

Values = TypeVar("Values")

_ZONED = r"[T ].*(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$"
_NUMERIC_DATES = {"unix": 1e6, "unix_ms": 1e3, "unix_us": 1.0, "excel": 86_400e6}  # microseconds
_EXCEL_EPOCH = -25_569 * 86_400_000_000  # 1899-12-30, day 0 of spreadsheets


@dataclass(frozen=True)
class Parsed(Generic[Values]):
    """Values per line; where `bad` or `missing`, the value means nothing."""

    values: Values
    bad: Mask
    missing: Mask
    mend: str = ""  # what would make the bad cells readable
    currencies: Mapping[str, int] = field(default_factory=dict)  # signs beside amounts, with counts


def parse_number_cells(
    column: pa.ChunkedArray, text: FormatConfig, *, with_mend: bool = True
) -> Parsed[Float64]:
    """Numbers as float64; NaN where bad or missing. Looking for a mend takes longest."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_temporal(column.type):  # dates are no numbers, whatever they are stored as
        missing = _find_nulls(column)
        return Parsed(np.full(len(column), np.nan), ~missing, missing)
    if is_number(column.type):
        values = _convert_to_floats(column)
        missing = _find_nulls(column)
        return Parsed(values, ~np.isfinite(values) & ~missing, missing)
    cells, missing = _trim_cells(column)
    cleaned, currencies = cells, dict[str, int]()
    if text.decimal is not None:
        cleaned, currencies = _read_written(cells, text.decimal)
    bad = ~_convert_to_mask(pc.match_substring_regex(cleaned, PLAIN)) & ~missing
    numbers = pc.if_else(pa.array(bad | missing), None, cleaned).cast(pa.float64())
    values = _convert_to_floats(numbers)
    bad |= ~np.isfinite(values) & ~missing
    mend = _number_mend(cells, bad, text.decimal) if with_mend else ""
    return Parsed(values, bad, missing, mend, currencies)


def _read_written(cells: pa.StringArray, decimal: str) -> tuple[pa.StringArray, dict[str, int]]:
    """Numbers made plain, each distinct cell once, and how often each currency stands
    beside one.
    """
    encoded = cells.dictionary_encode()
    plain, currencies = make_plain(encoded.dictionary, decimal)
    kinds = currencies.dictionary_encode()
    lines = np.bincount(encoded.indices.to_numpy(), minlength=len(plain))
    counts = np.bincount(kinds.indices.to_numpy(), lines, len(kinds.dictionary)).astype(int)
    currency_counts = dict(zip(kinds.dictionary.to_pylist(), counts.tolist(), strict=True))
    currency_counts.pop("", None)
    return plain.take(encoded.indices), currency_counts


def parse_instant_cells(
    column: pa.ChunkedArray, text: FormatConfig, zone: str | None
) -> Parsed[Int64]:
    """Microseconds since 1970 in the shop's zone; times with an offset are converted to `zone`."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return parse_instant_cells(column.cast(kind.value_type), text, zone)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _parse_typed_instants(column, zone)
    if text.date_format in _NUMERIC_DATES:
        return _parse_numeric_instants(column, text, zone)
    if is_number(kind):
        if text.date_format is None:
            missing = _convert_to_mask(column.is_null())
            nothing = np.zeros(len(column), np.int64)
            return Parsed(
                nothing, ~missing, missing, suggest_number_format(_convert_to_floats(column))
            )
        column = _convert_integers(column)
    cells, missing = _trim_cells(column)
    if text.date_format is not None:
        stamps = parse_stamps(cells, text.date_format, zone)
        bad = _find_nulls_of(stamps) & ~missing
        mend = (
            _propose_zone()
            if "%z" in text.date_format and zone is None
            else _propose_date_format(cells, bad)
        )
        return Parsed(_convert_to_micros(stamps), bad, missing, mend)
    is_iso = _convert_to_mask(pc.match_substring_regex(cells, f"^{ISO_CELL}$"))
    zoned = is_iso & _convert_to_mask(pc.match_substring_regex(cells, _ZONED))
    values = np.zeros(len(column), dtype=np.int64)
    bad = ~is_iso & ~missing
    for chosen, form in ((is_iso & ~zoned, ISO), (zoned, ISO_WITH_OFFSET)):
        if chosen.any():
            stamps = parse_stamps(cells.filter(pa.array(chosen)), form, zone)
            values[chosen] = _convert_to_micros(stamps)
            bad[chosen] = _find_nulls_of(stamps)
    mend = _propose_zone() if zone is None and zoned.any() else _propose_date_format(cells, bad)
    return Parsed(values, bad, missing, mend)


def _parse_numeric_instants(
    column: pa.ChunkedArray, text: FormatConfig, zone: str | None
) -> Parsed[Int64]:
    """Numbers since an epoch: unix times count from 1970 in UTC, a spreadsheet's days are local."""
    form = str(text.date_format)
    if text.decimal == "," and not is_number(column.type) and not _find_nulls(column).all():
        column = pc.replace_substring(column.cast(pa.string()), ",", ".")
    numbers = parse_number_cells(column, FormatConfig())
    usable = ~(numbers.bad | numbers.missing)
    scaled = np.where(usable, numbers.values, 0.0) * _NUMERIC_DATES[form]
    in_range = usable & (np.abs(scaled) < 4e15)  # a century around 1970; further is no such number
    micros = np.rint(np.where(in_range, scaled, 0.0)).astype(np.int64)
    if form == "excel":
        micros += _EXCEL_EPOCH
    elif zone is None:
        return Parsed(micros, ~numbers.missing, numbers.missing, _propose_zone())
    else:
        utc = pd.Series(pd.to_datetime(micros, unit="us", utc=True))
        micros = _convert_to_micros(
            pd.Series(utc.dt.tz_convert(ZoneInfo(zone)).dt.tz_localize(None))
        )
    return Parsed(micros, ~in_range & ~numbers.missing, numbers.missing)


def _convert_integers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = _convert_to_floats(column)
    is_whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**53)
    integers = pa.array(np.where(is_whole, values, 0).astype(np.int64), mask=~is_whole)
    return pa.chunked_array([integers.cast(pa.string())])


def _parse_typed_instants(column: pa.ChunkedArray, zone: str | None) -> Parsed[Int64]:
    missing = _find_nulls(column)
    if getattr(column.type, "tz", None):
        if zone is None:
            return Parsed(np.zeros(len(column), np.int64), ~missing, missing, _propose_zone())
        zoned = column.cast(pa.timestamp("us", tz=zone), safe=False)
        column = pc.local_timestamp(zoned)
    micros = _combine_chunks(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()))
    micros = micros.fill_null(0) if micros.null_count else micros
    return Parsed(np.asarray(micros), np.zeros(len(column), np.bool_), missing)


def _propose_zone() -> str:
    return (
        "the times carry an offset: set orders.timezone to the shop's zone, such as Europe/London"
    )


def _trim_cells(column: pa.ChunkedArray) -> tuple[pa.StringArray, Mask]:
    """Trimmed text without nulls, and which cells are missing."""
    cells = pc.utf8_trim_whitespace(_combine_chunks(column.cast(pa.string())).fill_null(""))
    return cells, is_missing(cells)


def is_missing(cells: pa.StringArray, words: Sequence[str] = MISSING_WORDS) -> Mask:
    """Which trimmed cells say that there is nothing: empty, null, nan, none, n/a ..."""
    return _convert_to_mask(pc.is_in(pc.utf8_lower(cells), pa.array(words, cells.type)))


def _number_mend(cells: pa.StringArray, bad: Mask, tried: str | None) -> str:
    sample = _sample_bad_cells(cells, bad)
    if tried is None and len(sample) and pc.all(pc.match_substring_regex(sample, PLAIN)).as_py():
        return ""  # plain, but too large for a number
    return suggest_decimal(sample, tried)


def _propose_date_format(cells: pa.StringArray, bad: Mask) -> str:
    sample = _sample_bad_cells(cells, bad)
    if len(sample) and pc.all(pc.match_substring_regex(sample, PLAIN)).as_py():
        return suggest_number_format(_convert_to_floats(sample.cast(pa.float64())))
    return suggest_date_format(sample)


def _sample_bad_cells(cells: pa.StringArray, bad: Mask) -> pa.StringArray:
    """Up to a thousand of the bad cells, spread over the file."""
    positions = np.flatnonzero(bad)
    return cells.take(pa.array(positions[:: max(1, len(positions) // 1000)]))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column's type is one of numbers."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _convert_to_floats(column: pa.ChunkedArray | pa.Array) -> Float64:
    """Float64, each the nearest to what stands there (Arrow's own cast of a decimal is not)."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())
    return np.asarray(
        _combine_chunks(column.cast(pa.float64(), safe=False)).to_numpy(zero_copy_only=False),
        np.float64,
    )


def _convert_to_micros(stamps: pd.Series[pd.Timestamp]) -> Int64:
    return np.asarray(stamps.to_numpy().astype("datetime64[us]").view(np.int64))


def _find_nulls_of(stamps: pd.Series[pd.Timestamp]) -> Mask:
    return np.asarray(stamps.isna().to_numpy(), np.bool_)


def _convert_to_mask(column: pa.ChunkedArray | pa.Array) -> Mask:
    return np.asarray(
        _combine_chunks(column.fill_null(False)).to_numpy(zero_copy_only=False), np.bool_
    )


def _find_nulls(column: pa.ChunkedArray) -> Mask:
    return (
        _convert_to_mask(column.is_null()) if column.null_count else np.zeros(len(column), np.bool_)
    )


def _combine_chunks(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
