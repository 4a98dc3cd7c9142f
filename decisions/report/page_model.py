"""The parts of a report, as data: sections with charts and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from .number_format import Kind, NumberFormat

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Chart", "Column", "Fact", "ReportSection", "Table", "build_table", "write_heading"]


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, with the unit, and the format of its values."""

    heading: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """Formatted rows; the first column names the row."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chart:
    """A figure with a headline, and the same numbers as a table."""

    name: str  # an id of the page
    finding: str
    shows: str  # quantity, axis and unit
    figure: go.Figure | None  # None: only a table
    table: Table
    note: str = ""
    is_wide: bool = False
    is_open: bool = False  # the table is expanded initially


@dataclass(frozen=True)
class Fact:
    """A key figure."""

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
    """A table of columns of a frame (column, heading, kind).

    Headings of money say what it is, revenue or the basis of CLV, and name the currency.
    """
    headings = tuple(
        Column(write_heading(heading, kind, writing), kind) for _, heading, kind in columns
    )
    cells: list[list[Any]] = [frame[name].tolist() for name, _, _ in columns]
    rows = tuple(
        tuple(writing.cell(value, kind) for value, (_, _, kind) in zip(row, columns, strict=True))
        for row in zip(*cells, strict=True)
    )
    return Table(caption, headings, rows)


def write_heading(heading: str, kind: Kind, writing: NumberFormat) -> str:
    """A column's heading; that of money says what it is, and in which currency."""
    if kind not in ("money", "cents", "value", "amount"):
        return heading
    units = {"value": writing.value_unit, "amount": writing.currency}
    unit = units.get(kind, writing.money_unit)
    if unit.partition(",")[0] in heading:  # the heading says it already
        unit = writing.currency
    return f"{heading}, {unit}" if unit else heading
