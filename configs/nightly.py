"""Unattended runs: what a nightly run keeps, limits of its feed checks, and whom it tells."""

from __future__ import annotations

from pydantic import Field

from .section import Section

__all__ = ["NightlyConfig", "NotifyConfig"]


class NightlyConfig(Section):
    """`clvcast nightly`: retention, and limits of its feed checks."""

    keep: int = Field(
        default=14,
        strict=True,
        ge=1,
        description="Number of nights whose forecasts and summary are kept. Older forecasts are "
        "kept weekly until their prediction window is over and they have been monitored.",
    )
    max_age_days: float | None = Field(
        default=None,
        gt=0,
        description="Alarm if the newest order is older than this. Default: the longest time "
        "without an order in the last 365 days, plus one day.",
    )
    lines: float = Field(
        default=2.5,
        gt=1,
        description="Alarm if the last two days have this many times more or fewer order lines "
        "than usual for their weekdays (median of the eight weeks before).",
    )
    amount: float = Field(
        default=2.0,
        gt=1,
        description="Alarm if the median amount of the last two days' lines is this many times "
        "higher or lower than that of the eight weeks before.",
    )


class NotifyConfig(Section):
    """Whom a nightly run tells of an alarm."""

    command: str | None = Field(
        default=None,
        min_length=1,
        description="Command to run on an alarm, such as a mail or webhook program. It is not "
        "passed to a shell. It reads the summary (JSON) from standard input; CLVCAST_STATUS and "
        "CLVCAST_SUMMARY (the summary's path) are set.",
    )
