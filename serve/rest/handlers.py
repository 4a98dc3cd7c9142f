"""Request body in, response body out: JSON, or order lines as an Arrow stream or parquet file."""

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
import pyarrow.compute as pc
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
from ...models.explain_groups import explain_row_groups
from ...models.model import TrainedModel
from ...models.scoring import describe_terms, forecast_columns, forecast_rows
from ...orders import dates, windows
from ...orders.cutoffs import check_cutoff_from_now
from ...orders.orders import Orders
from ...orders.reading.attribute_records import (
    AttributeFault,
    attach_attribute_records,
    list_attribute_names,
    validate_attribute_records,
)
from ...orders.reading.customer_attributes import join_customers
from ...orders.reading.order_records import LineError, clean_id, is_missing_id, pack_records
from ...orders.reading.read_orders import read_table
from ...orders.reading.validation_issues import FaultyOrdersError
from .arrow_safety import is_compressed
from .errors import MAX_FAULTS, FieldError, Refusal, build_invalid_request
from .request_limits import Limits, check_size
from .schemas import (
    EXPLAIN_REQUEST,
    FORECAST_REQUEST,
    LONGEST_TEXT,
    ExplainRequest,
    ForecastRequest,
    format_field_path,
    parse_body,
)

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
_WIDEST = 50  # the memory of a table of order lines, at most, in multiples of its body


@dataclass(frozen=True)
class EncodedAnswer:
    """The body of a response, and how many customers it forecasts."""

    body: bytes
    media_type: str
    customers: int


@dataclass(frozen=True)
class _Request:
    """A JSON request: customer ids in its order, and the orders before the cutoff."""

    cutoff: int
    ids: list[str]
    observed: Orders

    def compute_rows(self) -> FeatureRows:
        return compute_feature_rows(self.observed, np.array([self.cutoff], dtype=np.int64))


def answer_json(model: TrainedModel, body: bytes, limits: Limits) -> EncodedAnswer:
    """Forecast the customers of a JSON request, in its order; raises `Refusal`."""
    request = _prepare_request(model, parse_body(FORECAST_REQUEST, body, limits))
    rows, observed = request.compute_rows(), request.observed
    columns: dict[str, list[Any]] = {
        "customer_id": observed.customer_ids.take(pa.array(rows.customer_index)).to_pylist()
    }
    forecasts = forecast_columns(model, observed, rows, request.cutoff, model.predict(rows))
    columns |= {name: values.tolist() for name, values in forecasts.items()}
    answers = {
        values[0]: dict(zip(columns, values, strict=True))
        for values in zip(*columns.values(), strict=True)
    }
    return _encode_answers(model, request, answers, "forecasts")


def explain_json(model: TrainedModel, body: bytes, limits: Limits) -> EncodedAnswer:
    """Explain the forecasts of a JSON request, in its order; raises `Refusal`."""
    content: ExplainRequest = parse_body(EXPLAIN_REQUEST, body, limits)
    request = _prepare_request(model, content)
    explain = explain_rows if content.get("details", False) else explain_row_groups
    answers: dict[str, dict[str, Any]] = {}
    for line in explain(model, request.compute_rows()).to_dict("records"):
        customer_id = line["customer_id"]
        answer = {"customer_id": customer_id, "clv": line["clv"], "reasons": []}
        reason = {name: line[name] for name in ("reason", "meaning", "amount")}
        for name in ("value", "typical"):
            number = line.get(name, math.nan)
            reason[name] = None if math.isnan(number) else number
        answers.setdefault(customer_id, answer)["reasons"].append(reason)
    return _encode_answers(
        model, request, answers, "explanations", basis=describe_terms(model).basis
    )


def _prepare_request(model: TrainedModel, request: ForecastRequest) -> _Request:
    cutoff = _parse_cutoff(model, request["cutoff"])
    customers = request["customers"]
    ids = _clean_ids([customer["customer_id"] for customer in customers])
    records = [(name, customer["orders"]) for name, customer in zip(ids, customers, strict=True)]
    try:
        orders = pack_records(records, model.numbers.optional_columns, model.orders)
    except LineError as error:
        path = f"customers[{error.customer}].orders[{error.line}].{error.column}"
        raise build_invalid_request([FieldError(path=path, rule=error.rule)]) from None
    except OrdersError as error:
        raise Refusal(422, "invalid", str(error)) from None
    attributes = [customer.get("attributes") for customer in customers]
    orders = _attach_attributes(model, orders, ids, attributes)
    return _Request(cutoff, ids, windows.slice_observed(orders, cutoff))


