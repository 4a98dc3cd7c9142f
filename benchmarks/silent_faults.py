"""How many silent faults `clvcast check` finds, and how often it warns falsely.

make benchmark-faults writes results/silent_faults.md.

Random shops of every shape that can have the fault; the seeds are others than those the checks were
tuned on.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections import Counter
from datetime import date
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from clvcast.configs.schema import parse_orders_config
from clvcast.discovery.checks.silent_faults import find_silent_faults
from clvcast.discovery.checks.source_profile import profile_sources

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from faulty_shops import (  # noqa: E402
    FAULTS,
    SHAPES,
    Export,
    add_fault,
    build_shop,
    iterate_shapes,
    write_export,
)

FIRST_SEED = 2_000_000
N_FAULTY = 40  # of each kind
N_CLEAN = 180
LEAST_FOUND, MOST_FALSE = 0.95, 0.02


def find_warnings(export: Export) -> set[str]:
    """The names of the findings that warn."""
    with tempfile.TemporaryDirectory() as folder:
        config = parse_orders_config(write_export(export, Path(folder)))
        findings = find_silent_faults(profile_sources(config))
    return {finding.name for finding in findings if finding.verdict != "pass"}


def count_false_warnings() -> tuple[Counter[str], int]:
    """How many clean shops each finding warns of, and how many any of them."""
    counts: Counter[str] = Counter()
    n_shops = 0
    for k, shape in enumerate(islice(iterate_shapes(tuple(SHAPES)), N_CLEAN)):
        warned = find_warnings(build_shop(shape, FIRST_SEED + k))
        counts.update(warned)
        n_shops += bool(warned)
    return counts, n_shops


def count_found(kind: str) -> tuple[int, Counter[str]]:
    """In how many shops the fault's own finding warns, and which others do as well."""
    fault = FAULTS[kind]
    found, others = 0, Counter[str]()
    for k, shape in enumerate(islice(iterate_shapes(fault.shapes), N_FAULTY)):
        seed = FIRST_SEED + N_CLEAN + k
        warned = find_warnings(add_fault(build_shop(shape, seed), kind, seed))
        found += fault.finding in warned
        others.update(warned - {fault.finding})
    return found, others


def main() -> None:
    """Count, and write the table; exit status 1 where a promise does not hold."""
    false, n_warned = count_false_warnings()
    lines = [
        "# Silent faults",
        "",
        f"{date.today()}, clvcast {version('clvcast')}, pyarrow {version('pyarrow')}, numpy "
        f"{version('numpy')}, Python {platform.python_version()}, {os.cpu_count()} cores of "
        f"{platform.machine()}, shared. Command: `make benchmark-faults`.",
        "",
        f"`clvcast check` on random exports ({', '.join(SHAPES)}), clean and with one fault each, "
        f"made by `tests/faulty_shops.py`. {N_FAULTY} shops of each kind of fault and {N_CLEAN} "
        "clean ones, of seeds the checks were not tuned on. The shops are ours, so the table says "
        "that the checks do what they are meant to, not how often they are right about the exports "
        "of others.",
        "",
        f"Of {N_CLEAN} clean shops, {n_warned} had any warning.",
        "",
        "| fault | finding | found | of | false warnings | of | other findings that warned |",
        "|---|---|---|---|---|---|---|",
    ]
    is_kept = True
    for kind, fault in FAULTS.items():
        found, others = count_found(kind)
        wrong = false[fault.finding]
        is_kept &= found >= LEAST_FOUND * N_FAULTY and wrong <= MOST_FALSE * N_CLEAN
        also = ", ".join(f"{name} {n}" for name, n in others.most_common()) or "-"
        lines.append(
            f"| {kind} | {fault.finding} | {found} | {N_FAULTY} | {wrong} | {N_CLEAN} | {also} |"
        )
        print(lines[-1], flush=True)
    (ROOT / "benchmarks" / "results" / "silent_faults.md").write_text("\n".join(lines) + "\n")
    sys.exit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
