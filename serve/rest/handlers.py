"""A request's body in, an answer's body out: JSON, or order lines as an Arrow stream or a parquet file."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from ...configs.schema import (
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    CustomersConfig,
    FormatConfig,
    OrdersConfig,
)
from ...errors import ConfigError, OrdersError
from ...features.attribute_features import PREFIX
from ...features.table import FeatureRows, compute_feature_rows
from ...models.explain import explain_rows
from ...models.model import TrainedModel
from ...models.scoring import forecast_columns, forecast_rows
from ...orders import dates, windows
from ...orders.cutoffs import check_cutoff_from_now
from ...orders.orders import Orders
from ...orders.reading.attribute_records import (
    attach_attribute_records,
    list_attribute_names,
    validate_attribute_records,
)
from ...orders.reading.customer_attributes import join_customers
from ...orders.reading.order_records import LineError, clean_id, is_missing_id, pack_records
from ...orders.reading.read_orders import read_table
from ...orders.reading.validation_issues import FaultyOrdersError
from .arrow_safety import is_compressed
from .errors import FieldError, Refusal
from .schemas import FORECAST_REQUEST, parse_body, parse_instant_field
from .settings import Limits

__all__ = [
    "ARROW",
    "JSON",
    "PARQUET",
    "EncodedAnswer",
    "answer_json",
    "answer_table",
    "explain_json",
]

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
_MOST_FAULTS = 20
_LONGEST_NAME = 64  # of a field in a path
_WIDEST = 50  # times its body a table of order lines may take in memory


@dataclass(frozen=True)
class EncodedAnswer:
    """The body of an answer, and how many customers it forecasts."""

    body: bytes
    media_type: str
    customers: int


@dataclass(frozen=True)
class _Asked:
    """What a JSON request holds: its customers in its order, and those known at the cutoff."""

    cutoff: int
    ids: list[str]
    known: Orders

    def rows(self) -> FeatureRows:
        """The feature rows of those known."""
        return compute_feature_rows(self.known, np.array([self.cutoff], dtype=np.int64))


def answer_json(model: TrainedModel, body: bytes, limits: Limits) -> EncodedAnswer:
    """Forecast the customers of a JSON request, in its order; raises `Refusal`."""
    asked = _asked(model, body, limits)
    rows = asked.rows()
    columns: dict[str, list[Any]] = {
        "customer_id": asked.known.customer_ids.take(pa.array(rows.customer_index)).to_pylist()
    }
    if rows.n_rows:
        columns |= {
            name: values.tolist()
            for name, values in forecast_columns(model, asked.known, rows, asked.cutoff).items()
        }
    found = {
        values[0]: dict(zip(columns, values, strict=True))
        for values in zip(*columns.values(), strict=True)
    }
    return _ordered(model, asked, found, "forecasts")


def explain_json(model: TrainedModel, body: bytes, limits: Limits) -> EncodedAnswer:
    """Explain the forecasts of a JSON request, in its order; raises `Refusal`."""
    asked = _asked(model, body, limits)
    rows = asked.rows()
    found: dict[str, dict[str, Any]] = {}
    if rows.n_rows:
        for line in explain_rows(model, rows).to_dict("records"):
            own = found.setdefault(
                line["customer_id"],
                {"customer_id": line["customer_id"], "clv": line["clv"], "reasons": []},
            )
            value = None if math.isnan(line["value"]) else line["value"]
            reason = {name: line[name] for name in ("reason", "meaning", "amount")}
            own["reasons"].append({**reason, "value": value})
    return _ordered(model, asked, found, "explanations")


def _asked(model: TrainedModel, body: bytes, limits: Limits) -> _Asked:
    request = parse_body(FORECAST_REQUEST, body)
    cutoff = _checked_cutoff(model, request["cutoff"])
    customers = request["customers"]
    _within(len(customers), sum(len(c["orders"]) for c in customers), limits)
    ids = _cleaned([customer["customer_id"] for customer in customers])
    given = [(own, customer["orders"]) for own, customer in zip(ids, customers, strict=True)]
    try:
        orders = pack_records(given, model.numbers.optional_columns, model.orders)
    except LineError as error:
        path = f"customers[{error.customer}].orders[{error.line}].{error.column}"
        raise _invalid([FieldError(path=path, rule=error.rule)]) from None
    except OrdersError:
        raise _lacking(model) from None
    told = [customer.get("attributes") for customer in customers]
    orders = _with_attributes(model, orders, ids, told)
    return _Asked(cutoff, ids, windows.slice_observed(orders, cutoff))


def _with_attributes(
    model: TrainedModel, orders: Orders, ids: list[str], told: list[Any]
) -> Orders:
    """The orders with what the request tells of their customers, checked; raises `Refusal`."""
    config, zone = model.customers, model.orders.timezone
    if config is None:
        faults = [
            FieldError(
                path=f"customers[{k}].attributes",
                rule="is none of this model's: it learned from none",
            )
            for k, own in enumerate(told)
            if own is not None
        ]
        if faults:
            raise _invalid(faults[:_MOST_FAULTS])
        return orders
    found = islice(validate_attribute_records(told, config, zone), _MOST_FAULTS)
    faults = [
        FieldError(
            path=f"customers[{fault.customer}].attributes"
            + ("" if fault.name is None else f".{fault.name[:_LONGEST_NAME]}"),
            rule=fault.rule,
        )
        for fault in found
    ]
    if faults:
        raise _invalid(faults)
    return model.usable_columns(attach_attribute_records(orders, ids, told, config, zone))


def _ordered(
    model: TrainedModel, asked: _Asked, found: Mapping[str, dict[str, Any]], name: str
) -> EncodedAnswer:
    content = {
        "model_version": model.version,
        "cutoff": dates.format_iso(asked.cutoff),
        name: [found[own] for own in asked.ids if own in found],
        "without_orders": [own for own in asked.ids if own not in found],
    }
    return EncodedAnswer(to_json(content), JSON, len(found))


def answer_table(
    model: TrainedModel,
    body: bytes,
    media_type: str,
    cutoff: str | None,
    accepted: str,
    limits: Limits,
) -> EncodedAnswer:
    """Forecast order lines given as a table, by customer_id; raises `Refusal`."""
    if not cutoff:
        raise _invalid([FieldError(path="cutoff", rule="is required, as a query parameter")])
    moment = _checked_cutoff(model, cutoff)
    table = _read(body, media_type, limits)
    attributes = [] if model.customers is None else [*list_attribute_names(model.customers)]
    own = [PREFIX + name for name in attributes]
    allowed = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *own)
    unknown = [n for n in table.column_names if n not in allowed]
    if unknown:
        raise _invalid(
            [FieldError(path=name[:64], rule="is no column of order lines") for name in unknown]
        )
    orders = _orders(model, table)
    _within(orders.n_customers, table.num_rows, limits)
    if any(name not in orders.optional_columns for name in model.numbers.optional_columns):
        raise _lacking(model)
    if model.customers is not None:
        orders = _attach_line_attributes(model.customers, orders, table, own, model.orders.timezone)
    forecasts = forecast_rows(model, orders, moment)
    if accepted == ARROW:
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, forecasts.schema) as stream:
            stream.write_table(forecasts)
        return EncodedAnswer(sink.getvalue(), ARROW, forecasts.num_rows)
    scored = set(forecasts["customer_id"].to_pylist())
    content = {
        "model_version": model.version,
        "cutoff": dates.format_iso(moment),
        "forecasts": forecasts.to_pylist(),
        "without_orders": [own for own in orders.customer_ids.to_pylist() if own not in scored],
    }
    return EncodedAnswer(to_json(content), JSON, forecasts.num_rows)


def _attach_line_attributes(
    config: CustomersConfig, orders: Orders, table: pa.Table, columns: list[str], zone: str | None
) -> Orders:
    """The orders with the attributes that stand on their lines, the same on all of a customer's."""
    lacking = [name for name in columns if name not in table.column_names]
    if lacking:
        raise _invalid(
            [
                FieldError(path=name, rule="is a column the model needs, null where unknown")
                for name in lacking
            ]
        )
    facts = table.select(["customer_id", *columns]).rename_columns(
        ["customer_id", *(name.removeprefix(PREFIX) for name in columns)]
    )
    plain = {
        "columns": {n: n for n in facts.column_names},
        "valid_from": None,
        "format": FormatConfig(),
    }
    try:
        return join_customers(orders, facts, config.model_copy(update=plain), zone)
    except OrdersError:
        rule = "must be text, numbers or dates as the model learned them, the same on all lines of a customer"
        raise _invalid([FieldError(path=f"{PREFIX}*", rule=rule)]) from None


