"""audit of the user's own features: a row depends on that customer's lines and the cutoff alone.

The function is called at one cutoff with the lines before it, and again with changes that must not
matter: the same call twice, the customers' ids exchanged, all dates 28 years earlier (the same
weekdays and days of the year), one customer alone. A function that looks something up outside the
lines it is given, later orders above all, gives other values to one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from ...discovery.checks.finding import Finding
from ...orders import dates, windows
from ...orders.extra_features import ExtraFeatures
from ...orders.orders import Orders
from ...orders.reading.validation_issues import pluralize
from ..extra_features import build_order_frame, call_function

__all__ = ["audit_extra_features"]

_ALONE = 30  # customers asked for one by one
_YEARS = 28  # after which weekdays and dates coincide again, until 2099
_CLOSE = 1e-5  # relative, where moved dates may round otherwise


def audit_extra_features(orders: Orders, extra: ExtraFeatures, cutoff: int) -> Finding:
    """Compare the function's values at a cutoff with those under changes that must not matter."""
    observed = build_order_frame(windows.slice_observed(orders, cutoff))
    expected = _sort(call_function(extra, observed, cutoff, None), observed)
    extra = replace(extra, names=tuple(expected.columns))
    faults: dict[str, list[str]] = {}
    for change, changed_values, tolerance in _vary(extra, observed, cutoff):
        before = expected.loc[changed_values.index]
        differs = ~np.isclose(before, changed_values, rtol=tolerance, atol=0.0, equal_nan=True)
        if differs.any():
            named = [str(name) for name in expected.columns.to_numpy()[differs.any(axis=0)]]
            faults[change] = [*faults.get(change, []), *named]
    n_features, n_customers = len(expected.columns), len(expected)
    sentence = (
        f"{pluralize(n_features, 'extra feature')} of {pluralize(n_customers, 'customer')} at "
        f"{dates.format_instant(cutoff)}: "
    )
    if not faults:
        return Finding(
            "extra features", "pass", 0, f"{sentence}they depend on the customer's own lines alone"
        )
    changes = "; ".join(
        f"{', '.join(dict.fromkeys(names))} change {change}" for change, names in faults.items()
    )
    return Finding(
        "extra features",
        "fail",
        len(faults),
        f"{sentence}{changes}, so they may hold later orders or other customers",
        "compute them from the lines the function is given; facts kept elsewhere belong into "
        "customers: (with valid_from) or calendar:",
    )


def _vary(
    extra: ExtraFeatures, known: pd.DataFrame, cutoff: int
) -> Iterator[tuple[str, pd.DataFrame, float]]:
    """Each change in words, the values under it by the customers' own ids, and a tolerance."""
    names = extra.names
    yield "when called twice", _sort(call_function(extra, known, cutoff, names), known), 0.0
    ids = known["customer_id"].unique()
    other = dict(zip(ids, np.roll(ids, len(ids) // 2), strict=True))
    renamed = known.assign(customer_id=known["customer_id"].map(other))
    renamed = renamed.sort_values("customer_id", kind="stable", ignore_index=True)
    varied = _sort(call_function(extra, renamed, cutoff, names), renamed)
    original_ids = {new: old for old, new in other.items()}
    if len(ids) > 1:
        yield "when customers exchange their ids", varied.rename(index=original_ids), 0.0
    earlier = known.assign(ordered_at=known["ordered_at"] - pd.DateOffset(years=_YEARS))
    moved = pd.Timestamp(cutoff, unit="us") - pd.DateOffset(years=_YEARS)
    varied = call_function(extra, earlier, dates.parse_instant(moved.to_pydatetime()), names)
    yield f"when all dates are {_YEARS} years earlier", _sort(varied, earlier), _CLOSE
    for customer_id in ids[np.unique(np.linspace(0, len(ids) - 1, _ALONE).astype(int))]:
        alone = known[known["customer_id"] == customer_id].reset_index(drop=True)
        varied = _sort(call_function(extra, alone, cutoff, names), alone)
        yield "when a customer is alone", varied, 0.0


def _sort(found: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The values of every customer with a line; those left out are missing."""
    return found.reindex(known["customer_id"].unique())
