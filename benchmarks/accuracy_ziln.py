"""The peer `ziln`: zero-inflated lognormal spend (Wang, Liu and Miao 2019), by boosted trees.

Three outputs per customer: the log-odds of any spend, and mean and (softplus of) spread of its log
if there is any. The loss is the negative log-likelihood, as a custom objective of LightGBM; the
forecast is its mean, p exp(mu + sigma^2 / 2). Features and cutoffs are those of `plain_lightgbm`.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

__all__ = ["forecast_ziln"]

Float64 = npt.NDArray[np.float64]
_ROUNDS = 150
_PARAMETERS: dict[str, Any] = {
    "num_class": 3,
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "verbose": -1,
}
_SIGMA = (0.1, 2.5)  # bounds of the spread: exp(sigma^2 / 2) of a larger one is no mean


def forecast_ziln(
    inputs: Float64, spend: Float64, asked: Float64, seed: int
) -> tuple[Float64, Float64]:
    """P(no spend) and expected spend of the rows asked for."""
    bought = spend > 0
    logs = np.log(spend[bought])
    share = bought.mean()
    start = np.array([np.log(share / (1 - share)), logs.mean(), _unsoftplus(logs.std())])

    def objective(raw: Float64, data: lightgbm.Dataset) -> tuple[Float64, Float64]:
        return _compute_gradients(raw, spend)

    data = lightgbm.Dataset(inputs, spend, init_score=np.tile(start, (len(spend), 1)))
    parameters = _PARAMETERS | {"objective": objective, "seed": seed}
    raw = np.asarray(lightgbm.train(parameters, data, _ROUNDS).predict(asked, raw_score=True))
    odds, mu, spread = (raw + start).T
    sigma = np.clip(_softplus(spread), *_SIGMA)
    buys = 1.0 / (1.0 + np.exp(-odds))
    return 1.0 - buys, buys * np.exp(mu + sigma**2 / 2)


def _compute_gradients(raw: Float64, spend: Float64) -> tuple[Float64, Float64]:
    """First and (positive) second derivatives of the loss, n_rows x 3."""
    odds, mu, spread = raw.T
    bought = (spend > 0).astype(np.float64)
    logs = np.log(np.where(spend > 0, spend, 1.0))
    buys = 1.0 / (1.0 + np.exp(-odds))
    slope = 1.0 / (1.0 + np.exp(-spread))  # of the softplus
    sigma = np.clip(_softplus(spread), *_SIGMA)
    z = (logs - mu) / sigma
    gradients = np.column_stack(
        [buys - bought, -bought * z / sigma, bought * slope * (1.0 - z**2) / sigma]
    )
    curvatures = np.column_stack(
        [buys * (1.0 - buys), bought / sigma**2, bought * 2.0 * (slope / sigma) ** 2]
    )
    return gradients, np.maximum(curvatures, 1e-6)


def _softplus(values: Float64) -> Float64:
    return np.asarray(np.logaddexp(0.0, values))


def _unsoftplus(value: float) -> float:
    return float(np.log(np.expm1(max(value, _SIGMA[0]))))
