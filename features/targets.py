"""Targets: what customers did in the prediction windows after each cutoff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from ..configs.schema import Target
from ..errors import OrdersError
from ..orders import windows
from ..orders.columns import Float64, Int64, Mask
from ..orders.order_groups import count_orders
from ..orders.orders import Orders
from .table import FeatureRows

__all__ = ["Targets", "compute_line_values", "compute_targets"]


@dataclass(frozen=True)
class Targets:
    """Per feature row and period, what was realised; NaN where a window is not over yet."""

    spend: Float64  # n_rows x periods; net, may be negative
    n_orders: Float64  # n_rows x periods

    @property
    def churned(self) -> Mask:
        """No order in the first prediction window (False where it is not over)."""
        return np.asarray(self.n_orders[:, 0] == 0)


def compute_targets(
    orders: Orders,
    rows: FeatureRows,
    cutoffs: Int64,
    horizon_days: int,
    periods: int,
    end: int,
    target: Target = "spend",
) -> Targets:
    """Spend and orders of each row's customer in its `periods` windows, as far as before `end`.

    `orders` may hold more than the orders the rows were made from: customers are matched by id.
    What counts as spend is `target`; what counts as an order does not depend on it.
    """
    places = pc.index_in(rows.customer_ids, orders.customer_ids)
    customer = places.fill_null(-1).to_numpy().astype(np.int64)[rows.customer_index]
    ends = windows.compute_period_ends(cutoffs, horizon_days, periods)
    instants, slots = np.unique(ends, return_inverse=True)
    reach = windows.find_positions(orders.times, orders.starts, instants)
    bounds = reach[customer[:, None], slots.reshape(ends.shape)[rows.cutoff_index]]
    first, last = bounds[:, :-1], bounds[:, 1:]
    before = np.concatenate(([0], np.cumsum(compute_line_values(orders, target))))
    is_known = (customer >= 0)[:, None]
    spend = np.where(is_known, before[last] - before[first], 0)
    n_orders = np.where(is_known, count_orders(orders, first, last), 0)
    realised = windows.is_realised(ends[:, 1:], end)[rows.cutoff_index]
    return Targets(
        spend=np.where(realised, spend / orders.unit, np.nan),
        n_orders=np.where(realised, n_orders, np.nan),
    )


def compute_line_values(orders: Orders, target: Target) -> Int64:
    """What `target` counts of each line, in the smallest unit; `OrdersError` without its column.

    A missing cost or discount counts as none.
    """
    if target == "spend":
        return orders.amounts
    needs = "cost" if target == "contribution" else "discount"
    if needs not in orders.numbers and target != "gross":
        raise OrdersError(f"the target {target} needs the column {needs}; map it in orders.columns")
    sign = np.sign(orders.amounts)
    beside = np.nan_to_num(np.abs(orders.numbers.get(needs, np.zeros(orders.n_lines))))
    beside = sign * np.rint(beside * orders.unit).astype(np.int64)
    if target == "contribution":
        return np.asarray(orders.amounts - beside)
    before = orders.amounts + beside
    return np.maximum(before, 0) if target == "gross" else np.asarray(before)
