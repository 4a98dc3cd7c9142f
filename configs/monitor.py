"""Limits of the monitor: when a model that is live raises an alarm."""

from __future__ import annotations

from pydantic import Field

from .section import Section

__all__ = ["MonitorConfig"]


class MonitorConfig(Section):
    """Limits above which monitoring raises an alarm. Above half of a limit it warns."""

    bias: float = Field(default=0.2, gt=0, description="Relative error of the total.")
    calibration: float = Field(
        default=0.1, gt=0, le=1, description="Mean error of the churn probabilities."
    )
    coverage: float = Field(
        default=0.1, gt=0, le=0.9, description="Shortfall of the 90 % intervals' coverage."
    )
    capture: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Spend that the top 10 % by forecast misses, as a share of the spend of the "
        "actual top 10 %.",
    )
    psi: float = Field(
        default=0.25,
        gt=0,
        description="Population stability index (PSI) of a forecast, or of a quarter of the "
        "features.",
    )
    new_category: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of lines with a category or channel that training did not see.",
    )
    missing_customers: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Share of forecast customers who are not in the orders.",
    )