def _attach_attributes(
    model: TrainedModel, orders: Orders, ids: list[str], attributes: list[Any]
) -> Orders:
    """The orders with the customers' attributes of a request, validated; raises `Refusal`."""
    config, zone = model.customers, model.orders.timezone
    if config is None:
        faults = [
            AttributeFault(k, None, "must be left out: this model learned from no attributes")
            for k, record in enumerate(attributes)
            if record is not None
        ]
    else:
        faults = list(islice(validate_attribute_records(attributes, config, zone), MAX_FAULTS))
    if faults:
        raise build_invalid_request([_locate_attribute_fault(fault) for fault in faults])
    if config is None:
        return model.usable_columns(orders)
    return model.usable_columns(attach_attribute_records(orders, ids, attributes, config, zone))


def _locate_attribute_fault(fault: AttributeFault) -> FieldError:
    path = ("customers", fault.customer, "attributes")
    name = () if fault.name is None else (fault.name,)
    return FieldError(path=format_field_path((*path, *name)), rule=fault.rule)


def _encode_answers(
    model: TrainedModel,
    request: _Request,
    answers: Mapping[str, dict[str, Any]],
    name: str,
    **facts: str,
) -> EncodedAnswer:
    content = {
        "model_version": model.version,
        "cutoff": dates.format_iso(request.cutoff),
        **facts,
        name: [answers[customer_id] for customer_id in request.ids if customer_id in answers],
        "without_orders": [name for name in request.ids if name not in answers],
    }
    return EncodedAnswer(to_json(content), JSON, len(answers))


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
        rule = "is required, as a query parameter"
        raise build_invalid_request([FieldError(path="cutoff", rule=rule)])
    instant = _parse_cutoff(model, cutoff)
    table = _read_table(body, media_type, limits)
    attributes = () if model.customers is None else list_attribute_names(model.customers)
    attribute_columns = [PREFIX + name for name in attributes]
    allowed = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *attribute_columns)
    unknown = [name for name in table.column_names if name not in allowed]
    if unknown:
        rule = "is no column of order lines"
        raise build_invalid_request(
            [FieldError(path=format_field_path((n,)), rule=rule) for n in unknown[:MAX_FAULTS]],
            len(unknown),
        )
    orders = _read_orders(model, table)
    check_size(orders.n_customers, table.num_rows, limits)
    needed = model.numbers.optional_columns
    _check_columns([name for name in needed if name not in orders.optional_columns])
    if model.customers is not None:
        orders = _attach_line_attributes(
            model.customers, orders, table, attribute_columns, model.orders.timezone
        )
    forecasts = forecast_rows(model, orders, instant)
    if accepted == ARROW:
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, forecasts.schema) as stream:
            stream.write_table(forecasts)
        return EncodedAnswer(sink.getvalue(), ARROW, forecasts.num_rows)
    scored = set(forecasts["customer_id"].to_pylist())
    content = {
        "model_version": model.version,
        "cutoff": dates.format_iso(instant),
        "forecasts": forecasts.to_pylist(),
        "without_orders": [name for name in orders.customer_ids.to_pylist() if name not in scored],
    }
    return EncodedAnswer(to_json(content), JSON, forecasts.num_rows)


def _check_columns(missing: list[str]) -> None:
    """Refuse a table without columns that the model learned from: the same for all customers."""
    if missing:
        rule = "is a column the model needs, null where unknown"
        raise build_invalid_request([FieldError(path=name, rule=rule) for name in missing])


def _attach_line_attributes(
    config: CustomersConfig, orders: Orders, table: pa.Table, columns: list[str], zone: str | None
) -> Orders:
    """The orders with attributes from their lines, where all lines of a customer must agree."""
    _check_columns([name for name in columns if name not in table.column_names])
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
        rule = "must be text, numbers or dates as in training, the same on all lines of a customer"
        raise build_invalid_request([FieldError(path=f"{PREFIX}*", rule=rule)]) from None


