"""Forecasts of any cutoffs and models in one file or frame, as those who look back at them need."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import OrdersError
from .forecast_file import read_forecast_file

__all__ = ["coerce_forecast_history"]

_NEEDED = ("customer_id", "cutoff", "model_version", "churn_probability", "expected_spend", "clv")


def coerce_forecast_history(forecasts: pd.DataFrame | str | Path) -> pd.DataFrame:
    """Forecasts from a .parquet or .csv file, or a frame of `clvcast.score`, checked.

    Raises `OrdersError` for a file that is none, lacks a column, holds a missing number, or names a
    customer twice at one cutoff.
    """
    name = "the forecasts" if isinstance(forecasts, pd.DataFrame) else str(forecasts)
    frame = (
        forecasts
        if isinstance(forecasts, pd.DataFrame)
        else pd.DataFrame(read_forecast_file(Path(forecasts)).to_pandas())
    )
    missing = [column for column in _NEEDED if column not in frame.columns]
    if missing:
        raise OrdersError(f"{name} must have the columns {', '.join(_NEEDED)}, lacks {missing[0]}")
    frame = frame.assign(
        customer_id=frame["customer_id"].astype("string"),
        cutoff=pd.to_datetime(frame["cutoff"]).astype("datetime64[us]"),
    )
    if frame[list(_NEEDED)].isna().to_numpy().any():
        raise OrdersError(f"{name} must have no missing values in {', '.join(_NEEDED)}")
    if frame.duplicated(["customer_id", "cutoff", "model_version"]).any():
        raise OrdersError(f"{name} must name a customer once for each cutoff and model")
    return frame
