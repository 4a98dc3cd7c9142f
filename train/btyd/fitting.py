"""Fitting BTYD: order days and values of a base -> the parameters of `models.btyd.forecasts`.

Customers with equal histories in whole days are one group with a weight, so the likelihood of
millions is a sum over thousands. It is maximised over the logarithms of the parameters, within
bounds, by exact gradients: on data that show nobody leave, Pareto/NBD's s and beta otherwise run
away together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any, Literal

import joblib
import numpy as np
from scipy.optimize import minimize

from ...features.recency_frequency import OrderDays
from ...models.btyd.forecasts import BgNbd, GammaGamma, Nbd, ParetoNbd
from ...orders.columns import Float64, Mask
from ..blas_threads import use_one_blas_thread
from .likelihoods import Groups, ValueGroups, bg_nbd, gamma_gamma, nbd, pareto_nbd

__all__ = [
    "FAMILIES",
    "LONGEST",
    "FittedOrders",
    "FittedValue",
    "Kind",
    "fit_order_model",
    "fit_value_model",
    "group_histories",
]

Kind = Literal["pareto_nbd", "bg_nbd", "nbd"]
_Likelihood = Callable[[Float64, Groups], tuple[Float64, Float64]]

_FALLBACKS: tuple[Kind, ...] = ("pareto_nbd", "bg_nbd", "nbd")
LONGEST = 10.0  # time is scaled so that the longest tenure is this, as `lifetimes` does
_MANY_GROUPS = 20_000  # more are first fitted on coarser grids of days
_COARSE_STEPS = (30, 100)  # of the longest tenure; most of the search is over there, and cheap
_MANY_VALUES = 100_000  # more mean values are rounded to half a percent
_BLOCK = 8_192  # groups computed at a time: they stay in the cache of a processor's core
_FLAT = 1e-4  # gradient of the mean log-likelihood at which a stopped search counts as converged


@dataclass(frozen=True)
class FittedOrders:
    """An order model, and how far to trust it."""

    model: Nbd | BgNbd | ParetoNbd
    asked: Kind
    converged: bool  # False: no fallback has a maximum, and the base's mean rate stands in
    at_bound: tuple[str, ...]  # parameters that would have gone further
    log_likelihood: float  # of the whole base, NaN for the mean rate

    @property
    def fell_back(self) -> bool:
        """Whether the model is another one than was asked for."""
        return self.model.kind != self.asked or not self.converged


@dataclass(frozen=True)
class FittedValue:
    """A value model, and whether it is Gamma-Gamma's maximum or stands in for it."""

    model: GammaGamma
    converged: bool
    at_bound: tuple[str, ...]
    log_likelihood: float  # NaN where it stands in


def group_histories(days: OrderDays, step_days: float = 1.0) -> Groups:
    """Histories rounded to whole days (or multiples of `step_days`), each distinct one once."""
    x = np.rint(days.n_repeat_days).astype(np.int64)
    active, tenure = (
        np.rint(part / step_days).astype(np.int64) for part in (days.active_days, days.tenure_days)
    )
    n_tenures, n_actives = (int(part.max(initial=0)) + 1 for part in (tenure, active))
    key, which = np.unique((x * n_actives + active) * n_tenures + tenure, return_inverse=True)
    counts = np.bincount(which, minlength=len(key)).astype(np.float64)
    rest, tenure = np.divmod(key, n_tenures)
    x, active = np.divmod(rest, n_actives)
    # a repeat is never on the first day, however coarse the days
    return Groups(x.astype(np.float64), counts, active * step_days, tenure * step_days)


