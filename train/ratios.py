"""Later periods: how much customers spent in period k for each unit of money in the first.

Silence for one period is not leaving, so later periods are not powers of 1 - churn_probability; they
are what customers of the same risk band did in history.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..serve.model import BANDS
from .frame import TrainingFrame

__all__ = ["period_ratios"]

_LEAST_BUYERS = (
    50  # customers of a band who spent in its first period; with fewer, the base's ratio
)


def period_ratios(
    frame: TrainingFrame, bands: npt.NDArray[np.int64], periods: int
) -> tuple[dict[str, tuple[float, ...]], int]:
    """Per risk band, spend of period k over spend of period 1, k = 1..periods; and the periods realised.

    `bands` is each row's band. Where history shows no period k yet, the last known ratio is held.
    """
    spend = np.maximum(frame.targets.spend, 0.0)
    base = [1.0]
    for k in range(1, periods):
        ratio = _ratio(spend, ~np.isnan(spend[:, k]), k)
        if math.isnan(ratio):
            break
        base.append(ratio)
    ratios = {}
    for position, name in enumerate(BANDS):
        in_band = bands == position
        own = []
        for k in range(len(base)):
            rows = in_band & ~np.isnan(spend[:, k])
            buyers = np.unique(frame.rows.customer_index[rows & (spend[:, 0] > 0)])
            own.append(_ratio(spend, rows, k) if len(buyers) >= _LEAST_BUYERS else base[k])
        ratios[name] = tuple(own + [own[-1]] * (periods - len(own)))
    return ratios, len(base)


def _ratio(spend: npt.NDArray[np.float64], rows: npt.NDArray[np.bool_], k: int) -> float:
    first = math.fsum(spend[rows, 0])
    return math.fsum(spend[rows, k]) / first if first > 0 else math.nan
