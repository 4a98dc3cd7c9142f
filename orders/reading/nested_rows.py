"""Nested orders: one row per customer with its orders inside, the input of MLflow and Spark.

A frame of order lines would be cut across batches in the middle of a customer; a row that carries
all of a customer's orders cannot be. A row that cannot be used gets a reason and never stops the
others: whoever sends many customers wants the forecasts of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ...configs.schema import OPTIONAL_COLUMNS, CustomersConfig, OrdersConfig
from ...errors import ConfigError, OrdersError, quote
from .. import dates, windows
from ..attribute_values import format_attributes
from ..order_table import build_order_table
from ..orders import Orders
from .attribute_records import attach_attribute_records
from .customer_attributes import infer_customers_config, join_customers
from .order_records import clean_id, describe_cell_fault, is_missing_id
from .read_orders import OrdersSource, coerce_orders, read_table
from .validation_issues import Fault, FaultyOrdersError

__all__ = ["NO_ORDER", "NestedOrders", "nest", "unnest"]

_OWN_COLUMNS = ("customer_id", "cutoff", "orders")
NO_ORDER = "no order before the cutoff"


@dataclass(frozen=True)
class NestedOrders:
    """Orders of nested rows, and why the other rows hold none that can be used."""

    # each: a cutoff, orders, and which row of the input each of their customers is
    groups: list[tuple[int, Orders, list[int]]] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)  # row of the input -> reason


def nest(
    orders: OrdersSource,
    cutoff: dates.Instant,
    customers: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Build one row per customer, with the order lines before the cutoff inside it.

    Customers without an order before the cutoff cannot be forecast and are left out; `attrs` holds
    how many under `customers_without_orders`.

    Parameters
    ----------
    orders : Orders, frame, str or Path
        Order histories: what `clvcast.read_orders` returns, a frame or list of order lines, or
        where to read them.
    cutoff : str, date or datetime
        The first instant that is not observed.
    customers : DataFrame, optional
        Facts about the customers: customer_id, a column each, and valid_from if they are dated.

    Returns
    -------
    DataFrame
        customer_id, cutoff (ISO text) and orders: a list of one dictionary per line, with
        ordered_at as ISO text, amount in the shop's currency, and the optional columns. Where
        facts are known, `attributes` holds those of the cutoff: text, numbers, dates as ISO text.

    Raises
    ------
    OrdersError
        If the orders cannot be read.
    ConfigError
        If the cutoff is no date.

    Examples
    --------
    >>> lines = [
    ...     {"customer_id": "a", "ordered_at": "2024-01-05", "amount": 10.0},
    ...     {"customer_id": "b", "ordered_at": "2024-02-01", "amount": 20.0},
    ... ]
    >>> nest(lines, "2024-02-01")["orders"].tolist()
    [[{'ordered_at': '2024-01-05T00:00:00.000000', 'amount': 10.0}]]

    """
    instant = dates.parse_instant(cutoff)
    orders = coerce_orders(orders)
    if customers is not None:
        orders = join_customers(orders, customers, infer_customers_config(customers))
    n_customers = orders.n_customers
    observed = windows.slice_observed(orders, instant)
    observed = observed.keep_customers(build_order_table(observed, instant).n_orders > 0)
    times = np.datetime_as_string(observed.times.view("datetime64[us]"), unit="us")
    columns: dict[str, Sequence[Any]] = {
        "ordered_at": times.tolist(),
        "amount": (observed.amounts / observed.unit).tolist(),
    }
    for name, text in observed.texts.items():
        columns[name] = text.to_text().to_pylist()
    for name, values in observed.numbers.items():
        columns[name] = [None if np.isnan(value) else float(value) for value in values]
    lines = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    starts = observed.starts.tolist()
    rows = {
        "customer_id": observed.customer_ids.to_pylist(),
        "cutoff": dates.format_iso(instant),
        "orders": [lines[low:high] for low, high in pairwise(starts)],
    }
    if observed.attributes is not None:
        rows["attributes"] = format_attributes(observed.attributes, instant)
    table = pd.DataFrame(rows)
    table.attrs["customers_without_orders"] = n_customers - observed.n_customers
    return table


