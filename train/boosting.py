"""Boosting: the trees of a model's three heads, grown the same way twice on the same rows.

churn    log-odds of no order in the first prediction window
ordered  log of mean spend of those who order, beyond what BTYD expects of them
spend    log of mean spend of everybody, beyond the customer's own order value

and `later`, log of mean spend in later periods beyond BTYD's (`train.later_trees`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from lightgbm.engine import train as train_lightgbm

from ..configs.schema import ModelConfig
from ..errors import ConfigError
from ..features.table import FeatureRows
from ..models.blend import (
    HEADS,
    LATER,
    BtydViews,
    Heads,
    compute_churn_start,
    compute_spend_start,
    predict_heads,
)
from ..models.parameters import Blend
from ..models.trees.lightgbm_trees import Trees
from ..orders.columns import Float32, Float64, Int64, Mask
from .customer_sampling import hash_customer_ids
from .side_by_side import run_side_by_side

__all__ = [
    "Examples",
    "grow_later_trees",
    "list_tree_parameters",
    "predict_out_of_fold",
    "split_folds",
    "train_boosters",
]

# Shallow, strongly shrunken trees: deeper ones ranked worse on shops of a few thousand customers.
_PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_iterations": 100,
    "num_leaves": 7,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "deterministic": True,
    "force_col_wise": True,  # a tree reads only the columns it may use
    "verbose": -1,
}
_TWEEDIE = {"objective": "tweedie", "tweedie_variance_power": 1.5}
_LEAST_LEAF = 20
_HEADS_BY_ROWS = (("churn", "spend"), ("ordered",))  # of everybody, and of who ordered
_FOLDS = 2
_FOLD_KEY = b"clvcast folds"  # a shop's own sample by a common hash must not be a single fold


@dataclass(frozen=True)
class Examples:
    """What trees learn from, arrays of n_rows."""

    inputs: Float32  # n_rows x n_features
    features: tuple[str, ...]
    churned: Mask
    spend: Float64  # max(spend, 0) of the first period
    weights: Float64
    churn_start: Float64  # log-odds, where the trees of churn start; zeros: at the mean
    ordered_start: Float64  # logs, where the ordered head's trees start
    spend_start: Float64

    @classmethod
    def of(
        cls,
        rows: FeatureRows,
        features: tuple[str, ...],
        churned: Mask,
        spend: Float64,
        weights: Float64,
        blend: Blend,
        btyd: BtydViews,
    ) -> Examples:
        """Feature rows with their outcomes, and the starts that `models.blend` will use."""
        return cls(
            rows.columns(features),
            features,
            churned,
            spend,
            weights,
            compute_churn_start(blend, btyd),
            btyd.log_spend_if_ordered,
            compute_spend_start(rows, blend, btyd),
        )

    def where(self, keep: Mask) -> Examples:
        """Some rows."""
        return Examples(
            self.inputs[keep],
            self.features,
            self.churned[keep],
            self.spend[keep],
            self.weights[keep],
            self.churn_start[keep],
            self.ordered_start[keep],
            self.spend_start[keep],
        )


def train_boosters(
    examples: Examples,
    model: ModelConfig,
    seeds: range,
    progress: Callable[[str], None] = lambda _: None,
    most: int | None = None,
) -> dict[str, tuple[Trees, ...]]:
    """The trees of every head, one booster per seed; `progress` hears of each.

    They are grown side by side, `most` at a time (default: one per core), each booster by one
    thread.
    """
    heads: dict[str, list[Trees]] = {head: [] for head in HEADS}
    tasks = [(seed, of_rows) for seed in seeds for of_rows in _HEADS_BY_ROWS]
    for grown in run_side_by_side(lambda task: _grow_heads(examples, model, *task), tasks, most):
        for head, trees in grown.items():
            heads[head].append(trees)
            progress(head)
    return {head: tuple(trees) for head, trees in heads.items()}


def _grow_heads(
    examples: Examples, model: ModelConfig, seed: int, heads: Sequence[str]
) -> dict[str, Trees]:
    """The trees of some heads from one seed; those heads learn from the same rows."""
    grown: dict[str, Trees] = {}
    data: lightgbm.Dataset | None = None
    for head in heads:
        lesson = _Lesson.of(head, examples)
        if data is None or model.monotone:  # which way is part of what is binned
            data = lesson.dataset()
        else:
            data.set_label(lesson.target).set_init_score(lesson.start)
        grown[head] = _fit_trees(lesson.parameters(head, model, seed), data, model)
    return grown


@dataclass(frozen=True)
class _Lesson:
    """What one head learns: its rows, their outcome, and where its trees start."""

    examples: Examples
    target: Float64
    start: Float64 | None  # None: at the mean
    objective: Mapping[str, Any]

    @classmethod
    def of(cls, head: str, examples: Examples) -> _Lesson:
        if head == "churn":
            start = examples.churn_start if examples.churn_start.any() else None
            churned = examples.churned.astype(np.float64)
            return cls(examples, churned, start, {"objective": "binary"})
        if head == "spend":
            return cls(examples, examples.spend, examples.spend_start, _TWEEDIE)
        # nearly gamma, and unlike gamma it allows the zero of an order that all came back
        power = {"objective": "tweedie", "tweedie_variance_power": 1.9}
        examples = examples.where(~examples.churned)
        return cls(examples, examples.spend, examples.ordered_start, power)

    def parameters(self, head: str, model: ModelConfig, seed: int) -> dict[str, Any]:
        features = self.examples.features
        return _choose_parameters(head, self.objective, len(self.target), features, model, seed)

    def dataset(self) -> lightgbm.Dataset:
        return lightgbm.Dataset(
            self.examples.inputs,
            self.target,
            weight=self.examples.weights,
            init_score=self.start,
            feature_name=list(self.examples.features),
        )


def grow_later_trees(
    inputs: Float32,
    features: tuple[str, ...],
    spend: Float64,
    start: Float64,
    weights: Float64,
    model: ModelConfig,
    seed: int,
) -> Trees:
    """Trees of the head of later spend, from rows with their spend and the logs they start at."""
    parameters = _choose_parameters(LATER, _TWEEDIE, len(spend), features, model, seed)
    data = lightgbm.Dataset(
        inputs, spend, weight=weights, init_score=start, feature_name=list(features)
    )
    return _fit_trees(parameters, data, model)


def _choose_parameters(
    head: str,
    objective: Mapping[str, Any],
    n_rows: int,
    features: tuple[str, ...],
    model: ModelConfig,
    seed: int,
) -> dict[str, Any]:
    parameters = _PARAMETERS | {
        **objective,
        # of several, even "deterministic", sums depend on how many there are; and they wait for
        # each other as long as they work where rows are few
        "num_threads": 1,
        "seed": seed,
        "min_data_in_leaf": max(_LEAST_LEAF, n_rows // 200),
        **model.parameters,
    }
    if model.monotone:
        parameters["monotone_constraints"] = [
            _get_direction(head, model.monotone.get(name, 0)) for name in features
        ]
    return parameters


def list_tree_parameters(replaced: Mapping[str, Any]) -> dict[str, Any]:
    """LightGBM's parameters that all heads share: the defaults, and those that replace some."""
    return _PARAMETERS | dict(replaced)


