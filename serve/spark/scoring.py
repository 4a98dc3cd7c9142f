"""Scoring in Spark: the same scorer as everywhere, run where the orders are.

The bundle is broadcast as bytes; a worker process verifies and loads it once.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame

from ...errors import ConfigError, OrdersError
from ...models.bundle import load_bundle, save_bundle
from ...models.model import TrainedModel
from ...models.scoring import FORECAST_SCHEMA, choose_cutoff, forecast_rows
from ...orders import dates, windows
from ...orders.cutoffs import check_cutoff_in_span
from ...orders.reading.customer_attributes import Customers
from ...orders.spark.buckets import Bucket
from ...orders.spark.survey import SurveyedOrders, map_buckets, survey_orders

__all__ = ["SparkModel", "forecast_bucket", "resolve_cutoff", "score"]

_OWN = (
    "own_periods",
    "own_economics",
    "own_orders",
    "own_segments",
    "own_customers",
    "own_calendar",
)
_loaded: dict[str, TrainedModel] = {}  # by version; of this worker process


@dataclass(frozen=True)
class SparkModel:
    """A model as it is sent to the workers."""

    version: str
    bundle: Broadcast[dict[str, bytes]]  # file -> content
    own: Mapping[str, Any]  # set by `with_config`; not part of the bundle

    @classmethod
    def of(cls, model: TrainedModel, orders: SurveyedOrders) -> SparkModel:
        """Broadcast a model to the workers."""
        if model.own_cuts is not None:
            raise ConfigError(
                "segments.within_file must be false in Spark, got true: it cuts segments among all "
                "customers of a file, and a bucket holds only some of them"
            )
        if names := model.numbers.extra_features:
            raise ConfigError(
                f"the model needs the extra features {', '.join(names)}, which Spark does not "
                "compute; score with --engine local or clvcast.score"
            )
        own_settings = {name: getattr(model, name) for name in _OWN}
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle"
            plain: dict[str, Any] = dict.fromkeys(_OWN)
            save_bundle(replace(model, **plain), bundle)
            files = {path.name: path.read_bytes() for path in bundle.iterdir()}
        return cls(
            model.version, orders.lines[0].sparkSession.sparkContext.broadcast(files), own_settings
        )

    def model(self) -> TrainedModel:
        """The model, in a worker."""
        if self.version not in _loaded:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in self.bundle.value.items():
                    (Path(folder) / name).write_bytes(content)
                _loaded[self.version] = load_bundle(Path(folder))
        return replace(_loaded[self.version], **self.own)


def score(
    model: TrainedModel,
    orders_df: DataFrame,
    cutoff: dates.Instant | None = None,
    *,
    customers: Customers | DataFrame | None = None,
    buckets: int | None = None,
) -> DataFrame:
    """Forecast every customer with an order before the cutoff: the rows of `clvcast.score`.

    The orders are surveyed at once; Spark computes forecasts when it needs them. The default
    cutoff is the midnight after the newest line. `customers` are customer attributes, for a model
    that learned from any: a Spark DataFrame or what `clvcast.score` takes. Rows come bucket by
    bucket, sorted by customer_id within each. Raises `OrdersError` for orders the model cannot
    read, `ConfigError` for a cutoff out of range.
    """
    orders = survey_orders(orders_df, model.orders).knowing(customers, model.customers)
    instant, concern = resolve_cutoff(model, orders, cutoff)
    if concern:
        warnings.warn(concern, UserWarning, stacklevel=2)
    sent = SparkModel.of(model, orders)
    return map_buckets(orders, partial(forecast_bucket, sent, instant), FORECAST_SCHEMA, buckets)


def resolve_cutoff(
    model: TrainedModel, orders: SurveyedOrders, cutoff: dates.Instant | None
) -> tuple[int, str | None]:
    """The cutoff and a concern about it; rejects one out of range of the orders."""
    model.check_columns(orders.columns)
    if model.customers is not None and orders.facts is None:
        raise OrdersError(
            "the model learned from customer attributes, got none; name a file of customers "
            "(--customers, or customers: in a configuration)"
        )
    config = orders.plans[0].config
    model.check_reading(config)
    instant = choose_cutoff(model, orders.end, cutoff, is_stated=bool(config.complete_until))
    horizon = model.numbers.horizon_days
    return instant, check_cutoff_in_span(orders.first, orders.end, instant, horizon)


def forecast_bucket(sent: SparkModel, instant: int, bucket: Bucket) -> pa.Table:
    """The forecasts of a bucket, in a worker."""
    orders = bucket.orders
    if orders is None or not windows.is_before(orders.times, instant).any():
        return FORECAST_SCHEMA.empty_table()
    return forecast_rows(sent.model(), orders, instant)
