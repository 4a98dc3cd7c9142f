"""The scorer: a model, orders and a cutoff in, one forecast row per customer out.

Every door (Python, batch, MLflow) comes through `forecast_rows`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..errors import BundleError, ConfigError
from ..features.attribute_features import count_missing_attributes
from ..features.table import FeatureRows, compute_feature_rows
from ..orders import dates, windows
from ..orders.columns import Float64, Text
from ..orders.cutoffs import check_cutoff, get_default_cutoff
from ..orders.extra_features import ExtraFunction
from ..orders.orders import Orders
from ..orders.reading.customer_attributes import Customers, attach_customers
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from .evidence import describe_evidence
from .forecast_terms import ForecastTerms
from .intervals import compute_growth_shock
from .model import Predictions, TrainedModel
from .order_values import check_order_values, count_order_values
from .segments import Standing, assign_segments, cut_thresholds

__all__ = [
    "FORECAST_SCHEMA",
    "PERIOD_PREFIX",
    "build_forecast_schema",
    "choose_cutoff",
    "compute_standing",
    "describe_hindsight",
    "describe_terms",
    "forecast_columns",
    "forecast_rows",
    "score",
]

_MOST_UNKNOWN_SHARE = 0.5  # of customers: beyond it, the wrong table was probably joined

FORECAST_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("cutoff", pa.timestamp("us")),
        ("model_version", pa.string()),
        ("n_orders", pa.int32()),
        ("days_since_last_order", pa.int32()),
        ("tenure_days", pa.int32()),
        ("churn_probability", pa.float64()),
        ("expected_orders", pa.float64()),
        ("expected_spend", pa.float64()),
        ("expected_spend_lower", pa.float64()),
        ("expected_spend_upper", pa.float64()),
        ("clv", pa.float64()),
        ("clv_lower", pa.float64()),
        ("clv_upper", pa.float64()),
        ("expected_next_order_at", pa.timestamp("us")),
        ("rfm_segment", pa.string()),
        ("tier", pa.string()),
        ("risk", pa.string()),
        ("evidence", pa.string()),
        ("next_order_from", pa.timestamp("us")),
        ("next_order_until", pa.timestamp("us")),
        ("own_share", pa.float64()),
        # what `total` adds up: one customer's own spread, and the shocks all customers share
        ("spend_deviation", pa.float64()),
        ("clv_deviation", pa.float64()),
        ("spend_shock", pa.float64()),
        ("clv_shock", pa.float64()),
        ("retention_value", pa.float64()),
        ("value_at_risk", pa.float64()),
    ]
)
PERIOD_PREFIX = "spend_period_"
_NUMBERS = [field.name for field in FORECAST_SCHEMA if pa.types.is_floating(field.type)]


def score(
    model: TrainedModel,
    orders: OrdersSource,
    cutoff: dates.Instant | None = None,
    customers: Customers | None = None,
    *,
    extra_features: ExtraFunction | None = None,
    by_period: bool = False,
) -> pd.DataFrame:
    """Forecast every customer with an order before the cutoff.

    Parameters
    ----------
    model : Model
        A trained model, from `clvcast.train` or `clvcast.load_model`.
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders, a table of order lines, or where to read them. Columns are named as in the
        model's mapping, or by our own names.
    cutoff : str, date or datetime, optional
        The first instant that is not observed; by default the midnight after the newest line.
    customers : DataFrame, pyarrow.Table, str or Path, optional
        Attributes of the customers, for a model that learned from any.
    extra_features : callable, optional
        The function of `clvcast.build_features` again, for a model that was trained with one.
    by_period : bool, default False
        Whether to add `spend_period_1` to `spend_period_n`: the expected spend of each period,
        neither discounted nor multiplied by the margin. The first is `expected_spend`.

    Returns
    -------
    DataFrame
        One row per customer, sorted by customer_id; money is in the shop's currency. `attrs`
        holds the terms of the forecasts.

    Raises
    ------
    OrdersError
        If the model cannot read the orders.
    ConfigError
        If the cutoff is out of range, or the model needs `extra_features` that are not given.

    Warns
    -----
    UserWarning
        If the orders end more than a week before the cutoff, or most customers lack an
        attribute the model learned from.

    """
    if not isinstance(model, TrainedModel):
        raise ConfigError(
            f"a model comes from clvcast.load_model or clvcast.train, got {type(model).__name__}"
        )
    if extra_features is not None:
        model = model.with_extra_features(extra_features)
    if not isinstance(orders, Orders):
        model.check_reading(model.orders)
    orders = coerce_orders(orders, model.orders)
    orders = attach_customers(orders, customers, model.customers, model.orders)
    is_stated = orders.complete_until is not None
    instant = choose_cutoff(model, get_default_cutoff(orders), cutoff, is_stated=is_stated)
    concern = check_cutoff(orders, instant, model.numbers.horizon_days)
    if concern:
        warnings.warn(concern, UserWarning, stacklevel=2)
    values = count_order_values(model.usable_columns(orders), instant)
    strange = check_order_values(model.numbers.order_value, values)
    if strange:
        warnings.warn(strange, UserWarning, stacklevel=2)
    unknown = count_missing_attributes(orders, model.numbers.attributes, instant)
    notes = [*unknown.sentences(beyond=_MOST_UNKNOWN_SHARE), *model.describe_settings(instant)]
    for sentence in notes:
        warnings.warn(sentence, UserWarning, stacklevel=2)
    rows = forecast_rows(model, orders, instant, by_period=by_period)
    forecasts = pd.DataFrame(rows.to_pandas())
    forecasts.attrs |= describe_terms(model).attributes()
    return forecasts


def choose_cutoff(
    model: TrainedModel, end: int, cutoff: dates.Instant | None, *, is_stated: bool = False
) -> int:
    """The cutoff asked for, or `end`, until when the orders are complete.

    Where `end` is only the midnight after the newest order (not stated), and a week or more before
    the end of the model's training, the orders are those of lapsed customers or an old file:
    silence since then would be overlooked. Raises `ConfigError`.
    """
    if cutoff is not None:
        return dates.parse_instant(cutoff)
    trained_until = model.numbers.trained_until
    if not is_stated and trained_until is not None and end < trained_until - 7 * dates.DAY:
        newest, trained_day = dates.format_instant(end), dates.format_instant(trained_until)
        raise ConfigError(
            f"the newest of these orders is from before {newest}, and the model has seen "
            "orders until "
            f"{trained_day}; state until when they are complete (--complete-until "
            f"{trained_day[:10]}, "
            "orders.complete_until), or give all orders and choose with --only-customers"
        )
    return end


def describe_hindsight(model: TrainedModel, cutoff: int) -> list[str]:
    """A remark where the model learned from orders after the cutoff; else none."""
    trained_until = model.numbers.trained_until
    if trained_until is None or cutoff >= trained_until:
        return []
    return [
        "hindsight: the model was trained on orders until "
        f"{dates.format_instant(trained_until)}, after the "
        f"cutoff {dates.format_instant(cutoff)}; these forecasts say nothing of its accuracy"
    ]


def describe_terms(model: TrainedModel) -> ForecastTerms:
    """The terms a model forecasts under."""
    return ForecastTerms(
        horizon_days=model.numbers.horizon_days,
        periods=model.periods,
        margin_rate=model.economics.margin_rate,
        margin_source=model.economics.margin_source,
        annual_discount_rate=model.economics.annual_discount_rate,
        target=model.numbers.target,
        currency=model.orders.currency,
        model_version=model.version,
        retention_source=(
            "btyd" if model.numbers.retention is None and model.periods > 1 else "history"
        ),
    )


def build_forecast_schema(periods: int = 0) -> pa.Schema:
    """`FORECAST_SCHEMA`, with a column of expected spend for each of so many periods."""
    names = [f"{PERIOD_PREFIX}{k}" for k in range(1, periods + 1)]
    return pa.schema([*FORECAST_SCHEMA, *((name, pa.float64()) for name in names)])


def forecast_rows(
    model: TrainedModel, orders: Orders, cutoff: int, *, by_period: bool = False
) -> pa.Table:
    """Forecast at an instant: a table of `FORECAST_SCHEMA`, on request with a column per period."""
    schema = build_forecast_schema(model.periods if by_period else 0)
    periods = schema.names[len(FORECAST_SCHEMA) :]
    observed = windows.slice_observed(model.usable_columns(orders), cutoff)
    rows = compute_feature_rows(observed, np.array([cutoff], dtype=np.int64))
    if not rows.n_rows:  # nobody had ordered yet
        return schema.empty_table()
    predictions = model.predict(rows)
    columns = forecast_columns(model, observed, rows, cutoff, predictions)
    columns |= dict(zip(periods, predictions.spend_by_period.T, strict=False))
    arrays = [observed.customer_ids.take(pa.array(rows.customer_index))]
    arrays += [pa.array(columns[field.name], field.type) for field in list(schema)[1:]]
    return pa.Table.from_arrays(arrays, schema=schema)


def forecast_columns(
    model: TrainedModel, known: Orders, rows: FeatureRows, cutoff: int, predictions: Predictions
) -> dict[str, npt.NDArray[Any]]:
    """The columns of `FORECAST_SCHEMA` after customer_id: name -> array of n_rows; NaT: none."""
    numbers = model.numbers
    rfm_segment, tier, risk = _assign_segments(model, known, rows, predictions)
    evidence = describe_evidence(
        rows.whole[:, 0],
        short_history=numbers.short_history,
        later_unseen=model.periods > numbers.later.realised_periods,
        season_unseen=not numbers.blend.season.is_known,
        btyd_only=not model.trees,
    )
    columns = {
        "cutoff": np.full(rows.n_rows, cutoff).view("datetime64[us]"),
        "model_version": np.full(rows.n_rows, model.version, dtype=object),
        "n_orders": rows.whole[:, 0],
        "days_since_last_order": rows.whole[:, 1],
        "tenure_days": rows.whole[:, 2],
        "churn_probability": predictions.churn_probability,
        "expected_orders": predictions.expected_orders,
        "expected_spend": predictions.expected_spend,
        "expected_spend_lower": predictions.spend_band.lower,
        "expected_spend_upper": predictions.spend_band.upper,
        "clv": predictions.clv,
        "clv_lower": predictions.clv_band.lower,
        "clv_upper": predictions.clv_band.upper,
        "expected_next_order_at": _add_days(cutoff, predictions.next_order.days),
        "rfm_segment": rfm_segment,
        "tier": tier,
        "risk": risk,
        "evidence": evidence,
        "next_order_from": _add_days(cutoff, predictions.next_order.earliest),
        "next_order_until": _add_days(cutoff, predictions.next_order.latest),
        "own_share": predictions.own_share,
        "spend_deviation": predictions.spend_band.deviation,
        "clv_deviation": predictions.clv_band.deviation,
        "spend_shock": np.full(rows.n_rows, numbers.intervals.spend_shock),
        "clv_shock": np.full(
            rows.n_rows, numbers.intervals.spend_shock * compute_growth_shock(model.periods)
        ),
    }
    columns["retention_value"] = predictions.retention_value
    columns["value_at_risk"] = predictions.churn_probability * predictions.retention_value
    _check_numbers(model, columns)
    return columns


def compute_standing(known: Orders, rows: FeatureRows, clv: Float64) -> Standing:
    """What decides the segments of rows; `known` are the orders they were made from."""
    spend = known.spend_by_customer()[rows.customer_index] / known.unit
    return Standing(rows.whole[:, 1], rows.whole[:, 0], spend, clv)


def _assign_segments(
    model: TrainedModel, known: Orders, rows: FeatureRows, predictions: Predictions
) -> tuple[Text, Text, Text]:
    """By the bundle's thresholds or, where a configuration asks, by those of the file."""
    standing = compute_standing(known, rows, predictions.clv)
    thresholds = model.segments
    if model.own_cuts is not None:
        cuts = model.own_cuts.model_copy(update={"risk": thresholds.risk})
        thresholds = cut_thresholds(cuts, standing)
    return assign_segments(thresholds, standing, predictions.churn_probability)


def _check_numbers(model: TrainedModel, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """NaN never leaves the scorer, in no column of numbers there is or will be."""
    total: Float64 | float = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for name in _NUMBERS:
            total = total + columns[name]
    if np.isfinite(total).all():  # one look at all of them: it is taken for every customer
        return
    for name in _NUMBERS:
        if not np.isfinite(columns[name]).all():
            raise BundleError(
                f"model {model.version} gives forecasts that are no numbers in {name}; "
                "train it again"
            )


def _add_days(cutoff: int, days: Float64) -> npt.NDArray[np.datetime64]:
    """Dates some days after the cutoff, to the day; NaT where NaN."""
    none = np.isnan(days)
    instants = np.maximum(dates.add_days(cutoff, np.where(none, 0.0, days)), cutoff)
    day_stamps = instants.view("datetime64[us]")
    day_stamps[none] = np.datetime64("NaT", "us")
    return day_stamps
