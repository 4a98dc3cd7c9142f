"""Targets: what customers did in the prediction windows after each cutoff."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import pyarrow.compute as pc

from ..configs.schema import Target
from ..errors import OrdersError
from ..orders import windows
from ..orders.columns import Float64, Int32, Int64, Mask
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

    `orders` may hold more than the orders the rows were made from: customers are matched by id. What
    counts as spend is `target`; what counts as an order does not depend on it.
    """
    found = pc.index_in(rows.customer_ids, orders.customer_ids)
    customer = found.fill_null(-1).to_numpy().astype(np.int64)[rows.customer_index]
    ends = windows.compute_period_ends(cutoffs, horizon_days, periods)
    instants, slots = np.unique(ends, return_inverse=True)
    reach = windows.find_positions(orders.times, orders.starts, instants)
    codes = orders.texts["order_id"].codes if "order_id" in orders.texts else np.empty(0, np.int32)
    spend, n_orders = _sums(
        reach,
        slots.reshape(ends.shape),
        orders.times,
        orders.amounts,
        compute_line_values(orders, target),
        codes,
        rows.cutoff_index,
        customer,
    )
    realised = windows.is_realised(ends[:, 1:], end)[rows.cutoff_index]
    return Targets(
        spend=np.where(realised, spend / orders.unit, np.nan),
        n_orders=np.where(realised, n_orders, np.nan),
    )


def compute_line_values(orders: Orders, target: Target) -> Int64:
    """What each line is worth to `target`, in the smallest unit; raises `OrdersError` without its column.

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


@numba.njit(cache=True, nogil=True)
def _sums(
    reach: Int64,
    slots: Int64,
    times: Int64,
    amounts: Int64,
    values: Int64,
    order_codes: Int32,
    cutoff_index: Int64,
    customer_index: Int64,
) -> tuple[Int64, Int64]:
    """Net amount and number of orders between neighbouring `slots`: both int64, n_rows x periods."""
    periods = slots.shape[1] - 1
    spend = np.zeros((len(cutoff_index), periods), dtype=np.int64)
    n_orders = np.zeros((len(cutoff_index), periods), dtype=np.int64)
    most_code = order_codes.max() if len(order_codes) else 0
    net = np.zeros(most_code + 1, dtype=np.int64)
    for row in range(len(cutoff_index)):
        if customer_index[row] < 0:
            continue
        ends = reach[customer_index[row]]
        for k in range(periods):
            first, last = ends[slots[cutoff_index[row], k]], ends[slots[cutoff_index[row], k + 1]]
            unnamed = np.int64(0)  # net amount of the lines without an order_id at one instant
            for line in range(first, last):
                spend[row, k] += values[line]
                if len(order_codes) and order_codes[line] >= 0:
                    net[order_codes[line]] += amounts[line]
            for line in range(first, last):
                if len(order_codes) and order_codes[line] >= 0:
                    n_orders[row, k] += net[order_codes[line]] > 0
                    net[order_codes[line]] = 0  # counted once, and clean for the next window
            open_instant = np.int64(-1)
            for line in range(first, last):
                if len(order_codes) and order_codes[line] >= 0:
                    continue
                if times[line] != open_instant:
                    n_orders[row, k] += unnamed > 0
                    unnamed, open_instant = np.int64(0), times[line]
                unnamed += amounts[line]
            n_orders[row, k] += unnamed > 0
    return spend, n_orders
