"""The files a finished batch leaves: forecasts, what was set aside, and the manifest; all of them, or none.

They are written under other names and moved into place last, so a batch that fails here leaves what was
there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ...atomic_files import REJECTED, replace_file, replace_folder
from ...models.batch_manifest import Manifest, hash_file, locate_manifest
from ...models.forecast_terms import ForecastTerms
from ...models.scoring import FORECAST_SCHEMA
from ...orders import dates
from ...orders.reading.validation_issues import build_rejected_table
from .checkpointed_forecasts import CheckpointedForecasts, RunningTotals

__all__ = ["write_file", "write_folder"]


def write_file(found: CheckpointedForecasts, output: Path, summary: Manifest) -> Manifest:
    """Write one .parquet or .csv file, rejected.parquet beside it and, last, the manifest.

    `summary` is all that the manifest tells but the files, their hashes and the totals; returned is the whole.
    """
    rejected, manifest = output.with_name(REJECTED), locate_manifest(output, is_folder=False)
    sums = RunningTotals()
    with ExitStack() as stack:
        # the first to be entered is the last to be moved into place
        partials = {
            path: stack.enter_context(replace_file(path)) for path in (manifest, rejected, output)
        }
        with _writer(partials[output], output.suffix.lower(), summary.made_with) as write:
            for table in found.tables():
                write(sums.passing(table))
        _write_rejected(found, summary, partials[rejected])
        hashes = {p.name: hash_file(partials[p]) for p in (output, rejected)}
        summary = summary.model_copy(update={"files": hashes, **sums.told()})
        partials[manifest].write_text(summary.text(), encoding="utf-8")
    return summary


def write_folder(
    found: CheckpointedForecasts, output: Path, summary: Manifest, buckets: int
) -> Manifest:
    """The same as a folder, one parquet file a bucket of customers; `buckets` says how many."""
    sums = RunningTotals()
    with replace_folder(output) as folder:
        for bucket in range(buckets):
            table = sums.passing(found.bucket(bucket, buckets))
            table = summary.made_with.carried_by(table)
            pq.write_table(table, folder / f"part-{bucket:05d}.parquet")
        _write_rejected(found, summary, folder / REJECTED)
        hashes = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
        summary = summary.model_copy(update={"files": hashes, **sums.told()})
        locate_manifest(folder, is_folder=True).write_text(summary.text(), encoding="utf-8")
    return summary


@contextmanager
def _writer(path: Path, suffix: str, made: ForecastTerms) -> Iterator[Callable[[pa.Table], None]]:
    """Writes tables one after the other into one file."""
    if suffix == ".csv":
        with pa.csv.CSVWriter(path, FORECAST_SCHEMA) as csv:
            yield csv.write_table
    else:
        with pq.ParquetWriter(path, FORECAST_SCHEMA.with_metadata(made.metadata())) as parquet:
            yield parquet.write_table


def _write_rejected(found: CheckpointedForecasts, summary: Manifest, path: Path) -> None:
    """Write what was set aside: lines, then customers without an order."""
    at = dates.format_instant(dates.parse_instant(summary.cutoff))
    reason = f"the customer has no order before {at}"
    no_orders = build_rejected_table("", None, reason, customer_ids=found.without)
    pq.write_table(pa.concat_tables([found.set_aside, no_orders]), path)
