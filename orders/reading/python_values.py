"""Python values, such as cells of a workbook or of an answer, as a column of one type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

__all__ = ["build_column", "find_kinds"]

_LARGEST = 2**63
_KINDS = (bool, int, float, Decimal, datetime, date, time, str, UUID)
_NUMBERS = {int, float, Decimal}


def find_kinds(values: Sequence[Any]) -> set[type]:
    """The types of the values that are there, those derived from others as these."""
    types = {type(value) for value in values if value is not None}
    return {next((kind for kind in _KINDS if issubclass(one, kind)), one) for one in types}


def build_column(values: Sequence[Any], decimal: str | None = None) -> pa.Array:
    """A column of one type; a mix of several is text, ids stay exact, decimals the nearest float.

    Numbers in a mix get the `decimal` mark that the texts beside them are read with.
    What is neither text, number nor date becomes a structure, which the reader refuses by its name.
    """
    values = [_to_python(value) if isinstance(value, np.generic) else value for value in values]
    kinds = find_kinds(values)
    if not kinds:
        return pa.nulls(len(values))
    if kinds <= _NUMBERS:
        return _build_numbers(values)
    if kinds <= {datetime, date}:
        return _build_times(values, kinds)
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= set(_KINDS):
        return pa.array([_to_text(value, decimal) for value in values], pa.string())
    kind = sorted(kind.__name__ for kind in kinds - set(_KINDS))[0]
    return pa.array([None if value is None else {kind: repr(value)} for value in values])


def _to_python(value: np.generic) -> Any:
    is_instant = isinstance(value, np.datetime64)
    return value.astype("datetime64[us]").item() if is_instant else value.item()


def _build_numbers(values: Sequence[Any]) -> pa.Array:
    """Whole numbers as integers, those beyond 64 bits as text; others as the nearest float."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, float) for value in present):
        return pa.array(values, pa.float64())
    if not all(_is_whole(value) for value in present):
        return pa.array([None if value is None else float(value) for value in values])
    integers = [None if value is None else int(value) for value in values]
    if all(-_LARGEST <= int(value) < _LARGEST for value in present):
        return pa.array(integers, pa.int64())
    return pa.array([None if value is None else str(value) for value in integers])


def _build_times(values: Sequence[Any], kinds: set[type]) -> pa.Array:
    if kinds == {date}:
        return pa.array(values, pa.date32())
    instants = [
        value if value is None or isinstance(value, datetime) else datetime(*value.timetuple()[:3])
        for value in values
    ]
    zoned = [bool(value.tzinfo) for value in instants if value is not None]
    if all(zoned):
        utc = [None if value is None else value.astimezone(UTC) for value in instants]
        return pa.array(utc, pa.timestamp("us", tz="UTC"))
    if any(zoned):
        return pa.array([_to_text(value) for value in instants], pa.string())
    return pa.array(instants, pa.timestamp("us"))


def _to_text(value: Any, decimal: str | None = None) -> str | None:
    """A value as a CSV file would hold it; whole floats without their point, as ids have none."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, float | Decimal):
        return str(value)
    if _is_whole(value):
        return str(int(value))
    if not math.isfinite(value):
        return str(value)
    return f"{Decimal(str(value)):f}".replace(".", decimal or ".")  # 1e-05 has no exponent


def _is_whole(value: int | float | Decimal) -> bool:
    return isinstance(value, int) or (math.isfinite(value) and value % 1 == 0)
