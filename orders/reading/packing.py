"""Packing: lines in any order -> `Orders`, by a counting sort and a canonical order per customer.

The sort writes each line of a column straight to its place, which a running count per customer
gives.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..columns import Float64, TextColumn
from ..orders import Orders
from .column_mapping import ORDER_TOTAL
from .label_encoding import share_codes
from .multiple_sources import find_shared_orders
from .order_rules import BLANK_TOTAL, TOTAL, drop_left_out, resolve_totals, sort_columns
from .overlapping_files import FileSpan, FileVotes, Superseded, compare_files, drop_superseded
from .usable_lines import Counts, UsableLines

__all__ = ["pack"]

_TEXTS = ("order_id", "product_id", "category", "channel")
_NUMBERS = ("quantity", "discount", "cost")
_NO_TIMES = np.empty(0, dtype=np.int64)
_NO_NUMBERS = np.empty(0, dtype=np.float64)
_compiled = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)


def pack(
    parts: list[UsableLines],
    names: Collection[str],
    currency_decimals: int,
    files: Mapping[int, FileSpan] | None = None,
    votes: FileVotes | None = None,
) -> tuple[Orders, Counts]:
    """Pack lines; `parts` is emptied, column by column, so that no column is held twice for long.

    `names` are the optional columns; a part that lacks one has it missing. Lines that carry a
    fingerprint and repeat an earlier one's are dropped. `files` are those of which copies of orders
    are to be dropped, `votes` which of them hold copies (else told from these lines).
    """
    superseded = Superseded()
    if files and len(files) > 1:
        superseded = drop_superseded(parts, files, votes or compare_files(parts, files))
    left_out = drop_left_out(parts)
    dropped = _drop_repeated(parts)
    together = find_shared_orders(parts)
    if together is not None and any(part.fingerprints is not None for part in parts):
        parts[:] = [part.where(~copy) for part, copy in zip(parts, together.copies, strict=True)]
    unit = 10.0**currency_decimals
    united = share_codes([part.texts.pop("customer_id") for part in parts])
    customers = united.codes()
    n_lines, labels = len(customers), united.labels
    del united
    starts = np.zeros(len(labels) + 1, dtype=np.int64)
    np.cumsum(np.bincount(customers, minlength=len(labels)), out=starts[1:])
    _find_places(customers, starts[:-1].astype(customers.dtype))
    places = [customers]
    if len(parts) > 1:
        places = np.split(customers, np.cumsum([part.n_lines for part in parts])[:-1])
    present = np.diff(starts) > 0
    if not present.all():  # labels of lines that are set aside
        labels = labels.filter(pa.array(present))
        starts = np.concatenate((starts[:-1][present], starts[-1:]))

    times = np.empty(n_lines, dtype=np.int64)
    for part, place in zip(parts, places, strict=True):
        _scatter(part.times, place, times)
        part.times = _NO_TIMES
    amounts = np.empty(n_lines, dtype=np.int64)
    rounded = rounding = 0
    has_totals = any(ORDER_TOTAL in part.numbers for part in parts)
    kinds = np.zeros(n_lines if has_totals else 0, dtype=np.int8)
    for part, place in zip(parts, places, strict=True):
        values = part.numbers.pop("amount", _NO_NUMBERS)
        if ORDER_TOTAL in part.numbers:
            values = part.numbers.pop(ORDER_TOTAL)
            blank = np.isnan(values)
            _scatter(np.where(blank, BLANK_TOTAL, TOTAL), place, kinds)
            values = np.where(blank, 0.0, values)
        values = values.view()
        values.flags.writeable = False  # as Arrow's arrays are: compiled for one kind alone
        n_rounded, by = _scatter_money(values, place, unit, amounts)
        rounded, rounding = rounded + n_rounded, rounding + by
    texts = {}
    for name in (name for name in _TEXTS if name in names):
        text_parts = [
            (k, part.texts.pop(name)) for k, part in enumerate(parts) if name in part.texts
        ]
        codes = _make_column(n_lines, len(text_parts) == len(parts), np.int32(-1))
        united = share_codes([column for _, column in text_parts])
        for (k, _), column, low, table in zip(
            text_parts, united.parts, united.lows, united.tables, strict=True
        ):
            _scatter_codes(column, low, table, places[k], codes)
        texts[name] = TextColumn(codes, united.labels)
    numbers: dict[str, Float64] = {}
    for name in (name for name in _NUMBERS if name in names):
        found_in = [
            (k, part.numbers.pop(name)) for k, part in enumerate(parts) if name in part.numbers
        ]
        numbers[name] = _make_column(n_lines, len(found_in) == len(parts), np.float64(np.nan))
        for k, values in found_in:
            _scatter(values, places[k], numbers[name])
    parts.clear()
    ids = labels.cast(pa.string())
    orders = Orders(ids, starts, times, amounts, texts, numbers, currency_decimals)
    without = unclear = repeated = 0
    if len(kinds):
        orders, without, unclear = resolve_totals(orders, kinds)
    else:
        repeated = sort_columns(orders)
    spends = np.add.reduceat(orders.amounts, orders.starts[:-1]) if orders.n_lines else _NO_TIMES
    counts = Counts(
        used=n_lines - without - unclear,
        dropped=dropped,
        repeated=repeated,
        rounded=rounded,
        rounding=rounding,
        customers=orders.n_customers,
        spend=int(spends.sum()),
        largest=int(spends.max(initial=0)),
        shared=together.orders if together else 0,
        shared_alike=together.alike if together else 0,
        shared_dropped=together.lines if together else 0,
        left_out=left_out,
        superseded_orders=superseded.orders,
        superseded_lines=superseded.lines,
        divided_orders=superseded.divided,
        superseded_files=superseded.files,
        without_total=without,
        unclear_total=unclear,
    )
    return orders, counts


def _drop_repeated(parts: list[UsableLines]) -> int:
    """Take away the lines that repeat an earlier one in every column of their file; how
    many did.
    """
    prints = [part.fingerprints for part in parts if part.fingerprints is not None]
    if not prints:
        return 0
    hashes = np.concatenate(prints)
    first = np.zeros(len(hashes), dtype=np.bool_)
    first[np.unique(hashes, return_index=True)[1]] = True
    ends = np.cumsum([part.n_lines for part in parts])
    parts[:] = map(UsableLines.where, parts, np.split(first, ends[:-1]))
    return int(np.count_nonzero(~first))


def _make_column(n_lines: int, is_whole: bool, missing: np.generic) -> npt.NDArray[Any]:
    """A column to scatter into; `missing` where not every part has it."""
    if is_whole:
        return np.empty(n_lines, dtype=missing.dtype)
    return np.full(n_lines, missing)


@_compiled
def _find_places(customers, following):
    """Turn each line's customer into the line's place in customer order, stable; `following` holds
    the next free place of each.
    """
    for line in range(len(customers)):
        customer = customers[line]
        customers[line] = following[customer]
        following[customer] += 1


@_compiled
def _scatter(values, places, out):
    for line in range(len(values)):
        out[places[line]] = values[line]


@_compiled
def _scatter_codes(values, low, table, places, out):
    """The same for numbers to be looked up in a table; -1 where negative."""
    for line in range(len(values)):
        value = values[line]
        out[places[line]] = table[value - low] if value >= 0 else -1


@_compiled
def _scatter_money(amounts, places, unit, out):
    """The same for money, made integers of the smallest unit; how many that rounds, and by how
    much.

    The sum of what rounding adds is kept in whole millionths of the unit: it must not depend on the
    order of the lines.
    """
    n_rounded, total = 0, np.int64(0)
    for line in range(len(amounts)):
        exact = amounts[line] * unit
        rounded = np.rint(exact)
        out[places[line]] = np.int64(rounded)
        if abs(exact - rounded) > 1e-6:  # less is the float's own inexactness
            n_rounded += 1
            total += int(np.rint((rounded - exact) * 1e6))
    return n_rounded, total
