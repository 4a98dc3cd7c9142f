"""Checks of orders: ids that restart, statuses of no sale, files that overlap."""

from __future__ import annotations

import numpy as np

from ...errors import quote
from ...orders import dates
from ...orders.columns import Int64, Mask
from ...orders.reading.line_filters import fold_value
from ...orders.reading.validation_issues import join_words, pluralize
from . import vocabulary
from .finding import Finding, format_addition, format_setting
from .source_profile import SourceProfile

__all__ = ["detect_no_sales", "detect_order_ids", "detect_overlapping_files"]

_MISSING_SHARES = (0.05, 0.95)  # of lines without an order_id, where it may stand on first lines
_FOLLOWING_SHARE = 0.8  # of these lines are of the customer and instant of the line above
_SHARED_SHARE = 0.02  # of the lines have an order_id of several customers
_SPAN_DAYS = 3  # from the first to the last purchase of an order
_SPAN_SHARE = 0.02  # of the orders
_LEAST = 3  # orders or lines: fewer are chance
_NO_SALE_SHARE = 0.001  # of the lines
_MOST_NO_SALES = 0.95  # of the lines: a column that says so of nearly all means something else
_REPEATED_SHARE = 0.002  # of the lines of several files


def detect_order_ids(profile: SourceProfile) -> Finding:
    """Order ids that are none: on first lines alone, of several customers, over many days."""
    name = "order ids"
    usable = profile.is_used & (profile.numbered_orders >= 0)
    if not usable.any():
        return Finding(name, "pass", 0.0, "no order_id is mapped: an order is a customer's instant")
    for detect in (
        _detect_bare_lines,
        _detect_first_lines,
        _detect_shared_numbers,
        _detect_long_orders,
    ):
        finding = detect(profile, usable)
        if finding is not None:
            return finding
    return Finding(name, "pass", 0.0, "each order_id is of one customer and of few days")


def _detect_bare_lines(profile: SourceProfile, usable: Mask) -> Finding | None:
    """Lines with an amount that name neither order nor customer: those of the order above."""
    nobody = profile.customers.codes < 0
    bare = nobody & (profile.order_ids.codes < 0) & ~np.isnan(profile.amounts)
    share = float(bare.mean())
    if share < _MISSING_SHARES[0] or bare.sum() < _FOLLOWING_SHARE * nobody.sum():
        return None
    sentence = (
        f"{share:.0%} of the lines have an amount, and neither customer nor order_id: if they "
    )
    mend = "fill each order's customer, date and order_id down to all of its lines in the export"
    sentence += "belong to the order above, their money is missing, as they are set aside"
    return Finding("order ids", "warn", share, sentence, mend)


def _detect_first_lines(profile: SourceProfile, usable: Mask) -> Finding | None:
    """Lines without an order_id that belong to the line above, which has one."""
    share = 1 - float(usable.sum() / profile.is_used.sum())
    if not _MISSING_SHARES[0] <= share <= _MISSING_SHARES[1]:
        return None
    lines = np.arange(profile.n_lines)
    above = np.maximum.accumulate(np.where(profile.numbered_orders >= 0, lines, 0))
    customers = profile.customers.codes
    belongs = (
        (profile.file[above] == profile.file)
        & ((customers[above] == customers) | (customers[above] < 0))  # the line above may lack one
        & (profile.instants[above] == profile.instants)
    )[profile.is_used & ~usable]
    if belongs.mean() < _FOLLOWING_SHARE:
        return None
    sentence = (
        f"{share:.0%} of the lines have no order_id and belong to the line above: each order "
    )
    mend = "leave order_id out of orders.columns: lines of a customer's instant are then one order"
    return Finding("order ids", "warn", share, f"{sentence}of several lines counts as two", mend)


def _detect_shared_numbers(profile: SourceProfile, usable: Mask) -> Finding | None:
    """Order ids that several customers have: numbers that restart, or of another thing."""
    number, customer = profile.numbered_orders[usable], profile.customers.codes[usable]
    pairs = np.unique(np.stack([number, customer], axis=1), axis=0)
    ids, customers = np.unique(pairs[:, 0], return_counts=True)
    shared = ids[customers > 1]
    lines = np.isin(number, shared)
    share = float(lines.mean())
    if share < _SHARED_SHARE or lines.sum() < _LEAST:
        return None
    per_id = int(customers.max())
    sentence = (
        f"{share:.0%} of the lines have an order_id that several customers have, up to {per_id}: "
        "the numbers restart, and orders of one customer that are far apart may count as one"
    )
    return Finding("order ids", "warn", share, sentence, _describe_key(profile))


