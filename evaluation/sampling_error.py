"""Sampling error: how far a measure of right forecasts is off by chance, at most, 19 times in 20.

A bound that holds for 100,000 customers would cry wolf in a shop of 300, where a few large orders
move the total by a fifth. So a bound is what may be wrong with a model, and chance comes on top of
it.
"""

from __future__ import annotations

import numpy as np

from ..orders.columns import Float64
from .measures import average_by_group, split_into_groups

__all__ = [
    "estimate_calibration_noise",
    "estimate_capture_noise",
    "estimate_share_noise",
    "estimate_total_noise",
]

_SURE = 1.645  # 95 % of a normal distribution lies below this many standard deviations


def estimate_total_noise(forecast: Float64, actual: Float64) -> float:
    """Estimate the noise of `measures.bias` from how much customers differ in their errors.

    1.645 sqrt(sum of (e - mean e)^2) / sum(actual), e = forecast - actual: the standard error of a
    sum of independent terms, one-sided 95 %.

    Parameters
    ----------
    forecast, actual : array of n_customers
        Spend, in one currency.

    Returns
    -------
    float
        In units of the bias; 0 where nothing was spent.

    Examples
    --------
    >>> estimate_total_noise(np.array([10.0, 10.0]), np.array([7.0, 13.0])) == 1.645 * 18**0.5 / 20
    True
    """
    total = float(actual.sum())
    if total <= 0:
        return 0.0
    errors = forecast - actual
    return float(_SURE * np.sqrt(np.sum((errors - errors.mean()) ** 2)) / total)


def estimate_calibration_noise(probability: Float64) -> float:
    """Estimate the noise of `measures.calibration_error`, had the probabilities been right.

    The gap of a group of n customers is then |N(0, s^2)|, s^2 = mean p (1 - p) / n: half-normal,
    with mean s sqrt(2 / pi) and variance s^2 (1 - 2 / pi). Groups are averaged by their share of
    customers.

    Parameters
    ----------
    probability : array of n_customers
        Forecast probabilities of an event.

    Returns
    -------
    float
        In units of the calibration error; 0 where there is no customer.

    Examples
    --------
    >>> round(estimate_calibration_noise(np.full(1000, 0.5)), 6)
    0.055573
    """
    groups = split_into_groups(probability)
    if not groups:
        return 0.0
    sizes = np.array([len(rows) for rows in groups])
    share = sizes / len(probability)
    spread = np.sqrt(average_by_group(probability * (1.0 - probability), groups) / sizes)
    mean = float(share @ spread) * np.sqrt(2.0 / np.pi)
    return float(mean + _SURE * np.sqrt((share**2) @ (spread**2) * (1.0 - 2.0 / np.pi)))


def estimate_share_noise(share: float, n: int) -> float:
    """Estimate the noise of a share of `n` customers that is `share` in truth (the binomial's).

    Examples
    --------
    >>> round(estimate_share_noise(0.9, 10_000), 6)
    0.004935
    """
    return float(_SURE * np.sqrt(share * (1.0 - share) / max(n, 1)))


def estimate_capture_noise(captured: Float64, best: float) -> float:
    """Estimate the noise of sum(captured) / best from how unequally those captured spent.

    Parameters
    ----------
    captured : array of n_captured
        Spend of the customers ranked highest, see `measures.select_top_tenth`.
    best : float
        What as many of the best customers spent.

    Returns
    -------
    float
        As a share of `best`; 0 where that is not positive.

    Examples
    --------
    >>> estimate_capture_noise(np.array([7.0, 13.0]), 20.0) == 1.645 * 18**0.5 / 20
    True
    """
    if best <= 0 or not len(captured):
        return 0.0
    return float(_SURE * np.sqrt(np.sum((captured - captured.mean()) ** 2)) / best)
