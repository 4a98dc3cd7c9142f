"""The canonical order of a customer's lines: time, order_id, product_id, amount, then the other
columns.

It is a function of the lines alone, so that neither the order of the input nor who else is in the
file can change a feature. A merge sort of our own: numpy's lexsort of the tied lines takes 3 to 15
times as long.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["sort_lines"]

_FEW = 24  # lines an insertion sort orders faster than a merge
_FEW_IN_PLACE = 14  # lines that change places in their columns faster than by way of a copy
_compiled = numba.njit(cache=True, nogil=True)


@_compiled
def sort_lines(
    starts, times, amounts, order_codes, products, categories, channels,
    quantities, discounts, costs,
):  # fmt: skip
    """Bring each customer's lines into the canonical order, in place; how many repeat the one
    before.

    Lines that came sorted by time need to be ordered within each instant alone, and there are few
    of one instant: those change places. More are compared in a copy of what decides first, `own`:
    time, order and product, amount, line.
    """
    most = 1
    for customer in range(len(starts) - 1):
        most = max(most, starts[customer + 1] - starts[customer])
    sort_keys = np.empty((most, 4), dtype=np.int64)
    spare = np.empty((most, 4), dtype=np.int64)
    has_orders, has_products = len(order_codes) > 0, len(products) > 0
    repeated = 0
    for customer in range(len(starts) - 1):
        first, last = starts[customer], starts[customer + 1]
        by_instant = True
        for line in range(first + 1, last):
            by_instant = by_instant and times[line - 1] <= times[line]
        begin = first
        while begin < last:
            end = begin + 1 if by_instant else last
            while end < last and times[end] == times[begin]:
                end += 1
            if by_instant and end - begin <= _FEW_IN_PLACE:
                for line in range(begin + 1, end):
                    place, compared = line, 1
                    while place > begin:
                        before = place - 1
                        compared = 0
                        if has_orders:
                            compared = order_codes[before] - order_codes[line]
                        if compared == 0 and has_products:
                            compared = products[before] - products[line]
                        if compared == 0:
                            compared = amounts[before] - amounts[line]
                        if compared == 0:
                            compared = _compare_rest(
                                before, line, categories, channels, quantities, discounts, costs
                            )
                        if compared <= 0:
                            break
                        place = before
                    repeated += compared == 0  # nothing comes between it and its equal
                    if place < line:
                        _move(amounts, line, place)
                        for codes in (order_codes, products, categories, channels):
                            if len(codes):
                                _move(codes, line, place)
                        for numbers in (quantities, discounts, costs):
                            if len(numbers):
                                _move(numbers, line, place)
            else:
                repeated += _order_many(
                    begin, end, sort_keys, spare, times, amounts, order_codes, products, categories,
                    channels, quantities, discounts, costs,
                )  # fmt: skip
            begin = end
    return repeated


@_compiled
def _move(column, line, place):
    """Bring one line of a column forward to `place`."""
    value = column[line]
    for k in range(line, place, -1):
        column[k] = column[k - 1]
    column[place] = value


@_compiled
def _order_many(
    begin, end, own, spare, times, amounts, order_codes, products, categories, channels,
    quantities, discounts, costs,
):  # fmt: skip
    """Bring lines of one customer into the canonical order by way of a copy; how many repeat the
    one before.
    """
    has_orders, has_products = len(order_codes) > 0, len(products) > 0
    n_lines = end - begin
    for k in range(n_lines):
        line = begin + k
        key = np.int64(order_codes[line] + 1) << 32 if has_orders else np.int64(0)
        own[k, 0] = times[line]
        own[k, 1] = key + products[line] + 1 if has_products else key
        own[k, 2] = amounts[line]
        own[k, 3] = line
    _sort(own, spare, n_lines, categories, channels, quantities, discounts, costs)
    repeated = 0
    for k in range(1, n_lines):
        repeated += (
            _compare(own, k - 1, own, k) == 0
            and _compare_rest(
                own[k - 1, 3], own[k, 3], categories, channels, quantities, discounts, costs
            )
            == 0
        )
    for k in range(n_lines):
        times[begin + k] = own[k, 0]
        amounts[begin + k] = own[k, 2]
    for codes in (order_codes, products, categories, channels):
        if len(codes):
            _rearrange(codes, begin, n_lines, own)
    for numbers in (quantities, discounts, costs):
        if len(numbers):
            _rearrange(numbers.view(np.int64), begin, n_lines, own)  # their bits
    return repeated


@_compiled
def _rearrange(codes, begin, n_lines, own):
    """Order some lines of a column as `own` has them; its second column, done with, is written
    over.
    """
    for k in range(n_lines):
        own[k, 1] = codes[own[k, 3]]
    for k in range(n_lines):
        codes[begin + k] = own[k, 1]


@_compiled
def _compare(one, left, other, right):
    """Negative, zero or positive as a row comes before, equals, or comes after another, by what
    decides first.
    """
    for k in range(3):
        if one[left, k] != other[right, k]:
            return -1 if one[left, k] < other[right, k] else 1
    return 0


@_compiled
def _compare_rest(left, right, categories, channels, quantities, discounts, costs):
    """The same for lines equal in that, by the other columns."""
    if len(categories) and categories[left] != categories[right]:
        return -1 if categories[left] < categories[right] else 1
    if len(channels) and channels[left] != channels[right]:
        return -1 if channels[left] < channels[right] else 1
    compared = _compare_numbers(left, right, quantities)
    if compared == 0:
        compared = _compare_numbers(left, right, discounts)
    return compared if compared != 0 else _compare_numbers(left, right, costs)


@_compiled
def _compare_numbers(left, right, numbers):
    """The same for a column of numbers that may be unknown; missing comes last."""
    if not len(numbers):
        return 0
    one, other = numbers[left], numbers[right]
    if one < other or (np.isnan(other) and not np.isnan(one)):
        return -1
    return 1 if one > other or (np.isnan(one) and not np.isnan(other)) else 0


@_compiled
def _sort(own, spare, n_lines, categories, channels, quantities, discounts, costs):
    """Sort the first rows of `own`, stable: short runs by insertion, which are then merged."""
    for low in range(0, n_lines, _FEW):
        for k in range(low + 1, min(low + _FEW, n_lines)):
            time, key, amount, line = own[k, 0], own[k, 1], own[k, 2], own[k, 3]
            spare[0, 0], spare[0, 1], spare[0, 2] = time, key, amount
            place = k
            while place > low:
                compared = _compare(own, place - 1, spare, 0)
                if compared == 0:
                    compared = _compare_rest(
                        own[place - 1, 3], line, categories, channels, quantities, discounts, costs
                    )
                if compared <= 0:
                    break
                for column in range(4):
                    own[place, column] = own[place - 1, column]
                place -= 1
            if place < k:
                own[place, 0], own[place, 1], own[place, 2], own[place, 3] = time, key, amount, line
    width = _FEW
    while width < n_lines:
        for low in range(0, n_lines, 2 * width):
            middle, high = min(low + width, n_lines), min(low + 2 * width, n_lines)
            left, right = low, middle
            for position in range(low, high):
                is_left = left < middle
                if is_left and right < high:
                    compared = _compare(own, left, own, right)
                    if compared == 0:
                        compared = _compare_rest(
                            own[left, 3], own[right, 3], categories, channels, quantities,
                            discounts, costs,
                        )  # fmt: skip
                    is_left = compared <= 0
                chosen = left if is_left else right
                for column in range(4):
                    spare[position, column] = own[chosen, column]
                left += is_left
                right += not is_left
        for position in range(n_lines):
            for column in range(4):
                own[position, column] = spare[position, column]
        width *= 2
