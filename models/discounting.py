"""Periods: what spend in each of them is worth today."""

from __future__ import annotations

import numpy as np

from ..configs.economics import KnownEconomics
from ..orders.columns import Float64
from ..orders.dates import RATE_YEAR_DAYS

__all__ = ["compute_discounts", "discount_periods"]


def compute_discounts(economics: KnownEconomics, horizon_days: int, periods: int) -> Float64:
    """What money of each period is divided by, 1 for the first: n_periods."""
    years = np.arange(periods) * horizon_days / RATE_YEAR_DAYS
    return np.asarray((1.0 + economics.annual_discount_rate) ** years)


def discount_periods(spend: Float64, economics: KnownEconomics, horizon_days: int) -> Float64:
    """Margin x sum over k of spend_k / (1 + annual rate)^((k - 1) horizon / 365): n_rows, >= 0.

    `spend` is n_rows x periods. Periods are added one by one, so that one row alone gives the same.
    """
    discounts = compute_discounts(economics, horizon_days, spend.shape[1]).tolist()
    value = np.zeros(len(spend))
    for k, discount in enumerate(discounts):
        value = value + spend[:, k] / discount
    return np.asarray(economics.margin_rate * value)
