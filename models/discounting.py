"""Periods: what one unit of money spent in the first period is worth over all of them."""

from __future__ import annotations

import numpy as np

from ..configs.economics import KnownEconomics
from ..orders.columns import Float64
from ..orders.dates import RATE_YEAR_DAYS
from .parameters import LaterPeriodRatios
from .season import Season, compute_later_factor

__all__ = ["compute_discounts", "discount_periods"]


def compute_discounts(economics: KnownEconomics, horizon_days: int, periods: int) -> Float64:
    """What money of each period is divided by, 1 for the first: n_periods."""
    years = np.arange(periods) * horizon_days / RATE_YEAR_DAYS
    return np.asarray((1.0 + economics.annual_discount_rate) ** years)


def discount_periods(
    later: LaterPeriodRatios,
    economics: KnownEconomics,
    horizon_days: int,
    periods: int,
    churn_probability: Float64,
    season: Season,
    places: Float64 | None,
) -> Float64:
    """Margin x sum over k of ratio_k / (1 + annual rate)^((k - 1) horizon / 365): n_rows, > 0.

    `places` in the year of the rows' cutoffs say what the season makes of later periods; None where
    it is not known. Ratios beyond those the model knows go on as the last two of them did, and
    never rise.
    """
    yearly = 1.0 + economics.annual_discount_rate
    value = np.ones(len(churn_probability))
    before = ratio = np.ones(len(churn_probability))
    for k in range(1, periods):
        if k <= len(later.ratios):
            before, ratio = (
                ratio,
                np.interp(churn_probability, later.churn_knots, later.ratios[k - 1]),
            )
        else:
            fading = np.minimum(ratio / np.maximum(before, 1e-12), 1.0)
            before, ratio = ratio, ratio * fading
        spent = (
            ratio
            if places is None
            else ratio * compute_later_factor(season, places, k * horizon_days)
        )
        value = value + spent / yearly ** (k * horizon_days / RATE_YEAR_DAYS)
    return np.asarray(economics.margin_rate * value)
