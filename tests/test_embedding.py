"""The examples of docs/embedding.md run, each where its library is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import missing

import clvcast

ASKED = {"cutoff": "2021-01-01", "orders": [{"ordered_at": "2020-11-02", "amount": 42.0}]}


def block_of(root: Path, heading: str) -> str:
    page = (root / "docs" / "embedding.md").read_text()
    found = re.search(rf"## {heading}\n.*?```python\n(.*?)```", page, re.DOTALL)
    assert found is not None, heading
    return found[1]


@pytest.fixture(scope="module")
def place(
    shop_lines: pd.DataFrame, shop_model: clvcast.Model, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the bundle and the orders the examples name. The model learned from optional
    columns, as one that `clvcast init` maps them for; the examples' lines have none of them.
    """
    folder = tmp_path_factory.mktemp("service")
    shop_lines.to_parquet(folder / "orders.parquet")
    shop_model.save(folder / "bundle")
    assert "order_id" in shop_model.numbers.optional_columns
    return folder


def run(root: Path, heading: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(block_of(root, heading), heading, "exec", dont_inherit=True), names)
    return names


def test_a_plain_script(
    root: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    names = run(root, "A plain script")
    assert names["forecast"].n_orders == 2
    assert names["forecast"].model_version in capsys.readouterr().out


@pytest.mark.parametrize("library", ["flask", "fastapi"])
@pytest.mark.filterwarnings("default")
def test_services(root: Path, place: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        missing(library)
    monkeypatch.chdir(place)
    names = run(root, {"flask": "Flask", "fastapi": "FastAPI"}[library])
    own = names["model"].score_one(ASKED["orders"], ASKED["cutoff"], "c")
    if library == "flask":
        client = names["app"].test_client()
    else:
        from starlette.testclient import TestClient

        client = TestClient(names["app"])
    answer = client.post("/customers/c/value", json=ASKED)
    content = answer.json() if callable(answer.json) else answer.json
    assert content == {"clv": own.clv, "model_version": own.model_version}
    for change, field in (
        ({"cutoff": "soon"}, "cutoff"),
        ({"orders": [{"ordered_at": "2020-11-02", "amount": "x"}]}, "amount must be a number"),
        ({"orders": [{"ordered_at": "2020-11-02"}]}, "amount"),
    ):
        answer = client.post("/customers/c/value", json=ASKED | change)
        assert (answer.status_code, field in answer.text) == (422, True), answer.text


def test_a_schedule(root: Path) -> None:
    if importlib.util.find_spec("airflow") is None:
        compile(
            block_of(root, "Airflow"), "Airflow", "exec"
        )  # it is Python, and the command is ours
        command = re.findall(r'"(--?[a-z-]+)"', block_of(root, "Airflow"))
        assert set(command) <= {"--quiet", "--model", "--orders", "--output"}
    else:
        run(root, "Airflow")
