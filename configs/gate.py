"""The gate and the monitor: what a model must hold to go live, and when one that is live raises an alarm."""

from __future__ import annotations

from pydantic import Field

from .section import Section

__all__ = ["GateConfig", "MonitorConfig"]


class GateConfig(Section):
    """What a new model must hold to go live; docs/operations.md says how to read each rule."""

    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="How sure the gate must be that a difference is none of luck.",
    )
    ngini: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="nGini may be surely lower than a rival's by up to this.",
    )
    mae: float = Field(
        default=0.05, ge=0, description="MAE may surely exceed a rival's by up to this share of it."
    )
    bias: float = Field(
        default=0.2,
        ge=0,
        description="The total may miss by this share, or by what the best baseline missed.",
    )
    calibration: float = Field(
        default=0.1, ge=0, le=1, description="Churn probabilities may be off by this on average."
    )
    coverage: float = Field(
        default=0.1, ge=0, le=0.9, description="90 % intervals may hold this much less than 90 %."
    )
    segment: float = Field(
        default=0.25,
        ge=0,
        description="MAE in one segment may surely exceed the rival's by this share.",
    )
    segment_customers: int = Field(
        default=50, strict=True, ge=1, description="Segments with fewer customers are not judged."
    )
    history: float = Field(
        default=0.05,
        ge=0,
        description="Lines and money of months the champion knew may differ by this share.",
    )
    customers: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="This share of the customers the champion knew must be there.",
    )
    total: float = Field(
        default=1.5,
        ge=1,
        description="The forecast total may be this many times the champion's, or 1 / this.",
    )
    churn_rate: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="The forecast churn rate may differ from the champion's by this.",
    )
    rank_correlation: float = Field(
        default=0.8,
        ge=-1,
        le=1,
        description="Forecasts must rank customers as alike as this (Spearman).",
    )
    segment_total: float = Field(default=2.0, ge=1, description="As total, for each segment's.")


class MonitorConfig(Section):
    """When monitoring raises an alarm; half of a bound is worth a warning."""

    bias: float = Field(default=0.2, gt=0, description="The total missed by this share.")
    calibration: float = Field(
        default=0.1, gt=0, le=1, description="Churn probabilities are off by this on average."
    )
    coverage: float = Field(
        default=0.1, gt=0, le=0.9, description="90 % intervals hold this much less than 90 %."
    )
    capture: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="The top tenth by forecast misses this share of what a perfect one would hold.",
    )
    psi: float = Field(
        default=0.25, gt=0, description="Population stability index of a feature or a forecast."
    )
    new_category: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of lines in categories or channels training never saw.",
    )
    missing_customers: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Share of forecast customers whom the orders no longer hold.",
    )
