"""A rule of the gate: what was measured, what must hold, and what that means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...configs.schema import GateConfig
from .evidence import SegmentResult

__all__ = ["Outcome", "Rule", "build_unknown_rule", "get_outcome", "select_large_segments"]

Outcome = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True)
class Rule:
    """One rule: what was measured, what must hold, and what came of it."""

    name: str
    value: float | None  # the estimate, shares as fractions
    bound: str  # of `value`, or of an end of its interval: upper end +0.003 >= -0.01
    verdict: Outcome
    sentence: str
    is_relative: bool = False  # against a baseline: a first model may fail it and serve for now


def select_large_segments(
    parts: tuple[SegmentResult, ...], bounds: GateConfig
) -> list[SegmentResult]:
    """The segments that have enough customers, and a number."""
    return [
        part
        for part in parts
        if part.customers >= bounds.segment_customers and part.number.lower == part.number.lower
    ]


def get_outcome(failed: bool) -> Outcome:
    """The outcome of a rule that was measured."""
    return "fail" if failed else "pass"


def build_unknown_rule(name: str, bound: str, why: str) -> Rule:
    """A rule that could not be measured, and why."""
    return Rule(name, None, bound, "unknown", f"{name} not measured: {why}")
