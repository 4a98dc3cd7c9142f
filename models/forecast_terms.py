"""Terms of a forecast file (horizon, margin, ...), carried by it so that none is mixed up.

Parquet files and DataFrames hold it as an attribute (`DataFrame.attrs["clvcast"]`, which pandas
writes into parquet and reads from it); for a .csv file the manifest that `clvcast score` writes
beside it does.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from ..configs.schema import Config, EconomicsConfig, Target
from ..errors import ConfigError, OrdersError

__all__ = ["ForecastTerms", "read_terms", "reconcile_config"]

_PANDAS = b"PANDAS_ATTRS"  # where pandas keeps the attributes of a DataFrame in a parquet file
_ARROW = b"pandas"  # where pyarrow keeps them in a table made from one
_OURS = "clvcast"


class ForecastTerms(BaseModel):
    """The settings that a forecast's numbers depend on."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    horizon_days: int
    periods: int
    margin_rate: float
    annual_discount_rate: float
    target: Target
    currency: str  # empty: not named

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
    found: Any = _parsed(metadata.get(_ARROW, b"{}")).get("attributes")
    if _PANDAS in metadata:
        found = _parsed(metadata[_PANDAS])
    terms = found.get(_OURS) if isinstance(found, dict) else None
    if terms is None:
        return None
    try:
        return ForecastTerms.model_validate(terms)
    except ValidationError:
        raise OrdersError(
            "the forecasts hold attributes of clvcast that cannot be read; make them with "
            "clvcast score"
        ) from None


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


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
        remarks.append(
            f"{what} do not say what they were made with, as those of clvcast score do: "
            f"{config.periods} x {config.horizon_days} days, a margin of "
            f"{config.economics.margin_rate:.0%} "
            f"and a discount of {config.economics.annual_discount_rate:.0%} a year are "
            "taken, of the configuration or by default"
        )
        return config, remarks
    stated = _stated(config)
    own = made.keys()
    differ = [key for key in stated if key in own and stated[key] != own[key]]
    if differ:
        theirs = " and ".join(f"{key} {own[key]}" for key in differ)
        ours = " and ".join(f"{key} {stated[key]}" for key in differ)
        raise ConfigError(
            f"{what} were made with {theirs}, the configuration says {ours}; leave that out of it, "
            "or score again with it"
        )
    return made.within(config), remarks


def _stated(config: Config) -> dict[str, Any]:
    """What a configuration states itself, by key."""
    found: dict[str, Any] = {
        key: getattr(config, key)
        for key in ("horizon_days", "periods", "target")
        if key in config.model_fields_set
    }
    for key in ("margin_rate", "annual_discount_rate"):
        if key in config.economics.model_fields_set and "economics" in config.model_fields_set:
            found[f"economics.{key}"] = getattr(config.economics, key)
    if config.orders.currency:
        found["orders.currency"] = config.orders.currency
    return found
