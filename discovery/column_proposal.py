"""The columns of a file of no known layout, and the lines that count, by their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..configs.layouts import quote_name
from .book_sides import ask_of_book_sides
from .checks.vocabulary import is_no_customer
from .column_profiles import ColumnProfile, find_named
from .column_roles import (
    choose_customer,
    choose_date,
    choose_order,
    find_currency,
    find_no_sale_dates,
    find_refund,
    find_statuses,
    list_no_sales,
)
from .deductions import (
    ask_of_other_money,
    deduct_discount,
    find_returns,
    find_share,
    follow_quantity,
)
from .line_amounts import (
    find_amount,
    find_line_cost,
    is_in_hundredths,
    may_be_in_hundredths,
)
from .order_totals import is_of_order
from .proposal import Proposal, quote_flow
from .refunded_orders import ask_of_refunded

__all__ = ["propose_columns"]

_NO_HUNDREDTHS = frozenset(("JPY", "KRW", "VND", "CLP", "ISK", "HUF", "IDR", "COP", "PYG", "UGX"))
_LEAST_ORDERS = 20  # of several lines, with the same amount on each
_NOBODY_SHARE = 0.05  # of the lines with one id that sounds like nobody


def propose_columns(proposal: Proposal, columns: dict[str, ColumnProfile]) -> None:
    """The columns of a file of no known layout, by their values."""
    used_columns: list[str] = []
    dated = choose_date(columns)
    if dated is None:
        proposal.ask(
            "columns.ordered_at",
            "no column holds dates: which one is the time of the order?",
            is_needed=True,
        )
        date = None
    else:
        date, time, others = dated
        used_columns += [date.name, *others, *([time.name] if time else [])]
        value: Any = [date.name, time.name] if time else date.name
        proposal.choose("columns.ordered_at", value, date.date.why if date.date else "")
    order, why = choose_order(columns, date, used_columns) if date is not None else (None, "")
    if order is not None:
        used_columns.append(order.name)
        if why.startswith("restarts"):
            together = f"[{quote_flow(order.name)}, {quote_flow(date.name if date else '')}]"
            proposal.ask(
                "columns.order_id",
                f"{order.name} {why}; lines of one customer and time are taken for an order. If "
                "the number and the date together tell an order:",
                (together, ""),
            )
            order = None
        else:
            proposal.choose("columns.order_id", order.name, why)
    _find_customer(proposal, columns, order, used_columns)
    _find_money(proposal, columns, order, used_columns)
    for role, ours in (("category", "category"), ("channel", "channel")):
        for column in find_named(columns, role, used_columns)[:1]:
            if not column.is_number and 1 < column.distinct < len(column.values) / 2:
                proposal.choose(f"columns.{ours}", column.name, f"{column.distinct:,} values")
                used_columns.append(column.name)
    for ours in ("discount", "cost"):
        for column in find_named(columns, ours, used_columns)[:1]:
            if column.is_number and column.distinct > 1:
                if ours == "discount" and (whole := find_share(column)):
                    question = f"{column.name} seems to be a share (of {whole}). If it is money:"
                    proposal.ask("columns.discount", question, (quote_flow(column.name), "money"))
                elif ours == "cost":
                    _propose_cost(proposal, column, columns)
                else:
                    proposal.choose("columns.discount", column.name, "money")
    _find_statuses(proposal, columns, order, used_columns)
    if find_refund(columns, ()) is None:
        ask_of_refunded(proposal, columns, proposal.settings())
    currency = find_currency(columns)
    if currency is not None:
        proposal.choose("currency_column", currency.name, "")


def _find_customer(
    proposal: Proposal,
    columns: dict[str, ColumnProfile],
    order: ColumnProfile | None,
    taken: list[str],
) -> None:
    rated = choose_customer(columns, order, taken)
    if not rated:
        candidates = [
            (quote_flow(c.name), f"{c.distinct:,} values")
            for c in columns.values()
            if c.name not in taken
            and 1 < c.distinct < len(c.values)
            and not (c.is_number and not c.is_whole)
        ]
        proposal.ask(
            "columns.customer_id",
            "no column is surely the customer: which one is?",
            *candidates[:4],
            is_needed=True,
        )
        return
    best = rated[0][1]
    n_units = order.distinct if order is not None else len(best.values)
    unit = "order" if order is not None else "line"
    why = f"{best.distinct:,} values in {n_units:,} {unit}s"
    if best.distinct == n_units and n_units > 20:
        proposal.ask(
            "columns.customer_id",
            f"{best.name} is another one on each {unit}: is it the customer, and not the order?",
        )
    proposal.choose("columns.customer_id", best.name, why)
    taken.append(best.name)
    counts = best.cells[best.filled].value_counts()
    nobody = [
        str(value)
        for value, n in counts.head(5).items()
        if is_no_customer(str(value)) and n > _NOBODY_SHARE * len(best.values)
    ]
    if nobody:
        share = sum(int(counts[v]) for v in nobody) / len(best.values)
        proposal.choose(
            "no_customer", nobody, f"{share:.0%} of the lines: guests, who are not one customer"
        )


def _find_money(
    proposal: Proposal,
    columns: dict[str, ColumnProfile],
    order: ColumnProfile | None,
    taken: list[str],
) -> None:
    quantity = next(
        (c for c in find_named(columns, "quantity", taken) if c.is_number and c.is_whole), None
    )
    if quantity is not None:
        taken.append(quantity.name)
    products = [c for c in find_named(columns, "product", taken) if c.distinct > 1]
    product = next((c for c in products if not c.is_number or c.is_whole), None)
    if product is not None:
        taken.append(product.name)
    refund = find_refund(columns, taken)
    if refund is not None:
        taken.append(refund.name)
    amount = find_amount(columns, order, quantity, product, taken)
    if amount.expression is None:
        answers = [
            (quote_flow(_deduct_refund(value, refund, columns)), meaning)
            for value, meaning in amount.choices.items()
        ]
        proposal.ask("columns.amount", f"{amount.why}: which is it?", *answers, is_needed=True)
    else:
        money, expression, less = columns[amount.columns[-1]], amount.expression, ""
        if not amount.is_paid:
            expression, less = deduct_discount(proposal, columns, amount, order, taken)
        if amount.expression == expression:
            owner = order if amount.per_order else None
            expression, less = follow_quantity(expression, money, quantity, owner)
        why = amount.why + less
        if refund is not None and not amount.per_order and _is_of_order(refund, order):
            proposal.ask(
                "columns.amount",
                f"{refund.name} has one value on all lines of an order and is not deducted: it is "
                "of the whole order. Is there a column with the order's total?",
            )
        elif refund is not None:
            expression = _deduct_refund(expression, refund, columns)
            why += f"; less {refund.name}"
        if len(amount.columns) == 1 and is_in_hundredths(columns[amount.columns[0]]):
            is_name = expression == amount.columns[0]
            expression = f"{quote_name(expression)} / 100" if is_name else f"({expression}) / 100"
            why += "; the name says hundredths"
        elif may_be_in_hundredths(money) and not _has_no_hundredths(columns):
            text = quote_name(expression) if expression in columns else f"({expression})"
            proposal.ask(
                "columns.amount",
                f"all amounts of {money.name} are whole, such as {money.values[0]}. If they are of "
                "hundredths (cents):",
                (quote_flow(f"{text} / 100"), "in cents"),
            )
        proposal.choose("columns.amount", expression, why)
        is_single = len(amount.columns) == 1 and not amount.per_order
        if is_single and _is_of_order(money, order, _LEAST_ORDERS):
            proposal.ask(
                "amount_per",
                f"{money.name} is the same on all lines of an order. If it is the order's total:",
                ("order", "it counts once per order"),
            )
        ask_of_other_money(proposal, columns, amount, expression, order)
        taken += amount.columns
        find_returns(proposal, columns, money, taken)
        ask_of_book_sides(proposal, columns, money, taken)
        if amount.per_order:
            proposal.choose("amount_per", "order", "it counts once per order")
    if product is not None:
        proposal.choose("columns.product_id", product.name, f"{product.distinct:,} values")
    if quantity is not None:
        proposal.choose("columns.quantity", quantity.name, "whole numbers")


def _has_no_hundredths(columns: dict[str, ColumnProfile]) -> bool:
    """Whether the amounts are in a currency such as yen, which has none or does not use them."""
    currency = find_currency(columns)
    return currency is not None and set(map(str.upper, currency.values)) <= _NO_HUNDREDTHS


def _is_of_order(column: ColumnProfile, order: ColumnProfile | None, least: int = 3) -> bool:
    return order is not None and is_of_order(column, order, least)


def _deduct_refund(
    expression: str, refund: ColumnProfile | None, columns: dict[str, ColumnProfile]
) -> str:
    """An amount less what was given back of it, if a column has that."""
    if refund is None:
        return expression
    base = quote_name(expression) if expression in columns else expression
    return f"{base} - abs({quote_name(refund.name)} or 0)"


def _propose_cost(
    proposal: Proposal, cost: ColumnProfile, columns: dict[str, ColumnProfile]
) -> None:
    expression, why = find_line_cost(cost, columns)
    if expression is not None:
        proposal.choose("columns.cost", expression, why)
        return
    proposal.ask(
        "columns.cost",
        f"the values do not tell whether {cost.name} is of one unit or of the line:",
        (quote_flow(cost.name), "of the line"),
        (quote_flow(why), "of one unit"),
    )


def _find_statuses(
    proposal: Proposal,
    columns: dict[str, ColumnProfile],
    order: ColumnProfile | None,
    taken: Sequence[str],
) -> None:
    dated = find_no_sale_dates(columns, order, taken)
    if dated:
        lines = {column.name: int(column.filled.sum()) for column in dated}
        why = ", ".join(f"{name} has a date on {n:,} lines" for name, n in lines.items())
        proposal.choose("only", {name: [""] for name in lines}, f"{why}: no sales")
    left_out = {}
    evidence = []
    for column, counts in find_statuses(columns, taken):
        no_sales = list_no_sales(column, counts)
        if no_sales and len(no_sales) < len(counts):
            left_out[column.name] = no_sales
            evidence += [
                f"{value} ({counts[value]:,} of {len(column.values):,})" for value in no_sales
            ]
            others = [value for value in counts if value not in no_sales]
            evidence.append(f"kept: {', '.join(others[:6])}")
    if left_out:
        proposal.choose("except", left_out, f"sound like no sale: {'; '.join(evidence[:8])}")
