"""The segments of forecast rows: the bundle's thresholds, or, where a configuration asks, the file's own."""

from __future__ import annotations

import numpy as np

from ..features.table import FeatureRows
from ..orders.columns import Float64, Text
from ..orders.orders import Orders
from .model import Predictions, TrainedModel
from .segments import Segments, Standing, cut_thresholds

__all__ = ["assign_segments", "compute_standing"]


def compute_standing(known: Orders, rows: FeatureRows, clv: Float64) -> Standing:
    """What rows are sorted by; `known` are the orders they were made from."""
    spend = known.spend_by_customer()[rows.customer_index] / known.unit
    return Standing(rows.whole[:, 1], rows.whole[:, 0], spend, clv)


def assign_segments(
    model: TrainedModel, known: Orders, rows: FeatureRows, predictions: Predictions
) -> tuple[Text, ...]:
    """rfm_segment, tier and risk of each row, as text."""
    standing = compute_standing(known, rows, predictions.clv)
    thresholds = model.segments
    if model.own_cuts is not None:
        thresholds = cut_thresholds(model.own_cuts, standing)
    found = Segments.of(thresholds, standing, predictions.churn_probability)
    columns = (found.rfm_segment, found.tier, found.risk)
    return tuple(np.asarray(column, dtype=object) for column in columns)
