"""The groups of features that come from orders, returns and money: one function a group.

Each walks the stretches and, row by row, their cutoffs, and writes the group's columns. Money is in
integers of the smallest unit and leaves in currency. Tables are described in histories.py. Compiled
code is cached by the time stamp of this file alone, so a function here calls no compiled function
of another module.
"""

import math

import numba
import numpy as np

from .table_columns import (
    CUTOFF,
    FIRST_ORDER,
    FIRST_RETURN,
    FIRST_ROW,
    GROSS,
    N_LINES,
    N_ROWS,
    NET,
    ORDER_COUNT,
    ORDERS,
    PURCHASES,
    RETURNS,
    SILENCE_DAYS,
    TENURE_DAYS,
    TIME,
    VALUE,
)

__all__ = ["ORDER_GROUPS", "compute_order_features"]

# as in orders/dates.py; compiled code holds them, and its cache looks at this file alone
_DAY = 86_400_000_000  # microseconds
_RATE_YEAR = 365.0  # days
_CALENDAR_YEAR = 365.2425  # days
_LEAST_TENURE = 28.0  # days; a rate over a shorter time says more about the time than the customer
# The groups as they are numbered here. They stand here, not in the catalogue, for they are frozen
# into the compiled code, whose cache looks at this file alone.
ORDER_GROUPS = (
    "recency", "money", "returns", "rhythm", "trailing", "trend", "calendar", "season", "basket",
)  # fmt: skip
_RECENCY, _MONEY, _RETURNS, _RHYTHM, _TRAILING, _TREND, _CALENDAR, _SEASON, _BASKET = range(9)
_TOGETHER = 16  # stretches at a time: their rows stay in the first cache of the processor
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)
_inner = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_compiled
def compute_order_features(
    stretches, totals, orders, returns, ends, cutoffs, unit, columns, out, whole
):  # fmt: skip
    """Write the columns of every group that is on; `columns` has each group's first, else -1.

    Fills `whole` too: n_orders, whole days since the last order, whole days of tenure.
    """
    seasons = _compute_seasons(cutoffs)
    for begin in range(0, len(stretches), _TOGETHER):
        some = stretches[begin : begin + _TOGETHER]
        _fill_whole(some, totals, orders, ends, cutoffs, whole)
        if columns[_RECENCY] >= 0:
            _fill_recency(some, totals, orders, ends, cutoffs, out, columns[_RECENCY], whole)
        if columns[_MONEY] >= 0:
            _fill_money(some, totals, orders, ends, cutoffs, unit, out, columns[_MONEY], whole)
        if columns[_RETURNS] >= 0:
            _fill_returns(some, totals, returns, ends, cutoffs, unit, out, columns[_RETURNS], whole)
        if columns[_RHYTHM] >= 0:
            _fill_rhythm(some, totals, orders, ends, cutoffs, out, columns[_RHYTHM], whole)
        if columns[_TRAILING] >= 0 or columns[_TREND] >= 0:
            _fill_trailing(
                some, totals, returns, ends, unit, out, columns[_TRAILING], columns[_TREND]
            )
        if columns[_CALENDAR] >= 0:
            _fill_calendar(some, totals, orders, ends, out, columns[_CALENDAR])
        if columns[_SEASON] >= 0:
            _fill_season(some, seasons, out, columns[_SEASON], whole)
        if columns[_BASKET] >= 0:
            _fill_basket(some, totals, orders, ends, out, columns[_BASKET])


@_inner
def _fill_whole(stretches, totals, orders, ends, cutoffs, whole):
    for s in range(len(stretches)):
        order, row = stretches[s, FIRST_ORDER], stretches[s, FIRST_ROW]
        for j in range(row, row + stretches[s, N_ROWS]):
            k = totals[ends[j, 0], ORDERS]
            cutoff = cutoffs[whole[j, CUTOFF]]
            whole[j, ORDER_COUNT] = k
            whole[j, SILENCE_DAYS] = (cutoff - orders[order + k - 1, TIME]) // _DAY
            whole[j, TENURE_DAYS] = (cutoff - orders[order, TIME]) // _DAY


