"""Lines parsed column by column, with a reason for each that cannot be used.

What is said of a line depends on that line alone, so that a file may be parsed in blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ...configs.schema import OrdersConfig
from .. import windows
from ..columns import Float64, Int64
from ..limits import MAX_AMOUNT
from .cell_parsing import Mask, Parsed, is_number, parse_instant_cells, parse_number_cells
from .column_expressions import Expression
from .column_mapping import NUMBERS, TEXTS
from .files import RawTable
from .label_encoding import Ids, read_ids
from .line_rules import AMOUNT, FROM_1970, INSTANT, NOT_EMPTY, NOT_FUTURE, NUMBER, Rule
from .validation_issues import Fault

__all__ = ["NO_CUSTOMER", "Lines", "RejectionReason", "describe_unreadable", "parse_lines"]

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

    def usable(self) -> Mask:
        """The lines nothing speaks against."""
        return ~_any([reason.lines for reason in self.reasons], len(self.raw.rows))

    def told(self) -> Mask:
        """The lines that reasons, faults and remarks are made of."""
        return _any(
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
        """Note that some lines break a rule and cannot be used."""
        if lines.any():
            self.faults.append(self.fault(rule.requirement, column, lines, mend))
            self.reasons.append(RejectionReason(f"{column} {rule.violation}", column, lines))


def describe_unreadable(raw: RawTable, mapping: Mapping[str, Expression]) -> list[Fault]:
    """A fault for each mapped column whose type holds neither text, numbers nor dates."""
    faults = []
    for name in dict.fromkeys(name for e in mapping.values() for name in e.columns):
        kind = raw.table.schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        plain = (
            pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
            or pa.types.is_string_view(kind)
            or pa.types.is_null(kind)
            or is_number(kind)
            or pa.types.is_temporal(kind)
        )
        if not plain:
            faults.append(Fault(f"column {name!r} must hold text, numbers or dates, got {kind}"))
    return faults


def parse_lines(
    raw: RawTable, file: str, mapping: Mapping[str, Expression], config: OrdersConfig, now: datetime
) -> Lines:
    """Parse the mapped columns of a block; `now` tells which times are in the future."""
    lines = Lines(file, raw)
    for name in ("customer_id", *TEXTS):
        if name in mapping:
            column = raw.table[mapping[name].columns[0]]
            is_customer = name == "customer_id"
            lines.texts[name], as_decimals = read_ids(column, nulls_by_name=is_customer)
            lines.ids_as_decimals |= as_decimals and is_customer
    if "customer_id" in mapping:
        missing = lines.texts["customer_id"].is_missing
        lines.reasons.append(
            RejectionReason(NO_CUSTOMER, mapping["customer_id"].columns[0], missing)
        )
    if "ordered_at" in mapping:
        _parse_times(lines, mapping["ordered_at"].columns[0], config, now)
    _parse_amounts(lines, mapping, config)
    return lines


def _parse_times(lines: Lines, column: str, config: OrdersConfig, now: datetime) -> None:
    parsed = parse_instant_cells(lines.raw.table[column], config.format, config.timezone)
    lines.reject(column, INSTANT, parsed.bad, parsed.mend)
    lines.reject(column, NOT_EMPTY, parsed.missing)
    usable = ~(parsed.bad | parsed.missing)
    too_early, too_late = windows.find_implausible(parsed.values, now)
    lines.reject(column, FROM_1970, usable & too_early)
    lines.reject(column, NOT_FUTURE, usable & too_late)
    lines.times = parsed.values


def _parse_amounts(lines: Lines, mapping: Mapping[str, Expression], config: OrdersConfig) -> None:
    parsed: dict[str, Parsed[Float64]] = {}
    for ours in ("amount", *NUMBERS):
        if ours not in mapping:
            continue
        expression = mapping[ours]
        for column in expression.columns:
            if column in parsed:
                continue
            cells = parsed[column] = parse_number_cells(lines.raw.table[column], config.format)
            if ours == "amount":
                lines.reject(column, NUMBER, cells.bad, cells.mend)
                lines.reject(column, NOT_EMPTY, cells.missing)
            elif cells.bad.any():  # what is optional is taken as missing, and said
                fault = lines.fault(NUMBER.requirement, column, cells.bad, cells.mend)
                lines.taken_as_missing.append(fault)
                lines.remarked.append(cells.bad)
        values = expression.evaluate({name: cells.values for name, cells in parsed.items()})
        values = np.broadcast_to(values, len(lines.raw.rows))
        if ours == "amount":
            used: list[Any] = [parsed[column] for column in expression.columns]
            unreadable = np.any([cells.bad | cells.missing for cells in used], axis=0)
            beyond = ~(np.abs(values) <= MAX_AMOUNT) & ~unreadable  # NaN and inf are beyond too
            lines.reject(expression.text, AMOUNT, beyond)
            lines.numbers[ours] = values
        else:
            lines.numbers[ours] = np.where(np.isfinite(values), values, np.nan) + 0.0  # -0.0 is 0.0


def _any(masks: Sequence[Mask], n_lines: int) -> Mask:
    found = np.zeros(n_lines, dtype=np.bool_)
    for mask in masks:
        found |= mask
    return found
