"""The customer base: forecasts joined with the orders they were made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..configs.economics import KnownEconomics
from ..configs.schema import Config, require_config
from ..errors import ConfigError, OrdersError
from ..evaluation.forecast_file import ForecastSource, read_forecasts
from ..features.targets import compute_line_values
from ..models.forecast_terms import ForecastTerms, check_terms, reconcile_config
from ..models.margins import measure_margin, resolve_economics
from ..models.plausibility import describe_plausibility, describe_unknown, sum_past_spend
from ..models.scoring import describe_terms
from ..orders import dates, windows
from ..orders.columns import Float64, Int64, Mask
from ..orders.order_table import OrderTable, build_order_table
from ..orders.orders import Orders
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from ..orders.reading.validation_issues import pluralize

if TYPE_CHECKING:
    from ..models.model import TrainedModel

__all__ = [
    "CustomerBase",
    "ForecastSource",
    "Grouping",
    "OrdersSource",
    "check_past",
    "open_customer_base",
]

UNKNOWN = "(unknown)"
_REPEATED = 0.8  # share of repeat orders within the time that tells new customers from old
_LEAST_REPEATED = 30  # repeat orders; fewer do not tell how soon most of them come
_LEVELS = ("high", "medium", "low")
_COLUMNS = ("order_id", "channel", "category", "cost", "discount")  # of the orders that are read


@dataclass(frozen=True)
class Grouping:
    """A way to group customers: each row's group, and the groups' names in their order."""

    dimension: str
    codes: Int64  # n_rows; into names
    names: tuple[str, ...]

    def counts(self) -> Int64:
        """Number of customers of each group."""
        return np.bincount(self.codes, minlength=len(self.names))

    def sums(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """The sum of each group: integers stay integers."""
        total = np.zeros(len(self.names), dtype=values.dtype)
        np.add.at(total, self.codes, values)
        return total


@dataclass(frozen=True)
class CustomerBase:
    """Forecasts and the orders before their cutoff; row i of both is the same customer."""

    forecasts: pa.Table  # n_rows, by customer_id
    orders: Orders  # all of them, lines at and after the cutoff included
    positions: Int64  # n_rows; position of each row's customer in `orders`
    entries: OrderTable  # orders and returns before the cutoff; customer i is row i
    cutoff: int
    config: Config
    terms: ForecastTerms  # what the forecasts' numbers mean
    remarks: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Number of customers."""
        return int(self.forecasts.num_rows)

    @property
    def unit(self) -> float:
        """Minor units per unit of the currency."""
        return self.orders.unit

    @property
    def horizon_days(self) -> int:
        """Length of a forecast's period."""
        return self.terms.horizon_days

    @property
    def span_days(self) -> int:
        """Length of the CLV span."""
        return self.terms.span_days

    def numbers(self, column: str) -> Float64:
        """A column of the forecasts as float64, n_rows."""
        return np.asarray(self.forecasts[column].cast(pa.float64()).to_numpy())

    @cached_property
    def first_order_times(self) -> Int64:
        """Instant of each customer's first order: n_rows."""
        return self.entries.times[self.entries.first_orders]

    def describe_plausibility(self) -> tuple[list[str], list[str]]:
        """Sentences on the totals beside past spend; then warnings, and what is unknown."""
        keep = np.zeros(self.orders.n_customers, dtype=np.bool_)
        keep[self.positions] = True
        observed = windows.slice_observed(self.orders.keep_customers(keep), self.cutoff)
        clv, spend = (float(self.numbers(name).sum()) for name in ("clv", "expected_spend"))
        past = sum_past_spend(observed, self.cutoff, self.terms)
        sentences, warnings = describe_plausibility(past, clv, spend, self.cutoff, self.terms)
        if "evidence" in self.forecasts.column_names and self.n_rows:
            unknown = describe_unknown(str(self.forecasts["evidence"][0].as_py()), self.terms)
            warnings += [unknown] if unknown else []
        return sentences, warnings

    @cached_property
    def known_since(self) -> int:
        """First orders before this instant may be those of old customers: a month's start.

        Four of five repeat orders come within some days; a history that begins later than that
        before a first order cannot tell whether it was the first. At most a quarter of the history.
        """
        begin = int(self.first_order_times.min())
        times, owners = self.entries.times, self.entries.customers
        times, owners = times[self.entries.is_order], owners[self.entries.is_order]
        gaps = np.diff(times)[owners[1:] == owners[:-1]]
        if self.config.kpis.has_all_orders or len(gaps) < _LEAST_REPEATED:
            return begin
        reach = min(float(np.quantile(gaps, _REPEATED)), (self.cutoff - begin) / 4)
        if reach < dates.DAY:
            return begin
        month = dates.to_months(np.array([begin + int(reach)]))
        since = int(dates.to_month_starts(month + 1)[0])
        return since if since - begin <= (self.cutoff - begin) / 2 else begin

    @cached_property
    def is_left_truncated(self) -> Mask:
        """Customers whose first order may not be their first: n_rows."""
        return np.asarray(windows.is_before(self.first_order_times, self.known_since))

    @property
    def valued_orders(self) -> Orders:
        """The orders, each line at its value for the forecasts' target."""
        if self.terms.target == "spend":
            return self.orders
        return replace(self.orders, amounts=compute_line_values(self.orders, self.terms.target))

    @cached_property
    def worth(self) -> Int64:
        """Value of each entry for the forecasts' target, in minor units: n_entries.

        Net spend by default. With another target, past and forecast money stay comparable.
        """
        if self.terms.target == "spend":
            return self.entries.net
        # entries are distinguished by time and order_id: these are the same ones
        return self.build_entries(self.valued_orders, self.cutoff).net

    def build_entries(self, orders: Orders, until: int) -> OrderTable:
        """Orders and returns of these customers before the instant `until`; customer i is row i."""
        keep = np.zeros(orders.n_customers, dtype=np.bool_)
        keep[self.positions] = True
        return build_order_table(orders, until).of_customers(keep)

    @cached_property
    def _groupings(self) -> dict[str, Grouping]:
        return {}

    def grouping(self, dimension: str) -> Grouping:
        """Customers by `shop`, first `channel`, `cohort`, or a text column of the forecasts."""
        if dimension not in self._groupings:
            self._groupings[dimension] = self._group(dimension)
        return self._groupings[dimension]

    def _group(self, dimension: str) -> Grouping:
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
            codes = np.where(codes < 0, len(labels), codes)
            present, codes = np.unique(codes, return_inverse=True)
            names = (*labels, UNKNOWN)
            return Grouping("channel", codes, tuple(names[code] for code in present))
        column = pc.fill_null(self.forecasts[dimension], UNKNOWN).combine_chunks()
        encoded = column.dictionary_encode()
        labels = encoded.dictionary.to_pylist()
        names = tuple(sorted(labels, key=_rank_level))
        rank = np.array([names.index(label) for label in labels], np.int64)
        return Grouping(dimension, rank[encoded.indices.to_numpy()], names)

    @property
    def has_channels(self) -> bool:
        """Whether the orders have a channel."""
        return "channel" in self.orders.texts


