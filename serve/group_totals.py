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


def group_totals(forecasts: pa.Table, grouping: Grouping, column: str = "clv") -> GroupTotals:
    """Sum a forecast over each group; errors of customers count as independent of each other."""

    def numbers(name: str) -> Float64:
        return np.asarray(forecasts[name].cast(pa.float64()).to_numpy())

    expected = np.asarray(grouping.sums(numbers(column)), np.float64)
    if f"{column}_upper" not in forecasts.column_names:
        unknown = np.full(len(expected), np.nan)
        return GroupTotals(expected, unknown, unknown)
    width = numbers(f"{column}_upper") - numbers(f"{column}_lower")
    variance = np.asarray(grouping.sums((width / (2 * _Z90)) ** 2), np.float64)
    half = _Z90 * np.sqrt(variance)
    return GroupTotals(expected, np.maximum(expected - half, 0.0), expected + half)
