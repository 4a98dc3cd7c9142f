"""What an order line is: filters, order totals, customer ids, currencies, joined columns."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import OrdersConfig, parse_orders_config
from clvcast.errors import ConfigError, OrdersError
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.dates import format_iso
from clvcast.orders.reading.column_expressions import parse_expression
from clvcast.orders.reading.customer_attributes import attach_customers
from clvcast.orders.reading.customer_ids import load_id_rules
from clvcast.orders.reading.read_orders import coerce_orders, read_configured_orders, read_table
from clvcast.orders.reading.sharding import read_shards
from clvcast.serve.batch.customer_filter import read_ids
from clvcast.serve.batch.run import score_files

SHOP = pd.DataFrame(
    {
        "Name": ["#1", "#1", "#2", "#3", "#3", "#4"],
        "Email": ["a@x", "a@x", "b@x", "A@x ", "A@x ", "b@x"],
        "Date": [
            "2024-01-05",
            "2024-01-05",
            "2024-02-01",
            "2024-02-09",
            "2024-02-09",
            "2024-03-01",
        ],
        "Status": ["Paid", "", "voided", "PAID", "", "refunded"],
        "Total": ["30", "", "50", "20", "", "40"],
        "Refunded Amount": ["", "", "", "5", "", "40"],
        "sku": ["p1", "p2", "p1", "p3", "p1", "p2"],
        "Currency": ["EUR", "", "EUR", "EUR", "", "EUR"],
    }
)  # fmt: skip  (one row of the export is one position in each column)
COLUMNS = {
    "customer_id": "Email",
    "ordered_at": "Date",
    "amount": "Total - (Refunded Amount or 0)",
    "order_id": "Name",
    "product_id": "sku",
}


def read(frame: pd.DataFrame, **rules: Any) -> clvcast.Orders:
    return read_table(frame, parse_orders_config({"columns": COLUMNS, **rules}))


def revenue(orders: clvcast.Orders) -> float:
    return float(orders.amounts.sum() / orders.unit)


def order_amounts(orders: clvcast.Orders) -> dict[tuple[str, str], float]:
    frame = pd.DataFrame(
        {
            "customer": orders.customer_ids.take(pa.array(orders.customer_of_line())).to_pylist(),
            "order": orders.texts["order_id"].to_text().to_pylist(),
            "amount": orders.amounts / orders.unit,
        }
    )
    return dict(frame.groupby(["customer", "order"])["amount"].sum())


# ---- expressions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Total - (Refunded Amount or 0)", [30.0, 15.0]),
        ("Total or Refunded Amount", [30.0, 20.0]),
        ("item-price * Qty", [2.0, 12.0]),
        ("-(Total or 1)", [-30.0, -20.0]),
        ("`Refunded Amount` or Qty + 1", [2.0, 5.0]),
        ("Total - abs(item-price - item)", [23.0, 15.0]),
        ("sign(item-price - 3) * Qty", [-1.0, 3.0]),
        ("Total - sign (abs(Refunded Amount or 0)) * Qty", [30.0, 17.0]),
    ],
)
def test_arithmetic_knows_names_with_spaces_and_a_value_for_blanks(
    text: str, expected: list[float]
) -> None:
    columns = {
        "Total": np.array([30.0, 20.0]),
        "Refunded Amount": np.array([np.nan, 5.0]),
        "item-price": np.array([2.0, 4.0]),
        "item": np.array([9.0, 9.0]),
        "Qty": np.array([1.0, 3.0]),
    }
    assert parse_expression(text, list(columns)).evaluate(columns).tolist() == expected


def test_a_list_of_columns_is_joined() -> None:
    frame = pd.DataFrame(
        {
            "day": ["11/03/2023", "11/04/2023", ""],
            "time": ["20:59:15", "08:00:00", "01:00:00"],
            "receipt": [7, 7, 8],
            "customer_id": ["a", "a", "a"],
            "amount": [1, 2, 3],
        }
    )
    columns = {
        "customer_id": "customer_id",
        "ordered_at": ["day", "time"],
        "amount": "amount",
        "order_id": ["receipt", "day"],
    }
    config = parse_orders_config(
        {
            "columns": columns,
            "format": {"date_format": "%m/%d/%Y %H:%M:%S"},
            "max_rejected_share": 0.5,
        }
    )
    orders = read_table(frame, config)
    assert orders.times.tolist() == [
        pd.Timestamp("2023-11-03 20:59:15").value // 1000,
        pd.Timestamp("2023-11-04 08:00").value // 1000,
    ]
    assert orders.texts["order_id"].to_text().to_pylist() == ["7 11/03/2023", "7 11/04/2023"]
    assert orders.report.rejected == {"day, time is empty": 1}


def test_a_sum_of_texts_is_refused_with_the_list_to_write() -> None:
    with pytest.raises(OrdersError, match=r"ordered_at: \[Date, Time\]"):
        read(SHOP.assign(Time="10:00"), columns={**COLUMNS, "ordered_at": "Date + Time"})


# ---- filters


def test_except_leaves_orders_out_with_all_their_lines() -> None:
    orders = read(SHOP, **{"except": {"Status": ["VOIDED"]}}, amount_per="order")
    assert order_amounts(orders) == {("a@x", "#1"): 30, ("A@x", "#3"): 15, ("b@x", "#4"): 0}
    assert orders.report.left_out == {"Status voided": 1}
    assert any("Status voided (1)" in remark for remark in orders.report.remarks)


def test_only_keeps_orders_and_their_blank_lines() -> None:
    orders = read(SHOP, only={"Status": "paid"}, amount_per="order")
    assert order_amounts(orders) == {("a@x", "#1"): 30, ("A@x", "#3"): 15}
    assert orders.n_lines == 4
    assert orders.report.left_out == {"Status voided": 1, "Status refunded": 1}


def test_only_names_a_value_that_occurs() -> None:
    with pytest.raises(OrdersError, match=r"got payd; found: paid \(2\), voided \(1\)"):
        read(SHOP, only={"Status": ["payd"]}, amount_per="order")
    with pytest.raises(OrdersError, match="column 'State' for only is missing"):
        read(SHOP, only={"State": ["paid"]}, amount_per="order")


def test_a_line_left_out_may_break_any_rule() -> None:
    frame = SHOP.assign(Total=["30", "", "n.v.", "20", "", "40"])
    orders = read(frame, **{"except": {"Status": ["voided"]}}, amount_per="order")
    assert orders.report.rejected == {}


WORLDS = st.lists(
    st.tuples(
        st.integers(0, 3),  # customer
        st.integers(0, 5),  # order
        st.sampled_from(["paid", "void", ""]),
        st.integers(1, 9),
        st.sampled_from(["p", "q"]),
    ),
    min_size=1,
    max_size=12,
)


def world(lines: list[tuple[int, int, str, int, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(lines, columns=["c", "o", "status", "amount", "product_id"])
    frame["customer_id"] = "c" + frame.pop("c").astype(str)
    frame["order_id"] = "o" + frame.pop("o").astype(str)
    frame["ordered_at"] = "2024-01-0" + (frame["order_id"].str[1:].astype(int) + 1).astype(str)
    return frame


@settings(max_examples=25)
@given(WORLDS, st.randoms(use_true_random=False), st.booleans())
def test_filters_are_those_of_a_table_and_know_no_order_of_lines(
    lines: Any, random: Any, keeps: bool
) -> None:
    frame = world(lines)
    own = frame["status"].replace("", np.nan)
    paid = (own == "paid").where(own.notna())
    of_order = paid.groupby([frame["customer_id"], frame["order_id"]]).transform("max")
    expected = paid.fillna(of_order).fillna(0 if keeps else 1).astype(bool)
    rules = {"only": {"status": ["paid"]}} if keeps else {"except": {"status": ["void"]}}
    if not expected.any() or (keeps and "paid" not in set(frame["status"])):
        with pytest.raises(OrdersError):
            read_table(frame, parse_orders_config(rules))
        return
    plain = OrdersConfig()
    columns = [name for name in frame if name != "status"]
    kept = read_table(frame.loc[expected, columns], plain)
    shuffled = frame.sample(frac=1, random_state=random.randrange(99))
    for table in (frame, shuffled):
        orders = read_table(table, parse_orders_config(rules))
        assert orders.digest() == kept.digest()
        assert orders.report.lines_used == int(expected.sum())
        assert sum(orders.report.left_out.values()) == int((~expected).sum())


# ---- totals of orders


@settings(max_examples=25)
@given(WORLDS, st.booleans(), st.randoms(use_true_random=False))
def test_an_order_total_counts_once_wherever_it_stands(
    lines: Any, on_each_line: bool, random: Any
) -> None:
    frame = world(lines)
    keys = ["customer_id", "order_id"]
    frame["amount"] = frame.groupby(keys)["amount"].transform("first").astype(str)
    expected = frame.drop_duplicates(keys).set_index(keys)["amount"].astype(float).to_dict()
    if not on_each_line:
        frame.loc[frame.duplicated(keys, keep=random.choice(["first", "last"])), "amount"] = ""
    shuffled = frame.sample(frac=1, random_state=random.randrange(99))
    config = parse_orders_config({"amount_per": "order"})
    orders = read_table(frame, config)
    assert order_amounts(orders) == expected
    assert orders.n_lines == len(frame)
    assert read_table(shuffled, config).digest() == orders.digest()
    whole = frame.drop(columns=["product_id", "status"])
    per_order = (
        frame[frame["amount"] != ""].drop_duplicates(keys).drop(columns=["product_id", "status"])
    )
    assert read_table(whole, config).digest() == read_table(per_order, OrdersConfig()).digest()


def test_orders_without_one_clear_total_are_set_aside() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["a"] * 4 + ["b"] * 2,
            "ordered_at": "2024-01-01",
            "order_id": ["1", "1", "2", "2", "3", "3"],
            "amount": ["5", "6", "7", "7", "", ""],
        }
    )
    config = parse_orders_config({"amount_per": "order", "max_rejected_share": 0.7})
    orders = read_table(frame, config)
    assert revenue(orders) == 7.0
    assert orders.report.rejected == {
        "the order has no total on any line": 2,
        "the order has more than one total": 2,
    }
    with pytest.raises(OrdersError, match="4 of 6 lines have no clear order total"):
        read_table(frame, parse_orders_config({"amount_per": "order"}))
    with pytest.raises(ConfigError, match=r"amount_per: order needs columns\.order_id"):
        parse_orders_config(
            {
                "amount_per": "order",
                "columns": {"customer_id": "a", "ordered_at": "b", "amount": "c"},
            }
        )


def test_blank_amounts_name_both_ways_on() -> None:
    columns = {**COLUMNS, "amount": "Total"}
    with pytest.raises(
        OrdersError, match=r"set orders\.amount_per: order if Total is of the whole order"
    ):
        read(SHOP, columns=columns)
    lonely = SHOP.assign(Name=["#1", "#2", "#3", "#4", "#5", "#6"])
    with pytest.raises(OrdersError, match=r"lines \(rows 2, 5\); write \(Total or 0\) where blank"):
        read(lonely, columns=columns)


def test_totals_beside_amounts_of_lines_in_another_source(tmp_path: Path) -> None:
    SHOP.to_csv(tmp_path / "web.csv", index=False)
    pd.DataFrame(
        {
            "Email": ["a@x", "a@x", "c@x"],
            "Date": "2024-05-01",
            "amount": [3, 4, 5],
            "Name": ["t1", "t1", "t2"],
            "sku": ["p1", "p1", "p1"],
        }
    ).to_csv(tmp_path / "till.csv", index=False)
    config = parse_orders_config(
        {
            "columns": {**COLUMNS, "amount": "amount"},
            "sources": [
                {
                    "source": str(tmp_path / "web.csv"),
                    "columns": COLUMNS,
                    "amount_per": "order",
                    "except": {"Status": "voided"},
                },
                {"source": str(tmp_path / "till.csv")},
            ],
        }
    )
    orders = read_configured_orders(config)
    assert order_amounts(orders)["a@x", "t1"] == 7
    assert revenue(orders) == 30 + 15 + 0 + 12


# ---- customers


def test_folded_ids_are_one_customer() -> None:
    exact, folded = (
        read(SHOP, amount_per="order", customer_ids=how) for how in ("exact", "folded")
    )
    assert exact.customer_ids.to_pylist() == ["A@x", "a@x", "b@x"]
    assert folded.customer_ids.to_pylist() == ["a@x", "b@x"]
    frame = pd.DataFrame(
        {
            "customer_id": ["\u200bＡnn", '"ann"', "ANN ", "ann\u00a0", "'Ann'"],
            "ordered_at": "2024-01-01",
            "amount": 1,
        }
    )
    orders = read_table(frame, parse_orders_config({"customer_ids": "folded"}))
    assert orders.customer_ids.to_pylist() == ["ann"]


def test_ids_that_mean_nobody_are_set_aside() -> None:
    frame = pd.DataFrame(
        {"customer_id": [0, 7, 0, 8], "ordered_at": "2024-01-01", "amount": [1, 2, 3, 4]}
    )
    orders = read_table(frame, parse_orders_config({"no_customer": [0, "Guest"]}))
    assert orders.customer_ids.to_pylist() == ["7", "8"]
    assert orders.report.lines_without_customer == 2
    written = parse_orders_config({"no_customer": ["0.0", "Guest"]})
    assert read_table(frame.astype({"customer_id": float}), written).digest() == orders.digest()
    texts = frame.assign(customer_id=["GUEST ", "7", "0", "8"])
    assert (
        read_table(texts, parse_orders_config({"no_customer": [0, "Guest"]})).digest()
        == orders.digest()
    )


def test_aliases_follow_merges(tmp_path: Path) -> None:
    aliases = tmp_path / "merged.csv"
    aliases.write_text("old,new\n1,2\n2,3\nb@x,a@x\n")
    frame = pd.DataFrame(
        {"customer_id": ["1", "2", "3", "4"], "ordered_at": "2024-01-01", "amount": 1}
    )
    orders = read_table(frame, parse_orders_config({"customer_aliases": str(aliases)}))
    assert orders.customer_ids.to_pylist() == ["3", "4"]
    folded = read(SHOP, amount_per="order", customer_ids="folded", customer_aliases=str(aliases))
    assert folded.customer_ids.to_pylist() == ["a@x"]
    for text, rule in (
        ("old,new\n1,2\n2,1\n", "circle"),
        ("old,new\n1,2\n1,3\n", "two new ids"),
        ("old,new\n1,\n", "an empty one in row 1"),
        ("from,to\n1,2\n", "columns old and new"),
    ):
        aliases.write_text(text)
        with pytest.raises(OrdersError, match=rule):
            read_table(frame, parse_orders_config({"customer_aliases": str(aliases)}))


# ---- currencies

TWO = pd.DataFrame(
    {
        "customer_id": ["a", "b", "a", "b"],
        "ordered_at": ["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-01"],
        "amount": [10, 1600, 20, 3200],
        "money": ["EUR", "jpy", "eur", "JPY"],
    }
)


def test_several_currencies_are_refused_picked_or_converted(tmp_path: Path) -> None:
    with pytest.raises(OrdersError, match=r"EUR \(2 lines\) and JPY \(2 lines\)"):
        read_table(TWO, parse_orders_config({"currency_column": "money"}))
    one = parse_orders_config({"currency_column": "money", "currency": "EUR"})
    assert revenue(read_table(TWO, one)) == 30
    with pytest.raises(OrdersError, match="got USD; found: EUR, JPY"):
        read_table(TWO, parse_orders_config({"currency_column": "money", "currency": "USD"}))
    rates = tmp_path / "rates.csv"
    rates.write_text("date,currency,rate\n2024-01-01,JPY,0.00625\n2024-01-02,JPY,0.01\n")
    settings = {"currency_column": "money", "currency": "EUR", "exchange_rates": str(rates)}
    assert revenue(read_table(TWO, parse_orders_config(settings))) == 10 + 16 + 20 + 20
    rates.write_text("date,currency,rate\n2024-01-02,JPY,0.01\n")
    with pytest.raises(
        OrdersError, match="money must have an exchange rate on the day of the line"
    ):
        read_table(TWO, parse_orders_config(settings))
    rates.write_text("date,currency,rate\n2024-01-02,JPY,-1\n")
    with pytest.raises(OrdersError, match=r"a rate above 0 in each row, got .* in row 1"):
        read_table(TWO, parse_orders_config(settings))
    with pytest.raises(ConfigError, match="exchange_rates needs currency and currency_column"):
        parse_orders_config({"exchange_rates": "rates.csv"})


# ---- one path


def test_shards_and_blocks_follow_orders_across_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blank line is in another file than the first line of its order."""
    SHOP.iloc[[1, 4, 5]].to_csv(tmp_path / "1.csv", index=False)
    SHOP.iloc[[0, 2, 3]].to_csv(tmp_path / "2.csv", index=False)
    config = parse_orders_config(
        {
            "source": str(tmp_path),
            "columns": COLUMNS,
            "except": {"Status": ["voided", "refunded"]},
            "amount_per": "order",
            "customer_ids": "folded",
            "currency_column": "Currency",
        }
    )
    whole = read_configured_orders(config)
    frame = read(SHOP, **config.model_dump(exclude={"source", "columns"}, exclude_defaults=True))
    assert whole.digest() == frame.digest()
    with read_shards(config, 200, folder=tmp_path) as shards:
        assert shards.count > 1
        parts = {id_: own for own in shards for id_ in own.customer_ids.to_pylist()}
    assert sorted(parts) == whole.customer_ids.to_pylist()
    assert sum(revenue(own) for own in parts.values()) == revenue(whole) == 45
    assert shards.report.left_out == whole.report.left_out


