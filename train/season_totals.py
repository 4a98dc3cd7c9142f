"""Season from totals: what the time of the year does to a shop's spend, all customers together.

A shop with a year of orders does not show every place of the year at cutoffs with a whole window
behind and before them, but its own totals do, in 28-day bins. Totals of new customers are among
them, so that a history that begins in the middle of the shop's life does not bend them. One year
cannot tell season from growth, so one year counts half, and two or more years wholly.
"""

from __future__ import annotations

import math

import numpy as np

from ..models.season import Season
from ..orders.columns import Float64
from ..orders.dates import YEAR_DAYS
from .season_curve import estimate_curve

__all__ = ["ORDER_SHARE", "estimate_from_totals", "estimate_neutral_total"]

_BINS = 13  # of a year, 28 days each
_BIN_DAYS = 28
_MOST_YEARS = 6
_MOST_CHANGE = 0.7  # of totals from year to year, in logs: beyond it nothing is season
_LEAST_OVERLAP_DAYS = 7
_MOST_OVERLAP_DAYS = 56
_SURE_YEARS = 2.0  # years of totals whose season is believed wholly
ORDER_SHARE = 0.8  # log-odds of an order for each log of a total; their spend takes up the rest


def estimate_from_totals(totals: Float64, horizon_days: int, place: float, churn: float) -> Season:
    """The season of daily totals that end where training ends; none where they span no year.

    `totals` are a shop's spend per day, the newest last; `place` in the year is the training end's,
    and `churn` the share of customers without an order in a window.
    """
    n_years = min(len(totals) / YEAR_DAYS, _MOST_YEARS)
    n_bins = min(len(totals) // _BIN_DAYS, _MOST_YEARS * _BINS)
    if n_bins < _BINS:
        return Season()
    back = np.arange(n_bins)
    phases, years = back % _BINS, back // _BINS
    ends = len(totals) - np.rint(years * YEAR_DAYS).astype(np.int64) - phases * _BIN_DAYS
    sums = np.concatenate(([0.0], np.cumsum(totals)))
    is_whole = ends >= _BIN_DAYS
    bins = np.full(n_bins, np.nan)
    bins[is_whole] = sums[ends[is_whole]] - sums[ends[is_whole] - _BIN_DAYS]
    logs = np.log(bins, where=bins > 0, out=np.full(n_bins, np.nan))
    curve = estimate_curve(logs, phases, years) * _weigh_years(totals, n_years)
    if not curve.any():
        return Season()
    # bin j lies from 28 (j + 1) to 28 j days before the end: its middle's place in the year
    middles = (place - (np.arange(_BINS) + 0.5) * _BIN_DAYS / YEAR_DAYS) % 1.0
    order = np.argsort(middles)
    starts = (place - np.arange(_BINS) / _BINS) % 1.0
    ahead = (np.arange(horizon_days) + 0.5) / YEAR_DAYS
    daily = np.interp(
        (starts[:, None] + ahead) % 1.0, middles[order], np.exp(curve[order]), period=1.0
    )
    spend = np.log(daily.mean(axis=1))
    spend -= spend.mean()
    odds = ORDER_SHARE * spend
    share = 1.0 - churn
    moved = np.log(np.exp(odds) / (1.0 - share + share * np.exp(odds)))
    rank = np.argsort(starts)
    return Season(
        places=tuple(starts[rank].tolist()),
        churn=tuple((-odds)[rank].tolist()),
        ordered=tuple((spend - moved)[rank].tolist()),
        spend=tuple(spend[rank].tolist()),
    )


def estimate_neutral_total(totals: Float64, horizon_days: int) -> float:
    """What a shop turns over in a horizon at the end of its daily totals, in no season; NaN where
    they span no year and a week.

    The mean of the last year, in which the season cancels, brought half a year forward by how much
    the newest days exceed the same days a year ago.
    """
    year, growth = round(YEAR_DAYS), max(measure_yearly_growth(totals), 1.0)
    last = float(totals[-year:].sum())
    return float(last * horizon_days / year * growth**0.5)


def measure_yearly_growth(totals: Float64) -> float:
    """The newest days' total, up to 56 of them, over that of the same days a year ago; else NaN."""
    year = round(YEAR_DAYS)
    overlap = min(len(totals) - year, _MOST_OVERLAP_DAYS)
    if overlap < _LEAST_OVERLAP_DAYS:
        return math.nan
    now, then = float(totals[-overlap:].sum()), float(totals[-overlap - year : -year].sum())
    return now / then if then > 0 else math.nan


def _weigh_years(totals: Float64, n_years: float) -> float:
    """How far a season of so many years is believed: under two, less where totals changed much.

    A shop that doubled in a year, or a cohort that dies out, shows its growth and no season.
    """
    if n_years >= _SURE_YEARS:
        return 1.0
    growth = measure_yearly_growth(totals)
    change = abs(math.log(growth)) if growth > 0 else math.inf
    return n_years / _SURE_YEARS * max(1.0 - change / _MOST_CHANGE, 0.0)
