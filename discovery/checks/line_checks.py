"""Checks of lines: returns that count as sales, lines that a join repeats, amounts of whole orders
on each line.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...errors import quote
from ...orders.columns import Int64, Mask
from ...orders.reading.validation_issues import join_words, pluralize
from ..words import is_payment, is_return
from .cell_hashes import UInt64, hash_texts
from .finding import Finding, format_addition, format_setting, format_signed_amount
from .source_profile import SourceProfile

__all__ = ["detect_joined_lines", "detect_order_amounts", "detect_returns"]

_LEAST_RETURNS = 3  # lines: fewer are chance
_POSITIVE_SHARE = 0.5  # of the amounts of lines that say return
_LEAST_OWN_RETURNS = 5  # lines of somebody who never bought
_OWN_SHARE = 0.5  # of the money of all returns
_NAMED_SHARE = 0.5  # of these lines have an order_id in another column
_NAMELESS_SHARE = 0.5  # of the lines that give back
_LEAST_JOINED = 3  # orders
_JOINED_SHARE = 0.9  # of the orders in which a column varies
_NUMBERED_SHARE = 0.98  # of the orders begin to count at 1
_LEAST_ORDERS = 10
_CONSTANT_SHARE = 0.98  # of the orders of several amounts
_NOTHING = hash_texts(["", "0", "0.0", "0.00", "0,00", "0.000", "$0.00"])


def detect_returns(profile: SourceProfile) -> Finding:
    """Returns that count as sales, by a word or a negative quantity; and in the shop's own name."""
    for detect in (
        _detect_named_returns,
        _detect_negative_quantities,
        _detect_own_returns,
        _detect_nameless_returns,
    ):
        finding = detect(profile)
        if finding is not None:
            return finding
    return Finding("return lines", "pass", 0.0, "no line that says return counts as a sale")


def _detect_named_returns(profile: SourceProfile) -> Finding | None:
    for (position, column), counts in profile.values.items():
        source = profile.sources[position]
        positive = profile.positives.get((position, column), {})
        return_counts = {
            value: positive[value]
            for value, n in counts.items()
            if positive.get(value, 0) > _POSITIVE_SHARE * n and is_return(value)
        }
        lines = sum(return_counts.values())
        if lines < _LEAST_RETURNS or len(return_counts) == len(
            [value for value in counts if value]
        ):
            continue
        examples = join_words(
            [f"{quote(v)} ({pluralize(n, 'line')})" for v, n in return_counts.items()]
        )
        return Finding(
            "return lines",
            "warn",
            lines / max(1, sum(counts.values())),
            f"column {quote(column)} has {examples} with positive amounts, which count as sales",
            format_addition("orders.returns", source.returns, column, list(return_counts)),
        )
    return None


def _detect_negative_quantities(profile: SourceProfile) -> Finding | None:
    back = profile.is_used & (profile.quantities < 0)
    wrong = back & (profile.amounts > 0)
    if wrong.sum() < _LEAST_RETURNS or wrong.sum() <= _POSITIVE_SHARE * back.sum():
        return None
    columns = profile.config.columns or profile.sources[0].columns
    amount, quantity = str(columns.get("amount", "amount")), profile.quantity_column
    return Finding(
        "return lines",
        "warn",
        float(wrong.mean()),
        f"{pluralize(int(wrong.sum()), 'line')} have a negative {quantity} and a positive amount, "
        "and count as sales",
        format_setting("orders.columns.amount", format_signed_amount(f"({amount})", str(quantity))),
    )


