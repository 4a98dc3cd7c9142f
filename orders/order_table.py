"""The ledger: order lines gathered into orders and returns, as descriptive measures need them.

An order is the lines of one customer and one order_id (else one customer and instant) before the
cutoff with a positive net amount; with zero or less it is a return.

Compiled code is cached by the time stamp of this file alone, so it calls no compiled function of
another module; time is already sliced: `ends` holds positions from windows.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from . import windows
from .columns import Float64, Int32, Int64, Mask
from .orders import Orders

__all__ = ["OrderTable", "build_order_table"]

_NO_CODES = np.empty(0, dtype=np.int32)
_NO_NUMBERS = np.empty(0, dtype=np.float64)


@dataclass(frozen=True)
class OrderTable:
    """Orders and returns before a cutoff, by customer and first line; money in the smallest unit."""

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
    codes = orders.texts["order_id"].codes if "order_id" in orders.texts else _NO_CODES
    channels = orders.texts["channel"].codes if "channel" in orders.texts else _NO_CODES
    entry_of, starts = _number_entries(orders.starts, ends, orders.times, codes)
    return OrderTable(
        starts,
        *_gathered(
            orders.starts,
            ends,
            entry_of,
            int(starts[-1]),
            orders.times,
            orders.amounts,
            channels,
            orders.numbers.get("cost", _NO_NUMBERS),
        ),
    )


@numba.njit(cache=True, nogil=True)
def _number_entries(starts: Int64, ends: Int64, times: Int64, codes: Int32) -> tuple[Int32, Int64]:
    """Per line the number of its entry, by customer and first line; and where each customer's begin."""
    entry_of = np.full(len(times), -1, dtype=np.int32)
    entry_starts = np.zeros(len(starts), dtype=np.int64)
    slot = np.full(codes.max() + 1 if len(codes) else 1, -1, dtype=np.int32)
    following = 0
    for customer in range(len(starts) - 1):
        open_instant, unnamed = np.int64(-1), np.int32(-1)
        for line in range(starts[customer], ends[customer]):
            code = codes[line] if len(codes) else -1
            if code >= 0:
                if slot[code] < 0:
                    slot[code] = following
                    following += 1
                entry_of[line] = slot[code]
            else:
                if unnamed < 0 or times[line] != open_instant:
                    unnamed, open_instant = np.int32(following), times[line]
                    following += 1
                entry_of[line] = unnamed
        if len(codes):
            for line in range(starts[customer], ends[customer]):
                if codes[line] >= 0:
                    slot[codes[line]] = -1  # an order_id another customer has is another order
        entry_starts[customer + 1] = following
    return entry_of, entry_starts


@numba.njit(cache=True, nogil=True)
def _gathered(
    starts: Int64,
    ends: Int64,
    entry_of: Int32,
    n_entries: int,
    times: Int64,
    amounts: Int64,
    channels: Int32,
    costs: Float64,
) -> tuple[Int64, Int64, Int32, Int64, Float64]:
    """What each entry adds up to: time, net, channel, amount with a known cost, that cost."""
    time = np.full(n_entries, -1, dtype=np.int64)
    net = np.zeros(n_entries, dtype=np.int64)
    channel = np.full(n_entries, -1, dtype=np.int32)
    costed = np.zeros(n_entries, dtype=np.int64)
    cost = np.zeros(n_entries, dtype=np.float64)
    for customer in range(len(starts) - 1):
        for line in range(starts[customer], ends[customer]):
            entry = entry_of[line]
            if time[entry] < 0:
                time[entry] = times[line]
                if len(channels):
                    channel[entry] = channels[line]
            net[entry] += amounts[line]
            if len(costs) and amounts[line] > 0 and not np.isnan(costs[line]):
                costed[entry] += amounts[line]
                cost[entry] += costs[line]
    return time, net, channel, costed, cost
