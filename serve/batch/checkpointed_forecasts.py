"""Finished: the forecasts of a batch as its journal holds them, read back part by part, and their totals.

Nothing here holds more than some parts in memory: parts are mapped, not read, and where shards of customers
must be merged, only the ids are.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...models.scoring import FORECAST_SCHEMA
from .checkpoint import Checkpoint

__all__ = ["CheckpointedForecasts", "RunningTotals"]

_ROWS = 50_000  # of a table that is handed on
_TOTALS = ("churn_probability", "expected_orders", "expected_spend", "clv")


@dataclass(frozen=True)
class CheckpointedForecasts:
    """What is forecast, in parts of the journal, each by customer_id, and what is known once all of it is."""

    journal: Checkpoint
    parts: list[str]
    resumed: int
    is_sorted: bool  # parts one after the other are in the order of customers
    set_aside: pa.Table  # lines
    without: pa.StringArray  # customers with no order before the cutoff

    def tables(self) -> Iterator[pa.Table]:
        """Forecasts in the order of customers."""
        parts = [self.journal.read(part) for part in self.parts]
        return iter(parts) if self.is_sorted else _merged(parts)

    def bucket(self, bucket: int, buckets: int) -> pa.Table:
        """The forecasts of the customers of one bucket, in their order."""
        found = [FORECAST_SCHEMA.empty_table()]
        for part in map(self.journal.read, self.parts):
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


class RunningTotals:
    """Rows and totals of tables as they are written; exact, however the rows are split into tables."""

    def __init__(self) -> None:
        self.rows = 0
        self._parts: dict[str, list[float]] = {name: [] for name in _TOTALS}

    def passing(self, table: pa.Table) -> pa.Table:
        """Note a table on its way to the output."""
        self.rows += table.num_rows
        for name in _TOTALS:
            self._parts[name] = _split_sum([*self._parts[name], *table[name].to_pylist()])
        return table

    def told(self) -> dict[str, object]:
        """Rows and sums, each rounded once: what `math.fsum` gives of all values together."""
        totals = {name: math.fsum(parts) for name, parts in self._parts.items()}
        return {"rows": self.rows, "totals": totals}


def _split_sum(values: list[float]) -> list[float]:
    """Few numbers with the same sum, without rounding: a total, then what rounding left, until 0."""
    parts: list[float] = []
    while rest := math.fsum([*values, *(-part for part in parts)]):
        parts.append(rest)
    return parts
