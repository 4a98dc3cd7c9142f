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

from ..atomic_files import check_folder, write_files
from ..configs.schema import Config
from ..orders import dates
from ..orders.columns import Float64
from .cohort_triangles import build_triangles
from .customer_base import CustomerBase, ForecastSource, Grouping, OrdersSource, open_customer_base
from .group_totals import sum_by_group
from .period_counts import DAYS_PER_MONTH, GroupSums, PeriodCounts

__all__ = ["LEVERS", "Kpis", "compute_measures", "kpis"]

# the four levers, reported side by side
LEVERS = ("aov", "purchase_frequency", "margin_rate", "churn_rate")
# groups made by what customers did: their past churn is partly what put them there
_OF_TODAY = ("rfm_segment", "tier", "risk")


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
    forecasts: ForecastSource | CustomerBase,
    orders: OrdersSource | None = None,
    config: Config | None = None,
) -> Kpis:
    """Measure the shop at the forecasts' cutoff, as a whole and by channel, cohort, segment and period.

    Raises `OrdersError` for a file that holds no forecasts, or orders they were not made from.
    """
    base = open_customer_base(forecasts, orders, config)
    counted = PeriodCounts.of(base)
    remarks = list(base.remarks)
    dimensions = ["shop", "channel", "cohort", "rfm_segment", "tier", "risk"]
    if not base.has_channels:
        dimensions.remove("channel")
        remarks.append("the orders have no channel: nothing is shown by channel")
    if not counted.n_whole:
        remarks.append(
            f"the history holds no whole period of {counted.period_days} days: frequency and churn "
            "are empty"
        )
    parts = []
    worth = _worth_of_revenue(base)
    for dimension in dimensions:
        grouping = base.grouping(dimension)
        frame = compute_measures(counted.sums_by(grouping), base.config, counted.period_days, worth)
        frame.insert(0, "dimension", dimension)
        frame.insert(1, "group", list(grouping.names))
        frame["is_circular"] = dimension in _OF_TODAY
        frame["from"] = dates.format_instant(int(counted.bounds[counted.first_shown]))
        frame["until"] = dates.format_instant(base.cutoff)
        parts.append(_with_forecasts(frame, base, grouping))
    parts.append(_by_period(base, counted, worth))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return Kpis(
        table,
        build_triangles(base),
        _by_customer(base, counted, table.iloc[0]),
        tuple(remarks),
    )


def _worth_of_revenue(base: CustomerBase) -> float:
    """What the forecasts' target counts for each unit of net spend, before the cutoff; 1 for spend itself."""
    if base.config.target == "spend":
        return 1.0
    net = int(base.entries.net.sum())
    return int(base.worth.sum()) / net if net > 0 else np.nan


def compute_measures(
    sums: GroupSums, config: Config, period_days: int, worth_of_revenue: float = 1.0
) -> pd.DataFrame:
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
    per_revenue = config.economics.margin_rate * worth_of_revenue
    within = value * per_revenue * _periods_lived(churn, config, period_days)
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
            "formula_clv_margin": value * lifetime * per_revenue,
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


def _with_forecasts(frame: pd.DataFrame, base: CustomerBase, grouping: Grouping) -> pd.DataFrame:
    """The forecasts of each group beside its measures, and what the formula misses."""
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


def _by_period(base: CustomerBase, counted: PeriodCounts, worth: float) -> pd.DataFrame:
    frame = compute_measures(counted.sums_of_periods(), base.config, counted.period_days, worth)
    bounds = [dates.format_instant(int(bound)) for bound in counted.bounds[counted.first_shown :]]
    frame.insert(0, "dimension", "period")
    frame.insert(1, "group", bounds[:-1])
    frame["is_circular"] = False
    frame["from"], frame["until"] = bounds[:-1], bounds[1:]
    return frame


def _by_customer(base: CustomerBase, counted: PeriodCounts, shop: pd.Series[float]) -> pd.DataFrame:
    """Formula CLV of each customer: own AOV x the shop's frequency x its lifetime, beside the forecast."""
    entries = base.entries
    net = entries.spend / base.unit
    aov = net / entries.n_orders
    clv = base.numbers("clv")
    per_aov = float(shop["purchase_frequency"]) * float(shop["expected_lifetime"])
    within = float(shop["formula_clv_span"]) / float(shop["aov"]) if shop["aov"] else np.nan
    return pd.DataFrame(
        {
            "customer_id": base.forecasts["customer_id"].to_pandas(),
            "n_orders": entries.n_orders,
            "aov": aov,
            "formula_clv": aov * per_aov,
            "formula_clv_span": aov * within,
            "clv": clv,
            "clv_less_formula": clv - aov * within,
        }
    )
