"""Kinds of files whose totals came out wrong without a word: init reads or asks, or check warns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import clvcast
from clvcast.configs.schema import parse_config
from clvcast.discovery.checks.finding import Finding
from clvcast.discovery.checks.silent_faults import find_silent_faults
from clvcast.discovery.checks.source_profile import profile_sources
from clvcast.discovery.config_template import write_config_text
from clvcast.discovery.proposal import Proposal
from clvcast.discovery.propose import propose_config
from clvcast.discovery.words import rate_name
from clvcast.orders.reading.month_names import translate_months

N = 120
ORDERS = np.arange(N)
CENTS = 900 + 37 * ORDERS % 5_000


def make_orders(**columns: Any) -> pd.DataFrame:
    """One line per order: 24 customers, an order every five days."""
    times = pd.date_range("2022-01-03 09:30", periods=N, freq="5D4h")
    table: dict[str, Any] = {
        "order_id": 1_000 + ORDERS,
        "order_date": times.strftime("%Y-%m-%d %H:%M"),
        "customer_id": [f"C{k % 24}" for k in ORDERS],
        "total": CENTS / 100,
    }
    return pd.DataFrame(table | columns)


def make_lines(**columns: Any) -> pd.DataFrame:
    """Orders of one, two or three lines; `order` counts them from 0."""
    n_lines = 1 + ORDERS % 3
    lines = make_orders().drop(columns="total").loc[np.repeat(ORDERS, n_lines)]
    lines = lines.reset_index(drop=True).assign(order=np.repeat(ORDERS, n_lines))
    place = lines.groupby("order").cumcount()
    product = (lines["order"] + 5 * place) % 15
    lines = lines.assign(sku="P" + product.astype(str), qty=1 + (lines["order"] + place) % 3)
    return lines.assign(unit_price=(500 + 37 * product) / 100, **columns)


def propose(folder: Path, table: pd.DataFrame) -> Proposal:
    table.drop(columns="order", errors="ignore").to_csv(folder / "orders.csv", index=False)
    return propose_config(str(folder / "orders.csv"))


def sum_orders(proposal: Proposal) -> float:
    orders = clvcast.read_orders(parse_config(write_config_text(proposal)))
    return float(orders.amounts.sum()) / orders.unit


def list_asked(proposal: Proposal, key: str) -> str:
    return " | ".join(question.asks for question in proposal.questions if question.key == key)


def find_warnings(proposal: Proposal) -> dict[str, Finding]:
    config = parse_config(write_config_text(proposal))
    findings = find_silent_faults(profile_sources(config.orders))
    return {finding.name: finding for finding in findings if finding.verdict == "warn"}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Customer: ID", "cost"),  # custo is Portuguese for cost
        ("shipping_cost", "cost"),
        ("Total Discount Amount", "quantity"),  # discount ends in count
        ("returned_quantity", "quantity"),
    ],
)
def test_a_name_is_not_taken_for_a_piece_of_it(name: str, role: str) -> None:
    assert rate_name(name, role) <= 0
    assert rate_name("unit_cost", "cost") == 3
    assert rate_name("Versandmenge", "quantity") >= 1


def test_a_flag_says_what_was_paid_and_is_no_money(tmp_path: Path) -> None:
    is_paid = ORDERS % 10 != 3
    table = make_orders(paid=is_paid.astype(int))[
        ["order_id", "order_date", "customer_id", "paid", "total"]
    ]
    proposal = propose(tmp_path, table)
    assert sum_orders(proposal) == pytest.approx(CENTS[is_paid].sum() / 100)
    proposal.choices = [choice for choice in proposal.choices if choice.key != "except"]
    written = table.assign(paid=np.where(is_paid, "yes", "no"))
    written.to_csv(tmp_path / "orders.csv", index=False)
    assert "paid: ['no']" in find_warnings(proposal)["status"].mend


def test_tickets_of_one_price_are_no_totals_of_orders(tmp_path: Path) -> None:
    """All lines of an order are equal in both files; a total grows with their number."""
    lines = make_lines()
    price = CENTS[lines["order"]] / 100
    tickets = lines.drop(columns=["qty", "unit_price"]).assign(price=price)
    proposal = propose(tmp_path, tickets)
    assert sum_orders(proposal) == pytest.approx(price.sum())
    assert "the same on all lines" in list_asked(proposal, "amount_per")
    n_lines = lines.groupby("order")["order"].transform("size")
    totals = tickets.assign(price=(price * n_lines).round(2))
    assert sum_orders(propose(tmp_path, totals)) == pytest.approx(price.sum())


@pytest.mark.parametrize("name", ["total", "Rechnungssumme"])
def test_a_total_is_told_by_the_lines_that_add_up_to_it(tmp_path: Path, name: str) -> None:
    """Its growth with the number of lines tells nothing here."""
    lines = make_lines().drop(columns="unit_price")
    n_lines = lines.groupby("order")["order"].transform("size")
    cents = CENTS[lines["order"]]
    part = cents // n_lines + (lines.groupby("order").cumcount() == 0) * (cents % n_lines)
    table = lines.assign(qty=1, line_amount=part / 100, **{name: cents / 100})
    assert sum_orders(propose(tmp_path, table)) == pytest.approx(CENTS.sum() / 100)
    per_piece = table.assign(qty=2, line_amount=part / 200)
    assert sum_orders(propose(tmp_path, per_piece)) == pytest.approx(CENTS.sum() / 100)

    # lines that take back stand in the order, and its total stays as it was
    back = table[(lines["order"] % 10 == 3) & (lines.groupby("order").cumcount() == 0)]
    back = back.assign(qty=-1, line_amount=-back["line_amount"])
    with_back = pd.concat([table, back]).sort_values("order", kind="stable")
    assert sum_orders(propose(tmp_path, with_back)) == pytest.approx(with_back["line_amount"].sum())
    only_total = with_back.drop(columns="line_amount").rename(columns={name: "Order total"})
    assert sum_orders(propose(tmp_path, only_total)) == pytest.approx(CENTS.sum() / 100)


def test_what_adds_up_to_a_total_before_discounts_is_still_discounted(tmp_path: Path) -> None:
    lines = make_lines()
    money = lines["qty"] * lines["unit_price"]
    gross = money.groupby(lines["order"]).transform("sum").round(2)
    off = (lines["order"] % 5 == 2) * (money * 0.1).round(2)
    for name in ("order_gross", "subtotal"):
        proposal = propose(tmp_path, lines.assign(line_discount=off, **{name: gross}))
        assert sum_orders(proposal) == pytest.approx((money - off).sum())
    # of what was paid nothing is to be taken off
    paid = propose(tmp_path, lines.assign(line_discount=off, order_total=gross))
    assert sum_orders(paid) == pytest.approx(money.sum())


def test_amounts_that_add_up_follow_a_negative_quantity(tmp_path: Path) -> None:
    """Returns are orders of their own, and only the quantity says so."""
    lines = make_lines()
    money = (lines["qty"] * lines["unit_price"]).round(2)
    sign = np.where(lines["order"] % 9 == 4, -1, 1)
    table = lines.drop(columns="unit_price").assign(
        qty=lines["qty"] * sign,
        amount=money,
        basket_value=money.groupby(lines["order"]).transform("sum").round(2),
    )
    assert sum_orders(propose(tmp_path, table)) == pytest.approx((money * sign).sum())


def test_money_that_is_nearly_always_zero_adds_up_to_nothing(tmp_path: Path) -> None:
    lines = make_lines()
    money = (lines["qty"] * lines["unit_price"]).round(2)
    few = np.where(lines["order"] == 5, 2.5, 0.0)
    table = lines.drop(columns=["qty", "unit_price"]).assign(
        amount=money, gift_amount=few, adjustment_amount=np.where(few > 0, few / 3, 0.0)
    )
    assert propose(tmp_path, table).settings()["columns"]["amount"] == "amount"


def of_order(lines: pd.DataFrame, money: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(money)[lines["order"]]


def test_money_of_whole_orders_beside_lines_is_asked_about(tmp_path: Path) -> None:
    lines = make_lines()
    money = np.where(ORDERS % 3 == 1, 2.75, 0.0)
    line_total = lines["qty"] * lines["unit_price"]
    shipped = lines.assign(shipping_cost=of_order(lines, 3 + money))
    proposal = propose(tmp_path, shipped)
    assert "cost" not in proposal.settings()["columns"]
    assert "shipping_cost is filled in on" in list_asked(proposal, "columns.amount")
    only_totals = lines.drop(columns="unit_price").assign(line_total=line_total)
    for name in ("discount", "refund_amount"):
        table = only_totals.assign(**{name: of_order(lines, money)})
        asked = list_asked(propose(tmp_path, table), "columns.amount")
        assert f"{name} " in asked
        assert "one value" in asked
    is_of_line = np.arange(len(lines)) % 7 == 0
    table = only_totals.assign(refund_amount=np.where(is_of_line, line_total, 0.0))
    assert sum_orders(propose(tmp_path, table)) == pytest.approx(line_total[~is_of_line].sum())


def test_pieces_that_came_back_are_asked_about(tmp_path: Path) -> None:
    lines = make_lines(returned_quantity=(np.arange(210 + 30) % 9 == 0).astype(int)[:240])
    proposal = propose(tmp_path, lines)
    assert proposal.settings()["columns"]["quantity"] == "qty"
    (question,) = [q for q in proposal.questions if q.key == "columns.amount"]
    answer = "'qty * unit_price - abs(returned_quantity or 0) * unit_price'"
    assert question.answers[0][0] == answer


def test_refunds_without_a_customer_are_told(tmp_path: Path) -> None:
    """A shop's own refund rows name the order, and no e-mail."""
    orders = make_orders(billing_email="", status="completed", parent_id="")
    orders["billing_email"] = orders["customer_id"] + "@example.org"
    orders = orders.rename(columns={"total": "order_total"}).drop(columns="customer_id")
    back = orders.iloc[::12].assign(billing_email="", parent_id=orders["order_id"].iloc[::12])
    back = back.assign(order_id=back["order_id"] + 50_000, order_total=-back["order_total"])
    proposal = propose(tmp_path, pd.concat([orders, back]))
    warning = find_warnings(proposal)["return lines"]
    assert "10 lines with negative amounts" in warning.sentence
    assert "parent_id" in warning.sentence
    clean = propose(tmp_path, pd.concat([orders, back.iloc[:2]]))
    assert "return lines" not in find_warnings(clean)


