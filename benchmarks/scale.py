"""What features and forecasts cost as orders grow: one machine, and Spark on the same two cores.

    make benchmark-scale                      1 to 100 M lines on one machine, 1 to 10 M in Spark
    python benchmarks/scale.py --local 300    other sizes, in millions of lines

Each run is a process of its own on a log of benchmarks/orders_log.py (about fifteen lines a
customer); compiled code is cached by a run before the first. CPU seconds are of the process and all
it started. The page is results/scale.md, the measurements results/scale.json: what was measured
before stays, and is measured again with `--again` alone, so that an interrupted run resumes.
Logs lie in a temporary folder (CLVCAST_BENCHMARK_FOLDER keeps them elsewhere).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from orders_log import write_log

from features import cutoffs

HERE = Path(__file__).parent
MILLION = 1_000_000
TRAINED_ON = 100_000  # lines
LIMITS = {10: "200MB", 100: "2GB"}  # by millions of lines: less than the orders need
CUTOFF = "2023-12-01"
MEASURED = HERE / "results" / "scale.json"


def features_here(log: Path, folder: Path) -> dict[str, Any]:
    """Read a log, then its features at 12 cutoffs, block by block, into nothing."""
    from clvcast.features.table import iterate_feature_blocks
    from clvcast.orders.dates import parse_instants
    from clvcast.orders.reading.read_orders import read_orders

    began = _cpu()
    orders = read_orders(log)
    read = _cpu() - began
    rows = sum(
        block.n_rows
        for block in iterate_feature_blocks(orders, np.array(parse_instants(cutoffs(12))))
    )
    counts = {"lines": orders.n_lines, "customers": orders.n_customers, "rows": rows}
    return {**counts, "read_cpu": read}


def score_here(log: Path, folder: Path, memory_limit: str | None = None) -> dict[str, Any]:
    """`clvcast score` into a file."""
    from clvcast.models.bundle import load_bundle
    from clvcast.serve.batch.run import score_files

    with tempfile.TemporaryDirectory(dir=folder) as out, _watched(Path(out)) as disk:
        result = score_files(
            load_bundle(folder / "bundle"), str(log), Path(out) / "f.parquet", CUTOFF, memory_limit
        )
        written = (Path(out) / "f.parquet").stat().st_size
    return {"forecasts": result.customers, "output_bytes": written, "disk_bytes": max(disk)}


def score_in_shards(log: Path, folder: Path) -> dict[str, Any]:
    """The same with memory for a part of the orders."""
    limit = LIMITS.get(int(log.stem.removesuffix("m")), "2GB")
    return {**score_here(log, folder, limit), "memory_limit": limit}


def score_in_spark(log: Path, folder: Path) -> dict[str, Any]:
    """`clvcast score --engine spark` with two cores."""
    from pyspark.sql import SparkSession

    from clvcast.models.bundle import load_bundle
    from clvcast.serve.spark.batch import score_files

    with tempfile.TemporaryDirectory(dir=folder) as out:
        events = Path(out) / "events"
        events.mkdir()
        settings = {
            "spark.driver.memory": "2g",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.local.dir": out,
            "spark.eventLog.enabled": "true",
            "spark.eventLog.compress": "false",
            "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.dir": events.as_uri(),
        }
        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = SparkSession.builder.master("local[2]").appName("scale")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        result = score_files(load_bundle(folder / "bundle"), str(log), Path(out) / "f", CUTOFF)
        written = sum(path.stat().st_size for path in (Path(out) / "f").iterdir())
        family = _family()
        session.stop()
        return {
            "forecasts": result.customers,
            "output_bytes": written,
            "cpu": sum(cpu for cpu, _ in family),
            "peak": sum(peak for _, peak in family),
            "shuffle_bytes": _shuffled(events),
        }


JOBS = {
    "features": features_here,
    "score": score_here,
    "shards": score_in_shards,
    "spark": score_in_spark,
}


@contextmanager
def _watched(folder: Path) -> Iterator[list[int]]:
    """The bytes in a folder, looked at five times a second."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            total = 0
            for path in folder.rglob("*"):
                with suppress(OSError):  # just gone
                    total += path.stat().st_size
            seen.append(total)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _shuffled(events: Path) -> int:
    """Bytes that tasks wrote for others to fetch, from Spark's own log."""
    total = 0
    for line in next(events.iterdir()).read_text().splitlines():
        event = json.loads(line)
        if event["Event"] == "SparkListenerTaskEnd":
            metrics = event.get("Task Metrics", {}).get("Shuffle Write Metrics", {})
            total += metrics.get("Shuffle Bytes Written", 0)
    return total


