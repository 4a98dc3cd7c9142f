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

from ...configs.schema import OPTIONAL_COLUMNS, CustomersConfig, OrdersConfig
from ...errors import OrdersError
from .. import dates, windows
from ..attribute_values import format_attributes
from ..orders import Orders
from .attribute_records import attach_attribute_records
from .customer_attributes import infer_customers_config, join_customers
from .label_encoding import encode_ids
from .read_orders import read_table

__all__ = ["nest", "unnest"]

_OWN_COLUMNS = ("customer_id", "cutoff", "orders")


def nest(
    orders: Orders,
    cutoff: dates.Instant,
    customers: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Build one row per customer, with the order lines before the cutoff inside it.

    Parameters
    ----------
    orders : Orders
        Order histories, as `clvcast.read_orders` returns them.
    cutoff : str, date or datetime
        The first instant that is not observed.
    customers : DataFrame, optional
        Facts about the customers: customer_id, a column each, and valid_from if they are dated.

    Returns
    -------
    DataFrame
        customer_id, cutoff (ISO text) and orders: a list of one dictionary per line, with
        ordered_at as ISO text, amount in the shop's currency, and the optional columns. Where
        facts are known, `attributes` holds those of the cutoff: text, numbers, dates as ISO text.

    """
    instant = dates.parse_instant(cutoff)
    if customers is not None:
        orders = join_customers(orders, customers, infer_customers_config(customers))
    known = windows.slice_observed(orders, instant)
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
    rows = {
        "customer_id": known.customer_ids.to_pylist(),
        "cutoff": dates.format_iso(instant),
        "orders": [lines[low:high] for low, high in pairwise(starts)],
    }
    if known.attributes is not None:
        rows["attributes"] = format_attributes(known.attributes, instant)
    return pd.DataFrame(rows)


def unnest(
    rows: pd.DataFrame, config: OrdersConfig, customers: CustomersConfig | None = None
) -> list[tuple[int, Orders, list[int]]]:
    """Nested rows -> per cutoff: the instant, its orders, and which row of the input each customer
    is.

    Times are ISO text and amounts numbers, whatever the shop's files look like. With `customers`,
    of a model that needs attributes, those of the column `attributes` are joined. Raises
    `OrdersError` for rows that are no nested orders, name a customer twice, or hold no orders.
    """
    missing = [name for name in _OWN_COLUMNS if name not in rows.columns]
    if missing:
        raise OrdersError(
            f"a nested row has the columns {', '.join(_OWN_COLUMNS)}, got "
            f"{', '.join(map(str, rows.columns))}; clvcast.nest(orders, cutoff) makes them"
        )
    positions: dict[int, dict[str, int]] = {}  # cutoff -> customer -> row
    lines: dict[int, list[dict[str, Any]]] = {}
    customer_ids = _customer_ids(rows["customer_id"])
    for position, (customer_id, cutoff, own) in enumerate(
        zip(customer_ids, rows["cutoff"], rows["orders"], strict=True)
    ):
        instant = dates.parse_instant(cutoff)
        if customer_id in positions.setdefault(instant, {}):
            raise OrdersError(f"row {position} repeats an earlier row's customer and cutoff")
        positions[instant][customer_id] = position
        if not isinstance(own, Sequence | np.ndarray) or not len(own):
            raise OrdersError(f"row {position} holds no orders; leave it out")
        lines.setdefault(instant, []).extend(_line(line, customer_id, position) for line in own)
    plain = OrdersConfig(
        timezone=config.timezone,
        currency_decimals=config.currency_decimals,
        max_rejected_share=0.0,
    )
    groups = []
    for instant, own_lines in lines.items():
        names = dict.fromkeys(key for line in own_lines for key in line)
        frame = pd.DataFrame({name: [line.get(name) for line in own_lines] for name in names})
        orders = read_table(frame, plain)
        if customers is not None and "attributes" in rows.columns:
            told = [rows["attributes"].iloc[k] for k in positions[instant].values()]
            orders = attach_attribute_records(
                orders, list(positions[instant]), told, customers, config.timezone
            )
        order = [positions[instant][customer] for customer in orders.customer_ids.to_pylist()]
        groups.append((instant, orders, order))
    return groups


def _customer_ids(column: pd.Series[Any]) -> list[str]:
    """The ids as orders have them, so that rows are found again by them."""
    for position, customer_id in enumerate(column):
        if not isinstance(customer_id, str):
            raise OrdersError(f"customer_id must be text, got {customer_id!r} in row {position}")
    ids, _ = encode_ids(pa.chunked_array([pa.array(column, pa.string())]), nulls_by_name=True)
    if (ids.codes < 0).any():
        position = int(np.argmin(ids.codes))
        raise OrdersError(
            f"customer_id must not be empty, got {column.iloc[position]!r} in row {position}"
        )
    return list(ids.to_text().to_pylist())


def _line(line: object, customer_id: str, position: int) -> dict[str, Any]:
    if not isinstance(line, Mapping):
        raise OrdersError(f"an order line must have named fields, got {line!r} in row {position}")
    allowed = ("ordered_at", "amount", *OPTIONAL_COLUMNS)
    unknown = [name for name in line if name not in allowed]
    if unknown:
        raise OrdersError(f"unknown field {unknown[0]!r} in the orders of row {position}")
    return {"customer_id": customer_id, **line}
