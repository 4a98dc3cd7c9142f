"""The structure of LightGBM's tree text, checked in Python before LightGBM reads it.

Its parser aborts, or loops for ever, on a child or feature index out of range, a cycle, or a count
that does not fit. Checked here: the header, the size of every tree, and that its nodes form one tree.
"""

from __future__ import annotations

import re

import numpy as np

from ..errors import BundleError

__all__ = ["check_trees"]

_MOST_LEAVES = 100_000
_PER_NODE = (
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
)
_PER_LEAF = ("leaf_value", "leaf_weight", "leaf_count")


def check_trees(text: str, features: tuple[str, ...], name: str) -> None:
    """Raise `BundleError` unless `text` is a well-formed model of trees on these features."""

    def refuse(why: str) -> BundleError:
        return BundleError(f"the bundle's {name} is malformed: {why}; fetch it again")

    head, _, rest = text.partition("\nTree=0\n")
    header = _keys(head)
    if header.get("feature_names", "").split(" ") != list(features):
        raise refuse("its trees were grown on other features than the bundle lists")
    if (header.get("num_class"), header.get("num_tree_per_iteration")) != ("1", "1"):
        raise refuse("it must have one class and one tree an iteration")
    if header.get("max_feature_idx") != str(len(features) - 1):
        raise refuse("max_feature_idx does not fit its features")
    if not rest or not text.endswith("end of trees\n"):
        raise refuse("it has no trees, or no end")
    body = "Tree=0\n" + rest[: -len("end of trees\n")]
    sizes = _integers(header.get("tree_sizes", ""))
    if sizes is None or sizes.min(initial=1) < 1 or int(sizes.sum()) != len(body.encode()):
        raise refuse("tree_sizes do not add up to its trees")
    ends = np.cumsum(sizes)
    for number, (low, high) in enumerate(zip(ends - sizes, ends, strict=True)):
        tree = body[low:high]
        if not tree.startswith(f"Tree={number}\n"):
            raise refuse(f"tree {number} does not begin where tree_sizes says")
        why = _fault(_keys(tree), len(features))
        if why:
            raise refuse(f"tree {number}: {why}")


def _fault(keys: dict[str, str], n_features: int) -> str | None:
    """What is wrong with one tree, or None."""
    if not re.fullmatch(r"\d{1,6}", keys.get("num_leaves", "")) or keys.get("num_cat") != "0":
        return "num_leaves or num_cat is none"
    leaves = int(keys["num_leaves"])
    if not 1 <= leaves <= _MOST_LEAVES:
        return "num_leaves is out of range"
    if leaves == 1:
        return None if _count(keys.get("leaf_value", "")) == 1 else "it has no leaf"
    for names, expected in ((_PER_NODE, leaves - 1), (_PER_LEAF, leaves)):
        for name in names:
            # a split of missing from all present values has the threshold inf
            if _count(keys.get(name, ""), infinite=name == "threshold") != expected:
                return f"{name} must have {expected} numbers"
    decisions = _integers(keys["decision_type"])
    if decisions is None or (decisions % 2 != 0).any() or keys.get("is_linear") != "0":
        return "it splits by category or is linear, which ours never do"
    split = _integers(keys["split_feature"])
    left, right = _integers(keys["left_child"]), _integers(keys["right_child"])
    if split is None or left is None or right is None:
        return "an index is no whole number"
    if split.min() < 0 or split.max() >= n_features:
        return "split_feature is out of range"
    # a tree: every node but the root, and every leaf (-1 - leaf), is a child exactly once,
    # and a parent stands before its child, so there is no cycle
    children = np.concatenate((left, right))
    expected_children = np.concatenate((np.arange(1, leaves - 1), -1 - np.arange(leaves)))
    if not np.array_equal(np.sort(children), np.sort(expected_children)):
        return "its nodes do not form a tree"
    parents = np.tile(np.arange(leaves - 1), 2)
    if (children[children > 0] <= parents[children > 0]).any():
        return "its nodes form a cycle"
    return None


def _keys(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _integers(text: str) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    if not re.fullmatch(r"-?\d{1,9}( -?\d{1,9})*", text):
        return None
    return np.array(text.split(" "), dtype=np.int64)


def _count(text: str, *, infinite: bool = False) -> int:
    """How many finite (or `infinite`) numbers a line holds; -1 where one is none."""
    try:
        numbers = [float(word) for word in text.split(" ")]
    except ValueError:
        return -1
    proper = ~np.isnan(numbers) if infinite else np.isfinite(numbers)
    return len(numbers) if proper.all() else -1