def test_a_partial_refund_is_the_status_of_a_sale(tmp_path: Path) -> None:
    """`returns` would make a loss of it."""
    refunded = np.where(ORDERS % 10 == 0, 2.0, 0.0)
    states = np.where(refunded > 0, "Partial refund", "Paid")
    proposal = propose(tmp_path, make_orders(status=states, refunded_amount=refunded))
    assert sum_orders(proposal) == pytest.approx(CENTS.sum() / 100 - refunded.sum())
    assert not find_warnings(proposal)


def test_amazon_of_a_country_with_vat_is_told_by_check(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "amazon-order-id": [f"302-{k}" for k in ORDERS],
            "purchase-date": make_orders()["order_date"].str[:10] + "T10:00:00+00:00",
            "sku": "A",
            "item-price": CENTS / 100,
            "item-tax": np.round(CENTS / 100 * 19 / 119, 2),
            "buyer-email": [f"c{k % 24}@example.org" for k in ORDERS],
            "sales-channel": "Amazon.de",
        }
    )
    table.to_csv(tmp_path / "orders.txt", index=False, sep="\t")
    text = f"orders: {{source: '{tmp_path / 'orders.txt'}', layout: amazon%s}}\n"
    for stated, warns in (("", True), (", columns: {amount: item-price}", False)):
        findings = find_silent_faults(profile_sources(parse_config(text % stated).orders))
        found = next(finding for finding in findings if finding.name == "layout")
        assert (found.verdict == "warn") == warns
        assert not warns or found.mend == "orders.columns.amount: item-price"


