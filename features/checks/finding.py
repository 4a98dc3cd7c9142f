"""Findings: what was looked at in the orders, its verdict, and the number behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Verdict"]

Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: its verdict, the number behind it, and a sentence."""

    name: str
    verdict: Verdict
    value: float
    sentence: str
