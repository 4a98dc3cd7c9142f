"""The steps that lead from one forecast's total to a later one's, customer by customer.

    customers lost     - A's value of customers that B does not have
    other terms        A at B's margin, less A as it was written
    another model      B's model, orders before A's cutoff, at A's cutoff, less the former
                       ("restated orders" where both are of one model: lines that came late or went)
    ageing             the same orders and model at B's cutoff, less the former
    earned since       - what these customers brought between the cutoffs, as the forecasts count it
    new orders         B as it was written, plus what was earned, less ageing: what the orders
                       changed in the expectation
    new customers      + B's value of customers that A did not have

The model's step and an exact ageing need B's model and the orders, what was earned the orders. From
the files alone every customer of both stands in one step, by what can be told from two rows:

    new orders         its orders or its last order's age do not follow from A by time alone
    ageing             they do
    restated           both files are of one cutoff and one model
    another model      both are of one cutoff, not of one model

and where the model changed with the cutoff, the first two carry "and another model" in their names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..errors import ConfigError, OrdersError
from ..features.targets import compute_line_values
from ..models.forecast_terms import ForecastTerms
from ..models.model import TrainedModel
from ..models.scoring import forecast_rows
from ..orders import dates, windows
from ..orders.columns import Float64
from ..orders.orders import Orders

__all__ = ["CommonCustomers", "Step", "compute_steps"]

_SAME = 1e-6  # relative; forecasts written as .csv keep 15 digits
Step = tuple[str, pd.Series]  # a name, and the change of each customer it concerns


@dataclass(frozen=True)
class CommonCustomers:
    """The customers of both forecasts: row i of A and of B is the same customer."""

    left: pd.DataFrame
    right: pd.DataFrame
    measure: str
    terms: tuple[ForecastTerms | None, ForecastTerms | None]

    @property
    def values(self) -> Float64:
        """B as it was written."""
        return np.asarray(self.right[self.measure], np.float64)

    @property
    def margin(self) -> float:
        """Value for each unit of spend, under B's terms."""
        terms = self.terms[1]
        return terms.margin_rate if terms is not None and self.measure == "clv" else 1.0

    @property
    def restated(self) -> Float64:
        """A at B's margin: n_rows; CLV is proportional to it."""
        values = np.asarray(self.left[self.measure], np.float64)
        before, after = self.terms
        if before is None or after is None or self.measure != "clv":
            return values
        return values * (after.margin_rate / before.margin_rate)

    @property
    def is_restated(self) -> bool:
        """Whether B's margin is another than A's."""
        return not np.array_equal(self.restated, self.left[self.measure])

    def instant(self, frame: pd.DataFrame) -> int:
        """The cutoff of a forecast."""
        return dates.parse_instant(pd.Timestamp(frame["cutoff"].iloc[0]))


def compute_steps(
    common: CommonCustomers, model: TrainedModel | None, orders: Orders | None
) -> list[Step]:
    """The steps between the two forecasts of customers in both."""
    if not len(common.left):
        return []
    ids = common.left.index
    steps: list[tuple[str, Float64]] = []
    if common.is_restated:
        steps.append(("other terms", common.restated - common.left[common.measure].to_numpy()))
    earned = None if orders is None else _compute_earned(common, orders)
    if model is not None and orders is not None:
        steps += _forecast_again(common, model, orders)
    else:
        steps += _compare_rows(common)
    found = []
    for name, change in steps:
        series = pd.Series(change, index=ids)
        if name.startswith("new orders") and earned is not None:
            found.append(("earned since", -earned))
            # who only returned goods is in no other step of orders
            series = (series.fillna(0.0) + earned).where(series.notna() | (earned != 0))
        found.append((name, series.dropna()))
    return found


def _compute_earned(common: CommonCustomers, orders: Orders) -> pd.Series:
    """What each customer brought between the cutoffs, in the measure's money."""
    terms = common.terms[1]
    target = "spend" if terms is None else terms.target
    valued = replace(orders, amounts=compute_line_values(orders, target))

    def sum_until(instant: int) -> pd.Series:
        observed = windows.slice_observed(valued, instant)
        return pd.Series(
            observed.spend_by_customer() / observed.unit, observed.customer_ids.to_pandas()
        )

    ids = common.left.index
    sums = [
        sum_until(common.instant(frame)).reindex(ids).fillna(0.0)
        for frame in (common.left, common.right)
    ]
    return pd.Series((sums[1] - sums[0]) * common.margin, index=ids)


def _forecast_again(
    common: CommonCustomers, model: TrainedModel, orders: Orders
) -> list[tuple[str, Float64]]:
    """The steps of model, time and orders, by forecasting again with B's model."""
    left, right, values = common.left, common.right, common.values
    version = right["model_version"].iloc[0]
    if version != model.version:
        raise ConfigError(f"model must be the one that made B, {version}, got {model.version}")
    earlier, later = common.instant(left), common.instant(right)

    def score(known_to: int, cutoff: int) -> Float64:
        """Forecasts from the orders before `known_to`; 0 for customers without any."""
        table = forecast_rows(model, windows.slice_observed(orders, known_to), cutoff)
        values_by_customer = pd.Series(
            table[common.measure].to_numpy(), index=table["customer_id"].to_pandas()
        )
        return np.asarray(values_by_customer.reindex(right.index).fillna(0.0), dtype=np.float64)

    rescored = score(later, later)
    differ = ~np.isclose(rescored, values, rtol=_SAME, atol=10.0**-orders.currency_decimals)
    if differ.any():
        raise OrdersError(
            f"the model and the orders must give B again, but {int(differ.sum()):,} of "
            f"{len(values):,} customers come out otherwise; give the orders, and configuration, "
            "that B was scored with"
        )
    another, aged = score(earlier, earlier), score(earlier, later)
    same = left["model_version"].iloc[0] == model.version
    return [
        ("restated orders" if same else "another model", another - common.restated),
        ("ageing", aged - another),
        ("new orders", values - aged),
    ]


def _compare_rows(common: CommonCustomers) -> list[tuple[str, Float64]]:
    """The steps that two rows of a customer tell; NaN where a customer is not in a step."""
    left, right = common.left, common.right
    change = common.values - common.restated
    days = (common.instant(right) - common.instant(left)) / dates.DAY
    same_model = left["model_version"].iloc[0] == right["model_version"].iloc[0]
    if days == 0:
        return [("restated orders or settings" if same_model else "another model", change)]
    names = ("n_orders", "days_since_last_order")
    missing = [name for name in names if name not in left or name not in right]
    if missing:
        raise OrdersError(f"both forecasts must have the column {missing[0]}")
    orders, age = ((right[name] - left[name]).to_numpy() for name in names)
    ordered = (orders != 0) | (np.abs(age - days) > 1)  # ages are whole days, floored
    also = "" if same_model else " and another model"
    return [
        (f"ageing{also}", np.where(ordered, np.nan, change)),
        (f"new orders{also}", np.where(ordered, change, np.nan)),
    ]
