"""Mutated bundles with mended digests: refused, or the same forecasts; never a traceback.

    make fuzz                                   500 mutations; writes benchmarks/results/fuzz.md
    python tests/fuzz_bundles.py --count 60     fewer; prints

A mutation changes one value, key or line of a bundle's files; then manifest and version are made to
fit. The bundle is loaded, and a shop of 250 customers is scored at three times of the year. A
mutation that loads and forecasts otherwise is silent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import random
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import worlds

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import BundleError, ClvcastError
from clvcast.models.bundle import load_bundle
from clvcast.models.model import hash_content
from clvcast.orders.reading.read_orders import read_table

ROOT = Path(__file__).parent.parent
APART = ("golden.json", "reference.json", "manifest.json")
CUTOFFS = ("2022-03-10", "2022-07-20", "2022-11-30")
TREE_KEYS = ("split_feature", "threshold", "decision_type", "left_child", "leaf_value")
NUMBERS: tuple[Callable[[float], object], ...] = (
    lambda value: value * 1.17 + 0.01,
    lambda value: -value,
    lambda value: 0,
    lambda value: value + 1,
    lambda value: 1e308,
    lambda value: float("nan"),
    lambda value: str(value),
    lambda value: None,
    lambda value: [value],
)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutation."""

    file: str
    place: str
    result: str  # refused, traceback, same, silent


def list_places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in JSON."""
    items: Any = ()
    if isinstance(content, dict):
        items = content.items()
    elif isinstance(content, list):
        items = enumerate(content)
    for key, value in items:
        yield (*path, key)
        yield from list_places(value, (*path, key))


def mutate_json(text: str, chance: random.Random) -> tuple[str, str]:
    """JSON with one value or key changed, and where."""
    content = json.loads(text)
    path = chance.choice(list(list_places(content)))
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    key, value = path[-1], parent[path[-1]]
    if isinstance(value, bool):
        parent[key] = not value
    elif isinstance(value, int | float):
        parent[key] = chance.choice(NUMBERS)(value)
    elif isinstance(value, list) and len(value) > 1 and chance.random() < 0.6:
        change = chance.choice(("reverse", "pop", "repeat"))
        if change == "reverse":
            value.reverse()
        elif change == "pop":
            value.pop()
        else:
            value.append(value[-1])
    elif chance.random() < 0.5:
        parent[key] = chance.choice((None, "", "x", 7, {}, []))
    else:
        del parent[key]
    return json.dumps(content), ".".join(str(part) for part in path)


def mutate_tree(text: str, chance: random.Random) -> tuple[str, str]:
    """Trees with one number of one tree changed, its size mended, and where."""
    name = chance.choice(TREE_KEYS)
    lines = text.split("\n")
    at = chance.choice([k for k, line in enumerate(lines) if line.startswith(f"{name}=")])
    numbers = lines[at].partition("=")[2].split(" ")
    place = chance.randrange(len(numbers))
    is_whole = name in ("split_feature", "decision_type", "left_child")
    value = float(numbers[place])
    changed = chance.choice((value * 1.17 + 0.01, -value, 0.0, value + 1.0))
    numbers[place] = str(int(changed)) if is_whole else repr(changed)
    grown = len(f"{name}={' '.join(numbers)}") - len(lines[at])
    lines[at] = f"{name}={' '.join(numbers)}"
    tree = sum(line.startswith("Tree=") for line in lines[:at]) - 1
    for k, line in enumerate(lines):
        if line.startswith("tree_sizes="):
            sizes = line.partition("=")[2].split(" ")
            sizes[tree] = str(int(sizes[tree]) + grown)
            lines[k] = f"tree_sizes={' '.join(sizes)}"
            break
    return "\n".join(lines), f"{name} of tree {tree}"


def reseal(bundle: Path, name: str, content: str) -> None:
    """Replace a file and make manifest and version fit, as somebody who means it would."""
    (bundle / name).write_text(content, encoding="utf-8")
    manifest = json.loads((bundle / "manifest.json").read_text())
    raw = content.encode()
    manifest["files"][name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    files = {n: (bundle / n).read_bytes() for n in manifest["files"] if n not in APART}
    manifest["model_version"] = hash_content(files)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def score(model: Any, orders: clvcast.Orders) -> pd.DataFrame:
    """Forecasts at three times of the year."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = [clvcast.score(model, orders, cutoff) for cutoff in CUTOFFS]
    return pd.concat(frames, ignore_index=True).drop(columns="model_version")