def _rank_level(name: str) -> tuple[int, str]:
    """Sort key: tiers and risk bands from high to low, then other names alphabetically."""
    return (_LEVELS.index(name) if name in _LEVELS else len(_LEVELS), name)


def open_customer_base(
    forecasts: ForecastSource | CustomerBase,
    orders: OrdersSource | None = None,
    config: Config | None = None,
    *,
    model: TrainedModel | None = None,
    what: str = "the forecasts",
) -> CustomerBase:
    """Join forecasts with their orders; only orders before the forecasts' cutoff count.

    Horizon, periods, margin, discount, target and currency are those of the forecast file, if it
    has them; else the configuration's, else those of `model`. Raises `ConfigError` where the
    configuration contradicts the file, `OrdersError` where the forecasts were made from other
    orders. Smaller differences are reported in `remarks`, where the forecasts are called `what`.
    An open base is returned unchanged.
    """
    if isinstance(forecasts, CustomerBase):
        return forecasts
    if orders is None:
        raise ConfigError("forecasts must come with the orders they were made from, got none")
    forecast_rows = read_forecasts(forecasts, whole=model is not None)
    table, terms = forecast_rows.rows, forecast_rows.terms
    if model is not None:
        user_config = require_config(config)
        if terms is None:
            config = describe_terms(model).within(Config()).overridden_by(user_config)
        reading = model.orders.overridden_by(user_config.orders)
        config = (config or user_config).model_copy(update={"orders": reading})
    config, remarks = reconcile_config(config, terms, what)
    orders = coerce_orders(orders, config.orders)
    if model is None:  # a model needs all columns to explain forecasts
        orders = orders.keep_columns(_COLUMNS)
    cutoff = int(table["cutoff"][0].cast(pa.int64()).as_py())
    if terms is None:
        terms = ForecastTerms.of_config(config, _read_economics(config, orders, cutoff))
        config = terms.within(config)
    remarks += _compare_margin(terms, orders, cutoff)
    positions = pc.fill_null(pc.index_in(table["customer_id"], orders.customer_ids), -1)
    positions = np.asarray(positions.to_numpy()).astype(np.int64)
    is_kept = positions >= 0
    if not is_kept.any():
        raise OrdersError(
            f"none of the {table.num_rows:,} forecast customers is in the orders; give the orders "
            "the forecasts were made from"
        )
    entries = build_order_table(orders, cutoff)
    date = dates.format_instant(cutoff)
    if not is_kept.all():
        n_unknown = pluralize(int(np.count_nonzero(~is_kept)), "forecast")
        remarks.append(f"{n_unknown} left out: not a customer of the orders")
    without_orders = is_kept & (entries.n_orders[positions] == 0)
    if without_orders.any():
        n_without = pluralize(int(without_orders.sum()), "forecast")
        remarks.append(f"{n_without} left out: no order before {date}")
        is_kept &= ~without_orders
    if not is_kept.any():
        raise OrdersError(f"none of the forecast customers ordered before {date}")
    rows = np.flatnonzero(is_kept)
    rows = rows[np.argsort(positions[rows], kind="stable")]
    if not np.array_equal(rows, np.arange(table.num_rows)):
        table = table.take(pa.array(rows))
    positions = positions[rows]
    remarks += _compare_orders(table, entries, positions, date)
    keep = np.zeros(orders.n_customers, dtype=np.bool_)
    keep[positions] = True
    own_entries = entries.of_customers(keep)
    return CustomerBase(
        table, orders, positions, own_entries, cutoff, config, terms, tuple(remarks)
    )


