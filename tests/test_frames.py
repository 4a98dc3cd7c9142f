"""Order lines in memory: every kind of frame gives the same orders, whatever else it holds."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import needed
from test_files import make_lines

import clvcast
from clvcast.errors import OrdersError
from clvcast.orders.reading.python_values import build_column
from clvcast.orders.reading.read_orders import coerce_orders

CUTOFF = "2021-03-01"


def to_polars(lines: pd.DataFrame) -> Any:
    return needed("polars").from_pandas(lines)


def to_categories(lines: pd.DataFrame) -> Any:
    polars = needed("polars")
    return to_polars(lines).with_columns(polars.col("customer_id").cast(polars.Categorical))


def to_stream(lines: pd.DataFrame) -> Any:
    return pa.Table.from_pandas(lines, preserve_index=False).to_reader(max_chunksize=7)


def to_duckdb(lines: pd.DataFrame) -> Any:
    duckdb = needed("duckdb")
    connection = duckdb.connect()
    connection.register("lines", pa.Table.from_pandas(lines, preserve_index=False))
    return connection.sql("SELECT * FROM lines")


def to_mixed(lines: pd.DataFrame) -> Any:
    """As read_excel gives it: ids are numbers where they look like numbers."""
    ids = [int(text) if text.isdigit() else text for text in lines["order_id"]]
    anything: list[Any] = [{"a": 1}, 7, "x", None, b"y", object()]
    return lines.assign(order_id=ids, unused=anything * 5)


def to_json(lines: pd.DataFrame) -> Any:
    return json.loads(lines.to_json(orient="records", date_format="iso", date_unit="s"))


FRAMES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda lines: lines,
    "pandas, objects": lambda lines: lines.astype(object),
    "pandas, categories": lambda lines: lines.astype({"customer_id": "category"}),
    "pandas, Arrow": lambda lines: lines.convert_dtypes(dtype_backend="pyarrow"),
    "pandas, mixed": to_mixed,
    "polars": to_polars,
    "polars, lazy": lambda lines: to_polars(lines).lazy(),
    "polars, categories": to_categories,
    "Arrow": lambda lines: pa.Table.from_pandas(lines, preserve_index=False),
    "Arrow, batch": lambda lines: pa.RecordBatch.from_pandas(lines, preserve_index=False),
    "Arrow, stream": to_stream,
    "DuckDB": to_duckdb,
    "dicts": lambda lines: lines.to_dict("records"),
    "dicts of text": to_json,
    "dicts, mixed": lambda lines: to_mixed(lines).to_dict("records"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FRAMES)
def test_every_frame_gives_the_same_orders(kind: str) -> None:
    lines = make_lines()
    expected = clvcast.read_orders(lines).digest()
    assert coerce_orders(FRAMES[kind](lines)).digest() == expected
    theirs = lines.rename(columns={"customer_id": "Customer ID"})
    columns = {"customer_id": "Customer ID"} | {n: n for n in ("ordered_at", "amount", "order_id")}
    frame = theirs if "categories" in kind else FRAMES[kind](theirs)
    assert clvcast.read_orders(frame, columns).digest() == expected


def test_public_functions_take_frames(
    shop_lines: pd.DataFrame, shop_model: clvcast.Model, shop_config: clvcast.Config, tmp_path: Path
) -> None:
    frame = to_polars(shop_lines)
    expected = clvcast.score(shop_model, shop_lines, CUTOFF)
    pd.testing.assert_frame_equal(clvcast.score(shop_model, frame, CUTOFF), expected)
    pd.testing.assert_frame_equal(clvcast.score(shop_model, frame.lazy(), CUTOFF), expected)
    features = clvcast.build_features(frame, [CUTOFF])
    pd.testing.assert_frame_equal(features, clvcast.build_features(shop_lines, [CUTOFF]))
    shop_lines.to_parquet(tmp_path / "o.parquet")
    by_path = clvcast.build_features(tmp_path / "o.parquet", [CUTOFF])
    pd.testing.assert_frame_equal(features, by_path)
    assert clvcast.train(frame, shop_config).version == shop_model.version
    customer = shop_lines["customer_id"].iloc[0]
    own = shop_lines[shop_lines["customer_id"] == customer]
    assert shop_model.score_one(to_polars(own), CUTOFF) == shop_model.score_one(own, CUTOFF)


def test_columns_nobody_maps_may_hold_anything() -> None:
    lines = make_lines(3)
    odd: list[Any] = [1j, object(), {1: {2}}]
    lines["unused"] = odd
    lines["complex"] = np.array([1j, 2j, 3j])
    lines["span"] = pd.interval_range(0, 3)
    assert clvcast.read_orders(lines).n_lines == 3
    columns = {"customer_id": "complex", "ordered_at": "ordered_at", "amount": "amount"}
    with pytest.raises(OrdersError, match="column 'complex' must hold text, numbers or dates"):
        clvcast.read_orders(lines, columns)


@pytest.mark.parametrize("kind", ["pandas", "records", "json lines"])
def test_numbers_beside_texts_keep_their_value_whatever_mark_the_texts_have(
    kind: str, tmp_path: Path
) -> None:
    """1.234 beside "1.234,50" is one and a bit, and no thousand."""
    lines = {
        "customer_id": ["a", "b", "c", "d"],
        "ordered_at": ["2024-01-01"] * 4,
        "amount": ["1.234,50", 1.234, 987.5, 20],
    }
    frame = pd.DataFrame(lines).astype({"amount": object})
    source: Any = frame if kind == "pandas" else frame.to_dict("records")
    if kind == "json lines":
        text = "\n".join(json.dumps(line) for line in source)
        source = tmp_path / "orders.jsonl"
        source.write_text(text)
    orders = clvcast.read_orders(source, format={"decimal": ","})
    assert orders.amounts.tolist() == [123_450, 123, 98_750, 2_000]


def test_mixed_columns_are_dropped_as_duplicates_line_by_line() -> None:
    lines = make_lines(2)
    twice = pd.concat([lines, lines]).assign(unused=[1, "x", 1, "y"])
    assert clvcast.read_orders(twice, duplicates="drop").n_lines == 3


def test_pandas_of_any_dtype() -> None:
    days = pd.period_range("2024-01-01", periods=4, freq="D")
    for amount in (
        pd.Series([1.5, None, 2, 3], dtype="Float64"),
        pd.Series([1.5, np.nan, 2, 3], dtype=pd.SparseDtype("float64")),
        pd.Series([1.5, np.nan, 2, 3], dtype="float16"),
        pd.Series([decimal.Decimal("1.5"), None, decimal.Decimal(2), decimal.Decimal(3)]),
        pd.Series([1.5, None, "2", 3], dtype=object),
        pd.Series(["1.5", pd.NA, "2", "3"], dtype="category"),
    ):
        lines = pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "ordered_at": days})
        orders = clvcast.read_orders(lines.assign(amount=amount), max_rejected_share=0.5)
        assert orders.amounts.tolist() == [150, 200, 300], amount.dtype
        assert (
            orders.times.view("datetime64[us]").astype("datetime64[D]").astype(str)[0]
            == "2024-01-01"
        )


def test_lines_in_memory_that_cannot_be_read() -> None:
    with pytest.raises(OrdersError, match="the list of order lines is empty"):
        clvcast.read_orders([])
    with pytest.raises(OrdersError, match=r"orders must be Orders, a frame .* got list"):
        clvcast.read_orders([{"customer_id": "a"}, 7])  # type: ignore[list-item]
    with pytest.raises(OrdersError, match="the Series cannot be read as a table"):
        clvcast.read_orders(pd.Series([1, 2]))  # type: ignore[arg-type]
    with pytest.raises(OrdersError, match="column 'customer_id' for customer_id is missing"):
        clvcast.read_orders([{"customer": "a", "ordered_at": "2024-01-01", "amount": 1}])
    lines = make_lines(2)
    twice = pd.concat([lines, lines[["amount"]]], axis=1)
    with pytest.raises(OrdersError, match="column 'amount' stands twice"):
        clvcast.read_orders(twice)
    polars = needed("polars")
    failing = to_polars(make_lines(2)).lazy().with_columns(polars.col("order_id").cast(polars.Int8))
    with pytest.raises(OrdersError, match="the lazy frame cannot be collected"):
        clvcast.read_orders(failing)


@pytest.mark.parametrize(
    ("values", "kind", "cells"),
    [
        ([None, None], pa.null(), [None, None]),
        ([1, 2.0, None], pa.int64(), [1, 2, None]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([2**70, 1.0], pa.string(), [str(2**70), "1"]),
        ([1.0, "C2", True], pa.string(), ["1", "C2", "True"]),
        ([np.int64(1), np.float64(2), np.str_("x")], pa.string(), ["1", "2", "x"]),
        ([datetime.date(2024, 1, 2), None], pa.date32(), [datetime.date(2024, 1, 2), None]),
        (
            [datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3)],
            pa.timestamp("us"),
            [datetime.datetime(2024, 1, 2), datetime.datetime(2024, 1, 2, 3)],
        ),
        (
            [datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC), datetime.datetime(2024, 1, 2, 3)],
            pa.string(),
            ["2024-01-02 00:00:00+00:00", "2024-01-02 03:00:00"],
        ),
        ([np.datetime64("2024-01-02", "ns")], pa.timestamp("us"), [datetime.datetime(2024, 1, 2)]),
        ([uuid.UUID(int=1), "x"], pa.string(), ["00000000-0000-0000-0000-000000000001", "x"]),
        ([[1], "x"], pa.struct([("list", pa.string())]), [{"list": "[1]"}, {"list": "'x'"}]),
    ],
)
def test_python_values_as_a_column(values: list[Any], kind: pa.DataType, cells: list[Any]) -> None:
    column = build_column(values)
    assert column.type == kind
    assert column.to_pylist() == cells
