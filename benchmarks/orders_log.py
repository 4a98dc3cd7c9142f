"""A seeded log of order lines, as large as asked: streamed to parquet, sorted by time.

Customers order by a gamma-Poisson process with dropout (about ten lines each over two years);
amounts are lognormal, 20 categories, 5 channels, 2 % of the orders come back.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

FIRST = np.datetime64("2022-01-01", "us").astype(np.int64)
DAY = 86_400_000_000
DAYS = 730
LINES_PER_ORDER = 2.5
_BLOCK_LINES = 1_000_000
_SCHEMA = pa.schema(
    [
        ("customer_id", pa.int64()),
        ("ordered_at", pa.timestamp("us")),
        ("amount", pa.float64()),
        ("order_id", pa.int64()),
        ("category", pa.dictionary(pa.int8(), pa.string())),
        ("channel", pa.dictionary(pa.int8(), pa.string())),
        ("quantity", pa.int32()),
    ]
)
_CATEGORIES = pa.array([f"category {k:02d}" for k in range(20)])
_CHANNELS = pa.array([f"channel {k}" for k in range(5)])


def write_log(path: Path, lines: int, seed: int = 0, customers: int | None = None) -> int:
    """Write about `lines` order lines to `path`; returns how many. Memory grows with customers
    only.

    Of `customers` (a tenth of the lines) some third never orders.
    """
    random = np.random.default_rng(seed)
    customers = customers or lines // 10
    begin = random.uniform(0.0, DAYS * 0.95, customers).astype(np.float32)
    end = np.minimum(begin + random.exponential(400.0, customers), DAYS).astype(np.float32)
    rate = random.gamma(0.8, 1.0, customers).astype(np.float32)
    rate *= lines / LINES_PER_ORDER / float((rate * (end - begin)).sum())
    level = random.lognormal(2.5, 0.7, customers).astype(np.float32)
    blocks = max(1, lines // _BLOCK_LINES)
    edges = np.linspace(0.0, DAYS, blocks + 1)
    written = order_id = 0
    with pa.parquet.ParquetWriter(path, _SCHEMA, compression="snappy") as writer:
        for low, high in pairwise(edges):
            since, until = np.maximum(begin, low), np.minimum(end, high)
            orders = random.poisson(rate * np.maximum(until - since, 0.0))
            who = np.repeat(np.arange(customers), orders)
            day = since[who] + random.random(len(who)) * (until[who] - since[who])
            ids = order_id + np.arange(len(who))
            order_id += len(who)
            per_order = 1 + random.poisson(LINES_PER_ORDER - 1.0, len(who))
            returned = random.random(len(who)) < 0.02
            line = np.repeat(np.arange(len(who)), per_order)
            line = line[np.argsort(day[line], kind="stable")]
            price = level[who[line]] * random.lognormal(0.0, 0.5, len(line))
            cents = np.maximum(np.rint(price * 100.0), 1.0)
            amount = np.where(returned[line], -cents, cents) / 100.0
            customer = who[line]
            columns = [
                pa.array(customer + 10_000_000),
                pa.array((FIRST + day[line] * DAY).astype(np.int64), pa.timestamp("us")),
                pa.array(amount),
                pa.array(ids[line]),
                _labels((customer * 7 + random.integers(0, 6, len(line))) % 20, _CATEGORIES),
                _labels((customer + (random.random(len(line)) < 0.2)) % 5, _CHANNELS),
                pa.array(random.integers(1, 6, len(line)).astype(np.int32)),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
            written += len(line)
    return written


def _labels(codes: np.ndarray, labels: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), labels)
