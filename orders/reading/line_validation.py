"""Lines parsed column by column, with a reason for each that cannot be used.

What is said of a line depends on that line alone, so that a file may be parsed in blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...configs.schema import OrdersConfig
from ...errors import quote
from .. import windows
from ..columns import Float64, Int64
from ..limits import MAX_AMOUNT
from .cell_parsing import Mask, Parsed, is_number, parse_instant_cells, parse_number_cells
from .column_expressions import Expression
from .column_mapping import CURRENCY, NUMBERS, ORDER_TOTAL, RETURN_COLUMNS, TEXTS
from .customer_ids import CustomerIdRules
from .exchange_rates import ExchangeRates
from .files import RawTable
from .label_encoding import Ids, encode_labels, read_ids
from .line_filters import FILTER, RETURNS, Verdicts, apply_filters, find_returns, list_filters
from .line_rules import (
    AMOUNT,
    EXCHANGE_RATE,
    FROM_1970,
    INSTANT,
    NOT_EMPTY,
    NOT_FUTURE,
    NUMBER,
    Rule,
)
from .returned_orders import RETURNED_ORDER
from .validation_issues import Fault

__all__ = [
    "NO_CUSTOMER",
    "Lines",
    "ReadingRules",
    "RejectionReason",
    "describe_unreadable",
    "join_cells",
    "parse_lines",
]

NO_CUSTOMER = "customer_id is missing"


@dataclass(frozen=True)
class RejectionReason:
    """Why some lines cannot be used, in the words of the rejected file."""

    words: str
    column: str  # theirs
    lines: Mask


@dataclass
class Lines:
    """Lines of one file; a column the file lacks is missing from `texts` or `numbers`."""

    file: str
    raw: RawTable
    texts: dict[str, Ids] = field(default_factory=dict)
    numbers: dict[str, Float64] = field(default_factory=dict)
    times: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    reasons: list[RejectionReason] = field(
        default_factory=list
    )  # the first that fits a line counts
    faults: list[Fault] = field(default_factory=list)
    taken_as_missing: list[Fault] = field(default_factory=list)  # of columns that are optional
    remarked: list[Mask] = field(default_factory=list)  # the lines of those
    ids_as_decimals: bool = False  # whether a customer id was written as 17850.0
    verdicts: Verdicts = field(
        default_factory=lambda: Verdicts(np.empty(0, dtype=np.int8))
    )  # by the filters

    def usable(self) -> Mask:
        """The lines nothing speaks against."""
        return ~_combine_masks([reason.lines for reason in self.reasons], len(self.raw.rows))

    def packed(self) -> Mask:
        """The usable lines; of those left out, the ones whose orders' blank lines need their
        verdict.
        """
        left_out = self.verdicts.is_left_out
        if not left_out.any():
            return self.usable()
        missing = self.texts["customer_id"].is_missing if "order_id" in self.texts else True
        return self.usable() & ~(left_out & missing)

    def told(self) -> Mask:
        """The lines that reasons, faults and remarks are made of."""
        return _combine_masks(
            [*(reason.lines for reason in self.reasons), *self.remarked], len(self.raw.rows)
        )

    def cells(self, column: str, lines: Mask, most: int | None = None) -> pa.Array | None:
        """What stands in a raw column on some lines, as text; None for arithmetic."""
        if column not in self.raw.table.column_names:
            return None
        positions = pa.array(np.flatnonzero(lines)[:most])
        return self.raw.table[column].take(positions).cast(pa.string()).combine_chunks()

    def fault(self, rule: str, column: str, lines: Mask, mend: str = "") -> Fault:
        """A fault of one column, with its first rows and values."""
        cells = self.cells(column, lines, 200)
        values = [] if cells is None else [v for v in dict.fromkeys(cells.to_pylist()) if v]
        rows = [int(row) for row in self.raw.rows[lines][:4] if row]
        return Fault(f"{column} {rule}", rows, values[:3], mend, int(lines.sum()))

    def reject(self, column: str, rule: Rule, lines: Mask, mend: str = "") -> None:
        """Note that some lines break a rule and cannot be used; those left out may break any."""
        lines = lines & ~self.verdicts.is_left_out
        if lines.any():
            self.faults.append(self.fault(rule.requirement, column, lines, mend))
            self.reasons.append(RejectionReason(f"{column} {rule.violation}", column, lines))


def describe_unreadable(raw: RawTable, mapping: Mapping[str, Expression]) -> list[Fault]:
    """A fault for each mapped column whose type holds neither text, numbers nor dates."""
    faults = []
    roles = {name: role for role, e in reversed(list(mapping.items())) for name in e.columns}
    for name, role in roles.items():
        kind = raw.table.schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        plain = (
            pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
            or pa.types.is_string_view(kind)
            or pa.types.is_null(kind)
            or is_number(kind)
            or pa.types.is_temporal(kind)
            or (pa.types.is_boolean(kind) and role.startswith((FILTER, RETURNS)))
        )
        if not plain:
            faults.append(
                Fault(f"column {quote(name)} must hold text, numbers or dates, got {kind}")
            )
    return faults


@dataclass(frozen=True)
class ReadingRules:
    """How the lines of a source are read: its configuration, and the files it names, opened."""

    config: OrdersConfig
    now: datetime  # times a day later are in the future
    ids: CustomerIdRules = field(default_factory=CustomerIdRules)
    rates: ExchangeRates | None = None

    @property
    def kept_currency(self) -> str:
        """The currency whose lines alone count; empty where none is chosen, or all are
        converted.
        """
        return "" if self.rates else self.config.currency


def parse_lines(
    raw: RawTable, file: str, mapping: Mapping[str, Expression], rules: ReadingRules
) -> Lines:
    """Parse the columns of a block that have a role."""
    raw = _join_columns(raw, mapping)
    lines = Lines(file, raw)
    filters = list_filters(rules.config, rules.kept_currency)
    lines.verdicts = apply_filters(raw.table, mapping, filters)
    for name in ("customer_id", *TEXTS):
        if name not in mapping:
            continue
        column = raw.table[mapping[name].name]
        if name == "customer_id":
            lines.texts[name], lines.ids_as_decimals = rules.ids.read(column)
        else:
            lines.texts[name], _ = read_ids(column, nulls_by_name=False)
    if "ordered_at" in mapping:
        _parse_times(lines, mapping["ordered_at"].name, rules.config, rules.now)
    _parse_amounts(lines, mapping, rules)
    _read_returns(lines, mapping, rules)
    if "customer_id" in mapping:
        missing = lines.texts["customer_id"].is_missing & ~lines.verdicts.is_left_out
        reason = RejectionReason(NO_CUSTOMER, mapping["customer_id"].name, missing)
        lines.reasons.insert(0, reason)
    return lines


def _read_returns(lines: Lines, mapping: Mapping[str, Expression], rules: ReadingRules) -> None:
    """Make the amounts of returns negative, and read whose the lines with a negative amount are."""
    role = "amount" if "amount" in lines.numbers else ORDER_TOTAL
    if role not in lines.numbers:
        return
    is_return = find_returns(lines.raw.table, mapping, rules.config.returns)
    if is_return.any():
        amounts = lines.numbers[role]
        lines.numbers[role] = np.where(is_return, -np.abs(amounts), amounts)
    gives_back = lines.numbers[role] < 0
    column = mapping.get(RETURN_COLUMNS + "customer_id")
    if column is not None and "customer_id" in lines.texts:
        buyers, _ = rules.ids.read(lines.raw.table[column.name])
        is_stated = pa.array(gives_back & ~buyers.is_missing)
        customer_texts = lines.texts["customer_id"].to_text()
        lines.texts["customer_id"] = encode_labels(
            pc.if_else(is_stated, buyers.to_text(), customer_texts)
        )
    column = mapping.get(RETURN_COLUMNS + "order_id")
    if column is not None and "order_id" in lines.texts:
        named = read_ids(lines.raw.table[column.name], nulls_by_name=False)[0].to_text()
        lines.texts[RETURNED_ORDER] = encode_labels(pc.if_else(pa.array(gives_back), named, None))


def _join_columns(raw: RawTable, mapping: Mapping[str, Expression]) -> RawTable:
    """The block with a column for each list of columns: their texts joined, null where one is
    blank.
    """
    table = raw.table
    for expression in mapping.values():
        if expression.is_joined and expression.name not in table.column_names:
            joined = join_cells([table[name] for name in expression.columns])
            table = table.append_column(expression.name, joined)
    return replace(raw, table=table)


def join_cells(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """The cells of several columns as one text, with a space between; null where one is blank."""
    if len(columns) == 1:
        return columns[0]
    parts = [_trim_cells(column) for column in columns]
    return pc.binary_join_element_wise(*parts, " ", null_handling="emit_null")


def _trim_cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as trimmed text, null where blank."""
    if pa.types.is_string(column.type) or pa.types.is_temporal(column.type):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        return pc.if_else(pc.equal(text, ""), None, text)
    return pa.chunked_array([read_ids(column, nulls_by_name=False)[0].to_text()])


