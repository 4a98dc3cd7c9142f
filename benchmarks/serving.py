"""Serving: one customer, REST, overload, batch, size of the install; beside MLflow.

    make benchmark-serving                      every case, one after the other
    python benchmarks/serving.py --case rest    one of them; its line is replaced, the others stay

Both write results/serving.md.

Both sides of a comparison are measured in one run of a case, in turns. The peer is what MLflow
serves least of: a single plain LightGBM model of 500 trees behind a signature, asked with a feature
row that is ready. clvcast is asked with a customer's order lines.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from orders_log import write_log
from packaging.requirements import Requirement
from serving_asked import (
    asked_at,
    capacity,
    cpu_seconds,
    free_port,
    one_by_one,
    resident_mb,
    server,
)

import clvcast
from clvcast.features.feature_frame import build_features
from clvcast.serve.batch.run import score_files

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
WORK = ROOT / "build" / "benchmark-serving"  # the models, made once; make clean removes them
CUTOFF = "2011-12-10"
LINES_OF_ONE = range(45, 56)


@dataclass(frozen=True)
class Result:
    """A line of the table."""

    case: str
    found: str
    must: str
    met: bool


def percentile(seconds: list[float], q: float) -> float:
    """Milliseconds."""
    return 1000.0 * float(np.percentile(seconds, q))


# ---- what the cases need, made once


def bundle() -> Path:
    """A model of the shipped sample, as `make train` trains it."""
    path = WORK / "bundle"
    if not path.exists():
        config = sample_config()
        clvcast.train(clvcast.read_orders(config), config).save(path)
    return path


def sample_config() -> clvcast.Config:
    """The sample's configuration, from wherever this is run."""
    config = clvcast.load_config(ROOT / "configs" / "online_retail.yaml")
    source = str(ROOT / "data" / "online_retail.parquet")
    return config.model_copy(update={"orders": config.orders.model_copy(update={"source": source})})


def customers() -> list[list[dict[str, Any]]]:
    """The order lines of the sample's customers with about fifty of them."""
    nested = clvcast.nest(clvcast.read_orders(sample_config()), CUTOFF)
    return [lines for lines in nested["orders"] if len(lines) in LINES_OF_ONE][:200]


def peer() -> tuple[Path, np.ndarray, list[str]]:
    """A single plain model of 500 trees on our features, logged by MLflow; rows that are ready,
    their names.
    """
    table = build_features(clvcast.read_orders(sample_config()), [CUTOFF])
    inputs = table.drop(columns=["customer_id", "cutoff"]).fillna(0.0).astype(np.float64)
    path = WORK / "peer"
    if not path.exists():
        data = lightgbm.Dataset(inputs, inputs["spend_365"])
        settings = {"objective": "regression", "num_leaves": 31, "verbose": -1, "num_threads": 1}
        booster = lightgbm.train(settings | {"min_data_in_leaf": 5}, data, num_boost_round=500)
        signature = infer_signature(inputs.head(5), booster.predict(inputs.head(5)))
        needs = ["lightgbm", "mlflow"]
        mlflow.lightgbm.save_model(booster, path, signature=signature, pip_requirements=needs)
    return path, inputs.head(200).to_numpy(), list(inputs.columns)


def our_server(port: int) -> list[str]:
    """The command that serves."""
    command = [sys.executable, "-m", "clvcast", "serve", "--model", str(bundle())]
    return [*command, "--port", str(port)]


def bodies() -> list[bytes]:
    """Requests for one customer each."""
    asked = ({"customer_id": "c", "orders": lines} for lines in customers())
    return [json.dumps({"cutoff": CUTOFF, "customers": [one]}).encode() for one in asked]


# ---- cases


