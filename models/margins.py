"""The margin of a shop, measured from the costs of its order lines."""

from __future__ import annotations

import numpy as np

from ..configs.economics import KnownEconomics
from ..configs.schema import Config, Target
from ..errors import OrdersError
from ..features.targets import compute_line_values
from ..orders import dates, windows
from ..orders.orders import Orders

__all__ = ["measure_margin", "resolve_economics"]


def measure_margin(orders: Orders, end: int, target: Target = "spend") -> float | None:
    """(amount - cost) / value of the sold lines with a known cost before `end`, over all of them.

    The value is what `target` counts of a line: its amount, for the target spend. None where no
    line has a cost.
    """
    if "cost" not in orders.numbers:
        return None
    observed = windows.slice_observed(orders, end)
    costs = observed.numbers["cost"]
    is_costed = (observed.amounts > 0) & ~np.isnan(costs)
    value = int(compute_line_values(observed, target)[is_costed].sum())
    if value <= 0:
        return None
    sold = int(observed.amounts[is_costed].sum()) / observed.unit
    return (sold - float(costs[is_costed].sum())) / (value / observed.unit)


def resolve_economics(config: Config, orders: Orders, end: int) -> KnownEconomics:
    """The margin and discount under which to forecast from the orders before `end`.

    Raises `OrdersError` where the margin is to be measured, and is not positive or has no cost.
    """
    settings = config.economics
    is_asked = settings.margin_rate == "measured"
    if config.target == "contribution":
        if is_asked:
            raise OrdersError(
                "economics.margin_rate must not be measured with the target contribution, which "
                "takes the costs off already; leave margin_rate out"
            )
        return KnownEconomics(annual_discount_rate=settings.annual_discount_rate).apply_stated(
            settings
        )
    margin = measure_margin(orders, end, config.target)
    is_usable = margin is not None and 0 < margin <= 1
    is_needed = is_asked or settings.margin_rate is None
    date = dates.format_instant(end)
    if margin is None and is_asked:
        raise OrdersError(
            "economics.margin_rate measured needs a cost, got no sold line with one before "
            f"{date}; map orders.columns.cost, or state the margin as a number"
        )
    if margin is not None and not is_usable and is_needed:
        raise OrdersError(
            f"the margin must be above 0 and at most 1, measured {margin:.1%} from the cost of the "
            f"order lines before {date}; mend orders.columns.cost (the cost of a whole line), or "
            "state economics.margin_rate as a number (1: CLV is revenue)"
        )
    economics = KnownEconomics(
        annual_discount_rate=settings.annual_discount_rate,
        measured_margin=margin if is_usable else None,
    )
    if is_needed and is_usable:
        settings = settings.model_copy(update={"margin_rate": "measured"})
    return economics.apply_stated(settings)
