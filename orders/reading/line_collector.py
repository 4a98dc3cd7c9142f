"""Intake: lines come in by blocks; the usable ones go on, of the others a report is made.

What does not depend on other lines is done block by block. The lines something speaks against are
kept as they stood, and judged together in the end: every fault is told once, with its count and
first rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ...configs.schema import OrdersConfig, SourceConfig
from .. import windows
from ..columns import Int64
from ..dates import NEVER
from ..orders import OrdersReport
from .column_expressions import Expression
from .column_mapping import CURRENCY
from .customer_ids import load_id_rules
from .empty_lines import refuse_empty_lines
from .exchange_rates import load_exchange_rates
from .files import RawTable, list_needed
from .line_filters import KEPT, RETURNS, count_values
from .line_rules import NOT_EMPTY
from .line_validation import (
    NO_CUSTOMER,
    Lines,
    ReadingRules,
    describe_unreadable,
    parse_lines,
)
from .multiple_sources import mark_source
from .overlapping_files import FileSpan
from .rejected_lines import build_rejected_table
from .returned_orders import RETURNED_ORDER, ReturnedOrders
from .usable_lines import UsableLines
from .validation_issues import Fault, pluralize, raise_faults
from .validation_summary import ValidationSummary, add_counts

__all__ = ["LineCollector", "open_rules"]

_DECIMALS = "customer ids written as decimals (17850.0) are read as 17850"


@dataclass
class _Told:
    """What must be told of one file: the lines something speaks against, as they stood."""

    mapping: Mapping[str, Expression]
    rules: ReadingRules  # those of the file's source
    tables: list[pa.Table] = field(default_factory=list)
    rows: list[Int64] = field(default_factory=list)
    rejected: list[pa.Table] = field(default_factory=list)  # lines that were no lines at all
    ids_as_decimals: bool = False
    mends: dict[str, str] = field(default_factory=dict)  # of blank cells: told by the lines around


def open_rules(config: OrdersConfig, now: datetime | None = None) -> ReadingRules:
    """How a configuration reads lines, with the files of aliases and exchange rates it names."""
    path = config.exchange_rates
    rates = load_exchange_rates(path, config.currency) if path else None
    return ReadingRules(config, now or datetime.now(), load_id_rules(config), rates)


class LineCollector:
    """Takes blocks of files, one file after the other, and knows in the end what was in them."""

    def __init__(
        self,
        config: OrdersConfig,
        now: datetime | None = None,
        rules: ReadingRules | None = None,
    ) -> None:
        self.config = config
        self.rules = rules or open_rules(config, now)
        self.faults: list[Fault] = []  # of whole files; nothing is usable where there are any
        self.columns: set[str] = set()  # the optional columns that any file has
        self.lines_read = 0
        self.lines_usable = 0
        self._files: dict[tuple[int, str], _Told] = {}
        self._is_one = len(config.all_sources()) < 2  # then messages need not name the file
        self.spans: dict[int, FileSpan] = {}  # by the number of the file
        self._money = 0.0  # the sum of all amounts without their signs
        self._left_out: dict[str, int] = {}  # column and value -> lines
        self._returned: dict[int, tuple[ReturnedOrders, SourceConfig | None]] = {}  # by position
        self._seen: dict[str, dict[str, int]] = {}  # role -> value of its column -> lines

    def usable(
        self,
        blocks: Iterator[RawTable],
        file: str,
        mapping: Mapping[str, Expression],
        faults: Sequence[Fault] = (),
        source: SourceConfig | None = None,
        position: int = 0,
    ) -> Iterator[UsableLines]:
        """The usable lines of each block of one file, in their order.

        `faults` are of its columns; `source` is what it belongs to, at `position` of several.
        """
        rules = self.rules
        if source is not None:
            source_config = self.config.model_copy(update=source.line_rules())
            rules = replace(rules, config=source_config)
        file_report = self._files.setdefault((position, file), _Told(mapping, rules))
        number = list(self._files).index((position, file))
        self.columns.update(mapping)
        self.faults += self._where(faults, file)
        needed = list_needed(mapping)
        for raw in refuse_empty_lines(blocks, file, needed):
            wrong_types = describe_unreadable(raw, mapping)
            if wrong_types:
                self.faults += self._where(wrong_types, file)
                return
            lines = parse_lines(raw, file, mapping, rules)
            self.lines_read += len(raw.rows)
            file_report.rejected += raw.rejected
            file_report.ids_as_decimals |= lines.ids_as_decimals
            self._keep_told(file_report, lines)
            self._count_values(lines, mapping)
            if not self.faults:
                for usable in self._usable(lines, number):
                    self._widen(number, file, position, usable)
                    if RETURNED_ORDER in usable.texts:
                        waiting = (ReturnedOrders(), source)
                        usable = self._returned.setdefault(position, waiting)[0].take(usable)
                    if usable.n_lines:
                        yield self._of(usable, source, position)

    def returned(self) -> Iterator[UsableLines]:
        """The lines that waited for the orders they return, once all files are read."""
        for position, (returned, source) in self._returned.items():
            for usable in returned.release():
                yield self._of(usable, source, position)

    def _where(self, faults: Sequence[Fault], file: str) -> list[Fault]:
        return list(faults) if self._is_one else [replace(f, where=file) for f in faults]

    def _of(self, lines: UsableLines, source: SourceConfig | None, position: int) -> UsableLines:
        if self._is_one or source is None:
            return lines
        of_source = mark_source(lines, source, position)
        self.columns.update(of_source.texts)
        return of_source

    def _keep_told(self, told: _Told, lines: Lines) -> None:
        told.mends |= {
            f.rule: f.mend
            for f in lines.faults
            if f.rule.endswith(NOT_EMPTY.requirement) and f.mend
        }
        keep = lines.told()
        if keep.any() or not told.tables:
            told.tables.append(lines.raw.table.filter(pa.array(keep)))
            told.rows.append(lines.raw.rows[keep])

    def _count_values(self, lines: Lines, mapping: Mapping[str, Expression]) -> None:
        """Count what stands in the columns that decide which lines count, and in which currency."""
        every_line = np.ones(len(lines.raw.rows), dtype=np.bool_)
        for role, counts in lines.verdicts.seen.items():
            self._seen[role] = add_counts(self._seen.get(role, {}), counts)
        for role, expression in mapping.items():
            if role.startswith(RETURNS) or role == CURRENCY:
                counted = ~lines.verdicts.is_left_out if role == CURRENCY else every_line
                counts = count_values(lines.raw.table[expression.name], counted)
                self._seen[role] = add_counts(self._seen.get(role, {}), counts)
        self._left_out = add_counts(self._left_out, lines.verdicts.left_out)

    def _widen(self, number: int, file: str, position: int, lines: UsableLines) -> None:
        span = self.spans.setdefault(number, FileSpan(file, position, NEVER, -1))
        span.first, span.newest = windows.widen_span(span.first, span.newest, lines.times)

    @property
    def overlapping(self) -> dict[int, FileSpan] | None:
        """The files among which copies of orders are looked for; None where copies are kept."""
        return self.spans if self.config.duplicates == "drop" else None

    def _usable(self, lines: Lines, number: int) -> Iterator[UsableLines]:
        drops = self.config.duplicates == "drop"
        prints = _hash_lines(lines.raw.table) if drops else None
        verdicts = lines.verdicts.values
        usable = UsableLines(
            lines.texts,
            lines.times,
            lines.numbers,
            prints,
            verdicts=None if (verdicts == KEPT).all() else verdicts,
            file=number,
        )
        usable = usable.where(lines.packed())
        if usable.n_lines:
            self.lines_usable += int(np.count_nonzero(lines.usable() & ~lines.verdicts.is_left_out))
            self._money += float(np.abs(usable.surely_kept().money).sum())
            yield usable

    def report(self, source: str) -> OrdersReport:
        """What was found in all the files; refuses them where they cannot be used."""
        if self.faults:
            raise_faults(self.faults + self.tally().faults, source)
        return self.tally().report(self.config, source)

    def tally(self) -> ValidationSummary:
        """What was found in the lines, not yet judged; once all of them were read."""
        parts = [self._parsed(file, file_report) for (_, file), file_report in self._files.items()]
        ragged = sum(table.num_rows for part in parts for table in part.raw.rejected)
        set_aside = [table for part in parts for table in _set_aside(part)]
        counts: dict[str, int] = {}
        for table in set_aside:
            reason = table["reason"][0].as_py()
            counts[reason] = counts.get(reason, 0) + table.num_rows
        return ValidationSummary(
            lines_read=self.lines_read + ragged,
            lines_usable=self.lines_usable,
            lines_without_customer=counts.pop(NO_CUSTOMER, 0),
            lines_ragged=ragged,
            money=self._money,
            left_out=self._left_out,
            values_seen=self._seen,
            rejected=counts,
            faults=[fault for part in parts for fault in part.faults],
            taken_as_missing=[fault for part in parts for fault in part.taken_as_missing],
            remarks=[
                _DECIMALS if self._is_one else f"{file}: {_DECIMALS}"
                for (_, file), file_report in self._files.items()
                if file_report.ids_as_decimals
            ]
            + self._describe_unknown_returns(),
            rejected_lines=set_aside,
        )

    def _describe_unknown_returns(self) -> list[str]:
        lines = sum(returned.n_unknown for returned, _ in self._returned.values())
        money = sum(returned.unknown_money for returned, _ in self._returned.values())
        if not lines:
            return []
        return [
            f"{pluralize(lines, 'line')} ({money:,.2f} in all) return money of orders that are in "
            "no file: they count for the customer that they name"
        ]

    def _parsed(self, file: str, told: _Told) -> Lines:
        if not told.tables:  # its columns could not be read
            return Lines(file, RawTable(pa.table({}), np.arange(0)))
        raw = RawTable(_concatenate_tables(told.tables), np.concatenate(told.rows), told.rejected)
        lines = parse_lines(raw, file, told.mapping, told.rules)
        faults = [replace(f, mend=told.mends.get(f.rule, f.mend)) for f in lines.faults]
        lines.faults = self._where(faults, file)
        lines.taken_as_missing = self._where(lines.taken_as_missing, file)
        return lines


def _concatenate_tables(tables: list[pa.Table]) -> pa.Table:
    """Tables one after the other; a column that is not of one type in all, as from a database, is
    text.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        mixed = [
            name
            for name in tables[0].column_names
            if len({table.schema.field(name).type for table in tables}) > 1
        ]
        for name in mixed:
            at = tables[0].column_names.index(name)
            tables = [t.set_column(at, name, t[name].cast(pa.string())) for t in tables]
        return pa.concat_tables(tables)


