"""Standard errors of fitted BTYD parameters: how far another sample of customers may move them.

They are the inverse of the information about the logarithms of the parameters, at the maximum; a
parameter's error is that of its logarithm times the parameter (the delta method), as in lifetimes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ...features.recency_frequency import OrderDays
from ...models.btyd.forecasts import BgNbd, GammaGamma, Nbd, ParetoNbd
from ...orders.columns import Float64
from .fitting import FAMILIES, LONGEST, group_histories
from .likelihoods import ValueGroups, gamma_gamma

__all__ = ["estimate_order_errors", "estimate_value_errors"]

_STEP = 1e-4  # of a logarithm, for second derivatives as differences of the exact first ones


def estimate_order_errors(
    days: OrderDays, model: Nbd | BgNbd | ParetoNbd, penalty: float = 0.0
) -> dict[str, float]:
    """Standard errors of an order model that was fitted to these customers, by parameter."""
    groups = group_histories(days)
    # a penalty is on parameters in this unit of time
    scale = LONGEST / float(groups.tenure_days.max())
    family = FAMILIES[model.kind]
    units = np.where(family.is_time, scale, 1.0)
    values = np.array([getattr(model, name) for name in family.names]) * units
    scaled = groups.scaled(scale)
    errors = (
        _estimate(lambda v: family.log_likelihood(v, scaled), groups.weights, values, penalty)
        / units
    )
    return dict(zip(family.names, errors.tolist(), strict=True))


def estimate_value_errors(
    days: OrderDays, model: GammaGamma, penalty: float = 0.0
) -> dict[str, float]:
    """Standard errors of p, q and v of a Gamma-Gamma that was fitted to these customers."""
    usable = (days.n_repeat_days > 0) & (days.repeat_value > 0)
    x, value = days.n_repeat_days[usable], days.repeat_value[usable]
    units = np.array([1.0, 1.0, float(value.mean())])
    groups = ValueGroups(x, np.ones(len(x)), np.log(value / units[2]))
    values = np.array([model.p, model.q, model.v]) / units
    errors = _estimate(partial(gamma_gamma, groups=groups), groups.weights, values, penalty)
    return dict(zip("pqv", (errors * units).tolist(), strict=True))


def _estimate(
    likelihood: Callable[[Float64], tuple[Float64, Float64]],
    weights: Float64,
    values: Float64,
    penalty: float,
) -> Float64:
    share, logs = weights / weights.sum(), np.log(values)

    def find_slope(logs: Float64) -> Float64:
        """Derivative of penalty less mean log-likelihood, by each logarithm."""
        at = np.exp(logs)
        return np.asarray((2 * penalty * at - likelihood(at)[1] @ share) * at)

    steps = _STEP * np.eye(len(logs))
    slopes = [find_slope(logs + step) - find_slope(logs - step) for step in steps]
    information = np.array(slopes) / (2 * _STEP)
    variances = np.diag(np.linalg.inv((information + information.T) / 2)) / weights.sum()
    # a parameter that the data do not bound has no error: its variance is not positive
    return np.asarray(values * np.sqrt(np.where(variances > 0, variances, np.nan)))