@_inner
def _fill_recency(stretches, totals, orders, ends, cutoffs, out, column, whole):
    for s in range(len(stretches)):
        order, row = stretches[s, FIRST_ORDER], stretches[s, FIRST_ROW]
        k = n_order_days = 0
        last_day = -1
        for j in range(row, row + stretches[s, N_ROWS]):
            while k < totals[ends[j, 0], ORDERS]:
                day = orders[order + k, TIME] // _DAY
                n_order_days += day != last_day
                last_day = day
                k += 1
            cutoff = cutoffs[whole[j, CUTOFF]]
            silence = cutoff - orders[order + k - 1, TIME]
            tenure = cutoff - orders[order, TIME]
            out[j, column] = silence / _DAY
            out[j, column + 1] = tenure / _DAY
            out[j, column + 2] = k
            out[j, column + 3] = n_order_days
            out[j, column + 4] = (tenure - silence) / _DAY
            out[j, column + 5] = k / max(tenure / _DAY, _LEAST_TENURE) * _RATE_YEAR


@_inner
def _fill_money(stretches, totals, orders, ends, cutoffs, unit, out, column, whole):
    for s in range(len(stretches)):
        order, row = stretches[s, FIRST_ORDER], stretches[s, FIRST_ROW]
        k = value = largest = smallest = 0
        mean = squares = 0.0  # Welford's running mean and sum of squared deviations
        first = orders[order, VALUE]
        for j in range(row, row + stretches[s, N_ROWS]):
            while k < totals[ends[j, 0], ORDERS]:
                order_value = orders[order + k, VALUE]
                value += order_value
                largest = max(largest, order_value)
                smallest = order_value if k == 0 else min(smallest, order_value)
                k += 1
                step = order_value - mean
                mean += step / k
                squares += step * (order_value - mean)
            spend = totals[ends[j, 0], NET] / unit
            last = orders[order + k - 1, VALUE]
            tenure = max((cutoffs[whole[j, CUTOFF]] - orders[order, TIME]) / _DAY, _LEAST_TENURE)
            out[j, column] = spend
            out[j, column + 1] = totals[ends[j, 0], GROSS] / unit
            out[j, column + 2] = spend / tenure * _RATE_YEAR
            out[j, column + 3] = value / k / unit
            out[j, column + 4] = first / unit
            out[j, column + 5] = last / unit
            out[j, column + 6] = largest / unit
            out[j, column + 7] = smallest / unit
            out[j, column + 8] = math.sqrt(squares / k) / unit if k > 1 else np.nan
            out[j, column + 9] = last / (value / k)
            out[j, column + 10] = largest / value


@_inner
def _fill_returns(stretches, totals, returns, ends, cutoffs, unit, out, column, whole):
    for s in range(len(stretches)):
        back, row = stretches[s, FIRST_RETURN], stretches[s, FIRST_ROW]
        k = returned = 0
        for j in range(row, row + stretches[s, N_ROWS]):
            while k < totals[ends[j, 0], RETURNS]:
                returned += returns[back + k, VALUE]
                k += 1
            gross = totals[ends[j, 0], GROSS]
            out[j, column] = k
            out[j, column + 1] = returned / unit
            out[j, column + 2] = returned / gross if gross > 0 else np.nan
            out[j, column + 3] = (
                (cutoffs[whole[j, CUTOFF]] - returns[back + k - 1, TIME]) / _DAY
                if k > 0
                else np.nan
            )


@_inner
def _fill_rhythm(stretches, totals, orders, ends, cutoffs, out, column, whole):
    for s in range(len(stretches)):
        order, row = stretches[s, FIRST_ORDER], stretches[s, FIRST_ROW]
        k = 1
        gap = longest = shortest = mean = squares = 0.0  # days; mean and squares as in _money
        for j in range(row, row + stretches[s, N_ROWS]):
            while k < totals[ends[j, 0], ORDERS]:
                gap = (orders[order + k, TIME] - orders[order + k - 1, TIME]) / _DAY
                longest = max(longest, gap)
                shortest = gap if k == 1 else min(shortest, gap)
                step = gap - mean
                mean += step / k
                squares += step * (gap - mean)
                k += 1
            if k < 2:
                for c in range(column, column + 7):
                    out[j, c] = np.nan
                continue
            silence = (cutoffs[whole[j, CUTOFF]] - orders[order + k - 1, TIME]) / _DAY
            out[j, column] = mean
            out[j, column + 1] = math.sqrt(squares / (k - 1)) if k > 2 else np.nan
            out[j, column + 2] = gap
            out[j, column + 3] = longest
            out[j, column + 4] = shortest
            out[j, column + 5] = gap / max(mean, 1.0)
            out[j, column + 6] = silence / max(mean, 1.0)


