"""compare: two forecasts of one shop: how the total changed, and which customers changed most.

The bridge leads from A's total to B's, each step a difference of two totals rounded to the smallest
unit of the currency, so that its terms add up exactly:

    customers lost     - A's value of customers that B does not have
    new customers      + B's value of customers that A did not have
    with B's model and the orders, customers of both are forecast again, one change at a time:
      another model    B's model, orders before A's cutoff, at A's cutoff, less A as it was written
                       ("restated orders" where both are of one model: lines that came late or went)
      ageing           the same orders and model at B's cutoff, less the former
      new orders       B as it was written, less the former
    from the files alone every customer of both stands in one term, by what can be told from two
    rows:
      new orders       its orders or its last order's age do not follow from A by time alone
      ageing           they do
      restated         both files are of one cutoff and one model
      another model    both are of one cutoff, not of one model
    and where the model changed with the cutoff, the first two carry "and another model" in their
    names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import ConfigError, OrdersError
from ..models.model import TrainedModel
from ..models.scoring import forecast_rows
from ..orders import dates, windows
from ..orders.columns import Float64
from ..orders.orders import Orders
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from .forecast_file import coerce_forecast_history

__all__ = ["Comparison", "Term", "compare"]

_MEASURES = ("clv", "expected_spend")
_CLASSES = ("tier", "rfm_segment", "risk")
_ABSENT = "(not there)"
_SAME = 1e-6  # relative; forecasts written as .csv keep 15 digits


@dataclass(frozen=True)
class Term:
    """One step of the bridge, in the shop's currency."""

    name: str
    customers: int
    amount: float


@dataclass(frozen=True)
class Comparison:
    """Forecast A beside forecast B; `before + sum of the terms = after`, to the smallest unit."""

    measure: str
    before: float
    after: float
    terms: tuple[Term, ...]
    migrations: dict[str, pd.DataFrame]  # class -> from, to, customers, value_before, value_after
    rose: pd.DataFrame  # customer_id, before, after, change, most first
    fell: pd.DataFrame


def compare(
    a: pd.DataFrame | str | Path,
    b: pd.DataFrame | str | Path,
    model: TrainedModel | None = None,
    orders: OrdersSource | None = None,
    *,
    measure: str = "clv",
    top: int = 10,
) -> Comparison:
    """Compare an earlier forecast A with a later forecast B of the same shop.

    Parameters
    ----------
    a, b : DataFrame, str or Path
        Forecasts of one cutoff each, as `clvcast.score` returns them, or their files.
    model : Model, optional
        The model of B. With `orders`, it separates the effects of another model, of ageing and
        of new orders; without them, the files alone are compared.
    orders : Orders, DataFrame, pyarrow.Table, str or Path, optional
        The orders B was made from.
    measure : {'clv', 'expected_spend'}, default 'clv'
        The total that is compared.
    top : int, default 10
        How many of the customers who rose and fell most are listed.

    Returns
    -------
    Comparison
        Both totals, the terms that lead from one to the other, movements between classes, and
        the customers who rose and fell most.

    Raises
    ------
    ConfigError
        If only one of `model` and `orders` is given, or A is later than B.
    OrdersError
        If a file holds no forecasts, or model and orders do not reproduce B.

    """
    if measure not in _MEASURES:
        raise ConfigError(f"measure must be clv or expected_spend, got {measure}")
    if (model is None) != (orders is None):
        raise ConfigError("to forecast again, give both: B's model and the orders")
    before, after = _one(coerce_forecast_history(a), "A"), _one(coerce_forecast_history(b), "B")
    if before["cutoff"].iloc[0] > after["cutoff"].iloc[0]:
        raise ConfigError("A must be the earlier forecast, B the later one; exchange them")
    before, after = before.set_index("customer_id"), after.set_index("customer_id")
    steps: list[tuple[str, Float64]]
    common = before.index.intersection(after.index, sort=True)
    left, right = before.loc[common], after.loc[common]
    if model is not None and orders is not None:
        known = coerce_orders(orders, model.orders)
        decimals = known.currency_decimals
        steps = _again(left, right, model, known, measure)
    else:
        decimals = 2
        steps = _from_files(left, right, measure)
    lost, new = before.index.difference(common), after.index.difference(common)
    gone, come = before.loc[lost, measure].to_numpy(), after.loc[new, measure].to_numpy()
    changes = [("customers lost", -gone), *steps, ("new customers", come)]
    terms, start, end = _bridge(before[measure].to_numpy(), changes, decimals)
    moved = _moved(left, right, measure)
    return Comparison(
        measure,
        start,
        end,
        terms,
        {name: _migration(before, after, name, measure) for name in _shared(before, after)},
        moved[moved["change"] > 0].head(top).reset_index(drop=True),
        moved[moved["change"] < 0].iloc[::-1].head(top).reset_index(drop=True),
    )


