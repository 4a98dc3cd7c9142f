"""compare: two forecasts of one shop: how the total changed, and which customers changed most.

The bridge leads from A's total to B's in the steps of `evaluation.bridge`, each a difference of two
totals rounded to the smallest unit of the currency, so that its terms add up exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..atomic_files import write_tables
from ..configs.schema import Config
from ..errors import ConfigError, OrdersError
from ..models.forecast_terms import ForecastTerms, check_terms
from ..models.model import TrainedModel
from ..models.segments import RISKS
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from .bridge import CommonCustomers, Step, compute_steps
from .dictionary import build_dictionary
from .forecast_file import Forecasts, ForecastSource, read_forecast_history

__all__ = ["Comparison", "Term", "compare"]

_MEASURES = ("clv", "expected_spend")
_CLASSES = ("tier", "rfm_segment", "risk")
_ABSENT = "(not there)"


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
    basis: str = "unknown"  # what the money is: revenue, margin, contribution; unknown: not stated
    currency: str = ""
    segments: pd.DataFrame | None = None  # with `by`: segment, step, customers, amount
    remarks: tuple[str, ...] = ()

    def matrix(self, name: str, value: str = "customers") -> pd.DataFrame:
        """A migration as a matrix: a row per class in A, a column per class in B.

        `value` is customers, value_before or value_after.
        """
        table = self.migrations[name]
        return table.pivot_table(index="from", columns="to", values=value, fill_value=0)

    def bridge(self) -> pd.DataFrame:
        """The bridge as a table: step, customers, amount; the first row is A, the last B."""
        rows = [("A", None, self.before), *((t.name, t.customers, t.amount) for t in self.terms)]
        table = pd.DataFrame([*rows, ("B", None, self.after)], columns=_BRIDGE)
        return table.assign(customers=table["customers"].astype("Int64"), basis=self.basis)

    def save(self, folder: Path, ending: str = "csv") -> None:
        """Write bridge, migrations, rose, fell and dictionary into `folder`, all or none."""
        tables = {"bridge": self.bridge(), "rose": self.rose, "fell": self.fell}
        tables |= {f"migration_{name}": table for name, table in self.migrations.items()}
        if self.segments is not None:
            tables["bridge_by_segment"] = self.segments
        tables = {name: table.assign(basis=self.basis) for name, table in tables.items()}
        tables["dictionary"] = build_dictionary(tables, None, (self.basis, self.currency))
        write_tables(folder, tables, ending)


_BRIDGE = ["step", "customers", "amount"]


def compare(
    a: ForecastSource,
    b: ForecastSource,
    model: TrainedModel | None = None,
    orders: OrdersSource | None = None,
    *,
    measure: str = "clv",
    top: int = 10,
    by: str | None = None,
    config: Config | None = None,
) -> Comparison:
    """Compare an earlier forecast A with a later forecast B of the same shop.

    Parameters
    ----------
    a, b : DataFrame, pyarrow.Table, str or Path
        Forecasts of one cutoff each, as `clvcast.score` returns them, or their files.
    model : Model, optional
        The model of B. With `orders`, it separates the effects of another model, of ageing and
        of new orders; without it, customers are told apart by their two rows.
    orders : Orders, DataFrame, pyarrow.Table, str or Path, optional
        The orders B was made from: they tell what was earned since A.
    measure : {'clv', 'expected_spend'}, default 'clv'
        The total that is compared.
    top : int, default 10
        How many of the customers who rose and fell most are listed.
    by : {'tier', 'rfm_segment', 'risk'}, optional
        Also a bridge for each segment.
    config : Config, optional
        How to read the orders, where no model is given.

    Returns
    -------
    Comparison
        Both totals, the terms that lead from one to the other, movements between classes, and
        the customers who rose and fell most.

    Raises
    ------
    ConfigError
        If a model is given without orders, or A is later than B.
    OrdersError
        If a file holds no forecasts, the forecasts are not comparable (another currency, discount,
        horizon, number of periods or target, or no customer in common), or model and orders do not
        reproduce B.

    """
    if measure not in _MEASURES:
        raise ConfigError(f"measure must be clv or expected_spend, got {measure}")
    if by is not None and by not in _CLASSES:
        raise ConfigError(f"by must be one of {', '.join(_CLASSES)}, got {by}")
    if model is not None and orders is None:
        raise ConfigError("to forecast again, give both: B's model and the orders")
    first, second = read_forecast_history(a), read_forecast_history(b)
    before, after = _read_one(first, "A"), _read_one(second, "B")
    if before["cutoff"].iloc[0] > after["cutoff"].iloc[0]:
        raise ConfigError("A must be the earlier forecast, B the later one; exchange them")
    remarks = check_terms(
        ("forecast A", first.terms), ("forecast B", second.terms), ("economics.margin_rate",)
    )
    remarks += _describe_risk_limits(before, after)
    shared = before.index.intersection(after.index, sort=True)
    if not len(shared):
        raise OrdersError(
            f"forecasts A and B must be of one shop, but none of A's {len(before):,} customers is "
            "in B; give two forecasts of the same shop"
        )
    common = CommonCustomers(
        before.loc[shared], after.loc[shared], measure, (first.terms, second.terms)
    )
    order_lines, decimals = None, 2
    if orders is not None:
        order_lines = coerce_orders(orders, (model or config or Config()).orders)
        decimals = order_lines.currency_decimals
    lost, new = before.index.difference(shared), after.index.difference(shared)
    steps: list[Step] = [
        ("customers lost", -before.loc[lost, measure]),
        *compute_steps(common, model, order_lines),
        ("new customers", after.loc[new, measure]),
    ]
    terms, start, end = _add_up(before[measure], steps, decimals)
    moved = _list_moved(common)
    return Comparison(
        measure,
        start,
        end,
        terms,
        {
            name: _count_migration(before, after, name, measure)
            for name in _list_shared_customers(before, after)
        },
        moved[moved["change"] > 0].head(top).reset_index(drop=True),
        moved[moved["change"] < 0].iloc[::-1].head(top).reset_index(drop=True),
        *_describe_money(second.terms, measure),
        segments=None if by is None else _split(before, after, steps, by, measure, decimals),
        remarks=tuple(remarks),
    )


def _describe_money(terms: ForecastTerms | None, measure: str) -> tuple[str, str]:
    """The basis and the currency of a measure's money."""
    if terms is None:
        return "unknown", ""
    is_revenue = measure == "expected_spend" and terms.basis == "margin"
    return "revenue" if is_revenue else terms.basis, terms.currency


