"""A forecast file, read and checked: one cutoff, one model, a customer once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from ..errors import ConfigError, OrdersError
from ..models.batch_manifest import build_manifest

__all__ = ["coerce_forecast_history", "coerce_forecasts", "read_forecast_file"]

_TEXTS = ("customer_id", "model_version", "rfm_segment", "tier", "risk")
_NUMBERS = (
    "n_orders", "days_since_last_order", "tenure_days", "churn_probability",
    "expected_spend", "clv",
)  # fmt: skip
_REQUIRED = (*_TEXTS, "cutoff", *_NUMBERS)
_OF_ONE_CUSTOMER = (
    "expected_spend_lower", "expected_spend_upper", "clv_lower", "clv_upper", "next_order_from",
    "next_order_until",
)  # fmt: skip
_OF_HISTORY = (
    "customer_id",
    "cutoff",
    "model_version",
    "churn_probability",
    "expected_spend",
    "clv",
)
_TIMES = ("cutoff", "expected_next_order_at", "next_order_from", "next_order_until")


def coerce_forecasts(forecasts: object, *, whole: bool = True) -> pa.Table:
    """Forecast rows from a .parquet or .csv file, or a table in memory, as a checked table.

    Unless `whole`, without the columns that nobody adds up: intervals of single customers. Raises
    `OrdersError` for a file that holds no forecasts, or those of several cutoffs or models.
    """
    if isinstance(forecasts, str | Path):
        name, table = str(forecasts), read_forecast_file(Path(forecasts), whole=whole)
    elif isinstance(forecasts, pd.DataFrame):
        name, table = "the forecasts", pa.Table.from_pandas(forecasts, preserve_index=False)
    elif isinstance(forecasts, pa.Table):
        name, table = "the forecasts", forecasts
    else:
        raise OrdersError(
            f"forecasts must be a table of them or a path, got {type(forecasts).__name__}"
        )
    missing = [column for column in _REQUIRED if column not in table.column_names]
    if missing:
        raise OrdersError(
            f"{name} must have the columns of a forecast file, but lacks {', '.join(missing)}; "
            "make it with clvcast score"
        )
    if not table.num_rows:
        raise OrdersError(f"{name} holds no forecasts, only column names")
    table = _typed(table, name)
    for column, mend in (("cutoff", "one moment"), ("model_version", "one model")):
        found = pc.unique(table[column]).to_pylist()
        if len(found) > 1:
            shown = ", ".join(str(value) for value in found[:3])
            raise OrdersError(
                f"{name} must hold the forecasts of {mend}, got {len(found)} ({shown}); "
                "score again into a file of its own"
            )
    if pc.count_distinct(table["customer_id"]).as_py() < table.num_rows:
        raise OrdersError(f"{name} must hold each customer once, but repeats some; score again")
    for column in _NUMBERS:
        values = table[column]
        if values.null_count or not pc.all(pc.is_finite(values)).as_py():
            raise OrdersError(f"{name} must hold numbers in {column}, got empty cells or NaN")
    return table


def read_forecast_file(path: Path, *, whole: bool = True) -> pa.Table:
    """A .parquet or .csv file as a table, ids as text; its metadata hold the forecasts' terms.

    A .csv file has no metadata: the manifest beside it is read. Raises `OrdersError` where
    the file cannot be read.
    """
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise ConfigError(f"forecasts are a .parquet or .csv file, got {path}")
    if not path.is_file():
        raise OrdersError(f"there is no forecast file {path}; clvcast score writes one")
    try:
        if path.suffix.lower() == ".parquet":
            names = pa.parquet.read_schema(path).names
            left_out = () if whole else _OF_ONE_CUSTOMER
            return pa.parquet.read_table(path, columns=[n for n in names if n not in left_out])
        types = dict.fromkeys((*_TEXTS, "evidence"), pa.string())
        options = pa.csv.ConvertOptions(column_types=types)
        table = pa.csv.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise OrdersError(f"the forecast file {path} cannot be read: {reason}") from None
    manifest = build_manifest(path)
    return table if manifest is None else manifest.made_with.carried_by(table)


def _typed(table: pa.Table, name: str) -> pa.Table:
    kinds = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_TIMES, pa.timestamp("us"))
    for position, column in enumerate(table.column_names):
        kind = kinds.get(column)
        if kind is None and (column in _NUMBERS or column.startswith(("expected_", "clv_"))):
            kind = pa.float64()
        if kind is None or table[column].type == kind:
            continue
        try:
            table = table.set_column(position, column, table[column].cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise OrdersError(
                f"{name} must hold {kind} in {column}, got {table[column].type}; make it with "
                "clvcast score"
            ) from None
    return table


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
    missing = [column for column in _OF_HISTORY if column not in frame.columns]
    if missing:
        raise OrdersError(
            f"{name} must have the columns {', '.join(_OF_HISTORY)}, lacks {missing[0]}"
        )
    if frame.empty:
        raise OrdersError(f"{name} holds no forecasts, only column names")
    frame = frame.assign(
        customer_id=frame["customer_id"].astype("string"),
        cutoff=pd.to_datetime(frame["cutoff"]).astype("datetime64[us]"),
    )
    if frame[list(_OF_HISTORY)].isna().to_numpy().any():
        raise OrdersError(f"{name} must have no missing values in {', '.join(_OF_HISTORY)}")
    if frame.duplicated(["customer_id", "cutoff", "model_version"]).any():
        raise OrdersError(f"{name} must name a customer once for each cutoff and model")
    return frame
