"""Checks of lines: returns that count as sales, joined lines, amounts of whole orders on lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from export_files import make_shop, write_etsy
from test_silent_faults import make_orders, verdict

import clvcast
from clvcast.configs.schema import parse_orders_config
from clvcast.discovery.checks import line_checks
from clvcast.discovery.checks.source_profile import profile_sources, profile_table


def add_returns(n: int, **columns: Any) -> pd.DataFrame:
    """A hundred sales and n lines that give something back."""
    lines = make_orders(100)
    return pd.concat([lines, lines[:n].assign(**columns)], ignore_index=True)


@pytest.mark.parametrize(("n", "negative", "expected"), [
    (2, 0, "pass"), (3, 0, "warn"), (8, 3, "warn"), (8, 4, "pass"),
])  # fmt: skip
def test_returns_by_word_are_three_lines_most_of_them_positive(
    n: int, negative: int, expected: str
) -> None:
    lines = add_returns(n)
    lines["kind"] = np.where(lines.index < 100, "Sale", "Return")
    lines.loc[lines.index[len(lines) - negative :], "amount"] *= -1
    assert verdict(line_checks.detect_returns, lines) == expected
    assert verdict(line_checks.detect_returns, lines, returns={"kind": ["Return"]}) == "pass"
    assert verdict(line_checks.detect_returns, lines.assign(kind="Return")) == "pass"
    lines.loc[0, "kind"] = "Cancelled"  # a filter of other values, and one that keeps returns
    for filters in ({"except": {"kind": ["Cancelled"]}}, {"only": {"kind": ["Sale", "Return"]}}):
        assert verdict(line_checks.detect_returns, lines, **filters) == expected


@pytest.mark.parametrize(("n", "expected"), [(2, "pass"), (3, "warn")])
@pytest.mark.parametrize("name", ["quantity", "Qty"])
def test_negative_quantities_beside_positive_amounts(name: str, n: int, expected: str) -> None:
    """Whether the column is mapped or not."""
    lines = add_returns(n)
    lines[name] = np.where(lines.index < 100, 2, -2)
    finding = line_checks.detect_returns(profile_table(lines, parse_orders_config({"source": "-"})))
    assert finding.verdict == expected
    if n == 3:
        assert finding.mend.startswith("orders.columns.amount: (amount) - ")
        mapping = finding.mend.partition(": ")[2].strip("'")
        table = pd.DataFrame({"amount": [3.0, 4.0, -5.0, 6.0, 7.0], name: [1, 0, -1, -2, np.nan]})
        table = table.assign(customer_id="a", ordered_at=pd.date_range("2024-01-01", periods=5))
        orders = clvcast.read_orders(
            table,
            columns={"customer_id": "customer_id", "ordered_at": "ordered_at", "amount": mapping},
        )
        assert (orders.amounts / 100).tolist() == [3.0, 4.0, -5.0, -6.0, 7.0]
    signed = lines["amount"] * np.sign(lines[name])
    assert verdict(line_checks.detect_returns, lines.assign(amount=signed)) == "pass"


@pytest.mark.parametrize(("own", "others", "expected"), [
    (4, 0, "pass"), (5, 0, "warn"), (6, 6, "warn"), (6, 7, "pass"),
])  # fmt: skip
def test_who_never_bought_and_has_half_of_the_returns(own: int, others: int, expected: str) -> None:
    lines = add_returns(own + others, amount=-5.0)
    lines["names"] = ""
    lines.loc[100:, "names"] = lines.loc[100:, "order_id"]
    lines.loc[100 : 99 + own, "customer_id"] = "shop"
    config = parse_orders_config({"source": "-"})
    finding = line_checks.detect_returns(profile_table(lines, config))
    assert finding.verdict == expected
    if expected == "warn":
        assert finding.mend == "orders.return_columns: {order_id: names}"
        told = {"columns": {c: c for c in lines.columns[:4]},
                "return_columns": {"order_id": "names"}}  # fmt: skip
        assert verdict(line_checks.detect_returns, lines, **told) == "pass"


def join_lines(orders: int, joined: int, whole: int) -> pd.DataFrame:
    """Orders of two lines; some have a second payment, for both lines or for one alone."""
    first = make_orders(orders).assign(pay="a", product_id="p")
    lines = pd.concat([first, first.assign(product_id="q", amount=first["amount"] + 1)])
    again = lines[lines["order_id"].isin([f"o{k}" for k in range(joined)])].assign(pay="b")
    part = again["order_id"].isin([f"o{k}" for k in range(whole)]) | (again["product_id"] == "p")
    return pd.concat([lines, again[part]], ignore_index=True)


@pytest.mark.parametrize(("joined", "whole", "expected"), [
    (2, 2, "pass"), (3, 3, "warn"), (10, 9, "warn"), (10, 8, "pass"),
])  # fmt: skip
def test_three_orders_with_each_line_for_each_payment(
    joined: int, whole: int, expected: str
) -> None:
    lines = join_lines(60, joined, whole).rename(columns={"pay": "parcel"})
    assert verdict(line_checks.detect_joined_lines, lines) == expected


@pytest.mark.parametrize(("column", "expected"), [("parcel", "pass"), ("payment", "warn")])
def test_orders_of_one_line_are_joined_where_the_name_says_payment(
    column: str, expected: str
) -> None:
    lines = make_orders(40).assign(**{column: "a"})
    joined = pd.concat([lines, lines[:3].assign(**{column: "b"})])
    assert verdict(line_checks.detect_joined_lines, joined) == expected


def test_a_number_of_payments_is_filtered_and_the_extra_revenue_is_told() -> None:
    lines = join_lines(60, 5, 5).assign(pay=lambda f: f["pay"].map({"a": 1, "b": 2}))
    found = line_checks.detect_joined_lines(
        profile_table(lines, parse_orders_config({"source": "-"}))
    )
    assert found.mend == "orders.only: {pay: ['1']}"
    assert f"{lines.loc[lines['pay'] == 2, 'amount'].sum():,.2f} of revenue" in found.sentence


@pytest.mark.parametrize(("orders", "differ", "expected"), [
    (9, 0, "pass"), (10, 0, "warn"), (50, 1, "warn"), (50, 2, "pass"),
])  # fmt: skip
def test_a_fee_of_the_order_on_each_line_of_ten_orders(
    orders: int, differ: int, expected: str
) -> None:
    first = make_orders(orders).assign(fee=lambda f: 1.0 + f.index % 3)
    second = first.assign(amount=first["amount"] + 1)
    second.loc[: differ - 1, "fee"] += 5.0
    columns = {c: c for c in ("customer_id", "ordered_at", "order_id")}
    lines = pd.concat([first, second])
    for amount, found in (("amount + fee", expected), ("amount", "pass")):
        told = {"columns": {**columns, "amount": amount}}
        assert verdict(line_checks.detect_order_amounts, lines, **told) == found


def test_a_frame_with_a_mixed_column_is_checked_and_a_layout_is_fitted(tmp_path: Path) -> None:
    """The column is not mapped: it may hold anything. A layout has several exports."""
    lines = make_orders(40).assign(kind=lambda f: np.where(f.index < 35, "Sale", "Return"))
    mixed: list[Any] = [1, "a", None, {"b": 2}]
    for orders in (lines.assign(mixed=mixed * 10), lines.to_dict("records")):
        found = clvcast.check(orders, clvcast.Config(horizon_days=30))
        assert [f.verdict for f in found if f.name == "return lines"] == ["warn"]
    shop = make_shop(customers=30)
    (tmp_path / "orders.csv").write_text(write_etsy(shop).replace("Buyer User ID", "x"))
    told = parse_orders_config({"source": str(tmp_path / "orders.csv"), "layout": "etsy"})
    assert profile_sources(told).n_lines == sum(order.status != "cancelled" for order in shop)
