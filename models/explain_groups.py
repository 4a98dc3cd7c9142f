"""Explanations people can read: a customer's reasons added up by what they tell, in sentences.

The amounts are those of `models.contributions`, of all features, so that nothing is left over. The
typical value beside a customer's is the shop's median at the training end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from ..features.catalogue import CATALOGUE
from ..features.table import FeatureRows
from .contributions import ORDER_VALUE, RHYTHM, TYPICAL, compute_contributions
from .drift_reference import DriftReference, Histogram
from .model import TrainedModel

__all__ = ["explain_row_groups"]

_RECENT, _OFTEN, _SIZE = "how recent", "how often", "order size"
_RETURNS, _SEASON, _BOUGHT = "returns", "season", "what was bought"
_SHOP, _FACTS = "what this shop's customers are like", "facts about the customer"
_GROUPS = {
    "money": _SIZE,
    "basket": _SIZE,
    "quantity": _SIZE,
    "returns": _RETURNS,
    "rhythm": _OFTEN,
    "trend": _RECENT,
    "calendar": _SEASON,
    "season": _SEASON,
    "products": _BOUGHT,
    "categories": _BOUGHT,
    "channels": _BOUGHT,
    "discount": _BOUGHT,
    "cost": _BOUGHT,
}
_SPECIAL = {
    TYPICAL: _SHOP,
    RHYTHM: _OFTEN,
    ORDER_VALUE: _SIZE,
    "days_since_last_order": _RECENT,
    "silence_over_gap": _RECENT,
    "tenure_days": _OFTEN,
    "n_orders": _OFTEN,
    "n_order_days": _OFTEN,
    "active_days": _OFTEN,
    "orders_per_year": _OFTEN,
}
_TRAILING = {"orders": _OFTEN, "spend": _SIZE, "returns": _RETURNS}
_CATALOGUE = {feature.name: feature.group for feature in CATALOGUE}
# group -> the feature that stands for it, and its sentence
_SENTENCES = {
    _RECENT: ("days_since_last_order", "last order {0:,.0f} days ago"),
    _OFTEN: ("n_orders", "{0:,.0f} orders so far"),
    _SIZE: ("order_value_mean", "orders of {0:,.2f} on average"),
    _RETURNS: ("returns_share", "{0:.1%} of purchases returned"),
}
_WITHOUT = {
    _SHOP: "what a customer without a history would be worth",
    _SEASON: "the time of the year, and when the customer orders",
    _BOUGHT: "products, categories, channels, discounts and costs",
    _FACTS: "attributes and own features",
}


def explain_row_groups(model: TrainedModel, rows: FeatureRows) -> pd.DataFrame:
    """Each row's CLV as amounts by group of reasons, the largest first.

    Columns: customer_id, rank, reason, meaning (a sentence), value and typical (of the feature in
    the sentence; missing where it has none), amount and clv. Rank 0 is what a customer without a
    history would be worth.
    """
    reasons, amounts, clv = compute_contributions(model, rows)
    groups = np.array([_find_group(reason) for reason in reasons], dtype=object)
    names = [_SHOP, *sorted({*groups} - {_SHOP})]
    sums = np.column_stack([amounts[:, groups == name].sum(axis=1) for name in names])
    order = 1 + np.argsort(-np.abs(sums[:, 1:]), axis=1, kind="stable")
    ids = rows.customer_ids.take(pa.array(rows.customer_index)).to_pylist()
    shown = {name: rows.columns((_SENTENCES[name][0],))[:, 0] for name in _SENTENCES}
    typical = {name: _find_typical(model.reference, _SENTENCES[name][0]) for name in _SENTENCES}
    records = []
    for i, customer_id in enumerate(ids):
        for rank, k in enumerate((0, *order[i].tolist())):
            name = names[k]
            value = float(shown[name][i]) if name in shown else float("nan")
            usual = typical.get(name, float("nan"))
            meaning = _describe(name, value, usual)
            records.append((customer_id, rank, name, meaning, value, usual, sums[i, k], clv[i]))
    columns = ["customer_id", "rank", "reason", "meaning", "value", "typical", "amount", "clv"]
    kinds = dict.fromkeys(("customer_id", "reason", "meaning"), "str") | {"rank": "int64"}
    kinds |= dict.fromkeys(("value", "typical", "amount", "clv"), "float64")
    return pd.DataFrame(records, columns=columns).astype(kinds)


def _find_group(reason: str) -> str:
    if reason in _SPECIAL:
        return _SPECIAL[reason]
    group = _CATALOGUE.get(reason)
    if group == "trailing":
        return _TRAILING[reason.split("_")[0]]
    return _FACTS if group is None else _GROUPS[group]


def _describe(group: str, value: float, typical: float) -> str:
    if group not in _SENTENCES or np.isnan(value):
        return _WITHOUT.get(group, group)
    text = _SENTENCES[group][1]
    usual = "" if np.isnan(typical) else f" (typical: {_format(text, typical)})"
    return text.format(value) + usual


def _format(sentence: str, value: float) -> str:
    """A number as the sentence writes it."""
    start, end = sentence.index("{"), sentence.index("}") + 1
    return sentence[start:end].format(value)


def _find_typical(reference: DriftReference | None, name: str) -> float:
    """The median of a feature at the training end; NaN where the model does not keep it."""
    histogram = None if reference is None else reference.features.get(name)
    return float("nan") if histogram is None else _find_median(histogram)


def _find_median(histogram: Histogram) -> float:
    """The first edge that half of the customers are at or below."""
    counts: Sequence[int] = histogram.counts
    reached = np.cumsum(counts)
    if not histogram.edges or not reached[-1]:
        return float("nan")
    place = int(np.searchsorted(reached, reached[-1] / 2.0))
    return float(histogram.edges[min(place, len(histogram.edges) - 1)])
