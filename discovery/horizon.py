"""The length of a period that fits a shop, from the time between a customer's orders."""

from __future__ import annotations

import numpy as np

from ..orders.columns import Int64
from ..orders.dates import DAY

__all__ = ["HORIZONS", "choose_horizon"]

HORIZONS = (30, 90, 180, 365)
_USUAL = 90
_SHARE = 0.75  # of the repeat orders that one period must cover
_LEAST_GAPS = 30  # repeat orders, for their distribution to say something
_PERIODS_IN_HISTORY = 4  # that training needs, about, to learn and to be evaluated


def choose_horizon(customers: Int64, times: Int64, is_whole: bool = True) -> tuple[int, str]:
    """Days, and why: the shortest period in which three of four repeat orders come.

    `customers` are codes per order line, `times` microseconds since 1970. Lines from the two ends
    of a longer file (`is_whole` false) show few of the times between orders, and the wrong ones.
    """
    days = times // DAY
    order = np.lexsort((days, customers))
    customers, days = customers[order], days[order]
    gaps = np.diff(days)[(np.diff(customers) == 0) & (np.diff(days) > 0)]
    if not len(days):
        return _USUAL, "usual; the orders are not read yet"
    span = int(days.max() - days.min()) + 1
    if not is_whole:
        horizon, why = (
            _USUAL,
            "usual; only a part was read, check tells whether it fits",
        )
    elif len(gaps) < _LEAST_GAPS:
        horizon, why = _USUAL, f"{len(gaps):,} repeat orders are too few to tell; 90 is usual"
    else:
        days_later = float(np.quantile(gaps, _SHARE))
        horizon = next((h for h in HORIZONS if days_later <= h), HORIZONS[-1])
        why = f"3 of 4 of {len(gaps):,} repeat orders come within {days_later:.0f} days"
    longest = max((h for h in HORIZONS if h * _PERIODS_IN_HISTORY <= span), default=HORIZONS[0])
    if is_whole and longest < horizon:  # a part's span is not the history's
        return longest, f"{why}, but {span:,} days of orders allow no longer period"
    return horizon, why
