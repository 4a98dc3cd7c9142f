"""Forecast files read back: as `score` wrote them, with ids as text however they look."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..errors import ConfigError, OrdersError

__all__ = ["as_forecasts"]

_NEEDED = ("customer_id", "cutoff", "model_version", "churn_probability", "expected_spend", "clv")
_TEXTS = ("customer_id", "model_version", "risk", "tier", "rfm_segment", "evidence")


def as_forecasts(forecasts: pd.DataFrame | str | Path) -> pd.DataFrame:
    """Forecasts from a .parquet or .csv file, or a frame of `clvcast.score`, checked.

    Raises `OrdersError` for a file that is none, lacks a column, holds a missing number, or names a
    customer twice at one cutoff.
    """
    name = "the forecasts" if isinstance(forecasts, pd.DataFrame) else str(forecasts)
    frame = forecasts if isinstance(forecasts, pd.DataFrame) else _read(Path(forecasts))
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


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            return pd.DataFrame(pa.parquet.read_table(path).to_pandas())
        if path.suffix.lower() == ".csv":
            texts = {name: pa.string() for name in _TEXTS}
            options = pa.csv.ConvertOptions(column_types=texts)
            return pd.DataFrame(pa.csv.read_csv(path, convert_options=options).to_pandas())
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise OrdersError(f"the forecasts {path} cannot be read: {reason}") from None
    raise ConfigError(f"forecasts are a .parquet or .csv file, got {path}")
