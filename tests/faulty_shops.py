"""Random shops of real shapes, exported to files: clean, and with one silent fault each.

A silent fault leaves every line readable and makes the totals, the orders or the customers wrong.
Each kind of fault here names the keys that mend it, where the configuration has some.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "FAULTS",
    "SHAPES",
    "Export",
    "Fault",
    "add_fault",
    "build_shop",
    "iterate_shapes",
    "write_export",
]

Random = np.random.Generator
Frame = pd.DataFrame
COLUMNS = {
    "customer_id": "customer",
    "ordered_at": "placed_at",
    "amount": "line_total",
    "order_id": "order_no",
    "product_id": "sku",
    "quantity": "qty",
}
GOOD_STATUS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("status", ("completed", "processing", "shipped")),
    ("Order Status", ("Delivered", "Shipped", "Complete")),
    ("Bestellstatus", ("bezahlt", "versendet", "abgeschlossen")),
    ("Financial Status", ("paid", "partially_refunded", "refunded")),
    ("statut", ("payée", "expédiée", "livrée")),
    ("estado", ("pagado", "enviado", "entregado")),
)
NO_SALE = {
    "status": ("cancelled", "failed", "pending", "on-hold", "trash"),
    "Order Status": ("Canceled", "Declined", "Awaiting Payment", "Voided"),
    "Bestellstatus": ("storniert", "abgebrochen", "fehlgeschlagen"),
    "Financial Status": ("voided", "pending", "expired"),
    "statut": ("annulée", "échouée", "en attente de paiement"),
    "estado": ("cancelado", "fallido", "pendiente de pago"),
}
# what is no fault, though one of its values may sound like one
HARMLESS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("fulfillment_status", ("fulfilled", "unfulfilled", "pending")),
    ("category", ("Test kits", "Void fillers", "Bags", "Total look")),
    ("country", ("USA", "DEU", "GBR", "CHE", "MAR")),
    ("payment_method", ("card", "paypal", "cash", "pending transfer")),
    ("coupon", ("", "", "", "WELCOME10", "TEST20")),
    ("delivery", ("standard", "express", "pickup")),
    ("note", ("", "", "please cancel newsletter", "call first", "gift")),
)


@dataclass(frozen=True)
class Export:
    """A shop's export: its files, text as the shop wrote it, and the `orders:` that reads them."""

    shape: str
    files: dict[str, Frame]
    orders: dict[str, Any]
    mend: dict[str, Any] = field(default_factory=dict)  # keys of `orders` that mend the fault


@dataclass(frozen=True)
class Fault:
    """A kind of silent fault: which shops can have it, and how it comes in."""

    finding: str  # the finding that must warn
    shapes: tuple[str, ...]
    add: Callable[[Export, Random], Export]


def build_shop(shape: str, seed: int) -> Export:
    """A clean shop of a shape, with what real exports have besides: other columns, odd names."""
    random = np.random.default_rng([seed, 1])
    lines = SHAPES[shape](random)
    lines["placed_at"] = lines["placed_at"].dt.floor("s")
    lines = _roughen(_add_other_columns(lines, random), random)
    order = "customer" if random.random() < 0.3 else "placed_at"
    lines = lines.sort_values([order, "placed_at", "order_no"], kind="stable", ignore_index=True)
    orders: dict[str, Any] = {"columns": dict(COLUMNS)}
    if random.random() < 0.25:
        orders["columns"].pop("product_id")
    if random.random() < 0.25:
        orders["columns"].pop("quantity")
    if shape in ("single_line", "one_off") and random.random() < 0.3:
        orders["columns"].pop("order_id")
    files = {"orders": lines}
    if random.random() < 0.3:
        files = _cut_into_parts(lines, random)
    return Export(shape, files, orders)


def add_fault(shop: Export, kind: str, seed: int) -> Export:
    """The same shop with one kind of fault."""
    return FAULTS[kind].add(shop, np.random.default_rng([seed, 2]))


def iterate_shapes(shapes: tuple[str, ...]) -> Iterator[str]:
    """The shapes one after the other, again and again."""
    while True:
        yield from shapes


