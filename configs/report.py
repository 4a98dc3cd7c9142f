"""How the report is written: its title and how its numbers look."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .section import Section

__all__ = ["Locale", "ReportConfig"]

Locale = Literal[
    "en", "cs", "da", "de", "de-AT", "de-CH", "es", "fi", "fr", "it", "nb", "nl", "pl", "pt",
    "pt-BR", "sv",
]  # fmt: skip


class ReportConfig(Section):
    """Title and number format of the report."""

    title: str = Field(
        default="Customer value report",
        min_length=1,
        max_length=120,
        description="Title of the page.",
    )
    locale: Locale = Field(
        default="en",
        description="Decimal and thousands marks of this locale. The text is always English.",
    )