def _fit_trees(parameters: dict[str, Any], data: lightgbm.Dataset, model: ModelConfig) -> Trees:
    try:
        # not `lightgbm.train`, which MLflow's autologging replaces: it would log each booster
        return Trees.from_booster(train_lightgbm(parameters, data))
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        if not model.parameters:
            raise
        raise ConfigError(f"LightGBM refuses model.parameters: {error}") from None


def _get_direction(head: str, of_spend: int) -> int:
    """What raises spend lowers churn."""
    return -of_spend if head == "churn" else of_spend


def predict_out_of_fold(
    examples: Examples,
    rows: FeatureRows,
    blend: Blend,
    views: Sequence[tuple[FeatureRows, BtydViews]],
    model: ModelConfig,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Heads]:
    """The heads of each of `views`, from one seed grown on the other half of the customers.

    `rows` are those of the examples.
    """
    fold = split_folds(rows)
    folds = [split_folds(each) for each, _ in views]
    heads_by_row = [np.zeros((3, each.n_rows)) for each, _ in views]

    def train_without(held_out: int) -> dict[str, tuple[Trees, ...]]:
        learn = fold != held_out
        if not _can_teach(examples, learn):  # where the other half teaches nothing, everybody does
            learn = np.ones(rows.n_rows, dtype=bool)
        return train_boosters(examples.where(learn), model, range(seed, seed + 1))

    for held_out, trees in enumerate(run_side_by_side(train_without, range(_FOLDS))):
        for head in trees:
            progress(head)
        for (each, btyd), row_folds, values in zip(views, folds, heads_by_row, strict=True):
            keep = row_folds == held_out
            if keep.any():
                heads = predict_heads(
                    trees, examples.features, blend, each.where(keep), btyd.where(keep)
                )
                values[:, keep] = heads.churn_log_odds, heads.spend_if_ordered, heads.spend
    return [Heads(*values) for values in heads_by_row]


def split_folds(rows: FeatureRows) -> Int64:
    """Which half of the customers each row is of, by a hash of the id: n_rows."""
    folds = hash_customer_ids(rows.customer_ids, _FOLD_KEY, n_bytes=1) % _FOLDS
    return np.asarray(folds[rows.customer_index])


def _can_teach(examples: Examples, learn: Mask) -> bool:
    """Whether rows show customers who spent, and any who did not order."""
    churned = examples.churned[learn]
    return bool(churned.any() and examples.spend[learn][~churned].sum() > 0)
