"""Features of a Spark DataFrame of order lines: the rows of `clvcast.build_features`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from ..configs.schema import Config, OrdersConfig
from ..orders import dates
from ..orders.orders import Orders
from ..orders.reading.customer_attributes import Customers
from ..orders.spark.buckets import Bucket
from ..orders.spark.survey import map_buckets, survey_orders
from .attribute_features import PREFIX, build_attribute_labels
from .catalogue import select_features
from .table import compute_feature_rows

__all__ = ["build_features"]


def build_features(
    orders_df: DataFrame,
    cutoffs: Sequence[dates.Instant],
    config: Config | OrdersConfig | None = None,
    *,
    customers: Customers | DataFrame | None = None,
    buckets: int | None = None,
) -> DataFrame:
    """A Spark DataFrame with a row per customer and cutoff: the rows of `clvcast.build_features`.

    `config` says how the columns map to ours; without it they have our names. Where it has
    `customers`, the attributes come from the `customers` given, else from the place it names. Rows
    come bucket by bucket, by cutoff and customer within. Raises `OrdersError` for lines that cannot
    be used, `ConfigError` for a cutoff that is no date.
    """
    settings = config.orders if isinstance(config, Config) else config or OrdersConfig()
    instants = np.array(dates.parse_instants(cutoffs), dtype=np.int64)
    about = config.customers if isinstance(config, Config) else None
    orders = survey_orders(orders_df, settings).knowing(customers, about)
    names = [feature.name for feature in select_features(orders.columns)]
    kinds = {} if about is None else {n: about.types.get(n, "text") for n in about.columns}
    kinds.pop("customer_id", None)
    labels = [PREFIX + name for name, kind in kinds.items() if kind == "text"]
    names += [PREFIX + name for name, kind in kinds.items() if kind != "text"]
    schema = pa.schema(
        [
            ("customer_id", pa.string()),
            ("cutoff", pa.timestamp("us")),
            *((name, pa.float32()) for name in names),
            *((name, pa.string()) for name in labels),
        ]
    )
    return map_buckets(orders, partial(_build_rows, instants, schema), schema, buckets)


def _build_rows(instants: np.ndarray, schema: pa.Schema, found: Bucket) -> pa.Table:
    if found.orders is None:
        return schema.empty_table()
    return _build_table(found.orders, instants, schema)


def _build_table(orders: Orders, instants: np.ndarray, schema: pa.Schema) -> pa.Table:
    rows = compute_feature_rows(orders, instants)
    ids = orders.customer_ids.take(pa.array(rows.customer_index))
    cutoffs = pa.array(instants[rows.cutoff_index], pa.timestamp("us"))
    columns = [pa.array(np.ascontiguousarray(column)) for column in rows.values.T]
    labels = build_attribute_labels(orders, instants, rows.cutoff_index, rows.customer_index)
    return pa.Table.from_arrays([ids, cutoffs, *columns, *labels.values()], schema=schema)
