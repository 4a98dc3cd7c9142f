"""Combine: what trees and BTYD say of a customer becomes one coherent mean forecast.

    churn log-odds = (1 - a) trees + a BTYD + shift
    spend          = level ((1 - b) mean(P(order) x spend if ordered, direct spend) + b BTYD)

Trees rank better and BTYD, four numbers instead of thousands, errs less on small shops and does not
mistake the season of the newest windows for the customers' habit. Both heads of spend start from an
offset, because trees cannot extrapolate: spend if ordered from BTYD's, direct spend from the
customer's credibility-weighted order value (Buehlmann 1967), (n AOV + typical) / (n + 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np

from ..features.recency_frequency import OrderDays, collect_order_days
from ..features.table import FeatureRows
from ..orders.columns import Float64, Mask
from .btyd.forecasts import predict_order_outlook, predict_order_value
from .parameters import Blend
from .season import locate_in_season
from .trees.lightgbm_trees import Trees
from .trees.quick_scorer import FlatTrees

__all__ = [
    "HEADS",
    "LATER",
    "BtydViews",
    "Expected",
    "Heads",
    "apply_season",
    "blend_forecasts",
    "compute_churn_start",
    "compute_event_shift",
    "compute_order_value_offset",
    "compute_spend_start",
    "forecast_btyd",
    "predict_heads",
    "to_log_odds",
    "to_probability",
    "value_order_days",
]

HEADS = ("churn", "ordered", "spend")
LATER = "later"  # a head of models whose history shows more than one period
_CREDIBILITY = 1.0  # the typical order value weighs as much as one order of the customer's own
_LEAST = 1e-6  # probabilities are kept this far from 0 and 1 before their log-odds are taken


@dataclass(frozen=True)
class BtydViews:
    """BTYD's forecasts of the first period, the season in them, arrays of n_rows."""

    history: OrderDays
    order_probability: Float64  # at least one order day
    order_days: Float64
    order_value: Float64
    churn_season: Float64  # what the season adds to the log-odds of no order
    spend_season: Float64  # and to the log of expected spend
    value_season: Float64  # and to the log of the order value alone

    def where(self, keep: Mask) -> BtydViews:
        """Some rows."""
        return BtydViews(
            self.history.where(keep),
            self.order_probability[keep],
            self.order_days[keep],
            self.order_value[keep],
            self.churn_season[keep],
            self.spend_season[keep],
            self.value_season[keep],
        )

    @property
    def spend(self) -> Float64:
        """Expected spend."""
        return self.order_days * self.order_value

    @property
    def days_if_ordered(self) -> Float64:
        """Expected order days of those who order: at least 1."""
        return np.maximum(self.order_days / np.maximum(self.order_probability, 1e-300), 1.0)

    @property
    def log_spend_if_ordered(self) -> Float64:
        """Log of the expected spend of those who order: where the trees of that head start."""
        return np.log(np.maximum(self.days_if_ordered * self.order_value, _LEAST))

    @property
    def churn_log_odds(self) -> Float64:
        """Log-odds of no order."""
        return to_log_odds(1.0 - self.order_probability)


@dataclass(frozen=True)
class Heads:
    """What the trees say, arrays of n_rows, the seeds averaged."""

    churn_log_odds: Float64
    spend_if_ordered: Float64
    spend: Float64
    later: Float64 | None = None  # factors that correct BTYD's later spend


@dataclass(frozen=True)
class Expected:
    """The mean forecasts of the first period, arrays of n_rows."""

    churn_probability: Float64
    orders: Float64
    spend: Float64


def forecast_btyd(rows: FeatureRows, blend: Blend, horizon_days: int) -> BtydViews:
    """What BTYD forecasts of feature rows."""
    days = collect_order_days(rows)
    return apply_season(
        blend,
        days,
        *predict_order_outlook(blend.order_model, days, horizon_days),
        predict_order_value(blend.order_values, value_order_days(rows, days, blend.value_scale)),
        locate_in_season(blend.season, rows),
        compute_event_shift(blend, rows),
    )


def apply_season(
    blend: Blend,
    days: OrderDays,
    ordering: Float64,
    order_days: Float64,
    order_value: Float64,
    places: Float64 | None,
    events: Float64 | None,
) -> BtydViews:
    """BTYD's forecasts, moved by the season at `places` in the year and by known events.

    None: no season, no event. `events` moves the log of spend; the odds of an order take what they
    can of it, and the spend of those who order takes up the rest.
    """
    if places is None and events is None:
        nothing = np.zeros(len(ordering))
        return BtydViews(days, ordering, order_days, order_value, nothing, nothing, nothing)
    if places is None:
        churn = ordered = np.zeros(len(ordering))
    else:
        churn = blend.season.at(blend.season.churn, places)
        ordered = blend.season.at(blend.season.ordered, places)
    moved = _move_odds(ordering, churn)
    if events is not None:
        before, churn = moved, churn - events
        moved = _move_odds(ordering, churn)
        ordered = ordered + events - np.log(moved / before)
    return BtydViews(
        days,
        ordering * moved,
        order_days * moved,
        order_value * np.exp(ordered),
        churn,
        np.log(moved) + ordered,
        ordered,
    )


