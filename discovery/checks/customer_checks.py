"""Checks of customer ids: one id for many people, many ids for one person, an id per order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ...errors import quote
from ...orders.columns import Int64
from ...orders.reading.validation_issues import join_words, pluralize
from . import vocabulary
from .finding import Finding, format_setting
from .source_profile import SourceProfile

__all__ = ["detect_customer_per_order", "detect_shared_ids", "detect_similar_ids"]

_LEAST_PLACEHOLDER_ORDERS = 2
_LEAST_CUSTOMERS = 60  # among fewer a key account is no exception
_LEAST_SHARED_ORDERS = 20  # of an id that looks like any other
_SHARED_SHARE = 0.05  # of all orders
_CHANCE = 0.02  # of one customer alone being so far above the next
_MOST_TAIL = 8.0  # the steepest tail that is believed: counts are whole numbers
_TAIL_SHARE = 0.1  # of the customers, whose tail is measured
_LEAST_TAIL = 10
_LEAST_PEOPLE = 10  # of another column, on one id
_PEOPLE_SHARE = 0.3  # of the id's orders
_PEOPLE_ORDER_SHARE = 0.01  # of all orders
_SIMILAR_SHARE = 0.005  # of the ids
_LEAST_SIMILAR = 2  # groups of ids
_EXPONENT_SHARE = 0.005  # of the lines
_EXPONENT = re.compile(r"^\d([.,]\d+)?e\+\d{1,3}$")
_NUMBERED = re.compile(r"^([A-Za-z]{0,5}[-_#]?)(\d+)$")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_LEAST_ORDERS = 30  # to say that each has a customer of its own
_OWN_SHARE = 0.98  # customers of orders
_REPEATING_SHARE = 0.95  # distinct values of another column of orders


def detect_shared_ids(profile: SourceProfile) -> Finding:
    """An id that is nobody: a word such as guest, or one with the orders of many people."""
    name = "shared ids"
    orders_of = _count_orders(profile)
    n_orders = max(1, int(orders_of.sum()))
    labels = profile.customers.labels.to_pylist()
    nobody = [
        k
        for k, label in enumerate(labels)
        if orders_of[k] >= _LEAST_PLACEHOLDER_ORDERS and _is_placeholder(label, labels)
    ]
    why = "a word for nobody"
    if not nobody:
        nobody, why = _find_crowded(profile, orders_of), "with the orders of several people"
    if not nobody:
        largest = float(orders_of.max(initial=0)) / n_orders
        sentence = f"no id stands for nobody; the largest has {largest:.1%} of the orders"
        return Finding(name, "pass", largest, sentence)
    n_shared = int(orders_of[nobody].sum())
    share = n_shared / n_orders
    ids = [labels[k] for k in nobody]
    examples = join_words([quote(label) for label in ids[:4]])
    noun = "id" if len(ids) == 1 else "ids"
    sentence = f"{pluralize(n_shared, 'order')} ({share:.1%}) are of the {noun} {examples}, {why}"
    person = _find_telling_column(profile, nobody)
    mend = format_setting("orders.no_customer", ids)
    if person:
        other = format_setting("orders.columns.customer_id", person)
        mend = f"{other}, which tells these customers apart, or {mend}"
    return Finding(name, "warn", share, sentence, mend)


def _count_orders(profile: SourceProfile) -> Int64:
    """Orders of each customer label: int64."""
    used = np.flatnonzero(profile.is_used)
    _, first = np.unique(profile.orders[used], return_index=True)
    customers = profile.customers.codes[used[first]]
    return np.bincount(customers, minlength=len(profile.customers.values)).astype(np.int64)


def _is_placeholder(label: str, labels: Sequence[str]) -> bool:
    """A word for nobody; or 0, 000, 999999 where ids are not counted up to it."""
    if vocabulary.is_placeholder(label):
        return True
    if not re.fullmatch(r"0+|9{4,}|1{5,}|123456\d*", label):
        return False
    near = {str(int(label) + step).zfill(len(label)) for step in (-1, 1)}
    return near.isdisjoint(labels)


def _find_crowded(profile: SourceProfile, orders_of: Int64) -> list[int]:
    """The id with far more orders than the tail of the others allows, or with many people."""
    total = int(orders_of.sum())
    if len(orders_of) < 2 or not total:
        return []
    descending = np.sort(orders_of[orders_of > 0])[::-1]
    top = int(np.argmax(orders_of))
    if (
        len(descending) >= _LEAST_CUSTOMERS
        and descending[0] >= max(_LEAST_SHARED_ORDERS, _SHARED_SHARE * total)
        and _compute_chance(descending) < _CHANCE
    ):
        return [top]
    used = profile.is_used
    for column in profile.persons.values():
        has_label = used & (column.codes >= 0)
        customer = profile.customers.codes[has_label].astype(np.int64)
        pairs = np.unique(customer * (len(column.values) + 1) + column.codes[has_label])
        people = np.bincount(pairs // (len(column.values) + 1), minlength=len(orders_of))
        crowded = (people >= np.maximum(_LEAST_PEOPLE, _PEOPLE_SHARE * orders_of)) & (
            orders_of >= _PEOPLE_ORDER_SHARE * total
        )
        if crowded.any() and np.median(people[people > 0]) == 1:
            return [int(k) for k in np.flatnonzero(crowded)]
    return []


def _compute_chance(descending: Int64) -> float:
    """The chance that the largest count is so far above the second, if all have one tail.

    The tail falls by a power, which Hill's estimate reads off the next counts. That it is read off
    few is accounted for: the predictive distribution of a Pareto tail is a Lomax.
    """
    others = descending[1:].astype(np.float64)
    n = min(len(others) - 1, max(_LEAST_TAIL, int(_TAIL_SHARE * len(others))))
    logs = max(float(np.log(others[:n] / others[n]).sum()), n / _MOST_TAIL)
    return float((logs / (logs + np.log(descending[0] / others[0]))) ** n)


def _find_telling_column(profile: SourceProfile, nobody: Sequence[int]) -> str:
    """A column that has several people where the customer id has one; empty without one."""
    lines = profile.is_used & np.isin(profile.customers.codes, nobody)
    for name, column in profile.persons.items():
        codes = column.codes[lines]
        if len(np.unique(codes[codes >= 0])) >= _LEAST_PEOPLE:
            return name
    return ""


def detect_similar_ids(profile: SourceProfile) -> Finding:
    """Ids that differ in case, Unicode form, quotes, leading zeros, or that a spreadsheet wrote."""
    name = "similar ids"
    used = np.unique(profile.customers.codes[profile.is_used])
    labels = [profile.customers.labels[int(k)].as_py() for k in used if k >= 0]
    kinds: dict[str, Callable[[str], str]] = {
        "case, Unicode form, invisible signs or quotes": _fold,
        "leading zeros": _strip_zeros,
    }
    for kind, key in kinds.items():
        groups = [group for group in _group(labels, key) if len(group) > 1]
        n_ids = sum(map(len, groups))
        if len(groups) >= _LEAST_SIMILAR and n_ids >= _SIMILAR_SHARE * len(labels):
            such_as = join_words([quote(label) for label in groups[0][:2]])
            sentence = (
                f"{pluralize(n_ids, 'customer id')} ({n_ids / len(labels):.1%}) differ from another"
            )
            mend = "orders.customer_ids: folded"
            if kind == "leading zeros":
                mend = "export the ids as text, so that all keep their zeros"
            return Finding(
                name,
                "warn",
                n_ids / len(labels),
                f"{sentence} only in {kind}, such as {such_as}",
                mend,
            )
    counts = np.bincount(profile.customers.codes[profile.is_used], minlength=1)
    written = {
        label: int(counts[k])
        for k, label in zip(used[used >= 0].tolist(), labels, strict=True)
        if _EXPONENT.match(label.casefold())
    }
    share = sum(written.values()) / max(1, int(profile.is_used.sum()))
    if len(written) >= _LEAST_SIMILAR or share >= _EXPONENT_SHARE:
        sentence = (
            f"{pluralize(len(written), 'customer id')} in E-notation, such as {next(iter(written))}"
        )
        mend = "a spreadsheet has rounded them: export the ids as text, and do not open it there"
        return Finding(name, "warn", share, f"{sentence}: several customers may share one", mend)
    return Finding(name, "pass", share, "no ids are alike but for case, form, quotes or zeros")


def _group(labels: Sequence[str], key: Callable[[str], str]) -> Iterator[list[str]]:
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(key(label), []).append(label)
    yield from groups.values()


def _strip_zeros(label: str) -> str:
    """The id without the zeros its number begins with: 00123 is 123, and K-007 is K-7."""
    match = _NUMBERED.match(label)
    return label if match is None else match[1] + (match[2].lstrip("0") or "0")


def _fold(label: str) -> str:
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", label)).casefold()
    return " ".join(text.split()).strip("\"'`´‘’“”«» ")


def detect_customer_per_order(profile: SourceProfile) -> Finding:
    """A customer id that is new with each order, where another column knows who came back."""
    name = "customer ids"
    used = np.flatnonzero(profile.is_used)
    ids, first = np.unique(profile.orders[used], return_index=True)
    lines = used[first]
    customers = len(np.unique(profile.customers.codes[lines]))
    share = customers / max(1, len(ids))
    sentence = f"{pluralize(customers, 'customer')} have {pluralize(len(ids), 'order')}"
    if share < _OWN_SHARE or len(ids) < _LEAST_ORDERS:
        return Finding(name, "pass", share, sentence)
    for column, people in profile.persons.items():
        codes = people.codes[lines]
        counts = np.bincount(codes[codes >= 0])
        counts = np.sort(counts[counts > 0])[:-1]  # the largest may be a word for nobody
        if counts.sum() >= _LEAST_ORDERS and len(counts) <= _REPEATING_SHARE * counts.sum():
            return Finding(
                name,
                "warn",
                share,
                f"{sentence}: the id is new with each order, while column {quote(column)} repeats "
                f"({len(counts):,} different in {counts.sum():,} orders)",
                format_setting("orders.columns.customer_id", column),
            )
    return Finding(name, "pass", share, sentence)
