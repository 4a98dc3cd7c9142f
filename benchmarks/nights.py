"""Thirty nights of one shop, unattended: which faults alarm, which nights alarm falsely.

make benchmark-nights writes results/nights.md.

A simulated shop of some 700 customers grows, has a peak at the end of the year and a price rise.
Each night the export holds the orders up to midnight; on nine nights something is wrong with it or
with the machine. The nights of a killed run and of a full disk are processes of their own, as cron
starts them; the others call the same function in one process. All of it lies on a small disk of its
own, which is really full on the night of the full disk. After each night the champion must load,
and the published forecasts must be those of a night whose export was right. Models that have seen
one peak do not foresee the next in full: an alarm of the step monitor, and of no other, about a
window in which season and prices raised demand by more than 10 % is a true one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

import clvcast
from clvcast.nightly.run import run_night

RESULTS = Path(__file__).parent / "results" / "nights.md"
FIRST_DAY = pd.Timestamp("2024-08-01")
FIRST_NIGHT = pd.Timestamp("2025-11-10")  # the orders before this midnight are in the export
NIGHTS = 30
PRICE_RISE = pd.Timestamp("2025-11-22")
HORIZON_DAYS = 14
LEARNED_DAYS = 28
RISE = 1.1  # of demand, of which no forecast of before could know in full
KILL_SECONDS = 15.0  # after the start: while it trains
DISK_MEGABYTES = 400
LEFT_BYTES = 50_000  # on the night of a full disk


def simulate_orders(seed: int = 0, customers: int = 700) -> pd.DataFrame:
    """All order lines up to the last night: growth, weekdays, a peak, a price rise."""
    random = np.random.default_rng(seed)
    days = (FIRST_NIGHT - FIRST_DAY).days + NIGHTS
    begin = days * random.beta(1.0, 0.8, customers)  # more customers join later: growth
    end = np.minimum(begin + random.exponential(500.0, customers), days)
    rate = random.gamma(1.5, 1 / 1.5, customers) / 9.0
    orders = random.poisson(rate * (end - begin) * 1.6)
    who = np.repeat(np.arange(customers), orders)
    day = random.uniform(begin[who], end[who])
    moment = FIRST_DAY + pd.to_timedelta(day, unit="D")
    weekday = np.array([1.0, 1.0, 1.0, 0.9, 1.1, 0.8, 0.6])[moment.day_of_week]
    peak = compute_season(moment)
    kept = random.random(len(who)) < weekday * peak / 1.6
    level = random.lognormal(3.2, 0.6, customers)
    amount = level[who] * random.lognormal(0.0, 0.5, len(who))
    amount *= np.where(moment >= PRICE_RISE, 1.08, 1.0)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{k}" for k in who],
            "ordered_at": moment.floor("min"),
            "amount": amount.round(2),
            "order_id": [f"o{k}" for k in range(len(who))],
        }
    )
    return pd.DataFrame(frame[kept]).sort_values("ordered_at", ignore_index=True)


def compute_season(moment: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    """How much more is ordered at these moments than in the rest of the year."""
    return 1.0 + 0.5 * np.exp(-(((moment.day_of_year.to_numpy() - 340.0) / 12.0) ** 2))


def is_rising(night: int) -> bool:
    """Whether season and prices moved the window that can be judged on this night: its demand is
    above that of the weeks its forecasts learned from last.
    """
    end = FIRST_NIGHT + pd.Timedelta(days=night - 1)
    days = pd.date_range(
        end - pd.Timedelta(days=HORIZON_DAYS + LEARNED_DAYS), end, inclusive="left"
    )
    demand = compute_season(days) * np.where(days >= PRICE_RISE, 1.08, 1.0)
    return bool(demand[LEARNED_DAYS:].mean() > RISE * demand[:LEARNED_DAYS].mean())


def lose_lines(export: pd.DataFrame, night: pd.Timestamp) -> pd.DataFrame:
    """Three of four lines of the last two days are missing."""
    recent = export["ordered_at"] >= night - pd.Timedelta(days=2)
    return pd.DataFrame(export[~recent | (np.arange(len(export)) % 4 == 0)])


def slip_currency(export: pd.DataFrame, night: pd.Timestamp) -> pd.DataFrame:
    """The last two days' amounts are cents."""
    recent = export["ordered_at"] >= night - pd.Timedelta(days=2)
    return export.assign(amount=export["amount"].where(~recent, export["amount"] * 100))


