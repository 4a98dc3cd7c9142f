"""Which column of an unknown file is the customer, the time, the order and the money.

Names suggest (words.py), values decide: ids repeat, instants parse, an order has one customer, a price that
recurs per product whatever the quantity is of one unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from ...configs.layouts import quote_name
from ..columns import Float64, Int64, Mask
from .cell_formats import (
    DateFormat,
    guess_date_format,
    is_spreadsheet_days,
    is_time_of_day,
    parse_numbers,
)
from .words import is_no_customer, is_no_sale, rate_name

__all__ = [
    "Amount",
    "ColumnProfile",
    "choose_customer",
    "choose_date",
    "choose_order",
    "find_amount",
    "find_currency",
    "find_named",
    "find_refund",
    "find_statuses",
    "list_no_sales",
    "profile_columns",
    "rate_recurrence",
]  # fmt: skip

_SHARE = 0.98  # of cells that must be as their column's role asks
_LEAST_DATED = 0.2  # of lines have a time; it may stand on the first of an order alone
_MOST_STATUSES = 30
_YES = frozenset(("true", "yes", "y", "1", "t", "ja", "oui", "si", "sí", "是"))
_NO = frozenset(("false", "no", "n", "0", "f", "nein", "non", "否"))
_LEAST_ORDERS = 20  # of several lines, for what holds within them to say something
_LEAST_LINES = 30  # of products sold in several quantities
_RECURS = 0.35  # of a product's lines have its usual price
_CLEARLY = 0.15  # by which one reading must recur more often than the other
_CURRENCIES = frozenset(
    [
        "AED",
        "ARS",
        "AUD",
        "BGN",
        "BRL",
        "CAD",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CZK",
        "DKK",
        "EUR",
        "GBP",
        "HKD",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "ISK",
        "JPY",
        "KRW",
        "MXN",
        "MYR",
        "NOK",
        "NZD",
        "PEN",
        "PHP",
        "PLN",
        "RON",
        "RSD",
        "RUB",
        "SAR",
        "SEK",
        "SGD",
        "THB",
        "TRY",
        "TWD",
        "UAH",
        "USD",
        "VND",
        "ZAR",
    ]
)


@dataclass(frozen=True)
class ColumnProfile:
    """A column of a sample, and what its cells are."""

    name: str
    cells: pd.Series[str]  # trimmed, "" for nothing

    @cached_property
    def filled(self) -> Mask:
        """Which cells hold something."""
        return np.asarray(self.cells != "", np.bool_)

    @cached_property
    def values(self) -> list[str]:
        """The cells that hold something."""
        return list(self.cells[self.filled])

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return int(self.cells[self.filled].nunique())

    @cached_property
    def codes(self) -> Int64:
        """A number per value, -1 for nothing."""
        codes = pd.factorize(self.cells)[0]
        return np.asarray(np.where(self.filled, codes, -1), np.int64)

    @cached_property
    def date(self) -> DateFormat | None:
        """How its cells are written as dates, if they are."""
        return guess_date_format(self.values)

    @cached_property
    def is_time(self) -> bool:
        """Whether its cells are times of day alone."""
        return is_time_of_day(self.values)

    @cached_property
    def is_email(self) -> bool:
        """Whether its cells are e-mail addresses."""
        sample = self.values[:500]
        return sum(bool(re.match(r"\S+@\S+$", v)) for v in sample) > 0.8 * len(sample)

    @cached_property
    def decimal(self) -> str | None:
        """The mark its numbers need to be read, or None; see `numbers`."""
        best, share = None, -1.0
        for mark in (None, ".", ","):
            bad = parse_numbers(self.values, mark)[1]
            good = 1 - float(bad.mean()) if len(bad) else 0.0
            if good > share + 0.01:
                best, share = mark, good
        return best

    @cached_property
    def numbers(self) -> Float64:
        """Its cells as numbers, NaN where a cell is none."""
        return parse_numbers(list(self.cells), self.decimal)[0]

    @cached_property
    def is_number(self) -> bool:
        """Whether its cells are numbers."""
        return bool(self.values) and bool(np.isfinite(self.numbers[self.filled]).mean() >= _SHARE)

    @cached_property
    def is_whole(self) -> bool:
        """Whether its numbers have no decimals."""
        numbers = self.numbers[np.isfinite(self.numbers)]
        return bool(np.all(numbers == np.rint(numbers)))


def profile_columns(cells: pd.DataFrame) -> dict[str, ColumnProfile]:
    """Each column of a sample that holds anything."""
    columns = {name: ColumnProfile(str(name), cells[name]) for name in cells.columns}
    return {name: column for name, column in columns.items() if column.filled.any()}


def find_named(
    columns: dict[str, ColumnProfile], role: str, taken: Sequence[str] = ()
) -> list[ColumnProfile]:
    """Columns whose names suggest a role, the likeliest first."""
    rated = [
        (rate_name(name, role), column) for name, column in columns.items() if name not in taken
    ]
    return [column for rate, column in sorted(rated, key=lambda r: -r[0]) if rate > 0]


def choose_date(
    columns: dict[str, ColumnProfile],
) -> tuple[ColumnProfile, ColumnProfile | None, list[str]] | None:
    """The column of order times, a column with the time of day if that stands apart, and other dates."""
    rated = []
    for name, column in columns.items():
        rate = rate_name(name, "ordered_at")
        is_date = column.filled.mean() > _LEAST_DATED and (
            column.date is not None or (rate > 0 and is_spreadsheet_days(column.values))
        )
        if is_date:  # a number without such a name is the last that is taken
            doubt = 2 if column.is_number and rate <= 0 else 0
            rated.append((rate + column.filled.mean() - doubt, _tells_time(column), column))
    if not rated:
        return None
    best = max(rated, key=lambda r: (round(r[0], 2), r[1]))
    others = [column.name for _, _, column in rated if column is not best[2]]
    time = None
    if not best[1]:
        times = [c for c in columns.values() if c.is_time and c.filled.mean() > _SHARE]
        time = next(iter(sorted(times, key=lambda c: -rate_name(c.name, "time"))), None)
    return best[2], time, others


def _tells_time(column: ColumnProfile) -> bool:
    return any(":" in value for value in column.values[:20]) or bool(
        column.date and str(column.date.date_format).startswith("unix")
    )


def choose_order(
    columns: dict[str, ColumnProfile], date: ColumnProfile, taken: Sequence[str]
) -> tuple[ColumnProfile | None, str]:
    """The column of order ids and why; a name that suggests one is not enough if ids restart."""
    for column in find_named(columns, "order_id", taken):
        if (
            column.filled.mean() < 0.9
            or column.distinct < 2
            or (column.date is not None and not column.is_number)
        ):
            continue
        lines = column.filled.sum()
        days = (
            date.cells.str.slice(0, 10)
            if date.date and date.date.date_format is None
            else date.cells
        )
        dated = column.filled & date.filled
        per_id = days[dated].groupby(column.cells[dated]).nunique()
        several = float((per_id > 1).mean())
        if several > 0.1:
            return column, f"restarts: {several:.0%} of its values stand on several days"
        if column.distinct < lines:
            return column, f"{lines / column.distinct:.1f} lines each, of one day"
        return column, "another one on each line"
    return None, ""


def choose_customer(
    columns: dict[str, ColumnProfile], order: ColumnProfile | None, taken: Sequence[str]
) -> list[tuple[float, ColumnProfile]]:
    """Columns that may hold the customer, best first, each with its score.

    A customer orders again: ids that are another one on each order are none. One person has one customer id,
    so of several columns that repeat, those with few blanks are better.
    """
    n_lines = len(next(iter(columns.values())).cells)
    n_orders = order.distinct if order is not None else n_lines
    rated = []
    for name, column in columns.items():
        if name in taken or column is order:
            continue
        rate = max(
            rate_name(name, "customer"), rate_name(name, "email"), 1.0 if column.is_email else 0
        )
        if rate <= 0 or column.distinct < 2 or column.is_time:
            continue
        if column.is_number and not column.is_whole and rate < 3:
            continue
        orders_each = min(n_orders, int(column.filled.sum())) / column.distinct
        repeats = min(1.0, orders_each - 1)
        top = column.cells[column.filled].value_counts(normalize=True)
        nobody = sum(share for value, share in top.head(3).items() if is_no_customer(str(value)))
        is_of_order = n_orders > _LEAST_ORDERS and column.distinct >= _SHARE * n_orders
        score = rate + 2 * repeats + 2 * float(column.filled.mean()) - 8 * float(nobody)
        score -= 2 if is_of_order else 0
        rated.append((score - (2 if top.iloc[0] > 0.5 else 0), column))
    return sorted(rated, key=lambda r: -r[0])


def find_statuses(
    columns: dict[str, ColumnProfile], taken: Sequence[str]
) -> list[tuple[ColumnProfile, dict[str, int]]]:
    """Columns with few values of which some sound like no sale, and how many lines have which value.

    Flags such as `cancelled: yes` are among them.
    """
    found = []
    for name, column in columns.items():
        flags = {value.lower() for value in column.values[:5_000]} if is_no_sale(name) else set()
        if flags and flags <= _YES | _NO and flags & _NO and name not in taken:
            counts = {str(v): int(n) for v, n in column.cells[column.filled].value_counts().items()}
            found.append((column, counts))
            continue
        is_text = column.values and not column.is_number and not column.is_email
        if name in taken or not is_text or column.distinct > _MOST_STATUSES:
            continue
        counts = {str(v): int(n) for v, n in column.cells[column.filled].value_counts().items()}
        is_named = rate_name(name, "status") > 0
        if is_named or (any(map(is_no_sale, counts)) and column.distinct < len(column.values) / 2):
            found.append((column, counts))
    return sorted(found, key=lambda f: -rate_name(f[0].name, "status"))


def list_no_sales(column: ColumnProfile, counts: Mapping[str, int]) -> list[str]:
    """The values of a status, or of a flag such as `cancelled`, that sound like no sale."""
    if is_no_sale(column.name) and all(value.lower() in _YES | _NO for value in counts):
        return [value for value in counts if value.lower() in _YES]
    return [value for value in counts if is_no_sale(value)]


def find_currency(columns: dict[str, ColumnProfile]) -> ColumnProfile | None:
    """The column of three-letter currency codes."""
    found = [
        c for c in columns.values()
        if c.distinct <= 40 and {v.upper() for v in c.values[:5_000]} <= _CURRENCIES
    ]  # fmt: skip
    return max(found, key=lambda c: rate_name(c.name, "currency"), default=None)


def find_refund(columns: dict[str, ColumnProfile], taken: Sequence[str]) -> ColumnProfile | None:
    """The column with the money that was given back."""
    for column in find_named(columns, "refund", taken):
        if column.is_number and rate_name(column.name, "refund") >= 2 and column.distinct > 1:
            return column
    return None


@dataclass(frozen=True)
class Amount:
    """What the amount of a line is, why, and what would be as likely."""

    expression: str | None
    why: str
    per_order: bool = False
    columns: tuple[str, ...] = ()
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
    """The money of a line; asked for (no expression, but choices) where values do not tell what a column is."""
    money = _rate_money(columns, taken)
    if not money:
        return Amount(None, "no column holds money")
    totals = [c for c in money if order is not None and is_order_total(c, order)]
    lines = [c for c in money if c not in totals]
    best = money[0]
    if totals and (best in totals or _adds_up(lines, totals[0], order, quantity) is None):
        total = totals[0]
        return Amount(
            total.name, "one value per order, on all its lines or the first: "
            "it is the order's total", True, (total.name,),
        )  # fmt: skip
    return _find_line_amount(lines, quantity, product)


def _rate_money(columns: dict[str, ColumnProfile], taken: Sequence[str]) -> list[ColumnProfile]:
    """Columns that may hold the amount, the likeliest name first."""
    rated = []
    for name, column in columns.items():
        rate = rate_name(name, "amount")
        if name in taken or rate < 0 or not column.is_number or column.date is not None:
            continue
        if rate == 0 and (column.is_whole or column.distinct < 10):
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
    if re.search("grand|order.?total|gesamtbetrag|total.?ttc|实付|請求", plain):
        return 0.6
    if re.search("total|gesamt|summe|paid|paye|合計|总", plain):
        return 0.4
    return -0.5 if re.search("unit|einzel|stück|sub.?total|net|before|list|compare", plain) else 0.0


def is_order_total(column: ColumnProfile, order: ColumnProfile) -> bool:
    """Whether all lines of an order have one value, or its first line alone has one."""
    lines = pd.DataFrame({"order": order.cells, "value": column.cells})[order.filled]
    groups = lines.groupby("order", sort=False)["value"]
    several = groups.size() > 1
    if several.sum() < _LEAST_ORDERS:
        return False
    filled = lines[lines["value"] != ""]
    distinct = (
        filled.groupby("order", sort=False)["value"].nunique().reindex(several.index, fill_value=0)
    )
    return bool((distinct[several] == 1).mean() >= _SHARE)


def _adds_up(
    lines: Sequence[ColumnProfile],
    total: ColumnProfile,
    order: ColumnProfile | None,
    quantity: ColumnProfile | None,
) -> ColumnProfile | None:
    """A column of lines, as it is or times the quantity, whose sum per order is the order's total."""
    if order is None:
        return None
    totals = pd.Series(total.numbers).groupby(order.cells).max()
    for column in lines:
        for factor in (1.0, None if quantity is None else quantity.numbers):
            if factor is not None:
                sums = pd.Series(column.numbers * factor).groupby(order.cells).sum()
                if np.isclose(sums, totals, atol=0.011).mean() >= _SHARE:
                    return column
    return None


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
            return Amount(
                times, f"{why}({unit_rate:.0%} of lines): it is of one unit", columns=columns
            )
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
    return bool(np.isclose(total[differs], (unit * quantity)[differs], atol=0.011).mean() >= _SHARE)


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
