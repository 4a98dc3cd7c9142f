"""Time and memory of training: 25,000 customers at each effort, and BTYD on a million. Writes
results/training.md.

make benchmark-training
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

from start import CLVCAST, ROOT, measure

CUSTOMERS, LINES_OF_ONE = 25_000, 10
NEVER = 1.5  # of the log's customers a third never orders
FITTED = 1_000_000  # customers of the BTYD fits
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
EFFORTS = {"quick": 30, "standard": 180}  # effort: most seconds
FIT_SECONDS = 20


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
    import numpy as np

    from clvcast.features.recency_frequency import OrderDays
    from clvcast.train.btyd.fitting import fit_order_model, fit_value_model

    with np.load(folder / "days.npz") as kept:
        days = OrderDays(**kept)
    found = []
    for name in ("bg_nbd", "pareto_nbd", "gamma_gamma"):
        began = time.perf_counter()
        if name == "gamma_gamma":
            fit_value_model(days)
        else:
            fitted = fit_order_model(days, name)  # type: ignore[arg-type]
            assert fitted.converged
            assert not fitted.fell_back
        found.append(f"{name} {time.perf_counter() - began:.1f} s")
    print(f"{len(days.tenure_days):,} customers: {', '.join(found)}")


def row(name: str, used: tuple[float, float, float], seconds: int) -> str:
    """A line of the table."""
    wall, cpu, peak = used
    told = "met" if wall <= seconds else "**missed**"
    return f"| {name} | {wall:.1f} | {cpu:.1f} | {peak:,.0f} | {seconds} s | {told} |"


def main() -> None:
    """Measure every case once, after one training that compiles, and write the table."""
    head = [
        "# Training",
        "",
        f"{date.today()}, clvcast {version('clvcast')}, lightgbm {version('lightgbm')}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores of {platform.machine()}, shared. "
        "Command: `make "
        f"benchmark-training`. A log of some {CUSTOMERS:,} customers with {LINES_OF_ONE} lines "
        "each, 90 days ahead. "
        "`clvcast.train` reads it and makes the model; the command `clvcast train` evaluates "
        "two more such models on "
        "windows they do not know, compares them with five baselines, judges, and keeps all of "
        "it in a new MLflow "
        "store. Single runs, each a process of its own, its start included.",
        "",
        "| case | wall s | CPU s | peak MB | must | |",
        "|---|---|---|---|---|---|",
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        here = [sys.executable, __file__]
        measure([*here, "--prepare", folder])
        os.chdir(folder)
        for effort in EFFORTS:
            Path(f"{effort}.yaml").write_text(CONFIG.format(effort=effort))
        measure([*CLVCAST, "train", "quick.yaml", "--tracking-uri", "sqlite:///warm.db", "--quiet"])
        for effort, seconds in EFFORTS.items():
            used = measure([sys.executable, "-c", TRAIN.format(effort=effort)])
            rows.append(row(f"`clvcast.train`, `effort: {effort}`", used, seconds))
            print(rows[-1], flush=True)
        for effort, seconds in EFFORTS.items():
            store = ["--tracking-uri", f"sqlite:///{effort}.db"]
            used = measure([*CLVCAST, "train", f"{effort}.yaml", *store, "--quiet"])
            rows.append(row(f"`clvcast train`, `effort: {effort}`", used, seconds))
            print(rows[-1], flush=True)
        os.chdir(ROOT)
        used = measure([*here, "--fit", folder])
        rows.append(
            row("BG/NBD, Pareto/NBD and Gamma-Gamma, a million customers", used, FIT_SECONDS)
        )
        print(rows[-1], flush=True)
    page = ROOT / "benchmarks" / "results" / "training.md"
    page.write_text("\n".join([*head, *rows]) + "\n")


if __name__ == "__main__":
    steps = {"--prepare": prepare, "--fit": fit}
    if sys.argv[1:2] and sys.argv[1] in steps:
        steps[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
