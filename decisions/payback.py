"""Payback: the margin of a cohort up to each month of age, and when it covers the spend."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..orders import dates
from ..orders.columns import Float64, Int64, Mask
from ..orders.cutoffs import get_default_cutoff
from .customer_base import CustomerBase, Grouping
from .group_totals import sum_by_group

__all__ = [
    "BACKTEST_COLUMNS",
    "MarginCurve",
    "backtest_payback",
    "estimate_reach_probability",
    "forecast_margin_curve",
]

_Z90 = 1.6449  # standard deviations to either side of a normal 90% interval
_MULTIPLES = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.7)
BACKTEST_COLUMNS = ["cohort", "age_months", "multiple", "needed", "chance", "reached"]


@dataclass(frozen=True)
class MarginCurve:
    """Margin of cohorts within their first months, arrays of n_cohorts x n_ages, in the currency.

    Column m - 1 is age m: until the end of the m-th calendar month, the month of the first order
    being the first. `reach` marks the ages that forecasts cover.
    """

    realised: Float64  # before the cutoff
    projected: Float64  # expected from the cutoff on
    reach: Mask  # the age ends within the span of the forecast

    def of(self, cohorts: Mask) -> MarginCurve:
        """The curve of some cohorts together: arrays of 1 x n_ages."""
        return MarginCurve(
            self.realised[cohorts].sum(axis=0, keepdims=True),
            self.projected[cohorts].sum(axis=0, keepdims=True),
            np.asarray(self.reach[cohorts].all(axis=0, keepdims=True)),
        )


def forecast_margin_curve(base: CustomerBase, cohorts: Grouping, months: Int64) -> MarginCurve:
    """The margin of every cohort by age; `months` are the cohorts' calendar months.

    A forecast is spread evenly over the days of its first period, and the rest of CLV over the days
    of the later periods.
    """
    margin = base.terms.margin_rate
    n_cohorts = len(cohorts.names)
    last = dates.to_months(dates.add_days(base.cutoff, np.array([float(base.span_days)])))[0]
    n_ages = int(max(last - months.min(), 0)) + 1
    entries = base.entries
    owner = cohorts.codes[entries.customers]
    age = np.clip(dates.to_months(entries.times) - months[owner], 0, n_ages - 1)
    net = np.zeros(n_cohorts * n_ages, dtype=np.int64)
    np.add.at(net, owner * n_ages + age, base.worth)
    realised = np.cumsum(net.reshape(n_cohorts, n_ages), axis=1) / base.unit * margin

    first = np.asarray(cohorts.sums(base.numbers("expected_spend") * margin), np.float64)
    later = np.asarray(cohorts.sums(base.numbers("clv")), np.float64) - first
    ends = dates.to_month_starts(months[:, None] + np.arange(1, n_ages + 1))
    days = np.maximum(ends - base.cutoff, 0) / dates.DAY
    horizon, beyond = base.horizon_days, base.span_days - base.horizon_days
    share_later = np.clip((days - horizon) / beyond, 0, 1) if beyond else np.zeros_like(days)
    projected = first[:, None] * np.minimum(days / horizon, 1) + later[:, None] * share_later
    return MarginCurve(realised, np.maximum(projected, 0.0), days <= base.span_days)


def estimate_reach_probability(
    needed: float, realised: float, expected: float, lower: float, upper: float
) -> float:
    """The probability that `realised` + a forecast reaches `needed`, by the 90% interval.

    The forecast is a split normal around `expected`: each half has the spread of its side of the
    interval. NaN where the interval is needed and unknown.

    >>> estimate_reach_probability(100, 60, 40, 20, 80)
    0.5
    >>> round(estimate_reach_probability(80, 60, 40, 20, 80), 2)  # the lower bound: 95%
    0.95
    """
    missing = needed - realised
    if missing <= 0:
        return 1.0
    if expected <= 0:
        return 0.0
    if math.isnan(lower) or math.isnan(upper):
        return math.nan
    if missing == expected and upper > lower:
        return 0.5
    spread = (expected - lower if missing < expected else upper - expected) / _Z90
    if spread <= 0:  # no uncertainty on this side
        return float(expected >= missing)
    return 0.5 * (1.0 + math.erf((expected - missing) / spread / math.sqrt(2)))


def backtest_payback(past: CustomerBase) -> pd.DataFrame:
    """Past payback probabilities and outcomes, by monthly cohort, month of age and cost.

    The costs are the margin known at the past cutoff plus multiples of the margin forecast up to
    that age, as far as the orders reach. All cohorts share one past and its shocks: a few hundred
    rows are not as many independent trials.
    """
    months = dates.to_months(past.first_order_times)
    origin = int(months.min())
    present, codes = np.unique(months, return_inverse=True)
    names = tuple(dates.format_month(int(month)) for month in present)
    cohorts = Grouping("cohort", codes.astype(np.int64), names)
    curve = forecast_margin_curve(past, cohorts, present)
    totals = sum_by_group(past.forecasts, cohorts)
    known_until = get_default_cutoff(past.orders)
    later = past.build_entries(past.valued_orders, known_until)
    month = dates.to_months(later.times)
    margin = past.terms.margin_rate
    width = int(month.max()) - origin + 1
    net = np.zeros((len(present), width), dtype=np.int64)
    np.add.at(net, (cohorts.codes[later.customers], np.maximum(month - origin, 0)), later.net)
    margins = np.cumsum(net, axis=1) / past.unit * margin
    first = dates.find_unfinished_month(past.cutoff)  # the month of the cutoff ends first
    rows = []
    for cohort in np.flatnonzero(totals.expected > 0):
        low, high = (
            float(b[cohort] / totals.expected[cohort]) for b in (totals.lower, totals.upper)
        )
        for end in range(first, dates.find_unfinished_month(known_until)):
            age = end - int(present[cohort])
            if age >= curve.reach.shape[1] or not curve.reach[cohort, age]:
                continue
            realised, coming = curve.realised[cohort, age], curve.projected[cohort, age]
            for multiple in _MULTIPLES:
                needed = float(realised + coming * multiple)
                chance = estimate_reach_probability(
                    needed, realised, coming, coming * low, coming * high
                )
                reached = bool(margins[cohort, end - origin] >= needed)
                rows.append((names[cohort], age + 1, multiple, needed, chance, reached))
    return pd.DataFrame(rows, columns=BACKTEST_COLUMNS)
