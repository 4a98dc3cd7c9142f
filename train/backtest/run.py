"""backtest: train on what was known at a cutoff, forecast, compare with what happened."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...atomic_files import check_folder, write_files
from ...configs.schema import Config, require_config
from ...decisions.report.build import evaluation_report
from ...errors import ConfigError, OrdersError
from ...evaluation import measures, standard_measures
from ...evaluation.backtest_frames import OURS, Evaluation
from ...evaluation.clv_accuracy import (
    compare_groups,
    describe_wait,
    measure_clv,
    summarize_clv,
)
from ...evaluation.retention_accuracy import compare_retention
from ...evaluation.scorecard import build_scorecard
from ...features.configured_orders import attach_configured
from ...features.table import FeatureRows, compute_feature_rows
from ...features.targets import Targets, compute_targets
from ...models.discounting import discount_periods
from ...models.scoring import forecast_rows
from ...notebook_cards import show_shares
from ...orders import dates, windows
from ...orders.columns import Float64
from ...orders.cutoffs import (
    can_train,
    find_clv_cutoff,
    get_default_cutoff,
    get_newest_realised_cutoff,
)
from ...orders.extra_features import ExtraFunction
from ...orders.orders import Orders
from ...orders.reading.customer_attributes import attach_customers
from ...orders.reading.read_orders import OrdersSource, coerce_orders
from ..blas_threads import use_one_blas_thread
from ..fit import fit
from .baselines import METHODS, Baseline, BaselineForecast, build_baseline_inputs
from .plain_lightgbm import forecast_plain_lightgbm
from .rows import build_backtest_rows

__all__ = [
    "ALL_METHODS",
    "MEASURES",
    "Backtest",
    "add_clv_cutoff",
    "backtest",
    "backtest_at",
    "choose_default_cutoffs",
    "join_backtests",
]

# what `backtest` compares with; training leaves out the method that has to be trained itself
ALL_METHODS: Mapping[str, Baseline] = {**METHODS, "plain_lightgbm": forecast_plain_lightgbm}
_MOST_CUTOFFS = 4
_SEASON_DAYS = 91
# measure -> its function of forecast and actual spend
MEASURES: dict[str, Callable[[Any, Any], float]] = {
    "nGini": measures.normalised_gini,
    "spearman": standard_measures.spearman,
    "MAE": standard_measures.mean_absolute_error,
    "RMSE": standard_measures.root_mean_squared_error,
    "deviance": standard_measures.compute_spend_deviance,
    "bias": measures.bias,
    "decile_MAPE": measures.decile_mape,
}
_CHURN_MEASURES: dict[str, Callable[[Any, Any], float]] = {
    "churn_AUC": standard_measures.auc,
    "churn_log_loss": standard_measures.log_loss,
    "churn_ECE": measures.calibration_error,
}


@dataclass(frozen=True, repr=False)
class Backtest(Evaluation):
    """Forecasts beside what happened, and how good each method was.

    `forecasts` has a row per cutoff, method and customer; `metrics` is
    cutoff -> {customers, ..., methods: {method: {measure: value}}}.
    """

    @property
    def newest(self) -> str:
        """The newest cutoff, as `metrics` names it."""
        return max(self.metrics, key=dates.parse_instant)

    def at(self, cutoff: int) -> pa.Table:
        """The forecasts of one cutoff."""
        moment = pa.scalar(cutoff, pa.timestamp("us"))
        return self.forecasts.filter(pc.equal(self.forecasts["cutoff"], moment))

    def save(
        self, folder: Path, config: Config | None = None, orders: Orders | None = None
    ) -> None:
        """Write forecasts.parquet, metrics.json and report.html into `folder`, all or none.

        The configuration gives the page its currency and locale, the orders what the data are like.
        """
        check_folder(folder)
        metrics = json.dumps(self.metrics, indent=1, allow_nan=False) + "\n"
        page = evaluation_report(self, require_config(config), orders).html
        write_files(
            {
                folder / "forecasts.parquet": self.forecasts,
                folder / "metrics.json": metrics,
                folder / "report.html": page,
            }
        )


def backtest(
    orders: OrdersSource,
    config: Config | None = None,
    cutoffs: Sequence[dates.Instant] = (),
    *,
    jobs: int = 1,
    progress: Callable[[str, float, int], None] | None = None,
    extra_features: ExtraFunction | None = None,
) -> Backtest:
    """Evaluate the model and the baselines at past cutoffs (rolling origin).

    At each cutoff, a model is trained on the orders before it alone. The CLV is judged at cutoffs
    whose whole span (periods x horizon) is over.

    Parameters
    ----------
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders, a table of order lines, or where to read them.
    config : Config, optional
        Settings of the shop; the defaults if not given.
    cutoffs : sequence of str, date or datetime, optional
        Past cutoffs. By default up to four of the newest realised ones, a season or a horizon
        apart, whichever is longer, and the newest at which the CLV can be judged.
    jobs : int, default 1
        How many cutoffs are evaluated at a time, each in its own process.
    progress : callable, optional
        Called with the kind of work, the share of it that is done (0 to 1) and a count; by default
        a bar shows the share in a terminal or notebook.
    extra_features : callable, optional
        Your own features, as in `clvcast.build_features`.

    Returns
    -------
    Backtest
        Measures per method and cutoff, forecasts beside what happened, and a summary.

    Raises
    ------
    ConfigError
        If the prediction window of a cutoff is not over.
    OrdersError
        If no cutoff can be evaluated.

    """
    config = require_config(config)
    orders = coerce_orders(orders, config.orders)
    orders = attach_customers(orders, None, config.customers, config.orders)
    orders = attach_configured(orders, config, extra_features)
    end = get_default_cutoff(orders)
    if cutoffs:
        instants = dates.parse_instants(cutoffs)
        latest = get_newest_realised_cutoff(end, config.horizon_days)
        late = [dates.format_instant(c) for c in instants if c > latest]
        if late:
            raise ConfigError(
                f"a backtest's cutoff must be at most {dates.format_instant(latest)}, "
                f"{config.horizon_days} days before the newest order, got {late[0]}"
            )
    else:
        instants = choose_default_cutoffs(orders, config.horizon_days)
        instants = add_clv_cutoff(instants, orders, config, end)
        if not instants:
            raise OrdersError(
                f"a backtest needs about {config.horizon_days * 2 + 30} days of orders for "
                "a horizon "
                f"of {config.horizon_days} days; shorten horizon_days or give a longer history"
            )
    with nullcontext(progress) if progress else show_shares("backtest") as tell:
        results = _run_parallel(orders, config, instants, end, jobs, tell)
    refusals = [part for part in results if isinstance(part, OrdersError)]
    parts = [part for part in results if isinstance(part, Backtest)]
    # a cutoff that was chosen here may have too few customers yet: the others tell enough
    if refusals and (cutoffs or not parts):
        raise refusals[0]
    return join_backtests(parts)


def join_backtests(parts: Sequence[Backtest]) -> Backtest:
    """Evaluations at several cutoffs as one."""
    return Backtest(
        pa.concat_tables([part.forecasts for part in parts]),
        {cutoff: measured for part in parts for cutoff, measured in part.metrics.items()},
    )


def _run_parallel(
    orders: Orders,
    config: Config,
    instants: Sequence[int],
    end: int,
    jobs: int,
    progress: Callable[[str, float, int], None],
) -> list[Backtest | OrdersError]:
    """Each cutoff's evaluation, or why there can be none, in order."""
    what = f"{len(instants)} cutoffs" if len(instants) > 1 else "1 cutoff"
    progress(what, 0.0, 0)
    tasks = (joblib.delayed(_evaluate_cutoff)(orders, config, instant, end) for instant in instants)
    parallel = joblib.Parallel(n_jobs=min(jobs, len(instants)), return_as="generator")
    parts: list[Backtest | OrdersError] = []
    for part in parallel(tasks):
        parts.append(part)
        progress(what, len(parts) / len(instants), len(parts))
    return parts