def test_what_names_customers_or_files_does_not_travel(tmp_path: Path) -> None:
    config = parse_orders_config(
        {
            "columns": COLUMNS,
            "only": {"Status": ["paid"]},
            "amount_per": "order",
            "customer_ids": "folded",
            "currency": "EUR",
            "currency_column": "Currency",
            "no_customer": ["0"],
            "customer_aliases": "merged.csv",
            "exchange_rates": "rates.csv",
            "complete_until": "2024-12-20",
        }
    )
    kept = config.remembered()
    assert kept.only == config.only
    assert (kept.amount_per, kept.customer_ids, kept.currency_column) == (
        "order",
        "folded",
        "Currency",
    )
    assert not kept.private_keys()
    assert kept.complete_until is None
    assert OrdersConfig.model_validate_json(kept.model_dump_json()) == kept


def test_a_source_is_complete_until_a_stated_day() -> None:
    plain = read(SHOP, amount_per="order")
    stated = read(SHOP, amount_per="order", complete_until="2024-06-01")
    assert format_iso(get_default_cutoff(plain))[:10] == "2024-03-02"
    assert format_iso(get_default_cutoff(stated))[:10] == "2024-06-01"
    with pytest.raises(ConfigError, match="must not be in the future"):
        read(SHOP, amount_per="order", complete_until="2999-01-01")
    with pytest.raises(ConfigError, match="a date such as 2024-12-20, today or yesterday"):
        parse_orders_config({"complete_until": "tomorrow"})


