"""Only some customers: ids from a file, and the orders of those they name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...errors import OrdersError
from ...orders.orders import Orders
from ...orders.reading.order_records import clean_id

__all__ = ["read_ids", "select_customers"]


def select_customers(orders: Orders, wanted: set[str]) -> Orders:
    """The orders of the wanted customers."""
    kept = pc.is_in(orders.customer_ids, pa.array(sorted(wanted), pa.string()))
    return orders.keep_customers(np.asarray(kept.to_numpy(zero_copy_only=False), dtype=np.bool_))


def read_ids(path: Path) -> set[str]:
    """Customer ids from a column customer_id of a .parquet file, or one a line of text."""
    try:
        if path.suffix.lower() == ".parquet":
            column = pq.read_table(path, columns=["customer_id"])["customer_id"]
            cells = column.cast(pa.string()).drop_null().to_pylist()
        else:
            cells = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, pa.ArrowException, KeyError):
        raise OrdersError(
            f"the customers of {path} cannot be read: one id a line, or a .parquet file with a "
            "column customer_id"
        ) from None
    ids = {clean_id(cell) for cell in cells} - {"", "customer_id"}
    if not ids:
        raise OrdersError(f"{path} must name a customer a line, got none")
    return ids
