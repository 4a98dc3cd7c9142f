"""Several sources joined into one history: mappings, constants, files named, orders that stand in
two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import clvcast
from clvcast.configs.schema import OrdersConfig, parse_config, parse_orders_config
from clvcast.errors import ConfigError, OrdersError
from clvcast.orders.reading.read_orders import read_configured_orders


@pytest.fixture
def shops(tmp_path: Path) -> dict[str, Any]:
    """A web shop and a till, whose order o2 of customer a stands in both."""
    pd.DataFrame(
        {
            "client": ["a", "a", "b", "a"],
            "at": pd.to_datetime(["2020-01-01", "2020-01-05", "2020-01-06", "2020-01-07"]),
            "total": [10.0, 20.0, 30.0, 5.0],
            "number": ["o1", "o2", "o3", "o9"],
        }
    ).to_parquet(tmp_path / "web.parquet")
    (tmp_path / "till.csv").write_text(
        "customer_id;ordered_at;amount;order_id\n"
        "a;05/01/2020;15,00;o2\na;05/01/2020;5,00;o2\nc;09/01/2020;7,50;o3\n;09/01/2020;1;o4\n"
        "a;10/01/2020;9,99;o9\n"
    )
    web = {"customer_id": "client", "ordered_at": "at", "amount": "total", "order_id": "number"}
    form = {"delimiter": ";", "decimal": ",", "date_format": "%d/%m/%Y"}
    return {
        "sources": [
            {"source": str(tmp_path / "web.parquet"), "columns": web, "channel": "web"},
            {"source": str(tmp_path / "till.csv"), "format": form, "channel": "till"},
        ]
    }


def lines(orders: clvcast.Orders) -> list[tuple[Any, ...]]:
    ids = orders.customer_ids.to_pylist()
    texts = [column.to_text().to_pylist() for column in orders.texts.values()]
    columns = [orders.amounts.tolist(), *texts]
    return [
        (ids[customer], *(column[k] for column in columns))
        for k, customer in enumerate(orders.customer_of_line())
    ]


def test_each_source_has_its_mapping_format_and_channel(shops: dict[str, Any]) -> None:
    orders = read_configured_orders(parse_orders_config(shops))
    assert list(orders.texts) == ["order_id", "channel"]
    assert sorted(lines(orders)) == [
        ("a", 500, "o2", "till"),
        ("a", 500, "o9", "web"),
        ("a", 999, "o9", "till"),
        ("a", 1000, "o1", "web"),
        ("a", 1500, "o2", "till"),
        ("a", 2000, "o2", "web"),
        ("b", 3000, "o3", "web"),
        ("c", 750, "o3", "till"),
    ]
    assert orders.report.shared_orders == 2
    (remark,) = [r for r in orders.report.remarks if "more than one source" in r]
    assert "2 orders of one customer and order_id" in remark
    assert "(1 with the same amount in each): all their lines are kept" in remark


def test_dropping_duplicates_keeps_the_first_source_of_a_shared_order(
    shops: dict[str, Any],
) -> None:
    orders = read_configured_orders(parse_orders_config({**shops, "duplicates": "drop"}))
    assert sorted(line for line in lines(orders) if line[0] == "a") == [
        ("a", 500, "o9", "web"),
        ("a", 1000, "o1", "web"),
        ("a", 2000, "o2", "web"),
    ]
    assert any("3 lines dropped" in remark for remark in orders.report.remarks)
    swapped = {"sources": shops["sources"][::-1], "duplicates": "drop"}
    kept = [
        line
        for line in lines(read_configured_orders(parse_orders_config(swapped)))
        if line[2] == "o2"
    ]
    assert [line[3] for line in kept] == ["till", "till"]


def test_a_prefix_tells_orders_numbered_alike_apart(shops: dict[str, Any]) -> None:
    shops["sources"][1]["order_id_prefix"] = "till-"
    orders = read_configured_orders(parse_orders_config({**shops, "duplicates": "drop"}))
    assert orders.report.shared_orders == 0
    assert {line[2] for line in lines(orders) if line[3] == "till"} == {
        "till-o2",
        "till-o3",
        "till-o9",
    }


def test_equal_lines_of_two_sources_without_order_ids_are_both_kept(tmp_path: Path) -> None:
    for name in ("web", "till"):
        text = "customer_id,ordered_at,amount\na,2020-01-01,5\na,2020-01-01,5\n"
        (tmp_path / f"{name}.csv").write_text(text)
    sources = [{"source": str(tmp_path / f"{name}.csv")} for name in ("web", "till")]
    orders = read_configured_orders(parse_orders_config({"sources": sources, "duplicates": "drop"}))
    assert orders.n_lines == 2  # a copy within each goes; between them nothing tells a copy
    assert orders.report.duplicate_lines == 2


def test_two_halves_of_a_history_are_the_history(
    shop_lines: pd.DataFrame, shop_orders: clvcast.Orders, tmp_path: Path
) -> None:
    half = len(shop_lines) // 2
    shop_lines[:half].to_parquet(tmp_path / "old.parquet")
    shop_lines[half:].to_parquet(tmp_path / "new.parquet")
    sources = [{"source": str(tmp_path / f"{name}.parquet")} for name in ("new", "old")]
    assert (
        read_configured_orders(parse_orders_config({"sources": sources})).digest()
        == shop_orders.digest()
    )


def test_what_one_source_leaves_out_is_as_in_orders(shops: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("client,at,total\na,2020-01-01,5\n")
    columns = {"customer_id": "client", "ordered_at": "at", "amount": "total"}
    sources = [{"source": str(tmp_path / "old.csv")}, shops["sources"][1]]
    sources[1]["columns"] = {name: name for name in columns}
    assert (
        read_configured_orders(
            parse_orders_config({"columns": columns, "sources": sources})
        ).n_lines
        == 5
    )


def test_every_message_names_its_file(shops: dict[str, Any], tmp_path: Path) -> None:
    till = tmp_path / "till.csv"
    till.write_text(till.read_text().replace("15,00", "much"))
    with pytest.raises(OrdersError) as refusal:
        read_configured_orders(parse_orders_config(shops))
    assert f"{till}: amount must be a number: 1 line (rows 1), such as 'much'" in str(refusal.value)
    orders = read_configured_orders(parse_orders_config({**shops, "max_rejected_share": 0.5}))
    assert any(str(till) in remark for remark in orders.report.remarks)
    assert orders.report.rejected_lines is not None
    found = orders.report.rejected_lines.to_pydict()
    assert (set(found["file"]), sorted(found["row"])) == ({str(till)}, [1, 4])
    del shops["sources"][0]["columns"]
    with pytest.raises(OrdersError, match=r"web\.parquet: column 'customer_id' .* is missing"):
        read_configured_orders(parse_orders_config(shops))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{source: a.csv, sources: [{source: b.csv}]}", "either source .* or sources, not both"),
        (
            "{sources: [{sauce: b.csv}]}",
            r"unknown key orders\.sources\.0\.sauce; did you mean source",
        ),
        ("{sources: [{columns: {}}]}", r"orders\.sources\.0\.source is required"),
        ("{sources: [{source: ''}]}", "must name a file"),
        ("{sources: [{source: a.csv, format: {decimel: ','}}]}", "did you mean decimal"),
        ("{sources: [{source: a.csv, columns: {amount: x}}]}", "must map customer_id, ordered_at"),
        (
            "{sources: [{source: a.csv, channel: web, columns: {customer_id: a, ordered_at: b, "
            "amount: c, channel: d}}]}",
            "must say channel once",
        ),
        ("{sources: 'postgresql://u:hush@h/d'}", "should be a valid tuple"),
        ("{source: ['postgresql://u:hush@h/d']}", "should be a valid string"),
        ("{source: 'postgresql://u:hush@h/d', sources: [{source: b.csv}]}", "not both"),
        ("{source: postgresql://u:hush@h/d, columns: [}", "is not valid YAML"),
    ],
)
def test_a_wrong_list_of_sources_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        parse_config(f"orders: {text}")
    assert "hush" not in str(refusal.value)


def test_a_bundle_remembers_no_source(
    shop_lines: pd.DataFrame, shop_config: clvcast.Config, tmp_path: Path
) -> None:
    shop_lines.to_parquet(tmp_path / "old.parquet")
    settings = {"sources": [{"source": str(tmp_path / "old.parquet"), "channel": "web"}]}
    config = shop_config.model_copy(update={"orders": parse_orders_config(settings)})
    model = clvcast.train(clvcast.read_orders(config), config)
    assert model.numbers.orders == OrdersConfig()
    assert b"old.parquet" not in b"".join(model.files().values())