# ---- copies of orders in several files


def write_exports(folder: Path, **files: list[tuple[str, str, str, str, int]]) -> OrdersConfig:
    for name, lines in files.items():
        frame = pd.DataFrame(
            lines, columns=["customer_id", "order_id", "ordered_at", "status", "amount"]
        )
        frame.to_csv(folder / f"{name}.csv", index=False)
    return parse_orders_config({"source": str(folder), "duplicates": "drop"})


def test_the_later_of_two_overlapping_exports_has_the_order(tmp_path: Path) -> None:
    june = [(f"c{k}", f"o{k}", f"2024-06-0{k}", "processing", 10 * k) for k in range(1, 8)]
    december = [(*line[:3], "completed", line[4]) for line in june[2:]]
    december[1] = (*december[1][:4], 5)  # part of it was paid back
    december.append(("c9", "o9", "2024-12-01", "completed", 90))
    config = write_exports(tmp_path, june=june, december=december)
    orders = read_configured_orders(config)
    assert order_amounts(orders) == {
        **{(f"c{k}", f"o{k}"): 10.0 * k for k in (1, 2, 3, 5, 6, 7)},
        ("c4", "o4"): 5.0,
        ("c9", "o9"): 90.0,
    }
    (remark,) = [r for r in orders.report.remarks if "dates overlap" in r]
    assert remark.startswith("5 orders in several files whose dates overlap")
    assert remark.endswith("5 lines of " + str(tmp_path / "june.csv") + " dropped")
    kept = read_configured_orders(config.model_copy(update={"duplicates": "keep"}))
    assert kept.n_lines == len(june) + len(december)
    with read_shards(config, 200, folder=tmp_path) as shards:
        assert shards.count > 1
        parts = {one.customer_ids[0].as_py() for one in shards}
    assert parts
    assert shards.report == orders.report
    cancelled = [(*line[:3], "void", line[4]) for line in december]
    config = write_exports(tmp_path, december=cancelled)
    without = config.model_copy(update={"except_": {"status": ("void",)}})
    assert set(order_amounts(read_configured_orders(without))) == {("c1", "o1"), ("c2", "o2")}