def fit_order_model(days: OrderDays, kind: Kind = "bg_nbd", penalty: float = 0.0) -> FittedOrders:
    """The model of `kind` with the greatest likelihood, else a simpler one, else the mean rate.

    `penalty` times the sum of squared parameters (time scaled so that the longest tenure is 10) is
    taken off the mean log-likelihood, as `lifetimes`' `penalizer_coef`.
    """
    groups = group_histories(days)
    longest = float(groups.tenure_days.max(initial=0.0))
    if longest > 0 and (groups.weights @ groups.n_repeat_days) > 0:
        scale = LONGEST / longest
        stages = [groups]
        if len(groups.weights) > _MANY_GROUPS:
            steps = [max(longest / count, 2.0) for count in _COARSE_STEPS]
            stages = [group_histories(days, step) for step in steps] + stages
        scaled = [stage.scaled(scale) for stage in stages]
        for name in _FALLBACKS[_FALLBACKS.index(kind) :]:
            family = FAMILIES[name]
            best = _search(family, scaled, penalty)
            if best.converged:
                values = best.values / np.where(family.is_time, scale, 1.0)
                model = family.model(**dict(zip(family.names, values.tolist(), strict=True)))
                likelihood = family.log_likelihood(best.values, scaled[-1])[0]
                # the density of the order times in days: a factor `scale` for each repeat
                repeats = float(groups.weights @ groups.n_repeat_days)
                total = float(groups.weights @ likelihood) + repeats * float(np.log(scale))
                return FittedOrders(model, kind, True, best.name_bounds(family.names), total)
    rate = (groups.weights @ groups.n_repeat_days + 0.5) / (
        groups.weights @ groups.tenure_days + 1.0
    )
    return FittedOrders(Nbd(r=1.0, alpha=float(1.0 / rate)), kind, False, (), np.nan)


@dataclass(frozen=True)
class _Family:
    """A model's parameters, which of them are times, their bounds, and its log-likelihood."""

    model: type[Nbd] | type[BgNbd] | type[ParetoNbd]
    names: tuple[str, ...]
    is_time: tuple[bool, ...]
    bounds: tuple[tuple[float, float], ...]
    log_likelihood: _Likelihood  # parameters, groups -> n_groups; n_parameters x n_groups


@dataclass(frozen=True)
class _Maximum:
    """Where a search for the greatest likelihood ended: arrays of n_parameters."""

    logs: Float64
    is_at_bound: Mask
    converged: bool
    cost: float

    @property
    def values(self) -> Float64:
        """The parameters."""
        return np.exp(self.logs)

    def name_bounds(self, names: Iterable[str]) -> tuple[str, ...]:
        """The parameters that would have gone further."""
        return tuple(compress(names, self.is_at_bound))


def _search(family: _Family, stages: Sequence[Groups], penalty: float) -> _Maximum:
    """Maximise on each stage in turn, from the best of several starts to finer groups."""
    first = stages[0]
    rate = float(first.weights @ first.n_repeat_days) / float(first.weights @ first.tenure_days)
    mean_tenure = float(np.average(first.tenure_days, weights=first.weights))

    def maximise(groups: Groups, start: Float64) -> _Maximum:
        return _maximise(family.log_likelihood, groups, start, family.bounds, penalty)

    maxima = []
    for r, rest in ((0.5, (1.0, 2.5)), (1.5, (0.3, 1.0))):
        start = [r, r / rate]
        if family.model is BgNbd:
            start += [rest[0], rest[1]]
        if family.model is ParetoNbd:
            start += [rest[0], rest[1] * mean_tenure]
        maxima.append(maximise(first, np.log(start)))
    best = min(maxima, key=lambda maximum: maximum.cost)
    for groups in stages[1:]:
        best = maximise(groups, best.logs)
    return best


