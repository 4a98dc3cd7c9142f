"""The value of a small change of each of the four levers, in forecast CLV."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .customer_base import CustomerBase
from .group_totals import divide
from .retention_value import read_retention_value

__all__ = ["compute_sensitivity"]

_POINT = _PERCENT = 0.01


def compute_sensitivity(base: CustomerBase) -> pd.DataFrame:
    """The value of churn one point lower, and of AOV, frequency or margin one percent higher.

    For the shop and by channel, tier and risk: dimension, group, lever, change, value,
    share_of_clv. One point less churn adds 0.01 x retention value per customer (less where churn is
    below a point); the other three multiply CLV. Each change is alone, the others constant.
    """
    clv, churn = base.numbers("clv"), base.numbers("churn_probability")
    by_churn = np.minimum(_POINT, churn) * read_retention_value(base)
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