def _family() -> list[tuple[float, float]]:
    """CPU seconds and peak MB of this process and of all below it, the finished ones' CPU with
    them.
    """
    parents, found = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            cells = status.read_text().rpartition(")")[2].split()
            memory = (status.parent / "status").read_text()
        except OSError:
            continue  # it ended
        pid = int(status.parent.name)
        parents[pid] = int(cells[1])
        ticks = sum(map(int, cells[11:15])) / os.sysconf("SC_CLK_TCK")
        peak = [line.split()[1] for line in memory.splitlines() if line.startswith("VmHWM")]
        found[pid] = ticks, int(peak[0]) / 1024 if peak else 0.0

    def is_ours(pid: int) -> bool:
        while pid not in (0, os.getpid()):
            pid = parents.get(pid, 0)
        return pid != 0

    return [own for pid, own in found.items() if is_ours(pid)]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run_one(job: str, log: Path, folder: Path) -> dict[str, Any]:
    """Run a job in this process: what it found, and what it cost."""
    wall = time.perf_counter()
    found = JOBS[job](log, folder)
    wall = time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": _cpu(), "wall": wall, "peak": peak, **found}


def measure(job: str, log: Path, folder: Path) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--run", job, str(log), str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def logs(folder: Path, millions: int) -> Path:
    """The log of so many million lines, made where it is missing."""
    path = folder / f"{millions}m.parquet"
    if not path.exists():
        write_log(path.with_suffix(".partial"), millions * MILLION)
        path.with_suffix(".partial").rename(path)
    return path


def train_model(folder: Path) -> None:
    """A model with the default settings, of a small log."""
    import clvcast

    if not (folder / "bundle").exists():
        write_log(folder / "training.parquet", TRAINED_ON)
        model = clvcast.train(clvcast.read_orders(folder / "training.parquet"), clvcast.Config())
        model.save(folder / "bundle")


