"""Samples of whole customers by a hash of their ids: the same whoever else is there."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from ..orders import windows
from ..orders.columns import Int64
from ..orders.cutoffs import choose_training_cutoffs
from ..orders.orders import Orders

__all__ = ["count_training_rows", "hash_customer_ids", "limit_training_rows", "sample_customers"]


def hash_customer_ids(customer_ids: pa.StringArray, key: bytes, n_bytes: int = 4) -> Int64:
    """A number below 256**n_bytes per customer; samples of different keys are independent."""
    digests = [
        hashlib.blake2b(name.encode(), digest_size=n_bytes, key=key).digest()
        for name in customer_ids.to_pylist()
    ]
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.int64)


def sample_customers(orders: Orders, most: int, key: bytes) -> Orders:
    """The orders of about `most` customers; all where there are no more."""
    if orders.n_customers <= most:
        return orders
    limit = int(2**32 * most / orders.n_customers)
    return orders.keep_customers(hash_customer_ids(orders.customer_ids, key) < limit)


def count_training_rows(orders: Orders, horizon_days: int, end: int) -> int:
    """How many feature rows training before `end` learns from: of each customer, one per cutoff."""
    first = windows.find_first_order_at(orders)
    instants = choose_training_cutoffs(first, end, horizon_days).instants
    newest = windows.find_newest_before(orders.times, orders.starts, instants)
    return int(np.count_nonzero(newest >= 0))


def limit_training_rows(orders: Orders, horizon_days: int, end: int, most: int) -> Orders:
    """The orders before `end` of as many customers as give about `most` feature rows; all if they
    give less.
    """
    orders = windows.slice_observed(orders, end)  # who comes later must not decide who is drawn
    n_rows = max(count_training_rows(orders, horizon_days, end), 1)
    return sample_customers(orders, orders.n_customers * most // n_rows, b"clvcast rows")
