"""Trees are a function of rows and seed: not of threads, nor of what is grown beside them."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from clvcast.configs.schema import ModelConfig
from clvcast.models.blend import HEADS
from clvcast.models.trees.lightgbm_trees import Trees
from clvcast.train import boosting
from clvcast.train.boosting import Examples, grow_later_trees, train_boosters
from clvcast.train.side_by_side import run_side_by_side

NAMES = tuple(f"feature {k}" for k in range(12))
SHORT = ModelConfig(parameters={"num_iterations": 20})


def make_examples(n_rows: int) -> Examples:
    """Dense features, and some that are nearly always zero."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(n_rows, 12)).astype(np.float32)
    inputs[:, 6:] *= random.random((n_rows, 6)) < 0.03
    churned = random.random(n_rows) < 0.6
    spend = np.where(churned, 0.0, np.exp(inputs[:, 0] + inputs[:, 7]).astype(np.float64))
    zeros = np.zeros(n_rows)
    return Examples(inputs, NAMES, churned, spend, np.ones(n_rows), zeros, zeros, zeros)


def test_heads_grown_side_by_side_are_those_grown_alone() -> None:
    examples = make_examples(3_000)
    together = train_boosters(examples, SHORT, range(3))
    assert list(together) == list(HEADS)
    for head in HEADS:
        alone = [boosting._grow_heads(examples, SHORT, seed, (head,))[head] for seed in range(3)]
        assert together[head] == tuple(alone)
        assert len({trees.text for trees in alone}) == 3


def test_trees_do_not_depend_on_the_number_of_threads() -> None:
    """On rows of such weights, LightGBM's own threads grow other trees than one of them."""
    rows, random = make_examples(20_000), np.random.default_rng(1)
    spend = rows.spend * np.exp(3.0 * random.normal(size=20_000))
    weights = np.exp(3.0 * random.normal(size=20_000))

    def grow(_: int) -> Trees:
        return grow_later_trees(rows.inputs, NAMES, spend, rows.spend_start, weights, SHORT, 1)

    with threadpool_limits(1, "openmp"):
        alone = grow(0)
    assert list(run_side_by_side(grow, range(4), most=4)) == [alone] * 4
