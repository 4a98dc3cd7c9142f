"""audit: proof, on a user's own orders, that nothing at or after a cutoff touches a feature.

The features at the cutoff are computed three times: from all orders, from those before it alone,
and from orders whose later lines were corrupted. All three must agree to the byte.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...discovery.checks.finding import Finding
from ...orders import dates, windows
from ...orders.attributes import Attributes
from ...orders.columns import TextColumn
from ...orders.cutoffs import get_default_cutoff, get_newest_realised_cutoff
from ...orders.orders import Orders
from ...orders.reading.validation_issues import pluralize
from ..attribute_features import encode_attributes, learn_coding
from ..table import FeatureRows, compute_feature_rows

__all__ = ["audit_leakage", "choose_audit_cutoff"]


def choose_audit_cutoff(orders: Orders, horizon_days: int) -> int:
    """The newest realised cutoff, or halfway through a shorter history."""
    first, end = windows.find_first_order_at(orders), get_default_cutoff(orders)
    cutoff = get_newest_realised_cutoff(end, horizon_days)
    return cutoff if cutoff > first else dates.get_midnight_after((first + end) // 2)


def audit_leakage(orders: Orders, horizon_days: int) -> Finding:
    """Compare the features at one cutoff with and without the lines after it."""
    cutoff = choose_audit_cutoff(orders, horizon_days)
    at = np.array([cutoff], dtype=np.int64)
    observed = windows.slice_observed(orders, cutoff)
    expected = compute_feature_rows(_encode_attributes(observed, cutoff), at)
    later = orders.n_lines - observed.n_lines
    others = {
        "with the later lines": compute_feature_rows(_encode_attributes(orders, cutoff), at),
        "with the later lines corrupted": compute_feature_rows(
            _encode_attributes(_corrupt_lines(orders, cutoff), cutoff), at
        ),
    }
    changed = [name for name, rows in others.items() if not _are_equal(expected, rows)]
    sentence = (
        f"{expected.n_rows:,} rows of {len(expected.names)} features at "
        f"{dates.format_instant(cutoff)}, {pluralize(later, 'later line')}"
        f"{_name_facts(orders, observed)} removed and corrupted: "
    )
    if changed:
        return Finding(
            "audit", "fail", len(changed), f"{sentence}they change {' and '.join(changed)}"
        )
    return Finding("audit", "pass", 0, f"{sentence}the features stay the same to the byte")


def _encode_attributes(orders: Orders, cutoff: int) -> Orders:
    """The orders with the attributes coded as training up to the cutoff would code them."""
    return encode_attributes(orders, learn_coding(orders, cutoff))


def _name_facts(orders: Orders, known: Orders) -> str:
    if orders.attributes is None or known.attributes is None:
        return ""
    later = len(orders.attributes.valid_from) - len(known.attributes.valid_from)
    return f" and {pluralize(later, 'later fact')}"


def _corrupt_lines(orders: Orders, cutoff: int) -> Orders:
    """The orders with all values of lines at or after the cutoff replaced by nonsense."""
    later = ~windows.is_before(orders.times, cutoff)
    amounts = np.where(later, -7 * orders.amounts + 12_345_678, orders.amounts)
    texts = {
        name: TextColumn(np.where(later, 0, column.codes).astype(np.int32), column.values)
        for name, column in orders.texts.items()
        if len(column.values)
    }
    numbers = {name: np.where(later, -1e9, values) for name, values in orders.numbers.items()}
    return replace(
        orders,
        amounts=amounts,
        texts={**orders.texts, **texts},
        numbers=numbers,
        attributes=orders.attributes and _corrupt_facts(orders.attributes, cutoff),
    )


def _corrupt_facts(facts: Attributes, cutoff: int) -> Attributes:
    """The facts with all that begin at or after the cutoff turned to nonsense."""
    later = ~windows.is_before(facts.valid_from, cutoff)
    texts = {
        name: TextColumn(np.where(later, 0, column.codes).astype(np.int32), column.labels)
        for name, column in facts.texts.items()
        if len(column.labels)
    }
    return replace(
        facts,
        texts={**facts.texts, **texts},
        numbers={name: np.where(later, -1e9, values) for name, values in facts.numbers.items()},
        dates={name: np.where(later, 0, values) for name, values in facts.dates.items()},
    )


def _are_equal(left: FeatureRows, right: FeatureRows) -> bool:
    """Whether two sets of rows are equal to the byte, customer by customer."""
    left_ids = left.customer_ids.take(left.customer_index)
    return (
        bool(left_ids.equals(right.customer_ids.take(right.customer_index)))
        and left.values.tobytes() == right.values.tobytes()
        and left.whole.tobytes() == right.whole.tobytes()
    )
