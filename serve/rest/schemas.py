"""Payloads: what a request and an answer hold, strictly. 3.5 stays 3.5; "4", true and NaN are no numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, NotRequired

import pyarrow as pa
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from typing_extensions import TypedDict

from ...models.golden_rows import CUTOFF, build_golden_rows
from ...models.scoring import FORECAST_SCHEMA
from ...orders.dates import ISO_INSTANT, ISO_LOCAL, parse_instant
from ...orders.limits import MAX_AMOUNT
from .errors import FieldError, Refusal

__all__ = [
    "FORECAST_REQUEST",
    "RELOAD",
    "ExplainAnswer",
    "ForecastAnswer",
    "ForecastRequest",
    "ModelAnswer",
    "Reload",
    "Reloaded",
    "Status",
    "build_example_request",
    "format_field_path",
    "parse_body",
    "parse_instant_field",
]

_STRICT = ConfigDict(strict=True, extra="forbid")
_MOST_FAULTS = 20
_MOST_LISTED = 10_000  # faults; to make a list of more takes seconds
_LONGEST_NAME = 64  # of a field in a path
_Text = Annotated[str | None, Field(max_length=1_000)]
_Number = Annotated[float | None, Field(allow_inf_nan=False)]


# which attributes there are, and of which kind, is the model's to say: `orders.reading.attribute_records` checks them
_Attributes = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "null"]},
            "description": "What is known of the customer at the cutoff, for a model that learned from any "
            "(GET /v1/model names them): text, numbers, ISO dates, null where unknown.",
            "examples": [{"country": "GB", "points": 3.5, "signed_up": "2011-06-10"}],
        }
    ),
]


class OrderLine(TypedDict):
    """One order line, in the model's currency."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    ordered_at: Annotated[
        str,
        Field(
            pattern=f"^{ISO_INSTANT}$",
            description="ISO 8601, in the shop's own time; with an offset it is converted.",
            examples=["2011-06-10T14:30:00"],
        ),
    ]
    amount: Annotated[
        float,
        Field(
            ge=-MAX_AMOUNT,
            le=MAX_AMOUNT,
            allow_inf_nan=False,
            description="Money; negative is a return.",
        ),
    ]
    order_id: NotRequired[_Text]
    product_id: NotRequired[_Text]
    category: NotRequired[_Text]
    channel: NotRequired[_Text]
    quantity: NotRequired[_Number]
    discount: NotRequired[_Number]
    cost: NotRequired[_Number]


class Customer(TypedDict):
    """A customer with all of its order lines."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    customer_id: Annotated[str, Field(min_length=1, max_length=1_000)]
    orders: Annotated[list[OrderLine], Field(min_length=1)]
    attributes: NotRequired[_Attributes]


class ForecastRequest(TypedDict):
    """Customers to forecast at a cutoff: the first instant that is not observed."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    cutoff: Annotated[
        str,
        Field(
            pattern=f"^{ISO_LOCAL}$",
            description="Orders at or after it touch nothing. In the shop's own time.",
            examples=["2011-12-10"],
        ),
    ]
    customers: Annotated[
        list[Customer], Field(min_length=1, description="At most 1,000, each once.")
    ]


FORECAST_REQUEST: TypeAdapter[ForecastRequest] = TypeAdapter(ForecastRequest)


