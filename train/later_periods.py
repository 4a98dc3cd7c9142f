"""Later periods: what customers spend in period k for each unit of money in the first.

Silence for one period is not leaving, so later periods are not powers of 1 - churn_probability.
BTYD says how a base thins out, by group of churn probability; what history shows beyond that is
taken in proportion to how much of a year it spans, because only over a whole year do seasons
cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..evaluation.measures import split_into_groups
from ..features.recency_frequency import OrderDays, collect_order_days
from ..features.table import FeatureRows
from ..models.blend import value_order_days
from ..models.btyd.forecasts import predict_order_days_by_period, predict_order_value
from ..models.parameters import Blend, LaterPeriodRatios
from ..models.season import compute_later_factor, locate_in_season
from ..orders.columns import Float64, Int64
from ..orders.dates import DAY, RATE_YEAR_DAYS

__all__ = ["learn_later_periods"]

_KNOTS = 8
_LEAST_PERIODS = 8  # more may be asked for at scoring than a model was trained for
_LEAST_ROWS = 200
_MOST_ROWS = 50_000


@dataclass(frozen=True)
class _Money:
    """BTYD's expected spend by period: n_rows x periods."""

    by_period: Float64

    @classmethod
    def of(
        cls,
        rows: FeatureRows,
        blend: Blend,
        horizon_days: int,
        periods: int,
    ) -> _Money:
        days: OrderDays = collect_order_days(rows)
        orders = predict_order_days_by_period(blend.order_model, days, horizon_days, periods)
        value = predict_order_value(
            blend.order_values, value_order_days(rows, days, blend.value_scale)
        )
        return cls(orders * value[:, None])

    def ratio(self, k: int) -> float:
        """Of totals."""
        first = math.fsum(self.by_period[:, 0])
        return math.fsum(self.by_period[:, k]) / first if first > 0 else 1.0


def learn_later_periods(
    now: FeatureRows,
    churn_probability: Float64,
    rows: FeatureRows,
    spend: Float64,
    instants: Int64,
    blend: Blend,
    horizon_days: int,
) -> LaterPeriodRatios:
    """The ratios of periods 2 to n.

    `now` are customers at the training end with their `churn_probability`; `rows` past ones at
    `instants`, with `spend` (n_rows x periods, NaN where not realised).
    """
    periods = max(spend.shape[1], _LEAST_PERIODS)
    corrections, realised = _corrections(
        rows, np.maximum(spend, 0.0), instants, blend, horizon_days
    )
    corrections += [corrections[-1] if corrections else 1.0] * (periods - 1 - len(corrections))
    knots: list[float] = []
    columns: list[list[float]] = []
    for group in split_into_groups(churn_probability, _KNOTS):
        knot = float(np.mean(churn_probability[group]))
        if knots and knot <= knots[-1]:
            continue
        keep = np.zeros(now.n_rows, dtype=bool)
        keep[group] = True
        money = _Money.of(now.where(keep), blend, horizon_days, periods)
        knots.append(knot)
        columns.append([corrections[k - 1] * money.ratio(k) for k in range(1, periods)])
    by_period = tuple(tuple(column[k] for column in columns) for k in range(periods - 1))
    return LaterPeriodRatios(churn_knots=tuple(knots), ratios=by_period, realised_periods=realised)


def _corrections(
    rows: FeatureRows,
    spend: Float64,
    instants: Int64,
    blend: Blend,
    horizon_days: int,
) -> tuple[list[float], int]:
    """Per period the realised ratio over BTYD's, shrunk; and the number of periods realised."""
    corrections: list[float] = []
    realised = 1
    for k in range(1, spend.shape[1]):
        known = ~np.isnan(spend[:, k])
        if known.sum() < _LEAST_ROWS:
            corrections.append(corrections[-1] if corrections else 1.0)
            continue
        realised = k + 1
        cutoffs = instants[np.unique(rows.cutoff_index[known])]
        years = (float(cutoffs[-1] - cutoffs[0]) / DAY + horizon_days) / RATE_YEAR_DAYS
        thinned = known & (np.cumsum(known) % -(-int(known.sum()) // _MOST_ROWS) == 0)
        actual = spend[thinned]
        places = locate_in_season(blend.season, rows.where(thinned))
        if places is not None:  # as if no season were, which forecasts put in by themselves
            factor = compute_later_factor(blend.season, places, k * horizon_days)
            base = np.exp(blend.season.at(blend.season.spend, places))
            actual[:, 0] /= base
            actual[:, k] /= base * factor
        expected = _Money.of(rows.where(thinned), blend, horizon_days, k + 1).ratio(k)
        first, later = math.fsum(actual[:, 0]), math.fsum(actual[:, k])
        if min(first, later, expected) <= 0:
            corrections.append(1.0)
            continue
        corrections.append((later / first / expected) ** min(years, 1.0))
    return corrections, realised
