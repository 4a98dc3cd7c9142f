"""Strict schemas of requests and responses: "4", true and NaN are no numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Annotated, Any, NotRequired

import pyarrow as pa
from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from typing_extensions import TypedDict

from ...models.golden_rows import CUTOFF, build_golden_rows
from ...models.scoring import FORECAST_SCHEMA
from ...orders.dates import ISO_INSTANT, ISO_LOCAL
from ...orders.limits import MAX_AMOUNT
from ...orders.reading.line_rules import AMOUNT, FINITE, ISO, NOT_EMPTY, NUMBER, REQUIRED, TEXT
from ..json_scan import scan_json
from .errors import MAX_FAULTS, FieldError, Refusal, build_invalid_request
from .request_limits import MOST_CUSTOMERS, MOST_LINES, Limits, check_size

__all__ = [
    "EXPLAIN_REQUEST",
    "FORECAST_REQUEST",
    "LONGEST_TEXT",
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
]

_STRICT = ConfigDict(strict=True, extra="forbid")
# the parser holds the interpreter's lock: one large body at a time, so that the loop has its turn
_PARSING = threading.Lock()
_LONGEST_NAME = 64  # of a field in a path
LONGEST_TEXT = 1_000  # characters
_Text = Annotated[str | None, Field(max_length=LONGEST_TEXT)]
_Number = Annotated[float | None, Field(allow_inf_nan=False)]


# the model says which attributes there are and of which kind: attribute_records.py validates them
_Attributes = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "null"]},
            "description": "Attributes of the customer at the cutoff, for a model that learned "
            "from any (GET /v1/model names them): text, numbers, ISO dates, null where unknown.",
            "examples": [{"country": "GB", "points": 3.5, "signed_up": "2011-06-10"}],
        }
    ),
]


# pydantic's kinds of errors -> our rules
_RULES = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object of names and values",
    "extra_forbidden": "is no field of this request",
    "finite_number": FINITE,
    "float_parsing": NUMBER.requirement,
    "float_type": NUMBER.requirement,
    "greater_than_equal": AMOUNT.requirement,
    "less_than_equal": AMOUNT.requirement,
    "missing": REQUIRED,
    "string_pattern_mismatch": ISO,
    "string_too_short": NOT_EMPTY.requirement,
    "string_type": TEXT,
    "too_short": NOT_EMPTY.requirement,
}


class OrderLine(TypedDict):
    """One order line, in the model's currency."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    ordered_at: Annotated[
        str,
        Field(
            pattern=f"^{ISO_INSTANT}$",
            description="ISO 8601, in the shop's time zone; a time with an offset is converted.",
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

    customer_id: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    orders: Annotated[list[OrderLine], Field(min_length=1, max_length=MOST_LINES), FailFast()]
    attributes: NotRequired[_Attributes]


class ForecastRequest(TypedDict):
    """Customers to forecast at a cutoff: the first instant that is not observed."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    cutoff: Annotated[
        str,
        Field(
            pattern=f"^{ISO_LOCAL}$",
            description="Order lines at or after it are ignored. In the shop's time zone.",
            examples=["2011-12-10"],
        ),
    ]
    customers: Annotated[
        list[Customer],
        Field(
            min_length=1,
            max_length=MOST_CUSTOMERS,
            description=f"Without duplicates; at most {MOST_LINES:,} order lines in all.",
        ),
        FailFast(),
    ]


class ExplainRequest(ForecastRequest):
    """Customers to explain at a cutoff, by groups of features or by single ones."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    details: NotRequired[
        Annotated[
            bool,
            Field(
                description="true: the five largest single features and everything else; "
                "by default all features, added up by group.",
            ),
        ]
    ]


FORECAST_REQUEST: TypeAdapter[ForecastRequest] = TypeAdapter(ForecastRequest)
EXPLAIN_REQUEST: TypeAdapter[ExplainRequest] = TypeAdapter(ExplainRequest)


# an instant without an offset: OpenAPI's `date-time` has one
_LocalInstant = Annotated[
    str, Field(pattern=f"^{ISO_LOCAL}$", description="ISO 8601 in the shop's time zone.")
]


