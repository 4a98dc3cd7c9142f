"""Totals of the groups of a customer base, with their intervals, and ratios of totals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..models.totals import total
from ..orders.columns import Float64
from .customer_base import Grouping

__all__ = ["GroupTotals", "divide", "ratio", "sum_by_group"]

Values = npt.NDArray[np.generic] | float
_BOUNDS = ("expected", "lower", "upper")


@dataclass(frozen=True)
class GroupTotals:
    """The total CLV of each group and its 90% interval: arrays of n_groups, NaN if unknown."""

    expected: Float64
    lower: Float64
    upper: Float64


def sum_by_group(forecasts: pa.Table, grouping: Grouping) -> GroupTotals:
    """Sum the CLV of each group, with the interval of `clvcast.total`.

    A forecast file without deviations has no intervals.
    """
    n_groups = len(grouping.names)
    frame = pd.DataFrame({"group": grouping.codes, "clv": forecasts["clv"].to_numpy()})
    if not {"clv_deviation", "clv_shock"} <= set(forecasts.column_names):
        unknown = np.full(n_groups, np.nan)
        sums = np.asarray(grouping.sums(frame["clv"].to_numpy(np.float64)), np.float64)
        return GroupTotals(sums, unknown, unknown)
    for name in ("clv_deviation", "clv_shock"):
        frame[name] = forecasts[name].cast(pa.float64()).to_numpy()
    if frame.empty:
        return GroupTotals(np.zeros(n_groups), np.zeros(n_groups), np.zeros(n_groups))
    totals = total(frame, by="group").reindex(range(n_groups), fill_value=0.0)
    return GroupTotals(*(totals[name].to_numpy(np.float64) for name in _BOUNDS))


def divide(numerator: Values, denominator: Values) -> Float64:
    """The quotients; NaN, which files show as empty, where the denominator is not positive."""
    above, below = np.broadcast_arrays(
        np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    )
    quotient = np.full(below.shape, np.nan)
    return np.asarray(np.divide(above, below, out=quotient, where=below > 0))


def ratio(numerator: float, denominator: float) -> float:
    """The quotient of two numbers; NaN where the denominator is not positive."""
    return numerator / denominator if denominator > 0 else np.nan
