"""The history of a shop's season: its revenue on days or in months before its orders begin.

A shop with a short order history shows its season by the totals of earlier years. They are of the
whole shop, so they say nothing of any customer, and nothing after a training end is used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from .columns import Float64, Int64
from .dates import DAY

__all__ = ["MOST_GAP_DAYS", "SeasonHistory"]

MOST_GAP_DAYS = 27  # between its end and the first order; a history that ends earlier is not used
_LEAST_OVERLAP_DAYS = 28  # fewer say too little of how two sources compare


@dataclass(frozen=True)
class SeasonHistory:
    """Revenue in spans of days, ascending and apart: [start, end) in days since 1970."""

    starts: Int64  # n_spans
    ends: Int64  # n_spans
    revenue: Float64  # n_spans, in the shop's currency

    def keep_before(self, end: int) -> SeasonHistory:
        """The spans that are wholly before an instant."""
        keep = self.ends * DAY <= end
        return SeasonHistory(self.starts[keep], self.ends[keep], self.revenue[keep])

    def scale(self, factor: float) -> SeasonHistory:
        """All revenue times a factor."""
        return replace(self, revenue=self.revenue * factor)

    def compute_daily(self, first: int, end: int) -> Float64:
        """Revenue of each day in [first, end), a month's evenly over its days; else 0."""
        daily = np.zeros(max(end - first, 0))
        for start, stop, revenue in zip(self.starts, self.ends, self.revenue, strict=True):
            low, high = max(int(start), first), min(int(stop), end)
            if low < high:
                daily[low - first : high - first] = revenue / (stop - start)
        return daily

    def compare_totals(self, daily: Float64, first: int) -> tuple[float, float] | None:
        """What the daily totals from the day `first` on, and this history, sum to where both are.

        A day without a span between the first and the last such span had no revenue, and counts.
        None where both are on fewer than 28 days, or one sums to nothing.
        """
        inside = (self.starts >= first) & (self.ends <= first + len(daily))
        if not inside.any():
            return None
        low, high = int(self.starts[inside][0]) - first, int(self.ends[inside][-1]) - first
        theirs, ours = float(daily[low:high].sum()), float(self.revenue[inside].sum())
        is_enough = high - low >= _LEAST_OVERLAP_DAYS and min(theirs, ours) > 0
        return (theirs, ours) if is_enough else None

    def digest(self) -> str:
        """A sha256 of the content."""
        digest = hashlib.sha256()
        for values in (self.starts, self.ends, self.revenue):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()
