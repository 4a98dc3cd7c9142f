"""The feature table: orders and cutoffs in, one row per customer and cutoff out.

Training, batch, one customer and every other door come through `compute_feature_rows`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..errors import ConfigError
from ..orders import dates, windows
from ..orders.columns import Float32, Int32, Int64, Mask
from ..orders.extra_features import ExtraFunction
from ..orders.orders import Orders
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from .attribute_features import build_attribute_columns, build_attribute_labels
from .calendar_features import build_event_columns
from .catalogue import GROUPS, TRAILING_DAYS, select_features
from .extra_features import attach_extra_features, build_extra_columns
from .kernel.sweep import GROUP_ORDER, N_WHOLE, Sweep

__all__ = ["FeatureRows", "build_features", "compute_feature_rows", "iterate_feature_blocks"]

_BLOCK_ROWS = 16_384  # what a thread makes at a time, at most; they stay in its cache


@dataclass(frozen=True)
class FeatureRows:
    """Feature rows; a customer without an order before a cutoff has none there."""

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
        return self.values[:, _places(self.names, tuple(names))]

    def where(self, keep: Mask) -> FeatureRows:
        """Some rows."""
        return FeatureRows(
            self.names,
            self.customer_ids,
            self.cutoff_index[keep],
            self.customer_index[keep],
            self.values[keep],
            self.whole[keep],
        )


def compute_feature_rows(
    orders: Orders, cutoffs: Int64, groups: tuple[str, ...] | None = None
) -> FeatureRows:
    """Compute features of `orders` at ascending `cutoffs` (microseconds), by (cutoff, customer).

    All of the catalogue that the orders have columns for, or those of some `groups` of it; then
    those of the orders' attributes, of their extra features and of their calendar.
    """
    rows = _of_blocks(orders, cutoffs, groups)
    for is_there, build in (
        (orders.attributes is not None, build_attribute_columns),
        (orders.extra is not None, build_extra_columns),
        (orders.calendar is not None, build_event_columns),
    ):
        if is_there:
            names, values = build(orders, cutoffs, rows.cutoff_index, rows.customer_index)
            columns = np.hstack([rows.values, values])
            rows = replace(rows, names=(*rows.names, *names), values=columns)
    return rows


def _of_blocks(orders: Orders, cutoffs: Int64, groups: tuple[str, ...] | None) -> FeatureRows:
    blocks = list(iterate_feature_blocks(orders, cutoffs, groups))
    if len(blocks) == 1 and len(cutoffs) == 1:
        return blocks[0]
    # blocks go customer by customer; rows are wanted cutoff by cutoff
    order = np.argsort(np.concatenate([block.cutoff_index for block in blocks]), kind="stable")

    def concatenate(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(block, name) for block in blocks])[order]

    return FeatureRows(
        blocks[0].names,
        orders.customer_ids,
        concatenate("cutoff_index"),
        concatenate("customer_index"),
        concatenate("values"),
        concatenate("whole"),
    )


def iterate_feature_blocks(
    orders: Orders, cutoffs: Int64, groups: tuple[str, ...] | None = None
) -> Iterator[FeatureRows]:
    """The rows of `compute_feature_rows` in bounded memory: block by block of customers."""
    names = _names(orders.optional_columns, groups)
    instants, slots = _instants(cutoffs)
    sweep = Sweep(orders, cutoffs, slots, _first_columns(orders, groups))
    block = max(1, _BLOCK_ROWS // max(1, len(cutoffs)))  # customers

    def fill(low: int) -> FeatureRows:
        high = min(low + block, orders.n_customers)
        starts = orders.starts[low : high + 1]
        reach = windows.find_positions(orders.times, starts, instants)
        most = len(cutoffs) * (high - low)
        out = np.empty((most, len(names)), dtype=np.float32)
        integers = np.empty((most, N_WHOLE), dtype=np.int32)
        n_rows = sweep.rows(starts, reach, out, integers)
        return FeatureRows(
            names,
            orders.customer_ids,
            integers[:n_rows, 3].astype(np.int64),
            integers[:n_rows, 4].astype(np.int64) + low,
            out[:n_rows],
            integers[:n_rows, :3],
        )

    if orders.n_customers <= block:  # one customer is not worth a thread
        yield fill(0)
        return
    threads = os.cpu_count() or 1
    starts = range(0, orders.n_customers, block)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(fill, low) for low in starts[: 2 * threads])
        for low in starts[2 * threads :]:
            yield waiting.popleft().result()
            waiting.append(pool.submit(fill, low))
        while waiting:
            yield waiting.popleft().result()


def build_features(
    orders: OrdersSource,
    cutoffs: Sequence[dates.Instant],
    groups: Collection[str] | None = None,
    *,
    extra_features: ExtraFunction | None = None,
) -> pd.DataFrame:
    """Compute the features: one row per customer and cutoff.

    Orders at or after a cutoff do not change its rows.

    Parameters
    ----------
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders, a table of order lines, or where to read them.
    cutoffs : sequence of str, date or datetime
        The first instants that are not observed.
    groups : collection of str, optional
        Groups of features to compute, the headings of docs/features.md; all by default.
    extra_features : callable, optional
        Your own features: a function of (orders, cutoff), called once per cutoff with the order
        lines before it, that returns a DataFrame of numbers indexed by customer_id. A row must
        depend on that customer's lines alone; `clvcast.check(audit=True)` tests it.

    Returns
    -------
    DataFrame
        customer_id, cutoff, then the features as float32, named in docs/features.md, then your own.

    Raises
    ------
    ConfigError
        If a cutoff is no date, a group does not exist, or `extra_features` breaks a rule.
    OrdersError
        If the orders cannot be read.

    """
    orders = attach_extra_features(coerce_orders(orders), extra_features)
    instants = np.array(dates.parse_instants(cutoffs), dtype=np.int64)
    rows = compute_feature_rows(orders, instants, None if groups is None else _checked(groups))
    table = pd.DataFrame(rows.values, columns=list(rows.names), copy=False)
    ids = orders.customer_ids.take(pa.array(rows.customer_index))
    table.insert(0, "customer_id", ids.to_pandas())
    table.insert(1, "cutoff", instants.view("datetime64[us]")[rows.cutoff_index])
    labels = build_attribute_labels(orders, instants, rows.cutoff_index, rows.customer_index)
    for name, text in labels.items():
        table[name] = text.to_pandas()
    return table


def _checked(groups: Collection[str]) -> tuple[str, ...]:
    """The groups asked for, refused where the catalogue has no such."""
    group_names = [group.name for group in GROUPS]
    chosen_groups = (groups,) if isinstance(groups, str) else tuple(groups)
    for name in chosen_groups:
        if name not in group_names:
            raise ConfigError(f"groups are among {', '.join(group_names)}; got {name!r}")
    return chosen_groups


@lru_cache(maxsize=16)
def _names(
    optional_columns: tuple[str, ...], groups: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    return tuple(feature.name for feature in select_features(optional_columns, groups))


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...], wanted: tuple[str, ...]) -> Int64:
    return np.array([names.index(name) for name in wanted], dtype=np.int64)


def _instants(cutoffs: Int64) -> tuple[Int64, Int64]:
    """The instants features need, ascending, and where each cutoff's stand among them.

    `slots[j, 0]` is cutoff j itself, `slots[j, 1 + w]` the start of its trailing window w.
    """
    back = np.array((0, *TRAILING_DAYS), dtype=np.int64) * dates.DAY
    if len(cutoffs) == 1:  # ascending as they are: no need to sort, which one customer would notice
        places = np.arange(len(back) - 1, -1, -1)
        return np.ascontiguousarray((cutoffs - back)[::-1]), places[None, :]
    instants, slots = np.unique(cutoffs[:, None] - back, return_inverse=True)
    return instants, slots.reshape(len(cutoffs), len(back))


def _first_columns(orders: Orders, groups: tuple[str, ...] | None = None) -> Int64:
    """Per group of the kernel its first column in the table, -1 where it is off."""
    columns, following = {}, 0
    for group in GROUPS:
        is_on = groups is None or group.name in groups
        is_on &= group.needs is None or group.needs in orders.optional_columns
        columns[group.name] = following if is_on else -1
        following += len(group.features) if is_on else 0
    return np.array([columns[name] for name in GROUP_ORDER], dtype=np.int64)
