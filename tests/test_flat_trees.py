"""Flat trees give LightGBM's numbers, to the last bit: for one row, few and many, whatever is in
them.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clvcast.models.trees.lightgbm_trees import Trees
from clvcast.models.trees.quick_scorer import FlatTrees

Float32 = npt.NDArray[np.float32]
TINY = np.array([0.0, -0.0, 1e-36, -1e-36, 1e-35, -1e-35, 2e-35, -2e-35], dtype=np.float32)


def inputs_of(random: np.random.Generator, n_rows: int) -> Float32:
    """Six features: numbers, numbers with gaps, counts, gaps and infinities, values about zero, few
    values.
    """
    found = random.normal(size=(n_rows, 6)).astype(np.float32)
    found[:, 1] = np.where(random.random(n_rows) < 0.3, np.nan, found[:, 1])
    found[:, 2] = random.integers(0, 4, n_rows)
    wild = random.random(n_rows)
    found[:, 3] = np.select(
        [wild < 0.2, wild < 0.3, wild < 0.4], [np.nan, np.inf, -np.inf], found[:, 3]
    )
    found[:, 4] = random.choice(np.append(TINY, [1.0, -1.0]), n_rows)
    found[:, 5] = random.choice([0.0, np.nan, 7.0], n_rows)
    return found


def grown(random: np.random.Generator, leaves: int, trees: int, depth: int = -1) -> Trees:
    inputs = inputs_of(random, 600)
    known = np.where(np.isfinite(inputs), inputs, 3.0)
    target = known @ random.normal(size=6) + 1e35 * known[:, 4] % 3 + random.normal(size=600)
    settings = {
        "num_leaves": leaves,
        "verbose": -1,
        "objective": "tweedie",
        "min_data_in_leaf": 1,
        "min_sum_hessian_in_leaf": 0.0,
        "num_threads": 1,
        "max_depth": depth,
        "min_data_in_bin": 1,
    }
    data = lightgbm.Dataset(inputs, np.maximum(target, 0.0))
    return Trees.from_booster(lightgbm.train(settings, data, trees))


def same(trees: Trees, inputs: Float32) -> None:
    expected = trees.booster.predict(inputs, raw_score=True, num_threads=1)
    assert trees.predict(inputs).tolist() == expected.tolist()


@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.sampled_from([2, 3, 7, 31, 32, 33, 34, 60]),
    st.sampled_from([1, 2, 3, 4, 5, 63, 64, 65, 200]),
)
def test_the_numbers_are_lightgbms(seed: int, leaves: int, n_rows: int) -> None:
    random = np.random.default_rng(seed)
    trees = grown(random, leaves, trees=5)
    same(trees, inputs_of(random, n_rows))


def test_thresholds_and_the_values_beside_them() -> None:
    """Doubles that no float32 equals, values about zero, and what lies next to each on
    either side.
    """
    random = np.random.default_rng(3)
    trees = grown(random, 31, trees=20)
    exact = np.concatenate(
        [
            np.array(line.split("=")[1].split(" "), float)
            for line in trees.text.split("\n")
            if line.startswith("threshold=")
        ]
    )
    with np.errstate(over="ignore"):
        near = exact.astype(np.float32)
    up, down = (np.nextafter(near, np.float32(end)) for end in (np.inf, -np.inf))
    for value in np.unique(np.concatenate((near, up, down, TINY, [np.nan, np.inf, -np.inf]))):
        inputs = inputs_of(random, 8)
        inputs[:, random.integers(6)] = value
        same(trees, inputs)


def test_trees_of_one_leaf_and_chains_as_deep_as_they_have_leaves() -> None:
    random = np.random.default_rng(5)
    inputs = np.arange(400, dtype=np.float32)[:, None]
    data = lightgbm.Dataset(inputs, np.full(400, 2.5))
    constant = Trees.from_booster(
        lightgbm.train({"verbose": -1, "objective": "tweedie", "boost_from_average": True}, data, 3)
    )
    same(constant, inputs)
    same(constant, inputs[:1])
    steep = lightgbm.Dataset(inputs, 1.05 ** np.arange(400.0))
    chain = lightgbm.train(
        {"verbose": -1, "objective": "tweedie", "num_leaves": 64, "min_data_in_leaf": 1}, steep, 4
    )
    same(Trees.from_booster(chain), inputs)
    assert np.isfinite(Trees.from_booster(chain).predict(inputs[random.integers(0, 400, 9)])).all()


def test_several_models_at_once_are_each_alone() -> None:
    random = np.random.default_rng(7)
    models = [grown(random, leaves, trees=4) for leaves in (2, 7, 40)]
    together = FlatTrees.together([own.flat for own in models])
    for n_rows in (1, 3, 130):
        inputs = inputs_of(random, n_rows)
        found = together.sums(inputs)
        assert found.shape == (3, n_rows)
        assert found.tolist() == [own.predict(inputs).tolist() for own in models]


def test_an_empty_table_has_no_sums() -> None:
    trees = grown(np.random.default_rng(1), 7, trees=2)
    assert trees.predict(np.empty((0, 6), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rows_may_be_laid_out_in_any_way(kind: Any) -> None:
    random = np.random.default_rng(2)
    trees = grown(random, 7, trees=3)
    inputs = inputs_of(random, 90)
    laid = np.asfortranarray(inputs).astype(kind)[::2]
    assert trees.predict(laid).tolist() == trees.predict(inputs[::2]).tolist()
