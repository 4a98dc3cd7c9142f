"""When a cohort has earned what it cost: the margin up to each month of age, known and forecast."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..orders import dates
from ..orders.columns import Float64, Int64, Mask
from .customer_base import CustomerBase, Grouping

__all__ = ["MarginCurve", "estimate_reach_probability", "forecast_margin_curve"]

_Z90 = 1.6449  # standard deviations to either side of a normal 90 % interval


@dataclass(frozen=True)
class MarginCurve:
    """Margin of cohorts within their first months, arrays of n_cohorts x n_ages, in the currency.

    Column m - 1 is age m: until the end of the m-th calendar month, the month of the first order
    being the first. `reach` says how far forecasts go: beyond it nothing is known.
    """

    realised: Float64  # before the cutoff
    projected: Float64  # from the cutoff on, expected
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

    A forecast is spread evenly over the days of its first period, and what CLV holds beyond it over
    the days of the later periods.
    """
    margin = base.config.economics.margin_rate
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
    """The chance that `realised` + a forecast reaches `needed`, from the forecast's 90 % interval.

    The forecast is a normal in two halves around `expected`, each with the spread its side of the
    interval says. NaN where the interval is not known and it matters.

    >>> estimate_reach_probability(100, 60, 40, 20, 80)
    0.5
    >>> round(estimate_reach_probability(80, 60, 40, 20, 80), 2)  # the lower bound: 95 %
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
    if spread <= 0:  # nothing is doubted on this side
        return float(expected >= missing)
    return 0.5 * (1.0 + math.erf((expected - missing) / spread / math.sqrt(2)))
