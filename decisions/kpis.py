"""kpis: descriptive measures of a shop and of its channels, cohorts, segments and periods.

docs/decisions.md defines every measure. Measures of a period cover the newest whole periods before
the cutoff, pooled: AOV x purchase frequency x active customers is the revenue. A measure without a
denominator (no customer, no order, nobody lost) is empty, neither zero nor infinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ..atomic_files import write_tables
from ..configs.economics import KnownEconomics
from ..configs.schema import Config
from ..evaluation.dictionary import build_dictionary
from ..models.forecast_terms import ForecastTerms
from ..orders import dates
from ..orders.columns import Float64
from .customer_base import CustomerBase, ForecastSource, Grouping, OrdersSource, open_customer_base
from .group_totals import divide, ratio, sum_by_group
from .period_counts import DAYS_PER_MONTH, GroupSums, PeriodCounts

__all__ = ["LEVERS", "Kpis", "build_triangles", "compute_measures", "kpis"]

# the four levers of revenue
LEVERS = ("aov", "purchase_frequency", "margin_rate", "churn_rate")
# groups defined by past behaviour: past churn is partly why a customer is in them
_CIRCULAR = ("rfm_segment", "tier", "risk")


@dataclass(frozen=True)
class Kpis:
    """The measures as tidy tables; money in the shop's currency."""

    measures: pd.DataFrame  # one row per dimension and group
    triangles: pd.DataFrame  # one row per cohort and month of age
    customers: pd.DataFrame  # one row per customer: formula CLV and forecast
    remarks: tuple[str, ...]
    terms: ForecastTerms | None = None  # what the forecasts' numbers mean

    def save(self, folder: Path, ending: str = "csv") -> None:
        """Write measures, triangles, customers and dictionary into `folder`, all or none."""
        tables: dict[str, pd.DataFrame | pa.Table] = {
            "measures": self.measures,
            "triangles": self.triangles,
            "customers": self.customers,
        }
        write_tables(folder, tables | {"dictionary": build_dictionary(tables, self.terms)}, ending)


def kpis(
    forecasts: ForecastSource | CustomerBase,
    orders: OrdersSource | None = None,
    config: Config | None = None,
) -> Kpis:
    """Measure the shop at the forecasts' cutoff, as a whole and by channel, cohort and segment.

    Parameters
    ----------
    forecasts : DataFrame, pyarrow.Table, str, Path or CustomerBase
        Forecasts of one cutoff, as `clvcast.score` returns them, or their file.
    orders : Orders, DataFrame, pyarrow.Table, str or Path, optional
        The orders the forecasts were made from, or where to read them. Required unless
        `forecasts` is a CustomerBase, which holds them.
    config : Config, optional
        Settings of the shop; by default those the forecasts were made with.

    Returns
    -------
    Kpis
        Measures by dimension and group, cohort triangles, CLV by formula beside each forecast,
        and remarks.

    Raises
    ------
    OrdersError
        If a file holds no forecasts, or the forecasts were not made from these orders.
    ConfigError
        If the orders are missing, or the configuration contradicts the forecasts.

    """
    base = open_customer_base(forecasts, orders, config)
    counts = PeriodCounts.of(base)
    remarks = list(base.remarks)
    dimensions = ["shop", "channel", "cohort", "rfm_segment", "tier", "risk"]
    if not base.has_channels:
        dimensions.remove("channel")
        remarks.append("the orders have no channel: no measures by channel")
    if not counts.n_whole:
        remarks.append(
            f"the history holds no whole period of {counts.period_days} days: frequency and churn "
            "are empty"
        )
    parts = []
    # value for the forecasts' target per unit of net spend; 1 where the target is spend
    target_share = ratio(int(base.worth.sum()), int(base.entries.net.sum()))
    if base.terms.target == "spend":
        target_share = 1.0
    bounds = [dates.format_instant(int(bound)) for bound in counts.bounds[counts.first_measured :]]
    for dimension in dimensions:
        grouping = base.grouping(dimension)
        frame = compute_measures(
            counts.sums_by(grouping), base.config, counts.period_days, base.terms, target_share
        )
        _label(frame, dimension, grouping.names, bounds[0], bounds[-1])
        parts.append(_add_forecasts(frame, base, grouping))
    periods = compute_measures(
        counts.sums_of_periods(), base.config, counts.period_days, base.terms, target_share
    )
    _label(periods, "period", bounds[:-1], bounds[:-1], bounds[1:])
    parts.append(periods)
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return Kpis(
        table,
        build_triangles(base),
        _compute_customers(base, table.iloc[0]),
        tuple(remarks),
        base.terms,
    )


