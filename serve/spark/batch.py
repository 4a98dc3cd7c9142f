"""Batch in Spark: order files in, a folder of forecasts out, with rejected lines beside it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ...configs.addresses import is_address
from ...errors import ConfigError, StoreError
from ...features.attribute_features import MissingAttributes, count_missing_attributes
from ...models.model import TrainedModel
from ...models.order_values import OrderValues, check_order_values, count_order_values
from ...models.plausibility import (
    PastSpend,
    describe_plausibility,
    describe_unknown,
    sum_past_spend,
)
from ...models.scoring import FORECAST_SCHEMA, describe_hindsight, describe_terms
from ...orders import dates, windows
from ...orders.reading.read_orders import describe_sources
from ...orders.reading.rejected_lines import REJECTED_SCHEMA, build_rejected_table
from ...orders.reading.report_completion import complete_report
from ...orders.reading.usable_lines import Counts
from ...orders.spark.buckets import Bucket
from ...orders.spark.files import (
    describe_limits,
    read_customers,
    read_files,
    translate_spark_errors,
)
from ...orders.spark.survey import map_buckets, survey_orders
from ..batch.run import BatchResult
from .scoring import SparkModel, forecast_bucket, resolve_cutoff

__all__ = ["score_files"]

_SUMMARY = "summary of a bucket"  # reason of the row that summarises the others
_SUMMED = ("expected_spend", "clv", "churn_probability")
_SCHEMA = pa.schema(
    [*FORECAST_SCHEMA, *(REJECTED_SCHEMA.field(n) for n in ("file", "reason", "column", "value"))]
)
_DONE = "_SUCCESS"  # written last by Spark's committer


def score_files(
    model: TrainedModel,
    source: str | None,
    output: str | Path,
    cutoff: dates.Instant | None = None,
    *,
    customers: str | None = None,
    buckets: int | None = None,
    force: bool = False,
) -> BatchResult:
    """Score the order files of `source` (else the model's own) in Spark into a folder of parquet.

    `customers` is the file of customer attributes, for a model that learned from any. Rejected
    lines go into the folder `<output>-rejected`. A folder is complete when it holds Spark's
    `_SUCCESS`; a complete one is replaced only with `force`, since Spark removes it first.
    """
    if "://" in str(output) or is_address(str(output)):
        raise ConfigError(
            "with --engine spark the output must be a folder that every machine sees, got an "
            "address; call clvcast.spark.score and write its DataFrame there"
        )
    output = Path(output)
    rejected = output.with_name(f"{output.name}-rejected")
    _check_output(output, rejected, force)
    config = model.orders if source is None else model.orders.reading(source)
    named = describe_sources(config)
    with translate_spark_errors():
        orders = survey_orders(read_files(config), config, named)
        orders = orders.knowing(read_customers(customers, model.customers), model.customers)
        instant, concern = resolve_cutoff(model, orders, cutoff)
        make = partial(_score_bucket, SparkModel.of(model, orders), instant)
        outcome = map_buckets(orders, make, _SCHEMA, buckets, every_line=True).persist()
        try:
            summaries = outcome.where(F.col("reason") == _SUMMARY).select("value").collect()
            buckets_done = [json.loads(row["value"]) for row in summaries]
            values = (OrderValues.from_pairs(one["order_values"]) for one in buckets_done)
            total_values = reduce(add, values, OrderValues())
            strange = check_order_values(model.numbers.order_value, total_values)
            is_forecast = F.col("reason").isNull()
            set_aside = outcome.where(~is_forecast & (F.col("reason") != _SUMMARY))
            _write(set_aside.select(*map(_build_rejected_column, REJECTED_SCHEMA.names)), rejected)
            _write(outcome.where(is_forecast).select(*FORECAST_SCHEMA.names), output)
        finally:
            outcome.unpersist()
    counts = reduce(add, (Counts(**bucket["counts"]) for bucket in buckets_done), Counts())
    report = complete_report(orders.report, counts, config)
    missing = (MissingAttributes(**bucket["unknown"]) for bucket in buckets_done)
    unknown = reduce(add, missing, MissingAttributes())
    facts_remarks = orders.facts.value.remarks if orders.facts else ()
    concerns = [sentence for sentence in (concern, strange) if sentence]
    concerns += [*describe_hindsight(model, instant), *describe_limits(config)]
    concerns += model.describe_settings(instant)
    sums = {name: math.fsum(bucket[name] for bucket in buckets_done) for name in _SUMMED}
    past = reduce(add, (PastSpend(**one["past_spend"]) for one in buckets_done), PastSpend())
    terms = describe_terms(model)
    sentences, warnings = describe_plausibility(
        past, sums["clv"], sums["expected_spend"], instant, terms
    )
    evidence = next((one["evidence"] for one in buckets_done if one["evidence"]), "")
    warnings += [sentence for sentence in (describe_unknown(evidence, terms),) if sentence]
    remarks = (*warnings, *report.remarks, *facts_remarks, *unknown.sentences(), *concerns)
    n_customers = sum(bucket["customers"] for bucket in buckets_done)
    return BatchResult(
        output=output,
        rejected=rejected,
        manifest=None,
        model_version=model.version,
        cutoff=dates.format_instant(instant),
        customers=n_customers,
        expected_spend=sums["expected_spend"],
        clv=sums["clv"],
        churn_rate=sums["churn_probability"] / n_customers if n_customers else None,
        customers_without_orders=sum(b["customers_without_orders"] for b in buckets_done),
        lines_set_aside=sum(bucket["lines_set_aside"] for bucket in buckets_done),
        remarks=remarks,
        was_done=False,
        parts_resumed=0,
        plausibility=tuple(sentences),
    )


def _check_output(output: Path, rejected: Path, force: bool) -> None:
    """Reject, before long work, folders that cannot be written or that are complete."""
    if output.suffix:
        raise ConfigError(f"Spark writes a folder, got {output}; leave {output.suffix} out")
    if not output.parent.is_dir():
        raise StoreError(f"the output's folder {output.parent} does not exist; make it first")
    for folder in (output, rejected):
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"the output {folder} is a file; name a folder")
        if (folder / _DONE).exists():
            if not force:
                raise StoreError(f"{folder} exists; name a new folder, or replace it with --force")
        elif folder.exists() and any(path.name != "_temporary" for path in folder.iterdir()):
            raise StoreError(f"{folder} holds other files; name a new folder")


def _build_rejected_column(name: str) -> Any:
    if name in _SCHEMA.names:
        return F.col(name)
    return F.lit(None).cast("bigint").alias(name)  # row: lines are not numbered in Spark


def _write(frame: DataFrame, folder: Path) -> None:
    """Let Spark write and commit a folder; leftovers of an interrupted run are replaced."""
    frame.write.mode("overwrite").parquet(folder.resolve().as_uri())


def _score_bucket(sent: SparkModel, instant: int, bucket: Bucket) -> pa.Table:
    """In a worker: forecasts, rejected lines with reasons, and last a summary of the bucket."""
    forecasts = forecast_bucket(sent, instant, bucket)
    ids = pa.array([], pa.string()) if bucket.orders is None else bucket.orders.customer_ids
    without = ids.filter(pc.invert(pc.is_in(ids, forecasts["customer_id"].combine_chunks())))
    values = OrderValues() if bucket.orders is None else count_order_values(bucket.orders, instant)
    reason = f"the customer has no order before {dates.format_instant(instant)}"
    summary = {
        "counts": asdict(bucket.counts),
        "customers": forecasts.num_rows,
        "customers_without_orders": len(without),
        "order_values": values.to_pairs(),
        "past_spend": asdict(_sum_past_spend(sent, instant, bucket)),
        "evidence": str(forecasts["evidence"][0].as_py()) if forecasts.num_rows else "",
        "unknown": asdict(_count_unknown(sent, instant, bucket)),
        "lines_set_aside": bucket.set_aside.num_rows,
        **{name: math.fsum(forecasts[name].to_pylist()) for name in _SUMMED},
    }
    summary_row = pa.table({"reason": [_SUMMARY], "value": [json.dumps(summary)]})
    without_orders = build_rejected_table("", None, reason, customer_ids=without)
    parts = (forecasts, bucket.set_aside, without_orders, summary_row)
    return pa.concat_tables([_add_missing_columns(part) for part in parts])


def _sum_past_spend(sent: SparkModel, instant: int, bucket: Bucket) -> PastSpend:
    if bucket.orders is None:
        return PastSpend()
    model = sent.model()
    observed = windows.slice_observed(model.usable_columns(bucket.orders), instant)
    return sum_past_spend(observed, instant, describe_terms(model))


def _count_unknown(sent: SparkModel, instant: int, bucket: Bucket) -> MissingAttributes:
    """The number of customers without each attribute."""
    if bucket.orders is None:
        return MissingAttributes()
    model = sent.model()
    observed = windows.slice_observed(model.usable_columns(bucket.orders), instant)
    return count_missing_attributes(observed, model.numbers.attributes, instant)


def _add_missing_columns(table: pa.Table) -> pa.Table:
    """The columns of `_SCHEMA`, null where the table lacks them."""
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in _SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)
