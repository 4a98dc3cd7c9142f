"""Config: what a user may set, with its rules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationError,
    field_validator,
)

from ..errors import ConfigError
from .acquisition import AcquisitionConfig
from .economics import EconomicsConfig
from .file_format import FormatConfig
from .gate import GateConfig
from .kpis import KpisConfig
from .lists import ListsConfig
from .monitor import MonitorConfig
from .nightly import NightlyConfig, NotifyConfig
from .orders import (
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    CustomersConfig,
    LineRules,
    OrdersConfig,
    SourceConfig,
)
from .report import ReportConfig
from .season import SeasonConfig
from .section import Section
from .segments import SegmentsConfig
from .validation_errors import translate_errors
from .yaml_text import parse_yaml, read_yaml_text

__all__ = [
    "OPTIONAL_COLUMNS",
    "REQUIRED_COLUMNS",
    "Config",
    "CustomersConfig",
    "EconomicsConfig",
    "FeaturesConfig",
    "FormatConfig",
    "GateConfig",
    "LineRules",
    "ModelConfig",
    "MonitorConfig",
    "OrdersConfig",
    "SourceConfig",
    "Target",
    "TrackingConfig",
    "build_json_schema",
    "load_config",
    "parse_config",
    "parse_orders_config",
    "require_config",
]

Target = Literal["spend", "gross", "before_discount", "contribution"]

# keys of Config that a fit never looks at; the mappings of orders and customers stand in a bundle
# by themselves, so do the days of a calendar, and a bundle names no function or file
_NOT_LEARNED_FROM = (
    "orders", "customers", "tracking", "gate", "monitor",
    "segments", "kpis", "acquisition", "lists", "report", "memory_limit", "features", "nightly",
    "notify", "calendar", "season",
)  # fmt: skip


_SIZE = r"^\s*\d+(\.\d+)?\s*([KMGT]B|[kmgt]b)\s*$"


class TrackingConfig(Section):
    """The MLflow store of runs and models."""

    uri: str | None = Field(
        default=None,
        description="MLflow tracking store. Default: MLFLOW_TRACKING_URI, else ./mlflow.db.",
    )
    experiment: str = Field(
        default="clv", min_length=1, description="Name of the MLflow experiment."
    )
    model_name: str = Field(
        default="clv",
        pattern=r"^[^/:.%\"'][^/:%\"']*$",
        description="Name of the registered model; in Unity Catalog catalog.schema.name.",
    )
    evaluated_cutoffs: int = Field(
        default=2,
        strict=True,
        ge=1,
        le=4,
        description="Number of past cutoffs at which each training is evaluated, with one fit "
        "each. The gate uses the newest; MLflow shows all of them as curves. If there are two or "
        "more, the oldest is one whose whole CLV span is over, so that the CLV is judged.",
    )


_TREE_PARAMETERS = (
    "learning_rate", "num_iterations", "num_leaves", "max_depth", "min_data_in_leaf",
    "min_sum_hessian_in_leaf", "min_gain_to_split", "feature_fraction", "feature_fraction_bynode",
    "bagging_fraction", "bagging_freq", "lambda_l1", "lambda_l2", "path_smooth", "extra_trees",
    "max_bin",
)  # fmt: skip


class FeaturesConfig(Section):
    """Features beside those of the catalogue."""

    extra: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="Your own features, module:function, of (orders, cutoff); see "
        "docs/own-features.md. Needed again at scoring.",
    )


class ModelConfig(Section):
    """Settings of the trees; the accuracy benchmark measures the defaults."""

    seeds: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=20,
        description="Number of boosters per head, which are averaged. Default: set by effort.",
    )
    parameters: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="LightGBM parameters that replace the defaults in every head.",
    )
    leave_out: tuple[str, ...] = Field(
        default=(), description="Features that the model must not use."
    )
    monotone: dict[str, Literal[-1, 1]] = Field(
        default_factory=dict,
        description="Per feature, 1: spend must not fall as the feature grows; -1: spend must not "
        "rise.",
    )

    @field_validator("parameters")
    @classmethod
    def _ours_to_set(cls, value: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(value) - set(_TREE_PARAMETERS))
        if unknown:  # LightGBM would take an alias for a second parameter, and keep ours
            parameter_names = ", ".join(_TREE_PARAMETERS)
            raise ValueError(f"must be of {parameter_names}; {unknown[0]} is none of them")
        return value


class Config(Section):
    """All settings of one shop. Every setting has a default except the source of the orders."""

    orders: OrdersConfig = Field(default_factory=lambda: OrdersConfig())
    customers: CustomersConfig | None = Field(
        default=None, description="Customer attributes, such as country."
    )
    horizon_days: int = Field(
        default=90, strict=True, ge=1, le=3650, description="Length of one period, in days."
    )
    periods: int = Field(
        default=4,
        strict=True,
        ge=1,
        le=40,
        description="Number of periods in a CLV; it spans periods x horizon_days days.",
    )
    economics: EconomicsConfig = Field(default_factory=lambda: EconomicsConfig())
    segments: SegmentsConfig = Field(default_factory=lambda: SegmentsConfig())
    kpis: KpisConfig = Field(default_factory=lambda: KpisConfig())
    acquisition: AcquisitionConfig = Field(default_factory=lambda: AcquisitionConfig())
    lists: ListsConfig = Field(default_factory=lambda: ListsConfig())
    report: ReportConfig = Field(default_factory=lambda: ReportConfig())
    tracking: TrackingConfig = Field(default_factory=lambda: TrackingConfig())
    effort: Literal["quick", "standard", "thorough"] = Field(
        default="standard",
        description="Training effort. quick: one booster per head. standard: the average of three. "
        "thorough: the average of five, with LightGBM parameters searched on an earlier window "
        "(needs the extra `search`).",
    )
    target: Target = Field(
        default="spend",
        description="What counts as spend. spend: amounts less returns. gross: amounts before "
        "returns and discounts. before_discount: amounts less returns, before discounts. "
        "contribution: spend less cost (leave margin_rate out).",
    )
    calendar: str | None = Field(
        default=None,
        description="CSV file of known events, past and future: date, event; see docs/calendar.md.",
    )
    season: SeasonConfig = Field(default_factory=lambda: SeasonConfig())
    features: FeaturesConfig = Field(default_factory=lambda: FeaturesConfig())
    model: ModelConfig = Field(default_factory=lambda: ModelConfig())
    seed: int = Field(
        default=0,
        strict=True,
        ge=0,
        le=2**31 - 1,
        description="Random seed. The same orders, settings and seed give the same model.",
    )
    spark_training_customers: int = Field(
        default=200_000,
        strict=True,
        ge=50,
        description="With --engine spark: the orders of up to this many customers are copied to "
        "the driver for training. If there are more, a sample by a hash of the customer id is "
        "used.",
    )
    spark_training_rows: int = Field(
        default=500_000,
        strict=True,
        ge=10_000,
        description="With --engine spark and more customers than spark_training_customers: "
        "approximate number of feature rows for the trees, those of a sample of these customers. "
        "Also the most feature rows for the trees where memory_limit has no room for all.",
    )
    memory_limit: str | None = Field(
        default=None,
        pattern=_SIZE,
        description="Memory for the orders to score or to train on, such as 2GB. Orders that need "
        "more are scored in shards of customers, with temporary files; training then uses a sample "
        "of the customers, drawn by a hash of the customer id. Default: half of the machine's "
        "memory.",
    )
    gate: GateConfig = Field(default_factory=lambda: GateConfig())
    monitor: MonitorConfig = Field(default_factory=lambda: MonitorConfig())
    nightly: NightlyConfig = Field(default_factory=lambda: NightlyConfig())
    notify: NotifyConfig = Field(default_factory=lambda: NotifyConfig())

    @field_validator("memory_limit", mode="before")
    @classmethod
    def _is_size(cls, value: object) -> object:
        if value is None or (isinstance(value, str) and re.match(_SIZE, value)):
            return value
        raise ValueError("must be a size such as 4GB")  # not the pattern, which helps nobody

    def learning(self) -> dict[str, Any]:
        """The settings that change what a fit gives, as plain values: all but those named below.

        A bundle keeps them, so that its model can be fitted again at another cutoff.
        """
        return self.model_dump(mode="json", exclude=set(_NOT_LEARNED_FROM))


def require_config(config: object) -> Config:
    """The settings a function was given; the defaults for None. `ConfigError` for other types."""
    if config is None:
        return Config()
    if isinstance(config, Config):
        return config
    raise ConfigError(
        f"config must be a clvcast.Config, got {type(config).__name__}; make one with "
        "clvcast.Config(horizon_days=60) or clvcast.load_config(path)"
    )


def load_config(path: str | Path) -> Config:
    """Read a YAML file of settings.

    Parameters
    ----------
    path : str or Path
        The file; docs/configuration.md lists its keys.

    Returns
    -------
    Config
        The settings, with defaults for what the file does not state.

    Raises
    ------
    ConfigError
        If the file cannot be read or breaks a rule; it names every fault at once.

    """
    path = Path(path)
    return parse_config(read_yaml_text(path), str(path))


def parse_config(text: str, name: str = "configuration") -> Config:
    """Parse YAML text; `name` is what error messages call it."""
    content = parse_yaml(text, name)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{name} must hold keys and values, got a {type(content).__name__}")
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise translate_errors(error, Config, name) from None


def parse_orders_config(settings: Mapping[str, Any]) -> OrdersConfig:
    """The `orders:` section from its keys; raises `ConfigError` naming every fault at once."""
    try:
        return OrdersConfig.model_validate(dict(settings))
    except ValidationError as error:
        raise translate_errors(error, OrdersConfig, "orders") from None


def build_json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, for editors; configs/schema.json is a copy."""
    return Config.model_json_schema()


if __name__ == "__main__":
    content = json.dumps(build_json_schema(), indent=1) + "\n"
    Path(__file__).with_name("schema.json").write_text(content, encoding="utf-8")
