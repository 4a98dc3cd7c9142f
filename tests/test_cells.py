"""Cells that a spreadsheet would run: escaped in .csv files for people, exact elsewhere."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import worlds
from conftest import Run

import clvcast
from clvcast.atomic_files import write_files
from clvcast.spreadsheet_cells import count_formulas, escape_cells

FORMULA = "=HYPERLINK(1)"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_that_would_run_gets_an_apostrophe(sign: str) -> None:
    texts = [f"{sign}1", "plain", f"a{sign}", None, ""]
    table = pa.table({"a": texts, "b": texts, "n": [-1.5, 2.0, 0.0, 1.0, 3.0]})
    found = escape_cells(table, ("b",))
    assert found["a"].to_pylist() == [f"'{sign}1", "plain", f"a{sign}", None, ""]
    assert found["b"].to_pylist() == texts
    assert found["n"] == table["n"]
    assert count_formulas(table["a"]) == 1
    coded = pa.table({"a": pa.array(texts).dictionary_encode()})
    assert escape_cells(coded)["a"].to_pylist()[0] == f"'{sign}1"


def test_only_csv_files_are_escaped(tmp_path: Path) -> None:
    table = pa.table({"a": [FORMULA]})
    write_files({tmp_path / "a.csv": table, tmp_path / "a.parquet": table})
    assert FORMULA not in (tmp_path / "a.csv").read_text().replace(f"'{FORMULA}", "")
    assert pq.read_table(tmp_path / "a.parquet")["a"].to_pylist() == [FORMULA]


def read_cells(folder: Path) -> list[str]:
    return [
        cell
        for path in folder.glob("*.csv")
        for row in csv.reader(path.open(encoding="utf-8"))
        for cell in row
    ]


def test_the_commands_write_no_cell_that_runs(
    shop_model: clvcast.Model, tmp_path: Path, run: Run
) -> None:
    lines = worlds.shop()
    lines["channel"] = "@" + lines["channel"]
    lines["customer_id"] = "=" + lines["customer_id"]
    orders, forecasts = tmp_path / "orders.parquet", tmp_path / "forecasts.csv"
    lines.to_parquet(orders)
    shop_model.save(tmp_path / "bundle")
    base = ["--orders", orders]
    assert run("score", "--model", tmp_path / "bundle", *base, "-o", forecasts)[0] == 0
    assert pd.read_csv(forecasts)["customer_id"].str.startswith("=").all()  # exact
    for command, extra in (("kpis", []), ("lists", []), ("lists", ["--safe-cells"])):
        folder = tmp_path / f"{command}{len(extra)}"
        status, _, err = run(command, forecasts, *base, "-o", folder, *extra)
        assert status == 0, err
        runs = [cell for cell in read_cells(folder) if cell[:1] in "=+@" and cell]
        is_import = command == "lists" and not extra
        assert all(cell.startswith("=C") for cell in runs)
        assert bool(runs) == is_import
        assert ("--safe-cells" in err) == is_import
