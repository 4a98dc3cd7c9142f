"""The feature table: orders and cutoffs in, one row per customer and cutoff out.

Training, batch, one customer and every other door come through `compute_feature_rows`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..orders import dates, windows
from ..orders.columns import Float32, Int32, Int64, Mask
from ..orders.orders import Orders
from .attribute_features import build_attribute_columns
from .calendar_features import build_event_columns
from .catalogue import GROUPS, TRAILING_DAYS, select_features
from .extra_features import build_extra_columns
from .kernel.sweep import GROUP_ORDER, N_WHOLE, Sweep

__all__ = ["FeatureRows", "compute_feature_rows", "iterate_feature_blocks"]

_Result = TypeVar("_Result")
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
        return self.values[:, _find_places(self.names, tuple(names))]

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
    rows = _compute_sorted(orders, cutoffs, groups)
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


def _compute_sorted(orders: Orders, cutoffs: Int64, groups: tuple[str, ...] | None) -> FeatureRows:
    """The kernel's rows. A block has them customer by customer, the table cutoff by cutoff: each
    goes to its place at once, because where a cutoff's rows begin is known before the sweep.
    """
    blocks = _BlockSweep(orders, cutoffs, groups)
    if len(cutoffs) == 1 and len(blocks.lows) == 1:
        return blocks.sweep(0)
    # a customer without a line has no row; one with returns alone has none either, and leaves a gap
    room = windows.count_customers_seen(orders, cutoffs, blocks.lows)
    ends = np.cumsum(room.T).reshape(room.T.shape)
    begins, counts = ends - room.T, np.zeros_like(ends)  # n_cutoffs x n_blocks
    most = int(room.sum())
    values = np.empty((most, len(blocks.names)), dtype=np.float32)
    whole = np.empty((most, 3), dtype=np.int32)
    customer_index = np.empty(most, dtype=np.int64)

    def write_rows(k: int) -> None:
        block = blocks.sweep(k)
        for j in range(len(cutoffs)):
            rows = np.flatnonzero(block.cutoff_index == j)
            to = slice(begins[j, k], begins[j, k] + len(rows))
            np.take(block.values, rows, axis=0, out=values[to], mode="clip")  # "raise" copies twice
            whole[to], customer_index[to] = block.whole[rows], block.customer_index[rows]
            counts[j, k] = len(rows)

    for _ in _run_in_threads(write_rows, len(blocks.lows)):
        pass
    if counts.sum() < most:
        for table in (values, whole, customer_index):
            _close_gaps(table, begins.ravel(), counts.ravel())
    n_rows = counts.sum()
    return FeatureRows(
        blocks.names,
        orders.customer_ids,
        np.repeat(np.arange(len(cutoffs)), counts.sum(axis=1)),
        customer_index[:n_rows],
        values[:n_rows],
        whole[:n_rows],
    )


def _close_gaps(table: npt.NDArray[Any], begins: Int64, counts: Int64) -> None:
    """Move runs of rows to the front, in place and in their order."""
    to = 0
    for begin, count in zip(begins.tolist(), counts.tolist(), strict=True):
        if to < begin:
            table[to : to + count] = table[begin : begin + count]
        to += count


def iterate_feature_blocks(
    orders: Orders, cutoffs: Int64, groups: tuple[str, ...] | None = None
) -> Iterator[FeatureRows]:
    """The kernel's rows in bounded memory: block by block of customers, customer by customer."""
    blocks = _BlockSweep(orders, cutoffs, groups)
    yield from _run_in_threads(blocks.sweep, len(blocks.lows))


class _BlockSweep:
    """Orders, cutoffs and groups, and the first customer of each block that is swept at a time."""

    def __init__(self, orders: Orders, cutoffs: Int64, groups: tuple[str, ...] | None) -> None:
        self.names = _list_names(orders.optional_columns, groups)
        self._orders, self._n_cutoffs = orders, len(cutoffs)
        self._instants, slots = _sort_instants(cutoffs)
        self._sweep = Sweep(orders, cutoffs, slots, _find_first_columns(orders, groups))
        self._block = max(1, _BLOCK_ROWS // max(1, len(cutoffs)))  # customers
        self.lows = range(0, max(orders.n_customers, 1), self._block)

    def sweep(self, k: int) -> FeatureRows:
        """The rows of one block, customer by customer."""
        orders, low = self._orders, self.lows[k]
        high = min(low + self._block, orders.n_customers)
        starts = orders.starts[low : high + 1]
        reach = windows.find_positions(orders.times, starts, self._instants)
        most = self._n_cutoffs * (high - low)
        out = np.empty((most, len(self.names)), dtype=np.float32)
        integers = np.empty((most, N_WHOLE), dtype=np.int32)
        n_rows = self._sweep.rows(starts, reach, out, integers)
        return FeatureRows(
            self.names,
            orders.customer_ids,
            integers[:n_rows, 3].astype(np.int64),
            integers[:n_rows, 4].astype(np.int64) + low,
            out[:n_rows],
            integers[:n_rows, :3],
        )


def _run_in_threads(work: Callable[[int], _Result], count: int) -> Iterator[_Result]:
    """What `work` returns for 0, 1, ..., in this order; few results wait at a time."""
    if count == 1:  # one customer is not worth a thread
        yield work(0)
        return
    import joblib  # not loaded for one customer

    threads = joblib.cpu_count()  # those this process may use, not all of the machine
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(work, k) for k in range(min(2 * threads, count)))
        for k in range(2 * threads, count):
            yield waiting.popleft().result()
            waiting.append(pool.submit(work, k))
        while waiting:
            yield waiting.popleft().result()


@lru_cache(maxsize=16)
def _list_names(
    optional_columns: tuple[str, ...], groups: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    return tuple(feature.name for feature in select_features(optional_columns, groups))


@lru_cache(maxsize=64)
def _find_places(names: tuple[str, ...], wanted: tuple[str, ...]) -> Int64:
    return np.array([names.index(name) for name in wanted], dtype=np.int64)


def _sort_instants(cutoffs: Int64) -> tuple[Int64, Int64]:
    """The instants features need, ascending, and where each cutoff's stand among them.

    `slots[j, 0]` is cutoff j itself, `slots[j, 1 + w]` the start of its trailing window w.
    """
    back = np.array((0, *TRAILING_DAYS), dtype=np.int64) * dates.DAY
    if len(cutoffs) == 1:  # ascending as they are: no need to sort, which one customer would notice
        places = np.arange(len(back) - 1, -1, -1)
        return np.ascontiguousarray((cutoffs - back)[::-1]), places[None, :]
    instants, slots = np.unique(cutoffs[:, None] - back, return_inverse=True)
    return instants, slots.reshape(len(cutoffs), len(back))


def _find_first_columns(orders: Orders, groups: tuple[str, ...] | None = None) -> Int64:
    """Per group of the kernel its first column in the table, -1 where it is off."""
    columns, following = {}, 0
    for group in GROUPS:
        is_on = groups is None or group.name in groups
        is_on &= group.needs is None or group.needs in orders.optional_columns
        columns[group.name] = following if is_on else -1
        following += len(group.features) if is_on else 0
    return np.array([columns[name] for name in GROUP_ORDER], dtype=np.int64)
