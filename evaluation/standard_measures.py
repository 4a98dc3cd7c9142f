"""Measures as scikit-learn and scipy define them, with the arguments in the order of `measures`.

They need the extra `train`: only training and its evaluation import this module, which
import-linter holds. Arrays must be finite and not empty, or scikit-learn raises `ValueError`.
"""

from __future__ import annotations

import numpy as np
import scipy.stats
import sklearn.metrics

from ..orders.columns import Float64, Mask

__all__ = [
    "auc",
    "brier_score",
    "compute_levelled_deviances",
    "compute_log_losses",
    "compute_spend_deviance",
    "log_loss",
    "mean_absolute_error",
    "mean_tweedie_deviance",
    "root_mean_squared_error",
    "spearman",
]

_LEAST_PROBABILITY = 1e-6  # keeps one certain and wrong forecast from making the log loss infinite
_LEAST_FORECAST = 0.01  # of the mean forecast
_TWEEDIE_POWER = 1.5  # of the spend trees' objective too


def mean_absolute_error(forecast: Float64, actual: Float64) -> float:
    """Compute the MAE, mean of |forecast - actual|; `sklearn.metrics.mean_absolute_error`.

    Parameters
    ----------
    forecast, actual : array of n_customers
        Spend, in one currency.

    Returns
    -------
    float
        In that currency.

    Examples
    --------
    >>> mean_absolute_error(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.0]))
    1.0
    """
    return float(sklearn.metrics.mean_absolute_error(actual, forecast))


def root_mean_squared_error(forecast: Float64, actual: Float64) -> float:
    """Compute the RMSE, root of the mean of (forecast - actual)^2; scikit-learn's.

    Parameters
    ----------
    forecast, actual : array of n_customers
        Spend, in one currency.

    Returns
    -------
    float
        In that currency.

    Examples
    --------
    >>> root_mean_squared_error(np.array([1.0, 5.0]), np.array([2.0, 12.0]))
    5.0
    """
    return float(sklearn.metrics.root_mean_squared_error(actual, forecast))


def mean_tweedie_deviance(forecast: Float64, actual: Float64) -> float:
    """Compute the mean Tweedie deviance of power 1.5; `sklearn.metrics.mean_tweedie_deviance`.

    The mean of 4 (y / sqrt(m) - 2 sqrt(y) + sqrt(m)) of spend y and forecast m: fit for spend with
    many zeros and a long tail. Source: Jorgensen 1987, "Exponential Dispersion Models".

    Parameters
    ----------
    forecast : array of n_customers
        Mean forecasts, positive.
    actual : array of n_customers
        Spend, not negative.

    Returns
    -------
    float
        0 where forecasts are what was spent; in square roots of the currency's unit.

    Examples
    --------
    >>> mean_tweedie_deviance(np.array([4.0, 1.0]), np.array([1.0, 0.0]))
    3.0
    """
    return float(sklearn.metrics.mean_tweedie_deviance(actual, forecast, power=_TWEEDIE_POWER))


def compute_levelled_deviances(forecast: Float64, actual: Float64) -> Float64:
    """Compute each customer's Tweedie deviance once the forecasts' total is the actual one.

    A measure of errors that nobody wins by a low total: a mean absolute error prefers forecasts of
    the median, which for spend is far below the mean. Forecasts are raised to at least 1 % of their
    mean, because a forecast of 0 for a customer who spends has no deviance.

    Parameters
    ----------
    forecast, actual : array of n_customers
        Spend, in one currency; negative spend counts as 0.

    Returns
    -------
    array of n_customers
        4 (y / sqrt(m) - 2 sqrt(y) + sqrt(m)) of spend y and levelled forecast m; NaN where nothing
        is forecast or nothing was spent.

    Examples
    --------
    >>> compute_levelled_deviances(np.array([2.0, 8.0]), np.array([1.0, 4.0])).tolist()
    [0.0, 0.0]
    """
    spent = np.maximum(actual, 0.0)
    if min(forecast.sum(), spent.sum()) <= 0:
        return np.full(len(forecast), np.nan)
    floored = np.maximum(forecast, _LEAST_FORECAST * forecast.mean())
    level = floored * (spent.sum() / floored.sum())
    return np.asarray(4.0 * (spent / np.sqrt(level) - 2.0 * np.sqrt(spent) + np.sqrt(level)))


