"""CPU time of the first forecast: compiled code absent, and compiled before.

make benchmark-first-minute BASELINE=FOLDER writes results/first_minute.md. FOLDER holds an earlier
version as `clvcast`: the folder `build/editable` of a worktree of that version, after make there.

Both versions load the same bundle, which the earlier one trained, and score the sample in a process
of its own, in turns, since a shared machine slows down and recovers. The first forecast has an
empty NUMBA_CACHE_DIR, the second one what the first has left there.
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

ROOT = Path(__file__).parent.parent
RUNS = int(os.environ.get("RUNS", 3))
TRAIN = """
import sys
import clvcast
config = clvcast.load_config("configs/online_retail.yaml").model_copy(update={"effort": "quick"})
orders = clvcast.read_orders(config)
clvcast.train(orders, config).save(sys.argv[1])
"""
CHILD = """
import json, resource, sys
import clvcast
model = clvcast.load_model(sys.argv[1])
forecast = clvcast.score(model, "data/online_retail.parquet", cutoff="2011-12-10")
used = resource.getrusage(resource.RUSAGE_SELF)
spend = float(forecast["expected_spend"].sum())
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "spend": spend}))
"""


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
    if len(sys.argv) < 2 or not sys.argv[1]:
        sys.exit("name the folder that holds the earlier version: BASELINE=../old/build/editable")
    folders = {"earlier": Path(sys.argv[1]).absolute(), "this version": ROOT / "build/editable"}
    spent: dict[tuple[str, str], list[float]] = {}
    totals: set[float] = set()
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "bundle"
        run(folders["earlier"], TRAIN, bundle, Path(temporary) / "training")
        for turn in range(RUNS):
            for name, folder in folders.items():
                cache = Path(temporary) / f"{name} {turn}"
                for when in ("first", "second"):
                    found = json.loads(run(folder, CHILD, bundle, cache))
                    spent.setdefault((name, when), []).append(found["cpu"])
                    totals.add(found["spend"])
                    print(turn + 1, name, when, found, flush=True)
    if len(totals) > 1:
        sys.exit(f"the versions forecast different totals: {sorted(totals)}")
    rows = []
    for name in folders:
        first, second = (statistics.median(spent[name, when]) for when in ("first", "second"))
        ratios = [
            a / b for a, b in zip(spent[name, "first"], spent["earlier", "first"], strict=True)
        ]
        rows.append(
            f"| {name} | {first:.1f} s | {statistics.median(ratios):.2f} | {second:.1f} s |"
        )
    text = "\n".join(
        [
            "# The first minute",
            "",
            f"{date.today()}, clvcast {version('clvcast')}, numba {version('numba')}, Python "
            f"{platform.python_version()}, {os.cpu_count()} cores of {platform.machine()}, shared. "
            "Command: `make benchmark-first-minute BASELINE=FOLDER`.",
            "",
            "User and system time of a process that imports clvcast, loads a bundle and scores the "
            f"sample. Medians of {RUNS} turns; both versions forecast the same total, to the bit.",
            "",
            "| version | nothing compiled yet | times the earlier | compiled before |",
            "|---|---|---|---|",
            *rows,
        ]
    )
    (ROOT / "benchmarks" / "results" / "first_minute.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
