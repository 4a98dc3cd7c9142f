"""Measures with a definition of clvcast's own; numpy only, so that a serving install has them.

What scikit-learn and scipy define as we need it is in `standard_measures`. Every customer counts,
zeros kept; ties in a ranking are averaged unless a function says otherwise, so that no measure
depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..orders.columns import Float64, Int64, Mask

__all__ = [
    "NOMINAL_COVERAGE",
    "average_by_group",
    "bias",
    "calibration_error",
    "compute_captured_shares",
    "coverage",
    "decile_mape",
    "divide",
    "normalised_gini",
    "select_top_tenth",
    "split_into_groups",
]

NOMINAL_COVERAGE = 0.9  # share of customers that an interval is made to hold


def divide(part: float, whole: float) -> float:
    """Return `part / whole` as a float, NaN where `whole` is not positive."""
    return float(part / whole) if whole > 0 else float("nan")


def bias(forecast: Float64, actual: Float64) -> float:
    """Compute the relative error of the total, sum(forecast) / sum(actual) - 1.

    Parameters
    ----------
    forecast, actual : array of n_customers
        Spend, in one currency.

    Returns
    -------
    float
        0 for a right total, 0.25 for one a quarter too high; NaN where nothing was spent.

    Examples
    --------
    >>> bias(np.array([30.0, 20.0]), np.array([20.0, 20.0]))
    0.25
    """
    return divide(forecast.sum(), actual.sum()) - 1.0


def normalised_gini(forecast: Float64, actual: Float64) -> float:
    """Compute how well a forecast ranks customers by spend, G(forecast) / G(actual).

    G(ranking) = (2 / n) sum of C_k - 1, with C_k of `compute_captured_shares`. Source: the
    normalised Gini coefficient of Wang, Liu and Miao 2019, "A Deep Probabilistic Model for Customer
    Lifetime Value Prediction".

    Parameters
    ----------
    forecast, actual : array of n_customers
        What customers are ranked by, and what they spent.

    Returns
    -------
    float
        1 for a perfect ranking, about 0 for a random one; NaN where nothing was spent.

    Examples
    --------
    >>> normalised_gini(np.array([3.0, 2.0, 1.0]), np.array([6.0, 3.0, 1.0]))
    1.0
    """
    if actual.sum() <= 0:
        return float("nan")
    ours, perfect = (
        2.0 * compute_captured_shares(ranking, actual).mean() - 1.0
        for ranking in (forecast, actual)
    )
    return float(ours / perfect)  # perfect is 1 / n at least: C_k is k / n where all spent alike


def compute_captured_shares(ranking: Float64, actual: Float64) -> Float64:
    """Compute the gain curve: the share of all spend that the first k customers hold, k = 1 to n.

    Parameters
    ----------
    ranking : array of n_customers
        Customers are taken from the highest value down; equal ones share their spend evenly.
    actual : array of n_customers
        Spend; its sum must be positive.

    Returns
    -------
    array of n_customers
        C_1 to C_n; the last is 1.

    Examples
    --------
    >>> compute_captured_shares(np.array([2.0, 2.0, 5.0]), np.array([1.0, 3.0, 4.0])).tolist()
    [0.5, 0.75, 1.0]
    """
    _, group = np.unique(-ranking, return_inverse=True)
    shared = np.bincount(group, weights=actual) / np.bincount(group)
    return np.asarray(np.cumsum(shared[np.sort(group)]) / actual.sum())


def select_top_tenth(ranking: Float64, actual: Float64) -> Float64:
    """Select the spend of the best tenth of customers, at least one; ties in the order of the rows.

    Parameters
    ----------
    ranking, actual : array of n_customers
        What customers are ranked by, highest first, and what they spent.

    Returns
    -------
    array of max(1, round(n_customers / 10))
        Their spend, best first. Its sum over that of all is the capture of the top decile (Neslin
        et al. 2006, "Defection Detection", has it as a lift).

    Examples
    --------
    >>> select_top_tenth(np.arange(20.0), np.arange(20.0) * 2).tolist()
    [38.0, 36.0]
    """
    first = max(1, round(len(ranking) / 10))
    return actual[np.argsort(-ranking, kind="stable")[:first]]


def split_into_groups(values: Float64, n_groups: int = 10) -> list[Int64]:
    """Split rows into equal groups by value, lowest first.

    Sizes differ by at most one; equal values may part, and are in the order of the rows. (Bins
    between quantiles, as scikit-learn's `calibration_curve` makes them, keep equal values together,
    so that their sizes differ: BTYD's probabilities have many ties.)

    Parameters
    ----------
    values : array of n_rows
        What rows are ranked by.
    n_groups : int
        How many groups; fewer where there are fewer rows.

    Returns
    -------
    list of arrays
        The positions of each group's rows; no group is empty.

    Examples
    --------
    >>> [rows.tolist() for rows in split_into_groups(np.array([0.3, 0.1, 0.2]), 2)]
    [[1, 2], [0]]
    """
    ranked = np.argsort(values, kind="stable")
    return [rows for rows in np.array_split(ranked, n_groups) if len(rows)]


def average_by_group(values: Float64 | Mask, groups: Sequence[Int64]) -> Float64:
    """Return the mean of `values` in each group of rows, as `split_into_groups` makes them."""
    return np.array([values[rows].mean() for rows in groups])


def decile_mape(forecast: Float64, actual: Float64) -> float:
    """Compute the decile MAPE: mean over ten groups of |mean forecast - mean actual| / mean actual.

    Groups are those of `split_into_groups` by forecast; one in which nothing was spent has no ratio
    and is left out. Source: the decile-level MAPE of Wang, Liu and Miao 2019, as above.

    Parameters
    ----------
    forecast, actual : array of n_customers
        Spend, in one currency.

    Returns
    -------
    float
        0.2 where tenths are off by a fifth on average; NaN where nothing was spent.

    Examples
    --------
    >>> round(decile_mape(np.arange(1.0, 11.0) * 1.2, np.arange(1.0, 11.0)), 12)
    0.2
    """
    groups = split_into_groups(forecast)
    expected, spent = average_by_group(forecast, groups), average_by_group(actual, groups)
    has_spend = spent > 0
    if not has_spend.any():
        return float("nan")
    return float((np.abs(expected - spent)[has_spend] / spent[has_spend]).mean())


def calibration_error(probability: Float64, happened: Mask) -> float:
    """Compute the expected calibration error (ECE) over ten equal groups by probability.

    The mean over customers of |mean probability - share that happened| of their group. Source:
    Naeini, Cooper and Hauskrecht 2015, with the equal groups of Nixon et al. 2019 ("Measuring
    Calibration in Deep Learning", adaptive calibration error).

    Parameters
    ----------
    probability : array of n_customers
        Forecast probabilities of an event.
    happened : boolean array of n_customers
        Whether it happened.

    Returns
    -------
    float
        0 for perfect calibration; 0.05 where probabilities are off by five points on average.

    Examples
    --------
    >>> calibration_error(np.full(10, 0.5), np.arange(10) > 4)
    0.5
    """
    groups = split_into_groups(probability)
    gaps = np.abs(average_by_group(probability, groups) - average_by_group(happened, groups))
    return float(np.average(gaps, weights=[len(rows) for rows in groups]))


def coverage(lower: Float64, upper: Float64, actual: Float64) -> float:
    """Compute the share of actual values inside their interval, the ends included.

    Source: Gneiting, Balabdaoui and Raftery 2007, "Probabilistic forecasts, calibration and
    sharpness".

    Parameters
    ----------
    lower, upper, actual : array of n_customers
        Spend, in one currency. Forecasts are of max(spend, 0): give that where returns may exceed
        orders.

    Returns
    -------
    float
        `NOMINAL_COVERAGE` is meant.

    Examples
    --------
    >>> coverage(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    0.5
    """
    return float(np.mean((lower <= actual) & (actual <= upper)))
