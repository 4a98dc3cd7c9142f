"""The scorer: a model, orders and a cutoff in, one forecast row per customer out.

Every door (Python, batch, MLflow) comes through `forecast_rows`.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..errors import ConfigError
from ..features import windows
from ..features.orders import Orders
from ..features.reading import as_orders
from ..features.table import feature_rows
from .evidence import describe
from .model import Model
from .segmenting import segment_columns

__all__ = ["FORECAST_SCHEMA", "forecast_rows", "score"]

FORECAST_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("cutoff", pa.timestamp("us")),
        ("model_version", pa.string()),
        ("n_orders", pa.int32()),
        ("days_since_last_order", pa.int32()),
        ("tenure_days", pa.int32()),
        ("churn_probability", pa.float64()),
        ("expected_orders", pa.float64()),
        ("expected_spend", pa.float64()),
        ("expected_spend_lower", pa.float64()),
        ("expected_spend_upper", pa.float64()),
        ("clv", pa.float64()),
        ("clv_lower", pa.float64()),
        ("clv_upper", pa.float64()),
        ("expected_next_order_at", pa.timestamp("us")),
        ("rfm_segment", pa.string()),
        ("tier", pa.string()),
        ("risk", pa.string()),
        ("evidence", pa.string()),
        ("next_order_from", pa.timestamp("us")),
        ("next_order_until", pa.timestamp("us")),
        # what `total` adds up: one customer's own spread, and the shocks all customers share
        ("spend_deviation", pa.float64()),
        ("clv_deviation", pa.float64()),
        ("spend_shock", pa.float64()),
        ("clv_shock", pa.float64()),
    ]
)


def score(
    model: Model,
    orders: Orders | pd.DataFrame | pa.Table | str | Path,
    cutoff: windows.Instant | None = None,
) -> pd.DataFrame:
    """Forecast every customer with an order before the cutoff: a DataFrame, a row each, by customer_id.

    `orders` are `Orders`, a table of order lines or a path to them, with the columns the model's mapping
    knows or our own names. Without a cutoff it is the midnight after the newest line. Money is in the shop's
    currency. Warns (`UserWarning`) when the orders end more than a week before the cutoff; raises
    `OrdersError` for orders the model cannot read, `ConfigError` for a cutoff out of range.
    """
    if not isinstance(model, Model):
        raise ConfigError(
            f"a model comes from clvcast.load_model or clvcast.train, got {type(model).__name__}"
        )
    orders = as_orders(orders, model.orders)
    instant = windows.default_cutoff(orders) if cutoff is None else windows.as_instant(cutoff)
    concern = windows.check_cutoff(orders, instant, model.numbers.horizon_days)
    if concern:
        warnings.warn(concern, UserWarning, stacklevel=2)
    return pd.DataFrame(forecast_rows(model, orders, instant).to_pandas())


def forecast_rows(model: Model, orders: Orders, cutoff: int) -> pa.Table:
    """Forecast at an instant: a table of `FORECAST_SCHEMA`."""
    known = windows.observed(model.usable_columns(orders), cutoff)
    rows = feature_rows(known, np.array([cutoff], dtype=np.int64))
    predictions = model.predict(rows)
    numbers = model.numbers
    evidence = describe(
        rows.whole[:, 0],
        short_history=numbers.short_history,
        later_unseen=model.periods > numbers.later.realised_periods,
        btyd_only=not model.trees,
    )
    columns = [
        known.customer_ids.take(pa.array(rows.customer_index)),
        pa.array(np.full(rows.n_rows, cutoff), pa.timestamp("us")),
        pa.repeat(model.version, rows.n_rows),
        *(pa.array(rows.whole[:, i]) for i in range(3)),
        pa.array(predictions.churn_probability),
        pa.array(predictions.expected_orders),
        pa.array(predictions.expected_spend),
        pa.array(predictions.spend_band.lower),
        pa.array(predictions.spend_band.upper),
        pa.array(predictions.clv),
        pa.array(predictions.clv_band.lower),
        pa.array(predictions.clv_band.upper),
        _dates(cutoff, predictions.next_order.days),
        *segment_columns(model, known, rows, predictions),
        pa.array(evidence, pa.string()),
        _dates(cutoff, predictions.next_order.earliest),
        _dates(cutoff, predictions.next_order.latest),
        pa.array(predictions.spend_band.deviation),
        pa.array(predictions.clv_band.deviation),
        pa.repeat(numbers.intervals.spend_shock, rows.n_rows),
        pa.repeat(numbers.intervals.clv_shock, rows.n_rows),
    ]
    return pa.Table.from_arrays(columns, schema=FORECAST_SCHEMA)


def _dates(cutoff: int, days: npt.NDArray[np.float64]) -> pa.Array:
    """Dates some days after the cutoff, to the day; null where NaN."""
    none = np.isnan(days)
    instants = windows.days_after(cutoff, np.where(none, 0.0, days))
    return pa.array(instants, pa.timestamp("us"), mask=none)
