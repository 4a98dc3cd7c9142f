"""What decisions are made by: how measures are counted, and what acquisition may cost."""

from __future__ import annotations

from pydantic import Field

from .section import Section

__all__ = ["AcquisitionConfig", "KpisConfig"]


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


class AcquisitionConfig(Section):
    """Targets for customer acquisition."""

    healthy_ratio: float = Field(
        default=3.0, gt=0, description="Smallest healthy ratio of LTV to CAC."
    )
    ltv_age_days: int = Field(
        default=365,
        strict=True,
        ge=1,
        le=3650,
        description="Age in days, from the first order, at which LTV is compared with CAC. Where "
        "forecasts do not reach so far: the largest of 30, 60, 90 and 180 that they reach.",
    )
    payback_months: int = Field(
        default=12,
        strict=True,
        ge=1,
        le=120,
        description="Number of months in which a cohort should pay back its acquisition cost.",
    )
