"""Cohort triangles: retention and spend by month of the first order and month of age."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..orders import dates
from .customer_base import CustomerBase
from .group_totals import divide

__all__ = ["build_triangles"]


def build_triangles(base: CustomerBase) -> pd.DataFrame:
    """Retention and cumulated spend by cohort and age: one row per cohort and calendar month.

    Age 0 is the month of the first order. `is_whole` is False for the unfinished month of the
    cutoff. A month without first orders is a cohort of 0 customers, with empty ratios.
    """
    entries, cohort = base.entries, base.grouping("cohort")
    first_month = dates.to_months(base.first_order_times)
    origin = int(first_month.min())
    n_cohorts = len(cohort.names)
    month = dates.to_months(entries.times)
    last = max(int(month.max()), origin + n_cohorts - 1)
    width = last - origin + 1
    owner = entries.customers
    # a return before the first order counts in its month
    age = np.maximum(month - first_month[owner], 0)
    cell = cohort.codes[owner] * width + age

    spend = np.zeros(n_cohorts * width, dtype=np.int64)
    np.add.at(spend, cell, entries.net)
    ordered = entries.is_order
    owner, age, cell = owner[ordered], age[ordered], cell[ordered]
    is_first = np.ones(len(owner), dtype=np.bool_)  # of its customer in its month: times ascend
    is_first[1:] = (owner[1:] != owner[:-1]) | (age[1:] != age[:-1])
    active = np.bincount(cell[is_first], minlength=n_cohorts * width)

    k, ages = np.divmod(np.arange(n_cohorts * width), width)
    shown = k + ages < width
    customers = cohort.counts()[k].astype(np.float64)
    cumulated = np.cumsum(spend.reshape(n_cohorts, width), axis=1).ravel() / base.unit
    frame = pd.DataFrame(
        {
            "cohort": np.array(cohort.names, dtype=object)[k],
            "age_months": ages,
            "customers": cohort.counts()[k],
            "active_customers": active,
            "retention": divide(active, customers),
            "spend": spend / base.unit,
            "cumulated_spend": cumulated,
            "cumulated_spend_per_customer": divide(cumulated, customers),
            "is_whole": origin + k + ages < dates.find_unfinished_month(base.cutoff),
        }
    )
    return frame[shown].reset_index(drop=True)
