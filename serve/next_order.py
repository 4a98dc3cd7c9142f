"""When the next order is due: from the customer's own rate of ordering and its churn probability.

P(an order within t days) = A (1 - ((alpha + T) / (alpha + T + t))^s)

is the order model's law for a customer who is still there (s = r + repeat days), with A the chance of
being there. A is chosen so that t = one horizon gives 1 - churn_probability; where that needs more than
certainty, A is 1 and s grows instead. The law has a closed inverse, so any quantile is one formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..features.order_days import OrderDays
from .btyd import OrderModel

__all__ = ["NextOrder", "next_order"]

Float64 = npt.NDArray[np.float64]
_EXPECTED = 0.5  # an order is expected when it is more likely than not within the CLV's span
_WINDOW = (0.1, 0.9)  # of the orders that do come within the span


@dataclass(frozen=True)
class NextOrder:
    """Days from the cutoff, arrays of n_rows; NaN where no order is expected."""

    days: Float64  # as likely earlier as later, given that an order comes within the span
    earliest: Float64
    latest: Float64


def next_order(
    model: OrderModel,
    history: OrderDays,
    churn_probability: Float64,
    horizon_days: int,
    span_days: int,
) -> NextOrder:
    """The median and an 80 % window of the next order's day."""
    scale = model.alpha + history.tenure_days
    shape = model.r + history.n_repeat_days
    log_silence = -np.log1p(horizon_days / scale)  # log of (alpha + T) / (alpha + T + H)
    ordering = 1.0 - churn_probability
    if_there = -np.expm1(shape * log_silence)
    there = np.minimum(ordering / np.maximum(if_there, 1e-12), 1.0)
    certain = ordering >= if_there
    faster = np.log(np.clip(churn_probability, 1e-12, 1.0)) / log_silence
    shape = np.where(certain, np.maximum(faster, 1e-9), shape)
    within_span = there * -np.expm1(-shape * np.log1p(span_days / scale))
    expected = within_span >= _EXPECTED

    def quantile(share: float) -> Float64:
        chance = np.minimum(share * within_span / np.maximum(there, 1e-12), 1.0 - 1e-12)
        days = scale * np.expm1(-np.log1p(-chance) / shape)
        return np.where(expected, np.minimum(days, span_days), np.nan)

    return NextOrder(quantile(0.5), quantile(_WINDOW[0]), quantile(_WINDOW[1]))
