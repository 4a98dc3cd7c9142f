"""The nightly run: limits of its feed checks, its status, what it keeps, and its command."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from conftest import Run

import clvcast
from clvcast.configs.nightly import NightlyConfig
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import StoreError
from clvcast.nightly.feed_faults import find_feed_faults
from clvcast.nightly.nights import (
    FORECASTS,
    keep_night,
    list_nights,
    lock_nights,
    remove_old_nights,
)
from clvcast.nightly.notify import send_alarm
from clvcast.nightly.summary import NightStep, NightSummary, StepOutcome
from clvcast.orders import dates
from clvcast.orders.orders import Orders
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.gate.data_shift import Month, Record

DAYS, PER_DAY = 100, 20  # of the synthetic shop: 20 lines of 10.00 a day
FIRST = date(2026, 1, 1)
END = FIRST + timedelta(DAYS)


def make_orders(recent_lines: int = 2 * PER_DAY, recent_amount: float = 10.0) -> Orders:
    """The shop, with the last two days' lines and amounts as stated."""
    per_day = [PER_DAY] * (DAYS - 2) + [recent_lines - recent_lines // 2, recent_lines // 2]
    days = np.repeat(np.arange(DAYS), per_day)
    at = pd.to_datetime(FIRST) + pd.to_timedelta(days, unit="D") + pd.Timedelta(hours=12)
    amount = np.where(days < DAYS - 2, 10.0, recent_amount)
    ids = [f"c{k % 97}" for k in range(len(days))]
    frame = pd.DataFrame({"customer_id": ids, "ordered_at": at, "amount": amount})
    return read_table(frame, OrdersConfig())


def find_faults(
    orders: Orders,
    now: datetime | None = None,
    record: Record | None = None,
    max_age_days: float | None = None,
) -> list[str]:
    end = dates.parse_instant(END.isoformat())
    clock = end if now is None else dates.parse_instant(now)
    faults = find_feed_faults(
        orders, end, clock, NightlyConfig(max_age_days=max_age_days), record, 0.05
    )
    assert all(fault.sentence for fault in faults)
    return [fault.name for fault in faults]


@pytest.mark.parametrize(
    ("lines", "amount", "faults"),
    [
        (40, 10.0, []),
        (16, 10.0, []),  # 40 are usual, and 40 / 2.5 is 16
        (15, 10.0, ["lines"]),
        (0, 10.0, ["age", "lines"]),
        (100, 10.0, []),
        (101, 10.0, ["lines"]),
        (40, 20.0, []),
        (40, 20.01, ["amounts"]),
        (40, 5.0, []),
        (40, 4.99, ["amounts"]),
        (40, 1000.0, ["amounts"]),  # cents
        (40, 11.0, []),  # a price rise
    ],
)
def test_the_last_two_days_are_held_against_the_weeks_before(
    lines: int, amount: float, faults: list[str]
) -> None:
    assert find_faults(make_orders(lines, amount)) == faults


def test_orders_may_be_as_old_as_the_longest_break_and_a_day() -> None:
    newest = datetime(END.year, END.month, END.day, 12) - timedelta(days=1)
    assert find_faults(make_orders(), newest + timedelta(days=2)) == []
    assert find_faults(make_orders(), newest + timedelta(days=2.1)) == ["age"]
    assert find_faults(make_orders(), newest + timedelta(days=5), max_age_days=5) == []
    assert find_faults(make_orders(), newest + timedelta(days=5.1), max_age_days=5) == ["age"]


def test_months_that_a_training_knew_must_still_hold_the_same() -> None:
    def record(lines: int) -> Record:
        month = Month(lines=lines, money=lines * 10.0)
        ends = {"first": "2026-01-01T12:00:00", "end": "2026-04-01T00:00:00"}
        return Record(**ends, customers=97, months={"2026-02": month}, evaluated=None, methods={})

    held = 28 * PER_DAY
    assert find_faults(make_orders(), record=record(held)) == []
    assert find_faults(make_orders(), record=record(2 * held)) == ["history lines", "history money"]


def test_small_shops_are_not_judged_by_two_days() -> None:
    quiet = worlds.shop(customers=30, seed=2)
    orders = read_table(quiet, OrdersConfig())
    end = int(orders.times.max()) // dates.DAY * dates.DAY + dates.DAY
    assert find_feed_faults(orders, end, end, NightlyConfig(), None, 0.05) == []


def summarize(*outcomes: StepOutcome) -> NightSummary:
    steps = tuple(NightStep(f"step {k}", outcome, "why") for k, outcome in enumerate(outcomes))
    return NightSummary("2026-01-01T02:00:00", "2026-01-01", "3", "f.parquet", steps)


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (("done", "skipped"), 0),
        (("done", "refused"), 1),
        (("alarm", "done"), 3),
        (("refused", "alarm"), 3),
    ],
)
def test_the_status_is_that_of_the_worst_step(
    outcomes: tuple[StepOutcome, ...], status: int
) -> None:
    summary = summarize(*outcomes)
    assert summary.status == status
    assert json.loads(summary.format_json())["status"] == status
    assert summary.format_text().splitlines()[-1].startswith(f"status {status}: ")


def test_the_newest_nights_and_the_first_of_each_unmonitored_week_are_kept(tmp_path: Path) -> None:
    nights = [f"{date(2026, 6, 1) + timedelta(k)}" for k in range(21)]  # three weeks from a Monday
    for night in nights:
        (tmp_path / FORECASTS).unlink(missing_ok=True)  # replaced, as score does, not changed
        (tmp_path / FORECASTS).write_text(night)
        (tmp_path / f"{FORECASTS}.manifest.json").write_text("{}")
        keep_night(tmp_path, night)
    assert (tmp_path / "nights" / nights[0] / FORECASTS).read_text() == nights[0]
    remove_old_nights(tmp_path, 3, ())
    assert list_nights(tmp_path) == [nights[0], nights[7], nights[14], *nights[-3:]]
    remove_old_nights(tmp_path, 3, (nights[0],))
    assert list_nights(tmp_path) == [nights[7], nights[14], *nights[-3:]]


