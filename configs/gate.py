"""Limits of the gate: what a model must hold to go live."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from .section import Section

__all__ = ["GateConfig"]


class GateConfig(Section):
    """Limits that a new model must meet to go live. docs/gate.md explains each rule."""

    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="Confidence level at which a difference counts as significant.",
    )
    ngini: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Largest significant nGini loss against a baseline that still passes.",
    )
    deviance: float = Field(
        default=0.05,
        ge=0,
        description="Largest significant increase of the error (Tweedie deviance, totals levelled) "
        "against a baseline that still passes; 0.05 is 5 %. Its old name, mae, is accepted.",
    )
    champion_ngini: float = Field(
        default=0.005,
        ge=0,
        le=1,
        description="Largest significant nGini loss against the champion that still passes.",
    )
    champion_deviance: float = Field(
        default=0.0,
        ge=0,
        description="Largest increase of the error against the champion that still passes.",
    )
    bias: float = Field(
        default=0.2,
        ge=0,
        description="Largest relative error of the total. If the best baseline missed it in the "
        "same direction by more, its error is allowed, up to 50 %.",
    )
    clv_bias: float = Field(
        default=0.35,
        ge=0,
        description="Same as bias, for the CLV at the newest evaluated cutoff whose whole span is "
        "over.",
    )
    calibration: float = Field(
        default=0.1, ge=0, le=1, description="Largest mean error of the churn probabilities."
    )
    coverage: float = Field(
        default=0.1,
        ge=0,
        le=0.9,
        description="Largest shortfall of the 90 % intervals' coverage; 0.1 allows 80 %.",
    )
    segment: float = Field(
        default=0.25,
        ge=0,
        description="Largest significant increase of the error against the champion, or the best "
        "baseline, in one segment.",
    )
    segment_customers: int = Field(
        default=50,
        strict=True,
        ge=1,
        description="Smallest number of customers in a segment to be tested.",
    )
    history: float = Field(
        default=0.05,
        ge=0,
        description="Largest relative change of lines and money in months that the champion knew.",
    )
    customers: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Smallest share of the champion's customers that must still be in the orders.",
    )
    total: float = Field(
        default=1.5,
        ge=1,
        description="Largest factor between the forecast totals of candidate and champion.",
    )
    churn_rate: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="Largest difference between the forecast churn rates of candidate and "
        "champion.",
    )
    rank_correlation: float = Field(
        default=0.8,
        ge=-1,
        le=1,
        description="Smallest rank correlation (Spearman) between candidate and champion.",
    )
    segment_total: float = Field(
        default=2.0, ge=1, description="Same as total, for the total of each segment."
    )

    @model_validator(mode="before")
    @classmethod
    def _rename_mae(cls, settings: Any) -> Any:
        if not isinstance(settings, dict) or "mae" not in settings:
            return settings
        limit = settings["mae"]
        return {"deviance": limit, **{k: v for k, v in settings.items() if k != "mae"}}
