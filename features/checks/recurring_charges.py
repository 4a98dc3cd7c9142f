"""Recurring charges: orders that look like a contract, where leaving is announced and not forecast."""

from __future__ import annotations

import numpy as np

from ...orders import dates
from ...orders.checks.finding import Finding
from ...orders.order_table import OrderTable

__all__ = ["find_recurring_charges"]

_LEAST_ORDERS = 3
_MONTH_DAYS = (27, 32)  # from one charge of a month to the next
_MOSTLY = 0.8  # of a customer's gaps
_MOST_SHARE = 0.2


def find_recurring_charges(entries: OrderTable) -> Finding:
    """How many customers pay the same amount every month, of those with three orders or more."""
    chosen = np.flatnonzero(entries.is_order)
    owner, net = entries.customers[chosen], entries.net[chosen]
    days = dates.floor_to_days(entries.times[chosen])
    follows = owner[1:] == owner[:-1]
    gap = np.diff(days)
    monthly = follows & (gap >= _MONTH_DAYS[0]) & (gap <= _MONTH_DAYS[1]) & (net[1:] == net[:-1])
    gaps = np.bincount(owner[1:][follows], minlength=entries.n_customers)
    alike = np.bincount(owner[1:][monthly], minlength=entries.n_customers)
    regulars = gaps >= _LEAST_ORDERS - 1
    charged = int(np.count_nonzero(regulars & (alike >= _MOSTLY * gaps)))
    share = charged / max(int(np.count_nonzero(regulars)), 1)
    said = f"{share:.1%} of customers with {_LEAST_ORDERS} orders or more pay the same amount every month"
    if share <= _MOST_SHARE:
        return Finding("recurring charges", "pass", share, said)
    mend = "these look like contracts, whose end is announced: clvcast forecasts orders, and knows no cancelling"
    return Finding("recurring charges", "warn", share, f"{said}; {mend}")
