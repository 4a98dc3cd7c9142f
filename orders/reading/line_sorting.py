"""The canonical order of a customer's lines: time, order_id, product_id, amount, then the other
columns.

It is a function of the lines alone, so that neither the order of the input nor who else is in the
file can change a feature. A merge sort of our own: numpy's lexsort of the tied lines takes 3 to 15
times as long. The columns of some customers at a time are gathered into one table of integers,
because a new installation waits for what is compiled: a table is quickly compiled, nine columns of
three kinds are not. First those that leave few ties, then all others of the lines that tie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ..columns import Float64, Int32, Int64, Mask

__all__ = ["sort_lines"]

_FEW = 24  # lines an insertion sort orders faster than a merge
_BLOCK_LINES = 16_384  # gathered at a time, if no customer has more
_LARGEST, _INFINITY = (1 << 63) - 1, 0x7FF << 52  # as bits of a float64
_Column = npt.NDArray[Any]
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
    leading: list[_Column] = [times, *codes[:2], amounts]
    others: list[_Column] = [*codes[2:], *numbers]
    levels = [[column for column in columns if len(column)] for columns in (leading, others)]
    repeated = 0
    for bounds in _divide(starts):
        lines, runs = _find_runs(times, bounds)
        for columns in levels:
            lines, runs = _sort_by(columns, lines, runs, [*levels[0], *levels[1]])
        repeated += len(lines) - (len(runs) - 1)
    return repeated


def _sort_by(
    columns: Sequence[_Column], lines: Int64, runs: Int64, moved: Sequence[_Column]
) -> tuple[Int64, Int64]:
    """Move lines within their runs into the order of some columns; those that still tie, as
    `_find_runs`.
    """
    if not len(lines):
        return lines, runs[:1]
    keys = np.empty((len(lines), len(columns)), dtype=np.int64)
    for k, column in enumerate(columns):
        values = column[lines]
        keys[:, k] = _order_as_integers(values) if values.dtype == np.float64 else values
    order, spare = np.empty((2, len(lines)), dtype=np.int64)
    begins = np.ones(len(lines) + 1, dtype=np.bool_)
    _sort_runs(runs, keys, order, spare, begins)
    sources = lines[order]
    moves = np.flatnonzero(sources != lines)
    if len(moves):
        targets, sources = lines[moves], sources[moves]
        for column in moved:
            column[targets] = column[sources]
    places, runs = _find_open(begins)
    return lines[places], runs


def _divide(starts: Int64) -> Iterator[Int64]:
    """Where the lines of each customer begin and end, for some customers at a time."""
    low = 0
    while low < len(starts) - 1:
        high = int(np.searchsorted(starts, starts[low] + _BLOCK_LINES, side="right")) - 1
        high = max(high, low + 1)
        yield starts[low : high + 1]
        low = high


def _find_runs(times: Int64, bounds: Int64) -> tuple[Int64, Int64]:
    """The lines whose place is open, run by run, and where the runs begin and end among them.

    A run is a customer's lines; where those are sorted by time, the lines of one instant.
    """
    first = int(bounds[0])
    inside = bounds - first
    earlier, later = times[first : bounds[-1] - 1], times[first + 1 : bounds[-1]]
    back = np.flatnonzero(later < earlier) + 1
    if len(bounds) == 2 or len(back) > 2 * len(bounds):  # not worth a closer look
        return np.arange(first, bounds[-1]), inside
    begins = np.ones(inside[-1] + 1, dtype=np.bool_)
    np.not_equal(later, earlier, out=begins[1:-1])
    begins[inside] = True
    owners = np.searchsorted(inside, back, side="right") - 1
    owners = owners[inside[owners] < back]  # not from one customer to the next
    if len(owners):
        is_unsorted = np.zeros(len(bounds) - 1, dtype=np.bool_)
        is_unsorted[owners] = True
        begins[:-1] &= ~np.repeat(is_unsorted, np.diff(bounds))
        begins[inside] = True
    places, runs = _find_open(begins)
    return places + first, runs


def _find_open(begins: Mask) -> tuple[Int64, Int64]:
    """The lines in runs of several, and where such runs begin and end among them.

    `begins` marks the lines that begin a run, and the end.
    """
    places = np.flatnonzero(~(begins[:-1] & begins[1:]))
    return places, np.append(np.flatnonzero(begins[places]), len(places))


def _order_as_integers(values: Float64) -> Int64:
    """Integers of the same order, from the bits: -0.0 equals 0.0, and missing numbers are last."""
    bits = values.view(np.int64)
    size = bits & _LARGEST
    return np.where(size > _INFINITY, _LARGEST, np.where(bits < 0, -size, size))


@_compiled
def _sort_runs(runs, keys, order, spare, begins):
    """Fill `order`, run by run, and mark the lines that differ from the one before."""
    for run in range(len(runs) - 1):
        _sort(keys, runs[run], runs[run + 1], order, spare)
        for line in range(runs[run] + 1, runs[run + 1]):
            begins[line] = _compare(keys, order[line - 1], order[line]) != 0


@_inner
def _compare(keys, left, right):
    """Negative, zero or positive as a line comes before, equals, or comes after another."""
    for key in range(keys.shape[1]):
        if keys[left, key] != keys[right, key]:
            return -1 if keys[left, key] < keys[right, key] else 1
    return 0


@_inner
def _sort(keys, begin, end, order, spare):
    """The order of some lines of `keys`, stable: short runs by insertion, then merged."""
    for line in range(begin, end):
        place = line
        low = line - (line - begin) % _FEW
        while place > low and _compare(keys, order[place - 1], line) > 0:
            order[place] = order[place - 1]
            place -= 1
        order[place] = line
    width = _FEW
    while width < end - begin:
        for low in range(begin, end, 2 * width):
            middle, high = min(low + width, end), min(low + 2 * width, end)
            left, right = low, middle
            for place in range(low, high):
                is_left = left < middle and (
                    right == high or _compare(keys, order[left], order[right]) <= 0
                )
                spare[place] = order[left] if is_left else order[right]
                left += is_left
                right += not is_left
        for line in range(begin, end):
            order[line] = spare[line]
        width *= 2
