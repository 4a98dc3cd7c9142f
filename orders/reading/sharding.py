"""Shards: orders larger than memory, a part of the customers at a time.

Lines are read once, block by block, and go to one temporary file per shard by a hash of their
customer; then each shard is packed by itself. Features and forecasts are functions of one
customer's own orders, so that the rows of all shards together, sorted by customer, are those of
reading everything at once. Orders that fit into memory are one shard, and no file is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import reduce
from operator import add
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...configs.schema import OrdersConfig
from .. import dates, windows
from ..columns import Int64
from ..cutoffs import find_complete_until, find_end
from ..orders import Orders, OrdersReport
from .label_encoding import Ids, WholeNumbers, encode_labels, parse_whole_numbers
from .line_collector import LineCollector
from .overlapping_files import FileVotes, compare_files
from .packing import pack
from .read_orders import describe_sources, estimate_bytes, iterate_usable_lines
from .report_completion import complete_report
from .temporary_folder import make_temporary_folder
from .usable_lines import Counts, UsableLines

__all__ = [
    "Progress",
    "Shards",
    "hash_customers",
    "read_lines",
    "read_shards",
    "write_lines",
]

Progress = Callable[[str, float, int], None]  # what is being done, its share and its count that are

_SHARE = 0.5  # of the memory limit for one shard's orders; the rest is for what is made of them
_MOST_SHARDS = 256
_FEW_LABELS = 256  # more are written as text, line by line
_TIMES, _PRINTS, _VERDICTS = "ordered_at", "fingerprint", "verdict"
_SOURCE, _FILE = b"source", b"file"  # in a table's metadata
_Hashes = npt.NDArray[np.uint64]


class Shards:
    """Orders by shards of customers: iterate over them, once; `report` is whole after that.

    Customers are sorted within a shard, not across shards.
    """

    def __init__(
        self,
        parts: Iterable[list[UsableLines]],
        votes: FileVotes | None,
        count: int,
        intake: LineCollector,
        report: OrdersReport,
        first: int,
        end: int,
        progress: Progress,
    ) -> None:
        self.count = count
        self.report = report
        self.first, self.end = first, end  # the first line's instant, and until when all are there
        self._parts, self._votes, self._intake, self._progress = parts, votes, intake, progress

    def __iter__(self) -> Iterator[Orders]:
        """The orders of each shard that has any, with the optional columns of the whole."""
        decimals = self._intake.config.currency_decimals
        total, n_customers = Counts(), 0
        for done, parts in enumerate(self._parts):
            if parts:
                files = self._intake.overlapping
                orders, counts = pack(parts, self._intake.columns, decimals, files, self._votes)
                total += counts
                n_customers += orders.n_customers
                if orders.n_customers:
                    yield orders
                del orders
            if self.count > 1:
                self._progress("customers", (done + 1) / self.count, n_customers)
        self.report = complete_report(self.report, total, self._intake.config)


@contextmanager
def read_shards(
    config: OrdersConfig,
    memory_limit: int,
    *,
    own_names_too: bool = False,
    folder: Path | None = None,
    progress: Progress = lambda what, share, count: None,
    now: datetime | None = None,
) -> Iterator[Shards]:
    """Read the orders a configuration names in shards that fit into `memory_limit` (bytes).

    Temporary files go into a folder of their own in `folder` (else where the system keeps such) and
    are gone when the context ends; what a killed run left there goes first. Refuses what
    `reading.read` refuses.
    """
    named = describe_sources(config)
    intake = LineCollector(config, now)
    needed = estimate_bytes(intake, own_names_too)
    n_shards = min(_MOST_SHARDS, -(-needed // max(1, int(memory_limit * _SHARE))))
    n_shards = 1 if needed <= memory_limit else max(2, n_shards)
    span, votes = _Span(), None
    with ExitStack() as stack:
        if n_shards == 1:
            lines = list(map(span.seen, iterate_usable_lines(intake, own_names_too)))
            shards = iter([lines])
        else:
            place = stack.enter_context(make_temporary_folder(folder))
            files = [place / f"{k}.arrows" for k in range(n_shards)]
            watch = lambda share: progress("order lines", share, intake.lines_read)  # noqa: E731
            for part in iterate_usable_lines(intake, own_names_too, watch):
                write_lines(span.seen(part), files)
            if intake.overlapping and len(intake.spans) > 1:  # told from all customers
                votes = reduce(
                    add, (compare_files(read_lines(f), intake.spans) for f in files), FileVotes()
                )
            shards = map(_take, files)
        report = intake.report(named)
        end = find_end(span.newest, find_complete_until(config, intake.rules.now))
        yield Shards(shards, votes, n_shards, intake, report, span.first, end, progress)


class _Span:
    """The first and the newest instant of the lines that passed by."""

    def __init__(self) -> None:
        self.first, self.newest = dates.NEVER, -1

    def seen(self, part: UsableLines) -> UsableLines:
        lines = part.surely_kept()
        if lines.n_lines:
            self.first, self.newest = windows.widen_span(self.first, self.newest, lines.times)
        return part


def write_lines(part: UsableLines, files: list[Path]) -> None:
    """Append each line to its customer's shard."""
    shard = (hash_customers(part.texts["customer_id"]) % np.uint64(len(files))).astype(np.uint8)
    order = np.argsort(shard, kind="stable")
    ends = np.searchsorted(shard[order], np.arange(len(files) + 1))
    columns = {name: _convert_to_array(column, order) for name, column in part.texts.items()}
    columns |= {name: pa.array(values[order]) for name, values in part.numbers.items()}
    columns[_TIMES] = pa.array(part.times[order])
    if part.fingerprints is not None:
        columns[_PRINTS] = pa.array(part.fingerprints[order])
    if part.verdicts is not None:
        columns[_VERDICTS] = pa.array(part.verdicts[order])
    batch = pa.record_batch(columns).replace_schema_metadata(
        {_SOURCE: str(part.source), _FILE: str(part.file)}
    )
    for file, begin, end in zip(files, ends[:-1], ends[1:], strict=True):
        if end > begin:
            # each time a stream of its own: files may differ in their columns and types
            with file.open("ab") as sink, pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_batch(batch.slice(begin, end - begin))