def write_export(export: Export, folder: Path) -> dict[str, Any]:
    """Write the files as CSV; return the `orders:` section of a configuration that reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in export.files.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return {"source": str(folder / "*.csv"), **export.orders}


# shapes: lines with customer, placed_at, order_no, sku, qty, line_total


def _draw_lines(
    random: Random,
    n_orders: np.ndarray[Any, Any],
    *,
    days: int,
    lines: Callable[[int], np.ndarray[Any, Any]],
    price: float = 25.0,
    spread: float = 0.7,
    n_products: int = 60,
) -> Frame:
    """Lines of customers with so many orders each, at random times of `days`."""
    owner = np.repeat(np.arange(len(n_orders)), n_orders)
    start = pd.Timestamp("2023-01-02") + pd.Timedelta(days=int(random.integers(0, 300)))
    first = random.uniform(0, days * 0.7, len(n_orders))
    day = np.floor(random.uniform(first[owner], days))
    seconds = day * 86_400 + random.integers(8 * 3_600, 22 * 3_600, len(owner))
    per_order = lines(len(owner))
    at = np.repeat(np.arange(len(owner)), per_order)
    prices = np.round(price * random.lognormal(0, spread, n_products), 2)
    popularity = random.dirichlet(np.full(n_products, 0.6))
    product = random.choice(n_products, len(at), p=popularity)
    quantity = 1 + (random.random(len(at)) < 0.2) * random.integers(1, 4, len(at))
    frame = pd.DataFrame(
        {
            "customer": _name_customers(random, len(n_orders))[owner[at]],
            "placed_at": start + pd.to_timedelta(seconds[at], unit="s"),
            "order_no": at,
            "sku": np.char.add("P", (100 + product).astype(str)),
            "qty": quantity,
            "line_total": np.round(prices[product] * quantity, 2),
        }
    )
    return _number_orders(frame, random)


def _number_orders(frame: Frame, random: Random) -> Frame:
    """Order numbers in the order of time, as shops count them."""
    placed = frame.groupby("order_no")["placed_at"].first().rank(method="first").astype(int)
    number = frame["order_no"].map(placed) + int(random.integers(1_000, 90_000))
    prefix = str(random.choice(["", "#", "ORD-", "R"]))
    return frame.assign(order_no=prefix + number.astype(str))


def _name_customers(random: Random, n: int) -> np.ndarray[Any, Any]:
    """Ids as shops have them; among them honest ones that look like no customer, or alike."""
    number = random.permutation(n)
    style = random.choice(["number", "padded", "code", "email", "base62", "prefixed"])
    if style == "number":
        return np.asarray(number.astype(str), dtype=object)  # 0 is a customer here
    if style == "padded":
        return np.array([f"{k + 17:06d}" for k in number], dtype=object)
    if style == "email":
        return np.array([f"buyer{k}@example.org" for k in number], dtype=object)
    if style == "base62":
        signs = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
        drawn = {"".join(random.choice(signs, 9)) for _ in range(n + 5)}
        return np.array(sorted(drawn)[:n], dtype=object)
    if style == "prefixed":
        return np.array([f"CUST-{k}" for k in number], dtype=object)
    return np.array([f"{random.integers(10**7, 10**8)}-{k}" for k in number], dtype=object)


def _few_lines(random: Random, mean: float) -> Callable[[int], np.ndarray[Any, Any]]:
    return lambda n: np.asarray(1 + random.poisson(mean, n))


def _one_line(n: int) -> np.ndarray[Any, Any]:
    return np.ones(n, dtype=np.int64)


def _draw_rates(random: Random, n: int, mean: float, shape: float = 0.8) -> np.ndarray[Any, Any]:
    return np.asarray(1 + random.poisson(random.gamma(shape, mean / shape, n)))


def _single_line(random: Random) -> Frame:
    n = int(random.integers(150, 500))
    return _draw_lines(random, _draw_rates(random, n, 2.0), days=500, lines=_one_line)


def _b2b(random: Random) -> Frame:
    """A wholesaler: few customers, some of them very large, long orders of heavy amounts."""
    n = int(random.integers(20, 70))
    orders = np.minimum((2 + random.pareto(1.1, n) * 6).astype(int), 350)
    frame = _draw_lines(
        random, orders, days=700, lines=_few_lines(random, 5.0), price=180.0, spread=1.2
    )
    if random.random() < 0.5:
        names = ("Guest House Ltd", "Total Energies", "Test Labs GmbH", "Anonymous Coffee")
        ids = frame["customer"].unique()
        frame["customer"] = frame["customer"].replace(dict(zip(ids[-4:], names, strict=False)))
    return frame


def _one_off(random: Random) -> Frame:
    n = int(random.integers(250, 700))
    orders = 1 + (random.random(n) < random.uniform(0.0, 0.08))
    return _draw_lines(random, orders, days=400, lines=_few_lines(random, 0.7), price=120.0)


def _subscription(random: Random) -> Frame:
    """The same amount each month; one of three plans."""
    n = int(random.integers(80, 300))
    plan = random.choice([9.99, 19.99, 49.0], n, p=[0.5, 0.35, 0.15])
    begin = random.integers(0, 400, n)
    months = np.minimum(1 + random.geometric(0.12, n), (560 - begin) // 30)
    owner = np.repeat(np.arange(n), months)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(months) - months, months)
    day = begin[owner] + 30 * step
    frame = pd.DataFrame(
        {
            "customer": _name_customers(random, n)[owner],
            "placed_at": pd.Timestamp("2023-02-01")
            + pd.to_timedelta(day * 86_400 + random.integers(0, 7_200, len(day)), unit="s"),
            "order_no": np.arange(len(owner)),
            "sku": [f"PLAN{int(p)}" for p in plan[owner]],
            "qty": 1,
            "line_total": plan[owner],
        }
    )
    return _number_orders(frame, random)


def _few_customers(random: Random) -> Frame:
    n = int(random.integers(25, 60))
    return _draw_lines(
        random, _draw_rates(random, n, 6.0, 2.0), days=450, lines=_few_lines(random, 1.2)
    )


def _marketplace(random: Random) -> Frame:
    """Many products of many sellers; an order is of one buyer and of several sellers."""
    n = int(random.integers(200, 500))
    frame = _draw_lines(
        random,
        _draw_rates(random, n, 1.5),
        days=500,
        lines=_few_lines(random, 1.0),
        n_products=400,
    )
    seller = pd.util.hash_array(frame["sku"].to_numpy(object)) % 25
    return frame.assign(seller=[f"seller {k}" for k in seller])


def _pos_receipts(random: Random) -> Frame:
    """Receipts of tills: many small lines, regulars, two branches, numbers that tell the day."""
    n = int(random.integers(80, 250))
    frame = _draw_lines(
        random,
        _draw_rates(random, n, 8.0, 1.5),
        days=300,
        lines=_few_lines(random, 1.5),
        price=4.0,
        spread=0.4,
        n_products=40,
    )
    day = frame["placed_at"].dt.strftime("%y%m%d")
    till = frame["order_no"].str[-1].map(lambda sign: "north" if sign in "02468" else "south")
    counter = frame.groupby(day)["order_no"].transform(lambda ids: pd.factorize(ids)[0] + 1)
    return frame.assign(
        order_no=day + "-" + counter.astype(str), branch=till, receipt=counter,
        day=frame["placed_at"].dt.strftime("%Y-%m-%d"),
    )  # fmt: skip


def _returns(random: Random) -> Frame:
    """Fashion: many returns, which carry the number of their order and come weeks later."""
    n = int(random.integers(150, 400))
    frame = _draw_lines(
        random, _draw_rates(random, n, 2.5), days=500, lines=_few_lines(random, 1.3), price=45.0
    )
    back = frame[random.random(len(frame)) < random.uniform(0.1, 0.3)].copy()
    back["placed_at"] += pd.to_timedelta(random.integers(3, 30, len(back)), unit="D")
    back["line_total"] = -back["line_total"]
    back["qty"] = -back["qty"]
    if random.random() < 0.4:
        back["order_no"] = back["order_no"] + "-R"
    return pd.concat([frame, back], ignore_index=True)


def _tickets(random: Random) -> Frame:
    """Each ticket is a line, all of an order at one price: equal lines that are no totals."""
    n = int(random.integers(150, 400))
    frame = _draw_lines(
        random,
        _draw_rates(random, n, 1.5),
        days=450,
        lines=_few_lines(random, 1.0),
        n_products=12,
        price=40.0,
    )
    first = frame.groupby("order_no").transform("first")
    return frame.assign(sku=first["sku"], qty=1, line_total=first["line_total"] / first["qty"])


SHAPES: dict[str, Callable[[Random], Frame]] = {
    "single_line": _single_line,
    "b2b": _b2b,
    "one_off": _one_off,
    "subscription": _subscription,
    "few_customers": _few_customers,
    "marketplace": _marketplace,
    "pos_receipts": _pos_receipts,
    "returns": _returns,
    "tickets": _tickets,
}


def _add_other_columns(lines: Frame, random: Random) -> Frame:
    """What exports have besides: an e-mail per customer, a status of sales alone, one currency."""
    order = pd.factorize(lines["order_no"])[0]
    if random.random() < 0.7:
        lines["email"] = _name_persons(lines)
    if random.random() < 0.7:
        name, values = GOOD_STATUS[random.integers(len(GOOD_STATUS))]
        drawn = random.choice(values, order.max() + 1, p=(0.8, 0.15, 0.05))
        lines[name] = drawn[order]
    if random.random() < 0.6:
        name = str(random.choice(["currency", "Währung", "order_currency", "devise"]))
        lines[name] = str(random.choice(["EUR", "USD", "GBP"]))
    for name, values in HARMLESS:
        if random.random() < 0.4:
            lines[name] = random.choice(values, order.max() + 1)[order]
    return lines


def _roughen(lines: Frame, random: Random) -> Frame:
    """What no export is free of: lines of nobody, blank cells, spaces, a line that stands twice."""
    nobody = random.random(len(lines)) < random.choice([0.0, 0.01, 0.1])
    lines["customer"] = lines["customer"].where(~nobody, "")
    if "email" in lines:
        blank = random.random(len(lines)) < random.choice([0.0, 0.2])
        lines["email"] = lines["email"].where(~blank, "")
    if random.random() < 0.3:
        spaced = random.random(len(lines)) < 0.05
        lines["customer"] = lines["customer"].where(~spaced, lines["customer"] + " ")
    twice: Frame = lines[random.random(len(lines)) < random.choice([0.0, 0.004])]
    return pd.concat([lines, twice], ignore_index=True)


def _name_persons(lines: Frame) -> list[str]:
    return [f"person{k}@mail.example" for k in pd.factorize(lines["customer"].str.strip())[0]]


def _cut_into_parts(lines: Frame, random: Random) -> dict[str, Frame]:
    """Monthly files, or parts of one size that may cut an order in two."""
    if random.random() < 0.5:
        month = lines["placed_at"].dt.strftime("%Y-%m")
        return {str(name): part for name, part in lines.groupby(month)}
    size = len(lines) // int(random.integers(2, 6)) + 1
    return {
        f"part-{k:02d}": lines[k * size : (k + 1) * size] for k in range(-(-len(lines) // size))
    }


# faults


def _change(shop: Export, change: Callable[[Frame], Frame], **mend: Any) -> Export:
    """The shop with all of its lines changed, in one file."""
    return replace(shop, files={"orders": change(_join_files(shop))}, mend=mend)


def _join_files(shop: Export) -> Frame:
    return pd.concat(shop.files.values(), ignore_index=True)


def _draw_share(values: pd.Series[Any], share: float, random: Random) -> np.ndarray[Any, Any]:
    """The lines of a share of the distinct values, of one at least."""
    distinct = values.unique()
    n = max(1, round(share * len(distinct)))
    return np.asarray(values.isin(random.choice(distinct, n, replace=False)))


def _map_column(shop: Export, ours: str, theirs: str) -> Export:
    columns = {**shop.orders["columns"], ours: theirs}
    return replace(shop, orders={**shop.orders, "columns": columns})


def _put_totals_on_lines(shop: Export, random: Random) -> Export:
    shipping = float(random.choice([0.0, 4.9]))

    def change(lines: Frame) -> Frame:
        bought = lines["line_total"].where(lines["line_total"] > 0, 0.0)
        total = bought.groupby(lines["order_no"]).transform("sum") + shipping
        return lines.assign(
            line_total=total.where(lines["line_total"] > 0, lines["line_total"]).round(2)
        )

    return _change(_map_column(shop, "order_id", "order_no"), change, amount_per="order")


RETURN_VALUES = (
    ("Type", "Sale", "Return"),
    ("transaction_type", "sale", "refund"),
    ("Vorgang", "Verkauf", "Retoure"),
    ("Belegart", "Rechnung", "Gutschrift"),
    ("tipo", "venta", "devolución"),
    ("type", "vente", "remboursement"),
)


def _draw_returns(lines: Frame, random: Random) -> Frame:
    """Lines that give back some of those bought, a few days later, with amounts as they were."""
    bought = lines[(lines["line_total"] > 0) & (lines["customer"].str.strip() != "")]
    back = bought.sample(
        max(8, round(0.06 * len(bought))), random_state=int(random.integers(2**31))
    )
    days = pd.to_timedelta(random.integers(2, 20, len(back)), unit="D")
    return back.assign(placed_at=back["placed_at"] + days, order_no=back["order_no"] + "-R")


def _count_returns_as_sales(shop: Export, random: Random) -> Export:
    name, sale, back = RETURN_VALUES[random.integers(len(RETURN_VALUES))]

    def change(lines: Frame) -> Frame:
        given_back = _draw_returns(lines, random).assign(**{name: back})
        return pd.concat([lines.assign(**{name: sale}), given_back], ignore_index=True)

    return _change(shop, change, returns={name: [back]})


def _count_negative_quantities_as_sales(shop: Export, random: Random) -> Export:
    def change(lines: Frame) -> Frame:
        given_back = _draw_returns(lines, random)
        given_back = given_back.assign(qty=-given_back["qty"].abs())
        return pd.concat([lines, given_back], ignore_index=True)

    columns = {**shop.orders["columns"], "amount": "line_total * sign(qty)"}
    return _change(shop, change, columns=columns)


def _send_refunds_in_own_name(shop: Export, random: Random) -> Export:
    """A payment service: the shop itself sends refunds, and names the payment they give back."""

    def change(lines: Frame) -> Frame:
        given_back = _draw_returns(lines, random)
        given_back = given_back.assign(
            reference=given_back["order_no"].str.removesuffix("-R"),
            customer="shop@own.example",
            line_total=-given_back["line_total"].abs(),
        )
        return pd.concat([lines.assign(reference=""), given_back], ignore_index=True)

    mapped = _map_column(shop, "order_id", "order_no")
    return _change(mapped, change, return_columns={"order_id": "reference"})


def _refund_nobody(shop: Export, random: Random) -> Export:
    """A shop's own refund rows: they name the order they give back, and no customer."""

    def change(lines: Frame) -> Frame:
        given_back = _draw_returns(lines, random)
        given_back = given_back.assign(
            parent_id=given_back["order_no"].str.removesuffix("-R"),
            customer="",
            line_total=-given_back["line_total"].abs(),
        )
        if "email" in given_back:
            given_back["email"] = ""
        return pd.concat([lines.assign(parent_id=""), given_back], ignore_index=True)

    return _change(_map_column(shop, "order_id", "order_no"), change)


