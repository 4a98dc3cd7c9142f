"""fit: orders known before an instant -> a model. No clock, no store, nothing printed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..configs.schema import Config, Target
from ..errors import OrdersError
from ..features.attribute_features import AttributeCoding, coded, learn_coding
from ..features.table import FeatureRows, feature_rows
from ..features.targets import line_values
from ..models.blend import BtydViews, combine, direct_start, heads_of, log_odds, view_of_btyd
from ..models.model import TrainedModel
from ..models.parameters import Blend, Intervals, Later, Numbers
from ..orders.cutoffs import can_train, longest_horizon, newest_realised_cutoff
from ..orders.dates import DAY
from ..orders.orders import Orders
from ..orders.reading.validation_issues import counted
from ..orders.windows import first_order_at, observed
from .blending import first_blend, levelled, repeat_rate
from .boosting import Examples, grow
from .conformal_intervals import learn_intervals
from .hyperparameter_search import searched
from .later_periods import learn_later_periods
from .out_of_fold import left_out_heads
from .season_estimation import past_years
from .segment_thresholds import with_segments
from .training_frame import TrainingFrame, training_frame

__all__ = ["SEEDS", "fit"]

SEEDS = {"quick": 1, "standard": 3, "thorough": 5}
_SHORT_HISTORY_HORIZONS = 1.5
_LEAST_CUSTOMERS = 50
_LEAST_ORDER_VALUE = 0.01
_LEAST_ORDERED = 20  # rows with an order in the window


def fit(
    orders: Orders,
    config: Config,
    end: int,
    step: Callable[[str], None] = lambda _: None,
    drawn: TrainingFrame | None = None,
) -> TrainedModel:
    """Train on the orders before `end`; the same orders and settings give the same model, to the byte.

    `step` hears what is being done. `drawn` are rows to grow the trees on in place of those of all
    `orders`, which are then a sample of customers themselves (`drawing.py`). Raises `OrdersError` where the history is too short, or shows
    nobody who came back or who stayed away.
    """
    step("features")
    if _is_short(orders, config.horizon_days, end):
        return _fit_btyd_alone(orders, config, end)
    coding = learn_coding(orders, end)
    orders = coded(orders, coding)
    frame = training_frame(orders, config, end) if drawn is None else drawn
    _check_outcomes(frame, config.horizon_days)
    now = feature_rows(observed(orders, end), np.array([end], dtype=np.int64))
    step("BTYD")
    horizon = config.horizon_days
    blend = _begun(orders, frame, now, config)
    past = past_years(orders, blend, horizon, config.target, end)
    blend = blend.model_copy(update={"season": past.season})
    rows_btyd, now_btyd = (view_of_btyd(rows, blend, horizon) for rows in (frame.rows, now))
    blend = _with_starts(blend, frame, rows_btyd)

    churned, spend = frame.targets.churned, frame.spend
    examples = Examples.of(
        frame.rows, frame.features, churned, spend, frame.weights, blend, rows_btyd
    )
    if config.effort == "thorough":
        found = searched(frame, examples, config.model, config.seed, step)
        config = config.model_copy(update={"model": found})
    seeds = config.model.seeds or SEEDS[config.effort]
    trees = grow(examples, config.model, range(config.seed, config.seed + seeds), step)
    left_out = left_out_heads(
        examples, frame.rows, blend, rows_btyd, config.model, config.seed, step
    )

    step("levels and intervals")
    now_heads = heads_of(trees, frame.features, blend, now, now_btyd)
    rate = repeat_rate(frame.targets.n_orders[:, 0], rows_btyd, frame.weights)
    blend = levelled(blend.model_copy(update={"repeat_rate": rate}), now_btyd, now_heads, past)
    later = learn_later_periods(
        now,
        combine(blend, now_btyd, now_heads).churn_probability,
        frame.rows,
        frame.targets.spend,
        frame.cutoffs.instants,
        blend,
        horizon,
        frame.counts,
    )
    unseen = combine(blend, rows_btyd, left_out)
    history_days = (int(frame.cutoffs.instants[-1]) - first_order_at(orders)) / DAY
    numbers = _numbers(
        config,
        orders,
        blend,
        later,
        learn_intervals(frame, unseen, later, blend),
        features=frame.features,
        coding=coding,
        short_history=history_days < _SHORT_HISTORY_HORIZONS * horizon,
    )
    return with_segments(TrainedModel(numbers, trees), orders, config.segments, end)


def _is_short(orders: Orders, horizon_days: int, end: int) -> bool:
    """Whether history spans a horizon but not the labels of one, and something can be learned still."""
    first = first_order_at(orders)
    long_enough = first <= newest_realised_cutoff(end, horizon_days)
    return (
        long_enough and not can_train(first, end, horizon_days) and longest_horizon(first, end) > 0
    )


def _fit_btyd_alone(orders: Orders, config: Config, end: int) -> TrainedModel:
    """A model without trees, where history has no realised window as long as the horizon.

    BTYD needs no labels. Its intervals are read off the longest window that history does show.
    """
    shown = longest_horizon(first_order_at(orders), end)
    frame = training_frame(orders, config.model_copy(update={"horizon_days": shown}), end)
    _check_outcomes(frame, shown)
    now = feature_rows(observed(orders, end), np.array([end], dtype=np.int64))
    blend = _begun(orders, frame, now, config)
    btyd = view_of_btyd(frame.rows, blend, shown)
    rate = repeat_rate(frame.targets.n_orders[:, 0], btyd, frame.weights)
    blend = blend.model_copy(update={"repeat_rate": rate})
    now_churn = combine(blend, view_of_btyd(now, blend, config.horizon_days), None)
    later = learn_later_periods(
        now,
        now_churn.churn_probability,
        frame.rows,
        np.full((frame.rows.n_rows, config.periods), np.nan),  # no whole period was realised
        frame.cutoffs.instants,
        blend,
        config.horizon_days,
    )
    intervals = learn_intervals(frame, combine(blend, btyd, None), later, blend)
    numbers = _numbers(config, orders, blend, later, intervals, features=(), short_history=True)
    return with_segments(TrainedModel(numbers, {}), orders, config.segments, end)


def _numbers(
    config: Config,
    orders: Orders,
    blend: Blend,
    later: Later,
    intervals: Intervals,
    *,
    features: tuple[str, ...],
    coding: AttributeCoding | None = None,
    short_history: bool,
) -> Numbers:
    return Numbers(
        orders=config.orders.reading(None),
        optional_columns=orders.optional_columns,
        attributes=coding,
        features=features,
        horizon_days=config.horizon_days,
        periods=config.periods,
        economics=config.economics,
        target=config.target,
        settings=config.learning(),
        blend=blend,
        later=later,
        intervals=intervals,
        short_history=short_history,
    )


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


def _begun(orders: Orders, frame: TrainingFrame, now: FeatureRows, config: Config) -> Blend:
    """The blend before its levels are known: BTYD, and the order values that spend starts from."""
    scale = _value_scale(orders, frame.end, config.target)
    newest = frame.rows.cutoff_index == len(frame.cutoffs.instants) - 1
    value = frame.rows.columns(("order_value_mean",))[newest, 0]
    mean_value = float(np.average(value.astype(np.float64), weights=frame.counts[newest]))
    typical = max(mean_value * scale, _LEAST_ORDER_VALUE)
    return first_blend(now, typical, scale)


def _with_starts(blend: Blend, frame: TrainingFrame, btyd: BtydViews) -> Blend:
    """The blend with the levels from which its trees start."""
    start = np.exp(direct_start(frame.rows, blend, btyd))
    average = partial(np.average, weights=frame.weights)
    found = {"spend_shift": float(np.log(average(frame.spend) / average(start)))}
    if blend.season.is_known:
        rate = np.array([average(frame.targets.churned)])
        found["churn_start"] = float(log_odds(rate)[0])
    return blend.model_copy(update=found)


def _value_scale(orders: Orders, end: int, target: Target) -> float:
    """What the target counts for each unit of net spend, over all orders before `end`."""
    if target == "spend":
        return 1.0
    known = observed(orders, end)
    counted, net = int(line_values(known, target).sum()), int(known.amounts.sum())
    if min(counted, net) <= 0:
        raise OrdersError(
            f"the target {target} adds up to {counted / known.unit:,.2f} over all orders, and must be "
            "more than 0; look at the columns cost and discount, or choose another target"
        )
    return counted / net
