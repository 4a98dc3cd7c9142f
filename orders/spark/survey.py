"""Spark: orders that live in a cluster, in buckets of customers. Nothing of a customer leaves a
bucket.

A survey (one scan, no shuffle) counts the lines, refuses what cannot be used and finds the first
and newest order. Then one shuffle brings each customer's lines into one bucket, where `make` works
on them as on any other orders. Rows depend on their customer alone, so the number of buckets
changes their order, never a value.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce
from operator import add
from typing import Any

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]
from pyspark.sql.pandas.types import to_arrow_schema

from ...configs.addresses import hide_passwords
from ...configs.schema import CustomersConfig, OrdersConfig
from ...errors import ConfigError, OrdersError
from ..cutoffs import find_complete_until, find_end
from ..dates import NEVER, Instant, parse_instant
from ..orders import OrdersReport
from ..reading.customer_attributes import Customers, Facts, attach_facts, read_facts
from ..reading.customer_ids import CustomerIdRules
from .buckets import (
    SOURCE,
    Bucket,
    SourcePlan,
    Survey,
    fill_bucket,
    hash_ids,
    hash_known_customers,
    plan_source,
    survey_lines,
)

__all__ = ["HASH", "SurveyedOrders", "format_spark_schema", "map_buckets", "survey_orders"]

HASH = "_clvcast_customer_hash"
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
class SurveyedOrders:
    """Orders in Spark that may be used."""

    lines: DataFrame  # the columns that are read, and the hash of the customer (null: none)
    plans: tuple[SourcePlan, ...]  # of the sources
    report: OrdersReport
    first: int  # the instants of the first and the newest usable line
    newest: int
    end: int  # the instant until which all orders are there
    cutoff: Instant | None  # as it was given
    customers: int  # before the cutoff; exact below 4,096, to within 2 % or so above
    facts: Broadcast[Facts] | None = None  # about the customers, on every worker

    @property
    def columns(self) -> tuple[str, ...]:
        """Our columns that the lines of any source have."""
        return tuple(dict.fromkeys(name for each in self.plans for name in each.given))

    def knowing(
        self, customers: Customers | DataFrame | None, config: CustomersConfig | None
    ) -> SurveyedOrders:
        """The same with facts about customers, which are read here and sent to every worker
        once.
        """
        if config is None and customers is not None:
            raise ConfigError(
                "customers were given, and nothing says which of their columns are attributes; set "
                "customers.columns in the configuration that trains the model"
            )
        if config is None or (customers is None and config.source is None):
            return self
        customer_table = customers.toArrow() if isinstance(customers, DataFrame) else customers
        facts = read_facts(customer_table, config, self.plans[0].config)
        return replace(self, facts=self.lines.sparkSession.sparkContext.broadcast(facts))

    def keep_known(self, lines: DataFrame, instant: int) -> DataFrame:
        """Those of the lines whose customer has a usable line before an instant.

        That takes one more scan, where there are lines of later on. The customers must be few
        enough for a worker.
        """
        if self.newest < instant:
            return lines
        known = lines.drop(HASH).mapInArrow(
            partial(_hash_known, self.plans, instant), f"`{HASH}` long"
        )
        return lines.join(F.broadcast(known.distinct()), HASH, "left_semi")

    def bucket(self, table: pa.Table) -> Bucket:
        """What some of the lines are, all lines of some customers."""
        return _survey_bucket(table, self.plans, self.facts)


def survey_orders(
    orders_df: DataFrame | list[DataFrame],
    config: OrdersConfig,
    source: str = "the orders",
    now: datetime | None = None,
    cutoff: Instant | None = None,
) -> SurveyedOrders:
    """Survey order lines: one scan of them. Raises `OrdersError` naming every fault at once.

    A list has a frame for each of the sources a configuration names. Customers are counted before
    `cutoff`, by default before the end of the orders.
    """
    frames: Any = [orders_df] if isinstance(orders_df, DataFrame) else orders_df
    if not isinstance(frames, list):
        raise OrdersError(f"orders must be a Spark DataFrame, got {type(orders_df).__name__}")
    now = now or datetime.now()
    complete_until = find_complete_until(config, now)
    until = NEVER if complete_until is None else complete_until
    if cutoff is not None:
        until = parse_instant(cutoff)
    several = config.all_sources() if len(frames) > 1 else (None,)
    if len(frames) == 1:
        config = config.reading(None)
    plans, lines, total = [], [], Survey()
    for position, (frame, one) in enumerate(zip(frames, several, strict=True)):
        empty = to_arrow_schema(frame.schema, timezone="UTC").empty_table()
        address = source if one is None else hide_passwords(one.source)
        how = plan_source(empty, config, now, address, one, position)
        needed_columns = frame.select([_get_column(name) for name in how.columns])
        surveys = needed_columns.mapInArrow(partial(_survey, how, until), "survey binary").collect()
        total = reduce(add, (pickle.loads(row["survey"]) for row in surveys), total)
        ids = [_get_column(name) for name in how.mapping["customer_id"].columns]
        hashed = needed_columns.withColumn(
            HASH, arrow_udf(_make_hasher(how.rules.ids), "long")(*ids)
        )
        if one is not None:
            names = {name: how.united(name) for name in how.columns}
            hashed = hashed.withColumnsRenamed(names).withColumn(SOURCE, F.lit(position))
        plans.append(how)
        lines.append(hashed)
    report = total.tally.report(config, source)
    together = reduce(partial(DataFrame.unionByName, allowMissingColumns=True), lines)
    end = find_end(total.newest, complete_until)
    return SurveyedOrders(
        together,
        tuple(plans),
        report,
        total.first,
        total.newest,
        end,
        cutoff,
        total.sketch.customers,
    )


def _survey_bucket(
    table: pa.Table, plans: Sequence[SourcePlan], facts: Broadcast[Facts] | None
) -> Bucket:
    bucket = fill_bucket(table, plans)
    if facts is None or bucket.orders is None:
        return bucket
    return replace(bucket, orders=attach_facts(bucket.orders, facts.value)[0])


def _survey(
    how: SourcePlan, until: int, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    payload = pickle.dumps(survey_lines(batches, how, until))
    yield pa.record_batch({"survey": pa.array([payload], pa.binary())})


def _hash_known(
    plans: Sequence[SourcePlan], until: int, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for hashes in hash_known_customers(batches, plans, until):
        yield pa.record_batch({HASH: hashes})


def _make_hasher(rules: CustomerIdRules) -> Callable[..., pa.Array]:
    def hash_columns(*ids: pa.Array) -> pa.Array:  # Spark reads these hints
        return hash_ids(rules, *ids)

    return hash_columns


def _get_column(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def map_buckets(
    orders: SurveyedOrders,
    make: Callable[[Bucket], pa.Table],
    schema: pa.Schema,
    buckets: int | None = None,
    *,
    every_line: bool = False,
) -> DataFrame:
    """What `make` gives for each bucket of customers, as one DataFrame of a schema; one shuffle.

    With `every_line`, lines that name no customer are spread over the buckets, to be set aside
    there.
    """
    if buckets is not None and buckets < 1:
        raise ConfigError(f"buckets must be at least 1, got {buckets}")
    count = buckets or max(_LEAST_BUCKETS, -(-orders.report.lines_read // _BUCKET_LINES))
    lines, key = orders.lines, F.col(HASH)
    if every_line:
        read = (_get_column(name) for name in lines.columns if name != HASH)
        key = F.coalesce(key, F.xxhash64(*read))
    else:
        lines = lines.where(key.isNotNull())
    # not spark.sql.shuffle.partitions: most of those would be empty, each a task for every reading
    spread = lines.repartitionById(count, F.pmod(key, F.lit(count)).cast("int")).drop(HASH)
    work = partial(_work_on_bucket, make, orders.plans, orders.facts)
    # a partition is a bucket: grouping them by bucket would sort every line first
    return spread.mapInArrow(work, format_spark_schema(schema))


def _work_on_bucket(
    make: Callable[[Bucket], pa.Table],
    plans: Sequence[SourcePlan],
    facts: Broadcast[Facts] | None,
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """What `make` gives for the lines of one partition; nothing for none."""
    lines = list(batches)
    if lines:
        yield from make(_survey_bucket(pa.Table.from_batches(lines), plans, facts)).to_batches()


def format_spark_schema(schema: pa.Schema) -> str:
    """An Arrow schema as Spark writes schemas."""
    return ", ".join(f"`{field.name}` {_TYPES[field.type]}" for field in schema)
