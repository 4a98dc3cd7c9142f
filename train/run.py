"""train: evaluate on the newest realised windows, fit on everything known, keep the model."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import joblib
import numpy as np

from ..configs.schema import Config, require_config
from ..errors import OrdersError
from ..features.table import FeatureRows, compute_feature_rows
from ..models.api import Model
from ..models.drift_reference import (
    DriftReference,
    build_histogram,
    count_category_shares,
    count_unknown_shares,
)
from ..models.model import TrainedModel
from ..models.scoring import forecast_rows
from ..notebook_cards import show_steps
from ..orders import dates, windows
from ..orders.extra_features import ExtraFunction
from ..orders.order_totals import OrderTotals
from ..orders.orders import Orders
from ..orders.reading.read_orders import OrdersSource
from .backtest.run import (
    Backtest,
    add_clv_cutoff,
    backtest_at,
    choose_default_cutoffs,
    join_backtests,
)
from .fit import fit
from .learning_curve import CurvePoint, measure_learning_curve
from .limited_orders import Everyone, LimitedOrders, limit_orders, open_limited_orders
from .side_by_side import run_side_by_side

__all__ = [
    "TrainingRun",
    "train",
    "train_and_evaluate",
    "train_final_model",
    "train_limited",
    "train_until",
]


_DRIFT_FORECASTS = ("churn_probability", "expected_spend", "clv")


@dataclass(frozen=True)
class TrainingRun:
    """A model to ship, and how a model trained the same way did on a window it could not know."""

    model: TrainedModel
    known: Orders  # what it was trained on
    cutoff: int  # nothing at or after it was read
    evaluation: Backtest | None  # at past cutoffs; None where history is too short to hold one out
    curve: tuple[CurvePoint, ...] = ()  # with `max_rows`: what fewer rows would have given
    max_rows: int | None = None  # as in `fit`
    share: float = 1.0  # of the shop's customers whose orders are known
    totals: OrderTotals | None = None  # of all customers' orders; None where not counted
    sample_remark: str = ""  # what a sample is of
    rows_setting: str = "memory_limit"  # the one to raise for more feature rows
    everyone: Everyone = field(default_factory=dict)  # all customers, as in `fit`


def train(
    orders: OrdersSource,
    config: Config | None = None,
    cutoff: dates.Instant | None = None,
    *,
    extra_features: ExtraFunction | None = None,
) -> Model:
    """Train a model on the orders before `cutoff`; no MLflow needed, nothing is written.

    Without a cutoff it is the midnight after the newest line. Without a config, defaults hold.
    `extra_features` is as in `clvcast.build_features`.
    Warns (`UserWarning`) when the orders end more than a week before the cutoff. Raises
    `OrdersError` where the history is too short or shows no repeat customer.
    """
    config = require_config(config)
    with open_limited_orders(orders, config, extra_features, cutoff) as limited:
        for concern in limited.concerns:
            warnings.warn(concern, stacklevel=2)
        if limited.is_sample:
            warnings.warn(limited.remark, stacklevel=2)
        end = limited.end
        everyone = limited.count_everyone([end])
        with show_steps("training") as progress:
            model = train_final_model(
                limited.orders, config, end, limited.max_rows, progress, everyone
            )
            return Model.of(model)


def train_and_evaluate(
    orders: Orders,
    config: Config,
    cutoff: dates.Instant | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingRun:
    """Fit the model to ship, after evaluating its twins on the newest realised windows."""
    return train_limited(limit_orders(orders, config, cutoff), config, progress)


def train_limited(
    limited: LimitedOrders,
    config: Config,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingRun:
    """`train_and_evaluate` on what had room."""
    for concern in limited.concerns:
        progress(concern)
    run = train_until(
        limited.orders,
        config,
        limited.end,
        progress,
        limited.max_rows,
        limited.count_everyone,
        most_models=limited.count_models(config, joblib.cpu_count()),
    )
    is_everybody = limited.share == 1.0
    return replace(
        run,
        share=limited.share,
        totals=run.totals if is_everybody else limited.totals,
        sample_remark=limited.remark,
        rows_setting=limited.rows_setting,
    )


def train_until(
    orders: Orders,
    config: Config,
    end: int,
    progress: Callable[[str], None] = lambda _: None,
    max_rows: int | None = None,
    count_everyone: Callable[[Sequence[int]], Everyone] = lambda instants: {},
    *,
    most_models: int | None = None,
) -> TrainingRun:
    """`train_and_evaluate` on the orders before an instant.

    `max_rows` is as in `fit`, and so is what `count_everyone` gives for the instants at which
    models are fitted. `most_models` are trained at a time; by default as many as there are cores.
    """
    observed = windows.slice_observed(orders, end)
    # the oldest is one at which the CLV can be judged, where the history holds such a cutoff
    newest = choose_default_cutoffs(observed, config.horizon_days, end)
    n_cutoffs = 1 if max_rows else config.tracking.evaluated_cutoffs
    cutoffs = add_clv_cutoff(newest, observed, config, end, n_cutoffs)[::-1]

    everyone = count_everyone([*cutoffs, end])
    lock = threading.Lock()

    def report_step(step: str) -> None:
        with lock:  # models are trained in several threads
            progress(step)

    def evaluate(cutoff: int) -> Backtest | OrdersError:
        start = dates.format_instant(cutoff)
        report_step(f"evaluating: a model that knows nothing from {start} on")
        try:
            return backtest_at(observed, config, cutoff, end, max_rows, everyone=everyone)
        except OrdersError as error:
            return error

    def train_last() -> TrainedModel:
        report_step(f"training on the orders before {dates.format_instant(end)}")
        return train_final_model(observed, config, end, max_rows, everyone=everyone)

    # a user's function is not called by two threads at once
    n_models = 1 if observed.extra is not None else most_models
    tasks: list[Callable[[], Any]]
    tasks = [*(partial(evaluate, cutoff) for cutoff in cutoffs), train_last]
    *parts, model = run_side_by_side(lambda task: task(), tasks, n_models)
    backtests: list[Backtest] = []
    for cutoff, part in zip(cutoffs, parts, strict=True):
        if isinstance(part, OrdersError):
            # too little was known then; the model to ship may still be fine
            report_step(f"not evaluated from {dates.format_instant(cutoff)} on: {part}")
            break
        backtests.insert(0, part)
    curve: tuple[CurvePoint, ...] = ()
    if max_rows and backtests:
        try:
            curve = measure_learning_curve(
                observed, config, cutoffs[0], max_rows, backtests[0], report_step, everyone
            )
        except OrdersError as error:  # a quarter of the rows may be too few
            report_step(f"no learning curve: {error}")
    evaluation = join_backtests(backtests) if backtests else None
    return TrainingRun(
        model,
        observed,
        end,
        evaluation,
        curve,
        max_rows=max_rows,
        totals=OrderTotals.of(observed),
        everyone=everyone,
    )


def train_final_model(
    orders: Orders,
    config: Config,
    end: int,
    max_rows: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
    everyone: Mapping[int, FeatureRows] | None = None,
) -> TrainedModel:
    """A model with the drift reference that monitoring needs; `max_rows`, `everyone` are as in
    `fit`.
    """
    model = fit(orders, config, end, progress, max_rows, everyone)
    return replace(model, reference=_build_drift_reference(model, orders, end))


def _build_drift_reference(model: TrainedModel, orders: Orders, end: int) -> DriftReference:
    """Histograms of all customers at `end`; shares of the order lines before it for categories."""
    observed = windows.slice_observed(model.usable_columns(orders), end)
    rows = compute_feature_rows(observed, np.array([end], dtype=np.int64))
    forecasts = forecast_rows(model, observed, end)
    values = rows.columns(model.numbers.features)
    categories = count_category_shares(observed)
    return DriftReference(
        features={
            name: build_histogram(values[:, k]) for k, name in enumerate(model.numbers.features)
        },
        forecasts={name: build_histogram(forecasts[name].to_numpy()) for name in _DRIFT_FORECASTS},
        categories=categories,
        rare={
            name: math.fsum(count_unknown_shares(observed, name, shares).values())
            for name, shares in categories.items()
        },
    )
