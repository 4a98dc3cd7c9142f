"""Training on orders in Spark: a sample of customers comes to one machine, and `fit` runs there.

The orders of some customers come whole, decided by a hash of the customer's id, the same ones in
every partitioning. When all come, the model is the one a single machine trains, to the byte. The
end of training is that of all orders.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from ..configs.schema import Config, require_config
from ..errors import ConfigError, OrdersError
from ..features.calendar_features import attach_calendar
from ..features.configured_orders import attach_season_history
from ..models.model import TrainedModel
from ..orders import dates
from ..orders.cutoffs import resolve_training_end
from ..orders.orders import Orders
from ..orders.reading.customer_attributes import Customers, attach_facts
from ..orders.reading.read_orders import describe_sources
from ..orders.reading.report_completion import complete_report
from ..orders.reading.validation_issues import pluralize
from ..orders.spark.files import describe_limits, read_customers, read_files, translate_spark_errors
from ..orders.spark.survey import SurveyedOrders, survey_orders
from .limited_orders import LimitedOrders, count_rows
from .memory_plan import plan_memory
from .run import TrainingRun, train_final_model, train_limited

__all__ = ["CustomerSample", "sample_orders", "train", "train_on_files"]

_SURELY_FEWER = 1.1  # the number of customers is known to within 2 % or so


@dataclass(frozen=True)
class CustomerSample:
    """The orders to train on, and the end of training, which is that of all orders."""

    orders: Orders
    end: int
    max_rows: int | None  # as in `fit`; None where all customers are there
    share: float = 1.0  # of all customers whose orders these are
    remark: str = ""  # what a sample is of


def train(
    orders_df: DataFrame,
    config: Config | None = None,
    cutoff: dates.Instant | None = None,
    *,
    customers: Customers | DataFrame | None = None,
) -> TrainedModel:
    """Train on this machine, on the orders of about `config.spark_training_customers` customers.

    With as many customers or fewer, it is the model of `clvcast.train`; else its trees learn from
    about `config.spark_training_rows` feature rows. `customers` are their attributes, in place of
    those `config.customers` names. Raises what that does.
    """
    config = require_config(config)
    orders = survey_orders(orders_df, config.orders, cutoff=cutoff)
    orders = orders.knowing(customers, config.customers)
    sample = sample_orders(orders, config)
    return train_final_model(sample.orders, config, sample.end, sample.max_rows)


def train_on_files(
    config: Config,
    cutoff: dates.Instant | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingRun:
    """`train_and_evaluate` on the files a configuration names, read by Spark."""
    with translate_spark_errors():
        address = describe_sources(config.orders)
        progress("looking at the orders in Spark")
        orders = survey_orders(read_files(config.orders), config.orders, address, cutoff=cutoff)
        orders = orders.knowing(read_customers(None, config.customers), config.customers)
        sample = sample_orders(orders, config)
    remarks = (*sample.orders.report.remarks, *describe_limits(config.orders))
    report = replace(sample.orders.report, remarks=remarks)
    sample = replace(sample, orders=replace(sample.orders, report=report))
    return train_limited(_limit_sample(sample, config), config, progress)


def _limit_sample(sample: CustomerSample, config: Config) -> LimitedOrders:
    """A sample as training takes it. The totals of all customers were not counted."""
    setting = "spark_training_customers"
    if sample.max_rows and count_rows(sample.orders, config, sample.end) > sample.max_rows:
        setting = "spark_training_rows"
    return LimitedOrders(
        sample.orders,
        plan_memory(config, sample.orders.optional_columns),
        sample.end,
        max_rows=sample.max_rows,
        share=sample.share,
        remark=sample.remark,
        rows_setting=setting,
    )


def sample_orders(orders: SurveyedOrders, config: Config) -> CustomerSample:
    """Bring the orders of some customers here, with the report on all orders.

    They are customers known at the cutoff the orders were surveyed for.
    """
    if config.features.extra is not None:
        raise ConfigError(
            f"features.extra must be left out in Spark, got {config.features.extra}; train with "
            "--engine local or clvcast.train"
        )
    end = resolve_training_end(
        orders.first, orders.end, config.horizon_days, orders.cutoff, warnings.warn
    )
    most, customers = config.spark_training_customers, orders.customers
    takes_all = customers * _SURELY_FEWER <= most
    share = 1.0 if takes_all else most / customers
    bucket = orders.draw(share, end)
    if bucket.orders is None:
        raise OrdersError(
            f"none of {most:,} customers drawn of about {customers:,} has a usable order line; "
            "raise spark_training_customers"
        )
    report = complete_report(orders.report, bucket.counts, config.orders)
    remarks = list(report.remarks)
    if orders.facts is not None:
        facts = orders.facts.value
        remarks += [*facts.remarks, *attach_facts(bucket.orders, facts)[1]]
    remark = ""
    if not takes_all:
        drawn = pluralize(bucket.orders.n_customers, "customer")
        remark = (
            f"trained on {drawn} of about {customers:,}, drawn by a hash of their ids "
            "(spark_training_customers), its trees on at most about "
            f"{config.spark_training_rows:,} feature rows of them (spark_training_rows)"
        )
        remarks.append(remark)
    report = replace(report, remarks=tuple(remarks))
    max_rows = None if takes_all else config.spark_training_rows
    sample = attach_calendar(replace(bucket.orders, report=report), config.calendar)
    sample = attach_season_history(
        sample, config.season.history, share, currency=config.orders.currency
    )
    return CustomerSample(sample, end, max_rows, share, remark)
