"""What decisions are made by: how measures are counted, and what acquisition may cost."""

from __future__ import annotations

from pydantic import Field

from .section import Section

__all__ = ["AcquisitionConfig", "KpisConfig"]


class KpisConfig(Section):
    """How descriptive measures are counted."""

    period_days: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=3650,
        description="The period of purchase frequency and churn; unset, horizon_days.",
    )
    periods: int = Field(
        default=4,
        strict=True,
        ge=1,
        le=40,
        description="How many of the newest whole periods count.",
    )
    expected_lifetime: float | None = Field(
        default=None,
        gt=0,
        description="Expected customer lifetime in periods; unset, 1 / churn rate.",
    )


class AcquisitionConfig(Section):
    """When a customer's acquisition pays."""

    healthy_ratio: float = Field(
        default=3.0, gt=0, description="LTV:CAC from which on it is healthy."
    )
    payback_months: int = Field(
        default=12,
        strict=True,
        ge=1,
        le=120,
        description="Months within which a cohort should pay back.",
    )
