"""Exports with the headers that the platforms document, and the traps of real files.

Their columns and values are those of public documentation and of files that others publish, not of
our layouts; the right total is added up from what was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from export_files import dump_rows

import clvcast
from clvcast.configs.schema import parse_config

Written = tuple[str, float, int]  # the file, its net revenue, its customers with an order


def split_names(header: str) -> list[str]:
    return header.split(",")


SHOPIFY = split_names(
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,"
    "Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,"
    "Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem compare at price,"
    "Lineitem sku,Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status,"
    "Billing Name,"
    "Billing Zip,Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,"
    "Refunded Amount,Vendor,Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,"
    "Source,Lineitem discount,Tax 1 Name,Tax 1 Value,Phone,Receipt Number,Duties"
)
SQUARE = split_names(
    "Date,Time,Time Zone,Gross Sales,Discounts,Service Charges,Net Sales,Gift Card Sales,Tax,Tip,"
    "Partial Refunds,Total Collected,Source,Card,Card Entry Methods,Cash,Square Gift Card,"
    "Other Tender,Other Tender Type,Tender Note,Fees,Net Total,Transaction ID,Payment ID,"
    "Card Brand,PAN Suffix,Device Name,Staff Name,Staff ID,Details,Description,Event Type,Location,"
    "Dining Option,Customer ID,Customer Name,Customer Reference ID,Device Nickname,Deposit ID,"
    "Deposit Date,Refund Reason,Discount Name,Transaction Status,Cash App"
)
WOOCOMMERCE = split_names(
    "order_id,order_number,order_date,paid_date,status,shipping_total,shipping_tax_total,fee_total,"
    "fee_tax_total,tax_total,cart_discount,order_discount,discount_total,order_total,order_subtotal,"
    "order_currency,payment_method,payment_method_title,transaction_id,customer_ip_address,"
    "customer_user_agent,shipping_method,customer_id,customer_user,customer_email,"
    "billing_first_name,billing_email,billing_phone,billing_country,customer_note,shipping_items,"
    "tax_items,coupon_items,refund_items,order_notes,line_item_1,line_item_2"
)


def draw_times(random: np.random.Generator, n: int) -> list[datetime]:
    seconds = np.sort(random.integers(0, 600 * 86_400, n))
    return [datetime(2023, 1, 2) + timedelta(seconds=int(s)) for s in seconds]


def write_shopify() -> Written:
    """Continuation lines, orders of the till without e-mail, notes of several lines, cancelled and
    test orders.
    """
    random = np.random.default_rng(11)
    rows: list[dict[str, object]] = []
    right = 0.0
    customers = set()
    for k, at in enumerate(draw_times(random, 400)):
        prices = np.round(random.uniform(5, 90, int(random.integers(1, 4))), 2)
        total = float(prices.sum() + 4.9)
        state = str(random.choice(
            ["paid", "refunded", "partially_refunded", "voided", "pending", "cancelled", "bogus"],
            p=[0.78, 0.04, 0.05, 0.04, 0.03, 0.04, 0.02],
        ))  # fmt: skip
        refund = {"refunded": total, "partially_refunded": round(total / 4, 2)}.get(state, 0.0)
        email = "" if k % 40 == 0 else f"Buyer{int(random.integers(0, 90))}@example.org"
        if email and state not in ("voided", "pending", "cancelled", "bogus"):
            right += total - refund
            customers.add(email)
        created = f"{at} +0100" if at.month in (1, 2, 3, 11, 12) else f"{at} +0200"
        order: dict[str, object] = {
            "Financial Status": "paid" if state in ("cancelled", "bogus") else state,
            "Paid at": "" if state in ("voided", "pending") else created,
            "Currency": "EUR", "Subtotal": f"{total - 4.9:.2f}", "Shipping": "4.90",
            "Taxes": "0.00", "Total": f"{total:.2f}", "Discount Amount": "0.00",
            "Notes": 'Please ring "twice",\nthen call', "Tags": "vip, wholesale",
            "Cancelled at": created if state in ("cancelled", "voided") else "",
            "Payment Method": "bogus" if state == "bogus" else "Shopify Payments",
            "Refunded Amount": f"{refund:.2f}", "Outstanding Balance": "0.00",
            "Id": 5_000_000_000_000 + k, "Risk Level": "Low", "Source": "web",
        }  # fmt: skip
        for line, price in enumerate(prices):
            rows.append(
                {
                    **dict.fromkeys(SHOPIFY, ""),
                    "Name": f"#{1001 + k}",
                    "Email": email,
                    "Created at": created,
                    "Lineitem quantity": 1,
                    "Lineitem name": f"Mug, size {line}",
                    "Lineitem price": f"{price:.2f}",
                    "Lineitem sku": f"MUG-{line}",
                    "Lineitem discount": "0.00",
                    "Vendor": "Kiln",
                    **(order if line == 0 else {}),
                }
            )
    return dump_rows(rows), right, len(customers)


def write_square() -> Written:
    """Walk-ins, tips, gift cards that are sold, refunds that are lines of their own."""
    random = np.random.default_rng(12)
    rows: list[dict[str, object]] = []
    right = 0.0
    customers = set()

    def show(value: float) -> str:
        return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"

    for k, at in enumerate(draw_times(random, 500)):
        gross = round(float(random.gamma(2, 300)), 2)
        discount = round(gross / 10, 2) if k % 7 == 0 else 0.0
        net, tax = gross - discount, round(gross * 0.08, 2)
        customer = "" if k % 3 == 0 else f"SQCUST{int(random.integers(0, 80)):03d}"
        is_failed = k % 50 == 1
        is_refunded = k % 17 == 0 and not is_failed
        given_back = round(net / 4, 2) if k % 11 == 5 and not is_refunded else 0.0
        if customer and not is_failed:
            right += 0.0 if is_refunded else net + tax - given_back
            customers.add(customer)
        for sign in (1, -1) if is_refunded else (1,):
            when = at if sign > 0 else at + timedelta(days=3)
            rows.append(
                {
                    **dict.fromkeys(SQUARE, ""),
                    "Date": f"{when:%Y-%m-%d}",
                    "Time": f"{when:%H:%M:%S}",
                    "Time Zone": "Eastern Time (US & Canada)",
                    "Gross Sales": show(sign * gross),
                    "Discounts": show(-sign * discount),
                    "Service Charges": "$0.00",
                    "Net Sales": show(sign * net),
                    "Gift Card Sales": "$25.00" if k % 60 == 2 else "$0.00",
                    "Tax": show(sign * tax),
                    "Tip": "$2.00" if sign > 0 else "$0.00",
                    "Partial Refunds": show(-given_back) if given_back else "$0.00",
                    "Total Collected": show(sign * (net + tax)),
                    "Fees": show(-0.03 * gross),
                    "Transaction ID": f"SQ{k:05d}y",
                    "Payment ID": f"PM{k:05d}{'R' * (sign < 0)}",
                    "Event Type": "Payment" if sign > 0 else "Refund",
                    "Location": "Market",
                    "Customer ID": customer,
                    "Transaction Status": "Failed" if is_failed else "Complete",
                }
            )
    return dump_rows(rows), right, len(customers)


def write_woocommerce() -> Written:
    """Guests have the id 0; American dates; statuses that are no sale; items in one cell."""
    random = np.random.default_rng(13)
    rows: list[dict[str, object]] = []
    right = 0.0
    customers = set()
    for k, at in enumerate(draw_times(random, 400)):
        goods = round(float(random.gamma(2, 30)), 2)
        total = round(goods + 5.0, 2)
        status = str(random.choice(
            ["completed", "processing", "cancelled", "failed", "pending", "on-hold"],
            p=[0.75, 0.1, 0.06, 0.04, 0.03, 0.02],
        ))  # fmt: skip
        buyer = int(random.integers(0, 90))
        if status in ("completed", "processing"):
            right += total
            customers.add(buyer)
        rows.append(
            {
                **dict.fromkeys(WOOCOMMERCE, ""),
                "order_id": 20_000 + k,
                "order_number": 20_000 + k,
                "order_date": f"{at.month}/{at.day}/{at:%Y} {at.hour}:{at:%M:%S}",
                "status": status,
                "shipping_total": "5.00",
                "tax_total": "0.00",
                "order_total": f"{total:.2f}",
                "order_subtotal": f"{goods:.2f}",
                "order_currency": "USD",
                "payment_method": "stripe",
                "customer_id": 0 if buyer % 2 else buyer,
                "customer_email": f"b{buyer}@example.org",
                "billing_email": f"b{buyer}@example.org",
                "line_item_1": "name:Mug|product_id:7|sku:M|quantity:1|total:10.00",
            }
        )
    return dump_rows(rows), right, len(customers)


@pytest.mark.parametrize("write", [write_shopify, write_square, write_woocommerce])
def test_a_documented_export_is_read_to_the_cent(
    write: Callable[[], Written], tmp_path: Path, run: Run
) -> None:
    text, right, n_customers = write()
    (tmp_path / "export.csv").write_text(text, encoding="utf-8")
    config = tmp_path / "clvcast.yaml"
    assert run("init", tmp_path / "export.csv", "--output", config)[0] == 0
    orders = clvcast.read_orders(parse_config(config.read_text()))
    assert orders.amounts.sum() / orders.unit == pytest.approx(right, abs=0.001)
    assert orders.n_customers == n_customers
    _, said, _ = run("check", config)
    assert f"{right:,.2f}" in said
