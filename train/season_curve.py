"""The curve of a season: what returns every year of a series by place of the year."""

from __future__ import annotations

import math

import numpy as np

from ..orders.columns import Float64, Int64

__all__ = ["estimate_curve", "estimate_level"]

_PRIOR_NOISE = 0.05  # how far, in logs, a total is typically from what it was a year ago
_PRIOR_POINTS = 13  # how many points that belief is worth


def estimate_level(rest: Float64) -> float:
    """The mean of a series without its season, shrunk towards 0."""
    present = rest[~np.isnan(rest)]
    return math.fsum(present) / (len(present) + _PRIOR_POINTS)


def estimate_curve(series: Float64, phases: Int64, years: Int64) -> Float64:
    """What returns every year of a series by phase and year back: one value a phase, mean 0.

    A steady drift from year to year is taken out first, then each year's level; the rest is shrunk
    by the ratio of its own variance to that plus the noise of its mean.
    """
    n_phases = int(phases.max()) + 1
    table = np.full((int(years.max()) + 1, n_phases), np.nan)
    table[years, phases] = series
    is_present = ~np.isnan(table)
    counts = is_present.sum(axis=0)
    if not counts.all():
        return np.zeros(n_phases)
    per_year = table[:-1] - table[1:]
    drift = float(np.nanmean(per_year)) if (~np.isnan(per_year)).sum() >= n_phases else 0.0
    back = np.arange(len(table))[:, None] + np.arange(n_phases) / n_phases
    table = table + drift * back
    season, levels = np.zeros(n_phases), np.zeros(len(table))
    for _ in range(50):  # the two means converge at once where every year is whole
        levels = np.array(
            [
                row.mean() if len(row := r[k]) else 0.0
                for r, k in zip(table - season, is_present, strict=True)
            ]
        )
        season = np.nanmean(table - levels[:, None], axis=0)
        season -= season.mean()
    rest = (table - levels[:, None] - season)[is_present]
    free = max(len(rest) - n_phases - len(table) + 1, 0)
    noise = (math.fsum(rest**2) + _PRIOR_POINTS * _PRIOR_NOISE**2) / (free + _PRIOR_POINTS)
    noise_of_mean = noise / counts
    signal = max(float(np.mean(season**2 - noise_of_mean)), 0.0)
    return np.asarray(season * signal / (signal + noise_of_mean))