def _label(
    frame: pd.DataFrame,
    dimension: str,
    groups: Sequence[str],
    begin: str | list[str],
    end: str | list[str],
) -> None:
    frame.insert(0, "dimension", dimension)
    frame.insert(1, "group", list(groups))
    frame["is_circular"] = dimension in _CIRCULAR
    frame["from"], frame["until"] = begin, end


def compute_measures(
    sums: GroupSums,
    config: Config,
    period_days: int,
    terms: ForecastTerms | None = None,
    target_share: float = 1.0,
) -> pd.DataFrame:
    """Every descriptive measure of some groups, from their sums: one row per group.

    `terms` are those of the forecasts beside them; by default what the configuration states.
    `target_share` is the value for the forecasts' target per unit of net spend. `formula_clv_span`
    has the basis of the forecasts, whichever it is; `formula_clv_margin` and `ltv_by_churn` are
    margin, and empty where no margin is known.

    Example: 100 of revenue in one order, 3 orders a year, 12 years -> a customer value of 300 a
    year and a formula CLV of 3,600.
    """
    aov = divide(sums.revenue, sums.orders)
    frequency = divide(sums.orders, sums.active_customer_periods)
    churn = divide(sums.lost, sums.at_start)
    if not sums.whole_periods:
        frequency = churn = np.full(len(aov), np.nan)
    if terms is None:
        terms = ForecastTerms.of_config(config, KnownEconomics().apply_stated(config.economics))
    gross_margin = divide(sums.costed - sums.costs, sums.costed)
    # contribution is what cost leaves of revenue: the share of it is a margin as well
    stated_margin = terms.margin_rate * target_share if terms.basis != "revenue" else np.nan
    margin = np.where(np.isnan(gross_margin), stated_margin, gross_margin)
    value = aov * frequency
    fixed_lifetime = config.kpis.expected_lifetime
    lifetime = np.full(len(aov), fixed_lifetime) if fixed_lifetime else divide(1.0, churn)
    arpu = divide(sums.revenue_ever, sums.tenure_months)
    repeat_rate = divide(sums.repeaters, sums.customers)
    span_value = value * terms.margin_rate * target_share
    span_value = span_value * _compute_span_lifetime(churn, terms, period_days)
    margin_of_revenue = margin if terms.basis == "revenue" else stated_margin
    return pd.DataFrame(
        {
            "period_days": period_days,
            "basis": terms.basis,
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
            "formula_clv_margin": value * lifetime * margin_of_revenue,
            "formula_clv_span": span_value,
            "repeat_rate": repeat_rate,
            "one_time_share": 1.0 - repeat_rate,
            "arpu": arpu,
            # churn per month, so that 1 / churn is the same lifetime
            "ltv_by_churn": divide(arpu * margin, churn * DAYS_PER_MONTH / period_days),
        }
    )


def _compute_span_lifetime(churn: Float64, terms: ForecastTerms, period_days: int) -> Float64:
    """Expected discounted periods of an active customer in the CLV span, at constant churn."""
    n_periods = terms.span_days / period_days
    total = np.zeros(len(churn))
    for k in range(int(np.ceil(n_periods))):
        years = k * period_days / dates.RATE_YEAR_DAYS
        discount = (1.0 + terms.annual_discount_rate) ** years
        total += min(n_periods - k, 1.0) * (1.0 - churn) ** k / discount
    return total


