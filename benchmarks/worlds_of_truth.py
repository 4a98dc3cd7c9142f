"""Forecasts of simulated shops against their true expectation; results/worlds.md.

    make benchmark-worlds                           every kind of world, seven seeds each
    python benchmarks/worlds_of_truth.py --seeds 1 --kinds plain,season

The simulator is tests/simulated_worlds.py. A world's result is kept in build/benchmark-worlds by a
digest of the sources it depends on: interrupted runs resume.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

from accuracy_measures import zero_floor  # noqa: E402
from simulated_worlds import KINDS, World, make_world  # noqa: E402

import clvcast  # noqa: E402
from clvcast.evaluation import measures  # noqa: E402

KEPT = ROOT / "build" / "benchmark-worlds"
RESULT = ROOT / "benchmarks" / "results" / "worlds.md"
READING = "\n## Reading\n"  # by hand; kept
SEEDS = 7
SOURCES = ("configs", "orders", "features", "models", "train", "tests/simulated_worlds.py")


def measure_world(world: World, effort: str) -> dict[str, float]:
    """What the forecasts of one world are beside its truth."""
    config = clvcast.Config.model_validate(
        {
            "horizon_days": world.horizon_days,
            "periods": world.truth.shape[1],
            "effort": effort,
        }
    )
    began = time.perf_counter()
    model = clvcast.train(world.lines, config, cutoff=world.cutoff)
    made = clvcast.score(model, world.lines, cutoff=world.cutoff).set_index("customer_id")
    seconds = time.perf_counter() - began
    if not made.index.equals(world.truth.index):
        raise AssertionError("every customer of the world must be forecast once")
    found = {"customers": float(len(made)), "seconds": seconds}
    for name, truth, actual in (
        ("expected_spend", world.truth[1], world.actual[1]),
        ("clv", world.truth.sum(axis=1), world.actual.sum(axis=1)),
    ):
        forecast = made[name].to_numpy(dtype=float)
        expected, happened = truth.to_numpy(dtype=float), actual.to_numpy(dtype=float)
        lower, upper = (made[f"{name}_{end}"].to_numpy(dtype=float) for end in ("lower", "upper"))
        groups = measures.split_into_groups(forecast, 10)
        gaps = np.array([forecast[rows].sum() - expected[rows].sum() for rows in groups])
        found |= {
            f"{name}_total": forecast.sum() / expected.sum() - 1.0,
            f"{name}_deciles": np.abs(gaps).sum() / expected.sum(),
            f"{name}_top_decile": gaps[-1] / expected[groups[-1]].sum(),
            f"{name}_covered": float(((lower <= happened) & (happened <= upper)).mean()),
            f"{name}_floor": float(zero_floor(forecast, happened).mean()),
            f"{name}_noise": happened.sum() / expected.sum() - 1.0,
        }
    return {key: float(value) for key, value in found.items()}


def measure_worlds(kinds: Sequence[str], seeds: int, effort: str) -> pd.DataFrame:
    """A row per world; kept results are read, the others are made and kept."""
    digest = hashlib.sha256(version("lightgbm").encode())
    for source in SOURCES:
        path = ROOT / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    folder = KEPT / f"{effort}-{digest.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for kind in (kind for kind in KINDS if kind.name in kinds):
        for seed in range(seeds):
            path = folder / f"{kind.name.replace(' ', '-').replace(',', '')}-{seed}.json"
            if not path.exists():
                found = measure_world(make_world(kind, seed), effort)
                partial = path.with_suffix(".partial")
                partial.write_text(json.dumps(found))
                partial.replace(path)
            values = json.loads(path.read_text())
            rows.append({"kind": kind.name, "seed": seed, "shocks": kind.has_shocks} | values)
            print(
                f"{kind.name:26} {seed}  spend {values['expected_spend_total']:+6.1%}  CLV "
                f"{values['clv_total']:+6.1%}  covered {values['expected_spend_covered']:.1%} "
                f"{values['clv_covered']:.1%}  {values['seconds']:.0f} s",
                flush=True,
            )
    return pd.DataFrame(rows)


def summarize(found: pd.DataFrame) -> list[str]:
    """The table by kind, and the targets over the worlds without shocks."""
    head = [
        "world",
        "worlds",
        "what",
        "total",
        "worst",
        "deciles",
        "top decile",
        "covered",
        "floor",
    ]
    rows = []
    for kind in found["kind"].unique():
        worlds = found[found["kind"] == kind]
        for name, said in (("expected_spend", "first period"), ("clv", "CLV, four periods")):
            totals = worlds[f"{name}_total"].to_numpy(dtype=float)
            rows.append(
                [
                    str(kind),
                    str(len(worlds)),
                    said,
                    f"{totals.mean():+.1%}",
                    f"{totals[np.abs(totals).argmax()]:+.1%}",
                    f"{worlds[f'{name}_deciles'].mean():.1%}",
                    f"{worlds[f'{name}_top_decile'].mean():+.1%}",
                    f"{worlds[f'{name}_covered'].mean():.1%}",
                    f"{worlds[f'{name}_floor'].mean():.1%}",
                ]
            )
    calm = found[~found["shocks"]]
    results = []
    for name, said in (("expected_spend", "first period"), ("clv", "CLV")):
        total = float(calm[f"{name}_total"].mean())
        covered = calm[f"{name}_covered"]
        most = np.maximum(0.93, calm[f"{name}_floor"] + 0.01)
        inside = int(((covered >= 0.87) & (covered <= most)).sum())
        results += [
            f"- {said}: mean total {total:+.1%} of the truth (target: within 5 %): "
            f"{'met' if abs(total) <= 0.05 else '**missed**'}",
            f"- {said}: 90 % intervals hold 87 % to max(93 %, floor + 1) in {inside} of "
            f"{len(calm)} worlds: {'met' if inside == len(calm) else '**missed**'}; mean "
            f"{covered.mean():.1%}, least {covered.min():.1%}, most {covered.max():.1%}",
        ]
    lines = [head, ["---"] * len(head), *rows]
    return [*(f"| {' | '.join(cells)} |" for cells in lines), "", *results]


def main() -> None:
    """Measure, print, and write the page where everything was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kinds", help=f"of {', '.join(k.name for k in KINDS)}; default: all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default {SEEDS}")
    parser.add_argument("--effort", default="quick", help="as in a configuration; default quick")
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else [kind.name for kind in KINDS]
    found = measure_worlds(kinds, options.seeds, options.effort)
    table = summarize(found)
    print("", *table, sep="\n")
    if len(found) < len(KINDS) * SEEDS:
        return
    page = [
        "# Simulated worlds",
        "",
        f"{date.today()}, clvcast {version('clvcast')}, lightgbm {version('lightgbm')}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores of {platform.machine()}, shared. "
        f"Command: `{' '.join(['python benchmarks/worlds_of_truth.py', *sys.argv[1:]])}`.",
        "",
        f"{len(found)} simulated shops (`tests/simulated_worlds.py`) of 1,000 customers, 800 days "
        "of orders and four",
        f"periods of 60 days, `effort: {options.effort}`. The truth is the expected spend of each "
        "customer given all that made",
        "them. *Total*: forecast total beside the true one, mean and worst over the worlds. "
        "*Deciles*: errors of ten",
        "groups by forecast, summed, as a share of the total. *Covered*: share of what was spent "
        "inside the 90 % interval;",
        "*floor*: what zeros force.",
        "",
        *table,
        "",
        "## What no model can see",
        "",
        "- Promotions that fall into the forecast period: their dates are not in the orders. Past "
        "ones raise the level.",
        "- How fast a channel fades after the cutoff, beyond what customers' own silence shows.",
        "- Who left yesterday: silence tells it only later. The interval of a customer allows "
        "for it.",
    ]
    _, heading, reading = RESULT.read_text(encoding="utf-8").partition(READING)
    RESULT.write_text("\n".join(page) + "\n" + heading + reading, encoding="utf-8")
    print(f"wrote {RESULT}")


if __name__ == "__main__":
    main()
