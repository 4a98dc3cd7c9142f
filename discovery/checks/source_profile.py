"""The profile of a source: one pass over its lines with all their columns, for the checks.

Reading keeps what the mapping names; faults show in what it does not: a status nobody filters, an
e-mail beside a customer id, the same order in two files. The pass stops after `MOST_LINES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...configs.layouts import quote_name
from ...configs.schema import OrdersConfig, SourceConfig
from ...orders.columns import Float64, Int32, Int64, Mask, TextColumn
from ...orders.reading.cell_parsing import parse_number_cells
from ...orders.reading.column_expressions import Expression
from ...orders.reading.column_mapping import ORDER_TOTAL, resolve_columns
from ...orders.reading.files import RawTable, open_tables
from ...orders.reading.frames import open_frame
from ...orders.reading.label_encoding import Ids, merge_labels, read_ids
from ...orders.reading.layout_fitting import fit_rules, fit_source
from ...orders.reading.line_collector import open_rules
from ...orders.reading.line_filters import FILTER, RETURNS
from ...orders.reading.line_validation import Lines, parse_lines
from ...orders.reading.order_rules import drop_left_out
from ...orders.reading.returned_orders import RETURNED_ORDER, ReturnedOrders, assign_returns
from ...orders.reading.usable_lines import UsableLines
from ..words import is_return, rate_name
from . import vocabulary
from .cell_hashes import UInt64, has_hash, hash_cells
from .profiled_columns import (
    MOST_VALUES,
    add_counts,
    is_text,
    iterate_counts,
    may_name_persons,
    take_plain_columns,
)

__all__ = ["MOST_LINES", "SourceProfile", "profile_sources", "profile_table"]

MOST_LINES = 2_000_000
_TEXTS = ("customer_id", "order_id", "product_id")
_CELLS = "cells "  # before the name of a column whose cells are compared within orders
_MOST_COMPARED = 100_000  # lines, from the first
_MOST_COMPARED_COLUMNS = 60
_PERSON = "person "  # before the name of a column that may tell people apart
_MOST_PERSON_COLUMNS = 8


@dataclass(frozen=True)
class SourceProfile:
    """The n lines of the sources that no filter leaves out, as plain arrays."""

    sources: Sequence[SourceConfig]
    config: OrdersConfig
    files: Sequence[str]
    n_lines_read: int
    is_capped: bool  # whether there are more lines than were looked at
    source: Int32  # n, which of the sources
    file: Int32  # n, which of the files
    customers: TextColumn  # n, as reading cleans ids
    order_ids: TextColumn  # n, missing where no column is mapped
    products: TextColumn  # n
    instants: Int64  # n, microseconds since 1970
    amounts: Float64  # n, NaN where a cell is no number
    is_used: Mask  # n, lines that reading takes
    persons: Mapping[str, TextColumn]  # columns that are not mapped and may tell people apart
    values: Mapping[tuple[int, str], Mapping[str, int]]  # (source, column) -> value -> lines
    marks: Mapping[str, int]  # currency in the cells of amounts -> lines
    positives: Mapping[tuple[int, str], Mapping[str, int]]  # of them, lines that say return and add
    quantities: Float64  # n, NaN where there are none
    quantity_column: str
    amount_columns: Sequence[str]  # that make up the amount
    cells: Mapping[str, UInt64]  # hashes of columns that are not mapped, or of the amount's, of the
    # first lines alone

    @property
    def n_lines(self) -> int:
        """Lines that no filter leaves out."""
        return len(self.instants)

    @cached_property
    def numbered_orders(self) -> Int64:
        """Per line, a number for its source and order_id; -1 without one."""
        key = self.source.astype(np.int64) * (len(self.order_ids.values) + 1) + self.order_ids.codes
        return np.where(self.order_ids.codes < 0, -1, key)

    @cached_property
    def orders(self) -> Int64:
        """Per line, which order it is of: of one customer and order_id, else one instant."""
        by_instant = np.unique(self.instants, return_inverse=True)[1] + 1
        within = np.where(self.numbered_orders < 0, -by_instant, self.numbered_orders)
        return _number_pairs(self.customers.codes, within)


def profile_sources(config: OrdersConfig, most_lines: int = MOST_LINES) -> SourceProfile:
    """Read what a configuration names once more, with all columns, up to `most_lines`."""
    sources = tuple(fit_source(source) for source in config.all_sources())
    builder = _ProfileBuilder(config, sources)
    for position, source in enumerate(sources):
        resolve = partial(resolve_columns, source, own_names_too=True)
        for table in open_tables(source, resolve, every_column=True):
            for raw in table.blocks:
                if builder.n_lines_read >= most_lines and raw.table.num_rows:
                    return builder.build(is_capped=True)
                builder.add(raw, table.file, table.mapping, position)
    return builder.build()


def profile_table(orders: Any, config: OrdersConfig) -> SourceProfile:
    """The profile of order lines in memory, in a frame that can be read again."""
    frame = open_frame(orders, config.format.decimal)
    config = fit_rules(config.reading("the orders"), frame.names)
    builder = _ProfileBuilder(config, config.all_sources())
    mapping, _ = resolve_columns(config, frame.names, own_names_too=True)
    table = frame.select([name for name in frame.names if frame.names.count(name) == 1])
    builder.add(RawTable(table, np.arange(1, table.num_rows + 1)), "", mapping, 0)
    return builder.build()


class _ProfileBuilder:
    """Takes blocks of lines with all their columns; keeps what the checks need of them."""

    def __init__(self, config: OrdersConfig, sources: Sequence[SourceConfig]) -> None:
        self.config, self.sources = config, sources
        self.n_lines_read = 0
        self._rules = open_rules(config)
        self._files: list[str] = []
        self._parts: list[UsableLines] = []
        self._persons: dict[str, list[Ids]] = {}
        self._values: dict[tuple[int, str], dict[str, int] | None] = {}
        self._marks: dict[str, int] = {}
        self._positives: dict[tuple[int, str], dict[str, int]] = {}
        self._quantity = ""
        self._amount_columns: list[str] = []
        self._n_compared = 0  # lines whose cells are kept

    def add(
        self, raw: RawTable, file: str, mapping: Mapping[str, Expression], position: int
    ) -> None:
        """Take one block of a file."""
        n_lines = raw.table.num_rows
        if not n_lines or "customer_id" not in mapping:
            return
        source_config = self.config.model_copy(update=self.sources[position].line_rules())
        lines = parse_lines(raw, file, mapping, replace(self._rules, config=source_config))
        if file not in self._files:
            self._files.append(file)
        used = lines.usable()
        plain = take_plain_columns(raw.table)
        self._keep_persons(plain, mapping)
        self._count_positives(plain, mapping, position, lines)
        counted = plain.filter(pa.array(used & ~lines.verdicts.is_left_out))
        self._count_values(counted, mapping, position)
        self._count_marks(plain, mapping)
        amounts = lines.numbers["amount" if "amount" in lines.numbers else ORDER_TOTAL]
        numbers = {
            "amount": amounts,
            "used": used.astype(np.float64),
            "source": np.full(n_lines, float(position)),
            "file": np.full(n_lines, float(self._files.index(file))),
            "quantity": self._read_quantities(raw.table, mapping, lines),
        }
        numbers |= self._hash_columns(raw.table, mapping)
        texts = {name: lines.texts.get(name) or _make_missing(n_lines) for name in _TEXTS}
        if RETURNED_ORDER in lines.texts:
            texts[RETURNED_ORDER] = lines.texts[RETURNED_ORDER]
        verdicts = lines.verdicts.values
        self._parts.append(UsableLines(texts, lines.times, numbers, verdicts=verdicts))
        self.n_lines_read += n_lines

    def _hash_columns(
        self, table: pa.Table, mapping: Mapping[str, Expression]
    ) -> dict[str, Float64]:
        """Hashes of the cells of a block, of the first lines of one file layout alone."""
        amount = mapping.get("amount") or mapping.get(ORDER_TOTAL)
        money = amount.columns if amount else ()
        self._amount_columns += [name for name in money if name not in self._amount_columns]
        if self.n_lines_read >= _MOST_COMPARED or self.n_lines_read != self._n_compared:
            return {}
        mapped = {name for e in mapping.values() for name in e.columns} - set(money)
        names = [n for n in table.column_names if n not in mapped and has_hash(table, n)]
        self._n_compared += table.num_rows
        return {
            _CELLS + n: hash_cells(table[n]).view(np.float64)
            for n in names[:_MOST_COMPARED_COLUMNS]
        }

    def _read_quantities(
        self, table: pa.Table, mapping: Mapping[str, Expression], lines: Lines
    ) -> Float64:
        """The mapped quantities, else those of a column with such a name."""
        if "quantity" in mapping:
            self._quantity = mapping["quantity"].text
            return lines.numbers["quantity"]
        for name in table.column_names:
            if rate_name(name, "quantity") >= 2 and table.column_names.count(name) == 1:
                parsed = parse_number_cells(table[name], self.config.format)
                if not parsed.bad.any():
                    self._quantity = quote_name(name)
                    return np.where(parsed.missing, np.nan, parsed.values)
        return np.full(table.num_rows, np.nan)

    def _count_positives(
        self, table: pa.Table, mapping: Mapping[str, Expression], position: int, lines: Lines
    ) -> None:
        """Lines that say return and add to the revenue, by column and value."""
        amounts = lines.numbers.get("amount", lines.numbers.get(ORDER_TOTAL))
        if amounts is None:
            return
        adds = lines.usable() & ~lines.verdicts.is_left_out & (amounts > 0)
        mapped = {
            name
            for role, expression in mapping.items()
            if not role.startswith((FILTER, RETURNS))
            for name in expression.columns
        }
        for name in table.column_names:
            if name in mapped or not is_text(table[name].type):
                continue
            if pc.count_distinct(table[name].slice(0, 2_000)).as_py() > MOST_VALUES:
                continue
            counts = self._positives.setdefault((position, name), {})
            for value, count in iterate_counts(table[name].filter(pa.array(adds))):
                if is_return(value):
                    counts[value] = counts.get(value, 0) + count

    def _keep_persons(self, table: pa.Table, mapping: Mapping[str, Expression]) -> None:
        mapped = {name for e in mapping.values() for name in e.columns}
        for name in table.column_names:
            column = table[name]
            is_listed = name in self._persons
            if not is_listed:
                if name in mapped or len(self._persons) == _MOST_PERSON_COLUMNS:
                    continue
                if not may_name_persons(name, column):
                    continue
                self._persons[name] = [_make_missing(part.n_lines) for part in self._parts]
            self._persons[name].append(read_ids(column, nulls_by_name=True)[0])
        for name, parts in self._persons.items():
            if name not in table.column_names:
                parts.append(_make_missing(table.num_rows))

    def _count_values(
        self, table: pa.Table, mapping: Mapping[str, Expression], position: int
    ) -> None:
        mapped_names = {
            name
            for ours, expression in mapping.items()
            if ours in ("customer_id", "ordered_at", "order_id", "amount", ORDER_TOTAL)
            for name in expression.columns
        }
        for name in table.column_names:
            key = (position, name)
            if name in mapped_names or self._values.get(key, {}) is None:
                continue
            counts = self._values.setdefault(key, {})
            assert counts is not None
            if not add_counts(counts, table[name]):
                self._values[key] = None

    def _count_marks(self, table: pa.Table, mapping: Mapping[str, Expression]) -> None:
        amount = mapping.get("amount") or mapping.get(ORDER_TOTAL)
        for name in amount.columns if amount else ():
            if name not in table.column_names or not is_text(table[name].type):
                continue
            column = table[name]
            marked = column.filter(pc.match_substring_regex(column, r"[^\d\s.,()+\-'eE]"))
            for cell, count in iterate_counts(pc.replace_substring_regex(marked, r"\d+", "0")):
                mark = vocabulary.find_currency_mark(cell)
                if mark:
                    self._marks[mark] = self._marks.get(mark, 0) + count

    def build(self, *, is_capped: bool = False) -> SourceProfile:
        """The profile of all blocks taken."""
        for name, blocks in self._persons.items():
            for part, block in zip(self._parts, blocks, strict=True):
                part.texts[_PERSON + name] = block
        self._parts = _assign_returns(self._parts)
        drop_left_out(self._parts)
        return SourceProfile(
            sources=self.sources,
            config=self.config,
            files=self._files,
            n_lines_read=self.n_lines_read,
            is_capped=is_capped,
            source=self._join_numbers("source").astype(np.int32),
            file=self._join_numbers("file").astype(np.int32),
            customers=self._join_texts("customer_id"),
            order_ids=self._join_texts("order_id"),
            products=self._join_texts("product_id"),
            instants=np.concatenate([*(part.times for part in self._parts), np.zeros(0, np.int64)]),
            amounts=self._join_numbers("amount"),
            is_used=self._join_numbers("used") > 0,
            persons={name: self._join_texts(_PERSON + name) for name in self._persons},
            values={key: counts for key, counts in self._values.items() if counts},
            marks=self._marks,
            positives=self._positives,
            quantities=self._join_numbers("quantity"),
            quantity_column=self._quantity,
            amount_columns=self._amount_columns,
            cells=self._join_cells(),
        )

    def _join_texts(self, name: str) -> TextColumn:
        return merge_labels([*(part.texts[name] for part in self._parts), _make_missing(0)])

    def _join_cells(self) -> dict[str, UInt64]:
        """The hashes of the columns that all compared lines have."""
        compared = [p for p in self._parts if any(name.startswith(_CELLS) for name in p.numbers)]
        names = [n for n in (compared[0].numbers if compared else ()) if n.startswith(_CELLS)]
        common = [n for n in names if all(n in part.numbers for part in compared)]
        return {
            name.removeprefix(_CELLS): np.concatenate(
                [part.numbers[name].view(np.uint64) for part in compared]
            )
            for name in common
        }

    def _join_numbers(self, name: str) -> Float64:
        return np.concatenate([*(part.numbers[name] for part in self._parts), np.zeros(0)])


def _assign_returns(parts: list[UsableLines]) -> list[UsableLines]:
    """Returns with the customers of their orders, as reading gives them."""
    returned = ReturnedOrders()
    for part in parts:
        if RETURNED_ORDER in part.texts:
            returned.take(part)
    return [
        assign_returns(part, returned.customers)[0] if RETURNED_ORDER in part.texts else part
        for part in parts
    ]


def _make_missing(n_lines: int) -> TextColumn:
    return TextColumn(np.full(n_lines, -1, np.int32), pa.array([], pa.string()))


def _number_pairs(left: np.ndarray, right: np.ndarray) -> Int64:
    """A number for each pair of two integers per line, dense from 0."""
    first = np.unique(left, return_inverse=True)[1].astype(np.int64)
    second = np.unique(right, return_inverse=True)[1].astype(np.int64)
    return np.asarray(
        np.unique(first * (int(second.max(initial=0)) + 1) + second, return_inverse=True)[1],
        np.int64,
    )
