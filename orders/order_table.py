"""The order table: orders and returns before a cutoff, as descriptive measures need them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import windows
from .columns import Float64, Int32, Int64, Mask
from .order_groups import group_orders
from .orders import Orders

__all__ = ["OrderTable", "build_order_table"]


@dataclass(frozen=True)
class OrderTable:
    """Orders and returns before a cutoff, by customer and first line; money in minor units."""

    starts: Int64  # n_customers + 1; entries of customer i are starts[i]:starts[i + 1]
    times: Int64  # n_entries; of the first line
    net: Int64  # n_entries
    channels: Int32  # n_entries; code of the first line's channel, -1 unknown
    costed: Int64  # n_entries; amount of the sold lines whose cost is known
    costs: Float64  # n_entries; the cost of those lines, in the currency

    @property
    def n_customers(self) -> int:
        """Customers, also those without an entry."""
        return len(self.starts) - 1

    @cached_property
    def is_order(self) -> Mask:
        """Which entries are orders; the others are returns."""
        return np.asarray(self.net > 0)

    @cached_property
    def customers(self) -> Int64:
        """The customer of each entry: n_entries."""
        return np.repeat(np.arange(self.n_customers), np.diff(self.starts))

    @cached_property
    def n_orders(self) -> Int64:
        """Orders of each customer: n_customers."""
        return self.per_customer(self.is_order.astype(np.int64))

    @cached_property
    def spend(self) -> Int64:
        """Net spend of each customer: n_customers."""
        return self.per_customer(self.net)

    @cached_property
    def first_orders(self) -> Int64:
        """The entry that is each customer's first order, -1 where there is none: n_customers."""
        entries = np.flatnonzero(self.is_order)
        owners = self.customers[entries]
        first = np.full(self.n_customers, -1, dtype=np.int64)
        is_first = np.ones(len(entries), dtype=np.bool_)
        is_first[1:] = owners[1:] != owners[:-1]
        first[owners[is_first]] = entries[is_first]
        return first

    def per_customer(self, values: Int64) -> Int64:
        """The sum of integers of entries over each customer: int64, n_customers."""
        before = np.concatenate((np.zeros(1, np.int64), np.cumsum(values)))
        return np.diff(before[self.starts])

    def of_customers(self, keep: Mask) -> OrderTable:
        """The entries of some customers, who are renumbered without gaps."""
        if keep.all():
            return self
        counts = np.diff(self.starts)
        chosen = np.repeat(keep, counts)
        return OrderTable(
            np.concatenate((np.zeros(1, np.int64), np.cumsum(counts[keep]))),
            self.times[chosen],
            self.net[chosen],
            self.channels[chosen],
            self.costed[chosen],
            self.costs[chosen],
        )


def build_order_table(orders: Orders, cutoff: int) -> OrderTable:
    """The orders and returns of every customer before the cutoff."""
    ends = windows.find_positions(orders.times, orders.starts, np.array([cutoff], np.int64))[:, 0]
    groups = group_orders(orders, ends)
    n_groups = len(groups.net)
    costed = np.zeros(n_groups, dtype=np.int64)
    costs = np.zeros(n_groups, dtype=np.float64)
    if "cost" in orders.numbers:
        is_sold = (groups.group_of_line >= 0) & (orders.amounts > 0)
        lines = np.flatnonzero(is_sold & ~np.isnan(orders.numbers["cost"]))
        group = groups.group_of_line[lines]
        np.add.at(costed, group, orders.amounts[lines])
        np.add.at(costs, group, orders.numbers["cost"][lines])
    if "channel" in orders.texts:
        channels = orders.texts["channel"].codes[groups.first_lines]
    else:
        channels = np.full(n_groups, -1, dtype=np.int32)
    times = orders.times[groups.first_lines]
    return OrderTable(groups.starts, times, groups.net, channels, costed, costs)
