"""Order groups: the one rule for what an order and what a return are, evaluated per window.

A group is the lines of one customer and one order_id inside a window; without an order_id, the
lines of one customer and instant. A group with a positive net amount is an order, any other is a
return. Its time is its first line's.

An order with lines on both sides of a cutoff is another order in each window. So every caller
states its windows, as positions from windows.py, and no result may serve two cutoffs: later refunds
would leak into the past. The feature kernel groups incrementally for speed; a law in the tests
holds it to this rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from .columns import Int32, Int64
from .orders import Orders

__all__ = ["OrderGroups", "count_orders", "group_orders"]

# compiled code is cached by the time stamp of its own file, so these call nothing of other modules
_compiled = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)
_inner = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@dataclass(frozen=True)
class OrderGroups:
    """Orders and returns, one window per customer; groups are sorted by customer and first line."""

    starts: Int64  # n_customers + 1; groups of customer i are starts[i]:starts[i + 1]
    first_lines: Int64  # n_groups
    net: Int64  # n_groups; in the smallest unit
    group_of_line: Int64  # n_lines; -1 outside the windows


def group_orders(orders: Orders, ends: Int64) -> OrderGroups:
    """Group each customer's lines before position `ends[customer]`."""
    first = orders.starts[:-1]
    codes = _get_order_codes(orders)
    group_of_line = np.full(orders.n_lines, -1, dtype=np.int64)
    starts = np.zeros(orders.n_customers + 1, dtype=np.int64)
    _number_groups(first, ends, orders.times, codes, _make_slots(codes), group_of_line, starts)
    lines = np.flatnonzero(group_of_line >= 0)
    groups = group_of_line[lines]
    first_lines, net = np.zeros((2, int(starts[-1])), dtype=np.int64)
    first_lines[groups[::-1]] = lines[::-1]  # of several lines the last assigned stays: the first
    np.add.at(net, groups, orders.amounts[lines])
    return OrderGroups(starts, first_lines, net, group_of_line)


def count_orders(orders: Orders, first: Int64, last: Int64) -> Int64:
    """Count the orders of windows that may overlap; window `i` holds lines `first[i]:last[i]`.

    The lines of a window are one customer's. Returns int64 of the shape of `first`.
    """
    codes = _get_order_codes(orders)
    n_orders = np.zeros(first.size, dtype=np.int64)
    groups, net = np.empty((2, int((last - first).max(initial=0))), dtype=np.int64)
    _count_orders(
        first.ravel(), last.ravel(), orders.times, orders.amounts, codes, _make_slots(codes),
        groups, net, n_orders,
    )  # fmt: skip
    return n_orders.reshape(first.shape)


def _make_slots(codes: Int32) -> Int64:
    return np.full(int(codes.max(initial=0)) + 1, -1, dtype=np.int64)


def _get_order_codes(orders: Orders) -> Int32:
    if "order_id" in orders.texts:
        return orders.texts["order_id"].codes
    return np.full(orders.n_lines, -1, dtype=np.int32)


@_inner
def _number_window(first, last, times, codes, slots, groups, group):
    """Number the groups among lines `first:last` from `group` on into `groups`, one entry per line.

    `slots` holds -1 for every order code, before and after. Returns the next free number.
    """
    unnamed = instant = np.int64(-1)
    for line in range(first, last):
        code = codes[line]
        if code >= 0:
            if slots[code] < 0:
                slots[code] = group
                group += 1
            groups[line - first] = slots[code]
        else:
            if unnamed < 0 or times[line] != instant:
                unnamed, instant = group, times[line]
                group += 1
            groups[line - first] = unnamed
    for line in range(first, last):
        if codes[line] >= 0:
            slots[codes[line]] = -1  # the same order_id of another customer is another order
    return group


@_compiled
def _number_groups(first, last, times, codes, slots, group_of_line, starts):
    """Number the groups of all windows into `group_of_line`; `starts` gets where each window's
    begin.
    """
    for window in range(len(first)):
        lines = group_of_line[first[window] : last[window]]
        starts[window + 1] = _number_window(
            first[window], last[window], times, codes, slots, lines, starts[window]
        )


@_compiled
def _count_orders(first, last, times, amounts, codes, slots, groups, net, n_orders):
    for window in range(len(first)):
        start = first[window]
        n_groups = _number_window(start, last[window], times, codes, slots, groups, 0)
        for group in range(n_groups):
            net[group] = 0
        for line in range(start, last[window]):
            net[groups[line - start]] += amounts[line]
        for group in range(n_groups):
            n_orders[window] += net[group] > 0
