"""Backtest of campaign lists: past lists against the spend that followed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..orders import dates, windows
from ..orders.columns import Int64
from ..orders.cutoffs import get_default_cutoff
from .customer_base import CustomerBase
from .group_totals import ratio

__all__ = ["backtest_lists"]


def backtest_lists(
    past: CustomerBase, members: Mapping[str, Int64], remarks: list[str]
) -> pd.DataFrame:
    """One row per list: share of customers, share of money, and the lift between them.

    The money of a list that aims to grow is the spend of all customers in the horizon after the
    past cutoff. That of a list that aims to keep is the spend, in the year before the cutoff, of
    customers who then did not order: the money that was lost.
    """
    columns = ["list", "past_customers", "customer_share", "money_share", "lift"]
    end = past.cutoff + past.horizon_days * dates.DAY
    if end > get_default_cutoff(past.orders):
        remarks.append(
            f"the lists are not backtested: the orders end before {dates.format_instant(end)}, one "
            f"horizon after the past forecasts' cutoff {dates.format_instant(past.cutoff)}"
        )
        return pd.DataFrame(columns=columns)
    later = past.build_entries(past.orders, end)
    is_after = ~windows.is_before(later.times, past.cutoff)
    spent_after = np.maximum(later.per_customer(np.where(is_after, later.net, 0)), 0)
    ordered = later.per_customer((is_after & later.is_order).astype(np.int64)) > 0
    year_before = past.cutoff - dates.RATE_YEAR_DAYS * dates.DAY
    is_recent = ~windows.is_before(past.entries.times, year_before)
    spent_before = np.maximum(
        past.entries.per_customer(np.where(is_recent, past.entries.net, 0)), 0
    )
    money = {"grow": spent_after, "keep": np.where(ordered, 0, spent_before)}
    rows = []
    for name, list_rows in members.items():
        at_stake = money[past.config.lists.rules[name].aim]
        share = ratio(int(at_stake[list_rows].sum()), int(at_stake.sum()))
        customer_share = len(list_rows) / past.n_rows
        rows.append((name, len(list_rows), customer_share, share, ratio(share, customer_share)))
    return pd.DataFrame(rows, columns=columns)