def _read_one(forecasts: Forecasts, name: str) -> pd.DataFrame:
    """The rows of one cutoff and one model, by customer."""
    rows = forecasts.rows
    for column in ("cutoff", "model_version"):
        n_values = len(rows[column].unique())
        if n_values > 1:
            raise OrdersError(
                f"forecast {name} must be of one cutoff and one model, got {n_values} of {column}"
            )
    frame: pd.DataFrame = rows.replace_schema_metadata().to_pandas()
    return frame.set_index("customer_id")


def _add_up(
    values: pd.Series, steps: Sequence[Step], decimals: int
) -> tuple[tuple[Term, ...], float, float]:
    """Terms as differences of rounded running totals: they add up in whole units, exactly."""
    unit = 10**decimals
    total = float(np.sum(values.to_numpy()))
    start = last = round(total * unit)
    terms = []
    for name, change in steps:
        total += float(np.sum(change.to_numpy()))
        now = round(total * unit)
        if len(change):
            terms.append(Term(name, len(change), (now - last) / unit))
            last = now
    return tuple(terms), start / unit, last / unit


def _split(
    before: pd.DataFrame,
    after: pd.DataFrame,
    steps: Sequence[Step],
    by: str,
    measure: str,
    decimals: int,
) -> pd.DataFrame:
    """A bridge for each segment: customers stand in A's, new ones in B's, and then some move."""
    missing = [name for name, frame in (("A", before), ("B", after)) if by not in frame]
    if missing:
        raise OrdersError(f"forecast {missing[0]} must have the column {by} for its bridge")
    old, new = before[by].astype(str), after[by].astype(str)
    home = old.combine_first(new)
    moved = after.index.intersection(before.index)
    moved = moved[(old[moved] != new[moved]).to_numpy()]
    rows = []
    for segment in sorted({*old, *new}):
        segment_steps = [
            (name, change[(home[change.index] == segment).to_numpy()]) for name, change in steps
        ]
        left = moved[(old[moved] == segment).to_numpy()]
        came = moved[(new[moved] == segment).to_numpy()]
        segment_steps.append(("moved to other segments", -after.loc[left, measure]))
        segment_steps.append(("moved from other segments", after.loc[came, measure]))
        terms, start, end = _add_up(before.loc[old == segment, measure], segment_steps, decimals)
        rows.append((segment, "A", int((old == segment).sum()), start))
        rows += [(segment, term.name, term.customers, term.amount) for term in terms]
        rows.append((segment, "B", int((new == segment).sum()), end))
    return pd.DataFrame(rows, columns=["segment", *_BRIDGE])


def _list_shared_customers(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    return [name for name in _CLASSES if name in before and name in after]


def _count_migration(
    before: pd.DataFrame, after: pd.DataFrame, name: str, measure: str
) -> pd.DataFrame:
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


def _describe_risk_limits(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """A remark where no pair of risk limits explains the bands of both forecasts; else none.

    Each model's training may cut the bands at other limits.
    """
    frames = (before, after)
    if not all({"risk", "churn_probability"} <= set(frame.columns) for frame in frames):
        return []
    ends = [frame.groupby("risk")["churn_probability"].agg(["min", "max"]) for frame in frames]
    lowest = pd.concat([end["min"] for end in ends], axis=1).reindex(RISKS).min(axis=1)
    highest = pd.concat([end["max"] for end in ends], axis=1).reindex(RISKS).max(axis=1)
    below, above = highest.dropna(), lowest.dropna()
    if (below.to_numpy()[:-1] < above.to_numpy()[1:]).all():
        return []
    bands = [
        ", ".join(
            f"{risk} {float(end['min'][risk]):.4f} to {float(end['max'][risk]):.4f}"
            for risk in RISKS
            if risk in end.index
        )
        for end in ends
    ]
    return [
        "forecasts A and B cut their risk bands at other churn probabilities (A: "
        f"{bands[0]}; B: {bands[1]}), so customers moved between bands without a change of their "
        "own; score both with the same segments.risk to compare bands"
    ]


def _list_moved(common: CommonCustomers) -> pd.DataFrame:
    moved = pd.DataFrame(
        {
            "customer_id": common.left.index.astype(object),
            "before": common.left[common.measure].to_numpy(),
            "after": common.values,
        }
    )
    moved["change"] = moved["after"] - moved["before"]
    return moved.sort_values(["change", "customer_id"], ascending=[False, True], kind="stable")
