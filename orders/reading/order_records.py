"""Orders of a few customers given as plain Python lines: what a service asks with.

The rules are those of reading files, applied line by line without a table in between, for the sake of
a millisecond. What is written in another way than the usual one is left to the reader: `LineError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ...configs.schema import OrdersConfig
from ...errors import OrdersError
from .. import windows
from ..columns import Float64, Int64, TextColumn
from ..dates import ISO_INSTANT, ISO_LOCAL
from ..limits import MAX_AMOUNT, MAX_MINOR_UNITS, MISSING_WORDS
from ..orders import Orders
from .column_mapping import NUMBERS, TEXTS
from .packing import pack
from .usable_lines import UsableLines

__all__ = ["LineError", "clean_id", "describe_instant_fault", "is_missing_id", "pack_records"]

Line = Mapping[str, Any]
_ISO = re.compile(ISO_INSTANT, re.ASCII)
_ISO_LINES = re.compile(rf"{ISO_LOCAL}(?:\n{ISO_LOCAL})*", re.ASCII)
_DECIMAL_ID = re.compile(r"[0-9]+\.0")
_EPOCH = datetime(1970, 1, 1)


class LineError(OrdersError):
    """A line breaks a rule: which customer and line (from 0), which field, and the rule without the value."""

    def __init__(self, customer: int, line: int | None, column: str, rule: str) -> None:
        where = "" if line is None else f"line {line} of "
        super().__init__(f"{column} {rule}, which {where}customer {customer} breaks")
        self.customer, self.line, self.column, self.rule = customer, line, column, rule


def pack_records(
    customers: Sequence[tuple[str, Sequence[Line]]],
    columns: Sequence[str],
    config: OrdersConfig,
    now: datetime | None = None,
) -> Orders:
    """Pack the lines of some customers, each a cleaned id of its own and at least one line.

    A line has ordered_at (ISO text or a datetime), amount (a number) and any of the optional columns;
    of those, `columns` are kept. The same lines read as a table give equal `Orders`. Raises
    `LineError` for the first line that cannot be used as it stands, `OrdersError` where a column is
    in no line.
    """
    zone = ZoneInfo(config.timezone) if config.timezone else None
    all_lines = [line for _, lines in customers for line in lines]
    owners = [k for k, (_, lines) in enumerate(customers) for _ in lines]
    read = _column_by_column(all_lines, columns)
    if read is None:
        read = _line_by_line(customers, columns, zone)
    absent = [name for name in columns if not any(name in line for line in all_lines)]
    if absent:
        raise OrdersError(
            f"the model needs the columns {', '.join(absent)}, which the orders lack; "
            "give them, null where unknown"
        )
    unit = 10.0**config.currency_decimals
    if np.abs(read.amounts).sum() * unit >= MAX_MINOR_UNITS:
        raise OrdersError(f"all amounts together must stay below {MAX_MINOR_UNITS / unit:.0e}")
    _plausible(read.times, owners, customers, now or datetime.now())
    ids = _customers([customer_id for customer_id, _ in customers], owners)
    usable = UsableLines(
        {"customer_id": ids, **read.texts}, read.times, {"amount": read.amounts, **read.numbers}
    )
    orders, _ = pack([usable], columns, config.currency_decimals)
    return orders


@dataclass(frozen=True)
class _Read:
    """The columns of some lines, arrays of n_lines."""

    times: Int64
    amounts: Float64
    texts: dict[str, TextColumn]
    numbers: dict[str, Float64]


def _column_by_column(lines: Sequence[Line], columns: Sequence[str]) -> _Read | None:
    """The lines where all of them are written as usual, without a step of Python for each cell; else None.

    It takes nothing that `_line_by_line` refuses, and reads it to the same numbers.
    """
    times = _usual_times([line.get("ordered_at") for line in lines])
    amounts = _usual_numbers([line.get("amount") for line in lines], {int, float})
    if times is None or amounts is None or not (np.abs(amounts) <= MAX_AMOUNT).all():
        return None
    texts, numbers = {}, {}
    for name in columns:
        cells = [line.get(name) for line in lines]
        if name in TEXTS:
            if not set(map(type, cells)) <= {str, type(None)}:
                return None
            clean = {cell: clean_id(cell) if cell else None for cell in dict.fromkeys(cells)}
            try:
                "".join(filter(None, clean.values())).encode()
            except UnicodeEncodeError:
                return None
            texts[name] = _coded(cells, clean)
        else:
            found = _usual_numbers(
                [math.nan if cell is None else cell for cell in cells], {int, float}
            )
            if found is None or np.isinf(found).any():
                return None
            numbers[name] = found
    return _Read(times, amounts, texts, numbers)


def _usual_times(cells: list[Any]) -> Int64 | None:
    """Instants of ISO texts without an offset, from 1970 on."""
    if set(map(type, cells)) != {str}:
        return None
    together = "\n".join(cells)
    if together.count("\n") != len(cells) - 1 or not _ISO_LINES.fullmatch(together):
        return None
    try:
        instants = np.array(cells, dtype="datetime64[us]").view(np.int64)
    except ValueError:  # no day of the calendar
        return None
    return instants if (instants >= 0).all() else None


def _usual_numbers(cells: list[Any], kinds: set[type]) -> Float64 | None:
    if not set(map(type, cells)) <= kinds:
        return None
    try:
        return np.array(cells, dtype=np.float64)
    except OverflowError:
        return None


def _line_by_line(
    customers: Sequence[tuple[str, Sequence[Line]]],
    columns: Sequence[str],
    zone: ZoneInfo | None,
) -> _Read:
    """The lines, cell by cell; raises `LineError` for the first that cannot be used."""
    times: list[int] = []
    amounts: list[float] = []
    cells: dict[str, list[Any]] = {name: [] for name in columns}
    texts = [(name, column) for name, column in cells.items() if name in TEXTS]
    numbers = [(name, column) for name, column in cells.items() if name in NUMBERS]
    cleaned: dict[str, str] = {}  # text as given -> as the reader has it; most of it comes again
    for position, (_, lines) in enumerate(customers):
        for number, line in enumerate(lines):
            try:
                times.append(_micros(line["ordered_at"], zone))
                amounts.append(_amount(line["amount"]))
                for name, column in texts:
                    value = line.get(name)
                    column.append(None if value is None else _text(value, cleaned))
                for name, column in numbers:
                    value = line.get(name)
                    column.append(math.nan if value is None else _number(value))
            except _RefusedError as refused:
                name = _blamed(len(times), len(amounts), cells)
                raise LineError(position, number, name, str(refused)) from None
            except KeyError as missing:
                raise LineError(position, number, str(missing.args[0]), "is required") from None
    return _Read(
        np.array(times, dtype=np.int64),
        np.array(amounts, dtype=np.float64),
        {name: _coded(column, dict(zip(column, column, strict=True))) for name, column in texts},
        {name: np.array(column, dtype=np.float64) for name, column in numbers},
    )


def clean_id(value: str) -> str:
    """An id as the reader has it: trimmed, `17850.0` as `17850`.

    >>> clean_id(" 17850.0 "), clean_id("00123")
    ('17850', '00123')
    """
    text = value.strip()
    return text[:-2] if text.endswith(".0") and _DECIMAL_ID.fullmatch(text) else text


def is_missing_id(cleaned: str) -> bool:
    """Whether a cleaned customer id says that there is none: empty, null, nan, n/a ..."""
    return cleaned.lower() in MISSING_WORDS


class _RefusedError(Exception):
    """A rule, without the value that breaks it."""


def _blamed(n_times: int, n_amounts: int, cells: Mapping[str, list[Any]]) -> str:
    """The column that was being read when a line was refused: the first that is a value short."""
    if n_times > n_amounts:
        return "amount"
    ordered = (*TEXTS, *NUMBERS)
    short = [name for name in ordered if name in cells and len(cells[name]) < n_amounts]
    return short[0] if short else "ordered_at"


def describe_instant_fault(value: object, zone: ZoneInfo | None) -> str:
    """The rule that an instant breaks, without its value; empty where it breaks none."""
    try:
        _micros(value, zone)
    except _RefusedError as refused:
        return str(refused)
    return ""


def _micros(value: object, zone: ZoneInfo | None) -> int:
    if isinstance(value, str):
        if not _ISO.fullmatch(value):
            raise _RefusedError("must be ISO 8601 such as 2011-06-10 or 2011-06-10T14:30:00")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _RefusedError("must be a date of the calendar") from None
    elif isinstance(value, datetime) and value == value:  # NaT does not equal itself
        moment = value
    else:
        raise _RefusedError("must be ISO 8601 text")
    if moment.tzinfo is not None:
        if zone is None:
            raise _RefusedError(
                "must carry no offset, for the model knows no time zone to convert it to"
            )
        try:
            moment = moment.astimezone(zone).replace(tzinfo=None)
        except OverflowError:
            raise _RefusedError("must be a date of the calendar") from None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _amount(value: object) -> float:
    number = _number(value)
    if not abs(number) <= MAX_AMOUNT:  # a missing one is none either
        raise _RefusedError("must be an amount up to 1e12")
    return number


def _number(value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _RefusedError("must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise _RefusedError("must be finite")
    return number


def _text(value: object, cleaned: dict[str, str]) -> str | None:
    if not isinstance(value, str):
        raise _RefusedError("must be text")
    if value not in cleaned:
        text = clean_id(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _RefusedError("must be text in valid Unicode") from None
        cleaned[value] = text
    return cleaned[value] or None


def _coded(cells: Sequence[str | None], clean: Mapping[str | None, str | None]) -> TextColumn:
    """Cells coded by their clean text, of which none and an empty one are missing."""
    labels = sorted(set(filter(None, clean.values())))
    rank = {label: code for code, label in enumerate(labels)}
    codes = {cell: rank.get(text or "", -1) for cell, text in clean.items()}
    found = np.array([codes[cell] for cell in cells], dtype=np.int32)
    return TextColumn(found, pa.array(labels, pa.string()))


def _customers(ids: Sequence[str], owners: Sequence[int]) -> TextColumn:
    if len(ids) == 1:
        return TextColumn(np.zeros(len(owners), dtype=np.int32), pa.array(ids, pa.string()))
    ranked = sorted(range(len(ids)), key=ids.__getitem__)
    rank = np.empty(len(ids), dtype=np.int32)
    rank[ranked] = np.arange(len(ids), dtype=np.int32)
    return TextColumn(rank[owners], pa.array([ids[i] for i in ranked], pa.string()))


def _plausible(
    instants: Int64,
    owners: Sequence[int],
    customers: Sequence[tuple[str, Sequence[Line]]],
    now: datetime,
) -> None:
    too_early, too_late = windows.find_implausible(instants, now)
    for wrong, rule in (
        (too_early, "must be 1970 or later"),
        (too_late, "must not be in the future"),
    ):
        if wrong.any():
            at = int(np.argmax(wrong))
            before = sum(len(lines) for _, lines in customers[: owners[at]])
            raise LineError(owners[at], at - before, "ordered_at", rule)
