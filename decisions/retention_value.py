"""Retention value of a forecast file's customers: what an order in the next period adds to CLV."""

from __future__ import annotations

import numpy as np

from ..models.plausibility import BTYD_RETENTION
from ..orders.columns import Float64
from .customer_base import CustomerBase

__all__ = ["describe_retention_value", "read_retention_value"]

_COLUMN = "retention_value"
_LEAST_STAY = 0.01  # a smaller 1 - churn tells nothing about the value of an order


def read_retention_value(base: CustomerBase) -> Float64:
    """The forecast retention value per customer; of files without it, an upper bound."""
    if _COLUMN in base.forecasts.column_names:
        return base.numbers(_COLUMN)
    clv, stays = base.numbers("clv"), 1.0 - base.numbers("churn_probability")
    return np.asarray(clv / np.maximum(stays, _LEAST_STAY))


def describe_retention_value(base: CustomerBase) -> list[str]:
    """A remark where the file has no retention value, or one of BTYD alone; else none."""
    if _COLUMN in base.forecasts.column_names:
        return [BTYD_RETENTION] if base.terms.retention_source == "btyd" else []
    return [
        "the forecasts have no retention_value (files of 0.1.0 have none), so clv / (1 - churn "
        "probability) is used, an upper bound; score again"
    ]
