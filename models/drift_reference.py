"""Reference histograms: features and forecasts at the training end, and how far they moved since.

They are counts in bins and shares of categories: small, and nobody's. The distance is the
population stability index, PSI = sum over bins of (now - then) ln(now / then) on shares (Siddiqi
2006; below 0.1 stable, above 0.25 another population). Two samples of one population differ by
(bins - 1) (1 / n_now + 1 / n_then) on average (Yurdakul 2018), which is taken off.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from ..orders.orders import Orders

__all__ = [
    "DriftReference",
    "Histogram",
    "build_histogram",
    "compute_stability_index",
    "count_category_shares",
    "count_unknown_shares",
]

_BINS = 10
_LEAST_SHARE = 1e-4  # of an empty bin, so that its logarithm is one
_MOST_CATEGORIES = 50
_LEAST_CATEGORY = 0.001  # rarer ones are not kept: they could be anybody's
_Share = Annotated[float, Field(ge=0, le=1)]
_CATEGORIES = ("category", "channel")


class Histogram(BaseModel):
    """Counts between `edges` (edges[k-1] < value <= edges[k], open at both ends), and missing."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    edges: tuple[float, ...]
    counts: tuple[NonNegativeInt, ...]  # len(edges) + 1
    missing: NonNegativeInt

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("edges must be in increasing order")
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"counts must have {len(self.edges) + 1} numbers")
        return self


class DriftReference(BaseModel):
    """Features and forecasts of all customers at the training end; categories of earlier lines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: Mapping[str, Histogram]
    forecasts: Mapping[str, Histogram]
    categories: Mapping[str, Mapping[str, _Share]]  # column -> value -> share of lines
    rare: Mapping[str, _Share] = {}  # column -> share of lines with a value that is not kept above


def build_histogram(
    values: npt.NDArray[np.floating], edges: Sequence[float] | None = None
) -> Histogram:
    """Count values (NaN is missing) between `edges`; without them, between their own deciles."""
    present = np.asarray(values[~np.isnan(values)], dtype=np.float64)
    if edges is None:
        inner = np.arange(1, _BINS) / _BINS
        # an edge is a value that occurs: a spike such as "no returns" has a bin of its own
        cuts = np.quantile(present, inner, method="inverted_cdf") if len(present) else np.empty(0)
        edges = tuple(np.unique(cuts).tolist())
    counts = np.bincount(np.searchsorted(edges, present, side="left"), minlength=len(edges) + 1)
    return Histogram(
        edges=tuple(edges), counts=tuple(counts.tolist()), missing=len(values) - len(present)
    )


def compute_stability_index(then: Histogram, now: Histogram) -> float:
    """PSI between two histograms of the same edges, less its expected noise, at least 0."""
    counts = np.array([(*h.counts, h.missing) for h in (then, now)], dtype=np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    sizes = counts.sum(axis=1)
    if not sizes.all():
        return 0.0
    shares = np.maximum(counts / sizes[:, None], _LEAST_SHARE)
    index = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    chance = float((counts.shape[1] - 1) * (1.0 / sizes).sum())
    return max(index - chance, 0.0)


def count_category_shares(orders: Orders) -> dict[str, dict[str, float]]:
    """Per column of categories the orders have, the share of lines of each value, commonest first.

    The fifty commonest, and none that a line in a thousand has not.
    """
    shares_by_column = {}
    for name in _CATEGORIES:
        if name in orders.texts:
            shares = list(count_unknown_shares(orders, name, ()).items())[:_MOST_CATEGORIES]
            shares_by_column[name] = {
                value: share for value, share in shares if share >= _LEAST_CATEGORY
            }
    return shares_by_column


def count_unknown_shares(orders: Orders, name: str, known: Collection[str]) -> dict[str, float]:
    """The share of lines of each value of a column that is not `known`, commonest first."""
    if name not in orders.texts:
        return {}
    column = orders.texts[name]
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
    shares = counts / max(orders.n_lines, 1)
    labels = column.labels.to_pylist()
    best = (k for k in np.argsort(-shares, kind="stable") if shares[k] > 0)
    return {labels[k]: float(shares[k]) for k in best if labels[k] not in known}
