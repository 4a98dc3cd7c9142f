"""Terms of a forecast file (horizon, margin, ...), carried by it so that none is mixed up.

Parquet files and DataFrames hold it as an attribute (`DataFrame.attrs["clvcast"]`, which pandas
writes into parquet and reads from it); for a .csv file the manifest that `clvcast score` writes
beside it does.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, Literal, Self, TypeAlias

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from ..configs.economics import (
    Basis,
    EconomicsConfig,
    KnownEconomics,
    MarginSource,
    find_basis,
)
from ..configs.schema import Config, Target
from ..errors import ConfigError, OrdersError

__all__ = ["ForecastTerms", "RetentionSource", "check_terms", "read_terms", "reconcile_config"]

# what splits a CLV into with and without an order: BTYD corrected by history, or BTYD alone
RetentionSource: TypeAlias = Literal["history", "btyd", "unknown"]

_PANDAS = b"PANDAS_ATTRS"  # where pandas keeps the attributes of a DataFrame in a parquet file
_ARROW = b"pandas"  # where pyarrow keeps them in a table made from one
_OURS = "clvcast"


class ForecastTerms(BaseModel):
    """The settings that a forecast's numbers depend on.

    Files of 0.1.0 lack the source of the margin: it is `unknown` where the margin is 1.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    horizon_days: int
    periods: int
    margin_rate: float
    margin_source: MarginSource = "unknown"
    annual_discount_rate: float
    target: Target
    currency: str  # empty: not named
    model_version: str = ""  # empty: not named; the rows name it as well
    retention_source: RetentionSource = "unknown"  # unknown: of files that do not say

    @computed_field  # type: ignore[prop-decorator]
    @property
    def basis(self) -> Basis:
        """What CLV is: revenue, margin or contribution."""
        return find_basis(self.target, self.margin_rate, self.margin_source)

    @property
    def spend_basis(self) -> Basis:
        """What expected_spend is: revenue, or contribution where the target is."""
        return "contribution" if self.target == "contribution" else "revenue"

    def describe_basis(self) -> str:
        """What CLV is, in words that answer whether it is profit."""
        share = f"{self.margin_rate:.1%}".replace(".0%", "%")
        if self.basis == "contribution":
            return "contribution: revenue less the cost of the goods"
        if self.basis == "margin":
            source = {"measured": ", measured from cost", "stated": ", as stated", "unknown": ""}
            return f"margin: {share} of revenue{source[self.margin_source]}"
        reason = "its margin is stated as 100%" if self.margin_source == "stated" else ""
        return f"revenue, not profit: {reason or 'no margin is known'}"

    @property
    def span_days(self) -> int:
        """Length of the CLV span."""
        return self.horizon_days * self.periods

    @classmethod
    def of_config(cls, config: Config, economics: KnownEconomics) -> Self:
        """What a configuration says of forecasts that say nothing themselves."""
        return cls(
            horizon_days=config.horizon_days,
            periods=config.periods,
            margin_rate=economics.margin_rate,
            margin_source=economics.margin_source,
            annual_discount_rate=economics.annual_discount_rate,
            target=config.target,
            currency=config.orders.currency,
        )

    def attributes(self) -> dict[str, Any]:
        """As `DataFrame.attrs` holds it."""
        return {_OURS: self.model_dump(mode="json")}

    def metadata(self) -> dict[bytes, bytes]:
        """As the schema of a table or parquet file holds it; `pandas.read_parquet` reads it."""
        return {_PANDAS: json.dumps(self.attributes()).encode()}

    def carried_by(self, table: pa.Table) -> pa.Table:
        """The table, holding this and no other metadata."""
        return table.replace_schema_metadata(self.metadata())

    def keys(self) -> dict[str, Any]:
        """The values by the configuration's keys; a currency that is not named is left out."""
        named = {
            "horizon_days": self.horizon_days,
            "periods": self.periods,
            "economics.margin_rate": self.margin_rate,
            "economics.annual_discount_rate": self.annual_discount_rate,
            "target": self.target,
        }
        return named | ({"orders.currency": self.currency} if self.currency else {})

    def list_differences(self, other: ForecastTerms) -> tuple[str, ...]:
        """The keys whose values differ; a currency that one of them does not name is none."""
        mine, theirs = self.keys(), other.keys()
        return tuple(key for key in mine if key in theirs and mine[key] != theirs[key])

    def describe_keys(self, keys: Iterable[str]) -> str:
        """Keys with their values, in words."""
        values = self.keys()
        return " and ".join(f"{key} {values[key]}" for key in keys)

    def within(self, config: Config) -> Config:
        """The configuration with these values; a currency stays where none is named here."""
        economics = EconomicsConfig(
            margin_rate=self.margin_rate, annual_discount_rate=self.annual_discount_rate
        )
        currency = self.currency or config.orders.currency
        return config.model_copy(
            update={
                "horizon_days": self.horizon_days,
                "periods": self.periods,
                "economics": economics,
                "target": self.target,
                "orders": config.orders.model_copy(update={"currency": currency}),
            }
        )


