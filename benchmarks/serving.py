"""Serving: one customer, REST, batch, overload, size of the install; beside MLflow. Writes results/serving.md.

make benchmark-serving            (--lines, --seconds for another size)

The peer is what MLflow serves least of: a single plain LightGBM model of 500 trees behind a signature, asked
with a feature row that is ready. clvcast is asked with a customer's 50 order lines.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import date
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import httpx
import lightgbm
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from orders_log import write_log

import clvcast
from clvcast.features.table import build_features
from clvcast.serve.batch import score_files

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
LINES_OF_ONE = 50


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """Milliseconds: the median and the 99th percentile."""
    return tuple(1000 * float(np.percentile(seconds, q)) for q in (50, 99))


def plain_booster(table: pd.DataFrame, folder: Path) -> Path:
    """The peer: 500 trees of 31 leaves on our features, logged by MLflow with a signature."""
    inputs = table.drop(columns=["customer_id", "cutoff"]).fillna(0.0).astype(np.float64)
    target = inputs["spend_365"] if "spend_365" in inputs else inputs.iloc[:, 7]
    data = lightgbm.Dataset(inputs, target)
    settings = {"objective": "regression", "num_leaves": 31, "verbose": -1, "num_threads": 1}
    settings |= {"min_data_in_leaf": 5}
    booster = lightgbm.train(settings, data, num_boost_round=500)
    signature = infer_signature(inputs.head(5), booster.predict(inputs.head(5)))
    path = folder / "peer"
    mlflow.lightgbm.save_model(
        booster, path, signature=signature, pip_requirements=["lightgbm", "mlflow"]
    )
    return path


def timed(call, times: int, clock=time.perf_counter) -> list[float]:
    """Seconds of each of so many calls, after a warm-up."""
    for _ in range(20):
        call()
    gc.collect()
    gc.freeze()
    found = []
    for _ in range(times):
        begin = clock()
        call()
        found.append(clock() - begin)
    return found


@contextmanager
def server(command: list[str], port: int, health: str):
    """A server as a process; its id once it answers."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=1):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def cpu_seconds(group: int) -> float:
    """CPU seconds of a process and its children so far."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def resident_mb(pid: int) -> float:
    """Megabytes in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024


async def asked_at(url: str, body: bytes, rate: float, seconds: float) -> tuple[list[float], dict]:
    """Ask at a steady rate whether answered or not: seconds of the answers with 200, and all statuses."""
    took, statuses = [], {}
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as client:

        async def ask(due: float) -> None:
            try:
                answer = await client.post(
                    url, content=body, headers={"content-type": "application/json"}
                )
                status = str(answer.status_code)
            except httpx.HTTPError as error:
                status = type(error).__name__
            if status == "200":
                took.append(time.perf_counter() - due)
            statuses[status] = statuses.get(status, 0) + 1

        begin, tasks = time.perf_counter(), []
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(time.perf_counter())))
        await asyncio.gather(*tasks)
    return took, statuses


def one_by_one(url: str, body: bytes, times: int, pid: int) -> tuple[list[float], float]:
    """Ask one after the other on one connection: seconds of each, and the server's CPU seconds each."""
    headers = {"content-type": "application/json"}
    with httpx.Client(timeout=30, trust_env=False) as client:
        ask = lambda: client.post(url, content=body, headers=headers).raise_for_status()  # noqa: E731
        for _ in range(20):
            ask()
        before = cpu_seconds(pid)
        took = timed(ask, times)
        return took, (cpu_seconds(pid) - before) / (times + 20)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def megabytes(extras: set[str]) -> float:
    """Megabytes of the installed files of clvcast's dependencies with some extras, and theirs."""
    from packaging.requirements import Requirement

    seen, waiting, total = set(), [("clvcast", frozenset(extras))], 0
    texts = None
    try:
        distribution("clvcast")
    except PackageNotFoundError:  # run from a checkout that is not installed
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        texts = [*project["dependencies"]]
        for extra in extras:
            texts += project["optional-dependencies"][extra]
    while waiting:
        name, wanted = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key, wanted) in seen:
            continue
        if key == "clvcast" and texts is not None:
            requires = texts
        else:
            try:
                found = distribution(name)
            except PackageNotFoundError:
                continue
            if key not in {k for k, _ in seen} and key != "clvcast":
                paths = [Path(found.locate_file(file)) for file in found.files or ()]
                total += sum(path.stat().st_size for path in paths if path.is_file())
            requires = found.requires or []
        seen.add((key, wanted))
        for text in requires:
            need = Requirement(text)
            marked = need.marker
            if marked is None or any(marked.evaluate({"extra": e}) for e in (*wanted, "")):
                waiting.append((need.name, frozenset(need.extras)))
    return total / 1e6


