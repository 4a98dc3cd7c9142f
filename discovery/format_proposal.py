"""How a file is written (text, numbers, dates, zone), its currency, and the length of a period."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..configs.layouts import Export, list_named_columns
from ..errors import quote
from .cell_formats import (
    guess_date_format,
    guess_decimal,
    guess_timezone,
    is_spreadsheet_days,
    parse_instants_as_text,
)
from .checks.vocabulary import find_currency_mark, is_currency_code
from .column_profiles import ColumnProfile
from .horizon import choose_horizon
from .proposal import Proposal, quote_flow
from .sampling import Sample

__all__ = ["propose_currency", "propose_formats", "propose_horizon"]

_FEW_BLANKS = 0.02  # lines without a date, which the reader sets aside


def propose_formats(
    proposal: Proposal,
    sample: Sample,
    columns: dict[str, ColumnProfile],
    export: Export | None,
) -> None:
    """Encoding, delimiter, lines above the header, decimal mark, dates, zone, from the cells."""
    for key, value in sample.format.items():
        proposal.choose(f"format.{key}", value, sample.why.get(key, ""))
    settings = proposal.settings()
    mapped = settings.get("columns", {})
    money = [
        columns[name]
        for ours in ("amount", "quantity", "discount", "cost")
        for name in list_columns(mapped.get(ours), columns)
    ]
    if money:
        decimal, why, is_sure = guess_decimal([c.values for c in money])
        if decimal is not None:
            if is_sure:
                proposal.choose("format.decimal", decimal, why)
            else:
                mark = "," if decimal == "." else "."
                proposal.ask(
                    "format.decimal",
                    f"{why}: is 1{mark}234 a thousand, or one and a bit?",
                    (f'"{decimal}"', f"1{mark}234 is a thousand"),
                    (f'"{mark}"', f"1{mark}234 is one and a bit"),
                    is_needed=True,
                )
    if "ordered_at" in mapped:
        _find_dates(proposal, mapped["ordered_at"], columns)
        blank = float((join_cells(mapped["ordered_at"], columns) == "").mean())
        if blank > _FEW_BLANKS:
            why = f"{blank:.0%} of the lines have no date (and no amount) and are set aside"
            proposal.choose("max_rejected_share", min(1.0, round(blank + 0.05, 2)), why)
    _overrule_layout(proposal, export)


def _overrule_layout(proposal: Proposal, export: Export | None) -> None:
    """Where a file is written in the plain way and its layout is not, the configuration says so."""
    decided_keys = {choice.key for choice in proposal.choices} | {q.key for q in proposal.questions}
    plain = {"delimiter": ",", "date_format": None}
    for key in export.format if export is not None else ():
        if key in plain and f"format.{key}" not in decided_keys:
            proposal.choose(f"format.{key}", plain[key], "not as the layout usually has it")


def list_columns(given: Any, columns: dict[str, ColumnProfile]) -> list[str]:
    """The columns of the sample that a mapping reads."""
    if given is None:
        return []
    if isinstance(given, str) and given in columns:
        return [given]
    names = list_named_columns(given if isinstance(given, str) else tuple(given))
    if isinstance(given, str) and "`" not in given:
        names = [
            part for part in given.replace("(", " ").replace(")", " ").split() if part in columns
        ]
    elif isinstance(given, str):
        bare = [
            part for part in given.replace("(", " ").replace(")", " ").split() if part in columns
        ]
        names = [*names, *bare]
    return [name for name in dict.fromkeys(names) if name in columns]


def join_cells(given: Any, columns: dict[str, ColumnProfile]) -> pd.Series[str]:
    """The cells of a mapping of text: one column, or several joined by a space."""
    names = [given] if isinstance(given, str) else list(given)
    cells = columns[names[0]].cells
    for name in names[1:]:
        cells = (cells + " " + columns[name].cells).str.strip()
    return cells


def _find_dates(proposal: Proposal, given: Any, columns: dict[str, ColumnProfile]) -> None:
    cells = join_cells(given, columns)
    values = list(cells[cells != ""])
    form = guess_date_format(values)
    if form is None:
        if is_spreadsheet_days(values):
            proposal.choose(
                "format.date_format", "excel", f"days of a spreadsheet such as {values[0]}"
            )
            return
        proposal.ask(
            "format.date_format",
            f"dates such as {quote(values[0])} are in no format known: what is the strptime "
            "format?",
            is_needed=True,
        )
        return
    if form.other is not None:
        proposal.ask(
            "format.date_format",
            f"{form.why} in dates such as {quote(values[0])}: which stands first?",
            (quote_flow(str(form.date_format)), "the day"),
            (quote_flow(form.other), "the month"),
            is_needed=True,
        )
    elif form.date_format is not None:
        proposal.choose("format.date_format", form.date_format, form.why)
    if form.has_offset:
        if str(form.date_format).startswith("unix"):
            zone, why, is_zone = "UTC", "the times count from 1970 in UTC", False
        else:
            zone, why, is_zone = guess_timezone(values, form.date_format)
        proposal.choose("timezone", zone, why)
        if not is_zone:
            proposal.ask(
                "timezone",
                f"{why}: days and months begin there. If the shop's days begin elsewhere:",
                ("America/New_York" if "+" in zone else "Europe/Berlin", "the shop's own zone"),
            )


def propose_currency(proposal: Proposal, columns: dict[str, ColumnProfile]) -> None:
    """The currency, where one column has one for all lines; a question where it has several."""
    settings = proposal.settings()
    name = settings.get("currency_column")
    if name is None or name not in columns:
        amounts = list_columns(settings.get("columns", {}).get("amount"), columns)
        cells = columns[amounts[0]].values if amounts else []
        marks = list(dict.fromkeys(mark for c in cells if (mark := find_currency_mark(c))))
        if len(marks) == 1 and is_currency_code(marks[0]) and all(map(find_currency_mark, cells)):
            proposal.choose("currency", marks[0], "the sign of the amounts")
        if len(marks) > 1:
            proposal.ask(
                "currency_column",
                f"the amounts are in several currencies ({', '.join(marks[:5])}): give a file for "
                "each, or a column with the currency",
                is_needed=True,
            )
        return
    counted = columns[name].cells[mark_counted_lines(settings, columns)]
    counts = counted[counted != ""].str.upper().value_counts()
    if len(counts) == 1:
        proposal.choose("currency", str(counts.index[0]), f"all that stands in {name}")
    elif len(counts) > 1:
        code_counts = ", ".join(f"{value} ({n:,} lines)" for value, n in counts.head(5).items())
        proposal.ask(
            "currency",
            f"{name} holds {len(counts)} currencies, {code_counts}: which one is to be kept? (or "
            "convert: exchange_rates: rates.csv)",
            *((str(code), "") for code in counts.index[:3]),
            is_needed=True,
        )


def mark_counted_lines(
    settings: dict[str, Any], columns: dict[str, ColumnProfile]
) -> pd.Series[bool]:
    """Which lines of the sample the filters keep, blank cells aside."""
    is_counted = pd.Series(True, index=next(iter(columns.values())).cells.index)
    for key, keeps in (("only", True), ("except", False)):
        for name, values in settings.get(key, {}).items():
            if name in columns:
                listed = {value.lower() for value in values}
                cells = columns[name].cells.str.lower()
                is_counted &= (cells == "") | (cells.isin(listed) == keeps)
    return is_counted


def propose_horizon(proposal: Proposal, columns: dict[str, ColumnProfile]) -> None:
    """The length of a period, from the times and customers of the lines that count."""
    settings = proposal.settings()
    mapped = settings.get("columns", {})
    days = np.empty(0, np.int64)
    codes = np.empty(0, np.int64)
    is_open = any(q.key == "format.date_format" and q.is_needed for q in proposal.questions)
    if "customer_id" in mapped and "ordered_at" in mapped and not is_open:
        cells = join_cells(mapped["ordered_at"], columns)
        form = settings.get("format", {}).get("date_format")
        times, bad = parse_instants_as_text(list(cells), form, "UTC")
        customer = columns.get(str(mapped["customer_id"]))
        if customer is not None:
            is_usable = mark_counted_lines(settings, columns).to_numpy() & ~bad & customer.filled
            days, codes = times[is_usable], customer.codes[is_usable]
    horizon, why = choose_horizon(codes, days, proposal.is_whole)
    proposal.choose("horizon_days", horizon, why)
