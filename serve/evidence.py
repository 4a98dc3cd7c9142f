"""What a forecast rests on, as a `;`-joined list from a closed set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["COHORT", "OWN", "RATIO_HELD", "SHORT_HISTORY", "describe"]

OWN = "own"  # two or more orders: the customer's own rhythm and order values speak
COHORT = "cohort"  # one order: the forecast is that of customers who began like this one
SHORT_HISTORY = "short_history"  # the model learned from less than 1.5 horizons before its cutoffs
RATIO_HELD = "ratio_held"  # no history shows the latest periods yet: their last known ratio is held


def describe(
    n_orders: npt.NDArray[np.int32], *, short_history: bool, ratio_held: bool
) -> npt.NDArray[np.object_]:
    """The evidence of each row: text, n_rows."""
    shared = [
        word for word, holds in ((SHORT_HISTORY, short_history), (RATIO_HELD, ratio_held)) if holds
    ]
    repeat, single = ";".join([OWN, *shared]), ";".join([COHORT, *shared])
    return np.where(n_orders > 1, repeat, single).astype(object)
