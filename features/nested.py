"""Nested orders: one row per customer with its orders inside, the input of MLflow and Spark.

A frame of order lines would be cut across batches in the middle of a customer; a row that carries
all of a customer's orders cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..configs.schema import OPTIONAL_COLUMNS, OrdersConfig
from ..errors import OrdersError
from . import windows
from .orders import Orders
from .reading import orders_from_table

__all__ = ["nest", "unnest"]

_OWN_COLUMNS = ("customer_id", "cutoff", "orders")


def nest(orders: Orders, cutoff: windows.Instant) -> pd.DataFrame:
    """One row per customer known before the cutoff: customer_id, cutoff and orders.

    `cutoff` is ISO text; `orders` a list of dictionaries, one per line: ordered_at as ISO text,
    amount in the shop's currency, and the optional columns the orders have.
    """
    instant = windows.as_instant(cutoff)
    known = windows.observed(orders, instant)
    times = np.datetime_as_string(known.times.view("datetime64[us]"), unit="us")
    columns: dict[str, Sequence[Any]] = {
        "ordered_at": times.tolist(),
        "amount": (known.amounts / known.unit).tolist(),
    }
    for name, text in known.texts.items():
        columns[name] = text.to_text().to_pylist()
    for name, values in known.numbers.items():
        columns[name] = [None if np.isnan(value) else float(value) for value in values]
    lines = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    starts = known.starts.tolist()
    return pd.DataFrame(
        {
            "customer_id": known.customer_ids.to_pylist(),
            "cutoff": windows.iso(instant),
            "orders": [lines[low:high] for low, high in pairwise(starts)],
        }
    )


def unnest(rows: pd.DataFrame, config: OrdersConfig) -> list[tuple[int, Orders, list[int]]]:
    """Nested rows -> per cutoff: the instant, its orders, and which rows of the input they are.

    The k-th of the positions is the input row of the k-th customer by customer_id. Raises
    `OrdersError` for rows that are no nested orders, name a customer twice, or hold no orders.
    """
    missing = [name for name in _OWN_COLUMNS if name not in rows.columns]
    if missing:
        raise OrdersError(
            f"a nested row has the columns {', '.join(_OWN_COLUMNS)}, got {', '.join(rows.columns)}; "
            "clvcast.nest(orders, cutoff) makes them"
        )
    by_cutoff: dict[int, dict[str, int]] = {}
    tables: dict[int, list[dict[str, Any]]] = {}
    for position, (customer_id, cutoff, lines) in enumerate(
        zip(rows["customer_id"], rows["cutoff"], rows["orders"], strict=True)
    ):
        if not isinstance(customer_id, str) or not customer_id:
            raise OrdersError(f"customer_id must be text, got {customer_id!r} in row {position}")
        instant = windows.as_instant(cutoff)
        if customer_id in by_cutoff.setdefault(instant, {}):
            raise OrdersError(f"row {position} repeats an earlier row's customer and cutoff")
        by_cutoff[instant][customer_id] = position
        table = tables.setdefault(instant, [])
        table += (_line(line, customer_id, position) for line in lines)
    plain = config.model_copy(update={"columns": {}, "max_rejected_share": 0.0})
    groups = []
    for instant, positions in by_cutoff.items():
        if not tables[instant]:
            raise OrdersError(f"row {min(positions.values())} holds no orders; leave it out")
        names = ["customer_id", *dict.fromkeys(key for line in tables[instant] for key in line)]
        columns = {name: [line.get(name) for line in tables[instant]] for name in names}
        orders = orders_from_table(pa.table(columns), plain)
        groups.append((instant, orders, [positions[i] for i in sorted(positions)]))
    return groups


def _line(line: Mapping[str, Any], customer_id: str, position: int) -> dict[str, Any]:
    allowed = ("ordered_at", "amount", *OPTIONAL_COLUMNS)
    unknown = [name for name in line if name not in allowed]
    if unknown:
        raise OrdersError(f"unknown field {unknown[0]!r} in the orders of row {position}")
    return {"customer_id": customer_id, **line}
