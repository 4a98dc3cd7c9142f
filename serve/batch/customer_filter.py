"""Selection of customers: ids from a file, and the orders of those customers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...errors import OrdersError
from ...orders.orders import Orders
from ...orders.plain_files import refuse_special_file
from ...orders.reading.customer_ids import CustomerIdRules
from ...orders.reading.order_records import clean_id

__all__ = ["read_ids", "select_customers"]


def select_customers(orders: Orders, selection: set[str]) -> Orders:
    """The orders of the selected customers."""
    keep = pc.is_in(orders.customer_ids, pa.array(sorted(selection), pa.string()))
    return orders.keep_customers(np.asarray(keep.to_numpy(zero_copy_only=False), dtype=np.bool_))


def read_ids(path: Path, rules: CustomerIdRules) -> set[str]:
    """Customer ids from a column customer_id of a .parquet file, or from lines of a text file.

    `rules` clean them as those of the orders.
    """
    try:
        if path.suffix.lower() == ".parquet":
            column = pq.read_table(path, columns=["customer_id"])["customer_id"]
            cells = column.cast(pa.string()).drop_null().to_pylist()
        else:
            refuse_special_file(path)
            cells = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, pa.ArrowException, KeyError):
        raise OrdersError(
            f"the customers of {path} cannot be read; give one id per line, or a .parquet file "
            "with a column customer_id"
        ) from None
    named = sorted({clean_id(cell) for cell in cells} - {"", "customer_id"})
    ids = set(rules.clean(pa.array(named, pa.string())).drop_null().to_pylist())
    if not ids:
        raise OrdersError(f"{path} must hold one customer id per line, got none")
    return ids
