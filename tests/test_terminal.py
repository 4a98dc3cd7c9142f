"""Commands on a terminal, where bars move and colours are: they end as they do in a pipe."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from terminal import run_in_terminal

import clvcast

CONFIG = """
orders: {source: orders.parquet}
horizon_days: 60
periods: 3
effort: quick
tracking: {uri: "sqlite:///mlflow.db"}
"""
SCORE = ("score", "--model", "bundle", "--orders", "orders.parquet", "--output", "f.parquet")


@pytest.fixture(scope="module")
def folder(
    shop_lines: pd.DataFrame,
    shop_model: clvcast.Model,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("terminal")
    shop_lines.to_parquet(folder / "orders.parquet")
    shop_model.save(folder / "bundle")
    (folder / "clvcast.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "score.txt").write_text(say(folder, *SCORE), encoding="utf-8")
    return folder


def say(folder: Path, *arguments: str) -> str:
    status, said = run_in_terminal([sys.executable, "-m", "clvcast", *arguments], folder=folder)
    assert status == 0, said
    assert "Traceback" not in said
    return said


def test_a_score_shows_its_bar(folder: Path) -> None:
    assert "100%" in (folder / "score.txt").read_text(encoding="utf-8")
    assert (folder / "f.parquet").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("backtest", "--output", "past"),
        ("train",),
        ("nightly", "--set", "nightly.max_age_days=10000"),
        ("kpis", "f.parquet", "--output", "kpis"),
        ("explain", "--model", "bundle", "--orders", "orders.parquet", "--output", "why.csv"),
        ("report", "f.parquet", "--output", "report.html"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_with_long_work_ends_well(folder: Path, arguments: tuple[str, ...]) -> None:
    say(folder, *arguments)