def _leave_unpaid_in(shop: Export, random: Random) -> Export:
    """Orders that were never paid, as a column of yes and no says."""
    name = ("paid", "is_paid", "bezahlt", "Pagado")[random.integers(4)]
    yes, no = (("true", "false"), ("1", "0"), ("yes", "no"), ("ja", "nein"))[random.integers(4)]
    share = random.uniform(0.003, 0.25)

    def change(lines: Frame) -> Frame:
        chosen = _draw_share(lines["order_no"], share, random)
        return lines.assign(**{name: np.where(chosen, no, yes)})

    return _change(shop, change, **{"except": {name: [no]}})


def _join_payments(shop: Export, random: Random) -> Export:
    """Lines joined with the payments of their order: an order paid in two parts has each twice."""
    name, first, second = (
        ("payment_method", "voucher", "card"),
        ("Zahlart", "Gutschein", "Rechnung"),
        ("payment_sequential", "1", "2"),
        ("tracking_number", "A", "B"),
    )[random.integers(4)]
    share = random.uniform(0.05, 0.3)

    def change(lines: Frame) -> Frame:
        several = lines.groupby("order_no")["line_total"].transform("size") > 1
        split = _draw_share(lines.loc[several, "order_no"], share, random)
        again = lines[several][split]
        first_parts = lines.assign(**{name: first if name != "tracking_number" else "A0"})
        return pd.concat([first_parts, again.assign(**{name: second})], ignore_index=True)

    mend = {"only": {name: [first]}} if name == "payment_sequential" else {}
    return _change(_map_column(shop, "order_id", "order_no"), change, **mend)


