"""What a shop knows of its season beside its orders."""

from __future__ import annotations

from pydantic import Field

from .section import Section

__all__ = ["SeasonConfig"]


class SeasonConfig(Section):
    """The season of a shop with a short order history."""

    history: str | None = Field(
        default=None,
        description="CSV or parquet file of the shop's revenue in earlier years by day or month: "
        "date, revenue; see docs/calendar.md.",
    )
