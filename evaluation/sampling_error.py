"""What chance alone makes of a measure: by how much right forecasts of so few customers are off, at most, 19 times in 20.

A bound that holds for 100,000 customers would cry wolf in a shop of 300, where a few large orders move
the total by a fifth. So a bound is what may be wrong with a model, and chance comes on top of it.
"""

from __future__ import annotations

import numpy as np

from ..orders.columns import Float64

__all__ = [
    "estimate_calibration_noise",
    "estimate_capture_noise",
    "estimate_share_noise",
    "estimate_total_noise",
]

_SURE = 1.645  # 95 % of a normal distribution lies below this many standard deviations
_GROUPS = 10


def estimate_total_noise(forecast: Float64, actual: Float64) -> float:
    """Of sum(forecast) / sum(actual) - 1: the error of a sum whose terms err as these customers did."""
    total = float(actual.sum())
    if total <= 0:
        return 0.0
    errors = forecast - actual
    return float(_SURE * np.sqrt(np.sum((errors - errors.mean()) ** 2)) / total)


def estimate_calibration_noise(probability: Float64) -> float:
    """Of the mean gap in ten groups by probability: |N(0, p (1 - p) / n)| in each, had they been right."""
    groups = [part for part in np.array_split(np.sort(probability), _GROUPS) if len(part)]
    if not groups:
        return 0.0
    share = np.array([len(part) for part in groups]) / len(probability)
    spread = np.array([np.sqrt((p * (1.0 - p)).mean() / len(p)) for p in groups])
    mean = float(share @ spread) * np.sqrt(2.0 / np.pi)
    return float(mean + _SURE * np.sqrt((share**2) @ (spread**2) * (1.0 - 2.0 / np.pi)))


def estimate_share_noise(share: float, n: int) -> float:
    """Of a share of `n` customers that is `share` in truth."""
    return float(_SURE * np.sqrt(share * (1.0 - share) / max(n, 1)))


def estimate_capture_noise(captured: Float64, best: float) -> float:
    """Of sum(captured) / best, where the customers captured spent as unequally as these did."""
    if best <= 0 or not len(captured):
        return 0.0
    return float(_SURE * np.sqrt(np.sum((captured - captured.mean()) ** 2)) / best)
