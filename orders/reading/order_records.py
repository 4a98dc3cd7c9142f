"""Orders of a few customers as Python records: the input of a service.

The rules are those of reading files, applied without a table in between, which saves milliseconds.
Values in an unusual form are left to the reader of files: `LineError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ...configs.schema import OrdersConfig
from ...errors import OrdersError
from .. import windows
from ..columns import Float64, Int64, TextColumn
from ..dates import ISO_INSTANT, ISO_LOCAL
from ..limits import MAX_AMOUNT, MAX_MINOR_UNITS
from ..missing_values import MISSING_IDS, MISSING_WORDS
from ..orders import Orders
from .column_mapping import TEXTS
from .line_rules import (
    AMOUNT,
    CALENDAR,
    FINITE,
    FROM_1970,
    ISO,
    NO_OFFSET,
    NOT_FUTURE,
    NUMBER,
    REQUIRED,
    TEXT,
    UNICODE,
)
from .packing import pack
from .usable_lines import UsableLines

__all__ = ["LineError", "clean_id", "describe_cell_fault", "is_missing_id", "pack_records"]

Line = Mapping[str, Any]
Value = TypeVar("Value")
_ISO = re.compile(ISO_INSTANT, re.ASCII)
_ISO_LINES = re.compile(rf"{ISO_LOCAL}(?:\n{ISO_LOCAL})*", re.ASCII)
_DECIMAL_ID = re.compile(r"[0-9]+\.0")
_EPOCH = datetime(1970, 1, 1)


class LineError(OrdersError):
    """A line breaks a rule: the customer and line (from 0), the field, and the rule without the
    value.
    """

    def __init__(self, customer: int, line: int, column: str, rule: str) -> None:
        super().__init__(f"{column} {rule}, which line {line} of customer {customer} breaks")
        self.customer, self.line, self.column, self.rule = customer, line, column, rule


class _CellError(Exception):
    """A rule, without the value that breaks it, and the position of that value."""

    def __init__(self, rule: str, position: int = 0) -> None:
        super().__init__(rule)
        self.rule, self.position = rule, position


def pack_records(
    customers: Sequence[tuple[str, Sequence[Line]]],
    columns: Sequence[str],
    config: OrdersConfig,
    now: datetime | None = None,
) -> Orders:
    """Pack the lines of some customers, each a cleaned id of its own and at least one line.

    A line has ordered_at (ISO text or a datetime), amount (a number) and any of the optional
    columns; of those, `columns` are kept, null where a line lacks them: so a customer alone gives
    what it gives beside others. The same lines read as a table give equal `Orders`. Raises
    `LineError` for a line that cannot be used as it stands, `OrdersError` for amounts too large.
    """
    zone = ZoneInfo(config.timezone) if config.timezone else None
    lines = [line for _, customer_lines in customers for line in customer_lines]
    owners = [k for k, (_, customer_lines) in enumerate(customers) for _ in customer_lines]
    texts: dict[str, TextColumn] = {}
    numbers: dict[str, Float64] = {}
    column = "ordered_at"
    try:
        times = _read_times([line.get(column) for line in lines], zone)
        _check_plausible(times, now or datetime.now())
        for column in ("amount", *columns):
            cells = [line.get(column) for line in lines]
            if column in TEXTS:
                texts[column] = _read_texts(cells)
            else:
                numbers[column] = _read_numbers(cells, is_amount=column == "amount")
    except _CellError as error:
        owner = owners[error.position]
        line = error.position - owners.index(owner)
        raise LineError(owner, line, column, error.rule) from None
    unit = 10.0**config.currency_decimals
    if np.abs(numbers["amount"]).sum() * unit >= MAX_MINOR_UNITS:
        raise OrdersError(f"all amounts together must stay below {MAX_MINOR_UNITS / unit:.0e}")
    ids = _code_customers([customer_id for customer_id, _ in customers], owners)
    usable = UsableLines({"customer_id": ids, **texts}, times, numbers)
    orders, _ = pack([usable], columns, config.currency_decimals)
    return orders


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


def describe_cell_fault(value: object, kind: str, zone: ZoneInfo | None) -> str:
    """The rule that a text, number or date breaks, without its value; empty where it breaks
    none.
    """
    try:
        if kind == "date":
            _parse_instant(value, zone)
        elif kind == "number":
            _parse_number(value)
        else:
            _parse_text(value)
    except _CellError as error:
        return error.rule
    return ""


def _read_times(cells: list[Any], zone: ZoneInfo | None) -> Int64:
    """Instants of ISO texts and datetimes; texts without an offset are parsed all at once."""
    if set(map(type, cells)) == {str}:
        together = "\n".join(cells)
        if together.count("\n") == len(cells) - 1 and _ISO_LINES.fullmatch(together):
            try:
                return np.array(cells, dtype="datetime64[us]").view(np.int64)
            except ValueError:  # no day of the calendar: which, the loop below tells
                pass
    instants = _parse_each(cells, lambda cell: _parse_instant(cell, zone))
    return np.array(instants, dtype=np.int64)


def _read_numbers(cells: list[Any], *, is_amount: bool) -> Float64:
    """Numbers, NaN where missing; an amount must not be."""
    usual = {int, float} if is_amount else {int, float, type(None)}
    if set(map(type, cells)) <= usual:
        try:
            values = np.array(cells, dtype=np.float64)  # None is NaN
        except OverflowError:
            pass
        else:
            if (np.abs(values) <= MAX_AMOUNT).all() if is_amount else not np.isinf(values).any():
                return values
    parse = _parse_amount if is_amount else _parse_number
    return np.array(_parse_each(cells, parse), dtype=np.float64)


def _read_texts(cells: list[Any]) -> TextColumn:
    """Cells coded by their clean text; None, an empty one and `(not set)` are missing."""
    distinct = cells
    if set(map(type, cells)) <= {str, type(None)}:
        distinct = list(dict.fromkeys(cells))
    try:
        clean = dict(zip(distinct, map(_parse_text, distinct), strict=True))
    except _CellError:
        _parse_each(cells, _parse_text)  # the same error, with its position
        raise
    labels = sorted(set(filter(None, clean.values())))
    rank = {label: code for code, label in enumerate(labels)}
    codes = {cell: rank.get(text or "", -1) for cell, text in clean.items()}
    cell_codes = np.array([codes[cell] for cell in cells], dtype=np.int32)
    return TextColumn(cell_codes, pa.array(labels, pa.string()))


def _parse_each(cells: list[Any], parse: Callable[[Any], Value]) -> list[Value]:
    """The values of cells; a `_CellError` has the position of the first that breaks a rule."""
    values = []
    for position, cell in enumerate(cells):
        try:
            values.append(parse(cell))
        except _CellError as error:
            raise _CellError(error.rule, position) from None
    return values


def _parse_instant(value: object, zone: ZoneInfo | None) -> int:
    if value is None:
        raise _CellError(REQUIRED)
    if isinstance(value, str):
        if not _ISO.fullmatch(value):
            raise _CellError(ISO)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _CellError(CALENDAR) from None
    elif isinstance(value, datetime) and value == value:  # NaT does not equal itself
        moment = value
    else:
        raise _CellError(ISO)
    if moment.tzinfo is not None:
        if zone is None:
            raise _CellError(NO_OFFSET)
        try:
            moment = moment.astimezone(zone).replace(tzinfo=None)
        except OverflowError:
            raise _CellError(CALENDAR) from None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _parse_amount(value: object) -> float:
    if value is None:
        raise _CellError(REQUIRED)
    number = _parse_number(value)
    if not abs(number) <= MAX_AMOUNT:  # NaN is no amount either
        raise _CellError(AMOUNT.requirement)
    return number


def _parse_number(value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _CellError(NUMBER.requirement)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise _CellError(FINITE)
    return number


def _parse_text(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _CellError(TEXT)
    text = clean_id(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _CellError(UNICODE) from None
    return None if text.lower() in MISSING_IDS else text


def _code_customers(ids: Sequence[str], owners: Sequence[int]) -> TextColumn:
    if len(ids) == 1:
        return TextColumn(np.zeros(len(owners), dtype=np.int32), pa.array(ids, pa.string()))
    ranked = sorted(range(len(ids)), key=ids.__getitem__)
    rank = np.empty(len(ids), dtype=np.int32)
    rank[ranked] = np.arange(len(ids), dtype=np.int32)
    return TextColumn(rank[owners], pa.array([ids[i] for i in ranked], pa.string()))


def _check_plausible(instants: Int64, now: datetime) -> None:
    too_early, too_late = windows.find_implausible(instants, now)
    for wrong, rule in ((too_early, FROM_1970), (too_late, NOT_FUTURE)):
        if wrong.any():
            raise _CellError(rule.requirement, int(np.argmax(wrong)))
