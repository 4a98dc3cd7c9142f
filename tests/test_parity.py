"""Five ways to one number: Python batch, Python one, REST, MLflow and the command line, to the last
bit.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import worlds
from conftest import Run, missing

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.orders.reading.nested_rows import nest
from clvcast.orders.reading.read_orders import read_table
from clvcast.serve.pyfunc import NestedModel

try:
    from servers import serving

    from clvcast.serve.rest.model_holder import ModelHolder
except ModuleNotFoundError:
    missing("the serve extra")

CUTOFF = "2021-02-01"


def compared(frame: pd.DataFrame, like: pd.DataFrame) -> None:
    """Every column of every customer, exactly."""
    own = frame.set_index("customer_id").loc[like["customer_id"]].reset_index()
    for name in like.select_dtypes("datetime").columns:
        own[name] = pd.to_datetime(own[name]).astype("datetime64[us]")
    pd.testing.assert_frame_equal(own[like.columns], like, check_exact=True, check_dtype=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_five_ways_give_one_forecast(
    shop_model: clvcast.Model, tmp_path: Path, run: Run, seed: int
) -> None:
    lines = worlds.shop(customers=600, seed=seed)
    orders = read_table(lines, OrdersConfig())
    batch = clvcast.score(shop_model, orders, CUTOFF)
    assert len(batch) > 500
    nested = nest(orders, CUTOFF)

    ones = [
        shop_model.score_one(own, CUTOFF, name)
        for name, own in zip(nested["customer_id"], nested["orders"], strict=True)
    ]
    compared(pd.DataFrame([dataclasses.asdict(one) for one in ones]), batch)

    mlflow_rows = NestedModel(shop_model).predict(nested)
    compared(mlflow_rows, batch)

    rows: list[dict[str, Any]] = []
    with serving(ModelHolder(shop_model)) as client:
        asked = nested[["customer_id", "orders"]].to_dict("records")
        for size in (1, 7, 300, *[1] * len(asked)):  # one at a time, a few, many, one at a time
            body = {"cutoff": CUTOFF, "customers": asked[len(rows) : len(rows) + size]}
            if body["customers"]:
                rows += client.post("/v1/forecasts", json=body).json()["forecasts"]
    compared(pd.DataFrame(rows), batch)

    shop_model.save(tmp_path / "bundle")
    lines.to_parquet(tmp_path / "orders.parquet")
    status, _, err = run(
        "score",
        "--model",
        tmp_path / "bundle",
        "--orders",
        tmp_path / "orders.parquet",
        "--output",
        tmp_path / "f.parquet",
        "--cutoff",
        CUTOFF,
    )
    assert status == 0, err
    compared(pd.read_parquet(tmp_path / "f.parquet"), batch)
