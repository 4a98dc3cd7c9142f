"""Flat trees: LightGBM's trees as arrays, evaluated to the last bit as LightGBM does.

A row's leaf is found without branches (QuickScorer; Lucchese et al. 2015): leaves are numbered from
left to right, every node whose answer is "right" strikes out the leaves to its left, and the first
leaf left over is the row's. A node's answers for a block of rows are one vector comparison.

LightGBM compares in double precision, after making values up to 1e-35 zero; inputs here are
float32. So a threshold is rounded down to the float32 below it and moved past those values, which
changes no answer. Leaves are added tree by tree, in LightGBM's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ...orders.columns import Float32, Float64, Int32, Mask

__all__ = ["FlatTrees"]

_BLOCK = 64  # rows at a time: their inputs stay in the processor's first cache
_FEW = 4  # rows for which it is faster to walk from the root
_MOST_MARKED = 32  # leaves of a tree that a mask can hold; larger trees are walked
_ZERO = np.float32(1e-35)  # LightGBM's kZeroThreshold
_DEFAULT_LEFT, _MISSING_IS_NAN = 2, 8  # bits of decision_type
_compiled = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)
_inner = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
# position of the lowest bit of a 32-bit word: table[(bit * number) >> 27]
_DE_BRUIJN = 0x077CB531
_POSITIONS = np.zeros(32, dtype=np.uint8)
for _bit in range(32):
    _POSITIONS[((1 << _bit) * _DE_BRUIJN & 0xFFFFFFFF) >> 27] = _bit


@dataclass(frozen=True, eq=False)
class FlatTrees:
    """Trees of one model or several, one after the other. Nodes of tree `t` are `nodes[t]:nodes[t +
    1]` of the arrays, its leaves `leaves[t]:leaves[t + 1]`; the trees of model `m` are
    `models[m]:models[m + 1]`.
    """

    nodes: Int32
    leaves: Int32
    models: Int32
    arrays: _Arrays

    @classmethod
    def of(cls, text: str) -> FlatTrees:
        """From LightGBM's text, whose structure `check_trees` proves; no splits by category."""
        trees = [_Arrays.of_tree(part) for part in text.split("\nTree=")[1:]]
        return cls(
            _compute_offsets([len(tree.feature) for tree in trees]),
            _compute_offsets([len(tree.value) for tree in trees]),
            _compute_offsets([len(trees)]),
            _Arrays.concatenate(trees),
        )

    @classmethod
    def together(cls, parts: Sequence[FlatTrees]) -> FlatTrees:
        """Several models, for inputs that all of them read."""

        def offsets(each: list[Int32]) -> Int32:
            return _compute_offsets([n for edges in each for n in np.diff(edges).tolist()])

        return cls(
            offsets([part.nodes for part in parts]),
            offsets([part.leaves for part in parts]),
            offsets([part.models for part in parts]),
            _Arrays.concatenate([part.arrays for part in parts]),
        )

    def sums(self, inputs: Float32) -> Float64:
        """Each model's sum of leaves: float64, n_models x n_rows, from n_rows x n_features."""
        arrays = self.arrays
        sums = np.zeros((len(self.models) - 1, len(inputs)))
        columns = np.empty((inputs.shape[1], _BLOCK), dtype=np.float32)
        marks = np.empty(_BLOCK, dtype=np.uint32)
        _add_leaves(
            np.ascontiguousarray(inputs, dtype=np.float32), self.nodes, self.leaves,
            arrays.feature, arrays.threshold, arrays.nan_goes_left, arrays.left, arrays.right,
            arrays.kept, arrays.value, self.models, _POSITIONS, columns, marks, sums,
        )  # fmt: skip
        return sums


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Nodes and leaves of some trees; a child is a node, counted from its root, or -1 - leaf."""

    feature: Int32
    threshold: Float32
    nan_goes_left: Mask
    left: Int32
    right: Int32
    kept: npt.NDArray[np.uint32]  # leaves that are left over when the answer is "right"
    value: Float64  # of leaves, from left to right

    @classmethod
    def concatenate(cls, parts: Sequence[_Arrays]) -> _Arrays:
        """One after the other."""
        return cls(
            np.concatenate([part.feature for part in parts]),
            np.concatenate([part.threshold for part in parts]),
            np.concatenate([part.nan_goes_left for part in parts]),
            np.concatenate([part.left for part in parts]),
            np.concatenate([part.right for part in parts]),
            np.concatenate([part.kept for part in parts]),
            np.concatenate([part.value for part in parts]),
        )

    @classmethod
    def of_tree(cls, part: str) -> _Arrays:
        """One tree, from its lines."""
        lines = dict(line.split("=", 1) for line in part.split("\n")[1:] if "=" in line)
        values = _parse_numbers(lines["leaf_value"], np.float64)
        has_nodes = int(lines["num_leaves"]) > 1

        def nodes(name: str, kind: type) -> npt.NDArray[Any]:
            return _parse_numbers(lines[name] if has_nodes else "", kind)

        exact = nodes("threshold", np.float64)
        decision = nodes("decision_type", np.int32)
        left, right = nodes("left_child", np.int32), nodes("right_child", np.int32)
        place, struck = _order_leaves(left.tolist(), right.tolist())
        in_order = np.empty_like(values)
        in_order[place] = values
        return cls(
            nodes("split_feature", np.int32),
            _round_down(exact),
            np.where(decision & _MISSING_IS_NAN, (decision & _DEFAULT_LEFT) != 0, exact >= 0.0),
            _renumber(left, place),
            _renumber(right, place),
            np.array([~mask & 0xFFFFFFFF for mask in struck], dtype=np.uint32),
            in_order,
        )


def _renumber(children: Int32, place: list[int]) -> Int32:
    """Children whose leaves are numbered from left to right."""
    leaf = -1 - np.minimum(children, -1)
    return np.where(children < 0, -1 - np.array(place)[leaf], children).astype(np.int32)


def _compute_offsets(counts: list[int]) -> Int32:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int32)


def _parse_numbers(text: str, kind: type) -> npt.NDArray[Any]:
    return np.array(text.split(" ") if text else [], dtype=np.float64).astype(kind)


def _round_down(exact: Float64) -> Float32:
    """The largest float32 not above each threshold, and outside the values that count as zero."""
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float32)
    rounded = np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    below = np.nextafter(-_ZERO, np.float32(-np.inf))
    return np.where(exact >= 0.0, np.maximum(rounded, _ZERO), np.minimum(rounded, below))


def _order_leaves(left: list[int], right: list[int]) -> tuple[list[int], list[int]]:
    """Each leaf's place from left to right; per node the leaves below its left child, as bits."""
    place = [0] * (len(left) + 1)
    struck = [0] * len(left)
    n_seen = 0
    waiting = [(0 if left else -1, False)]
    begins: dict[int, int] = {}
    while waiting:  # no recursion: a tree may be as deep as it has leaves
        node, is_between = waiting.pop()
        if node < 0:
            place[-1 - node] = n_seen
            n_seen += 1
        elif is_between:
            first = begins.pop(node)
            struck[node] = (1 << min(n_seen, _MOST_MARKED)) - (1 << min(first, _MOST_MARKED))
        else:
            begins[node] = n_seen
            waiting += [(right[node], False), (node, True), (left[node], False)]
    return place, struck


