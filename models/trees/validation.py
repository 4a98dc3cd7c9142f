"""The structure of LightGBM's tree text, checked in Python before LightGBM reads it.

Its parser aborts, or loops for ever, on a child or feature index out of range, a cycle, or a count
that does not fit. Checked here: the header, the size of every tree, and that its nodes form one
tree.
"""

from __future__ import annotations

import re

import numpy as np

from ...errors import BundleError

__all__ = ["check_trees"]

_MOST_LEAVES = 100_000
_INTEGER = r"-?\d{1,9}"
_NUMBER = r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d{1,3})?)"
# a split of missing from all present values has the threshold inf
_LINES = {
    "split_feature": _INTEGER,
    "split_gain": _NUMBER,
    "threshold": rf"(?:{_NUMBER}|inf)",
    "decision_type": _INTEGER,
    "left_child": _INTEGER,
    "right_child": _INTEGER,
    "leaf_value": _NUMBER,
    "leaf_weight": _NUMBER,
    "leaf_count": _INTEGER,
    "internal_value": _NUMBER,
    "internal_weight": _NUMBER,
    "internal_count": _INTEGER,
}
_LISTS = {name: re.compile(f"{kind}(?: {kind})*") for name, kind in _LINES.items()}
_KEYS = ("Tree", "num_leaves", "num_cat", *_LINES, "is_linear", "shrinkage")
_HEADER = {
    "version": "v4",
    "num_class": "1",
    "num_tree_per_iteration": "1",
    "label_index": "0",
    "max_feature_idx": r"\d{1,6}",
    "objective": "binary sigmoid:1|tweedie",
    "feature_names": r"[^\n]+",
    "monotone_constraints": r"-?[01](?: -?[01])*",
    "feature_infos": rf"(?:none|\[{_NUMBER}:{_NUMBER}\])(?: (?:none|\[{_NUMBER}:{_NUMBER}\]))*",
    "tree_sizes": r"\d{1,9}(?: \d{1,9})*",
}


def check_trees(text: str, features: tuple[str, ...], name: str) -> None:
    """Raise `BundleError` unless `text` is a well-formed model of trees on these features."""

    def refuse(why: str) -> BundleError:
        return BundleError(f"the bundle's {name} is malformed: {why}; fetch it again")

    head, _, rest = text.partition("\nTree=0\n")
    first, *lines = head.rstrip("\n").split("\n")
    keys = [line.partition("=")[0] for line in lines]
    expected_keys = [key for key in _HEADER if key != "monotone_constraints" or key in keys]
    if first != "tree" or keys != expected_keys:
        raise refuse("its header is not one")
    header = dict(line.split("=", 1) for line in lines)
    for key, value in header.items():
        if not re.fullmatch(_HEADER[key], value):
            raise refuse(f"its {key} is not one")
    if header["feature_names"].split(" ") != list(features):
        raise refuse("the trees were trained on different features from those listed in the bundle")
    if header["max_feature_idx"] != str(len(features) - 1):
        raise refuse("max_feature_idx does not fit its features")
    for key in ("feature_infos", "monotone_constraints"):
        if key in header and len(header[key].split(" ")) != len(features):
            raise refuse(f"{key} does not fit its features")
    if not rest or not text.endswith("end of trees\n"):
        raise refuse("it has no trees, or no end")
    body = "Tree=0\n" + rest[: -len("end of trees\n")]
    sizes = np.array(header["tree_sizes"].split(" "), dtype=np.int64)
    if sizes.min() < 1 or int(sizes.sum()) != len(body.encode()):
        raise refuse("tree_sizes do not add up to its trees")
    ends = np.cumsum(sizes)
    for number, (low, high) in enumerate(zip(ends - sizes, ends, strict=True)):
        tree = body[low:high]
        if not tree.startswith(f"Tree={number}\n"):
            raise refuse(f"tree {number} does not begin where tree_sizes says")
        why = _find_fault(tree, len(features))
        if why:
            raise refuse(f"tree {number}: {why}")


def _find_fault(tree: str, n_features: int) -> str | None:
    """What is wrong with one tree, or None."""
    lines = tree.rstrip("\n").split("\n")
    if [line.partition("=")[0] for line in lines] != list(_KEYS):
        return "its lines are not those of a tree"
    keys = dict(line.split("=", 1) for line in lines)
    if not re.fullmatch(r"\d{1,6}", keys["num_leaves"]) or keys["num_cat"] != "0":
        return "num_leaves or num_cat is none"
    leaves = int(keys["num_leaves"])
    if not 1 <= leaves <= _MOST_LEAVES:
        return "num_leaves is out of range"
    if keys["is_linear"] != "0" or not re.fullmatch(_NUMBER, keys["shrinkage"]):
        return "it is linear, which ours never are, or its shrinkage is no number"
    for name, numbers in _LISTS.items():
        expected = leaves if name.startswith("leaf_") else leaves - 1
        text = keys[name]
        n_words = text.count(" ") + 1 if text else 0
        optional = leaves == 1 and name != "leaf_value" and not text
        if (not optional and n_words != expected) or (text and not numbers.fullmatch(text)):
            return f"{name} must have {expected} numbers"
    if leaves == 1:
        return None
    split, left, right = (
        np.array(keys[name].split(" "), dtype=np.int64)
        for name in ("split_feature", "left_child", "right_child")
    )
    # bit 0 splits by category, bit 1 sends missing values left, bits 2 and 3 say what is missing
    if not set(keys["decision_type"].split(" ")) <= {"0", "2", "8", "10"}:
        return "it splits by category, or takes zero for missing, which ours never do"
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
