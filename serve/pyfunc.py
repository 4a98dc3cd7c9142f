"""The MLflow loader: `mlflow.pyfunc.load_model` calls this module with the bundle's folder.

A logged model is data only; the installed package reads it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import ConfigError, OrdersError
from ..models.bundle import load_bundle
from ..models.model import TrainedModel
from ..models.scoring import forecast_rows
from ..orders.cutoffs import check_cutoff_from_now
from ..orders.reading.nested_rows import unnest

__all__ = ["NestedModel"]


class NestedModel:
    """A model whose input is one row per customer with its orders nested (`clvcast.nest`)."""

    def __init__(self, model: TrainedModel) -> None:
        self.model = model

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One forecast row per input row, in the input's order.

        Raises `OrdersError`, and `ConfigError` for a cutoff more than a horizon after now.
        """
        tables, rows = [], []
        numbers = self.model.numbers
        for instant, orders, positions in unnest(model_input, numbers.orders, numbers.customers):
            check_cutoff_from_now(instant, numbers.horizon_days, datetime.now())
            forecasts = forecast_rows(self.model, orders, instant)
            if forecasts.num_rows < len(positions):
                raise OrdersError(
                    f"{len(positions) - forecasts.num_rows} of {len(positions)} customers have no "
                    "order before the cutoff; leave them out"
                )
            tables.append(forecasts)
            rows += positions
        if not tables:
            raise OrdersError("a request must hold at least one customer, got none")
        forecasts = pa.concat_tables(tables).take(pa.array(np.argsort(rows)))
        return pd.DataFrame(forecasts.to_pandas())


def _load_pyfunc(path: str) -> NestedModel:
    model = load_bundle(Path(path))
    if names := model.numbers.extra_features:
        raise ConfigError(
            f"the model needs the extra features {', '.join(names)}, whose function MLflow's "
            "pyfunc cannot be given; use clvcast.load_model and clvcast.score with extra_features"
        )
    return NestedModel(model)