@_inner
def _walk(row, first, feature, threshold, nan_goes_left, left, right):
    """The leaf of one row in the tree whose nodes begin at `first`."""
    node = 0
    while node >= 0:
        at = first + node
        value = row[feature[at]]
        is_left = nan_goes_left[at] if np.isnan(value) else value <= threshold[at]
        node = left[at] if is_left else right[at]
    return -1 - node


@_compiled
def _add_leaves(
    inputs, nodes, leaves, feature, threshold, nan_goes_left, left, right, kept, value, models,
    positions, columns, marks, out,
):  # fmt: skip
    n_rows, n_features = inputs.shape
    every = np.uint32(0xFFFFFFFF)
    for low in range(0, n_rows, _BLOCK):
        n = min(_BLOCK, n_rows - low)
        if n >= _FEW:
            for k in range(n):
                for column in range(n_features):
                    columns[column, k] = inputs[low + k, column]
        for model in range(len(models) - 1):
            sums = out[model, low : low + n]
            for tree in range(models[model], models[model + 1]):
                first, last, base = nodes[tree], nodes[tree + 1], leaves[tree]
                if n < _FEW or last - first >= _MOST_MARKED:
                    for k in range(n):
                        leaf = 0
                        if last > first:
                            leaf = _walk(
                                inputs[low + k],
                                first,
                                feature,
                                threshold,
                                nan_goes_left,
                                left,
                                right,
                            )
                        sums[k] += value[base + leaf]
                    continue
                for k in range(n):
                    marks[k] = every
                for node in range(first, last):
                    node_values, bound, rest = columns[feature[node]], threshold[node], kept[node]
                    if nan_goes_left[node]:
                        for k in range(n):
                            marks[k] &= rest if node_values[k] > bound else every
                    else:
                        for k in range(n):
                            marks[k] &= every if node_values[k] <= bound else rest
                for k in range(n):
                    lowest = marks[k] & (~marks[k] + np.uint32(1))
                    leaf = positions[np.uint32(lowest * np.uint32(_DE_BRUIJN)) >> np.uint32(27)]
                    sums[k] += value[base + leaf]
