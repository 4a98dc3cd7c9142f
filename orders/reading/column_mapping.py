"""The column mapping: which of a file's columns, or arithmetic over them, has which role.

A role is a column of ours, the total of an order in place of the amount of a line, the currency, or
a filter.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ...configs.schema import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, LineRules
from ...errors import cut_text, quote
from .column_expressions import Expression, parse_expression
from .line_filters import FILTER, RETURNS
from .validation_issues import Fault

__all__ = [
    "CURRENCY",
    "NUMBERS",
    "ORDER_TOTAL",
    "RETURN_COLUMNS",
    "TEXTS",
    "resolve_columns",
    "resolve_plain_columns",
]

TEXTS = ("order_id", "product_id", "category", "channel")
NUMBERS = ("quantity", "discount", "cost")
ORDER_TOTAL = "order_total"  # the role of `amount` where it is of a whole order
CURRENCY = "currency"
RETURN_COLUMNS = "return "  # before customer_id or order_id: whose a negative line is, as a role
_TEXT_LIKE = ("customer_id", "ordered_at", *TEXTS)


def resolve_columns(
    rules: LineRules, names: list[str], *, own_names_too: bool
) -> tuple[dict[str, Expression], list[Fault]]:
    """Which expression has which role, and a fault for each column that is missing.

    With `own_names_too`, a file the mapping does not fit is taken as it is if it has our own names;
    what the rules say of other columns does not apply to it.
    """
    mapping, faults = _resolve(rules.columns or _own(names), names)
    if faults and rules.columns and own_names_too and all(n in names for n in REQUIRED_COLUMNS):
        return _resolve(_own(names), names)
    if rules.amount_per == "order" and "amount" in mapping:
        mapping[ORDER_TOTAL] = mapping.pop("amount")
        if "order_id" not in rules.columns and "order_id" not in names:
            faults.append(Fault("amount_per: order needs a column order_id", mend="map it"))
    for role, name, key in _list_other_roles(rules):
        if name in names:
            mapping[role] = parse_expression(name, names)
        else:
            faults.append(_describe_missing(name, key, names))
    return mapping, faults


def _list_other_roles(rules: LineRules) -> list[tuple[str, str, str]]:
    """Role, column and key of the columns that are read beside ours."""
    roles = [(FILTER + name, name, "only") for name in rules.only]
    roles += [(FILTER + name, name, "except") for name in rules.except_]
    roles += [(RETURNS + name, name, "returns") for name in rules.returns]
    roles += [
        (RETURN_COLUMNS + ours, name, "return_columns")
        for ours, name in rules.return_columns.items()
    ]
    if rules.currency_column:
        roles.append((CURRENCY, rules.currency_column, "currency_column"))
        roles.append((FILTER + rules.currency_column, rules.currency_column, "currency_column"))
    return roles


def _own(names: list[str]) -> dict[str, str]:
    present = [name for name in OPTIONAL_COLUMNS if name in names]
    return {name: name for name in (*REQUIRED_COLUMNS, *present)}


def _resolve(
    wanted: Mapping[Any, str | tuple[str, ...]], names: list[str]
) -> tuple[dict[str, Expression], list[Fault]]:
    mapping, faults = {}, []
    for ours in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS):
        if ours not in wanted:
            continue
        expression = parse_expression(wanted[ours], names)
        missing = [name for name in expression.columns if name not in names]
        faults += [_describe_missing(name, ours, names) for name in missing]
        twice = [name for name in expression.columns if names.count(name) > 1]
        faults += [Fault(f"column {quote(name)} stands twice", mend="rename one") for name in twice]
        is_text = ours in _TEXT_LIKE
        if not expression.columns or (expression.is_arithmetic and is_text):
            rule = f"{ours} must be a column, or arithmetic over columns where it is a number"
            names_joined = [part.strip() for part in expression.text.split("+")]
            mend = f"a list joins columns: {ours}: [{', '.join(names_joined)}]" if is_text else ""
            faults.append(Fault(f"{rule}, got {quote(wanted[ours])}", mend=mend))
        elif expression.is_joined and not is_text:
            faults.append(Fault(f"{ours} must be a number, got the columns {expression.text}"))
        elif not missing and not twice:
            mapping[ours] = expression
    return mapping, faults


def resolve_plain_columns(
    wanted: Mapping[str, str], names: list[str]
) -> tuple[dict[str, Expression], list[Fault]]:
    """The columns of other tables than orders: no arithmetic; our own names where theirs are
    missing.
    """
    if not all(theirs in names for theirs in wanted.values()) and all(n in names for n in wanted):
        wanted = {name: name for name in wanted}
    mapping = {
        ours: parse_expression(theirs, names) for ours, theirs in wanted.items() if theirs in names
    }
    missing = [_describe_missing(t, ours, names) for ours, t in wanted.items() if t not in names]
    return mapping, missing


def _describe_missing(name: str, ours: str, names: list[str]) -> Fault:
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    mend = (
        f"did you mean {cut_text(' or '.join(near))}?"
        if near
        else f"found: {cut_text(', '.join(names))}"
    )
    return Fault(f"column {quote(name)} for {ours} is missing", mend=mend)
