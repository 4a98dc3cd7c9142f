"""The value of a small change of each of the four levers, in forecast CLV."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .customer_base import CustomerBase
from .group_totals import divide

__all__ = ["compute_sensitivity"]

_POINT = _PERCENT = 0.01


def compute_sensitivity(base: CustomerBase) -> pd.DataFrame:
    """The value of churn one point lower, and of AOV, frequency or margin one percent higher.

    For the shop and by channel, tier and risk: dimension, group, lever, change, value,
    share_of_clv. A forecast is (1 - churn) x value if the customer orders, so one point less churn
    adds clv x 0.01 / (1 - churn) per customer (less where churn is below a point); the other three
    multiply CLV. Each change is alone, the others constant.
    """
    clv, churn = base.numbers("clv"), base.numbers("churn_probability")
    saved = np.minimum(_POINT, churn)
    stays = 1.0 - churn
    by_churn = np.divide(clv * saved, stays, out=np.zeros(len(clv)), where=stays > 0)
    dimensions = ["shop", *(["channel"] if base.has_channels else []), "tier", "risk"]
    levers = (
        ("churn", "a point lower", by_churn),
        ("aov", "1 % higher", clv * _PERCENT),
        ("purchase_frequency", "1 % higher", clv * _PERCENT),
        ("margin", "1 % higher", clv * _PERCENT),
    )
    parts = []
    for dimension in dimensions:
        grouping = base.grouping(dimension)
        total = np.asarray(grouping.sums(clv), np.float64)
        for lever, change, gain in levers:
            value = np.asarray(grouping.sums(gain), np.float64)
            parts.append(
                pd.DataFrame(
                    {
                        "dimension": dimension,
                        "group": list(grouping.names),
                        "lever": lever,
                        "change": change,
                        "value": value,
                        "basis": base.terms.basis,
                        "share_of_clv": divide(value, total),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