def _map_type(kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return _LocalInstant
    if pa.types.is_integer(kind):
        return int
    return float if pa.types.is_floating(kind) else str


# the columns of a forecast row are defined in one place
_COLUMNS: dict[str, Any] = {
    field.name: (
        _map_type(field.type) | None
        if pa.types.is_timestamp(field.type) and field.name != "cutoff"
        else _map_type(field.type),
        ...,
    )
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
    cutoff: _LocalInstant
    forecasts: list[_ForecastRow]
    without_orders: list[str] = Field(
        description="Customers without an order before the cutoff: they have no forecast."
    )


class Reason(BaseModel):
    """One of the amounts that add up to a CLV."""

    reason: str = Field(description="A group of features; with `details` a feature.")
    meaning: str
    amount: float = Field(description="In the currency and basis of the CLV.")
    value: float | None = Field(
        description="Of the feature in the meaning; null where there is none."
    )
    typical: float | None = Field(
        description="The shop's median of that feature at the end of the training; null with "
        "`details`, or where there is none."
    )


class Explanation(BaseModel):
    """A customer's CLV and the amounts that add up to it.

    First what a customer without a history would be worth, then the largest first.
    """

    customer_id: str
    clv: float
    reasons: list[Reason]


class ExplainAnswer(BaseModel):
    """Explanations in the order of the request."""

    model_version: str
    cutoff: _LocalInstant
    basis: str = Field(description="What CLV and amounts are: revenue, margin or contribution.")
    explanations: list[Explanation]
    without_orders: list[str]


class ModelAnswer(BaseModel):
    """The model and the columns and attributes it needs."""

    model_version: str
    previous_version: str | None
    horizon_days: int
    periods: int
    clv_days: int
    currency: str
    timezone: str | None
    margin_rate: float
    margin_source: str = Field(description="measured, stated or unknown.")
    basis: str = Field(description="What CLV is: revenue, margin or contribution.")
    annual_discount_rate: float
    retention_source: str = Field(
        description="What splits retention_value off the CLV: history (BTYD corrected by what past "
        "customers brought later) or btyd (BTYD alone)."
    )
    needed_columns: list[str] = Field(
        description="Optional columns of order lines the model learned from."
    )
    needed_attributes: dict[str, str] = Field(
        description="Attributes the model learned from, with their kind: text, number or date."
    )
    features: list[str]
    trained_until: str | None = Field(description="Cutoff of the training, from the registry.")
    data_span: str | None = Field(description="Orders of the training, first day to cutoff.")
    measures: dict[str, float] | None = Field(
        description="Main measures of the newest evaluation, from the registry."
    )
    registry: str | None = Field(description="The registered model and version.")
    remark: str | None = Field(
        description="Why the fields from the registry are null, or that the model serves "
        "provisionally."
    )


class Reload(TypedDict):
    """The model to load."""

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
    expect_sha256: NotRequired[
        Annotated[
            str | None,
            Field(
                max_length=64,
                description="sha256 of the bundle's manifest.json; another bundle is rejected.",
            ),
        ]
    ]


RELOAD: TypeAdapter[Reload] = TypeAdapter(Reload)


class Reloaded(BaseModel):
    """The model in use, and the one kept for a rollback."""

    model_version: str
    previous_version: str | None


class Status(BaseModel):
    """Whether the server is running, or ready."""

    status: str
    model_version: str


def parse_body(adapter: TypeAdapter[Any], body: bytes, limits: Limits) -> Any:
    """Validate a body; raises a `Refusal` that names the fields at fault, without their values.

    What it holds is counted first: the objects that are built of it are bounded. Checking stops
    at the first faulty order line or customer, whose faults are all named.
    """
    counts = scan_json(body)
    check_size(counts.customers, counts.lines, limits)
    if counts.objects + counts.commas > limits.values:
        message = f"a request must have at most {limits.values:,} values; split it"
        raise Refusal(413, "too_large", message)
    if counts.fault is not None:
        raise Refusal(400, "no_json", f"the body {counts.fault}")
    try:
        with _PARSING if len(body) > limits.small_bytes else nullcontext():
            return adapter.validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=True)
    if errors[0]["type"] == "json_invalid":
        reason = str(errors[0]["msg"]).removeprefix("Invalid JSON: ")
        raise Refusal(400, "no_json", f"the body must be JSON: {reason}")
    raise build_invalid_request(
        [
            FieldError(path=format_field_path(e["loc"]), rule=_describe_rule(e))
            for e in errors[:MAX_FAULTS]
        ],
        len(errors),
    )


def format_field_path(location: Iterable[int | str]) -> str:
    """The path of a field.

    >>> format_field_path(("customers", 0, "orders", 2, "amount"))
    'customers[0].orders[2].amount'
    """
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:_LONGEST_NAME]}"
    return path.removeprefix(".") or "body"


def _describe_rule(fault: Mapping[str, Any]) -> str:
    kind = fault["type"]
    if kind == "string_too_long":
        return f"must have at most {fault['ctx']['max_length']} characters"
    return _RULES.get(kind) or str(fault["msg"]).replace("Input should", "should")


def build_example_request() -> dict[str, Any]:
    """A valid request with an artificial customer."""
    row = build_golden_rows(("order_id", "product_id", "quantity")).iloc[2]
    return {
        "cutoff": CUTOFF,
        "customers": [{"customer_id": row["customer_id"], "orders": row["orders"]}],
    }
