"""The profile of a source: one pass over its lines with all their columns, for the checks.

Reading keeps what the mapping names; faults show in what it does not: a status nobody filters, an
e-mail beside a customer id, the same order in two files. The pass stops after `MOST_LINES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ...configs.schema import FormatConfig, OrdersConfig, SourceConfig
from ..columns import Float64, Int32, Int64, Mask, TextColumn
from ..reading.column_expressions import Expression
from ..reading.column_mapping import resolve_columns
from ..reading.files import RawTable, open_tables
from ..reading.label_encoding import Ids, merge_labels, read_ids
from ..reading.line_validation import parse_lines
from . import vocabulary

__all__ = ["MOST_LINES", "SourceProfile", "profile_sources", "profile_table"]

MOST_LINES = 2_000_000
_MOST_VALUES = 60  # distinct values of a column that is counted by value
_MOST_PERSON_COLUMNS = 8
_LONGEST_PERSON = 80  # characters, on average: longer is free text
_MAIL_SHARE = 0.8  # of the cells with an @: the column is of e-mail addresses


@dataclass(frozen=True)
class SourceProfile:
    """Lines as the sources have them, as plain arrays; n is the number of lines."""

    sources: Sequence[SourceConfig]
    config: OrdersConfig
    files: Sequence[str]
    n_lines: int
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
    builder = _ProfileBuilder(config, config.all_sources())
    for position, source in enumerate(config.all_sources()):
        resolve = partial(resolve_columns, source.columns, own_names_too=True)
        for found in open_tables(source, resolve, every_column=True):
            for raw in found.blocks:
                if builder.n_lines >= most_lines and raw.table.num_rows:
                    return builder.build(is_capped=True)
                builder.add(raw, found.file, found.mapping, position)
    return builder.build()


def profile_table(table: pa.Table | pd.DataFrame, config: OrdersConfig) -> SourceProfile:
    """The profile of order lines in memory."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    config = config.reading("the orders")
    builder = _ProfileBuilder(config, config.all_sources())
    mapping, _ = resolve_columns(config.columns, table.column_names, own_names_too=True)
    builder.add(RawTable(table, np.arange(1, table.num_rows + 1)), "", mapping, 0)
    return builder.build()


@dataclass(frozen=True)
class _Block:
    """What is kept of a block of lines of one file."""

    source: int
    file: int
    texts: Mapping[str, Ids]
    instants: Int64
    amounts: Float64
    is_used: Mask

    def get_text(self, name: str) -> Ids:
        """A mapped text column; missing throughout where the file has none."""
        return self.texts[name] if name in self.texts else _make_missing(len(self.instants))


