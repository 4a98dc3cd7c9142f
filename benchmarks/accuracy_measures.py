"""What is measured of one method's forecasts, and whether two methods differ by more
than chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import mean_tweedie_deviance

from clvcast.evaluation import measures, standard_measures

__all__ = [
    "RESAMPLED",
    "clv_measures",
    "compute_deviance",
    "interval_measures",
    "measured",
    "resampled",
    "zero_floor",
]

Float64 = npt.NDArray[np.float64]
RESAMPLED = ("nGini", "spearman", "MAE", "RMSE", "deviance", "churn_log_loss")
_LEAST_FORECAST = 0.01
_BLOCK = 50  # resamples at a time: what a block of customers x resamples takes in memory


def measured(forecast: pd.DataFrame, actual: Float64) -> dict[str, float]:
    """Every measure of a forecast (a row per customer) against the customers' actual spend."""
    spend, churn = _array(forecast, "expected_spend"), _array(forecast, "churn_probability")
    churned = actual == 0
    found = {
        "nGini": measures.normalised_gini(spend, actual),
        "spearman": standard_measures.spearman(spend, actual),
        "MAE": standard_measures.mean_absolute_error(spend, actual),
        "RMSE": standard_measures.root_mean_squared_error(spend, actual),
        "deviance": compute_deviance(spend, actual),
        "bias": measures.bias(spend, actual),
        "decile_MAPE": measures.decile_mape(spend, actual),
        "churn_AUC": standard_measures.auc(churn, churned),
        "churn_log_loss": standard_measures.log_loss(churn, churned),
        "churn_Brier": standard_measures.brier_score(churn, churned),
        "churn_ECE": measures.calibration_error(churn, churned),
    }
    if {"expected_spend_lower", "expected_spend_upper"} <= set(forecast):
        found |= interval_measures(forecast, actual)
    return found


def clv_measures(forecast: pd.DataFrame, actual: Float64, silent_days: Float64) -> dict[str, float]:
    """A CLV over several periods against the spend in them (customers x periods); margin 1, no
    discount.

    `ratio` is what the CLV is, and `actual_ratio` what was spent, in units of the first period's.
    `recency_1` to `_5` are the biases of fifths by days since the last order, the newest first, and
    `money_1` to `_5` their shares of what was spent.
    """
    clv, spend = _array(forecast, "clv"), _array(forecast, "expected_spend")
    total = actual.sum(axis=1)
    found = {
        "nGini": measures.normalised_gini(clv, total),
        "nGini_of_spend": measures.normalised_gini(spend, total),
        "rank_correlation": standard_measures.spearman(clv, spend),
        "spearman": standard_measures.spearman(clv, total),
        "MAE": standard_measures.mean_absolute_error(clv, total),
        "deviance": compute_deviance(clv, total),
        "bias": measures.bias(clv, total),
        "decile_MAPE": measures.decile_mape(clv, total),
        "ratio": float(clv.sum() / spend.sum()),
        "actual_ratio": float(total.sum() / actual[:, 0].sum()),
    }
    for k, rows in enumerate(measures.split_into_groups(silent_days, 5)):
        found[f"recency_{k + 1}"] = measures.bias(clv[rows], total[rows])
        found[f"money_{k + 1}"] = float(total[rows].sum() / total.sum())
    if {"clv_lower", "clv_upper"} <= set(forecast):
        lower, upper = _array(forecast, "clv_lower"), _array(forecast, "clv_upper")
        found["coverage"] = float(((lower <= total) & (total <= upper)).mean())
        found["coverage_floor"] = float(zero_floor(clv, total).mean())
    return found


def compute_deviance(forecast: Float64, actual: Float64) -> float:
    """Tweedie deviance of power 1.5, the proper score of a mean; forecasts are at least a cent."""
    return float(mean_tweedie_deviance(actual, np.maximum(forecast, _LEAST_FORECAST), power=1.5))


def interval_measures(forecast: pd.DataFrame, actual: Float64) -> dict[str, float]:
    """Coverage of the 90 % interval: overall, among buyers, per fifth of the forecast, beside its
    floors.

    A fifth's floor is that of its own customers. Pinball loss is the mean over the two ends, at the
    levels they stand for: 5 % and 95 %, or 0 and 90 % where the interval starts at zero.
    """
    spend = _array(forecast, "expected_spend")
    lower, upper = (
        _array(forecast, "expected_spend_lower"),
        _array(forecast, "expected_spend_upper"),
    )
    inside = (lower <= actual) & (actual <= upper)
    floor = zero_floor(spend, actual)
    fifths = measures.split_into_groups(spend, 5)
    buyers = actual > 0
    top = np.where(lower > 0, 0.95, 0.9)
    over = np.maximum(top * (actual - upper), (top - 1.0) * (actual - upper))
    under = np.where(lower > 0, np.maximum(0.05 * (actual - lower), 0.95 * (lower - actual)), 0.0)
    return {
        "coverage": float(inside.mean()),
        "coverage_floor": float(floor.mean()),
        "coverage_buyers": float(inside[buyers].mean()) if buyers.any() else float("nan"),
        **{f"coverage_fifth_{k + 1}": float(inside[rows].mean()) for k, rows in enumerate(fifths)},
        **{f"floor_fifth_{k + 1}": float(floor[rows].mean()) for k, rows in enumerate(fifths)},
        "interval_width": float((upper - lower).mean()),
        "pinball": float((over + under).mean()),
    }


