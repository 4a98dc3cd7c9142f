"""When the next order is due: from the customer's own rate of ordering and its churn probability.

P(an order within t days) = A (1 - ((alpha + T) / (alpha + T + t))^s)

is the order model's law for a customer who is still there (s = r + repeat days), with A the chance
of being there. A is chosen so that t = one horizon gives 1 - churn_probability; where that needs
more than certainty, A is 1 and s grows instead. The law has a closed inverse, so any quantile is
one formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..features.recency_frequency import OrderDays
from ..orders.columns import Float64
from .btyd.forecasts import OrderModel

__all__ = ["NextOrder", "predict_next_order"]

_EXPECTED = 0.5  # an order is expected when it is more likely than not within the CLV's span
_SHARES = (0.5, 0.1, 0.9)  # of the orders that do come within the span: the median, and a window


@dataclass(frozen=True)
class NextOrder:
    """Days from the cutoff, arrays of n_rows; NaN where no order is expected."""

    days: Float64  # as likely earlier as later, given that an order comes within the span
    earliest: Float64
    latest: Float64


def predict_next_order(
    model: OrderModel,
    history: OrderDays,
    churn_probability: Float64,
    horizon_days: int,
    span_days: int,
) -> NextOrder:
    """The median and an 80 % window of the next order's day."""
    scale, shape = model.alpha + history.tenure_days, model.r + history.n_repeat_days
    log_silence = -np.log1p(horizon_days / scale)  # log of (alpha + T) / (alpha + T + H)
    if_there = np.maximum(-np.expm1(shape * log_silence), 1e-12)
    there = (1.0 - churn_probability) / if_there
    certain = np.maximum(np.log(np.maximum(churn_probability, 1e-12)) / log_silence, 1e-9)
    shape = np.where(there >= 1.0, certain, shape)
    there = np.minimum(there, 1.0)
    within_span = there * -np.expm1(-shape * np.log1p(span_days / scale))
    is_expected = within_span >= _EXPECTED
    per_order = np.where(is_expected, within_span, np.nan) / np.where(is_expected, there, 1.0)
    chances = np.minimum(np.multiply.outer(_SHARES, per_order), 1.0 - 1e-12)
    days_until = scale * np.expm1(-np.log1p(-chances) / shape)
    return NextOrder(*np.minimum(days_until, float(span_days)))
