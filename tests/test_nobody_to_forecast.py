"""Customers without an order before the cutoff: an empty result at every interface, never a crash.

Customers whose lines are returns or zeros alone have no order. Each interface gets none, one and
some customers who have one, beside two who have none.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run, missing

import clvcast
from clvcast.models.btyd.forecasts import BgNbd, Nbd, OrderModel
from clvcast.serve.batch.run import score_files

try:
    from servers import serving

    from clvcast.serve.rest.handlers import ARROW, PARQUET
    from clvcast.serve.rest.model_holder import ModelHolder
except ModuleNotFoundError:
    missing("the serve extra")

CUTOFF = "2020-06-04"
WITHOUT = ["only-returns", "only-zeros"]
COUNTS = (0, 1, 3)  # customers with an order


def lines(n_customers: int) -> pd.DataFrame:
    """Order lines of `n_customers` with an order, and of two without."""
    amounts = {"only-returns": [-3.0, -0.5], "only-zeros": [0.0, 0.0]}
    amounts |= {f"customer-{k}": [20.0, 30.0] for k in range(n_customers)}
    rows = [
        {
            "customer_id": name,
            "ordered_at": f"2020-06-0{k + 1}",
            "amount": amount,
            "order_id": f"{k}",
        }
        | {"product_id": "p", "category": "c", "channel": "web", "quantity": 1.0}
        for name, values in amounts.items()
        for k, amount in enumerate(values)
    ]
    return pd.DataFrame(rows)


def with_orders(n_customers: int) -> list[str]:
    return [f"customer-{k}" for k in range(n_customers)]


def replace_order_model(model: clvcast.Model, order_model: OrderModel) -> clvcast.Model:
    blend = model.numbers.blend.model_copy(update={"order_model": order_model})
    numbers = model.numbers.model_copy(update={"blend": blend})
    return dataclasses.replace(model, numbers=numbers)


@pytest.fixture(scope="module")
def model(shop_model: clvcast.Model) -> clvcast.Model:
    return replace_order_model(shop_model, BgNbd(r=1.0, alpha=60.0, a=0.8, b=2.5))


@pytest.fixture(scope="module")
def bundle(model: clvcast.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nobody") / "bundle"
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def client(model: clvcast.Model) -> Iterator[httpx.Client]:
    with serving(ModelHolder(model)) as client:
        yield client


@pytest.mark.parametrize("n_customers", COUNTS)
@pytest.mark.parametrize("order_model", ["bg_nbd", "nbd", "pareto_nbd"])
def test_python_returns_a_row_per_customer_with_an_order(
    shop_model: clvcast.Model, model: clvcast.Model, order_model: str, n_customers: int
) -> None:
    models = {
        "bg_nbd": model,
        "nbd": replace_order_model(shop_model, Nbd(r=1.0, alpha=60.0)),
        "pareto_nbd": shop_model,
    }
    scorer, orders = models[order_model], lines(n_customers)
    forecasts = clvcast.score(scorer, orders, CUTOFF)
    assert forecasts["customer_id"].tolist() == with_orders(n_customers)
    reasons = clvcast.explain(scorer, orders, CUTOFF)
    assert reasons["customer_id"].unique().tolist() == with_orders(n_customers)
    some = clvcast.score(scorer, lines(3), CUTOFF).dtypes
    pd.testing.assert_series_equal(forecasts.dtypes, some)
    total = clvcast.total(forecasts)
    assert total["expected"].sum() == pytest.approx(forecasts["clv"].sum())


@pytest.mark.parametrize("n_customers", COUNTS)
@pytest.mark.parametrize("output", ["forecasts.csv", "forecasts.parquet", "folder"])
def test_a_batch_writes_complete_files(
    model: clvcast.Model, tmp_path: Path, output: str, n_customers: int
) -> None:
    orders = tmp_path / "orders.csv"
    lines(n_customers).to_csv(orders, index=False)
    path = tmp_path / output
    partitions = 2 if output == "folder" else 0
    result = score_files(model, str(orders), path, CUTOFF, partitions=partitions)
    assert (result.customers, result.customers_without_orders) == (n_customers, 2)
    assert (result.churn_rate is None) == (n_customers == 0)  # no mean of no customers
    frame = pd.read_csv(path) if output.endswith("csv") else read_parquet(path)
    assert sorted(frame["customer_id"]) == with_orders(n_customers)
    place = path / "rejected.parquet" if output == "folder" else tmp_path / "rejected.parquet"
    assert pq.read_table(place)["customer_id"].to_pylist() == WITHOUT


def read_parquet(path: Path) -> pd.DataFrame:
    paths = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    return pd.concat([pd.read_parquet(file) for file in paths])


def test_only_customers_without_an_order_is_an_empty_file_and_says_so(
    bundle: Path, tmp_path: Path, run: Run
) -> None:
    orders, ids, output = tmp_path / "orders.csv", tmp_path / "ids.txt", tmp_path / "f.csv"
    lines(3).to_csv(orders, index=False)
    ids.write_text("\n".join(WITHOUT))
    base = ["--model", bundle, "--orders", orders, "--cutoff", CUTOFF]
    status, out, err = run("score", *base, "-o", output, "--only-customers", ids)
    assert status == 0, err
    assert "no forecasts at 2020-06-04" in out
    assert "0.0%" not in out
    assert len(output.read_text().splitlines()) == 1
    # what reads the file says that it is empty, and never that all is well
    for command in (
        ["kpis", output, "--orders", orders, "-o", tmp_path / "kpis"],
        ["compare", output, output],
        ["monitor", "--forecasts", output, "--orders", orders, "--model", bundle],
    ):
        status, out, err = run(*command)
        assert status == 1, (command, out, err)
        assert "holds no forecasts" in err or "at least one customer" in err, (command, err)


def test_explain_names_customers_without_an_order(bundle: Path, tmp_path: Path, run: Run) -> None:
    orders, output = tmp_path / "orders.csv", tmp_path / "reasons.parquet"
    lines(0).to_csv(orders, index=False)
    base = ["explain", "--model", bundle, "--orders", orders, "--cutoff", CUTOFF]
    status, _, err = run(*base, "--customer", "only-returns")
    assert status == 1
    assert "1 of 1 requested customers have no order before the cutoff" in err
    status, _, err = run(*base, "-o", output)
    assert status == 0, err
    table = pq.read_table(output)
    assert table.num_rows == 0
    assert not any(pa.types.is_null(field.type) for field in table.schema)


@pytest.mark.parametrize("n_customers", COUNTS)
def test_rest_names_customers_without_orders_in_every_form(
    client: httpx.Client, n_customers: int
) -> None:
    frame = lines(n_customers)
    customers: list[dict[str, Any]] = [
        {"customer_id": name, "orders": own.drop(columns="customer_id").to_dict("records")}
        for name, own in frame.groupby("customer_id", sort=True)
    ]
    body = {"cutoff": CUTOFF, "customers": customers}
    found = [client.post("/v1/forecasts", json=body).json()]
    explained = client.post("/v1/explain", json=body)
    assert explained.status_code == 200, explained.text
    assert explained.json()["without_orders"] == WITHOUT
    assert len(explained.json()["explanations"]) == n_customers
    table, arrow, parquet = pa.Table.from_pandas(frame), io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(arrow, table.schema) as stream:
        stream.write_table(table)
    pq.write_table(table, parquet)
    for kind, sink in ((ARROW, arrow), (PARQUET, parquet)):
        path = f"/v1/forecasts?cutoff={CUTOFF}"
        answer = client.post(path, content=sink.getvalue(), headers={"content-type": kind})
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
    for content in found:
        assert [row["customer_id"] for row in content["forecasts"]] == with_orders(n_customers)
        assert content["without_orders"] == WITHOUT
