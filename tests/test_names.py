"""Names: functions begin with a verb, and names that said nothing stay away."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

# How a function of this project may begin. A verb is added here, not a participle or a noun.
VERBS = frozenset(
    {
        "add", "announce", "answer", "apply", "assign", "attach", "audit", "authorise",
        "backtest", "blend", "bootstrap", "build", "check", "choose", "clean", "coerce",
        "collect", "compare", "complete", "compute", "concatenate", "count", "create",
        "cut", "describe", "detect", "discount", "draw", "encode", "estimate", "expand",
        "expect", "explain", "fill", "find", "fit", "floor", "forecast", "format",
        "get", "group", "guess", "hash", "hide", "infer", "init", "is", "iterate",
        "join", "judge", "keep", "learn", "list", "load", "locate", "lock", "make",
        "map", "mark", "measure", "merge", "monitor", "nest", "normalize", "note",
        "open", "pack", "parse", "plan", "pluralize", "predict", "prepare", "print",
        "profile", "promote", "propose", "quote", "raise", "rate", "read", "reconcile",
        "refuse", "remove", "render", "replace", "report", "resolve", "rollback", "run",
        "save", "score", "scramble", "search", "select", "send", "serve", "set", "show",
        "silence", "slice", "sort", "start", "sum", "summarize", "survey", "track",
        "train", "translate", "unnest", "use", "validate", "verify", "warm", "widen",
        "write",
    }
)  # fmt: skip # a table: one item a line takes 95 lines more
LEAST_SHARE = 0.7

# What these were called before they had names of the field.
OLD_DEFINITIONS = frozenset(
    {
        "told_in_a_sentence", "counted", "joined", "shown", "opened", "place", "Place", "Answer",
        "known_at", "as_they_are", "joined_to", "with_told", "faults_of_told", "not_known",
        "Unknown", "as_orders", "run_of", "bare_columns", "agreed", "own_cuts", "levelled",
        "first_blend", "grow", "gather", "shipped", "framed", "searched", "left_out_heads",
        "Contest", "Part", "Feed", "Later", "Band", "band", "race", "busy", "Passage", "Bodies",
        "Backlog", "verified_in_a_child",
    }
)  # fmt: skip # a table: one item a line takes 34 lines more
OLD_MODULES = frozenset(
    {
        "arrow_check", "backlog", "backtest_rows", "batch_files", "bg_integral", "blocks", "book",
        "btyd_likelihoods", "btyd_remarks", "candidates", "canonical_order", "chance", "coding",
        "cohorts", "combine", "content", "drawing", "faults", "feed", "findings", "finished",
        "flat_trees", "forecasting", "frame", "given", "golden", "guard", "intake", "journal",
        "ledger", "left_out", "line_groups", "lines", "made_with", "make", "nested", "numbers",
        "one", "only_customers", "order_days", "outputs", "place", "ratios",
        "record", "recurring", "reference", "refusals", "registered", "science", "scorer",
        "segmenting", "several", "shards", "shelf", "spark_batch", "spark_files", "spend_file",
        "starter", "stretches", "tally", "temporary", "thresholds", "told", "tree_check", "trial",
        "triangles", "warm", "writing",
    }
)  # fmt: skip # a table: one item a line takes 58 lines more
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@pytest.fixture(scope="module")
def modules(root: Path) -> dict[Path, ast.Module]:
    parts = [path.parent for path in root.glob("*/__init__.py")]
    paths = [*root.glob("*.py"), *(module for part in parts for module in part.rglob("*.py"))]
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def test_most_functions_begin_with_a_verb(modules: dict[Path, ast.Module]) -> None:
    names = [
        node.name
        for module in modules.values()
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    ]
    others = sorted(name for name in names if name.partition("_")[0] not in VERBS)
    assert len(names) > 300
    assert 1 - len(others) / len(names) >= LEAST_SHARE, others


def test_names_that_were_replaced_stay_away(modules: dict[Path, ast.Module]) -> None:
    back = [
        f"{path.name}: {node.name}"
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, Definition) and node.name.lstrip("_") in OLD_DEFINITIONS
    ]
    assert back == []
    assert sorted(OLD_MODULES & {path.stem for path in modules}) == []
