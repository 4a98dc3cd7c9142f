"""BG/NBD: expected order days of a customer who is still there, computed without cancellation."""

from __future__ import annotations

import math
from functools import lru_cache

import numba
import numpy as np
from scipy.special import betainc

from ...orders.columns import Float64

__all__ = ["expect_orders_if_alive"]

_compiled = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)
_inner = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def expect_orders_if_alive(
    r: float, a: float, b: float, n_repeat_days: Float64, growth: Float64
) -> Float64:
    """E[(1 - (1 + p z)^-n) / p] over p ~ Beta(a, b + x), n = r + x: n_rows, >= 0.

    `n_repeat_days` is x and `growth` z = H / (alpha + T), n_rows each.

    Given p and the rate, an alive customer orders (1 - e^(-rate p H)) / p times. Integrated by
    parts,

        f(1) + integral of -f'(p) I_p(a, b + x) dp,   f(p) = (1 - (1 + p z)^-n) / p

    with I the incomplete beta function and -f'(p) = D(p z) / p^2, D(w) = 1 - (1 + w)^-n - n w (1 +
    w)^(-n - 1) (the chance of two or more orders): positive everywhere, and f(1) is the chance of
    one. Over the log-odds y of p the function is analytic in a strip, where the trapezoid rule
    converges exponentially; the step follows the sharpest bend of I, 1 / sqrt(a) wide.
    """
    if len(n_repeat_days) < 2:
        return _integrate_rows(r, a, b, n_repeat_days, growth)
    # both are of whole days: a million customers have some ten thousand pairs
    pairs, which = np.unique(n_repeat_days + 1j * growth, return_inverse=True)
    integrals = _integrate_rows(r, a, b, pairs.real.copy(), pairs.imag.copy())
    return np.asarray(integrals[which])


def _integrate_rows(
    r: float, a: float, b: float, n_repeat_days: Float64, growth: Float64
) -> Float64:
    """The integral of each row; n_repeat_days ascend."""
    integrals = np.zeros(len(n_repeat_days))
    if len(n_repeat_days):
        p, _ = _make_nodes(a)
        is_new = np.diff(n_repeat_days, prepend=np.nan) != 0
        weights = np.stack([_compute_weights(a, b, x) for x in n_repeat_days[is_new].tolist()])
        which = np.cumsum(is_new) - 1
        _integrate(r + n_repeat_days, growth, p, weights, which, integrals)
    return integrals


@lru_cache(maxsize=16)
def _make_nodes(a: float) -> tuple[Float64, Float64]:
    """The nodes p, and the step over the odds there: n_nodes each."""
    step = min(0.32, 0.8 / np.sqrt(a))
    odds = np.exp(np.arange(-50.0, 28.0, step))
    return odds / (1.0 + odds), step / odds


@lru_cache(maxsize=1024)
def _compute_weights(a: float, b: float, n_repeat_days: float) -> Float64:
    """I_p(a, b + x) dy (1 - p) / p at the nodes: n_nodes. Few values of x serve most customers."""
    p, per_odds = _make_nodes(a)
    # (1 - p) / p^2 dp is 1 / odds over the log-odds
    return np.asarray(betainc(a, b + n_repeat_days, p) * per_odds)


@_compiled
def _integrate(shapes, growths, nodes, weights, which, integrals):  # type: ignore[no-untyped-def]
    """f(1) and the weighted sum over nodes, for each shape n and growth z: n_rows."""
    for row in range(len(shapes)):
        n, growth, node_weights = shapes[row], growths[row], weights[which[row]]
        total = -math.expm1(-n * math.log1p(growth))
        for node in range(len(nodes)):
            total += node_weights[node] * _compute_two_or_more(n, nodes[node] * growth)
        integrals[row] = min(total, n * growth)


@_inner
def _compute_two_or_more(n, w):  # type: ignore[no-untyped-def]
    """P(N >= 2), N negative binomial (shape n, odds w): 1 - (1 + w)^-n - n w (1 + w)^(-n - 1).

    It equals e^-m ((e^m - 1 - m) + n (log(1 + w) - w / (1 + w))), m = n log(1 + w): two terms that
    are never negative, each by its series where it is small.
    """
    log = math.log1p(w)
    m = n * log
    decay = math.exp(-m)
    if m < 0.1:
        first = decay * m * m / 2 * (
            1 + m / 3 * (1 + m / 4 * (1 + m / 5 * (1 + m / 6 * (1 + m / 7 * (
                1 + m / 8 * (1 + m / 9 * (1 + m / 10)))))))
        )  # fmt: skip
    else:
        first = max(1.0 - decay - m * decay, 0.0)
    if w < 0.02:
        second = w * w * (
            1 / 2 - w * (2 / 3 - w * (3 / 4 - w * (4 / 5 - w * (5 / 6 - w * (
                6 / 7 - w * (7 / 8 - w * 8 / 9))))))
        )  # fmt: skip
    else:
        second = log - w / (1.0 + w)
    return first + n * second * decay
