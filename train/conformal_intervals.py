"""Learning intervals: how actual money spreads around out-of-fold forecasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..features.recency_frequency import collect_order_days
from ..models.blend import Expected, value_order_days
from ..models.btyd.forecasts import predict_order_days, predict_order_value
from ..models.intervals import SURE, compute_growth_shock
from ..models.later_spend import get_interval_position, predict_spend_by_period
from ..models.parameters import Blend, Intervals, IntervalTable, LaterSpend
from ..models.season import locate_in_season
from ..orders.columns import Float64, Int64
from ..orders.dates import DAY
from .btyd.fitting import fit_order_model
from .later_frame import LaterFrame
from .training_frame import TrainingFrame

__all__ = ["compare_spans", "learn_intervals"]

_GROUPS = 20
_LEAST_SHOWN = 1_000  # rows whose periods have all been realised
_LEAST_GROUP = 100.0  # effective rows
_PRIOR_SHOCK = 0.15  # typical miss of a total on shops whose past tells nothing
_PRIOR_WINDOWS = 2.0  # how many windows that belief is worth
_MOST_MISS = math.log(2.0)
_SHOCKS = ((-1.7320508, 1 / 6), (0.0, 2 / 3), (1.7320508, 1 / 6))  # Gauss-Hermite, three nodes


@dataclass(frozen=True)
class Outcomes:
    """Forecasts of customers the trees had not seen, and what they did: arrays of n_rows."""

    spend: Float64  # expected of a period: what similar forecasts are told by
    expected: Float64
    actual: Float64
    churn_probability: Float64
    cutoff_index: Int64
    weights: Float64

    def unshocked(self) -> Outcomes:
        """The same with each cutoff's total right: shared shocks are estimated separately."""
        expected = self.expected.copy()
        for j in np.unique(self.cutoff_index):
            rows = self.cutoff_index == j
            total, actual = math.fsum(expected[rows]), math.fsum(self.actual[rows])
            if total > 0 and actual > 0:
                expected[rows] *= actual / total
        return replace(self, expected=expected)


def compare_spans(
    past: LaterFrame,
    unseen: Expected,
    trees: Float64 | None,
    later: LaterSpend,
    blend: Blend,
) -> Outcomes:
    """Forecasts of past customers over as many periods as enough of history shows, and outcomes.

    `unseen` and the later `trees`' factors are of the frame's rows, from trees that had not seen
    them.
    """
    rows = past.rows
    is_realised = np.isfinite(past.spend)
    least = min(_LEAST_SHOWN, rows.n_rows)
    n_periods = max(k + 1 for k in range(past.periods) if is_realised[:, k].sum() >= least)
    spend = predict_spend_by_period(
        later, blend, rows, past.btyd, unseen, trees, past.horizon_days, n_periods
    )
    keep = is_realised[:, n_periods - 1]
    return Outcomes(
        get_interval_position(later, spend)[keep],
        spend.sum(axis=1)[keep],
        past.spend[keep, :n_periods].sum(axis=1),
        unseen.churn_probability[keep],
        rows.cutoff_index[keep],
        np.ones(int(keep.sum())),
    )


def learn_intervals(
    frame: TrainingFrame, unseen: Expected, spans: Outcomes | None, blend: Blend, periods: int
) -> Intervals:
    """Tables for spend and CLV, from forecasts of the frame's rows that no tree had seen.

    CLV's are read off `spans`, or off the first period where history shows no more; the shock of
    longer spans grows as that of a level which drifts at random.
    """
    realised = np.maximum(frame.targets.spend[:, 0], 0.0)
    spend = Outcomes(
        unseen.spend,
        unseen.spend,
        realised,
        unseen.churn_probability,
        frame.rows.cutoff_index,
        frame.weights,
    )
    shock = _learn_shock(frame, realised, blend)
    clv = spend if spans is None else spans
    clv_shock = shock * compute_growth_shock(periods)
    return Intervals(
        spend=_build_table(spend, shock, sure=False),
        spend_sure=_build_table(spend, shock, sure=True),
        clv=_build_table(clv, clv_shock, sure=False),
        clv_sure=_build_table(clv, clv_shock, sure=True),
        spend_shock=shock,
    )


