"""Orders as a configuration means them: with its own features, and the days of its calendar."""

from __future__ import annotations

from ..configs.schema import Config
from ..orders.extra_features import ExtraFunction
from ..orders.orders import Orders
from .calendar_features import attach_calendar
from .extra_features import attach_extra_features

__all__ = ["attach_configured"]


def attach_configured(
    orders: Orders, config: Config, extra_features: ExtraFunction | None = None
) -> Orders:
    """The orders with what the configuration adds to them; a function given replaces its own."""
    orders = attach_extra_features(orders, extra_features, config.features)
    return attach_calendar(orders, config.calendar)
