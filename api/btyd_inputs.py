"""Arguments of the BTYD models: columns and numbers are checked, errors name what to mend."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ConfigError, OrdersError, quote
from ..features.recency_frequency import OrderDays
from ..orders.columns import Float64

__all__ = ["check_count", "check_number", "read_column", "read_order_days", "read_order_values"]


def check_count(name: str, value: Any) -> int:
    """A whole number of at least 0, as an int."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < 0:
        raise ConfigError(
            f"{name} must be a whole number of at least 0, got {quote(value)}; give one such as 12"
        )
    return int(value)


def check_number(name: str, value: Any) -> float:
    """A finite number of at least 0, as a float."""
    is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if not is_number or not 0 <= value < np.inf:
        raise ConfigError(f"{name} must be a finite number of at least 0, got {quote(value)}")
    return float(value)


def read_column(name: str, values: Any, least: float = 0.0) -> Float64:
    """A column of finite numbers of at least `least`; a single number is a column of one."""
    limit = "" if np.isinf(least) else f" of at least {least:g}"
    rule = f"{name} must be a column of finite numbers{limit}"
    try:
        if np.asarray(values).dtype.kind in "mM":
            raise TypeError  # numpy would count nanoseconds
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):  # texts, dates, nested or missing values
        raise OrdersError(f"{rule}, got {_describe(values)}; give numbers") from None
    if array.ndim > 1:
        raise OrdersError(f"{rule}, got {array.ndim} dimensions; give one column")
    wrong = array[~(np.isfinite(array) & (array >= least))]
    if wrong.size:
        raise OrdersError(
            f"{rule}, got {wrong[0]:g} in {wrong.size:,} of {array.size:,} rows; drop these rows"
        )
    return np.atleast_1d(array)


def read_order_days(frequency: Any, recency: Any, tenure: Any) -> OrderDays:
    """Histories from the columns frequency, recency and T."""
    columns = {"frequency": frequency, "recency": recency, "T": tenure}
    repeats, active, tenures = _align({name: read_column(name, columns[name]) for name in columns})
    return OrderDays.of(repeats, active, tenures, np.zeros(len(repeats)))


def read_order_values(frequency: Any, monetary_value: Any) -> OrderDays:
    """Histories from the columns frequency and monetary_value; refunds may exceed purchases."""
    repeats, value = _align(
        {
            "frequency": read_column("frequency", frequency),
            "monetary_value": read_column("monetary_value", monetary_value, least=-np.inf),
        }
    )
    none = np.zeros(len(repeats))
    return OrderDays.of(repeats, none, none, value)


def _align(columns: dict[str, Float64]) -> tuple[Float64, ...]:
    """Columns of one length; a single number stands for all rows."""
    try:
        return tuple(np.broadcast_arrays(*columns.values()))
    except ValueError:
        lengths = ", ".join(f"{len(column):,}" for column in columns.values())
        raise OrdersError(
            f"{', '.join(columns)} must have one length, got {lengths}; give a row per customer"
        ) from None


def _describe(values: Any) -> str:
    """What was given for a column of numbers: the value, or the type of many."""
    if isinstance(values, pd.Series | pd.Index | np.ndarray):
        return f"values of type {values.dtype}"
    return quote(values)
