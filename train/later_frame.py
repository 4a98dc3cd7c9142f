"""The later frame: feature rows at past cutoffs, with what was spent in each of several periods.

Its cutoffs reach further back than those of the training frame: a span of periods must have been
realised, the whole of it where history is long enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..configs.schema import Config
from ..features.table import FeatureRows, compute_feature_rows
from ..features.targets import compute_line_values, compute_targets
from ..models.blend import BtydViews, forecast_btyd
from ..models.parameters import Blend
from ..orders import windows
from ..orders.columns import Float64, Int64, Mask
from ..orders.cutoffs import choose_later_cutoffs
from ..orders.dates import DAY
from ..orders.orders import Orders

__all__ = ["LaterFrame", "build_later_frame"]


@dataclass(frozen=True)
class LaterFrame:
    """Rows sorted by (cutoff, customer); nothing at or after the training end."""

    rows: FeatureRows
    btyd: BtydViews
    spend: Float64  # n_rows x periods: max(spend, 0); NaN where not realised
    ordered: Mask  # in the first period
    instants: Int64  # n_cutoffs
    shop_totals: Float64  # n_cutoffs x periods: spend of all customers, new ones too
    history_days: Float64  # n_cutoffs: from the first order to the cutoff
    ages: Float64  # n_cutoffs: days from the cutoff to the training end
    horizon_days: int

    @property
    def periods(self) -> int:
        """How many periods the span has."""
        return int(self.spend.shape[1])

    @property
    def realised(self) -> Int64:
        """How many periods of each cutoff are realised, at least 2: n_cutoffs."""
        return np.asarray(np.isfinite(self.shop_totals).sum(axis=1))

    def sum_by_cutoff(self, values: Float64) -> Float64:
        """Totals of values per row (n_rows x periods) by cutoff: n_cutoffs x periods."""
        cutoff_sums = np.zeros((len(self.instants), values.shape[1]))
        for j in range(len(self.instants)):
            cutoff_sums[j] = values[self.rows.cutoff_index == j].sum(axis=0)
        return cutoff_sums


def build_later_frame(orders: Orders, config: Config, end: int, blend: Blend) -> LaterFrame | None:
    """What the orders before `end` show of later periods; None where it is nothing."""
    observed = windows.slice_observed(orders, end)
    first = windows.find_first_order_at(observed)
    horizon, periods = config.horizon_days, config.periods
    instants = choose_later_cutoffs(first, end, horizon, periods)
    if instants is None:
        return None
    rows = compute_feature_rows(observed, instants)
    targets = compute_targets(observed, rows, instants, horizon, periods, end, config.target)
    ends = windows.compute_period_ends(instants, horizon, periods)
    values = compute_line_values(observed, config.target)
    totals = np.array([windows.sum_between(observed.times, values, bounds) for bounds in ends])
    realised = windows.is_realised(ends[:, 1:], end)
    return LaterFrame(
        rows,
        forecast_btyd(rows, blend, horizon),
        np.maximum(targets.spend, 0.0),
        ~targets.churned,
        instants,
        np.where(realised, totals / observed.unit, np.nan),
        (instants - first) / DAY,
        (end - instants) / DAY,
        horizon,
    )