def _read_economics(config: Config, orders: Orders, cutoff: int) -> KnownEconomics:
    """The economics of forecasts that carry none: what is stated, never a margin by default."""
    if config.economics.margin_rate is not None:
        return resolve_economics(config, orders, cutoff)
    return KnownEconomics(annual_discount_rate=config.economics.annual_discount_rate)


def _compare_margin(terms: ForecastTerms, orders: Orders, cutoff: int) -> list[str]:
    """A remark on forecasts in revenue beside orders whose cost tells a margin."""
    margin = measure_margin(orders, cutoff) if terms.basis == "revenue" else None
    if margin is None:
        return []
    return [
        f"CLV is revenue, and the cost of the orders leaves a margin of {margin:.0%}: LTV, LTV:CAC "
        "and the most to pay are before cost; score with economics.margin_rate, or train again"
    ]


def _compare_orders(table: pa.Table, entries: OrderTable, positions: Int64, date: str) -> list[str]:
    """Remarks on orders that differ from the forecasts' and on customers without a forecast."""
    remarks = []
    n_orders = np.asarray(table["n_orders"].cast(pa.float64()).to_numpy())
    differ = int(np.count_nonzero(n_orders != entries.n_orders[positions]))
    if differ > len(positions) / 2:
        raise OrdersError(
            f"{differ:,} of {len(positions):,} customers have a different number of orders before "
            f"{date} than when they were forecast; give the same orders, read with the same "
            "configuration"
        )
    if differ:
        remarks.append(
            f"{pluralize(differ, 'customer')} of {len(positions):,} have other orders than their "
            "forecasts were made from"
        )
    has_orders = int(np.count_nonzero(entries.n_orders))
    missing = has_orders - len(positions)
    if missing:
        remarks.append(
            f"{pluralize(missing, 'customer')} of {has_orders:,} with an order before {date} have "
            "no forecast and are left out"
        )
    return remarks


def check_past(base: CustomerBase, past: CustomerBase | None) -> list[str]:
    """Remarks on the terms of past forecasts; refuses those of another currency or target.

    A backtest holds by their own horizon, span, margin and discount.
    """
    if past is None:
        return []
    return check_terms(
        ("the past forecast", past.terms),
        ("this forecast", base.terms),
        (
            *("horizon_days", "periods"),
            *("economics.margin_rate", "economics.annual_discount_rate"),
        ),
    )
