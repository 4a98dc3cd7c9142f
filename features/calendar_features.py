"""Shares of windows under each event of the calendar, as columns of feature rows.

`event_NAME_before` is the share of the horizon before the cutoff, `event_NAME_1` that of the first
prediction window, and so on. They are the same for all customers at a cutoff: a model moves its
forecasts by them (`models.event_effects`), and its trees do not see them, because a tree could tell
the few training cutoffs apart by them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..orders.calendar import load_calendar
from ..orders.columns import Float32, Int64
from ..orders.orders import Orders

__all__ = ["EVENT_PREFIX", "attach_calendar", "build_event_columns", "name_event_column"]

EVENT_PREFIX = "event_"


def attach_calendar(orders: Orders, path: str | None) -> Orders:
    """The orders with the calendar of a configuration, if it names one."""
    return orders if path is None else replace(orders, calendar=load_calendar(path))


def name_event_column(event: str, period: int) -> str:
    """The column of an event in a prediction window; period 0 is the window before the cutoff."""
    return f"{EVENT_PREFIX}{event}_{period or 'before'}"


def build_event_columns(
    orders: Orders, cutoffs: Int64, cutoff_index: Int64, customer_index: Int64
) -> tuple[tuple[str, ...], Float32]:
    """The columns of rows (cutoff, customer): their names and float32, n_rows x n_columns."""
    calendar = orders.calendar
    if calendar is None or not calendar.periods:
        return (), np.empty((len(cutoff_index), 0), dtype=np.float32)
    names = tuple(
        name_event_column(event, k) for event in calendar.days for k in range(calendar.periods + 1)
    )
    shares = calendar.compute_shares(cutoffs).reshape(len(cutoffs), len(names))
    return names, shares.astype(np.float32)[cutoff_index]
