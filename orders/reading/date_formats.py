"""Dates as text: read by one format, and the formats that would read what one does not."""

from __future__ import annotations

import re
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..columns import Float64
from .month_names import translate_months

__all__ = ["ISO", "ISO_WITH_OFFSET", "parse_stamps", "suggest_date_format", "suggest_number_format"]

ISO, ISO_WITH_OFFSET = "ISO8601", "ISO8601 %z"
_DATES = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d/%m/%y", "%m/%d/%y", "%Y-%m-%d", "%Y.%m.%d"),
    *("%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%d-%b-%y", "%b %d %Y", "%B %d, %Y", "%d %B %Y"),
    *("%d. %B %Y", "%d. %b %Y", "%B %d %Y", "%d-%B-%Y", "%d/%b/%Y", "%Y-%b-%d"),
    *("%d de %B de %Y", "%d de %b de %Y", "%d-%b.-%Y", "%Y %B %d", "%d %b, %Y"),
    *("%a, %d %b %Y", "%a %d %b %Y", "%A, %B %d, %Y", "%A, %d %B %Y"),
)
_CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
_TIMES = ("", *(before + clock for before in (" ", ", ", "T") for clock in _CLOCKS))
_SHAPES = {
    **dict.fromkeys(("%d", "%m", "%H", "%I", "%M", "%S"), r"\d{1,2}"),
    **dict.fromkeys(("%a", "%A", "%b", "%B", "%p"), r"\D+"),
    **{"%y": r"\d\d", "%Y": r"\d{4}", "%f": r"\d{1,9}", " ": r"\s+"},
}
_OFFSET = r"( ?)(?:UTC|GMT|Z|[+-]\d{2}:?\d{2})$"
_FEW = 20  # cells that most formats already fail on
_NUMBERS = (
    (19_900_101, 21_000_101, "%Y%m%d"),
    (19_900_101e6, 21_000_101e6, "%Y%m%d%H%M%S"),
    (6.3e8, 4.2e9, "unix"),
    (6.3e11, 4.2e12, "unix_ms"),
    (6.3e14, 4.2e15, "unix_us"),
    (32_874, 73_051, "excel"),
)


def parse_stamps(
    cells: pa.StringArray, date_format: str, zone: str | None = None
) -> pd.Series[pd.Timestamp]:
    """Unzoned times, NaT where a cell does not fit; each distinct cell is parsed once.

    A format with %z is of times with an offset: they are converted to `zone`, NaT without one.
    """
    encoded = cells.dictionary_encode()
    distinct = encoded.dictionary
    has_offset = "%z" in date_format
    if has_offset and zone is None:
        stamps = pd.Series(pd.NaT, index=range(len(distinct)), dtype="datetime64[us]")
    elif has_offset:
        distinct = pc.replace_substring_regex(distinct, r"(?:UTC|GMT|Z)$", "+00:00")
        plain = "ISO8601" if date_format == ISO_WITH_OFFSET else date_format
        texts = distinct.to_pandas().astype(object)
        stamps = pd.to_datetime(texts, format=plain, errors="coerce", utc=True)
        stamps = stamps.dt.tz_convert(ZoneInfo(str(zone))).dt.tz_localize(None)
    else:
        texts = distinct.to_pandas().astype(object)
        stamps = pd.to_datetime(texts, format=date_format, errors="coerce")
        if re.search("%[bB]", date_format) and stamps.isna().any():
            texts = translate_months(distinct, date_format).to_pandas().astype(object)
            translated = pd.to_datetime(texts, format=date_format, errors="coerce")
            stamps = stamps.fillna(translated)
    micros = stamps.dt.as_unit("us").take(encoded.indices.to_numpy())
    return pd.Series(micros.reset_index(drop=True))


def suggest_date_format(sample: pa.StringArray) -> str:
    """What to set so that dates like these are read; empty where no format known here would do."""
    if not len(sample):
        return ""
    plain = pc.replace_substring_regex(sample, _OFFSET, "")
    suffix = ""
    if pc.all(pc.not_equal(plain, sample)).as_py():
        suffix = " %z" if pc.all(pc.match_substring_regex(sample, " " + _OFFSET)).as_py() else "%z"
        sample = plain
    fits = [
        form + suffix
        for form in _choose_by_shape(sample[0].as_py())
        if _can_read(sample[:_FEW], form) and _can_read(sample, form)
    ]
    in_english = [form for form in fits if _reads_as_it_is(sample, form.removesuffix(suffix))]
    # translated months fit %b and %B alike: one of the two is enough
    alike = [form for form in fits if "%B" not in form or form.replace("%B", "%b") not in fits]
    fits = in_english or alike
    return f"set orders.format.date_format: {' or '.join(fits[:2])}" if fits else ""


def _choose_by_shape(cell: str) -> list[str]:
    """The formats whose digits and marks stand where those of a cell do: few of all to try."""
    clocks = {time: _describe_shape(time).search(cell) for time in _TIMES}
    return [
        date + time
        for date in _DATES
        for time, clock in clocks.items()
        if clock and _describe_shape(date).fullmatch(cell[: clock.start()])
    ]


@lru_cache(maxsize=256)
def _describe_shape(form: str) -> re.Pattern[str]:
    """What a text of the format looks like: names of months and days are of any language."""
    parts = (_SHAPES.get(part, re.escape(part)) for part in re.findall("%.|.", form))
    return re.compile("".join(parts) + r"\Z")


def _can_read(cells: pa.StringArray, date_format: str) -> bool:
    return not parse_stamps(cells, date_format).isna().any()


def _reads_as_it_is(cells: pa.StringArray, date_format: str) -> bool:
    """Whether the format reads all cells without another language's names of months."""
    texts = cells.to_pandas().astype(object)
    return not pd.to_datetime(texts, format=date_format, errors="coerce").isna().any()


def suggest_number_format(values: Float64) -> str:
    """The format by which numbers are dates between 1990 and 2100."""
    finite = values[np.isfinite(values)]
    typical = float(np.median(finite)) if len(finite) else 0.0
    for low, high, form in _NUMBERS:
        if low <= typical < high:
            return f"set orders.format.date_format: {form}"
    return "they are no dates: map another column to ordered_at"
