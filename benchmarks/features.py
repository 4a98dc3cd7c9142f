"""Features against DuckDB, polars and pandas: the same columns, one sink, each run its own process.

    make benchmark-features

Every tool reads one parquet of order lines and hands its rows, block by block, to a sink that sums each
column; the sums must agree. Medians of three runs go to results/features.md, and one run each of logs that
are read in shards. The logs are made once in a temporary folder (CLVCAST_BENCHMARK_FOLDER keeps them elsewhere;
CLVCAST_BENCHMARK_LARGE names the large ones in millions of lines, such as 50,200).
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from orders_log import write_log

Blocks = Callable[[str, int], Iterator[tuple[tuple[str, ...], np.ndarray]]]
HERE = Path(__file__).parent
RUNS = 3
OURS = ("clvcast", "shards", "floor")
MEMORY_LIMIT = 2 * 10**9
TOOLS = ("clvcast", "floor", "duckdb", "polars", "pandas")
COLUMNS = ["customer_id", "ordered_at", "amount", "order_id", "category", "channel", "quantity"]
NEWEST = datetime(2023, 12, 1)
IN_SHARDS = "clvcast, memory_limit 2 GB"
TOLERANCE = 1e-5  # relative, of a column's sum


def cutoffs(count: int) -> list[datetime]:
    """The newest cutoff and those four weeks apart before it, oldest first."""
    return [NEWEST - timedelta(weeks=4 * k) for k in reversed(range(count))]


def run_one(tool: str, path: str, count: int) -> dict[str, Any]:
    """Run one tool in this process; its time and memory, imports and compilation left out."""
    ours = {"clvcast": _clvcast, "shards": _clvcast_in_shards, "floor": _floor}
    blocks = ours[tool]() if tool in ours else _peer(tool)
    began, used = time.perf_counter(), _cpu()
    rows, sums = 0, None
    names: tuple[str, ...] = ()
    for names, block in blocks(path, count):  # noqa: B007
        total = np.nansum(block, axis=0, dtype=np.float64)
        sums = total if sums is None else sums + total
        rows += len(block)
    wall, cpu = time.perf_counter() - began, _cpu() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    named = {} if sums is None else dict(zip(names, sums.tolist(), strict=True))
    return {"cpu": cpu, "wall": wall, "peak": peak, "rows": rows, "sums": named}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _clvcast() -> Blocks:
    from clvcast.features.reading import read_orders
    from clvcast.features.table import feature_blocks
    from clvcast.features.windows import as_instants

    def blocks(path: str, count: int) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        orders = read_orders(path)
        for block in feature_blocks(orders, np.array(as_instants(cutoffs(count)))):
            yield block.names, block.values

    with tempfile.TemporaryDirectory() as folder:  # load the compiled code
        write_log(Path(folder) / "small.parquet", 1_000)
        list(blocks(f"{folder}/small.parquet", 1))
    return blocks


def _clvcast_in_shards() -> Blocks:
    """The same for logs that memory does not hold: under a limit of 2 GB."""
    from clvcast.configs.schema import OrdersConfig
    from clvcast.features.shards import read_shards
    from clvcast.features.table import feature_blocks
    from clvcast.features.windows import as_instants

    def blocks(
        path: str, count: int, limit: int = MEMORY_LIMIT
    ) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        config = OrdersConfig(source=path)
        with read_shards(config, limit, folder=Path(path).parent) as shards:
            for orders in shards:
                for block in feature_blocks(orders, np.array(as_instants(cutoffs(count)))):
                    yield block.names, block.values

    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder) / "small.parquet", 1_000)
        list(blocks(f"{folder}/small.parquet", 1, 10_000))
    return blocks


def _floor() -> Blocks:
    """What no tool can go below: read the file, and sort the lines by customer once."""
    import numba
    import pyarrow.parquet

    @numba.njit(cache=True)
    def by_customer(customers: np.ndarray, n_customers: int) -> np.ndarray:
        following = np.zeros(n_customers + 1, dtype=np.int64)
        for customer in customers:
            following[customer + 1] += 1
        for customer in range(n_customers):
            following[customer + 1] += following[customer]
        line = np.empty(len(customers), dtype=np.int64)
        for position in range(len(customers)):
            customer = customers[position]
            line[following[customer]] = position
            following[customer] += 1
        return line

    def blocks(path: str, count: int) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        table = pyarrow.parquet.read_table(path, columns=COLUMNS)
        customers = table["customer_id"].to_numpy()
        codes = (customers - customers.min()).astype(np.int32)
        by_customer(codes, int(codes.max()) + 1)
        yield from ()

    by_customer(np.zeros(1, dtype=np.int32), 1)
    return blocks


def _peer(tool: str) -> Blocks:
    import feature_peers

    made = getattr(feature_peers, f"{tool}_blocks")
    return lambda path, count: (
        (feature_peers.FEATURES, block) for block in made(path, cutoffs(count))
    )


def measure(tool: str, path: Path, count: int, runs: int = RUNS) -> dict[str, Any]:
    """Medians over runs, each in a process of its own."""
    results = []
    for _ in range(runs):
        command = [sys.executable, __file__, "--run", tool, str(path), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    medians = {k: statistics.median(r[k] for r in results) for k in ("cpu", "wall", "peak")}
    return results[0] | medians


def check_equal(ours: dict[str, Any], other: dict[str, Any], tool: str) -> None:
    """Stop where a peer's columns do not add up to ours."""
    for name, value in other["sums"].items():
        if not np.isclose(ours["sums"][name], value, rtol=TOLERANCE):
            sys.exit(f"{tool} gives {name} {value!r}, clvcast {ours['sums'][name]!r}")


