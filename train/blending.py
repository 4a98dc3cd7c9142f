"""Blending: how much BTYD weighs beside the trees, and the level of both together.

Weights fall with the number of customers, by a rule and not by a search: on nine cells of four
public data sets the weight that was best on the last window known told next to nothing about the
best weight on the next one. The level is the geometric mean of what the two expect in total of
today's customers: trees carry the season of the newest windows forward, BTYD has no season at all,
and the truth has mostly been between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..features.recency_frequency import collect_order_days
from ..features.table import FeatureRows
from ..models.blend import (
    BtydViews,
    Heads,
    blend_forecasts,
    to_log_odds,
    to_probability,
    value_order_days,
)
from ..models.parameters import Blend
from ..orders.columns import Float64
from ..orders.reading.validation_issues import join_words
from .btyd.fitting import FittedOrders, FittedValue, Kind, fit_order_model, fit_value_model
from .season_estimation import PastYears

__all__ = ["describe_btyd_fits", "estimate_repeat_rate", "fit_initial_blend", "set_levels"]

_MODEL_NAMES: dict[Kind, str] = {"pareto_nbd": "Pareto/NBD", "bg_nbd": "BG/NBD", "nbd": "NBD"}
_CHURN_WEIGHTS = (0.2, 0.5)  # with very many customers, with very few
_SPEND_WEIGHTS = (0.1, 0.5)
_HALFWAY = 1_000.0  # customers at which a weight stands between the two
_LEVEL_WEIGHT = 0.7  # of BTYD in the level
_MOST_LEVEL = 2.0
_MOST_REPEAT_RATE = 10.0


def fit_initial_blend(rows: FeatureRows, typical_order_value: float, value_scale: float) -> Blend:
    """BTYD fitted on customers as they are at one cutoff, weighted by how many there are."""
    days = collect_order_days(rows)
    fits = [fit_order_model(days, kind) for kind in ("bg_nbd", "pareto_nbd")]
    sound = [fit for fit in fits if fit.converged]
    free = [fit for fit in sound if not fit.at_bound] or sound
    best = max(free, key=lambda fit: fit.log_likelihood, default=fits[0])
    values = fit_value_model(
        value_order_days(rows, days, value_scale), mean_value=typical_order_value
    )
    few = _HALFWAY / (_HALFWAY + rows.n_rows)
    churn, spend = (many + (rare - many) * few for many, rare in (_CHURN_WEIGHTS, _SPEND_WEIGHTS))
    trusted = 1.0 if best.converged else 0.0
    return Blend(
        remarks=describe_btyd_fits(fits, best, values),
        order_model=best.model,
        order_values=values.model,
        churn_weight=churn * trusted,
        spend_weight=spend * trusted,
        churn_shift=0.0,
        level=1.0,
        repeat_rate=1.0,
        value_scale=value_scale,
        typical_order_value=typical_order_value,
        spend_shift=0.0,
    )


def describe_btyd_fits(
    fits: Sequence[FittedOrders], chosen: FittedOrders, values: FittedValue
) -> tuple[str, ...]:
    """A sentence for each thing that is not as asked; empty where every fit is a free maximum.

    `chosen` is the one of `fits` that the blend uses, `values` the fit of order values.
    """
    sentences = [_describe_orders(fit, is_used=fit is chosen) for fit in fits]
    sentences.append(_describe_values(values))
    return tuple(sentence for sentence in sentences if sentence)


def _describe_orders(fit: FittedOrders, *, is_used: bool) -> str | None:
    model_name = _MODEL_NAMES[fit.asked]
    used = "the model in use" if is_used else "not used"
    if not fit.converged:
        what = "the mean rate of all customers stands in"
        weight = ", and BTYD weighs nothing beside the trees" if is_used else ""
        return f"BTYD: {model_name} could not be fitted to these orders; {what} ({used}){weight}"
    if fit.fell_back:
        stand_in = _MODEL_NAMES[fit.model.kind]
        return f"BTYD: {model_name} has no maximum on these orders; {stand_in} stands in ({used})"
    if fit.at_bound:
        return (
            f"BTYD: {model_name} stands at the bound of {join_words(list(fit.at_bound))}: these "
            f"orders do not tell how customers differ in it ({used})"
        )
    return None


def _describe_values(values: FittedValue) -> str | None:
    if not values.converged:
        return (
            "BTYD: Gamma-Gamma could not be fitted to the order values; a wide stand-in around the "
            "typical order value is used"
        )
    if values.at_bound:
        return f"BTYD: Gamma-Gamma stands at the bound of {join_words(list(values.at_bound))}"
    return None


def set_levels(blend: Blend, btyd: BtydViews, heads: Heads, past: PastYears) -> Blend:
    """The blend with its churn shift and level set by customers as they are at the training end.

    Where whole years of history show that BTYD's totals are too high or too low, they count as
    mended.
    """
    if blend.spend_weight == 0.0:
        return blend
    trees_rate = float(np.mean(to_probability(heads.churn_log_odds)))
    btyd_rate = float(np.mean(1.0 - btyd.order_probability))
    rates = to_log_odds(np.array([trees_rate, btyd_rate])) + np.array([0.0, past.churn_level])
    rate = float(to_probability(np.array([_choose_share(*rates)]))[0])
    mixed = (
        1 - blend.churn_weight
    ) * heads.churn_log_odds + blend.churn_weight * btyd.churn_log_odds
    shifted = blend.model_copy(update={"churn_shift": _shift_to(mixed, rate)})
    trees_churn = to_probability(heads.churn_log_odds)
    trees = math.fsum((1.0 - trees_churn) * heads.spend_if_ordered + heads.spend) / 2.0
    total, now = math.fsum(btyd.spend), math.fsum(blend_forecasts(shifted, btyd, heads).spend)
    if min(trees, total, now) <= 0:
        return shifted
    level = math.exp(_choose_share(math.log(trees), math.log(total) + past.spend_level)) / now
    level = min(max(level, 1.0 / _MOST_LEVEL), _MOST_LEVEL)
    return shifted.model_copy(update={"level": level})


def _choose_share(trees: float, btyd: float) -> float:
    return (1.0 - _LEVEL_WEIGHT) * trees + _LEVEL_WEIGHT * btyd


def _shift_to(log_odds_: Float64, rate: float) -> float:
    """What to add to log-odds so that the mean probability is `rate`: by bisection."""
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if float(np.mean(to_probability(log_odds_ + middle))) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def estimate_repeat_rate(n_orders: Float64, btyd: BtydViews, weights: Float64) -> float:
    """Further orders of those who ordered, for each further order day BTYD expects of them."""
    ordered = n_orders > 0
    further = float(np.sum((n_orders[ordered] - 1.0) * weights[ordered]))
    expected = float(np.sum((btyd.days_if_ordered[ordered] - 1.0) * weights[ordered]))
    return min(further / expected, _MOST_REPEAT_RATE) if expected > 0 else 0.0
