"""Whether amounts are totals of orders that stand on each of their lines: one rule for all.

Equal amounts alone tell nothing: tickets of one price stand on a line each. A total grows with the
number of lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..orders.columns import Float64, Int64

__all__ = ["EQUAL_SHARE", "Repeats", "measure_repeats", "measure_sums"]

EQUAL_SHARE = 0.9  # of the orders of several lines have one value on all lines
_LEAST_GROWTH = 0.3  # of a line's amount with the number of lines; 1 for totals, 0 for prices
_SURE = 2.0  # standard errors
_LEAST_SUMS = 10  # orders of three and more lines
_SAME_AMOUNT = 0.005  # in the shop's currency


@dataclass(frozen=True)
class Repeats:
    """How often the lines of an order have one amount, and whether that is a total."""

    n_orders: int  # of several lines
    share: float  # of them, those with one amount on all lines
    is_total: bool
    factor: float  # the sum of all lines, of the sum that counts each order once


def measure_repeats(amounts: Float64, orders: Int64) -> Repeats:
    """Compare positive amounts of lines within their orders."""
    _, order, lines = np.unique(orders, return_inverse=True, return_counts=True)
    low = np.full(len(lines), np.inf)
    high = np.zeros(len(lines))
    np.minimum.at(low, order, amounts)
    np.maximum.at(high, order, amounts)
    several = lines > 1
    share = float((high - low < _SAME_AMOUNT)[several].mean()) if several.any() else 0.0
    is_total = share >= EQUAL_SHARE and _grows(np.log(high), np.log(lines))
    return Repeats(int(several.sum()), share, is_total, float(amounts.sum() / (high.sum() or 1)))


def measure_sums(amounts: Float64, orders: Int64) -> float:
    """The share of orders of three and more lines of which one line is the sum of the others."""
    _, order, lines = np.unique(orders, return_inverse=True, return_counts=True)
    largest = np.zeros(len(lines))
    np.maximum.at(largest, order, amounts)
    sums = np.bincount(order, amounts, len(lines))
    of_several = lines > 2
    if of_several.sum() < _LEAST_SUMS:
        return 0.0
    return float((np.abs(sums - 2 * largest) < _SAME_AMOUNT)[of_several].mean())


def _grows(values: Float64, sizes: Float64) -> bool:
    """Whether values grow with sizes by a power that is no chance."""
    apart = sizes - sizes.mean()
    spread = float((apart**2).sum())
    if not spread:
        return False
    power = float((apart * values).sum()) / spread
    rest = values - values.mean() - power * apart
    error = float(np.sqrt((rest**2).mean() / spread))
    return power > _LEAST_GROWTH and power > _SURE * error
