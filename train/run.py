"""train: evaluate on the newest realised windows, fit on everything known, keep the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..configs.schema import Config
from ..errors import OrdersError
from ..models.api import Model
from ..models.model import TrainedModel
from ..orders import dates, windows
from ..orders.cutoffs import check_cutoff_in_span, get_default_cutoff
from ..orders.orders import Orders
from ..orders.reading.customer_attributes import attach_customers
from ..orders.reading.read_orders import coerce_orders
from .backtest.run import Backtest, backtest_at, choose_default_cutoffs, join_backtests
from .drift_reference import build_drift_reference
from .fit import fit
from .learning_curve import CurvePoint, measure_learning_curve
from .stratified_sampling import DrawnRows
from .training_frame import TrainingFrame

__all__ = [
    "TrainingRun",
    "resolve_training_end",
    "train",
    "train_and_evaluate",
    "train_final_model",
    "train_until",
]


@dataclass(frozen=True)
class TrainingRun:
    """A model to ship, and how a model trained the same way did on a window it could not know."""

    model: TrainedModel
    known: Orders  # what it was trained on
    cutoff: int  # nothing at or after it was read
    evaluation: Backtest | None  # at past cutoffs; None where history is too short to hold one out
    curve: tuple[CurvePoint, ...] = ()  # where rows were drawn: what fewer of them would have given


def train(
    orders: Orders, config: Config | None = None, cutoff: dates.Instant | None = None
) -> Model:
    """Train a model on the orders before `cutoff`; no MLflow needed, nothing is written.

    Without a cutoff it is the midnight after the newest line. Without a config, defaults hold. Warns
    (`UserWarning`) when the orders end more than a week before the cutoff.
    Raises `OrdersError` where the history is too short or shows no repeat customer.
    """
    config = config or Config()
    orders = coerce_orders(orders, config.orders)
    orders = attach_customers(orders, None, config.customers, config.orders.timezone)
    return Model.of(train_final_model(orders, config, _resolve_end(orders, config, cutoff)))


def train_and_evaluate(
    orders: Orders,
    config: Config,
    cutoff: dates.Instant | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingRun:
    """Fit the model to ship, after evaluating its twins on the newest realised windows."""
    return train_until(orders, config, _resolve_end(orders, config, cutoff, progress), progress)


def train_until(
    orders: Orders,
    config: Config,
    end: int,
    progress: Callable[[str], None] = lambda _: None,
    drawn: Mapping[int, DrawnRows] | None = None,
) -> TrainingRun:
    """`train_and_evaluate` on the orders before an instant.

    `drawn` are rows to grow trees on, by the training end they are for, where `orders` are a sample.
    """
    drawn = drawn or {}
    known = windows.slice_observed(orders, end)
    evaluation, curve = _evaluated(known, config, end, progress, drawn)
    progress(f"training on the orders before {dates.format_instant(end)}")
    frame = drawn[end].frame(config) if end in drawn else None
    return TrainingRun(train_final_model(known, config, end, frame), known, end, evaluation, curve)


def _evaluated(
    known: Orders,
    config: Config,
    end: int,
    progress: Callable[[str], None],
    drawn: Mapping[int, DrawnRows],
) -> tuple[Backtest | None, tuple[CurvePoint, ...]]:
    """Rolling-origin evaluation at the newest realised cutoffs, oldest first; None without the newest.

    Where rows are drawn they are for the newest cutoff alone, and so is the evaluation, with its curve.
    """
    found: list[Backtest] = []
    curve: tuple[CurvePoint, ...] = ()
    wanted = 1 if drawn else config.tracking.evaluated_cutoffs
    for cutoff in reversed(choose_default_cutoffs(known, config.horizon_days, end)[-wanted:]):
        progress(f"evaluating: a model that knows nothing from {dates.format_instant(cutoff)} on")
        rows = drawn.get(cutoff)
        try:
            frame = None if rows is None else rows.frame(config)
            found.insert(0, backtest_at(known, config, cutoff, end, frame))
            if rows is not None:
                curve = measure_learning_curve(known, config, cutoff, rows, found[0], progress)
        except OrdersError as error:
            # too little was known then; the model to ship may still be fine
            progress(f"not evaluated from {dates.format_instant(cutoff)} on: {error}")
            break
    return (join_backtests(found) if found else None), curve


def train_final_model(
    orders: Orders, config: Config, end: int, drawn: TrainingFrame | None = None
) -> TrainedModel:
    """A model with the reference that monitoring compares later orders with; `drawn` is as in `fit`."""
    model = fit(orders, config, end, drawn=drawn)
    return replace(model, reference=build_drift_reference(model, orders, end))


def _resolve_end(
    orders: Orders,
    config: Config,
    cutoff: dates.Instant | None,
    warn: Callable[[str], None] = warnings.warn,
) -> int:
    first = windows.find_first_order_at(orders)
    return resolve_training_end(first, get_default_cutoff(orders), config, cutoff, warn)


def resolve_training_end(
    first: int,
    complete_until: int,
    config: Config,
    cutoff: dates.Instant | None,
    warn: Callable[[str], None] = warnings.warn,
) -> int:
    """The first instant training reads nothing at or after.

    Refuses one out of range; `warn` is called when the orders end more than a week before it.
    """
    if cutoff is None:
        return complete_until
    end = dates.parse_instant(cutoff)
    concern = check_cutoff_in_span(first, complete_until, end, config.horizon_days)
    if concern:
        warn(concern)
    return end
