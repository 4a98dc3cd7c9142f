"""Baselines: what a shop can do without a model. Each is a function and an entry in METHODS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from ...configs.economics import KnownEconomics
from ...configs.schema import Target
from ...features.recency_frequency import OrderDays, count_order_days
from ...features.table import compute_feature_rows
from ...features.targets import compute_line_values
from ...models.btyd import forecasts
from ...models.discounting import compute_discounts
from ...orders import windows
from ...orders.columns import Float64
from ...orders.cutoffs import get_newest_realised_cutoff
from ...orders.orders import Orders
from ..btyd.fitting import Kind, fit_order_model, fit_value_model

__all__ = ["METHODS", "Baseline", "BaselineForecast", "BaselineInputs", "build_baseline_inputs"]


@dataclass(frozen=True)
class BaselineInputs:
    """What a baseline may look at: each customer at the cutoff (arrays of n_rows), and the base."""

    spend: Float64  # net, before the cutoff
    n_orders: Float64
    order_value: Float64  # mean net value of an order (AOV)
    tenure_days: Float64
    shop_days: float  # since the shop's first order
    base_frequency: float  # orders / active customers in the newest horizon
    horizon_days: int
    days: OrderDays
    orders: Orders  # those before the cutoff
    cutoff: int
    periods: int = 1
    economics: KnownEconomics = field(default_factory=KnownEconomics)
    target: Target = "spend"


@dataclass(frozen=True)
class BaselineForecast:
    """What a baseline forecasts, arrays of n_rows; None where it has no say."""

    expected_spend: Float64
    churn_probability: Float64 | None = None
    expected_orders: Float64 | None = None
    clv: Float64 | None = None


def build_baseline_inputs(
    orders: Orders,
    cutoff: int,
    horizon_days: int,
    periods: int = 1,
    economics: KnownEconomics | None = None,
    target: Target = "spend",
) -> BaselineInputs:
    """Gather it from the orders before the cutoff, for the customers that feature rows have.

    Amounts are what `target` counts of each line.
    """
    before = replace(
        windows.slice_observed(orders, cutoff), attributes=None, extra=None, calendar=None
    )
    observed = replace(before, amounts=compute_line_values(before, target))
    earlier = get_newest_realised_cutoff(cutoff, horizon_days)
    rows = compute_feature_rows(observed, np.array([earlier, cutoff], dtype=np.int64))
    n_orders = np.zeros((2, observed.n_customers))
    n_orders[rows.cutoff_index, rows.customer_index] = rows.whole[:, 0]
    recent = n_orders[1] - n_orders[0]
    at_cutoff = rows.where(rows.cutoff_index == 1)
    spend, count, value, tenure = at_cutoff.columns(
        ("spend_total", "n_orders", "order_value_mean", "tenure_days")
    ).T.astype(np.float64)
    return BaselineInputs(
        spend=spend,
        n_orders=count,
        order_value=value,
        tenure_days=tenure,
        shop_days=windows.count_span_days(observed, cutoff),
        base_frequency=float(recent.sum() / max(np.count_nonzero(recent > 0), 1)),
        horizon_days=horizon_days,
        days=count_order_days(observed, cutoff).where(at_cutoff.customer_index),
        orders=before,
        cutoff=cutoff,
        periods=periods,
        economics=economics or KnownEconomics(),
        target=target,
    )


Baseline: TypeAlias = Callable[[BaselineInputs], BaselineForecast]


def _forecast_historic_rate(known: BaselineInputs) -> BaselineForecast:
    """The customer's own net spend per day since its first order, at least a horizon ago."""
    tenure_days = np.maximum(known.tenure_days, known.horizon_days)
    return _forecast_constant_rate(known.spend / tenure_days * known.horizon_days, known)


def _forecast_span_rate(known: BaselineInputs) -> BaselineForecast:
    """The customer's net spend per day since the shop's first order: newcomers start low."""
    return _forecast_constant_rate(known.spend / known.shop_days * known.horizon_days, known)


def _forecast_formula(known: BaselineInputs) -> BaselineForecast:
    """The textbook's customer value: own average order value x the base's purchase frequency."""
    return _forecast_constant_rate(known.order_value * known.base_frequency, known)


def _forecast_constant_rate(spend: Float64, known: BaselineInputs) -> BaselineForecast:
    """The same spend in every period, discounted."""
    discount = compute_discounts(known.economics, known.horizon_days, known.periods)
    clv = known.economics.margin_rate * spend * (1.0 / discount).sum()
    return BaselineForecast(spend, clv=clv)


def _make_btyd(kind: Kind) -> Baseline:
    """Order days by BG/NBD or Pareto/NBD, their value by Gamma-Gamma, as `lifetimes` users do."""

    def forecast(known: BaselineInputs) -> BaselineForecast:
        days = known.days
        model = fit_order_model(days, kind).model
        # where Gamma-Gamma has no maximum: the mean value of an order
        mean_value = float(np.average(np.maximum(known.order_value, 0.0)))
        value_model = fit_value_model(days, mean_value=mean_value).model
        value = forecasts.predict_order_value(value_model, days)
        expected = forecasts.predict_order_days_by_period(
            model, days, known.horizon_days, known.periods
        )
        discount = compute_discounts(known.economics, known.horizon_days, known.periods)
        return BaselineForecast(
            expected_spend=expected[:, 0] * value,
            churn_probability=1.0
            - forecasts.predict_order_probability(model, days, known.horizon_days),
            expected_orders=expected[:, 0],
            clv=known.economics.margin_rate * value * (expected / discount).sum(axis=1),
        )

    return forecast


METHODS: Mapping[str, Baseline] = {
    "bg_nbd": _make_btyd("bg_nbd"),
    "pareto_nbd": _make_btyd("pareto_nbd"),
    "historic_rate": _forecast_historic_rate,
    "span_rate": _forecast_span_rate,
    "formula": _forecast_formula,
}