def test_part_files_and_numbers_used_again_keep_their_lines(tmp_path: Path) -> None:
    lines = [(f"c{k % 3}", f"o{k // 2}", f"2024-0{1 + k // 4}-01", "x", k + 1) for k in range(20)]
    parts = read_configured_orders(write_exports(tmp_path, a=lines[::2], b=lines[1::2]))
    assert revenue(parts) == sum(line[4] for line in lines)
    for path in tmp_path.iterdir():
        path.unlink()
    spring = [("c1", "7", "2024-02-01", "x", 5), ("c2", "8", "2024-06-10", "x", 6)]
    autumn = [("c3", "9", "2024-06-05", "x", 1), ("c1", "7", "2024-11-01", "x", 5)]
    again = read_configured_orders(write_exports(tmp_path, spring=spring, autumn=autumn))
    assert revenue(again) == 17
    assert not [r for r in again.report.remarks if "dates overlap" in r]


def test_attributes_and_chosen_customers_have_the_ids_of_orders(tmp_path: Path) -> None:
    aliases = tmp_path / "merged.csv"
    aliases.write_text("old,new\nold@x,a@x\n")
    rules = {"customer_ids": "folded", "customer_aliases": str(aliases), "amount_per": "order"}
    config = parse_orders_config({"columns": COLUMNS, **rules})
    orders = read_table(SHOP, config)
    customers = clvcast.CustomersConfig(columns={"customer_id": "id", "country": "country"})
    facts = pd.DataFrame({"id": ["OLD@x", "B@X "], "country": ["GB", "FR"]})
    joined = attach_customers(orders, facts, customers, config)
    assert joined.attributes is not None
    assert joined.attributes.texts["country"].to_text().to_pylist() == ["GB", "FR"]
    named = tmp_path / "only.txt"
    named.write_text("old@X\n'B@x'\n")
    assert read_ids(named, load_id_rules(config)) == {"a@x", "b@x"}