def _convert_to_array(column: Ids, order: Int64) -> pa.Array:
    if isinstance(column, WholeNumbers):
        return pa.array(column.values[order])
    codes = pa.array(column.codes[order], mask=column.codes[order] < 0)
    if len(column.values) <= _FEW_LABELS:
        return pa.DictionaryArray.from_arrays(codes, column.labels)
    return column.labels.take(codes)


def _take(file: Path) -> list[UsableLines]:
    """The lines of one shard; its file is removed."""
    parts = read_lines(file)
    file.unlink(missing_ok=True)
    return parts


def read_lines(file: Path) -> list[UsableLines]:
    """The lines of one shard, in the order they were read; neighbours of one kind in one part."""
    if not file.exists():
        return []
    tables: list[list[pa.Table]] = []
    with pa.OSFile(str(file)) as source:
        while source.tell() < source.size():
            table = pa.ipc.open_stream(source).read_all()
            if tables and tables[-1][-1].schema.equals(table.schema, check_metadata=True):
                tables[-1].append(table)
            else:
                tables.append([table])
    return [_convert_to_lines(pa.concat_tables(alike)) for alike in tables]


def _convert_to_lines(table: pa.Table) -> UsableLines:
    texts: dict[str, Ids] = {}
    numbers = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in (_TIMES, _PRINTS, _VERDICTS):
            continue
        if pa.types.is_integer(column.type):
            texts[name] = parse_whole_numbers(column.to_numpy())
        elif pa.types.is_floating(column.type):
            numbers[name] = column.to_numpy()
        else:
            texts[name] = encode_labels(column.unify_dictionaries().combine_chunks())
    prints = table[_PRINTS].to_numpy() if _PRINTS in table.column_names else None
    verdicts = table[_VERDICTS].to_numpy() if _VERDICTS in table.column_names else None
    about = table.schema.metadata or {}
    source, number = int(about.get(_SOURCE, 0)), int(about.get(_FILE, 0))
    times = table[_TIMES].to_numpy()
    return UsableLines(texts, times, numbers, prints, verdicts, source, number)


def hash_customers(customers: Ids) -> _Hashes:
    """Per line a hash of its customer's id as text: the same in whatever file and type it
    stands.
    """
    if isinstance(customers, WholeNumbers):
        return _hash_numbers(customers.values)  # type: ignore[no-any-return]
    labels = customers.labels
    hashes = np.empty(len(labels), dtype=np.uint64)
    ends = np.cumsum(pc.binary_length(labels).to_numpy(zero_copy_only=False), dtype=np.int64)
    text = np.frombuffer(b"".join(map(str.encode, labels.to_pylist())), dtype=np.uint8)
    _hash_texts(text, ends, hashes)
    return hashes[customers.codes]


_FNV_START, _FNV_PRIME = (
    np.uint64(0xCBF2_9CE4_8422_2325),
    np.uint64(0x0000_0100_0000_01B3),
)  # FNV-1a


@numba.njit(cache=True, nogil=True)
def _hash_texts(text, ends, found):  # type: ignore[no-untyped-def]
    begin = 0
    for k in range(len(ends)):
        value = _FNV_START
        for position in range(begin, ends[k]):
            value = (value ^ np.uint64(text[position])) * _FNV_PRIME
        found[k] = value ^ (value >> np.uint64(32))
        begin = ends[k]


@numba.njit(cache=True, nogil=True)
def _hash_numbers(values):  # type: ignore[no-untyped-def]
    hashes = np.empty(len(values), dtype=np.uint64)
    for line in range(len(values)):
        power = np.int64(1)
        while values[line] // power >= 10:
            power *= 10
        value = _FNV_START
        while power > 0:
            digit = values[line] // power % 10 + 48
            value = (value ^ np.uint64(digit)) * _FNV_PRIME
            power //= 10
        hashes[line] = value ^ (value >> np.uint64(32))
    return hashes
