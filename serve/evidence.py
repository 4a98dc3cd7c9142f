"""What a forecast rests on, as a `;`-joined list from a closed set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BTYD_ONLY", "COHORT", "LATER_UNSEEN", "OWN", "SHORT_HISTORY", "describe"]

OWN = "own"  # two or more orders: the customer's own rhythm and order values speak
COHORT = "cohort"  # one order: the forecast is that of customers who began like this one
SHORT_HISTORY = "short_history"  # the model learned from less than 1.5 horizons before its cutoffs
LATER_UNSEEN = "later_unseen"  # no history shows the latest periods yet: BTYD alone speaks of them
BTYD_ONLY = "btyd_only"  # too little history for trees: every number is BTYD's


def describe(
    n_orders: npt.NDArray[np.int32], *, short_history: bool, later_unseen: bool, btyd_only: bool
) -> npt.NDArray[np.object_]:
    """The evidence of each row: text, n_rows."""
    words = ((SHORT_HISTORY, short_history), (LATER_UNSEEN, later_unseen), (BTYD_ONLY, btyd_only))
    shared = [word for word, holds in words if holds]
    repeat, single = ";".join([OWN, *shared]), ";".join([COHORT, *shared])
    return np.where(n_orders > 1, repeat, single).astype(object)
