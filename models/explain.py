"""Why: each customer's CLV as a sum of amounts in currency, one per feature.

Every part of a forecast is a product, exp(start + sum of the features' contributions); trees'
contributions are LightGBM's `pred_contrib`, exact Shapley values (Lundberg et al. 2020). What a product
differs from its typical value is shared out in proportion to the contributions, so that amounts add up
to the cent (the logarithmic mean does it exactly). BTYD's part is shared between the order rate and the
order value in the same way. All of it is then scaled by what turns spend into CLV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import OrdersError
from ..features.catalogue import CATALOGUE
from ..features.recency_frequency import OrderDays
from ..features.table import FeatureRows, compute_feature_rows
from ..orders import dates, windows
from ..orders.columns import Float64
from ..orders.cutoffs import check_cutoff, get_default_cutoff
from ..orders.reading.customer_attributes import Customers, attach_customers
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from .blend import (
    BtydViews,
    apply_season,
    compute_churn_start,
    compute_order_value_offset,
    forecast_btyd,
    to_probability,
)
from .btyd.forecasts import predict_order_outlook, predict_order_value
from .model import TrainedModel
from .season import locate_in_season

__all__ = ["TYPICAL", "explain", "explain_rows"]

TYPICAL = "an unknown customer"  # what one would be worth of whom nothing is known
_RATE = "rhythm of orders"  # what BTYD reads: how many order days, since when, how long ago
_VALUE = "order value"  # the customer's own order values, where heads start
_OWN = 3  # reasons before the features
_MEANINGS = {feature.name: feature.meaning for feature in CATALOGUE}


def explain(
    model: TrainedModel,
    orders: OrdersSource,
    cutoff: dates.Instant | None = None,
    *,
    customers: Sequence[str] | None = None,
    attributes: Customers | None = None,
    largest: int = 5,
) -> pd.DataFrame:
    """What makes each customer's CLV: customer_id, rank, reason, meaning, value, amount, clv.

    Per customer what an unknown one would be worth (rank 0), the `largest` reasons by size, and the
    rest together; the amounts, in the shop's currency, add up to the customer's `clv`. `value` is the
    feature's. `customers` are ids; `attributes` a table of all customers' attributes or a path to it, for
    a model that learned from any. Raises what `clvcast.score` raises.
    """
    orders = coerce_orders(orders, model.orders)
    orders = attach_customers(orders, attributes, model.customers, model.orders.timezone)
    instant = get_default_cutoff(orders) if cutoff is None else dates.parse_instant(cutoff)
    check_cutoff(orders, instant, model.numbers.horizon_days)
    known = windows.slice_observed(model.usable_columns(orders), instant)
    if customers is not None:
        wanted = {customers} if isinstance(customers, str) else set(map(str, customers))
        ids = known.customer_ids.to_pylist()
        known = known.keep_customers(np.array([name in wanted for name in ids], dtype=bool))
        if not known.n_customers:
            raise OrdersError(
                f"none of the {len(wanted)} customers asked for has an order before "
                f"{dates.format_instant(instant)}; look the ids up in the orders"
            )
    return explain_rows(
        model, compute_feature_rows(known, np.array([instant], dtype=np.int64)), largest
    )


def explain_rows(model: TrainedModel, rows: FeatureRows, largest: int = 5) -> pd.DataFrame:
    """The same of feature rows, row by row."""
    return _largest(compute_contributions(model, rows), rows, largest)


@dataclass(frozen=True)
class Contributions:
    """Amounts in currency: n_rows x n_reasons; each row adds up to that customer's CLV."""

    reasons: tuple[str, ...]
    amounts: Float64
    clv: Float64


def compute_contributions(model: TrainedModel, rows: FeatureRows) -> Contributions:
    """Every reason's amount for every row."""
    predictions = model.predict(rows)
    blend, features = model.numbers.blend, model.numbers.features
    btyd = forecast_btyd(rows, blend, model.numbers.horizon_days)
    reasons = (TYPICAL, _RATE, _VALUE, *features)
    unknown = _unknown(model, rows)
    weight = blend.spend_weight if model.trees else 1.0
    amounts = weight * _of_btyd(btyd, unknown, len(reasons))
    if model.trees:
        share = (1.0 - weight) / 2.0
        amounts += share * _of_hurdle(model, rows, btyd, unknown, predictions.churn_probability)
        amounts += share * _of_direct(model, rows, btyd)
    sums = amounts.sum(axis=1)
    scale = np.divide(predictions.clv, sums, out=np.zeros_like(sums), where=sums > 0)
    return Contributions(reasons, amounts * scale[:, None], predictions.clv)


def _unknown(model: TrainedModel, rows: FeatureRows) -> BtydViews:
    """BTYD's view of a customer who has only just come, at each row's cutoff: where amounts start."""
    blend, horizon = model.numbers.blend, model.numbers.horizon_days
    nothing = np.zeros(rows.n_rows)
    new = OrderDays(nothing, nothing, nothing, nothing)
    return apply_season(
        blend,
        new,
        *predict_order_outlook(blend.order_model, new, horizon),
        predict_order_value(blend.order_values, new),
        locate_in_season(blend.season, rows),
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
    """(1 - churn) x spend if ordered: the logs of the second, and those of the first as its odds move."""
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
    """exp(sum of a row's logs) as amounts: the first column's own exponential, the rest by proportion."""
    base = np.exp(logs[:, 0])
    moved = logs[:, 1:].sum(axis=1)
    # (e^m - 1) / m, the logarithmic mean: it passes through 1 at m = 0
    slope = np.where(np.abs(moved) > 1e-12, np.expm1(moved) / np.where(moved == 0, 1.0, moved), 1.0)
    return np.column_stack([base, logs[:, 1:] * (base * slope)[:, None]])


def _largest(found: Contributions, rows: FeatureRows, largest: int) -> pd.DataFrame:
    """The first reason, the largest others by size, and the rest together, per customer."""
    n_rows, n_reasons = found.amounts.shape
    shown = min(largest, n_reasons - 1)
    order = 1 + np.argsort(-np.abs(found.amounts[:, 1:]), axis=1, kind="stable")[:, :shown]
    picked = np.concatenate([np.zeros((n_rows, 1), dtype=np.int64), order], axis=1)
    amounts = np.take_along_axis(found.amounts, picked, axis=1)
    rest = found.clv - amounts.sum(axis=1)
    names = np.array([*found.reasons, "everything else"], dtype=object)
    picked = np.column_stack([picked, np.full(n_rows, n_reasons)])
    amounts = np.column_stack([amounts, rest])
    features = np.full((n_rows, n_reasons + 1), np.nan)
    features[:, _OWN:n_reasons] = rows.columns(found.reasons[_OWN:])
    ids = rows.customer_ids.take(pa.array(rows.customer_index)).to_pylist()
    reasons = names[picked].ravel()
    return pd.DataFrame(
        {
            "customer_id": np.repeat(np.array(ids, dtype=object), picked.shape[1]),
            "rank": np.tile(np.arange(picked.shape[1]), n_rows),
            "reason": reasons,
            "meaning": [_MEANINGS.get(reason, reason) for reason in reasons],
            "value": np.take_along_axis(features, picked, axis=1).ravel(),
            "amount": amounts.ravel(),
            "clv": np.repeat(found.clv, picked.shape[1]),
        }
    )
