"""Measures: how good forecasts were, against what happened. Plain functions of two arrays.

Definitions are those of the project's benchmark: every customer counts, zeros kept; ties in a ranking
are averaged, so that no measure depends on the order of the rows.
"""

from __future__ import annotations

import numpy as np

from ..orders.columns import Float64, Int64, Mask

__all__ = [
    "auc",
    "bias",
    "calibration_error",
    "compute_log_losses",
    "coverage",
    "decile_mape",
    "log_loss",
    "mean_absolute_error",
    "normalised_gini",
    "root_mean_squared_error",
    "spearman",
]

_LEAST_PROBABILITY = 1e-6  # keeps one certain and wrong forecast from making the log loss infinite


def bias(forecast: Float64, actual: Float64) -> float:
    """Sum of forecasts / sum of actuals - 1; NaN where nothing was spent."""
    total = actual.sum()
    return float(forecast.sum() / total - 1.0) if total > 0 else float("nan")


def mean_absolute_error(forecast: Float64, actual: Float64) -> float:
    """MAE, in the unit of the input."""
    return float(np.abs(forecast - actual).mean())


def root_mean_squared_error(forecast: Float64, actual: Float64) -> float:
    """RMSE, in the unit of the input."""
    return float(np.sqrt(((forecast - actual) ** 2).mean()))


def normalised_gini(forecast: Float64, actual: Float64) -> float:
    """Ranking of money: G(forecast) / G(actual), 1 for a perfect ranking, 0 for a random one.

    Sorted by forecast, descending: C_k = share of all actual spend held by the first k customers,
    G = (2 / n) sum C_k - 1. Tied forecasts share their actuals evenly.
    """
    perfect = _gini(actual, actual)
    return _gini(forecast, actual) / perfect if perfect > 0 else float("nan")


def _gini(ranking: Float64, actual: Float64) -> float:
    total = actual.sum()
    if total <= 0:
        return float("nan")
    _, group = np.unique(-ranking, return_inverse=True)
    shared = np.bincount(group, weights=actual) / np.bincount(group)
    captured = np.cumsum(shared[np.sort(group)]) / total
    return float(2.0 * captured.mean() - 1.0)


def spearman(forecast: Float64, actual: Float64) -> float:
    """Rank correlation, ties averaged; NaN where either is constant."""
    left, right = _ranks(forecast), _ranks(actual)
    if left.std() == 0 or right.std() == 0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: Float64) -> Float64:
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2.0)[group]


def decile_mape(forecast: Float64, actual: Float64) -> float:
    """Decile MAPE: mean over ten equal groups by forecast of |mean forecast - mean actual| / mean actual.

    Groups without spend have no ratio and are left out.
    """
    parts = [(forecast[group].mean(), actual[group].mean()) for group in _equal_groups(forecast)]
    ratios = [abs(expected - mean) / mean for expected, mean in parts if mean > 0]
    return float(np.mean(ratios)) if ratios else float("nan")


def _equal_groups(forecast: Float64, groups: int = 10) -> list[Int64]:
    ranked = np.argsort(forecast, kind="stable")
    return [part for part in np.array_split(ranked, groups) if len(part)]


def auc(probability: Float64, happened: Mask) -> float:
    """Area under the ROC curve: the chance that an event ranks above a non-event, ties half."""
    events = int(happened.sum())
    others = len(happened) - events
    if not events or not others:
        return float("nan")
    rank_sum = _ranks(probability)[happened].sum()
    return float((rank_sum - events * (events + 1) / 2.0) / (events * others))


def log_loss(probability: Float64, happened: Mask) -> float:
    """Mean negative log likelihood in nats."""
    return float(compute_log_losses(probability, happened).mean())


def compute_log_losses(probability: Float64, happened: Mask) -> Float64:
    """Each row's negative log likelihood in nats."""
    clipped = np.clip(probability, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
    return np.asarray(-np.log(np.where(happened, clipped, 1.0 - clipped)))


def coverage(lower: Float64, upper: Float64, actual: Float64) -> float:
    """The share of actuals inside their interval, the ends included."""
    return float(np.mean((lower <= actual) & (actual <= upper)))


def calibration_error(probability: Float64, happened: Mask) -> float:
    """ECE: mean over ten equal groups by probability of |mean probability - share that happened|."""
    groups = _equal_groups(probability)
    gaps = [abs(probability[g].mean() - happened[g].mean()) * len(g) for g in groups]
    return float(np.sum(gaps) / len(probability))