def _evaluate_cutoff(
    orders: Orders, config: Config, cutoff: int, end: int
) -> Backtest | OrdersError:
    try:
        return backtest_at(orders, config, cutoff, end, methods=ALL_METHODS)
    except OrdersError as error:
        return error


def choose_default_cutoffs(orders: Orders, horizon_days: int, end: int | None = None) -> list[int]:
    """The newest realised cutoffs that can be trained for, oldest first, a season apart or more."""
    end = get_default_cutoff(orders) if end is None else end
    first = windows.find_first_order_at(orders)
    cutoffs: list[int] = []
    for k in range(_MOST_CUTOFFS):
        cutoff = get_newest_realised_cutoff(end, horizon_days + k * max(horizon_days, _SEASON_DAYS))
        if not can_train(first, cutoff, horizon_days):
            break
        cutoffs.insert(0, cutoff)
    return cutoffs


def add_clv_cutoff(
    instants: Sequence[int], orders: Orders, config: Config, end: int, most: int | None = None
) -> list[int]:
    """The cutoffs, and the newest at which the CLV can be judged if none of them is as old.

    With `most`, at most so many: the oldest others give way, the newest of all stays.
    """
    first = windows.find_first_order_at(orders)
    cutoff = find_clv_cutoff(first, end, config.horizon_days, config.periods)
    kept = sorted(instants)[-most:] if most else sorted(instants)
    if cutoff is None or not kept or kept[0] <= cutoff or most == 1:
        return kept
    return [cutoff, *kept[-(most - 1) :]] if most else [cutoff, *kept]


