"""What an order is usually worth: a file in another currency, or in cents, is told by it.

Values are counted in steps of 2 %, so that those of shards and of machines add up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import OrdersError
from ..orders.columns import Int64
from ..orders.order_table import build_order_table
from ..orders.orders import Orders

__all__ = ["OrderValues", "check_order_values", "count_order_values"]

_STEPS = 50  # to a factor of e
_MOST_FACTOR = 5.0  # between the medians of training and of a file
_WHOLE_FILE = 200  # customers; fewer may well be unlike all
_FEWEST = 10  # customers; fewer tell nothing of a file
_N_STEPS = _STEPS * 40


@dataclass(frozen=True)
class OrderValues:
    """How many orders there are of each value, and of how many customers."""

    counts: Int64 = field(default_factory=lambda: np.zeros(_N_STEPS, dtype=np.int64))
    n_customers: int = 0

    def __add__(self, other: OrderValues) -> OrderValues:
        return OrderValues(self.counts + other.counts, self.n_customers + other.n_customers)

    def to_pairs(self) -> list[list[int]]:
        """The steps that occur with their counts, and last the customers: as JSON holds it."""
        steps = np.flatnonzero(self.counts)
        pairs = np.column_stack((steps, self.counts[steps])).tolist()
        return [*pairs, [-1, self.n_customers]]

    @classmethod
    def from_pairs(cls, pairs: list[list[int]]) -> OrderValues:
        """What `to_pairs` gave."""
        counts = np.zeros(_N_STEPS, dtype=np.int64)
        *steps, (_, n_customers) = pairs
        for step, count in steps:
            counts[step] = count
        return cls(counts, n_customers)

    @property
    def median(self) -> float | None:
        """The median in the shop's currency, to within 2 %; None without an order."""
        total = int(self.counts.sum())
        if not total:
            return None
        step = int(np.searchsorted(np.cumsum(self.counts), (total + 1) // 2))
        return float(np.exp((step - _N_STEPS // 4) / _STEPS))


def count_order_values(orders: Orders, cutoff: int) -> OrderValues:
    """The values of the orders before a cutoff; returns are none."""
    table = build_order_table(orders, cutoff)
    values = table.net[table.is_order] / orders.unit
    steps = np.rint(np.log(values) * _STEPS).astype(np.int64) + _N_STEPS // 4
    counts = np.bincount(np.clip(steps, 0, _N_STEPS - 1), minlength=_N_STEPS)
    return OrderValues(counts, orders.n_customers)


def check_order_values(trained: float | None, values: OrderValues) -> str | None:
    """Refuse a whole file whose orders are worth another sum than those of the training.

    For a file of fewer customers, but ten, what is to be said; None where nothing is.
    """
    median = values.median
    if values.n_customers < _FEWEST or not trained or not median:
        return None
    if 1 / _MOST_FACTOR <= median / trained <= _MOST_FACTOR:
        return None
    sentence = (
        f"the median order value must be within {_MOST_FACTOR:g} times that of the training "
        f"({trained:,.2f}), got {median:,.2f}: another currency, cents, or another column "
        "as amount?"
    )
    if values.n_customers >= _WHOLE_FILE:
        raise OrdersError(f"{sentence} Mend orders.columns.amount, or train again on such orders")
    return sentence
