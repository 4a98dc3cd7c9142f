"""Would past chances of payback have come true? Past forecasts beside the margin that followed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..orders import dates
from ..orders.cutoffs import get_default_cutoff
from ..orders.order_table import build_order_table
from .customer_base import CustomerBase, Grouping
from .group_totals import sum_by_group
from .payback import estimate_reach_probability, forecast_margin_curve

__all__ = ["backtest_payback", "make_empty_backtest"]

_MULTIPLES = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.7)
_COLUMNS = ["cohort", "age_months", "multiple", "needed", "chance", "reached"]


def backtest_payback(past: CustomerBase) -> pd.DataFrame:
    """Every monthly cohort, month of age since the past cutoff, and cost: its chance, and what happened.

    The costs tried are the margin known at the past cutoff plus multiples of what was forecast for the
    months up to that age, as far as the orders reach. All cohorts share one past, and so its shocks: a
    few hundred rows are not a few hundred independent trials.
    """
    months = dates.to_months(past.first_order_times)
    origin = int(months.min())
    present, codes = np.unique(months, return_inverse=True)
    names = tuple(dates.format_month(int(month)) for month in present)
    cohorts = Grouping("cohort", codes.astype(np.int64), names)
    curve = forecast_margin_curve(past, cohorts, present)
    totals = sum_by_group(past.forecasts, cohorts)
    known_until = get_default_cutoff(past.orders)
    keep = np.zeros(past.orders.n_customers, dtype=np.bool_)
    keep[past.positions] = True
    later = build_order_table(past.valued_orders, known_until).of_customers(keep)
    month = dates.to_months(later.times)
    margin = past.config.economics.margin_rate
    width = int(month.max()) - origin + 1
    net = np.zeros((len(present), width), dtype=np.int64)
    np.add.at(net, (cohorts.codes[later.customers], np.maximum(month - origin, 0)), later.net)
    brought = np.cumsum(net, axis=1) / past.unit * margin
    first = dates.find_unfinished_month(
        past.cutoff
    )  # the month the cutoff lies in is the first to end
    rows = []
    for cohort in np.flatnonzero(totals.expected > 0):
        low, high = (
            float(b[cohort] / totals.expected[cohort]) for b in (totals.lower, totals.upper)
        )
        for end in range(first, dates.find_unfinished_month(known_until)):
            age = end - int(present[cohort])
            if age >= curve.reach.shape[1] or not curve.reach[cohort, age]:
                continue
            realised, coming = curve.realised[cohort, age], curve.projected[cohort, age]
            for multiple in _MULTIPLES:
                needed = float(realised + coming * multiple)
                chance = estimate_reach_probability(
                    needed, realised, coming, coming * low, coming * high
                )
                reached = bool(brought[cohort, end - origin] >= needed)
                rows.append((names[cohort], age + 1, multiple, needed, chance, reached))
    return pd.DataFrame(rows, columns=_COLUMNS)


def make_empty_backtest() -> pd.DataFrame:
    """The same table without rows."""
    return pd.DataFrame(columns=_COLUMNS)
