"""Orders named by --orders alone; `-` for standard input and output; --json of report and warm."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from conftest import Run

import clvcast


def give(monkeypatch: pytest.MonkeyPatch, content: bytes, *, is_terminal: bool = False) -> None:
    """Make standard input hold these bytes."""
    stream = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: is_terminal)
    monkeypatch.setattr(sys, "stdin", stream)


def test_orders_come_from_standard_input_and_forecasts_go_to_standard_output(
    run: Run,
    shop_model: clvcast.Model,
    shop_lines: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop_model.save(tmp_path / "bundle")
    shop_lines.to_csv(tmp_path / "shop.csv", index=False)
    content = (tmp_path / "shop.csv").read_bytes()
    score = ("score", "--model", tmp_path / "bundle", "--cutoff", "2021-02-01")
    file = tmp_path / "f.csv"
    assert run(*score, "--orders", tmp_path / "shop.csv", "--output", file)[0] == 0
    give(monkeypatch, content)
    status, out, err = run(*score, "--orders", "-", "--output", "-")
    assert (status, out) == (0, file.read_text())
    assert "set aside, listed in no file (--output -): 0 lines" in err
    status, _, err = run(*score, "--orders", "-", "--output", "-", "--json")
    assert (status, "without --json" in err) == (2, True)

    give(monkeypatch, file.read_bytes())
    page = ("report", "-", "--orders", tmp_path / "shop.csv", "--output", tmp_path / "r.html")
    status, out, _ = run(*page, "--json")
    assert status == 0
    assert json.loads(out)["output"] == str(tmp_path / "r.html")

    status, _, err = run("report", "-", "--orders", "-", "--output", tmp_path / "r.html")
    assert (status, "only one of a command's files can be -" in err) == (2, True)
    give(monkeypatch, content, is_terminal=True)
    status, _, err = run(*score, "--orders", "-", "--output", file)
    assert (status, "got a terminal" in err) == (2, True)


def test_check_takes_orders_without_a_configuration(
    run: Run, shop_lines: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clvcast.yaml").write_text("orders: {source: nothing.csv}\n")
    shop_lines.to_csv("shop.csv", index=False)
    status, out, _ = run("check", "--orders", "shop.csv", "--json")
    assert status == 0
    assert json.loads(out)["read"]["lines_read"] == len(shop_lines)
    columns = "{customer_id: customer_id, ordered_at: ordered_at, amount: sum}"
    (tmp_path / "c.yaml").write_text(f"orders: {{source: nothing.csv, columns: {columns}}}\n")
    shop_lines.rename(columns={"amount": "sum"}).to_csv("other.csv", index=False)
    assert run("check", "c.yaml", "--orders", "other.csv", "--quiet")[0] == 0


def test_warm_answers_in_json(run: Run) -> None:
    status, out, _ = run("warm", "--json")
    assert (status, json.loads(out)["seconds"] >= 0) == (0, True)