def test_a_cohort_that_fell_silent_is_trained_at_a_stated_end() -> None:
    lines = worlds.shop(customers=150, days=500, seed=3)
    config = clvcast.Config(horizon_days=60, effort="quick")
    plain = read_table(lines, OrdersConfig())
    later = str(pd.Timestamp(lines["ordered_at"].max()).date() + pd.Timedelta(days=300))
    with pytest.raises(ConfigError, match=r"orders\.complete_until if nobody has ordered since"):
        clvcast.train(plain, config, later)
    stated = read_table(lines, parse_orders_config({"complete_until": later}))
    model = clvcast.train(stated, config)
    assert any("BTYD alone forecasts" in said for said in model.numbers.blend.remarks)
    again = lines.iloc[:40].assign(ordered_at=pd.Timestamp(later) + pd.Timedelta(days=5))
    with_later = read_table(
        pd.concat([lines, again]), parse_orders_config({"complete_until": later})
    )
    assert clvcast.train(with_later, config).version == model.version  # what came later is not seen
    silent = clvcast.score(model, stated)
    usual = clvcast.score(clvcast.train(plain, config), plain)
    assert silent["clv"].sum() < usual["clv"].sum() / 3


@pytest.mark.parametrize("factor", [4.8, 5.3, 1 / 4.8, 1 / 5.3])
def test_a_whole_file_of_another_currency_is_refused(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path, factor: float
) -> None:
    """Five times the median order of the training is another currency, or cents."""
    other = shop_lines.assign(amount=shop_lines["amount"] * factor)
    assert shop_lines["customer_id"].nunique() >= 200
    few = other[other["customer_id"].isin(other["customer_id"].unique()[:150])]
    other.to_parquet(tmp_path / "all.parquet")
    few.to_parquet(tmp_path / "few.parquet")
    output = tmp_path / "forecasts.parquet"
    if 1 / 5 < factor < 5:
        assert not any("median order" in str(w.message) for w in warned(shop_model, other))
        assert score_files(shop_model, str(tmp_path / "all.parquet"), output).customers
        return
    with pytest.raises(OrdersError, match="another currency, cents, or another column"):
        clvcast.score(shop_model, other)
    with pytest.raises(OrdersError, match="another currency, cents, or another column"):
        score_files(shop_model, str(tmp_path / "all.parquet"), output)
    assert not output.exists()
    assert any("median order value" in str(w.message) for w in warned(shop_model, few))
    remarks = score_files(shop_model, str(tmp_path / "few.parquet"), output).remarks
    assert any("median order value" in remark for remark in remarks)


