"""Totals of the groups of a customer base, by `clvcast.total`; a file without deviations has no interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from ..models.totals import total
from ..orders.columns import Float64
from .customer_base import Grouping

__all__ = ["GroupTotals", "sum_by_group"]


@dataclass(frozen=True)
class GroupTotals:
    """The total of each group and its 90 % interval: arrays of n_groups; bounds NaN where unknown."""

    expected: Float64
    lower: Float64
    upper: Float64


def sum_by_group(forecasts: pa.Table, grouping: Grouping) -> GroupTotals:
    """Sum the CLV of each group, with the interval that `clvcast.total` gives it."""
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
    found = total(frame, by="group").reindex(range(n_groups), fill_value=0.0)
    columns = (found[name].to_numpy(np.float64) for name in ("expected", "lower", "upper"))
    return GroupTotals(*columns)