def _detect_own_returns(profile: SourceProfile) -> Finding | None:
    """Somebody who never bought and has half of all returns: the shop, which sends refunds."""
    used = np.flatnonzero(profile.is_used & (profile.customers.codes >= 0))
    customers, amounts = profile.customers.codes[used], profile.amounts[used]
    n = len(profile.customers.values)
    returned_sums = np.bincount(customers, np.minimum(amounts, 0.0), n)
    bought = np.bincount(customers, amounts > 0, n)
    lines = np.bincount(customers, amounts < 0, n)
    is_shop = (
        (bought == 0)
        & (lines >= _LEAST_OWN_RETURNS)
        & (returned_sums <= _OWN_SHARE * returned_sums.sum())
    )
    if not is_shop.any():
        return None
    top = int(np.argmax(is_shop * -returned_sums))
    name = profile.customers.labels[top].as_py()
    reference = _find_reference(profile, profile.customers.codes == top)
    return Finding(
        "return lines",
        "warn",
        float(returned_sums[top] / returned_sums.sum()),
        f"{quote(name)} bought nothing and has {pluralize(int(lines[top]), 'return')} "
        f"({returned_sums[top]:,.2f}): refunds in the shop's own name, which no customer's "
        "value falls by",
        format_setting("orders.return_columns", {"order_id": reference})
        if reference
        else "export the column that names the order they give back, for orders.return_columns, or "
        + format_setting("orders.no_customer", [name]),
    )


def _detect_nameless_returns(profile: SourceProfile) -> Finding | None:
    """Refunds that are set aside because they name no customer, only an order of the file."""
    lost = (profile.customers.codes < 0) & (profile.amounts < 0)
    returned = int((profile.amounts < 0).sum())
    if lost.sum() < max(_LEAST_RETURNS, _NAMELESS_SHARE * returned):
        return None  # some lines of any kind lack a customer
    reference = _find_reference(profile, lost)
    has_order = np.isin(
        profile.numbered_orders, np.unique(profile.numbered_orders[profile.is_used])
    )
    if not reference and has_order[lost & (profile.numbered_orders >= 0)].sum() < _LEAST_RETURNS:
        return None
    money = float(profile.amounts[lost].sum())
    bought = float(profile.amounts[profile.is_used].sum())
    where = (
        f"column {quote(reference)} names their orders" if reference else "they name their orders"
    )
    return Finding(
        "return lines",
        "warn",
        abs(money / bought) if bought else 0.0,
        f"{pluralize(int(lost.sum()), 'line')} with negative amounts ({money:,.2f}) name no "
        f"customer and are set aside, so they reduce nobody's spend; {where}",
        "fill in the customer of each order on its refunds, in the export or by a query",
    )


def _find_reference(profile: SourceProfile, lines: Mask) -> str:
    """A column that names other orders on some lines; empty where there is none."""
    order_hashes = set(hash_texts(profile.order_ids.labels.to_pylist()).tolist())
    for name, cells in profile.cells.items():
        sampled_cells = cells[lines[: len(cells)]]
        if (
            len(sampled_cells)
            and np.mean([cell in order_hashes for cell in sampled_cells.tolist()]) >= _NAMED_SHARE
        ):
            return name
    return ""


def detect_joined_lines(profile: SourceProfile) -> Finding:
    """Lines that a join repeats: each line of an order stands once with each of its payments.

    Then an order with n lines and m payments has n times m lines, whatever is joined.
    """
    name = "joined lines"
    orders, keys = _number_lines(profile)
    repeats = pd.Series(keys).map(pd.Series(keys).value_counts()).to_numpy() > 1
    affected = np.isin(orders, np.unique(orders[repeats & (orders >= 0)]))
    for column, cells in profile.cells.items():
        if column in profile.amount_columns:
            continue
        at = np.flatnonzero(affected[: len(cells)])
        by_order = _count_pairs(orders[at], keys[at], cells[at])
        varies = by_order[by_order["cells"] > 1]
        multi_key = varies[varies["keys"] > 1]
        joined = multi_key if len(multi_key) >= _LEAST_JOINED or not is_payment(column) else varies
        if len(joined) < _LEAST_JOINED or joined["is_product"].mean() < _JOINED_SHARE:
            continue
        counted = varies[varies["is_product"]]["cells"]
        amounts = pd.Series(profile.amounts[at]).groupby(orders[at]).sum()
        extra = float((amounts[counted.index] * (1 - 1 / counted)).sum())
        money = profile.amounts[: len(cells)][orders[: len(cells)] >= 0].sum()
        is_counted = _starts_at_one(orders[: len(cells)], cells)
        mend = (
            format_setting("orders.only", {column: ["1"]})
            if is_counted
            else f"export the lines without {quote(column)}, or with one row for each line of "
            "an order"
        )
        return Finding(
            name,
            "warn",
            float(extra / money),
            f"{pluralize(len(varies), 'order')} have each of their lines once for each value of "
            f"{quote(column)}: a join repeats them, and {extra:,.2f} of revenue is counted too "
            "much",
            mend,
        )
    return Finding(name, "pass", 0.0, "no column repeats the lines of orders")


