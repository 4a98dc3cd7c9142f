"""Checkpoint of a batch: finished parts on disk, so that an interrupted run resumes.

It is a folder beside the output while a batch runs, under a key of everything the forecasts
depend on. A part is complete or absent; parts of another key are deleted. The process that holds
its lock file owns it, and with it the output.
"""

from __future__ import annotations

import math
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout

from ...atomic_files import replace_file
from ...errors import StoreError
from ...models.plausibility import PastSpend
from ...models.scoring import FORECAST_SCHEMA

__all__ = ["Checkpoint", "CheckpointedForecasts", "open_checkpoint", "remove_leftovers"]

_KEY, _LOCK = "key", "lock"
_ROWS = 50_000  # of a merged table
_TOTALS = ("churn_probability", "expected_orders", "expected_spend", "clv")


@dataclass(frozen=True)
class Checkpoint:
    """The parts of one batch; half-written outputs go into its folder too."""

    folder: Path

    def has(self, part: str) -> bool:
        """Whether a part is finished."""
        return self._locate_part(part).exists()

    def write(self, part: str, table: pa.Table) -> None:
        """Finish a part."""
        with (
            replace_file(self._locate_part(part)) as partial,
            pa.ipc.new_file(str(partial), table.schema) as stream,
        ):
            stream.write_table(table)

    def read(self, part: str) -> pa.Table:
        """A finished part, mapped into memory."""
        with pa.memory_map(str(self._locate_part(part))) as file, pa.ipc.open_file(file) as stream:
            return stream.read_all()

    def clear(self) -> None:
        """Delete all parts."""
        for path in self.folder.glob("*.arrow"):
            path.unlink()

    def close(self) -> None:
        """Delete the checkpoint: its parts are in the output."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _locate_part(self, part: str) -> Path:
        return self.folder / f"{part}.arrow"


@contextmanager
def open_checkpoint(output: Path, key: str) -> Iterator[Checkpoint]:
    """The checkpoint of an output; `StoreError` while another process writes the same output."""
    folder = _locate(output)
    folder.mkdir(exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            _remove_stale(folder, key)
            (folder / _KEY).write_text(key, encoding="utf-8")
            try:
                yield Checkpoint(folder)
            finally:
                if not any(folder.glob("*.arrow")):  # nothing to resume from
                    shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        raise StoreError(f"another process is writing {output}; wait for it") from None


def remove_leftovers(output: Path, key: str) -> None:
    """Remove the checkpoint of a run that was killed right after its last output."""
    if _locate(output).exists():
        with open_checkpoint(output, key) as left:
            left.close()


def _locate(output: Path) -> Path:
    return output.with_name(f".{output.name}.journal")


def _remove_stale(folder: Path, key: str) -> None:
    """Remove half-written files and, where the key is another, all parts."""
    key_file = folder / _KEY
    is_same = key_file.exists() and key_file.read_text(encoding="utf-8") == key
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK and not (is_same and path.suffix == ".arrow"):
            path.unlink()


@dataclass(frozen=True)
class CheckpointedForecasts:
    """Parts of a checkpoint, each sorted by customer_id, and what was set aside."""

    checkpoint: Checkpoint
    parts: list[str]
    resumed: int  # parts that an interrupted run had finished
    is_sorted: bool  # the parts, one after the other, are sorted by customer
    set_aside: pa.Table  # lines
    without: pa.StringArray  # customers with no order before the cutoff
    past_spend: PastSpend = field(default_factory=PastSpend)
    schema: pa.Schema = FORECAST_SCHEMA  # of the output; parts may have more columns

    def tables(self) -> Iterator[pa.Table]:
        """The forecasts by customer_id, table by table."""
        parts = [self.checkpoint.read(part) for part in self.parts]
        return iter(parts) if self.is_sorted else _merge(parts)

    def totals(self) -> dict[str, object]:
        """Rows and sums, each rounded once, so that the division into parts does not matter."""
        parts = [self.checkpoint.read(part) for part in self.parts]
        totals = {
            name: math.fsum(chain.from_iterable(part[name].to_numpy().tolist() for part in parts))
            for name in _TOTALS
        }
        return {"rows": sum(part.num_rows for part in parts), "totals": totals}

    def first_evidence(self) -> str:
        """One customer's evidence, which says what is unknown of all; empty without customers."""
        tables = (self.checkpoint.read(part) for part in self.parts)
        return next((str(one["evidence"][0].as_py()) for one in tables if one.num_rows), "")

    def bucket(self, bucket: int, buckets: int) -> pa.Table:
        """The forecasts of one bucket of customers, by customer_id."""
        tables = [self.schema.empty_table()]
        for part in map(self.checkpoint.read, self.parts):
            hashes = [zlib.crc32(name.encode()) for name in part["customer_id"].to_pylist()]
            keep = pa.array(np.array(hashes, np.int64) % buckets == bucket)
            tables.append(part.select(self.schema.names).filter(keep))
        return _sort(tables)


def _merge(parts: list[pa.Table]) -> Iterator[pa.Table]:
    """Merge sorted parts; only ids and the rows of the next table are held in memory."""
    counts = [part.num_rows for part in parts]
    if not sum(counts):
        return
    ids = pa.chunked_array([chunk for part in parts for chunk in part["customer_id"].chunks])
    order = pc.sort_indices(ids).to_numpy()
    part_of = np.repeat(np.arange(len(parts)), counts)
    begins = np.zeros(len(parts), dtype=np.int64)
    for low in range(0, len(order), _ROWS):
        ends = begins + np.bincount(part_of[order[low : low + _ROWS]], minlength=len(parts))
        yield _sort(
            [part.slice(b, e - b) for part, b, e in zip(parts, begins, ends, strict=True) if e > b]
        )
        begins = ends


def _sort(tables: list[pa.Table]) -> pa.Table:
    table = pa.concat_tables(tables).combine_chunks()
    return table.take(pc.sort_indices(table["customer_id"]))
