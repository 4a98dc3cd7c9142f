"""BTYD's log-likelihoods with their gradients, by the formulas of the papers.

Each takes the parameters and returns one log-likelihood a group, float64 n_groups, and its
derivative by each parameter, float64 n_parameters x n_groups. Time may be in any unit, if the
parameters are in the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import betaln, expit, gammaln, psi

from ...models.btyd.pareto_nbd_integral import split_by_rule
from ...orders.columns import Float64, Int64

__all__ = ["Groups", "ValueGroups", "bg_nbd", "gamma_gamma", "nbd", "pareto_nbd"]


@dataclass(frozen=True)
class Counts:
    """Distinct counts, and which of them each group has: found once for a search."""

    distinct: Float64
    which: Int64

    def map(self, function: Callable[[Float64], Float64]) -> Float64:
        """function(x), computed once per distinct count."""
        return np.asarray(function(self.distinct)[self.which])


@dataclass(frozen=True)
class _Groups:
    """Customers that a likelihood does not tell apart: arrays of n_groups."""

    n_repeat_days: Float64
    weights: Float64  # how many customers

    @cached_property
    def counts(self) -> Counts:
        """The distinct counts of repeat days."""
        return Counts(*np.unique(self.n_repeat_days, return_inverse=True))

    def split(self, most: int) -> list[Self]:
        """The same in parts of at most so many groups."""
        names = [field.name for field in fields(self)]
        return [
            replace(self, **{name: getattr(self, name)[low : low + most] for name in names})
            for low in range(0, len(self.weights), most)
        ]


@dataclass(frozen=True)
class Groups(_Groups):
    """Customers with equal histories."""

    active_days: Float64
    tenure_days: Float64

    def scaled(self, factor: float) -> Groups:
        """The same with time in another unit."""
        return replace(
            self, active_days=self.active_days * factor, tenure_days=self.tenure_days * factor
        )


@dataclass(frozen=True)
class ValueGroups(_Groups):
    """Customers with as many repeat days and orders of the same mean value."""

    log_value: Float64  # logarithm of the mean value


def nbd(values: Float64, groups: Groups) -> tuple[Float64, Float64]:
    """Density of x order times: gamma(r + x) / gamma(r) alpha^r / (alpha + T)^(r + x)."""
    r, alpha = values
    x, tenure, counts = groups.n_repeat_days, groups.tenure_days, groups.counts
    exposure = np.log1p(tenure / alpha)
    likelihood = (
        counts.map(lambda n: gammaln(r + n)) - gammaln(r) - x * np.log(alpha) - (r + x) * exposure
    )
    gradient = np.stack(
        [
            counts.map(lambda n: psi(r + n)) - psi(r) - exposure,
            r / alpha - (r + x) / (alpha + tenure),
        ]
    )
    return likelihood, gradient


def bg_nbd(values: Float64, groups: Groups) -> tuple[Float64, Float64]:
    """Fader, Hardie, Lee (2005), equation 6: NBD x survival of x chances x (1 + odds of gone)."""
    r, alpha, a, b = values
    x, active, tenure = groups.n_repeat_days, groups.active_days, groups.tenure_days
    counts = groups.counts
    likelihood, slope = nbd(values[:2], groups)
    silence = np.log1p((tenure - active) / (alpha + active))
    survivors = b + np.maximum(x, 1.0) - 1.0
    odds = np.where(x > 0, np.log(a) - np.log(survivors) + (r + x) * silence, -np.inf)
    gone = expit(odds)
    likelihood = (
        likelihood + counts.map(lambda n: betaln(a, b + n)) - betaln(a, b) + np.logaddexp(0.0, odds)
    )
    chances = psi(a + b) - counts.map(lambda n: psi(a + b + n))
    gradient = np.stack(
        [
            slope[0] + gone * silence,
            slope[1] + gone * (r + x) * (1.0 / (alpha + tenure) - 1.0 / (alpha + active)),
            chances + gone / a,
            chances + counts.map(lambda n: psi(b + n)) - psi(b) - gone / survivors,
        ]
    )
    return likelihood, gradient


def pareto_nbd(values: Float64, groups: Groups) -> tuple[Float64, Float64]:
    """Fader and Hardie (2005, note 009), equation 18: NBD x nobody left x (1 + odds of gone)."""
    r, alpha, s, beta = values
    likelihood, slope = nbd(values[:2], groups)
    stayed = np.log1p(groups.tenure_days / beta)
    gradient = np.stack([*slope, -stayed, s / beta - s / (beta + groups.tenure_days)])
    likelihood = likelihood - s * stayed
    x, active, tenure = groups.n_repeat_days, groups.active_days, groups.tenure_days
    n, late, gone_scale = r + x, alpha + active, beta + active
    silence = tenure - active
    sums = np.zeros((5, len(x)))
    for rows, nodes in split_by_rule(np.full(len(x), s), gone_scale, n, late, silence):
        part = np.zeros((5, len(rows)))
        left, d_s, d_n, d_gone, d_late = part
        gone_row, late_row = gone_scale[rows], late[rows]
        for density, u, log_gone, log_late in nodes:
            left += density
            d_s -= density * log_gone
            d_n -= density * log_late
            d_gone += density * (s * u / gone_row - 1.0) / (gone_row + u)
            d_late += density * u / (late_row + u)
        sums[:, rows] = part
    left, d_s, d_n, d_gone, d_late = sums
    d_late *= n / late
    safe = np.where(left > 0, left, 1.0)
    log_n, log_s = np.log1p(silence / late), np.log1p(silence / gone_scale)
    odds = np.where(left > 0, np.log(safe) + n * log_n + s * log_s, -np.inf)
    likelihood += np.logaddexp(0.0, odds)
    gone = expit(odds)
    gradient[0] += gone * (log_n + d_n / safe)
    gradient[1] += gone * (n / (late + silence) - n / late + d_late / safe)
    gradient[2] += gone * (log_s + 1.0 / s + d_s / safe)
    gradient[3] += gone * (s / (gone_scale + silence) - s / gone_scale + d_gone / safe)
    return likelihood, gradient


def gamma_gamma(values: Float64, groups: ValueGroups) -> tuple[Float64, Float64]:
    """Fader and Hardie (2013), equation 1a: log-likelihood n_groups, gradient 3 x n_groups."""
    p, q, v = values
    counts, log_value = groups.counts, groups.log_value
    x = counts.map(lambda n: n)
    value = np.exp(log_value)
    shape = p * x
    log_x, log_total = counts.map(np.log), np.log(v + x * value)
    psi_both = counts.map(lambda n: psi(p * n + q))
    likelihood = (
        counts.map(lambda n: gammaln(p * n + q)) - counts.map(lambda n: gammaln(p * n))
        - gammaln(q) + q * np.log(v)
        + (shape - 1.0) * log_value + shape * log_x - (shape + q) * log_total
    )  # fmt: skip
    gradient = np.stack(
        [
            x * (psi_both - counts.map(lambda n: psi(p * n)) + log_value + log_x - log_total),
            psi_both - psi(q) + np.log(v) - log_total,
            q / v - (shape + q) / (v + x * value),
        ]
    )
    return likelihood, gradient
