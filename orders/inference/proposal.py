"""What init proposes: the keys of a configuration, each with its evidence, and what it must ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...configs.layouts import (
    Export,
    Layout,
    find_export,
    list_named_columns,
    load_layouts,
    normalize_name,
    quote_name,
)
from ...configs.orders import REQUIRED_COLUMNS
from .cell_formats import (
    find_currency_mark,
    guess_date_format,
    guess_decimal,
    guess_timezone,
    is_spreadsheet_days,
    parse_instants_as_text,
)
from .column_roles import (
    ColumnProfile,
    choose_customer,
    choose_date,
    choose_order,
    find_amount,
    find_currency,
    find_named,
    find_refund,
    find_statuses,
    list_no_sales,
    profile_columns,
)
from .horizon import choose_horizon
from .sampling import Sample, read_sample
from .words import is_no_customer

__all__ = ["Choice", "Proposal", "Question", "propose_config"]

_FEW_BLANKS = 0.02
_NOBODY_SHARE = 0.05  # of the lines with one id that sounds like nobody


@dataclass(frozen=True)
class Choice:
    """A key of the configuration, its value, and the evidence for it."""

    key: str  # dotted, below `orders:` except for horizon_days
    value: Any
    why: str


@dataclass(frozen=True)
class Question:
    """Something the file does not tell: the key that answers it, and lines that would."""

    key: str
    asks: str
    answers: tuple[tuple[str, str], ...] = ()  # value as YAML, what it means
    is_needed: bool = False  # nothing can be read without an answer


@dataclass
class Proposal:
    """A configuration for a source, with evidence and questions."""

    source: str
    query: str | None
    names: list[str]
    n_lines: int  # of the sample
    is_whole: bool
    layout: str | None = None
    says: str = ""
    choices: list[Choice] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    @property
    def can_check(self) -> bool:
        """Whether `clvcast check` can read the orders by what is known."""
        return not any(question.is_needed for question in self.questions)

    def choose(self, key: str, value: Any, why: str) -> None:
        """Take a value for a key."""
        self.choices.append(Choice(key, value, why))

    def ask(self, key: str, asks: str, *answers: tuple[str, str], is_needed: bool = False) -> None:
        """Leave a key to the user."""
        self.questions.append(Question(key, asks, answers, is_needed))

    def settings(self) -> dict[str, Any]:
        """The chosen keys as nested settings, without the source."""
        nested: dict[str, Any] = {}
        for choice in self.choices:
            place = nested
            *path, last = (
                choice.key.split(".", 1) if choice.key != "horizon_days" else ["horizon_days"]
            )
            for part in path:
                place = place.setdefault(part, {})
            place[last] = choice.value
        return nested


def propose_config(source: str, query: str | None = None) -> Proposal:
    """Read a sample of a source and propose the configuration that reads it.

    Raises `OrdersError` where there are no orders.
    """
    sample = read_sample(source, query)
    columns = profile_columns(sample.cells)
    proposal = Proposal(source, query, sample.names, len(sample.cells), sample.is_whole)
    found = find_export(sample.names)
    if found is not None:
        name, export = found
        export = _find_by_values(load_layouts()[name], columns, sample.names) or export
        proposal.layout, proposal.says = name, export.says
        _take_layout(proposal, export, columns)
    else:
        _find_columns(proposal, columns)
    _find_formats(proposal, sample, columns, found[1] if found else None)
    _find_currencies(proposal, columns)
    _find_horizon(proposal, columns)
    return proposal


def _find_by_values(
    layout: Layout, columns: dict[str, ColumnProfile], names: Sequence[str]
) -> Export | None:
    """The export of a layout that the values of a column tell, such as the country of a market place."""
    for export in layout.exports:
        for wanted, endings in export.where.items():
            column = next((c for n, c in columns.items() if normalize_name(n) == wanted), None)
            if column is not None and not export.missing(names):
                ends = [value.lower().endswith(endings) for value in column.values]
                if 2 * sum(ends) > len(ends):
                    return export
    return None


def _take_layout(proposal: Proposal, export: Export, columns: dict[str, ColumnProfile]) -> None:
    """The columns and rules of a layout, in the names this file has."""
    settings = export.settings(proposal.names)
    mapped = _prefer_customer(export, settings["columns"], columns, proposal.names)
    for ours, theirs in mapped.items():
        proposal.choose(f"columns.{ours}", theirs, export.says if ours == "amount" else "")
    for ours in REQUIRED_COLUMNS:
        if ours not in mapped:
            wanted = " or ".join(str(given) for given in export.columns[ours])
            proposal.ask(
                f"columns.{ours}",
                f"the file has no {wanted}: which column is the {ours}?",
                is_needed=True,
            )
    for key in ("only", "except"):
        if key in settings:
            why = _describe_left_out(settings[key], columns, keeps=key == "only")
            proposal.choose(key, settings[key], why)
    if "amount_per" in settings:
        why = "the amount is the order's total: it counts once per order"
        proposal.choose("amount_per", settings["amount_per"], why)
    if "no_customer" in settings:
        proposal.choose("no_customer", settings["no_customer"], "the id of guests")
    if "currency_column" in settings:
        proposal.choose("currency_column", settings["currency_column"], "")
    _ask_of_refunded(proposal, mapped, settings, columns)


def _prefer_customer(
    export: Export, mapped: dict[str, Any], columns: dict[str, ColumnProfile], names: Sequence[str]
) -> dict[str, Any]:
    """Of the columns a layout takes for the customer, the one with the fewest blanks (the first of equals)."""
    known = [
        one
        for given in export.columns["customer_id"]
        if (one := replace_columns(export, given, names)) is not None and one in columns
    ]
    if not known:
        return {ours: theirs for ours, theirs in mapped.items() if ours != "customer_id"}
    best = max(known, key=lambda name: round(float(columns[name].filled.mean()), 2))
    return {**mapped, "customer_id": best}


def replace_columns(export: Export, given: Any, names: Sequence[str]) -> str | None:
    """One alternative of a layout in a file's own names, None where the file lacks it."""
    one = export.model_copy(update={"columns": {"customer_id": (given,)}})
    found = one.settings(names)["columns"].get("customer_id")
    return found if isinstance(found, str) else None