def test_one_run_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    with (
        lock_nights(tmp_path),
        pytest.raises(StoreError, match="another nightly run"),
        lock_nights(tmp_path, seconds=0.1),
    ):
        pass
    with lock_nights(tmp_path, seconds=0.1):
        pass


def test_an_alarm_runs_the_command_with_the_summary(tmp_path: Path) -> None:
    summary, told = summarize("alarm"), tmp_path / "told.json"
    program = "import os, sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    command = shlex.join([sys.executable, "-c", program, str(told)])
    assert send_alarm(command, summary, tmp_path / "summary.json") is None
    assert told.read_text() == summary.format_json()
    failing = shlex.join([sys.executable, "-c", "raise SystemExit(4)"])
    assert "exit status 4" in str(send_alarm(failing, summary, tmp_path / "summary.json"))
    assert "cannot be run" in str(send_alarm("no-such-program", summary, tmp_path))


def test_usage_ends_with_two_and_a_failure_with_three(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no store lies there
    config = tmp_path / "c.yaml"
    config.write_text("orders: {source: none.csv, complete_until: 2999-01-01}\n")
    assert run("nightly", tmp_path / "missing.yaml")[0] == 2
    status, _, err = run("nightly", config, "--output", tmp_path / "n")
    assert (status, "must not be in the future" in err) == (2, True)
    config.write_text(f"orders: {{source: {tmp_path}/none.csv}}\n")
    status, out, err = run("nightly", config, "--output", tmp_path / "n", "--json")
    summary = json.loads(out)
    assert (status, summary["status"], summary["champion"]) == (3, 3, None)
    assert summary == json.loads((tmp_path / "n" / "summary.json").read_text())
    assert [step["outcome"] for step in summary["steps"]] == ["alarm", *["skipped"] * 3]
    assert "clvcast: alarm: check: " in err
    (tmp_path / "file").touch()
    status, _, err = run("nightly", config, "--output", tmp_path / "file", "--quiet")
    assert (status, "cannot be written" in err) == (3, True)


def write_shop(folder: Path) -> Path:
    worlds.shop(customers=300, seed=11).to_parquet(folder / "orders.parquet")
    config = folder / "clvcast.yaml"
    config.write_text(
        "orders: {source: orders.parquet, complete_until: 2021-02-24}\nhorizon_days: 60\n"
        "periods: 2\neffort: quick\n"
        "tracking: {uri: 'sqlite:///mlflow.db', model_name: shop, evaluated_cutoffs: 1}\n"
        "gate: {mae: 1, ngini: 1, segment: 9, bias: 9}\n"
    )
    return config


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """As cron starts it: another folder before, and next to nothing in the environment."""
    bare = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "clv"}
    names = ("PYTHONPATH", "NUMBA_CACHE_DIR")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    command = shlex.join([sys.executable, "-m", "clvcast", "nightly", *arguments])
    line = f"cd {shlex.quote(str(folder))} && exec {command}"
    return subprocess.Popen(
        ["/bin/sh", "-c", line],
        env=bare | kept,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_from_cron_killed_and_twice_at_once_it_ends_as_if_nothing_had_happened(
    tmp_path: Path,
) -> None:
    write_shop(tmp_path)
    killed = start(tmp_path)
    time.sleep(6)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    both = [start(tmp_path, "--json"), start(tmp_path, "--json")]
    answers = [(process.communicate(timeout=600), process.returncode) for process in both]
    assert [status for _, status in answers] == [0, 0], answers
    first, second = (json.loads(out) for (out, _), _ in answers)
    for summary in (first, second):
        assert summary["champion"] == "1"
        assert summary["cutoff"] == "2021-02-24"
    trained = sorted(summary["steps"][1]["outcome"] for summary in (first, second))
    assert trained in (["done", "skipped"], ["skipped", "skipped"])
    model = clvcast.load_model("models:/shop@champion", f"sqlite:///{tmp_path}/mlflow.db")
    forecasts = pd.read_parquet(tmp_path / "nightly" / FORECASTS)
    assert set(forecasts["model_version"]) == {model.version}
    sizes = [path.stat().st_size for path in (tmp_path / "mlartifacts").rglob("*.html")]
    assert sizes == []  # the report, of 5 MB, is kept once
    assert (tmp_path / "nightly" / "report.html").stat().st_size > 1_000_000
    assert (tmp_path / "nightly" / "nights" / "2021-02-24" / "summary.json").is_file()
    # a candidate that the gate refuses: the champion scores, and says so again the next time
    config = tmp_path / "clvcast.yaml"
    config.write_text(config.read_text().replace("bias: 9", "rank_correlation: 1") + "seed: 1\n")
    for said in ("version 2 was refused: ", "unchanged; version 2 stays refused: "):
        refused = start(tmp_path, "--json")
        out, err = refused.communicate(timeout=600)
        summary = json.loads(out)
        assert (refused.returncode, summary["status"], summary["champion"]) == (1, 1, "1")
        train, score = summary["steps"][1:3]
        assert (train["outcome"], score["outcome"]) == ("refused", "done")
        assert train["sentence"].startswith(said)
        assert "what to do: " in train["sentence"]
        assert "clvcast: refused: train: " in err
