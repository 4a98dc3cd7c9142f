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
from ..orders.season_history import MOST_GAP_DAYS
from .calendar_features import attach_calendar
from .extra_features import attach_extra_features

__all__ = ["attach_configured", "attach_season_history"]

_AGREES = (0.8, 1.25)  # revenue of the orders over the history's; outside a remark


def attach_configured(
    orders: Orders,
    config: Config,
    extra_features: ExtraFunction | None = None,
    share: float = 1.0,
) -> Orders:
    """The orders with what the configuration adds to them; a function given replaces its own.

    `share` is the part of the shop's customers that the orders are of.
    """
    orders = attach_extra_features(orders, extra_features, config.features)
    orders = attach_calendar(orders, config.calendar)
    return attach_season_history(
        orders, config.season.history, share, currency=config.orders.currency
    )


def attach_season_history(
    orders: Orders, path: str | None, share: float = 1.0, *, currency: str = ""
) -> Orders:
    """The orders with the revenue of earlier years that a configuration names, if any.

    `share` is the part of the shop's customers that the orders are of, `currency` that of their
    amounts. A remark of the report says where the history and the orders disagree or cannot be
    compared. A history that adds nothing is left out, with a remark.
    """
    if path is None:
        return orders
    history = load_season_history(path, currency).scale(share)
    first_day = windows.find_first_order_at(orders) // DAY
    bounds = np.arange(first_day, get_midnight_after(int(orders.times.max())) // DAY + 1) * DAY
    daily = windows.sum_between(orders.times, orders.amounts, bounds) / orders.unit
    shared = history.compare_totals(daily, first_day)
    remark, is_used = "", True
    if int(history.starts[0]) >= first_day:
        remark, is_used = (
            "season.history has no day before the first order, so it is not used; give the "
            "revenue of earlier days",
            False,
        )
    elif first_day - int(history.ends[-1]) > MOST_GAP_DAYS:
        remark, is_used = (
            "season.history ends four weeks or more before the first order, so it is not used; "
            "give the revenue up to the orders",
            False,
        )
    elif shared is None:
        remark = (
            "season.history and the orders have no four weeks of revenue in common, so its level "
            "is taken as it is; let the file overlap with the orders"
        )
    elif not _AGREES[0] <= shared[0] / shared[1] <= _AGREES[1]:
        remark = (
            f"season.history and the orders must agree on the days of both, got "
            f"{shared[1]:,.0f} and {shared[0]:,.0f}: the history was scaled to the orders; look at "
            "its currency, taxes, and orders without a customer"
        )
    remarks = (*orders.report.remarks, *([remark] if remark else []))
    report = replace(orders.report, remarks=remarks)
    return replace(orders, season_history=history if is_used else None, report=report)
