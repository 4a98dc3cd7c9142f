"""The customer base: forecasts beside the orders they were made from, row by row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..configs.schema import Config
from ..errors import ConfigError, OrdersError
from ..evaluation.forecast_file import coerce_forecasts
from ..features.targets import compute_line_values
from ..models.forecast_terms import read_terms, reconcile_config
from ..models.scoring import describe_terms
from ..orders import dates
from ..orders.columns import Float64, Int64
from ..orders.order_table import OrderTable, build_order_table
from ..orders.orders import Orders
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from ..orders.reading.validation_issues import pluralize

if TYPE_CHECKING:
    from ..models.model import TrainedModel

__all__ = ["CustomerBase", "ForecastSource", "Grouping", "OrdersSource", "open_customer_base"]

ForecastSource: TypeAlias = pd.DataFrame | pa.Table | str | Path
UNKNOWN = "(unknown)"
_LEVELS = ("high", "medium", "low")
_COLUMNS = ("order_id", "channel", "category", "cost", "discount")  # of the orders that are read


@dataclass(frozen=True)
class Grouping:
    """A way to group customers: each row's group, and the groups' names in their order."""

    dimension: str
    codes: Int64  # n_rows; into names
    names: tuple[str, ...]

    def counts(self) -> Int64:
        """Customers of each group."""
        return np.bincount(self.codes, minlength=len(self.names))

    def sums(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """The sum of each group: integers stay integers."""
        total = np.zeros(len(self.names), dtype=values.dtype)
        np.add.at(total, self.codes, values)
        return total


@dataclass(frozen=True)
class CustomerBase:
    """Forecasts and the orders before their cutoff; row i of both is one customer."""

    forecasts: pa.Table  # n_rows, by customer_id
    orders: Orders  # as they were given: lines at and after the cutoff included
    positions: Int64  # n_rows; each row's customer among those of `orders`
    entries: OrderTable  # orders and returns before the cutoff, customer i being row i
    cutoff: int
    config: Config
    remarks: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Customers."""
        return int(self.forecasts.num_rows)

    @property
    def unit(self) -> float:
        """Smallest units of money in one of the currency."""
        return self.orders.unit

    @property
    def horizon_days(self) -> int:
        """The length of a forecast's period."""
        return self.config.horizon_days

    @property
    def span_days(self) -> int:
        """The days a CLV spans."""
        return self.config.horizon_days * self.config.periods

    def numbers(self, column: str) -> Float64:
        """A column of the forecasts as float64, n_rows."""
        return np.asarray(self.forecasts[column].cast(pa.float64()).to_numpy())

    @cached_property
    def first_order_times(self) -> Int64:
        """When each customer first ordered: n_rows."""
        return self.entries.times[self.entries.first_orders]

    @property
    def valued_orders(self) -> Orders:
        """The orders with each line at what the forecasts' target counts of it."""
        if self.config.target == "spend":
            return self.orders
        return replace(self.orders, amounts=compute_line_values(self.orders, self.config.target))

    @cached_property
    def worth(self) -> Int64:
        """What each entry is worth to the forecasts' target, in the smallest unit: n_entries.

        Net spend, unless the target is another; so what customers brought and what they are forecast
        to bring are one kind of money.
        """
        if self.config.target == "spend":
            return self.entries.net
        keep = np.zeros(self.orders.n_customers, dtype=np.bool_)
        keep[self.positions] = True  # entries are told apart by time and order_id: the same ones
        return build_order_table(self.valued_orders, self.cutoff).of_customers(keep).net

    @cached_property
    def _groupings(self) -> dict[str, Grouping]:
        return {}

    def grouping(self, dimension: str) -> Grouping:
        """Customers by `shop`, `channel` or `cohort` (of the first order), or a text column of the forecasts."""
        if dimension not in self._groupings:
            self._groupings[dimension] = self._grouped(dimension)
        return self._groupings[dimension]

    def _grouped(self, dimension: str) -> Grouping:
        if dimension == "shop":
            return Grouping("shop", np.zeros(self.n_rows, np.int64), ("all",))
        if dimension == "cohort":
            month = dates.to_months(self.first_order_times)
            first, last = int(month.min()), int(month.max())
            names = tuple(dates.format_month(number) for number in range(first, last + 1))
            return Grouping("cohort", month - first, names)
        if dimension == "channel":
            labels = tuple(self.orders.texts["channel"].labels.to_pylist())
            codes = self.entries.channels[self.entries.first_orders].astype(np.int64)
            return _used("channel", np.where(codes < 0, len(labels), codes), (*labels, UNKNOWN))
        column = pc.fill_null(self.forecasts[dimension], UNKNOWN).combine_chunks()
        encoded = column.dictionary_encode()
        distinct = np.array(encoded.dictionary.to_pylist(), dtype=object)
        order = np.array(
            sorted(range(len(distinct)), key=lambda k: _rank_level(str(distinct[k]))), np.int64
        )
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        codes = rank[encoded.indices.to_numpy()]
        return Grouping(dimension, codes, tuple(distinct[order]))

    @property
    def has_channels(self) -> bool:
        """Whether the orders say through which channel they came."""
        return "channel" in self.orders.texts