def change_schema(export: pd.DataFrame, night: pd.Timestamp) -> pd.DataFrame:
    """The column of amounts has another name."""
    return export.rename(columns={"amount": "total_paid"})


def lose_history(export: pd.DataFrame, night: pd.Timestamp) -> pd.DataFrame:
    """A fifth of all lines is missing."""
    return export[np.arange(len(export)) % 5 > 0]


def stop_export(export: pd.DataFrame, night: pd.Timestamp) -> pd.DataFrame:
    """The export stopped the night before this one, or two nights before."""
    stopped = FIRST_NIGHT + pd.Timedelta(days=16)  # of the night before the first of the two
    return export[export["ordered_at"] < stopped]


@dataclass(frozen=True)
class Event:
    """What is wrong on a night, and the words by which an alarm names its cause."""

    name: str
    change: Callable[[pd.DataFrame, pd.Timestamp], pd.DataFrame] | None = None
    cause: str = ""  # in the alarm's sentence; empty: no alarm is due
    kills: bool = False
    fills_disk: bool = False


EVENTS = {
    6: Event("broken feed: 3 of 4 new lines are missing", lose_lines, "lines are missing"),
    9: Event("currency slip: new amounts are cents", slip_currency, "unit or currency"),
    13: Event("price rise of 8 % the day before"),
    15: Event("schema change: amount is called total_paid", change_schema, "amount"),
    18: Event("no new orders", stop_export),
    19: Event("no new orders, second night", stop_export, "days old"),
    22: Event("killed, and started again", kills=True),
    25: Event("full disk", cause="disk is full", fills_disk=True),
    28: Event("a fifth of the history is missing", lose_history, "of the lines they held"),
}


@dataclass(frozen=True)
class Outcome:
    """A night as it went."""

    night: int
    event: Event | None
    status: int
    said: str
    alarms: tuple[str, ...]  # steps that raised one
    seconds: float
    total: float  # of the published forecasts
    champion: str  # version; empty where none can be loaded
    is_new: bool  # whether the published forecasts are of this night

    @property
    def cause(self) -> str:
        """The words by which an alarm of this night must name its cause; empty: none is due."""
        return self.event.cause if self.event else ""

    @property
    def verdict(self) -> str:
        """Whether the night ended as it should."""
        if not self.cause:
            if self.status != 3:
                return "quiet"
            is_missed = self.alarms == ("monitor",) and is_rising(self.night)
            return "the peak was missed" if is_missed else "false alarm"
        return "alarm names the cause" if self.status == 3 and self.cause in self.said else "missed"


def run_nights(folder: Path, nights: list[int], seed: int = 0) -> list[Outcome]:
    """Run the nights of these numbers (1 to 30), one after another, in a folder."""
    everything = simulate_orders(seed)
    config = {
        "horizon_days": HORIZON_DAYS,
        "periods": 2,
        "effort": "quick",
        "tracking": {"uri": f"sqlite:///{folder}/mlflow.db", "evaluated_cutoffs": 1},
    }
    return [_run_night(folder, k, everything, config) for k in nights]


