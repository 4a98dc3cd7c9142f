"""Returns that name the order they belong to: they go to the customer and the order that are named.

A payment service sends a refund in the shop's own name, and names the payment it gives back. The
payment may stand in any file of the source, before the refund or after it, so these lines wait
until all files are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .label_encoding import encode_labels
from .line_filters import KEPT
from .usable_lines import UsableLines

__all__ = ["RETURNED_ORDER", "ReturnedOrders", "assign_returns"]

RETURNED_ORDER = "returned order"  # the text column of the order that a line returns, until known


@dataclass
class ReturnedOrders:
    """The lines of one source that wait for their order, and whose the orders are."""

    customers: dict[str, str] = field(default_factory=dict)  # of an order
    waiting: list[UsableLines] = field(default_factory=list)
    n_unknown: int = 0  # lines whose order is in no file
    unknown_money: float = 0.0

    def take(self, lines: UsableLines) -> UsableLines:
        """The lines that name no order to return, ready to be packed; the others wait."""
        texts = {name: text for name, text in lines.texts.items() if name != RETURNED_ORDER}
        waits = ~lines.texts[RETURNED_ORDER].is_missing
        if waits.any():
            self.waiting.append(lines.where(waits))
        ready = replace(lines, texts=texts).where(~waits)
        if "order_id" in texts:
            ids = ready.texts["order_id"].to_text().to_pylist()
            owners = ready.texts["customer_id"].to_text().to_pylist()
            self.customers.update((i, c) for i, c in zip(ids, owners, strict=True) if i and c)
        return ready

    def release(self) -> list[UsableLines]:
        """The lines that waited, each with the customer and the order that it names."""
        waiting, self.waiting = self.waiting, []
        released = [assign_returns(lines, self.customers) for lines in waiting]
        for lines, is_known in released:
            unknown = ~is_known if lines.verdicts is None else ~is_known & (lines.verdicts == KEPT)
            self.n_unknown += int(np.count_nonzero(unknown))
            self.unknown_money += float(lines.money[unknown].sum())
        return [lines for lines, _ in released]


def assign_returns(
    lines: UsableLines, customers: Mapping[str, str]
) -> tuple[UsableLines, np.ndarray]:
    """Lines with the customer and the order that they return, where known; and where it is."""
    texts = dict(lines.texts)
    named = texts.pop(RETURNED_ORDER).to_text()
    owners = pa.array([customers.get(name) for name in named.to_pylist()], pa.string())
    is_known = pc.is_valid(owners)
    for name, replacements in (("customer_id", owners), ("order_id", named)):
        if name in texts:
            current = texts[name].to_text()
            texts[name] = encode_labels(pc.if_else(is_known, replacements, current))
    return replace(lines, texts=texts), np.asarray(is_known.to_numpy(zero_copy_only=False))
