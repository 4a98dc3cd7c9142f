"""Parcels: lines of a source that go to one bucket of customers, as one binary value (an Arrow
stream), so that an engine moves a few large values and not every cell. Plain Arrow in and out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..columns import Int64, Mask
from ..reading.line_validation import join_cells
from .buckets import Hashes, SourcePlan, gather_blocks, hash_ids

__all__ = ["PARCELS", "ROW_HASH", "Parcels", "draw_lines", "unpack_parcels"]

PARCELS = pa.schema([("bucket", pa.int32()), ("source", pa.int32()), ("lines", pa.binary())])
ROW_HASH = "_clvcast_row_hash"  # a column beside the lines, where `every_line` counts
_PARCEL_LINES = 1 << 16  # at most; an engine holds a value in one piece


@dataclass(frozen=True)
class Parcels:
    """How the lines of a source are divided into buckets."""

    plan: SourcePlan
    n_buckets: int
    every_line: bool = False

    def pack(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The parcels of some lines, of `PARCELS`.

        A bucket has all lines of some customers. Lines that name none are left out; with
        `every_line`, the last column, `ROW_HASH`, says where they go.
        """
        for block in gather_blocks(batches):
            table = block.table
            hashes, is_kept = _hash_customers(table, self.plan)
            if self.every_line:
                last = table.num_columns - 1
                by_row = table.column(last).to_numpy().view(np.uint64)
                hashes, table = np.where(is_kept, hashes, by_row), table.remove_column(last)
            elif not is_kept.all():
                hashes, table = hashes[is_kept], table.filter(pa.array(is_kept))
            if len(hashes):
                yield self._divide(table, (hashes % np.uint64(self.n_buckets)).astype(np.int64))

    def _divide(self, table: pa.Table, buckets: Int64) -> pa.RecordBatch:
        counts = np.bincount(buckets, minlength=self.n_buckets)
        table = table.take(pa.array(np.argsort(buckets, kind="stable"))).combine_chunks()
        to, ends, first = [], [0], 0
        sink = pa.BufferOutputStream()
        for bucket in np.flatnonzero(counts):
            end = first + counts[bucket]
            while first < end:
                part = table.slice(first, min(end - first, _PARCEL_LINES))
                with pa.ipc.new_stream(sink, table.schema) as stream:
                    stream.write_table(part)
                to.append(bucket)
                ends.append(sink.tell())
                first += part.num_rows
        offsets = pa.py_buffer(np.array(ends, dtype=np.int32))
        lines = pa.Array.from_buffers(pa.binary(), len(to), [None, offsets, sink.getvalue()])
        return pa.record_batch(
            [np.array(to, dtype=np.int32), np.full(len(to), self.plan.position), lines],
            schema=PARCELS,
        )


def unpack_parcels(batches: Iterable[pa.RecordBatch], n_sources: int) -> list[pa.Table | None]:
    """The lines of each source that came in parcels; None where none did."""
    parts: list[list[pa.Table]] = [[] for _ in range(n_sources)]
    for batch in batches:
        for source, lines in zip(batch["source"].to_pylist(), batch["lines"], strict=True):
            parts[source].append(pa.ipc.open_stream(lines.as_buffer()).read_all())
    return [pa.concat_tables(tables) if tables else None for tables in parts]


def draw_lines(
    batches: Iterable[pa.RecordBatch], plan: SourcePlan, below: int | None, known: Int64 | None
) -> Iterator[pa.RecordBatch]:
    """The lines of a sample of the customers: whose hash, as int64, is less than `below` and is
    among `known`; None: of whatever hash.
    """
    for block in gather_blocks(batches):
        hashes, is_drawn = _hash_customers(block.table, plan)
        if below is not None:
            is_drawn &= hashes.view(np.int64) < below
        if known is not None:
            is_drawn &= np.isin(hashes.view(np.int64), known)
        yield from block.table.filter(pa.array(is_drawn)).to_batches()


def _hash_customers(table: pa.Table, plan: SourcePlan) -> tuple[Hashes, Mask]:
    """The hash of each line's customer, and which lines name one."""
    columns = [table[name] for name in plan.mapping["customer_id"].columns]
    return hash_ids(plan.rules.ids, join_cells(columns))
