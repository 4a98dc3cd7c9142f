"""The MLflow loader: `mlflow.pyfunc.load_model` calls this module with the bundle's folder.

A logged model is data only; the installed package reads it.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import ConfigError
from ..models.bundle import load_expected_bundle
from ..models.model import TrainedModel
from ..models.scoring import FORECAST_SCHEMA, forecast_rows
from ..orders.cutoffs import check_cutoff_from_now
from ..orders.orders import Orders
from ..orders.reading.nested_rows import NO_ORDER, unnest

__all__ = ["REASON", "NestedModel"]

REASON = "reason"  # the last column: why a row has no forecast, null where it has one


class NestedModel:
    """A model whose input is one row per customer with its orders nested (`clvcast.nest`)."""

    def __init__(self, model: TrainedModel) -> None:
        self.model = model

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Forecast one row per input row, in the input's order.

        Parameters
        ----------
        model_input : DataFrame
            One row per customer: customer_id, cutoff and orders, as `clvcast.nest` returns them.
        params : dict, optional
            Not used; MLflow passes it.

        Returns
        -------
        DataFrame
            The columns of `clvcast.score`, dates as ISO text, and `reason`: why a row has no
            forecast. Such a row has nulls, and the others are not affected.

        Raises
        ------
        OrdersError
            If a column is missing, or the orders lack a column the model learned from.

        """
        numbers = self.model.numbers
        nested = unnest(model_input, numbers.orders, numbers.customers, numbers.optional_columns)
        reasons = dict(nested.reasons)
        rows: list[int] = []  # of the input, for each forecast
        tables = [FORECAST_SCHEMA.empty_table()]
        for instant, orders, positions in nested.groups:
            forecasts, own_rows = self._forecast(instant, orders, positions, reasons)
            tables.append(forecasts)
            rows += own_rows
        forecasts = pa.concat_tables(tables)
        place = np.full(len(model_input), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        table = forecasts.take(pa.array(place, mask=place < 0))
        frame = _build_frame(table)
        for position in reasons:  # who it is that has no forecast
            frame.loc[position, "customer_id"] = str(model_input["customer_id"].iloc[position])
            frame.loc[position, "cutoff"] = str(model_input["cutoff"].iloc[position])
        text = [reasons.get(position) for position in range(len(frame))]
        frame[REASON] = pd.Series(text, dtype=object)
        return _keep_nulls(frame) if _is_spark_task() else frame

    def _forecast(
        self, instant: int, orders: Orders, positions: list[int], reasons: dict[int, str]
    ) -> tuple[pa.Table, list[int]]:
        """Forecasts at a cutoff, and the input row of each; notes the reason of the others."""
        try:
            check_cutoff_from_now(instant, self.model.numbers.horizon_days, datetime.now())
        except ConfigError as error:
            reasons.update(dict.fromkeys(positions, str(error)))
            return FORECAST_SCHEMA.empty_table(), []
        forecasts = forecast_rows(self.model, orders, instant)
        position = dict(zip(orders.customer_ids.to_pylist(), positions, strict=True))
        input_rows = [position.pop(customer) for customer in forecasts["customer_id"].to_pylist()]
        reasons.update(dict.fromkeys(position.values(), NO_ORDER))
        return forecasts, input_rows


def _build_frame(table: pa.Table) -> pd.DataFrame:
    """A frame as MLflow can send it: dates are ISO text, and what is missing is None in JSON."""
    columns: dict[str, Any] = {}
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_timestamp(field.type):
            text = [None if at is None else at.isoformat() for at in column.to_pylist()]
            columns[field.name] = pd.Series(text, dtype=object)
        elif column.null_count:
            columns[field.name] = pd.Series(column.to_pylist(), dtype=object)
        else:
            columns[field.name] = column.to_pandas()
    return pd.DataFrame(columns)


class _SparkText(pd.arrays.ArrowExtensionArray):
    """Text of which nulls stay nulls where `spark_udf` converts it to numpy's str."""

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if isinstance(dtype, np.dtype) and dtype.kind == "U":  # pandas would write "None"
            return np.array(self.to_pylist(), dtype=object)
        return super().astype(dtype, copy)

    def to_pylist(self) -> list[str | None]:
        return [None if value is pd.NA else value for value in self]


def _is_spark_task() -> bool:
    pyspark = sys.modules.get("pyspark")
    return pyspark is not None and pyspark.TaskContext.get() is not None


def _keep_nulls(frame: pd.DataFrame) -> pd.DataFrame:
    texts = [f.name for f in FORECAST_SCHEMA if not pa.types.is_primitive(f.type)]
    times = [f.name for f in FORECAST_SCHEMA if pa.types.is_timestamp(f.type)]
    names = [*texts, *times, REASON]
    return frame.assign(
        **{name: _SparkText(pa.array(frame[name], pa.string(), from_pandas=True)) for name in names}
    )


def _load_pyfunc(path: str) -> NestedModel:
    model = load_expected_bundle(Path(path))
    if names := model.numbers.extra_features:
        raise ConfigError(
            f"the model needs the extra features {', '.join(names)}, whose function MLflow's "
            "pyfunc cannot be given; use clvcast.load_model and clvcast.score with extra_features"
        )
    return NestedModel(model)
