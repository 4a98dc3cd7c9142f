"""Orders: order lines, packed by customer and in one canonical order."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from ..notebook_cards import format_card, format_summary
from . import dates
from .attributes import Attributes
from .calendar import Calendar
from .columns import Float64, Int64, Mask, TextColumn
from .extra_features import ExtraFeatures
from .season_history import SeasonHistory

__all__ = ["Orders", "OrdersReport"]


@dataclass(frozen=True)
class OrdersReport:
    """What reading found: counts of lines, by what happened to them, and remarks in words."""

    lines_read: int = 0
    lines_used: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)  # reason -> lines
    left_out: Mapping[str, int] = field(default_factory=dict)  # column and value -> lines
    lines_without_customer: int = 0
    duplicate_lines: int = 0
    duplicates_dropped: bool = False
    shared_orders: int = 0  # orders of one customer and order_id in several sources
    rounded_lines: int = 0
    rounding_total: float = 0.0  # in the shop's currency
    remarks: tuple[str, ...] = ()
    rejected_lines: pa.Table | None = None  # file, row, reason, column, value


@dataclass(frozen=True)
class Orders:
    """Order lines sorted by customer and, within one, by time, order, product, amount, ...

    Lines of customer `i` are `starts[i]:starts[i + 1]`.

    Attributes
    ----------
    customer_ids : pyarrow.StringArray
        n_customers, sorted, unique.
    starts : ndarray of int64
        n_customers + 1 positions of lines.
    times : ndarray of int64
        n_lines; microseconds since 1970 in the shop's own time zone.
    amounts : ndarray of int64
        n_lines; in the smallest unit of the currency.
    texts : mapping of str to TextColumn
        order_id, product_id, category and channel, where known.
    numbers : mapping of str to ndarray of float64
        quantity, discount and cost, where known; NaN is missing.
    currency_decimals : int
        Decimals of the currency, 2 for cents.
    report : OrdersReport
        What reading found.
    attributes : Attributes or None
        Facts about the same customers, if any were joined.
    extra : ExtraFeatures or None
        The user's function that adds features, if any was given.
    calendar : Calendar or None
        Days of known events, if a calendar was given.
    season_history : SeasonHistory or None
        The shop's revenue of earlier years, if any was given.

    """

    customer_ids: pa.StringArray  # n_customers, sorted, unique
    starts: Int64  # n_customers + 1
    times: Int64  # n_lines
    amounts: Int64  # n_lines
    texts: Mapping[str, TextColumn]  # order_id, product_id, category, channel, where known
    numbers: Mapping[str, Float64]  # quantity, discount, cost, where known; NaN is missing
    currency_decimals: int = 2
    report: OrdersReport = field(default_factory=OrdersReport)
    complete_until: int | None = None  # the instant before which every order is there, where stated
    attributes: Attributes | None = None  # facts about the same customers, where any were joined
    extra: ExtraFeatures | None = None  # the user's function that adds features
    calendar: Calendar | None = None  # known events, past and future
    season_history: SeasonHistory | None = None  # revenue of earlier years, of the whole shop

    def _describe(self) -> dict[str, object]:
        facts: dict[str, object] = {
            "customers": f"{self.n_customers:,}",
            "order lines": f"{self.n_lines:,}",
            "optional columns": ", ".join(self.optional_columns) or "none",
        }
        if self.n_lines:
            first, newest = dates.format_instant(int(self.times.min())), int(self.times.max())
            facts["time"] = f"{first} to {dates.format_instant(newest)}"
        return facts

    def __repr__(self) -> str:
        return format_summary("<Orders>", self._describe())

    def _repr_html_(self) -> str:
        return format_card("Orders", self._describe())

    @property
    def n_customers(self) -> int:
        """Customers with at least one line."""
        return len(self.customer_ids)

    @property
    def n_lines(self) -> int:
        """Order lines."""
        return len(self.times)

    @property
    def optional_columns(self) -> tuple[str, ...]:
        """The optional columns these orders have."""
        return (*self.texts, *self.numbers)

    @property
    def unit(self) -> float:
        """How many smallest units make one unit of the currency."""
        return 10.0**self.currency_decimals

    def customer_of_line(self) -> Int64:
        """Per line, the position of its customer: int64, n_lines."""
        return np.repeat(np.arange(self.n_customers), np.diff(self.starts))

    def spend_by_customer(self) -> Int64:
        """Each customer's net spend in the smallest unit: int64, n_customers."""
        before = np.concatenate(([0], np.cumsum(self.amounts)))
        return np.diff(before[self.starts])

    def keep_lines(self, keep: Mask) -> Orders:
        """The same orders with only the lines marked in `keep`; customers left empty are gone."""
        if keep.all():
            return self
        counts = np.add.reduceat(keep, self.starts[:-1], dtype=np.int64)  # nobody has no line
        present = counts > 0
        return replace(
            self,
            customer_ids=self.customer_ids.filter(pa.array(present)),
            starts=np.concatenate(([0], np.cumsum(counts[present]))),
            times=self.times[keep],
            amounts=self.amounts[keep],
            texts={name: column.where(keep) for name, column in self.texts.items()},
            numbers={name: values[keep] for name, values in self.numbers.items()},
            attributes=self.attributes and self.attributes.keep_customers(present),
        )

    def keep_customers(self, keep: Mask) -> Orders:
        """The same orders with only the customers marked in `keep`."""
        return self.keep_lines(np.repeat(keep, np.diff(self.starts)))

    def slice_customers(self, low: int, high: int) -> Orders:
        """The orders of customers `low:high`; lines are not copied."""
        starts = self.starts[low : high + 1]
        lines = slice(int(starts[0]), int(starts[-1]))
        places = np.arange(self.n_customers)
        return replace(
            self,
            customer_ids=self.customer_ids[low:high],
            starts=starts - starts[0],
            times=self.times[lines],
            amounts=self.amounts[lines],
            texts={n: TextColumn(c.codes[lines], c.values) for n, c in self.texts.items()},
            numbers={name: values[lines] for name, values in self.numbers.items()},
            attributes=self.attributes
            and self.attributes.keep_customers((places >= low) & (places < high)),
        )

    def keep_columns(self, names: Collection[str]) -> Orders:
        """The same orders with only these of the optional columns."""
        if all(name in names for name in self.optional_columns):
            return self
        return replace(
            self,
            texts={name: column for name, column in self.texts.items() if name in names},
            numbers={name: values for name, values in self.numbers.items() if name in names},
        )

    def digest(self) -> str:
        """A sha256 of the content, equal for equal lines in whatever order they were read."""
        digest = hashlib.sha256()
        for customer_id in self.customer_ids.to_pylist():
            digest.update(customer_id.encode() + b"\0")
        for values in (self.starts, self.times, self.amounts):
            digest.update(np.ascontiguousarray(values).tobytes())
        for name in sorted(self.texts):
            self.texts[name].add_to(digest, name)
        for name in sorted(self.numbers):
            digest.update(name.encode() + self.numbers[name].tobytes())
        if self.attributes is not None:
            self.attributes.add_to(digest)
        return digest.hexdigest()
