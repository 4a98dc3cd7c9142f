"""Order totals: what orders hold of each calendar month, and when each customer ordered first.

Small enough to keep of every customer where the orders of only some have room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import windows
from .columns import Int64
from .dates import format_month, to_months
from .orders import Orders

__all__ = ["OrderTotals"]


@dataclass(frozen=True)
class OrderTotals:
    """Totals of some orders; those of all customers are those of their groups, joined."""

    first_orders: Int64  # n_customers; the instant of each one's first line
    months: Mapping[int, tuple[int, int]]  # since January 1970 -> lines, net in the smallest unit
    unit: float  # how many smallest units make one unit of the currency

    @classmethod
    def of(cls, orders: Orders) -> OrderTotals:
        """The totals of orders in memory."""
        months, index = np.unique(to_months(orders.times), return_inverse=True)
        money = np.zeros(len(months), dtype=np.int64)
        np.add.at(money, index, orders.amounts)
        lines = np.bincount(index, minlength=len(months)).tolist()
        by_month = zip(lines, money.tolist(), strict=True)
        firsts = orders.times[orders.starts[:-1]]
        return cls(firsts, dict(zip(months.tolist(), by_month, strict=True)), orders.unit)

    @classmethod
    def join(cls, parts: Sequence[OrderTotals]) -> OrderTotals:
        """The totals of orders that are in parts, each customer whole in one."""
        months: dict[int, tuple[int, int]] = {}
        for part in parts:
            for month, (lines, money) in part.months.items():
                lines_before, money_before = months.get(month, (0, 0))
                months[month] = lines_before + lines, money_before + money
        firsts = np.concatenate([part.first_orders for part in parts])
        return cls(firsts, dict(sorted(months.items())), parts[0].unit)

    @cached_property
    def first_order_at(self) -> int:
        """The instant of the first line."""
        return int(self.first_orders.min())

    def count_customers(self, end: int) -> int:
        """How many customers ordered before an instant."""
        return int(np.count_nonzero(windows.is_before(self.first_orders, end)))

    def sum_whole_months(self, end: int) -> dict[str, tuple[int, float]]:
        """Per calendar month wholly observed before `end`: lines, and net amount.

        The month of the first line counts only where that line is on its first day.
        """
        numbers = np.array(list(self.months), dtype=np.int64)
        is_whole = windows.is_whole_month(numbers, self.first_order_at, end)
        whole = [(number, *self.months[number]) for number in numbers[is_whole].tolist()]
        return {format_month(number): (lines, m / self.unit) for number, lines, m in whole}
