"""What was read, in the numbers that a shop knows from its own dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from ...configs.schema import OrdersConfig
from ...orders import dates
from ...orders.dates import get_midnight_after
from ...orders.order_table import build_order_table
from ...orders.orders import Orders
from . import vocabulary
from .source_profile import SourceProfile

__all__ = ["ShopSummary", "summarize_shop"]

_OLD_DAYS = 30  # since the newest order: worth a remark
_MOST_STATUSES = 12  # values shown of one column


@dataclass(frozen=True)
class ShopSummary:
    """Counts and money of the lines used; money in the shop's currency."""

    lines_read: int
    lines_used: int
    customers: int
    orders: int
    returns: int
    first_order: str
    last_order: str
    currency: str
    net_revenue: float
    return_share: float  # returned money, of the money of purchases
    top_customer: str
    top_customer_share: float  # of net revenue
    net_revenue_by_month: Mapping[str, float]
    statuses: Mapping[str, Mapping[str, int]] = field(
        default_factory=dict
    )  # column -> value -> lines
    remarks: tuple[str, ...] = ()


def summarize_shop(
    orders: Orders,
    config: OrdersConfig,
    profile: SourceProfile | None = None,
    now: datetime | None = None,
) -> ShopSummary:
    """Sum up the orders read; columns like a status come from the profile of their source."""
    newest = int(orders.times.max())
    entries = build_order_table(orders, get_midnight_after(newest))  # all, whatever is complete
    spend = orders.spend_by_customer()
    top = int(np.argmax(spend))
    net = int(orders.amounts.sum())
    bought = int(orders.amounts[orders.amounts > 0].sum())
    returned = -int(orders.amounts[orders.amounts < 0].sum())
    return ShopSummary(
        lines_read=orders.report.lines_read or orders.n_lines,
        lines_used=orders.n_lines,
        customers=orders.n_customers,
        orders=int(entries.is_order.sum()),
        returns=int((~entries.is_order).sum()),
        first_order=_format_day(int(orders.times.min())),
        last_order=_format_day(newest),
        currency=config.currency,
        net_revenue=net / orders.unit,
        return_share=returned / bought if bought else 0.0,
        top_customer=orders.customer_ids[top].as_py(),
        top_customer_share=int(spend[top]) / net if net > 0 else 0.0,
        net_revenue_by_month=_sum_months(orders),
        statuses={} if profile is None else _find_statuses(profile),
        remarks=_describe_age(newest, config, now or datetime.now()),
    )


def _format_day(instant: int) -> str:
    return dates.format_instant(instant // dates.DAY * dates.DAY)


def _sum_months(orders: Orders) -> dict[str, float]:
    """Net revenue of each calendar month from the first to the newest line, empty ones too."""
    months = dates.to_months(orders.times)
    first = int(months.min())
    sums = np.zeros(int(months.max()) - first + 1, dtype=np.int64)
    np.add.at(sums, months - first, orders.amounts)
    return {dates.format_month(first + k): int(sums[k]) / orders.unit for k in range(len(sums))}


def _find_statuses(profile: SourceProfile) -> dict[str, dict[str, int]]:
    """The values of columns that are of an order's status, with their lines, most first."""
    counts_by_column: dict[str, dict[str, int]] = {}
    for (_, column), counts in profile.values.items():
        if not vocabulary.is_status_column(column):
            continue
        merged = counts_by_column.setdefault(column, {})
        for value, count in counts.items():
            merged[value or "(blank)"] = merged.get(value or "(blank)", 0) + count
    return {
        column: dict(sorted(counts.items(), key=_rank)[:_MOST_STATUSES])
        for column, counts in counts_by_column.items()
    }


def _rank(item: tuple[str, int]) -> tuple[bool, int]:
    """The most lines first, blank cells last."""
    return item[0] == "(blank)", -item[1]


def _describe_age(newest: int, config: OrdersConfig, now: datetime) -> tuple[str, ...]:
    days = (dates.parse_instant(now) - newest) // dates.DAY
    if days <= _OLD_DAYS or config.complete_until is not None:
        return ()
    return (
        f"the newest order is of {_format_day(newest)}, {days:,} days before today; if the orders "
        "are complete until a later day, say so: orders.complete_until: DATE",
    )
