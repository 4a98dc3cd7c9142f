"""Segments a model is judged in: kinds of customers that no model has a say in."""

from __future__ import annotations

import numpy as np

from ...features.table import FeatureRows, compute_feature_rows
from ...orders import dates
from ...orders.columns import Int64, Text
from ...orders.orders import Orders

__all__ = ["assign_segments_at", "compare_segments"]

_TIERS = (0.5, 0.8)  # of customers by spend before the cutoff: low, medium, high


def compare_segments(known: Orders, rows: FeatureRows) -> dict[str, Text]:
    """Kind of segment -> each row's label: tier by past spend, cohort by quarter, main channel.

    `rows` are those of `known` at one cutoff. The channel is the one most lines came through.
    """
    spend = rows.columns(("spend_total",))[:, 0].astype(np.float64)
    cuts = np.quantile(spend, _TIERS) if len(spend) else np.zeros(2)
    tier = np.array(["low", "medium", "high"], dtype=object)[np.searchsorted(cuts, spend)]
    firsts = known.times[known.starts[:-1]][rows.customer_index]
    found = {"tier": tier, "cohort": np.array(dates.format_quarters(firsts), dtype=object)}
    if "channel" in known.texts:
        found["channel"] = _main_channel(known)[rows.customer_index]
    return found


def assign_segments_at(known: Orders, cutoff: int) -> list[tuple[str, Int64]]:
    """Each segment's name, such as `tier high`, and its rows among the forecasts of `known` at the cutoff."""
    rows = compute_feature_rows(known, np.array([cutoff], dtype=np.int64))
    return [
        (f"{kind} {label}", np.flatnonzero(labels == label))
        for kind, labels in compare_segments(known, rows).items()
        for label in sorted(set(labels.tolist()))
    ]


def _main_channel(orders: Orders) -> Text:
    column = orders.texts["channel"]
    named = column.codes >= 0
    n_labels = max(len(column.labels), 1)
    pairs = orders.customer_of_line()[named] * n_labels + column.codes[named]
    pair, lines = np.unique(pairs, return_counts=True)
    customer, code = pair // n_labels, pair % n_labels
    labels = np.full(orders.n_customers, "none", dtype=object)
    order = np.lexsort(
        (-code, lines, customer)
    )  # the last of a customer wins: most lines, first name
    names = np.array(column.labels.to_pylist() or [""], dtype=object)
    labels[customer[order]] = names[code[order]]
    return labels
