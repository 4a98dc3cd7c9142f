"""What commands share: how they print, what options mean, how a configuration and orders are read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..configs.schema import Config
    from ..orders.orders import Orders
    from ..train.gate.rules import Verdict

__all__ = [
    "CompleteUntil",
    "ConfigFile",
    "Cutoff",
    "Engine",
    "Json",
    "Quiet",
    "Store",
    "announce_compilation",
    "err",
    "format_money",
    "make_progress",
    "note",
    "out",
    "print_json",
    "print_metrics",
    "print_rules",
    "read_config",
    "read_orders",
    "show_progress_bars",
]  # fmt: skip

# a log or a pipe has no width of its own: tables there are not cut to 80 characters
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160

out = Console(soft_wrap=True, highlight=False, markup=False, width=_WIDTH)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Engine = Annotated[
    Literal["local", "spark"],
    typer.Option(help="Where the orders are read: on this machine, or in Spark (extra spark)."),
]
Store = Annotated[str | None, typer.Option("--tracking-uri", help="The MLflow store.")]
Cutoff = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="The first instant not observed, such as 2011-12-10."),
]
CompleteUntil = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="Every order before this date is there (also: today, yesterday). Default: the midnight "
        "after the newest order.",
    ),
]


def read_config(path: Path | None, complete_until: str | None = None) -> Config:
    """Read a configuration; what `complete_until` states replaces what the file says of it."""
    from ..configs.schema import Config, OrdersConfig, load_config

    config = Config() if path is None else load_config(path)
    if complete_until is None:
        return config
    stated = OrdersConfig(complete_until=complete_until)
    return config.overridden_by(Config(orders=stated))


def read_orders(settings: Config, silent: bool) -> Orders:
    """Read the orders a configuration names, with what reading had to remark."""
    from ..orders.reading.read_orders import read_orders as read

    announce_compilation(silent)
    orders = read(settings)
    note(orders.report.remarks, silent)
    return orders


def note(remarks: Sequence[str], silent: bool) -> None:
    """Print remarks where warnings go."""
    if not silent:
        for remark in remarks:
            err.print(f"note: {remark}")


def make_progress(silent: bool) -> Callable[[str], None]:
    """What tells people what is going on: they are there when stderr is a terminal."""

    def say(message: str) -> None:
        if err.is_terminal and not silent:
            err.print(message, style="dim")

    return say


def announce_compilation(silent: bool) -> None:
    """Say so in one line when the first call compiles; what is compiled is kept for the next."""
    if silent or not err.is_terminal:
        return
    from numba.core import event

    class Announcement(event.Listener):  # type: ignore[misc]
        def on_start(self, event: object) -> None:
            if not announced:
                announced.append(True)
                err.print("compiling the feature code, once (some 15 seconds) ...", style="dim")

        def on_end(self, event: object) -> None:
            """Nothing more to say."""

    announced: list[bool] = []
    event.register("numba:compile", Announcement())


class _Rate(ProgressColumn):
    """How many are done, and how many a second since the bar came up; no rate of what takes longer."""

    def render(self, task: Task) -> Text:
        count, since = task.fields["count"], task.fields["count"] - task.fields["first"]
        seconds = task.finished_time or task.elapsed or 0.0
        is_told = seconds >= 1.0 and since >= seconds
        return Text(f"{count:,}, {since / seconds:,.0f}/s" if is_told else f"{count:,}")


@contextmanager
def show_progress_bars(silent: bool) -> Iterator[Callable[[str, float, int], None]]:
    """A bar per kind of work, with its rate and an estimate of the time left, where stderr is a terminal."""
    announce_compilation(silent)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=err,
        transient=True,
        disable=silent or not err.is_terminal,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, share: float, count: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=1.0, first=count)
            bars.update(tasks[what], completed=share, count=count)

        yield show


def print_metrics(metrics: dict[str, Any], currency: str) -> None:
    """A table of measures per cutoff, then sentences about it."""
    from ..train.backtest.summary import TABLE_MEASURES, describe_verdict

    for cutoff, summary in metrics.items():
        customers, days = summary["customers"], summary["horizon_days"]
        title = f"{customers:,} customers, {days} days from {cutoff} that no method had seen"
        table = Table(title=title, title_justify="left")
        table.add_column("method")
        for measure in TABLE_MEASURES:
            table.add_column(measure, justify="right")
        for name, values in summary["methods"].items():
            table.add_row(
                name, *(_format_cell(measure, values[measure]) for measure in TABLE_MEASURES)
            )
        out.print(table)
        _print_scorecard(summary["scorecard"])
        for sentence in describe_verdict(summary):
            out.print(sentence)
        out.print()


def _print_scorecard(card: dict[str, Any]) -> None:
    table = Table(title="against the best baseline of each measure", title_justify="left")
    headings = ("measure", "clvcast", "best baseline", "gain [95 %]", "verdict")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("measure", "verdict") else "right")
    for line in card["lines"]:
        gain = f"{line['difference']:+.3f} [{line['lower']:+.3f}, {line['upper']:+.3f}]"
        theirs = f"{_format_number(line['theirs'])} {line['baseline']}"
        table.add_row(line["measure"], _format_number(line["ours"]), theirs, gain, line["verdict"])
    if card["lines"]:
        out.print(table)
    out.print(card["sentence"])


def _format_number(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _format_cell(measure: str, value: float | None) -> str:
    if value is None:
        return "-"
    if measure in ("MAE", "RMSE"):
        return f"{value:,.1f}"
    return f"{value:+.1%}" if measure == "bias" else f"{value:.3f}"


def print_rules(verdict: Verdict) -> None:
    """The gate's rules: what was measured, what must hold; then how the champion was judged, and failures."""
    colours = {"pass": "green", "fail": "red", "unknown": "yellow"}
    table = Table(title="the gate", title_justify="left")
    for heading in ("rule", "measured", "holds when", "verdict"):
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    for rule in verdict.rules:
        value = "-" if rule.value is None else f"{rule.value:.3f}"
        table.add_row(rule.name, value, rule.bound, Text(rule.verdict, colours[rule.verdict]))
    out.print(table)
    if verdict.judged_by:
        out.print(f"{verdict.judged_by[0].upper()}{verdict.judged_by[1:]}.")
    for rule in verdict.rules:
        if rule.verdict == "fail":
            out.print(Text.assemble(("fail", "red"), f"  {rule.name}: {rule.sentence}"))


def format_money(amount: float, currency: str) -> str:
    """An amount as people read it, in whole units of the currency."""
    return f"{amount:,.0f} {currency}".rstrip()


def print_json(content: object) -> None:
    """Print what a machine reads."""
    print(json.dumps(content, indent=1, default=str))
