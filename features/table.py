"""The feature table: orders and cutoffs in, one row per customer and cutoff out.

Training, batch, one customer and every other door come through `feature_rows`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..errors import ConfigError
from . import windows
from .catalogue import GROUPS, TRAILING_DAYS, catalogue_for
from .kernel import N_WHOLE, sweep
from .orders import Int32, Int64, Orders

__all__ = ["FeatureRows", "build_features", "feature_rows"]

Float32 = npt.NDArray[np.float32]
_BLOCK = 16_384  # customers a thread takes at a time
_NO_CODES = np.empty(0, dtype=np.int32)
_NO_NUMBERS = np.empty(0, dtype=np.float64)


@dataclass(frozen=True)
class FeatureRows:
    """Feature rows sorted by (cutoff, customer); customers without an order yet have none."""

    names: tuple[str, ...]
    customer_ids: pa.StringArray  # the customers of the orders the rows were made from
    cutoff_index: Int64  # n_rows; into the cutoffs asked for
    customer_index: Int64  # n_rows; into customer_ids
    values: Float32  # n_rows x n_features
    whole: Int32  # n_rows x 3: n_orders, whole days since the last order, whole days of tenure

    @property
    def n_rows(self) -> int:
        """Rows."""
        return len(self.cutoff_index)

    def columns(self, names: Sequence[str]) -> Float32:
        """Some features, in the order of `names`: float32, n_rows x len(names)."""
        return self.values[:, [self.names.index(name) for name in names]]

    def where(self, keep: npt.NDArray[np.bool_]) -> FeatureRows:
        """Some rows."""
        return FeatureRows(
            self.names,
            self.customer_ids,
            self.cutoff_index[keep],
            self.customer_index[keep],
            self.values[keep],
            self.whole[keep],
        )


def feature_rows(orders: Orders, cutoffs: Int64) -> FeatureRows:
    """Compute all features of `orders` at ascending `cutoffs` (microseconds)."""
    names = tuple(feature.name for feature in catalogue_for(orders.optional_columns))
    shape = (len(cutoffs), orders.n_customers)
    out = np.empty((*shape, len(names)), dtype=np.float32)
    whole = np.zeros((*shape, N_WHOLE), dtype=np.int32)
    instants, slots = _instants(cutoffs)
    columns = _first_columns(orders)
    codes = [
        orders.texts[name].codes if name in orders.texts else _NO_CODES
        for name in ("order_id", "product_id", "category", "channel")
    ]
    n_labels = np.array([int(c.max(initial=-1)) + 1 for c in codes])
    numbers = [orders.numbers.get(name, _NO_NUMBERS) for name in ("quantity", "discount", "cost")]

    def fill(low: int) -> None:
        high = min(low + _BLOCK, orders.n_customers)
        starts = orders.starts[low : high + 1]
        reach = windows.positions(orders.times, starts, instants)
        sweep(
            starts, orders.times, orders.amounts, *codes, *numbers, n_labels, orders.unit,
            reach, slots, cutoffs, columns, out[:, low:high], whole[:, low:high],
        )  # fmt: skip

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, orders.n_customers, _BLOCK)))
    present = whole[:, :, 0] > 0
    cutoff_index, customer_index = np.nonzero(present)
    return FeatureRows(
        names, orders.customer_ids, cutoff_index, customer_index, out[present], whole[present]
    )


def build_features(orders: Orders, cutoffs: Sequence[windows.Instant]) -> pd.DataFrame:
    """A DataFrame with a row per customer and cutoff: customer_id, cutoff, then the features.

    Nothing at or after a cutoff touches its rows. Features are float32, named in docs/features.md.
    Raises `ConfigError` for a cutoff that is no date, or stands twice.
    """
    instants = np.array([windows.as_instant(cutoff) for cutoff in cutoffs], dtype=np.int64)
    if len(set(instants.tolist())) < len(instants) or not len(instants):
        raise ConfigError(f"cutoffs must be one or more different dates, got {list(cutoffs)!r}")
    instants.sort()
    rows = feature_rows(orders, instants)
    table = pd.DataFrame(rows.values, columns=list(rows.names), copy=False)
    ids = orders.customer_ids.take(pa.array(rows.customer_index))
    table.insert(0, "customer_id", ids.to_pandas())
    table.insert(1, "cutoff", instants.view("datetime64[us]")[rows.cutoff_index])
    return table


def _instants(cutoffs: Int64) -> tuple[Int64, Int64]:
    """The instants features need, ascending, and where each cutoff's stand among them.

    `slots[j, 0]` is cutoff j itself, `slots[j, 1 + w]` the start of its trailing window w.
    """
    back = np.array((0, *TRAILING_DAYS), dtype=np.int64) * windows.DAY
    instants, slots = np.unique(cutoffs[:, None] - back, return_inverse=True)
    return instants, slots.reshape(len(cutoffs), len(back))


def _first_columns(orders: Orders) -> Int64:
    """Per group its first column in the table, -1 where the orders lack what it needs."""
    columns, following = [], 0
    for group in GROUPS:
        if group.needs is None or group.needs in orders.optional_columns:
            columns.append(following)
            following += len(group.features)
        else:
            columns.append(-1)
    return np.array(columns, dtype=np.int64)
