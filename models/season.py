"""Season: what the time of the year does to a whole shop, beyond what its customers' histories say.

Curves over the year, learned where history shows each part of the year (`train.season_estimation`);
a model without them knows no season. A customer's chance to order moves in odds and the spend of
those who order in proportion, so that a customer who is sure to order stays sure, and probabilities
stay probabilities.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from ..features.table import FeatureRows
from ..orders.columns import Float64
from ..orders.dates import YEAR_DAYS

__all__ = ["Season", "compute_later_factor", "locate_in_season"]

_LARGEST = 20.0  # in logs: e^20 times the usual is no season


class Season(BaseModel):
    """Curves through points of the year, straight lines between; none: no season is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    places: tuple[float, ...] = ()  # of cutoffs in the year, [0, 1), ascending
    churn: tuple[float, ...] = ()  # added to the log-odds of no order in the first period
    ordered: tuple[float, ...] = ()  # added to the log of the spend of those who order
    spend: tuple[float, ...] = ()  # what both do to the log of the shop's total

    @model_validator(mode="after")
    def _is_a_year(self) -> Self:
        places = self.places
        if any(low >= high for low, high in pairwise(places)):
            raise ValueError("places must be in increasing order")
        if places and not 0 <= places[0] <= places[-1] < 1:
            raise ValueError("places must be within a year, from 0 to below 1")
        for name in ("churn", "ordered", "spend"):
            curve = getattr(self, name)
            if len(curve) != len(places):
                raise ValueError(f"{name} must have a value for each of the {len(places)} places")
            if any(abs(value) > _LARGEST for value in curve):
                raise ValueError(f"{name} must be within {_LARGEST:g} of 0")
        return self

    @property
    def is_known(self) -> bool:
        """Whether there is any."""
        return bool(self.places)

    def at(self, curve: tuple[float, ...], places: Float64) -> Float64:
        """A curve at places in the year."""
        if not self.places:
            return np.zeros(len(places))
        return np.asarray(np.interp(places, self.places, curve, period=1.0))

    def compute_total_factor(self, places: Float64, days: float) -> Float64:
        """What it does to a total of a period that begins some days after `places` in the year."""
        return np.asarray(np.exp(self.at(self.spend, (places + days / YEAR_DAYS) % 1.0)))


def locate_in_season(season: Season, rows: FeatureRows) -> Float64 | None:
    """Where in the year each row's cutoff stands, from 0 to below 1; None without a season."""
    if not season.is_known:
        return None
    sine, cosine = rows.columns(("cutoff_year_sin", "cutoff_year_cos")).T.astype(np.float64)
    return np.asarray(np.arctan2(sine, cosine) / (2.0 * math.pi) % 1.0)


def compute_later_factor(season: Season, places: Float64, days: float) -> Float64:
    """The season's factor between a total some days later and one now, at places in the year."""
    later = season.at(season.spend, (places + days / YEAR_DAYS) % 1.0)
    return np.asarray(np.exp(later - season.at(season.spend, places)))
