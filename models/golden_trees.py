"""Golden trees: what each file of trees gives for invented inputs that reach its leaves.

Golden customers reach few leaves. So a bundle also keeps, per feature, values at which its trees
split, and the sum of leaves over rows that combine these values at random: a threshold, the value
after it, zero, or missing. `make fuzz` counts the changes of trees that this does not notice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, FiniteFloat

from ..errors import BundleError
from ..orders.columns import Float32, Float64
from .trees.lightgbm_trees import Trees

__all__ = ["GoldenTrees", "build_golden_trees", "check_golden_trees"]

_ROWS = 8_192  # of 56 changes that `make fuzz` made, 4,096 missed one
_SUMMED = 128  # rows: one number in the bundle
_MOST_VALUES = 64  # of a feature
_TOLERANCE = 1e-9  # relative, as for golden rows

AllTrees = Mapping[str, Sequence[Trees]]  # head -> a file of trees per seed


class GoldenTrees(BaseModel):
    """Inputs and sums, as golden.json holds them."""

    model_config = ConfigDict(extra="forbid")

    inputs: list[list[FiniteFloat]]  # of each feature: some of the trees' thresholds, ascending
    sums: dict[str, list[FiniteFloat]]  # file of trees -> sums of leaves, by 128 rows


def build_golden_trees(trees: AllTrees, n_features: int) -> GoldenTrees:
    """The inputs that the trees' thresholds give, and the sums there."""
    splits = [every.flat.arrays for seeds in trees.values() for every in seeds]
    feature = np.concatenate([np.empty(0, np.int32), *(arrays.feature for arrays in splits)])
    threshold = np.concatenate([np.empty(0, np.float32), *(a.threshold for a in splits)])
    inputs = []
    for k in range(n_features):
        values = np.unique(threshold[(feature == k) & np.isfinite(threshold)])
        if len(values) > _MOST_VALUES:
            values = values[np.linspace(0, len(values) - 1, _MOST_VALUES).round().astype(int)]
        inputs.append(values.astype(np.float64).tolist())
    return GoldenTrees(inputs=inputs, sums=_sum_leaves(trees, _combine(inputs)))


def check_golden_trees(trees: AllTrees, n_features: int, expected: GoldenTrees) -> None:
    """Raise `BundleError` if a file of trees gives other sums than when it was saved."""
    n_values = max(map(len, expected.inputs), default=0)
    names = {f"{head}-{seed}.txt" for head, seeds in trees.items() for seed in range(len(seeds))}
    is_known = len(expected.inputs) == n_features and names == expected.sums.keys()
    if not is_known or n_values > _MOST_VALUES:
        raise BundleError("the bundle's golden trees are not the ones this version knows")
    found = _sum_leaves(trees, _combine(expected.inputs))
    for name, sums in found.items():
        values = expected.sums[name]
        if len(values) != len(sums) or not all(map(_is_close, sums, values)):
            raise BundleError(
                f"the bundle's {name} gives other sums on its golden rows than when it was saved"
            )


def _is_close(found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=_TOLERANCE)


def _sum_leaves(trees: AllTrees, rows: Float32) -> dict[str, list[float]]:
    sums: dict[str, list[float]] = {}
    for head, seeds in trees.items():
        for seed, every in enumerate(seeds):
            leaves: Float64 = every.predict(rows)
            sums[f"{head}-{seed}.txt"] = leaves.reshape(-1, _SUMMED).sum(axis=1).tolist()
    return sums


def _combine(inputs: Sequence[Sequence[float]]) -> Float32:
    """Rows of values drawn by a hash of row and feature: the same with every version of numpy."""
    numbers = np.arange(_ROWS * len(inputs), dtype=np.uint64).reshape(_ROWS, len(inputs))
    draws = _mix(numbers)
    rows = np.empty(numbers.shape, dtype=np.float32)
    for k, values in enumerate(inputs):
        at = np.array(values, dtype=np.float32)
        after = np.nextafter(at, np.float32(np.inf))
        choices = np.concatenate((at, after, np.array([0.0, np.nan], dtype=np.float32)))
        rows[:, k] = choices[(draws[:, k] % np.uint64(len(choices))).astype(np.int64)]
    return rows


def _mix(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64: whole numbers in, well-mixed ones out."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E37_79B9_7F4A_7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return mixed ^ (mixed >> np.uint64(31))
