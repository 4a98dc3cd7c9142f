"""One small shop, written as every platform writes its exports, with the totals that are right."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

N_PRODUCTS = 12
PRODUCTS = {f"P{k:03d}": 495 + 317 * k for k in range(N_PRODUCTS)}  # sku -> cents of one unit
Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Order:
    """An order; money in cents."""

    number: int
    customer: int
    at: datetime
    lines: tuple[tuple[str, int], ...]  # sku, quantity
    status: str  # paid, cancelled, part (refunded in part), refunded
    refund: int

    @property
    def total(self) -> int:
        return sum(PRODUCTS[sku] * quantity for sku, quantity in self.lines)


def make_shop(seed: int = 0, customers: int = 90, *, varied: bool = False) -> list[Order]:
    """Two years of orders; 6 % cancelled, 4 % refunded, 5 % refunded in part.

    All customers are alike, unless they are `varied`: then some order more often, and more, than
    others.
    """
    rng, other = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    orders: list[Order] = []
    for customer in range(customers):
        at = datetime(2023, 1, 1) + timedelta(seconds=int(rng.integers(0, 400 * 86_400)))
        pace = 1 / other.gamma(1.0) if varied else 1.0
        most = 2 + other.poisson(3) if varied else 4
        for _ in range(1 + rng.geometric(0.25)):
            skus = rng.choice(list(PRODUCTS), size=int(rng.integers(1, 4)), replace=False)
            lines = tuple((str(sku), int(rng.integers(1, most))) for sku in skus)
            status = str(
                rng.choice(["paid", "cancelled", "refunded", "part"], p=[0.85, 0.06, 0.04, 0.05])
            )
            order = Order(0, customer, at, lines, status, 0)
            part = {"refunded": order.total, "part": order.total // 3}.get(status, 0)
            orders.append(Order(1001 + len(orders), customer, at, lines, status, part))
            at += timedelta(seconds=int(pace * rng.exponential(45 * 86_400)) + 3_600)
            if at > datetime(2024, 12, 20):
                break
    return orders


def sum_gross(orders: Iterable[Order]) -> float:
    return sum(order.total for order in orders) / 100


def sum_kept(orders: Iterable[Order]) -> float:
    """Without cancelled orders; refunds, which not all exports tell, in it."""
    return sum(order.total for order in orders if order.status != "cancelled") / 100


def sum_net(orders: Iterable[Order]) -> float:
    """Without cancelled orders, less refunds."""
    return sum(o.total - o.refund for o in orders if o.status != "cancelled") / 100


def money(cents: int) -> str:
    return f"{cents / 100:.2f}"


def dollars(cents: int) -> str:
    return f"-${-cents / 100:,.2f}" if cents < 0 else f"${cents / 100:,.2f}"


def mail(order: Order) -> str:
    return f"buyer{order.customer}@example.org"


def dump_rows(rows: Rows, delimiter: str = ",") -> str:
    """CSV text of rows that may leave columns out; the header has all of them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, restval="", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_shopify(orders: list[Order]) -> str:
    status = {
        "paid": "paid",
        "cancelled": "voided",
        "part": "partially_refunded",
        "refunded": "refunded",
    }
    rows: Rows = []
    for order in orders:
        created = f"{order.at} -0500"
        for k, (sku, quantity) in enumerate(order.lines):
            row: dict[str, object] = {"Name": f"#{order.number}", "Email": mail(order)}
            state = status[order.status]
            if state == "voided" and order.number % 2:
                state = "paid"  # cancelled, and the money not given back yet
            first: dict[str, object] = {
                "Financial Status": state,
                "Paid at": created,
                "Fulfillment Status": "fulfilled",
                "Currency": "USD",
                "Subtotal": money(order.total),
                "Shipping": "0.00",
                "Taxes": "0.00",
                "Total": money(order.total),
                "Discount Amount": "0.00",
            }
            row |= first if k == 0 else dict.fromkeys(first, "")
            row |= {
                "Created at": created,
                "Lineitem quantity": quantity,
                "Lineitem name": f"Thing, {sku}",
                "Lineitem price": money(PRODUCTS[sku]),
                "Lineitem sku": sku,
                "Cancelled at": created if k == 0 and order.status == "cancelled" else "",
                "Payment Method": "Shopify Payments" if k == 0 else "",
                "Refunded Amount": money(order.refund) if k == 0 else "",
                "Outstanding Balance": "0.00" if k == 0 else "",
            }
            rows.append(row)
    return dump_rows(rows)


