"""Totals of groups of forecasts, with an interval. The one place that knows where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..features.orders import Float64
from .book import Grouping

__all__ = ["GroupTotals", "group_totals"]

_Z90 = 1.6449  # a normal 90 % interval reaches this many standard deviations to both sides


@dataclass(frozen=True)
class GroupTotals:
    """The total of each group and its 90 % interval: arrays of n_groups; bounds NaN where unknown."""

    expected: Float64
    lower: Float64
    upper: Float64


def group_totals(forecasts: pa.Table, grouping: Grouping) -> GroupTotals:
    """Sum the CLV of each group: lognormal around the sum, by what the file says of its spread.

    Customers' own deviations are independent and shrink against a large sum; the shock that moves all
    customers together does not: log variance = log(1 + sum of deviation^2 / total^2) + shock^2.
    """

    def numbers(name: str) -> Float64:
        return np.asarray(forecasts[name].cast(pa.float64()).to_numpy())

    expected = np.asarray(grouping.sums(numbers("clv")), np.float64)
    if not {"clv_deviation", "clv_shock"} <= set(forecasts.column_names):
        unknown = np.full(len(expected), np.nan)
        return GroupTotals(expected, unknown, unknown)
    variance = np.asarray(grouping.sums(numbers("clv_deviation") ** 2), np.float64)
    shock = float(numbers("clv_shock").max(initial=0.0))
    relative = np.divide(variance, expected**2, out=np.zeros(len(expected)), where=expected > 0)
    reach = _Z90 * np.sqrt(np.log1p(relative) + shock**2)
    return GroupTotals(expected, expected * np.exp(-reach), expected * np.exp(reach))
