"""The column mapping: which of a file's columns, or arithmetic over them, is each of ours."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ...configs.schema import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from .column_expressions import Expression, parse_expression
from .validation_issues import Fault

__all__ = ["NUMBERS", "TEXTS", "resolve_columns", "resolve_plain_columns"]

TEXTS = ("order_id", "product_id", "category", "channel")
NUMBERS = ("quantity", "discount", "cost")
_TEXT_LIKE = ("customer_id", "ordered_at", *TEXTS)


def resolve_columns(
    columns: Mapping[Any, str], names: list[str], *, own_names_too: bool
) -> tuple[dict[str, Expression], list[Fault]]:
    """Which expression gives each of our columns, and a fault for each column that is missing.

    With `own_names_too`, a file the mapping does not fit is taken as it is if it has our own names.
    """
    mapping, faults = _resolve(columns or _own(names), names)
    if faults and columns and own_names_too and all(name in names for name in REQUIRED_COLUMNS):
        return _resolve(_own(names), names)
    return mapping, faults


def _own(names: list[str]) -> dict[str, str]:
    present = [name for name in OPTIONAL_COLUMNS if name in names]
    return {name: name for name in (*REQUIRED_COLUMNS, *present)}


def _resolve(
    wanted: Mapping[Any, str], names: list[str]
) -> tuple[dict[str, Expression], list[Fault]]:
    mapping, faults = {}, []
    for ours in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS):
        if ours not in wanted:
            continue
        expression = parse_expression(wanted[ours], names)
        missing = [name for name in expression.columns if name not in names]
        faults += [_missing(name, ours, names) for name in missing]
        twice = [name for name in expression.columns if names.count(name) > 1]
        faults += [Fault(f"column {name!r} stands twice", mend="rename one") for name in twice]
        if not expression.columns or (expression.is_arithmetic and ours in _TEXT_LIKE):
            rule = f"{ours} must be a column, or arithmetic over columns where it is a number"
            faults.append(Fault(f"{rule}, got {wanted[ours]!r}"))
        elif not missing and not twice:
            mapping[ours] = expression
    return mapping, faults


def resolve_plain_columns(
    wanted: Mapping[str, str], names: list[str]
) -> tuple[dict[str, Expression], list[Fault]]:
    """The columns of other tables than orders: no arithmetic; our own names where theirs are missing."""
    if not all(theirs in names for theirs in wanted.values()) and all(n in names for n in wanted):
        wanted = {name: name for name in wanted}
    found = {
        ours: parse_expression(theirs, names) for ours, theirs in wanted.items() if theirs in names
    }
    missing = [_missing(t, ours, names) for ours, t in wanted.items() if t not in names]
    return found, missing


def _missing(name: str, ours: str, names: list[str]) -> Fault:
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    mend = f"did you mean {' or '.join(near)}?" if near else f"found: {', '.join(names)}"
    return Fault(f"column {name!r} for {ours} is missing", mend=mend)