def _set_aside(part: Lines) -> list[pa.Table]:
    """A table of lines per reason they cannot be used for; the first reason of a line counts."""
    keep = np.ones(len(part.raw.rows), dtype=np.bool_)
    tables = list(part.raw.rejected)
    for reason in part.reasons:
        hit = keep & reason.lines
        keep &= ~reason.lines
        if hit.any():
            ids = part.texts["customer_id"].where(hit).to_text()
            cells = part.cells(reason.column, hit)
            rows = part.raw.rows[hit]
            tables.append(
                build_rejected_table(part.file, rows, reason.words, reason.column, ids, cells)
            )
    return tables


def _hash_lines(table: pa.Table) -> npt.NDArray[np.uint64]:
    """A hash of each line over all its columns: of the values alone, not of the block they
    came in.
    """
    line_hashes = np.zeros(table.num_rows, dtype=np.uint64)
    for column in table.columns:
        flat = (
            column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        )
        if pa.types.is_nested(flat.type):  # lists and structures have no hash, their text has
            flat = pa.chunked_array([pa.array([repr(v) for v in flat.to_pylist()], pa.string())])
        encoded = flat.combine_chunks().dictionary_encode()
        labels = encoded.dictionary
        if not pa.types.is_string(labels.type) and not pa.types.is_large_string(labels.type):
            labels = labels.cast(pa.string()) if _has_text(labels.type) else labels
        hashes = pd.util.hash_array(labels.to_numpy(zero_copy_only=False), categorize=False)
        missing = np.append(hashes, np.uint64(0x9E37_79B9_7F4A_7C15))
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        line_hashes = line_hashes * np.uint64(1_000_003) ^ missing[codes]
        line_hashes ^= line_hashes >> np.uint64(29)
    return line_hashes


def _has_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string_view(kind) or pa.types.is_decimal(kind))