def unnest(
    rows: pd.DataFrame,
    config: OrdersConfig,
    customers: CustomersConfig | None = None,
    needed: Sequence[str] = (),
) -> NestedOrders:
    """Read nested rows: their orders by cutoff, and a reason for each row that cannot be used.

    Times are ISO text and amounts numbers, whatever the shop's files look like. With `customers`,
    of a model that needs attributes, those of the column `attributes` are joined. `needed` are the
    optional columns of a model: null in lines that lack them. Raises
    `OrdersError` where a column is missing.
    """
    missing = [name for name in _OWN_COLUMNS if name not in rows.columns]
    if missing:
        raise OrdersError(
            f"a nested row has the columns {', '.join(_OWN_COLUMNS)}, got "
            f"{', '.join(map(str, rows.columns))}; clvcast.nest(orders, cutoff) makes them"
        )
    attributes = rows["attributes"] if customers and "attributes" in rows.columns else None
    nested = NestedOrders()
    usable: dict[int, dict[str, _Row]] = {}  # cutoff -> customer -> row
    for position, (customer_id, cutoff, orders) in enumerate(
        zip(rows["customer_id"], rows["cutoff"], rows["orders"], strict=True)
    ):
        try:
            row = _read_row(position, customer_id, orders)
            instant = dates.parse_instant(cutoff)
            if row.customer_id in usable.setdefault(instant, {}):
                raise OrdersError("repeats the customer and cutoff of an earlier row")
        except (OrdersError, ConfigError) as error:
            nested.reasons[position] = str(error)
            continue
        if attributes is not None:
            row.attributes.append(attributes.iloc[position])
        usable[instant][row.customer_id] = row
    lines = [
        line
        for customer_lines in usable.values()
        for row in customer_lines.values()
        for line in row.lines
    ]
    reader = _Reader(
        tuple(dict.fromkeys([*(name for line in lines for name in line), *needed])),
        OrdersConfig(
            timezone=config.timezone,
            currency_decimals=config.currency_decimals,
            max_rejected_share=0.0,
        ),
        customers if attributes is not None else None,
        nested,
    )
    for instant, customer_lines in usable.items():
        reader.read(instant, list(customer_lines.values()))
    return nested


@dataclass(frozen=True)
class _Row:
    position: int
    customer_id: str
    lines: list[dict[str, Any]]
    attributes: list[Any] = field(default_factory=list)  # none, or one entry


def _read_row(position: int, customer_id: object, own: object) -> _Row:
    """A row with its id cleaned as orders have it; raises `OrdersError` with the reason."""
    rule = describe_cell_fault(customer_id, "text", None)
    if rule or not isinstance(customer_id, str):
        raise OrdersError(f"customer_id {rule or 'must be text'}, got {quote(customer_id)}")
    cleaned = clean_id(customer_id)
    if is_missing_id(cleaned):
        raise OrdersError(f"customer_id must not be empty, got {quote(customer_id)}")
    if isinstance(own, str) or not isinstance(own, Sequence | np.ndarray):
        raise OrdersError(f"orders must be a list of order lines, got {type(own).__name__}")
    if not len(own):
        raise OrdersError(NO_ORDER)
    return _Row(position, cleaned, [_read_line(line, cleaned) for line in own])


@dataclass(frozen=True)
class _Reader:
    columns: tuple[str, ...]  # of all lines: a row is read alike with others and alone
    config: OrdersConfig
    customers: CustomersConfig | None
    found: NestedOrders

    def read(self, instant: int, rows: list[_Row]) -> None:
        """Add the orders of some rows; rows that cannot be read are found by halving."""
        if not rows:
            return
        try:
            orders = self._pack(rows)
        except OrdersError as error:
            if len(rows) == 1:
                self.found.reasons[rows[0].position] = _describe(error)
                return
            self.read(instant, rows[: len(rows) // 2])
            self.read(instant, rows[len(rows) // 2 :])
            return
        position = {row.customer_id: row.position for row in rows}
        positions = [position[customer] for customer in orders.customer_ids.to_pylist()]
        self.found.groups.append((instant, orders, positions))

    def _pack(self, rows: list[_Row]) -> Orders:
        lines = [line for row in rows for line in row.lines]
        columns = {name: [line.get(name) for line in lines] for name in self.columns}
        orders = read_table(pd.DataFrame(columns), self.config)
        if self.customers is None:
            return orders
        ids, facts = [row.customer_id for row in rows], [row.attributes[0] for row in rows]
        zone = self.config.timezone
        return attach_attribute_records(orders, ids, facts, self.customers, zone)


def _describe(error: OrdersError) -> str:
    """Why one customer's orders cannot be read, without counts of lines."""
    if not isinstance(error, FaultyOrdersError):
        return str(error)
    fault = error.faults[0]
    return Fault(fault.rule, values=fault.values).sentence()


def _read_line(line: object, customer_id: str) -> dict[str, Any]:
    if not isinstance(line, Mapping):
        raise OrdersError(f"an order line must have named fields, got {quote(line)}")
    allowed = ("ordered_at", "amount", *OPTIONAL_COLUMNS)
    unknown = [name for name in line if name not in allowed]
    if unknown:
        raise OrdersError(f"an order line has the unknown field {quote(unknown[0])}")
    return {"customer_id": customer_id, **line}
