"""Customer groups: orders larger than memory, of which any part of the customers can be read.

Lines are read once and go to one temporary file per group, by a hash of their customer. Each
customer is whole in its group, so that groups packed one by one are counted exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np

from ...configs.schema import OrdersConfig
from .. import windows
from ..columns import Int64
from ..cutoffs import find_complete_until, find_end
from ..order_totals import OrderTotals
from ..orders import Orders
from .label_encoding import encode_labels
from .line_collector import LineCollector
from .overlapping_files import FileVotes, compare_files
from .packing import pack
from .read_orders import describe_sources, estimate_bytes, iterate_usable_lines
from .report_completion import complete_report
from .sharding import hash_customers, read_lines, write_lines
from .temporary_folder import make_temporary_folder
from .usable_lines import Counts

__all__ = [
    "N_GROUPS",
    "CustomerGroups",
    "GroupSizes",
    "assign_groups",
    "estimate_needed",
    "open_groups",
]

N_GROUPS = 256


@dataclass(frozen=True)
class GroupSizes:
    """Order lines and customers of each group: int64, N_GROUPS each."""

    lines: Int64
    customers: Int64

    @classmethod
    def of(cls, orders: Orders) -> GroupSizes:
        """The sizes of the groups of orders in memory."""
        groups = assign_groups(orders)
        lines = np.zeros(N_GROUPS, dtype=np.int64)
        np.add.at(lines, groups, np.diff(orders.starts))
        return cls(lines, np.bincount(groups, minlength=N_GROUPS))


def assign_groups(orders: Orders) -> Int64:
    """Each customer's group, by a hash of the id alone: int64, n_customers."""
    hashes = hash_customers(encode_labels(orders.customer_ids))
    return (hashes % np.uint64(N_GROUPS)).astype(np.int64)


class CustomerGroups:
    """Orders in temporary files, by groups of customers; a group can be read more than once.

    `sizes` counts the lines and customers of each group, `totals` are those of all, both of the
    lines before `cutoff` (else before the instant until which all are stated to be there). What is
    read has all lines, and carries the report on them.
    """

    def __init__(
        self,
        files: Sequence[Path],
        votes: FileVotes | None,
        intake: LineCollector,
        cutoff: int | None = None,
    ):
        self._files, self._votes, self._intake = files, votes, intake
        lines, customers = np.zeros((2, N_GROUPS), dtype=np.int64)
        total, newest, firsts, totals = Counts(), -1, [], []
        self.optional_columns: tuple[str, ...] = ()
        config = intake.config
        complete_until = find_complete_until(config, intake.rules.now)
        end = complete_until if cutoff is None else cutoff
        report = intake.report(describe_sources(config))  # refuses what cannot be used
        for k in range(N_GROUPS):
            if files[k].exists():
                orders, counts = self._pack([k])
                self.optional_columns = orders.optional_columns
                total += counts
                if not orders.n_lines:
                    continue
                newest = max(newest, int(orders.times.max()))
                firsts.append(windows.find_first_order_at(orders))
                observed = orders if end is None else windows.slice_observed(orders, end)
                lines[k], customers[k] = observed.n_lines, observed.n_customers
                totals.append(OrderTotals.of(observed))
        self.sizes = GroupSizes(lines, customers)
        self.totals = OrderTotals.join(totals)
        self.first_order_at = min(firsts)
        self._report = complete_report(report, total, config)
        self.complete_until = find_end(newest, complete_until)

    def read(self, groups: Sequence[int]) -> Orders:
        """The orders of the customers of some groups."""
        orders, _ = self._pack(groups)
        return replace(orders, report=self._report, complete_until=self.complete_until)

    def _pack(self, groups: Sequence[int]) -> tuple[Orders, Counts]:
        parts = [part for k in groups for part in read_lines(self._files[k])]
        decimals = self._intake.config.currency_decimals
        return pack(parts, self._intake.columns, decimals, self._intake.overlapping, self._votes)


def estimate_needed(config: OrdersConfig, *, own_names_too: bool = False) -> int:
    """About how much memory reading the orders of a configuration at once takes: bytes."""
    return estimate_bytes(LineCollector(config), own_names_too)


@contextmanager
def open_groups(
    config: OrdersConfig,
    *,
    cutoff: int | None = None,
    own_names_too: bool = False,
    folder: Path | None = None,
) -> Iterator[CustomerGroups]:
    """The orders a configuration names, in groups; refuses what reading them at once refuses.

    The lines before `cutoff` are counted, as `CustomerGroups` has it.

    Temporary files go into a folder of their own in `folder` (else where the system keeps such) and
    are gone when the context ends.
    """
    intake = LineCollector(config)
    with make_temporary_folder(folder) as place:
        files = [place / f"{k}.arrows" for k in range(N_GROUPS)]
        for part in iterate_usable_lines(intake, own_names_too):
            write_lines(part, files)
        votes = None
        if intake.overlapping and len(intake.spans) > 1:  # told from all customers
            votes = reduce(
                add, (compare_files(read_lines(f), intake.spans) for f in files), FileVotes()
            )
        yield CustomerGroups(files, votes, intake, cutoff)