def _detect_long_orders(profile: SourceProfile, usable: Mask) -> Finding | None:
    """Orders whose purchases are days apart; returns come later and do not count."""
    bought = usable & (profile.amounts > 0)
    ids, order = np.unique(profile.orders[bought], return_inverse=True)
    days = dates.floor_to_days(profile.instants[bought])
    first = np.full(len(ids), dates.NEVER, dtype=np.int64)
    last = np.full(len(ids), -1, dtype=np.int64)
    np.minimum.at(first, order, days)
    np.maximum.at(last, order, days)
    long = last - first > _SPAN_DAYS
    share = float(long.mean()) if len(ids) else 0.0
    if share < _SPAN_SHARE or long.sum() < _LEAST:
        return None
    sentence = (
        f"{share:.0%} of the orders have purchases more than {_SPAN_DAYS} days apart, up to "
        f"{int((last - first).max()):,} days: one order_id is of several orders"
    )
    return Finding("order ids", "warn", share, sentence, _describe_key(profile))


def _describe_key(profile: SourceProfile) -> str:
    columns = profile.config.columns or profile.sources[0].columns
    order_id, placed = columns.get("order_id", "order_id"), columns.get("ordered_at", "ordered_at")
    names = [name for value in (order_id, placed) for name in _list_names(value)]
    return (
        f"{format_setting('orders.columns.order_id', names)} (or another column that tells them "
        "apart, such as the day or the branch), or leave order_id out"
    )


def _list_names(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]


def detect_no_sales(profile: SourceProfile) -> Finding:
    """Values that sound like no sale (cancelled, failed, test), on lines that no filter leaves out.

    Values listed as returns take money off, and are none of these.
    """
    name = "status"
    worst: Finding | None = None
    for (position, column), counts in profile.values.items():
        source = profile.sources[position]
        lines = sum(counts.values())
        returns = set(map(fold_value, source.returns.get(column, ())))
        found = vocabulary.find_no_sales(column, counts)
        no_sales = {v: n for v, n in found.items() if fold_value(v) not in returns}
        n_lines = sum(no_sales.values())
        share = n_lines / max(1, lines)
        if share < _NO_SALE_SHARE or share > _MOST_NO_SALES or (worst and share <= worst.value):
            continue
        values = sorted(no_sales, key=lambda value: -no_sales[value])
        examples = join_words(
            [f"{quote(v)} ({pluralize(no_sales[v], 'line')})" for v in values[:4]]
        )
        mend = format_addition("orders.except", source.except_, column, values)
        worst = Finding(
            name,
            "warn",
            share,
            f"column {quote(column)} has {examples}, which sound like no sale, and nothing "
            "filters them",
            mend,
        )
    return worst or Finding(name, "pass", 0.0, "no value sounds like an order that is no sale")


def detect_overlapping_files(profile: SourceProfile) -> Finding:
    """Lines that stand in several files of one source: exports that overlap."""
    name = "overlapping files"
    if len(profile.files) < 2:
        return Finding(name, "pass", 0.0, "there is one file")
    if profile.config.duplicates == "drop":
        return Finding(
            name, "pass", 0.0, "orders.duplicates: drop counts an order of two files once"
        )
    used = np.flatnonzero(profile.is_used)
    keys: list[Int64] = [
        profile.source[used].astype(np.int64),
        profile.orders[used],
        profile.instants[used],
        profile.products.codes[used].astype(np.int64),
        np.nan_to_num(profile.amounts[used] * 1e4).astype(np.int64),
    ]
    _, line = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)
    first_file = np.full(int(line.max(initial=-1)) + 1, len(profile.files), dtype=np.int64)
    np.minimum.at(first_file, line, profile.file[used])
    repeats = profile.file[used] > first_file[line]
    n_repeats = int(repeats.sum())
    n_orders = len(np.unique(profile.orders[used[repeats]]))
    share = n_repeats / max(1, len(used))
    # where one export is cut into files, a cut may leave equal lines of one order on both sides
    if share < _REPEATED_SHARE or n_orders < max(_LEAST, len(profile.files)):
        return Finding(name, "pass", share, "the files do not repeat each other's orders")
    sentence = (
        f"{pluralize(n_repeats, 'line')} ({share:.1%}) repeat a line of another file of the source"
    )
    mend = "orders.duplicates: drop"
    if (profile.numbered_orders < 0).all():
        mend += ", with orders.columns.order_id"
    return Finding(name, "warn", share, f"{sentence} and count twice", mend)
