"""What the costliest bodies cost the server, rejected ones beside the worst that is accepted.

    make benchmark-bodies                 trains the sample's model once, then takes a minute
    python benchmarks/worst_bodies.py --model BUNDLE

Each body goes to a server of its own, three at once. Meanwhile `/livez` is asked without a pause.
Writes results/worst_bodies.md.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import platform
import sys
import threading
import time
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from serving import RESULTS, bundle
from serving_asked import cpu_seconds, free_port, resident_mb, server

JSON, PARQUET = "application/json", "application/vnd.apache.parquet"
BYTES = 8_300_000  # just below the limit
AT_ONCE = 3
MOST_FACTOR, MOST_LIVEZ_SECONDS = 2.0, 0.5
TEXTS = ("order_id", "product_id", "category", "channel")


@dataclass(frozen=True)
class Cost:
    """What a body cost, all of its requests together."""

    name: str
    megabytes: float  # of the body
    status: int
    cpu_seconds: float
    memory_mb: float  # at most, above that of the idle server
    livez_seconds: float  # the slowest answer meanwhile
    livez_cpu_seconds: float  # that the server worked, at most, while one of them was waited for


def build_request(line: str, n_lines: int, n_customers: int = 1_000) -> bytes:
    """A JSON body of order lines, shared out evenly."""
    lines = ",".join([line] * (n_lines // n_customers))
    customers = (f'{{"customer_id":"{k}","orders":[{lines}]}}' for k in range(n_customers))
    return f'{{"cutoff":"2011-12-10","customers":[{",".join(customers)}]}}'.encode()


def build_bodies() -> dict[str, tuple[str, bytes]]:
    """The bodies by name, the worst that is accepted first."""
    fields = "".join(f',"{name}":"a"' for name in TEXTS)
    line = f'{{"ordered_at":"2011-05-06","amount":1,"quantity":1{fields}}}'
    n_lines = BYTES // (len(line) + 1) // 1_000 * 1_000
    empty = b'{"cutoff":"2011-12-10","customers":[' + b",".join([b"{}"] * 2_000_000) + b"]}"
    wrong = '{"ordered_at":1,"amount":"a","order_id":1,"product_id":1,"category":1}'
    shared = pa.DictionaryArray.from_arrays(
        pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 20_000])
    )
    table, sink = pa.table({"customer_id": shared, "ordered_at": shared}), io.BytesIO()
    pq.write_table(table, sink, store_schema=False, compression="zstd")
    return {
        "the worst accepted: order lines that fill 8 MB": (JSON, build_request(line, n_lines)),
        "two million empty customers": (JSON, empty),
        "100,000 lines, every field wrong": (JSON, build_request(wrong, 100_000)),
        "a million numbers for customers": (JSON, b'{"customers":[' + b"1," * 1_100_000 + b"1]}"),
        "3 million nested lists": (JSON, b"[" * 3_000_000),
        "4 KB of parquet with 2 GB of text": (PARQUET, sink.getvalue()),
    }


def measure(name: str, kind: str, body: bytes, model: Path) -> Cost:
    """Send a body three times at once to a server of its own."""
    port = free_port()
    command = [sys.executable, "-m", "clvcast", "serve", "--model", str(model), "--port", str(port)]
    done, statuses, peak = threading.Event(), list[int](), [0.0]
    slowest, most_cpu = [0.0], [0.0]

    def post() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        headers = {"content-type": kind}
        query = "?cutoff=2011-12-10" if kind == PARQUET else ""  # JSON has its own
        connection.request("POST", f"/v1/forecasts{query}", body, headers)
        statuses.append(connection.getresponse().status)

    def watch(pid: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        while not done.is_set():
            begin, cpu = time.perf_counter(), cpu_seconds(pid)
            connection.request("GET", "/livez")
            connection.getresponse().read()
            slowest[0] = max(slowest[0], time.perf_counter() - begin)
            most_cpu[0] = max(most_cpu[0], cpu_seconds(pid) - cpu)
            peak[0] = max(peak[0], resident_mb(pid))
            time.sleep(0.01)

    with server(command, port, "/readyz") as pid:
        idle, before = resident_mb(pid), cpu_seconds(pid)
        watcher = threading.Thread(target=watch, args=(pid,))
        posts = [threading.Thread(target=post) for _ in range(AT_ONCE)]
        for thread in (watcher, *posts):
            thread.start()
        for thread in posts:
            thread.join()
        done.set()
        watcher.join()
        used = cpu_seconds(pid) - before
    megabytes, memory_mb = len(body) / 1e6, peak[0] - idle
    return Cost(name, megabytes, statuses[0], used, memory_mb, slowest[0], most_cpu[0])


def format_costs(costs: list[Cost]) -> str:
    """The results as a page."""
    worst = costs[0]
    rows = []
    for cost in costs:
        is_met = (
            cost.cpu_seconds <= MOST_FACTOR * worst.cpu_seconds
            and cost.memory_mb <= MOST_FACTOR * worst.memory_mb
            and cost.livez_cpu_seconds < MOST_LIVEZ_SECONDS
        )
        rows.append(
            f"| {cost.name} | {cost.megabytes:.3f} | {cost.status} | {cost.cpu_seconds:.2f} "
            f"| {cost.memory_mb:.0f} | {cost.livez_seconds:.2f} | {cost.livez_cpu_seconds:.2f} "
            f"| {'yes' if is_met else '**no**'} |"
        )
    return "\n".join(
        [
            "# The costliest bodies",
            "",
            f"{date.today()}, clvcast {version('clvcast')}, Python {platform.python_version()}.",
            "Command: `make benchmark-bodies`. Each body is sent three times at once to a",
            "server of its own. CPU and memory are of the three together; memory is above the idle",
            f"server's. Met: CPU and memory at most {MOST_FACTOR:g} times those of the first body,",
            f"and less than {MOST_LIVEZ_SECONDS:g} CPU s of the server while `/livez` waits: on a",
            "quiet machine it waits no longer. The seconds it waited include the machine's other",
            f"work: {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f} at the end.",
            "",
            "| body | MB | status | CPU s | memory MB | slowest /livez s | CPU s meanwhile | met |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Measure every body."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", type=Path, help="A bundle; by default the sample's, trained.")
    model = options.parse_args().model or bundle()
    costs = [measure(name, *body, model) for name, body in build_bodies().items()]
    page = format_costs(costs)
    (RESULTS / "worst_bodies.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
