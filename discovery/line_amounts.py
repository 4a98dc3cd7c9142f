"""Which money of an unknown file is the amount, of a unit, a line or an order.

A price that recurs per product whatever the quantity is of one unit; one that recurs once divided
by the quantity is of the line; one that all lines of an order share, or its first alone has, is the
order's total (order_totals.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..configs.layouts import quote_name
from ..orders.columns import Float64, Int64
from .column_profiles import SHARE, ColumnProfile, find_named
from .column_roles import is_flag
from .order_totals import PAID_NAME, Parts, find_parts, find_totals
from .words import rate_name

__all__ = [
    "Amount",
    "find_amount",
    "find_line_cost",
    "is_in_hundredths",
    "may_be_in_hundredths",
    "rate_recurrence",
]

_LEAST_ORDERS = 20  # of several lines, for what holds within them to say something
_LEAST_LINES = 30  # of products sold in several quantities
_LARGE = 1_000  # a usual amount that may be of hundredths
_UNEVEN_SHARE = 0.5  # of them are no multiple of 50
_UNIT_NAME = "unit|each|per.?(piece|item)|einzel|stück|stk|unitari|unitair|pezzo"
_RECURS = 0.35  # of a product's lines have its usual price
_CLEARLY = 0.15  # by which one reading must recur more often than the other


@dataclass(frozen=True)
class Amount:
    """What the amount of a line is, why, and what would be as likely."""

    expression: str | None
    why: str
    per_order: bool = False
    columns: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()  # the quantity and the price of one, whose product it is
    is_paid: bool = False  # it adds up to what was paid: no discount is to be taken off
    choices: dict[str, str] = field(
        default_factory=dict
    )  # where it cannot be told: expression -> meaning


def find_amount(
    columns: dict[str, ColumnProfile],
    order: ColumnProfile | None,
    quantity: ColumnProfile | None,
    product: ColumnProfile | None,
    taken: Sequence[str],
) -> Amount:
    """The money of a line; without an expression, but with choices, where values do not tell it."""
    money = _rate_money(columns, taken)
    if not money:
        return Amount(None, "no column holds money")
    totals = [] if order is None else find_totals(money, order, quantity)
    lines = [c for c in money if c not in totals]
    parts = find_parts(lines, totals[0], order, quantity) if totals and order else None
    if parts is not None and (parts.takes_back or money[0] not in totals):
        return _read_parts(parts, totals[0].name, quantity)
    if totals:
        total = totals[0]
        return Amount(
            total.name, "one value per order, on all its lines or the first: "
            "it is the order's total", True, (total.name,),
        )  # fmt: skip
    return _find_line_amount(lines, quantity, product)


def _read_parts(parts: Parts, total: str, quantity: ColumnProfile | None) -> Amount:
    """The amount of a line, with the lines that take back."""
    name = parts.column.name
    why = f"it adds up to {total} of the order"
    if parts.takes_back:
        why = f"without the lines that take back, {why}"
    is_paid = bool(re.search(PAID_NAME, total.casefold()))
    if not parts.of_unit or quantity is None:
        return Amount(name, why, columns=(name,), is_paid=is_paid)
    factors = (quantity.name, name)
    times = f"{quote_name(quantity.name)} * {quote_name(name)}"
    return Amount(times, f"times {quantity.name} {why}", False, factors, factors, is_paid=is_paid)


def find_line_cost(
    cost: ColumnProfile, columns: dict[str, ColumnProfile]
) -> tuple[str | None, str]:
    """The cost of a line, and why: a unit's is taken times the quantity, else the measured margin
    would be far too high. None where neither name nor values tell, and the cost of units.
    """
    quantity = next(
        (c for c in find_named(columns, "quantity", ()) if c.is_number and c.is_whole), None
    )
    if quantity is None or np.nanmax(np.abs(quantity.numbers), initial=0.0) <= 1:
        return cost.name, "money"
    times = f"{quote_name(quantity.name)} * {quote_name(cost.name)}"
    if re.search(_UNIT_NAME, cost.name.casefold()):
        return times, "the name says that it is of one unit"
    products = [c for c in find_named(columns, "product", ()) if not c.is_number or c.is_whole]
    rates = rate_recurrence(cost.numbers, quantity.numbers, products[0].codes) if products else None
    if rates is not None and rates[0] >= _RECURS and rates[0] > rates[1] + _CLEARLY:
        return times, f"it recurs per {products[0].name} whatever {quantity.name} is: of one unit"
    if rates is not None and rates[1] >= _RECURS and rates[1] > rates[0] + _CLEARLY:
        return cost.name, f"divided by {quantity.name} it recurs: of the line"
    return None, times


def _rate_money(columns: dict[str, ColumnProfile], taken: Sequence[str]) -> list[ColumnProfile]:
    """Columns that may hold the amount, the likeliest name first."""
    rated = []
    for name, column in columns.items():
        rate = rate_name(name, "amount")
        if name in taken or rate < 0 or not column.is_number or column.date is not None:
            continue
        if (rate == 0 and (column.is_whole or column.distinct < 10)) or is_flag(column):
            continue
        varies = column.distinct > 1 or len(column.values) < 3
        if (
            any(rate_name(name, other) >= 2 for other in ("discount", "cost", "refund"))
            or not varies
        ):
            continue
        rated.append((rate + _rate_total(name), column))
    return [column for _, column in sorted(rated, key=lambda r: -r[0])]


def _rate_total(name: str) -> float:
    """Among names of money, those of what was paid come first."""
    plain = name.casefold()
    if re.search("sub.?total|zwischensumme|sous.?total", plain):
        return -0.5
    if re.search(PAID_NAME, plain):
        return 0.6
    if re.search("total|gesamt|summe|paid|paye|合計|总", plain):
        return 0.4
    is_less = re.search("unit|einzel|stück|net|before|list|compare", plain)
    return -0.5 if is_less else 0.0


def is_in_hundredths(column: ColumnProfile) -> bool:
    """Whether the name says that amounts are in cents, and all of them are whole."""
    words = "cents?|minor(.?units?)?|pence|centimes|centavos|céntimos|grosz[ey]|kuruş"
    says_so = re.search(rf"(^|[^a-z])({words})($|[^a-z])", column.name.casefold())
    return bool(says_so and column.is_whole)


def may_be_in_hundredths(column: ColumnProfile) -> bool:
    """Whether all amounts are whole and large, and few are round: 1999 may be 19.99."""
    size = np.abs(column.numbers[np.isfinite(column.numbers)])
    if not column.is_whole or column.distinct < _LEAST_ORDERS or np.median(size) < _LARGE:
        return False
    return bool((size % 50 != 0).mean() > _UNEVEN_SHARE)


def _find_line_amount(
    money: Sequence[ColumnProfile], quantity: ColumnProfile | None, product: ColumnProfile | None
) -> Amount:
    best = money[0]
    name = best.name
    if quantity is None:
        return Amount(name, "money, one amount per line", columns=(best.name,))
    q = quantity.numbers
    if np.nanmax(np.abs(np.where(np.isfinite(q), q, np.nan))) <= 1:
        return Amount(name, f"{quantity.name} is never above 1", columns=(best.name,))
    for column in money:
        for unit in money:
            if column is not unit and _is_product(column.numbers, unit.numbers, q):
                return Amount(
                    column.name,
                    f"it is {unit.name} times {quantity.name}",
                    columns=(column.name,),
                    factors=(quantity.name, unit.name),
                )
    times = f"{quote_name(quantity.name)} * {quote_name(best.name)}"
    rates = rate_recurrence(best.numbers, q, product.codes) if product is not None else None
    if rates is not None:
        unit_rate, line_rate = rates
        if line_rate >= _RECURS and line_rate > unit_rate + _CLEARLY:
            why = f"divided by {quantity.name} it recurs per {product.name if product else ''} "
            return Amount(
                name,
                f"{why}({line_rate:.0%} of lines): it is of the whole line",
                columns=(best.name,),
            )
        if unit_rate >= _RECURS and unit_rate > line_rate + _CLEARLY:
            why = f"it recurs per {product.name if product else ''} whatever {quantity.name} is "
            columns = (quantity.name, best.name)
            why += f"({unit_rate:.0%} of lines): it is of one unit"
            return Amount(times, why, columns=columns, factors=columns)
    return Amount(
        None,
        f"the values do not tell whether {best.name} is of one unit or of the whole line",
        columns=(best.name,),
        choices={name: "it is of the whole line", times: "it is of one unit"},
    )


def _is_product(total: Float64, unit: Float64, quantity: Float64) -> bool:
    """Whether one column is another times the quantity, to the cent, and not just the same."""
    usable = np.isfinite(total) & np.isfinite(unit) & np.isfinite(quantity)
    if usable.sum() < _LEAST_LINES or np.isclose(total[usable], unit[usable]).all():
        return False
    differs = usable & (np.abs(quantity) != 1)
    if not differs.any():
        return False
    product = np.abs(unit * quantity)[differs]  # returns may have the sign in the quantity alone
    return bool(np.isclose(np.abs(total[differs]), product, atol=0.011).mean() >= SHARE)


def rate_recurrence(
    money: Float64, quantity: Float64, product: Int64
) -> tuple[float, float] | None:
    """How often a product's usual amount recurs: as it stands, and divided by the quantity.

    Of lines of products that were sold in several quantities; None where these are too few.
    """
    usable = np.isfinite(money) & np.isfinite(quantity) & (quantity != 0) & (product >= 0)
    lines = pd.DataFrame(
        {
            "product": product[usable],
            "quantity": np.abs(quantity[usable]),
            "unit": np.round(np.abs(money[usable]), 2),
            "line": np.round(np.abs(money[usable] / quantity[usable]), 2),
        }
    )
    several = lines.groupby("product")["quantity"].transform("nunique") > 1
    lines = lines[several]
    if len(lines) < _LEAST_LINES:
        return None
    rates = []
    for column in ("unit", "line"):
        # among one product's lines of one quantity any reading recurs: compare across quantities
        usual = lines.groupby("product")[column].agg(lambda v: v.mode().iloc[0])
        rates.append(float((lines[column] == lines["product"].map(usual)).mean()))
    return rates[0], rates[1]
