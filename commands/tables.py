"""Tables on the terminal: measures, the gate's rules, and tables that fit 80 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .console import out

if TYPE_CHECKING:
    from ..train.gate.rules import Verdict

__all__ = [
    "COLOURS",
    "PrintedColumn",
    "print_grid",
    "print_legend",
    "print_metrics",
    "print_rules",
    "print_table",
]

Kind = Literal["count", "money", "ratio", "share", "tenths", "whole", "text"]
_COLUMNS, _MAX_WIDTH = 80, 1_000
_NAME_WIDTH = 18  # letters of a row's name in one line; longer names are wrapped
_STYLES = {"count": ",.0f", "ratio": ".2f", "share": ".0%", "tenths": ".1%", "whole": ".0f"}
COLOURS = {
    **{"pass": "green", "warn": "yellow", "fail": "red", "unknown": "yellow"},
    **{"fine": "green", "warning": "yellow", "alarm": "red"},
}


def print_grid(
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    right: Collection[str] = (),
) -> None:
    """Print rows of cells; the columns named in `right` are aligned to the right."""
    table = Table(title=title, title_justify="left")
    for heading in headings:
        justify: Any = "right" if heading in right else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Print the measures of each cutoff, the scorecard and the conclusions."""
    from ..train.backtest.summary import TABLE_MEASURES, describe_verdict

    for cutoff, summary in metrics.items():
        customers, days = summary["customers"], summary["horizon_days"]
        print_grid(
            f"{customers:,} customers, {days} days from {cutoff}, unseen by all methods",
            ("method", *TABLE_MEASURES),
            [
                (name, *(_format_measure(measure, values[measure]) for measure in TABLE_MEASURES))
                for name, values in summary["methods"].items()
            ],
            right=TABLE_MEASURES,
        )
        _print_clv(cutoff, summary)
        _print_deciles(summary)
        card = summary["scorecard"]
        if card["lines"]:
            print_grid(
                "against the best baseline of each measure",
                ("measure", "clvcast", "best baseline", "gain [95 %]", "verdict"),
                map(_format_comparison, card["lines"]),
                right=("clvcast", "best baseline", "gain [95 %]"),
            )
        out.print(card["sentence"])
        out.print(card["standards"])
        for sentence in describe_verdict(summary):
            out.print(sentence)
        out.print()


def _print_clv(cutoff: str, summary: Mapping[str, Any]) -> None:
    """Print the measures of the CLV of each method that has one, where its span is over."""
    from ..train.backtest.summary import TABLE_MEASURES

    clv = summary["clv"]
    if not clv["is_judged"]:
        return
    print_grid(
        f"CLV of {clv['periods']} x {summary['horizon_days']} days from {cutoff}",
        ("method", *TABLE_MEASURES),
        [
            (name, *(_format_measure(m, values[f"clv_{m}"]) for m in TABLE_MEASURES))
            for name, values in summary["methods"].items()
            if "clv_nGini" in values
        ],
        right=TABLE_MEASURES,
    )


def _print_deciles(summary: Mapping[str, Any]) -> None:
    """Print forecast and actual spend per customer of ten equal groups, and so of the CLV."""
    clv = summary["clv"]
    tables = [("", summary["deciles"])]
    tables += [("CLV ", clv["deciles"])] if clv["is_judged"] and clv["periods"] > 1 else []
    groups = [str(one["group"]) for one in summary["deciles"]]
    rows = [
        (f"{name}{column}", *(f"{one[column] / one['customers']:,.0f}" for one in deciles))
        for name, deciles in tables
        for column in ("forecast", "actual")
    ]
    title = "mean spend by tenth of the customers, highest forecast first"
    print_grid(title, ("", *groups), rows, right=groups)


def _format_comparison(line: dict[str, Any]) -> tuple[str, ...]:
    ours, theirs = (
        f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
        for value in (line["ours"], line["theirs"])
    )
    gain = f"{line['difference']:+.3f} [{line['lower']:+.3f}, {line['upper']:+.3f}]"
    return line["measure"], ours, f"{theirs} {line['baseline']}", gain, line["verdict"]


def _format_measure(measure: str, value: float | None) -> str:
    if value is None:
        return "-"
    if measure in ("MAE", "RMSE", "deviance"):
        return f"{value:,.1f}"
    return f"{value:+.1%}" if measure == "bias" else f"{value:.3f}"


def print_rules(verdict: Verdict) -> None:
    """Print the gate's rules with measured values, the basis of the judgement, and failures."""
    print_grid(
        "the gate",
        ("rule", "measured", "holds when", "verdict"),
        [
            (
                rule.name,
                "-" if rule.value is None else f"{rule.value:.3f}",
                rule.bound,
                Text(rule.verdict, COLOURS[rule.verdict]),
            )
            for rule in verdict.rules
        ],
        right=("measured",),
    )
    if verdict.judged_by:
        out.print(f"{verdict.judged_by[0].upper()}{verdict.judged_by[1:]}.")
    for rule in verdict.rules:
        if rule.verdict == "fail":
            out.print(Text.assemble(("fail", "red"), f"  {rule.name}: {rule.sentence}"))


@dataclass(frozen=True)
class PrintedColumn:
    """A column of a table: its heading, the frame's column, and the format of its numbers."""

    heading: str
    column: str
    kind: Kind


def print_table(
    title: str, parts: Mapping[str, Sequence[Mapping[Any, Any]]], columns: Sequence[PrintedColumn]
) -> None:
    """Print rows by their `name`, indented under the heading of their part if it has one.

    Unknown values are dashes. Numbers are never cut: where they need more than 80 columns, the
    table is wider.
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
    table.add_column("", overflow="fold", max_width=_NAME_WIDTH)
    styles = {}
    for each in columns:
        styles[each.column] = _find_style(each.kind, [row[each.column] for row in rows])
        justify: Any = "left" if each.kind == "text" else "right"
        table.add_column(each.heading, justify=justify, no_wrap=True)
    for heading, part in parts.items():
        if heading and part:
            table.add_row(heading, style="bold")
        for row in part:
            name = f" {row['name']}" if heading else str(row["name"])
            table.add_row(name, *(_format_cell(row[column], s) for column, s in styles.items()))
    needed = Measurement.get(out, out.options.update(max_width=_MAX_WIDTH), table).maximum
    # a console squeezes a table that is wider than itself
    wide = out if needed <= out.width else Console(width=needed, highlight=False, markup=False)
    wide.print(table)
    out.print()


def print_legend(text: str) -> None:
    """Print sentences below a table, in lines of 80 columns."""
    out.print(textwrap.fill(text, _COLUMNS))


def _find_style(kind: Kind, values: Sequence[Any]) -> str:
    """The number format of a column; amounts of a column have the same decimals."""
    if kind == "text":
        return ""
    if kind != "money":
        return _STYLES[kind]
    magnitudes = [abs(value) for value in values if value is not None and not math.isnan(value)]
    return ",.2f" if max(magnitudes, default=0.0) < 1e3 else ",.0f"


def _format_cell(value: Any, style: str) -> str:
    if value is None or value != value:
        return "-"
    return format(value, style)
