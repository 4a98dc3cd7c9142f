"""Orders and customers: where they are, and how their columns map to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from ..errors import ConfigError, quote
from .file_format import FormatConfig
from .layouts import apply_layout
from .section import Section

__all__ = [
    "OPTIONAL_COLUMNS",
    "REQUIRED_COLUMNS",
    "Column",
    "CustomersConfig",
    "LineRules",
    "OrdersConfig",
    "SourceConfig",
]

Column = Literal[
    "customer_id", "ordered_at", "amount",
    "order_id", "product_id", "category", "channel", "quantity", "discount", "cost",
]  # fmt: skip
REQUIRED_COLUMNS: tuple[str, ...] = get_args(Column)[:3]
OPTIONAL_COLUMNS: tuple[str, ...] = get_args(Column)[3:]


def _refuse_path(value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise ValueError("must name a file, a glob or a folder, or a database's address")
    return value


def _complete(value: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in REQUIRED_COLUMNS if value and name not in value]
    if missing:
        raise ValueError(f"must map {', '.join(missing)} as well")
    return value


def _parse_texts(value: object) -> object:
    """One value or a list of them, as cells of a file read: `true`, `0`, an empty cell for null."""
    values = value if isinstance(value, list | tuple | set) else [value]
    return [str(v).lower() if isinstance(v, bool) else "" if v is None else str(v) for v in values]


def _parse_filter(value: object) -> object:
    """Values of a filter; YAML reads Yes and No without quotes as true and false, not as text."""
    values = value if isinstance(value, list | tuple | set) else [value]
    spelled = [word for v in values for word in (_SPELLINGS[v] if isinstance(v, bool) else (v,))]
    return _parse_texts(spelled)


def _parse_column(value: object) -> object:
    """The value of a mapping: text, or a list of names."""
    names = value if isinstance(value, list | tuple) else [value]
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError("must be a column, arithmetic over columns, or a list of columns to join")
    return value


def _parse_day(value: object) -> object:
    if isinstance(value, datetime):
        value = value.date() if value == datetime.combine(value, time()) else str(value)
    if isinstance(value, str) and value not in ("today", "yesterday"):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date such as 2024-12-20, today or yesterday") from None
    return value


def _is_default(value: object) -> bool:
    """A key at its default is left out of bundles, so that versions without it can read them."""
    return value in (None, (), {}, "line", "exact")


Source = Annotated[str, AfterValidator(_refuse_path)]
Columns = Annotated[
    dict[Column, Annotated[str | tuple[str, ...], BeforeValidator(_parse_column)]],
    AfterValidator(_complete),
]
_SPELLINGS = {True: ("true", "yes", "on", "1"), False: ("false", "no", "off", "0")}
Texts = Annotated[tuple[str, ...], BeforeValidator(_parse_filter), Field(min_length=1)]
_QUERY = "A SELECT, if the source is a database. Without it, give ADDRESS#TABLE as the source."


class LineRules(Section):
    """How lines are read: the columns that make ours, and which lines count for how much."""

    model_config = ConfigDict(populate_by_name=True)

    layout: str | None = Field(
        default=None,
        exclude_if=_is_default,
        description="The platform whose export it is, such as shopify: fills the keys below that "
        "are not given; a key that is given, such as except, replaces all that the layout has "
        "there. `clvcast init` finds it.",
    )
    columns: Columns = Field(
        default_factory=dict,
        description="Your column name for each clvcast column, arithmetic such as Quantity * "
        "UnitPrice or Total - (Refunded or 0), or a list of columns to join with a space. "
        "Default: the file uses clvcast's names.",
    )
    format: FormatConfig = Field(default_factory=lambda: FormatConfig())
    only: dict[str, Texts] = Field(
        default_factory=dict,
        exclude_if=_is_default,
        description="Keep only lines with one of these values in a column (case is ignored): "
        "{Status: [Paid, Refunded]}. A blank cell takes the value of its order.",
    )
    except_: dict[str, Texts] = Field(
        default_factory=dict,
        alias="except",
        exclude_if=_is_default,
        description="Leave out lines with one of these values in a column (case is ignored): "
        "{Status: [voided, pending]}. A blank cell takes the value of its order.",
    )
    returns: dict[str, Texts] = Field(
        default_factory=dict,
        exclude_if=_is_default,
        description="Lines with one of these values in a column are returns (case is ignored): "
        "{Type: [Return, Refund]}. Their amount counts as negative, whatever its sign in the file.",
    )
    return_columns: dict[Literal["customer_id", "order_id"], str] = Field(
        default_factory=dict,
        exclude_if=_is_default,
        description="Columns that say whose a line with a negative amount is, where the file has "
        "it in the shop's name: {order_id: Reference Txn ID} gives it to that order's customer.",
    )
    amount_per: Literal["line", "order"] = Field(
        default="line",
        exclude_if=_is_default,
        description="order: the amount is the order's total, on one or each of its lines; it is "
        "counted once per order. Needs columns.order_id.",
    )
    currency_column: str | None = Field(
        default=None,
        exclude_if=_is_default,
        min_length=1,
        description="The column with the currency of a line. More than one currency is refused, "
        "unless `currency` names the one to keep or `exchange_rates` converts.",
    )

    @model_validator(mode="before")
    @classmethod
    def _filled_by_layout(cls, settings: Any) -> Any:
        if not isinstance(settings, Mapping) or settings.get("layout") is None:
            return settings
        keys = {name: field.alias or name for name, field in cls.model_fields.items()}
        keyed_settings: dict[str, Any] = {
            keys.get(k, str(k)): value for k, value in settings.items()
        }
        try:
            return apply_layout(keyed_settings, tuple(keys.values()))
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _totals_have_orders(self) -> Self:
        for key, needs in (
            ("amount_per: order", self.amount_per == "order"),
            ("return_columns: order_id", "order_id" in self.return_columns),
        ):
            if needs and self.columns and "order_id" not in self.columns:
                raise ValueError(f"{key} needs columns.order_id, got no such column")
        return self

    def line_rules(self) -> dict[str, Any]:
        """The rules by name, for a copy that reads by them."""
        return {name: getattr(self, name) for name in LineRules.model_fields}


class SourceConfig(LineRules):
    """One of several sources of order lines. A key that it omits is taken from `orders:`."""

    source: Source = Field(description="Same as `orders.source`.")
    query: str | None = Field(default=None, description=_QUERY)
    channel: str | None = Field(
        default=None,
        min_length=1,
        description="Channel of all lines of this source, if it has no channel column.",
    )
    category: str | None = Field(
        default=None,
        min_length=1,
        description="Category of all lines of this source, if it has no category column.",
    )
    order_id_prefix: str = Field(
        default="",
        description="Prefix for the order ids of this source, if another source uses the same ids.",
    )

    @model_validator(mode="after")
    def _told_once(self) -> Self:
        for name in ("channel", "category"):
            if getattr(self, name) is not None and name in self.columns:
                raise ValueError(f"must say {name} once: as a column or for all lines")
        return self


class OrdersConfig(LineRules):
    """Where the order lines are, and how their columns map to clvcast's."""

    source: Source | None = Field(
        default=None,
        description="A .parquet, .csv or .csv.gz file, a glob, a folder of such files, or a "
        "database address with a table (sqlite:///shop.db#orders) or with `query`.",
    )
    sources: tuple[SourceConfig, ...] = Field(
        default=(),
        description="Several sources, joined into one history. Use it in place of `source`.",
    )
    query: str | None = Field(default=None, description=_QUERY)
    timezone: str | None = Field(
        default=None,
        description="IANA time zone of the shop. Times with an offset are converted to it.",
    )
    duplicates: Literal["keep", "drop"] = Field(
        default="keep",
        description="Keep or drop lines that repeat another line in every column of the file.",
    )
    no_customer: Annotated[tuple[str, ...], BeforeValidator(_parse_texts)] = Field(
        default=(),
        exclude_if=_is_default,
        description="Customer ids that mean nobody (guests), besides empty, null, nan, n/a.",
    )
    customer_ids: Literal["exact", "folded"] = Field(
        default="exact",
        exclude_if=_is_default,
        description="folded: ids are the same customer's if they differ only in case, Unicode "
        "form, invisible characters, or quotes and spaces around them.",
    )
    customer_aliases: str | None = Field(
        default=None,
        exclude_if=_is_default,
        description="A CSV file with the columns old and new: ids of customers that were merged.",
    )
    exchange_rates: str | None = Field(
        default=None,
        exclude_if=_is_default,
        description="A CSV file with the columns date, currency and rate (units of `currency` for "
        "one unit of that currency); amounts are converted by the day of their line.",
    )
    complete_until: Annotated[
        date | Literal["today", "yesterday"] | None, BeforeValidator(_parse_day)
    ] = Field(
        default=None,
        exclude_if=_is_default,
        description="Every order before this date is in the source: the default cutoff. Unset: "
        "the midnight after the newest order.",
    )
    max_rejected_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="The run stops if a larger share of lines is unusable.",
    )
    currency: str = Field(
        default="",
        description="Name of the currency, for display. With `currency_column` also the currency "
        "whose lines are kept or, with `exchange_rates`, the one that amounts are converted to.",
    )
    currency_decimals: int = Field(
        default=2,
        strict=True,
        ge=0,
        le=4,
        description="Number of decimals; amounts are rounded to it.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.sources and (self.source is not None or self.query is not None):
            raise ValueError("must have either source (and query) or sources, not both")
        return self

    @model_validator(mode="after")
    def _rates_convert_to_something(self) -> Self:
        if self.exchange_rates and not (self.currency and self.currency_column):
            raise ValueError("exchange_rates needs currency and currency_column as well")
        return self

    def all_sources(self) -> tuple[SourceConfig, ...]:
        """The places to read, each with all its rules; none where nothing is named."""
        rules = self.line_rules()
        if self.source is not None:
            single_source = SourceConfig(source=self.source, query=self.query)
            return (single_source.model_copy(update=rules),)
        return tuple(
            one.model_copy(update={n: v for n, v in rules.items() if n not in one.model_fields_set})
            for one in self.sources
        )

    def reading(self, source: str | None, query: str | None = None) -> Self:
        """The same settings for other orders, or for none."""
        return self.model_copy(update={"source": source, "query": query, "sources": ()})

    def remembered(self) -> Self:
        """What a bundle keeps: no place, no day, and nothing that names customers."""
        private = dict.fromkeys(("customer_aliases", "exchange_rates", "complete_until"))
        public_config = self.reading(None).model_copy(update={**private, "no_customer": ()})
        if self.layout is None:
            return public_config
        # a key that the user emptied would be filled by the layout again when the bundle is read
        again = type(self).model_validate(public_config.model_dump(mode="json", by_alias=True))
        is_same = again.line_rules() == public_config.line_rules()
        return public_config if is_same else public_config.model_copy(update={"layout": None})

    def private_keys(self) -> tuple[str, ...]:
        """The keys that are set and that no bundle keeps, because they name customers or files."""
        keys = ("no_customer", "customer_aliases", "exchange_rates")
        return tuple(key for key in keys if getattr(self, key))

    def complete_day(self, today: date) -> date | None:
        """The first day of which orders may be missing; None where nothing is stated."""
        if self.complete_until == "yesterday":
            return today - timedelta(days=1)
        return today if self.complete_until == "today" else self.complete_until

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                raise ValueError("must be an IANA time zone such as Europe/London") from None
        return value


class CustomersConfig(Section):
    """Customer attributes, static or dated. They become features."""

    source: Source | None = Field(default=None, description="Same as `orders.source`.")
    query: str | None = Field(default=None, description=_QUERY)
    columns: dict[str, str] = Field(
        description="Your column name for customer_id and for each attribute; you choose the names."
    )
    types: dict[str, Literal["text", "number", "date"]] = Field(
        default_factory=dict,
        description="Type of each attribute: text, number or date. Default: text.",
    )
    valid_from: str | None = Field(
        default=None,
        description="Your column with the time from which a row is valid. A row is used only at "
        "later cutoffs. Default: every row is always valid.",
    )
    format: FormatConfig = Field(default_factory=lambda: FormatConfig())

    @field_validator("columns")
    @classmethod
    def _named_attributes(cls, value: dict[str, str]) -> dict[str, str]:
        if "customer_id" not in value or len(value) < 2:
            raise ValueError("must map customer_id and at least one attribute")
        wrong = [n for n in value if not re.fullmatch("[a-z][a-z0-9_]*", n) or n == "valid_from"]
        if wrong:
            raise ValueError(
                f"must name attributes like country or sign_up_date, not {quote(wrong[0])}"
            )
        return value

    @model_validator(mode="after")
    def _types_of_attributes(self) -> Self:
        unknown = [n for n in self.types if n not in self.columns or n == "customer_id"]
        if unknown:
            raise ValueError(f"types must be of attributes in columns, {unknown[0]} is none")
        return self
