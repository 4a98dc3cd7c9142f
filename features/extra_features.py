"""The columns of the user's own function, `extra_features(orders_frame, cutoff)`, checked.

The function sees the order lines before the cutoff, and must return a frame of numbers indexed by
customer_id. Values that are not finite are missing, as are customers it leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from ..configs.schema import FeaturesConfig
from ..errors import ConfigError, quote
from ..orders import windows
from ..orders.columns import Float32, Int64
from ..orders.extra_features import ExtraFeatures, ExtraFunction, load_extra_function
from ..orders.orders import Orders
from .attribute_features import PREFIX
from .calendar_features import EVENT_PREFIX
from .catalogue import CATALOGUE

__all__ = [
    "attach_extra_features",
    "build_extra_columns",
    "build_order_frame",
    "call_function",
    "list_extra_names",
]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")  # what a tree's text can hold
_OWN_PREFIXES = (PREFIX, EVENT_PREFIX)
_TAKEN = {"customer_id", "cutoff", *(feature.name for feature in CATALOGUE)}
# What a faulty function raises: reported in one sentence, with the original chained to it.
_FAULTS = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


def attach_extra_features(
    orders: Orders, function: ExtraFunction | None, config: FeaturesConfig | None = None
) -> Orders:
    """The orders with the function given, else with the one a configuration names, if any."""
    if function is None and config is not None and config.extra is not None:
        function = load_extra_function(config.extra)
    if function is None:
        return orders
    if not callable(function):
        raise ConfigError(
            f"extra_features must be a function of (orders, cutoff), got {type(function).__name__}"
        )
    return replace(orders, extra=ExtraFeatures(function))


def build_extra_columns(
    orders: Orders, cutoffs: Int64, cutoff_index: Int64, customer_index: Int64
) -> tuple[tuple[str, ...], Float32]:
    """The columns of rows (cutoff, customer): their names and float32, n_rows x n_columns.

    Raises `ConfigError` where the function fails or breaks a rule.
    """
    extra = orders.extra
    if extra is None:
        return (), np.empty((len(cutoff_index), 0), dtype=np.float32)
    lines = build_order_frame(orders)
    ids = orders.customer_ids.to_pandas().astype("str")
    names, values = extra.names, None
    for position in np.unique(cutoff_index).tolist():
        cutoff = int(cutoffs[position])
        past_lines = lines[windows.is_before(orders.times, cutoff)]
        answer = call_function(extra, past_lines, cutoff, names)
        if values is None:
            names = tuple(answer.columns)
            values = np.full((len(cutoff_index), len(names)), np.nan, dtype=np.float32)
        rows = np.flatnonzero(cutoff_index == position)
        row_ids = ids.take(customer_index[rows])
        values[rows] = answer.reindex(row_ids).to_numpy(dtype=np.float32)
    if values is None:  # no customer ordered before any of the cutoffs
        values = np.empty((0, len(names or ())), dtype=np.float32)
    return names or (), values


def list_extra_names(names: Sequence[str]) -> tuple[str, ...]:
    """Those of a model's features that a function of the user's gave."""
    return tuple(n for n in names if n not in _TAKEN and not n.startswith(_OWN_PREFIXES))


def build_order_frame(orders: Orders) -> pd.DataFrame:
    """The order lines as a function sees them: our column names, amounts in the currency."""
    ids = orders.customer_ids.take(pa.array(orders.customer_of_line()))
    frame = pd.DataFrame(
        {
            "customer_id": ids.to_pandas().astype("str"),
            "ordered_at": orders.times.view("datetime64[us]"),
            "amount": orders.amounts / orders.unit,
        }
    )
    for name, column in orders.texts.items():
        frame[name] = column.to_text().to_pandas().astype("str")
    for name, numbers in orders.numbers.items():
        frame[name] = numbers
    return frame


def call_function(
    extra: ExtraFeatures, known: pd.DataFrame, cutoff: int, names: tuple[str, ...] | None
) -> pd.DataFrame:
    """The function's answer as finite float32 or NaN, by customer_id; `names` are wanted columns.

    `known` holds the lines before the cutoff; the function gets its own copy.
    """
    moment = pd.Timestamp(cutoff, unit="us")
    try:
        answer = extra.function(known.copy(), moment)
    except _FAULTS as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"extra_features failed at the cutoff {moment:%Y-%m-%d}: "
            f"{type(error).__name__}: {reason}"
        ) from error
    if not isinstance(answer, pd.DataFrame):
        raise ConfigError(
            f"extra_features must return a DataFrame indexed by customer_id, got "
            f"{type(answer).__name__}"
        )
    _check_customers(answer, known)
    _check_columns(answer, names)
    values = answer.loc[:, list(names)] if names is not None else answer
    numbers = {name: _convert_numbers(name, column) for name, column in values.items()}
    return pd.DataFrame(numbers, index=answer.index.astype("str"), dtype=np.float32)


def _check_customers(found: pd.DataFrame, known: pd.DataFrame) -> None:
    """Refuse an answer that is not indexed by the customers of the orders given."""
    if not found.index.is_unique:
        raise ConfigError(
            f"extra_features must return one row per customer, got {len(found):,} rows of "
            f"{found.index.nunique():,} customers"
        )
    unknown = int((~found.index.isin(known["customer_id"])).sum())
    if unknown:
        raise ConfigError(
            f"extra_features must be indexed by the customer_id of the orders it was given, got "
            f"{unknown:,} of {len(found):,} rows of others; set_index('customer_id'), and leave "
            "out customers without a line before the cutoff"
        )


def _check_columns(found: pd.DataFrame, names: tuple[str, ...] | None) -> None:
    """Refuse missing columns, and names that are taken or that no tree can hold."""
    if names is not None:
        missing = [name for name in names if name not in found.columns]
        if missing:
            raise ConfigError(
                f"extra_features must return the columns {', '.join(names)} at every cutoff, got "
                f"none named {', '.join(missing)}"
            )
        return
    columns = [str(name) for name in found.columns]
    if not columns or len(set(columns)) < len(columns):
        raise ConfigError(
            "extra_features must return columns of different names, got "
            f"{', '.join(columns) or 'none'}"
        )
    for name in columns:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"a column of extra_features is named with letters, digits and _, got {quote(name)}"
            )
        if name in _TAKEN or name.startswith(_OWN_PREFIXES):
            raise ConfigError(
                f"extra_features must not return the column {name}, which clvcast has; rename it"
            )


def _convert_numbers(name: object, column: pd.Series) -> Float32:
    """A column as float32; what is not finite is missing."""
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        raise ConfigError(
            f"extra_features must return numbers, got {column.dtype} in the column {name}"
        )
    if pd.api.types.is_complex_dtype(column):
        raise ConfigError(f"extra_features must return real numbers, got complex in {name}")
    with np.errstate(over="ignore"):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan).astype(np.float32)
    return np.where(np.isfinite(values), values, np.float32(np.nan))
