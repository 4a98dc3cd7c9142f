"""Retention factors: what past customers brought later who ordered in the first period, or did not.

BTYD says how much more those who order bring in later periods. Past cutoffs show it, and correct
BTYD by chance of no order. Each cutoff's total is made right first, so that growth and season of
the shop count for nothing.
"""

from __future__ import annotations

import math

import numpy as np

from ..models.blend import Expected
from ..models.later_spend import predict_spend_by_period
from ..models.parameters import Blend, LaterSpend, RetentionFactors
from ..models.retention import compute_order_ratio, expect_later_days, split_later
from ..orders.columns import Float64, Mask
from .later_frame import LaterFrame

__all__ = ["learn_retention_factors"]

_GROUPS = 5
_PRIOR_CUSTOMERS = 30.0  # that the belief in BTYD is worth
_ROUNDS = 3
_MOST_LOG_FACTOR = 3.0


def learn_retention_factors(
    past: LaterFrame,
    unseen: Expected,
    trees: Float64 | None,
    later: LaterSpend,
    blend: Blend,
) -> RetentionFactors | None:
    """Factors by churn probability; None where nobody or everybody ordered.

    `unseen` and the later `trees`' factors are of the frame's rows, from trees that had not seen
    them.
    """
    spend = predict_spend_by_period(
        later, blend, past.rows, past.btyd, unseen, trees, past.horizon_days, past.periods
    )
    at = past.rows.cutoff_index
    is_known = np.isfinite(past.shop_totals)[at]
    expected = np.where(is_known, spend, 0.0)[:, 1:].sum(axis=1)
    actual = np.nan_to_num(past.spend)[:, 1:].sum(axis=1)
    for j in range(len(past.instants)):
        total, realised = expected[at == j].sum(), actual[at == j].sum()
        expected[at == j] *= realised / total if min(total, realised) > 0 else 0.0
    churn, ordered = unseen.churn_probability, past.ordered
    ratio = np.ones(past.rows.n_rows)
    for n_periods in np.unique(past.realised):
        rows = past.realised[at] == n_periods
        history = past.btyd.history.where(rows)
        days = expect_later_days(blend, history, past.horizon_days, int(n_periods))
        ratio[rows] = compute_order_ratio(None, *days, churn[rows])
    knots: list[float] = []
    logs: list[float] = []
    for group in np.array_split(np.argsort(churn, kind="stable"), _GROUPS):
        bought = ordered[group]
        if not len(group) or not bought.any() or bought.all():
            continue
        log_factor, certainty = _measure_group(
            expected[group], actual[group], churn[group], ratio[group], bought
        )
        knot = float(churn[group].mean())
        if knots and knot <= knots[-1] + 1e-9:
            continue
        knots.append(knot)
        logs.append(certainty * min(max(log_factor, -_MOST_LOG_FACTOR), _MOST_LOG_FACTOR))
    if not knots:
        return None
    return RetentionFactors(churn_knots=tuple(knots), log_factors=tuple(logs))


def _measure_group(
    expected: Float64, actual: Float64, churn: Float64, ratio: Float64, ordered: Mask
) -> tuple[float, float]:
    """Log of the factor that makes the realised ratio of a group right, and its certainty."""
    log_factor = 0.0
    sizes = [_count_effective(actual[part]) for part in (ordered, ~ordered)]
    if min(sizes) == 0.0:
        return 0.0, 0.0
    for _ in range(_ROUNDS):
        moved = np.maximum(ratio * math.exp(log_factor), 1.0)
        with_order, without = split_later(expected, churn, moved)
        sums = with_order[ordered].sum(), without[~ordered].sum()
        if min(sums) <= 0:
            return 0.0, 0.0
        log_factor += math.log(actual[ordered].sum() / sums[0])
        log_factor -= math.log(actual[~ordered].sum() / sums[1])
    smaller = min(sizes)
    return log_factor, smaller / (smaller + _PRIOR_CUSTOMERS)


def _count_effective(amounts: Float64) -> float:
    """How many customers of equal spend tell as much: (sum)^2 / sum of squares."""
    squares = float(np.sum(amounts**2))
    return float(amounts.sum()) ** 2 / squares if squares > 0 else 0.0
