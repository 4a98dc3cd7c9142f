"""Training on orders that live in Spark: a sample of them comes to one machine, and `fit` learns there.

The orders of some customers come whole, decided by a hash of the customer's id. When all come, the model is
the one a single machine trains, to the byte. When fewer do, BTYD, levels, thresholds and the evaluation are
those of that uniform sample; the trees, which gain from more, grow on a stratified sample of the feature rows
of all customers, made where the orders are (`drawing.py`). All of it is the same every time and in every
partitioning. The first and the last instant of training are those of all orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ..configs.schema import Config
from ..errors import OrdersError
from ..models.model import TrainedModel
from ..orders import dates, windows
from ..orders.cutoffs import can_train, get_newest_realised_cutoff
from ..orders.orders import Orders
from ..orders.reading.customer_attributes import Customers, attach_facts
from ..orders.reading.line_collector import complete_report
from ..orders.reading.read_orders import describe_sources
from ..orders.reading.validation_issues import pluralize
from ..orders.spark.buckets import Bucket
from ..orders.spark.files import read_customers, read_files, translate_spark_errors
from ..orders.spark.survey import HASH, SurveyedOrders, map_buckets, survey_orders
from .run import TrainingRun, resolve_training_end, train_final_model, train_until
from .stratified_sampling import Draw, DrawnRows, draw_for, drawn_rows, drawn_schema, rows_drawn

__all__ = ["Drawn", "draw_training_rows", "train", "train_on_files"]

_SURELY_FEWER = 1.1  # the number of customers is known to within 2 % or so


@dataclass(frozen=True)
class Drawn:
    """The orders to train on, the end of training, which is that of all orders, and drawn rows by end."""

    orders: Orders
    end: int
    rows: Mapping[int, DrawnRows] = field(default_factory=dict)


def train(
    orders_df: DataFrame,
    config: Config | None = None,
    cutoff: dates.Instant | None = None,
    *,
    customers: Customers | DataFrame | None = None,
) -> TrainedModel:
    """Train a model on this machine: on the orders of `config.spark_training_customers` customers, and, with
    more customers than that, on about `config.spark_training_rows` feature rows of all.

    With as many customers or fewer, it is the model of `clvcast.train`. `customers` are their attributes, in
    place of those `config.customers` names. Raises what that does.
    """
    config = config or Config()
    orders = survey_orders(orders_df, config.orders).knowing(customers, config.customers)
    drawn = draw_training_rows(orders, config, cutoff, evaluates=False)
    rows = drawn.rows.get(drawn.end)
    return train_final_model(
        drawn.orders, config, drawn.end, None if rows is None else rows.frame(config)
    )


def train_on_files(
    config: Config,
    cutoff: dates.Instant | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingRun:
    """`train_and_evaluate` on the files a configuration names, read by Spark."""
    with translate_spark_errors():
        shown = describe_sources(config.orders)
        progress("looking at the orders in Spark")
        orders = survey_orders(read_files(config.orders), config.orders, shown)
        orders = orders.knowing(read_customers(None, config.customers), config.customers)
        drawn = draw_training_rows(orders, config, cutoff, progress)
    return train_until(drawn.orders, config, drawn.end, progress, drawn.rows)


def draw_training_rows(
    orders: SurveyedOrders,
    config: Config,
    cutoff: dates.Instant | None = None,
    progress: Callable[[str], None] = lambda _: None,
    *,
    evaluates: bool = True,
    buckets: int | None = None,
) -> Drawn:
    """Bring the orders of some customers here, with the report on all orders, and drawn rows of all.

    Rows are drawn for the model to ship, and for its twin that is evaluated.
    """
    end = resolve_training_end(orders.first, orders.end, config, cutoff)
    wanted, customers = config.spark_training_customers, orders.customers
    lines = orders.lines.where(F.col(HASH).isNotNull())
    takes_all = customers * _SURELY_FEWER <= wanted
    if not takes_all:
        lines = lines.where(F.col(HASH) < int(2.0**64 * wanted / customers) - 2**63)
    found = orders.bucket(lines.drop(HASH).toArrow())
    if found.orders is None:
        raise OrdersError(
            f"none of {wanted:,} customers drawn of about {customers:,} has a usable order line; "
            "raise spark_training_customers"
        )
    report = complete_report(orders.report, found.counts, config.orders)
    pilot = found.orders
    if orders.facts is not None:
        facts = orders.facts.value
        told = attach_facts(pilot, facts)[1]
        report = replace(report, remarks=(*report.remarks, *facts.remarks, *told))
    if takes_all:
        return Drawn(replace(pilot, report=report), end)
    horizon, share = config.horizon_days, pilot.n_customers / customers
    evaluated = get_newest_realised_cutoff(end, horizon)
    ends = [end, evaluated] if evaluates else [end]
    # as `fit` has it: without room for labels there are no trees to grow
    ends = [e for e in ends if can_train(windows.find_first_order_at(pilot), e, horizon)]
    draws = [draw_for(pilot, config, orders.first, e, share) for e in ends]
    rows = {}
    if draws:
        progress("drawing feature rows in Spark")
        make = partial(_drawn, draws, config)
        table = map_buckets(orders, make, drawn_schema(draws[0], config), buckets).toArrow()
        rows = {each.draw.end: each for each in rows_drawn(table, draws)}
    remark = (
        f"trained on {pluralize(pilot.n_customers, 'customer')} of about {customers:,}, drawn by a hash of "
        "their ids (spark_training_customers)"
    )
    if end in rows:
        remark += (
            f", its trees on {rows[end].rows.n_rows:,} of {rows[end].n_population:,} feature rows of all, "
            "drawn by strata (spark_training_rows)"
        )
    report = replace(report, remarks=(*report.remarks, remark))
    return Drawn(replace(pilot, report=report), end, rows)


def _drawn(draws: list[Draw], config: Config, found: Bucket) -> pa.Table:
    """In a worker: the drawn rows of a bucket."""
    if found.orders is None:
        return drawn_schema(draws[0], config).empty_table()
    return drawn_rows(found.orders, draws, config)