def _kind(kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return datetime
    if pa.types.is_integer(kind):
        return int
    return float if pa.types.is_floating(kind) else str


# the columns of a forecast row are those of every other way: they are stated in one place
_COLUMNS: dict[str, Any] = {
    field.name: (_kind(field.type) | None if field.name.endswith("_at") else _kind(field.type), ...)
    for field in FORECAST_SCHEMA
}
_ForecastRow = create_model(
    "ForecastRow",
    __doc__="The forecast of one customer; docs/forecasts.md explains every number.",
    **_COLUMNS,
)


class ForecastAnswer(BaseModel):
    """Forecasts in the order of the request."""

    model_version: str
    cutoff: datetime
    forecasts: list[_ForecastRow]
    without_orders: list[str] = Field(
        description="Customers of the request with no order before the cutoff: they have no forecast."
    )


class Reason(BaseModel):
    """One of the amounts of money that add up to a CLV."""

    reason: str
    meaning: str
    amount: float
    value: float | None = Field(description="The feature's value; null where there is none.")


class Explanation(BaseModel):
    """A customer's CLV and the amounts it is the sum of: the typical, the largest, the rest."""

    customer_id: str
    clv: float
    reasons: list[Reason]


class ExplainAnswer(BaseModel):
    """Explanations in the order of the request."""

    model_version: str
    cutoff: datetime
    explanations: list[Explanation]
    without_orders: list[str]


class ModelAnswer(BaseModel):
    """What the model is and what it needs."""

    model_version: str
    previous_version: str | None
    horizon_days: int
    periods: int
    clv_days: int
    currency: str
    timezone: str | None
    margin_rate: float
    annual_discount_rate: float
    needed_columns: list[str] = Field(
        description="Optional columns of order lines it learned from."
    )
    needed_attributes: dict[str, str] = Field(
        description="Attributes of customers it learned from, each with its kind: text, number or date."
    )
    features: list[str]
    trained_until: str | None = Field(description="The training's cutoff, as the registry has it.")
    data_span: str | None = Field(description="The orders it learned from, first day to cutoff.")
    measures: dict[str, float] | None = Field(
        description="Headline measures of the newest evaluation, as the registry has them."
    )
    registry: str | None = Field(description="The registered model and version.")
    remark: str | None = Field(description="Why what the registry knows is null.")


class Reload(TypedDict):
    """Which model is to answer."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    model: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1_000,
            description="models:/NAME@ALIAS, or a path below --models-root.",
            examples=["models:/clv@champion"],
        ),
    ]


RELOAD: TypeAdapter[Reload] = TypeAdapter(Reload)


class Reloaded(BaseModel):
    """The model that answers now, and the one kept for a rollback."""

    model_version: str
    previous_version: str | None


class Status(BaseModel):
    """Whether the server lives, or is ready."""

    status: str
    model_version: str


def parse_body(adapter: TypeAdapter[Any], body: bytes) -> Any:
    """A body as what it must be; raises a `Refusal` that names every field at fault and no value."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        if error.error_count() > _MOST_LISTED:
            rule = f"the request has {error.error_count()} faults, too many to name"
            raise Refusal(422, "invalid", rule) from None
        found = error.errors(include_url=False, include_input=False, include_context=True)
    if found[0]["type"] == "json_invalid":
        raise Refusal(400, "no_json", f"the body must be JSON: {_json_fault(found[0])}")
    faults = [
        FieldError(path=format_field_path(f["loc"]), rule=_rule(f)) for f in found[:_MOST_FAULTS]
    ]
    more = f", {_MOST_FAULTS} of them named" if len(found) > _MOST_FAULTS else ""
    counted = f"{len(found)} fault{'s' if len(found) > 1 else ''}"
    raise Refusal(422, "invalid", f"the request has {counted}{more}", faults)


def format_field_path(location: Iterable[int | str]) -> str:
    """Where a field stands.

    >>> format_field_path(("customers", 0, "orders", 2, "amount"))
    'customers[0].orders[2].amount'
    """
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:_LONGEST_NAME]}"
    return path.removeprefix(".") or "body"


def parse_instant_field(cutoff: str) -> int:
    """The cutoff's instant; raises a `Refusal` for one that no calendar has."""
    from ...errors import ConfigError

    try:
        return parse_instant(cutoff)
    except ConfigError:
        fault = FieldError(path="cutoff", rule="must be a date of the calendar such as 2011-12-10")
        raise Refusal(422, "invalid", "the request has 1 fault", [fault]) from None


def _json_fault(fault: Mapping[str, Any]) -> str:
    return str(fault["msg"]).removeprefix("Invalid JSON: ")


def _rule(fault: Mapping[str, Any]) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        return "is no field of this request"
    if kind == "string_pattern_mismatch":
        return "must be ISO 8601 such as 2011-06-10 or 2011-06-10T14:30:00"
    if kind == "string_type":
        return "must be text"
    if kind == "dict_type":
        return "must be an object of names and values"
    if kind in ("float_type", "float_parsing"):
        return "must be a number"
    if kind == "finite_number":
        return "must be a finite number"
    if kind in ("greater_than_equal", "less_than_equal"):
        return "must be between -1e12 and 1e12"
    if kind == "missing":
        return "is required"
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    return str(fault["msg"]).replace("Input should", "should")


def build_example_request() -> dict[str, Any]:
    """A request that passes: an invented customer."""
    row = build_golden_rows(("order_id", "product_id", "quantity")).iloc[2]
    return {
        "cutoff": CUTOFF,
        "customers": [{"customer_id": row["customer_id"], "orders": row["orders"]}],
    }
