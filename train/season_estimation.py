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
from ..features.targets import compute_targets
from ..models.blend import forecast_btyd, to_log_odds
from ..models.parameters import Blend
from ..models.season import Season
from ..orders import windows
from ..orders.columns import Float64, Int64
from ..orders.cutoffs import choose_season_cutoffs
from ..orders.orders import Orders
from .customer_sampling import sample_customers

__all__ = ["PastYears", "estimate_curve", "estimate_past_years"]

_MOST_CUSTOMERS = 20_000  # a season is the whole shop's: these show it
_PRIOR_NOISE = 0.15  # how far, in logs, a total is typically from what it was a year ago
_PRIOR_POINTS = 13  # how many points that belief is worth
_KEY = b"clvcast season"


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
    known = windows.slice_observed(orders, end)
    grid = choose_season_cutoffs(windows.find_first_order_at(known), end, horizon_days)
    if grid is None:
        return PastYears()
    known = sample_customers(replace(known, extra=None), _MOST_CUSTOMERS, _KEY)
    found = np.array(
        [
            _beside_btyd(known, blend, horizon_days, target, end, cutoff)
            for cutoff in grid.instants.tolist()
        ]
    )
    curves = [estimate_curve(series, grid.phases, grid.years) for series in found.T]
    order = np.argsort(grid.places)
    churn, ordered, spend = (tuple(c[order].tolist()) for c in curves)
    season = Season(
        places=tuple(grid.places[order].tolist()), churn=churn, ordered=ordered, spend=spend
    )
    levels = [
        estimate_level(series - own[grid.phases])
        for series, own in zip(found.T, curves, strict=True)
    ]
    return PastYears(season, churn_level=levels[0], spend_level=levels[2])


def _beside_btyd(
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


def estimate_level(rest: Float64) -> float:
    """The mean of a series without its season, shrunk towards 0."""
    known = rest[~np.isnan(rest)]
    return math.fsum(known) / (len(known) + _PRIOR_POINTS)


def estimate_curve(series: Float64, phases: Int64, years: Int64) -> Float64:
    """What returns every year of a series by phase and year back: one value a phase, mean 0.

    A steady drift from year to year is taken out first, then each year's level; the rest is shrunk
    by the ratio of its own variance to that plus the noise of its mean.
    """
    n_phases = int(phases.max()) + 1
    table = np.full((int(years.max()) + 1, n_phases), np.nan)
    table[years, phases] = series
    known = ~np.isnan(table)
    counts = known.sum(axis=0)
    if not counts.all():
        return np.zeros(n_phases)
    per_year = table[:-1] - table[1:]
    drift = float(np.nanmean(per_year)) if (~np.isnan(per_year)).sum() >= n_phases else 0.0
    back = np.arange(len(table))[:, None] + np.arange(n_phases) / n_phases
    table = table + drift * back
    season, levels = np.zeros(n_phases), np.zeros(len(table))
    for _ in range(50):  # the two means converge at once where every year is whole
        levels = np.array(
            [
                row.mean() if len(row := r[k]) else 0.0
                for r, k in zip(table - season, known, strict=True)
            ]
        )
        season = np.nanmean(table - levels[:, None], axis=0)
        season -= season.mean()
    rest = (table - levels[:, None] - season)[known]
    free = max(len(rest) - n_phases - len(table) + 1, 0)
    noise = (math.fsum(rest**2) + _PRIOR_POINTS * _PRIOR_NOISE**2) / (free + _PRIOR_POINTS)
    noise_of_mean = noise / counts
    signal = max(float(np.mean(season**2 - noise_of_mean)), 0.0)
    return np.asarray(season * signal / (signal + noise_of_mean))
