"""The forecasts of a batch, read back from its checkpoint part by part, and their totals.

Parts are mapped, not read. Where shards of customers are merged, only ids are held in memory.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...models.scoring import FORECAST_SCHEMA
from .checkpoint import Checkpoint

__all__ = ["CheckpointedForecasts"]

_ROWS = 50_000  # of a table that is handed on
_TOTALS = ("churn_probability", "expected_orders", "expected_spend", "clv")


@dataclass(frozen=True)
class CheckpointedForecasts:
    """Parts of a checkpoint, each sorted by customer_id, and what was set aside."""

    checkpoint: Checkpoint
    parts: list[str]
    resumed: int
    is_sorted: bool  # parts one after the other are in the order of customers
    set_aside: pa.Table  # lines
    without: pa.StringArray  # customers with no order before the cutoff

    def tables(self) -> Iterator[pa.Table]:
        """Forecasts in the order of customers."""
        parts = [self.checkpoint.read(part) for part in self.parts]
        return iter(parts) if self.is_sorted else _merged(parts)

    def totals(self) -> dict[str, object]:
        """Rows and sums, each rounded once, so that the division into parts does not matter."""
        parts = [self.checkpoint.read(part) for part in self.parts]
        totals = {
            name: math.fsum(chain.from_iterable(part[name].to_numpy().tolist() for part in parts))
            for name in _TOTALS
        }
        return {"rows": sum(part.num_rows for part in parts), "totals": totals}

    def bucket(self, bucket: int, buckets: int) -> pa.Table:
        """The forecasts of the customers of one bucket, in their order."""
        found = [FORECAST_SCHEMA.empty_table()]
        for part in map(self.checkpoint.read, self.parts):
            ids = part["customer_id"].to_pylist()
            found.append(part.filter([zlib.crc32(own.encode()) % buckets == bucket for own in ids]))
        return _by_customer(found)


def _merged(parts: list[pa.Table]) -> Iterator[pa.Table]:
    """Sorted parts as one sorted run: of each, the next rows that belong to the next table."""
    counts = [part.num_rows for part in parts]
    if not sum(counts):
        return
    ids = pa.chunked_array([chunk for part in parts for chunk in part["customer_id"].chunks])
    order = pc.sort_indices(ids).to_numpy()
    part_of = np.repeat(np.arange(len(parts)), counts)
    begins = np.zeros(len(parts), dtype=np.int64)
    for low in range(0, len(order), _ROWS):
        own = part_of[order[low : low + _ROWS]]
        ends = begins + np.bincount(own, minlength=len(parts))
        yield _by_customer(
            [part.slice(b, e - b) for part, b, e in zip(parts, begins, ends, strict=True) if e > b]
        )
        begins = ends


def _by_customer(tables: list[pa.Table]) -> pa.Table:
    whole = pa.concat_tables(tables).combine_chunks()
    return whole.take(pc.sort_indices(whole["customer_id"]))