def main() -> None:
    """Measure everything and write the table."""
    folder = Path(os.environ.get("CLVCAST_BENCHMARK_FOLDER") or tempfile.mkdtemp())
    log = folder / "10m.parquet"
    if not log.exists():
        write_log(log, 10_000_000)
    measure("clvcast", log, 1)  # compiles
    measure("shards", log, 1, runs=1)
    rows = [
        "| lines x cutoffs | tool | CPU s | wall s | peak MB | rows |",
        "|---|---|---|---|---|---|",
    ]
    notes = []
    found: dict[tuple[str, int], dict[str, Any]] = {}

    def note_row(lines: str, count: int, tool: str, result: dict[str, Any]) -> None:
        rows.append(
            f"| {lines} x {count} | {tool} | {result['cpu']:.1f} | {result['wall']:.1f} | "
            f"{result['peak']:,.0f} | {result['rows']:,} |"
        )
        print(rows[-1], flush=True)

    for count in (1, 12):
        for tool in TOOLS:
            result = found[tool, count] = measure(tool, log, count)
            note_row("10 M", count, tool, result)
            if tool not in OURS:
                check_equal(found["clvcast", count], result, tool)
        ours = found["clvcast", count]["cpu"]
        ratios = [f"1/{found[t, count]['cpu'] / ours:.1f} of {t}'s" for t in TOOLS[2:]]
        floor = ours / found["floor", count]["cpu"]
        notes.append(
            f"- {count} x 10 M: clvcast takes {', '.join(ratios)} CPU seconds, and {floor:.1f}x the floor "
            "(read the file and sort the lines by customer once)."
        )
    growth = found["clvcast", 12]["cpu"] / found["clvcast", 1]["cpu"]
    notes.append(f"- From 1 to 12 cutoffs clvcast takes {growth:.1f}x.")
    sharded = measure("shards", log, 12)
    check_equal(found["clvcast", 12], sharded, "in shards")
    note_row("10 M", 12, IN_SHARDS, sharded)
    for millions in filter(None, os.environ.get("CLVCAST_BENCHMARK_LARGE", "50").split(",")):
        large = folder / f"{millions}m.parquet"
        if not large.exists():
            write_log(large, int(millions) * 1_000_000)
        result = measure("shards", large, 12, runs=1)
        note_row(f"{millions} M", 12, IN_SHARDS, result)
        times = result["cpu"] / sharded["cpu"]
        notes.append(
            f"- {millions} M x 12 in shards, a single run: {times:.1f}x the CPU seconds of 10 M in shards."
        )
    versions = ", ".join(f"{n} {version(n)}" for n in ("clvcast", "duckdb", "polars", "pandas"))
    head = [
        "# Features",
        "",
        f"{date.today()}, {versions}, numba {version('numba')}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores of {platform.machine()}, shared. Command: `make benchmark-features`. "
        f"Medians of {RUNS} runs, each a process of its own, imports and compilation left out. The peers "
        "compute 51 features, clvcast these and 18 more; sums of all 51 columns agree to 1e-5.",
        "",
    ]
    page = HERE / "results" / "features.md"
    page.write_text("\n".join([*head, *rows, "", *notes]) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(run_one(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        main()
