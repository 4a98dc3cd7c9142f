"""Findings of a monitoring: a number, what it may be, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MonitorFinding", "Severity", "make_finding"]

Severity = Literal["fine", "warning", "alarm"]


@dataclass(frozen=True)
class MonitorFinding:
    """One number, what it may be, and what it means."""

    name: str
    value: float
    bound: float
    severity: Severity
    sentence: str
    chance: float = 0.0  # what luck alone makes of it: an alarm is above bound + chance


def make_finding(
    name: str,
    value: float,
    bound: float,
    sentence: str,
    chance: float = 0.0,
    *,
    may_alarm: bool = True,
) -> MonitorFinding:
    """Above its bound a number alarms, above half of it it warns, both after chance."""
    severity: Severity = "fine"
    if abs(value) - chance > bound / 2:
        severity = "alarm" if abs(value) - chance > bound and may_alarm else "warning"
    return MonitorFinding(name, float(value), bound, severity, sentence, float(chance))
