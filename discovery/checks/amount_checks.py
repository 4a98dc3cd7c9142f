"""Checks of amounts: totals that repeat on each line, several currencies, a footer with a total."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...configs.layouts import list_named_columns, load_layouts, normalize_name
from ...errors import quote
from ...orders.columns import Mask
from ...orders.reading.validation_issues import join_words, pluralize
from ..repeated_totals import EQUAL_SHARE, measure_repeats, measure_sums
from . import vocabulary
from .finding import Finding, format_setting
from .source_profile import SourceProfile

__all__ = [
    "detect_currencies",
    "detect_footers",
    "detect_layout_amounts",
    "detect_totals_on_lines",
]

_LEAST_ORDERS = 10  # with several lines: fewer tell nothing
_SAME_AMOUNT = 0.005  # in the shop's currency
_LEAST_CURRENCY_SHARE = 0.001  # of the lines
_LEAST_FILE_LINES = 6  # of a file whose last line may be a total of the others
_NEAR_TOTAL = 1e-6  # relative to the sum
_TOTAL_WEIGHT = 0.2  # of a file's money: a line that says total and holds so much is one


def detect_totals_on_lines(profile: SourceProfile) -> Finding:
    """An order's total on each of its lines: equal amounts, which grow with the number of lines.

    Equal amounts alone are no fault: tickets of one price stand on a line each.
    """
    name = "order totals"
    per_line = np.array([source.amount_per == "line" for source in profile.sources])
    usable = profile.is_used & (profile.amounts > 0) & per_line[profile.source]
    repeats = measure_repeats(profile.amounts[usable], profile.orders[usable])
    share = repeats.share
    if repeats.n_orders < _LEAST_ORDERS:
        return Finding(name, "pass", 0.0, "too few orders of several lines to hold repeated totals")
    sentence = f"{share:.0%} of the orders of several lines have the same amount on each"
    sums = measure_sums(profile.amounts[usable], profile.orders[usable])
    if sums >= EQUAL_SHARE:
        return Finding(
            name,
            "warn",
            sums,
            f"{sums:.0%} of the orders of three and more lines have a line with the sum of the "
            "others: it is a payment or total, and revenue is counted twice",
            "leave these lines out by the column that tells them: orders.except: {COLUMN: [VALUE]}",
        )
    if not repeats.is_total:
        return Finding(name, "pass", share, sentence)
    has_ids = bool((profile.numbered_orders >= 0).any())
    return Finding(
        name,
        "warn",
        share,
        f"{sentence}, and it grows with their number: it is the order's total, and revenue "
        f"is counted {repeats.factor:.1f} times",
        "orders.amount_per: order" + ("" if has_ids else ", with orders.columns.order_id"),
    )


def detect_currencies(profile: SourceProfile) -> Finding:
    """Several currencies: in a column of codes, or as signs or codes in the cells of amounts."""
    name = "currencies"
    for (position, column), counts in profile.values.items():
        if profile.sources[position].currency_column is not None:
            continue
        codes = _find_codes(column, counts)
        filled = sum(count for value, count in counts.items() if value)
        if _are_several(codes):
            largest = max(codes, key=codes.__getitem__)
            mend = (
                f"{format_setting('orders.currency_column', column)}, with orders.currency: "
                f"{largest} to keep {largest} alone, or orders.exchange_rates: FILE to convert"
            )
            others = 1 - codes[largest] / filled
            sentence = (
                f"column {quote(column)} holds {_list_counts(codes)}; amounts are added as they "
                "stand"
            )
            return Finding(name, "warn", others, sentence, mend)
    if _are_several(profile.marks):
        n_marked = sum(profile.marks.values())
        sentence = f"amounts are written in {_list_counts(profile.marks)}, and added as they stand"
        return Finding(
            name,
            "warn",
            1 - max(profile.marks.values()) / n_marked,
            sentence,
            "export amounts in one currency, or with a column of codes for orders.currency_column",
        )
    return Finding(name, "pass", 0.0, "no second currency shows in columns or amounts")


def detect_layout_amounts(profile: SourceProfile) -> Finding:
    """Tax added to prices that contain it: another export of the layout fits the values."""
    name = "layout"
    for (position, column), counts in profile.values.items():
        layout = load_layouts().get(str(profile.sources[position].layout))
        for export in layout.exports if layout else ():
            if not export.fits_values(column, counts):
                continue
            amounts = export.columns["amount"]
            known = {normalize_name(n) for one in amounts for n in list_named_columns(one)}
            added = [n for n in profile.amount_columns if normalize_name(n) not in known]
            if not added:
                continue
            fitting = [
                a for a in amounts if set(list_named_columns(a)) <= {*profile.amount_columns}
            ]
            values = join_words([quote(value) for value in list(counts)[:3]])
            return Finding(
                name,
                "warn",
                float(sum(counts.values())),
                f"column {quote(column)} is {values}: these are {export.name}, and the amount adds "
                f"{join_words([quote(n) for n in added])}, which is in the prices already",
                format_setting("orders.columns.amount", fitting[0] if fitting else amounts[-1]),
            )
    return Finding(name, "pass", 0.0, "the amount fits the values of the layout's file")


def _find_codes(column: str, counts: Mapping[str, int]) -> dict[str, int]:
    """The currencies in a column with their lines; none where it is of something else."""
    filled = {value.strip().upper(): 0 for value in counts if value}
    for value, count in counts.items():
        if value:
            filled[value.strip().upper()] += count
    codes = sum(n for value, n in filled.items() if vocabulary.is_currency_code(value))
    if vocabulary.is_currency_column(column):
        is_named = not any(sign.isdigit() for value in filled for sign in value)
        return filled if is_named else {}
    is_all_codes = codes == sum(filled.values()) and any(map(vocabulary.is_common_currency, filled))
    return filled if is_all_codes else {}


def _are_several(counts: Mapping[str, int]) -> bool:
    """Whether a second currency is on a thousandth of the lines at least, and on two."""
    ordered = sorted(counts.values(), reverse=True)
    return len(ordered) > 1 and sum(ordered[1:]) >= max(2, _LEAST_CURRENCY_SHARE * sum(ordered))


def _list_counts(counts: Mapping[str, int]) -> str:
    largest = sorted(counts, key=lambda value: -counts[value])[:4]
    return join_words([f"{value} ({pluralize(counts[value], 'line')})" for value in largest])


def detect_footers(profile: SourceProfile) -> Finding:
    """A line that holds the sum of its file: the amount of all other lines, or the word total."""
    name = "footer"
    amounts = np.nan_to_num(profile.amounts)
    n_files = len(profile.files)
    sums = np.bincount(profile.file, amounts, n_files)
    money = np.bincount(profile.file, np.abs(amounts), n_files)
    sizes = np.bincount(profile.file, minlength=n_files)
    of_line, all_money = sums[profile.file], money[profile.file]
    is_sum = np.abs(2 * amounts - of_line) <= np.maximum(_NEAR_TOTAL * all_money, _SAME_AMOUNT)
    says_total = _says_total(profile)
    said = np.bincount(profile.file, np.abs(amounts) * says_total, n_files)[profile.file]
    is_sum |= says_total & (said >= _TOTAL_WEIGHT * all_money)
    is_sum &= (amounts != 0) & (sizes[profile.file] >= _LEAST_FILE_LINES)
    at = np.flatnonzero(is_sum)
    if not len(at):
        return Finding(name, "pass", 0.0, "no line holds the total of its file")
    line = int(at[-1])
    label = profile.customers.codes[line]
    customer = profile.customers.labels[label].as_py() if label >= 0 else ""
    where = profile.files[profile.file[line]]
    sentence = (
        f"a line of {where or 'the orders'} holds {amounts[line]:,.2f}, the total of the others"
    )
    if not customer:
        return Finding(name, "pass", len(at), f"{sentence}; it names no customer and is set aside")
    return Finding(
        name, "warn", len(at), sentence, format_setting("orders.no_customer", [customer])
    )


def _says_total(profile: SourceProfile) -> Mask:
    """Lines whose customer, order or product is a word for a total."""
    is_total = np.zeros(profile.n_lines, dtype=np.bool_)
    for column in (profile.customers, profile.order_ids, profile.products):
        labels = column.labels.to_pylist()
        totals = np.array([vocabulary.is_total(label) for label in labels] + [False])
        is_total |= totals[column.codes]
    return is_total
