"""Orders and customers: where they are, and how their columns map to ours."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from .section import Section

__all__ = [
    "OPTIONAL_COLUMNS",
    "REQUIRED_COLUMNS",
    "Column",
    "CustomersConfig",
    "FormatConfig",
    "OrdersConfig",
    "SourceConfig",
]

Column = Literal[
    "customer_id", "ordered_at", "amount",
    "order_id", "product_id", "category", "channel", "quantity", "discount", "cost",
]  # fmt: skip
REQUIRED_COLUMNS: tuple[str, ...] = get_args(Column)[:3]
OPTIONAL_COLUMNS: tuple[str, ...] = get_args(Column)[3:]


class FormatConfig(Section):
    """How text in the files is written; needed only where it departs from the usual."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",",
        description="What separates the cells of a text file; tabs in .tsv and .txt files whose "
        "header has them.",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None,
        description="The decimal mark. Unset, only plain numbers pass; set, thousands marks and "
        "currency signs are removed.",
    )
    encoding: str = Field(default="utf-8", description="The encoding of text files.")
    date_format: str | None = Field(
        default=None,
        description="A strptime format such as %d/%m/%Y %H:%M, or unix, unix_ms, unix_us or excel "
        "for numbers. Unset, dates are ISO 8601.",
    )
    skip_lines: int = Field(
        default=0, strict=True, ge=0, description="Lines above the header, not read."
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError("must be an encoding Python knows, such as utf-8 or cp1252") from None
        return value

    @field_validator("date_format")
    @classmethod
    def _known_date_format(cls, value: str | None) -> str | None:
        if value is not None and value not in ("unix", "unix_ms", "unix_us", "excel"):
            unknown = set(re.findall("%(.)", value)) - set("YymdbBHIMSpfzjaA%T")
            if unknown or not re.search("%[Yy]", value):
                raise ValueError(
                    "must be a strptime format with a year, unix, unix_ms, unix_us or excel"
                )
        return value


def _named(value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise ValueError("must name a file, a glob or a folder, or a database's address")
    return value


def _complete(value: dict[str, str]) -> dict[str, str]:
    missing = [name for name in REQUIRED_COLUMNS if value and name not in value]
    if missing:
        raise ValueError(f"must map {', '.join(missing)} as well")
    return value


Source = Annotated[str, AfterValidator(_named)]
Columns = Annotated[dict[Column, str], AfterValidator(_complete)]
_QUERY = "A SELECT, where the source is a database's address; instead of it, ADDRESS#TABLE."


class SourceConfig(Section):
    """One of several places order lines come from; what it leaves out is as in `orders:`."""

    source: Source = Field(description="As `orders.source`.")
    query: str | None = Field(default=None, description=_QUERY)
    columns: Columns = Field(default_factory=dict, description="Its own mapping.")
    format: FormatConfig | None = Field(default=None, description="How its text is written.")
    channel: str | None = Field(
        default=None,
        min_length=1,
        description="The channel of all its lines, where no column tells it.",
    )
    category: str | None = Field(
        default=None,
        min_length=1,
        description="The category of all its lines, where no column tells it.",
    )
    order_id_prefix: str = Field(
        default="",
        description="Put before its order ids, where another source numbers other orders alike.",
    )

    @model_validator(mode="after")
    def _told_once(self) -> Self:
        for name in ("channel", "category"):
            if getattr(self, name) is not None and name in self.columns:
                raise ValueError(f"must say {name} once: as a column or for all lines")
        return self


class OrdersConfig(Section):
    """Where the order lines are and how their columns map to ours."""

    source: Source | None = Field(
        default=None,
        description="A .parquet, .csv or .csv.gz file, a glob, a folder of them, or a database's "
        "address (sqlite:///shop.db#orders) with a table or `query`.",
    )
    sources: tuple[SourceConfig, ...] = Field(
        default=(), description="Instead of `source`: several, joined into one history."
    )
    query: str | None = Field(default=None, description=_QUERY)
    columns: Columns = Field(
        default_factory=dict,
        description="ours: theirs, or arithmetic over theirs (Quantity * UnitPrice). "
        "Empty: the file has our names.",
    )
    format: FormatConfig = Field(default_factory=lambda: FormatConfig())
    timezone: str | None = Field(
        default=None,
        description="The shop's IANA time zone; times with an offset are converted to it.",
    )
    duplicates: Literal["keep", "drop"] = Field(
        default="keep",
        description="What to do with lines that repeat another line in every column.",
    )
    max_rejected_share: float = Field(
        default=0.05, ge=0, le=1, description="More unusable lines than this stop the run."
    )
    currency: str = Field(default="", description="The currency's name, for display.")
    currency_decimals: int = Field(
        default=2,
        strict=True,
        ge=0,
        le=4,
        description="Decimals of the smallest unit; amounts are rounded to it.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.sources and (self.source is not None or self.query is not None):
            raise ValueError("must have either source (and query) or sources, not both")
        return self

    def all_sources(self) -> tuple[SourceConfig, ...]:
        """The places to read, each with its mapping and format; none where nothing is named."""
        if self.source is not None:
            own = SourceConfig(source=self.source, query=self.query, columns=self.columns)
            return (own.model_copy(update={"format": self.format}),)
        return tuple(
            one.model_copy(
                update={
                    "columns": one.columns or self.columns,
                    "format": one.format or self.format,
                }
            )
            for one in self.sources
        )

    def reading(self, source: str | None, query: str | None = None) -> Self:
        """The same settings for other orders; for none, as a bundle remembers them."""
        return self.model_copy(update={"source": source, "query": query, "sources": ()})

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
    """Facts about customers, static or dated, which become features."""

    source: Source | None = Field(default=None, description="As `orders.source`.")
    query: str | None = Field(default=None, description=_QUERY)
    columns: dict[str, str] = Field(
        description="customer_id and any attributes, in names of your own: theirs."
    )
    types: dict[str, Literal["text", "number", "date"]] = Field(
        default_factory=dict, description="What an attribute is; text where nothing is said."
    )
    valid_from: str | None = Field(
        default=None,
        description="Their column with the time from which a row holds; it is known at later "
        "cutoffs alone. Unset, every row is taken as known always.",
    )
    format: FormatConfig = Field(default_factory=lambda: FormatConfig())

    @field_validator("columns")
    @classmethod
    def _named_attributes(cls, value: dict[str, str]) -> dict[str, str]:
        if "customer_id" not in value or len(value) < 2:
            raise ValueError("must map customer_id and at least one attribute")
        wrong = [n for n in value if not re.fullmatch("[a-z][a-z0-9_]*", n) or n == "valid_from"]
        if wrong:
            raise ValueError(f"must name attributes like country or sign_up_date, not {wrong[0]!r}")
        return value

    @model_validator(mode="after")
    def _types_of_attributes(self) -> Self:
        unknown = [n for n in self.types if n not in self.columns or n == "customer_id"]
        if unknown:
            raise ValueError(f"types must be of attributes in columns, {unknown[0]} is none")
        return self
