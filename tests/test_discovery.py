"""init reads values: what columns are and how cells are written, in files of no platform."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import yaml
from export_files import PRODUCTS, Order, dump_rows, make_shop, money, sum_kept

import clvcast
from clvcast.configs.schema import parse_config
from clvcast.discovery.cell_formats import (
    guess_date_format,
    guess_decimal,
    guess_timezone,
)
from clvcast.discovery.config_template import init, write_config_text
from clvcast.discovery.horizon import choose_horizon
from clvcast.discovery.line_amounts import rate_recurrence
from clvcast.discovery.proposal import Proposal
from clvcast.discovery.propose import propose_config
from clvcast.discovery.sampling import read_sample
from clvcast.errors import OrdersError
from clvcast.orders.dates import DAY

Row = dict[str, object]


@pytest.fixture(scope="module")
def shop() -> list[Order]:
    return make_shop(1)


def save(folder: Path, rows: list[Row], *, encoding: str = "utf-8", **options: Any) -> Path:
    path = folder / "orders.csv"
    path.write_bytes(dump_rows(rows, **options).encode(encoding))
    return path


def write_lines(shop: list[Order], price: str, *, is_unit: bool) -> list[Row]:
    return [
        {
            "order": order.number,
            "date": order.at,
            "user": f"u{order.customer}",
            "sku": sku,
            "qty": quantity,
            price: money(PRODUCTS[sku] * (1 if is_unit else quantity)),
        }
        for order in shop
        for sku, quantity in order.lines
    ]


def get_columns(proposal: Proposal) -> dict[str, Any]:
    columns: dict[str, Any] = proposal.settings()["columns"]
    return columns


def get_question(proposal: Proposal, key: str) -> str:
    return next(question.asks for question in proposal.questions if question.key == key)


def get_total(proposal: Proposal) -> float:
    orders = clvcast.read_orders(parse_config(write_config_text(proposal)))
    return float(np.sum(orders.amounts)) / 100


@pytest.mark.parametrize("name", ["price", "total"])
def test_the_values_tell_a_unit_price_from_a_line_total(
    name: str, shop: list[Order], tmp_path: Path
) -> None:
    """Whatever the column is called."""
    unit = propose_config(str(save(tmp_path, write_lines(shop, name, is_unit=True))))
    assert get_columns(unit)["amount"] == f"qty * {name}"
    assert get_total(unit) == pytest.approx(sum(order.total for order in shop) / 100)
    line = propose_config(str(save(tmp_path, write_lines(shop, name, is_unit=False))))
    assert get_columns(line)["amount"] == name
    assert get_total(line) == pytest.approx(sum(order.total for order in shop) / 100)


@pytest.mark.parametrize(
    ("name", "is_unit", "has_products", "expression"),
    [
        ("UnitCost", True, False, "qty * UnitCost"),  # the name says so
        ("cost", True, True, "qty * cost"),  # it recurs per product
        ("cost", False, True, "cost"),
        ("cost", True, False, None),  # nothing tells
        ("cost", False, False, None),
    ],
)
def test_the_cost_of_a_unit_is_taken_times_the_quantity(
    name: str, is_unit: bool, has_products: bool, expression: str | None, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    product, quantity = random.integers(0, 20, 400), random.integers(1, 9, 400)
    cost = (1.0 + product) * (1 if is_unit else quantity)
    rows = pd.DataFrame(
        {
            "order_id": np.arange(400) + 1,
            "customer_id": [f"c{k}" for k in random.integers(0, 120, 400)],
            "order_date": pd.date_range("2023-01-01", periods=400, freq="36h").astype(str),
            "qty": quantity,
            "line_total": 3.0 * (1.0 + product) * quantity,
            name: cost,
        }
    )
    if has_products:
        rows["sku"] = [f"p{k}" for k in product]
    rows.to_csv(tmp_path / "orders.csv", index=False)
    proposal = propose_config(str(tmp_path / "orders.csv"))
    assert get_columns(proposal).get("cost") == expression
    if expression is None:
        assert "of one unit or of the line" in get_question(proposal, "columns.cost")
        assert "margin_rate: measured" not in write_config_text(proposal).replace("# ", "")


def test_without_products_it_asks(shop: list[Order], tmp_path: Path) -> None:
    rows = [
        {name: value for name, value in row.items() if name != "sku"}
        for row in write_lines(shop, "price", is_unit=True)
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    assert not proposal.can_check
    assert "do not tell whether price is of one unit" in get_question(proposal, "columns.amount")
    answered = write_config_text(proposal).replace(
        "# amount: 'qty * price'", "amount: 'qty * price'"
    )
    orders = clvcast.read_orders(parse_config(answered))
    assert float(np.sum(orders.amounts)) / 100 == pytest.approx(
        sum(order.total for order in shop) / 100
    )


def test_recurrence_needs_lines_of_several_quantities() -> None:
    rng = np.random.default_rng(0)
    product = np.repeat(np.arange(5), 12)
    quantity = np.tile(np.array([1, 2, 3], np.float64), 20)
    unit = np.asarray(product * 3 + 3, np.float64)
    third = pytest.approx(1 / 3, abs=0.1)
    assert list(rate_recurrence(unit, quantity, product) or ()) == [1.0, third]
    assert list(rate_recurrence(unit * quantity, quantity, product) or ()) == [third, 1.0]
    assert rate_recurrence(unit[:29], quantity[:29], product[:29]) is None
    assert rate_recurrence(unit, np.ones(60), product) is None
    assert max(rate_recurrence(rng.random(60) * 100, quantity, product) or (1,)) < 0.35


def test_an_order_total_on_every_line_counts_once(shop: list[Order], tmp_path: Path) -> None:
    rows: list[Row] = [
        {
            "Order No": order.number,
            "Ordered": order.at,
            "Customer No": order.customer + 100,
            "Item": sku,
            "Order total": money(order.total),
            "State": "void" if order.status == "cancelled" else "done",
        }
        for order in shop
        for sku, _ in order.lines
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    settings = proposal.settings()
    assert settings["amount_per"] == "order"
    assert settings["except"] == {"State": ["void"]}
    assert get_total(proposal) == pytest.approx(sum_kept(shop))
    blank: list[Row] = []
    for k, row in enumerate(rows):
        is_first = k == 0 or rows[k - 1]["Order No"] != row["Order No"]
        blank.append(row if is_first else row | {"Order total": "", "State": ""})
    proposal = propose_config(str(save(tmp_path, blank)))
    assert proposal.settings()["amount_per"] == "order"
    assert get_total(proposal) == pytest.approx(sum_kept(shop))


# header (order, date, customer, amount, status), date format, decimal mark, cancelled, encoding
LANGUAGES = {
    "german": (
        "Bestellnummer;Bestelldatum;Kundennummer;Betrag;Status",
        "%d.%m.%Y %H:%M", ",", "storniert", "utf-8",
    ),
    "french": (
        "N° commande;Date de commande;Client;Montant TTC;Statut",
        "%d/%m/%Y %H:%M", ",", "Annulée", "cp1252",
    ),
    "spanish": (
        "Pedido;Fecha;Cliente;Importe;Estado",
        "%d/%m/%Y", ",", "cancelado", "utf-8",
    ),
    "italian": (
        "Numero ordine;Data ordine;Cliente;Importo totale;Stato",
        "%d/%m/%Y", ",", "annullato", "utf-8",
    ),
    "portuguese": (
        "Pedido;Data do pedido;Cliente;Valor total;Situação",
        "%d/%m/%Y", ",", "cancelado", "cp1252",
    ),
    "dutch": (
        "Bestelnummer;Besteldatum;Klantnummer;Bedrag;Bestelstatus",
        "%d-%m-%Y", ",", "geannuleerd", "utf-8",
    ),
    "danish": (
        "Fakturanr;Fakturadato;Kundenr;Beløb;Status",
        "%d.%m.%Y %H:%M", ",", "annulleret", "cp1252",
    ),
    "norwegian": (
        "Ordrenummer;Ordredato;Kundenummer;Beløp;Status",
        "%d.%m.%Y", ",", "annullert", "utf-8",
    ),
    "swedish": (
        "Ordernr;Orderdatum;Kundnr;Belopp;Status",
        "%Y-%m-%d %H:%M", ",", "annullerad", "utf-8",
    ),
    "polish": (
        "Numer zamówienia;Data zamówienia;Klient;Kwota całkowita;Stan",
        "%Y-%m-%d", ",", "anulowane", "cp1250",
    ),
    "turkish": (
        "Sipariş No;Sipariş Tarihi;Müşteri No;Tutar;Durum",
        "%d.%m.%Y %H:%M", ",", "İptal edildi", "cp1254",
    ),
    "chinese": (
        "订单编号;订单创建时间;买家昵称;实付金额;订单状态",
        "%Y-%m-%d %H:%M:%S", ".", "交易关闭", "gb18030",
    ),
    "japanese": (
        "注文番号;注文日時;会員番号;合計金額;ステータス",
        "%Y/%m/%d %H:%M", ".", "キャンセル", "cp932",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_columns_are_found_in_many_languages(
    language: str, shop: list[Order], tmp_path: Path
) -> None:
    header, date_format, decimal, cancelled, encoding = LANGUAGES[language]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(header.split(";"))
    for order in shop:
        amount = money(order.total).replace(".", decimal)
        status = cancelled if order.status == "cancelled" else "ok"
        at = order.at.strftime(date_format)
        writer.writerow([order.number, at, f"K{order.customer:04d}", amount, status])
    path = tmp_path / "export.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    proposal = propose_config(str(path))
    order_id, ordered_at, customer_id, amount, status = header.split(";")
    assert get_columns(proposal) == {
        "order_id": order_id,
        "ordered_at": ordered_at,
        "customer_id": customer_id,
        "amount": amount,
    }
    assert proposal.settings()["format"].get("encoding", "utf-8") == encoding
    assert proposal.settings()["except"] == {status: [cancelled]}
    assert get_total(proposal) == pytest.approx(sum_kept(shop))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-01-31", "2024-02-01"], None),
        (["2024-01-31 10:00:00", "2024-02-01 11:00:00"], None),
        (["31/01/2024", "01/02/2024"], "%d/%m/%Y"),
        (["01/31/2024", "02/01/2024"], "%m/%d/%Y"),
        (["1/31/24 9:05", "2/1/24 10:15"], "%m/%d/%y %H:%M"),
        (["03.11.2023 20:59", "02.12.2023 02:24"], "%d.%m.%Y %H:%M"),
        (["2024/01/31", "2024/02/01"], "%Y/%m/%d"),
        (["01/31/2024, 9:05:01 PM", "02/01/2024, 10:15:00 AM"], "%m/%d/%Y, %I:%M:%S %p"),
        (["20240131", "20240201"], "%Y%m%d"),
        (["Nov 3, 2023, 8:59:15 PM", "Dec 2, 2023, 2:24:28 AM"], "%b %d, %Y, %I:%M:%S %p"),
        (["3 Nov 2023", "12 Dec 2023"], "%d %b %Y"),
        (["3. January 2023", "12. December 2023"], "%d. %B %Y"),
        (["Tue, 3 Jan 2023 09:30", "Wed, 4 Jan 2023 10:00"], "%a, %d %b %Y %H:%M"),
        (["1699045155", "1701483868"], "unix"),
        (["1699045155000", "1701483868000"], "unix_ms"),
        (["1699045155000000", "1701483868000000"], "unix_us"),
    ],
)
def test_dates_are_read_from_their_cells(cells: list[str], expected: str | None) -> None:
    found = guess_date_format(cells)
    assert found is not None
    assert found.date_format == expected
    assert found.other is None


def test_days_that_may_be_months_are_asked_for() -> None:
    assert guess_date_format(["13/12/2024", "12/12/2024"]).other is None  # type: ignore[union-attr]
    both = guess_date_format(["12/11/2024", "10/12/2024"])
    assert both is not None
    assert {both.date_format, both.other} == {"%d/%m/%Y", "%m/%d/%Y"}
    for cells in (["abc", "def"], ["12.50", "13.99"], ["32/13/2024", "40/40/2024"], []):
        assert guess_date_format(cells) is None


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["12.50", "3"], (None, True)),
        (["12,50", "3,00"], (",", True)),
        (["1.234,56", "3,00"], (",", True)),
        (["1,234.56", "3.00"], (".", True)),
        (["$5", "$6"], (".", True)),
        (["117,27 €", "2.117,27 €"], (",", True)),
        (["1,234", "5,678"], (".", False)),
        (["1,234", "678"], (".", True)),
        (["1,234,567", "5,678"], (".", True)),
        (["1.234", "678", "12,5"], (",", True)),
    ],
)
def test_decimal_marks(cells: list[str], expected: tuple[str | None, bool]) -> None:
    decimal, _, is_sure = guess_decimal([cells])
    assert (decimal, is_sure) == expected


def test_the_zone_is_one_that_has_the_offsets_of_the_times() -> None:
    days = [datetime(2024, 1, 15, 12) + timedelta(days=30 * k) for k in range(12)]

    def write(zone: str) -> list[str]:
        return [day.replace(tzinfo=ZoneInfo(zone)).isoformat() for day in days]

    assert guess_timezone(write("America/New_York"), None)[::2] == ("America/New_York", True)
    assert guess_timezone(write("Europe/Paris"), None)[::2] == ("Europe/Berlin", True)
    assert guess_timezone(write("UTC"), None)[::2] == ("UTC", False)
    assert guess_timezone([f"{day} -0500" for day in days], None)[::2] == ("Etc/GMT+5", False)
    assert guess_timezone(write("Asia/Kolkata"), None)[::2] == ("Asia/Kolkata", True)
    mixed = [write("America/New_York")[0], write("Asia/Tokyo")[1]]
    zone, why, is_zone = guess_timezone(mixed, None)
    assert (zone, is_zone) == ("UTC", False)
    assert "several zones" in why


def test_guests_are_nobody_and_an_email_is_better(shop: list[Order], tmp_path: Path) -> None:
    def write(order: Order) -> Row:
        guest = order.customer % 3 == 0
        return {
            "order_no": order.number,
            "created_at": order.at,
            "customer_id": "guest" if guest else order.customer,
            "revenue": money(order.total),
        }

    proposal = propose_config(str(save(tmp_path, [write(order) for order in shop])))
    assert get_columns(proposal)["customer_id"] == "customer_id"
    assert proposal.settings()["no_customer"] == ["guest"]
    with_email = [write(order) | {"email": f"b{order.customer}@example.org"} for order in shop]
    proposal = propose_config(str(save(tmp_path, with_email)))
    assert get_columns(proposal)["customer_id"] == "email"
    assert "no_customer" not in proposal.settings()


def test_an_id_of_the_order_is_no_customer(shop: list[Order], tmp_path: Path) -> None:
    rows: list[Row] = [
        {
            "order_id": f"o{order.number}",
            "customer_id": f"c{order.number}",  # another one for each order
            "customer_key": f"k{order.customer}",
            "purchased": order.at,
            "value": money(order.total),
        }
        for order in shop
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    assert get_columns(proposal)["customer_id"] == "customer_key"


@pytest.mark.parametrize("name", ["order_id", "ticket"])
def test_customers_are_counted_beside_orders_or_lines(
    name: str, shop: list[Order], tmp_path: Path
) -> None:
    """No order id is known as one by the name ticket: lines cannot be called orders."""
    rows: list[Row] = [
        {
            "customer_id": f"c{order.customer}",
            "at": order.at,
            "amount": line,
            name: f"o{order.number}",
        }
        for order in shop
        for line in ("2.00", "3.00")
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    (why,) = [c.why for c in proposal.choices if c.key == "columns.customer_id"]
    customers = len({order.customer for order in shop})
    has_id = "order_id" in get_columns(proposal)
    unit = f"{len(shop):,} orders" if has_id else f"{len(rows):,} lines"
    assert (has_id, why) == (name == "order_id", f"{customers:,} values in {unit}")


def test_receipt_numbers_that_restart_are_no_order_ids(shop: list[Order], tmp_path: Path) -> None:
    rows: list[Row] = [
        {
            "customer_id": order.customer,
            "ordered_at": order.at,
            "amount": money(order.total),
            "order_id": k % 40 + 1,
        }
        for k, order in enumerate(shop)
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    assert "order_id" not in get_columns(proposal)
    assert "restarts" in get_question(proposal, "columns.order_id")
    assert proposal.can_check


def test_refunds_and_flags(shop: list[Order], tmp_path: Path) -> None:
    rows: list[Row] = [
        {
            "number": order.number,
            "purchase date": order.at,
            "buyer id": f"b{order.customer}",
            "grand total": money(order.total),
            "refund amount": money(order.refund) if order.refund else "",
            "cancelled": "yes" if order.status == "cancelled" else "no",
        }
        for order in shop
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    assert get_columns(proposal)["amount"] == "`grand total` - abs(`refund amount` or 0)"
    assert proposal.settings()["except"] == {"cancelled": ["yes"]}


@pytest.mark.parametrize(
    ("column", "kept", "given_back", "says"),
    [
        ("status", "paid", "refunded", "add refunded to except: status"),
        ("Zahlungsstatus", "bezahlt", "erstattet", "add erstattet to except: Zahlungsstatus"),
        ("refunded", "0", "1", "add '1' to except: refunded"),
        ("refunded", "0.00", "1.00", "add '1.00' to except: refunded"),
        ("is_refunded", "false", "true", "add 'true' to except: is_refunded"),
        ("refunded_at", "", "2024-03-01", "list '' under only: refunded_at"),
    ],
)
def test_refunded_orders_without_amounts_are_asked_for(
    column: str, kept: str, given_back: str, says: str, shop: list[Order], tmp_path: Path
) -> None:
    """A flag of 0 and 1 is no money that was given back."""
    rows: list[Row] = [
        {
            "number": order.number,
            "created": order.at,
            "buyer id": f"b{order.customer}",
            "grand total": money(order.total),
            column: given_back if k % 9 == 0 else kept,
        }
        for k, order in enumerate(shop)
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    assert get_columns(proposal)["amount"] == "grand total"
    assert says in get_question(proposal, "except")
    key, value = ("only", "") if column == "refunded_at" else ("except", given_back)
    answered = write_config_text(proposal).replace(
        "\n  currency: ''", f"\n  {key}: {{{column}: ['{value}']}}\n  currency: ''"
    )
    orders = clvcast.read_orders(parse_config(answered))
    right = sum(order.total for k, order in enumerate(shop) if k % 9) / 100
    assert float(np.sum(orders.amounts)) / 100 == pytest.approx(right)


def test_date_and_time_apart_are_joined(shop: list[Order], tmp_path: Path) -> None:
    rows: list[Row] = [
        {
            "Day": f"{order.at:%d/%m/%Y}",
            "Time": f"{order.at:%H:%M:%S}",
            "Card number": f"c{order.customer}",
            "Amount": money(order.total),
        }
        for order in shop
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    assert get_columns(proposal)["ordered_at"] == ["Day", "Time"]
    assert proposal.settings()["format"]["date_format"] == "%d/%m/%Y %H:%M:%S"


def test_several_currencies_are_one_question(shop: list[Order], tmp_path: Path) -> None:
    rows: list[Row] = [
        {
            "customer": order.customer,
            "date": order.at,
            "amount": money(order.total),
            "currency": "EUR" if order.number % 3 else "JPY",
        }
        for order in shop
    ]
    proposal = propose_config(str(save(tmp_path, rows)))
    assert not proposal.can_check
    assert "EUR" in get_question(proposal, "currency")
    signs = [row | {"amount": f"{'$€'[k % 2]}{row['amount']}"} for k, row in enumerate(rows)]
    del signs[0]["currency"]
    signs = [{n: v for n, v in row.items() if n != "currency"} for row in signs]
    proposal = propose_config(str(save(tmp_path, signs)))
    assert "several currencies ($, EUR)" in get_question(proposal, "currency_column").replace(
        "€, $", "$, €"
    )


def test_the_file_parses_whatever_stands_in_names(tmp_path: Path) -> None:
    path = save(tmp_path, [{"a: b # c": "x", '"q"': "1", "- d": "y", "{e}": "2"}] * 3)
    proposal = propose_config(str(path))
    assert not proposal.can_check
    assert yaml.safe_load(write_config_text(proposal))["orders"]["source"] == str(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b,c\n", "has a header and no order lines"),
        (b"1001,2023-01-01,10.00\n1002,2023-01-02,11.00\n", "has no header"),
        (b"PK\x03\x04 and more", "is a damaged zip file"),
    ],
)
def test_files_without_orders_are_refused_in_a_sentence(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    with pytest.raises(OrdersError, match=message):
        init(path)


def test_a_database_is_read_like_a_file(shop: list[Order], tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    frame = pd.DataFrame(
        [
            {
                "bestellung": order.number,
                "kunde": f"k{order.customer}",
                "bestelldatum": str(order.at),
                "betrag": order.total / 100,
                "zustand": "storniert" if order.status == "cancelled" else "bezahlt",
            }
            for order in shop
        ]
    )
    with sqlite3.connect(path) as connection:
        frame.to_sql("bestellungen", connection, index=False)
    connection.close()
    proposal = propose_config(f"sqlite:///{path}#bestellungen")
    assert get_columns(proposal)["customer_id"] == "kunde"
    assert get_total(proposal) == pytest.approx(sum_kept(shop))
    query = "SELECT kunde, bestelldatum, betrag FROM bestellungen WHERE zustand <> 'storniert'"
    proposal = propose_config(f"sqlite:///{path}", query)
    assert get_total(proposal) == pytest.approx(sum_kept(shop))


def test_the_sample_has_the_end_of_a_long_file(
    monkeypatch: pytest.MonkeyPatch, shop: list[Order], tmp_path: Path
) -> None:
    monkeypatch.setattr("clvcast.discovery.sampling._HEAD_BYTES", 4_000)
    monkeypatch.setattr("clvcast.discovery.sampling._TAIL_BYTES", 2_000)
    rows = write_lines(shop, "price", is_unit=True)
    rows[-1]["sku"] = "the last\nof all"
    proposal = propose_config(str(save(tmp_path, rows)))
    assert not proposal.is_whole
    assert 100 < proposal.n_lines < len(rows)


@pytest.mark.parametrize(
    ("gap_days", "orders_each", "expected"),
    [(29, 20, 30), (31, 20, 90), (90, 20, 90), (91, 20, 180), (181, 20, 365), (400, 20, 365)],
)
def test_the_horizon_covers_three_of_four_repeat_orders(
    gap_days: int, orders_each: int, expected: int
) -> None:
    times = np.tile(np.arange(orders_each) * gap_days, 10) * DAY
    customers = np.repeat(np.arange(10), orders_each)
    assert choose_horizon(customers, times)[0] == expected


def test_the_horizon_of_young_and_small_shops() -> None:
    nothing = np.empty(0, np.int64)
    assert choose_horizon(nothing, nothing)[0] == 90
    once = np.arange(50)
    horizon, why = choose_horizon(once, once * 20 * DAY)
    assert (horizon, "too few" in why) == (90, True)
    times = np.tile(np.arange(20) * 10, 10) * DAY  # 191 days
    customers = np.repeat(np.arange(10), 20)
    assert choose_horizon(customers, times)[0] == 30
    horizon, why = choose_horizon(np.repeat(np.arange(40), 2), np.tile([0, 80], 40) * DAY)
    assert (horizon, "no longer period" in why) == (30, True)


def test_lines_from_the_two_ends_of_a_file_tell_no_horizon() -> None:
    customers, times = np.repeat(np.arange(40), 2), np.tile([0, 700], 40) * DAY
    assert choose_horizon(customers, times)[0] == 90  # as far as 701 days allow
    customers, times = np.repeat(np.arange(40), 3), np.tile([0, 700, 1500], 40) * DAY
    assert choose_horizon(customers, times)[0] == 365
    for days in (times, times // 10):  # the span of a part says nothing either
        horizon, why = choose_horizon(customers, days, is_whole=False)
        assert (horizon, why.startswith("usual"), "no longer" in why) == (90, True, False)


def test_the_total_is_taken_not_the_subtotal_and_cents_are_hundredths(tmp_path: Path) -> None:
    count = 400
    random = np.random.default_rng(1)
    subtotal = random.integers(500, 20_000, count) / 100
    lines = pd.DataFrame(
        {
            "order_id": np.arange(count) + 1,
            "customer_email": [f"b{k}@example.org" for k in random.integers(0, 150, count)],
            "order_date": pd.date_range("2023-01-01", periods=count, freq="36h").astype(str),
            "subtotal": subtotal,
            "shipping": np.where(subtotal < 50, 4.9, 0),
            "total": (subtotal + np.where(subtotal < 50, 4.9, 0)).round(2),
        }
    )
    lines.to_csv(tmp_path / "totals.csv", index=False)
    assert "  amount: total\n" in re.sub(" +#.*", "", clvcast.init(tmp_path / "totals.csv"))
    cents = lines[["order_id", "customer_email", "order_date"]]
    cents = cents.assign(amount_cents=(lines["total"] * 100).round().astype(int))
    cents.to_csv(tmp_path / "cents.csv", index=False)
    assert "  amount: amount_cents / 100\n" in re.sub(
        " +#.*", "", clvcast.init(tmp_path / "cents.csv")
    )


@pytest.mark.parametrize(
    ("cells", "decimal", "is_sure"),
    [
        (["1.969", "589", "12.345", "2.500"], ",", True),
        (["1.969", "4.589", "12.345"], ",", False),  # or three decimals in every cell
        (["1.969", "0.589", "12.345", "7"], None, True),
        (["1.969", "5.89", "12.345", "7"], None, True),
        (["19.69", "589"], None, True),
    ],
)
def test_points_before_three_digits_group_thousands(
    cells: list[str], decimal: str | None, is_sure: bool
) -> None:
    for columns in ([cells], [cells, ["1", "2"]]):  # quantities tell nothing of prices
        found = guess_decimal(columns)
        assert (found[0], found[2]) == (decimal, is_sure)


def test_a_date_of_cancellation_leaves_the_order_out(tmp_path: Path) -> None:
    count = 300
    cancelled = np.arange(count) % 20 == 0
    days = pd.date_range("2023-01-01", periods=count, freq="36h").astype(str)
    lines = pd.DataFrame(
        {
            "order_id": np.arange(count) + 1,
            "customer_email": [f"b{k % 90}@example.org" for k in range(count)],
            "created_at": days,
            "total": np.arange(count) + 0.5,
            "cancelled_at": np.where(cancelled, days, ""),
        }
    )
    lines.to_csv(tmp_path / "orders.csv", index=False)
    config = parse_config(clvcast.init(tmp_path / "orders.csv"))
    orders = clvcast.read_orders(config)
    assert orders.amounts.sum() / orders.unit == lines["total"][~cancelled].sum()


def write_sales(shop: list[Order]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lines with a unit price, and the lines that give every tenth of them back, later."""
    lines = pd.DataFrame(write_lines(shop, "price", is_unit=True)).astype({"price": float})
    back = lines[::10].assign(order=lines["order"] + 50_000)
    return lines, back.assign(date=back["date"] + timedelta(days=5))


