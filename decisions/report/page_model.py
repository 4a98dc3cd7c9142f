"""What a report is made of: sections of charts and tables, as data. The page lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from .number_format import Kind, NumberFormat

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Chart", "Column", "Fact", "ReportSection", "Table", "build_table"]


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, with the unit, and how its values are written."""

    heading: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """Rows as they are written; the first column names the row."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chart:
    """A picture with the finding as its title, and the same numbers as a table."""

    name: str  # an id of the page
    finding: str
    shows: str  # what is drawn, over what, in which unit
    figure: go.Figure | None  # None: the table is all there is to see
    table: Table
    note: str = ""
    is_wide: bool = False
    is_open: bool = False  # the table is shown from the start


@dataclass(frozen=True)
class Fact:
    """One of the numbers a report opens with."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class ReportSection:
    """A part of the report: a headline, sentences, charts."""

    name: str
    title: str
    lead: tuple[str, ...]
    charts: tuple[Chart, ...]


def build_table(
    caption: str,
    frame: pd.DataFrame,
    columns: Sequence[tuple[str, str, Kind]],
    writing: NumberFormat,
) -> Table:
    """A table of some columns of a frame: (column, heading, kind); money headings get the currency."""
    headings = tuple(Column(_heading(heading, kind, writing), kind) for _, heading, kind in columns)
    cells: list[list[Any]] = [frame[name].tolist() for name, _, _ in columns]
    rows = tuple(
        tuple(writing.cell(value, kind) for value, (_, _, kind) in zip(row, columns, strict=True))
        for row in zip(*cells, strict=True)
    )
    return Table(caption, headings, rows)


def _heading(heading: str, kind: Kind, writing: NumberFormat) -> str:
    is_money = kind in ("money", "cents") and writing.currency
    return f"{heading}, {writing.currency}" if is_money else heading
