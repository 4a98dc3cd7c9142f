"""The output files of a batch: forecasts, rejected lines and the manifest, all of them or none.

They are written in the checkpoint's folder and moved into place last, so a batch that fails here
leaves earlier outputs as they were.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ...atomic_files import REJECTED, replace_file, replace_folder
from ...models.batch_manifest import Manifest, hash_file, locate_manifest
from ...models.forecast_terms import ForecastTerms
from ...models.scoring import PERIOD_PREFIX, build_forecast_schema
from ...orders import dates
from ...orders.reading.rejected_lines import build_rejected_table
from .checkpoint import CheckpointedForecasts

__all__ = ["write_file", "write_folder"]


def write_file(
    found: CheckpointedForecasts,
    output: Path,
    summary: Manifest,
    periods_table: Path | None = None,
) -> Manifest:
    """Write one .parquet or .csv file, rejected.parquet beside it and, last, the manifest.

    `summary` is the manifest without files, hashes and totals; the complete one is returned. The
    `periods_table` is a file beside the output with the spend of each period alone.
    """
    rejected, manifest = output.with_name(REJECTED), locate_manifest(output, is_folder=False)
    with ExitStack() as stack:
        # the first to be entered is moved into place last
        partials = {
            path: stack.enter_context(replace_file(path, found.checkpoint.folder))
            for path in (manifest, rejected, output, periods_table)
            if path is not None
        }
        schemas = {output: found.schema}
        if periods_table is not None:
            schemas[periods_table] = _build_periods_schema(summary.made_with.periods)
        for path, schema in schemas.items():
            kind = path.suffix.lower()
            with _open_writer(partials[path], kind, schema, summary.made_with) as writer:
                for table in found.tables():
                    writer.write_table(table.select(schema.names))
        _write_rejected(found, summary, partials[rejected])
        hashes = {path.name: hash_file(partials[path]) for path in (*schemas, rejected)}
        summary = summary.model_copy(update={"files": hashes, **found.totals()})
        partials[manifest].write_text(summary.text(), encoding="utf-8")
    return summary


def write_folder(
    found: CheckpointedForecasts, output: Path, summary: Manifest, buckets: int
) -> Manifest:
    """The same as a folder of `buckets` parquet files."""
    with replace_folder(output, found.checkpoint.folder) as folder:
        for bucket in range(buckets):
            table = summary.made_with.carried_by(found.bucket(bucket, buckets))
            pq.write_table(table, folder / f"part-{bucket:05d}.parquet")
        _write_rejected(found, summary, folder / REJECTED)
        hashes = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
        summary = summary.model_copy(update={"files": hashes, **found.totals()})
        locate_manifest(folder, is_folder=True).write_text(summary.text(), encoding="utf-8")
    return summary


def _build_periods_schema(periods: int) -> pa.Schema:
    """Who, when, by which model, and a column per period."""
    schema = build_forecast_schema(periods)
    names = ("customer_id", "cutoff", "model_version")
    fields = [schema.field(name) for name in names]
    return pa.schema([*fields, *(f for f in schema if f.name.startswith(PERIOD_PREFIX))])


def _open_writer(path: Path, suffix: str, schema: pa.Schema, terms: ForecastTerms) -> Any:
    """A writer of tables into one file."""
    if suffix == ".csv":
        return pa.csv.CSVWriter(path, schema)
    return pq.ParquetWriter(path, schema.with_metadata(terms.metadata()))


def _write_rejected(found: CheckpointedForecasts, summary: Manifest, path: Path) -> None:
    """Write rejected lines, then customers without an order."""
    at = dates.format_instant(dates.parse_instant(summary.cutoff))
    reason = f"the customer has no order before {at}"
    no_orders = build_rejected_table("", None, reason, customer_ids=found.without)
    pq.write_table(pa.concat_tables([found.set_aside, no_orders]), path)