def _one(forecasts: pd.DataFrame, name: str) -> pd.DataFrame:
    if forecasts.empty:
        raise OrdersError(f"forecast {name} must hold at least one customer, got none")
    for column in ("cutoff", "model_version"):
        if forecasts[column].nunique() > 1:
            raise OrdersError(
                f"forecast {name} must be of one cutoff and one model, got "
                f"{forecasts[column].nunique()} of {column}"
            )
    return forecasts


def _bridge(
    value: Float64, changes: list[tuple[str, Float64]], decimals: int
) -> tuple[tuple[Term, ...], float, float]:
    """Terms as differences of rounded running totals: they add up in whole units, exactly."""
    unit = 10**decimals
    total = float(np.sum(value))
    start = last = round(total * unit)
    terms = []
    for name, change in changes:
        total += float(np.sum(change))
        now = round(total * unit)
        if len(change):
            terms.append(Term(name, len(change), (now - last) / unit))
            last = now
    return tuple(terms), start / unit, last / unit


def _again(
    left: pd.DataFrame, right: pd.DataFrame, model: TrainedModel, orders: Orders, measure: str
) -> list[tuple[str, Float64]]:
    """The three steps of customers in both files, by forecasting again."""
    version = right["model_version"].iloc[0] if len(right) else model.version
    if version != model.version:
        raise ConfigError(f"model must be the one that made B, {version}, got {model.version}")
    if not len(left):
        return []
    earlier, later = (_instant(frame) for frame in (left, right))
    values = right[measure].to_numpy()
    found = _scored(model, orders, later, later, right.index, measure)
    differ = ~np.isclose(found, values, rtol=_SAME, atol=10.0**-orders.currency_decimals)
    if differ.any():
        raise OrdersError(
            f"the model and the orders must give B again, but {int(differ.sum()):,} of "
            f"{len(values):,} customers come out otherwise; give the orders, and configuration, "
            "that B was scored with"
        )
    another = _scored(model, orders, earlier, earlier, right.index, measure)
    aged = _scored(model, orders, earlier, later, right.index, measure)
    same = left["model_version"].iloc[0] == model.version
    first = "restated orders" if same else "another model"
    return [
        (first, another - left[measure].to_numpy()),
        ("ageing", aged - another),
        ("new orders", values - aged),
    ]


def _scored(
    model: TrainedModel,
    orders: Orders,
    known_to: int,
    cutoff: int,
    ids: pd.Index[str],
    measure: str,
) -> Float64:
    """Forecasts at `cutoff` from the orders before `known_to`; 0 for customers without any."""
    table = forecast_rows(model, windows.slice_observed(orders, known_to), cutoff)
    own = pd.Series(table[measure].to_numpy(), index=table["customer_id"].to_pandas())
    return np.asarray(own.reindex(ids).fillna(0.0), dtype=np.float64)


def _from_files(left: pd.DataFrame, right: pd.DataFrame, measure: str) -> list[tuple[str, Float64]]:
    if not len(left):
        return []
    change = right[measure].to_numpy() - left[measure].to_numpy()
    days = (_instant(right) - _instant(left)) / dates.DAY
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
    return [(f"ageing{also}", change[~ordered]), (f"new orders{also}", change[ordered])]


def _instant(frame: pd.DataFrame) -> int:
    return dates.parse_instant(pd.Timestamp(frame["cutoff"].iloc[0]))


def _shared(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    return [name for name in _CLASSES if name in before and name in after]


def _migration(before: pd.DataFrame, after: pd.DataFrame, name: str, measure: str) -> pd.DataFrame:
    """Every customer of either file, by its class in A and in B."""
    columns = {
        "from": before[name],
        "to": after[name],
        "value_before": before[measure],
        "value_after": after[measure],
    }
    both = pd.DataFrame(columns)
    classes = {
        key: both[key].astype(object).where(both[key].notna(), _ABSENT) for key in ("from", "to")
    }
    values = both[["value_before", "value_after"]].fillna(0.0).assign(customers=1, **classes)
    table = values.groupby(["from", "to"], as_index=False, sort=True).sum()
    return table[["from", "to", "customers", "value_before", "value_after"]]


def _moved(left: pd.DataFrame, right: pd.DataFrame, measure: str) -> pd.DataFrame:
    moved = pd.DataFrame(
        {
            "customer_id": left.index.astype(object),
            "before": left[measure].to_numpy(),
            "after": right[measure].to_numpy(),
        }
    )
    moved["change"] = moved["after"] - moved["before"]
    return moved.sort_values(["change", "customer_id"], ascending=[False, True], kind="stable")
