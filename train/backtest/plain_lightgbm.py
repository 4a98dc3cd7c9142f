"""The baseline `plain_lightgbm`: what a data scientist writes in an afternoon.

20 features of recency, frequency, money and trailing windows, up to eight cutoffs two weeks apart,
a plain Tweedie regressor for spend and a plain binary classifier for churn. No calibration, no
season, no averaging of seeds, no search. Its CLV is a third booster, a Tweedie regressor of the
discounted spend over all periods, where the history holds so many before the cutoff.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np

from ...features.table import compute_feature_rows
from ...features.targets import Targets, compute_targets
from ...models.discounting import compute_discounts
from ...orders import windows
from ...orders.columns import Float64, Int64
from ...orders.dates import DAY
from .baselines import BaselineForecast, BaselineInputs

__all__ = [
    "FEATURES",
    "build_examples",
    "choose_plain_cutoffs",
    "forecast_plain_lightgbm",
    "select_features",
]

FEATURES = (
    "days_since_last_order", "tenure_days", "n_orders", "active_days", "spend_total",
    "order_value_mean", "order_value_last", "order_value_max", "order_value_spread",
    "gap_mean", "gap_spread", "silence_over_gap",
    "orders_30", "orders_60", "orders_90", "orders_180",
    "spend_30", "spend_60", "spend_90", "spend_180",
)  # fmt: skip
_MOST_CUTOFFS = 8
_STEP_DAYS = 14
_LEAST_HISTORY_DAYS = 28
_ROUNDS = 150
_PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # as our own trees: sums of several depend on how many there are
    "verbose": -1,
}


def forecast_plain_lightgbm(known: BaselineInputs, seed: int = 0) -> BaselineForecast:
    """Spend and churn of the first period, and the CLV where whole spans were realised."""
    customer_inputs = select_features(known)
    learned, happened = build_examples(known, 1)
    spent, churned = np.maximum(happened.spend[:, 0], 0.0), happened.churned.astype(np.float64)
    clv = None
    span, later = build_examples(known, known.periods)
    if len(span):
        discounts = compute_discounts(known.economics, known.horizon_days, known.periods)
        value = known.economics.margin_rate * (later.spend / discounts).sum(axis=1)
        clv = _predict(span, np.maximum(value, 0.0), customer_inputs, "tweedie", seed)
    return BaselineForecast(
        expected_spend=_predict(learned, spent, customer_inputs, "tweedie", seed),
        churn_probability=_predict(learned, churned, customer_inputs, "binary", seed),
        clv=clv,
    )


def choose_plain_cutoffs(first: int, cutoff: int, span_days: int) -> Int64:
    """Up to eight cutoffs, ascending, whose windows of `span_days` end before `cutoff`.

    At least four weeks of orders lie before each; one with less where there is no other.
    """
    newest = cutoff - span_days * DAY
    candidates = newest - np.arange(_MOST_CUTOFFS - 1, -1, -1, dtype=np.int64) * _STEP_DAYS * DAY
    usable = candidates[candidates >= first + _LEAST_HISTORY_DAYS * DAY]
    return usable if len(usable) else np.array([newest] if newest > first else [], dtype=np.int64)


def build_examples(known: BaselineInputs, periods: int) -> tuple[Float64, Targets]:
    """Features at past cutoffs, and what followed in `periods` windows before the cutoff."""
    first = windows.find_first_order_at(known.orders)
    cutoffs = choose_plain_cutoffs(first, known.cutoff, known.horizon_days * periods)
    if not len(cutoffs):
        return np.empty((0, len(FEATURES))), Targets(np.empty((0, 1)), np.empty((0, 1)))
    rows = compute_feature_rows(known.orders, cutoffs)
    happened = compute_targets(
        known.orders, rows, cutoffs, known.horizon_days, periods, known.cutoff, known.target
    )
    return rows.columns(FEATURES).astype(np.float64), happened


def select_features(known: BaselineInputs) -> Float64:
    """The features of the customers to forecast."""
    rows = compute_feature_rows(known.orders, np.array([known.cutoff], dtype=np.int64))
    return rows.columns(FEATURES).astype(np.float64)


def _predict(inputs: Float64, label: Float64, asked: Float64, objective: str, seed: int) -> Float64:
    """A booster's forecasts of the rows asked for; where all labels are one number, that number."""
    if not len(label) or label.min() == label.max():
        return np.full(len(asked), label[0] if len(label) else 0.0)
    parameters = _PARAMETERS | {"objective": objective, "seed": seed}
    booster = lightgbm.train(parameters, lightgbm.Dataset(inputs, label), _ROUNDS)
    return np.asarray(booster.predict(asked), dtype=np.float64)
