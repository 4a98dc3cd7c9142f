"""Segments as a shop wants them: the tier rule, the risk edges, the table of RFM names."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..errors import quote
from .section import Section

__all__ = ["RFM_SEGMENTS", "RiskConfig", "SegmentsConfig", "TiersConfig", "build_rfm_grid"]

# The customary eleven names. A block is R from-to by FM from-to; every cell of the 5 x 5 grid is in
# one.
RFM_SEGMENTS: dict[str, tuple[str, ...]] = {
    "Champions": ("R5 FM4-5", "R4 FM5"),
    "Loyal": ("R5 FM3", "R4 FM4", "R3 FM4-5"),
    "Potential Loyalist": ("R5 FM2", "R4 FM2-3", "R3 FM3"),
    "Recent Customers": ("R5 FM1",),
    "Promising": ("R3-4 FM1",),
    "Needing Attention": ("R3 FM2", "R2 FM2-3"),
    "About To Sleep": ("R2 FM1",),
    "At Risk": ("R2 FM4-5", "R1 FM3"),
    "Can't Lose Them": ("R1 FM4-5",),
    "Hibernating": ("R1 FM2",),
    "Lost": ("R1 FM1",),
}
_BLOCK = re.compile(r"R([1-5])(?:-([1-5]))? FM([1-5])(?:-([1-5]))?")
_SCORES = range(1, 6)


class TiersConfig(Section):
    """Value tiers: high, medium and low."""

    by: Literal["value", "customers"] = Field(
        default="value",
        description="What the shares refer to: forecast CLV (value) or number of customers.",
    )
    high: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.5, description="Share of the high tier, best customers first."
    )
    medium: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3, description="Share of the medium tier; the rest is low."
    )

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.high + self.medium >= 1:
            raise ValueError(f"high + medium must be below 1, got {self.high + self.medium:g}")
        return self


class RiskConfig(Section):
    """Risk bands by churn probability; between the two limits the risk is medium.

    If neither is stated and a band would hold less than 5 % of the customers, training cuts
    the customers into thirds instead.
    """

    low_below: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.33, description="Risk is low below this churn probability."
    )
    high_above: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.66, description="Risk is high above this churn probability."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low_below > self.high_above:
            raise ValueError(
                f"low_below must be at most high_above, got {self.low_below:g} and "
                f"{self.high_above:g}"
            )
        return self


class SegmentsConfig(Section):
    """Rules for value tiers, risk bands and RFM segments."""

    tiers: TiersConfig = Field(default_factory=lambda: TiersConfig())
    risk: RiskConfig = Field(default_factory=lambda: RiskConfig())
    rfm: dict[str, tuple[str, ...]] = Field(
        default_factory=lambda: RFM_SEGMENTS,
        description="Cells of the R x FM grid in each segment, such as [R5 FM4-5, R4 FM5]. Each "
        "of the 25 cells must be in exactly one segment.",
    )
    within_file: bool = Field(
        default=False,
        description="Compute quintiles and tiers from the customers of each scored file. A "
        "customer's segment then depends on the other customers in the file.",
    )

    @field_validator("rfm")
    @classmethod
    def _a_partition(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        build_rfm_grid(value)
        return value


def build_rfm_grid(segments: dict[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """The 5 x 5 grid of names: `grid[R - 1][FM - 1]`. Raises `ValueError` where it is no
    partition.
    """
    cells: dict[tuple[int, int], str] = {}
    for name, blocks in segments.items():
        for block in blocks:
            match = _BLOCK.fullmatch(block)
            if not name.strip() or match is None:
                raise ValueError(
                    f"must hold named blocks such as R4-5 FM5, got {quote(name)}: {quote(block)}"
                )
            r_from, r_to, fm_from, fm_to = match.groups()
            for r in range(int(r_from), int(r_to or r_from) + 1):
                for fm in range(int(fm_from), int(fm_to or fm_from) + 1):
                    if (r, fm) in cells:
                        both = " and ".join(dict.fromkeys((cells[r, fm], name)))
                        raise ValueError(
                            f"must name every cell once; R{r} FM{fm} is in {both} twice"
                        )
                    cells[r, fm] = name
    missing = [f"R{r} FM{fm}" for r in _SCORES for fm in _SCORES if (r, fm) not in cells]
    if missing:
        raise ValueError(f"must name every cell; {', '.join(missing[:3])} are in no segment")
    return tuple(tuple(cells[r, fm] for fm in _SCORES) for r in _SCORES)
