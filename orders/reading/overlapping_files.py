"""Exports of one source that overlap: an order that stands in two of them is one order, as the
later file has it.

Part files of one export also share orders, whose lines are divided among them; and shops number
orders anew. Two files hold copies where a fifth of the orders that both have, on days that both
cover, are the same in lines and total: the others were refunded or changed between the exports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from .. import windows
from ..columns import Int64
from .order_rules import code_orders
from .usable_lines import UsableLines

__all__ = ["FileSpan", "FileVotes", "Superseded", "compare_files", "drop_superseded"]

_SAME_AMOUNT = 0.005  # in the shop's currency; sums of floats are that near
_ALIKE_SHARE = (
    0.2  # of the orders two exports share; the others changed in between, parts share none
)


@dataclass
class FileSpan:
    """A file of a source, and the instants of its first and newest line."""

    name: str
    source: int
    first: int
    newest: int


@dataclass(frozen=True)
class FileVotes:
    """Per pair of files, the later first: orders that both have on days that both cover, and how
    many alike.
    """

    shared: dict[tuple[int, int], int] = field(default_factory=dict)
    alike: dict[tuple[int, int], int] = field(default_factory=dict)

    def __add__(self, other: FileVotes) -> FileVotes:
        return FileVotes(
            {p: self.shared.get(p, 0) + other.shared.get(p, 0) for p in self.shared | other.shared},
            {p: self.alike.get(p, 0) + other.alike.get(p, 0) for p in self.alike | other.alike},
        )

    def are_copies(self, pair: tuple[int, int]) -> bool:
        """Whether two files are exports of the same orders."""
        return self.alike.get(pair, 0) > _ALIKE_SHARE * self.shared.get(pair, 0)


@dataclass(frozen=True)
class Superseded:
    """Orders that a later file has too: lines dropped, and orders whose lines are divided among
    files.
    """

    orders: int = 0
    lines: int = 0
    divided: int = 0
    files: tuple[str, ...] = ()  # whose lines were dropped


def compare_files(parts: Sequence[UsableLines], spans: Mapping[int, FileSpan]) -> FileVotes:
    """Compare the orders that files share."""
    if not parts:
        return FileVotes()
    pairs = _pair_up(_sum_orders(parts, code_orders(parts)), spans)
    by_pair = pairs.groupby(["later", "earlier"])["is_alike"].agg(["size", "sum"])
    return FileVotes(
        {pair: int(n) for pair, n in by_pair["size"].items()},  # type: ignore[misc]
        {pair: int(n) for pair, n in by_pair["sum"].items()},  # type: ignore[misc]
    )


def drop_superseded(
    parts: list[UsableLines], spans: Mapping[int, FileSpan], votes: FileVotes
) -> Superseded:
    """Take away the lines of orders that a later file of the same source has too."""
    order_of_line = code_orders(parts)
    pairs = _pair_up(_sum_orders(parts, order_of_line), spans)
    is_copy = np.array(
        [votes.are_copies(pair) for pair in zip(pairs["later"], pairs["earlier"], strict=True)],
        bool,
    )
    divided = int(pairs.loc[~is_copy, "order"].nunique())
    gone = pairs.loc[is_copy, ["order", "earlier"]].drop_duplicates()
    if not len(gone):
        return Superseded(divided=divided)
    keys = pd.MultiIndex.from_frame(gone)
    begin, lines = 0, 0
    for k, part in enumerate(parts):
        part_orders = order_of_line[begin : begin + part.n_lines]
        begin += part.n_lines
        keep = ~pd.MultiIndex.from_arrays([part_orders, np.full(len(part_orders), part.file)]).isin(
            keys
        )
        lines += int(np.count_nonzero(~keep))
        parts[k] = part.where(keep)
    names = sorted(spans[number].name for number in set(gone["earlier"]))
    return Superseded(int(gone["order"].nunique()), lines, divided, tuple(names))


def _sum_orders(parts: Sequence[UsableLines], order: Int64) -> pd.DataFrame:
    """Per order and file: lines, total and first instant."""
    lines = pd.DataFrame(
        {
            "order": order,
            "file": np.repeat([part.file for part in parts], [part.n_lines for part in parts]),
            "amount": np.concatenate([part.money for part in parts]),
            "time": np.concatenate([part.times for part in parts]),
        }
    )
    lines = lines[lines["order"] >= 0]
    sums = {"lines": ("amount", "size"), "total": ("amount", "sum"), "first": ("time", "min")}
    return lines.groupby(["order", "file"], as_index=False).agg(**sums)


def _pair_up(orders: pd.DataFrame, spans: Mapping[int, FileSpan]) -> pd.DataFrame:
    """Orders in two files of one source whose dates overlap, at a time that both cover."""
    shared = orders[orders.duplicated("order", keep=False)]
    ranked = sorted(spans, key=lambda k: (spans[k].newest, spans[k].name))
    rank = {number: place for place, number in enumerate(ranked)}
    pairs = shared.merge(shared, on="order", suffixes=("", "_2"))
    pairs = pairs[pairs["file"].map(rank) > pairs["file_2"].map(rank)]
    later, earlier = pairs["file"].to_numpy(), pairs["file_2"].to_numpy()

    def of_files(name: str, numbers: Int64) -> Int64:
        return np.array([getattr(spans[k], name) for k in numbers], dtype=np.int64)

    covered = of_files("source", later) == of_files("source", earlier)
    first = np.maximum(of_files("first", later), of_files("first", earlier))
    newest = np.minimum(of_files("newest", later), of_files("newest", earlier))
    for name in ("first", "first_2"):
        covered &= windows.is_between(pairs[name].to_numpy(), first, newest)
    is_alike = (
        ((pairs["total"] - pairs["total_2"]).abs() < _SAME_AMOUNT)
        & (pairs["lines"] == pairs["lines_2"])
        & (pairs["first"] == pairs["first_2"])
    )
    pairs_by_date = pd.DataFrame(
        {"order": pairs["order"], "later": later, "earlier": earlier, "is_alike": is_alike}
    )
    return pd.DataFrame(pairs_by_date[covered])
