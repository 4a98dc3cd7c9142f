"""When the next order is due: from the customer's own rate of ordering and its churn probability.

P(an order within t days) = A (1 - ((alpha + T) / (alpha + T + t))^s)

is the order model's law for a customer who is still there (s = r + repeat days), with A the chance
of being there. A is chosen so that t = one horizon gives 1 - churn_probability; where that needs
more than certainty, A is 1 and s grows instead. The law has a closed inverse, so any quantile is
one formula.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from ..features.recency_frequency import OrderDays
from ..orders.columns import Float64
from .btyd.forecasts import OrderModel

__all__ = ["NextOrder", "predict_next_order"]

_EXPECTED = 0.5  # an order is expected when it is more likely than not within the CLV's span
_SHARES = (0.5, 0.1, 0.9)  # of the orders that do come within the span: the median, and a window
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)


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
    quantiles = np.full((len(_SHARES), len(churn_probability)), np.nan)
    _fill_quantiles(
        model.alpha + history.tenure_days,
        model.r + history.n_repeat_days,
        churn_probability,
        float(horizon_days),
        float(span_days),
        quantiles,
    )
    return NextOrder(*quantiles)


@_compiled
def _fill_quantiles(scales, shapes, churn, horizon, span, days_until):  # type: ignore[no-untyped-def]
    """The days until each of _SHARES of the orders within the span: n_shares x n_rows."""
    for row in range(len(scales)):
        scale, shape = scales[row], shapes[row]
        log_silence = -math.log1p(horizon / scale)  # log of (alpha + T) / (alpha + T + H)
        if_there = max(-math.expm1(shape * log_silence), 1e-12)
        ordering = 1.0 - churn[row]
        there = ordering / if_there
        if there >= 1.0:
            there = 1.0
            shape = max(math.log(max(churn[row], 1e-12)) / log_silence, 1e-9)
        within_span = there * -math.expm1(-shape * math.log1p(span / scale))
        if within_span < _EXPECTED:
            continue
        for k in range(len(_SHARES)):
            chance = min(_SHARES[k] * within_span / there, 1.0 - 1e-12)
            days = scale * math.expm1(-math.log1p(-chance) / shape)
            days_until[k, row] = min(days, span)
