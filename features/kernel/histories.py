"""Stretches: the orders and returns of a customer as they were known at some cutoffs.

A stretch is mostly a customer with all its cutoffs. Where a cutoff falls between the lines of one
order, the order is not the same before and after it, and each cutoff has a stretch of its own.

`build_histories` fills a few tables for as many stretches as they hold; the groups of features read
them. Time is already sliced: `reach` holds positions from windows.py. Compiled code is cached by
the time stamp of this file alone, so a function here calls no compiled function of another module.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from ...orders.columns import Int64
from .table_columns import (
    CUSTOMER,
    CUTOFF,
    FIRST_LINE,
    FIRST_ORDER,
    FIRST_RETURN,
    FIRST_ROW,
    FIRST_TOTAL,
    GROSS,
    LINE,
    N_LINES,
    N_ORDERS,
    N_ROWS,
    NET,
    ORDERS,
    PURCHASES,
    RETURNS,
    TIME,
    VALUE,
)

__all__ = ["HistoryTables", "build_histories"]

_MANY_LINES = 128
_SPREAD = 2_654_435_761  # spreads neighbouring codes over a table (Knuth's multiplicative hashing)
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)
_inner = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


class HistoryTables(NamedTuple):
    """Room for some stretches; `build_histories` fills the beginning of each table."""

    stretches: Int64  # where each begins in the other tables
    totals: Int64  # per line, sums over the lines before it
    orders: Int64  # time, net amount, first line, lines
    returns: Int64  # time, amount, first line
    ends: Int64  # per row, its place in `totals` at the cutoff and at the start of each window
    scratch: Int64  # per line of one customer
    slot: Int64  # a table order code -> its group, for long histories

    @classmethod
    def for_lines(cls, longest: int, lines: int, rows: int, n_bounds: int) -> HistoryTables:
        """Tables for about so many lines and rows, and at least one customer of `longest` lines."""
        lines = max(lines, longest)
        capacity = 1
        while longest > _MANY_LINES and capacity < 2 * longest:
            capacity *= 2
        return cls(
            np.empty((rows, 7), dtype=np.int64),
            np.empty((lines + rows, 5), dtype=np.int64),
            np.empty((lines, 4), dtype=np.int64),
            np.empty((lines, 3), dtype=np.int64),
            np.empty((rows, n_bounds), dtype=np.int64),
            np.empty((6, max(longest, 1)), dtype=np.int64),
            np.empty((capacity, 2), dtype=np.int64),
        )


@_compiled
def build_histories(
    starts, times, amounts, order_codes, reach, slots, customer, low,
    stretches, totals, orders, returns, ends, scratch, slot, whole,
):  # fmt: skip
    """Fill the tables from cutoff `low` of `customer` on, while there is room.

    Returns how many stretches and rows there are, and the customer and cutoff to go on from. A row
    of `whole` gets its cutoff and customer.
    """
    group_of, first_line, last_line = scratch[0], scratch[1], scratch[2]
    net, code_of, position = scratch[3], scratch[4], scratch[5]
    n_cutoffs = len(slots)
    n = row = order = back = place = 0  # filled: stretches, rows, orders, returns, totals
    while customer < len(starts) - 1:
        first, last = starts[customer], starts[customer + 1]
        positions = reach[customer]
        if n == len(stretches) or row + n_cutoffs > len(ends) or order + last - first > len(orders):
            break
        if back + last - first > len(returns) or place + last - first + 1 > len(totals):
            break
        n_groups, at_once = _group_lines(
            first, last, times, amounts, order_codes,
            group_of, first_line, last_line, net, code_of, slot,
        )  # fmt: skip
        high = n_cutoffs
        if not at_once and _cuts_an_order(n_groups, first_line, last_line, positions, slots):
            high = low + 1  # one cutoff at a time, with the orders as they were known then
            last = positions[slots[low, 0]]
            n_groups, at_once = _group_lines(
                first, last, times, amounts, order_codes,
                group_of, first_line, last_line, net, code_of, slot,
            )  # fmt: skip
        else:
            last = positions[slots[high - 1, 0]]
        new_orders, new_returns = _split_returns(
            n_groups, first, last, times, amounts, first_line, net, group_of, position,
            orders[order:], returns[back:], totals[place:],
        )  # fmt: skip
        cutoff = low
        while cutoff < high and (
            new_orders == 0 or orders[order, LINE] >= positions[slots[cutoff, 0]]
        ):
            cutoff += 1  # no order yet
        if cutoff < high:
            n_rows = high - cutoff
            stretches[n, FIRST_LINE], stretches[n, FIRST_TOTAL] = first, place
            stretches[n, FIRST_ORDER], stretches[n, N_ORDERS] = order, new_orders
            stretches[n, FIRST_RETURN], stretches[n, FIRST_ROW], stretches[n, N_ROWS] = (
                back,
                row,
                n_rows,
            )
            for j in range(n_rows):
                whole[row + j, CUTOFF] = cutoff + j
                whole[row + j, CUSTOMER] = customer
                for bound in range(slots.shape[1]):
                    ends[row + j, bound] = positions[slots[cutoff + j, bound]] - first + place
            place += last - first + 1
            n, row, order, back = n + 1, row + n_rows, order + new_orders, back + new_returns
        low = high
        if low == n_cutoffs:
            customer, low = customer + 1, 0
    return n, row, customer, low


@_inner
def _group_lines(
    first, last, times, amounts, order_codes, group_of, first_line, last_line, net, code_of, slot
):  # fmt: skip
    """Number the orders and returns among lines `first:last` by their first line.

    Returns how many, and whether the lines of each are of one instant. A group is the lines of one
    order_id; without an id, the lines of one instant. Where a line is not of the group before, a
    short history is searched; a long one is looked up in `slot`, an open table.
    """
    is_long = last - first > _MANY_LINES
    mask = 1
    if is_long:
        while mask < 2 * (last - first):
            mask *= 2
        mask -= 1
        for place in range(mask + 1):
            slot[place, 0] = -1
    place = 0
    n_groups = 0
    group = before = -1
    unnamed = -1  # the group of lines without an order_id at the newest instant
    at_once = True
    for line in range(first, last):
        code = order_codes[line] if len(order_codes) else -1
        if code >= 0:
            if code != before:
                if is_long:
                    place = (code * _SPREAD >> 16) & mask
                    while slot[place, 0] >= 0 and slot[place, 0] != code:
                        place = (place + 1) & mask
                    group = slot[place, 1] if slot[place, 0] == code else -1
                else:
                    group = n_groups - 1
                    while group >= 0 and code_of[group] != code:
                        group -= 1
        else:
            group = unnamed if unnamed >= 0 and times[first_line[unnamed]] == times[line] else -1
        before = code
        if group < 0:
            group = n_groups
            n_groups += 1
            first_line[group] = line
            code_of[group] = code
            net[group] = 0
            if code < 0:
                unnamed = group
            elif is_long:
                slot[place, 0], slot[place, 1] = code, group
        elif times[line] != times[first_line[group]]:
            at_once = False
        group_of[line - first] = group
        last_line[group] = line
        net[group] += amounts[line]
    return n_groups, at_once


@_inner
def _cuts_an_order(n_groups, first_line, last_line, line_ends, slots):
    """Whether any order or return has lines on both sides of a cutoff."""
    for j in range(len(slots)):
        end = line_ends[slots[j, 0]]
        for group in range(n_groups):
            if first_line[group] >= end:
                break
            if last_line[group] >= end:
                return True
    return False


@_inner
def _split_returns(
    n_groups, first, last, times, amounts, first_line, net, group_of, position,
    orders, returns, totals,
):  # fmt: skip
    """Split the groups by the sign of their net amount; both come out in the order of first lines.

    `totals` gets what there is before each line and after the last. Returns how many orders and
    returns.
    """
    n_orders = n_returns = 0
    for group in range(n_groups):
        line = first_line[group]
        if line >= last:
            break
        if net[group] > 0:
            position[group] = n_orders
            orders[n_orders, TIME] = times[line]
            orders[n_orders, VALUE] = net[group]
            orders[n_orders, LINE] = line
            orders[n_orders, N_LINES] = 0
            n_orders += 1
        else:
            position[group] = -1
            returns[n_returns, TIME] = times[line]
            returns[n_returns, VALUE] = -net[group]
            returns[n_returns, LINE] = line
            n_returns += 1
    paid = gross = purchases = begun = returned = 0
    for line in range(first, last):
        at = line - first
        totals[at, NET], totals[at, GROSS], totals[at, PURCHASES] = paid, gross, purchases
        totals[at, ORDERS], totals[at, RETURNS] = begun, returned
        paid += amounts[line]
        gross += max(amounts[line], 0)
        purchases += amounts[line] > 0
        group = group_of[at]
        is_new = first_line[group] == line
        if position[group] >= 0:
            orders[position[group], N_LINES] += 1
            begun += is_new
        else:
            returned += is_new
    at = last - first
    totals[at, NET], totals[at, GROSS], totals[at, PURCHASES] = paid, gross, purchases
    totals[at, ORDERS], totals[at, RETURNS] = begun, returned
    return n_orders, n_returns
