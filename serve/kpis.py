"""kpis: the descriptive measures of a shop and of its channels, cohorts, segments and periods.

Every measure is defined in docs/decisions.md. Measures with a period count the newest whole periods
before the cutoff, pooled: AOV x purchase frequency x active customers is the revenue. What has no
denominator (no customer, no order, nobody lost) is empty, neither zero nor infinite.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..configs.schema import Config
from ..features import windows
from ..features.orders import Float64, Int64, Orders
from .book import Book, Grouping, open_book
from .group_totals import group_totals
from .outputs import check_folder, write_files
from .triangles import triangles

__all__ = ["LEVERS", "Kpis", "Sums", "kpis", "kpis_of", "measures"]

# the four levers, reported side by side
LEVERS = ("aov", "purchase_frequency", "margin_rate", "churn_rate")
DAYS_PER_MONTH = 365.25 / 12
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Kpis:
    """The measures as tidy tables; money in the shop's currency."""

    measures: pd.DataFrame  # a row per dimension and group
    triangles: pd.DataFrame  # a row per cohort and month of age
    customers: pd.DataFrame  # a row per customer: formula CLV beside the forecast
    remarks: tuple[str, ...]

    def save(self, folder: Path, ending: str = "csv") -> None:
        """Write measures, triangles and customers into `folder`, all or none."""
        check_folder(folder)
        tables = {
            "measures": self.measures,
            "triangles": self.triangles,
            "customers": self.customers,
        }
        write_files(
            {
                folder / f"{name}.{ending}": pa.Table.from_pandas(table, preserve_index=False)
                for name, table in tables.items()
            }
        )


def kpis(
    forecasts: pd.DataFrame | pa.Table | str | Path,
    orders: Orders | pd.DataFrame | pa.Table | str | Path,
    config: Config | None = None,
) -> Kpis:
    """Measure the shop at the forecasts' cutoff, as a whole and by channel, cohort, segment and period.

    Raises `OrdersError` for a file that holds no forecasts, or orders they were not made from.
    """
    return kpis_of(open_book(forecasts, orders, config))


def kpis_of(book: Book) -> Kpis:
    """The same of an open book."""
    counted = _PeriodCounts.of(book)
    remarks = list(book.remarks)
    dimensions = ["shop", "channel", "cohort", "rfm_segment", "tier", "risk"]
    if not book.has_channels:
        dimensions.remove("channel")
        remarks.append("the orders have no channel: nothing is shown by channel")
    if not counted.n_whole:
        remarks.append(
            f"the history holds no whole period of {counted.period_days} days: frequency and churn "
            "are empty"
        )
    parts = []
    for dimension in dimensions:
        grouping = book.grouping(dimension)
        frame = measures(counted.sums_by(grouping), book.config, counted.period_days)
        frame.insert(0, "dimension", dimension)
        frame.insert(1, "group", list(grouping.names))
        frame["from"] = windows.shown(int(counted.bounds[counted.first_shown]))
        frame["until"] = windows.shown(book.cutoff)
        parts.append(_with_forecasts(frame, book, grouping))
    parts.append(_by_period(book, counted))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return Kpis(
        table,
        triangles(book),
        _by_customer(book, counted, table.iloc[0]),
        tuple(remarks),
    )


@dataclass(frozen=True)
class Sums:
    """What the measures of some groups are made of: arrays of n_groups, money in the currency."""

    customers: Int64
    new_customers: Int64
    active_customer_periods: Int64  # customers with an order in a period, over the periods
    orders: Int64
    revenue: Float64  # net
    at_start: Int64  # customers who ordered in the period before, over the periods
    lost: Int64  # those of them who did not order in the period
    repeaters: Int64  # customers with two orders or more, ever
    revenue_ever: Float64
    tenure_months: Float64
    costed: Float64  # amount sold with a known cost
    costs: Float64  # that cost
    whole_periods: bool = True


