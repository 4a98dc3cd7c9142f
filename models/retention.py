"""Retention value: what an order in the first period adds to a customer's CLV.

    retention_value = E[CLV | an order in period 1] - E[CLV | none]
    value_at_risk   = churn_probability x retention_value
    E[CLV]          = (1 - churn_probability) E[CLV | an order] + churn_probability E[CLV | none]

Without an order the first period brings nothing, so its spend is of those who order. Later periods
are split by how many order days BTYD expects of the customer after an order in the middle of the
period, and after a period of silence. History corrects that ratio (`train.retention_factors`);
bundles without factors take BTYD's.
"""

from __future__ import annotations

import numpy as np

from ..configs.economics import KnownEconomics
from ..features.recency_frequency import OrderDays
from ..orders.columns import Float64
from .blend import BtydViews
from .btyd.forecasts import predict_order_days
from .parameters import Blend, RetentionFactors

__all__ = [
    "compute_order_ratio",
    "compute_retention_value",
    "expect_later_days",
    "split_later",
]

_MOST_RATIO = 1e6
_MOST_BEYOND_BTYD = 3.0  # of what BTYD expects of those who order, where CLV itself is less


def expect_later_days(
    blend: Blend, history: OrderDays, horizon_days: int, periods: int
) -> tuple[Float64, Float64]:
    """BTYD's order days of periods 2 to `periods`, after one order day in the first, and none."""
    then = history.tenure_days + horizon_days
    middle = history.tenure_days + horizon_days / 2.0
    ordered = OrderDays(history.n_repeat_days + 1.0, middle, then, history.repeat_value)
    silent = OrderDays(history.n_repeat_days, history.active_days, then, history.repeat_value)
    later_days = horizon_days * (periods - 1)
    after_order, after_silence = (
        predict_order_days(blend.order_model, days, later_days) for days in (ordered, silent)
    )
    return after_order, after_silence


def compute_order_ratio(
    factors: RetentionFactors | None,
    after_order: Float64,
    after_silence: Float64,
    churn_probability: Float64,
) -> Float64:
    """How much more those who order in the first period bring later: n_rows, >= 1.

    BTYD's ratio is at least 1 before the factor too: the factors were learned on such ratios.
    """
    least = np.maximum(after_order / _MOST_RATIO, 1e-300)  # 0 / 0 is a ratio of 1
    ratio = np.clip(after_order / np.maximum(after_silence, least), 1.0, _MOST_RATIO)
    if factors is not None:
        logs = np.interp(churn_probability, factors.churn_knots, factors.log_factors)
        ratio = ratio * np.exp(logs)
    return np.clip(ratio, 1.0, _MOST_RATIO)


def split_later(
    later: Float64, churn_probability: Float64, ratio: Float64
) -> tuple[Float64, Float64]:
    """Later money of a customer who orders in the first period, and of one who does not.

    Weighted by their probabilities they add up to `later`.
    """
    without = later / (churn_probability + (1.0 - churn_probability) * ratio)
    return ratio * without, without


def compute_retention_value(
    factors: RetentionFactors | None,
    blend: Blend,
    btyd: BtydViews,
    churn_probability: Float64,
    spend_by_period: Float64,
    clv: Float64,
    economics: KnownEconomics,
    horizon_days: int,
) -> Float64:
    """What an order in the first period adds to CLV: n_rows, >= 0, in the money of `clv`.

    It is at most three times what BTYD expects of a customer who orders, or the CLV if that is
    more: the spend of somebody almost surely gone, over a tiny chance of an order, is no forecast.
    """
    periods = spend_by_period.shape[1]
    margin_rate = economics.margin_rate
    stays = 1.0 - churn_probability
    first = margin_rate * spend_by_period[:, 0]
    value = first / np.maximum(stays, 1e-12)
    most = margin_rate * btyd.days_if_ordered * btyd.order_value
    if periods > 1:
        after_order, after_silence = expect_later_days(blend, btyd.history, horizon_days, periods)
        ratio = compute_order_ratio(factors, after_order, after_silence, churn_probability)
        with_order, without = split_later(np.maximum(clv - first, 0.0), churn_probability, ratio)
        value = value + (with_order - without)
        most = most + margin_rate * after_order * btyd.order_value
    return np.minimum(value, np.maximum(_MOST_BEYOND_BTYD * most, clv))
