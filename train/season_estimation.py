"""Season, learned: how past totals lay beside what BTYD expects, by the time of the year.

At cutoffs a thirteenth of a year apart, as far as history reaches, the realised share of customers
who ordered, their mean spend and the total are compared with BTYD's expectations, which know no
season. What returns every year is the season; what does not is noise, and the season is shrunk by
it (empirical Bayes): a shop seen for two years has a strong season or none that can be told. Less
than a year and a horizon shows no season at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..configs.schema import Target
from ..features.table import compute_feature_rows
from ..features.targets import compute_line_values, compute_targets
from ..models.blend import BtydViews, forecast_btyd, to_log_odds
from ..models.parameters import Blend
from ..models.season import Season
from ..orders import windows
from ..orders.columns import Float64, Int64
from ..orders.cutoffs import choose_season_cutoffs
from ..orders.dates import DAY, YEAR_DAYS
from ..orders.orders import Orders
from .customer_sampling import sample_customers
from .season_curve import estimate_curve, estimate_level
from .season_history import compute_daily_totals, join_earlier_years
from .season_totals import ORDER_SHARE, estimate_from_totals, estimate_neutral_total

__all__ = ["PastYears", "estimate_past_years"]

_MOST_CUSTOMERS = 20_000  # a season is the whole shop's: these show it
_KEY = b"clvcast season"
_SHARE_WINDOWS = 3
_LEAST_KNOWN_DAYS = 28  # of orders before a window whose known customers' share is measured
_LEAST_LEVEL = -0.5  # of what a year of totals may take off BTYD, in logs


@dataclass(frozen=True)
class PastYears:
    """How BTYD's totals missed in past years: by the time of the year, and on average."""

    season: Season = field(default_factory=Season)
    churn_level: float = 0.0  # log-odds of no order beyond BTYD's, over whole years
    spend_level: float = 0.0  # the same of a total, in logs


def estimate_past_years(
    orders: Orders, blend: Blend, horizon_days: int, target: Target, end: int
) -> PastYears:
    """What the orders before `end` show; nothing where they do not span the year."""
    whole = windows.slice_observed(orders, end)
    observed = replace(sample_customers(whole, _MOST_CUSTOMERS, _KEY), extra=None)
    totals = compute_daily_totals(observed, target, end)
    joined = join_earlier_years(totals, whole, target, end)
    grid = choose_season_cutoffs(windows.find_first_order_at(observed), end, horizon_days)
    if grid is None:
        days = end // DAY - np.arange(len(totals), 0, -1, dtype=np.int64)
        return _estimate_from_shop_totals(
            observed, blend, horizon_days, target, end, *(joined or (totals, days))
        )
    ratios = np.array(
        [
            _compare_with_btyd(observed, blend, horizon_days, target, end, cutoff)
            for cutoff in grid.instants.tolist()
        ]
    )
    if joined is None:
        curves = [estimate_curve(series, grid.phases, grid.years) for series in ratios.T]
        order = np.argsort(grid.places)
        churn, ordered, spend = (tuple(c[order].tolist()) for c in curves)
        season = Season(
            places=tuple(grid.places[order].tolist()), churn=churn, ordered=ordered, spend=spend
        )
    else:  # more years than the cutoffs reach
        season, _ = _estimate_from_totals(observed, blend, horizon_days, end, *joined)
        curves = [
            season.at(curve, grid.places) for curve in (season.churn, season.ordered, season.spend)
        ]
    levels = [
        estimate_level(series - curve[grid.phases])
        for series, curve in zip(ratios.T, curves, strict=True)
    ]
    return PastYears(season, churn_level=levels[0], spend_level=levels[2])


def _estimate_from_shop_totals(
    known: Orders,
    blend: Blend,
    horizon_days: int,
    target: Target,
    end: int,
    totals: Float64,
    days: Int64,
) -> PastYears:
    """What a shop's totals show whose orders are too short for cutoffs all over the year.

    BTYD is lowered where it expects more of the known customers than their share of what the shop
    turns over in no season: it takes an autumn for the habit of those who came in it.
    """
    if len(totals) < YEAR_DAYS:
        return PastYears()
    season, btyd = _estimate_from_totals(known, blend, horizon_days, end, totals, days)
    neutral, expected = (
        estimate_neutral_total(totals, horizon_days),
        math.fsum(btyd.spend * np.exp(-btyd.spend_season)),
    )
    share = _measure_known_share(known, horizon_days, target, end)
    if not min(neutral * share, expected) > 0:
        return PastYears(season)
    level = min(max(math.log(neutral * share / expected), _LEAST_LEVEL), 0.0)
    return PastYears(season, churn_level=-ORDER_SHARE * level, spend_level=level)


def _estimate_from_totals(
    known: Orders, blend: Blend, horizon_days: int, end: int, totals: Float64, days: Int64
) -> tuple[Season, BtydViews]:
    """The season of a shop's totals, and what BTYD expects of the known customers at `end`."""
    if blend.events is not None and known.calendar is not None:
        totals = totals / blend.events.compute_day_factors(known.calendar.days, days)
    rows = compute_feature_rows(known, np.array([end], dtype=np.int64))
    btyd = forecast_btyd(rows, blend, horizon_days)
    churn = 1.0 - math.fsum(btyd.order_probability) / rows.n_rows
    return estimate_from_totals(totals, horizon_days, end / DAY / YEAR_DAYS % 1.0, churn), btyd


def _measure_known_share(known: Orders, horizon_days: int, target: Target, end: int) -> float:
    """The share of the newest whole windows' spend that customers known before them brought.

    NaN where no window has four weeks of orders before it.
    """
    starts = end - (np.arange(_SHARE_WINDOWS)[::-1] * 28 + horizon_days) * DAY
    starts = starts[starts >= windows.find_first_order_at(known) + _LEAST_KNOWN_DAYS * DAY]
    if not len(starts):
        return math.nan
    rows = compute_feature_rows(known, starts)
    outcome = compute_targets(known, rows, starts, horizon_days, 1, end, target)
    ends = windows.compute_period_ends(starts, horizon_days, 1)
    values = compute_line_values(known, target)
    window_sums = [
        windows.sum_between(known.times, values, bounds)[0] / known.unit for bounds in ends
    ]
    total = math.fsum(window_sums)
    return math.fsum(np.maximum(outcome.spend[:, 0], 0.0)) / total if total > 0 else math.nan


def _compare_with_btyd(
    known: Orders, blend: Blend, horizon_days: int, target: Target, end: int, cutoff: int
) -> tuple[float, float, float]:
    """Actual beside expected at one cutoff: churn in log-odds, spend if ordered and spend in logs.

    NaN where nobody ordered, or everybody did.
    """
    instants = np.array([cutoff], dtype=np.int64)
    rows = compute_feature_rows(known, instants)
    outcome = compute_targets(known, rows, instants, horizon_days, 1, end, target)
    btyd = forecast_btyd(rows, blend, horizon_days)
    spent = math.fsum(np.maximum(outcome.spend[:, 0], 0.0))
    expected = math.fsum(btyd.spend)
    ordered = np.count_nonzero(~outcome.churned)
    if min(spent, expected) <= 0 or not 0 < ordered < rows.n_rows:
        return math.nan, math.nan, math.nan
    orderers = math.fsum(btyd.order_probability)
    rates = to_log_odds(np.array([1.0 - ordered / rows.n_rows, 1.0 - orderers / rows.n_rows]))
    total = math.log(spent / expected)
    return float(rates[0] - rates[1]), total - math.log(ordered / orderers), total
