"""Segment thresholds: cut among the customers known at the end of training, then fixed in the bundle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..configs.segments import SegmentsConfig
from ..features.table import compute_feature_rows
from ..models.model import TrainedModel
from ..models.segment_columns import compute_standing
from ..models.segments import cut_thresholds
from ..orders import windows
from ..orders.orders import Orders

__all__ = ["add_segment_thresholds"]


def add_segment_thresholds(
    model: TrainedModel, orders: Orders, config: SegmentsConfig, end: int
) -> TrainedModel:
    """The fitted model with its thresholds: quintiles of R, F, M and edges of forecast CLV at `end`.

    At `end`, not a horizon before it: the quintiles are those of the customers the model is shipped for.
    """
    known = windows.slice_observed(model.usable_columns(orders), end)
    rows = compute_feature_rows(known, np.array([end], dtype=np.int64))
    standing = compute_standing(known, rows, model.predict(rows).clv)
    thresholds = cut_thresholds(config, standing)
    return replace(model, numbers=model.numbers.model_copy(update={"segments": thresholds}))
