"""Later spend: what each customer is expected to spend in periods 2 and on.

    period k = level_k x season_k x (w trees x E[orders_k] x value  +  (1 - w) spend_1 x E_k / E_1)

E_k are BTYD's expected order days of the customer in period k, so that later periods never use
powers of 1 - churn_probability: silence for one period is not leaving. Trees correct BTYD by the
customer's recency, rhythm, value and last order's place in the year; they learned shares of
realised totals, not totals. The second part carries the first period's forecast on as BTYD expects
the customer's orders to thin out. Levels set the totals (`train.later_periods`).

Bundles of 0.1 hold ratios to the first period instead, by churn probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..features.recency_frequency import OrderDays
from ..features.table import FeatureRows
from ..orders.columns import Float64
from .blend import BtydViews, Expected
from .btyd.forecasts import predict_later_order_days
from .parameters import Blend, LaterPeriodRatios, LaterSpend
from .season import compute_later_factor, locate_in_season

__all__ = [
    "LEAST_SPEND",
    "LaterParts",
    "extend_levels",
    "get_interval_position",
    "predict_later_parts",
    "predict_spend_by_period",
]

LEAST_SPEND = 1e-6  # of BTYD, before its logarithm is taken


@dataclass(frozen=True)
class LaterParts:
    """The two views of later spend before levels and season, n_rows x (periods - 1) each."""

    btyd: Float64  # BTYD's expected spend of each later period
    carried_on: Float64  # the first period's forecast, thinned out


def predict_later_parts(
    blend: Blend, btyd: BtydViews, spend: Float64, horizon_days: int, periods: int
) -> LaterParts:
    """BTYD's later spend, and the first period's `spend` carried on, the season divided out."""
    history: OrderDays = btyd.history
    orders, decline = predict_later_order_days(blend.order_model, history, horizon_days, periods)
    value = btyd.order_value * np.exp(-btyd.value_season)
    plain = spend * np.exp(-btyd.spend_season)
    return LaterParts(orders * value[:, None], plain[:, None] * decline)


def predict_spend_by_period(
    later: LaterSpend | LaterPeriodRatios,
    blend: Blend,
    rows: FeatureRows,
    btyd: BtydViews,
    expected: Expected,
    trees: Float64 | None,
    horizon_days: int,
    periods: int,
) -> Float64:
    """Expected spend of each period, undiscounted: n_rows x periods, >= 0; the first is `expected`.

    `trees` are the factors that correct BTYD's later spend, n_rows; None where nothing later was
    realised.
    """
    if periods == 1:
        return expected.spend[:, None]
    places = locate_in_season(blend.season, rows)
    if isinstance(later, LaterPeriodRatios):
        spend = _follow_ratios(later, expected, periods)
    else:
        parts = predict_later_parts(blend, btyd, expected.spend, horizon_days, periods)
        weight = later.trees_weight
        tree_factor = weight * later.trees_level * (1.0 if trees is None else trees[:, None])
        mixed = tree_factor * parts.btyd + (1.0 - weight) * later.first_level * parts.carried_on
        spend = np.where(
            (expected.churn_probability < 1.0)[:, None],
            mixed * extend_levels(later.levels, periods - 1),
            0.0,
        )
    if places is not None:
        days = [k * horizon_days for k in range(1, periods)]
        if isinstance(later, LaterPeriodRatios):
            factors = [compute_later_factor(blend.season, places, day) for day in days]
        else:
            factors = [blend.season.compute_total_factor(places, day) for day in days]
        spend = spend * np.array(factors).T
    if blend.events is not None:
        moved = [blend.events.compute_factor(rows, k) for k in range(2, periods + 1)]
        spend = spend * np.array(moved).T
    return np.column_stack([expected.spend, spend])


def get_interval_position(later: LaterSpend | LaterPeriodRatios, spend: Float64) -> Float64:
    """What similar CLV forecasts are told by: mean spend per period; in 0.1 that of the first."""
    if isinstance(later, LaterPeriodRatios):
        return np.asarray(spend[:, 0])
    total = spend[:, 0]
    for k in range(1, spend.shape[1]):
        total = total + spend[:, k]
    return np.asarray(total / spend.shape[1])


def extend_levels(levels: tuple[float, ...], n_later: int) -> Float64:
    """Levels of as many later periods: beyond those known they go on as the last two did, and
    never rise.
    """
    extended = list(levels[:n_later])
    before, last = levels[-2:] if len(levels) > 1 else (1.0, levels[-1])
    fading = min(last / before, 1.0)
    while len(extended) < n_later:
        extended.append(extended[-1] * fading)
    return np.array(extended)


def _follow_ratios(later: LaterPeriodRatios, expected: Expected, periods: int) -> Float64:
    """Spend of periods 2 and on by ratios to the first; beyond those known they never rise."""
    churn = expected.churn_probability
    before = ratio = np.ones(len(churn))
    spend = []
    for k in range(1, periods):
        if k <= len(later.ratios):
            before, ratio = ratio, np.interp(churn, later.churn_knots, later.ratios[k - 1])
        else:
            before, ratio = ratio, ratio * np.minimum(ratio / np.maximum(before, 1e-12), 1.0)
        spend.append(expected.spend * ratio)
    return np.array(spend).T
