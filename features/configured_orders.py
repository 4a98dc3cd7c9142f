"""Orders as a configuration means them: own features, calendar, revenue of earlier years."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..configs.schema import Config
from ..orders import windows
from ..orders.dates import DAY, get_midnight_after
from ..orders.extra_features import ExtraFunction
from ..orders.orders import Orders
from ..orders.reading.season_history_file import load_season_history
from .calendar_features import attach_calendar
from .extra_features import attach_extra_features

__all__ = ["attach_configured", "attach_season_history"]

_AGREES = (0.8, 1.25)  # revenue of the orders over the history's; outside a remark


def attach_configured(
    orders: Orders, config: Config, extra_features: ExtraFunction | None = None
) -> Orders:
    """The orders with what the configuration adds to them; a function given replaces its own."""
    orders = attach_extra_features(orders, extra_features, config.features)
    orders = attach_calendar(orders, config.calendar)
    return attach_season_history(orders, config.season.history)


def attach_season_history(orders: Orders, path: str | None, share: float = 1.0) -> Orders:
    """The orders with the revenue of earlier years that a configuration names, if any.

    `share` is the part of the shop's customers that the orders are of. A remark of the report says
    where the history and the orders disagree, and where the history adds nothing.
    """
    if path is None:
        return orders
    history = load_season_history(path).scale(share)
    first_day = windows.find_first_order_at(orders) // DAY
    bounds = np.arange(first_day, get_midnight_after(int(orders.times.max())) // DAY + 1) * DAY
    daily = windows.sum_between(orders.times, orders.amounts, bounds) / orders.unit
    remarks = list(orders.report.remarks)
    if int(history.starts[0]) >= first_day:
        remarks.append(
            "season.history has no day before the first order, so it is not used; give the "
            "revenue of earlier days"
        )
    shared = history.compare_totals(daily, first_day)
    if shared is not None and not _AGREES[0] <= shared[0] / shared[1] <= _AGREES[1]:
        remarks.append(
            f"season.history and the orders must agree on the days of both, got "
            f"{shared[1]:,.0f} and {shared[0]:,.0f}: the history was scaled to the orders; look at "
            "its currency, taxes, and orders without a customer"
        )
    report = replace(orders.report, remarks=tuple(remarks))
    return replace(orders, season_history=history, report=report)
