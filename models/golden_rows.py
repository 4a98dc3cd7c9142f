"""Golden rows: invented order histories in every bundle, with their expected forecasts.

They are the same in every bundle, edge cases among them, and belong to nobody. A loaded model must
give the numbers it gave when it was saved, or it is not the same model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, FiniteFloat

from ..errors import BundleError
from ..features.attribute_features import AttributeCoding
from ..orders.dates import YEAR_DAYS, parse_instant
from ..orders.extra_features import ExtraFeatures
from ..orders.orders import Orders
from ..orders.reading.nested_rows import unnest
from .golden_tables import Cell, build_table_inputs, compute_tables
from .golden_trees import GoldenTrees, build_golden_trees, check_golden_trees
from .model import TrainedModel
from .parameters import Blend, LaterSpend
from .scoring import forecast_rows

__all__ = [
    "CUTOFF",
    "GoldenFile",
    "LegacyGolden",
    "add_golden_extras",
    "build_golden_rows",
    "check_golden_rows",
    "forecast_golden_rows",
    "forecast_legacy_rows",
]

CUTOFF = "2020-03-01"
_FORECASTS = (
    "churn_probability", "expected_orders",
    "expected_spend", "expected_spend_lower", "expected_spend_upper",
    "clv", "clv_lower", "clv_upper",
)  # fmt: skip
_LEFT_OUT = ("customer_id", "cutoff", "model_version")  # the model's version is checked before
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


class GoldenFile(BaseModel):
    """What golden.json holds: forecasts of the golden rows, and golden tables."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    rows: dict[str, dict[str, dict[str, Cell]]]  # cutoff -> customer -> column -> value
    longer: dict[str, float]  # customer -> CLV over all periods the model has levels of, and one
    inputs: dict[str, list[float]]
    tables: dict[str, list[Cell]]
    trees: GoldenTrees | None = None  # before 0.2 was released, some bundles had none


LegacyGolden: TypeAlias = dict[str, dict[str, FiniteFloat]]  # of 0.1: customer -> forecast


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
            row["attributes"] = _make_attributes(attributes, len(rows))
        rows.append(row)
    return pd.DataFrame(rows)


def _make_attributes(coding: AttributeCoding, k: int) -> dict[str, Any]:
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
        positions = np.array([places[name] for name in ids])
        return pd.DataFrame(
            {name: values[(positions + k) % len(values)] for k, name in enumerate(names)}, index=ids
        )

    return replace(model, own_extra=ExtraFeatures(invent, names))


def forecast_golden_rows(model: TrainedModel) -> GoldenFile:
    """Forecasts of the golden customers, at a cutoff in every part of the year the season knows."""
    inputs = build_table_inputs(model.numbers)
    return GoldenFile(
        rows=dict(_forecast_all(model)),
        longer=_forecast_longer(model),
        inputs=inputs,
        tables=compute_tables(model.numbers, inputs),
        trees=build_golden_trees(model.trees, len(model.numbers.features)),
    )


def forecast_legacy_rows(model: TrainedModel) -> dict[str, dict[str, Cell]]:
    """Forecasts of the golden customers as 0.1 keeps and reads them."""
    rows = _forecast_first(model)
    return {name: {column: row[column] for column in _FORECASTS} for name, row in rows.items()}


def check_golden_rows(model: TrainedModel, expected: GoldenFile | LegacyGolden) -> None:
    """Score the golden rows; `BundleError` if a number differs by more than 1e-9, relative."""
    with np.errstate(all="ignore"):  # what overflows is no number, and refused as such
        _check(model, expected)


def _check(model: TrainedModel, expected: GoldenFile | LegacyGolden) -> None:
    if not isinstance(expected, GoldenFile):
        _compare_rows(_forecast_first(model), expected)
        return
    if expected.rows.keys() != set(_choose_cutoffs(model.numbers.blend)):
        raise _describe_unknown_rows()
    for cutoff, rows in _forecast_all(model):
        _compare_rows(rows, expected.rows[cutoff])
    longer = {customer_id: {"clv": clv} for customer_id, clv in expected.longer.items()}
    longer_forecasts = {
        customer_id: {"clv": clv} for customer_id, clv in _forecast_longer(model).items()
    }
    _compare_rows(longer_forecasts, longer, ("clv",))
    tables = compute_tables(model.numbers, expected.inputs)
    if tables.keys() != expected.tables.keys():
        raise _describe_unknown_rows()
    for name, cells in tables.items():
        values = expected.tables[name]
        if len(cells) != len(values) or not all(map(_is_same, cells, values)):
            raise BundleError(
                f"the bundle's golden table {name!r} gives other values than when it was saved"
            )
    if expected.trees is not None:
        check_golden_trees(model.trees, len(model.numbers.features), expected.trees)