def _build_table(outcomes: Outcomes, shock: float, *, sure: bool) -> IntervalTable:
    outcomes = outcomes.unshocked()
    chosen = (outcomes.churn_probability < SURE) == sure
    chosen &= outcomes.expected > 0
    if chosen.sum() < _LEAST_GROUP:  # too few: those nearest to being so stand in
        churn = outcomes.churn_probability
        nearest = np.argsort(churn if sure else -churn, kind="stable")
        chosen = np.zeros(len(chosen), dtype=bool)
        chosen[nearest[: int(_LEAST_GROUP)]] = True
        chosen &= outcomes.expected > 0
    expected, actual = outcomes.expected[chosen], outcomes.actual[chosen]
    weights, spend = outcomes.weights[chosen], outcomes.spend[chosen]
    order = np.argsort(spend, kind="stable")
    n_groups = int(np.clip(weights.sum() // _LEAST_GROUP, 1, _GROUPS))
    shares = np.cumsum(weights[order]) / weights.sum()
    group = np.minimum((shares * n_groups - 1e-9).astype(np.int64), n_groups - 1)
    knots: list[float] = []
    lower, upper, deviation = [], [], []
    for g in range(n_groups):
        rows = order[group == g]
        if not len(rows):
            continue
        ratio, weight = actual[rows] / expected[rows], weights[rows]
        knot = math.log(np.average(spend[rows], weights=weight))
        if knots and knot <= knots[-1] + 1e-9:
            continue
        knots.append(knot)
        spread = [(math.exp(shock * z), share) for z, share in _SHOCKS]
        shocked = np.concatenate([ratio * factor for factor, _ in spread])
        shares_of = np.concatenate([weight * share for _, share in spread])
        lower.append(_find_quantile(shocked, shares_of, 0.05))
        upper.append(_find_quantile(shocked, shares_of, 0.95 if sure else 0.90))
        deviation.append(math.sqrt(np.average((ratio - 1.0) ** 2, weights=weight)))
    return IntervalTable(
        log_knots=tuple(knots),
        lower=tuple(lower),
        upper=tuple(upper),
        deviation=tuple(deviation),
    )


def _find_quantile(values: Float64, weights: Float64, level: float) -> float:
    """The smallest value with at least `level` of the weight at or below it, and one row's more."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    target = level * (
        reached[-1] + weights.mean()
    )  # the finite-sample step of conformal prediction
    position = int(np.searchsorted(reached, min(target, reached[-1])))
    return float(values[order][min(position, len(order) - 1)])


def _learn_shock(frame: TrainingFrame, actual: Float64, blend: Blend) -> float:
    """The typical miss, in logs, of a shop's total: how BTYD, refitted then, missed past totals.

    Windows that do not overlap are taken, from the newest back. A miss counts as a factor of two at
    most: a single customer with most of the money must not make everybody's interval boundless.
    """
    instants, rows = frame.cutoffs.instants, frame.rows
    misses: list[float] = []
    following = None
    for j in range(len(instants) - 1, -1, -1):
        if following is not None and following - instants[j] < frame.horizon_days * DAY:
            continue
        following = instants[j]
        at = rows.cutoff_index == j
        then = rows.where(at)
        days = collect_order_days(then)
        forecast = math.fsum(
            predict_order_days(fit_order_model(days).model, days, frame.horizon_days)
            * predict_order_value(
                blend.order_values, value_order_days(then, days, blend.value_scale)
            )
        )
        places = locate_in_season(blend.season, then)
        if places is not None:
            forecast *= math.exp(blend.season.at(blend.season.spend, places[:1])[0])
        if blend.events is not None:
            forecast *= float(blend.events.compute_factor(then, 1)[0])
        total = math.fsum(actual[at])
        if total > 0 and forecast > 0:
            misses.append(min(abs(math.log(total / forecast)), _MOST_MISS))
    prior = _PRIOR_WINDOWS * _PRIOR_SHOCK**2
    spread = math.fsum(miss * miss for miss in misses)
    return math.sqrt((prior + spread) / (_PRIOR_WINDOWS + len(misses)))
