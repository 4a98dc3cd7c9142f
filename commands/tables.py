"""Tables of numbers for people: whole numbers at 80 columns, on a screen and in a pipe."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from .console import out

__all__ = ["PrintedTable", "print_legend", "print_table"]

Kind = Literal["count", "money", "ratio", "share", "tenths", "whole", "text"]
_COLUMNS, _MOST_WIDTH = 80, 1_000
_MOST_NAME = 18  # letters of a row's name in one line; longer ones go on in the next
_STYLES = {"count": ",.0f", "ratio": ".2f", "share": ".0%", "tenths": ".1%", "whole": ".0f"}


@dataclass(frozen=True)
class PrintedTable:
    """A column of a table: its heading, the frame's column, and how its numbers are written."""

    heading: str
    column: str
    kind: Kind


def print_table(
    title: str, parts: Mapping[str, Sequence[Mapping[Any, Any]]], columns: Sequence[PrintedTable]
) -> None:
    """Print rows by their `name`, under the heading of their part; a part without one has its rows at the margin.

    What is not known is a dash. No number is ever cut: where they are too many digits for 80 columns, the table
    is wider.
    """
    rows = [row for part in parts.values() for row in part]
    if not rows:
        return
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", overflow="fold", max_width=_MOST_NAME)
    written = {}
    for shown in columns:
        style = _style(shown.kind, [row[shown.column] for row in rows])
        written[shown.column] = style
        justify: Any = "left" if shown.kind == "text" else "right"
        table.add_column(shown.heading, justify=justify, no_wrap=True)
    for heading, part in parts.items():
        if heading and part:
            table.add_row(heading, style="bold")
        for row in part:
            name = f" {row['name']}" if heading else str(row["name"])
            table.add_row(name, *(_format_cell(row[column], s) for column, s in written.items()))
    needed = Measurement.get(out, out.options.update(max_width=_MOST_WIDTH), table).maximum
    # a console squeezes what is wider than itself
    wide = out if needed <= out.width else Console(width=needed, highlight=False, markup=False)
    wide.print(table)
    out.print()


def print_legend(text: str) -> None:
    """Print sentences below a table, in lines of 80 columns."""
    out.print(textwrap.fill(text, _COLUMNS))


def _style(kind: Kind, values: Sequence[Any]) -> str:
    """How a column is written; amounts of a column have the same decimals."""
    if kind == "text":
        return ""
    if kind != "money":
        return _STYLES[kind]
    known = [abs(value) for value in values if value is not None and not math.isnan(value)]
    return ",.2f" if max(known, default=0.0) < 1e3 else ",.0f"


def _format_cell(value: Any, style: str) -> str:
    if value is None or value != value:
        return "-"
    return format(value, style)
