"""Spark: orders that live in a cluster, in buckets of customers. Nothing of a customer leaves a bucket.

A survey (one scan, no shuffle) counts the lines, refuses what cannot be used and finds the first and newest
order. Then one shuffle brings each customer's lines into one bucket, where `make` works on them as on any
other orders. Rows depend on their customer alone, so the number of buckets changes their order, never a value.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial, reduce
from operator import add

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]
from pyspark.sql.pandas.types import to_arrow_schema

from ..configs.schema import Config, OrdersConfig
from ..errors import ConfigError, OrdersError
from . import windows
from .buckets import Bucket, Plan, Survey, bucket, hashes, plan, survey
from .catalogue import catalogue_for
from .orders import Orders, OrdersReport
from .table import feature_rows

__all__ = ["HASH", "Surveyed", "build_features", "in_buckets", "spark_schema", "surveyed"]

HASH = "_clvcast_customer_hash"
_BUCKET = "_clvcast_bucket"
_BUCKET_LINES = 500_000
_LEAST_BUCKETS = 16
_TYPES = {
    pa.string(): "string",
    pa.timestamp("us"): "timestamp_ntz",
    pa.int32(): "int",
    pa.float64(): "double",
    pa.float32(): "float",
}


@dataclass(frozen=True)
class Surveyed:
    """Orders in Spark that may be used."""

    lines: DataFrame  # the columns that are read, and the hash of the customer (null: none)
    plan: Plan
    report: OrdersReport
    first: int  # the instants of the first and the newest usable line
    newest: int
    customers: int  # exact below 4,096, to within 2 % or so above


def surveyed(
    orders_df: DataFrame,
    config: OrdersConfig,
    source: str = "the orders",
    now: datetime | None = None,
) -> Surveyed:
    """Survey order lines: one scan of them. Raises `OrdersError` naming every fault at once."""
    if not isinstance(orders_df, DataFrame):
        raise OrdersError(f"orders must be a Spark DataFrame, got {type(orders_df).__name__}")
    empty = to_arrow_schema(orders_df.schema, timezone="UTC").empty_table()
    how = plan(empty, config, now or datetime.now(), source)
    lines = orders_df.select([_column(name) for name in how.columns])
    found = lines.mapInArrow(partial(_survey, how), "survey binary").collect()
    total = reduce(add, (pickle.loads(row["survey"]) for row in found), Survey())
    report = total.tally.report(config, source)
    hashed = lines.withColumn(HASH, arrow_udf(hashes, "long")(_column(how.customer)))
    return Surveyed(hashed, how, report, total.first, total.newest, total.sketch.customers)


def _survey(how: Plan, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    found = pickle.dumps(survey(batches, how))
    yield pa.record_batch({"survey": pa.array([found], pa.binary())})


def _column(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def in_buckets(
    orders: Surveyed,
    make: Callable[[Bucket], pa.Table],
    schema: pa.Schema,
    buckets: int | None = None,
    *,
    every_line: bool = False,
) -> DataFrame:
    """What `make` gives for each bucket of customers, as one DataFrame of a schema; one shuffle.

    With `every_line`, lines that name no customer are spread over the buckets, to be set aside there.
    """
    if buckets is not None and buckets < 1:
        raise ConfigError(f"buckets must be at least 1, got {buckets}")
    count = buckets or max(_LEAST_BUCKETS, -(-orders.report.lines_read // _BUCKET_LINES))
    lines, key = orders.lines, F.col(HASH)
    if every_line:
        key = F.coalesce(key, F.xxhash64(*(_column(name) for name in orders.plan.columns)))
    else:
        lines = lines.where(key.isNotNull())
    spread = lines.withColumn(_BUCKET, F.pmod(key, F.lit(count)).cast("int")).drop(HASH)
    how = orders.plan

    def work(table: pa.Table) -> pa.Table:  # Spark reads these hints
        return make(bucket(table.drop_columns([_BUCKET]), how))

    return spread.groupBy(_BUCKET).applyInArrow(work, spark_schema(schema))


def spark_schema(schema: pa.Schema) -> str:
    """An Arrow schema as Spark writes schemas."""
    return ", ".join(f"`{field.name}` {_TYPES[field.type]}" for field in schema)


def build_features(
    orders_df: DataFrame,
    cutoffs: Sequence[windows.Instant],
    config: Config | OrdersConfig | None = None,
    *,
    buckets: int | None = None,
) -> DataFrame:
    """A Spark DataFrame with a row per customer and cutoff: the rows of `clvcast.build_features`.

    `config` says how the columns map to ours; without it they have our names. Rows come bucket by bucket, by
    cutoff and customer within. Raises `OrdersError` for lines that cannot be used, `ConfigError` for a
    cutoff that is no date.
    """
    settings = config.orders if isinstance(config, Config) else config or OrdersConfig()
    instants = np.array(windows.as_instants(cutoffs), dtype=np.int64)
    orders = surveyed(orders_df, settings)
    names = [feature.name for feature in catalogue_for(tuple(orders.plan.mapping))]
    keys = [("customer_id", pa.string()), ("cutoff", pa.timestamp("us"))]
    schema = pa.schema([*keys, *((name, pa.float32()) for name in names)])
    return in_buckets(orders, partial(_features, instants, schema), schema, buckets)


def _features(instants: np.ndarray, schema: pa.Schema, found: Bucket) -> pa.Table:
    if found.orders is None:
        return schema.empty_table()
    return _feature_table(found.orders, instants, schema)


def _feature_table(orders: Orders, instants: np.ndarray, schema: pa.Schema) -> pa.Table:
    rows = feature_rows(orders, instants)
    ids = orders.customer_ids.take(pa.array(rows.customer_index))
    cutoffs = pa.array(instants[rows.cutoff_index], pa.timestamp("us"))
    columns = [pa.array(np.ascontiguousarray(column)) for column in rows.values.T]
    return pa.Table.from_arrays([ids, cutoffs, *columns], schema=schema)
