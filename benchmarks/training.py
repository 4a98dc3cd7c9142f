"""Time and memory of training against an earlier version: the sample, 25,000 customers at each
effort, and BTYD on a million.

make benchmark-training BASELINE=FOLDER writes results/training.md. FOLDER holds the earlier version
as `clvcast`, as for benchmark-first-minute. Both versions take turns, each case in a process of its
own, since a shared machine slows down and recovers. RUNS says how many turns (default 2).
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from itertools import count
from pathlib import Path

from start import CLVCAST, ROOT, measure

Command = Callable[[str], list[str]]  # the MLflow store to write -> what to run
Used = tuple[float, float, float]  # wall seconds, CPU seconds, peak megabytes

RUNS = int(os.environ.get("RUNS", 2))
CUSTOMERS, LINES_OF_ONE = 25_000, 10
NEVER = 1.5  # of the log's customers a third never orders
FITTED = 1_000_000  # customers of the BTYD fits
SAMPLE = "configs/online_retail.yaml"
CONFIG = """\
orders:
  source: orders.parquet
horizon_days: 90
effort: {effort}
"""
TRAIN = """\
import clvcast
config = clvcast.load_config("{effort}.yaml")
clvcast.train(clvcast.read_orders(config), config)
"""


def prepare(folder: Path) -> None:
    """Write the log of orders, and the order days of a million customers; in a process
    of its own.
    """
    import numpy as np
    from orders_log import write_log

    from clvcast.features.recency_frequency import count_order_days
    from clvcast.orders.dates import parse_instant
    from clvcast.orders.reading.read_orders import read_orders

    lines = CUSTOMERS * LINES_OF_ONE
    write_log(folder / "orders.parquet", lines, customers=round(NEVER * CUSTOMERS))
    many = folder / "many.parquet"
    write_log(many, FITTED * LINES_OF_ONE, customers=round(NEVER * FITTED))
    days = count_order_days(read_orders(str(many)), parse_instant("2024-01-01"))
    np.savez(folder / "days.npz", **vars(days))
    many.unlink()


def fit(folder: Path) -> None:
    """Fit both order models and Gamma-Gamma; print the customers, and the seconds of each."""
    from importlib import import_module
    from types import SimpleNamespace
    from typing import Any

    import numpy as np

    fitting: Any = import_module("clvcast.train.btyd")
    if not hasattr(fitting, "fit_order_model"):  # 0.1.0 had one module
        fitting = import_module("clvcast.train.btyd.fitting")
    with np.load(folder / "days.npz") as kept:
        days = SimpleNamespace(**kept)  # either version's OrderDays
    found = []
    for name in ("bg_nbd", "pareto_nbd", "gamma_gamma"):
        began = time.perf_counter()
        if name == "gamma_gamma":
            fitting.fit_value_model(days)
        else:
            fitted = fitting.fit_order_model(days, name)
            assert fitted.converged
            assert not fitted.fell_back
        found.append(f"{name} {time.perf_counter() - began:.1f} s")
    print(f"{len(days.tenure_days):,} customers: {', '.join(found)}")


def build_training(config: str) -> Command:
    """The command line that trains into a store."""
    return lambda store: [*CLVCAST, "train", config, "--tracking-uri", store, "--quiet"]


def build_script(effort: str) -> Command:
    """A script that trains; it needs no store."""
    return lambda _: [sys.executable, "-c", TRAIN.format(effort=effort)]


@dataclass(frozen=True)
class Case:
    """What is measured, and the most it may take."""

    name: str
    command: Command
    seconds: float = math.inf  # of wall time
    share: float = math.inf  # of the earlier version's wall time


def list_cases(folder: str) -> list[Case]:
    """All cases; `folder` holds what `prepare` wrote."""
    fits = [sys.executable, __file__, "--fit", folder]
    return [
        Case("`clvcast train`, the sample of two years", build_training(SAMPLE), share=0.58),
        Case("`clvcast.train`, `effort: quick`", build_script("quick"), 30),
        Case("`clvcast.train`, `effort: standard`", build_script("standard"), 180),
        Case("`clvcast train`, `effort: quick`", build_training("quick.yaml"), 30),
        Case("`clvcast train`, `effort: standard`", build_training("standard.yaml"), 180, 0.59),
        Case("BG/NBD, Pareto/NBD, Gamma-Gamma, a million customers", lambda _: fits, 20, 0.49),
    ]


def main() -> None:
    """Measure every case in turns, after trainings that compile, and write the table."""
    # without it Python would import the installed version, and compare this one with itself
    if len(sys.argv) < 2 or not Path(sys.argv[1], "clvcast", "__init__.py").exists():
        sys.exit("name the folder that holds the earlier version: BASELINE=../old/build/editable")
    versions = {"earlier": str(Path(sys.argv[1]).absolute()), "this": str(ROOT / "build/editable")}
    spent: dict[tuple[str, str], list[Used]] = {}
    with tempfile.TemporaryDirectory() as folder:
        measure([sys.executable, __file__, "--prepare", folder])
        for part in ("data", "configs"):
            (Path(folder) / part).symlink_to(ROOT / part)
        os.chdir(folder)
        for effort in ("quick", "standard"):
            Path(f"{effort}.yaml").write_text(CONFIG.format(effort=effort))
        cases = list_cases(folder)
        stores = (f"sqlite:///{k}.db" for k in count())
        for config in (SAMPLE, "quick.yaml"):  # compile
            for place in versions.values():
                measure(build_training(config)(next(stores)), place)
        for turn in range(RUNS):
            in_turn = list(versions.items())[:: -1 if turn % 2 else 1]
            for case in cases:
                for name, place in in_turn:
                    used = measure(case.command(next(stores)), place)
                    spent.setdefault((case.name, name), []).append(used)
                    print(f"{turn + 1} {case.name}, {name}: {used[0]:.1f} s", flush=True)
        os.chdir(ROOT)
    rows = [write_row(c, spent[c.name, "earlier"], spent[c.name, "this"]) for c in cases]
    write_page(rows)


def write_row(case: Case, before: list[Used], now: list[Used]) -> str:
    """A line of the table."""
    wall, cpu, peak = (statistics.median(runs) for runs in zip(*now, strict=True))
    old_wall, old_cpu, old_peak = (statistics.median(runs) for runs in zip(*before, strict=True))
    ratio = statistics.median(each[0] / old[0] for each, old in zip(now, before, strict=True))
    must = [f"{case.seconds:g} s"] * math.isfinite(case.seconds)
    must += [f"{case.share:g} x"] * math.isfinite(case.share)
    is_met = wall <= case.seconds and ratio <= case.share
    return (
        f"| {case.name} | {old_wall:.1f} | {old_cpu:.1f} | {old_peak:,.0f} "
        f"| {wall:.1f} | {cpu:.1f} | {peak:,.0f} | {ratio:.2f} | {', '.join(must)} | "
        f"{'met' if is_met else '**missed**'} |"
    )


def write_page(rows: list[str]) -> None:
    """The page."""
    text = f"""\
# Training

{date.today()}, clvcast {version("clvcast")}, lightgbm {version("lightgbm")}, \
Python {platform.python_version()}, {os.cpu_count()} cores of {platform.machine()}, shared. \
Command: `make benchmark-training BASELINE=FOLDER`. All but the first case are of a log of some \
{CUSTOMERS:,} customers with {LINES_OF_ONE} lines each, 90 days ahead. `clvcast.train` reads it \
and makes the model; the command `clvcast train` evaluates two more such models on windows they \
do not know, compares them with five baselines, judges, and keeps all of it in a new MLflow \
store. Each case is a process of its own, its start included; the earlier version and this one in \
turns, {RUNS} of them: medians, x the median of this version's wall time as a multiple of the \
earlier one's beside it.

| case | earlier: wall s | CPU s | peak MB | this: wall s | CPU s | peak MB | x | must | |
|---|---|---|---|---|---|---|---|---|---|
"""
    page = ROOT / "benchmarks" / "results" / "training.md"
    page.write_text(text + "\n".join(rows) + "\n")


if __name__ == "__main__":
    steps = {"--prepare": prepare, "--fit": fit}
    if sys.argv[1:2] and sys.argv[1] in steps:
        steps[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
