"""Buckets: orders spread over many machines. Plain Arrow tables in and out; no engine is known
here.

A customer's lines meet in one bucket by a hash of the customer's id as orders have it (`17850.0` is
`17850`). What a bucket holds is validated and packed by the code that reads files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...configs.schema import OrdersConfig, SourceConfig
from ...errors import OrdersError
from .. import dates, windows
from ..columns import Mask
from ..orders import Orders
from ..reading.column_expressions import Expression
from ..reading.column_mapping import resolve_columns
from ..reading.customer_ids import CustomerIdRules
from ..reading.files import RawTable
from ..reading.label_encoding import Ids
from ..reading.layout_fitting import fit_rules
from ..reading.line_collector import LineCollector
from ..reading.line_validation import ReadingRules
from ..reading.packing import pack
from ..reading.rejected_lines import REJECTED_SCHEMA
from ..reading.sharding import hash_customers
from ..reading.usable_lines import Counts, UsableLines
from ..reading.validation_issues import raise_faults
from ..reading.validation_summary import ValidationSummary

__all__ = [
    "Bucket",
    "Hashes",
    "Sketch",
    "SourcePlan",
    "Survey",
    "fill_bucket",
    "gather_blocks",
    "hash_ids",
    "hash_known_customers",
    "plan_source",
    "survey_lines",
]

_SKETCH = 4_096  # the number of customers is told to within 2 %
_BLOCK_LINES, _BLOCK_BYTES = 1 << 18, 1 << 26  # worked on at a time
_SPACE = 2.0**64
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class SourcePlan:
    """How every part of one source's orders is read: the same on every machine."""

    rules: ReadingRules
    names: tuple[str, ...]  # of all their columns
    source: SourceConfig | None = None  # where it is one of several
    position: int = 0  # of them
    shown: str = ""  # as messages name it, where it is one of several

    @property
    def config(self) -> OrdersConfig:
        """The settings they are read by."""
        return self.rules.config

    @property
    def mapping(self) -> dict[str, Expression]:
        """Which expression over their columns gives each of ours; it does not travel, for it holds
        code.
        """
        rules = self.source or self.config
        return resolve_columns(rules, list(self.names), own_names_too=True)[0]

    @property
    def columns(self) -> list[str]:
        """Those of their columns that are read."""
        needed = dict.fromkeys(name for e in self.mapping.values() for name in e.columns)
        return list(dict.fromkeys(self.names) if self.config.duplicates == "drop" else needed)

    @property
    def given(self) -> list[str]:
        """Our optional columns that its lines have."""
        of_all = self.source and {"channel": self.source.channel, "category": self.source.category}
        return [*self.mapping, *(name for name, value in (of_all or {}).items() if value)]

    def usable(
        self, intake: LineCollector, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[UsableLines]:
        """The usable lines of some of its lines."""
        intake.columns.update(self.given)
        blocks = gather_blocks(batches)
        return intake.usable(blocks, self.shown, self.mapping, (), self.source, self.position)


def plan_source(
    empty: pa.Table,
    config: OrdersConfig,
    now: datetime,
    shown: str,
    source: SourceConfig | None = None,
    position: int = 0,
) -> SourcePlan:
    """The plan for lines with the columns of an empty table; refuses columns that do not fit.

    `source` is whose lines they are, at `position` of several; messages call it `shown`.
    """
    config = fit_rules(config, empty.column_names, shown)
    source = source and fit_rules(source, empty.column_names, shown)
    mapping, faults = resolve_columns(source or config, empty.column_names, own_names_too=True)
    if (source or config).return_columns:
        raise OrdersError(
            f"{shown}: orders.return_columns needs all lines in one place and is not read in "
            "Spark; score the files without Spark, or fill in the customer of each return before"
        )
    if faults:
        raise_faults(faults, shown)
    intake = LineCollector(config, now)
    list(intake.usable(iter([RawTable(empty, np.arange(0))]), "", mapping, (), source))
    if intake.faults:
        raise_faults(intake.faults, shown)
    name = "" if source is None else shown  # of a single source messages need none
    return SourcePlan(intake.rules, tuple(empty.column_names), source, position, name)


@dataclass(frozen=True)
class Sketch:
    """The smallest hashes of distinct customers: how many customers there are follows from the
    largest.

    Bar-Yossef et al., Counting distinct elements in a data stream, 2002.
    """

    smallest: Hashes = field(default_factory=lambda: np.empty(0, dtype=np.uint64))

    def __add__(self, other: Sketch) -> Sketch:
        return Sketch(np.unique(np.concatenate((self.smallest, other.smallest)))[:_SKETCH])

    @property
    def customers(self) -> int:
        """Customers: exact below 4,096, to within 2 % or so above."""
        n_hashes = len(self.smallest)
        return (
            n_hashes
            if n_hashes < _SKETCH
            else int((n_hashes - 1) * _SPACE / float(self.smallest[-1]))
        )


@dataclass(frozen=True)
class Survey:
    """What must be known of all lines before any is used; surveys of disjoint lines add up."""

    tally: ValidationSummary = field(default_factory=ValidationSummary)
    first: int = dates.NEVER  # the instants of the first and the newest usable line
    newest: int = -1
    sketch: Sketch = field(default_factory=Sketch)

    def __add__(self, other: Survey) -> Survey:
        return Survey(
            self.tally + other.tally,
            min(self.first, other.first),
            max(self.newest, other.newest),
            self.sketch + other.sketch,
        )


def survey_lines(
    batches: Iterable[pa.RecordBatch], plan: SourcePlan, until: int = dates.NEVER
) -> Survey:
    """Survey some lines of a source, wherever they come from; no line is kept.

    Customers are counted by their lines before `until`.
    """
    intake = LineCollector(plan.config, rules=plan.rules)
    survey = Survey()
    for lines in map(UsableLines.surely_kept, plan.usable(intake, batches)):
        if not lines.n_lines:
            continue
        first, newest = windows.widen_span(survey.first, survey.newest, lines.times)
        sketch = Sketch(_hash_customers_before(lines, until))
        survey = Survey(survey.tally, first, newest, survey.sketch + sketch)
    return replace(survey, tally=replace(intake.tally(), rejected_lines=[]))


def hash_known_customers(
    batches: Iterable[pa.RecordBatch], plan: SourcePlan, until: int
) -> Iterator[Hashes]:
    """Hashes, as `hash_ids` gives them, of the customers who have a usable line before `until`;
    some of them again and again.
    """
    intake = LineCollector(plan.config, rules=plan.rules)
    for lines in map(UsableLines.surely_kept, plan.usable(intake, batches)):
        yield _hash_customers_before(lines, until)


def _hash_customers_before(lines: UsableLines, until: int) -> Hashes:
    """The distinct hashes of the customers of the lines before an instant."""
    known = lines.texts["customer_id"].where(windows.is_before(lines.times, until))
    return np.unique(_mix_hashes(known))


@dataclass(frozen=True)
class Bucket:
    """All lines of some customers."""

    orders: Orders | None  # None where no line is usable
    counts: Counts
    set_aside: pa.Table  # of `REJECTED_SCHEMA`; their lines have no numbers


def fill_bucket(tables: Sequence[pa.Table | None], plans: Sequence[SourcePlan]) -> Bucket:
    """Pack the lines of some customers, a table of each source."""
    config = plans[0].config
    intake = LineCollector(config, rules=plans[0].rules)
    parts: list[UsableLines] = []
    for plan, table in zip(plans, tables, strict=True):
        # also of a source without lines here: which columns there are depends on no bucket
        parts += plan.usable(intake, () if table is None else table.to_batches())
    rejected = intake.tally().rejected_lines
    set_aside = pa.concat_tables([REJECTED_SCHEMA.empty_table(), *rejected])
    set_aside = set_aside.set_column(1, "row", pa.nulls(set_aside.num_rows, pa.int64()))
    if not parts:
        return Bucket(None, Counts(), set_aside)
    orders, counts = pack(parts, intake.columns, config.currency_decimals)
    return Bucket(orders if orders.n_customers else None, counts, set_aside)


def hash_ids(rules: CustomerIdRules, column: pa.ChunkedArray) -> tuple[Hashes, Mask]:
    """A hash of each customer id, evenly spread, and which cells name a customer (else it is 0)."""
    ids, _ = rules.read(column)
    is_there = ~ids.is_missing
    hashes = np.zeros(len(is_there), dtype=np.uint64)
    if is_there.any():
        hashes[is_there] = _mix_hashes(ids.where(is_there))
    return hashes, is_there


def _mix_hashes(customers: Ids) -> Hashes:
    return _scramble_bits(hash_customers(customers))


def _scramble_bits(hashes: Hashes) -> Hashes:
    """Hashes whose every bit depends on every bit of the given ones (the finalizer of
    SplitMix64).
    """
    mixed = hashes
    for shift, factor in ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def gather_blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[RawTable]:
    """Batches gathered into blocks that are worth parsing."""
    waiting: list[pa.RecordBatch] = []
    n_lines = n_bytes = 0
    for batch in batches:
        waiting.append(batch)
        n_lines += batch.num_rows
        n_bytes += batch.nbytes
        if n_lines >= _BLOCK_LINES or n_bytes >= _BLOCK_BYTES:
            yield _concatenate_batches(waiting)
            waiting, n_lines, n_bytes = [], 0, 0
    if waiting:
        yield _concatenate_batches(waiting)


def _concatenate_batches(batches: list[pa.RecordBatch]) -> RawTable:
    table = pa.Table.from_batches(batches)
    return RawTable(table, np.zeros(table.num_rows, dtype=np.int64))
