"""The keys of a layout, in the names that a file has, with what they leave out of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..configs.layouts import Export, Layout, normalize_name, quote_name
from ..configs.orders import REQUIRED_COLUMNS
from .column_profiles import ColumnProfile, find_named
from .column_roles import find_refund
from .proposal import Proposal, quote_flow
from .refunded_orders import ask_of_refunded
from .words import is_return

__all__ = ["find_by_values", "propose_layout"]


_GIVES_BACK = re.compile(
    "refund|revers|charge.?back|dispute|return|rückbuch|rückzahl|correct|adjust"
)  # words of a type


def find_by_values(
    layout: Layout, columns: dict[str, ColumnProfile], names: Sequence[str]
) -> Export | None:
    """The export that the values of a column tell, such as the country of a market place."""
    for export in layout.exports:
        if export.where and not export.missing(names):
            for name, column in columns.items():
                if export.fits_values(name, Counter(column.values)):
                    return export
    return None


def propose_layout(proposal: Proposal, export: Export, columns: dict[str, ColumnProfile]) -> None:
    """The columns and rules of a layout, in the names this file has."""
    settings = export.settings(proposal.names)
    mapped = _prefer_customer(export, settings["columns"], columns, proposal.names)
    for ours, theirs in mapped.items():
        if ours == "amount":
            proposal.choose("columns.amount", theirs, export.says)
        else:
            proposal.choose(f"columns.{ours}", theirs, "")
    for ours in REQUIRED_COLUMNS:
        if ours not in mapped:
            alternatives = " or ".join(str(alternative) for alternative in export.columns[ours])
            proposal.ask(
                f"columns.{ours}",
                f"the file has no {alternatives}: which column is the {ours}?",
                is_needed=True,
            )
    _leave_out_own_payments(proposal, mapped, settings, columns)
    for key in ("only", "except"):
        if key in settings:
            why = _describe_left_out(settings[key], columns, keeps=key == "only")
            proposal.choose(key, settings[key], why)
    for key in ("returns", "return_columns"):
        if key in settings:
            proposal.choose(key, settings[key], "")
    if "amount_per" in settings:
        why = "the amount is the order's total: it counts once per order"
        proposal.choose("amount_per", settings["amount_per"], why)
    if "no_customer" in settings:
        proposal.choose("no_customer", settings["no_customer"], "the id of guests")
    if "currency_column" in settings:
        proposal.choose("currency_column", settings["currency_column"], "")
    if "fund" not in str(mapped.get("amount", "")).lower():
        ask_of_refunded(proposal, columns, settings, is_closed_refunded=True)
    _ask_of_refund_column(proposal, mapped, columns)


def _ask_of_refund_column(
    proposal: Proposal, mapped: dict[str, Any], columns: dict[str, ColumnProfile]
) -> None:
    """A column of refunded money that the layout does not know is not deducted without asking."""
    amount = str(mapped.get("amount", ""))
    refund = find_refund(columns, [])
    if not amount or "fund" in amount.lower() or refund is None:
        return
    lines = int((np.nan_to_num(refund.numbers) != 0).sum())
    base = quote_name(amount) if amount in columns else f"({amount})"
    text = f"{base} - abs({quote_name(refund.name)} or 0)"
    proposal.ask(
        "columns.amount",
        f"{refund.name} is filled in on {lines:,} lines and not deducted. If it is money that "
        "was given back:",
        (quote_flow(text), f"less {refund.name}"),
    )


def _leave_out_own_payments(
    proposal: Proposal,
    mapped: dict[str, Any],
    settings: dict[str, Any],
    columns: dict[str, ColumnProfile],
) -> None:
    """Payments of the shop to others, in a list of all money that it moved, are no returns.

    Their type is no word for a refund, and none of them names a payment of the file. A type that
    is of payments to the shop too is asked about: the filters would lose these.
    """
    amount, order = columns.get(str(mapped.get("amount"))), columns.get(str(mapped.get("order_id")))
    if "return_columns" not in settings or amount is None or order is None:
        return
    gives = np.nan_to_num(amount.numbers) < 0
    reference = columns.get(settings["return_columns"].get("order_id", ""))
    if reference is not None:
        gives &= ~np.asarray(reference.cells.isin(order.values))
    for kind in find_named(columns, "status"):
        listed = settings.get("except", {}).get(kind.name)
        if listed is None or normalize_name(kind.name) != "type":
            continue
        known = {value.lower() for value in listed}
        for value, lines in kind.cells[gives & kind.filled].value_counts().items():
            text = str(value)
            if text.lower() in known or is_return(text) or _GIVES_BACK.search(text.lower()):
                continue
            of_type = np.asarray(kind.cells == value)
            if gives[of_type].all() and reference is not None:
                listed.append(text)
            else:
                proposal.ask(
                    "except",
                    f"{kind.name} is {text} on {int(lines):,} lines with negative amounts, which "
                    "name no payment that they give back. If the shop paid others by them, take "
                    "these lines out of the file",
                )


def _prefer_customer(
    export: Export, mapped: dict[str, Any], columns: dict[str, ColumnProfile], names: Sequence[str]
) -> dict[str, Any]:
    """Of the columns a layout takes for the customer, the first with the fewest blanks."""
    candidates = [
        one
        for alternative in export.columns["customer_id"]
        if (one := replace_columns(export, alternative, names)) is not None and one in columns
    ]
    if not candidates:
        return {ours: theirs for ours, theirs in mapped.items() if ours != "customer_id"}
    best = max(candidates, key=lambda name: round(float(columns[name].filled.mean()), 2))
    return {**mapped, "customer_id": best}


def replace_columns(export: Export, given: Any, names: Sequence[str]) -> str | None:
    """One alternative of a layout in a file's own names, None where the file lacks it."""
    one = export.model_copy(update={"columns": {"customer_id": (given,)}})
    customer_column = one.settings(names)["columns"].get("customer_id")
    return customer_column if isinstance(customer_column, str) else None


def _describe_left_out(
    filters: dict[str, list[str]], columns: dict[str, ColumnProfile], keeps: bool
) -> str:
    parts = []
    for name, listed in filters.items():
        if name in columns:
            lower = {value.lower() for value in listed}
            counts = columns[name].cells[columns[name].filled].value_counts()
            if keeps and "" in lower:
                parts.append(f"{name} filled in ({int(counts.sum()):,})")
                continue
            parts += [
                f"{name} {value} ({n:,})"
                for value, n in counts.items()
                if (str(value).lower() in lower) != keeps
            ]
    return "left out here: " + ", ".join(parts[:6]) if parts else "none of these stands here"
