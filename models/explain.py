"""Why: each customer's CLV as amounts that add up to it, by feature or by group of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import OrdersError
from ..features.catalogue import CATALOGUE
from ..features.table import FeatureRows, compute_feature_rows
from ..orders import dates, windows
from ..orders.cutoffs import check_cutoff, get_default_cutoff
from ..orders.orders import Orders
from ..orders.reading.customer_attributes import Customers, attach_customers
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from .contributions import N_OWN, TYPICAL, compute_contributions
from .explain_groups import explain_row_groups
from .model import TrainedModel
from .scoring import choose_cutoff, describe_terms

__all__ = ["TYPICAL", "explain", "explain_rows"]

_MEANINGS = {feature.name: feature.meaning for feature in CATALOGUE}


def explain(
    model: TrainedModel,
    orders: OrdersSource,
    cutoff: dates.Instant | None = None,
    *,
    customers: Sequence[str] | None = None,
    attributes: Customers | None = None,
    largest: int = 5,
    by: Literal["feature", "group"] = "feature",
) -> pd.DataFrame:
    """Explain each customer's CLV as amounts that add up to it.

    Parameters
    ----------
    model : Model
        A trained model.
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders, a table of order lines, or where to read them.
    cutoff : str, date or datetime, optional
        The first instant that is not observed; by default the midnight after the newest line.
    customers : sequence of str, optional
        Ids of the customers to explain; all by default.
    attributes : DataFrame, pyarrow.Table, str or Path, optional
        Attributes of all customers, for a model that learned from any.
    largest : int, default 5
        How many reasons per customer; the others are added into one row.
    by : {'feature', 'group'}, default 'feature'
        `group` adds all features up by what they tell (how recent, how often, order size, returns,
        season, ...), in sentences, with the shop's `typical` value as a further column.

    Returns
    -------
    DataFrame
        customer_id, rank, reason, meaning, value (the feature's), amount (in the shop's
        currency), clv, and the basis of both: revenue, margin or contribution. Rank 0 is what a
        customer without a history would be worth.

    Raises
    ------
    OrdersError
        If the model cannot read the orders, or none of the customers is among them.
    ConfigError
        If the cutoff is out of range.

    """
    if not isinstance(orders, Orders):
        model.check_reading(model.orders)
    orders = coerce_orders(orders, model.orders)
    orders = attach_customers(orders, attributes, model.customers, model.orders)
    is_stated = orders.complete_until is not None
    instant = choose_cutoff(model, get_default_cutoff(orders), cutoff, is_stated=is_stated)
    check_cutoff(orders, instant, model.numbers.horizon_days)
    observed = windows.slice_observed(model.usable_columns(orders), instant)
    if customers is not None:
        customer_names = {customers} if isinstance(customers, str) else set(map(str, customers))
        ids = observed.customer_ids.to_pylist()
        observed = observed.keep_customers(
            np.array([name in customer_names for name in ids], dtype=bool)
        )
        if not observed.n_customers:
            raise OrdersError(
                f"none of the {len(customer_names)} customers asked for has an order before "
                f"{dates.format_instant(instant)}; look the ids up in the orders"
            )
    rows = compute_feature_rows(observed, np.array([instant], dtype=np.int64))
    explained = (
        explain_row_groups(model, rows) if by == "group" else explain_rows(model, rows, largest)
    )
    return explained.assign(basis=pd.array([describe_terms(model).basis] * len(explained), "str"))


def explain_rows(model: TrainedModel, rows: FeatureRows, largest: int = 5) -> pd.DataFrame:
    """The same of feature rows, row by row."""
    reasons, amounts, clv = compute_contributions(model, rows)
    n_rows, n_reasons = amounts.shape
    n_shown = min(largest, n_reasons - 1)
    order = 1 + np.argsort(-np.abs(amounts[:, 1:]), axis=1, kind="stable")[:, :n_shown]
    picked = np.concatenate([np.zeros((n_rows, 1), dtype=np.int64), order], axis=1)
    parts = np.take_along_axis(amounts, picked, axis=1)
    rest = clv - parts.sum(axis=1)
    names = np.array([*reasons, "everything else"], dtype=object)
    picked = np.column_stack([picked, np.full(n_rows, n_reasons)])
    parts = np.column_stack([parts, rest])
    features = np.full((n_rows, n_reasons + 1), np.nan)
    features[:, N_OWN:n_reasons] = rows.columns(reasons[N_OWN:])
    ids = rows.customer_ids.take(pa.array(rows.customer_index)).to_pylist()
    named = names[picked].ravel()
    return pd.DataFrame(
        {
            "customer_id": np.repeat(np.array(ids, dtype=object), picked.shape[1]),
            "rank": np.tile(np.arange(picked.shape[1]), n_rows),
            "reason": named,
            "meaning": [_MEANINGS.get(reason, reason) for reason in named],
            "value": np.take_along_axis(features, picked, axis=1).ravel(),
            "amount": parts.ravel(),
            "clv": np.repeat(clv, picked.shape[1]),
        }
    ).astype(dict.fromkeys(("customer_id", "reason", "meaning"), "str"))
