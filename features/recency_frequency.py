"""Order days: what "buy till you die" models read of a customer, in whole days.

A day with several orders counts once, so a customer's history is: on how many days it came back,
when for the last time, and how long it has been known. The literature's x, t_x and T are
`n_repeat_days`, `active_days` and `tenure_days`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..orders import dates, windows
from ..orders.columns import Float64, Int64, Mask
from ..orders.orders import Orders
from .table import FeatureRows

__all__ = ["OrderDays", "collect_order_days", "count_order_days"]


@dataclass(frozen=True)
class OrderDays:
    """Histories in whole days, arrays of n_customers or n_rows."""

    n_repeat_days: Float64  # x: days with an order, after the first such day
    active_days: Float64  # t_x: from the first to the last of them; 0 without a repeat
    tenure_days: Float64  # T: from the first of them to the newest observed day
    repeat_value: Float64  # mean net value of a repeat day; 0 without one

    @classmethod
    def of(
        cls,
        n_repeat_days: Float64,
        active_days: Float64,
        tenure_days: Float64,
        repeat_value: Float64,
    ) -> OrderDays:
        """The same made possible: 0 <= active <= tenure, and active 0 without a repeat."""
        repeats = np.maximum(np.asarray(n_repeat_days, dtype=np.float64), 0.0)
        tenure = np.maximum(np.asarray(tenure_days, dtype=np.float64), 0.0)
        active = np.where(repeats > 0, np.clip(active_days, 0.0, tenure), 0.0)
        value = np.where(repeats > 0, np.maximum(repeat_value, 0.0), 0.0)
        return cls(repeats, active, tenure, value)

    def where(self, rows: Int64 | Mask) -> OrderDays:
        """Some histories, by position or by a mark."""
        return OrderDays(
            self.n_repeat_days[rows],
            self.active_days[rows],
            self.tenure_days[rows],
            self.repeat_value[rows],
        )


def count_order_days(orders: Orders, cutoff: int) -> OrderDays:
    """Histories before `cutoff`, one per customer of `orders`, by the convention of `lifetimes`.

    Amounts are summed per customer and day, and days with a sum <= 0 are dropped. A customer left
    without a day (everything came back) is known since its first line. Tenure ends with the last
    day before the cutoff.
    """
    is_observed = windows.is_before(orders.times, cutoff)
    lines = pd.DataFrame(
        {
            "customer": orders.customer_of_line()[is_observed],
            "day": dates.floor_to_days(orders.times[is_observed]),
            "value": orders.amounts[is_observed],
        }
    )
    days = lines.groupby(["customer", "day"])["value"].sum().reset_index()
    ordered = days[days["value"] > 0].groupby("customer")
    everybody = pd.RangeIndex(orders.n_customers)
    newest = (cutoff - 1) // dates.DAY
    first = ordered["day"].min().reindex(everybody)
    begin = first.fillna(days.groupby("customer")["day"].min()).fillna(newest)
    active = ordered["day"].max().reindex(everybody) - first
    repeats = ordered.size().reindex(everybody, fill_value=1) - 1
    returned = (ordered["value"].sum() - ordered["value"].first()).reindex(everybody)
    value = returned / repeats.clip(lower=1) / orders.unit
    columns = (repeats, active.fillna(0), newest - begin, value.fillna(0))
    return OrderDays(*(np.asarray(column, dtype=np.float64) for column in columns))


def collect_order_days(rows: FeatureRows) -> OrderDays:
    """Histories as far as feature rows tell them, one per row.

    Features know instants, not days: an evening and the next morning are two days half a day apart,
    so `active_days` is at least the number of repeat days. Features also keep no value per day: a
    repeat day's is the value of all orders but the first, over the repeat days.
    """
    n_days, active, tenure, n_orders, mean, first = rows.columns(
        (
            "n_order_days",
            "active_days",
            "tenure_days",
            "n_orders",
            "order_value_mean",
            "order_value_first",
        )
    ).T.astype(np.float64)
    repeats = n_days - 1
    days = np.maximum(np.rint(active), repeats)
    value = (mean * n_orders - first) / np.maximum(repeats, 1)
    return OrderDays.of(repeats, days, np.maximum(np.floor(tenure), days), value)
