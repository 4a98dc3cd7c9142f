"""How the cells of a text file are written."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from .section import Section

__all__ = ["FormatConfig"]


class FormatConfig(Section):
    """Format of text files. The default is comma-separated UTF-8 with ISO 8601 dates."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",",
        description="Character between the cells of a text file. Files .tsv and .txt with tabs in "
        "the header need not say so.",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None,
        description="Decimal mark. If set, thousands marks and currency signs are removed. "
        "Default: only plain numbers such as 1234.56 are accepted.",
    )
    encoding: str = Field(default="utf-8", description="Encoding of text files, such as cp1252.")
    date_format: str | None = Field(
        default=None,
        description="A strptime format such as %d/%m/%Y %H:%M, or unix, unix_ms, unix_us or excel "
        "for numbers. Default: ISO 8601.",
    )
    skip_lines: int = Field(
        default=0,
        strict=True,
        ge=0,
        description="Lines above the header, which are not read.",
        exclude_if=lambda value: not value,  # the version of earlier models stays
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError("must be an encoding Python knows, such as utf-8 or cp1252") from None
        return value

    @field_validator("date_format")
    @classmethod
    def _known_date_format(cls, value: str | None) -> str | None:
        if value is not None and value not in ("unix", "unix_ms", "unix_us", "excel"):
            unknown = set(re.findall("%(.)", value)) - set("YymdbBHIMSpfzjaA%T")
            if unknown or not re.search("%[Yy]", value):
                raise ValueError(
                    "must be a strptime format with a year, unix, unix_ms, unix_us or excel"
                )
        return value