def _rank_level(name: str) -> tuple[int, str]:
    """Tiers and bands from high to low, other names by the alphabet."""
    return (_LEVELS.index(name) if name in _LEVELS else len(_LEVELS), name)


def _used(dimension: str, codes: Int64, names: tuple[str, ...]) -> Grouping:
    present = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    dense = np.zeros(len(names), np.int64)
    dense[present] = np.arange(len(present))
    return Grouping(dimension, dense[codes], tuple(names[code] for code in present))


def open_customer_base(
    forecasts: ForecastSource | CustomerBase,
    orders: OrdersSource | None = None,
    config: Config | None = None,
    *,
    model: TrainedModel | None = None,
    what: str = "the forecasts",
) -> CustomerBase:
    """Lay forecasts and orders side by side; only orders before the forecasts' cutoff count.

    Horizon, periods, margin, discount, target and currency are those the forecasts were made with, where they
    say so; else the configuration's, else those `model` remembers. Raises `ConfigError` where the configuration states
    others, `OrdersError` where the orders are not those the forecasts were made from. What else is
    amiss is said in `remarks`, where the forecasts are called `what`. An open base is returned as it is.
    """
    if isinstance(forecasts, CustomerBase):
        return forecasts
    if orders is None:
        raise ConfigError("forecasts must come with the orders they were made from, got none")
    table = coerce_forecasts(forecasts, whole=model is not None)
    made = read_terms(table)
    if model is not None:
        stated = config or Config()
        if made is None:
            config = describe_terms(model).within(Config()).overridden_by(stated)
        reading = model.orders.overridden_by(stated.orders)
        config = (config or stated).model_copy(update={"orders": reading})
    config, remarks = reconcile_config(config, made, what)
    orders = coerce_orders(orders, config.orders)
    if model is None:  # which would explain forecasts by all of them
        orders = orders.keep_columns(_COLUMNS)
    cutoff = int(table["cutoff"][0].cast(pa.int64()).as_py())
    positions = pc.fill_null(pc.index_in(table["customer_id"], orders.customer_ids), -1)
    position = np.asarray(positions.to_numpy()).astype(np.int64)
    found = position >= 0
    if not found.any():
        raise OrdersError(
            f"none of the {table.num_rows:,} forecast customers is in the orders; give the orders "
            "the forecasts were made from"
        )
    entries = build_order_table(orders, cutoff)
    if not found.all():
        strangers = int(np.count_nonzero(~found))
        remarks.append(f"{pluralize(strangers, 'forecast')} left out: not a customer of the orders")
    without = found & (entries.n_orders[position] == 0)
    if without.any():
        told = pluralize(int(without.sum()), "forecast")
        remarks.append(f"{told} left out: no order before {dates.format_instant(cutoff)}")
        found &= ~without
    if not found.any():
        raise OrdersError(
            f"none of the forecast customers ordered before {dates.format_instant(cutoff)}"
        )
    rows = np.flatnonzero(found)
    rows = rows[np.argsort(position[rows], kind="stable")]
    if not np.array_equal(rows, np.arange(table.num_rows)):
        table = table.take(pa.array(rows))
    position = position[rows]
    remarks += _compared(table, entries, position, cutoff)
    keep = np.zeros(orders.n_customers, dtype=np.bool_)
    keep[position] = True
    own = entries.of_customers(keep)
    return CustomerBase(table, orders, position, own, cutoff, config, tuple(remarks))


def _compared(table: pa.Table, entries: OrderTable, position: Int64, cutoff: int) -> list[str]:
    """Whether these are the orders the forecasts were made from; and whom the forecasts lack."""
    remarks = []
    told = np.asarray(table["n_orders"].cast(pa.float64()).to_numpy())
    differ = int(np.count_nonzero(told != entries.n_orders[position]))
    if differ > len(position) / 2:
        raise OrdersError(
            f"{differ:,} of {len(position):,} customers have another number of orders before "
            f"{dates.format_instant(cutoff)} than their forecasts were made from; give the same orders, read "
            "with the same configuration"
        )
    if differ:
        remarks.append(
            f"{pluralize(differ, 'customer')} of {len(position):,} have other orders than their "
            "forecasts were made from"
        )
    has_orders = int(np.count_nonzero(entries.n_orders))
    lacking = has_orders - len(position)
    if lacking:
        remarks.append(
            f"{pluralize(lacking, 'customer')} of {has_orders:,} with an order before "
            f"{dates.format_instant(cutoff)} have no forecast and are left out"
        )
    return remarks
