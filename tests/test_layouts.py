"""Layouts: a platform's export is found by its header and read to the cent."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from export_files import (
    EXPORTS,
    ExportFile,
    Order,
    make_shop,
    sum_kept,
    sum_net,
    write_amazon,
    write_bigcommerce,
    write_olist,
    write_paypal,
    write_shopify,
    write_woocommerce_items,
    write_woocommerce_orders,
)

import clvcast
from clvcast.configs.layouts import (
    Layout,
    apply_layout,
    find_export,
    fit_layout,
    load_layouts,
)
from clvcast.configs.schema import OrdersConfig, parse_config
from clvcast.discovery.config_template import init, write_config_text
from clvcast.discovery.propose import propose_config
from clvcast.errors import ConfigError, OrdersError
from clvcast.orders.orders import Orders

PLATFORMS = [
    "shopify",
    "woocommerce",
    "amazon",
    "stripe",
    "paypal",
    "square",
    "etsy",
    "bigcommerce",
    "magento",
    "olist",
    "online_retail",
    "ga4",
]
# what a name alone does not fix: the account's date format, the shop's zone
STATED: dict[str, dict[str, Any]] = {
    "shopify": {"timezone": "America/New_York"},
    "bigcommerce": {"format": {"date_format": "%d/%m/%Y"}},
    "online_retail": {"format": {"date_format": "%m/%d/%Y %H:%M"}},
}


@pytest.fixture(scope="module")
def shop() -> list[Order]:
    return make_shop()


def total(orders: Orders) -> float:
    return round(float(np.sum(orders.amounts)) / 100, 2)


def test_the_twelve_platforms_have_a_layout_and_a_page(root: Path) -> None:
    assert sorted(load_layouts()) == sorted(PLATFORMS)
    for name in PLATFORMS:
        page = (root / "docs" / "platforms" / f"{name}.md").read_text(encoding="utf-8")
        assert "clvcast init" in page, name
        assert len(page.splitlines()) < 60, name


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_layout_alone_is_a_valid_configuration(name: str) -> None:
    config = OrdersConfig(source="orders.csv", layout=name)
    assert set(config.columns) >= {"customer_id", "ordered_at", "amount", "order_id"}
    for export in load_layouts()[name].exports:
        assert export.says
        settings = export.settings([group[0] for group in export.needs])
        assert "amount" in settings["columns"]


@pytest.mark.parametrize("export", EXPORTS, ids=lambda e: e.name)
def test_init_reads_an_export_to_the_cent(
    export: ExportFile, shop: list[Order], tmp_path: Path
) -> None:
    path = export.save(tmp_path, shop)
    proposal = propose_config(str(path))
    assert (proposal.layout, proposal.can_check) == (export.layout, True)
    orders = clvcast.read_orders(parse_config(write_config_text(proposal)))
    assert total(orders) == pytest.approx(export.total(shop), abs=0.001)
    assert orders.n_customers == len({order.customer for order in shop})


@pytest.mark.parametrize("export", EXPORTS, ids=lambda e: e.name)
def test_the_name_of_a_layout_reads_an_export_to_the_cent(
    export: ExportFile, shop: list[Order], tmp_path: Path
) -> None:
    path = export.save(tmp_path, shop)
    orders = clvcast.read_orders(path, layout=export.layout, **STATED.get(export.layout, {}))
    assert total(orders) == pytest.approx(export.total(shop), abs=0.001)


def test_refunds_of_paypal_go_to_the_buyer(shop: list[Order], tmp_path: Path) -> None:
    """By the payment they name, in whatever order of lines; else by whom they are sent to."""
    lines = pd.read_csv(StringIO(write_paypal(shop).lstrip("\ufeff")), dtype=str).fillna("")
    plain = clvcast.read_orders(lines, layout="paypal")
    buyer = dict(zip(lines["Transaction ID"], lines["From Email Address"], strict=True))
    sent = lines.assign(
        **{"To Email Address": lines["Reference Txn ID"].map(buyer).fillna("shop@example.org")}
    )
    for changed in (lines[::-1], sent.drop(columns="Reference Txn ID")):
        orders = clvcast.read_orders(changed, layout="paypal")
        assert orders.customer_ids.to_pylist() == plain.customer_ids.to_pylist()
        assert np.diff(orders.starts).tolist() == np.diff(plain.starts).tolist()
        assert sum_by_customer(orders) == sum_by_customer(plain)
    assert "shop@example.org" not in plain.customer_ids.to_pylist()


def test_init_prints_a_column_of_returns_as_one_name(
    shop: list[Order], tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "paypal.csv"
    path.write_text(write_paypal(shop), encoding="utf-8")
    _, said, _ = run("init", path, "--output", tmp_path / "shop.yaml")
    assert "return_columns: order_id: Reference Txn ID" in said


def sum_by_customer(orders: Orders) -> list[int]:
    return [int(part.sum()) for part in np.split(orders.amounts, orders.starts[1:-1])]


def test_a_header_is_compared_without_case_and_spaces(shop: list[Order], tmp_path: Path) -> None:
    header, _, body = write_bigcommerce(shop).partition("\n")
    path = tmp_path / "o.csv"
    path.write_text(header.upper().replace(",", " ,") + "\n" + body)
    config = parse_config(init(path)).orders
    assert config.layout == "bigcommerce"
    assert config.columns["customer_id"] == "CUSTOMER EMAIL"


def test_amazon_adds_tax_where_prices_are_without_it(shop: list[Order], tmp_path: Path) -> None:
    path = tmp_path / "o.txt"
    path.write_text(write_amazon(shop).replace("\t\tx", "\t1.00\tx"))  # the item-tax of each line
    n_lines = sum(len(order.lines) for order in shop if order.status != "cancelled")
    without = total(clvcast.read_orders(parse_config(init(path))))
    assert without == pytest.approx(sum_kept(shop) + n_lines)
    path.write_text(path.read_text().replace("Amazon.com", "Amazon.de"))
    assert total(clvcast.read_orders(parse_config(init(path)))) == pytest.approx(sum_kept(shop))


def test_what_is_stated_stays(shop: list[Order], tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(write_woocommerce_orders(shop))
    orders = clvcast.read_orders(
        path, columns={"amount": "order_total"}, layout="woocommerce", **{"except": {}}
    )
    assert total(orders) == pytest.approx(sum(order.total for order in shop) / 100)
    filled = apply_layout({"layout": "shopify", "columns": {"customer_id": "Phone"}})
    assert (filled["columns"]["customer_id"], filled["columns"]["order_id"]) == ("Phone", "Name")


def test_a_source_has_a_layout_of_its_own(shop: list[Order], tmp_path: Path) -> None:
    half = len(shop) // 2
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(write_shopify(shop[:half]))
    second.write_text(write_woocommerce_orders(shop[half:]))
    sources = [
        {"source": str(first), "layout": "shopify"},
        {"source": str(second), "layout": "woocommerce"},
    ]
    config = OrdersConfig(sources=sources, timezone="America/New_York", no_customer=["0"])
    assert total(clvcast.read_orders(config)) == pytest.approx(sum_net(shop))


def test_a_layout_that_does_not_fit_is_told_in_one_sentence(
    shop: list[Order], tmp_path: Path
) -> None:
    path = tmp_path / "o.csv"
    path.write_text(write_bigcommerce(shop))
    with pytest.raises(OrdersError) as caught:
        clvcast.read_orders(path, layout="shopify")
    assert str(caught.value) == (
        "o.csv does not fit layout: shopify, which needs the columns 'Name', 'Financial Status', "
        "'Total', 'Created at'; it looks like layout: bigcommerce"
    )
    with pytest.raises(ConfigError, match="unknown layout 'shopfy'; did you mean shopify"):
        clvcast.read_orders(path, layout="shopfy")


def test_a_table_with_our_names_needs_no_layout() -> None:
    columns = {"customer_id": "c", "ordered_at": "t", "amount": "a"}
    assert fit_layout("shopify", {"columns": columns}, ["c", "t", "a"], "f")["columns"] == columns


def test_one_file_more_is_one_layout_more(tmp_path: Path) -> None:
    (tmp_path / "till.yaml").write_text(
        "title: Till\n"
        "exports:\n"
        "  - name: receipts\n"
        "    says: the sum of a receipt\n"
        "    needs: [Receipt, Card, Sum]\n"
        "    columns: {customer_id: Card, ordered_at: [[Day, Hour]], amount: Sum,\n"
        "              order_id: Receipt}\n"
    )
    layouts = load_layouts(tmp_path)
    found = find_export(["receipt ", "CARD", "Sum", "Day", "Hour"], layouts)
    assert found is not None
    assert found[0] == "till"
    columns = found[1].settings(["receipt ", "CARD", "Sum", "Day", "Hour"])["columns"]
    assert columns["ordered_at"] == ["Day", "Hour"]
    assert columns["customer_id"] == "CARD"
    assert isinstance(layouts["till"], Layout)
    (tmp_path / "wrong.yaml").write_text("title: Wrong\nexportz: []\n")
    with pytest.raises(ConfigError, match="unknown key exportz"):
        load_layouts.__wrapped__(tmp_path)


def test_a_bundle_keeps_the_rules_and_not_the_guess() -> None:
    """A filter that the user unset is not filled in again when a bundle is read."""
    kept = OrdersConfig(source="o.csv", layout="shopify").remembered()
    assert kept.layout == "shopify"
    for by_alias in (True, False):
        again = OrdersConfig.model_validate(kept.model_dump(mode="json", by_alias=by_alias))
        assert again.line_rules() == kept.line_rules()
    unset = OrdersConfig(source="o.csv", layout="shopify", except_={}).remembered()
    again = OrdersConfig.model_validate(unset.model_dump(mode="json", by_alias=True))
    assert again.except_ == {}


def test_refunds_written_as_negative_numbers_are_deducted(tmp_path: Path) -> None:
    """Whatever sign a platform writes usually, with init and by the name of the layout alone."""
    count = 120
    total = np.arange(1, count + 1) * 1.5
    lines = pd.DataFrame(
        {
            "order_id": np.arange(count) + 1,
            "order_date": pd.date_range("2023-01-01", periods=count, freq="36h").astype(str),
            "status": "completed",
            "billing_email": [f"b{k % 40}@example.org" for k in range(count)],
            "order_currency": "EUR",
            "order_total": total,
            "refunded_total": np.where(np.arange(count) % 10 == 0, total, 0.0),
        }
    )
    for sign in (1, -1):
        lines.assign(refunded_total=sign * lines["refunded_total"]).to_csv(
            tmp_path / "orders.csv", index=False
        )
        config = parse_config(init(tmp_path / "orders.csv"))
        orders = clvcast.read_orders(config)
        net = float((lines["order_total"] - lines["refunded_total"]).sum())
        assert orders.amounts.sum() / orders.unit == pytest.approx(net)
        alone = clvcast.read_orders(tmp_path / "orders.csv", layout="woocommerce")
        assert alone.amounts.sum() / alone.unit == pytest.approx(net)


def test_items_of_olist_joined_with_several_payments_count_once(
    shop: list[Order], tmp_path: Path
) -> None:
    items = pd.read_csv(StringIO(write_olist(shop)), dtype=str).assign(payment_sequential="1")
    split = items["order_id"].isin(items["order_id"].unique()[::4])
    joined = pd.concat([items, items[split].assign(payment_sequential="2")])
    joined.to_csv(tmp_path / "olist.csv", index=False)
    for orders in (
        clvcast.read_orders(parse_config(init(tmp_path / "olist.csv"))),
        clvcast.read_orders(tmp_path / "olist.csv", layout="olist"),
    ):
        assert total(orders) == pytest.approx(sum_kept(shop))


def test_overlapping_exports_of_order_totals_count_an_order_once(
    shop: list[Order], tmp_path: Path
) -> None:
    """As the later export has it; the earlier one knew nothing of some refunds yet."""
    by_time = sorted(shop, key=lambda order: order.at)
    third = len(shop) // 3
    earlier = [replace(o, status="paid", refund=0) if o.refund else o for o in by_time[: 2 * third]]
    (tmp_path / "a.csv").write_text(write_woocommerce_items(earlier))
    (tmp_path / "b.csv").write_text(write_woocommerce_items(by_time[third:]))
    right = sum_net(earlier[:third]) + sum_net(by_time[third:])
    orders = clvcast.read_orders(tmp_path, layout="woocommerce", duplicates="drop")
    assert total(orders) == pytest.approx(right)


def make_table(**columns: Any) -> pd.DataFrame:
    """60 orders of 15 customers, 9.50 and 10.50 by turns."""
    count = 60
    table = {
        "order_id": np.arange(count) + 1,
        "order_date": pd.date_range("2023-01-01", periods=count, freq="5D").astype(str),
        "status": "completed",
        "order_total": 9.5 + np.arange(count) % 2,
        "customer_id": [f"c{k % 15}" for k in range(count)],
    }
    return pd.DataFrame(table | columns)


def save_table(folder: Path, table: pd.DataFrame, name: str = "orders.csv") -> Path:
    table.to_csv(folder / name, index=False)
    return folder / name


def test_a_usual_table_of_orders_is_of_no_platform(tmp_path: Path) -> None:
    """Else its own refunds and statuses would not be looked at."""
    is_void = np.arange(60) % 10 == 3
    table = make_table(
        refund_amount=np.where(np.arange(60) % 10 == 0, 9.5, 0.0),
        status=np.where(is_void, "voided", "paid"),
    )
    proposal = propose_config(str(save_table(tmp_path, table)))
    assert proposal.layout is None
    assert total(clvcast.read_orders(parse_config(write_config_text(proposal)))) == 480
    named = clvcast.read_orders(tmp_path / "orders.csv", layout="woocommerce")
    assert total(named) == 600


def test_a_refund_column_that_the_layout_does_not_know_is_asked_about(tmp_path: Path) -> None:
    refund = np.where(np.arange(60) % 10 == 0, 9.5, 0.0)
    table = make_table(billing_email="", refund_amount=refund)
    proposal = propose_config(str(save_table(tmp_path, table)))
    assert proposal.layout == "woocommerce"
    (question,) = [q for q in proposal.questions if q.key == "columns.amount"]
    assert "refund_amount is filled in on 6 lines" in question.asks
    assert question.answers[0][0] == "'order_total - abs(refund_amount or 0)'"


def test_files_of_one_source_are_read_by_the_same_rules(tmp_path: Path) -> None:
    save_table(tmp_path, make_table(), "a.csv")
    save_table(tmp_path, make_table(refunded_total=10.0), "b.csv")
    with pytest.raises(OrdersError, match=r"'order_total' in a\.csv .*refunded_total.* in b\.csv"):
        clvcast.read_orders(tmp_path, layout="woocommerce")
    save_table(tmp_path, make_table(item_sku="P1").assign(order_id=range(100, 160)), "b.csv")
    assert total(clvcast.read_orders(tmp_path, layout="woocommerce")) == 1200


def test_payments_of_the_shop_itself_are_no_returns(shop: list[Order], tmp_path: Path) -> None:
    """Their type is also one of payments to the shop: a mixed one is asked about."""
    lines = pd.read_csv(StringIO(write_paypal(shop)), dtype=str)
    paid = lines.head(9).assign(
        **{
            "Type": "PreApproved Payment Bill User Payment",
            "Gross": "-60.00",
            "Status": "Completed",
            "From Email Address": "shop@example.org",
            "To Email Address": "carrier@example.org",
            "Transaction ID": [f"E{k}" for k in range(9)],
            "Reference Txn ID": "B-1",
        }
    )
    path = save_table(tmp_path, pd.concat([lines, paid]), "paypal.csv")
    proposal = propose_config(str(path))
    assert paid["Type"][0] in proposal.settings()["except"]["Type"]
    (choice,) = [c for c in proposal.choices if c.key == "except"]
    assert "Type PreApproved Payment Bill User Payment (9)" in choice.why
    assert total(clvcast.read_orders(parse_config(write_config_text(proposal)))) == sum_net(shop)
    mixed = paid.assign(Type="Express Checkout Payment")
    proposal = propose_config(str(save_table(tmp_path, pd.concat([lines, mixed]), "paypal.csv")))
    assert any("Express Checkout Payment on 9 lines" in q.asks for q in proposal.questions)


def test_an_order_id_that_is_not_set_is_none(tmp_path: Path) -> None:
    count = 60
    table = pd.DataFrame(
        {
            "event_timestamp": 1_641_208_620_000_000 + 86_400_000_000 * np.arange(count),
            "event_name": "purchase",
            "user_pseudo_id": [f"u{k % 15}" for k in range(count)],
            "purchase_revenue": 29,
            "transaction_id": ["(not set)" if k % 4 == 0 else f"T{k}" for k in range(count)],
        }
    )
    orders = clvcast.read_orders(save_table(tmp_path, table), layout="ga4")
    assert total(orders) == 29 * count


@pytest.mark.parametrize(
    ("platform", "value"),
    [
        ("amazon", "Shipped - Returned to Seller"),
        ("amazon", "Shipped - Rejected by Buyer"),
        ("bigcommerce", "Disputed"),
    ],
)
def test_lines_that_were_given_back_are_left_out(platform: str, value: str) -> None:
    exports = load_layouts()[platform].exports
    assert any(value in listed for listed in exports[0].except_.values())


def test_bigcommerce_calls_a_refund_total_refunded() -> None:
    names = ["Order ID", "Order Date", "Order Status", "Order Total (inc tax)", "Total Refunded"]
    found = find_export([*names, "Customer Email"])
    assert found is not None
    amount = found[1].settings([*names, "Customer Email"])["columns"]["amount"]
    assert amount == "`Order Total (inc tax)` - abs(`Total Refunded` or 0)"
