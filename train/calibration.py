"""Calibration: log-odds -> probabilities that mean what they say, learned on customers left out."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from ..features.table import FeatureRows
from .boosting import grow_churn_trees
from .frame import TrainingFrame

__all__ = ["fit_calibration", "left_out_log_odds"]

Float64 = npt.NDArray[np.float64]
_FOLDS = 3
_LEAST_SIDE = 5.0  # pseudo-rows of the overall rate at either end: no probability is 0 or 1


def left_out_log_odds(frame: TrainingFrame, seed: int) -> Float64:
    """Churn log-odds of every training row, from trees that never saw that customer: n_rows."""
    inputs = frame.rows.columns(frame.features)
    fold = _customer_folds(frame.rows)
    log_odds = np.zeros(frame.rows.n_rows)
    for held_out in range(_FOLDS):
        learn, predict = fold != held_out, fold == held_out
        trees = grow_churn_trees(
            inputs[learn],
            frame.targets.churned[learn],
            frame.weights[learn],
            frame.features,
            seed,
        )
        if predict.any():
            log_odds[predict] = trees.predict(inputs[predict])
    return log_odds


def _customer_folds(rows: FeatureRows) -> npt.NDArray[np.int64]:
    """A fold per row, by a hash of its customer id: no matter who else is there."""
    hashed = [zlib.crc32(customer_id.encode()) for customer_id in rows.customer_ids.to_pylist()]
    return (np.array(hashed, dtype=np.int64) % _FOLDS)[rows.customer_index]


def fit_calibration(
    log_odds: Float64, churned: npt.NDArray[np.bool_], weights: Float64
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Isotonic regression of what happened on log-odds: its corners, as log-odds and probabilities."""
    rate = float(np.average(churned, weights=weights))
    low, high = log_odds.min() - 1.0, log_odds.max() + 1.0
    isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    isotonic.fit(
        np.concatenate((log_odds, [low, high])),
        np.concatenate((churned, [rate, rate])),
        sample_weight=np.concatenate((weights, [_LEAST_SIDE, _LEAST_SIDE])),
    )
    corners, probabilities = isotonic.X_thresholds_, isotonic.y_thresholds_
    return tuple(map(float, corners)), tuple(map(float, probabilities))