def warned(model: clvcast.Model, lines: pd.DataFrame) -> list[Any]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        clvcast.score(model, lines)
    return found


# ---- found by trying


def test_or_belongs_to_what_stands_in_parentheses() -> None:
    with pytest.raises(ConfigError, match=r"in parentheses, such as a - \(r or 0\)"):
        parse_expression("Total - Refund or 0", ["Total", "Refund"])
    fits = parse_expression("(Total - Refund) or 0", ["Total", "Refund"])
    columns = {"Total": np.array([3.0, 5.0]), "Refund": np.array([np.nan, 1.0])}
    assert fits.evaluate(columns).tolist() == [0.0, 4.0]


def test_a_listed_word_for_nothing_is_a_value() -> None:
    frame = SHOP.assign(Status=["Paid", "N/A", "n/a", "Paid", "", "none"])
    orders = read(frame, **{"except": {"Status": ["N/A"]}}, amount_per="order")
    assert orders.report.left_out == {"Status n/a": 2}
    blank = read(frame, **{"except": {"Status": [""]}}, amount_per="order")
    assert sum(blank.report.left_out.values()) == 4


def test_a_small_overlap_in_which_most_orders_changed(tmp_path: Path) -> None:
    june = [(f"c{k}", f"o{k}", f"2024-06-0{k}", "paid", 10) for k in range(1, 7)]
    july = [(*june[3][:3], "paid", 10), *((*line[:3], "refunded", 4) for line in june[4:])]
    july.append(("c9", "o9", "2024-07-01", "paid", 90))
    orders = read_configured_orders(write_exports(tmp_path, june=june, july=july))
    assert revenue(orders) == 10 + 10 + 10 + 10 + 4 + 4 + 90


