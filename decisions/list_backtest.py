"""Would last season's list have caught the money? Past lists beside what happened after them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..orders import dates, windows
from ..orders.columns import Int64
from ..orders.cutoffs import get_default_cutoff
from ..orders.order_table import build_order_table
from .customer_base import CustomerBase

__all__ = ["backtest_lists"]


def backtest_lists(
    past: CustomerBase, chosen: Mapping[str, Int64], remarks: list[str]
) -> pd.DataFrame:
    """A row per list: its share of customers, its share of the money, and the lift between them.

    The money of a list that aims to grow is what all customers spent in the horizon after the past
    cutoff. That of a list that aims to keep is what customers who then did not order had spent in the
    year before: the money that stayed away.
    """
    columns = ["list", "past_customers", "customer_share", "money_share", "lift"]
    end = past.cutoff + past.horizon_days * dates.DAY
    if end > get_default_cutoff(past.orders):
        remarks.append(
            f"the lists are not backtested: the orders end before {dates.format_instant(end)}, a horizon after "
            f"the past forecasts' cutoff {dates.format_instant(past.cutoff)}"
        )
        return pd.DataFrame(columns=columns)
    keep = np.zeros(past.orders.n_customers, dtype=np.bool_)
    keep[past.positions] = True
    later = build_order_table(past.orders, end).of_customers(keep)
    is_after = ~windows.is_before(later.times, past.cutoff)
    came = np.maximum(later.per_customer(np.where(is_after, later.net, 0)), 0)
    ordered = later.per_customer((is_after & later.is_order).astype(np.int64)) > 0
    year_before = past.cutoff - dates.RATE_YEAR_DAYS * dates.DAY
    is_recent = ~windows.is_before(past.entries.times, year_before)
    spent = np.maximum(past.entries.per_customer(np.where(is_recent, past.entries.net, 0)), 0)
    money = {"grow": came, "keep": np.where(ordered, 0, spent)}
    rows = []
    for name, members in chosen.items():
        at_stake = money[past.config.lists.rules[name].aim]
        total = int(at_stake.sum())
        customers = len(members) / past.n_rows
        share = int(at_stake[members].sum()) / total if total else np.nan
        rows.append(
            {
                "list": name,
                "past_customers": len(members),
                "customer_share": customers,
                "money_share": share,
                "lift": share / customers if len(members) else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=columns)
