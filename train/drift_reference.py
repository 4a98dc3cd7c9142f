"""The reference of a model: histograms of its features and forecasts where its training ended."""

from __future__ import annotations

import math

import numpy as np

from ..features.table import compute_feature_rows
from ..models.drift_reference import (
    DriftReference,
    build_histogram,
    count_category_shares,
    count_unknown_shares,
)
from ..models.model import TrainedModel
from ..models.scoring import forecast_rows
from ..orders import windows
from ..orders.orders import Orders

__all__ = ["FORECASTS", "build_drift_reference"]

FORECASTS = ("churn_probability", "expected_spend", "clv")


def build_drift_reference(model: TrainedModel, orders: Orders, end: int) -> DriftReference:
    """Counts of all customers at `end`; of order lines before it for categories."""
    known = windows.slice_observed(model.usable_columns(orders), end)
    rows = compute_feature_rows(known, np.array([end], dtype=np.int64))
    forecasts = forecast_rows(model, known, end)
    values = rows.columns(model.numbers.features)
    categories = count_category_shares(known)
    return DriftReference(
        features={
            name: build_histogram(values[:, k]) for k, name in enumerate(model.numbers.features)
        },
        forecasts={name: build_histogram(forecasts[name].to_numpy()) for name in FORECASTS},
        categories=categories,
        rare={
            name: math.fsum(count_unknown_shares(known, name, shares).values())
            for name, shares in categories.items()
        },
    )