def fuzz(bundle: Path, orders: clvcast.Orders, count: int, seed: int) -> list[Outcome]:
    """Mutate a bundle `count` times; it is as before afterwards."""
    chance = random.Random(seed)
    kept = {path.name: path.read_bytes() for path in bundle.iterdir()}
    expected = score(load_bundle(bundle), orders)
    trees = sorted(name for name in kept if name.endswith(".txt"))
    outcomes = []
    for _ in range(count):
        name = chance.choice(("model.json",) * 6 + ("golden.json", "reference.json", "trees"))
        name = chance.choice(trees) if name == "trees" else name
        change = mutate_tree if name in trees else mutate_json
        text, place = change(kept[name].decode(), chance)
        reseal(bundle, name, text)
        outcomes.append(Outcome(name, place, try_bundle(bundle, orders, expected)))
        for other, content in kept.items():
            (bundle / other).write_bytes(content)
    return outcomes


def try_bundle(bundle: Path, orders: clvcast.Orders, expected: pd.DataFrame) -> str:
    """What a bundle gives: refused, traceback, same or silent."""
    try:
        found = score(load_bundle(bundle), orders)
    except BundleError:
        return "refused"
    except ClvcastError:  # it asks for other orders, in a sentence
        return "refused at scoring"
    except Exception:  # noqa: BLE001 - to be found here
        traceback.print_exc()
        return "traceback"
    try:
        pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-6, atol=1e-9)
    except AssertionError:
        return "silent"
    return "same"


def build_shop() -> pd.DataFrame:
    """Three years of a small shop: its model knows a season."""
    return worlds.shop(customers=250, days=1_100)


def format_outcomes(outcomes: list[Outcome], seed: int) -> str:
    """The results as a page."""
    results = ("refused", "refused at scoring", "same", "silent", "traceback")
    kinds = {"model.json": "model.json", "golden.json": "golden.json"}
    kinds |= {"reference.json": "reference.json"}
    counts = Counter((kinds.get(one.file, "trees"), one.result) for one in outcomes)
    rows = [
        f"| {kind} | {' | '.join(str(counts[kind, result]) for result in results)} |"
        for kind in (*kinds, "trees")
    ]
    silent = [f"- {one.file}: {one.place}" for one in outcomes if one.result == "silent"]
    return "\n".join(
        [
            "# Mutated bundles",
            "",
            f"{date.today()}, clvcast {version('clvcast')}, Python {platform.python_version()}.",
            f"Command: `make fuzz`: {len(outcomes)} mutations of a small shop's bundle, seed",
            f"{seed}, each with mended digests and version. `same`: it loads and forecasts the",
            "same, for example a mutation of a setting for training. `silent`: it loads and",
            "forecasts otherwise: no golden row and no golden input of the trees reaches what was",
            "changed. Golden rows are in the bundle too, and who writes them anew as well passes;",
            "a digest kept elsewhere finds every change.",
            "",
            f"| file | {' | '.join(results)} |",
            f"|---|{'---|' * len(results)}",
            *rows,
            "",
            *(["Silent:", "", *silent, ""] if silent else []),
        ]
    )


def main() -> None:
    """Train, mutate, report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=500)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--bundle", type=Path, help="A bundle of that shop; by default trained.")
    stated = options.parse_args()
    orders = read_table(build_shop(), OrdersConfig())
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        if stated.bundle is None:
            config = clvcast.Config(horizon_days=60, periods=3, effort="quick")
            clvcast.train(orders, config).save(bundle)
        else:
            clvcast.load_model(stated.bundle).save(bundle)
        outcomes = fuzz(bundle, orders, stated.count, stated.seed)
    page = format_outcomes(outcomes, stated.seed)
    sys.stdout.write(page)
    if stated.count >= 500:
        (ROOT / "benchmarks" / "results" / "fuzz.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