def _number_lines(profile: SourceProfile) -> tuple[Int64, Int64]:
    """Per compared line its order (-1: none that counts) and what it is, in mapped columns."""
    n = max((len(cells) for cells in profile.cells.values()), default=0)
    usable = (profile.is_used & (profile.numbered_orders >= 0) & (profile.amounts > 0))[:n]
    orders = np.where(usable, profile.orders[:n], -1)
    amounts = np.nan_to_num(np.round(profile.amounts[:n] * 100))
    parts = pd.DataFrame({"order": orders, "sku": profile.products.codes[:n], "amount": amounts})
    keys = parts.groupby(list(parts), sort=False).ngroup()
    return np.asarray(orders, np.int64), np.asarray(keys, np.int64)


def _count_pairs(orders: Int64, keys: Int64, cells: UInt64) -> pd.DataFrame:
    """Per order: distinct lines, distinct cells, whether each line stands equally often with each
    cell.
    """
    lines = pd.DataFrame({"order": orders, "key": keys, "cell": cells})
    pairs = lines.groupby(["order", "key", "cell"], sort=False).size().reset_index(name="n")
    by_key = pairs.groupby(["order", "key"])["n"].agg(["size", "min", "max"]).reset_index()
    by_key["is_even"] = by_key["min"] == by_key["max"]
    pair_counts = by_key.groupby("order").agg(keys=("key", "size"), is_even=("is_even", "all"))
    pair_counts["cells"] = lines.groupby("order")["cell"].nunique()
    pair_counts["pairs"] = pairs.groupby("order").size()
    pair_counts["is_product"] = pair_counts["is_even"] & (
        pair_counts["pairs"] == pair_counts["keys"] * pair_counts["cells"]
    )
    return pair_counts


def _starts_at_one(orders: Int64, cells: UInt64) -> bool:
    """Whether nearly every order has a line with the cell 1."""
    first = cells == hash_texts(["1"])[0]
    counted = orders >= 0
    return len(np.unique(orders[counted & first])) >= _NUMBERED_SHARE * len(
        np.unique(orders[counted])
    )


def detect_order_amounts(profile: SourceProfile) -> Finding:
    """A discount or fee of the whole order in the amount of each of its lines."""
    name = "amounts of orders"
    if len(profile.amount_columns) < 2:
        return Finding(name, "pass", 0.0, "the amount is of one column")
    n = max(
        (len(profile.cells[c]) for c in profile.amount_columns if c in profile.cells), default=0
    )
    per_line = np.array([source.amount_per == "line" for source in profile.sources])
    usable = (profile.is_used & per_line[profile.source])[:n]
    lines = pd.DataFrame({"order": profile.orders[:n], "amount": profile.amounts[:n]})[usable]
    for column in profile.amount_columns:
        if column not in profile.cells:
            continue
        lines["cell"] = profile.cells[column][usable]
        lines["is_filled"] = ~np.isin(lines["cell"], _NOTHING)
        by_order = lines.groupby("order").agg(
            {"amount": "nunique", "cell": "nunique", "is_filled": "sum"}
        )
        several = by_order[(by_order["amount"] > 1) & (by_order["is_filled"] > 1)]
        if len(several) < _LEAST_ORDERS or lines.loc[lines["is_filled"], "cell"].nunique() < 2:
            continue
        share = float((several["cell"] == 1).mean())
        if share >= _CONSTANT_SHARE:
            return Finding(
                name,
                "warn",
                share,
                f"column {quote(column)} of the amount has one value on all lines of an order in "
                f"{pluralize(len(several), 'order')}: it is of the whole order, and counts on each "
                "line",
                "take the order's total with orders.amount_per: order, or divide it among the "
                "lines of the order in the export",
            )
    return Finding(name, "pass", 0.0, "no part of the amount is of the whole order")
