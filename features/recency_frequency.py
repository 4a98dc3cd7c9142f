"""Order days: what "buy till you die" models read of a customer, in whole days.

A day with several orders counts once, so a customer's history is: on how many days it came back, when
for the last time, and how long it has been known. The literature's x, t_x and T are `n_repeat_days`,
`active_days` and `tenure_days`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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

    Amounts are summed per customer and day, and days with a sum <= 0 are dropped. A customer left without
    a day (everything came back) is known since its first line. Tenure ends with the last day before the cutoff.
    """
    known = windows.is_before(orders.times, cutoff)
    customer = orders.customer_of_line()[known]
    day = dates.floor_to_days(orders.times[known])
    if not len(day):
        zeros = np.zeros(orders.n_customers)
        return OrderDays(zeros, zeros, zeros, zeros)
    # lines are sorted by customer and time: a day of a customer is a run of lines
    begins = np.flatnonzero(np.diff(customer, prepend=-1) | np.diff(day, prepend=day[0]))
    value = np.add.reduceat(orders.amounts[known], begins)
    all_customers, all_days = customer[begins], day[begins]
    customer, day, value = (part[value > 0] for part in (all_customers, all_days, value))
    n_days = np.bincount(customer, minlength=orders.n_customers)
    ordered = n_days > 0
    first = (np.cumsum(n_days) - n_days)[ordered]  # each customer's first day among the days
    last = first + n_days[ordered] - 1
    newest = dates.floor_to_days(cutoff - 1)
    total = np.bincount(customer, weights=value, minlength=orders.n_customers)[ordered]
    repeats = n_days[ordered] - 1
    found = np.zeros((4, orders.n_customers))
    seen, first_line = np.unique(all_customers, return_index=True)
    found[2, seen] = newest - all_days[first_line]
    found[0, ordered] = repeats
    found[1, ordered] = day[last] - day[first]
    found[2, ordered] = newest - day[first]
    found[3, ordered] = (total - value[first]) / np.maximum(repeats, 1) / orders.unit
    return OrderDays(*found)


def collect_order_days(rows: FeatureRows) -> OrderDays:
    """Histories as far as feature rows tell them, one per row.

    Features know instants, not days: an evening and the next morning are two days half a day apart, so
    `active_days` is at least the number of repeat days. Features also keep no value per day: a repeat
    day's is the value of all orders but the first, over the repeat days.
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
