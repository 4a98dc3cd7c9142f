"""Time: the one module that compares dates. Intervals are half-open, everywhere.

    observation window    ordered_at < cutoff
    prediction window k   cutoff + (k - 1) horizon <= ordered_at < cutoff + k horizon,  k = 1, 2, ...

Instants are int64 microseconds since 1970 in the shop's own zone. Nothing else slices time: others
ask here for `positions`, the index of the first line that is not before an instant, and add up
between positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConfigError, OrdersError
from .orders import Int64, Orders

__all__ = [
    "DAY",
    "NEVER",
    "YEAR_DAYS",
    "Instant",
    "SeasonCutoffs",
    "TrainingCutoffs",
    "as_instant",
    "as_instants",
    "can_train",
    "check_cutoff",
    "check_cutoff_from_now",
    "check_cutoff_in_span",
    "cutoffs_for_training",
    "days_after",
    "days_before",
    "default_cutoff",
    "first_order_at",
    "implausible",
    "is_before",
    "is_realised",
    "iso",
    "lines_per_day",
    "longest_horizon",
    "midnight_after",
    "month_name",
    "month_number",
    "month_starts",
    "months",
    "newest_before",
    "newest_realised_cutoff",
    "next_anniversaries",
    "observed",
    "period_ends",
    "positions",
    "quarter",
    "season_cutoffs",
    "shown",
    "slots",
    "span_days",
    "trailing_periods",
    "unfinished_month",
    "whole_days",
    "whole_months",
    "widened",
]

DAY = 86_400_000_000  # microseconds
NEVER = 2**63 - 1  # an instant later than all others
Mask = npt.NDArray[np.bool_]
Instant = str | date | datetime | pd.Timestamp | np.datetime64

_ISO = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
_EPOCH = datetime(1970, 1, 1)
YEAR_DAYS = 365.2425
_MOST_CUTOFFS = 12
_SEASON_PHASES = 13  # four weeks apart
_SEASON_YEARS = 6  # a shop of longer ago is another shop
_LEAST_HISTORY_DAYS = 28  # before a training cutoff, or half the horizon if that is more


def as_instant(moment: Instant) -> int:
    """A cutoff as given (ISO text such as `2011-06-10`, a date, a datetime) in microseconds since 1970.

    >>> as_instant("1970-01-02") == DAY
    True
    """
    if isinstance(moment, str):
        return _text_as_instant(moment)
    if type(moment) is datetime and moment.tzinfo is None:  # no pandas for the commonest
        since = moment - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return _any_as_instant(moment)


@lru_cache(maxsize=256)
def _text_as_instant(moment: str) -> int:
    """The same of text, remembered: a service is asked for few cutoffs, each time again."""
    return _any_as_instant(moment)


def _any_as_instant(moment: Instant) -> int:
    rule = f"a cutoff must be a date such as 2011-06-10, got {str(moment)!r}"
    is_date = isinstance(moment, date | np.datetime64)  # datetimes and timestamps are dates
    if not is_date and not (isinstance(moment, str) and re.match(_ISO, moment)):
        raise ConfigError(rule)
    try:
        stamp = pd.Timestamp(moment)
    except ValueError:
        raise ConfigError(rule) from None
    if pd.isna(stamp):
        raise ConfigError(rule)
    if stamp.tzinfo is not None:
        raise ConfigError(
            f"a cutoff is in the shop's own time and carries no zone, got {str(moment)!r}"
        )
    return int(stamp.to_datetime64().astype("datetime64[us]").astype(np.int64))


def as_instants(moments: object) -> list[int]:
    """One or several cutoffs, ascending, each once; a single one need not stand in a list."""
    if isinstance(moments, str | date | np.datetime64) or not isinstance(moments, Iterable):
        return [as_instant(moments)]  # type: ignore[arg-type]
    return sorted({as_instant(moment) for moment in moments})


def shown(instant: int) -> str:
    """An instant as people write it: 2011-06-10, or with the time where it is no midnight."""
    stamp = pd.Timestamp(instant, unit="us")
    return str(stamp.date()) if instant % DAY == 0 else str(stamp)


def iso(instant: int) -> str:
    """An instant as ISO text, to the microsecond where it has any."""
    return pd.Timestamp(instant, unit="us").isoformat()


def midnight_after(instant: int) -> int:
    """The first midnight after an instant."""
    return (instant // DAY + 1) * DAY


def whole_days(microseconds: Int64 | int) -> Int64:
    """Whole days, floored."""
    return np.asarray(microseconds, dtype=np.int64) // DAY


def days_after(instant: int, days: npt.NDArray[np.float64]) -> Int64:
    """The midnights that begin the day some days after an instant: int64, n."""
    later = instant + np.asarray(days * DAY, dtype=np.int64)
    return np.asarray(later // DAY * DAY)


def first_order_at(orders: Orders) -> int:
    """The instant of the first line."""
    return int(orders.times.min())


def default_cutoff(orders: Orders) -> int:
    """The midnight after the newest usable line."""
    return midnight_after(int(orders.times.max()))


def implausible(times: Int64, now: datetime) -> tuple[Mask, Mask]:
    """Which times are before 1970, and which are later than `now` by a day or more.

    A day of grace, because clocks and zones differ by up to one.
    """
    return times < 0, times >= as_instant(now) + DAY


def span_days(orders: Orders, end: int) -> float:
    """Days from the first line to `end`."""
    return (end - first_order_at(orders)) / DAY


def lines_per_day(orders: Orders) -> tuple[int, Int64]:
    """The first day's midnight, and how many lines each day from then to the newest has."""
    days = orders.times // DAY
    first = int(days.min())
    return first * DAY, np.bincount(days - first)