def test_times_with_and_without_an_offset_are_read_alike_in_every_frame() -> None:
    moment, zoned = datetime(2024, 1, 1, 22), datetime(2024, 1, 1, 22, tzinfo=UTC)
    lines = [
        {"customer_id": f"c{k}", "amount": 1.0, "ordered_at": zoned if k % 2 else moment}
        for k in range(4)
    ]
    config = parse_orders_config({"timezone": "Asia/Tokyo"})
    given_as_dicts = coerce_orders(lines, config)
    assert coerce_orders(pd.DataFrame(lines), config).digest() == given_as_dicts.digest()
    assert len(set(given_as_dicts.times.tolist())) == 2


def test_returns_are_told_by_a_word_whatever_their_sign() -> None:
    lines = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "b"],
            "ordered_at": ["2024-01-01", "2024-01-05", "2024-01-02", "2024-01-09"],
            "amount": [10.0, 4.0, 20.0, -5.0],
            "kind": ["Sale", " RETURN", "sale", "Return"],
        }
    )
    assert revenue(clvcast.read_orders(lines, returns={"kind": "return"})) == 21.0
    assert revenue(clvcast.read_orders(lines)) == 29.0
    orders = clvcast.read_orders(lines, returns={"kind": ["return", "retoure"]})
    remark = "orders.returns: no line has kind retoure; found: sale (2), return (2)"
    assert remark in orders.report.remarks


