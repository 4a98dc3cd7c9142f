"""Forecasts from a file or a table: their rows, checked, and the terms they were made under.

This is the only reader of forecasts. Nobody gets rows without their terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from ..errors import ConfigError, OrdersError
from ..models.batch_manifest import build_manifest
from ..models.forecast_terms import ForecastTerms, read_terms
from ..models.scoring import PERIOD_PREFIX

__all__ = ["ForecastSource", "Forecasts", "read_forecast_history", "read_forecasts"]

ForecastSource: TypeAlias = pd.DataFrame | pa.Table | str | Path
_TEXTS = ("customer_id", "model_version", "rfm_segment", "tier", "risk")
_NUMBERS = (
    "n_orders", "days_since_last_order", "tenure_days", "churn_probability",
    "expected_spend", "clv",
)  # fmt: skip
_REQUIRED = (*_TEXTS, "cutoff", *_NUMBERS)
_RETENTION = ("retention_value", "value_at_risk")  # numbers too; files of 0.1.0 have none
_OF_ONE_CUSTOMER = (
    "expected_spend_lower", "expected_spend_upper", "clv_lower", "clv_upper", "next_order_from",
    "next_order_until",
)  # fmt: skip
_OF_HISTORY = (
    *("customer_id", "cutoff", "model_version"),
    *("churn_probability", "expected_spend", "clv"),
)
_NEVER_NEGATIVE = (
    *("n_orders", "tenure_days", "churn_probability", "expected_spend", "clv"),
    *("expected_spend_lower", "expected_spend_upper", "clv_lower", "clv_upper"),
    *_RETENTION,
)
_MONEY = ("expected_", "clv_", PERIOD_PREFIX)  # how columns of numbers begin
_TIMES = ("cutoff", "expected_next_order_at", "next_order_from", "next_order_until")


@dataclass(frozen=True)
class Forecasts:
    """Forecast rows, and what their numbers mean."""

    name: str  # what messages call them
    rows: pa.Table
    terms: ForecastTerms | None  # None: the source does not say, as of another tool


def read_forecasts(source: object, *, whole: bool = True) -> Forecasts:
    """Forecasts of one cutoff and one model from a .parquet or .csv file, or a table in memory.

    Unless `whole`, without the columns that nobody adds up: intervals of single customers. Raises
    `OrdersError` for a file that holds no forecasts, or those of several cutoffs or models.
    """
    forecasts = _read_source(source, _REQUIRED, _RETENTION, whole=whole)
    name, table = forecasts.name, forecasts.rows
    for column, mend in (("cutoff", "one moment"), ("model_version", "one model")):
        values = pc.unique(table[column]).to_pylist()
        if len(values) > 1:
            examples = ", ".join(str(value) for value in values[:3])
            raise OrdersError(
                f"{name} must hold the forecasts of {mend}, got {len(values)} ({examples}); score "
                "again into a file of its own"
            )
    if pc.count_distinct(table["customer_id"]).as_py() < table.num_rows:
        raise OrdersError(f"{name} must hold each customer once, but repeats some; score again")
    return forecasts


def read_forecast_history(source: object) -> Forecasts:
    """Forecasts of one or more cutoffs and models, each customer once at each of them.

    Raises `OrdersError` for a file that is none, lacks a column, holds a missing number, or names a
    customer twice at one cutoff.
    """
    forecasts = _read_source(source, _OF_HISTORY)
    keys = forecasts.rows.select(["customer_id", "cutoff", "model_version"]).to_pandas()
    if keys.duplicated().any():
        raise OrdersError(
            f"{forecasts.name} has the same customer twice for one cutoff and model; "
            "keep one row of each"
        )
    return forecasts


def _read_source(
    source: object, required: Sequence[str], optional: Sequence[str] = (), *, whole: bool = True
) -> Forecasts:
    """The rows of a source with typed columns and usable numbers, and their terms.

    `optional` columns may be missing, but have no empty cells.
    """
    if isinstance(source, str | Path):
        name, table = str(source), _read_file(Path(source), whole=whole)
    elif isinstance(source, pd.DataFrame):
        name, table = "the forecasts", pa.Table.from_pandas(source, preserve_index=False)
    elif isinstance(source, pa.Table):
        name, table = "the forecasts", source
    else:
        raise OrdersError(
            f"forecasts must be a table of them or a path, got {type(source).__name__}"
        )
    terms = read_terms(table)
    missing = [column for column in required if column not in table.column_names]
    if missing:
        raise OrdersError(
            f"{name} must have the columns of a forecast file, but lacks {', '.join(missing)}; "
            "make it with clvcast score"
        )
    if not table.num_rows:
        raise OrdersError(f"{name} holds no forecasts, only column names")
    table = _check_types(table, name)
    numbers = (*_NUMBERS, *_RETENTION)
    for column in (*required, *(each for each in optional if each in table.column_names)):
        values = table[column]
        is_number = pa.types.is_floating(values.type)
        if values.null_count or (is_number and not pc.all(pc.is_finite(values)).as_py()):
            raise OrdersError(
                f"{name} must hold {'numbers' if column in numbers else 'a value'} in {column}, "
                "got empty cells or NaN; make it with clvcast score"
            )
    for column in (each for each in _NEVER_NEGATIVE if each in table.column_names):
        least = pc.min(table[column]).as_py()
        if least is not None and least < 0:
            raise OrdersError(
                f"{name} must hold no negative {column}, got {least:g}; make it with clvcast score"
            )
    return Forecasts(name, table, terms)


def _read_file(path: Path, *, whole: bool = True) -> pa.Table:
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


def _check_types(table: pa.Table, name: str) -> pa.Table:
    kinds = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_TIMES, pa.timestamp("us"))
    for position, column in enumerate(table.column_names):
        kind = kinds.get(column)
        is_number = column in (*_NUMBERS, *_RETENTION) or column.startswith(_MONEY)
        if kind is None and is_number:
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
