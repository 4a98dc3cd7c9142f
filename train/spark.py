"""Training on orders that live in Spark: the orders of some customers come to one machine, and `fit` learns there.

Who comes is decided by a hash of the customer's id, so that it is the same customers every time and in every
partitioning. When all come, the model is the one a single machine trains, to the byte. When fewer do, what the
model learned is a sample's: trees, levels, thresholds, intervals and the evaluation carry a sampling error, and
the first order, which places the training cutoffs, is that of the sample. The end of training is that of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ..configs.schema import Config
from ..errors import ConfigError, OrdersError
from ..features import windows
from ..features.buckets import bucket
from ..features.faults import counted
from ..features.intake import completed
from ..features.orders import Orders
from ..features.reading import sources_shown
from ..features.spark import HASH, Surveyed, surveyed
from ..features.spark_files import read_files, session, told_in_a_sentence
from ..serve.model import Model
from .run import TrainingRun, run_until, shipped, training_end

__all__ = ["Drawn", "draw", "train", "train_on_files"]

_SURELY_FEWER = 1.1  # the number of customers is known to within 2 % or so


@dataclass(frozen=True)
class Drawn:
    """The orders to train on, and the end of training, which is that of all orders."""

    orders: Orders
    end: int


def train(
    orders_df: DataFrame, config: Config | None = None, cutoff: windows.Instant | None = None
) -> Model:
    """Train a model on the orders of `config.spark_training_customers` customers, on this machine.

    With as many customers or fewer, it is the model of `clvcast.train`. Raises what that does.
    """
    config = config or Config()
    drawn = draw(surveyed(orders_df, config.orders), config, cutoff)
    return shipped(drawn.orders, config, drawn.end)


def train_on_files(
    config: Config,
    cutoff: windows.Instant | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> TrainingRun:
    """`train_and_evaluate` on the files a configuration names, read by Spark."""
    with told_in_a_sentence():
        lines = read_files(session(), config.orders)
        say("looking at the orders in Spark")
        orders = surveyed(lines, config.orders, sources_shown(config.orders))
        drawn = draw(orders, config, cutoff)
    return run_until(drawn.orders, config, drawn.end, say)


def draw(orders: Surveyed, config: Config, cutoff: windows.Instant | None = None) -> Drawn:
    """Bring the orders of some customers here, with the report on all orders."""
    if config.customers is not None:
        raise ConfigError(
            "attributes of customers are for one machine, got customers: in the configuration; leave "
            "them out, or use --engine local"
        )
    end = training_end(orders.first, orders.newest, config, cutoff)
    wanted, customers = config.spark_training_customers, orders.customers
    lines = orders.lines.where(F.col(HASH).isNotNull())
    takes_all = customers * _SURELY_FEWER <= wanted
    if not takes_all:
        lines = lines.where(F.col(HASH) < int(2.0**64 * wanted / customers) - 2**63)
    found = bucket(lines.drop(HASH).toArrow(), orders.plan)
    if found.orders is None:
        raise OrdersError(
            f"none of {wanted:,} customers drawn of about {customers:,} has a usable order line; "
            "raise spark_training_customers"
        )
    report = completed(orders.report, found.counts, config.orders.currency_decimals)
    if not takes_all:
        drawn = counted(found.orders.n_customers, "customer")
        remark = (
            f"trained on {drawn} of about {customers:,}, drawn by a hash of their ids "
            "(spark_training_customers)"
        )
        report = replace(report, remarks=(*report.remarks, remark))
    return Drawn(replace(found.orders, report=report), end)