@use_one_blas_thread()
def backtest_at(
    orders: Orders,
    config: Config,
    cutoff: int,
    end: int,
    max_rows: int | None = None,
    methods: Mapping[str, Baseline] = METHODS,
    everyone: Mapping[int, FeatureRows] | None = None,
) -> Backtest:
    """One cutoff: train before it, forecast at it, compare with what happened before `end`.

    `max_rows` and `everyone` are as in `fit`.
    """
    model = fit(orders, config, cutoff, max_rows=max_rows, everyone=everyone)
    observed = windows.slice_observed(orders, cutoff)
    forecasts = forecast_rows(model, observed, cutoff)
    instants = np.array([cutoff], dtype=np.int64)
    rows = compute_feature_rows(dataclasses.replace(observed, extra=None), instants)
    happened = compute_targets(
        windows.slice_observed(orders, end),
        rows,
        instants,
        config.horizon_days,
        config.periods,
        end,
        config.target,
    )
    actual = happened.spend[:, 0]
    known_rows = build_baseline_inputs(
        orders, cutoff, config.horizon_days, config.periods, model.economics, config.target
    )
    baselines = {name: method(known_rows) for name, method in methods.items()}
    tables = [build_backtest_rows(OURS, forecasts, model.economics, config, happened)]
    for name, forecast in baselines.items():
        tables.append(
            build_backtest_rows(name, forecasts, model.economics, config, happened, forecast)
        )
    ours = BaselineForecast(
        np.asarray(forecasts["expected_spend"]),
        np.asarray(forecasts["churn_probability"]),
        clv=np.asarray(forecasts["clv"]),
    )
    every = {OURS: ours} | baselines
    measured = {
        name: _measure_method(forecast, actual, happened) for name, forecast in every.items()
    }
    lower, upper = _get_interval(forecasts, "expected_spend")
    measured[OURS]["coverage_90"] = measures.coverage(lower, upper, np.maximum(actual, 0.0))
    actual_clv = discount_periods(happened.spend, model.economics, config.horizon_days)
    clvs = {name: forecast.clv for name, forecast in every.items() if forecast.clv is not None}
    clv = summarize_clv(
        clvs[OURS],
        actual_clv,
        np.asarray(forecasts["days_since_last_order"]).astype(np.float64),
        cutoff,
        config.horizon_days,
    )
    if clv["is_judged"]:
        for name, made_clv in clvs.items():
            measured[name] |= _measure_clv(made_clv, actual_clv)
        inside = measure_clv(clvs[OURS], actual_clv, _get_interval(forecasts, "clv"))
        measured[OURS]["clv_coverage_90"] = inside["coverage_90"]
        clv["retention"] = compare_retention(
            clvs[OURS],
            np.asarray(forecasts["retention_value"]),
            np.asarray(forecasts["churn_probability"]),
            np.array(forecasts["risk"].to_pylist(), dtype=object),
            actual_clv,
            ~happened.churned,
        )
    else:
        clv["wait"] = describe_wait(cutoff, config.horizon_days, config.periods)
    card = build_scorecard(
        {name: forecast.expected_spend for name, forecast in every.items()},
        {
            name: forecast.churn_probability
            for name, forecast in every.items()
            if forecast.churn_probability is not None
        },
        actual,
        happened.churned,
        (lower, upper),
        clvs=(clvs, actual_clv) if clv["is_judged"] and config.periods > 1 else None,
    )
    summary = {
        "customers": rows.n_rows,
        "horizon_days": config.horizon_days,
        "actual_spend": float(actual.sum()),
        # mean heads learn max(spend, 0): what that leaves out of the total
        "negative_spend": float(np.minimum(actual, 0.0).sum()),
        "customers_with_negative_spend": int((actual < 0).sum()),
        "churn_rate": float(happened.churned.mean()),
        "methods": {name: _replace_nan(values) for name, values in measured.items()},
        "deciles": compare_groups(ours.expected_spend, actual),
        "clv": clv | {"periods": config.periods},
        "scorecard": dataclasses.asdict(card),
        "remarks": list(model.numbers.blend.remarks),
    }
    return Backtest(pa.concat_tables(tables), {dates.format_instant(cutoff): summary})


def _measure_method(
    made: BaselineForecast, actual: np.ndarray[Any, np.dtype[np.float64]], happened: Targets
) -> dict[str, float]:
    """Every measure that the method's columns allow."""
    measured = {name: function(made.expected_spend, actual) for name, function in MEASURES.items()}
    if made.churn_probability is not None:
        for name, function in _CHURN_MEASURES.items():
            measured[name] = function(made.churn_probability, happened.churned)
    return measured


def _measure_clv(clv: Float64, actual: Float64) -> dict[str, float]:
    """Every measure of a CLV; the names begin with clv_, so that they stand beside the others."""
    return {f"clv_{name}": function(clv, actual) for name, function in MEASURES.items()}


def _get_interval(forecasts: pa.Table, name: str) -> tuple[Float64, Float64]:
    return np.asarray(forecasts[f"{name}_lower"]), np.asarray(forecasts[f"{name}_upper"])


def _replace_nan(values: dict[str, float]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in values.items()}
