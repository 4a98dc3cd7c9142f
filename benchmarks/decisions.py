"""What decisions cost for a million customers with ten million order lines. Writes
results/decisions.md.

    make benchmark-decisions

Orders are a log of benchmarks/orders_log.py, forecasts those of a quickly trained model; every case
is a process of its own. The page is asked over HTTP, one request after the other. The folder is
temporary (CLVCAST_BENCHMARK_FOLDER keeps it elsewhere, and what it holds is not made again).
"""

from __future__ import annotations

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from datetime import date
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

import pyarrow.parquet as pq
from orders_log import write_log
from start import CLVCAST, ROOT, measure

LINES, CANDIDATES = 10_000_000, 1_770_000  # of whom a million order
ASKED = 200  # requests a case
FILES = ("forecasts.parquet", "--orders", "orders.parquet")


def prepare() -> None:
    """Orders, a model, forecasts: what is not there yet."""
    import clvcast

    config = clvcast.Config(effort="quick")
    if not Path("orders.parquet").exists():
        write_log(Path("orders.parquet"), LINES, customers=CANDIDATES)
    if not Path("bundle").exists():
        write_log(Path("few.parquet"), LINES // 50, seed=1)
        clvcast.train(clvcast.read_orders("few.parquet"), config).save("bundle")
    if not Path("forecasts.parquet").exists():
        arguments = ["--model", "bundle", "--orders", "orders.parquet", "--output", FILES[0]]
        subprocess.run([*CLVCAST, "score", *arguments, "--quiet"], check=True)


def together() -> None:
    """KPIs, segments cut anew and lists by one reading of the files, with all of their tables
    written.
    """
    from clvcast.decisions.campaign_lists import lists
    from clvcast.decisions.customer_base import open_customer_base
    from clvcast.decisions.kpis import kpis
    from clvcast.models.segments import Standing, assign_segments, cut_thresholds

    book = open_customer_base("forecasts.parquet", "orders.parquet")
    kpis(book).save(Path("kpis"))
    silent = book.numbers("days_since_last_order").astype("int32")
    n_orders = book.entries.n_orders.astype("int32")
    standing = Standing(silent, n_orders, book.entries.spend / book.unit, book.numbers("clv"))
    thresholds = cut_thresholds(book.config.segments, standing)
    assign_segments(thresholds, standing, book.numbers("churn_probability"))
    lists(book).save(Path("lists"))


def page() -> list[str]:
    """Rows of the table of answers: median, 95th per cent and longest, in ms."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = f"http://127.0.0.1:{port}"
    arguments = ["--model", "bundle", "--forecasts", *FILES, "--port", str(port)]
    server = subprocess.Popen(
        [*CLVCAST, "serve", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        began = time.perf_counter()
        while not _answers(home):
            if server.poll() is not None or time.perf_counter() - began > 600:
                sys.exit("the server did not start")
            time.sleep(0.5)
        ids = pq.read_table(FILES[0], columns=["customer_id"])["customer_id"]
        step = len(ids) // ASKED
        selections = [
            {},
            {"tier": "high"},
            {"risk": "low", "channel": "channel 2"},
            {"page": "9999"},
        ]
        segments = [{"rfm_segment": "Champions", "page": str(k)} for k in range(4)]
        asked = {
            "a page of customers": [
                "/explore/customers?" + urlencode((selections + segments)[k % 8])
                for k in range(ASKED)
            ],
            "one customer's card": [
                "/explore/customer?" + urlencode({"id": ids[k * step].as_py()})
                for k in range(ASKED)
            ],
            "the report itself": ["/"] * (ASKED // 10),
        }
        rows = []
        for name, paths in asked.items():
            _milliseconds(home + paths[0])
            took = sorted(_milliseconds(home + path) for path in paths)
            rows.append(
                f"| {name} | {statistics.median(took):.1f} | {took[int(len(took) * 0.95)]:.1f} | "
                f"{took[-1]:.1f} | 100 |"
            )
            print(rows[-1], flush=True)
        return rows
    finally:
        server.terminate()
        server.wait()


def _answers(home: str) -> bool:
    try:
        return bool(urllib.request.urlopen(home + "/livez", timeout=5).status == 200)
    except OSError:
        return False


def _milliseconds(address: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(address, timeout=60) as answer:
        answer.read()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Measure every case after a small one has compiled what runs, and write the page."""
    if sys.argv[1:] == ["together"]:
        together()
        return
    cases = {
        "KPIs, segments and lists, by one reading": (
            [sys.executable, str(Path(__file__).resolve()), "together"],
            "20 CPU s, 2,000 MB",
        ),
        "`clvcast kpis`": ([*CLVCAST, "kpis", *FILES, "--output", "kpis", "--quiet"], ""),
        "`clvcast lists`": ([*CLVCAST, "lists", *FILES, "--output", "lists", "--quiet"], ""),
        "`clvcast report`": (
            [*CLVCAST, "report", *FILES, "--output", "report.html", "--quiet"],
            "15 s, 6 MB of page",
        ),
    }
    with ExitStack() as stack:
        kept = os.environ.get("CLVCAST_BENCHMARK_FOLDER")
        os.chdir(kept or stack.enter_context(tempfile.TemporaryDirectory()))
        prepare()
        manifest = json.loads(Path("forecasts.parquet.manifest.json").read_text())
        lines = pq.read_metadata("orders.parquet").num_rows
        table = []
        for name, (command, must) in cases.items():
            wall, cpu, peak = measure(command)
            table.append(f"| {name} | {wall:.1f} | {cpu:.1f} | {peak * 1.048576:,.0f} | {must} |")
            print(table[-1], flush=True)
        size = Path("report.html").stat().st_size / 1e6
        answers = page()
        os.chdir(ROOT)
    text = [
        "# Decisions",
        "",
        f"{date.today()}, clvcast {version('clvcast')}, pandas {version('pandas')}, pyarrow "
        f"{version('pyarrow')}, Python {platform.python_version()}, {os.cpu_count()} cores of "
        f"{platform.machine()}, shared. Command: `make benchmark-decisions`. "
        f"{manifest['rows']:,} customers, "
        f"{lines:,} order lines. One run a case, each a process of its own, its start included.",
        "",
        "| case | wall s | CPU s | peak MB | must |",
        "|---|---|---|---|---|",
        *table,
        "",
        f"The report is a page of {size:.2f} MB. Answers of the page, over HTTP, one after the "
        "other:",
        "",
        "| asked for | median ms | 95 % ms | longest ms | must |",
        "|---|---|---|---|---|",
        *answers,
    ]
    (ROOT / "benchmarks" / "results" / "decisions.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
