"""Contributions: each customer's CLV as a sum of amounts in currency, one per reason.

Every part of a forecast is a product, exp(start + sum of the features' contributions); trees'
contributions are LightGBM's `pred_contrib`, exact Shapley values (Lundberg et al. 2020). What a
product differs from its typical value is shared out in proportion to the contributions, so that
amounts add up to the cent (the logarithmic mean does it exactly). BTYD's part is shared between the
order rate and the order value in the same way. All of it is then scaled by what turns spend into
CLV.
"""

from __future__ import annotations

import numpy as np

from ..features.recency_frequency import OrderDays
from ..features.table import FeatureRows
from ..orders.columns import Float64
from .blend import (
    BtydViews,
    apply_season,
    compute_churn_start,
    compute_event_shift,
    compute_order_value_offset,
    forecast_btyd,
    to_probability,
)
from .btyd.forecasts import predict_order_outlook, predict_order_value
from .model import TrainedModel
from .season import locate_in_season

__all__ = ["N_OWN", "ORDER_VALUE", "RHYTHM", "TYPICAL", "compute_contributions"]

TYPICAL = "an unknown customer"  # what one would be worth of whom nothing is known
RHYTHM = "rhythm of orders"  # what BTYD reads: how many order days, since when, how long ago
ORDER_VALUE = "order value"  # the customer's own order values, where heads start
N_OWN = 3  # reasons before the features


def compute_contributions(
    model: TrainedModel, rows: FeatureRows
) -> tuple[tuple[str, ...], Float64, Float64]:
    """The reasons, their amounts (n_rows x n_reasons) and the CLV that a row's add up to."""
    reasons = (TYPICAL, RHYTHM, ORDER_VALUE, *model.numbers.features)
    predictions = model.predict(rows)
    blend = model.numbers.blend
    btyd = forecast_btyd(rows, blend, model.numbers.horizon_days)
    unknown = _unknown(model, rows)
    weight = blend.spend_weight if model.trees else 1.0
    amounts = weight * _of_btyd(btyd, unknown, N_OWN + len(model.numbers.features))
    if model.trees:
        share = (1.0 - weight) / 2.0
        amounts += share * _of_hurdle(model, rows, btyd, unknown, predictions.churn_probability)
        amounts += share * _of_direct(model, rows, btyd)
    sums = amounts.sum(axis=1)
    scale = np.divide(predictions.clv, sums, out=np.zeros_like(sums), where=sums > 0)
    return reasons, amounts * scale[:, None], predictions.clv


def _unknown(model: TrainedModel, rows: FeatureRows) -> BtydViews:
    """BTYD's forecast of a customer who has just come, at each row's cutoff: where amounts
    start.
    """
    blend, horizon = model.numbers.blend, model.numbers.horizon_days
    nothing = np.zeros(rows.n_rows)
    new = OrderDays(nothing, nothing, nothing, nothing)
    return apply_season(
        blend,
        new,
        *predict_order_outlook(blend.order_model, new, horizon),
        predict_order_value(blend.order_values, new),
        locate_in_season(blend.season, rows),
        compute_event_shift(blend, rows),
    )


def _of_btyd(btyd: BtydViews, unknown: BtydViews, n_reasons: int) -> Float64:
    logs = np.zeros((len(btyd.order_days), n_reasons))
    logs[:, 0] = _log(unknown.spend)
    logs[:, 1] = _log(btyd.order_days) - _log(unknown.order_days)
    logs[:, 2] = _log(btyd.order_value) - _log(unknown.order_value)
    return _shared_out(logs)


def _of_hurdle(
    model: TrainedModel, rows: FeatureRows, btyd: BtydViews, unknown: BtydViews, churn: Float64
) -> Float64:
    """(1 - churn) x spend if ordered: logs of the second; the first shared out by its odds."""
    logs = _log_parts(model, rows, "ordered")
    logs[:, 0] += unknown.log_spend_if_ordered
    logs[:, 1] += _log(btyd.days_if_ordered) - _log(unknown.days_if_ordered)
    logs[:, 2] += _log(btyd.order_value) - _log(unknown.order_value)
    blend = model.numbers.blend
    odds = (1.0 - blend.churn_weight) * _log_parts(model, rows, "churn")
    odds[:, 0] += (1.0 - blend.churn_weight) * compute_churn_start(blend, btyd)
    odds[:, 0] += blend.churn_weight * unknown.churn_log_odds + blend.churn_shift
    odds[:, 1] += blend.churn_weight * (btyd.churn_log_odds - unknown.churn_log_odds)
    base = _log(to_probability(-odds[:, 0]))
    moved = odds[:, 1:].sum(axis=1)
    stays = _log(1.0 - churn) - base
    slope = np.divide(stays, moved, out=np.zeros_like(stays), where=np.abs(moved) > 1e-12)
    logs[:, 0] += base
    logs[:, 1:] += odds[:, 1:] * slope[:, None]
    return _shared_out(logs)


def _of_direct(model: TrainedModel, rows: FeatureRows, btyd: BtydViews) -> Float64:
    logs = _log_parts(model, rows, "spend")
    typical = model.numbers.blend.typical_order_value
    logs[:, 0] += np.log(typical) + model.numbers.blend.spend_shift + btyd.spend_season
    logs[:, 2] += compute_order_value_offset(rows, model.numbers.blend) - np.log(typical)
    return _shared_out(logs)


def _log(values: Float64) -> Float64:
    return np.asarray(np.log(np.maximum(values, 1e-12)))


def _log_parts(model: TrainedModel, rows: FeatureRows, head: str) -> Float64:
    """A head's contributions in logs, the seeds' mean: typical, rate, value, then the features."""
    inputs = rows.columns(model.numbers.features)
    seeds = model.trees[head]
    total = np.mean([trees.contributions(inputs) for trees in seeds], axis=0)
    parts = np.zeros((rows.n_rows, 3 + inputs.shape[1]))
    parts[:, 0], parts[:, 3:] = total[:, -1], total[:, :-1]
    return parts


def _shared_out(logs: Float64) -> Float64:
    """exp(sum of a row's logs) as amounts: exp of the first column, the rest in proportion."""
    base = np.exp(logs[:, 0])
    moved = logs[:, 1:].sum(axis=1)
    # (e^m - 1) / m, the logarithmic mean: it passes through 1 at m = 0
    slope = np.where(np.abs(moved) > 1e-12, np.expm1(moved) / np.where(moved == 0, 1.0, moved), 1.0)
    return np.column_stack([base, logs[:, 1:] * (base * slope)[:, None]])
