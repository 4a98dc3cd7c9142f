"""Numbers: everything of a model that is not a tree, as it stands in a bundle's model.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..configs.economics import KnownEconomics
from ..configs.schema import OPTIONAL_COLUMNS, CustomersConfig, OrdersConfig, Target
from ..features.attribute_features import PREFIX, AttributeCoding
from ..features.catalogue import select_features
from .btyd.forecasts import GammaGamma, OrderModel
from .event_effects import EventEffects
from .season import Season
from .segments import SegmentThresholds

__all__ = [
    "Blend",
    "IntervalTable",
    "Intervals",
    "LaterPeriodRatios",
    "LaterSpend",
    "Parameters",
    "RetentionFactors",
]

_LATEST = 10**17  # microseconds from 1970: the year 5138
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Periods = Annotated[int, Field(ge=1, le=40)]


def _check_column(name: str) -> str:
    if name not in OPTIONAL_COLUMNS:
        raise ValueError(f"must be one of {', '.join(OPTIONAL_COLUMNS)}")
    return name


OptionalColumn = Annotated[str, AfterValidator(_check_column)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _check_rising(name: str, values: Sequence[float]) -> None:
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError(f"values of {name} must be in increasing order")


def _check_length(name: str, values: Sequence[float], length: int) -> None:
    if len(values) != length:
        raise ValueError(f"{name} must have {length} numbers, got {len(values)}")


class Blend(_Section):
    """How trees and BTYD make one forecast (see `models.blend`)."""

    order_model: OrderModel
    order_values: GammaGamma
    churn_weight: Share  # of BTYD, in log-odds
    spend_weight: Share  # of BTYD, in money
    churn_shift: float  # added to the blended log-odds
    level: Positive  # the blended spend is multiplied by it
    repeat_rate: NotNegative  # further orders for each that BTYD expects
    value_scale: Positive = 1.0  # money of the target for each unit of net spend
    typical_order_value: Positive
    spend_shift: float  # of the direct trees' offset
    season: Season = Season()
    events: EventEffects | None = Field(default=None, exclude_if=lambda value: value is None)
    churn_start: float = 0.0  # where the trees of churn start; without a season they begin at 0
    remarks: tuple[str, ...] = ()  # sentences: where a BTYD fit fell back or stands at a bound


class LaterPeriodRatios(_Section):
    """Spend of period k for each unit of money in period 1, by churn probability, as 0.1 has it."""

    churn_knots: tuple[Share, ...]  # ascending; straight lines between
    ratios: tuple[tuple[NotNegative, ...], ...]  # per period, 2 and on: one value per knot
    realised_periods: Periods  # that history has shown; later ones are BTYD's alone

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_rising("churn_knots", self.churn_knots)
        for ratios in self.ratios:
            _check_length("ratios", ratios, max(len(self.churn_knots), 1))
        return self


class LaterSpend(_Section):
    """How BTYD, trees and the first period's forecast make later spend: `models.later_spend`."""

    levels: tuple[Positive, ...]  # per period, 2 and on: the total beside BTYD's
    trees_weight: Share  # of the trees (without any, of BTYD alone) beside the first period's
    trees_level: Positive  # brings their total to BTYD's
    first_level: Positive  # brings the total carried on from the first period to BTYD's
    total_ratios: tuple[NotNegative, ...]  # totals at the training end over the first period's
    realised_periods: Periods  # that history has shown; later ones are BTYD's alone

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_length("total_ratios", self.total_ratios, len(self.levels))
        return self


class RetentionFactors(_Section):
    """Logs of what corrects BTYD's ratio of later spend after an order to that after none."""

    churn_knots: Annotated[tuple[Share, ...], Field(min_length=1)]  # ascending; lines between
    log_factors: tuple[Annotated[float, Field(ge=-3, le=3)], ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_rising("churn_knots", self.churn_knots)
        _check_length("log_factors", self.log_factors, len(self.churn_knots))
        return self


class IntervalTable(_Section):
    """Quantiles of actual / expected within groups by expected spend; straight lines between."""

    # log of the groups' mean expected spend, ascending
    log_knots: Annotated[tuple[float, ...], Field(min_length=1)]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    deviation: tuple[NotNegative, ...]  # standard deviation of one customer's actual / expected

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_rising("log_knots", self.log_knots)
        for name in ("lower", "upper", "deviation"):
            _check_length(name, getattr(self, name), len(self.log_knots))
        if any(low > high for low, high in zip(self.lower, self.upper, strict=True)):
            raise ValueError("lower must be at most upper")
        return self


class Intervals(_Section):
    """90 % intervals of spend and CLV: for customers who may well not order, and for the others."""

    spend: IntervalTable  # [0, q90]: chance of no order 10 % or more
    spend_sure: IntervalTable  # [q5, q95]
    clv: IntervalTable
    clv_sure: IntervalTable
    spend_shock: Positive  # standard deviation, in logs, of what moves all customers together


class Parameters(_Section):
    """Settings a model was trained with, and what it learned beside its trees."""

    orders: OrdersConfig  # how to read orders; its source is never kept
    optional_columns: tuple[OptionalColumn, ...]  # columns the features need, beside the required
    attributes: AttributeCoding | None = None  # of customers, where the model learned from any
    features: tuple[str, ...]  # the trees' inputs, in their order
    extra_features: tuple[str, ...] = Field(
        default=(), exclude_if=lambda value: not value
    )  # those of them that the user's own function gives
    calendar: Mapping[str, tuple[str, ...]] | None = Field(
        default=None, exclude_if=lambda value: value is None
    )  # ISO dates by event, as known when it was trained
    season_history: bool = Field(
        default=False, exclude_if=lambda value: not value
    )  # whether the season was learned from revenue of earlier years, too
    horizon_days: Annotated[int, Field(ge=1, le=3650)]
    periods: Periods
    economics: KnownEconomics
    target: Target = "spend"  # what counts as spend
    blend: Blend
    later: LaterSpend | LaterPeriodRatios
    intervals: Intervals
    retention: RetentionFactors | None = Field(
        default=None, exclude_if=lambda value: value is None
    )  # None: BTYD's ratios alone
    settings: Mapping[str, Any] = {}  # Config.learning(): what it takes to fit it again
    short_history: bool
    trained_until: int | None = Field(default=None, exclude_if=lambda value: value is None)
    order_value: float | None = Field(
        default=None, exclude_if=lambda value: value is None
    )  # median
    asks_for: tuple[str, ...] = Field(
        default=(), exclude_if=lambda value: not value
    )  # keys of orders
    segments: SegmentThresholds | None = None  # set once the model can forecast

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = self.features
        if len(set(names)) < len(names):
            raise ValueError("features must not repeat a name")
        feature_names = {feature.name for feature in select_features(self.optional_columns)}
        coding = self.attributes
        if coding is not None:
            feature_names |= {
                PREFIX + name for name in coding.config.columns if name != "customer_id"
            }
        unknown = [n for n in names if n not in feature_names and n not in self.extra_features]
        if unknown:
            raise ValueError("features must be of the catalogue, attributes or extra features")
        if isinstance(self.later, LaterSpend) and self.periods > 1 and not self.later.levels:
            raise ValueError("later.levels must have a level for periods after the first")
        if self.order_value is not None and self.order_value <= 0:
            raise ValueError("order_value must be positive")
        if self.trained_until is not None and abs(self.trained_until) > _LATEST:
            raise ValueError("trained_until must be an instant of the calendar")
        return self

    @property
    def customers(self) -> CustomersConfig | None:
        """How the attributes of customers were read; None where the model learned from none."""
        return None if self.attributes is None else self.attributes.config
