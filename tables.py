"""Tidy frames behind the charts of `clvcast.plot`, and training tables for models of your own.

Functions that look at accuracy take what `clvcast.backtest` returns; money is in the shop's
currency.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from .configs.schema import Config
from .decisions.customer_base import ForecastSource, open_customer_base
from .decisions.kpis import build_triangles
from .decisions.report.model_and_data import compute_feature_importance
from .errors import ConfigError, OrdersError, quote
from .evaluation.backtest_frames import OURS, Evaluation
from .evaluation.forecast_file import read_forecasts
from .evaluation.scorecard import build_scorecard
from .features.feature_frame import build_features
from .features.recency_frequency import OrderDays
from .features.table import compute_feature_rows
from .features.targets import compute_line_values, compute_targets
from .models.btyd.forecasts import predict_alive_probability, predict_order_days
from .models.model import TrainedModel
from .models.scoring import score
from .orders import dates, windows
from .orders.cutoffs import get_default_cutoff
from .orders.reading.read_orders import OrdersSource, coerce_orders

__all__ = [
    "calibration",
    "cohorts",
    "deciles",
    "dependence",
    "expected_orders",
    "forecast",
    "importance",
    "intervals",
    "lift",
    "probability_alive",
    "rfm",
    "scorecard",
    "season",
    "training",
]

Columns: TypeAlias = Mapping[str, "npt.ArrayLike | pd.Series[Any]"]


def training(
    orders: OrdersSource, cutoffs: Sequence[dates.Instant], horizon_days: int = 90
) -> pd.DataFrame:
    """Build features with their outcomes, to train a model of your own.

    Parameters
    ----------
    orders : Orders, frame, str or Path
        Order histories.
    cutoffs : sequence of str, date or datetime
        The first instants that are not observed; each must be followed by a whole horizon.
    horizon_days : int, default 90
        Length of the window after the cutoff, in days.

    Returns
    -------
    DataFrame
        The columns of `clvcast.build_features`, then `next_spend` (net, may be negative) and
        `churned` (no order in the window): a row per customer and cutoff.

    Raises
    ------
    ConfigError
        If the orders do not cover the window of a cutoff.

    """
    packed = coerce_orders(orders)
    end = get_default_cutoff(packed)
    table = build_features(packed, cutoffs)
    instants = np.array(dates.parse_instants(cutoffs), dtype=np.int64)
    ends = windows.compute_period_ends(instants, horizon_days, 1)[:, 1]
    if not windows.is_realised(ends, end).all():
        raise ConfigError(
            f"the window of {horizon_days} days after each cutoff must end by "
            f"{dates.format_instant(end)}, where the orders end; choose earlier cutoffs"
        )
    rows = compute_feature_rows(packed, instants)
    targets = compute_targets(packed, rows, instants, horizon_days, 1, end)
    return table.assign(next_spend=targets.spend[:, 0], churned=targets.churned)


def scorecard(
    actual_spend: npt.ArrayLike, spend: Columns, churn: Columns | None = None, churned: Any = None
) -> pd.DataFrame:
    """Compare forecasts of the same customers: one line per measure, with a 95 % interval.

    Parameters
    ----------
    actual_spend : array-like
        What each customer spent in the window.
    spend : mapping of str to array-like
        Method -> expected spend. The first method is compared with the best of the others.
    churn : mapping of str to array-like, optional
        Method -> churn probability, the same first method.
    churned : array-like of bool, optional
        Whether each customer did not order; by default no spend.

    Returns
    -------
    DataFrame
        measure, the first method's value, the best other method and its value, the difference
        (positive is better) with its bounds, and a verdict. `attrs["grade"]` sums them up.

    Raises
    ------
    ConfigError
        If fewer than two methods are given.

    """
    if len(spend) < 2:
        raise ConfigError(f"a scorecard compares at least two methods, got {len(spend)}")
    first = next(iter(spend))
    actual = np.asarray(actual_spend, dtype=np.float64)
    gone = actual <= 0 if churned is None else np.asarray(churned, dtype=np.bool_)
    renamed = [
        {OURS if name == first else name: np.asarray(values, np.float64) for name, values in c}
        for c in (spend.items(), (churn or {}).items())
    ]
    card = build_scorecard(renamed[0], renamed[1], actual, gone)
    frame = pd.DataFrame([dataclasses.asdict(line) for line in card.lines])
    frame = frame.rename(columns={"ours": first, "baseline": "best_other", "theirs": "other"})
    frame.attrs = {"grade": card.grade}
    return frame


def calibration(backtest: Evaluation) -> pd.DataFrame:
    """Churn probability and observed churn in ten equal groups, lowest first."""
    return _check(backtest).calibration()


def lift(backtest: Evaluation) -> pd.DataFrame:
    """Share of the spend of the best customers by forecast: a column per method.

    `customers` is their share of all customers; the lift is the quotient.
    """
    return _check(backtest).gains()


def deciles(backtest: Evaluation) -> pd.DataFrame:
    """Mean forecast, mean outcome and coverage in ten equal groups by forecast, highest first."""
    return _check(backtest).deciles()


def intervals(backtest: Evaluation) -> pd.DataFrame:
    """Share of customers whose spend was within the 90 % interval, by decile of the forecast."""
    return _check(backtest).deciles()[["group", "customers", "is_covered"]]


def forecast(
    forecasts: ForecastSource, orders: OrdersSource, horizon_days: int | None = None
) -> pd.DataFrame:
    """Actual spend by period before the cutoff, and the expected spend of the next period.

    Spend is what the forecasts' target counts.

    Parameters
    ----------
    forecasts : DataFrame, str or Path
        Forecasts of `clvcast.score` or a forecast file.
    orders : Orders, frame, str or Path
        The orders they were made from; later ones show what happened.
    horizon_days : int, optional
        Length of a period; by default that of the forecasts.

    Returns
    -------
    DataFrame
        A row per period: begin, actual (NaN where it is not over), expected (NaN before the
        cutoff). Only the next period's expected spend is of known customers; new ones add to it.

    Raises
    ------
    ConfigError
        If the forecasts do not say their horizon and none is given.

    """
    found = read_forecasts(forecasts, whole=True)
    days = horizon_days or (found.terms.horizon_days if found.terms else None)
    if not days:
        raise ConfigError("horizon_days is required: the forecasts do not say theirs")
    packed = coerce_orders(orders)
    cutoff = dates.parse_instant(found.rows["cutoff"][0].as_py())
    first, end = windows.find_first_order_at(packed), get_default_cutoff(packed)
    step = days * dates.DAY
    n_before = max(1, (cutoff - first) // step)
    begins = cutoff + step * np.arange(-n_before, 1)
    values = compute_line_values(packed, found.terms.target if found.terms else "spend")
    bounds = np.append(begins, cutoff + step)
    actual = windows.sum_between(packed.times, values, bounds) / packed.unit
    actual[-1] = actual[-1] if windows.is_realised(np.array([cutoff + step]), end)[0] else np.nan
    expected = np.full(len(begins), np.nan)
    expected[-1] = float(np.sum(found.rows["expected_spend"].to_numpy()))
    return pd.DataFrame(
        {"begin": begins.view("datetime64[us]"), "actual": actual, "expected": expected}
    )


def importance(model: TrainedModel) -> pd.DataFrame:
    """Share of the trees' gain by feature, highest first; empty for a model without trees."""
    return compute_feature_importance(model)


