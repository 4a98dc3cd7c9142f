"""Features against DuckDB, polars and pandas: the same columns, one sink, each run its own process.

    make benchmark-features

Every tool reads one parquet of order lines and hands its rows, block by block, to a sink that sums
each column; the sums must agree. The table goes to results/features.md. Each run is kept in a
scratch file until the table is written, so that an interrupted command resumes;
runs of code that changed since are measured anew. CLVCAST_BENCHMARK_FOLDER says where logs and
scratch file are (default build/benchmark), CLVCAST_BENCHMARK_LARGE the logs read in shards, in
millions of lines (default 50,200; 200 takes 3 GB of disk, and 12 GB while it is read).
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numba
import numpy as np
from features_report import written
from orders_log import write_log

Blocks = Callable[[str, int], Iterator[tuple[tuple[str, ...], np.ndarray]]]
HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("CLVCAST_BENCHMARK_FOLDER", HERE.parent / "build" / "benchmark"))
LARGE = [int(m) for m in os.environ.get("CLVCAST_BENCHMARK_LARGE", "50,200").split(",") if m]
COLUMNS = ["customer_id", "ordered_at", "amount", "order_id", "category", "channel", "quantity"]
NEWEST = datetime(2023, 12, 1)
ROWS_AT_ONCE = 10_000  # of a frame, handed to the sink
TOLERANCE = 1e-5  # relative, of a column's sum


@dataclass(frozen=True)
class Case:
    """What is measured: a tool on a log."""

    millions: int  # of lines
    cutoffs: int
    tool: str
    runs: int = 3
    memory_limit: int = 0  # bytes, where the log is read in shards

    @property
    def name(self) -> str:
        """The case as the scratch file names it."""
        return f"{self.millions}x{self.cutoffs} {self.tool} {self.memory_limit}".strip()


def cases() -> list[Case]:
    """All that is measured, the quick first."""
    found = [Case(1, 12, tool) for tool in ("clvcast", "floor")]
    for cutoffs in (1, 12):
        tools = ("clvcast", "clvcast_all", "floor", "duckdb", "polars", "pandas")
        found += [Case(10, cutoffs, tool) for tool in tools]
    found.append(Case(10, 12, "clvcast_frame"))
    # as many shards as 50 M lines make in 2 GB, so that their times can be compared
    found.append(Case(10, 12, "clvcast_shards", memory_limit=4 * 10**8))
    for millions in LARGE:
        runs = 3 if millions < 100 else 1
        found.append(Case(millions, 12, "clvcast_shards", runs, memory_limit=2 * 10**9))
    return found


def cutoffs(count: int) -> list[datetime]:
    """The newest cutoff and those four weeks apart before it, oldest first."""
    return [NEWEST - timedelta(weeks=4 * k) for k in reversed(range(count))]


# ---- one run, in its process


@numba.njit(cache=True)
def _add_rows(block: np.ndarray, sums: np.ndarray) -> None:
    for row in range(block.shape[0]):
        for column in range(block.shape[1]):
            value = block[row, column]
            if value == value:  # else missing
                sums[column] += value


@numba.njit(cache=True)
def _add_columns(columns: np.ndarray, sums: np.ndarray) -> None:
    for column in range(columns.shape[0]):
        for value in columns[column]:
            if value == value:
                sums[column] += value


def add_up(block: np.ndarray, sums: np.ndarray) -> None:
    """The sink: add each column of a block to its sum, along memory."""
    if block.flags.c_contiguous:
        _add_rows(block, sums)
    else:
        _add_columns(np.ascontiguousarray(block.T), sums)


def run_one(case: Case, path: str) -> dict[str, Any]:
    """Run one tool in this process; its time and memory, imports and compilation left out."""
    ours: dict[str, Callable[[], Blocks]] = {
        "clvcast": lambda: _clvcast(alike=True),
        "clvcast_all": lambda: _clvcast(alike=False),
        "clvcast_frame": _clvcast_frame,
        "clvcast_shards": lambda: _clvcast_in_shards(case.memory_limit),
        "floor": _floor,
    }
    blocks = ours[case.tool]() if case.tool in ours else _peer(case.tool)
    for order in ("C", "F"):
        add_up(np.zeros((2, 2), dtype=np.float32, order=order), np.zeros(2))
    began, used = time.perf_counter(), _cpu()
    rows, sums = 0, np.zeros(0)
    names: tuple[str, ...] = ()
    for names, block in blocks(path, case.cutoffs):
        sums = sums if len(sums) else np.zeros(len(names))
        add_up(block, sums)
        rows += len(block)
    wall, cpu = time.perf_counter() - began, np.subtract(_cpu(), used)
    # not ru_maxrss, which begins with what the process that started this one had reached
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    named = dict(zip(names, sums.tolist(), strict=True)) if rows else {}
    return {
        "cpu": float(cpu.sum()),
        "system": float(cpu[1]),
        "wall": wall,
        "peak": peak,
        "rows": rows,
        "sums": named,
        "load": os.getloadavg()[0],
    }


def _cpu() -> np.ndarray:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([used.ru_utime, used.ru_stime])


def _clvcast(alike: bool) -> Blocks:
    """All features, or the groups that hold those the peers compute."""
    from feature_peers import FEATURES

    from clvcast.features.catalogue import GROUPS
    from clvcast.features.table import iterate_feature_blocks
    from clvcast.orders.dates import parse_instants
    from clvcast.orders.reading.read_orders import read_orders

    groups = None
    if alike:
        groups = tuple(g.name for g in GROUPS if any(f.name in FEATURES for f in g.features))

    def blocks(path: str, count: int) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        orders = read_orders(path)
        for block in iterate_feature_blocks(
            orders, np.array(parse_instants(cutoffs(count))), groups
        ):
            yield block.names, block.values

    with tempfile.TemporaryDirectory() as folder:  # load the compiled code
        write_log(Path(folder) / "small.parquet", 1_000)
        list(blocks(f"{folder}/small.parquet", 1))
    return blocks


def _clvcast_frame() -> Blocks:
    """All features as people call it: the orders read, and one frame of all rows."""
    from clvcast.features.feature_frame import build_features
    from clvcast.orders.reading.read_orders import read_orders

    def blocks(path: str, count: int) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        frame = build_features(read_orders(path), cutoffs(count))
        for row in range(0, len(frame), ROWS_AT_ONCE):
            block = frame.iloc[row : row + ROWS_AT_ONCE].drop(columns=["customer_id", "cutoff"])
            yield tuple(map(str, block)), block.to_numpy(np.float32)

    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder) / "small.parquet", 1_000)
        list(blocks(f"{folder}/small.parquet", 1))
    return blocks


def _clvcast_in_shards(memory_limit: int) -> Blocks:
    """All features of logs that memory does not hold."""
    from clvcast.configs.schema import OrdersConfig
    from clvcast.features.table import iterate_feature_blocks
    from clvcast.orders.dates import parse_instants
    from clvcast.orders.reading.sharding import read_shards

    def blocks(
        path: str, count: int, limit: int = memory_limit
    ) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        config = OrdersConfig(source=path)
        with read_shards(config, limit, folder=Path(path).parent) as shards:
            for orders in shards:
                for block in iterate_feature_blocks(
                    orders, np.array(parse_instants(cutoffs(count)))
                ):
                    yield block.names, block.values

    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder) / "small.parquet", 1_000)
        list(blocks(f"{folder}/small.parquet", 1, 10_000))
    return blocks


def _floor() -> Blocks:
    """What no tool can go below: read the file, and sort the lines by customer once."""
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


# ------------------------------------------------------------------------------------ all of them


def measure(case: Case, path: Path) -> dict[str, Any]:
    """One run, in a process of its own."""
    command = [sys.executable, __file__, "--run", json.dumps(asdict(case)), str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{case.name} ended with status {done.returncode}; what was measured is kept")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def log_of(millions: int) -> Path:
    """The log of so many million lines, made where there is none yet."""
    path = FOLDER / f"{millions}m.parquet"
    if not path.exists():
        print(f"making a log of {millions} M lines", flush=True)
        part = path.with_suffix(".part")
        write_log(part, millions * 1_000_000)
        part.replace(path)
    return path


def code_of(tool: str) -> str:
    """A digest of the code a run depends on: runs of other code are not this table's."""
    sources = [HERE / "features.py", HERE / "orders_log.py", HERE / "feature_peers.py"]
    if tool.startswith("clvcast"):
        ours = [HERE.parent / "features", HERE.parent / "orders"]
        sources = [HERE / "orders_log.py", *sorted(p for f in ours for p in f.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


class Scratch:
    """The runs measured so far, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        kept = json.loads(path.read_text()) if path.exists() else {}
        self._codes = {case.tool: code_of(case.tool) for case in cases()}
        self.runs: dict[str, list[dict[str, Any]]] = {
            name: [run for run in runs if run["code"] in self._codes.values()]
            for name, runs in kept.items()
        }

    def of(self, case: Case) -> list[dict[str, Any]]:
        """The runs of a case."""
        return self.runs.setdefault(case.name, [])

    def add(self, case: Case, run: dict[str, Any]) -> None:
        """Keep a run."""
        self.of(case).append(run | {"code": self._codes[case.tool]})
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self.runs))
        part.replace(self._path)

    def remove(self) -> None:
        """The table is written."""
        self._path.unlink(missing_ok=True)


def check_equal(ours: dict[str, Any], other: dict[str, Any], case: Case) -> None:
    """Stop where a tool's columns do not add up to ours."""
    for name, value in other["sums"].items():
        if not np.isclose(ours["sums"][name], value, rtol=TOLERANCE):
            sys.exit(f"{case.name} gives {name} {value!r}, clvcast {ours['sums'][name]!r}")


def main() -> None:
    """Measure what is not measured yet, and write the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    scratch = Scratch(FOLDER / "features.json")
    log_of(1)
    for tool in ("clvcast_all", "clvcast_shards"):  # compile before anything is measured
        measure(Case(1, 1, tool, memory_limit=10**7), log_of(1))
    wanted = cases()
    for turn in range(max(case.runs for case in wanted)):  # side by side: the machine has its moods
        for case in wanted:
            if turn < case.runs and len(scratch.of(case)) <= turn:
                run = measure(case, log_of(case.millions))
                scratch.add(case, run)
                print(
                    f"{datetime.now():%H:%M:%S} {case.name}, run {turn + 1} of {case.runs}: "
                    f"CPU {run['cpu']:.2f} s, wall {run['wall']:.1f} s, {run['peak']:,.0f} MB, "
                    f"load {run['load']:.0f}",
                    flush=True,
                )
    for case in wanted:
        whole = Case(case.millions, case.cutoffs, "clvcast_all")
        if case.millions == 10 and case != whole:
            check_equal(scratch.of(whole)[0], scratch.of(case)[0], case)
    page = HERE / "results" / "features.md"
    page.write_text(written([(asdict(case), scratch.of(case)) for case in wanted]))
    scratch.remove()
    print(f"written to {page}; the logs stay in {FOLDER}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(run_one(Case(**json.loads(sys.argv[2])), sys.argv[3])))
    else:
        main()
