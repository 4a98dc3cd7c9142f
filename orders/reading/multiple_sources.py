"""Several sources joined into one history: what each adds to its lines, and orders that stand in
two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ...configs.schema import SourceConfig
from ..columns import TextColumn
from .cell_parsing import Mask
from .label_encoding import merge_labels
from .validation_issues import pluralize

if TYPE_CHECKING:
    from .usable_lines import Counts, UsableLines

__all__ = ["SharedOrders", "describe_shared_orders", "find_shared_orders", "mark_source"]

_SAME_AMOUNT = 0.005  # in the shop's currency; sums of floats are that near
_APART = 0x9E37_79B9_7F4A_7C15  # equal lines of two sources are no copies: nothing tells that


def mark_source(lines: UsableLines, source: SourceConfig, position: int) -> UsableLines:
    """Lines of one source among several: constants become columns, order ids get their prefix."""
    texts = dict(lines.texts)
    for name, value in (("channel", source.channel), ("category", source.category)):
        if value is not None:
            texts[name] = TextColumn(np.zeros(lines.n_lines, dtype=np.int32), pa.array([value]))
    if source.order_id_prefix and "order_id" in texts:
        ids = merge_labels([texts["order_id"]])
        labels = [source.order_id_prefix + label for label in ids.labels.to_pylist()]
        texts["order_id"] = TextColumn(ids.codes, pa.array(labels, pa.string()))
    prints = lines.fingerprints
    if prints is not None:
        prints = prints ^ np.uint64(_APART * position % 2**64)
    return replace(lines, texts=texts, fingerprints=prints, source=position)


@dataclass(frozen=True)
class SharedOrders:
    """Orders of one customer and order_id that stand in more than one source."""

    orders: int
    alike: int  # of them, those with the same amount in each
    lines: int  # lines of all but the first source named
    copies: Sequence[Mask]  # per part, which lines those are


def describe_shared_orders(counts: Counts, is_dropped: bool) -> str:
    """What is worth saying of orders in more than one source, in words."""
    prefix = (
        f"{pluralize(counts.shared, 'order')} of one customer and order_id in more than one "
        f"source ({counts.shared_alike:,} with the same amount in each): "
    )
    if is_dropped:
        lines = pluralize(counts.shared_dropped, "line")
        return f"{prefix}the first source's are kept, {lines} dropped"
    return (
        f"{prefix}all their lines are kept, as parts of one order; orders.duplicates: drop keeps "
        "the first source's alone, order_id_prefix tells orders that are numbered alike apart"
    )


def find_shared_orders(parts: Sequence[UsableLines]) -> SharedOrders | None:
    """Find orders that stand in several sources, None where there are none.

    Lines without an order_id are in none.
    """
    named = [part for part in parts if "order_id" in part.texts]
    if len({part.source for part in named}) < 2:
        return None
    customers = merge_labels([part.texts["customer_id"] for part in named])
    ids = merge_labels([part.texts["order_id"] for part in named])
    has_id = ids.codes >= 0
    if not has_id.any():
        return None
    sources = np.repeat([part.source for part in named], [part.n_lines for part in named])[has_id]
    amounts = np.concatenate([part.money for part in named])[has_id]
    key = customers.codes[has_id].astype(np.int64) * len(ids.values) + ids.codes[has_id]
    _, order = np.unique(key, return_inverse=True)
    n_sources = int(sources.max()) + 1
    n_orders = int(order.max()) + 1
    cell = order * n_sources + sources
    present = np.bincount(cell, minlength=n_orders * n_sources).reshape(n_orders, -1) > 0
    is_shared = present.sum(axis=1) > 1
    if not is_shared.any():
        return None
    totals = np.bincount(cell, amounts, n_orders * n_sources).reshape(n_orders, -1)
    first = present.argmax(axis=1)
    apart = np.abs(totals - totals[np.arange(n_orders), first][:, None]) >= _SAME_AMOUNT
    is_copy = np.zeros(len(has_id), dtype=np.bool_)
    is_copy[has_id] = sources > first[order]
    copies, begin = [], 0
    for part in parts:
        if "order_id" in part.texts:
            copies.append(is_copy[begin : begin + part.n_lines])
            begin += part.n_lines
        else:
            copies.append(np.zeros(part.n_lines, dtype=np.bool_))
    alike = is_shared & ~(apart & present).any(axis=1)
    return SharedOrders(int(is_shared.sum()), int(alike.sum()), int(is_copy.sum()), copies)
