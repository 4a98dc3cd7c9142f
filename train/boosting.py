"""Boosting: the two kinds of trees a model is made of, grown the same way twice on the same rows."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from ..serve.trees import Trees

__all__ = ["SEEDS", "grow_churn_trees", "grow_spend_trees"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
SEEDS = 3  # trees of several seeds are averaged
_ROUNDS = 100
# Shallow, strongly shrunken trees: deeper ones ranked worse on shops of a few thousand customers.
_PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 7,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def grow_churn_trees(
    inputs: Float32,
    churned: npt.NDArray[np.bool_],
    weights: Float64,
    features: tuple[str, ...],
    seed: int,
) -> Trees:
    """Trees for the log-odds of no order in the first prediction window."""
    return _grow("binary", inputs, churned.astype(np.float64), weights, features, seed, None)


def grow_spend_trees(
    inputs: Float32,
    spend: Float64,
    weights: Float64,
    features: tuple[str, ...],
    offset: Float64,
    seed: int,
) -> Trees:
    """Trees for the log of mean spend, beyond `offset`, of customers with an order in the window.

    Tweedie's power 1.9 is nearly gamma, and unlike gamma allows the zero of an order that all came back.
    """
    return _grow("tweedie", inputs, spend, weights, features, seed, offset)


def _grow(
    objective: str,
    inputs: Float32,
    target: Float64,
    weights: Float64,
    features: tuple[str, ...],
    seed: int,
    offset: Float64 | None,
) -> Trees:
    parameters = _PARAMETERS | {
        "objective": objective,
        "seed": seed,
        "min_data_in_leaf": max(20, len(target) // 200),
    }
    if objective == "tweedie":
        parameters["tweedie_variance_power"] = 1.9
    data = lightgbm.Dataset(
        inputs, target, weight=weights, init_score=offset, feature_name=list(features)
    )
    return Trees.from_booster(lightgbm.train(parameters, data, _ROUNDS))