_WOO = {"paid": "completed", "cancelled": "cancelled", "part": "completed", "refunded": "refunded"}


def write_woocommerce_items(orders: list[Order]) -> str:
    return dump_rows(
        [
            {
                "order_id": order.number,
                "order_date": order.at,
                "status": _WOO[order.status],
                "order_total": money(order.total),
                "refunded_total": money(order.refund),
                "order_currency": "EUR",
                "customer_id": 0 if order.customer % 3 == 0 else order.customer,
                "billing_email": mail(order),
                "item_sku": sku,
                "item_quantity": quantity,
                "item_total": money(PRODUCTS[sku] * quantity),
            }
            for order in orders
            for sku, quantity in order.lines
        ]
    )


def write_woocommerce_orders(orders: list[Order]) -> str:
    return dump_rows(
        [
            {
                "order_id": order.number,
                "date": f"{order.at:%Y-%m-%d %H:%M}",
                "status": f"wc-{_WOO[order.status]}",
                "order_total": money(order.total),
                "customer_email": mail(order),
                "refund": money(order.refund),
            }
            for order in orders
        ]
    )


def write_amazon(orders: list[Order]) -> str:
    rows: Rows = []
    for order in orders:
        cancelled = order.status == "cancelled"
        for sku, quantity in order.lines:
            rows.append(
                {
                    "amazon-order-id": f"111-{order.number:07d}-{order.number * 7:07d}",
                    "purchase-date": f"{order.at:%Y-%m-%dT%H:%M:%S}+00:00",
                    "order-status": "Cancelled" if cancelled else "Shipped",
                    "sales-channel": "Amazon.com",
                    "sku": sku,
                    "item-status": "Cancelled" if cancelled else "Shipped",
                    "quantity": 0 if cancelled else quantity,
                    "currency": "" if cancelled else "USD",
                    "item-price": "" if cancelled else money(PRODUCTS[sku] * quantity),
                    "item-tax": "",
                    "buyer-email": f"x{order.customer}q@marketplace.example",
                }
            )
    return dump_rows(rows, "\t")


def write_stripe(orders: list[Order]) -> str:
    status = {"paid": "Paid", "cancelled": "Failed", "part": "Paid", "refunded": "Refunded"}
    return dump_rows(
        [
            {
                "id": f"py_{order.number}",
                "Created date (UTC)": order.at,
                "Amount": money(order.total),
                "Amount Refunded": money(order.refund),
                "Currency": "usd",
                "Captured": str(order.status != "cancelled").lower(),
                "Converted Amount": money(order.total),
                "Converted Amount Refunded": money(order.refund),
                "Converted Currency": "usd",
                "Decline Reason": "insufficient_funds" if order.status == "cancelled" else "",
                "Fee": "0.50",
                "Mode": "Live",
                "Status": status[order.status],
                "Customer ID": f"cus_{order.customer:05d}",
                "Customer Email": mail(order),
            }
            for order in orders
        ]
    )


def write_paypal(orders: list[Order]) -> str:
    rows: Rows = []

    def add(
        order: Order, kind: str, status: str, cents: int, sender: str, reference: str = ""
    ) -> None:
        rows.append(
            {
                "Date": f"{order.at:%m/%d/%Y}",
                "Time": f"{order.at:%H:%M:%S}",
                "TimeZone": "PST",
                "Name": "A Person",
                "Type": kind,
                "Status": status,
                "Currency": "USD",
                "Gross": f"{cents / 100:,.2f}",
                "Fee": f"{-0.03 * cents / 100:.2f}",
                "Net": f"{0.97 * cents / 100:,.2f}",
                "From Email Address": sender,
                "To Email Address": "shop@example.org",
                "Transaction ID": f"{len(rows):05d}XZ",
                "Reference Txn ID": reference,
            }
        )

    for order in orders:
        status = "Denied" if order.status == "cancelled" else "Completed"
        add(order, "Express Checkout Payment", status, order.total, mail(order))
        if order.refund:
            paid = str(rows[-1]["Transaction ID"])
            add(order, "Payment Refund", "Completed", -order.refund, "shop@example.org", paid)
        if order.number % 50 == 0:
            add(order, "General Withdrawal", "Completed", -100_000, "")
    return "\ufeff" + dump_rows(rows)


