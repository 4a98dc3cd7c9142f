"""Later periods, learned: the levels of their totals, and how much trees weigh in them.

BTYD says how a base thins out. History corrects it by what the known customers of past cutoffs did:

    cutoffs of up to a year   their shares of the shop's spend, because season and growth of the
                              shop cancel in a share; no later total above the first's
    of a year and a quarter   their realised spend itself, the season divided out

Over a whole year the season cancels in the mean of cutoffs anyway. A share would mislead there: it
falls with each new customer of the shop, as if those of before had left.
"""

from __future__ import annotations

import math

import numpy as np

from ..models.blend import BtydViews
from ..models.event_effects import EventEffects
from ..models.later_spend import extend_levels, predict_later_parts
from ..models.parameters import Blend, LaterSpend
from ..models.season import locate_in_season
from ..orders.columns import Float64
from ..orders.cutoffs import SETTLED_DAYS
from ..orders.dates import RATE_YEAR_DAYS
from .later_frame import LaterFrame

__all__ = ["learn_later_periods", "weigh_shares"]

_LEAST_PERIODS = 8  # more may be asked for at scoring than a model was trained for
_LEAST_ROWS = 200
_PRIOR_YEARS = 0.25  # years of cutoffs that the belief in BTYD is worth
_SHARE_YEARS = (1.0, 1.25)  # of cutoffs: up to which shares alone count, from which not at all
_SPANS_WEIGHTS = (0.3, 0.7)  # of trees: with no whole span realised, with very many
_MOST_LEVEL = 2.0


def learn_later_periods(
    blend: Blend,
    btyd: BtydViews,
    spend: Float64,
    trees: Float64 | None,
    places: Float64 | None,
    horizon_days: int,
    periods: int,
    frame: LaterFrame | None,
) -> LaterSpend:
    """The numbers of later spend, from customers at the training end and from past ones.

    `btyd`, `spend` (of the first period), `trees` and `places` in the year are of customers at the
    training end.
    """
    n_later = max(periods, _LEAST_PERIODS) - 1
    parts = predict_later_parts(blend, btyd, spend, horizon_days, n_later + 1)
    tree_spend = parts.btyd if trees is None else parts.btyd * trees[:, None]
    totals, grown, carried = (_sum_columns(v) for v in (parts.btyd, tree_spend, parts.carried_on))
    first = math.fsum(btyd.spend * np.exp(-btyd.spend_season))
    begins = math.fsum(spend * np.exp(-btyd.spend_season))
    level = begins / first if min(first, begins) > 0 else 1.0
    if places is None:  # what the trees add is in part the season of the newest windows
        level = math.sqrt(level)
    corrections = [0.0] * n_later
    realised = 1
    if frame is not None:
        corrections, realised = _learn_corrections(frame, blend, n_later)
    levels = tuple(
        min(max(level, 1.0 / _MOST_LEVEL), _MOST_LEVEL) * math.exp(c) for c in corrections
    )
    span = slice(0, max(periods - 1, 1))
    total = math.fsum(totals[span])
    ratios = np.array(totals) * extend_levels(levels, n_later)
    return LaterSpend(
        levels=levels,
        trees_weight=_weigh_trees(frame) if trees is not None else 0.5,
        trees_level=_divide(total, math.fsum(grown[span])),
        first_level=_divide(total, math.fsum(carried[span])),
        total_ratios=tuple((ratios / max(begins, 1e-300)).tolist()),
        realised_periods=realised,
    )


def _sum_columns(values: Float64) -> list[float]:
    return [math.fsum(column) for column in values.T]


def _divide(part: float, whole: float) -> float:
    return part / whole if min(part, whole) > 0 else 1.0


def _weigh_trees(frame: LaterFrame | None) -> float:
    """The weight of trees, by how many spans apart the cutoffs with a whole span lie."""
    if frame is None:
        return _SPANS_WEIGHTS[0]
    whole_ages = frame.ages[frame.realised == frame.periods]
    reach = (
        float(np.ptp(whole_ages)) / (frame.periods * frame.horizon_days) if len(whole_ages) else 0.0
    )
    low, high = _SPANS_WEIGHTS
    return low + (high - low) * reach / (reach + 2.0)


def weigh_shares(years: float) -> float:
    """How much shares of the shop's spend count, not spend itself, where cutoffs span `years`."""
    return float(np.interp(years, _SHARE_YEARS, (1.0, 0.0)))


def _learn_corrections(frame: LaterFrame, blend: Blend, n_later: int) -> tuple[list[float], int]:
    """Per later period the log of what a total is beyond BTYD's, and how many periods were shown.

    All of it is relative to the first period's.
    """
    btyd, nothing = frame.btyd, np.zeros(frame.rows.n_rows)
    later = predict_later_parts(blend, btyd, nothing, frame.horizon_days, frame.periods).btyd
    first = btyd.spend * np.exp(-btyd.spend_season)
    expected = frame.sum_by_cutoff(np.column_stack([first, later]))
    actual = frame.sum_by_cutoff(np.nan_to_num(frame.spend))
    places = locate_in_season(blend.season, frame.rows)
    corrections: list[float] = []
    realised = 1
    for k in range(1, frame.periods):
        has_total = np.isfinite(frame.shop_totals[:, k])
        n_rows = int(has_total[frame.rows.cutoff_index].sum())
        used = has_total & (np.minimum(actual[:, 0], actual[:, k]) > 0) & (expected[:, k] > 0)
        used &= np.minimum(frame.shop_totals[:, 0], np.nan_to_num(frame.shop_totals[:, k])) > 0
        if n_rows < _LEAST_ROWS or not used.any():
            break
        realised = k + 1
        declined = np.log(expected[used, k] / expected[used, 0])
        money = np.log(actual[used, k] / actual[used, 0])
        share = money - np.log(frame.shop_totals[used, k] / frame.shop_totals[used, 0])
        if places is not None:
            money = money - _measure_season(frame, blend, places, k)[used]
        if blend.events is not None:
            money = money - _measure_events(frame, blend.events, k)[used]
        years = (float(np.ptp(frame.ages[used])) + frame.horizon_days) / RATE_YEAR_DAYS
        by_share = weigh_shares(years)
        settled = np.minimum(frame.history_days[used] / SETTLED_DAYS, 1.0)
        of_share, of_money = (
            float(np.average(part - declined, weights=settled)) for part in (share, money)
        )
        # customers who are nearly all of the shop keep their share however much they thin out
        observed = by_share * min(of_share, 0.0) + (1.0 - by_share) * of_money
        corrections.append(observed * years / (years + _PRIOR_YEARS))
    fading = 0.0 if len(corrections) < 2 else min(corrections[-1] - corrections[-2], 0.0)
    while len(corrections) < n_later:
        corrections.append(corrections[-1] + fading if corrections else 0.0)
    return corrections, realised


def _measure_events(frame: LaterFrame, events: EventEffects, k: int) -> Float64:
    """Log of what events make of period k beside the first, per cutoff."""
    later, now = (events.compute_factor(frame.rows, period) for period in (k + 1, 1))
    newest = np.unique(frame.rows.cutoff_index, return_index=True)[1]
    return np.asarray(np.log(later / now)[newest])


def _measure_season(frame: LaterFrame, blend: Blend, places: Float64, k: int) -> Float64:
    """Log of what the season makes of period k beside the first, per cutoff."""
    newest = np.unique(frame.rows.cutoff_index, return_index=True)[1]
    at = places[newest]
    later, now = (
        blend.season.compute_total_factor(at, days) for days in (k * frame.horizon_days, 0)
    )
    return np.asarray(np.log(later / now))
