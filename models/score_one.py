"""One customer: orders in, a `Forecast` out, in about a millisecond, as in a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..configs.schema import OPTIONAL_COLUMNS
from ..errors import OrdersError, quote
from ..features.table import compute_feature_rows
from ..notebook_cards import format_card
from ..orders import dates, windows
from ..orders.cutoffs import check_cutoff_from_now
from ..orders.orders import Orders
from ..orders.reading.attribute_records import (
    attach_attribute_records,
    list_attribute_names,
    validate_attribute_records,
)
from ..orders.reading.frames import ArrowStream, is_frame
from ..orders.reading.order_records import LineError, clean_id, is_missing_id, pack_records
from ..orders.reading.read_orders import coerce_orders, read_table
from .model import TrainedModel
from .scoring import forecast_columns

__all__ = ["Forecast", "score_one"]

_TUPLE = ("ordered_at", "amount", "order_id")
OwnOrders: TypeAlias = (
    Orders | pd.DataFrame | ArrowStream | Sequence[Mapping[Any, Any]] | Sequence[tuple[Any, ...]]
)


@dataclass(frozen=True)
class Forecast:
    """A forecast row: one customer at one cutoff by one model. Money is in the shop's currency.

    Attributes
    ----------
    customer_id, cutoff, model_version : str, datetime, str
        What the row is of.
    n_orders, days_since_last_order, tenure_days : int
        The customer's history at the cutoff.
    churn_probability : float
        Probability of no order in the next period, 0 to 1.
    expected_orders, expected_spend : float
        Means for the next period; `expected_spend_lower` and `expected_spend_upper` bound it.
    clv, clv_lower, clv_upper : float
        Discounted margin over the CLV horizon, and its bounds.
    expected_next_order_at, next_order_from, next_order_until : datetime or None
        When the next order is due, and the bounds of that; None if none is expected.
    rfm_segment, tier, risk, evidence : str
        Classes of the customer, and what the forecast rests on.
    own_share : float
        Share of the forecast that is the customer's own, not the average customer's: 0 to 1.
    spend_deviation, clv_deviation, spend_shock, clv_shock : float
        The customer's standard deviations, and the shocks that move all customers together;
        `clvcast.total` makes the interval of a sum from them.
    retention_value, value_at_risk : float
        What an order in the next period adds to CLV, and that times churn_probability.

    """

    customer_id: str
    cutoff: datetime
    model_version: str
    n_orders: int
    days_since_last_order: int
    tenure_days: int
    churn_probability: float
    expected_orders: float
    expected_spend: float
    expected_spend_lower: float
    expected_spend_upper: float
    clv: float
    clv_lower: float
    clv_upper: float
    expected_next_order_at: datetime | None
    rfm_segment: str
    tier: str
    risk: str
    evidence: str
    next_order_from: datetime | None
    next_order_until: datetime | None
    own_share: float
    spend_deviation: float
    clv_deviation: float
    spend_shock: float
    clv_shock: float
    retention_value: float
    value_at_risk: float

    def _repr_html_(self) -> str:
        facts = dict(list(asdict(self).items())[1:])
        return format_card(f"Forecast of {self.customer_id}", facts)


def score_one(
    model: TrainedModel,
    orders: OwnOrders,
    cutoff: dates.Instant,
    customer_id: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Forecast:
    """Forecast one customer: the numbers of `clvcast.score`, bit for bit.

    `orders` are the customer's order lines: dictionaries with ordered_at, amount and the optional
    columns, or tuples (ordered_at, amount[, order_id]), or a table, or `Orders`, of one customer.
    `attributes` is what is known of the customer at the cutoff, for a model that learned from any.
    Raises `OrdersError` where a line cannot be used or no order lies before the cutoff,
    `ConfigError` for a cutoff more than a horizon from now: one customer's silence does not say
    when the shop's orders end, but nothing can be known of the time between now and the cutoff.
    """
    instant = dates.parse_instant(cutoff)
    check_cutoff_from_now(instant, model.numbers.horizon_days, datetime.now())
    packed = _pack_lines(model, orders, customer_id)
    if packed.n_customers != 1:
        raise OrdersError(
            f"one customer's orders are wanted, got {packed.n_customers} customers; "
            "clvcast.score forecasts many"
        )
    observed = windows.slice_observed(
        model.usable_columns(_attach_attributes(model, packed, attributes)), instant
    )
    rows = compute_feature_rows(observed, np.array([instant], dtype=np.int64))
    if not rows.n_rows:
        raise OrdersError(
            f"the customer has no order before {dates.format_instant(instant)}; leave the "
            "customer out"
        )
    columns = forecast_columns(model, observed, rows, instant, model.predict(rows))
    return Forecast(
        customer_id=observed.customer_ids[0].as_py(),
        **{name: values.tolist()[0] for name, values in columns.items()},
    )


def _attach_attributes(
    model: TrainedModel, orders: Orders, attributes: Mapping[str, Any] | None
) -> Orders:
    config = model.customers
    if config is None:
        if attributes is not None:
            raise OrdersError(
                "attributes were given, and the model learned from none; leave them out"
            )
        return orders
    if attributes is None:
        if orders.attributes is None:
            raise OrdersError(
                "the model needs the customer attributes "
                f"{', '.join(list_attribute_names(config))}; give "
                "attributes={...}, None where unknown"
            )
        return orders
    zone = model.orders.timezone
    for fault in validate_attribute_records([attributes], config, zone):
        raise OrdersError(
            f"the attribute{'' if fault.name is None else ' ' + fault.name} {fault.rule}"
        )
    return attach_attribute_records(
        orders, orders.customer_ids.to_pylist(), [attributes], config, zone
    )


def _pack_lines(model: TrainedModel, orders: object, customer_id: str | None) -> Orders:
    if isinstance(orders, Orders) or (is_frame(orders) and not isinstance(orders, Sequence)):
        return coerce_orders(orders, model.orders)
    if not isinstance(orders, Sequence) or isinstance(orders, str) or not len(orders):
        raise OrdersError(
            "a customer's orders are a list of order lines, a table or Orders, at least one line, "
            f"got {type(orders).__name__}"
        )
    lines = [line if type(line) is dict else _name_values(line) for line in orders]
    named_customers = {line["customer_id"] for line in lines if "customer_id" in line}
    if len(named_customers) > 1:
        raise OrdersError(
            f"one customer's orders are wanted, got those of {len(named_customers)} customers"
        )
    customer = (
        named_customers.pop()
        if named_customers
        else "customer"
        if customer_id is None
        else customer_id
    )
    cleaned = clean_id(customer) if isinstance(customer, str) else ""
    if is_missing_id(cleaned):
        raise OrdersError(f"customer_id must be text and not empty, got {quote(customer)}")
    config, needed = model.orders, model.numbers.optional_columns
    _check_fields(lines, needed)
    try:
        return pack_records([(cleaned, lines)], needed, config)
    except LineError:  # written in another way than the usual: the reader knows more, and says more
        plain = config.model_copy(
            update={"columns": {}, "max_rejected_share": 0.0, "duplicates": "keep"}
        )
        frame = pd.DataFrame(lines).assign(customer_id=cleaned)
        absent = [name for name in needed if name not in frame]
        return read_table(frame.assign(**dict.fromkeys(absent)), plain)


def _check_fields(lines: Sequence[Mapping[str, Any]], needed: Sequence[str]) -> None:
    """Refuse a field of another name where one the model knows is absent: it may be misspelt."""
    names = {name for line in lines for name in line}
    unknown = sorted(map(str, names - {*_TUPLE, "customer_id", *OPTIONAL_COLUMNS}))
    absent = [name for name in needed if name not in names]
    if unknown and absent:
        raise OrdersError(
            f"an order line has the unknown field {quote(unknown[0])}, and lacks "
            f"{', '.join(absent)}; "
            "rename it, or leave it out: a missing field is unknown"
        )


def _name_values(line: object) -> Mapping[str, Any]:
    if isinstance(line, Mapping):
        return line
    if isinstance(line, tuple) and 2 <= len(line) <= len(_TUPLE):
        return dict(zip(_TUPLE, line, strict=False))
    raise OrdersError(
        f"an order line is a dictionary or a tuple ({', '.join(_TUPLE)}), got {quote(line)}"
    )
