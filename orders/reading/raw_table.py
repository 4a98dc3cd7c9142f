"""RawTable: a block of a source as it stands, before its cells are parsed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from ..columns import Int64

__all__ = ["RawTable"]


@dataclass(frozen=True)
class RawTable:
    """The columns asked for, as they stand in a block of one file, and which row each line is."""

    table: pa.Table
    rows: Int64  # the first row after the header is 1; 0 where lines have no numbers
    rejected: list[pa.Table] = field(default_factory=list)  # lines that are none of the table
    share: float = 1.0  # of the file that is read with this block, about
