"""Attributes told with a customer: what is known of it at the cutoff, as a request or a nested row
says it.

Text is text, numbers are numbers, dates are ISO text; None is unknown. They join the orders by the
reader's own code, so a label or a date means what it means in a file of customers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from ...configs.schema import CustomersConfig, FormatConfig
from ...errors import OrdersError, quote
from ..orders import Orders
from .customer_attributes import join_customers
from .line_rules import FINITE
from .order_records import describe_cell_fault

__all__ = [
    "AttributeFault",
    "attach_attribute_records",
    "list_attribute_names",
    "validate_attribute_records",
]

_LONGEST = 1_000  # characters of a text


@dataclass(frozen=True)
class AttributeFault:
    """An attribute that breaks a rule: of which customer (from 0), which, and the rule without the
    value.
    """

    customer: int
    name: str | None  # None: all of them
    rule: str


def list_attribute_names(config: CustomersConfig) -> tuple[str, ...]:
    """The attributes a model learned from."""
    return tuple(name for name in config.columns if name != "customer_id")


def validate_attribute_records(
    told: Sequence[Any], config: CustomersConfig, timezone: str | None
) -> Iterator[AttributeFault]:
    """What is wrong with the attributes of some customers, each a mapping of names to values."""
    names, zone = list_attribute_names(config), ZoneInfo(timezone) if timezone else None
    for customer, record in enumerate(told):
        if not isinstance(record, Mapping):
            rule = f"is required, with any of {', '.join(names)}; {{}} where nothing is known"
            yield AttributeFault(customer, None, rule)
            continue
        for name, value in record.items():
            if name not in names:
                rule = f"is no attribute of this model, whose are {', '.join(names)}"
                yield AttributeFault(customer, str(name), rule)
            elif value is not None:
                rule = _find_broken_rule(value, config.types.get(name, "text"), zone)
                if rule:
                    yield AttributeFault(customer, name, rule)


def _find_broken_rule(value: object, kind: str, zone: ZoneInfo | None) -> str:
    """The rule a value breaks; empty where it breaks none."""
    if kind == "number" and value != value:
        return f"{FINITE}, null where unknown"
    if kind == "text" and isinstance(value, str) and len(value) > _LONGEST:
        return f"must have at most {_LONGEST} characters"
    return describe_cell_fault(value, kind, zone)


def attach_attribute_records(
    orders: Orders,
    customer_ids: Sequence[str],
    told: Sequence[Any],
    config: CustomersConfig,
    timezone: str | None,
) -> Orders:
    """The orders with what is told of the customers named; raises `OrdersError`."""
    names = list_attribute_names(config)
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for record in told:
        if record is not None and not isinstance(record, Mapping):
            raise OrdersError("attributes must have named fields, such as {'country': 'GB'}")
        unknown = [name for name in record or () if name not in columns]
        if unknown:
            raise OrdersError(
                f"unknown attribute {quote(unknown[0])}; known are {', '.join(names)}"
            )
        for name in names:
            columns[name].append(record.get(name) if record else None)
    arrays = [pa.array(customer_ids, pa.string())]
    for name, values in columns.items():
        try:
            is_number = config.types.get(name) == "number"
            arrays.append(
                pa.array(values, pa.float64() if is_number else pa.string(), from_pandas=True)
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            kind = "a number" if is_number else "text"
            raise OrdersError(f"the attribute {name} must be {kind} in every row") from None
    table = pa.table(arrays, names=["customer_id", *columns])
    ours = {name: name for name in config.columns}
    plain = {"columns": ours, "valid_from": None, "format": FormatConfig()}
    return join_customers(orders, table, config.model_copy(update=plain), timezone)