FRENCH = "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc."
POLISH = "sty lut mar kwi maj cze lip sie wrz paź lis gru"
SPANISH = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"


@pytest.mark.parametrize(
    ("months", "pattern", "date_format"),
    [
        (FRENCH, "{day} {month} {year}", "%d %b %Y"),
        (POLISH, "{day}-{month}-{year}", "%d-%b-%Y"),
        (SPANISH, "{day} de {month} de {year}", "%d de %B de %Y"),
    ],
)
def test_months_are_read_in_other_languages(
    months: str, pattern: str, date_format: str, tmp_path: Path
) -> None:
    days = pd.to_datetime(make_orders()["order_date"]).dt.normalize()
    names = months.split()
    written = [pattern.format(day=d.day, month=names[d.month - 1], year=d.year) for d in days]
    proposal = propose(tmp_path, make_orders(order_date=written))
    assert proposal.settings()["format"]["date_format"] == date_format
    orders = clvcast.read_orders(parse_config(write_config_text(proposal)))
    assert sorted(orders.times.tolist()) == sorted(days.astype("int64").tolist())


def test_turkish_capitals_are_months() -> None:
    cells = pa.array(["5 MAYIS 2024", "6 ARALIK 2024", "7 NİSAN 2024"])
    assert translate_months(cells, "%d %B %Y").to_pylist() == [
        "5 May 2024",
        "6 December 2024",
        "7 April 2024",
    ]


