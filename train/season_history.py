"""Daily totals of a shop up to a training end: its orders', behind those of earlier years."""

from __future__ import annotations

import numpy as np

from ..configs.schema import Target
from ..features.targets import compute_line_values
from ..orders import windows
from ..orders.columns import Float64, Int64
from ..orders.dates import DAY, YEAR_DAYS
from ..orders.orders import Orders
from ..orders.season_history import MOST_GAP_DAYS

__all__ = ["compute_daily_totals", "join_earlier_years"]

_OWN_YEARS = 2.0  # of orders, from which the totals of earlier years are not needed


def compute_daily_totals(orders: Orders, target: Target, end: int) -> Float64:
    """What was spent on each day from the first order to `end`, in the currency; at least 0."""
    first_day = windows.find_first_order_at(orders) // DAY * DAY
    bounds = end - np.arange(max((end - first_day) // DAY, 1), -1, -1, dtype=np.int64) * DAY
    values = compute_line_values(orders, target)
    return np.maximum(windows.sum_between(orders.times, values, bounds), 0.0) / orders.unit


def join_earlier_years(
    totals: Float64, orders: Orders, target: Target, end: int
) -> tuple[Float64, Int64] | None:
    """Totals behind which the orders' history of earlier years stands, and the day of each.

    `totals` are daily, of a sample of the `orders`' customers. The history is brought to their
    level: by what both sum to where they overlap, else as it is, for a sample in proportion. None
    without a history, where it ends four weeks or more before the orders begin, or where the
    orders span two years and need none.
    """
    if orders.season_history is None or len(totals) >= _OWN_YEARS * YEAR_DAYS:
        return None
    history = orders.season_history.keep_before(end)
    last_day = end // DAY
    first_day = last_day - len(totals)
    start = int(history.starts[0]) if len(history.starts) else first_day
    gap = first_day - int(history.ends[-1]) if len(history.ends) else 0
    if start >= first_day or gap > MOST_GAP_DAYS:
        return None
    # all customers' orders may begin before the sample's: the same days of both
    ours = compute_daily_totals(orders, "spend", end)[-len(totals) :]
    shared = history.compare_totals(ours, first_day)
    whole = float(ours.sum())
    level = float(totals.sum()) / whole if whole > 0 else 1.0
    if shared is not None:
        level *= shared[0] / shared[1]
    earlier = np.maximum(history.scale(level).compute_daily(start, first_day), 0.0)
    if gap > 0:
        earlier[-gap:] = earlier[: -gap or None][-(MOST_GAP_DAYS + 1) :].mean()
    days = np.arange(start, last_day, dtype=np.int64)
    return np.concatenate((earlier, totals)), days
