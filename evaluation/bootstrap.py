"""Paired bootstrap over customers: how sure a difference between two forecasts is.

Every draw takes as many customers as there are, with replacement, and compares both forecasts on
the same ones (Efron and Tibshirani 1993, chapter 13: percentile intervals). Heavy tails of spend
are in the intervals: a draw may hold the largest customer three times, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np

from ..orders.columns import Float64

__all__ = [
    "ConfidenceInterval",
    "bootstrap_bias",
    "bootstrap_gini_difference",
    "bootstrap_loss_ratio",
    "compute_interval",
    "draw_samples",
]

_DRAWS = 1_000
_LEAST_DRAWS = 200
_MOST_CELLS = 200_000_000  # customers x draws; larger shops, whose intervals are narrow, draw less
_BLOCK_CELLS = 4_000_000  # held in memory at a time


@dataclass(frozen=True)
class ConfidenceInterval:
    """An estimate on all customers, and the bounds a share of the draws lies between."""

    estimate: float
    lower: float
    upper: float


def draw_samples(n: int, seed: int = 0) -> Iterator[Float64]:
    """How often each of `n` customers is in each draw: blocks of float64, n_draws x n.

    1,000 draws in all, fewer (at least 200) where `n` is past 200,000.
    """
    random = np.random.default_rng(seed)
    draws = _count_draws(n)
    block = max(1, _BLOCK_CELLS // max(n, 1))
    for first in range(0, draws, block):
        size = min(block, draws - first)
        weights = np.empty((size, n))
        for k in range(size):
            weights[k] = np.bincount(random.integers(0, n, n), minlength=n)
        yield weights


def _count_draws(n: int) -> int:
    return int(np.clip(_MOST_CELLS // max(n, 1), _LEAST_DRAWS, _DRAWS))


def bootstrap_loss_ratio(
    ours: Float64, theirs: Float64, confidence: float = 0.95, seed: int = 0
) -> ConfidenceInterval:
    """Bootstrap the sum of our losses / the sum of theirs - 1: positive where ours is worse.

    Parameters
    ----------
    ours, theirs : array of n_customers
        Each customer's loss by two forecasts, none negative.
    confidence : float
        Share of the draws above the lower bound, and below the upper.
    seed : int
        Of the draws; the same seed gives the same interval.

    Returns
    -------
    ConfidenceInterval
        NaN where theirs is never wrong.
    """
    errors = np.column_stack((ours, theirs))
    samples = np.concatenate([weights @ errors for weights in draw_samples(len(ours), seed)])
    return compute_interval(_divide(*errors.sum(axis=0)), _divide(*samples.T), confidence)


def bootstrap_bias(
    forecast: Float64, actual: Float64, confidence: float = 0.95, seed: int = 0
) -> ConfidenceInterval:
    """Bootstrap `measures.bias`, sum of forecasts / sum of actuals - 1.

    Parameters
    ----------
    forecast, actual, confidence, seed
        As in `bootstrap_loss_ratio`.

    Returns
    -------
    ConfidenceInterval
        NaN where nothing was spent.
    """
    sums = np.column_stack((forecast, actual))
    samples = np.concatenate([weights @ sums for weights in draw_samples(len(actual), seed)])
    return compute_interval(_divide(*sums.sum(axis=0)), _divide(*samples.T), confidence)


def bootstrap_gini_difference(
    ours: Float64, theirs: Float64, actual: Float64, confidence: float = 0.95, seed: int = 0
) -> ConfidenceInterval:
    """Bootstrap the nGini of `ours` less that of `theirs`: negative where ours ranks worse.

    Parameters
    ----------
    ours, theirs, actual, confidence, seed
        As in `bootstrap_loss_ratio`.

    Returns
    -------
    ConfidenceInterval
        NaN where nothing was spent.
    """
    rankings = [_Ranking(values) for values in (ours, theirs, actual)]

    def difference(weights: Float64) -> Float64:
        left, right, perfect = (ranking.gini(actual, weights) for ranking in rankings)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(perfect > 0, (left - right) / perfect, np.nan))

    samples = np.concatenate([difference(weights) for weights in draw_samples(len(actual), seed)])
    estimate = difference(np.ones((1, len(actual))))[0]
    return compute_interval(estimate, samples, confidence)


class _Ranking:
    """Customers sorted by a forecast, highest first, ties together; sorted once for all draws."""

    def __init__(self, forecast: Float64) -> None:
        self.order = np.argsort(-forecast, kind="stable")
        ranked = forecast[self.order]
        is_last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]
        self.ends = np.flatnonzero(is_last) + 1

    def gini(self, actual: Float64, weights: Float64) -> Float64:
        """G = (2 / n) sum C_k - 1 per row of `weights`, as `measures.normalised_gini` defines it.

        Customer i stands weights[i] times in the ranking. A tie group of c customers with money m,
        after M, shares it evenly: its C add up to c M + m (c + 1) / 2.
        """
        captured, total = _sum_captured(self.order, self.ends, actual, weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            gini = 2.0 * captured / (total * weights.sum(axis=1)) - 1.0
        return np.asarray(np.where(total > 0, gini, np.nan))


@numba.njit(cache=True, nogil=True)
def _sum_captured(order, ends, actual, weights):  # type: ignore[no-untyped-def]
    """Per row of `weights` the sum of C_k, and all money."""
    captured, total = np.zeros(len(weights)), np.zeros(len(weights))
    for draw in range(len(weights)):
        begin, before = 0, 0.0
        for end in ends:
            count = money = 0.0
            for k in range(begin, end):
                weight = weights[draw, order[k]]
                count += weight
                money += weight * actual[order[k]]
            captured[draw] += count * before + money * (count + 1.0) / 2.0
            before += money
            begin = end
        total[draw] = before
    return captured, total


def _divide(left: Float64, right: Float64) -> Float64:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(right > 0, left / right - 1.0, np.nan))


def compute_interval(
    estimate: float | Float64, samples: Float64, confidence: float
) -> ConfidenceInterval:
    """An estimate, with `confidence` of the draws above the lower bound and below the upper."""
    draws = samples[~np.isnan(samples)]
    if not len(draws):
        return ConfidenceInterval(float(estimate), float("nan"), float("nan"))
    lower, upper = np.quantile(draws, (1.0 - confidence, confidence))
    return ConfidenceInterval(float(estimate), float(lower), float(upper))