def _checked_cutoff(model: TrainedModel, cutoff: str) -> int:
    """The cutoff; one more than a horizon from now is refused, for nothing is known of the time between."""
    moment = parse_instant_field(cutoff)
    horizon_days = model.numbers.horizon_days
    try:
        check_cutoff_from_now(moment, horizon_days, datetime.now())
    except ConfigError:
        rule = f"must be within {horizon_days} days from now, the model's horizon"
        raise _invalid([FieldError(path="cutoff", rule=rule)]) from None
    return moment


def _within(customers: int, lines: int, limits: Limits) -> None:
    for name, count, most in (
        ("customers", customers, limits.customers),
        ("order lines", lines, limits.lines),
    ):
        if count > most:
            raise Refusal(
                413,
                "too_large",
                f"a request must have at most {most} {name}, got {count}; send several",
            )


def _cleaned(stated: list[str]) -> list[str]:
    ids = [clean_id(own) for own in stated]
    seen: set[str] = set()
    faults = []
    for position, own in enumerate(ids):
        path = f"customers[{position}].customer_id"
        if is_missing_id(own):
            faults.append(FieldError(path=path, rule="must name a customer, not nothing"))
        elif own in seen:
            faults.append(FieldError(path=path, rule="must be another than those before it"))
        seen.add(own)
    if faults:
        raise _invalid(faults[:_MOST_FAULTS])
    return ids


