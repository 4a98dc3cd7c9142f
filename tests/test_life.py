"""The whole life of a model, as the README tells it: every line is run, on a part of the sample."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import worlds
from conftest import Run
from test_documents import blocks

from clvcast.train.registry.mlflow_store import open_for_reading
from clvcast.train.registry.promotion import CHAMPION


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_life_of_a_model(
    root: Path,
    small_sample_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    for folder in ("data", "configs"):
        (tmp_path / folder).symlink_to(small_sample_folder / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (life,) = (block for block in blocks(root / "README.md", "sh") if "models rollback" in block)
    (store,) = re.findall(r"^export CLVCAST_TRACKING_URI=(\S+)", life, re.MULTILINE)
    monkeypatch.setenv("CLVCAST_TRACKING_URI", store)
    commands = re.findall(r"^clvcast (.*?)(?: +#.*)?$", life, re.MULTILINE)
    assert 9 <= len(commands) <= 10
    serving, bridges = [], []
    for command in commands:
        status, out, err = run(*shlex.split(command))
        # whether September's forecasts raise an alarm depends on how many customers there are
        is_alarm = command.startswith("monitor") and "overall: alarm" in out
        assert status == (1 if is_alarm else 0), (command, out, err)
        champion = open_for_reading(store).aliased("clv", CHAMPION)
        serving.append(champion.number if champion else None)
        if command.startswith("compare"):
            bridges = re.findall(r"│ ([a-z ]+?) +│ +([\d,]+) │ +([+-][\d,.]+) │", out)
    assert not (tmp_path / "mlflow.db").exists()  # what was made above stays as it was
    assert serving == ["1", "1", "2", "2", "2", "2", "2", "1", "2"]
    totals = [
        pd.read_parquet(f"{month}.parquet")["clv"].sum() for month in ("september", "december")
    ]
    moved = sum(float(amount.replace(",", "")) for _, _, amount in bridges)
    assert moved == pytest.approx(totals[1] - totals[0], abs=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_weekly_schedule_of_the_scheduling_page(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """Its cron lines, in the folder they name, with the dates of a shop of 300 customers."""
    page = (root / "docs" / "scheduling.md").read_text()
    lines = re.findall(r"^[\d*]+ .*&& \.venv/bin/clvcast (.*)$", page, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["train", "score", "monitor"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for folder in ("orders", "forecasts"):
        (tmp_path / folder).mkdir()
    worlds.shop(customers=300, seed=11).to_parquet("orders/orders.parquet")
    (tmp_path / "shop.yaml").write_text(
        "orders: {source: orders/}\nhorizon_days: 60\nperiods: 2\neffort: quick\n"
    )
    early = "2020-11-25"  # 13 weeks before the newest order
    for line in lines:
        command = shlex.split(re.sub(r"\$\(date[^)]*\)", early, line))
        command += ["--cutoff", early] if command[0] == "score" else []
        status, out, err = run(*command)
        assert (status, out) == (0, ""), (command, out, err)
