"""Spark: orders that live in a cluster, in buckets of customers. Nothing of a customer leaves a
bucket.

A survey (one scan, no shuffle) counts the lines, refuses what cannot be used and finds the first
and newest order. Then one shuffle of parcels brings each customer's lines into one bucket, where
`make` works on them as on any other orders. Rows depend on their customer alone, so the number of
buckets changes their order, never a value.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.pandas.types import to_arrow_schema

from ...configs.addresses import hide_passwords
from ...configs.schema import CustomersConfig, OrdersConfig
from ...errors import ConfigError, OrdersError
from ..columns import Int64
from ..cutoffs import find_complete_until, find_end
from ..dates import NEVER, Instant, parse_instant
from ..orders import OrdersReport
from ..reading.customer_attributes import Customers, Facts, attach_facts, read_facts
from .buckets import (
    Bucket,
    SourcePlan,
    Survey,
    fill_bucket,
    hash_known_customers,
    plan_source,
    survey_lines,
)
from .parcels import PARCELS, ROW_HASH, Parcels, draw_lines, unpack_parcels

__all__ = ["SurveyedOrders", "format_spark_schema", "map_buckets", "survey_orders"]

_HASH = "hash"
_BUCKET_LINES = 500_000
_LEAST_BUCKETS = 16
_TYPES = {
    pa.string(): "string",
    pa.timestamp("us"): "timestamp_ntz",
    pa.int32(): "int",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.binary(): "binary",
}


@dataclass(frozen=True)
class SurveyedOrders:
    """Orders in Spark that may be used."""

    lines: tuple[DataFrame, ...]  # of each source, the columns that are read
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
        return replace(self, facts=self._send(facts))

    def draw(self, share: float, instant: int) -> Bucket:
        """The lines of about a share of the customers, drawn by their hash; brought here.

        They are customers with a usable line before an instant: that takes one more scan, where
        there are lines of later on.
        """
        below = None if share >= 1.0 else int(2.0**64 * share) - 2**63
        known = None
        if self.newest >= instant:
            scans = (
                frame.mapInArrow(partial(_hash_known, plan, instant, below), f"{_HASH} long")
                for frame, plan in zip(self.lines, self.plans, strict=True)
            )
            hashes = reduce(DataFrame.unionAll, scans).distinct().toArrow()[_HASH].to_numpy()
            known = self._send(hashes)
        tables = [
            frame.mapInArrow(partial(_draw, plan, below, known), frame.schema).toArrow()
            for frame, plan in zip(self.lines, self.plans, strict=True)
        ]
        return _fill_bucket(tables, self.plans, self.facts)

    def _send(self, value: Any) -> Broadcast[Any]:
        return self.lines[0].sparkSession.sparkContext.broadcast(value)


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
        plans.append(how)
        lines.append(needed_columns)
    report = total.tally.report(config, source)
    end = find_end(total.newest, complete_until)
    return SurveyedOrders(
        tuple(lines),
        tuple(plans),
        report,
        total.first,
        total.newest,
        end,
        cutoff,
        total.sketch.customers,
    )


def _fill_bucket(
    tables: Sequence[pa.Table | None],
    plans: Sequence[SourcePlan],
    facts: Broadcast[Facts] | None,
) -> Bucket:
    bucket = fill_bucket(tables, plans)
    if facts is None or bucket.orders is None:
        return bucket
    return replace(bucket, orders=attach_facts(bucket.orders, facts.value)[0])


def _survey(
    how: SourcePlan, until: int, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    payload = pickle.dumps(survey_lines(batches, how, until))
    yield pa.record_batch({"survey": pa.array([payload], pa.binary())})


def _hash_known(
    plan: SourcePlan, until: int, below: int | None, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for hashes in hash_known_customers(batches, plan, until):
        known = hashes.view(np.int64)
        yield pa.record_batch({_HASH: known if below is None else known[known < below]})


def _draw(
    plan: SourcePlan,
    below: int | None,
    known: Broadcast[Int64] | None,
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    yield from draw_lines(batches, plan, below, None if known is None else known.value)


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
    parcels = []
    for frame, plan in zip(orders.lines, orders.plans, strict=True):
        if every_line:
            hashed = F.xxhash64(*map(_get_column, frame.columns)).alias(ROW_HASH)
            frame = frame.select("*", hashed)
        pack = Parcels(plan, count, every_line).pack
        packed = frame.mapInArrow(pack, format_spark_schema(PARCELS))
        parcels.append(packed)
    # not spark.sql.shuffle.partitions: most of those would be empty, each a task for every reading
    together = reduce(DataFrame.unionAll, parcels).repartitionById(count, F.col("bucket"))
    work = partial(_work_on_bucket, make, orders.plans, orders.facts)
    # a partition is a bucket: grouping them by bucket would sort every parcel first
    return together.mapInArrow(work, format_spark_schema(schema))


def _work_on_bucket(
    make: Callable[[Bucket], pa.Table],
    plans: Sequence[SourcePlan],
    facts: Broadcast[Facts] | None,
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """What `make` gives for the parcels of one partition; nothing for none."""
    tables = unpack_parcels(batches, len(plans))
    if any(table is not None for table in tables):
        yield from make(_fill_bucket(tables, plans, facts)).to_batches()


def format_spark_schema(schema: pa.Schema) -> str:
    """An Arrow schema as Spark writes schemas."""
    return ", ".join(f"`{field.name}` {_TYPES[field.type]}" for field in schema)
