"""The canonical order of a customer's lines: time, order_id, product_id, amount, then the other
columns.

It is a function of the lines alone, so that neither the order of the input nor who else is in the
file can change a feature. A merge sort of our own: numpy's lexsort of the tied lines takes 3 to 15
times as long. The columns are gathered into one table of integers, because a new installation waits
for what is compiled: one kind of column is quickly compiled, seven are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np

from ..columns import Float64, Int32, Int64

__all__ = ["sort_lines"]

_FEW = 24  # lines an insertion sort orders faster than a merge
_N_KEYS = 9
_LARGEST, _INFINITY = (1 << 63) - 1, 0x7FF << 52  # as bits of a float64
_compiled = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)
_inner = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called from here


def sort_lines(
    starts: Int64, times: Int64, amounts: Int64, codes: Sequence[Int32], numbers: Sequence[Float64]
) -> int:
    """Bring each customer's lines into the canonical order, in place; how many repeat the one
    before.

    `codes` are order, product, category and channel, `numbers` quantity, discount and cost; a
    column that is missing is empty.
    """
    longest = int(np.diff(starts).max(initial=1))
    keys = np.empty((longest, _N_KEYS), dtype=np.int64)
    order, spare = np.empty((2, longest), dtype=np.int64)
    bits = tuple(column.view(np.int64) for column in numbers)
    return int(_sort_all(starts, times, amounts, tuple(codes), bits, keys, order, spare))


@_compiled
def _sort_all(starts, times, amounts, codes, numbers, keys, order, spare):
    """Lines that came sorted by time need to be ordered within each instant alone."""
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
            n_lines = end - begin
            if n_lines > 1:
                n_keys = _gather_keys(begin, n_lines, times, amounts, codes, numbers, keys)
                _sort(keys, n_keys, n_lines, order, spare)
                is_sorted = True
                for k in range(1, n_lines):
                    repeated += _compare(keys, order[k - 1], order[k], n_keys) == 0
                    is_sorted = is_sorted and order[k - 1] < order[k]
                if not is_sorted:
                    _rearrange(times, begin, n_lines, order, spare)
                    _rearrange(amounts, begin, n_lines, order, spare)
                    for column in codes:
                        if len(column):
                            _rearrange(column, begin, n_lines, order, spare)
                    for column in numbers:
                        if len(column):
                            _rearrange(column, begin, n_lines, order, spare)
            begin = end
    return repeated


@_inner
def _gather_keys(begin, n_lines, times, amounts, codes, numbers, keys):
    """Fill a row of `keys` per line, what decides first on the left; returns how many keys.

    A number's bits are turned into an integer of the same order; missing numbers come last.
    """
    n_keys = 1
    _copy_column(times, begin, n_lines, keys, 0)
    for k in range(len(codes)):
        if k == 2:
            _copy_column(amounts, begin, n_lines, keys, n_keys)
            n_keys += 1
        if len(codes[k]):
            _copy_column(codes[k], begin, n_lines, keys, n_keys)
            n_keys += 1
    for column in numbers:
        if len(column):
            _copy_column(column, begin, n_lines, keys, n_keys)
            for k in range(n_lines):
                bits = keys[k, n_keys]
                size = bits & _LARGEST
                if size > _INFINITY:
                    keys[k, n_keys] = _LARGEST
                elif bits < 0:
                    keys[k, n_keys] = -size  # -0.0 and 0.0 are equal
            n_keys += 1
    return n_keys


@_inner
def _copy_column(column, begin, n_lines, keys, key):
    for k in range(n_lines):
        keys[k, key] = column[begin + k]


@_inner
def _rearrange(column, begin, n_lines, order, spare):
    """Put some lines of a column into an order."""
    for k in range(n_lines):
        spare[k] = column[begin + order[k]]
    for k in range(n_lines):
        column[begin + k] = spare[k]


@_inner
def _compare(keys, left, right, n_keys):
    """Negative, zero or positive as a line comes before, equals, or comes after another."""
    for key in range(n_keys):
        if keys[left, key] != keys[right, key]:
            return -1 if keys[left, key] < keys[right, key] else 1
    return 0


@_inner
def _sort(keys, n_keys, n_lines, order, spare):
    """The order of the first lines of `keys`, stable: short runs by insertion, then merged."""
    for k in range(n_lines):
        place = k
        low = k // _FEW * _FEW
        while place > low and _compare(keys, order[place - 1], k, n_keys) > 0:
            order[place] = order[place - 1]
            place -= 1
        order[place] = k
    width = _FEW
    while width < n_lines:
        for low in range(0, n_lines, 2 * width):
            middle, high = min(low + width, n_lines), min(low + 2 * width, n_lines)
            left, right = low, middle
            for place in range(low, high):
                is_left = left < middle and (
                    right == high or _compare(keys, order[left], order[right], n_keys) <= 0
                )
                spare[place] = order[left] if is_left else order[right]
                left += is_left
                right += not is_left
        for k in range(n_lines):
            order[k] = spare[k]
        width *= 2