def one(settings: argparse.Namespace) -> Result:
    """One customer in process, and the peer's calls, in turns of fifty."""
    model = clvcast.load_model(bundle())
    path, rows, names = peer()
    loaded = mlflow.pyfunc.load_model(str(path))
    ready = [pd.DataFrame([row], columns=names) for row in rows]
    asked = customers()
    ours, cpu, theirs = [], [], []
    gc.collect()
    gc.freeze()
    for turn in range(-1, settings.turns // 50):  # of fifty calls each; the first warms up
        few = [(turn * 50 + k) % len(asked) for k in range(50)]
        for k in few:
            begin, busy = time.perf_counter(), time.thread_time()
            model.score_one(asked[k], CUTOFF)
            if turn >= 0:
                ours.append(time.perf_counter() - begin)
                cpu.append(time.thread_time() - busy)
        for k in few:
            begin = time.perf_counter()
            loaded.predict(ready[k])
            if turn >= 0:
                theirs.append(time.perf_counter() - begin)
    n_models = sum(len(seeds) for seeds in model.trees.values())
    p50, peers = percentile(ours, 50), percentile(theirs, 50)
    return Result(
        f"one customer, 45 to 55 lines in, {n_models} LightGBM models, forecast out, in process",
        f"p50 {p50:.2f} ms (p10 {percentile(ours, 10):.2f}; CPU p50 {percentile(cpu, 50):.2f}); "
        "one "
        f"`mlflow.pyfunc` call of the peer p50 {peers:.2f} ms (p10 {percentile(theirs, 10):.2f})",
        "p50 1.5 ms, and half of the peer's",
        p50 <= 1.5 and p50 <= peers / 2,
    )


def rest(settings: argparse.Namespace) -> list[Result]:
    """REST at a steady rate, and its CPU a request beside `mlflow models serve`, in turns."""
    path, rows, names = peer()
    asked = bodies()
    ready = [
        json.dumps({"dataframe_split": {"columns": names, "data": [row.tolist()]}}).encode()
        for row in rows
    ]
    port, other = free_port(), free_port()
    theirs = [str(Path(sys.executable).parent / "mlflow"), "models", "serve", "--model-uri"]
    theirs += [str(path), "--env-manager", "local", "--port", str(other), "--workers", "1"]
    with (
        server(our_server(port), port, "/readyz") as pid,
        server(theirs, other, "/ping") as peer_pid,
    ):
        one_by_one(port, "/v1/forecasts", asked[:50])
        one_by_one(other, "/invocations", ready[:20])
        alone: list[float] = []
        peers: list[float] = []
        used = [cpu_seconds(pid), cpu_seconds(peer_pid)]
        for turn in range(settings.turns // 50):
            few = slice(turn * 50 % 150, turn * 50 % 150 + 50)
            alone += one_by_one(port, "/v1/forecasts", asked[few])
            peers += one_by_one(other, "/invocations", ready[few])
        ours = (cpu_seconds(pid) - used[0]) / len(alone)
        peer_cpu = (cpu_seconds(peer_pid) - used[1]) / len(peers)
        os.killpg(peer_pid, signal.SIGSTOP)  # what does not serve takes nothing
        steady, statuses = asyncio.run(asked_at(port, asked, 150, min(settings.seconds, 20)))
        os.killpg(peer_pid, signal.SIGCONT)
    p50, p99 = percentile(alone, 50), percentile(steady, 99)
    return [
        Result(
            "REST, one customer a request, 1 worker",
            f"p50 {p50:.2f} ms one after the other (p10 {percentile(alone, 10):.2f}); at 150/s p50 "
            f"{percentile(steady, 50):.2f}, p99 {p99:.1f} ms, {told(statuses)}",
            "p50 4 ms, p99 15 ms at 150/s",
            p50 <= 4 and p99 <= 15 and set(statuses) == {"200"},
        ),
        Result(
            "REST, CPU a request, beside `mlflow models serve` of the peer on a ready row",
            f"{1000 * ours:.2f} ms; MLflow {1000 * peer_cpu:.2f} ms (p50 "
            f"{percentile(peers, 50):.1f} "
            f"ms): {peer_cpu / ours:.1f}x",
            "5x fewer",
            peer_cpu / ours >= 5,
        ),
    ]


def told(statuses: Counter[str]) -> str:
    """Answers by status."""
    return ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items()))