@pytest.mark.parametrize("kind", ["type", "quantity", "quantity beside the price", "status"])
def test_returns_are_told_by_a_word_or_a_quantity(
    kind: str, shop: list[Order], tmp_path: Path
) -> None:
    lines, back = write_sales(shop)
    lines, back = (f.assign(total=(f["qty"] * f["price"]).round(2)) for f in (lines, back))
    net = lines["total"].sum() - back["total"].sum()
    if kind in ("type", "status"):
        words = ("Sale", "Return") if kind == "type" else ("paid", "refund")
        lines, back = lines.assign(Type=words[0]), back.assign(Type=words[1])
    else:
        back["qty"] = -back["qty"]
    both = pd.concat([lines, back])
    if kind != "quantity beside the price":
        both = both.drop(columns="price")
    both.to_csv(tmp_path / "orders.csv", index=False)
    proposal = propose_config(str(tmp_path / "orders.csv"))
    if kind == "status":  # the orders that were given back, or lines that give back
        assert "are they lines of their own" in get_question(proposal, "returns")
        return
    assert get_total(proposal) == pytest.approx(net)


@pytest.mark.parametrize(
    ("name", "values", "credit"),
    [
        ("S/H", ("S", "H"), "H"),
        ("Seite", ("Soll", "Haben"), "Haben"),
        ("Dr/Cr", ("DR", "CR"), "CR"),
        ("Type", ("Débit", "Crédit"), "Crédit"),
        ("Payment method", ("Credit", "Debit"), None),  # cards
        ("Size", ("S", "H"), None),
    ],
)
def test_debit_or_credit_beside_amounts_is_asked(
    name: str, values: tuple[str, str], credit: str | None, shop: list[Order], tmp_path: Path
) -> None:
    lines, back = write_sales(shop)
    both = pd.concat([lines.assign(**{name: values[0]}), back.assign(**{name: values[1]})])
    both.drop(columns="qty").to_csv(tmp_path / "orders.csv", index=False)
    proposal = propose_config(str(tmp_path / "orders.csv"))
    questions = [question for question in proposal.questions if question.key == "returns"]
    if credit is None:
        assert not questions
        return
    (question,) = questions
    assert question.answers[0][0] == f"{{'{name}': ['{credit}']}}"
    both[name] = values[1]  # one side alone says nothing
    both.drop(columns="qty").to_csv(tmp_path / "orders.csv", index=False)
    assert not propose_config(str(tmp_path / "orders.csv")).questions


