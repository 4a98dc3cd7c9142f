"""Warm-up: run every compiled function once on artificial orders, before the first request.

Compiled code is cached beside the package, or in NUMBA_CACHE_DIR, for later processes on the same
kind of processor. A container sets NUMBA_CPU_NAME=generic, since it may run on any.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..configs.schema import OPTIONAL_COLUMNS, OrdersConfig
from ..features.table import compute_feature_rows
from ..models.golden_rows import CUTOFF, add_golden_extras, build_golden_rows
from ..models.model import TrainedModel
from ..models.score_one import score_one
from ..models.scoring import forecast_rows
from ..models.trees.quick_scorer import FlatTrees
from ..orders import dates
from ..orders.reading.nested_rows import unnest
from ..orders.reading.order_records import pack_records
from .json_scan import scan_json

__all__ = ["warm", "warm_code"]


_STUMP = (
    "tree\n\nTree=0\nnum_leaves=2\nsplit_feature=0\nthreshold=0.5\ndecision_type=2\nleft_child=-1\n"
    "right_child=-2\nleaf_value=0 1\n"
)


def warm_code() -> None:
    """Compile features, with every optional column and with none, and trees."""
    scan_json(b"{}")
    FlatTrees.of(_STUMP).sums(np.zeros((1, 1), dtype=np.float32))
    cutoff = np.array([dates.parse_instant(CUTOFF)], dtype=np.int64)
    for columns in ((), OPTIONAL_COLUMNS):
        rows = build_golden_rows(columns)
        for instant, orders, _ in unnest(rows, OrdersConfig()).groups:
            compute_feature_rows(orders, np.array([instant], dtype=np.int64))
        compute_feature_rows(pack_records(_list_customers(rows), columns, OrdersConfig()), cutoff)


def warm(model: TrainedModel) -> None:
    """Forecast the golden rows, together and one by one, and load the trees for explanations."""
    model = add_golden_extras(model)
    numbers = model.numbers
    rows = build_golden_rows(numbers.optional_columns, numbers.attributes)
    for instant, orders, _ in unnest(rows, numbers.orders, numbers.customers).groups:
        forecast_rows(model, orders, instant)
    has_attributes = numbers.attributes is not None
    attributes = rows["attributes"].tolist() if has_attributes else [None] * len(rows)
    for (customer_id, lines), record in zip(_list_customers(rows), attributes, strict=True):
        score_one(model, lines, CUTOFF, customer_id, record)
    model.load_boosters()
    scan_json(b"{}")


def _list_customers(rows: pd.DataFrame) -> list[tuple[str, list[dict[str, object]]]]:
    return list(zip(rows["customer_id"], rows["orders"], strict=True))