def measures(sums: Sums, config: Config, period_days: int) -> pd.DataFrame:
    """Every descriptive measure of some groups, from their sums: a row a group.

    Worked: 100 of revenue in one order, 3 orders a year, 12 years -> a customer value of 300 a year
    and a formula CLV of 3,600.
    """
    aov = _ratio(sums.revenue, sums.orders)
    frequency = _ratio(sums.orders, sums.active_customer_periods)
    churn = _ratio(sums.lost, sums.at_start)
    if not sums.whole_periods:
        frequency = churn = np.full(len(aov), np.nan)
    gross_margin = _ratio(sums.costed - sums.costs, sums.costed)
    margin = np.where(np.isnan(gross_margin), config.economics.margin_rate, gross_margin)
    value = aov * frequency
    given = config.kpis.expected_lifetime
    lifetime = np.full(len(aov), given) if given else _ratio(np.ones(len(aov)), churn)
    arpu = _ratio(sums.revenue_ever, sums.tenure_months)
    repeat_rate = _ratio(sums.repeaters, sums.customers)
    within = value * config.economics.margin_rate * _periods_lived(churn, config, period_days)
    return pd.DataFrame(
        {
            "period_days": period_days,
            "customers": sums.customers,
            "new_customers": sums.new_customers,
            "orders": sums.orders,
            "revenue": sums.revenue,
            "aov": aov,
            "purchase_frequency": frequency,
            "margin_rate": margin,
            "churn_rate": churn,
            "gross_margin": gross_margin,
            "active_customer_periods": sums.active_customer_periods,
            "customers_at_start": sums.at_start,
            "customers_lost": sums.lost,
            "customer_value": value,
            "expected_lifetime": lifetime,
            "formula_clv": value * lifetime,
            "formula_clv_margin": value * lifetime * config.economics.margin_rate,
            "formula_clv_span": within,
            "repeat_rate": repeat_rate,
            "one_time_share": 1.0 - repeat_rate,
            "arpu": arpu,
            # the churn rate of a month, so that 1 / churn is the same lifetime
            "ltv_by_churn": _ratio(arpu * margin, churn * DAYS_PER_MONTH / period_days),
        }
    )


def _ratio(numerator: npt.NDArray[np.generic], denominator: npt.NDArray[np.generic]) -> Float64:
    """Where there is something to divide by, the quotient; else NaN, which files show as empty."""
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    quotient = np.full(len(below), np.nan)
    return np.asarray(np.divide(above, below, out=quotient, where=below > 0))


def _periods_lived(churn: Float64, config: Config, period_days: int) -> Float64:
    """Discounted periods an active customer lives within the CLV span, if churn is constant."""
    spanned = config.horizon_days * config.periods / period_days
    total = np.zeros(len(churn))
    for k in range(int(np.ceil(spanned))):
        years = k * period_days / 365.0
        discount = (1.0 + config.economics.annual_discount_rate) ** years
        total += min(spanned - k, 1.0) * (1.0 - churn) ** k / discount
    return total