def _deduct_order_discounts_on_each_line(shop: Export, random: Random) -> Export:
    """A discount or a fee of the whole order on each of its lines, in the amount of each."""
    name, sign = (("order_discount", "-"), ("Versandkosten", "+"), ("shipping", "+"))[
        random.integers(3)
    ]

    def change(lines: Frame) -> Frame:
        drawn = np.round(random.choice([0.0, 2.5, 4.9, 7.0], lines["order_no"].nunique()), 2)
        return lines.assign(**{name: drawn[pd.factorize(lines["order_no"])[0]]})

    columns = {**shop.orders["columns"], "amount": f"line_total {sign} {name}"}
    orders = {**shop.orders, "columns": {**columns, "order_id": "order_no"}}
    return _change(replace(shop, orders=orders), change)


PLACEHOLDERS = (
    *(
        "0",
        "guest",
        "Guest",
        "anonymous",
        "ANONYMOUS",
        "n.n.",
        "unknown",
        "-1",
        "9999999",
        "walk-in",
    ),
    *("Laufkunde", "Gast", "invité", "cliente generico", "noreply@example.com", "00000000"),
    *("GUEST_CHECKOUT", "guest@shop.example", "Unknown customer", "cash", "(not set)", "99999"),
)


def _add_placeholder(shop: Export, random: Random) -> Export:
    label = str(random.choice(PLACEHOLDERS))
    share = random.uniform(0.01, 0.4)

    def change(lines: Frame) -> Frame:
        chosen = _draw_share(lines["order_no"], share, random)
        return lines.assign(customer=lines["customer"].where(~chosen, label))

    return _change(shop, change, no_customer=[label])


