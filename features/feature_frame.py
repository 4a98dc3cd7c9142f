"""`build_features`: the feature table as a DataFrame, whole or in parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, overload

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import ConfigError, quote
from ..orders import dates
from ..orders.columns import Int64
from ..orders.extra_features import ExtraFunction
from ..orders.orders import Orders
from ..orders.reading.read_orders import OrdersSource, coerce_orders
from .attribute_features import build_attribute_labels
from .catalogue import GROUPS
from .extra_features import attach_extra_features
from .table import compute_feature_rows

__all__ = ["build_features"]

_BLOCK_ROWS = 250_000


@overload
def build_features(
    orders: OrdersSource,
    cutoffs: Sequence[dates.Instant],
    groups: Collection[str] | None = None,
    *,
    extra_features: ExtraFunction | None = None,
    blocks: Literal[False] = False,
) -> pd.DataFrame: ...


@overload
def build_features(
    orders: OrdersSource,
    cutoffs: Sequence[dates.Instant],
    groups: Collection[str] | None = None,
    *,
    extra_features: ExtraFunction | None = None,
    blocks: Literal[True],
) -> Iterator[pd.DataFrame]: ...


def build_features(
    orders: OrdersSource,
    cutoffs: Sequence[dates.Instant],
    groups: Collection[str] | None = None,
    *,
    extra_features: ExtraFunction | None = None,
    blocks: bool = False,
) -> pd.DataFrame | Iterator[pd.DataFrame]:
    """Compute the features: one row per customer and cutoff.

    Orders at or after a cutoff do not change its rows.

    Parameters
    ----------
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders, a table of order lines, or where to read them.
    cutoffs : sequence of str, date or datetime
        The first instants that are not observed.
    groups : collection of str, optional
        Groups of features to compute, the headings of docs/features.md; all by default.
    extra_features : callable, optional
        Your own features: a function of (orders, cutoff), called once per cutoff with the order
        lines before it, that returns a DataFrame of numbers indexed by customer_id. A row must
        depend on that customer's lines alone; `clvcast.check(audit=True)` tests it.
    blocks : bool, default False
        Return the table in parts of some 250,000 rows, for tables that memory does not hold. Each
        part has all cutoffs of some customers, in the order of customer_id.

    Returns
    -------
    DataFrame, or an iterator of them
        customer_id, cutoff, then the features as float32, named in docs/features.md, then your own.

    Raises
    ------
    ConfigError
        If a cutoff is no date, a group does not exist, or `extra_features` breaks a rule.
    OrdersError
        If the orders cannot be read.

    """
    orders = attach_extra_features(coerce_orders(orders), extra_features)
    instants = np.array(dates.parse_instants(cutoffs), dtype=np.int64)
    names = None if groups is None else _checked(groups)
    if not blocks:
        return _compute_frame(orders, instants, names)
    step = max(1, _BLOCK_ROWS // max(1, len(instants)))  # customers
    return (
        _compute_frame(orders.slice_customers(low, low + step), instants, names)
        for low in range(0, orders.n_customers, step)
    )


def _compute_frame(orders: Orders, instants: Int64, groups: tuple[str, ...] | None) -> pd.DataFrame:
    rows = compute_feature_rows(orders, instants, groups)
    table = pd.DataFrame(rows.values, columns=list(rows.names), copy=False)
    ids = orders.customer_ids.take(pa.array(rows.customer_index))
    table.insert(0, "customer_id", ids.to_pandas())
    table.insert(1, "cutoff", instants.view("datetime64[us]")[rows.cutoff_index])
    labels = build_attribute_labels(orders, instants, rows.cutoff_index, rows.customer_index)
    for name, text in labels.items():
        table[name] = text.to_pandas()
    return table


def _checked(groups: Collection[str]) -> tuple[str, ...]:
    """The groups asked for, refused where the catalogue has no such."""
    group_names = [group.name for group in GROUPS]
    chosen_groups = (groups,) if isinstance(groups, str) else tuple(groups)
    for name in chosen_groups:
        if name not in group_names:
            raise ConfigError(f"groups are among {', '.join(group_names)}; got {quote(name)}")
    return chosen_groups