def dependence(
    model: TrainedModel,
    orders: OrdersSource,
    feature: str,
    cutoff: dates.Instant | None = None,
    groups: int = 10,
) -> pd.DataFrame:
    """Mean forecasts of customers grouped by a feature's value.

    This shows how forecasts move with the feature among real customers, together with all that
    moves with it; it is not the effect of changing the feature alone.

    Parameters
    ----------
    model : Model
        A trained model.
    orders : Orders, frame, str or Path
        Order histories.
    feature : str
        A column of `clvcast.build_features`.
    cutoff : str, date or datetime, optional
        The first instant that is not observed; by default the midnight after the newest line.
    groups : int, default 10
        Number of groups of about equal size.

    Returns
    -------
    DataFrame
        A row per group, by value: customers, mean of the feature, churn_probability,
        expected_spend and clv.

    Raises
    ------
    ConfigError
        If there is no such feature.

    """
    packed = coerce_orders(orders, model.orders)
    rows = score(model, packed, cutoff)
    if rows.empty:
        raise OrdersError("nobody can be forecast: there is no order before the cutoff")
    features = build_features(packed, [rows["cutoff"].iloc[0].to_pydatetime()])
    if feature not in features.select_dtypes("number"):
        raise ConfigError(f"there is no feature {quote(feature)}; docs/features.md lists them")
    measures = ["churn_probability", "expected_spend", "clv"]
    table = rows[["customer_id", *measures]].merge(
        features[["customer_id", feature]], on="customer_id"
    )
    values = table[feature].astype(np.float64)
    # equal values stay in one group
    place = pd.qcut(values, groups, labels=False, duplicates="drop")
    grouped = table.assign(**{feature: values}).groupby(place)
    means = grouped[[feature, *measures]].mean()
    means.insert(0, "customers", grouped.size())
    return means.reset_index(drop=True)


