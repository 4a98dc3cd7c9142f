"""Effects of events of the calendar: how a window's share of days under them moves its demand.

A day under an event sees exp(effect) times the orders of a day without. A window's factor is the
mean over its days, beside that of a typical window of the history, from which all else is learned.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from ..features.calendar_features import name_event_column
from ..features.table import FeatureRows
from ..orders.columns import Float64, Int64

__all__ = ["EventEffects"]


class EventEffects(BaseModel):
    """What training learned of each event."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...]
    effects: tuple[float, ...]  # log of a day's orders under the event beside those without
    usual_shares: tuple[float, ...]  # of the days of the history

    def compute_day_factors(self, days_by_event: Mapping[str, Int64], days: Int64) -> Float64:
        """What the events of each day do to its orders: n_days, > 0."""
        logs = np.zeros(len(days))
        for name, effect in zip(self.names, self.effects, strict=True):
            logs = logs + effect * np.isin(days, days_by_event[name])
        return np.asarray(np.exp(logs))

    def compute_factor(self, rows: FeatureRows, period: int) -> Float64:
        """The factor of each row's demand in prediction window `period`, from 1 on: n_rows, > 0."""
        columns = rows.columns([name_event_column(name, period) for name in self.names])
        window, usual = np.ones(rows.n_rows), 1.0
        for k, effect in enumerate(self.effects):
            lift = float(np.expm1(effect))
            window = window + columns[:, k].astype(np.float64) * lift
            usual += self.usual_shares[k] * lift
        return window / usual
