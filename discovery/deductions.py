"""What an unknown file takes off its amounts: returns and discounts."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from ..configs.layouts import quote_name
from ..orders.columns import Float64
from .checks.finding import format_signed_amount
from .checks.vocabulary import is_sale
from .column_profiles import ColumnProfile, find_named
from .line_amounts import Amount
from .order_totals import is_of_order
from .proposal import Proposal, quote_flow
from .words import is_no_sale, is_return, is_returned_quantity, rate_name

__all__ = [
    "ask_of_other_money",
    "deduct_discount",
    "find_returns",
    "find_share",
    "follow_quantity",
]

_MOST_VALUES = 30
_POSITIVE_SHARE = 0.5  # of the amounts of returns
_OF_LINES = 0.98  # orders of lines: with more, an order is a line
_FEW_SHARES = 30  # different discounts, where they are shares
_PRICE = 10  # usual price above which a discount below 1 is no money
_PERCENT = re.compile("%|percent|prozent|pct|pourcent|porcent|yüzde|procent")
_CLEARLY = 1.2  # times as often two shares of the unit's price are equal as two of the line's


def find_returns(
    proposal: Proposal, columns: dict[str, ColumnProfile], amount: ColumnProfile, taken: list[str]
) -> None:
    """Lines whose type says return and whose amount is positive: they count as negative.

    A status such as Refund beside Paid may be of an order that was bought: then it asks.
    """
    for column in columns.values():
        if column.name in taken or column.is_number or not 1 < column.distinct <= _MOST_VALUES:
            continue
        adds = column.cells[np.nan_to_num(amount.numbers) > 0].value_counts()
        counts = column.cells[column.filled].value_counts()
        return_values = [
            str(value)
            for value, n in counts.items()
            if is_return(str(value)) and int(adds.get(value, 0)) > _POSITIVE_SHARE * n
        ]
        if not return_values or len(return_values) == len(counts):
            continue
        lines = sum(int(counts[value]) for value in return_values)
        words = " or ".join(return_values)
        says = f"{column.name} is {words} on {lines:,} lines with positive amounts"
        others = [str(value) for value in counts.index if value not in return_values]
        if any(is_sale(value) or is_no_sale(value) for value in others):
            listed = f"{{{quote_flow(column.name)}: [{', '.join(map(quote_flow, return_values))}]}}"
            proposal.ask(
                "returns",
                f"{says}: are they lines of their own, which take money off? (If they are orders "
                f"that were given back, list {' and '.join(return_values)} under except: "
                f"{column.name})",
                (listed, "they take money off"),
            )
        else:
            proposal.choose("returns", {column.name: return_values}, f"{says}: they take money off")
        return


def follow_quantity(
    expression: str,
    amount: ColumnProfile,
    quantity: ColumnProfile | None,
    order: ColumnProfile | None = None,
) -> tuple[str, str]:
    """The amount with the sign of the quantity, where returns have it there alone; and why.

    With an order the amount is its total, and stays where returns stand beside what was bought.
    """
    if quantity is None or amount.name not in (expression, expression.strip("`")):
        return expression, ""
    back = quantity.numbers < 0
    if order is not None and (pd.Series(back).groupby(order.cells).nunique() > 1).any():
        return expression, ""
    wrong = back & (amount.numbers > 0)
    if not wrong.any() or wrong.sum() <= _POSITIVE_SHARE * back.sum():
        return expression, ""
    signed = format_signed_amount(quote_name(amount.name), quote_name(quantity.name))
    return signed, f"; {quantity.name} is negative on {int(wrong.sum()):,} lines: returns"


def deduct_discount(
    proposal: Proposal,
    columns: dict[str, ColumnProfile],
    amount: Amount,
    order: ColumnProfile | None,
    taken: list[str],
) -> tuple[str, str]:
    """A price times a quantity less the discount of the line, or of each unit; and why.

    Asks where the discount is a share, or of the whole order.
    """
    expression = str(amount.expression)
    if len(amount.columns) != 2:
        return expression, ""
    quantity, price = (columns[name] for name in amount.columns)
    for column in find_named(columns, "discount", taken):
        if not column.is_number or not np.nan_to_num(column.numbers).any():
            continue
        name, size = quote_name(column.name), np.abs(column.numbers)
        whole = find_share(column)
        if whole and _PERCENT.search(column.name.casefold()):
            share = f"abs({name} or 0)" + ("" if whole == 1 else " / 100")
            return f"{expression} * (1 - {share})", f"; less {column.name}"
        if whole == 1 and np.nanmedian(np.abs(price.numbers)) >= _PRICE:
            why = f"; {column.name} is never above 1: it is the share of the price taken off"
            return f"{expression} * (1 - abs({name} or 0))", why
        if whole:
            share = f"abs({name} or 0)" + ("" if whole == 1 else " / 100")
            proposal.ask(
                "columns.amount",
                f"{column.name} seems to be a share of the price and is not deducted. If it is:",
                (quote_flow(f"{expression} * (1 - {share})"), f"of {whole}"),
                (quote_flow(f"{expression} - abs({name} or 0)"), "it is money"),
            )
        elif order is not None and is_of_order(column, order):
            proposal.ask(
                "columns.amount",
                f"{column.name} has one value on all lines of an order and is not deducted: it is "
                "of the whole order. Is there a column with the order's total after discounts?",
            )
        elif _is_of_unit(size, quantity, price):
            text = f"{quote_name(quantity.name)} * ({quote_name(price.name)} - abs({name} or 0))"
            return text, f"; less {column.name} of each unit"
        else:
            return f"{expression} - abs({name} or 0)", f"; less {column.name}"
    return expression, ""


def ask_of_other_money(
    proposal: Proposal,
    columns: dict[str, ColumnProfile],
    amount: Amount,
    expression: str,
    order: ColumnProfile | None,
) -> None:
    """Ask about pieces that came back, shipping and discounts that the amount does not contain."""
    is_of_lines = order is not None and order.distinct < _OF_LINES * int(order.filled.sum())
    base = quote_name(expression) if expression in columns else expression
    has_all = amount.per_order or (len(amount.columns) == 1 and not is_of_lines)
    for name, column in columns.items():
        lines = int((np.nan_to_num(column.numbers) != 0).sum()) if column.is_number else 0
        if not lines or re.search(rf"(?<!\w){re.escape(quote_name(name))}(?!\w)", base):
            continue
        term = f"abs({quote_name(name)} or 0)"
        says = f"{name} is filled in on {lines:,} lines and"
        if is_returned_quantity(name) and not amount.per_order:
            text = f"{base} - {term} * {quote_name(amount.factors[1])}" if amount.factors else ""
            proposal.ask(
                "columns.amount",
                f"{says} not deducted. If these pieces are no lines of their own:",
                *([(quote_flow(text), "less what came back")] if text else []),
            )
        elif has_all or is_returned_quantity(name):
            continue
        elif rate_name(name, "shipping") >= 1:
            _ask_of_part(proposal, column, order, says, f"{base} + ({quote_name(name)} or 0)")
        elif len(amount.columns) > 1 or rate_name(name, "discount") < 1:
            continue
        elif not find_share(column) or (order is not None and is_of_order(column, order)):
            _ask_of_part(proposal, column, order, says, f"{base} - {term}")


def _ask_of_part(
    proposal: Proposal, column: ColumnProfile, order: ColumnProfile | None, says: str, text: str
) -> None:
    """Ask about money beside the amounts of lines; that of whole orders has no key."""
    if order is not None and is_of_order(column, order):
        proposal.ask(
            "columns.amount",
            f"{says} not in the amount; it has one value for all lines of an order, which cannot "
            "be added to each. Is there a column with the order's total?",
        )
    else:
        proposal.ask(
            "columns.amount",
            f"{says} not in the amount. If the customer's total has it:",
            (quote_flow(text), "of each line"),
        )


def find_share(column: ColumnProfile) -> int | None:
    """1 or 100 where a discount seems to be a share of one or of a hundred; None for money."""
    size = np.abs(column.numbers[np.isfinite(column.numbers)])
    largest = float(size.max(initial=0))
    is_percent = bool(_PERCENT.search(column.name.casefold()))
    says_so = is_percent or "rate" in column.name.casefold()
    is_few = column.distinct <= _FEW_SHARES
    if is_percent and column.is_whole and largest == 1:  # 1 % on some lines, not all of the price
        return 100
    if 0 < largest <= 1 and (says_so or (is_few and not column.is_whole)):
        return 1
    tells = column.is_whole and is_few and largest <= 100 and bool(np.all(size % 5 == 0))
    return 100 if says_so or (tells and largest > 1) else None


def _is_of_unit(size: Float64, quantity: ColumnProfile, price: ColumnProfile) -> bool:
    """Whether a discount is a usual share of the price of one unit, and not of the line."""
    with np.errstate(all="ignore"):
        share = size / np.abs(price.numbers)
        usable = (size > 0) & (np.abs(quantity.numbers) > 1) & np.isfinite(share)
        of_line = np.round(share / np.abs(quantity.numbers), 2)[usable]
    of_unit = np.round(share, 2)[usable]
    return _rate_equality(of_unit) > _CLEARLY * _rate_equality(of_line)


def _rate_equality(shares: Float64) -> float:
    """How often two of some shares are equal."""
    counts = np.unique(shares, return_counts=True)[1]
    return float((counts**2).sum()) / max(1, len(shares)) ** 2
