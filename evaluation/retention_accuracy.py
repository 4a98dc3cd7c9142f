"""Retention value beside what was realised by customers who ordered, and by those who did not.

Nobody both orders and stays away. So forecasts are averaged over the same customers as outcomes:
E[CLV | an order] over those of a group who ordered, E[CLV | none] over the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..orders.columns import Float64, Int64, Mask, Text
from . import measures

__all__ = ["compare_retention"]

_RISKS = ("low", "medium", "high")


def compare_retention(
    clv: Float64,
    retention_value: Float64,
    churn_probability: Float64,
    risk: Text,
    actual: Float64,
    ordered: Mask,
) -> dict[str, list[dict[str, Any]]]:
    """Compare stated and realised differences between customers with an order and without.

    Parameters
    ----------
    clv, retention_value, churn_probability : array of n_customers
        Forecasts.
    risk : array of n_customers
        Risk bands: low, medium, high.
    actual : array of n_customers
        Realised value of the span.
    ordered : array of n_customers
        Who ordered in the first period.

    Returns
    -------
    dict
        `risk`: a row per band; `deciles`: ten groups by retention value, highest first. A row has
        customers, ordered, the mean realised and stated CLV with an order and without, and their
        difference; None where a group has none of one kind.

    Examples
    --------
    >>> one, two = np.array([30.0, 30.0]), np.array([50.0, 12.0])
    >>> band = np.array(["low", "low"], dtype=object)
    >>> found = compare_retention(one, one + 10, one / 60, band, two, np.array([True, False]))
    >>> row = found["risk"][0]
    >>> row["realised"], row["stated"]
    (38.0, 40.0)
    """
    actual = np.maximum(actual, 0.0)
    with_order = clv + churn_probability * retention_value
    without = with_order - retention_value

    def describe(group: Int64 | Mask) -> dict[str, Any]:
        did = ordered[group]
        means = {
            "realised_with_order": _average(actual[group][did]),
            "stated_with_order": _average(with_order[group][did]),
            "realised_without": _average(actual[group][~did]),
            "stated_without": _average(without[group][~did]),
        }
        is_known = None not in means.values()
        realised, stated = (
            means[f"{kind}_with_order"] - means[f"{kind}_without"] if is_known else None
            for kind in ("realised", "stated")
        )
        return {
            "customers": len(did),
            "ordered": int(did.sum()),
            **means,
            "realised": realised,
            "stated": stated,
        }

    bands = [band for band in _RISKS if (risk == band).any()]
    return {
        "risk": [{"group": band} | describe(risk == band) for band in bands],
        "deciles": [
            {"group": k + 1} | describe(group)
            for k, group in enumerate(measures.split_into_groups(-retention_value))
        ],
    }


def _average(values: Float64) -> Any:
    return float(values.mean()) if len(values) else None