class _ProfileBuilder:
    """Takes blocks of lines with all their columns; keeps what the checks need of them."""

    def __init__(self, config: OrdersConfig, sources: Sequence[SourceConfig]) -> None:
        self.config, self.sources = config, sources
        self.now = datetime.now()
        self.n_lines = 0
        self._files: list[str] = []
        self._blocks: list[_Block] = []
        self._persons: dict[str, list[Ids]] = {}
        self._values: dict[tuple[int, str], dict[str, int] | None] = {}
        self._marks: dict[str, int] = {}

    def add(
        self, raw: RawTable, file: str, mapping: Mapping[str, Expression], position: int
    ) -> None:
        """Take one block of a file."""
        if not raw.table.num_rows or "customer_id" not in mapping:
            return
        form = self.sources[position].format or FormatConfig()
        config = self.config.model_copy(update={"format": form})
        lines = parse_lines(raw, file, mapping, config, self.now)
        if file not in self._files:
            self._files.append(file)
        used = lines.usable()
        self._keep_persons(raw.table, mapping)
        self._count_values(raw.table.filter(pa.array(used)), mapping, position)
        self._count_marks(raw.table, mapping)
        amounts = lines.numbers["amount"]
        place = self._files.index(file)
        self._blocks.append(_Block(position, place, lines.texts, lines.times, amounts, used))
        self.n_lines += len(raw.rows)

    def _keep_persons(self, table: pa.Table, mapping: Mapping[str, Expression]) -> None:
        mapped = {name for e in mapping.values() for name in e.columns}
        for name in table.column_names:
            column = table[name]
            known = name in self._persons
            if not known:
                if name in mapped or len(self._persons) == _MOST_PERSON_COLUMNS:
                    continue
                if not _may_name_persons(name, column):
                    continue
            parts = self._persons.setdefault(name, [])
            if not parts and self.n_lines:
                parts.append(_make_missing(self.n_lines))
            parts.append(read_ids(column, nulls_by_name=True)[0])
        for name, parts in self._persons.items():
            if name not in table.column_names:
                parts.append(_make_missing(table.num_rows))

    def _count_values(
        self, table: pa.Table, mapping: Mapping[str, Expression], position: int
    ) -> None:
        taken = {
            name
            for ours, expression in mapping.items()
            if ours in ("customer_id", "ordered_at", "order_id", "amount")
            for name in expression.columns
        }
        for name in table.column_names:
            key = (position, name)
            if name in taken or self._values.get(key, {}) is None:
                continue
            counts = self._values.setdefault(key, {})
            assert counts is not None
            if not _add_counts(counts, table[name]):
                self._values[key] = None

    def _count_marks(self, table: pa.Table, mapping: Mapping[str, Expression]) -> None:
        for name in mapping["amount"].columns if "amount" in mapping else ():
            column = table[name]
            if not _is_text(column.type):
                continue
            marked = column.filter(pc.match_substring_regex(column, r"[^\d\s.,()+\-'eE]"))
            for cell, count in _iterate_counts(pc.replace_substring_regex(marked, r"\d+", "0")):
                mark = vocabulary.find_currency_mark(cell)
                if mark:
                    self._marks[mark] = self._marks.get(mark, 0) + count

    def build(self, *, is_capped: bool = False) -> SourceProfile:
        """The profile of all blocks taken."""
        blocks = self._blocks
        sizes = [len(block.instants) for block in blocks]
        return SourceProfile(
            sources=self.sources,
            config=self.config,
            files=self._files,
            n_lines=self.n_lines,
            is_capped=is_capped,
            source=np.repeat(np.array([block.source for block in blocks], np.int32), sizes),
            file=np.repeat(np.array([block.file for block in blocks], np.int32), sizes),
            customers=self._join("customer_id"),
            order_ids=self._join("order_id"),
            products=self._join("product_id"),
            instants=_join_arrays([block.instants for block in blocks], np.int64),
            amounts=_join_arrays([block.amounts for block in blocks], np.float64),
            is_used=_join_arrays([block.is_used for block in blocks], np.bool_),
            persons={name: merge_labels(parts) for name, parts in self._persons.items()},
            values={key: counts for key, counts in self._values.items() if counts},
            marks=self._marks,
        )

    def _join(self, name: str) -> TextColumn:
        return merge_labels([*(block.get_text(name) for block in self._blocks), _make_missing(0)])


def _make_missing(n_lines: int) -> TextColumn:
    return TextColumn(np.full(n_lines, -1, np.int32), pa.array([], pa.string()))


def _join_arrays(parts: Sequence[np.ndarray], kind: type) -> np.ndarray:  # type: ignore[type-arg]
    return np.concatenate([*parts, np.zeros(0, kind)])


def _may_name_persons(name: str, column: pa.ChunkedArray) -> bool:
    """Whether a column may tell people apart: by its name, or because it holds e-mail addresses."""
    if not (_is_text(column.type) or pa.types.is_integer(column.type)):
        return False
    if _is_text(column.type):
        head = column.slice(0, 1_000).cast(pa.string()).drop_null()
        filled = head.filter(pc.not_equal(head, ""))
        if not len(filled) or pc.mean(pc.utf8_length(filled)).as_py() > _LONGEST_PERSON:
            return False
        if pc.mean(pc.match_substring(filled, "@")).as_py() > _MAIL_SHARE:
            return True
    return vocabulary.is_person_column(name)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _add_counts(counts: dict[str, int], column: pa.ChunkedArray) -> bool:
    """Add a column's values to their counts; False where there are too many to mean a state."""
    if not (_is_text(column.type) or pa.types.is_boolean(column.type)):
        return False
    head = column.slice(0, 2_000)
    if pc.count_distinct(head).as_py() > _MOST_VALUES:
        return False
    for value, count in _iterate_counts(column):
        counts[value] = counts.get(value, 0) + count
        if len(counts) > _MOST_VALUES:
            return False
    return True


def _iterate_counts(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    counted = pc.value_counts(column.cast(pa.string()))
    cells = [(row["values"], row["counts"]) for row in counted.to_pylist()]
    return [((value or "").strip(), count) for value, count in cells]


def _number_pairs(left: np.ndarray, right: np.ndarray) -> Int64:  # type: ignore[type-arg]
    """A number for each pair of two integers per line, dense from 0."""
    first = np.unique(left, return_inverse=True)[1].astype(np.int64)
    second = np.unique(right, return_inverse=True)[1].astype(np.int64)
    return np.asarray(
        np.unique(first * (int(second.max(initial=0)) + 1) + second, return_inverse=True)[1],
        np.int64,
    )