def _move_odds(ordering: Float64, churn: Float64) -> Float64:
    """What a shift of the log-odds of no order does to the chance of an order: a factor."""
    odds = np.exp(-churn)
    return np.asarray(odds / (1.0 - ordering + ordering * odds))


def compute_event_shift(blend: Blend, rows: FeatureRows) -> Float64 | None:
    """What events in the first window do to the log of each row's spend; None without any."""
    if blend.events is None:
        return None
    return np.asarray(np.log(blend.events.compute_factor(rows, 1)))


def value_order_days(rows: FeatureRows, days: OrderDays, value_scale: float) -> OrderDays:
    """Histories whose value is that of all order days, the first one too.

    `value_scale` turns net spend into what the target counts. Gamma-Gamma is customarily fed repeat
    days alone, and then knows nothing of those who ordered once.
    """
    spend = rows.columns(("spend_total",))[:, 0].astype(np.float64)
    n_days = days.n_repeat_days + 1.0
    return OrderDays(
        n_days, days.active_days, days.tenure_days, np.maximum(spend, 0.0) * value_scale / n_days
    )


def blend_forecasts(blend: Blend, btyd: BtydViews, heads: Heads | None) -> Expected:
    """One mean forecast; without trees it is BTYD's."""
    if heads is None:
        churn = to_probability(btyd.churn_log_odds + blend.churn_shift)
        spend = btyd.spend * blend.level
    else:
        a, b = blend.churn_weight, blend.spend_weight
        mixed = (1.0 - a) * heads.churn_log_odds + a * btyd.churn_log_odds
        churn = to_probability(mixed + blend.churn_shift)
        trees = ((1.0 - churn) * heads.spend_if_ordered + heads.spend) / 2.0
        spend = blend.level * ((1.0 - b) * trees + b * btyd.spend)
    further = blend.repeat_rate * (btyd.days_if_ordered - 1.0)
    orders = (1.0 - churn) * (1.0 + further)
    return Expected(churn, orders, np.where(churn < 1.0, spend, 0.0))


def predict_heads(
    trees: Mapping[str, Sequence[Trees]],
    features: Sequence[str],
    blend: Blend,
    rows: FeatureRows,
    btyd: BtydViews,
) -> Heads:
    """Each head's mean over its seeds."""
    start = btyd.log_spend_if_ordered
    direct = compute_spend_start(rows, blend, btyd)
    heads = [*HEADS, *([LATER] if LATER in trees else [])]
    sums = iter(
        _concatenate_trees(tuple(t for h in heads for t in trees[h])).sums(rows.columns(features))
    )
    churn, ordered, spend = (list(islice(sums, len(trees[head]))) for head in HEADS)
    later = list(sums)
    return Heads(
        _mean(churn) + compute_churn_start(blend, btyd),
        _mean([np.exp(raw + start) for raw in ordered]),
        _mean([np.exp(raw + direct) for raw in spend]),
        _mean([np.exp(raw) for raw in later]) if later else None,
    )


@lru_cache(maxsize=2)  # a server's model and the one before
def _concatenate_trees(trees: tuple[Trees, ...]) -> FlatTrees:
    return FlatTrees.together([one_model.flat for one_model in trees])


def _mean(seeds: list[Float64]) -> Float64:
    """The mean over seeds, added one by one: np.mean adds in another order for one row alone."""
    total = seeds[0]
    for seed in seeds[1:]:
        total = total + seed
    return total / len(seeds)


def compute_order_value_offset(rows: FeatureRows, blend: Blend) -> Float64:
    """Log of each row's credibility-weighted order value: float64, n_rows."""
    spend, n_orders = rows.columns(("spend_total", "n_orders")).T.astype(np.float64)
    own_spend = np.maximum(spend, 0.0) * blend.value_scale
    return np.asarray(
        np.log((own_spend + _CREDIBILITY * blend.typical_order_value) / (n_orders + _CREDIBILITY))
    )


def compute_churn_start(blend: Blend, btyd: BtydViews) -> Float64:
    """Where the trees of churn start, in log-odds: float64, n_rows; zeros without a season."""
    return np.asarray(blend.churn_start + btyd.churn_season)


def compute_spend_start(rows: FeatureRows, blend: Blend, btyd: BtydViews) -> Float64:
    """Where the trees of direct spend start, in logs: float64, n_rows."""
    return np.asarray(
        compute_order_value_offset(rows, blend) + blend.spend_shift + btyd.spend_season
    )


def to_log_odds(chance: Float64) -> Float64:
    """Log-odds of probabilities, kept finite."""
    clipped = np.clip(chance, _LEAST, 1.0 - _LEAST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def to_probability(odds_in_logs: Float64) -> Float64:
    """The inverse of `to_log_odds`."""
    return np.asarray(1.0 / (1.0 + np.exp(-odds_in_logs)))
