"""How KPIs are computed."""

from __future__ import annotations

from pydantic import Field

from .section import Section

__all__ = ["KpisConfig"]


class KpisConfig(Section):
    """How KPIs are computed."""

    period_days: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=3650,
        description="Length in days of a period for purchase frequency and churn. Default: "
        "horizon_days.",
    )
    periods: int = Field(
        default=4,
        strict=True,
        ge=1,
        le=40,
        description="Number of newest complete periods to use.",
    )
    has_all_orders: bool = Field(
        default=False,
        description="True if the orders begin with the shop's first. Otherwise customers of the "
        "first weeks may be old ones, and do not count as new.",
    )
    expected_lifetime: float | None = Field(
        default=None,
        gt=0,
        description="Expected customer lifetime in periods. Default: 1 / churn rate.",
    )