def test_returns_go_to_the_customer_of_the_order_they_name(tmp_path: Path) -> None:
    """In whatever file and shard that is; those of an unknown order stay, and are counted."""
    payments = pd.DataFrame(
        {
            "customer_id": [f"c{k % 40}" for k in range(200)],
            "ordered_at": pd.date_range("2023-01-01", periods=200, freq="40h"),
            "amount": 10.0,
            "order_id": [f"p{k}" for k in range(200)],
            "gives_back": "",
        }
    )
    refunds = payments[::5].assign(
        customer_id="shop", amount=-4.0, order_id="r", gives_back=payments["order_id"]
    )
    refunds.loc[0, "gives_back"] = "p999"
    refunds.to_csv(tmp_path / "1.csv", index=False)
    payments.to_csv(tmp_path / "2.csv", index=False)
    config = OrdersConfig(source=str(tmp_path), return_columns={"order_id": "gives_back"})
    orders = clvcast.read_orders(config)
    spent = {
        customer: int(part.sum())
        for customer, part in zip(
            orders.customer_ids.to_pylist(),
            np.split(orders.amounts, orders.starts[1:-1]),
            strict=True,
        )
    }
    assert spent.pop("shop") == -400
    assert spent["c5"] == 5 * 1000 - 5 * 400
    assert spent["c1"] == 5 * 1000
    assert orders.report.remarks == (
        "1 line (-4.00 in all) return money of orders that are in no file: they count for the "
        "customer that they name",
    )
    with read_shards(config, 20_000) as shards:
        assert shards.count > 1
        assert sum(int(one.amounts.sum()) for one in shards) == orders.amounts.sum()
    with pytest.raises(ConfigError, match=r"return_columns: order_id needs columns\.order_id"):
        clvcast.read_orders(
            payments,
            columns={c: c for c in payments.columns[:3]},
            return_columns={"order_id": "gives_back"},
        )
