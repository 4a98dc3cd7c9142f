"""Cutoffs: the default one, which are rejected, and those a model learns from.

All of it is told from where the orders begin and end. What is known at a cutoff is cut out by
windows.py, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ..configs.schema import OrdersConfig
from ..errors import ConfigError, OrdersError
from .columns import Float64, Int64
from .dates import (
    DAY,
    YEAR_DAYS,
    Instant,
    floor_to_days,
    format_instant,
    get_midnight_after,
    parse_instant,
)
from .orders import Orders
from .windows import find_first_order_at, is_realised

__all__ = [
    "SETTLED_DAYS",
    "SeasonCutoffs",
    "TrainingCutoffs",
    "can_train",
    "check_cutoff",
    "check_cutoff_from_now",
    "check_cutoff_in_span",
    "choose_later_cutoffs",
    "choose_season_cutoffs",
    "choose_training_cutoffs",
    "find_clv_cutoff",
    "find_clv_evaluation_start",
    "find_complete_until",
    "find_end",
    "get_default_cutoff",
    "get_longest_horizon",
    "get_newest_realised_cutoff",
    "is_silent",
    "is_too_short_for_trees",
    "resolve_training_end",
]

_MOST_CUTOFFS = 12
_MOST_LATER_CUTOFFS = 8
SETTLED_DAYS = 150  # of history, after which old customers are told from new ones
_SEASON_PHASES = 13  # four weeks apart
_SEASON_YEARS = 6  # a shop of longer ago is another shop
_LEAST_HISTORY_DAYS = 28  # before a training cutoff, or half the horizon if that is more


def get_default_cutoff(orders: Orders) -> int:
    """Until when the orders are complete: as stated, else the midnight after the newest line."""
    return find_end(int(orders.times.max()), orders.complete_until)


def find_end(newest_line: int, complete_until: int | None) -> int:
    """The first instant of which orders may be missing; taken from the newest line where none is
    stated.
    """
    return get_midnight_after(newest_line) if complete_until is None else complete_until


def find_complete_until(config: OrdersConfig, now: datetime) -> int | None:
    """The instant a configuration states as `complete_until`; refuses one in the future."""
    day = config.complete_day(now.date())
    if day is None:
        return None
    if day > now.date() + timedelta(days=1):  # zones differ by a day
        raise ConfigError(f"orders.complete_until must not be in the future, got {day}")
    return parse_instant(day.isoformat())


def get_newest_realised_cutoff(end: int, horizon_days: int) -> int:
    """The newest cutoff whose first prediction window is wholly before `end`."""
    return end - horizon_days * DAY


def check_cutoff(orders: Orders, cutoff: int, horizon_days: int) -> str | None:
    """Refuse a cutoff the orders cannot serve; a warning where they serve it badly, else None."""
    end = get_default_cutoff(orders)
    return check_cutoff_in_span(find_first_order_at(orders), end, cutoff, horizon_days)


def check_cutoff_in_span(first: int, newest: int, cutoff: int, horizon_days: int) -> str | None:
    """`check_cutoff` for orders that are complete from the instant `first` to before `newest`."""
    if cutoff <= first:
        raise ConfigError(
            f"the cutoff must be after the first order ({format_instant(first)}), got "
            f"{format_instant(cutoff)}"
        )
    if cutoff > newest + horizon_days * DAY:
        raise ConfigError(
            f"the cutoff must be within {horizon_days} days of the newest order "
            f"(at most {format_instant(newest + horizon_days * DAY)}), got "
            f"{format_instant(cutoff)}; "
            "give newer orders, an earlier cutoff, or orders.complete_until if nobody has "
            "ordered since"
        )
    silent_days = int(floor_to_days(cutoff - newest))
    if silent_days > 7:
        return (
            f"the newest order is {silent_days} days before the cutoff {format_instant(cutoff)}: "
            "customers look more silent than they may be"
        )
    return None


def resolve_training_end(
    first: int,
    complete_until: int,
    horizon_days: int,
    cutoff: Instant | None,
    warn: Callable[[str], None],
) -> int:
    """The first instant training reads nothing at or after.

    Refuses one out of range; `warn` is called when the orders end more than a week before it.
    """
    if cutoff is None:
        return complete_until
    end = parse_instant(cutoff)
    concern = check_cutoff_in_span(first, complete_until, end, horizon_days)
    if concern:
        warn(concern)
    return end


def check_cutoff_from_now(cutoff: int, horizon_days: int, now: datetime) -> None:
    """Refuse a cutoff more than a horizon (and a day, as zones differ) from now; for those who ask
    with the orders of single customers, whose silence says nothing of when the shop's orders end.
    """
    latest = parse_instant(now) // DAY * DAY + (horizon_days + 2) * DAY
    if cutoff >= latest:
        raise ConfigError(
            f"the cutoff must be within {horizon_days} days from now, the model's horizon, got "
            f"{format_instant(cutoff)}; give an earlier one"
        )


@dataclass(frozen=True)
class TrainingCutoffs:
    """The cutoffs a model learns from, oldest first, and the age of each in days."""

    instants: Int64  # n_cutoffs
    ages: Int64  # n_cutoffs; days before the newest


def can_train(first: int, end: int, horizon_days: int) -> bool:
    """Whether `choose_training_cutoffs` finds any."""
    return end - horizon_days * DAY >= first + _compute_least_history(horizon_days)


def find_clv_cutoff(first: int, end: int, horizon_days: int, periods: int) -> int | None:
    """The newest cutoff with all periods before `end`; None where it cannot be trained for."""
    cutoff = get_newest_realised_cutoff(end, horizon_days * periods)
    return cutoff if can_train(first, cutoff, horizon_days) else None


def find_clv_evaluation_start(first: int, horizon_days: int, periods: int) -> int:
    """The midnight from which on `find_clv_cutoff` finds one."""
    days = horizon_days * (periods + 1)
    return get_midnight_after(first + _compute_least_history(horizon_days) - 1) + days * DAY


def get_longest_horizon(first: int, end: int) -> int:
    """The longest horizon, in days, that `can_train` accepts; 0 where none does."""
    days = (end - first) // DAY
    return max((h for h in range(days + 1) if h and can_train(first, end, h)), default=0)


def is_too_short_for_trees(first: int, end: int, horizon_days: int) -> bool:
    """Whether history spans a horizon but not the labels of one, and something can be learned
    still.

    BTYD alone forecasts then.
    """
    return (
        first <= get_newest_realised_cutoff(end, horizon_days)
        and not can_train(first, end, horizon_days)
        and get_longest_horizon(first, end) > 0
    )


def is_silent(known: Orders, end: int, horizon_days: int) -> bool:
    """Whether nobody ordered for a horizon or more before `end`: a cohort whose orders have ended.

    No recent window holds an order to learn from, so that BTYD alone forecasts. `known` are the
    orders observed before `end`: later ones must not decide.
    """
    newest = get_midnight_after(int(known.times.max()))
    return get_newest_realised_cutoff(end, horizon_days) >= newest


def _compute_least_history(horizon_days: int) -> int:
    return max(_LEAST_HISTORY_DAYS, -(-horizon_days // 2)) * DAY


def choose_training_cutoffs(first: int, end: int, horizon_days: int) -> TrainingCutoffs:
    """Up to twelve cutoffs, whole weeks (a third of a horizon) apart, cutoff + horizon <= end.

    Whole weeks keep the weekday, and with it the shop's weekly rhythm, the same at every cutoff.
    The oldest has half a horizon of history behind it: nearer to the first order, old customers
    cannot be told from new ones.
    """
    newest = get_newest_realised_cutoff(end, horizon_days)
    least_history = _compute_least_history(horizon_days)
    if not can_train(first, end, horizon_days):
        days, needed = (end - first) // DAY, (horizon_days * DAY + least_history) // DAY
        longest = get_longest_horizon(first, end)
        mend = f"shorten horizon_days to {longest} or less, or" if longest else "please"
        raise OrdersError(
            f"training needs {needed} days of orders for a horizon of {horizon_days} days, got "
            f"{days}; {mend} give a longer history"
        )
    step = max(7, round(horizon_days / 3 / 7) * 7) * DAY
    count = min(_MOST_CUTOFFS, (newest - first - least_history) // step + 1)
    instants = newest - np.arange(count, dtype=np.int64)[::-1] * step
    return TrainingCutoffs(instants, (newest - instants) // DAY)


def choose_later_cutoffs(first: int, end: int, horizon_days: int, periods: int) -> Int64 | None:
    """Up to eight cutoffs with at least two realised periods, oldest first; None without one.

    They reach back to where the whole span of `periods` is realised several times over: two years
    or one more span, whichever is longer.
    """
    newest = end - 2 * horizon_days * DAY
    span_days = periods * horizon_days
    reach = (span_days + max(span_days, 2 * YEAR_DAYS)) * DAY
    oldest = max(first + _compute_least_history(horizon_days), int(end - reach))
    if newest < oldest or periods < 2:
        return None
    least_step = max(7, round(horizon_days / 3 / 7) * 7) * DAY
    weeks = -(-(newest - oldest) // (_MOST_LATER_CUTOFFS - 1) // (7 * DAY))
    step = max(least_step, weeks * 7 * DAY)
    count = min(_MOST_LATER_CUTOFFS, (newest - oldest) // step + 1)
    return newest - np.arange(count, dtype=np.int64)[::-1] * step


@dataclass(frozen=True)
class SeasonCutoffs:
    """Past cutoffs at the same few places of every year, newest first."""

    instants: Int64  # n_cutoffs
    phases: Int64  # n_cutoffs; which place of the year
    years: Int64  # n_cutoffs; whole years back
    places: Float64  # n_phases; each phase's place in the year, 0 to below 1


def choose_season_cutoffs(first: int, end: int, horizon_days: int) -> SeasonCutoffs | None:
    """Thirteen cutoffs a year, up to six years back from `end`, all with a whole window.

    None where history does not show every place of the year, or a horizon is too short (a week is
    the least) for a day of the week to cancel.
    """
    if horizon_days < 7:
        return None
    steps = np.arange(_SEASON_PHASES * _SEASON_YEARS, dtype=np.int64)
    days_back = np.rint(steps * (YEAR_DAYS / _SEASON_PHASES)).astype(np.int64)
    instants = end - days_back * DAY
    usable = is_realised(instants + horizon_days * DAY, end)
    usable &= instants >= first + _compute_least_history(horizon_days)
    phases = steps % _SEASON_PHASES
    if len(np.unique(phases[usable])) < _SEASON_PHASES:
        return None
    # nearer to the first order everybody known is an old customer who looks new: such a cutoff
    # counts where no other shows its place of the year
    settled = usable & (instants >= first + SETTLED_DAYS * DAY)
    usable = settled | (usable & ~np.isin(phases, phases[settled]))
    return SeasonCutoffs(
        instants[usable],
        phases[usable],
        steps[usable] // _SEASON_PHASES,
        instants[:_SEASON_PHASES] / DAY / YEAR_DAYS % 1.0,
    )
