"""Windows: the one module that cuts orders in time. Intervals are half-open, everywhere.

    observation window    ordered_at < cutoff
    prediction window k   cutoff + (k - 1) horizon <= ordered_at < cutoff + k horizon, k = 1, 2, ...

Instants are int64 microseconds since 1970 in the shop's own zone, as dates.py makes them. Nothing
else compares the times of lines: others ask here for `slice_observed` orders or for
`find_positions`, the index of the first line that is not before an instant, and add up between
positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numba
import numpy as np

from .columns import Float64, Int64, Mask
from .dates import DAY, parse_instant, to_month_starts
from .orders import Orders

__all__ = [
    "compute_period_ends",
    "compute_trailing_periods",
    "count_customers_seen",
    "count_days_before",
    "count_lines_per_day",
    "count_span_days",
    "find_first_order_at",
    "find_implausible",
    "find_newest_before",
    "find_positions",
    "find_slots",
    "is_before",
    "is_between",
    "is_realised",
    "is_whole_month",
    "slice_observed",
    "sum_between",
    "widen_span",
]


def slice_observed(orders: Orders, cutoff: int) -> Orders:
    """The orders known at the cutoff: `ordered_at < cutoff`; facts with `valid_from < cutoff`."""
    observed = orders.keep_lines(is_before(orders.times, cutoff))
    if observed.attributes is None:
        return observed
    facts = observed.attributes.keep_facts(is_before(observed.attributes.valid_from, cutoff))
    return replace(observed, attributes=facts)


def is_before(times: Int64, cutoff: int) -> Mask:
    """Which times are observed at the cutoff: `time < cutoff`."""
    return times < cutoff


def find_positions(times: Int64, starts: Int64, instants: Int64) -> Int64:
    """Where each customer's lines reach each instant: int64, n_customers x n_instants.

    `positions[i, j]` is the index of the first line of customer `i` with `time >= instants[j]`
    (`starts[i + 1]` where there is none). `instants` must ascend.
    """
    positions = np.empty((len(starts) - 1, len(instants)), dtype=np.int64)
    _fill_positions(times, starts, instants, positions)
    return positions


@numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)
def _fill_positions(times, starts, instants, positions):  # type: ignore[no-untyped-def]
    for customer in range(len(starts) - 1):
        position, stop = starts[customer], starts[customer + 1]
        for j in range(len(instants)):
            while position < stop and times[position] < instants[j]:
                position += 1
            positions[customer, j] = position


def count_customers_seen(orders: Orders, cutoffs: Int64, lows: Sequence[int]) -> Int64:
    """Customers with a line before each cutoff, per run of customers that begins at `lows`:
    n_runs x n_cutoffs.
    """
    if not orders.n_customers:
        return np.zeros((len(lows), len(cutoffs)), dtype=np.int64)
    first = orders.times[orders.starts[:-1]]
    return np.stack(
        [np.add.reduceat(is_before(first, cutoff), lows, dtype=np.int64) for cutoff in cutoffs],
        axis=1,
    )


def find_newest_before(times: Int64, starts: Int64, instants: Int64) -> Int64:
    """Per customer and instant, the last index with `time < instant`, -1 without one.

    int64, n_customers x n_instants; `times` ascend within a customer, `instants` ascend.
    """
    last = find_positions(times, starts, instants) - 1
    return np.where(last < starts[:-1, None], -1, last)


def count_days_before(moments: Int64, cutoffs: Int64) -> Float64:
    """Days from each moment to its cutoff; NaN for a moment at or after it."""
    is_past = moments < cutoffs
    return np.where(is_past, (cutoffs - np.where(is_past, moments, cutoffs)) / DAY, np.nan)


def compute_period_ends(cutoffs: Int64, horizon_days: int, periods: int) -> Int64:
    """The bounds of every prediction window: int64, n_cutoffs x (periods + 1)."""
    return cutoffs[:, None] + np.arange(periods + 1) * (horizon_days * DAY)


def is_realised(instants: Int64, end: int) -> Mask:
    """Whether windows ending at `instants` lie wholly before `end`."""
    return instants <= end


def compute_trailing_periods(first: int, cutoff: int, period_days: int, most: int) -> Int64:
    """The bounds of whole periods that end at the cutoff, ascending: int64, n_periods + 1.

    Up to `most` of them, as far as history reaches; where it holds no whole one, only the cutoff.
    """
    count = min(most, max((cutoff - first) // (period_days * DAY), 0))
    return cutoff - np.arange(count, -1, -1, dtype=np.int64) * (period_days * DAY)


def is_between(times: Int64, first: Int64, last: Int64) -> Mask:
    """Which instants are from `first` to `last`, both included."""
    return np.asarray((first <= times) & (times <= last))


def find_slots(times: Int64, bounds: Int64) -> Int64:
    """The interval `bounds[k] <= time < bounds[k + 1]` of each instant; -1 before, n after all."""
    return np.asarray(np.searchsorted(bounds, times, side="right") - 1, dtype=np.int64)


def find_first_order_at(orders: Orders) -> int:
    """The instant of the first line."""
    return int(orders.times.min())


def count_span_days(orders: Orders, end: int) -> float:
    """Days from the first line to `end`."""
    return (end - find_first_order_at(orders)) / DAY


def count_lines_per_day(orders: Orders) -> tuple[int, Int64]:
    """The first day's midnight, and how many lines each day from then to the newest has."""
    days = orders.times // DAY
    first = int(days.min())
    return first * DAY, np.bincount(days - first)


def sum_between(times: Int64, values: Int64, bounds: Int64) -> Float64:
    """The sum of the values within each `bounds[k] <= time < bounds[k + 1]`: n_bounds - 1."""
    slots = find_slots(times, bounds)
    inside = (slots >= 0) & (slots < len(bounds) - 1)
    sums = np.bincount(slots[inside], weights=values[inside], minlength=len(bounds) - 1)
    return np.asarray(sums, dtype=np.float64)


def is_whole_month(months: Int64, first: int, end: int) -> Mask:
    """Which calendar months (since January 1970) lie between a first line and `end`.

    That of the first line does where the line is on its first day.
    """
    first_day = first // DAY * DAY
    return (first_day <= to_month_starts(months)) & (to_month_starts(months + 1) <= end)


def widen_span(first: int, newest: int, times: Int64) -> tuple[int, int]:
    """A span of instants, made to hold some more."""
    return min(first, int(times.min())), max(newest, int(times.max()))


def find_implausible(times: Int64, now: datetime) -> tuple[Mask, Mask]:
    """Which times are before 1970, and which are later than `now` by a day or more.

    A day of grace, because clocks and zones differ by up to one.
    """
    return times < 0, times >= parse_instant(now) + DAY