def _describe_left_out(
    filters: dict[str, list[str]], columns: dict[str, ColumnProfile], keeps: bool
) -> str:
    parts = []
    for name, listed in filters.items():
        if name in columns:
            lower = {value.lower() for value in listed}
            counts = columns[name].cells[columns[name].filled].value_counts()
            parts += [
                f"{name} {value} ({n:,})"
                for value, n in counts.items()
                if (str(value).lower() in lower) != keeps
            ]
    return "left out here: " + ", ".join(parts[:6]) if parts else "none of these stands here"


def _ask_of_refunded(
    proposal: Proposal,
    mapped: dict[str, Any],
    settings: dict[str, Any],
    columns: dict[str, ColumnProfile],
) -> None:
    """Orders called refunded count in full where the file has no refunded amounts."""
    if "fund" in str(mapped.get("amount", "")).lower():
        return
    for name, column in columns.items():
        if column.distinct > 30 or column.is_number:
            continue
        counts = column.cells[column.filled].value_counts()
        listed = {v.lower() for v in settings.get("except", {}).get(name, ())}
        refunded = {
            str(v): int(n)
            for v, n in counts.items()
            if str(v).lower() in ("refunded", "closed", "returned") and str(v).lower() not in listed
        }
        if refunded:
            shown = ", ".join(f"{value} ({n:,} lines)" for value, n in refunded.items())
            proposal.ask(
                "except",
                f"{name} is {shown} and the file has no refunded amounts: they count in full. To leave "
                f"them out, add {' and '.join(refunded)} to except: {name}",
            )


