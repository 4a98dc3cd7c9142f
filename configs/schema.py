"""Config: what a user may set, with its rules. The only place that parses YAML."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ..errors import ConfigError
from .addresses import without_passwords
from .decisions import AcquisitionConfig, KpisConfig
from .lists import ListsConfig
from .report import ReportConfig
from .section import Section
from .segments import SegmentsConfig

__all__ = [
    "OPTIONAL_COLUMNS",
    "REQUIRED_COLUMNS",
    "Config",
    "CustomersConfig",
    "EconomicsConfig",
    "FormatConfig",
    "GateConfig",
    "ModelConfig",
    "MonitorConfig",
    "OrdersConfig",
    "SourceConfig",
    "Target",
    "TrackingConfig",
    "json_schema",
    "load_config",
    "orders_config",
    "parse_config",
]

Column = Literal[
    "customer_id", "ordered_at", "amount",
    "order_id", "product_id", "category", "channel", "quantity", "discount", "cost",
]  # fmt: skip
Target = Literal["spend", "gross", "before_discount", "contribution"]
REQUIRED_COLUMNS: tuple[str, ...] = get_args(Column)[:3]
OPTIONAL_COLUMNS: tuple[str, ...] = get_args(Column)[3:]


# keys of Config that a fit never looks at; the mappings of orders and customers stand in a bundle by themselves
_NOT_LEARNED_FROM = ("orders", "customers", "tracking", "gate", "monitor", "segments", "lists")


class FormatConfig(Section):
    """How text in the files is written; needed only where it departs from the usual."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        ",", description="What separates the cells of a CSV file."
    )
    decimal: Literal[".", ","] | None = Field(
        None,
        description="The decimal mark. Unset, only plain numbers pass; set, thousands marks and "
        "currency signs are removed.",
    )
    encoding: str = Field("utf-8", description="The encoding of CSV files.")
    date_format: str | None = Field(
        None,
        description="A strptime format such as %d/%m/%Y %H:%M, or unix, unix_ms or excel for "
        "numbers. Unset, dates are ISO 8601.",
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
        if value is not None and value not in ("unix", "unix_ms", "excel"):
            unknown = set(re.findall("%(.)", value)) - set("YymdbBHIMSpfzjaA%T")
            if unknown or not re.search("%[Yy]", value):
                raise ValueError("must be a strptime format with a year, unix, unix_ms or excel")
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
    query: str | None = Field(None, description=_QUERY)
    columns: Columns = Field(default_factory=dict, description="Its own mapping.")
    format: FormatConfig | None = Field(None, description="How its text is written.")
    channel: str | None = Field(
        None, min_length=1, description="The channel of all its lines, where no column tells it."
    )
    category: str | None = Field(
        None, min_length=1, description="The category of all its lines, where no column tells it."
    )
    order_id_prefix: str = Field(
        "",
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
        None,
        description="A .parquet, .csv or .csv.gz file, a glob, a folder of them, or a database's "
        "address (sqlite:///shop.db#orders) with a table or `query`.",
    )
    sources: tuple[SourceConfig, ...] = Field(
        (), description="Instead of `source`: several, joined into one history."
    )
    query: str | None = Field(None, description=_QUERY)
    columns: Columns = Field(
        default_factory=dict,
        description="ours: theirs, or arithmetic over theirs (Quantity * UnitPrice). "
        "Empty: the file has our names.",
    )
    format: FormatConfig = Field(default_factory=lambda: FormatConfig())
    timezone: str | None = Field(
        None,
        description="The shop's IANA time zone; times with an offset are converted to it.",
    )
    duplicates: Literal["keep", "drop"] = Field(
        "keep", description="What to do with lines that repeat another line in every column."
    )
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="More unusable lines than this stop the run."
    )
    currency: str = Field("", description="The currency's name, for display.")
    currency_decimals: int = Field(
        2,
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

    source: Source | None = Field(None, description="As `orders.source`.")
    query: str | None = Field(None, description=_QUERY)
    columns: dict[str, str] = Field(
        description="customer_id and any attributes, in names of your own: theirs."
    )
    types: dict[str, Literal["text", "number", "date"]] = Field(
        default_factory=dict, description="What an attribute is; text where nothing is said."
    )
    valid_from: str | None = Field(
        None,
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


class EconomicsConfig(Section):
    """What turns spend into value."""

    margin_rate: float = Field(1.0, gt=0, le=1, description="Profit per unit of spend.")
    annual_discount_rate: float = Field(
        0.0, ge=0, le=10, description="Yearly rate at which later periods are discounted."
    )


class TrackingConfig(Section):
    """Where MLflow keeps runs and models."""

    uri: str | None = Field(
        None,
        description="The MLflow tracking store. Unset: MLFLOW_TRACKING_URI, else ./mlflow.db.",
    )
    experiment: str = Field("clv", min_length=1, description="The experiment's name.")
    model_name: str = Field(
        "clv", pattern=r"^[^/:.%\"']+$", description="The registered model's name."
    )


class ModelConfig(Section):
    """How the trees are grown; every default is what the accuracy benchmark measures."""

    seeds: int | None = Field(
        None, strict=True, ge=1, le=20, description="Boosters per head, averaged. Unset: by effort."
    )
    parameters: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="LightGBM parameters that replace ours in every head."
    )
    leave_out: tuple[str, ...] = Field((), description="Features not to learn from.")
    monotone: dict[str, Literal[-1, 1]] = Field(
        default_factory=dict,
        description="Feature: 1 where spend must not fall as it grows, -1 where it must not rise.",
    )

    @field_validator("parameters")
    @classmethod
    def _ours_to_set(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = {"objective", "seed", "num_threads", "monotone_constraints"} & set(value)
        if taken:
            raise ValueError(f"must not set {', '.join(sorted(taken))}, which training sets itself")
        return value


class GateConfig(Section):
    """What a new model must hold to go live; docs/operations.md says how to read each rule."""

    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="How sure the gate must be that a difference is none of luck.",
    )
    ngini: float = Field(
        0.01, ge=0, le=1, description="nGini may be surely lower than a rival's by up to this."
    )
    mae: float = Field(
        0.05, ge=0, description="MAE may surely exceed a rival's by up to this share of it."
    )
    bias: float = Field(
        0.2,
        ge=0,
        description="The total may miss by this share, or by what the best baseline missed.",
    )
    calibration: float = Field(
        0.1, ge=0, le=1, description="Churn probabilities may be off by this on average."
    )
    coverage: float = Field(
        0.2, ge=0, le=0.9, description="90 % intervals may hold this much less than 90 %."
    )
    segment: float = Field(
        0.25, ge=0, description="MAE in one segment may surely exceed the rival's by this share."
    )
    segment_customers: int = Field(
        50, strict=True, ge=1, description="Segments with fewer customers are not judged."
    )
    history: float = Field(
        0.05,
        ge=0,
        description="Lines and money of months the champion knew may differ by this share.",
    )
    customers: float = Field(
        0.95, ge=0, le=1, description="This share of the customers the champion knew must be there."
    )
    total: float = Field(
        1.5,
        ge=1,
        description="The forecast total may be this many times the champion's, or 1 / this.",
    )
    churn_rate: float = Field(
        0.15,
        ge=0,
        le=1,
        description="The forecast churn rate may differ from the champion's by this.",
    )
    rank_correlation: float = Field(
        0.8, ge=-1, le=1, description="Forecasts must rank customers as alike as this (Spearman)."
    )
    segment_total: float = Field(2.0, ge=1, description="As total, for each segment's.")


class MonitorConfig(Section):
    """When monitoring raises an alarm; half of a bound is worth a warning."""

    bias: float = Field(0.25, gt=0, description="The total missed by this share.")
    calibration: float = Field(
        0.1, gt=0, le=1, description="Churn probabilities are off by this on average."
    )
    coverage: float = Field(
        0.1, gt=0, le=0.9, description="90 % intervals hold this much less than 90 %."
    )
    capture: float = Field(
        0.5,
        gt=0,
        le=1,
        description="The top tenth by forecast misses this share of what a perfect one would hold.",
    )
    psi: float = Field(
        0.25, gt=0, description="Population stability index of a feature or a forecast."
    )
    new_category: float = Field(
        0.1, gt=0, le=1, description="Share of lines in categories or channels training never saw."
    )
    missing_customers: float = Field(
        0.05, gt=0, le=1, description="Share of forecast customers whom the orders no longer hold."
    )


class Config(Section):
    """All settings of one shop; every one but the source of its orders has a default."""

    orders: OrdersConfig = Field(default_factory=lambda: OrdersConfig())
    customers: CustomersConfig | None = Field(None, description="Attributes of customers.")
    horizon_days: int = Field(
        90, strict=True, ge=1, le=3650, description="The length of one period, in days."
    )
    periods: int = Field(
        4, strict=True, ge=1, le=40, description="A CLV spans periods x horizon_days."
    )
    economics: EconomicsConfig = Field(default_factory=lambda: EconomicsConfig())
    segments: SegmentsConfig = Field(default_factory=lambda: SegmentsConfig())
    kpis: KpisConfig = Field(default_factory=lambda: KpisConfig())
    acquisition: AcquisitionConfig = Field(default_factory=lambda: AcquisitionConfig())
    lists: ListsConfig = Field(default_factory=lambda: ListsConfig())
    report: ReportConfig = Field(default_factory=lambda: ReportConfig())
    tracking: TrackingConfig = Field(default_factory=lambda: TrackingConfig())
    effort: Literal["quick", "standard", "thorough"] = Field(
        "standard",
        description="quick: one booster per head; standard: three, averaged; thorough: five, with "
        "parameters searched on an earlier window (needs the search extra).",
    )
    target: Target = Field(
        "spend",
        description="What is forecast as spend. spend: amounts as they are, less returns; gross: "
        "without returns and before discounts; before_discount: less returns, before discounts; "
        "contribution: spend less cost, the margin of each order (leave margin_rate at 1).",
    )
    model: ModelConfig = Field(default_factory=lambda: ModelConfig())
    seed: int = Field(
        0, strict=True, ge=0, le=2**31 - 1, description="The seed of everything random."
    )
    spark_training_customers: int = Field(
        200_000,
        strict=True,
        ge=50,
        description="With --engine spark, whose orders come to one machine to train on; with more "
        "customers than these, a sample by a hash of their ids.",
    )
    memory_limit: str | None = Field(
        None,
        pattern=r"^\s*\d+(\.\d+)?\s*([KMGT]B|[kmgt]b)\s*$",
        description="Orders that need more memory, such as 2GB, are read in shards of customers, by "
        "temporary files. Unset, half of what the machine has.",
    )
    gate: GateConfig = Field(default_factory=lambda: GateConfig())
    monitor: MonitorConfig = Field(default_factory=lambda: MonitorConfig())

    def learning(self) -> dict[str, Any]:
        """The settings that change what a fit gives, as plain values: all but those named below.

        A bundle keeps them, so that its model can be fitted again at another cutoff.
        """
        return self.model_dump(mode="json", exclude=set(_NOT_LEARNED_FROM))


def load_config(path: str | Path) -> Config:
    """Read a YAML file into a `Config`; raises `ConfigError` naming every fault at once."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration {path}; `clvcast init ORDERS` writes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error}") from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str = "configuration") -> Config:
    """Parse YAML text; `name` is what error messages call it."""
    try:
        content = yaml.load(text, _UniqueKeyLoader)
    except yaml.YAMLError as error:
        told = without_passwords(" ".join(str(error).split()))
        raise ConfigError(f"{name} is not valid YAML: {told}") from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply to be a configuration") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{name} must hold keys and values, got a {type(content).__name__}")
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise _refusal(error, Config, name) from None


def orders_config(settings: Mapping[str, Any]) -> OrdersConfig:
    """The `orders:` section from its keys; raises `ConfigError` naming every fault at once."""
    try:
        return OrdersConfig.model_validate(dict(settings))
    except ValidationError as error:
        raise _refusal(error, OrdersConfig, "orders") from None


def _refusal(error: ValidationError, section: type[BaseModel], name: str) -> ConfigError:
    return ConfigError("\n".join(f"{name}: {_sentence(f, section)}" for f in error.errors()))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a repeated key win silently; here it is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _sentence(fault: Any, section: type[BaseModel]) -> str:
    path = [str(part) for part in fault["loc"] if part != "[key]"]
    where = ".".join(path)
    known = _known_keys(section, path[:-1])
    if fault["type"] == "extra_forbidden" or ("columns" in path[:-1] and path[-1] not in known):
        nearest = difflib.get_close_matches(path[-1], known, n=1)
        mend = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
        return f"unknown key {where}; {mend}"
    if fault["type"] == "model_type":
        return f"{where} must hold keys and values, got {type(fault['input']).__name__}"
    rule = fault["msg"].removeprefix("Value error, ")
    rule = rule.replace("Input should", "should").replace("Field required", "is required")
    is_section = isinstance(fault["input"], Mapping) and path[-1:] != ["columns"]
    if path[-1:] == ["uri"] or where == "" or is_section:
        return f"{where} {rule}".strip()  # an address may hold a password: not repeated
    return without_passwords(f"{where} {rule}, got {fault['input']!r}")


def _known_keys(section: type[BaseModel], path: Iterable[str]) -> list[str]:
    steps = iter(path)
    for part in steps:
        if part.isdigit():  # a place in a list of sections
            continue
        field = section.model_fields.get(part)
        kind = field.annotation if field else None
        kinds = [kind, *get_args(kind)]
        if get_origin(kind) is dict:
            next(steps, None)  # the entry's own name
        sections = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if not sections:
            return [*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS]
        section = sections[0]
    return list(section.model_fields)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, for editors; configs/schema.json is a copy."""
    return Config.model_json_schema()


if __name__ == "__main__":
    content = json.dumps(json_schema(), indent=1) + "\n"
    Path(__file__).with_name("schema.json").write_text(content, encoding="utf-8")