def test_a_month_that_is_of_no_language_here_stays_as_it_is() -> None:
    """`lis` is October in Croatian, whose other months are unknown: its files are refused."""
    cells = pa.array(["5 sij 2024", "5 lis 2024"])
    assert translate_months(cells, "%d %b %Y").to_pylist() == ["5 sij 2024", "5 Nov 2024"]


def test_a_year_of_two_digits_may_stand_first(tmp_path: Path) -> None:
    """22/05/12 is of May 2022 where the first numbers are few and the last many."""
    days = pd.to_datetime(make_orders()["order_date"])
    for form in ("%y/%m/%d", "%d/%m/%y"):
        proposal = propose(tmp_path, make_orders(order_date=days.dt.strftime(form)))
        assert proposal.settings()["format"]["date_format"] == form


def test_notes_and_goods_are_no_statuses(tmp_path: Path) -> None:
    """Nothing is left out for a word; what waits for its delivery is sold."""
    names = {"note": "please cancel newsletter", "range": "Test kits"}
    words = {name: np.where(ORDERS % 5 == 0, word, "other") for name, word in names.items()}
    delivery = np.where(ORDERS % 4 == 0, "pending", "fulfilled")
    states = np.where(ORDERS % 8 == 1, "Estornado", "Pago")
    proposal = propose(
        tmp_path, make_orders(**words, fulfillment_status=delivery, **{"Estado": states})
    )
    assert sum_orders(proposal) == pytest.approx(CENTS.sum() / 100)
    assert "Estado is Estornado (15 lines)" in list_asked(proposal, "except")


def test_totals_among_the_lines_are_told(tmp_path: Path) -> None:
    """A payment below the lines of its order, and a subtotal below the lines of a month."""
    lines = make_lines()
    lines["amount"] = (lines["qty"] * lines["unit_price"]).round(2)
    paid = lines.groupby("order", as_index=False).agg(
        {**dict.fromkeys(("order_id", "order_date", "customer_id"), "first"), "amount": "sum"}
    )
    items = lines.drop(columns=["unit_price", "qty", "sku"])
    both = pd.concat([items.assign(kind="ITEM"), paid.assign(kind="TENDER")])
    assert "counted twice" in find_warnings(propose(tmp_path, both))["order totals"].sentence
    assert "order totals" not in find_warnings(propose(tmp_path, items))
    orders = make_orders().drop(columns="order_id")
    month = orders["order_date"].str[:7]
    subtotals = orders.groupby(month).agg({"total": "sum", "order_date": "last"})
    mixed = pd.concat([orders, subtotals.assign(customer_id="Subtotal")])
    assert "Subtotal" in find_warnings(propose(tmp_path, mixed))["footer"].mend


def test_whole_amounts_may_be_of_cents(tmp_path: Path) -> None:
    table = make_orders(total=CENTS, currency="eur")
    assert "If they are of hundredths" in list_asked(propose(tmp_path, table), "columns.amount")
    for other in (table.assign(currency="JPY"), table.assign(total=CENTS / 100)):
        assert "hundredths" not in list_asked(propose(tmp_path, other), "columns.amount")
    round_amounts = table.assign(total=50 * (20 + ORDERS % 70))
    assert "hundredths" not in list_asked(propose(tmp_path, round_amounts), "columns.amount")
