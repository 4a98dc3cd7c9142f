"""Pareto/NBD: the chance of one event before another, computed without cancellation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...orders.columns import Float64, Int64

__all__ = ["compute_first_event_probability", "split_by_rule"]

_NEGLIGIBLE = 40.0  # e^-40 of a survival function is nothing beside its integral
_FEW = 16  # rows for which all nodes at once are faster than one node after the other
_RULES = tuple(
    tuple(part.tolist() for part in np.polynomial.legendre.leggauss(n)) for n in (12, 20, 48)
)
# limits of the first two rules; the last has none
_MOST_HALVES = (1.0, 2.0)  # of half the range of t
_MOST_DECAYS = (8.0, 40.0)  # of the exponent by which the integrand decays over it

# density (weighted), u, log(1 + u / a), log(1 + u / b)
Node = tuple[Float64, Float64, Float64, Float64]


def compute_first_event_probability(
    n: Float64, a: Float64, s: Float64, b: Float64, days: Float64
) -> Float64:
    """P(an event of rate ~ Gamma(n, a) within `days`, before one of rate ~ Gamma(s, b)).

        integral over u from 0 to days of  n / (a + u) (1 + u / a)^-n (1 + u / b)^-s

    All arrays of n_rows. It is what Pareto/NBD needs twice: ordering before leaving (a forecast),
    and leaving before ordering (the silence so far, hence the likelihood).
    """
    total = np.zeros(len(days))
    for rows, nodes in split_by_rule(n, a, s, b, days):
        part = np.zeros(len(rows))
        for density, _, _, _ in nodes:
            part += density
        total[rows] = part
    return np.minimum(total, -np.expm1(-n * np.log1p(days / a)))


def split_by_rule(
    n: Float64, a: Float64, s: Float64, b: Float64, days: Float64
) -> Iterator[tuple[Int64, Iterator[Node]]]:
    """Rows whose integral needs equally many nodes, and these nodes, arrays of as many rows.

    Gauss-Legendre over t = log(1 + u / min(a, b)), in which the integrand has no singularity nearer
    than pi, up to where either survival function has fallen below e^-40. It needs the more nodes
    the longer the range and the more the integrand decays over it: 12, 20 or 48 give it to 3e-13.
    A row's own numbers alone choose its rule.
    """
    least = np.minimum(a, b)
    with np.errstate(over="ignore"):
        end = np.minimum(a * np.expm1(_NEGLIGIBLE / n), b * np.expm1(_NEGLIGIBLE / s))
    end = np.minimum(days, end)
    half = 0.5 * np.log1p(end / least)
    decay = n * np.log1p(end / a) + s * np.log1p(end / b)
    rule_of_row = np.maximum(
        np.searchsorted(_MOST_HALVES, half), np.searchsorted(_MOST_DECAYS, decay)
    )
    for rule, (points, weights) in enumerate(_RULES):
        rows = np.flatnonzero(rule_of_row == rule)
        if len(rows):
            numbers = tuple(part[rows] for part in (n, a, s, b, least, half))
            yield rows, _build_nodes(points, weights, *numbers)


def _build_nodes(points: list[float], weights: list[float], *numbers: Float64) -> Iterator[Node]:
    if len(numbers[0]) > _FEW:
        for point, weight in zip(points, weights, strict=True):
            yield _evaluate_node(point, weight, *numbers)
        return
    columns = (np.array(part)[:, None] for part in (points, weights))
    yield from zip(*_evaluate_node(*columns, *numbers), strict=True)


def _evaluate_node(
    point: float | Float64,
    weight: float | Float64,
    n: Float64,
    a: Float64,
    s: Float64,
    b: Float64,
    least: Float64,
    half: Float64,
) -> Node:
    """One node for all rows, or all nodes (n_nodes x 1) for some."""
    u = least * np.expm1((1.0 + point) * half)
    log_a, log_b = np.log1p(u / a), np.log1p(u / b)
    density = (weight * half) * n * (least + u) / (a + u) * np.exp(-n * log_a - s * log_b)
    return density, u, log_a, log_b
