"""What version 0.1.0 wrote loads and forecasts the same: a bundle, and a model folder of MLflow."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import worlds

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.models.plausibility import BTYD_RETENTION
from clvcast.orders.reading.read_orders import read_table
from clvcast.serve.batch.run import score_files

CUTOFF = "2021-02-01"
FOLDER = Path(__file__).parent / "data" / "version_0.1.0"
MODEL = FOLDER / "mlflow_model"


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """The orders that the bundle was trained on."""
    return worlds.shop(customers=150, days=420, seed=3)


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    """The forecasts of version 0.1.0."""
    return pd.read_csv(FOLDER / "forecasts.csv", dtype={"customer_id": "str"})


def check_forecasts(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Columns may be added, none renamed; numbers equal to 1e-9, whatever the processor."""
    dates = [name for name in expected.columns if name.endswith("_at") or "next_order" in name]
    for name in [*dates, "cutoff"]:
        expected[name] = pd.to_datetime(expected[name])
        found[name] = pd.to_datetime(found[name])
    pd.testing.assert_frame_equal(
        found[expected.columns.to_list()], expected, check_dtype=False, rtol=1e-9, atol=0.0
    )


def test_a_bundle_loads_and_forecasts_the_same(
    orders: pd.DataFrame, expected: pd.DataFrame, tmp_path: Path
) -> None:
    model = clvcast.load_model(MODEL / "data" / "bundle")
    assert model.version == "94467a043d78"
    check_forecasts(clvcast.score(model, orders, CUTOFF), expected.copy())
    model.save(tmp_path / "again")
    assert clvcast.load_model(tmp_path / "again").version == model.version


def test_its_retention_value_is_said_to_be_of_btyd_alone(
    orders: pd.DataFrame, tmp_path: Path
) -> None:
    """By the manifest, by the terms that the file carries, and by what is read from it."""
    model = clvcast.load_model(MODEL / "data" / "bundle")
    assert model.numbers.retention is None
    lines, forecasts = tmp_path / "orders.parquet", tmp_path / "forecasts.parquet"
    orders.to_parquet(lines)
    result = score_files(model, str(lines), forecasts, CUTOFF)
    assert any(BTYD_RETENTION in remark for remark in result.remarks)
    manifest = json.loads((tmp_path / "forecasts.parquet.manifest.json").read_text())
    assert manifest["remarks"] == list(result.remarks)
    assert manifest["made_with"]["retention_source"] == "btyd"
    assert BTYD_RETENTION in clvcast.lists(forecasts, lines).remarks


@pytest.mark.filterwarnings("ignore")  # of MLflow about its own versions
def test_a_model_of_mlflow_loads_and_forecasts_the_same(
    orders: pd.DataFrame, expected: pd.DataFrame
) -> None:
    import mlflow

    loaded = mlflow.pyfunc.load_model(str(MODEL))
    nested = clvcast.nest(read_table(orders, OrdersConfig()), CUTOFF)
    check_forecasts(loaded.predict(nested), expected.copy())