def season(model: TrainedModel) -> pd.DataFrame:
    """The season's factor on the total of the period that begins at each place of the year.

    Empty if the model knows no season.
    """
    found = model.numbers.blend.season
    frame = pd.DataFrame({"year_share": found.places, "factor": np.exp(np.array(found.spend))})
    return frame.assign(day_of_year=np.rint(frame["year_share"] * dates.YEAR_DAYS) + 1)


def cohorts(
    forecasts: ForecastSource, orders: OrdersSource, config: Config | None = None
) -> pd.DataFrame:
    """Retention and cumulated spend by cohort and age in months, as in `clvcast.kpis`."""
    return build_triangles(open_customer_base(forecasts, orders, config))


def rfm(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Customers, CLV and mean churn probability by RFM segment and tier."""
    grouped = forecasts.groupby(["rfm_segment", "tier"], observed=True)
    return grouped.agg(
        customers=("clv", "size"),
        clv=("clv", "sum"),
        churn_probability=("churn_probability", "mean"),
    ).reset_index()


class OrderModel(Protocol):
    """A fitted `BGNBD` or `ParetoNBD` of `clvcast.api.btyd`."""

    def probability_alive(self, frequency: Any, recency: Any, T: Any) -> Any:  # noqa: N803
        """P(alive) of each customer."""

    def expected_purchases(self, t: float, frequency: Any, recency: Any, T: Any) -> Any:  # noqa: N803
        """Expected order days of each customer."""


def probability_alive(
    model: TrainedModel | OrderModel, max_frequency: int = 20, max_recency: int = 365
) -> pd.DataFrame:
    """P(alive) by frequency and recency, of customers whose T is `max_recency`.

    Rows are recency (days from the first to the last order day), columns frequency (repeat days):
    lifetimes' `plot_probability_alive_matrix`. A trained model shows its BTYD part; a fitted model
    of `clvcast.api.btyd` keeps its unit of time.
    """
    days = _build_grid(max_frequency, max_recency)
    if isinstance(model, TrainedModel):
        values = predict_alive_probability(model.numbers.blend.order_model, days)
    else:
        values = model.probability_alive(days.n_repeat_days, days.active_days, days.tenure_days)
    return _shape(values, max_frequency, max_recency)


def expected_orders(
    model: TrainedModel | OrderModel,
    max_frequency: int = 20,
    max_recency: int = 365,
    period: float | None = None,
) -> pd.DataFrame:
    """Expected order days in the next period by frequency and recency.

    Rows, columns and models are as in `probability_alive`: lifetimes'
    `plot_frequency_recency_matrix`. `period` is the period's length; by default a trained model's
    horizon in days, and 1 for a fitted model of `clvcast.api.btyd`.
    """
    days = _build_grid(max_frequency, max_recency)
    if isinstance(model, TrainedModel):
        length = model.numbers.horizon_days if period is None else period
        values = predict_order_days(model.numbers.blend.order_model, days, float(length))
    else:
        values = model.expected_purchases(
            1.0 if period is None else period,
            days.n_repeat_days,
            days.active_days,
            days.tenure_days,
        )
    return _shape(values, max_frequency, max_recency)


def _build_grid(max_frequency: int, max_recency: int) -> OrderDays:
    recency, frequency = np.mgrid[0 : max_recency + 1, 0 : max_frequency + 1].astype(np.float64)
    tenure = np.full(recency.size, float(max_recency))
    return OrderDays.of(frequency.ravel(), recency.ravel(), tenure, np.zeros(recency.size))


def _shape(values: npt.NDArray[np.float64], max_frequency: int, max_recency: int) -> pd.DataFrame:
    frame = pd.DataFrame(values.reshape(max_recency + 1, max_frequency + 1))
    return frame.rename_axis(index="recency", columns="frequency")


def _check(backtest: object) -> Evaluation:
    if not isinstance(backtest, Evaluation):
        raise ConfigError(
            f"accuracy is shown from what clvcast.backtest returns, got {type(backtest).__name__}"
        )
    return backtest