def _add_forecasts(frame: pd.DataFrame, base: CustomerBase, grouping: Grouping) -> pd.DataFrame:
    """Add each group's forecasts, and their difference to the formula."""
    n = np.maximum(grouping.counts(), 1)
    total = sum_by_group(base.forecasts, grouping)
    empty = grouping.counts() == 0
    columns: dict[str, Float64] = {
        "clv": total.expected / n,
        "clv_total": total.expected,
        "clv_total_lower": total.lower,
        "clv_total_upper": total.upper,
        "expected_spend_total": np.asarray(grouping.sums(base.numbers("expected_spend"))),
        "churn_probability": np.asarray(grouping.sums(base.numbers("churn_probability"))) / n,
    }
    for name, values in columns.items():
        frame[name] = np.where(empty, np.nan, values)
    frame["clv_less_formula"] = frame["clv"] - frame["formula_clv_span"]
    return frame


def _compute_customers(base: CustomerBase, shop: pd.Series[float]) -> pd.DataFrame:
    """Formula CLV of each customer (own AOV x the shop's frequency x its lifetime) and forecast."""
    aov = base.entries.spend / base.unit / base.entries.n_orders
    clv = base.numbers("clv")
    orders_per_life = float(shop["purchase_frequency"]) * float(shop["expected_lifetime"])
    orders_in_span = float(shop["formula_clv_span"]) / float(shop["aov"]) if shop["aov"] else np.nan
    return pd.DataFrame(
        {
            "customer_id": base.forecasts["customer_id"].to_pandas(),
            "basis": base.terms.basis,
            "n_orders": base.entries.n_orders,
            "aov": aov,
            "formula_clv": aov * orders_per_life,
            "formula_clv_span": aov * orders_in_span,
            "clv": clv,
            "clv_less_formula": clv - aov * orders_in_span,
        }
    )


def build_triangles(base: CustomerBase) -> pd.DataFrame:
    """Retention and cumulated spend by cohort and age: one row per cohort and calendar month.

    Age 0 is the month of the first order. `is_whole` is False for the unfinished month of the
    cutoff. A month without first orders is a cohort of 0 customers, with empty ratios.
    """
    entries, cohort = base.entries, base.grouping("cohort")
    first_month = dates.to_months(base.first_order_times)
    origin = int(first_month.min())
    n_cohorts = len(cohort.names)
    month = dates.to_months(entries.times)
    last = max(int(month.max()), origin + n_cohorts - 1)
    width = last - origin + 1
    owner = entries.customers
    # a return before the first order counts in its month
    age = np.maximum(month - first_month[owner], 0)
    cell = cohort.codes[owner] * width + age

    spend = np.zeros(n_cohorts * width, dtype=np.int64)
    np.add.at(spend, cell, entries.net)
    ordered = entries.is_order
    owner, age, cell = owner[ordered], age[ordered], cell[ordered]
    is_first = np.ones(len(owner), dtype=np.bool_)  # of its customer in its month: times ascend
    is_first[1:] = (owner[1:] != owner[:-1]) | (age[1:] != age[:-1])
    active = np.bincount(cell[is_first], minlength=n_cohorts * width)

    k, ages = np.divmod(np.arange(n_cohorts * width), width)
    is_observed = k + ages < width
    customers = cohort.counts()[k].astype(np.float64)
    cumulated = np.cumsum(spend.reshape(n_cohorts, width), axis=1).ravel() / base.unit
    frame = pd.DataFrame(
        {
            "cohort": np.array(cohort.names, dtype=object)[k],
            "age_months": ages,
            "customers": cohort.counts()[k],
            "active_customers": active,
            "retention": divide(active, customers),
            "basis": "revenue",
            "spend": spend / base.unit,
            "cumulated_spend": cumulated,
            "cumulated_spend_per_customer": divide(cumulated, customers),
            "is_left_truncated": dates.to_month_starts(origin + k) < base.known_since,
            "is_whole": origin + k + ages < dates.find_unfinished_month(base.cutoff),
        }
    )
    return frame[is_observed].reset_index(drop=True)
