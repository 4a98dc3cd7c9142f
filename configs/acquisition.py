"""What acquiring a customer may cost, and from which LTV:CAC it is healthy."""

from __future__ import annotations

from pydantic import Field

from .section import Section

__all__ = ["AcquisitionConfig"]


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
