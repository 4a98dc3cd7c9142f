"""Segments: which RFM segment, value tier and risk band a customer is in.

The thresholds are numbers of the bundle, so a customer's segment does not depend on who else is in
the file. A score is 1 + the number of the four quintile cut points strictly passed; for R fewer
days are better. FM = floor((F + M) / 2 + 0.5).

Cut points are values that occur (the inverse of the empirical distribution): equal customers get
equal scores however many of them there are, and where most ordered once, F begins to tell them
apart at the second order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from ..configs.segments import RiskConfig, SegmentsConfig, TiersConfig, build_rfm_grid
from ..errors import ConfigError
from ..orders.columns import Float64, Int32, Int64, Text

__all__ = [
    "RISKS",
    "TIERS",
    "SegmentThresholds",
    "Standing",
    "assign_risk_bands",
    "assign_segments",
    "assign_tiers",
    "choose_risk_limits",
    "compute_quintile_cuts",
    "compute_tier_edges",
    "cut_thresholds",
    "name_rfm_segments",
    "score_rfm",
]

TIERS = ("low", "medium", "high")
RISKS = ("low", "medium", "high")
_LEAST_BAND = 0.05  # of the customers, in each risk band
_DIGITS = (2, 3, 4, 6)  # of risk limits that fit the customers, the fewest first
_Cuts = Annotated[tuple[FiniteFloat, ...], Field(min_length=4, max_length=4)]


class SegmentThresholds(BaseModel):
    """What sorts customers into segments: numbers and names, fixed at training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recency_cuts: _Cuts  # whole days since the last order
    frequency_cuts: _Cuts  # orders
    money_cuts: _Cuts  # net spend before the cutoff, in the currency
    tier_edges: tuple[FiniteFloat, FiniteFloat]  # CLV from which on medium, and high
    tiers: TiersConfig  # the rule the edges came from
    risk: RiskConfig
    rfm: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        for name in ("recency_cuts", "frequency_cuts", "money_cuts", "tier_edges"):
            cuts = getattr(self, name)
            if list(cuts) != sorted(cuts):
                raise ValueError(f"{name} must not fall")
        build_rfm_grid(self.rfm)  # raises `ValueError` where it is no partition
        return self

    def build_grid(self) -> Text:
        """The 5 x 5 grid of segment names."""
        return _build_grid(tuple(self.rfm.items()))

    def overridden_by(self, stated: SegmentsConfig) -> SegmentThresholds:
        """With a configuration's names and risk edges; raises `ConfigError` for another tier rule.

        Cutting tiers by another rule needs customers: train again, or cut within the file.
        """
        update: dict[str, Any] = {}
        if "tiers" in stated.model_fields_set and not stated.within_file:
            new_tiers = self.tiers.overridden_by(stated.tiers)
            if new_tiers != self.tiers:
                old_tiers = self.tiers
                raise ConfigError(
                    f"segments.tiers must be the model's (by {old_tiers.by}, high "
                    f"{old_tiers.high:g}, medium "
                    f"{old_tiers.medium:g}), whose edges it has fixed; train again, or set "
                    "segments.within_file: true"
                )
        if "risk" in stated.model_fields_set:
            update["risk"] = self.risk.overridden_by(stated.risk)
        if "rfm" in stated.model_fields_set:
            update["rfm"] = stated.rfm
        return self.model_copy(update=update)


@dataclass(frozen=True)
class Standing:
    """What customers are sorted by: arrays of n_customers, money in the currency."""

    days_since_last_order: Int32
    n_orders: Int32
    spend: Float64  # net, before the cutoff
    clv: Float64


def assign_segments(
    thresholds: SegmentThresholds, standing: Standing, churn_probability: Float64
) -> tuple[Text, Text, Text]:
    """RFM segment, value tier and risk band of customers: text, n_customers each."""
    r = score_rfm(standing.days_since_last_order, thresholds.recency_cuts, fewer_is_better=True)
    f = score_rfm(standing.n_orders, thresholds.frequency_cuts)
    m = score_rfm(standing.spend, thresholds.money_cuts)
    return (
        name_rfm_segments(r, f, m, thresholds.build_grid()),
        assign_tiers(standing.clv, thresholds.tier_edges),
        assign_risk_bands(churn_probability, thresholds.risk),
    )


def cut_thresholds(config: SegmentsConfig, standing: Standing) -> SegmentThresholds:
    """Thresholds from customers: quintile cuts of R, F and M, and tier edges of CLV."""
    return SegmentThresholds(
        recency_cuts=compute_quintile_cuts(standing.days_since_last_order),
        frequency_cuts=compute_quintile_cuts(standing.n_orders),
        money_cuts=compute_quintile_cuts(standing.spend),
        tier_edges=compute_tier_edges(standing.clv, config.tiers),
        tiers=config.tiers,
        risk=config.risk,
        rfm=config.rfm,
    )