def test_a_second_column_of_money_where_the_first_is_blank_is_asked(
    shop: list[Order], tmp_path: Path
) -> None:
    lines, back = write_sales(shop)
    lines, back = lines.rename(columns={"price": "debit"}), back.rename(columns={"price": "credit"})
    both = pd.concat([lines, back]).drop(columns="qty")
    both.to_csv(tmp_path / "orders.csv", index=False)
    proposal = propose_config(str(tmp_path / "orders.csv"))
    answer, _ = next(q for q in proposal.questions if q.key == "columns.amount").answers[0]
    assert answer == "'(debit or 0) - abs(credit or 0)'"
    columns = proposal.settings()["columns"] | {"amount": answer.strip("'")}
    orders = clvcast.read_orders(tmp_path / "orders.csv", columns)
    assert orders.amounts.sum() / 100 == pytest.approx(lines["debit"].sum() - back["credit"].sum())


@pytest.mark.parametrize("of", ["line", "unit", "order", "percent"])
def test_a_discount_beside_a_unit_price_is_deducted_once(
    of: str, shop: list[Order], tmp_path: Path
) -> None:
    lines, _ = write_sales(shop)
    share = np.where(np.arange(len(lines)) % 3 == 0, 0.1, 0.0)
    gross = lines["qty"] * lines["price"]
    discounts: dict[str, Any] = {
        "line": gross * share,
        "unit": lines["price"] * share,
        "order": lines["order"] % 3 * 1.5,
        "percent": share * 100,
    }
    discount = np.round(discounts[of], 2)
    name = "discount percent" if of == "percent" else "discount"
    lines.assign(**{name: discount}).to_csv(tmp_path / "orders.csv", index=False)
    proposal = propose_config(str(tmp_path / "orders.csv"))
    if of == "order":
        assert "is not deducted" in get_question(proposal, "columns.amount")
        discount = 0 * discount
    if of == "percent":  # as the name says
        discount = gross * share
    each = lines["qty"] if of == "unit" else 1
    assert get_total(proposal) == pytest.approx((gross - each * discount).sum(), abs=0.5)


