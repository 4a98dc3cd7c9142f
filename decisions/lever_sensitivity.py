"""What a small change of each of the four levers is worth, in forecast CLV."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .customer_base import CustomerBase

__all__ = ["compute_sensitivity"]

_POINT = 0.01
_PER_CENT = 0.01


def compute_sensitivity(base: CustomerBase) -> pd.DataFrame:
    """The value of churn a point lower, and of AOV, frequency or margin a per cent higher.

    For the shop and by channel, tier and risk: dimension, group, lever, change, value, share_of_clv.
    A forecast is (1 - churn) x value if the customer orders, so a point less churn is worth
    clv x 0.01 / (1 - churn) of each customer, at most what is left of the churn; the other three
    multiply it. Each is the change alone, the others held.
    """
    clv, churn = base.numbers("clv"), base.numbers("churn_probability")
    saved = np.minimum(_POINT, churn)
    stays = 1.0 - churn
    by_churn = np.divide(clv * saved, stays, out=np.zeros(len(clv)), where=stays > 0)
    dimensions = ["shop", *(["channel"] if base.has_channels else []), "tier", "risk"]
    levers = (
        ("churn", "a point lower", by_churn),
        ("aov", "1 % higher", clv * _PER_CENT),
        ("purchase_frequency", "1 % higher", clv * _PER_CENT),
        ("margin", "1 % higher", clv * _PER_CENT),
    )
    parts = []
    for dimension in dimensions:
        grouping = base.grouping(dimension)
        total = np.asarray(grouping.sums(clv), np.float64)
        for lever, change, gain in levers:
            value = np.asarray(grouping.sums(gain), np.float64)
            share = np.full(len(total), np.nan)
            np.divide(value, total, out=share, where=total > 0)
            parts.append(
                pd.DataFrame(
                    {
                        "dimension": dimension,
                        "group": list(grouping.names),
                        "lever": lever,
                        "change": change,
                        "value": value,
                        "share_of_clv": share,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