def _parse_times(lines: Lines, column: str, config: OrdersConfig, now: datetime) -> None:
    parsed = parse_instant_cells(lines.raw.table[column], config.format, config.timezone)
    lines.reject(column, INSTANT, parsed.bad, parsed.mend)
    lines.reject(column, NOT_EMPTY, parsed.missing)
    usable = ~(parsed.bad | parsed.missing)
    too_early, too_late = windows.find_implausible(parsed.values, now)
    lines.reject(column, FROM_1970, usable & too_early)
    lines.reject(column, NOT_FUTURE, usable & too_late)
    lines.times = parsed.values


def _parse_amounts(lines: Lines, mapping: Mapping[str, Expression], rules: ReadingRules) -> None:
    parsed: dict[str, Parsed[Float64]] = {}
    for ours in ("amount", ORDER_TOTAL, *NUMBERS):
        if ours not in mapping:
            continue
        expression = mapping[ours]
        is_amount = ours in ("amount", ORDER_TOTAL)
        for column in expression.columns:
            if column in parsed:
                continue
            cells = lines.raw.table[column]
            parsed[column] = cells = parse_number_cells(cells, rules.config.format)
            if is_amount:
                lines.reject(column, NUMBER, cells.bad, cells.mend)
            elif cells.bad.any():  # what is optional is taken as missing, and said
                fault = lines.fault(NUMBER.requirement, column, cells.bad, cells.mend)
                lines.taken_as_missing.append(fault)
                lines.remarked.append(cells.bad)
        values = expression.evaluate({name: cells.values for name, cells in parsed.items()})
        values = np.broadcast_to(values, len(lines.raw.rows))
        if is_amount:
            lines.numbers[ours] = _check_amounts(lines, expression, parsed, values, ours, mapping)
        else:
            lines.numbers[ours] = np.where(np.isfinite(values), values, np.nan) + 0.0  # -0.0 is 0.0
    if rules.rates is not None and CURRENCY in mapping:
        _convert(lines, mapping[CURRENCY].name, rules.rates)


