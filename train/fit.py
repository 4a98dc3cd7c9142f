"""fit: orders known before an instant -> a model. No clock, no store, nothing printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import joblib
import numpy as np

from ..configs.schema import Config, Target
from ..configs.segments import SegmentsConfig
from ..errors import OrdersError
from ..features.attribute_features import AttributeCoding, encode_attributes, learn_coding
from ..features.extra_features import list_extra_names
from ..features.table import FeatureRows, compute_feature_rows
from ..features.targets import compute_line_values
from ..models.blend import (
    LATER,
    BtydViews,
    blend_forecasts,
    compute_spend_start,
    forecast_btyd,
    predict_heads,
    to_log_odds,
)
from ..models.margins import resolve_economics
from ..models.model import TrainedModel
from ..models.order_values import count_order_values
from ..models.parameters import Blend, Intervals, LaterSpend, Parameters, RetentionFactors
from ..models.scoring import compute_standing
from ..models.season import locate_in_season
from ..models.segments import choose_risk_limits, cut_thresholds
from ..orders.cutoffs import get_longest_horizon, is_silent, is_too_short_for_trees
from ..orders.dates import DAY, get_midnight_after
from ..orders.orders import Orders
from ..orders.windows import find_first_order_at, slice_observed
from .blas_threads import use_one_blas_thread
from .blending import estimate_repeat_rate, fit_initial_blend, set_levels
from .boosting import Examples, predict_out_of_fold, train_boosters
from .conformal_intervals import compare_spans, learn_intervals
from .customer_sampling import limit_training_rows
from .event_estimation import estimate_event_effects
from .hyperparameter_search import search_hyperparameters
from .later_frame import build_later_frame
from .later_periods import learn_later_periods
from .later_trees import build_later_examples, predict_later_out_of_fold, train_later_trees
from .memory_plan import LEAST_CUSTOMERS, count_boosters
from .retention_factors import learn_retention_factors
from .season_estimation import estimate_past_years
from .training_frame import TrainingFrame, build_training_frame

__all__ = ["SEEDS", "fit"]

SEEDS = {"quick": 1, "standard": 3, "thorough": 5}
_SHORT_HISTORY_HORIZONS = 1.5
_LEAST_ORDER_VALUE = 0.01
_LEAST_ORDERED = 20  # rows with an order in the window


@use_one_blas_thread()
def fit(
    orders: Orders,
    config: Config,
    end: int,
    progress: Callable[[str], None] = lambda _: None,
    max_rows: int | None = None,
    everyone: Mapping[int, FeatureRows] | None = None,
) -> TrainedModel:
    """Train on the orders before `end`; equal orders and settings give equal models, to the byte.

    `progress` hears what is being done. With `max_rows`, trees, later periods and intervals learn
    from about so many feature rows: those of a sample of the customers. Where the orders are those
    of some customers, BTYD is fitted on the rows of `everyone` at `end`. Raises `OrdersError` where
    the history is too short, or shows nobody who came back or who stayed away.
    """
    progress("features")
    if orders.calendar is not None:
        calendar = orders.calendar.with_windows(config.horizon_days, config.periods)
        orders = replace(orders, calendar=calendar)
    is_short = is_too_short_for_trees(find_first_order_at(orders), end, config.horizon_days)
    if is_short or is_silent(slice_observed(orders, end), end, config.horizon_days):
        return _fit_btyd_alone(orders, config, end, everyone or {})
    coding = learn_coding(orders, end)
    orders = encode_attributes(orders, coding)
    sample = orders
    if max_rows is not None:
        sample = limit_training_rows(orders, config.horizon_days, end, max_rows)
    frame = build_training_frame(sample, config, end)
    _check_outcomes(frame, config.horizon_days)
    observed, now = _build_rows(orders, end)
    progress("BTYD")
    horizon = config.horizon_days
    blend = _start_blend(orders, frame, (everyone or {}).get(end, now), config)
    years = estimate_past_years(orders, blend, horizon, config.target, end)
    blend = blend.model_copy(update={"season": years.season})
    rows_btyd, now_btyd = (forecast_btyd(rows, blend, horizon) for rows in (frame.rows, now))
    blend = _add_starts(blend, frame, rows_btyd)

    churned, spend = frame.targets.churned, frame.spend
    examples = Examples.of(
        frame.rows, frame.features, churned, spend, frame.weights, blend, rows_btyd
    )
    if config.effort == "thorough":
        best_parameters = search_hyperparameters(
            frame, examples, config.model, config.seed, progress
        )
        config = config.model_copy(update={"model": best_parameters})
    seeds = config.model.seeds or SEEDS[config.effort]
    most = count_boosters(config, frame.rows.n_rows, joblib.cpu_count())
    trees = train_boosters(
        examples, config.model, range(config.seed, config.seed + seeds), progress, most
    )
    past = build_later_frame(sample, config, end, blend)
    views = [(frame.rows, rows_btyd), *([(past.rows, past.btyd)] if past else [])]
    left_out = predict_out_of_fold(
        examples, frame.rows, blend, views, config.model, config.seed, progress
    )
    left_out_later = None
    if past is not None:
        lesson = build_later_examples(past, frame.features, blend)
        if lesson.teaches:
            progress("later periods")
            trees[LATER] = train_later_trees(
                lesson, config.model, range(config.seed, config.seed + seeds), most=most
            )
            left_out_later = predict_later_out_of_fold(lesson, past.rows, config.model, config.seed)

    progress("levels and intervals")
    now_heads = predict_heads(trees, frame.features, blend, now, now_btyd)
    rate = estimate_repeat_rate(frame.targets.n_orders[:, 0], rows_btyd, frame.weights)
    blend = set_levels(blend.model_copy(update={"repeat_rate": rate}), now_btyd, now_heads, years)
    later = learn_later_periods(
        blend,
        now_btyd,
        blend_forecasts(blend, now_btyd, now_heads).spend,
        now_heads.later,
        locate_in_season(blend.season, now),
        horizon,
        config.periods,
        past,
    )
    unseen = blend_forecasts(blend, rows_btyd, left_out[0])
    spans = retention = None
    if past is not None:
        before = blend_forecasts(blend, past.btyd, left_out[1])
        retention = learn_retention_factors(past, before, left_out_later, later, blend)
        spans = compare_spans(past, before, left_out_later, later, blend)
    history_days = (int(frame.cutoffs.instants[-1]) - find_first_order_at(orders)) / DAY
    numbers = _collect_parameters(
        config,
        orders,
        end,
        blend,
        later,
        learn_intervals(frame, unseen, spans, blend, config.periods),
        retention=retention,
        features=frame.features,
        coding=coding,
        short_history=history_days < _SHORT_HISTORY_HORIZONS * horizon,
    )
    return _add_segments(TrainedModel(numbers, trees), observed, now, config.segments)


def _fit_btyd_alone(
    orders: Orders, config: Config, end: int, everyone: Mapping[int, FeatureRows]
) -> TrainedModel:
    """A model without trees, where history has no realised window as long as the horizon, or the
    newest ones hold no order.

    BTYD needs no labels. Its intervals are read off the newest windows that hold orders, up to as
    long as the horizon.
    """
    observed, now = _build_rows(orders, end)
    active_until = min(end, get_midnight_after(int(observed.times.max())))
    longest = get_longest_horizon(find_first_order_at(orders), active_until)
    longest = min(longest, config.horizon_days)
    learning_config = config.model_copy(update={"horizon_days": longest})
    frame = build_training_frame(orders, learning_config, active_until)
    _check_outcomes(frame, longest)
    blend = _start_blend(orders, frame, everyone.get(end, now), config)
    btyd = forecast_btyd(frame.rows, blend, longest)
    rate = estimate_repeat_rate(frame.targets.n_orders[:, 0], btyd, frame.weights)
    blend = blend.model_copy(update={"repeat_rate": rate})
    if is_silent(observed, end, config.horizon_days):
        remark = f"no order in the {config.horizon_days} days before the end: BTYD alone forecasts"
        blend = blend.model_copy(update={"remarks": (*blend.remarks, remark)})
    now_btyd = forecast_btyd(now, blend, config.horizon_days)
    later = learn_later_periods(
        blend,
        now_btyd,
        blend_forecasts(blend, now_btyd, None).spend,
        None,
        locate_in_season(blend.season, now),
        config.horizon_days,
        config.periods,
        None,
    )
    unseen = blend_forecasts(blend, btyd, None)
    intervals = learn_intervals(frame, unseen, None, blend, config.periods)
    numbers = _collect_parameters(
        config, orders, end, blend, later, intervals, features=(), short_history=True
    )
    return _add_segments(TrainedModel(numbers, {}), observed, now, config.segments)


def _build_rows(orders: Orders, end: int) -> tuple[Orders, FeatureRows]:
    """The orders observed at the training end, and the feature rows of their customers."""
    observed = slice_observed(orders, end)
    return observed, compute_feature_rows(observed, np.array([end], dtype=np.int64))


def _add_segments(
    model: TrainedModel, known: Orders, now: FeatureRows, config: SegmentsConfig
) -> TrainedModel:
    """The model with its segment thresholds: quintiles of R, F and M, edges of CLV and of risk.

    Cut at the training end, not a horizon earlier: they are for the customers the model will score.
    """
    predictions = model.predict(now)
    risk = choose_risk_limits(config.risk, predictions.churn_probability)
    config = config.model_copy(update={"risk": risk})
    segments = cut_thresholds(config, compute_standing(known, now, predictions.clv))
    values = count_order_values(known, int(known.times.max()) + 1)
    update = {"segments": segments, "order_value": values.median}
    return replace(model, numbers=model.numbers.model_copy(update=update))


def _collect_parameters(
    config: Config,
    orders: Orders,
    end: int,
    blend: Blend,
    later: LaterSpend,
    intervals: Intervals,
    *,
    retention: RetentionFactors | None = None,
    features: tuple[str, ...],
    coding: AttributeCoding | None = None,
    short_history: bool,
) -> Parameters:
    return Parameters(
        orders=config.orders.remembered(),
        optional_columns=orders.optional_columns,
        attributes=coding,
        features=features,
        extra_features=list_extra_names(features),
        calendar=None if orders.calendar is None else orders.calendar.to_dates(),
        season_history=orders.season_history is not None,
        horizon_days=config.horizon_days,
        periods=config.periods,
        economics=resolve_economics(config, orders, end),
        target=config.target,
        settings=config.learning(),
        blend=blend,
        later=later,
        intervals=intervals,
        retention=retention,
        short_history=short_history,
        trained_until=end,
        asks_for=config.orders.private_keys(),
    )


def _check_outcomes(frame: TrainingFrame, horizon_days: int) -> None:
    churned = frame.targets.churned
    n_customers = len(np.unique(frame.rows.customer_index))
    if n_customers < LEAST_CUSTOMERS:
        raise OrdersError(
            f"training needs {LEAST_CUSTOMERS} customers with an order {horizon_days} days ago, "
            f"got {n_customers}; give more orders or a shorter horizon_days"
        )
    if not (frame.rows.columns(("n_orders",)) > 1).any():
        raise OrdersError(
            f"no customer ordered twice before {horizon_days} days ago: there is nothing "
            "to learn a "
            "forecast from; give a longer history, or map order_id so that orders are told apart"
        )
    n_ordered = int(np.count_nonzero(~churned))
    mend = "give a longer horizon_days or a longer history"
    if n_ordered < _LEAST_ORDERED:
        raise OrdersError(
            f"training needs {_LEAST_ORDERED} cases of a customer who orders in the {horizon_days} "
            f"days after a cutoff, got {n_ordered}; {mend}"
        )
    if frame.spend.sum() <= 0:
        raise OrdersError(
            f"nobody spent anything in the {horizon_days} days after a cutoff; {mend}"
        )
    if not churned.any():
        raise OrdersError(
            f"every one of {n_customers:,} customers ordered within {horizon_days} days of each "
            "cutoff, so churn cannot be learned; give a shorter horizon_days"
        )


def _start_blend(orders: Orders, frame: TrainingFrame, now: FeatureRows, config: Config) -> Blend:
    """The blend before its levels are known: BTYD, and the order values that spend starts from."""
    scale = _compute_value_scale(orders, frame.end, config.target)
    events = None
    if orders.calendar is not None and orders.calendar.days:
        events = estimate_event_effects(orders, orders.calendar, frame.end)
    newest = frame.rows.cutoff_index == len(frame.cutoffs.instants) - 1
    value = frame.rows.columns(("order_value_mean",))[newest, 0]
    mean_value = float(value.astype(np.float64).mean())
    typical = max(mean_value * scale, _LEAST_ORDER_VALUE)
    return fit_initial_blend(now, typical, scale).model_copy(update={"events": events})


def _add_starts(blend: Blend, frame: TrainingFrame, btyd: BtydViews) -> Blend:
    """The blend with the levels from which its trees start."""
    start = np.exp(compute_spend_start(frame.rows, blend, btyd))
    average = partial(np.average, weights=frame.weights)
    update = {"spend_shift": float(np.log(average(frame.spend) / average(start)))}
    if blend.season.is_known:
        rate = np.array([average(frame.targets.churned)])
        update["churn_start"] = float(to_log_odds(rate)[0])
    return blend.model_copy(update=update)


def _compute_value_scale(orders: Orders, end: int, target: Target) -> float:
    """What the target counts for each unit of net spend, over all orders before `end`."""
    if target == "spend":
        return 1.0
    observed = slice_observed(orders, end)
    counted, net = int(compute_line_values(observed, target).sum()), int(observed.amounts.sum())
    if min(counted, net) <= 0:
        raise OrdersError(
            f"the target {target} adds up to {counted / observed.unit:,.2f} over all orders, "
            "and must be "
            "more than 0; look at the columns cost and discount, or choose another target"
        )
    return counted / net
