"""Time and memory of what a user meets first: train, score, import, --help. Writes
results/start.md.

make benchmark-start
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

RUNS = 5
ROOT = Path(__file__).parent.parent
CLVCAST = [sys.executable, "-m", "clvcast"]
STORE = ["--tracking-uri", "sqlite:///mlflow.db"]
CASES = {
    # name: (command, most seconds, most MB)
    "`clvcast train` on the sample": (
        [*CLVCAST, "train", "configs/online_retail.yaml", *STORE, "--quiet"],
        60.0,
        1500.0,
    ),
    "`clvcast score` on the sample": (
        [*CLVCAST, "score", *["--model", "models:/clv@champion", "--orders"]]
        + [*["data/online_retail.parquet", "--output", "forecasts.parquet", "--quiet"], *STORE],
        10.0,
        None,
    ),
    "`import clvcast`, Python's own start included": (
        [sys.executable, "-c", "import clvcast"],
        0.1,
        None,
    ),
    "`clvcast --help`": ([*CLVCAST, "--help"], 0.6, None),
}


def measure(command: list[str], place: str = "") -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak megabytes of one run as a process of its own.

    `place` is the folder that holds clvcast, where it is not the installed one.
    """
    environment = {**os.environ, "PYTHONPATH": place} if place else dict(os.environ)
    began = time.perf_counter()
    child = os.posix_spawn(
        command[0],
        command,
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(child, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Measure every case, one warm-up and then the median, and write the table."""
    lines = [
        "# Start",
        "",
        f"{date.today()}, clvcast {version('clvcast')}, lightgbm {version('lightgbm')}, "
        f"mlflow {version('mlflow')}, Python {platform.python_version()}, {os.cpu_count()} cores "
        f"of {platform.machine()}, shared. Command: `make benchmark-start`. Medians of {RUNS} runs "
        "after a warm-up, each a process of its own.",
        "",
        "| case | wall s | CPU s | peak MB | must |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for part in ("data", "configs"):
            (Path(folder) / part).symlink_to(ROOT / part)
        os.chdir(folder)
        for name, (command, seconds, megabytes) in CASES.items():
            measure(command)
            runs = [measure(command) for _ in range(RUNS)]
            wall, cpu, peak = (statistics.median(values) for values in zip(*runs, strict=True))
            must = f"{seconds:g} s" + (f", {megabytes:,.0f} MB" if megabytes else "")
            lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:,.0f} | {must} |")
            print(lines[-1], flush=True)
        os.chdir(ROOT)
    (ROOT / "benchmarks" / "results" / "start.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