def read_terms(table: pa.Table) -> ForecastTerms | None:
    """What a table of forecasts says it was made with; None where it says nothing."""
    metadata = table.schema.metadata or {}
    attributes: Any = _parse_terms(metadata.get(_ARROW, b"{}")).get("attributes")
    if _PANDAS in metadata:
        attributes = _parse_terms(metadata[_PANDAS])
    terms = attributes.get(_OURS) if isinstance(attributes, dict) else None
    if terms is None:
        return None
    try:
        return ForecastTerms.model_validate(terms)
    except ValidationError:
        raise OrdersError(
            "the forecasts hold attributes of clvcast that cannot be read; make them with "
            "clvcast score"
        ) from None


def _parse_terms(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def reconcile_config(
    config: Config | None, made: ForecastTerms | None, what: str = "the forecasts"
) -> tuple[Config, list[str]]:
    """The configuration under which `what` may be read, and remarks.

    Keys it does not state are those the forecasts were made with. Raises `ConfigError` for one that
    it states and that differs. Where the forecasts carry nothing, the configuration is believed.
    """
    remarks = []
    if config is None:
        config = Config()
        if made is not None:
            remarks.append(
                "no configuration is given: all that forecasts do not carry is by default"
            )
    if made is None:
        margin = config.economics.margin_rate
        stated_margin = (
            "no margin (CLV is revenue)"
            if margin is None
            else "a measured margin"
            if margin == "measured"
            else f"a margin of {margin:.0%}"
        )
        remarks.append(
            f"{what} do not say what they were made with, as those of clvcast score do: "
            f"{config.periods} x {config.horizon_days} days, {stated_margin} "
            f"and a discount of {config.economics.annual_discount_rate:.0%} a year are "
            "taken, of the configuration or by default"
        )
        return config, remarks
    config_terms = _list_stated(config)
    file_terms = made.keys()
    if config_terms.get("economics.margin_rate") == "measured" and made.margin_source == "measured":
        del config_terms["economics.margin_rate"]
    differ = [
        key for key in config_terms if key in file_terms and config_terms[key] != file_terms[key]
    ]
    if differ:
        ours = " and ".join(f"{key} {config_terms[key]}" for key in differ)
        raise ConfigError(
            f"{what} were made with {made.describe_keys(differ)}, the configuration says {ours}; "
            "leave that out of it, or score again with it"
        )
    return made.within(config), remarks


def check_terms(
    first: tuple[str, ForecastTerms | None],
    second: tuple[str, ForecastTerms | None],
    may_differ: Collection[str] = (),
) -> list[str]:
    """Remarks on two forecasts' terms that differ in keys they may differ in, or are not known.

    Each forecast comes with its name. Raises `OrdersError` where any other key differs: their
    money cannot be compared.
    """
    (name, one), (other_name, other) = first, second
    if one is None or other is None:
        if one is None and other is None:
            unknown = f"{name} and {other_name} do"
        else:
            unknown = f"{name if one is None else other_name} does"
        return [
            f"{unknown} not say what they were made with: that margin, currency and horizon are "
            "the same is not checked"
        ]
    differ = one.list_differences(other)
    sentence = (
        f"{name} was made with {one.describe_keys(differ)}, {other_name} with "
        f"{other.describe_keys(differ)}"
    )
    if set(differ) - set(may_differ):
        raise OrdersError(
            f"{sentence}, so they cannot be compared; score both with the same configuration"
        )
    return [sentence] if differ else []


def _list_stated(config: Config) -> dict[str, Any]:
    """What a configuration states itself, by key."""
    stated_terms: dict[str, Any] = {
        key: getattr(config, key)
        for key in ("horizon_days", "periods", "target")
        if key in config.model_fields_set
    }
    if "economics" in config.model_fields_set:
        for key in ("margin_rate", "annual_discount_rate"):
            value = getattr(config.economics, key)
            if key in config.economics.model_fields_set and value is not None:
                stated_terms[f"economics.{key}"] = value
    if config.orders.currency:
        stated_terms["orders.currency"] = config.orders.currency
    return stated_terms