def _run_night(
    folder: Path, k: int, everything: pd.DataFrame, config: dict[str, object]
) -> Outcome:
    night, event = FIRST_NIGHT + pd.Timedelta(days=k - 1), EVENTS.get(k)
    export = everything[everything["ordered_at"] < night]
    if event is not None and event.change is not None:
        export = event.change(export, night)
    export.to_csv(folder / "orders.csv", index=False)
    orders = {"source": f"{folder}/orders.csv", "complete_until": str(night.date())}
    (folder / "clvcast.yaml").write_text(yaml.safe_dump(config | {"orders": orders}))
    began = time.monotonic()
    if event is not None and event.kills:
        process = _start(folder)
        time.sleep(KILL_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    if event is not None and event.fills_disk:
        filler = folder / "filler"
        with filler.open("wb") as file:
            file.write(bytes(shutil.disk_usage(folder).free - LEFT_BYTES))
        summary = json.loads(_start(folder).communicate()[0])
        filler.unlink()
    else:
        settings = clvcast.load_config(folder / "clvcast.yaml")
        summary = json.loads(run_night(settings, folder / "nightly").format_json())
    steps = [s for s in summary["steps"] if s["outcome"] in ("alarm", "refused")]
    said = "; ".join(f"{step['name']}: {step['sentence']}" for step in steps)
    said = said.replace(f"{folder}/", "")  # the page is not of this run's place
    try:
        model = clvcast.load_model("models:/clv@champion", f"sqlite:///{folder}/mlflow.db")
        champion = model.registered.number if model.registered else ""
    except clvcast.ClvcastError:
        champion = ""
    published = pd.read_parquet(folder / "nightly" / "forecasts.parquet")
    return Outcome(
        night=k,
        event=event,
        status=summary["status"],
        said=said,
        alarms=tuple(step["name"] for step in steps if step["outcome"] == "alarm"),
        seconds=time.monotonic() - began,
        total=float(published["expected_spend"].sum()),
        champion=champion,
        is_new=bool((published["cutoff"] == night).all()),
    )


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "clvcast", "nightly", "--json"],
        cwd=folder,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def format_results(outcomes: list[Outcome]) -> str:
    """The log of the nights as a page."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("clvcast", "lightgbm", "mlflow"))
    due = [o for o in outcomes if o.cause]
    false_alarms = sum(o.verdict == "false alarm" for o in outcomes)
    missed = sum("peak" in o.verdict for o in outcomes)
    text = " ".join((__doc__ or "").split("\n\n", 2)[2].split())
    return f"""# Thirty nights

{date.today()}, {packages}, Python {platform.python_version()}, {os.cpu_count()} cores of \
{platform.machine()}, shared. Command: `make benchmark-nights`.

{text}

Nights with a fault that must alarm, which did so with its cause: \
{sum(o.verdict == "alarm names the cause" for o in due)} of {len(due)}; those on which it \
was published: {sum(o.is_new for o in due)}. False alarms: {false_alarms} in \
{len(outcomes) - len(due)} other nights; alarms because the peak was missed: {missed}. \
Nights on which the champion did not load: {sum(not o.champion for o in outcomes)} of \
{len(outcomes)}. Of a stopped export, the second night must alarm.

{format_log(outcomes)}
"""


def format_log(outcomes: list[Outcome]) -> str:
    """The nights as a table; neighbouring ones without an event share a row."""
    lines = [
        "| night | what happened | status | champion | forecast total | what it said |",
        "|---|---|---|---|---|---|",
    ]
    uneventful: list[Outcome] = []
    for outcome in [*outcomes, None]:
        if outcome is not None and outcome.event is None and outcome.status != 3:
            uneventful.append(outcome)
            continue
        if uneventful:
            lines.append(_format_row(uneventful, "", ""))
            uneventful = []
        if outcome is not None:
            is_said = outcome.verdict not in ("quiet", "alarm names the cause")
            happened = [outcome.event.name] if outcome.event else []
            what = "; ".join([*happened, *([outcome.verdict] if is_said else [])])
            lines.append(_format_row([outcome], what, outcome.said))
    return "\n".join(lines)


def _format_row(group: list[Outcome], what: str, said: str) -> str:
    spans = [
        _format_span([str(o.night) for o in group]),
        what,
        ", ".join(map(str, sorted({o.status for o in group}))),
        _format_span([o.champion or "none" for o in group]),
        _format_span([f"{o.total:,.0f}" for o in group]),
        _shorten(said),
    ]
    return f"| {' | '.join(spans)} |"


def _format_span(values: list[str]) -> str:
    return values[0] if values[0] == values[-1] else f"{values[0]} to {values[-1]}"


def _shorten(text: str) -> str:
    text = " ".join(text.split()).replace("|", "/")
    return text if len(text) <= 200 else f"{text[:197]}..."


def main() -> None:
    """Run on a small disk of its own, print, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--disk", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.disk is None:
            mount = f'mount -t tmpfs -o size={DISK_MEGABYTES}m tmpfs "$1" && shift && exec "$@"'
            command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
            again = [sys.executable, __file__, "--nights", str(arguments.nights)]
            raise SystemExit(
                subprocess.run([*command, folder, *again, "--disk", folder], check=False).returncode
            )
    outcomes = []
    for k in range(1, arguments.nights + 1):
        outcomes += run_nights(arguments.disk, [k])
        last = outcomes[-1]
        print(
            f"{k:3} {last.status} {last.verdict:22} {last.seconds:5.0f} s  {last.said}", flush=True
        )
    page = format_results(outcomes)
    if arguments.nights == NIGHTS:
        RESULTS.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