def _parse_cutoff(model: TrainedModel, cutoff: str) -> int:
    """The cutoff's instant; raises `Refusal` for one more than a horizon after now."""
    horizon_days = model.numbers.horizon_days
    rule = "must be a date of the calendar such as 2011-12-10"
    try:
        instant = dates.parse_instant(cutoff)
        rule = f"must be within {horizon_days} days from now, the model's horizon"
        check_cutoff_from_now(instant, horizon_days, datetime.now())
    except ConfigError:
        raise build_invalid_request([FieldError(path="cutoff", rule=rule)]) from None
    return instant


def _clean_ids(raw_ids: list[str]) -> list[str]:
    ids = [clean_id(raw_id) for raw_id in raw_ids]
    seen_ids: set[str] = set()
    faults = []
    for position, customer_id in enumerate(ids):
        path = f"customers[{position}].customer_id"
        if is_missing_id(customer_id):
            faults.append(FieldError(path=path, rule="must name a customer, got no id"))
        elif customer_id in seen_ids:
            faults.append(FieldError(path=path, rule="must not repeat an id of this request"))
        seen_ids.add(customer_id)
    if faults:
        raise build_invalid_request(faults)
    return ids


def _read_table(body: bytes, media_type: str, limits: Limits) -> pa.Table:
    too_large = Refusal(
        413, "too_large", f"a request must have at most {limits.lines} order lines; split it"
    )
    most_bytes = _WIDEST * max(len(body), 100_000)
    try:
        if media_type == PARQUET:
            metadata = pq.read_metadata(io.BytesIO(body))
            if metadata.num_rows > limits.lines or metadata.num_row_groups > limits.lines:
                raise too_large
            groups = (metadata.row_group(k) for k in range(metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > most_bytes:
                raise too_large
            # a text that 100,000 rows share is read once: 4 KB of parquet may repeat it to 2 GB
            names = metadata.schema.to_arrow_schema().names
            table = pq.ParquetFile(io.BytesIO(body), read_dictionary=names).read()
        else:
            if is_compressed(body):
                raise Refusal(
                    415, "unsupported", "an Arrow stream must not be compressed; parquet may be"
                )
            with pa.ipc.open_stream(body) as stream:
                table = stream.read_all()
        if table.num_rows > limits.lines:
            raise too_large
        table.validate(full=True)
        long = [name for name in table.column_names if _has_long_text(table[name])]
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError):
        kind = "a parquet file" if media_type == PARQUET else "an Arrow stream"
        raise Refusal(400, "no_table", f"the body must be {kind}") from None
    if long:
        rule = f"must have at most {LONGEST_TEXT} characters"
        faults = [FieldError(path=format_field_path((n,)), rule=rule) for n in long[:MAX_FAULTS]]
        raise build_invalid_request(faults, len(long))
    return table


def _has_long_text(column: pa.ChunkedArray) -> bool:
    """Whether a column of text, or of a dictionary of texts, holds one that is too long."""
    for chunk in column.chunks:
        values = chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk
        if pa.types.is_string_view(values.type):
            values = values.cast(pa.large_string())
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            longest = pc.max(pc.utf8_length(values)).as_py()
            if longest is not None and longest > LONGEST_TEXT:
                return True
    return False


def _read_orders(model: TrainedModel, table: pa.Table) -> Orders:
    plain = OrdersConfig(
        timezone=model.orders.timezone,
        currency_decimals=model.orders.currency_decimals,
        max_rejected_share=0.0,
    )
    try:
        orders = read_table(table, plain)
    except FaultyOrdersError as error:
        raise build_invalid_request(
            [FieldError(path=f"rows {list(f.rows[:3])}", rule=f.rule) for f in error.faults]
        ) from None
    except OrdersError:
        raise Refusal(422, "invalid", "the table holds no usable order lines") from None
    if orders.report.lines_without_customer:
        rule = "must name a customer on every line"
        raise build_invalid_request([FieldError(path="customer_id", rule=rule)])
    return orders
