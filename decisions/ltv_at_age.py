"""LTV at equal age: what customers brought up to an age, and are expected to bring up to it.

A customer's age counts in days from the first order. Before the cutoff the value is realised; after
it, expected spend is spread evenly over the days of the forecast's first period, and the rest of
CLV over those of the later periods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..orders import dates, windows
from ..orders.columns import Float64, Int64, Mask
from .customer_base import CustomerBase, Grouping
from .group_totals import ratio

__all__ = ["AGES_DAYS", "AgeValues", "GroupAge", "RowAge", "compute_age_values", "list_ages"]

AGES_DAYS = (30, 60, 90, 180, 365)
_BEYOND = 1.02  # a span of 360 days reaches the age of 365


@dataclass(frozen=True)
class AgeValues:
    """Value of each customer up to an age, at the forecasts' basis: arrays of n_rows."""

    age_days: int
    realised: Float64  # before the cutoff
    projected: Float64  # from the cutoff on, expected
    is_over: Mask  # the customer was of this age at the cutoff: all is realised
    is_reached: Mask  # the forecast reaches this age


def list_ages(stated: int) -> tuple[int, ...]:
    """The ages to report, youngest first: the usual ones and the stated one."""
    return tuple(sorted({*AGES_DAYS, stated}))


def compute_age_values(base: CustomerBase, age_days: int) -> AgeValues:
    """What each customer brings up to an age, realised and projected."""
    entries, margin = base.entries, base.terms.margin_rate
    first_times, length = base.first_order_times, age_days * dates.DAY
    is_counted = windows.is_before(entries.times - first_times[entries.customers], length)
    counted = np.where(is_counted, base.worth, 0)
    realised = entries.per_customer(counted) / base.unit * margin
    days = np.maximum(first_times + length - base.cutoff, 0) / dates.DAY
    horizon, beyond = base.horizon_days, base.span_days - base.horizon_days
    first = base.numbers("expected_spend") * margin
    later = np.maximum(base.numbers("clv") - first, 0.0)
    share_later = np.clip((days - horizon) / beyond, 0, 1) if beyond else np.zeros_like(days)
    projected = first * np.minimum(days / horizon, 1) + later * share_later
    return AgeValues(
        age_days, realised, projected, days == 0, np.asarray(days <= base.span_days * _BEYOND)
    )


@dataclass(frozen=True)
class GroupAge:
    """Value of groups of customers up to an age: arrays of n_groups."""

    age_days: int
    realised: Float64
    projected: Float64
    over: Int64  # customers who were of this age at the cutoff
    unreached: Int64  # customers whom the forecast does not follow so far
    largest: Float64  # value of the group's largest customer

    @classmethod
    def of(cls, values: AgeValues, grouping: Grouping, is_used: Mask) -> GroupAge:
        """The sums over the customers in use, whom `grouping` groups."""
        realised, projected = values.realised[is_used], values.projected[is_used]
        largest = np.zeros(len(grouping.names))
        np.maximum.at(largest, grouping.codes, realised + projected)
        return cls(
            values.age_days,
            np.asarray(grouping.sums(realised), np.float64),
            np.asarray(grouping.sums(projected), np.float64),
            np.asarray(grouping.sums(values.is_over[is_used].astype(np.int64)), np.int64),
            np.asarray(grouping.sums((~values.is_reached[is_used]).astype(np.int64)), np.int64),
            largest,
        )

    def pick(self, group: int, spread: Float64) -> RowAge:
        """One group; `spread` is its lower and upper bound of CLV, relative to the expected."""
        projected = float(self.projected[group])
        bounds = [projected, projected * float(spread[0]), projected * float(spread[1])]
        return RowAge(
            self.age_days,
            float(self.realised[group]),
            bounds,
            int(self.over[group]),
            not self.unreached[group],
            float(self.largest[group]),
        )


@dataclass(frozen=True)
class RowAge:
    """Value of one group up to an age."""

    age_days: int
    realised: float
    bounds: list[float]  # projected: expected, lower, upper
    over: int
    is_reached: bool
    largest: float

    def unknown(self) -> RowAge:
        """The same where no age is reached."""
        nan = math.nan
        return replace(self, realised=nan, bounds=[nan, nan, nan], largest=nan)

    def describe(self, customers: int, spend: float) -> dict[str, Any]:
        """The row of a table: value per customer, and over the spend."""
        values = self if self.is_reached and customers else self.unknown()
        expected, lower, upper = values.bounds
        return {
            "age_days": self.age_days,
            "new_customers": customers,
            "realised_share": ratio(self.over, customers),
            "is_realised": bool(customers) and self.over == customers,
            "ltv_realised": ratio(values.realised, customers),
            "ltv": ratio(values.realised + expected, customers),
            "ltv_lower": ratio(values.realised + lower, customers),
            "ltv_upper": ratio(values.realised + upper, customers),
            "ltv_cac": ratio(values.realised + expected, spend),
        }
