"""How good the default's forecasts are beside others', on real orders; results/accuracy.md.

    make benchmark-accuracy                                  every cell, three seeds, the peers
    python benchmarks/accuracy.py --quick --json out.json    our method, one seed, no file written
    python benchmarks/accuracy.py --quick --cells tafeng:2001-01-31,cdnow

Rolling origin: a method gets the orders before a cutoff and nothing else, and forecasts the horizon
after it. Its forecasts are kept in build/benchmark-accuracy by a digest of its source: interrupted
runs resume, and only what has changed is computed again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accuracy_clv import CLV_METHODS, ClvCell, clv_table, clv_verdicts
from accuracy_data import CELLS, CLV_CELLS, ROOT, Cell, actual_spend, known_days, order_days
from accuracy_measures import clv_measures, measured, resampled
from accuracy_methods import COLUMNS, METHODS, PYMC, log_likelihood, make_environment
from accuracy_report import (
    Difference,
    Equality,
    cell_line,
    document,
    targets_table,
)
from accuracy_targets import (
    COMPARED,
    MORE_PEERS,
    PEERS,
    PUBLISHED,
    best_peer,
    fill_missing,
    judged,
)
from accuracy_totals import cases

FORECASTS = ROOT / "build" / "benchmark-accuracy"
RESULT = ROOT / "benchmarks" / "results" / "accuracy.md"
RESAMPLES = 500
OURS = "clvcast"
COMPARED_METHODS = (OURS, *PEERS, *MORE_PEERS)
Measured = dict[str, dict[str, dict[str, float]]]  # cell -> method -> measure -> value
Task = tuple[str, Cell, int]  # method, cell, seed


def forecast_path(method: str, cell: Cell, seed: int) -> Path:
    """Where a forecast is kept; another source of the method is another folder."""
    name = f"{cell.data}-{cell.last_day}-{cell.horizon_days}x{cell.periods}-{seed}.parquet"
    return FORECASTS / f"{method}-{METHODS[method].digest()}" / name


def forecast(task: Task) -> pd.DataFrame:
    """A method's forecast of a cell, made now or kept from before; attrs: the seconds it took."""
    method, cell, seed = task
    path = forecast_path(method, cell, seed)
    if path.exists():
        return pd.read_parquet(path)
    days = _days(cell.data)
    known = known_days(days, cell)
    began = time.perf_counter()
    made = METHODS[method].forecast(known, cell, seed)
    made.attrs["seconds"] = time.perf_counter() - began
    customers = actual_spend(days, cell).index
    numbers = made[[name for name in COLUMNS if name in made]].to_numpy(dtype=float)
    if not made.index.equals(customers) or not np.isfinite(numbers).all():
        raise AssertionError(f"{method} must forecast each of the {len(customers)} customers once")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{time.time_ns()}")
    made.to_parquet(partial)
    partial.replace(path)
    return made


@cache
def _days(data: str) -> pd.DataFrame:
    return order_days(data)


def _forecasts(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, pd.DataFrame]]:
    """Every task's forecast, in order, as it comes."""
    if jobs == 1:
        yield from ((task, forecast(task)) for task in tasks)
        return
    for _, cell, _ in tasks:
        _days(cell.data)  # downloaded once, not by each process
    with ProcessPoolExecutor(jobs) as pool:
        yield from zip(tasks, pool.map(forecast, tasks), strict=True)


def measure(
    cells: Sequence[Cell], methods: Sequence[str], seeds: Sequence[int], jobs: int
) -> tuple[Measured, dict[tuple[str, str], list[pd.DataFrame]]]:
    """Measures of each cell and method, averaged over seeds, and the forecasts they come from.

    A peer that is not among the methods has its published values.
    """
    found: Measured = {cell.name: dict(PUBLISHED[cell.name]) for cell in cells}
    kept: dict[tuple[str, str], list[pd.DataFrame]] = {}
    tasks: list[Task] = [
        (method, cell, seed)
        for cell in cells
        for method in methods
        for seed in (seeds if METHODS[method].random else seeds[:1])
    ]
    for (method, cell, seed), made in _forecasts(tasks, jobs):
        kept.setdefault((cell.name, method), []).append(made)
        actual = actual_spend(_days(cell.data), cell)[1].to_numpy()
        each = [measured(one, actual) for one in kept[cell.name, method]]
        averages = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        found[cell.name][method] = averages
        if method == OURS:
            seconds = made.attrs["seconds"]
            print(cell_line(cell, seed, seconds, each[-1], PUBLISHED[cell.name]), flush=True)
    return found, kept


def differences(
    cells: Iterable[Cell],
    found: Measured,
    kept: dict[tuple[str, str], list[pd.DataFrame]],
    resamples: int,
) -> list[Difference]:
    """Ours minus each peer that was run, with the 95 % interval of a paired bootstrap over
    customers.
    """
    results = []
    for cell in cells:
        actual = actual_spend(_days(cell.data), cell)[1].to_numpy()
        ours = resampled(kept[cell.name, OURS], actual, resamples)
        for peer in (*PEERS, *MORE_PEERS):
            if (cell.name, peer) not in kept:
                continue
            theirs = resampled(kept[cell.name, peer], actual, resamples)
            for name in COMPARED:
                low, high = np.quantile(ours[name] - theirs[name], (0.025, 0.975))
                gap = found[cell.name][OURS][name] - found[cell.name][peer][name]
                results.append(Difference(cell.name, peer, name, gap, float(low), float(high)))
    return results


