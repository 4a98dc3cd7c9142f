"""Order lines that may be used, before they are packed, and what was counted of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..columns import Float64, Int8, Int64
from .cell_parsing import Mask
from .column_mapping import ORDER_TOTAL
from .label_encoding import Ids
from .line_filters import KEPT

__all__ = ["Counts", "UsableLines"]


@dataclass
class UsableLines:
    """Parsed lines that can be used; a column they lack is missing from `texts` or `numbers`."""

    texts: dict[str, Ids]  # customer_id is among them, and never missing
    times: Int64
    numbers: dict[str, Float64]  # amount (or order_total) is among them
    fingerprints: npt.NDArray[np.uint64] | None = None  # of the whole line, where duplicates go
    verdicts: Int8 | None = None  # of the filters, where any line does not simply count
    source: int = 0  # which of several sources they are from, as they are named
    file: int = 0  # which of all files

    @property
    def n_lines(self) -> int:
        """Lines."""
        return len(self.times)

    @property
    def money(self) -> Float64:
        """The amount of each line, or its order's total; 0 where that is blank."""
        return np.nan_to_num(self.numbers["amount" if "amount" in self.numbers else ORDER_TOTAL])

    def surely_kept(self) -> UsableLines:
        """The lines that count whatever the other lines of their orders say."""
        return self if self.verdicts is None else self.where(self.verdicts == KEPT)

    def where(self, keep: Mask) -> UsableLines:
        """Some lines."""
        if keep.all():
            return self
        return replace(
            self,
            texts={name: column.where(keep) for name, column in self.texts.items()},
            times=self.times[keep],
            numbers={name: values[keep] for name, values in self.numbers.items()},
            fingerprints=None if self.fingerprints is None else self.fingerprints[keep],
            verdicts=None if self.verdicts is None else self.verdicts[keep],
        )


@dataclass(frozen=True)
class Counts:
    """What packing did to lines; counts of disjoint sets of customers add up."""

    used: int = 0
    dropped: int = 0  # equal to an earlier one in every column of the file
    repeated: int = 0  # equal to the one before in every mapped column
    rounded: int = 0
    rounding: int = 0  # millionths of the smallest unit, in all
    customers: int = 0
    spend: int = 0  # in the smallest unit, as is the next
    largest: int = 0  # of a customer
    shared: int = 0  # orders of one customer and order_id in several sources
    shared_alike: int = 0  # of them, those with the same amount in each
    shared_dropped: int = 0  # lines of them that are not of the first source
    left_out: int = 0  # blank lines of orders that the filters leave out
    without_total: int = 0  # lines of orders that have no total on any line
    unclear_total: int = 0  # lines of orders with more than one total
    superseded_orders: int = 0  # orders that a later file of the source has too
    superseded_lines: int = 0  # lines of them that were dropped
    divided_orders: int = 0  # orders whose lines are divided among files
    superseded_files: tuple[str, ...] = ()  # the files whose lines were dropped

    def __add__(self, other: Counts) -> Counts:
        names = [f.name for f in fields(self) if f.name != "superseded_files"]
        sums: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in names}
        files = tuple(dict.fromkeys((*self.superseded_files, *other.superseded_files)))
        largest = max(self.largest, other.largest)
        return Counts(**sums | {"largest": largest, "superseded_files": files})
