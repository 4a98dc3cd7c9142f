"""The reference of a model: histograms of its features and forecasts where its training ended."""

from __future__ import annotations

import math

import numpy as np

from ..features.table import feature_rows
from ..models.drift_reference import Reference, category_shares, histogram, unknown_shares
from ..models.model import TrainedModel
from ..models.scoring import forecast_rows
from ..orders import windows
from ..orders.orders import Orders

__all__ = ["FORECASTS", "reference_of"]

FORECASTS = ("churn_probability", "expected_spend", "clv")


def reference_of(model: TrainedModel, orders: Orders, end: int) -> Reference:
    """Counts of all customers at `end`; of order lines before it for categories."""
    known = windows.observed(model.usable_columns(orders), end)
    rows = feature_rows(known, np.array([end], dtype=np.int64))
    forecasts = forecast_rows(model, known, end)
    values = rows.columns(model.numbers.features)
    categories = category_shares(known)
    return Reference(
        features={name: histogram(values[:, k]) for k, name in enumerate(model.numbers.features)},
        forecasts={name: histogram(forecasts[name].to_numpy()) for name in FORECASTS},
        categories=categories,
        rare={
            name: math.fsum(unknown_shares(known, name, shares).values())
            for name, shares in categories.items()
        },
    )
