"""What a forecast rests on, as a `;`-joined list from a closed set."""

from __future__ import annotations

import numpy as np

from ..features.recency_frequency import OrderDays
from ..orders.columns import Float64, Int32, Text
from .parameters import Blend

__all__ = [
    "BTYD_ONLY",
    "COHORT",
    "LATER_UNSEEN",
    "OWN",
    "SEASON_UNSEEN",
    "SHORT_HISTORY",
    "compute_own_share",
    "describe_evidence",
]


OWN = "own"  # two or more orders: the customer's own rhythm and order values speak
COHORT = "cohort"  # one order: the forecast is that of customers who began like this one
SHORT_HISTORY = "short_history"  # the model learned from less than 1.5 horizons before its cutoffs
LATER_UNSEEN = "later_unseen"  # no history shows the latest periods yet: BTYD alone speaks of them
SEASON_UNSEEN = "season_unseen"  # history does not show every part of the year: no season is known
BTYD_ONLY = "btyd_only"  # too little history for trees: every number is BTYD's


def describe_evidence(
    n_orders: Int32,
    *,
    short_history: bool,
    later_unseen: bool,
    season_unseen: bool,
    btyd_only: bool,
) -> Text:
    """The evidence of each row: text, n_rows."""
    words = (
        (SHORT_HISTORY, short_history),
        (LATER_UNSEEN, later_unseen),
        (SEASON_UNSEEN, season_unseen),
        (BTYD_ONLY, btyd_only),
    )
    shared = [word for word, holds in words if holds]
    repeat, single = ";".join([OWN, *shared]), ";".join([COHORT, *shared])
    return np.where(n_orders > 1, repeat, single).astype(object)


def compute_own_share(blend: Blend, history: OrderDays) -> Float64:
    """How much of a forecast is the customer's own, the rest being the base's: n_rows, in (0, 1).

    The mean credibility (Buehlmann 1967), as BTYD weighs it, of the customer's own order rate,
    T / (alpha + T), and of its own order value, p n / (p n + q - 1) for n order days.
    """
    rate = history.tenure_days / (blend.order_model.alpha + history.tenure_days)
    repeat_shape = blend.order_values.p * (history.n_repeat_days + 1.0)
    return np.asarray((rate + repeat_shape / (repeat_shape + blend.order_values.q - 1.0)) / 2.0)