def compute_spend_deviance(forecast: Float64, actual: Float64) -> float:
    """Compute `mean_tweedie_deviance` of any forecasts: what it is not defined for is raised.

    Negative spend counts as 0, and a forecast as at least 1 % of the mean forecast, because 0 for a
    customer who spends has no deviance.

    Parameters
    ----------
    forecast, actual : array of n_customers
        Spend, in one currency.

    Returns
    -------
    float
        NaN where nothing is forecast in total.

    Examples
    --------
    >>> compute_spend_deviance(np.array([4.0, 1.0]), np.array([1.0, -2.0]))
    3.0
    """
    if not forecast.mean() > 0:
        return float("nan")
    floored = np.maximum(forecast, _LEAST_FORECAST * forecast.mean())
    return mean_tweedie_deviance(floored, np.maximum(actual, 0.0))


def spearman(forecast: Float64, actual: Float64) -> float:
    """Compute Spearman's rank correlation, ties averaged; `scipy.stats.spearmanr`.

    Source: Spearman 1904. The formula is Pearson's correlation of the ranks.

    Parameters
    ----------
    forecast, actual : array of n_customers
        What customers are ranked by on either side.

    Returns
    -------
    float
        1 for the same ranking, -1 for the reverse; NaN where either side is constant.

    Examples
    --------
    >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([5.0, 9.0, 7.0])), 12)
    0.5
    """
    if min(np.ptp(forecast), np.ptp(actual)) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(forecast, actual).statistic)


def auc(probability: Float64, happened: Mask) -> float:
    """Compute the area under the ROC curve; `sklearn.metrics.roc_auc_score`.

    The chance that an event has a higher probability than a non-event, ties counted half. Source:
    Hanley and McNeil 1982.

    Parameters
    ----------
    probability : array of n_customers
        Forecast probabilities of an event.
    happened : boolean array of n_customers
        Whether it happened.

    Returns
    -------
    float
        1 for a perfect ranking, 0.5 for a random one; NaN where all or none happened.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    if happened.all() or not happened.any():
        return float("nan")
    return float(sklearn.metrics.roc_auc_score(happened, probability))


def brier_score(probability: Float64, happened: Mask) -> float:
    """Compute the mean of (probability - happened)^2; `sklearn.metrics.brier_score_loss`.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability".

    Parameters
    ----------
    probability : array of n_customers
        Forecast probabilities of an event.
    happened : boolean array of n_customers
        Whether it happened.

    Returns
    -------
    float
        0 for a certain and right forecast, 1 for a certain and wrong one.

    Examples
    --------
    >>> brier_score(np.array([0.5, 1.0]), np.array([True, False]))
    0.625
    """
    return float(sklearn.metrics.brier_score_loss(happened, probability, labels=[False, True]))


def log_loss(probability: Float64, happened: Mask) -> float:
    """Compute the mean negative log likelihood; `sklearn.metrics.log_loss`.

    The mean of -ln(p) of what happened, p at least 1e-6 so that no single forecast makes it
    infinite. Source: Good 1952, "Rational Decisions".

    Parameters
    ----------
    probability : array of n_customers
        Forecast probabilities of an event.
    happened : boolean array of n_customers
        Whether it happened.

    Returns
    -------
    float
        In nats: 0 for a certain and right forecast, ln 2 for one half.

    Examples
    --------
    >>> round(log_loss(np.array([0.5, 0.25]), np.array([True, True])), 6)
    1.039721
    """
    clipped = _clip(probability)
    return float(sklearn.metrics.log_loss(happened, clipped, labels=[False, True]))


def compute_log_losses(probability: Float64, happened: Mask) -> Float64:
    """Compute each customer's term of `log_loss`, which scikit-learn gives the mean of alone.

    Parameters
    ----------
    probability, happened
        As in `log_loss`.

    Returns
    -------
    array of n_customers
        In nats.

    Examples
    --------
    >>> compute_log_losses(np.array([1.0, 0.5]), np.array([True, False])).round(6).tolist()
    [1e-06, 0.693147]
    """
    clipped = _clip(probability)
    return np.asarray(-np.log(np.where(happened, clipped, 1.0 - clipped)))


def _clip(probability: Float64) -> Float64:
    return np.clip(probability, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
