"""Packing: lines in any order -> `Orders`, by a counting sort and a canonical order per customer.

The canonical order is time, order_id, product_id, amount, then the other columns, so that neither
the order of the input nor who else is in the file can change a feature.
"""

from __future__ import annotations

from collections.abc import Mapping

import numba
import numpy as np

from .coding import compact
from .orders import Float64, Int64, Orders, TextColumn

__all__ = ["by_customer", "pack", "to_minor_units"]

_TEXTS = ("order_id", "product_id", "category", "channel")
_NUMBERS = ("quantity", "discount", "cost")
_NO_CODES = np.empty(0, dtype=np.int32)
_NO_NUMBERS = np.empty(0, dtype=np.float64)
_FEW = 24  # lines an insertion sort orders faster than a merge
_compiled = numba.njit(cache=True, nogil=True)


def pack(
    customers: TextColumn,
    times: Int64,
    amounts: Int64,
    texts: Mapping[str, TextColumn],
    numbers: Mapping[str, Float64],
    *,
    currency_decimals: int,
) -> tuple[Orders, int]:
    """Pack lines (one array element a line) and count those that repeat another line exactly.

    Every line has a customer; `amounts` are in the currency's smallest unit.
    """
    customers = compact(customers)
    starts, line = by_customer(customers.codes, len(customers.labels))
    times, amounts = times[line], amounts[line]
    codes = {name: column.codes[line] for name, column in texts.items()}
    values = {name: column[line] for name, column in numbers.items()}
    order, repeated = _canonical_order(
        starts,
        times,
        amounts,
        tuple(codes.get(name, _NO_CODES) for name in _TEXTS),
        tuple(values.get(name, _NO_NUMBERS) for name in _NUMBERS),
    )
    orders = Orders(
        customer_ids=customers.labels,
        starts=starts,
        times=times[order],
        amounts=amounts[order],
        texts={name: TextColumn(codes[name][order], texts[name].labels) for name in texts},
        numbers={name: column[order] for name, column in values.items()},
        currency_decimals=currency_decimals,
    )
    return orders, int(repeated.sum())


@_compiled
def to_minor_units(amounts, unit):
    """Money as integers of the smallest unit; how many that rounds, and by how much in all."""
    minor = np.empty(len(amounts), dtype=np.int64)
    n_rounded = 0
    total = 0.0
    for line in range(len(amounts)):
        exact = amounts[line] * unit
        whole = np.rint(exact)
        minor[line] = np.int64(whole)
        if abs(exact - whole) > 1e-6:  # less is the float's own inexactness
            n_rounded += 1
            total += whole - exact
    return minor, n_rounded, total / unit


@_compiled
def by_customer(customers, n_customers):
    """Counting sort: where each customer starts, and the lines in customer order, stable."""
    starts = np.zeros(n_customers + 1, dtype=np.int64)
    for customer in customers:
        starts[customer + 1] += 1
    for customer in range(n_customers):
        starts[customer + 1] += starts[customer]
    following = starts[:-1].copy()
    line = np.empty(len(customers), dtype=np.int64)
    for position in range(len(customers)):
        customer = customers[position]
        line[following[customer]] = position
        following[customer] += 1
    return starts, line


@_compiled
def _compare(left, right, times, amounts, codes, values):
    """Negative, zero or positive as line `left` comes before, equals, or comes after line `right`."""
    if times[left] != times[right]:
        return -1 if times[left] < times[right] else 1
    for k in range(2):  # order_id, product_id
        if len(codes[k]) and codes[k][left] != codes[k][right]:
            return -1 if codes[k][left] < codes[k][right] else 1
    if amounts[left] != amounts[right]:
        return -1 if amounts[left] < amounts[right] else 1
    for k in range(2, 4):  # category, channel
        if len(codes[k]) and codes[k][left] != codes[k][right]:
            return -1 if codes[k][left] < codes[k][right] else 1
    for k in range(3):
        if len(values[k]):
            one, other = values[k][left], values[k][right]
            if one < other or (np.isnan(other) and not np.isnan(one)):
                return -1
            if one > other or (np.isnan(one) and not np.isnan(other)):
                return 1
    return 0


@_compiled
def _canonical_order(starts, times, amounts, codes, values):
    """The canonical order of each customer's lines, and which lines of it repeat the one before."""
    order = np.arange(len(times))
    repeats = np.zeros(len(times), dtype=np.bool_)
    most = 1
    for customer in range(len(starts) - 1):
        most = max(most, starts[customer + 1] - starts[customer])
    spare = np.empty(most, dtype=np.int64)
    for customer in range(len(starts) - 1):
        own = order[starts[customer] : starts[customer + 1]]
        if len(own) <= _FEW:
            _insertion_sort(own, times, amounts, codes, values)
        else:
            _merge_sort(own, spare, times, amounts, codes, values)
        for k in range(1, len(own)):
            repeats[starts[customer] + k] = (
                _compare(own[k - 1], own[k], times, amounts, codes, values) == 0
            )
    return order, repeats


@_compiled
def _insertion_sort(own, times, amounts, codes, values):
    for k in range(1, len(own)):
        line, place = own[k], k
        while place > 0 and _compare(own[place - 1], line, times, amounts, codes, values) > 0:
            own[place] = own[place - 1]
            place -= 1
        own[place] = line


@_compiled
def _merge_sort(own, spare, times, amounts, codes, values):
    for low in range(0, len(own), _FEW):
        _insertion_sort(own[low : low + _FEW], times, amounts, codes, values)
    width = _FEW
    while width < len(own):
        for low in range(0, len(own), 2 * width):
            middle, high = min(low + width, len(own)), min(low + 2 * width, len(own))
            left, right = low, middle
            for position in range(low, high):
                if left < middle and (
                    right >= high
                    or _compare(own[left], own[right], times, amounts, codes, values) <= 0
                ):
                    spare[position] = own[left]
                    left += 1
                else:
                    spare[position] = own[right]
                    right += 1
        own[:] = spare[: len(own)]
        width *= 2