def _choose_cutoffs(blend: Blend) -> list[str]:
    """The golden cutoff, and one at each place of the season's curves."""
    year = pd.Timestamp(CUTOFF).replace(month=1, day=1)
    days = (round(place * YEAR_DAYS) for place in blend.season.places)
    return list(dict.fromkeys((CUTOFF, *(f"{year + pd.Timedelta(days=d):%Y-%m-%d}" for d in days))))


def _read_rows(model: TrainedModel) -> tuple[int, Orders]:
    """The golden cutoff and the golden customers' orders."""
    numbers = model.numbers
    rows = build_golden_rows(numbers.optional_columns, numbers.attributes)
    instant, orders, _ = unnest(rows, numbers.orders, numbers.customers).groups[0]
    return instant, orders


def _forecast_first(model: TrainedModel) -> dict[str, dict[str, Cell]]:
    """The golden customers' forecasts at the golden cutoff."""
    instant, orders = _read_rows(model)
    return _forecast(model, orders, instant)


def _forecast_all(model: TrainedModel) -> Iterator[tuple[str, dict[str, dict[str, Cell]]]]:
    """The forecasts at each golden cutoff; the orders move with the cutoff, read once."""
    instant, orders = _read_rows(model)
    for cutoff in _choose_cutoffs(model.numbers.blend):
        shift = parse_instant(cutoff) - instant
        yield cutoff, _forecast(model, replace(orders, times=orders.times + shift), instant + shift)


def _forecast(model: TrainedModel, orders: Orders, instant: int) -> dict[str, dict[str, Cell]]:
    """Each golden customer's forecast, all columns but those that the bundle's files settle."""
    table = forecast_rows(add_golden_extras(model), orders, instant)
    columns = {
        name: [
            value.isoformat() if isinstance(value, datetime) else value
            for value in table[name].to_pylist()
        ]
        for name in table.column_names
        if name not in _LEFT_OUT
    }
    return {
        customer_id: {name: column[i] for name, column in columns.items()}
        for i, customer_id in enumerate(table["customer_id"].to_pylist())
    }


def _forecast_longer(model: TrainedModel) -> dict[str, float]:
    """Each golden customer's CLV over one period more than the model has levels of."""
    later = model.numbers.later
    levels = later.levels if isinstance(later, LaterSpend) else later.ratios
    rows = _forecast_first(replace(model, own_periods=len(levels) + 2))
    return {customer_id: float(str(row["clv"])) for customer_id, row in rows.items()}


def _compare_rows(
    found: Mapping[str, Mapping[str, Cell]],
    expected: Mapping[str, Mapping[str, Cell]],
    needed: Sequence[str] = _FORECASTS,
) -> None:
    if found.keys() != expected.keys():
        raise _describe_unknown_rows()
    for customer_id, row in expected.items():
        if not set(needed) <= set(row) <= set(found[customer_id]):
            raise _describe_unknown_rows()
        for name, value in row.items():
            if not _is_same(found[customer_id][name], value):
                raise BundleError(
                    f"the bundle's golden row {customer_id!r} must forecast {name} {value!r}, "
                    f"got {found[customer_id][name]!r}: this installation scores it differently"
                )


def _is_same(found: Cell, expected: Cell) -> bool:
    """Whether two values are equal, numbers to 1e-9 and instants to a second."""
    if isinstance(found, float) and isinstance(expected, float | int):
        return math.isclose(found, expected, rel_tol=_TOLERANCE)
    if found == expected or not isinstance(found, str) or not isinstance(expected, str):
        return found == expected
    try:
        gap = datetime.fromisoformat(found) - datetime.fromisoformat(expected)
    except (ValueError, TypeError):  # other texts
        return False
    return abs(gap) <= timedelta(seconds=1)


def _describe_unknown_rows() -> BundleError:
    return BundleError("the bundle's golden rows are not the ones this version knows")