def main() -> None:
    """Measure what is asked and write the page."""
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    asked.add_argument("--local", type=int, nargs="*", default=[1, 3, 10, 30], metavar="MILLIONS")
    asked.add_argument("--shards", type=int, nargs="*", default=[10, 100], metavar="MILLIONS")
    asked.add_argument("--spark", type=int, nargs="*", default=[1, 3, 10], metavar="MILLIONS")
    asked.add_argument("--again", action="store_true", help="measure what was measured before too")
    sizes = asked.parse_args()
    folder = Path(os.environ.get("CLVCAST_BENCHMARK_FOLDER") or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    found = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    wanted = [
        *((job, size) for size in sizes.local for job in ("features", "score")),
        *(("shards", size) for size in sizes.shards),
        *(("spark", size) for size in sizes.spark),
    ]
    if not sizes.again:
        wanted = [(job, size) for job, size in wanted if str(size) not in found.get(job, {})]
    if wanted:
        train_model(folder)
        measure("features", logs(folder, 1), folder)  # compiles
    for job, millions in wanted:
        result = measure(job, logs(folder, millions), folder)
        result |= {"log_bytes": logs(folder, millions).stat().st_size, "date": str(date.today())}
        found.setdefault(job, {})[str(millions)] = result
        print(job, millions, result, flush=True)
        MEASURED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    write_page(found)


def line_of(found: dict[str, Any], value: str) -> tuple[float, float]:
    """Base and slope by million lines, least squares of relative errors, none below zero."""
    from scipy.optimize import nnls

    lines = np.array([float(size) for size in found])
    values = np.array([one[value] for one in found.values()])
    base, slope = nnls(np.column_stack([1.0 / values, lines / values]), np.ones(len(values)))[0]
    return float(base), float(slope)


def parts_of(found: dict[str, Any]) -> list[str]:
    """What grows with what, at the largest size measured."""
    size = max(found["features"].keys() & found["score"].keys(), key=int)
    features, score = found["features"][size], found["score"][size]
    lines, forecasts = features["lines"] / 1e6, score["forecasts"] / 1e6
    read = features["read_cpu"]
    spark = list(found.get("spark", {}).values())
    shuffled = [one["shuffle_bytes"] / one["forecasts"] * forecasts / lines for one in spark]
    return [
        f"At {size} M lines, by what it grows with:",
        "",
        f"- reading and packing: {read / lines:.2f} CPU s a million lines",
        f"- features: {(features['cpu'] - read) / features['rows'] * 1e6:.2f} CPU s a million rows "
        "(customers x cutoffs)",
        f"- forecasts, with writing them: {(score['cpu'] - read) / forecasts:.1f} CPU s a million "
        f"customers, {score['output_bytes'] / score['forecasts']:.0f} bytes each",
        *(f"- Spark's shuffle: {max(shuffled):.0f} bytes a line" for _ in shuffled[:1]),
    ]


def write_page(found: dict[str, Any]) -> None:
    """results/scale.md."""
    names = {
        "features": "features at 12 cutoffs",
        "score": "score",
        "shards": "score, memory_limit",
        "spark": "score, Spark local[2]",
    }
    rows = [
        "| job | M lines | log MB | CPU s | wall s | peak MB | output MB | disk MB | shuffle MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    fits = ["| job | CPU s | peak MB |", "|---|---|---|"]
    for job, sizes in ((job, found[job]) for job in names if job in found):
        ordered = dict(sorted(sizes.items(), key=lambda item: int(item[0])))
        for size, one in ordered.items():
            more = [
                f"{one[name] / 1e6:,.1f}" if name in one else ""
                for name in ("output_bytes", "disk_bytes", "shuffle_bytes")
            ]
            name = f"{names[job]} {one.get('memory_limit', '')}".strip()
            rows.append(
                f"| {name} | {size} | {one['log_bytes'] / 1e6:,.0f} | {one['cpu']:,.1f} | "
                f"{one['wall']:,.1f} | {one['peak']:,.0f} | {' | '.join(more)} |"
            )
        if len(ordered) > 1:
            lines = [line_of(ordered, value) for value in ("cpu", "peak")]
            fits.append(
                f"| {names[job]} | " + " | ".join(f"{a:,.1f} + {b:,.2f} L" for a, b in lines) + " |"
            )
    dates = sorted({one["date"] for sizes in found.values() for one in sizes.values()})
    packages = ", ".join(f"{n} {version(n)}" for n in ("clvcast", "lightgbm", "numba", "pyspark"))
    head = [
        "# Scale",
        "",
        f"{' to '.join(dict.fromkeys([dates[0], dates[-1]]))}, {packages}, Python "
        f"{platform.python_version()}, "
        f"{os.cpu_count()} cores of {platform.machine()}, shared with other work: CPU seconds "
        "tell more than "
        "wall seconds. Command: `make benchmark-scale`. One run each; fifteen lines a customer; "
        "the model is the "
        f"default one of {TRAINED_ON:,} lines. CPU and peak are of the process with its imports; "
        "in Spark of the driver, the JVM and the Python workers, their peaks added up. Disk is "
        "the most that "
        "temporary files and outputs took at once.",
        "",
    ]
    fitted = ["", "Fitted, L in million lines (least squares of relative errors):", ""]
    fits += ["", *parts_of(found)]
    page = HERE / "results" / "scale.md"
    page.write_text("\n".join([*head, *rows, *fitted, *fits]) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(run_one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
    else:
        main()
