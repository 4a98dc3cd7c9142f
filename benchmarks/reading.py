"""CPU time of reading 10 million order lines of parquet, against an earlier version.

make benchmark-reading BASELINE=FOLDER writes results/reading.md. FOLDER holds the other version as
`clvcast`: the folder `build/editable` of a worktree of that version, after make there.

Three readings take turns, each in a process of its own: the earlier version, this one without new
keys, and this one with `only`, `amount_per: order` and `customer_ids: folded`. Compared is user and
system time of the reading alone, pair by pair, since a shared machine slows down and recovers.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
N_LINES = int(os.environ.get("LINES", 10_000_000))
PAIRS = 9
MOST_PLAIN, MOST_WITH_KEYS = 1.05, 1.40
COLUMNS = {
    "customer_id": "customer", "ordered_at": "placed_at", "amount": "total", "order_id": "order_no",
}  # fmt: skip
NEW_KEYS = {
    "only": {"status": ["paid", "refunded"]},
    "amount_per": "order",
    "customer_ids": "folded",
}
CHILD = """
import json, resource, sys
import clvcast
source, options = sys.argv[1], json.loads(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF)
orders = clvcast.read_orders(source, **options)
after = resource.getrusage(resource.RUSAGE_SELF)
spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"cpu": spent, "customers": orders.n_customers, "lines": orders.n_lines}))
"""


def write_lines(path: Path, n: int = N_LINES) -> None:
    """Order lines in the order of time: 2.5 per order with its total on each, 3 orders each."""
    random = np.random.default_rng(0)
    order = np.sort(random.integers(0, n * 2 // 5, n))
    n_orders = int(order[-1]) + 1
    customer = random.integers(0, n_orders // 3, n_orders)
    total = np.round(random.gamma(2.0, 25.0, n_orders), 2)
    status = random.choice(4, n_orders, p=[0.85, 0.06, 0.05, 0.04]).astype(np.int8)
    seconds = np.sort(random.integers(0, 3 * 365 * 86_400, n_orders)) + 1_640_995_200
    words = pa.array(["paid", "refunded", "cancelled", "failed"])
    ids = pa.array([f"Buyer{k}@example.org" for k in range(n_orders // 3)])
    table = pa.table(
        {
            "customer": ids.take(pa.array(customer[order])),
            "placed_at": pa.array(seconds[order] * 1_000_000, pa.timestamp("us")),
            "total": total[order],
            "order_no": order + 1_000_000,
            "status": words.take(pa.array(status[order])),
        }
    )
    pq.write_table(table, path)


def measure(folder: str, path: Path, options: dict[str, object]) -> dict[str, float]:
    """What one reading took, with the version in a folder."""
    environment = {**os.environ, "PYTHONPATH": folder, "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-c", CHILD, str(path), json.dumps(options)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Read in turns, and write the medians; exit status 1 where one is over its limit."""
    if len(sys.argv) != 2 or not Path(sys.argv[1], "clvcast").exists():
        sys.exit("give the folder of an earlier version: make benchmark-reading BASELINE=FOLDER")
    ours = str(ROOT / "build" / "editable")
    cases: dict[str, tuple[str, dict[str, object]]] = {
        "earlier": (sys.argv[1], {"columns": COLUMNS}),
        "plain": (ours, {"columns": COLUMNS}),
        "with keys": (ours, {"columns": COLUMNS, **NEW_KEYS}),
    }
    spent: dict[str, list[float]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as temporary:
        path, small = Path(temporary, "lines.parquet"), Path(temporary, "small.parquet")
        write_lines(path)
        write_lines(small, 10_000)
        for folder, options in cases.values():
            measure(folder, small, options)  # compiled code is cached
        for pair in range(PAIRS):
            for name, (folder, options) in cases.items():
                found = measure(folder, path, options)
                spent[name].append(found["cpu"])
                print(pair + 1, name, found, flush=True)
    ratios = {
        name: [new / old for new, old in zip(spent[name], spent["earlier"], strict=True)]
        for name in ("plain", "with keys")
    }
    median = {name: statistics.median(found) for name, found in ratios.items()}
    rows = [
        f"| {label} | {statistics.median(spent[name]):.1f} s | {ratio} | {limit} |"
        for label, name, ratio, limit in (
            ("0.1.0", "earlier", "1", ""),
            ("this version, the same configuration", "plain", f"{median['plain']:.2f}",
             f"{MOST_PLAIN:.2f}"),
            ("this version with `only`, `amount_per: order` and `customer_ids: folded`",
             "with keys", f"{median['with keys']:.2f}", f"{MOST_WITH_KEYS:.2f}"),
        )
    ]  # fmt: skip
    spread = ", ".join(
        f"{name} {min(found):.2f} to {max(found):.2f}" for name, found in ratios.items()
    )
    text = "\n".join(
        [
            "# Reading",
            "",
            f"{date.today()}, clvcast {version('clvcast')}, pyarrow {version('pyarrow')}, numpy "
            f"{version('numpy')}, Python {platform.python_version()}, {os.cpu_count()} cores of "
            f"{platform.machine()}, shared. Command: `make benchmark-reading BASELINE=FOLDER`.",
            "",
            f"User and system time of `read_orders` on {N_LINES:,} lines of parquet (text ids of "
            f"customers, order totals on each line). Medians of {PAIRS} interleaved pairs; the "
            f"ratio is of each reading and that of 0.1.0 beside it (spread: {spread}).",
            "",
            "| reading | CPU time | times 0.1.0 | limit |",
            "|---|---|---|---|",
            *rows,
        ]
    )
    (ROOT / "benchmarks" / "results" / "reading.md").write_text(text + "\n")
    print(text)
    sys.exit(median["plain"] > MOST_PLAIN or median["with keys"] > MOST_WITH_KEYS)


if __name__ == "__main__":
    main()
