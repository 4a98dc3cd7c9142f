"""Whether totals of forecasts are plausible: beside what the same customers spent before.

The CLV total stands beside the spend of a span (periods x horizon) before the cutoff, the first
period beside the same days a year ago. Sums are integers, so shards and Spark buckets add exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..features.targets import compute_line_values
from ..orders import dates, windows
from ..orders.columns import Int64
from ..orders.orders import Orders
from .evidence import BTYD_ONLY, LATER_UNSEEN, SEASON_UNSEEN, SHORT_HISTORY
from .forecast_terms import ForecastTerms

__all__ = [
    "BTYD_RETENTION",
    "PLAUSIBLE",
    "PastSpend",
    "describe_plausibility",
    "describe_unknown",
    "sum_past_spend",
]

PLAUSIBLE = (0.4, 1.1)  # forecast over past spend; outside a warning
_UNKNOWN = {
    BTYD_ONLY: "the history is too short for trees: every number is of BTYD alone",
    SHORT_HISTORY: "the history before the newest training cutoff is short",
    SEASON_UNSEEN: "the season is not known: the history does not show every part of the year",
    LATER_UNSEEN: "no history shows the last periods of the CLV",
}


# bundles of 0.1.0, and those of a history that shows no later periods, have no retention factors
BTYD_RETENTION = (
    "retention_value is of BTYD alone: the model does not know what past customers brought later "
    "who ordered, and who did not"
)


@dataclass(frozen=True)
class PastSpend:
    """Net spend before a cutoff, in minor units; `first` is the earliest instant of the orders."""

    span: int = 0  # in the periods x horizon before the cutoff
    year_ago: int = 0  # in the days of the first period, a year earlier
    unit: float = 1.0  # minor units per unit of the currency
    first: int | None = None

    def __add__(self, other: PastSpend) -> PastSpend:
        starts = [first for first in (self.first, other.first) if first is not None]
        return PastSpend(
            self.span + other.span,
            self.year_ago + other.year_ago,
            max(self.unit, other.unit),
            min(starts, default=None),
        )


def sum_past_spend(orders: Orders, cutoff: int, terms: ForecastTerms) -> PastSpend:
    """What the customers of these orders spent before the cutoff; `terms` say what counts."""
    if not orders.n_lines:
        return PastSpend()
    values = compute_line_values(orders, terms.target)
    year_ago = cutoff - dates.RATE_YEAR_DAYS * dates.DAY
    span_start = cutoff - terms.horizon_days * terms.periods * dates.DAY
    return PastSpend(
        span=_sum_between(orders, values, span_start, cutoff),
        year_ago=_sum_between(orders, values, year_ago, year_ago + terms.horizon_days * dates.DAY),
        unit=orders.unit,
        first=windows.find_first_order_at(orders),
    )


def _sum_between(orders: Orders, values: Int64, start: int, end: int) -> int:
    inside = windows.is_before(orders.times, end) & ~windows.is_before(orders.times, start)
    return int(values[inside].sum(dtype=np.int64))


def describe_plausibility(
    past: PastSpend, clv: float, expected_spend: float, cutoff: int, terms: ForecastTerms
) -> tuple[list[str], list[str]]:
    """Sentences on both totals, and those of them that warn.

    A total is compared where the orders reach back far enough, and something was spent.
    """
    span_days = terms.horizon_days * terms.periods
    sentences, warnings = [], []
    for name, total, spent, days_back, when in (
        (
            "CLV",
            clv,
            past.span / past.unit * terms.margin_rate,
            span_days,
            f"{'spend' if terms.margin_rate == 1 else 'margin'} of the {span_days} days before",
        ),
        (
            "expected spend",
            expected_spend,
            past.year_ago / past.unit,
            dates.RATE_YEAR_DAYS,
            "spend of the same days a year ago",
        ),
    ):
        if past.first is None or past.first > cutoff - days_back * dates.DAY or spent <= 0:
            continue
        share = total / spent
        sentence = f"the {name} of all customers is {share:.0%} of their {when}"
        sentences.append(sentence)
        if not PLAUSIBLE[0] <= share <= PLAUSIBLE[1]:
            limits = f"outside {PLAUSIBLE[0]:.0%} to {PLAUSIBLE[1]:.0%}"
            warnings.append(f"{sentence}, {limits}: check it before you rely on the total")
    return sentences, warnings


def describe_unknown(evidence: str, terms: ForecastTerms) -> str | None:
    """What the model cannot know for any customer, from one row's `evidence`; None if nothing."""
    words = evidence.split(";")
    unknowns = [_UNKNOWN[word] for word in words if word in _UNKNOWN]
    if terms.retention_source == "btyd" and BTYD_ONLY not in words:
        unknowns.append(BTYD_RETENTION)
    return f"unknown: {'; '.join(unknowns)}" if unknowns else None