def write_square(orders: list[Order]) -> str:
    rows: Rows = []
    for order in orders:
        if order.status == "cancelled":
            continue
        for cents in (order.total, -order.refund):
            if cents:
                rows.append(
                    {
                        "Date": f"{order.at:%m/%d/%y}",
                        "Time": f"{order.at:%H:%M:%S}",
                        "Time Zone": "Eastern Time (US & Canada)",
                        "Gross Sales": dollars(abs(cents)),
                        "Discounts": "$0.00",
                        "Net Sales": dollars(cents),
                        "Tax": "$0.00",
                        "Tip": "$1.00",
                        "Total Collected": dollars(cents + 100),
                        "Transaction ID": f"T{order.number}",
                        "Customer ID": f"SQ{order.customer}",
                        "Event Type": "Payment" if cents > 0 else "Refund",
                    }
                )
    return dump_rows(rows)


def write_etsy(orders: list[Order]) -> str:
    return dump_rows(
        [
            {
                "Sale Date": f"{order.at:%m/%d/%y}",
                "Order ID": order.number,
                "Buyer User ID": f"etsy{order.customer}",
                "Full Name": "A Person",
                "Number of Items": sum(quantity for _, quantity in order.lines),
                "Date Shipped": f"{order.at:%m/%d/%Y}",
                "Currency": "USD",
                "Order Value": money(order.total),
                "Discount Amount": "0.00",
                "Shipping": "0.00",
                "Sales Tax": "0.00",
                "Order Total": money(order.total),
                "Status": "Canceled" if order.status == "cancelled" else "Shipped",
                "Order Net": money(order.total * 9 // 10),
                # zeros where nothing was adjusted; Etsy keeps its fee where all is given back
                "Adjusted Order Total": money(order.total - order.refund if order.refund else 0),
                "Adjusted Net Order Amount": (
                    money(order.total * 9 // 10 - order.refund) if order.refund else "0.00"
                ),
                "Buyer": f"person{order.customer}",
            }
            for order in orders
        ]
    )


def write_bigcommerce(orders: list[Order]) -> str:
    status = {
        "paid": "Shipped",
        "cancelled": "Cancelled",
        "part": "Partially Refunded",
        "refunded": "Refunded",
    }
    return dump_rows(
        [
            {
                "Order ID": order.number,
                "Customer ID": 0 if order.customer % 3 == 0 else order.customer,
                "Customer Name": "A Person",
                "Customer Email": mail(order),
                "Order Date": f"{order.at:%d/%m/%Y}",
                "Order Status": status[order.status],
                "Subtotal (inc tax)": money(order.total),
                "Order Total (inc tax)": money(order.total),
                "Order Total (ex tax)": money(order.total * 5 // 6),
                "Refund Amount": money(order.refund),
            }
            for order in orders
        ]
    )


def write_magento(orders: list[Order]) -> str:
    status = {"paid": "complete", "cancelled": "canceled", "part": "complete", "refunded": "closed"}
    return dump_rows(
        [
            {
                "ID": f"{order.number:09d}",
                "Purchase Point": "Main Website\nMain Website Store\nDefault Store View",
                "Purchase Date": f"{order.at:%b} {order.at.day}, {order.at:%Y}, "
                f"{order.at.hour % 12 or 12}:{order.at:%M:%S %p}",
                "Bill-to Name": "A Person",
                "Grand Total (Base)": dollars(order.total),
                "Grand Total (Purchased)": dollars(order.total),
                "Status": status[order.status],
                "Customer Email": mail(order),
                "Total Refunded": dollars(order.refund),
            }
            for order in orders
        ]
    )


def write_olist(orders: list[Order]) -> str:
    return dump_rows(
        [
            {
                "order_id": f"{order.number:032x}",
                "customer_id": f"oc{order.number * 7919:012d}",
                "customer_unique_id": f"u{order.customer:05d}",
                "order_status": "canceled" if order.status == "cancelled" else "delivered",
                "order_purchase_timestamp": order.at,
                "product_id": sku,
                "price": money(PRODUCTS[sku] * quantity),
                "freight_value": "0.00",
                "payment_value": money(order.total),
            }
            for order in orders
            for sku, quantity in order.lines
        ]
    )


def write_online_retail(orders: list[Order]) -> str:
    return dump_rows(
        [
            {
                "Invoice": f"{'C' * (sign < 0)}{order.number}",
                "StockCode": sku,
                "Description": f"THING {sku}",
                "Quantity": sign * quantity,
                "InvoiceDate": f"{order.at.month}/{order.at.day}/{order.at:%Y} "
                f"{order.at.hour}:{order.at:%M}",
                "Price": money(PRODUCTS[sku]),
                "Customer ID": f"{12_000 + order.customer}.0",
                "Country": "United Kingdom",
            }
            for order in orders
            for sign in ((1, -1) if order.status in ("cancelled", "refunded") else (1,))
            for sku, quantity in order.lines
        ]
    )


def write_ga4(orders: list[Order]) -> str:
    rows: Rows = []
    for order in orders:
        micros = int(order.at.replace(tzinfo=UTC).timestamp()) * 1_000_000
        base: dict[str, object] = {
            "event_date": f"{order.at:%Y%m%d}",
            "event_timestamp": micros,
            "event_name": "purchase",
            "user_pseudo_id": f"{order.customer * 99_991 + 7}.{order.customer * 7}",
            "ecommerce.transaction_id": order.number,
            "ecommerce.purchase_revenue": money(order.total),
        }
        view = {
            "event_name": "page_view",
            "ecommerce.transaction_id": "",
            "ecommerce.purchase_revenue": "",
        }
        rows += [base | view, base]
        if order.number % 20 == 0:
            rows.append(base | {"event_timestamp": micros + 2_000_000})  # reported twice
    return dump_rows(rows)


@dataclass(frozen=True)
class ExportFile:
    """A platform's file: its layout, its name, its text, and the right total of a shop in it."""

    layout: str
    name: str
    write: Callable[[list[Order]], str]
    total: Callable[[Iterable[Order]], float]

    def save(self, folder: Path, orders: list[Order]) -> Path:
        path = folder / self.name
        path.write_text(self.write(orders), encoding="utf-8")
        return path


def sum_online_retail(orders: Iterable[Order]) -> float:
    kept = [o for o in orders if o.status not in ("cancelled", "refunded")]
    return sum(order.total for order in kept) / 100


EXPORTS = (
    ExportFile("shopify", "orders_export.csv", write_shopify, sum_net),
    ExportFile("woocommerce", "woo_items.csv", write_woocommerce_items, sum_net),
    ExportFile("woocommerce", "woo_orders.csv", write_woocommerce_orders, sum_net),
    ExportFile("amazon", "amazon.csv", write_amazon, sum_kept),
    ExportFile("stripe", "unified_payments.csv", write_stripe, sum_net),
    ExportFile("paypal", "paypal.csv", write_paypal, sum_net),
    ExportFile("square", "transactions.csv", write_square, sum_net),
    ExportFile("etsy", "EtsySoldOrders.csv", write_etsy, sum_net),
    ExportFile("bigcommerce", "bigcommerce.csv", write_bigcommerce, sum_net),
    ExportFile("magento", "magento.csv", write_magento, sum_net),
    ExportFile("olist", "olist.csv", write_olist, sum_kept),
    ExportFile("online_retail", "online_retail.csv", write_online_retail, sum_online_retail),
    ExportFile("ga4", "ga4.csv", write_ga4, sum_gross),
)
