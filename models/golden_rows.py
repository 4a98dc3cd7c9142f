"""Golden rows: invented order histories in every bundle, with their expected forecasts.

They are the same in every bundle, edge cases among them, and belong to nobody. A loaded model must
give the numbers it gave when it was saved, or it is not the same model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import BundleError
from ..features.attribute_features import AttributeCoding
from ..orders.extra_features import ExtraFeatures
from ..orders.reading.nested_rows import unnest
from .model import TrainedModel
from .scoring import forecast_rows

__all__ = [
    "CUTOFF",
    "add_golden_extras",
    "build_golden_rows",
    "check_golden_rows",
    "forecast_golden_rows",
]

CUTOFF = "2020-03-01"
_FORECASTS = (
    "churn_probability", "expected_orders",
    "expected_spend", "expected_spend_lower", "expected_spend_upper",
    "clv", "clv_lower", "clv_upper",
)  # fmt: skip
_TOLERANCE = 1e-9  # relative; another processor may round the last digits otherwise

# customer: (days before the cutoff, amount, order) of each line
_HISTORIES: dict[str, list[tuple[float, float, str]]] = {
    "one order yesterday": [(1, 25.0, "a")],
    "one order, long ago": [(700, 25.0, "a")],
    "two orders": [(200, 40.0, "a"), (20, 60.0, "b")],
    "a monthly rhythm": [(30 * k + 5, 50.0 + k, f"m{k}") for k in range(12)],
    "weekly and small": [(7 * k + 2, 9.99, f"w{k}") for k in range(60)],
    "went silent": [(20 * k + 400, 80.0, f"s{k}") for k in range(8)],
    "a whale": [(15 * k + 3, 25_000.0, f"x{k}") for k in range(10)],
    "many lines in one order": [(50, 1.25 + k, "a") for k in range(40)],
    "all came back": [(90, 100.0, "a"), (80, -100.0, "b")],
    "returned more than kept": [(90, 100.0, "a"), (60, 40.0, "b"), (10, -180.0, "c")],
    "a line of the order came back": [(45, 70.0, "a"), (44, -20.0, "a")],
    "a second before the cutoff": [(1 / 86_400, 15.0, "a")],
    "a cent": [(10, 0.01, "a")],
}


def build_golden_rows(
    optional_columns: tuple[str, ...], attributes: AttributeCoding | None = None
) -> pd.DataFrame:
    """The histories as nested rows, with invented values in the columns and attributes needed."""
    cutoff = pd.Timestamp(CUTOFF)
    rows: list[dict[str, Any]] = []
    for customer_id, history in _HISTORIES.items():
        lines = []
        for k, (days, amount, order) in enumerate(history):
            time = cutoff - pd.Timedelta(microseconds=round(days * 86_400e6))
            optional: dict[str, Any] = {
                "order_id": order,
                "product_id": f"product {k % 3}",
                "category": f"category {k % 2}",
                "channel": "web" if k % 4 else "shop",
                "quantity": float(1 + k % 5),
                "discount": abs(amount) / 10.0 if k % 3 == 2 else 0.0,
                "cost": abs(amount) * 0.6,
            }
            line = {"ordered_at": time.isoformat(), "amount": amount}
            lines.append(line | {name: optional[name] for name in optional_columns})
        row: dict[str, Any] = {"customer_id": customer_id, "cutoff": CUTOFF, "orders": lines}
        if attributes is not None:
            row["attributes"] = _golden_attributes(attributes, len(rows))
        rows.append(row)
    return pd.DataFrame(rows)


def _golden_attributes(coding: AttributeCoding, k: int) -> dict[str, Any]:
    """Attributes of customer `k`: every label once, one that is unknown, and at times none."""
    values: dict[str, Any] = {}
    for name in coding.config.columns:
        kind = coding.config.types.get(name, "text")
        if name == "customer_id" or k % 7 == 5:
            continue
        if kind == "text":
            labels = (*coding.vocabulary[name], "golden")
            values[name] = labels[k % len(labels)]
        elif kind == "number":
            values[name] = [0.0, 1.0, -2.5, 100.0, 1e6][k % 5]
        else:
            values[name] = f"{2010 + k % 12}-06-15"  # the last are after the cutoff
    return values


def add_golden_extras(model: TrainedModel) -> TrainedModel:
    """The model with invented extra features, where it needs any: no code of a user runs."""
    names = model.numbers.extra_features
    if not names:
        return model
    places = {customer_id: k for k, customer_id in enumerate(_HISTORIES)}

    def invent(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
        ids = orders["customer_id"].unique()
        values = np.array([0.0, 1.0, -2.5, 100.0, 1e6, np.nan])
        own = np.array([places[name] for name in ids])
        return pd.DataFrame(
            {name: values[(own + k) % len(values)] for k, name in enumerate(names)}, index=ids
        )

    return replace(model, own_extra=ExtraFeatures(invent, names))


def forecast_golden_rows(model: TrainedModel) -> dict[str, dict[str, float]]:
    """Each golden customer's forecasts: {customer: {forecast: value}}."""
    model = add_golden_extras(model)
    numbers = model.numbers
    rows = build_golden_rows(numbers.optional_columns, numbers.attributes)
    instant, orders, _ = unnest(rows, numbers.orders, numbers.customers).groups[0]
    table = forecast_rows(model, orders, instant).to_pydict()
    return {
        customer_id: {name: table[name][i] for name in _FORECASTS}
        for i, customer_id in enumerate(table["customer_id"])
    }


def check_golden_rows(model: TrainedModel, expected: dict[str, dict[str, float]]) -> None:
    """Score the golden rows; `BundleError` if a number differs by more than 1e-9, relative."""
    found = forecast_golden_rows(model)
    same_names = all(set(forecasts) == set(_FORECASTS) for forecasts in expected.values())
    if found.keys() != expected.keys() or not same_names:
        raise BundleError("the bundle's golden rows are not the ones this version knows")
    for customer_id, forecasts in expected.items():
        for name, value in forecasts.items():
            if not np.isclose(found[customer_id][name], value, rtol=_TOLERANCE, atol=0.0):
                raise BundleError(
                    f"the bundle's golden row {customer_id!r} must forecast {name} {value!r}, "
                    f"got {found[customer_id][name]!r}: this installation scores it differently"
                )
