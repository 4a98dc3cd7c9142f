"""Later trees: who spends more in later periods, or less, than BTYD expects.

Each cutoff's and period's realised total is scaled to BTYD's, so that trees learn how a total is
shared among customers: a growing shop or a strong season passes for nobody's habit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..configs.schema import ModelConfig
from ..features.table import FeatureRows
from ..models.later_spend import LEAST_SPEND, predict_later_parts
from ..models.parameters import Blend
from ..models.trees.lightgbm_trees import Trees
from ..orders.columns import Float32, Float64, Mask
from .boosting import grow_later_trees, split_folds
from .later_frame import LaterFrame
from .side_by_side import run_side_by_side

__all__ = [
    "LaterExamples",
    "build_later_examples",
    "predict_later_out_of_fold",
    "train_later_trees",
]

_HALF_LIFE_SPANS = 2.0  # a cutoff so many spans older than another weighs half


@dataclass(frozen=True)
class LaterExamples:
    """What later trees learn from, arrays of n_rows of the frame."""

    inputs: Float32  # n_rows x n_features
    spend: Float64  # of the realised later periods, at BTYD's totals
    start: Float64  # log of what BTYD expects of them
    weights: Float64
    usable: Mask  # rows with anything to learn
    features: tuple[str, ...]

    @property
    def teaches(self) -> bool:
        """Whether anybody spent anything."""
        return bool(self.spend[self.usable].sum() > 0)


def build_later_examples(
    frame: LaterFrame, features: tuple[str, ...], blend: Blend
) -> LaterExamples:
    """The frame's rows with the outcome that trees learn."""
    nothing = np.zeros(frame.rows.n_rows)
    expected = predict_later_parts(
        blend, frame.btyd, nothing, frame.horizon_days, frame.periods
    ).btyd
    actual = np.nan_to_num(frame.spend[:, 1:])
    sums, sums_expected = frame.sum_by_cutoff(actual), frame.sum_by_cutoff(expected)
    is_known = np.isfinite(frame.shop_totals[:, 1:]) & (sums > 0) & (sums_expected > 0)
    scale = np.divide(sums_expected, sums, out=np.zeros_like(sums), where=is_known)
    at = frame.rows.cutoff_index
    spend = (actual * scale[at]).sum(axis=1)
    total = np.where(is_known[at], expected, 0.0).sum(axis=1)
    span_days = frame.periods * frame.horizon_days
    weights = is_known.mean(axis=1) * 0.5 ** (frame.ages / (_HALF_LIFE_SPANS * span_days))
    return LaterExamples(
        frame.rows.columns(features),
        spend,
        np.log(np.maximum(total, LEAST_SPEND)),
        weights[at],
        np.asarray(is_known.any(axis=1))[at],
        features,
    )


def predict_later_out_of_fold(
    examples: LaterExamples, rows: FeatureRows, model: ModelConfig, seed: int
) -> Float64:
    """Each row's factor from trees grown on the other half of the customers; 1: nothing learned."""
    fold = split_folds(rows)

    def learn_without(held_out: int) -> Float64:
        out = fold == held_out
        if not examples.spend[examples.usable & ~out].sum() > 0:
            return np.ones(np.count_nonzero(out))
        (trees,) = train_later_trees(examples, model, range(seed, seed + 1), ~out)
        return np.exp(trees.predict(examples.inputs[out]))

    folds = np.unique(fold).tolist()
    factors = np.ones(rows.n_rows)
    for held_out, learned in zip(folds, run_side_by_side(learn_without, folds), strict=True):
        factors[fold == held_out] = learned
    return factors


def train_later_trees(
    examples: LaterExamples,
    model: ModelConfig,
    seeds: range,
    learn: Mask | None = None,
    most: int | None = None,
) -> tuple[Trees, ...]:
    """One booster per seed, from the rows marked in `learn` (all by default), `most` at a time."""
    keep = examples.usable if learn is None else examples.usable & learn
    inputs = examples.inputs[keep]
    spend, start, weights = (
        part[keep] for part in (examples.spend, examples.start, examples.weights)
    )

    def grow_seed(seed: int) -> Trees:
        return grow_later_trees(inputs, examples.features, spend, start, weights, model, seed)

    return tuple(run_side_by_side(grow_seed, seeds, most))