def load(settings: argparse.Namespace) -> Result:
    """Twice what the server can do, which is found first."""
    asked = bodies()
    port = free_port()
    with server(our_server(port), port, "/readyz") as pid:
        one_by_one(port, "/v1/forecasts", asked[:50])
        base, _ = asyncio.run(asked_at(port, asked, 50, min(settings.seconds, 10)))
        rate = 2 * asyncio.run(capacity(port, asked, 5))
        asyncio.run(asked_at(port, asked, rate, 5))  # buffers of its connections are made
        before = resident_mb(pid)
        took, statuses = asyncio.run(asked_at(port, asked, rate, settings.seconds))
        after = resident_mb(pid)
    usual, loaded = percentile(base, 99), percentile(took, 99)
    return Result(
        f"twice the capacity ({rate:,.0f}/s asked) for {settings.seconds:g} s",
        f"{told(statuses)}; p99 of the answered {loaded:.0f} ms, {usual:.0f} ms at 50/s; memory "
        f"{before:,.0f} to {after:,.0f} MB",
        "no failure but 503, p99 of the accepted within 3x, memory flat",
        set(statuses) <= {"200", "503"} and loaded <= 3 * usual and after < before * 1.1,
    )


def batch(settings: argparse.Namespace) -> Result:
    """A batch in a process of its own, and the bare predictions it needs."""
    WORK.mkdir(parents=True, exist_ok=True)
    log, own = WORK / f"log-{settings.lines}.parquet", WORK / "batch-bundle"
    if not own.exists():
        write_log(WORK / "learn.parquet", 300_000, seed=1)
        learned = clvcast.read_orders(WORK / "learn.parquet")
        clvcast.train(learned, clvcast.Config(horizon_days=90, periods=4)).save(own)
    if not log.exists():
        write_log(log, settings.lines)
    command = [sys.executable, __file__, "--measure", str(log), str(own)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    ratio = found["cpu"] / found["bare"]
    return Result(
        f"batch, {found['customers']:,} customers with {settings.lines:,} lines, parquet to "
        "parquet",
        f"{found['cpu']:.1f} CPU s, {found['wall']:.0f} s; bare `Booster.predict` "
        f"{found['bare']:.1f} CPU "
        f"s: {ratio:.2f}x; peak {found['peak']:,.0f} MB",
        "1.5x; 2 GB (at 10 M lines)",
        ratio <= 1.5 and found["peak"] <= 2048,
    )


def measured(log: Path, own: Path) -> None:
    """Score a log, then predict as many rows with LightGBM alone; says what both took as JSON."""
    model = clvcast.load_model(own)  # its golden rows load the compiled code
    begin, wall = time.process_time(), time.perf_counter()
    result = score_files(model, str(log), WORK / "f.parquet", "2024-01-01", force=True)
    cpu, wall = time.process_time() - begin, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = build_features(clvcast.read_orders(WORK / "learn.parquet"), ["2024-01-01"])
    inputs = rows[list(model.numbers.features)].to_numpy(dtype=np.float32)
    inputs = np.resize(inputs, (100_000, inputs.shape[1]))
    begin = time.process_time()
    for seeds in model.trees.values():
        for trees in seeds:
            trees.booster.predict(inputs, raw_score=True, num_threads=1)
    bare = (time.process_time() - begin) * result.customers / len(inputs)
    found = {"customers": result.customers, "cpu": cpu, "wall": wall, "bare": bare, "peak": peak}
    print(json.dumps(found))


def cold(settings: argparse.Namespace) -> Result:
    """A process that loads a bundle and ends; beside it one that calls a single compiled function.

    What is compiled is cached by the first turn of each.
    """
    alone = WORK / "compiled.py"
    alone.write_text(
        "import numba\n\n\n@numba.njit(cache=True)\ndef f(x):\n    return x\n\n\nf(1)\n"
    )
    ours = [sys.executable, "-c", f"import clvcast; clvcast.load_model({str(bundle())!r})"]
    loads: list[float] = []
    floors: list[float] = []
    cpus = []
    for turn in range(12):
        for command, walls in ((ours, loads), ([sys.executable, str(alone)], floors)):
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            begin = time.perf_counter()
            subprocess.run(command, check=True)
            wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
            if turn:
                walls.append(wall)
            if turn and walls is loads:
                cpus.append(after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
    p50 = percentile(loads, 50) / 1000
    return Result(
        "cold load: a process starts, imports clvcast, loads a bundle and ends",
        f"p50 {p50:.2f} s (fastest {min(loads):.2f}; CPU p50 "
        f"{percentile(cpus, 50) / 1000:.2f}); one that calls a "
        f"single compiled function, and no more: {percentile(floors, 50) / 1000:.2f} s",
        "1 s",
        p50 <= 1.0,
    )


def install(settings: argparse.Namespace) -> Result:
    """What is installed to serve, of what is installed in full."""
    small, full = megabytes({"serve"}), megabytes({"train", "serve"})
    return Result(
        "serving install",
        f"{small:,.0f} of {full:,.0f} MB: {small / full:.0%}; in another service, without the web "
        f"server, {megabytes(set()):,.0f} MB",
        "70 % of the full install",
        small / full <= 0.7,
    )


def megabytes(extras: set[str]) -> float:
    """Megabytes of the installed files of clvcast's dependencies with some extras, and theirs."""
    seen: set[tuple[str, frozenset[str]]] = set()
    counted: set[str] = set()
    waiting, total = [("clvcast", frozenset(extras))], 0
    while waiting:
        name, wanted = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key, wanted) in seen:
            continue
        seen.add((key, wanted))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if key not in counted and key != "clvcast":
            counted.add(key)
            paths = [Path(str(found.locate_file(file))) for file in found.files or ()]
            total += sum(path.stat().st_size for path in paths if path.is_file())
        for text in found.requires or []:
            need = Requirement(text)
            marked = need.marker
            if marked is None or any(marked.evaluate({"extra": e}) for e in (*wanted, "")):
                waiting.append((need.name, frozenset(need.extras)))
    return total / 1e6


CASES: dict[str, Callable[[argparse.Namespace], Result | list[Result]]] = {
    "one": one,
    "rest": rest,
    "load": load,
    "batch": batch,
    "cold": cold,
    "install": install,
}


def run(name: str, settings: argparse.Namespace) -> None:
    """Measure a case, and put its lines into the table."""
    begin = time.perf_counter()
    measured_now = CASES[name](settings)
    results = measured_now if isinstance(measured_now, list) else [measured_now]
    own = {
        "when": str(date.today()),
        "load": round(os.getloadavg()[0], 1),
        "seconds": round(time.perf_counter() - begin),
        "results": [asdict(result) for result in results],
    }
    for result in results:
        print(
            f"{result.case}: {result.found} (must: {result.must}) {'yes' if result.met else 'NO'}"
        )
    kept = RESULTS / "serving.json"
    table = json.loads(kept.read_text()) if kept.exists() else {}
    table[name] = own
    kept.write_text(json.dumps(table, indent=1) + "\n")
    (RESULTS / "serving.md").write_text(page(table))


def page(table: dict[str, Any]) -> str:
    """The table as Markdown."""
    names = ("lightgbm", "mlflow", "fastapi", "uvicorn")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    lines = [
        "# Serving",
        "",
        f"clvcast {clvcast.__version__}, {versions}, Python {platform.python_version()}, "
        f"{os.cpu_count()} "
        f"cores of {platform.machine()}, shared with others: `load` is the machine's load "
        "average when a case "
        "ended, and milliseconds of a process that waits for a core are not its own; CPU "
        "seconds and what is "
        "compared in turns are. Clients run on the same cores. Command: `make "
        "benchmark-serving`, or a case of "
        "it: `python benchmarks/serving.py --case NAME`.",
        "",
        "The peer is a single plain LightGBM model of 500 trees, logged by MLflow with a "
        "signature, asked with "
        "a feature row that is ready; clvcast is asked with order lines, and answers with every "
        "column.",
        "",
        "| case | found | must | met | when, load |",
        "|---|---|---|---|---|",
    ]
    for name in CASES:
        if name not in table:
            continue
        for own in table[name]["results"]:
            met = "yes" if own["met"] else "**no**"
            at = f"{table[name]['when']}, {table[name]['load']:g}"
            lines.append(f"| {own['case']} | {own['found']} | {own['must']} | {met} | {at} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure one case or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--case", choices=CASES, action="append", help="one of the cases; repeatable"
    )
    parser.add_argument("--lines", type=int, default=15_000_000, help="of the batch")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the load")
    parser.add_argument("--turns", type=int, default=600, help="calls of each side")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.measure:
        measured(*settings.measure)
        return
    WORK.mkdir(parents=True, exist_ok=True)
    for name in settings.case or CASES:
        run(name, settings)


if __name__ == "__main__":
    main()
