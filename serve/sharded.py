"""Forecasts of orders that come in shards: the same rows as of all orders at once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ..features import windows
from ..features.shards import Shards
from .model import Model
from .scorer import FORECAST_SCHEMA, forecast_rows

__all__ = ["forecast_shards"]


def forecast_shards(model: Model, shards: Shards, cutoff: int) -> tuple[pa.Table, pa.StringArray]:
    """Forecasts at an instant, and the customers who had no order before it; both sorted by customer."""
    tables, without = [FORECAST_SCHEMA.empty_table()], []
    for orders in shards:
        ids = orders.customer_ids
        if windows.is_before(orders.times, cutoff).any():
            forecasts = forecast_rows(model, orders, cutoff)
            tables.append(forecasts)
            ids = ids.filter(pc.invert(pc.is_in(ids, forecasts["customer_id"].combine_chunks())))
        without.append(ids)
    forecasts = pa.concat_tables(tables).combine_chunks()
    others = pa.concat_arrays(without)
    if shards.count > 1:
        forecasts = forecasts.take(pc.array_sort_indices(forecasts["customer_id"].combine_chunks()))
        others = others.take(pc.array_sort_indices(others))
    return forecasts, others
