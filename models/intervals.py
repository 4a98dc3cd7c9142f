"""Intervals: 90 % of customers' actual money falls inside, in every range of forecasts.

    [0, q90]   where the chance of no order is 10 % or more: zero is then a common outcome
    [q5, q95]  elsewhere

Quantiles of actual / expected were read off customers whom the trees had not seen, within groups of
similar forecasts (Mondrian conformal prediction; Vovk et al. 2005), and widened by the shocks that
move a whole shop. `upper` is raised to the expected value where that is larger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..orders.columns import Float64
from .parameters import IntervalTable

__all__ = [
    "SURE",
    "Interval",
    "compute_growth_shock",
    "include_first_period",
    "predict_interval",
]

SURE = 0.10  # below this chance of no order an interval has a lower end of its own


@dataclass(frozen=True)
class Interval:
    """Arrays of n_rows, in the shop's currency."""

    lower: Float64
    upper: Float64
    deviation: Float64  # standard deviation of the customer's own outcome


def predict_interval(
    expected: Float64,
    spend: Float64,
    churn_probability: Float64,
    unsure: IntervalTable,
    sure: IntervalTable,
) -> Interval:
    """The interval of each forecast: 0 <= lower <= expected <= upper.

    `spend` is what a period is expected to bring: the tables' groups are of similar spend.
    """
    at = np.log(np.maximum(spend, 1e-9))
    is_sure = churn_probability < SURE

    low = np.interp(at, sure.log_knots, sure.lower)
    lower = np.where(is_sure, np.minimum(expected * low, expected), 0.0)
    upper, deviation = (
        np.where(is_sure, np.interp(at, sure.log_knots, a), np.interp(at, unsure.log_knots, b))
        for a, b in ((sure.upper, unsure.upper), (sure.deviation, unsure.deviation))
    )
    return Interval(lower, np.maximum(expected * upper, expected), expected * deviation)


def include_first_period(
    clv: Interval, spend: Interval, expected: Float64, margin_rate: float
) -> Interval:
    """A CLV's interval, neither end below that of the first period's margin.

    Later periods bring nothing below zero, so what holds of the first holds of all together.
    """
    lower = np.minimum(np.maximum(clv.lower, margin_rate * spend.lower), expected)
    return Interval(lower, np.maximum(clv.upper, margin_rate * spend.upper), clv.deviation)


def compute_growth_shock(periods: int) -> float:
    """Spread of the mean level of k periods over the first's, each adding an equal shock."""
    return math.sqrt((periods + 1) * (2 * periods + 1) / (6 * periods))