def main() -> None:
    """Measure every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000, help="of the batch")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load")
    settings = parser.parse_args()
    rows: list[tuple[str, str, str, str]] = []

    def row(case: str, found: str, must: str, met: bool) -> None:
        rows.append((case, found, must, "yes" if met else "**no**"))
        print(f"{case}: {found} (must: {must}) {rows[-1][3]}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = clvcast.load_config(ROOT / "configs" / "online_retail.yaml")
        source = str(ROOT / "data" / "online_retail.parquet")
        config = config.model_copy(
            update={"orders": config.orders.model_copy(update={"source": source})}
        )
        orders = clvcast.read_orders(config)
        model = clvcast.train(orders, config)
        bundle = folder / "bundle"
        model.save(bundle)
        nested = clvcast.nest(orders, "2011-12-10")
        one = min(nested["orders"], key=lambda lines: abs(len(lines) - LINES_OF_ONE))[:LINES_OF_ONE]
        n_trees = sum(len(seeds) for seeds in model.trees.values())
        n_one = len(one)

        table = build_features(orders, ["2011-12-10"])
        peer_path = plain_booster(table, folder)
        peer = mlflow.pyfunc.load_model(str(peer_path))
        ready = table.drop(columns=["customer_id", "cutoff"]).fillna(0.0).astype(np.float64).head(1)
        ours = percentiles(timed(lambda: model.score_one(one, "2011-12-10"), 1000))
        theirs = percentiles(timed(lambda: peer.predict(ready), 300))
        cpu = percentiles(timed(lambda: model.score_one(one, "2011-12-10"), 500, time.thread_time))
        row(
            f"one customer, {n_one} lines in, {n_trees} LightGBM models, forecast out, in process",
            f"p50 {ours[0]:.2f} ms ({cpu[0]:.2f} ms of CPU); `mlflow.pyfunc` of the peer {theirs[0]:.2f} ms",
            "p50 1.5 ms, and half of the peer's",
            ours[0] <= 1.5 and ours[0] <= theirs[0] / 2,
        )

        asked = {"cutoff": "2011-12-10", "customers": [{"customer_id": "c", "orders": one}]}
        body = json.dumps(asked).encode()
        port = free_port()
        serve = [sys.executable, "-m", "clvcast", "serve", "--model", str(bundle)]
        with server([*serve, "--port", str(port)], port, "/readyz") as pid:
            url = f"http://127.0.0.1:{port}/v1/forecasts"
            alone, our_cpu = one_by_one(url, body, 500, pid)
            p50, _ = percentiles(alone)
            steady, statuses = asyncio.run(asked_at(url, body, 150, min(settings.seconds, 20)))
            p50_steady, p99 = percentiles(steady)
            row(
                "REST, one customer a request, 1 worker",
                f"p50 {p50:.2f} ms one after the other; at 150/s p50 {p50_steady:.2f}, p99 "
                f"{p99:.1f} ms, {statuses}",
                "p50 4 ms, p99 15 ms at 150/s",
                p50 <= 4 and p99 <= 15 and set(statuses) == {"200"},
            )
            capacity = 1.0 / our_cpu
            before = resident_mb(pid)
            loaded, statuses = asyncio.run(
                asked_at(url, body, min(2 * capacity, 1500), settings.seconds)
            )
            _, p99_loaded = percentiles(loaded)
            after = resident_mb(pid)
            row(
                f"twice the capacity ({2 * capacity:,.0f}/s asked) for {settings.seconds:g} s",
                f"{statuses}; p99 of the answered {p99_loaded:.0f} ms; memory {before:,.0f} to "
                f"{after:,.0f} MB",
                f"no failure but 503, p99 within 3x ({3 * p99:.0f} ms), memory flat",
                set(statuses) <= {"200", "503"} and p99_loaded <= 3 * p99 and after < before * 1.2,
            )
        port = free_port()
        command = [str(Path(sys.executable).parent / "mlflow"), "models", "serve"]
        command += ["--model-uri", str(peer_path), "--env-manager", "local", "--port", str(port)]
        with server([*command, "--workers", "1"], port, "/ping") as pid:
            split = {"dataframe_split": ready.to_dict(orient="split")}
            peer_body = json.dumps(split).encode()
            url = f"http://127.0.0.1:{port}/invocations"
            peer_took, peer_cpu = one_by_one(url, peer_body, 300, pid)
        row(
            "REST, CPU a request, beside `mlflow models serve` of the peer on a ready row",
            f"{1000 * our_cpu:.2f} ms; MLflow {1000 * peer_cpu:.2f} ms (p50 "
            f"{percentiles(peer_took)[0]:.1f} ms): {peer_cpu / our_cpu:.1f}x",
            "5x fewer",
            peer_cpu / our_cpu >= 5,
        )

        log = folder / "log.parquet"
        n_lines = write_log(log, settings.lines)
        some = clvcast.read_orders(log) if settings.lines <= 1_000_000 else None
        learn = some if some is not None else _smaller(folder)
        batch_model = clvcast.train(learn, clvcast.Config(horizon_days=90, periods=4))
        bare_rows = build_features(learn, ["2024-01-01"])
        begin = time.process_time()
        result = score_files(batch_model, str(log), folder / "f.parquet", "2024-01-01")
        total_cpu = time.process_time() - begin
        inputs = bare_rows[list(batch_model.numbers.features)].to_numpy(dtype=np.float32)
        inputs = np.resize(inputs, (min(result.customers, 200_000), inputs.shape[1]))
        begin = time.process_time()
        for seeds in batch_model.trees.values():
            for trees in seeds:
                trees.booster.predict(inputs, raw_score=True)
        bare = (time.process_time() - begin) * result.customers / len(inputs)
        peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
        row(
            f"batch, {result.customers:,} customers with {n_lines:,} lines, parquet to parquet",
            f"{total_cpu:.1f} CPU s; bare `Booster.predict` {bare:.1f}: {total_cpu / bare:.2f}x; "
            f"peak {peak:,.0f} MB, the benchmark's own included",
            "1.5x, 2 GB (at 1 M customers, 10 M lines)",
            total_cpu / bare <= 1.5 and peak <= 2048,
        )
    small, full = megabytes({"serve"}), megabytes({"train", "serve"})
    row(
        "serving install",
        f"{small:,.0f} of {full:,.0f} MB: {small / full:.0%}",
        "70 % of the full install",
        small / full <= 0.7,
    )
    command = "make benchmark-serving"
    if len(sys.argv) > 1:
        command = f"python benchmarks/serving.py {' '.join(sys.argv[1:])}"
    versions = ", ".join(f"{n} {version(n)}" for n in ("lightgbm", "mlflow", "fastapi", "uvicorn"))
    page = [
        "# Serving",
        "",
        f"{date.today()}, clvcast {clvcast.__version__}, {versions}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores of {platform.machine()}, shared (load "
        f"{os.getloadavg()[0]:.0f} at the end). Command: `{command}`. All in one run, side by side; "
        "clients run on the same cores. The peer is a single plain LightGBM model of 500 trees, logged by "
        "MLflow with a signature, asked with a feature row that is ready; clvcast is asked with order lines.",
        "",
        "| case | found | must | met |",
        "|---|---|---|---|",
        *(f"| {' | '.join(cells)} |" for cells in rows),
        "",
    ]
    (ROOT / "benchmarks" / "results" / "serving.md").write_text("\n".join(page))


def _smaller(folder: Path) -> clvcast.Orders:
    write_log(folder / "learn.parquet", 500_000, seed=1)
    return clvcast.read_orders(folder / "learn.parquet")


if __name__ == "__main__":
    main()
