"""The first forecast of an installation, nothing compiled yet, and the start of a later process.

make benchmark-first-minute BASELINE=FOLDER writes results/first_minute.md. FOLDER holds an earlier
version as `clvcast`: the folder `build/editable` of a worktree of that version, after make there,
or any folder with a link `clvcast` to the worktree. RUNS=1 is enough to see the ratio (10 minutes).

Both versions load the same bundle, which the earlier one trained (it is kept in build/first_minute
for the next run), in processes of their own, in turns, since a shared machine slows down and
recovers. The first forecast has an empty NUMBA_CACHE_DIR, the others what the first left there.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNS = int(os.environ.get("RUNS", 2))
KEPT = ROOT / "build" / "first_minute"  # the bundle, by the version that trained it
TRAIN = """
import sys
import clvcast
config = clvcast.load_config("configs/online_retail.yaml").model_copy(update={"effort": "quick"})
orders = clvcast.read_orders(config)
clvcast.train(orders, config).save(sys.argv[1])
"""
SAMPLE = """
import json, resource, sys
import clvcast
model = clvcast.load_model(sys.argv[1])
forecast = clvcast.score(model, "data/online_retail.parquet", cutoff="2011-12-10")
spend = float(forecast["expected_spend"].sum())
"""
ONE = """
import json, resource, sys
import clvcast
model = clvcast.load_model(sys.argv[1])
line = {"amount": 20.0, "product_id": "22423", "quantity": 2.0}
lines = [{"ordered_at": f"2011-{k:02}-05", "order_id": str(k), **line} for k in range(3, 12)]
spend = model.score_one(lines, "2011-12-10", "12346").expected_spend
"""
USED = """
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "spend": spend}))
"""
CASES = {"first": SAMPLE, "sample": SAMPLE, "one": ONE}  # in this order, on one cache


def run(folder: Path, code: str, argument: Path, cache: Path) -> str:
    """The output of one process with a version's code and a cache of compiled code."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", code, str(argument)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def main() -> None:
    """Measure the versions in turns, and write the table."""
    # without it Python would import the installed version, and compare this one with itself
    if len(sys.argv) < 2 or not Path(sys.argv[1], "clvcast", "__init__.py").exists():
        sys.exit("name the folder that holds the earlier version: BASELINE=../old/build/editable")
    folders = {"earlier": Path(sys.argv[1]).absolute(), "this version": ROOT / "build/editable"}
    spent: dict[tuple[str, str], list[tuple[float, float]]] = {}  # CPU and wall seconds
    forecasts: dict[str, dict[str, set[float]]] = {}  # what each version gave for each script
    bundle = KEPT / hashlib.sha256(str(folders["earlier"].resolve()).encode()).hexdigest()[:12]
    with tempfile.TemporaryDirectory() as temporary:
        if not (bundle / "manifest.json").exists():
            run(folders["earlier"], TRAIN, bundle, Path(temporary) / "training")
        for turn in range(RUNS):
            for name, folder in folders.items():
                for case, code in CASES.items():
                    cache = Path(temporary) / f"{name} {turn}"
                    began = time.perf_counter()
                    found = json.loads(run(folder, code + USED, bundle, cache))
                    spent.setdefault((name, case), []).append(
                        (found["cpu"], time.perf_counter() - began)
                    )
                    forecasts.setdefault(code, {}).setdefault(name, set()).add(found["spend"])
                    print(turn + 1, name, case, spent[name, case][-1], flush=True)
    for given in forecasts.values():
        if any(len(each) > 1 for each in given.values()):  # compiled now or before, in any turn
            sys.exit(f"a version forecasts different numbers: {given}")
        earlier, this = (each.pop() for each in given.values())
        if not math.isclose(earlier, this, rel_tol=1e-11):
            sys.exit(f"the versions forecast different numbers: {earlier!r}, {this!r}")
    rows = []
    for name in folders:
        row = [name]
        for case in CASES:
            cpu, wall = (statistics.median(runs) for runs in zip(*spent[name, case], strict=True))
            pairs = zip(spent[name, case], spent["earlier", case], strict=True)
            ratio = statistics.median(each[0] / before[0] for each, before in pairs)
            row.append(f"{cpu:.1f} s ({wall:.1f} s) | {ratio:.2f}")
        rows.append(f"| {' | '.join(row)} |")
    text = "\n".join(
        [
            "# The first minute",
            "",
            f"{date.today()}, clvcast {version('clvcast')}, numba {version('numba')}, Python "
            f"{platform.python_version()}, {os.cpu_count()} cores of {platform.machine()}, shared. "
            "Command: `make benchmark-first-minute BASELINE=FOLDER`.",
            "",
            "User and system time (and by the clock) of a process that imports clvcast, loads "
            "a bundle and scores: the sample, nothing compiled yet; the sample, compiled before; "
            "one customer, compiled before. Beside each the CPU time as a multiple of the earlier "
            f"version's. Turns: {RUNS}, medians; load average at the end: "
            f"{os.getloadavg()[0]:.1f}. "
            "Both versions forecast the same totals, to 1e-11.",
            "",
            "| version | sample, first | x | sample, later | x | one customer, later | x |",
            "|---|---|---|---|---|---|---|",
            *rows,
        ]
    )
    (ROOT / "benchmarks" / "results" / "first_minute.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