def _add_shared_id(shop: Export, random: Random) -> Export:
    """An id that looks like any other and holds the orders of many people."""
    share = random.uniform(0.12, 0.5)
    label = str(_join_files(shop)["customer"].max())

    def change(lines: Frame) -> Frame:
        chosen = _draw_share(lines["order_no"], share, random)
        return lines.assign(customer=lines["customer"].where(~chosen, label))

    return _change(shop, change, no_customer=[label])


def _restart_daily(shop: Export, random: Random) -> Export:
    def change(lines: Frame) -> Frame:
        day = lines["placed_at"].dt.strftime("%Y-%m-%d")
        number = lines.groupby(day)["order_no"].transform(lambda ids: pd.factorize(ids)[0] + 1)
        return lines.assign(order_no=number, day=day)

    mended = {**COLUMNS, "order_id": ["order_no", "day"]}
    mended = {k: v for k, v in mended.items() if k in (*shop.orders["columns"], "order_id")}
    return _change(_map_column(shop, "order_id", "order_no"), change, columns=mended)


def _reuse_numbers(shop: Export, random: Random) -> Export:
    """Two or more branches, or years, that number their orders alike."""
    branches = int(random.integers(2, 5))

    def change(lines: Frame) -> Frame:
        order = pd.factorize(lines["order_no"])[0]
        per_branch = -(-(order.max() + 1) // branches)
        branch = np.char.add("branch ", (order // per_branch).astype(str))
        return lines.assign(order_no=1_000 + order % per_branch, place=branch)

    mended = {**COLUMNS, "order_id": ["order_no", "place"]}
    mended = {k: v for k, v in mended.items() if k in (*shop.orders["columns"], "order_id")}
    return _change(_map_column(shop, "order_id", "order_no"), change, columns=mended)


def _number_contracts(shop: Export, random: Random) -> Export:
    """The order number is the customer's contract: all of a customer's orders have the same."""

    def change(lines: Frame) -> Frame:
        contract = "V" + pd.Series(pd.factorize(lines["customer"])[0] + 300).astype(str)
        return lines.assign(order_no=contract)

    mended = {k: v for k, v in shop.orders["columns"].items() if k != "order_id"}
    return _change(_map_column(shop, "order_id", "order_no"), change, columns=mended)


def _keep_first_order_no(shop: Export, random: Random) -> Export:
    def change(lines: Frame) -> Frame:
        lines = lines.sort_values(["placed_at", "order_no"], kind="stable", ignore_index=True)
        follows = lines["order_no"].duplicated() & (lines["line_total"] > 0)
        return lines.assign(order_no=lines["order_no"].where(~follows, ""))

    mended = {k: v for k, v in shop.orders["columns"].items() if k != "order_id"}
    return _change(_map_column(shop, "order_id", "order_no"), change, columns=mended)


def _keep_first_cells(shop: Export, random: Random) -> Export:
    """Customer, day and number of an order stand on its first line; its other lines go on below."""

    def change(lines: Frame) -> Frame:
        lines = lines.sort_values(["placed_at", "order_no"], kind="stable", ignore_index=True)
        follows = lines["order_no"].duplicated() & (lines["line_total"] > 0)
        cells = ["order_no", "customer"]
        return lines.assign(**{name: lines[name].where(~follows, "") for name in cells})

    return _change(_map_column(shop, "order_id", "order_no"), change)


def _leave_no_sales_in(shop: Export, random: Random) -> Export:
    name = str(random.choice(list(NO_SALE)))
    share = random.uniform(0.003, 0.25)
    good = dict(GOOD_STATUS)[name][0]
    bad = list(random.choice(NO_SALE[name], random.integers(1, 3), replace=False))

    def change(lines: Frame) -> Frame:
        chosen = _draw_share(lines["order_no"], share, random)
        usual = lines[name] if name in lines else pd.Series(good, index=lines.index)
        order = pd.factorize(lines["order_no"])[0]
        drawn = pd.Series(random.choice(bad, order.max() + 1)[order], index=lines.index)
        return lines.assign(**{name: usual.where(~chosen, drawn)})

    return _change(shop, change, **{"except": {name: [str(value) for value in bad]}})


def _add_currency_column(shop: Export, random: Random) -> Export:
    name = str(random.choice(["currency", "Währung", "order_currency", "Devise", "cur"]))
    other, factor = (("USD", 1.1), ("JPY", 160.0), ("PLN", 4.3), ("GBP", 0.85))[random.integers(4)]
    share = random.uniform(0.005, 0.5)

    def change(lines: Frame) -> Frame:
        chosen = _draw_share(lines["order_no"], share, random)
        amount = lines["line_total"].where(~chosen, (lines["line_total"] * factor).round(2))
        code = np.where(chosen, other, "EUR")
        known = [c for c in ("currency", "Währung", "order_currency", "devise") if c in lines]
        changed: dict[str, Any] = {"line_total": amount, name: code}
        return lines.drop(columns=known).assign(**changed)

    return _change(shop, change, currency_column=name, currency="EUR")


def _write_signs(shop: Export, random: Random) -> Export:
    signs = [("€{}", "${}", "£{}"), ("{} €", "{} £", "{} $"), ("${}", "€{}", "¥{}")]
    return _write_amounts(shop, random, signs[random.integers(3)])


def _write_codes(shop: Export, random: Random) -> Export:
    codes = [("EUR {}", "USD {}", "CHF {}"), ("{} EUR", "{} JPY", "{} GBP")]
    return _write_amounts(shop, random, codes[random.integers(2)])


def _write_amounts(shop: Export, random: Random, forms: tuple[str, ...]) -> Export:
    shares = (0.0, random.uniform(0.005, 0.3), random.uniform(0.0, 0.1))

    def change(lines: Frame) -> Frame:
        text = lines["line_total"].map(lambda amount: f"{amount:.2f}")
        written = text.map(forms[0].format)
        for form, share in zip(forms[1:], shares[1:], strict=True):
            chosen = _draw_share(lines["order_no"], share, random)
            written = written.where(~chosen, text.map(form.format))
        return lines.assign(line_total=written)

    changed = _change(shop, change)
    return replace(changed, orders={**changed.orders, "format": {"decimal": "."}}, mend={})


def _write_ids(
    shop: Export, random: Random, ids: Callable[[int], str], form: Callable[[str], str], **mend: Any
) -> Export:
    """Ids of one style; on a share of the orders they stand in another form."""
    share = random.uniform(0.02, 0.4)

    def change(lines: Frame) -> Frame:
        plain = pd.Series(pd.factorize(lines["customer"].str.strip())[0]).map(ids)
        plain = plain.where(lines["customer"] != "", "")
        chosen = _draw_share(lines["order_no"], share, random)
        changed = plain.map(lambda text: form(text) if text else text)
        return lines.assign(customer=plain.where(~chosen, changed))

    return _change(shop, change, **mend)


def _mix_case(shop: Export, random: Random) -> Export:
    form = (str.upper, str.capitalize)[random.integers(2)]
    return _write_ids(shop, random, lambda k: f"anna{k}@example.org", form, customer_ids="folded")


def _mix_unicode(shop: Export, random: Random) -> Export:
    forms: tuple[Callable[[str], str], ...] = (
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text + "\u200b",
        lambda text: text.replace(" ", "\u00a0"),
    )
    ids = lambda k: f"josé müller {k}"  # noqa: E731
    return _write_ids(shop, random, ids, forms[random.integers(3)], customer_ids="folded")


def _quote_ids(shop: Export, random: Random) -> Export:
    quote = str(random.choice(['"', "'"]))
    return _write_ids(
        shop,
        random,
        lambda k: f"K{k + 100}",
        lambda text: f"{quote}{text}{quote}",
        customer_ids="folded",
    )


def _lose_zeros(shop: Export, random: Random) -> Export:
    return _write_ids(shop, random, lambda k: f"{k + 123:08d}", lambda text: text.lstrip("0"))


def _write_exponents(shop: Export, random: Random) -> Export:
    return _write_ids(
        shop, random, lambda k: str(490_170_000_000 + 7_919 * k), lambda text: f"{int(text):.5E}"
    )


def _overlap_files(shop: Export, random: Random) -> Export:
    """Two exports whose spans overlap; the status of many orders has changed in between."""
    lines = _join_files(shop).sort_values("placed_at", kind="stable", ignore_index=True)
    span = lines["placed_at"].max() - lines["placed_at"].min()
    overlap = random.uniform(0.015, 0.4)
    begin = lines["placed_at"].min() + span * random.uniform(0.3, 0.6)
    status = pd.Series(np.where(random.random(len(lines)) < 0.7, "processing", "completed"))
    first = lines.assign(status=status)[lines["placed_at"] <= begin + span * overlap]
    second = lines.assign(status="completed")[lines["placed_at"] >= begin]
    mapped = _map_column(shop, "order_id", "order_no")
    files = {"export-1": first, "export-2": second}
    return replace(mapped, files=files, mend={"duplicates": "drop"})


def _number_customers_per_order(shop: Export, random: Random) -> Export:
    name = str(random.choice(["email", "billing_email", "customer_unique_id", "Kunden-E-Mail"]))

    def change(lines: Frame) -> Frame:
        person = pd.Series(_name_persons(lines), index=lines.index)
        if name == "customer_unique_id":
            person = person.str.partition("@")[0]
        per_order = pd.Series(pd.factorize(lines["order_no"])[0] + 70_000, index=lines.index)
        changed = lines.drop(columns="email", errors="ignore")
        return changed.assign(**{name: person, "customer": per_order.astype(str)})

    columns = {**shop.orders["columns"], "customer_id": name}
    return _change(shop, change, columns=columns)


def _add_footer(shop: Export, random: Random) -> Export:
    label = str(random.choice(["Total", "TOTAL", "Summe", "Grand total", "Sum"]))

    def change(lines: Frame) -> Frame:
        last = lines.iloc[-1:].assign(
            customer=label, order_no="", sku="", qty=lines["qty"].sum(),
            line_total=round(lines["line_total"].sum(), 2), placed_at=lines["placed_at"].max(),
        )  # fmt: skip
        return pd.concat([lines.astype({"order_no": object}), last], ignore_index=True)

    return _change(shop, change, no_customer=[label])


_EVERY = tuple(SHAPES)
_SEVERAL_LINES = (
    "b2b",
    "one_off",
    "few_customers",
    "marketplace",
    "pos_receipts",
    "returns",
    "tickets",
)
_REPEAT_BUYERS = tuple(shape for shape in SHAPES if shape != "one_off")
_NO_RETURNS = tuple(shape for shape in SHAPES if shape != "returns")
_SEVERAL_ITEMS = tuple(shape for shape in _SEVERAL_LINES if shape != "tickets")
FAULTS: dict[str, Fault] = {
    "order total on each line": Fault("order totals", _SEVERAL_LINES, _put_totals_on_lines),
    "placeholder id": Fault("shared ids", _EVERY, _add_placeholder),
    # a wholesaler's largest customer may hold half of the orders: nothing in a file tells it apart
    "shared id": Fault(
        "shared ids", tuple(s for s in SHAPES if s not in ("b2b", "few_customers")), _add_shared_id
    ),
    "order ids restart daily": Fault("order ids", _EVERY, _restart_daily),
    "order ids of two branches": Fault("order ids", _EVERY, _reuse_numbers),
    "order ids of contracts": Fault("order ids", _REPEAT_BUYERS, _number_contracts),
    "order id on first lines": Fault("order ids", _SEVERAL_LINES, _keep_first_order_no),
    "order on first lines": Fault("order ids", _SEVERAL_LINES, _keep_first_cells),
    "no sales by status": Fault("status", _EVERY, _leave_no_sales_in),
    "currencies by column": Fault("currencies", _EVERY, _add_currency_column),
    "currencies by sign": Fault("currencies", _EVERY, _write_signs),
    "currencies by code": Fault("currencies", _EVERY, _write_codes),
    "ids in two cases": Fault("similar ids", _REPEAT_BUYERS, _mix_case),
    "ids in two Unicode forms": Fault("similar ids", _REPEAT_BUYERS, _mix_unicode),
    "ids with quotes": Fault("similar ids", _REPEAT_BUYERS, _quote_ids),
    "ids without zeros": Fault("similar ids", _REPEAT_BUYERS, _lose_zeros),
    "ids in E-notation": Fault("similar ids", _EVERY, _write_exponents),
    "overlapping files": Fault("overlapping files", _EVERY, _overlap_files),
    "customer id per order": Fault("customer ids", _REPEAT_BUYERS, _number_customers_per_order),
    "footer with a total": Fault("footer", _EVERY, _add_footer),
    "returns as sales by type": Fault("return lines", _NO_RETURNS, _count_returns_as_sales),
    "returns as sales by quantity": Fault(
        "return lines", _NO_RETURNS, _count_negative_quantities_as_sales
    ),
    "returns in the shop's name": Fault("return lines", _NO_RETURNS, _send_refunds_in_own_name),
    "returns without a customer": Fault("return lines", _NO_RETURNS, _refund_nobody),
    "unpaid orders by a flag": Fault("status", _EVERY, _leave_unpaid_in),
    "lines joined with payments": Fault("joined lines", _SEVERAL_ITEMS, _join_payments),
    "order's discount on each line": Fault(
        "amounts of orders", _SEVERAL_ITEMS, _deduct_order_discounts_on_each_line
    ),
}