def _maximise(
    likelihood: Callable[[Float64, Any], tuple[Float64, Float64]],
    groups: Groups | ValueGroups,
    start: Float64,
    bounds: Sequence[tuple[float, float]],
    penalty: float,
) -> _Maximum:
    """Maximise the weighted mean log-likelihood over the logarithms of the parameters.

    Blocks of groups are computed side by side. A group's numbers do not depend on its block, and
    are added up over all at once: how many threads there are changes no bit.
    """
    share = groups.weights / groups.weights.sum()
    low, high = np.log(np.array(bounds)).T
    blocks = groups.split(_BLOCK)
    threads = ThreadPoolExecutor(joblib.cpu_count())  # starts none before it is given work
    run = threads.map if len(blocks) > 1 else map

    def objective(logs: Float64) -> tuple[float, Float64]:
        values = np.exp(logs)
        likelihoods, gradients = zip(*run(partial(likelihood, values), blocks), strict=True)
        each, gradient = np.concatenate(likelihoods), np.concatenate(gradients, axis=1)
        cost = penalty * float(values @ values) - float(share @ each)
        return cost, (2 * penalty * values - gradient @ share) * values

    with threads, use_one_blas_thread():
        optimum = minimize(
            objective,
            np.clip(start, low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack((low, high)),
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7},
        )
    is_at_bound = (optimum.x <= low + 1e-6) | (optimum.x >= high - 1e-6)
    slope = np.where(is_at_bound, 0.0, optimum.jac)
    converged = np.isfinite(optimum.fun) and (optimum.success or np.abs(slope).max() < _FLAT)
    return _Maximum(optimum.x, is_at_bound, bool(converged), float(optimum.fun))


_TIME = (1e-5, 1e5)  # of a longest tenure of 10
_VALUE_BOUNDS = ((1e-3, 1e4), (1.05, 1e4), (1e-4, 1e6))  # p, q, v; money scaled to a mean of 1
FAMILIES: dict[Kind, _Family] = {
    "nbd": _Family(Nbd, ("r", "alpha"), (False, True), ((1e-4, 1e3), _TIME), nbd),
    "bg_nbd": _Family(
        BgNbd,
        ("r", "alpha", "a", "b"),
        (False, True, False, False),
        ((1e-4, 1e3), _TIME, (1e-4, 3e2), (1e-4, 3e3)),
        bg_nbd,
    ),
    "pareto_nbd": _Family(
        ParetoNbd,
        ("r", "alpha", "s", "beta"),
        (False, True, False, True),
        ((1e-4, 1e3), _TIME, (1e-4, 1e2), _TIME),
        pareto_nbd,
    ),
}


def fit_value_model(days: OrderDays, mean_value: float = 1.0, penalty: float = 0.0) -> FittedValue:
    """Gamma-Gamma on customers with a repeat of positive value, else a credibility mean.

    Standing in, a customer's expected value is (its x repeat days + one day of `mean_value`, the
    base's mean) / (x + 1). `penalty` is as in `fit_order_model`; money is scaled to a mean of 1.
    """
    usable = (days.n_repeat_days > 0) & (days.repeat_value > 0)
    x, value = days.n_repeat_days[usable], days.repeat_value[usable]
    weights = np.ones(len(x))
    stand_in = GammaGamma(p=1.0, q=2.0, v=mean_value if mean_value > 0 else 1.0)
    if len(np.unique(value)) < 2:
        return FittedValue(stand_in, False, (), np.nan)
    scale = float(value.mean())
    if len(x) > _MANY_VALUES:
        x, value, weights = _round_values(x, value)
    groups = ValueGroups(x, weights, np.log(value / scale))
    best = _maximise(gamma_gamma, groups, np.log([1.0, 3.0, 2.0]), _VALUE_BOUNDS, penalty)
    # at its least q the base's mean p v / (q - 1) is about to be infinite: no mean to forecast with
    q_is_least = best.logs[1] <= np.log(_VALUE_BOUNDS[1][0]) + 1e-6
    if not best.converged or q_is_least:
        return FittedValue(stand_in, False, best.name_bounds("pqv"), np.nan)
    p, q, v = best.values.tolist()
    # the density of the values in the shop's currency
    total = float(weights @ gamma_gamma(best.values, groups)[0]) - float(weights.sum()) * float(
        np.log(scale)
    )
    return FittedValue(GammaGamma(p=p, q=q, v=v * scale), True, best.name_bounds("pqv"), total)


def _round_values(x: Float64, value: Float64) -> tuple[Float64, Float64, Float64]:
    """Distinct pairs of count and value, to half a percent, and how many customers have each."""
    steps = np.rint(np.log(value) * 200.0)
    pairs, which = np.unique(x + 1j * steps, return_inverse=True)
    counts = np.bincount(which).astype(np.float64)
    return pairs.real, np.exp(pairs.imag / 200.0), counts