def choose_risk_limits(config: RiskConfig, churn_probability: Float64) -> RiskConfig:
    """The configuration's limits; where it states none, some that tell these customers apart.

    The usual limits, unless a band would hold less than 5 % of the customers: then thirds of
    them by churn probability, to the fewest digits that leave 5 % in each band. Where no digits
    do, the usual limits stay.
    """
    if config.model_fields_set or not len(churn_probability):
        return config
    if _tells_apart(config, churn_probability):
        return config
    thirds = np.quantile(churn_probability, (1 / 3, 2 / 3))
    for digits in _DIGITS:
        low, high = thirds.round(digits).tolist()
        limits = RiskConfig(low_below=low, high_above=high)
        if _tells_apart(limits, churn_probability):
            return limits
    return config


def _tells_apart(limits: RiskConfig, churn_probability: Float64) -> bool:
    """Whether each band holds at least 5 % of the customers."""
    bands = assign_risk_bands(churn_probability, limits)
    smallest = min(int(np.count_nonzero(bands == risk)) for risk in RISKS)
    return smallest >= _LEAST_BAND * len(bands)


def compute_quintile_cuts(values: npt.NDArray[Any]) -> tuple[float, ...]:
    """The values at or below which 20, 40, 60 and 80 % of `values` lie; each occurs in them.

    >>> compute_quintile_cuts(np.array([1, 1, 1, 1, 1, 1, 2, 2, 5, 9]))
    (1.0, 1.0, 1.0, 2.0)
    """
    if not len(values):
        return (0.0, 0.0, 0.0, 0.0)
    cuts = np.quantile(np.asarray(values, np.float64), (0.2, 0.4, 0.6, 0.8), method="inverted_cdf")
    return tuple(float(cut) for cut in cuts)


def score_rfm(
    values: npt.NDArray[Any], cuts: tuple[float, ...], *, fewer_is_better: bool = False
) -> Int64:
    """1 + the number of cut points strictly passed: int64, n_customers, from 1 to 5.

    >>> score_rfm(np.array([1, 2, 9]), (1.0, 1.0, 2.0, 4.0))
    array([1, 3, 5])
    >>> score_rfm(np.array([3, 10, 400]), (10.0, 50.0, 120.0, 260.0), fewer_is_better=True)
    array([5, 4, 1])
    """
    if fewer_is_better:
        return np.asarray(5 - np.array(cuts).searchsorted(values, side="right"), dtype=np.int64)
    return np.asarray(1 + np.array(cuts).searchsorted(values, side="left"), dtype=np.int64)


def name_rfm_segments(
    r: Int64, f: Int64, m: Int64, grid: tuple[tuple[str, ...], ...] | Text
) -> Text:
    """The name in the grid's cell (R, FM), FM = floor((F + M) / 2 + 0.5)."""
    names = np.asarray(grid, dtype=object)
    return np.asarray(names[r - 1, (f + m + 1) // 2 - 1], dtype=object)


@lru_cache(maxsize=16)
def _build_grid(rfm: tuple[tuple[str, tuple[str, ...]], ...]) -> Text:
    """The grid of a table, read once: it is asked for with every customer."""
    grid = np.array(build_rfm_grid(dict(rfm)), dtype=object)
    grid.flags.writeable = False
    return grid


def compute_tier_edges(clv: Float64, config: TiersConfig) -> tuple[float, float]:
    """The CLV from which on a customer is medium, and high.

    The best customers who together hold the share, of value or of customers, and whoever equals the
    last of them.
    """
    best_first = np.sort(np.asarray(clv, np.float64))[::-1]
    cumulated = (
        np.cumsum(best_first) if config.by == "value" else np.arange(1.0, len(best_first) + 1)
    )
    if not len(cumulated) or cumulated[-1] <= 0:
        return (0.0, 0.0)
    total_clv = cumulated[-1] * (
        1 - 1e-12
    )  # 0.5 + 0.3 of a sum is reached, however its floats add up
    counts = [
        min(int(np.searchsorted(cumulated, share * total_clv)), len(cumulated) - 1)
        for share in (config.high + config.medium, config.high)
    ]
    return float(best_first[counts[0]]), float(best_first[counts[1]])


def assign_tiers(clv: Float64, edges: tuple[float, float]) -> Text:
    """High from the second edge on, medium from the first; a CLV of zero is always low."""
    place = np.searchsorted(edges, clv, side="right")
    return np.asarray(np.array(TIERS, dtype=object)[np.where(clv > 0, place, 0)])


def assign_risk_bands(churn_probability: Float64, config: RiskConfig) -> Text:
    """Low below one edge, high above the other, medium between, the edges included."""
    band = (churn_probability >= config.low_below).astype(np.int64)
    band += churn_probability > config.high_above
    return np.asarray(np.array(RISKS, dtype=object)[band])