@dataclass(frozen=True)
class _PeriodCounts:
    """Per customer and whole period, what was ordered; the first period only says who was there."""

    period_days: int
    bounds: Int64  # n_periods + 1
    first_shown: int  # the first period that is measured
    orders: Int64  # n_rows x n_periods
    net: Int64  # n_rows x n_periods, in the smallest unit
    costed: Int64  # n_rows x n_periods, in the smallest unit
    costs: Float64  # n_rows x n_periods, in the currency
    book: Book

    @classmethod
    def of(cls, book: Book) -> _PeriodCounts:
        config, entries = book.config.kpis, book.entries
        days = config.period_days or book.horizon_days
        first = int(book.first_order_times.min())
        bounds = windows.trailing_periods(first, book.cutoff, days, config.periods + 1)
        if len(bounds) == 1:  # no whole period: what there is
            bounds = np.array([min(first, book.cutoff), book.cutoff], dtype=np.int64)
        n_periods = len(bounds) - 1
        slot = windows.slots(entries.times, bounds)
        inside = (slot >= 0) & (slot < n_periods)
        cell = entries.customers[inside] * n_periods + slot[inside]
        shape = (book.n_rows, n_periods)

        def per_cell(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            total = np.zeros(book.n_rows * n_periods, dtype=values.dtype)
            np.add.at(total, cell, values[inside])
            return total.reshape(shape)

        return cls(
            days,
            bounds,
            max(n_periods - config.periods, 0),
            np.asarray(per_cell(entries.is_order.astype(np.int64)), np.int64),
            np.asarray(per_cell(entries.net), np.int64),
            np.asarray(per_cell(entries.costed), np.int64),
            np.asarray(per_cell(entries.costs), np.float64),
            book,
        )

    @property
    def n_whole(self) -> int:
        """Whole periods measured."""
        whole = self.bounds[-1] - self.bounds[0] >= self.period_days * windows.DAY
        return len(self.bounds) - 1 - self.first_shown if whole else 0

    def sums_by(self, grouping: Grouping) -> Sums:
        """The sums of each group over the measured periods."""
        book, shown = self.book, slice(self.first_shown, None)
        active = self.orders > 0
        came, stayed = active[:, :-1], active[:, 1:]
        first = windows.slots(book.first_order_times, self.bounds)

        def integers(values: npt.NDArray[np.generic]) -> Int64:
            return np.asarray(grouping.sums(np.asarray(values, np.int64)), np.int64)

        tenure = (book.cutoff - book.first_order_times) / windows.DAY / DAYS_PER_MONTH
        ever = book.entries.per_customer(book.entries.net)
        return Sums(
            customers=grouping.counts(),
            new_customers=integers(first >= self.first_shown),
            active_customer_periods=integers(active[:, shown].sum(axis=1)),
            orders=integers(self.orders[:, shown].sum(axis=1)),
            revenue=integers(self.net[:, shown].sum(axis=1)) / book.unit,
            at_start=integers(came.sum(axis=1)),
            lost=integers((came & ~stayed).sum(axis=1)),
            repeaters=integers(book.entries.n_orders >= 2),
            revenue_ever=integers(ever) / book.unit,
            tenure_months=np.asarray(grouping.sums(tenure), np.float64),
            costed=integers(self.costed[:, shown].sum(axis=1)) / book.unit,
            costs=np.asarray(grouping.sums(self.costs[:, shown].sum(axis=1)), np.float64),
            whole_periods=self.n_whole > 0,
        )

    def sums_of_periods(self) -> Sums:
        """The sums of each measured period over all customers; what counts ever counts to its end."""
        book, shown = self.book, slice(self.first_shown, None)
        active = self.orders > 0
        n_periods = self.orders.shape[1]
        before = np.zeros((book.n_rows, 1), dtype=np.bool_)
        came = np.concatenate((before, active[:, :-1]), axis=1)
        slot = np.minimum(windows.slots(book.entries.times, self.bounds), n_periods - 1)
        first = windows.slots(book.first_order_times, self.bounds)
        known = np.array([np.count_nonzero(first <= k) for k in range(n_periods)])
        tenure, ever = np.zeros(n_periods), np.zeros(n_periods, np.int64)
        repeaters = np.zeros(n_periods, np.int64)
        for k in range(self.first_shown, n_periods):
            there = first <= k
            end = self.bounds[k + 1]
            days = (end - book.first_order_times[there]).sum() / windows.DAY
            tenure[k] = days / DAYS_PER_MONTH
            ever[k] = book.entries.net[slot <= k].sum()
            so_far = book.entries.per_customer(
                (book.entries.is_order & (slot <= k)).astype(np.int64)
            )
            repeaters[k] = np.count_nonzero(so_far >= 2)
        return Sums(
            customers=known[shown],
            new_customers=np.bincount(np.maximum(first, -1) + 1, minlength=n_periods + 1)[1:][
                shown
            ],
            active_customer_periods=active.sum(axis=0)[shown],
            orders=self.orders.sum(axis=0)[shown],
            revenue=self.net.sum(axis=0)[shown] / book.unit,
            at_start=came.sum(axis=0)[shown],
            lost=(came & ~active).sum(axis=0)[shown],
            repeaters=repeaters[shown],
            revenue_ever=ever[shown] / book.unit,
            tenure_months=tenure[shown],
            costed=self.costed.sum(axis=0)[shown] / book.unit,
            costs=self.costs.sum(axis=0)[shown],
            whole_periods=self.n_whole > 0,
        )


def _with_forecasts(frame: pd.DataFrame, book: Book, grouping: Grouping) -> pd.DataFrame:
    """The forecasts of each group beside its measures, and what the formula misses."""
    n = np.maximum(grouping.counts(), 1)
    total = group_totals(book.forecasts, grouping)
    empty = grouping.counts() == 0
    columns: dict[str, Float64] = {
        "clv": total.expected / n,
        "clv_total": total.expected,
        "clv_total_lower": total.lower,
        "clv_total_upper": total.upper,
        "expected_spend_total": np.asarray(grouping.sums(book.numbers("expected_spend"))),
        "churn_probability": np.asarray(grouping.sums(book.numbers("churn_probability"))) / n,
    }
    for name, values in columns.items():
        frame[name] = np.where(empty, np.nan, values)
    frame["clv_less_formula"] = frame["clv"] - frame["formula_clv_span"]
    return frame


def _by_period(book: Book, counted: _PeriodCounts) -> pd.DataFrame:
    frame = measures(counted.sums_of_periods(), book.config, counted.period_days)
    bounds = [windows.shown(int(bound)) for bound in counted.bounds[counted.first_shown :]]
    frame.insert(0, "dimension", "period")
    frame.insert(1, "group", bounds[:-1])
    frame["from"], frame["until"] = bounds[:-1], bounds[1:]
    return frame


def _by_customer(book: Book, counted: _PeriodCounts, shop: pd.Series[float]) -> pd.DataFrame:
    """Formula CLV of each customer: own AOV x the shop's frequency x its lifetime, beside the forecast."""
    entries = book.entries
    net = entries.per_customer(entries.net) / book.unit
    aov = net / entries.n_orders
    clv = book.numbers("clv")
    per_aov = float(shop["purchase_frequency"]) * float(shop["expected_lifetime"])
    within = float(shop["formula_clv_span"]) / float(shop["aov"]) if shop["aov"] else np.nan
    return pd.DataFrame(
        {
            "customer_id": book.forecasts["customer_id"].to_pandas(),
            "n_orders": entries.n_orders,
            "aov": aov,
            "formula_clv": aov * per_aov,
            "formula_clv_span": aov * within,
            "clv": clv,
            "clv_less_formula": clv - aov * within,
        }
    )