@_inner
def _fill_trailing(stretches, totals, returns, ends, unit, out, column, trend):
    """Both `trailing` and `trend` (either may be off): windows, and their differences."""
    n_windows = ends.shape[1] - 1  # of 30, 60, 90, 180, 365 days
    counts = np.empty(n_windows)
    spends = np.empty(n_windows)
    for s in range(len(stretches)):
        back, row = stretches[s, FIRST_RETURN], stretches[s, FIRST_ROW]
        for j in range(row, row + stretches[s, N_ROWS]):
            now = ends[j, 0]
            r = totals[now, RETURNS]
            returned = 0
            given_back = 0.0
            for window in range(n_windows):
                begin = ends[j, window + 1]
                counts[window] = totals[now, ORDERS] - totals[begin, ORDERS]
                spends[window] = (totals[now, NET] - totals[begin, NET]) / unit
                if r > totals[begin, RETURNS]:
                    while r > totals[begin, RETURNS]:
                        r -= 1
                        returned += returns[back + r, VALUE]
                    given_back = returned / unit
                if column >= 0:
                    out[j, column + 3 * window] = counts[window]
                    out[j, column + 3 * window + 1] = spends[window]
                    out[j, column + 3 * window + 2] = given_back
            if trend >= 0:
                out[j, trend] = 2 * counts[0] - counts[1]
                out[j, trend + 1] = 2 * counts[2] - counts[3]
                out[j, trend + 2] = 2 * spends[0] - spends[1]
                out[j, trend + 3] = 2 * spends[2] - spends[3]
                out[j, trend + 4] = counts[2] / counts[4] if counts[4] > 0 else np.nan
                out[j, trend + 5] = spends[2] / spends[4] if spends[4] > 0 else np.nan


@_inner
def _find_month(time):
    """The month, 1 to 12: days counted in years that begin in March (Hinnant's civil_from_days)."""
    days = time // _DAY + 719_468
    day_of_era = days % 146_097
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153 + 3
    return month if month <= 12 else month - 12


@_inner
def _find_weekday(time):
    return (time // _DAY + 3) % 7  # Monday 0; 1970-01-01 was a Thursday


@_inner
def _fill_calendar(stretches, totals, orders, ends, out, column):
    for s in range(len(stretches)):
        order, row = stretches[s, FIRST_ORDER], stretches[s, FIRST_ROW]
        k = weekend = evening = year_end = month = weekday = 0
        first_month = _find_month(orders[order, TIME])
        for j in range(row, row + stretches[s, N_ROWS]):
            while k < totals[ends[j, 0], ORDERS]:
                time = orders[order + k, TIME]
                month, weekday = _find_month(time), _find_weekday(time)
                weekend += weekday >= 5
                evening += time % _DAY >= 18 * _DAY // 24
                year_end += month >= 11
                k += 1
            out[j, column] = weekend / k
            out[j, column + 1] = evening / k
            out[j, column + 2] = year_end / k
            out[j, column + 3] = first_month
            out[j, column + 4] = month
            out[j, column + 5] = weekday


@_inner
def _compute_seasons(cutoffs):
    """Sine and cosine of each cutoff's place in the year."""
    season_columns = np.empty((len(cutoffs), 2))
    for cutoff in range(len(cutoffs)):
        angle = 2.0 * math.pi * (cutoffs[cutoff] / _DAY / _CALENDAR_YEAR % 1.0)
        season_columns[cutoff, 0], season_columns[cutoff, 1] = math.sin(angle), math.cos(angle)
    return season_columns


@_inner
def _fill_season(stretches, seasons, out, column, whole):
    for s in range(len(stretches)):
        row = stretches[s, FIRST_ROW]
        for j in range(row, row + stretches[s, N_ROWS]):
            out[j, column] = seasons[whole[j, CUTOFF], 0]
            out[j, column + 1] = seasons[whole[j, CUTOFF], 1]


@_inner
def _fill_basket(stretches, totals, orders, ends, out, column):
    for s in range(len(stretches)):
        order, row = stretches[s, FIRST_ORDER], stretches[s, FIRST_ROW]
        for j in range(row, row + stretches[s, N_ROWS]):
            k = totals[ends[j, 0], ORDERS]
            out[j, column] = totals[ends[j, 0], PURCHASES] / k
            out[j, column + 1] = orders[order, N_LINES]
            out[j, column + 2] = orders[order + k - 1, N_LINES]
