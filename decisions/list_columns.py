"""The columns that list rules may use, with a value for every customer of a base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..orders import dates, windows
from ..orders.columns import Float64, Int64
from .customer_base import CustomerBase
from .retention_value import read_retention_value

__all__ = ["ListColumns", "build_list_columns"]

_MOST_CATEGORIES = 50
_NEXT_ORDER = "expected_next_order_at"
_FORECAST_NUMBERS = (
    *("n_orders", "days_since_last_order", "tenure_days"),
    *("churn_probability", "expected_spend", "clv"),
)


@dataclass(frozen=True)
class ListColumns:
    """Arrays of n_customers: numbers (NaN unknown), texts (null unknown), dates (-1 none)."""

    numbers: Mapping[str, Float64]
    texts: Mapping[str, pa.StringArray]
    dates: Mapping[str, Int64]


def build_list_columns(base: CustomerBase) -> ListColumns:
    """Compute the columns named in `configs.lists`."""
    entries, forecasts = base.entries, base.forecasts
    clv, churn = base.numbers("clv"), base.numbers("churn_probability")
    spend = entries.spend / base.unit
    retention = read_retention_value(base)
    at_risk = churn * retention
    first = base.first_order_times
    next_order = _read_next_orders(base)
    anniversary = dates.find_next_anniversaries(first, base.cutoff)
    numbers = {name: base.numbers(name) for name in _FORECAST_NUMBERS} | {
        "spend_so_far": spend,
        "order_value": np.maximum(spend, 0.0) / entries.n_orders,
        "retention_value": retention,
        "value_at_risk": at_risk,
        "value_if_kept": clv + at_risk,  # E[CLV given an order]
        # of an old customer the first order is not known
        "days_to_anniversary": np.where(
            base.is_left_truncated, np.nan, _count_days(anniversary, base.cutoff)
        ),
        "years": np.rint((anniversary - first) / dates.DAY / dates.YEAR_DAYS),
        "horizon_days": np.full(base.n_rows, float(base.horizon_days)),
        "span_days": np.full(base.n_rows, float(base.span_days)),
    }
    if _NEXT_ORDER in forecasts.column_names:
        numbers["days_to_next_order"] = _count_days(next_order, base.cutoff)
    texts = {
        name: forecasts[name].combine_chunks().cast(pa.string())
        for name in ("tier", "risk", "rfm_segment", "evidence")
        if name in forecasts.column_names
    }
    if base.has_channels:
        grouping = base.grouping("channel")
        texts["channel"] = pa.array(grouping.names, pa.string()).take(pa.array(grouping.codes))
    if "category" in base.orders.texts:
        texts["missing_category"] = _find_missing_categories(base)
    known_dates = {
        "cutoff": np.full(base.n_rows, base.cutoff),
        "next_order_at": next_order,
        "anniversary_at": anniversary,
    }
    return ListColumns(numbers, texts, known_dates)


def _count_days(instants: Int64, cutoff: int) -> Float64:
    return np.where(instants >= 0, (instants - cutoff) / dates.DAY, np.nan)


def _read_next_orders(base: CustomerBase) -> Int64:
    """The forecast date of the next order, -1 where none is expected or it is unknown."""
    if _NEXT_ORDER not in base.forecasts.column_names:
        return np.full(base.n_rows, -1, dtype=np.int64)
    column = base.forecasts[_NEXT_ORDER].cast(pa.timestamp("us")).cast(pa.int64())
    return np.asarray(pc.fill_null(column, -1).to_numpy(), dtype=np.int64)


def _find_missing_categories(base: CustomerBase) -> pa.StringArray:
    """The most popular category that a customer has not bought; null where all are bought."""
    orders = base.orders
    column = orders.texts["category"]
    ends = windows.find_positions(orders.times, orders.starts, np.array([base.cutoff], np.int64))[
        :, 0
    ]
    # narrow types: there may be tens of millions of lines
    row_of = np.full(orders.n_customers, -1, dtype=np.int32)
    row_of[base.positions] = np.arange(base.n_rows, dtype=np.int32)
    lines = np.diff(orders.starts)
    owner = np.repeat(row_of, lines)
    is_purchase = np.arange(orders.n_lines, dtype=np.int32) < np.repeat(
        ends.astype(np.int32), lines
    )
    is_purchase &= (owner >= 0) & (column.codes >= 0) & (orders.amounts > 0)
    owner, codes = owner[is_purchase], column.codes[is_purchase]
    n_labels = len(column.labels)
    lines_of = np.bincount(codes, minlength=n_labels)
    # the busiest categories by lines first, then by customers among those
    busiest = np.argsort(-lines_of, kind="stable")[:_MOST_CATEGORIES]
    place = np.full(n_labels, -1, dtype=np.int64)
    place[busiest] = np.arange(len(busiest))
    bought = np.zeros((base.n_rows, len(busiest)), dtype=np.bool_)
    among = place[codes] >= 0
    bought[owner[among], place[codes[among]]] = True
    by_customers = np.argsort(-bought.sum(axis=0), kind="stable")
    lacks = ~bought[:, by_customers]
    first = np.argmax(lacks, axis=1)
    label = busiest[by_customers][first]
    none = ~lacks.any(axis=1)
    return column.labels.take(pa.array(label, mask=none))