def measure_clv(cells: Sequence[Cell], jobs: int) -> list[ClvCell]:
    """CLV over several realised periods, one seed; a method without a CLV of a cell is left out."""
    tasks: list[Task] = [(method, cell, 0) for cell in cells for method in CLV_METHODS]
    found = []
    for (method, cell, _), made in _forecasts(tasks, jobs):
        if "clv" in made:
            days = _days(cell.data)
            last = known_days(days, cell).groupby("customer_id")["ordered_at"].max()
            silent = (cell.cutoff - last).dt.days.to_numpy(dtype=float)
            actual = actual_spend(days, cell).to_numpy()
            found.append(ClvCell(cell, method, clv_measures(made, actual, silent)))
    return found


def _choose_methods(methods: Sequence[str]) -> list[str]:
    """The methods that can run here: the peer that needs an environment of its own may not."""
    if "pymc_bg_nbd" not in methods:
        return list(methods)
    try:
        make_environment("pymc", PYMC)
    except subprocess.CalledProcessError:
        print(f"pymc_bg_nbd is left out: {PYMC[0]} cannot be installed here", flush=True)
        return [name for name in methods if name != "pymc_bg_nbd"]
    return list(methods)


def equality(cells: Sequence[Cell], jobs: int) -> list[Equality]:
    """Our BTYD beside lifetimes' on the same histories."""
    tasks: list[Task] = [
        (f"{prefix}{method}", cell, 0)
        for cell in cells
        for method in ("bg_nbd", "pareto_nbd")
        for prefix in ("", "lifetimes_")
    ]
    made = [(cell, method, frame) for (method, cell, _), frame in _forecasts(tasks, jobs)]
    results = []
    for (cell, method, ours), (_, _, theirs) in zip(made[::2], made[1::2], strict=True):
        known = known_days(_days(cell.data), cell)
        at_ours, at_theirs = (
            log_likelihood(known, cell, json.loads(one.attrs["fitted"])) for one in (ours, theirs)
        )
        results.append(Equality.of(cell.name, method, ours, theirs, at_ours - at_theirs))
    return results


def _list_best(peers: dict[str, dict[str, float]]) -> dict[str, tuple[str, float]]:
    """The best peer by each measure that any of them has."""
    known = {name for values in peers.values() for name in values}
    return {name: best_peer(peers, name) for name in COMPARED if name in known}


def _chosen_cells(text: str | None) -> list[Cell]:
    wanted = text.split(",") if text else [cell.name for cell in CELLS]
    unknown = [name for name in wanted if not any(name in (c.name, c.data) for c in CELLS)]
    if unknown:
        sys.exit(f"no cell {unknown[0]}; cells are {', '.join(cell.name for cell in CELLS)}")
    return [cell for cell in CELLS if cell.name in wanted or cell.data in wanted]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cells", help="data sets or data:last-day, comma between; default: all")
    parser.add_argument(
        "--methods", help=f"of {', '.join(COMPARED_METHODS)}; default: all, quick: clvcast"
    )
    parser.add_argument("--seeds", help="default 0,1,2; quick: 0")
    parser.add_argument(
        "--quick", action="store_true", help="our method, one seed, nothing written"
    )
    parser.add_argument("--clv", action="store_true", help="CLV over 4 and 6 periods as well")
    parser.add_argument(
        "--lifetimes", metavar="CELLS", help="cells compared with lifetimes; default: all, slow"
    )
    parser.add_argument("--jobs", type=int, default=1, help="cells forecast at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw measures there")
    return parser.parse_args()


def main() -> None:
    """Forecast, measure, judge; print, and write what was asked for."""
    options = _arguments()
    cells = _chosen_cells(options.cells)
    methods = (options.methods or (OURS if options.quick else ",".join(COMPARED_METHODS))).split(
        ","
    )
    seeds = [
        int(seed) for seed in (options.seeds or ("0" if options.quick else "0,1,2")).split(",")
    ]
    unknown = [name for name in methods if name not in COMPARED_METHODS]
    if unknown or OURS not in methods:
        sys.exit(
            f"--methods must hold clvcast and be of {', '.join(COMPARED_METHODS)}, got "
            f"{options.methods}"
        )
    methods = _choose_methods(methods)
    began = time.perf_counter()
    found, kept = measure(cells, methods, seeds, options.jobs)
    ours = {cell.name: found[cell.name][OURS] for cell in cells}
    yardstick = fill_missing(PUBLISHED, found)
    verdicts = judged(ours, yardstick)
    print("", *targets_table(verdicts), f"{time.perf_counter() - began:.0f} s", sep="\n")
    if options.json:
        raw: dict[str, Any] = {
            "measures": found,
            "oracle": {name: _list_best(yardstick[name]) for name in ours},
            "targets": [vars(verdict) for verdict in verdicts],
            "seconds": {n: kept[n, OURS][0].attrs["seconds"] for n in ours},
            "forecasts": {c.name: str(forecast_path(OURS, c, seeds[0])) for c in cells},
        }
        options.json.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    whole = not options.quick and cells == list(CELLS) and {OURS, *PEERS} <= set(methods)
    clv = measure_clv(CLV_CELLS, options.jobs) if whole or options.clv else []
    if clv:
        print("", *clv_table(clv), "", *targets_table(clv_verdicts(clv)), sep="\n")
    if whole:
        gaps = differences(cells, found, kept, RESAMPLES)
        equal = equality(_chosen_cells(options.lifetimes), options.jobs)
        asked = " ".join(sys.argv[1:])
        command = f"python benchmarks/accuracy.py {asked}" if asked else "make benchmark-accuracy"
        totals = cases(cells, _days, lambda cell: forecast((OURS, cell, seeds[0])))
        page = document(found, verdicts, gaps, clv, totals, equal, seeds, command)
        RESULT.write_text(page, encoding="utf-8")
        print(f"wrote {RESULT}")


if __name__ == "__main__":
    main()