def _check_amounts(
    lines: Lines,
    expression: Expression,
    parsed: Mapping[str, Parsed[Float64]],
    values: Float64,
    role: str,
    mapping: Mapping[str, Expression],
) -> Float64:
    """Refuse lines without an amount; one that is an order's total may be blank on the
    other lines.
    """
    used: list[Any] = [parsed[column] for column in expression.columns]
    bad = np.any([cells.bad for cells in used], axis=0)
    missing = np.isnan(values) & np.any([cells.missing for cells in used], axis=0)
    if role == "amount":
        for column, cells in zip(expression.columns, used, strict=True):
            blank = cells.missing & missing
            mend = _describe_blanks(lines, column, cells, mapping) if blank.any() else ""
            lines.reject(column, NOT_EMPTY, blank, mend)
    beyond = ~(np.abs(values) <= MAX_AMOUNT) & ~bad & ~missing  # NaN and inf are beyond too
    lines.reject(expression.text, AMOUNT, beyond)
    return values


def _describe_blanks(
    lines: Lines, column: str, cells: Parsed[Float64], mapping: Mapping[str, Expression]
) -> str:
    """How blank amounts may be meant: the first line of an order has its total, or blank is 0."""
    zero = f"write ({column} or 0) where blank means 0"
    if "order_id" not in mapping:
        return zero
    orders = lines.texts["order_id"].to_text()
    with_amount = pc.is_in(orders, orders.filter(pa.array(~cells.missing)).drop_null())
    blank = np.flatnonzero(cells.missing)
    if not pc.all(with_amount.take(pa.array(blank))).as_py():
        return zero
    return f"set orders.amount_per: order if {column} is of the whole order, or {zero}"


def _convert(lines: Lines, column: str, rates: ExchangeRates) -> None:
    """Amounts, discounts and costs in the shop's currency."""
    text = pc.utf8_upper(_trim_cells(lines.raw.table[column])).combine_chunks()
    encoded = text.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    line_rates = rates.look_up(encoded.dictionary.to_pylist(), codes, lines.times)
    has_amount = ~np.isnan(lines.numbers.get(ORDER_TOTAL, lines.numbers.get("amount", line_rates)))
    wanting = np.isnan(line_rates) & has_amount & lines.usable()
    mend = "add the day and currency to orders.exchange_rates"
    lines.reject(column, EXCHANGE_RATE, wanting, mend)
    for name in ("amount", ORDER_TOTAL, "discount", "cost"):
        if name in lines.numbers:
            lines.numbers[name] = lines.numbers[name] * line_rates


def _combine_masks(masks: Sequence[Mask], n_lines: int) -> Mask:
    any_mask = np.zeros(n_lines, dtype=np.bool_)
    for mask in masks:
        any_mask |= mask
    return any_mask