def _quote_flow(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _find_columns(proposal: Proposal, columns: dict[str, ColumnProfile]) -> None:
    """The columns of a file of no known layout, by their values."""
    taken: list[str] = []
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
        taken += [date.name, *others, *([time.name] if time else [])]
        value: Any = [date.name, time.name] if time else date.name
        proposal.choose("columns.ordered_at", value, date.date.why if date.date else "")
    order, why = choose_order(columns, date, taken) if date is not None else (None, "")
    if order is not None:
        taken.append(order.name)
        if why.startswith("restarts"):
            together = f"[{_quote_flow(order.name)}, {_quote_flow(date.name if date else '')}]"
            proposal.ask(
                "columns.order_id",
                f"{order.name} {why}; lines of one customer and time are taken for an order. If the number "
                "and the date together tell an order:",
                (together, ""),
            )
            order = None
        else:
            proposal.choose("columns.order_id", order.name, why)
    _find_customer(proposal, columns, order, taken)
    _find_money(proposal, columns, order, taken)
    for role, ours in (("category", "category"), ("channel", "channel")):
        for column in find_named(columns, role, taken)[:1]:
            if not column.is_number and 1 < column.distinct < len(column.values) / 2:
                proposal.choose(f"columns.{ours}", column.name, f"{column.distinct:,} values")
                taken.append(column.name)
    for ours in ("discount", "cost"):
        for column in find_named(columns, ours, taken)[:1]:
            if column.is_number and column.distinct > 1:
                proposal.choose(f"columns.{ours}", column.name, "money")
    _find_statuses(proposal, columns, taken)
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
            (_quote_flow(c.name), f"{c.distinct:,} values")
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
    n_orders = order.distinct if order is not None else len(best.values)
    why = f"{best.distinct:,} values in {n_orders:,} orders"
    if best.distinct == n_orders and n_orders > 20:
        proposal.ask(
            "columns.customer_id",
            f"{best.name} is another one on each order: is it the customer, and not the order?",
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
        answers = [(_quote_flow(value), meaning) for value, meaning in amount.choices.items()]
        proposal.ask("columns.amount", f"{amount.why}: which is it?", *answers, is_needed=True)
    else:
        expression, why = amount.expression, amount.why
        if refund is not None:
            name = amount.columns[0] if len(amount.columns) == 1 else ""
            base = quote_name(name) if name else expression
            sign = "-" if np.nanmin(refund.numbers) >= 0 else "+"
            expression = f"{base} {sign} ({quote_name(refund.name)} or 0)"
            why += f"; less {refund.name}"
        proposal.choose("columns.amount", expression, why)
        taken += amount.columns
        if amount.per_order:
            proposal.choose("amount_per", "order", "it counts once per order")
    if product is not None:
        proposal.choose("columns.product_id", product.name, f"{product.distinct:,} values")
    if quantity is not None:
        proposal.choose("columns.quantity", quantity.name, "whole numbers")


def _find_statuses(
    proposal: Proposal, columns: dict[str, ColumnProfile], taken: Sequence[str]
) -> None:
    left_out = {}
    shown = []
    for column, counts in find_statuses(columns, taken):
        no_sales = list_no_sales(column, counts)
        if no_sales and len(no_sales) < len(counts):
            left_out[column.name] = no_sales
            shown += [
                f"{value} ({counts[value]:,} of {len(column.values):,})" for value in no_sales
            ]
            others = [value for value in counts if value not in no_sales]
            shown.append(f"kept: {', '.join(others[:6])}")
    if left_out:
        proposal.choose("except", left_out, f"sound like no sale: {'; '.join(shown[:8])}")


def _find_formats(
    proposal: Proposal,
    sample: Sample,
    columns: dict[str, ColumnProfile],
    export: Export | None,
) -> None:
    """Encoding, delimiter, lines above the header, decimal mark, dates and time zone, from the cells."""
    for key, value in sample.format.items():
        proposal.choose(f"format.{key}", value, sample.why.get(key, ""))
    settings = proposal.settings()
    mapped = settings.get("columns", {})
    money = [
        columns[name]
        for ours in ("amount", "quantity", "discount", "cost")
        for name in _columns_of(mapped.get(ours), columns)
    ]
    if money:
        decimal, why, is_sure = guess_decimal([c.values for c in money])
        if decimal is not None:
            if is_sure:
                proposal.choose("format.decimal", decimal, why)
            else:
                proposal.ask(
                    "format.decimal",
                    f"{why}: is 1,234 a thousand, or one and a bit?",
                    ('"."', "1,234 is a thousand"),
                    ('","', "1,234 is one and a bit"),
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
    known = {choice.key for choice in proposal.choices} | {q.key for q in proposal.questions}
    plain = {"delimiter": ",", "date_format": None}
    for key in export.format if export is not None else ():
        if key in plain and f"format.{key}" not in known:
            proposal.choose(f"format.{key}", plain[key], "not as the layout usually has it")


def _columns_of(given: Any, columns: dict[str, ColumnProfile]) -> list[str]:
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
            f"dates such as {values[0]!r} are written in no way known: what is the strptime format?",
            is_needed=True,
        )
        return
    if form.other is not None:
        proposal.ask(
            "format.date_format",
            f"{form.why} in dates such as {values[0]!r}: which stands first?",
            (_quote_flow(str(form.date_format)), "the day"),
            (_quote_flow(form.other), "the month"),
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


def _find_currencies(proposal: Proposal, columns: dict[str, ColumnProfile]) -> None:
    """The currency, where one column names one for all lines; a question where there are several."""
    settings = proposal.settings()
    name = settings.get("currency_column")
    if name is None or name not in columns:
        signs = {"€": "EUR", "£": "GBP", "zł": "PLN", "₺": "TRY", "₹": "INR", "R$": "BRL"}
        amounts = _columns_of(settings.get("columns", {}).get("amount"), columns)
        cells = columns[amounts[0]].values if amounts else []
        found = [
            code for sign, code in signs.items() if cells and all(sign in c for c in cells[:500])
        ]
        if found:
            proposal.choose("currency", found[-1], "the sign of the amounts")
        marks = list(dict.fromkeys(mark for c in cells if (mark := find_currency_mark(c))))
        if len(marks) > 1:
            proposal.ask(
                "currency_column",
                f"the amounts are in several currencies ({', '.join(marks[:5])}): give a file for each, or a column "
                "with the currency",
                is_needed=True,
            )
        return
    counted = columns[name].cells[_counted_lines(settings, columns)]
    counts = counted[counted != ""].str.upper().value_counts()
    if len(counts) == 1:
        proposal.choose("currency", str(counts.index[0]), f"all that stands in {name}")
    elif len(counts) > 1:
        shown = ", ".join(f"{value} ({n:,} lines)" for value, n in counts.head(5).items())
        proposal.ask(
            "currency",
            f"{name} holds {len(counts)} currencies, {shown}: which one is to be kept? (or convert: "
            "exchange_rates: rates.csv)",
            *((str(code), "") for code in counts.index[:3]),
            is_needed=True,
        )


def _counted_lines(settings: dict[str, Any], columns: dict[str, ColumnProfile]) -> pd.Series[bool]:
    """Which lines of the sample the filters keep, blank cells aside."""
    kept = pd.Series(True, index=next(iter(columns.values())).cells.index)
    for key, keeps in (("only", True), ("except", False)):
        for name, values in settings.get(key, {}).items():
            if name in columns:
                listed = {value.lower() for value in values}
                cells = columns[name].cells.str.lower()
                kept &= (cells == "") | (cells.isin(listed) == keeps)
    return kept


def _find_horizon(proposal: Proposal, columns: dict[str, ColumnProfile]) -> None:
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
            kept = _counted_lines(settings, columns).to_numpy() & ~bad & customer.filled
            days, codes = times[kept], customer.codes[kept]
    horizon, why = choose_horizon(codes, days)
    proposal.choose("horizon_days", horizon, why)