def zero_floor(spend: Float64, actual: Float64) -> Float64:
    """Per customer, the coverage that zeros alone force: max(90 %, share of zeros in its
    twentieth).
    """
    floor = np.empty(len(spend))
    for rows in measures.split_into_groups(spend, 20):
        floor[rows] = max(measures.NOMINAL_COVERAGE, float((actual[rows] == 0).mean()))
    return floor


def resampled(
    forecasts: list[pd.DataFrame], actual: Float64, resamples: int, seed: int = 0
) -> dict[str, Float64]:
    """`RESAMPLED` measures in bootstrap resamples of the customers, averaged over the given
    forecasts.

    Arrays of `resamples`. The same seed draws the same customers, so that two methods' arrays are
    paired: their difference, resample by resample, is the difference between the methods on that
    draw.
    """
    generator = np.random.default_rng(seed)
    n = len(actual)
    parts: list[dict[str, Float64]] = []
    for begin in range(0, resamples, _BLOCK):
        count = min(_BLOCK, resamples - begin)
        drawn = generator.integers(0, n, (count, n))
        weights = np.stack([np.bincount(rows, minlength=n) for rows in drawn]).astype(np.float64)
        each = [_weighted_measures(forecast, actual, weights) for forecast in forecasts]
        parts.append({name: np.mean([m[name] for m in each], axis=0) for name in RESAMPLED})
    return {name: np.concatenate([part[name] for part in parts]) for name in RESAMPLED}


def _weighted_measures(
    forecast: pd.DataFrame, actual: Float64, weights: Float64
) -> dict[str, Float64]:
    """The measures where customer i stands `weights[b, i]` times, for each resample b."""
    spend, churn = _array(forecast, "expected_spend"), _array(forecast, "churn_probability")
    n = weights.sum(axis=1)
    perfect = _weighted_gini(actual, actual, weights)
    return {
        "nGini": _weighted_gini(spend, actual, weights) / perfect,
        "spearman": _weighted_spearman(spend, actual, weights),
        "MAE": weights @ np.abs(spend - actual) / n,
        "RMSE": np.sqrt(weights @ (spend - actual) ** 2 / n),
        "deviance": weights @ _compute_deviances(spend, actual) / n,
        "churn_log_loss": weights @ standard_measures.compute_log_losses(churn, actual == 0) / n,
    }


def _compute_deviances(forecast: Float64, actual: Float64) -> Float64:
    """Each customer's part of `compute_deviance`: its mean is the measure."""
    mean = np.maximum(forecast, _LEAST_FORECAST)
    return np.asarray(4.0 * (np.sqrt(mean) - 2.0 * np.sqrt(actual) + actual / np.sqrt(mean)))


def _weighted_gini(ranking: Float64, actual: Float64, weights: Float64) -> Float64:
    """G of `measures.normalised_gini`, with customers repeated.

    A group of w customers tied at C before it and holding a adds w C + a (w + 1) / 2 to the sum of
    C_k.
    """
    weight, held = _by_group(-ranking, weights), _by_group(-ranking, weights * actual)
    before = np.cumsum(held, axis=1) - held
    captured = (weight * before + held * (weight + 1.0) / 2.0).sum(axis=1)
    return np.asarray(2.0 * captured / (weights.sum(axis=1) * held.sum(axis=1)) - 1.0)


def _weighted_spearman(left: Float64, right: Float64, weights: Float64) -> Float64:
    ranks = [_weighted_ranks(values, weights) for values in (left, right)]
    n = weights.sum(axis=1)
    middle = (n[:, None] + 1.0) / 2.0
    a, b = (rank - middle for rank in ranks)
    product = (weights * a * b).sum(axis=1)
    spread = (weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1)
    return np.asarray(product / np.sqrt(spread))


def _weighted_ranks(values: Float64, weights: Float64) -> Float64:
    weight = _by_group(values, weights)
    rank = np.cumsum(weight, axis=1) - weight + (weight + 1.0) / 2.0
    return rank[:, np.unique(values, return_inverse=True)[1]]


def _by_group(values: Float64, weights: Float64) -> Float64:
    """Sums of `weights` over customers with equal values, groups ascending: resamples x groups."""
    order = np.argsort(values, kind="stable")
    first = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    return np.add.reduceat(weights[:, order], first, axis=1)


def _array(forecast: pd.DataFrame, name: str) -> Any:
    return forecast[name].to_numpy(dtype=np.float64)