@pytest.mark.parametrize(
    ("name", "values", "factor"),
    [
        ("discount percent", (0, 1), " / 100"),  # 1 % off some lines, not their whole price
        ("discount percent", (0, 2), " / 100"),
        ("discount percent", (0.0, 0.5), ""),  # half off
        ("discount rate", (0, 1), ""),  # a rate says nothing of a hundred
    ],
)
def test_a_percentage_of_zero_and_one_is_one_percent(
    name: str, values: tuple[float, ...], factor: str, shop: list[Order], tmp_path: Path
) -> None:
    lines = pd.DataFrame(write_lines(shop, "price", is_unit=True))
    lines[name] = np.resize(values, len(lines))
    lines.to_csv(tmp_path / "orders.csv", index=False)
    proposal = propose_config(str(tmp_path / "orders.csv"))
    share = f"qty * price * (1 - abs(`{name}` or 0){factor})"
    assert get_columns(proposal)["amount"] == share


@pytest.mark.parametrize(
    ("values", "factor"),
    [((0.0, 0.05, 0.1, 0.25), 1.0), ((0, 5, 10, 25), 0.01)],
)
def test_a_discount_of_a_few_small_values_is_a_share(
    values: tuple[float, ...], factor: float, shop: list[Order], tmp_path: Path
) -> None:
    """Of one it is deducted as such, of a hundred it is asked about, and neither is money."""
    lines = pd.DataFrame(write_lines(shop, "price", is_unit=True))
    lines["discount"] = np.resize(values, len(lines))
    lines.to_csv(tmp_path / "orders.csv", index=False)
    proposal = propose_config(str(tmp_path / "orders.csv"))
    assert "discount" not in get_columns(proposal)
    gross = lines["qty"].astype(float) * lines["price"].astype(float)
    if factor == 1:
        assert get_columns(proposal)["amount"] == "qty * price * (1 - abs(discount or 0))"
        cents = np.rint(100 * gross * (1 - lines["discount"]))
        assert get_total(proposal) == pytest.approx(cents.sum() / 100, abs=1)
    else:
        assert "share of the price" in get_question(proposal, "columns.amount")
        answer = "qty * price * (1 - abs(discount or 0) / 100)"
        assert answer in write_config_text(proposal)


def test_no_line_of_a_sample_stands_in_it_twice(tmp_path: Path) -> None:
    lines = pd.DataFrame({"id": np.arange(21_000)})
    lines.to_parquet(tmp_path / "o.parquet", row_group_size=10_000)
    sample = read_sample(str(tmp_path / "o.parquet"))
    assert sample.is_whole
    assert sample.cells["id"].tolist() == lines["id"].astype(str).tolist()
    connection = sqlite3.connect(tmp_path / "o.db")
    lines.head(3_000).to_sql("o", connection, index=False)
    connection.close()
    for scheme in ("sqlite", "sqlite+adbc"):  # ADBC gives 1,024 rows at a time
        sample = read_sample(f"{scheme}:///{tmp_path}/o.db#o")
        assert (len(sample.cells), sample.is_whole) == (3_000, True)
