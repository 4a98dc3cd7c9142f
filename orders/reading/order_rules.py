"""What lines of one order decide together, wherever they stand in the files.

A blank cell of a filter takes the value of its order; an amount that is of the whole order counts
once, on the first of its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numba
import numpy as np

from ..columns import Int8, Int64, Mask
from ..orders import Orders
from .label_encoding import merge_labels
from .line_filters import BLANK_KEPT, BLANK_LEFT_OUT, KEPT, LEFT_OUT
from .line_sorting import sort_lines
from .usable_lines import UsableLines

__all__ = ["BLANK_TOTAL", "TOTAL", "code_orders", "drop_left_out", "resolve_totals", "sort_columns"]

TOTAL, BLANK_TOTAL = 1, 2  # what the amount of a line is; 0: its own
_LINE_COLUMNS = ("product_id", "category", "quantity", "discount", "cost")
_TEXTS = ("order_id", "product_id", "category", "channel")
_NUMBERS = ("quantity", "discount", "cost")
_NO_CODES = np.empty(0, dtype=np.int32)
_NO_NUMBERS = np.empty(0, dtype=np.float64)
_compiled = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)


def drop_left_out(parts: list[UsableLines]) -> int:
    """Take away the lines that filters leave out; how many of them were blank and follow their
    order.
    """
    if all(part.verdicts is None for part in parts):
        return 0
    joined = np.concatenate(
        [np.full(p.n_lines, KEPT) if p.verdicts is None else p.verdicts for p in parts]
    )
    blank = (joined == BLANK_KEPT) | (joined == BLANK_LEFT_OUT)
    n_blank_left_out = 0
    if blank.any():
        joined[blank] = np.where(joined[blank] == BLANK_KEPT, KEPT, LEFT_OUT)
        _follow_orders(parts, joined, blank)
        n_blank_left_out = int(np.count_nonzero(joined[blank] == LEFT_OUT))
    ends = np.cumsum([part.n_lines for part in parts])[:-1]
    keep = np.split(joined == KEPT, ends)
    parts[:] = [
        replace(part, verdicts=None).where(part_keep)
        for part, part_keep in zip(parts, keep, strict=True)
    ]
    return n_blank_left_out


def code_orders(parts: Sequence[UsableLines]) -> Int64:
    """Which order of which customer each line is of; -1 for lines without an order_id."""
    n_lines = [part.n_lines for part in parts]
    order = np.full(sum(n_lines), -1, dtype=np.int64)
    named = [part for part in parts if "order_id" in part.texts]
    if named:
        has_order = np.repeat(["order_id" in part.texts for part in parts], n_lines)
        customers = merge_labels([part.texts["customer_id"] for part in named])
        ids = merge_labels([part.texts["order_id"] for part in named])
        key = customers.codes.astype(np.int64) * (len(ids.values) + 1) + ids.codes
        order[has_order] = np.where((ids.codes >= 0) & (customers.codes >= 0), key, -1)
    return order


def _follow_orders(parts: Sequence[UsableLines], verdicts: Int8, blank: Mask) -> None:
    """Give blank lines the verdict of their orders: kept where any of their other lines is."""
    key = code_orders(parts)
    blank_orders = np.unique(key[blank & (key >= 0)])
    if not len(blank_orders):
        return
    tells = np.flatnonzero(~blank & (key >= 0))
    place = np.minimum(np.searchsorted(blank_orders, key[tells]), len(blank_orders) - 1)
    fits = blank_orders[place] == key[tells]
    place, tells = place[fits], tells[fits]
    n_verdicts = np.bincount(place, minlength=len(blank_orders))
    n_kept = np.bincount(place, verdicts[tells] == KEPT, minlength=len(blank_orders))
    asking = np.flatnonzero(blank & (key >= 0))
    order = np.searchsorted(blank_orders, key[asking])
    verdicts[asking] = np.where(
        n_verdicts[order] == 0, verdicts[asking], np.where(n_kept[order] > 0, KEPT, LEFT_OUT)
    )


def resolve_totals(orders: Orders, kinds: Int8) -> tuple[Orders, int, int]:
    """Orders whose lines carry the total of their order, counted once; sorted canonically.

    `kinds` say what the amount of each line is: its own (0), a total or a blank one. Orders without
    a total, and those with more than one, are taken away: how many lines of each. The total goes to
    an order's first line; where no column tells the lines of an order apart, only that one is left.
    """
    codes, n_codes = orders.texts["order_id"].codes, len(orders.texts["order_id"].values)
    keep = np.ones(orders.n_lines, dtype=np.bool_)
    without, unclear = _spread_totals(orders.starts, codes, n_codes, orders.amounts, kinds, keep)
    is_mixed = bool((kinds == 0).any())
    if is_mixed:  # lines with amounts of their own all count
        owners = orders.customer_of_line()
        totals = np.unique((owners * n_codes + codes)[keep & (kinds != 0) & (codes >= 0)])
        present = np.unique(owners[keep])  # the customers that are left, by their former places
    orders = orders.keep_lines(keep)
    sort_columns(orders)
    codes = orders.texts["order_id"].codes
    further = _find_further_lines(orders.starts, codes, n_codes)
    if is_mixed:
        further &= np.isin(present[orders.customer_of_line()] * n_codes + codes, totals)
    if not any(name in orders.optional_columns for name in _LINE_COLUMNS):
        return orders.keep_lines(~further), without, unclear
    orders.amounts[further] = 0
    sort_columns(orders)  # lines alike but for their amount change places
    return orders, without, unclear


def sort_columns(orders: Orders) -> int:
    """Bring the lines of orders into the canonical order, in place; how many repeat the one
    before.
    """
    columns = [orders.texts[n].codes if n in orders.texts else _NO_CODES for n in _TEXTS]
    numbers = [orders.numbers.get(n, _NO_NUMBERS) for n in _NUMBERS]
    return sort_lines(orders.starts, orders.times, orders.amounts, columns, numbers)


@_compiled
def _spread_totals(starts, order_codes, n_codes, amounts, kinds, keep):
    """Write each order's total on its lines; those of orders without one clear total are
    not kept.
    """
    owner = np.full(n_codes, -1, dtype=np.int64)  # the customer whose order a code was last
    totals = np.empty(n_codes, dtype=np.int64)
    n_found = np.empty(n_codes, dtype=np.int8)  # totals that differ: 0, 1 or more
    without = unclear = 0
    for customer in range(len(starts) - 1):
        for line in range(starts[customer], starts[customer + 1]):
            code = order_codes[line]
            if code < 0 or kinds[line] == 0:
                continue
            if owner[code] != customer:
                owner[code], n_found[code] = customer, 0
            if kinds[line] == TOTAL and (n_found[code] == 0 or amounts[line] != totals[code]):
                totals[code] = amounts[line]
                n_found[code] = min(n_found[code] + 1, 2)
        for line in range(starts[customer], starts[customer + 1]):
            if kinds[line] == 0:
                continue
            code = order_codes[line]
            n_totals = n_found[code] if code >= 0 else np.int8(kinds[line] == TOTAL)
            if n_totals == 1 and code >= 0:
                amounts[line] = totals[code]
            keep[line] = n_totals == 1
            without += n_totals == 0
            unclear += n_totals == 2
    return without, unclear


@_compiled
def _find_further_lines(starts, order_codes, n_codes):
    """Lines that are not the first of their order."""
    owner = np.full(n_codes, -1, dtype=np.int64)
    further = np.zeros(len(order_codes), dtype=np.bool_)
    for customer in range(len(starts) - 1):
        for line in range(starts[customer], starts[customer + 1]):
            code = order_codes[line]
            if code >= 0:
                further[line] = owner[code] == customer
                owner[code] = customer
    return further