def _read(body: bytes, media_type: str, limits: Limits) -> pa.Table:
    too_large = Refusal(
        413, "too_large", f"a request must have at most {limits.lines} order lines; send several"
    )
    most_bytes = _WIDEST * max(len(body), 100_000)
    try:
        if media_type == PARQUET:
            file = pq.ParquetFile(io.BytesIO(body))
            groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
            if file.metadata.num_rows > limits.lines:
                raise too_large
            if sum(group.total_byte_size for group in groups) > most_bytes:
                raise too_large
            table = file.read()
        else:
            if is_compressed(body):
                raise Refusal(
                    415, "unsupported", "an Arrow stream must not be compressed; parquet may be"
                )
            with pa.ipc.open_stream(body) as stream:
                table = stream.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError):
        kind = "a parquet file" if media_type == PARQUET else "an Arrow stream"
        raise Refusal(400, "no_table", f"the body must be {kind}") from None
    if table.num_rows > limits.lines:
        raise too_large
    return table


def _orders(model: TrainedModel, table: pa.Table) -> Orders:
    plain = OrdersConfig(
        timezone=model.orders.timezone,
        currency_decimals=model.orders.currency_decimals,
        max_rejected_share=0.0,
    )
    try:
        orders = read_table(table, plain)
    except FaultyOrdersError as error:
        faults = [
            FieldError(path=f"rows {list(f.rows[:3])}", rule=f.rule)
            for f in error.faults[:_MOST_FAULTS]
        ]
        raise _invalid(faults) from None
    except OrdersError:
        raise Refusal(422, "invalid", "the table holds no order lines that can be used") from None
    if orders.report.lines_without_customer:
        raise _invalid([FieldError(path="customer_id", rule="must name a customer on every line")])
    return orders


def _invalid(faults: list[FieldError]) -> Refusal:
    counted = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return Refusal(422, "invalid", f"the request has {counted}", faults)


def _lacking(model: TrainedModel) -> Refusal:
    names = ", ".join(model.numbers.optional_columns)
    return Refusal(
        422,
        "invalid",
        "the order lines lack a field the model needs, or add up to more than a sum can hold; "
        f"it needs {names or 'no optional ones'}, null where unknown",
    )
