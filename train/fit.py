"""fit: orders known before an instant -> a model. No clock, no store, nothing printed."""

from __future__ import annotations

import numpy as np

from ..configs.schema import Config
from ..errors import OrdersError
from ..features.faults import counted
from ..features.orders import Orders
from ..features.windows import DAY, first_order_at
from ..serve.model import Model, Numbers, order_value_offset
from .boosting import SEEDS, grow_churn_trees, grow_spend_trees
from .calibration import fit_calibration, left_out_log_odds
from .frame import TrainingFrame, training_frame
from .ratios import period_ratios

__all__ = ["fit"]

_SHORT_HISTORY_HORIZONS = 1.5
_LEAST_CUSTOMERS = 50
_LEAST_ORDERED = 20  # rows with an order in the window


def fit(orders: Orders, config: Config, end: int) -> Model:
    """Train on the orders before `end`; the same orders and settings give the same model, to the byte.

    Raises `OrdersError` where the history is too short, or shows nobody who came back or who stayed away.
    """
    frame = training_frame(orders, config.horizon_days, config.periods, end)
    _check_outcomes(frame, config.horizon_days)
    inputs = frame.rows.columns(frame.features)
    churned, spend, weights = frame.targets.churned, frame.spend, frame.weights

    log_odds = left_out_log_odds(frame, config.seed)
    corners, probabilities = fit_calibration(log_odds, churned, weights)
    churn_trees = tuple(
        grow_churn_trees(inputs, churned, weights, frame.features, config.seed + k)
        for k in range(SEEDS)
    )

    ordered = ~churned
    typical = _typical_order_value(frame)
    offset = order_value_offset(frame.rows, typical)[ordered]
    shift = float(
        np.log(np.average(spend[ordered], weights=weights[ordered]))
        - np.log(np.average(np.exp(offset), weights=weights[ordered]))
    )
    spend_trees = tuple(
        grow_spend_trees(
            inputs[ordered],
            spend[ordered],
            weights[ordered],
            frame.features,
            offset + shift,
            config.seed + k,
        )
        for k in range(SEEDS)
    )

    edges = Numbers.model_fields["risk_edges"].default
    bands = np.searchsorted(edges, np.interp(log_odds, corners, probabilities), side="right")
    ratios, realised = period_ratios(frame, bands, config.periods)
    history_days = (int(frame.cutoffs.instants[-1]) - first_order_at(orders)) / DAY
    numbers = Numbers(
        orders=config.orders.model_copy(update={"source": None}),
        optional_columns=orders.optional_columns,
        features=frame.features,
        horizon_days=config.horizon_days,
        periods=config.periods,
        economics=config.economics,
        churn_log_odds=corners,
        churn_probabilities=probabilities,
        typical_order_value=typical,
        offset_shift=shift,
        risk_edges=edges,
        period_ratios=ratios,
        realised_periods=realised,
        short_history=history_days < _SHORT_HISTORY_HORIZONS * config.horizon_days,
    )
    return Model(numbers, churn_trees, spend_trees)


def _check_outcomes(frame: TrainingFrame, horizon_days: int) -> None:
    churned = frame.targets.churned
    n_customers = len(np.unique(frame.rows.customer_index))
    if n_customers < _LEAST_CUSTOMERS:
        raise OrdersError(
            f"training needs {_LEAST_CUSTOMERS} customers with an order {horizon_days} days ago, "
            f"got {n_customers}; give more orders or a shorter horizon_days"
        )
    if not (frame.rows.columns(("n_orders",)) > 1).any():
        raise OrdersError(
            f"no customer ordered twice before {horizon_days} days ago: there is nothing to learn a "
            "forecast from; give a longer history, or map order_id so that orders are told apart"
        )
    n_ordered = int(np.count_nonzero(~churned))
    if n_ordered < _LEAST_ORDERED or frame.spend.sum() <= 0:
        raise OrdersError(
            f"only {counted(n_ordered, 'time')} did a customer order, or nothing was spent, in the "
            f"{horizon_days} days after a cutoff, and training needs {_LEAST_ORDERED}; give a longer "
            "horizon_days or a longer history"
        )
    if not churned.any():
        raise OrdersError(
            f"every one of {n_customers:,} customers ordered within {horizon_days} days of each "
            "cutoff, so churn cannot be learned; give a shorter horizon_days"
        )


def _typical_order_value(frame: TrainingFrame) -> float:
    """The mean order value over customers at the newest cutoff."""
    newest = frame.rows.cutoff_index == len(frame.cutoffs.instants) - 1
    value = frame.rows.columns(("order_value_mean",))[newest, 0]
    return float(np.mean(value, dtype=np.float64))