def widened(first: int, newest: int, times: Int64) -> tuple[int, int]:
    """A span of instants, made to hold some more."""
    return min(first, int(times.min())), max(newest, int(times.max()))


def whole_months(orders: Orders, end: int) -> dict[str, tuple[int, int]]:
    """Per calendar month wholly observed before `end`: lines, and net amount in the smallest unit.

    The month of the first line counts only where that line is on its first day.
    """
    month = orders.times.view("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    first = first_order_at(orders) // DAY * DAY
    found = {}
    for number in np.unique(month).tolist():
        start, stop = (
            np.array([number, number + 1])
            .astype("datetime64[M]")
            .astype("datetime64[us]")
            .astype(np.int64)
        )
        if first <= start and stop <= end:
            own = month == number
            name = str(np.datetime64(number, "M"))
            found[name] = (int(np.count_nonzero(own)), int(orders.amounts[own].sum()))
    return found


def quarter(instants: Int64) -> list[str]:
    """The calendar quarter of each instant, such as 2011 Q1."""
    months = instants.view("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return [f"{1970 + m // 12} Q{m % 12 // 3 + 1}" for m in months.tolist()]


def check_cutoff(orders: Orders, cutoff: int, horizon_days: int) -> str | None:
    """Refuse a cutoff the orders cannot serve; a warning where they serve it badly, else None."""
    newest = int(orders.times.max())
    return check_cutoff_in_span(first_order_at(orders), newest, cutoff, horizon_days)


def check_cutoff_in_span(
    first: int, newest_line: int, cutoff: int, horizon_days: int
) -> str | None:
    """`check_cutoff` for orders from the instant `first` to `newest_line`."""
    newest = midnight_after(newest_line)
    if cutoff <= first:
        raise ConfigError(
            f"the cutoff must be after the first order ({shown(first)}), got {shown(cutoff)}"
        )
    if cutoff > newest + horizon_days * DAY:
        raise ConfigError(
            f"the cutoff must be within {horizon_days} days of the newest order "
            f"(at most {shown(newest + horizon_days * DAY)}), got {shown(cutoff)}; "
            "give newer orders or an earlier cutoff"
        )
    silent_days = int(whole_days(cutoff - newest))
    if silent_days > 7:
        return (
            f"the newest order is {silent_days} days before the cutoff {shown(cutoff)}: "
            "customers look more silent than they may be"
        )
    return None


def check_cutoff_from_now(cutoff: int, horizon_days: int, now: datetime) -> None:
    """Refuse a cutoff more than a horizon (and a day, as zones differ) from now; for those who ask with the
    orders of single customers, whose silence says nothing of when the shop's orders end.
    """
    latest = as_instant(now) // DAY * DAY + (horizon_days + 2) * DAY
    if cutoff >= latest:
        raise ConfigError(
            f"the cutoff must be within {horizon_days} days from now, the model's horizon, got "
            f"{shown(cutoff)}; give an earlier one"
        )


def observed(orders: Orders, cutoff: int) -> Orders:
    """The orders as known at the cutoff: `ordered_at < cutoff`, and facts with `valid_from < cutoff`."""
    known = orders.keep_lines(is_before(orders.times, cutoff))
    if known.attributes is None:
        return known
    facts = known.attributes.keep_facts(is_before(known.attributes.valid_from, cutoff))
    return replace(known, attributes=facts)


def is_before(times: Int64, cutoff: int) -> Mask:
    """Which times are observed at the cutoff: `time < cutoff`."""
    return times < cutoff


def period_ends(cutoffs: Int64, horizon_days: int, periods: int) -> Int64:
    """The bounds of every prediction window: int64, n_cutoffs x (periods + 1)."""
    return cutoffs[:, None] + np.arange(periods + 1) * (horizon_days * DAY)


def is_realised(instants: Int64, end: int) -> Mask:
    """Whether windows ending at `instants` lie wholly before `end`."""
    return instants <= end


def newest_realised_cutoff(end: int, horizon_days: int) -> int:
    """The newest cutoff whose first prediction window is wholly before `end`."""
    return end - horizon_days * DAY


@dataclass(frozen=True)
class TrainingCutoffs:
    """The cutoffs a model learns from, oldest first, and the age of each in days."""

    instants: Int64  # n_cutoffs
    ages: Int64  # n_cutoffs; days before the newest


def can_train(first: int, end: int, horizon_days: int) -> bool:
    """Whether `cutoffs_for_training` finds any."""
    return end - horizon_days * DAY >= first + _least_history(horizon_days)


def longest_horizon(first: int, end: int) -> int:
    """The longest horizon, in days, that `can_train` accepts; 0 where none does."""
    days = (end - first) // DAY
    return max((h for h in range(days + 1) if h and can_train(first, end, h)), default=0)


def _least_history(horizon_days: int) -> int:
    return max(_LEAST_HISTORY_DAYS, -(-horizon_days // 2)) * DAY


def cutoffs_for_training(first: int, end: int, horizon_days: int) -> TrainingCutoffs:
    """Up to twelve cutoffs, a third of a horizon apart in whole weeks, all with cutoff + horizon <= end.

    Whole weeks keep the weekday, and with it the shop's weekly rhythm, the same at every cutoff.
    The oldest has half a horizon of history behind it: nearer to the first order, old customers
    cannot be told from new ones.
    """
    newest = newest_realised_cutoff(end, horizon_days)
    least_history = _least_history(horizon_days)
    if not can_train(first, end, horizon_days):
        days, needed = (end - first) // DAY, (horizon_days * DAY + least_history) // DAY
        longest = longest_horizon(first, end)
        mend = f"shorten horizon_days to {longest} or less, or" if longest else "please"
        raise OrdersError(
            f"training needs {needed} days of orders for a horizon of {horizon_days} days, got "
            f"{days}; {mend} give a longer history"
        )
    step = max(7, round(horizon_days / 3 / 7) * 7) * DAY
    count = min(_MOST_CUTOFFS, (newest - first - least_history) // step + 1)
    instants = newest - np.arange(count, dtype=np.int64)[::-1] * step
    return TrainingCutoffs(instants, (newest - instants) // DAY)


@dataclass(frozen=True)
class SeasonCutoffs:
    """Past cutoffs at the same few places of every year, newest first."""

    instants: Int64  # n_cutoffs
    phases: Int64  # n_cutoffs; which place of the year
    years: Int64  # n_cutoffs; whole years back
    places: npt.NDArray[np.float64]  # n_phases; each phase's place in the year, 0 to below 1


def season_cutoffs(first: int, end: int, horizon_days: int) -> SeasonCutoffs | None:
    """Thirteen cutoffs a year, the first place that of `end`, up to six years back; all with a whole window.

    None where history does not show every place of the year, or a horizon is too short (a week is the
    least) for a day of the week to cancel.
    """
    if horizon_days < 7:
        return None
    steps = np.arange(_SEASON_PHASES * _SEASON_YEARS, dtype=np.int64)
    days_back = np.rint(steps * (YEAR_DAYS / _SEASON_PHASES)).astype(np.int64)
    instants = end - days_back * DAY
    usable = is_realised(instants + horizon_days * DAY, end)
    usable &= instants >= first + _least_history(horizon_days)
    phases = steps % _SEASON_PHASES
    if len(np.unique(phases[usable])) < _SEASON_PHASES:
        return None
    return SeasonCutoffs(
        instants[usable],
        phases[usable],
        steps[usable] // _SEASON_PHASES,
        instants[:_SEASON_PHASES] / DAY / YEAR_DAYS % 1.0,
    )


@numba.njit(cache=True, nogil=True)
def positions(times: Int64, starts: Int64, instants: Int64) -> Int64:
    """Where each customer's lines reach each instant: int64, n_customers x n_instants.

    `positions[i, j]` is the index of the first line of customer `i` with `time >= instants[j]`
    (`starts[i + 1]` where there is none). `instants` must ascend.
    """
    found = np.empty((len(starts) - 1, len(instants)), dtype=np.int64)
    for customer in range(len(starts) - 1):
        position, stop = starts[customer], starts[customer + 1]
        for j in range(len(instants)):
            while position < stop and times[position] < instants[j]:
                position += 1
            found[customer, j] = position
    return found


def months(times: Int64) -> Int64:
    """The calendar month of each instant, counted from January 1970: 2011-03 is 494."""
    return np.asarray(
        np.asarray(times, np.int64).view("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    )


def month_starts(numbers: Int64) -> Int64:
    """The first instant of each calendar month."""
    starts = np.asarray(numbers, np.int64).view("datetime64[M]").astype("datetime64[us]")
    return np.asarray(starts.astype(np.int64))


def month_name(number: int) -> str:
    """A calendar month as people write it.

    >>> month_name(494)
    '2011-03'
    """
    return f"{1970 + number // 12}-{number % 12 + 1:02d}"


def month_number(name: str) -> int | None:
    """The calendar month of text such as `2011-03` or `2011-03-15`; None where it is none."""
    found = re.match(r"(\d{4})-(\d{2})(-\d{2}([T ][\d:.]*)?)?$", name)
    if found is None or not 1 <= int(found[2]) <= 12:
        return None
    return (int(found[1]) - 1970) * 12 + int(found[2]) - 1


def unfinished_month(cutoff: int) -> int:
    """The first calendar month that is not wholly before the cutoff."""
    return int(months(np.array([cutoff]))[0])


def trailing_periods(first: int, cutoff: int, period_days: int, most: int) -> Int64:
    """The bounds of whole periods that end at the cutoff, ascending: int64, n_periods + 1.

    Up to `most` of them, as far as history reaches; where it holds no whole one, only the cutoff.
    """
    count = min(most, max((cutoff - first) // (period_days * DAY), 0))
    return cutoff - np.arange(count, -1, -1, dtype=np.int64) * (period_days * DAY)


def slots(times: Int64, bounds: Int64) -> Int64:
    """Which interval `bounds[k] <= time < bounds[k + 1]` each instant is in; -1 before, n after all."""
    return np.asarray(np.searchsorted(bounds, times, side="right") - 1, dtype=np.int64)


def next_anniversaries(times: Int64, cutoff: int) -> Int64:
    """The first anniversary, by calendar day, of each instant's day that is not before the cutoff's day.

    The 29th of February is kept on the 1st of March in years that have none.
    """
    days = np.asarray(times, np.int64).view("datetime64[us]").astype("datetime64[D]")
    month = days.astype("datetime64[M]")
    day_of_month = (days - month).astype(np.int64)
    month_of_year = month.astype(np.int64) % 12
    today = np.datetime64(cutoff, "us").astype("datetime64[D]")
    year = int(today.astype("datetime64[Y]").astype(np.int64))

    def in_year(number: int) -> npt.NDArray[np.datetime64]:
        start = (number * 12 + month_of_year).astype("datetime64[M]").astype("datetime64[D]")
        return np.asarray(start + day_of_month)

    this_year = in_year(year)
    found = np.where(this_year >= today, this_year, in_year(year + 1))
    return np.asarray(found.astype("datetime64[us]").astype(np.int64))


def newest_before(times: Int64, starts: Int64, instants: Int64) -> Int64:
    """Per customer and instant, the last index with `time < instant`, -1 without one.

    int64, n_customers x n_instants; `times` ascend within a customer, `instants` ascend.
    """
    last = positions(times, starts, instants) - 1
    return np.where(last < starts[:-1, None], -1, last)


def days_before(moments: Int64, cutoffs: Int64) -> npt.NDArray[np.float64]:
    """Days from each moment to its cutoff; NaN for a moment at or after it."""
    known = moments < cutoffs
    return np.where(known, (cutoffs - np.where(known, moments, cutoffs)) / DAY, np.nan)
