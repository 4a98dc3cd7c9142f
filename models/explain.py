"""Why: each customer's CLV as a sum of amounts in currency, one per feature.

Every part of a forecast is a product, exp(start + sum of the features' contributions); trees'
contributions are LightGBM's `pred_contrib`, exact Shapley values (Lundberg et al. 2020). What a
product differs from its typical value is shared out in proportion to the contributions, so that
amounts add up to the cent (the logarithmic mean does it exactly). BTYD's part is shared between the
order rate and the order value in the same way. All of it is then scaled by what turns spend into
CLV.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
    compute_event_shift,
    compute_order_value_offset,
    forecast_btyd,
    to_probability,
)
from .btyd.forecasts import predict_order_outlook, predict_order_value
from .model import TrainedModel
from .season import locate_in_season

__all__ = [
    "ORDER_VALUE",
    "RHYTHM",
    "TYPICAL",
    "compute_contributions",
    "explain",
    "explain_rows",
]

TYPICAL = "an unknown customer"  # what one would be worth of whom nothing is known
RHYTHM = "rhythm of orders"  # what BTYD reads: how many order days, since when, how long ago
ORDER_VALUE = "order value"  # the customer's own order values, where heads start
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
    by: Literal["feature", "group"] = "feature",
) -> pd.DataFrame:
    """Explain each customer's CLV as amounts that add up to it.

    Parameters
    ----------
    model : Model
        A trained model.
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders, a table of order lines, or where to read them.
    cutoff : str, date or datetime, optional
        The first instant that is not observed; by default the midnight after the newest line.
    customers : sequence of str, optional
        Ids of the customers to explain; all by default.
    attributes : DataFrame, pyarrow.Table, str or Path, optional
        Attributes of all customers, for a model that learned from any.
    largest : int, default 5
        How many reasons per customer; the others are added into one row.
    by : {'feature', 'group'}, default 'feature'
        `group` adds all features up by what they tell (how recent, how often, order size, returns,
        season, ...), in sentences, with the shop's `typical` value as a further column.

    Returns
    -------
    DataFrame
        customer_id, rank, reason, meaning, value (the feature's), amount (in the shop's
        currency) and clv. Rank 0 is what a customer without a history would be worth.

    Raises
    ------
    OrdersError
        If the model cannot read the orders, or none of the customers is among them.
    ConfigError
        If the cutoff is out of range.

    """
    orders = coerce_orders(orders, model.orders)
    orders = attach_customers(orders, attributes, model.customers, model.orders)
    instant = get_default_cutoff(orders) if cutoff is None else dates.parse_instant(cutoff)
    check_cutoff(orders, instant, model.numbers.horizon_days)
    observed = windows.slice_observed(model.usable_columns(orders), instant)
    if customers is not None:
        customer_names = {customers} if isinstance(customers, str) else set(map(str, customers))
        ids = observed.customer_ids.to_pylist()
        observed = observed.keep_customers(
            np.array([name in customer_names for name in ids], dtype=bool)
        )
        if not observed.n_customers:
            raise OrdersError(
                f"none of the {len(customer_names)} customers asked for has an order before "
                f"{dates.format_instant(instant)}; look the ids up in the orders"
            )
    rows = compute_feature_rows(observed, np.array([instant], dtype=np.int64))
    if by == "group":
        from .explain_groups import explain_row_groups  # which builds on this module

        return explain_row_groups(model, rows)
    return explain_rows(model, rows, largest)


def explain_rows(model: TrainedModel, rows: FeatureRows, largest: int = 5) -> pd.DataFrame:
    """The same of feature rows, row by row."""
    reasons, amounts, clv = compute_contributions(model, rows)
    n_rows, n_reasons = amounts.shape
    n_shown = min(largest, n_reasons - 1)
    order = 1 + np.argsort(-np.abs(amounts[:, 1:]), axis=1, kind="stable")[:, :n_shown]
    picked = np.concatenate([np.zeros((n_rows, 1), dtype=np.int64), order], axis=1)
    parts = np.take_along_axis(amounts, picked, axis=1)
    rest = clv - parts.sum(axis=1)
    names = np.array([*reasons, "everything else"], dtype=object)
    picked = np.column_stack([picked, np.full(n_rows, n_reasons)])
    parts = np.column_stack([parts, rest])
    features = np.full((n_rows, n_reasons + 1), np.nan)
    features[:, _OWN:n_reasons] = rows.columns(reasons[_OWN:])
    ids = rows.customer_ids.take(pa.array(rows.customer_index)).to_pylist()
    named = names[picked].ravel()
    return pd.DataFrame(
        {
            "customer_id": np.repeat(np.array(ids, dtype=object), picked.shape[1]),
            "rank": np.tile(np.arange(picked.shape[1]), n_rows),
            "reason": named,
            "meaning": [_MEANINGS.get(reason, reason) for reason in named],
            "value": np.take_along_axis(features, picked, axis=1).ravel(),
            "amount": parts.ravel(),
            "clv": np.repeat(clv, picked.shape[1]),
        }
    ).astype(dict.fromkeys(("customer_id", "reason", "meaning"), "str"))


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
    amounts = weight * _of_btyd(btyd, unknown, _OWN + len(model.numbers.features))
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
