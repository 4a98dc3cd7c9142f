"""How spend becomes value: the margin, stated or measured, and the discount of later periods."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..errors import ConfigError
from .section import Section

__all__ = ["Basis", "EconomicsConfig", "KnownEconomics", "MarginSource", "find_basis"]

Basis: TypeAlias = Literal["revenue", "margin", "contribution"]  # what money in a table is
MarginSource: TypeAlias = Literal["measured", "stated", "unknown"]


class EconomicsConfig(Section):
    """How spend becomes customer value."""

    margin_rate: float | Literal["measured"] | None = Field(
        default=None,
        description="Margin per unit of spend, above 0 and at most 1, or `measured`: from the "
        "column cost. 1 makes CLV revenue. Default: measured where cost is mapped; else no margin "
        "is known, and CLV is revenue.",
    )
    annual_discount_rate: float = Field(
        default=0.0, ge=0, le=10, description="Yearly discount rate for later periods; 0.1 is 10 %."
    )

    @field_validator("margin_rate", mode="before")
    @classmethod
    def _check_margin(cls, value: object) -> object:
        if value is None or value == "measured":
            return value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < float(value) <= 1:  # type: ignore[arg-type]
            raise ValueError("should be `measured`, or a number above 0 and at most 1")
        return float(value)  # type: ignore[arg-type]


class KnownEconomics(BaseModel):
    """The margin and the discount that a model's forecasts are made with; kept in its bundle.

    Bundles of 0.1.0 do not say where their margin comes from: `unknown`, and 1 may be nobody's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    margin_rate: float = Field(default=1.0, gt=0, le=1)  # 1 where no margin is known
    annual_discount_rate: float = Field(default=0.0, ge=0, le=10)
    margin_source: MarginSource = Field(
        default="unknown", exclude_if=lambda value: value == "unknown"
    )
    measured_margin: float | None = Field(  # where the orders have costs, whatever is stated
        default=None, gt=0, le=1, exclude_if=lambda value: value is None
    )

    def apply_stated(self, stated: EconomicsConfig) -> Self:
        """The same with what a configuration states; `ConfigError` for a margin never measured."""
        update: dict[str, Any] = {}
        if "annual_discount_rate" in stated.model_fields_set:
            update["annual_discount_rate"] = stated.annual_discount_rate
        if stated.margin_rate == "measured":
            if self.measured_margin is None:
                raise ConfigError(
                    "economics.margin_rate must be a number for this model, got measured: it was "
                    "trained on orders without a margin to measure; train it again with cost mapped"
                )
            update |= {"margin_rate": self.measured_margin, "margin_source": "measured"}
        elif stated.margin_rate is not None:
            update |= {"margin_rate": stated.margin_rate, "margin_source": "stated"}
        return self.model_copy(update=update)


def find_basis(target: str, margin_rate: float, source: MarginSource) -> Basis:
    """What CLV is: contribution by its target, margin where one is known, else revenue.

    A stated margin of 1 means revenue.

    >>> find_basis("spend", 0.4, "stated"), find_basis("spend", 1.0, "unknown")
    ('margin', 'revenue')
    """
    if target == "contribution":
        return "contribution"
    return "margin" if margin_rate < 1 or source == "measured" else "revenue"
