"""What commands share: how they print, what options mean, how a configuration and orders are read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from ..configs.schema import Config
    from ..features.orders import Orders

__all__ = [
    "ConfigFile", "Cutoff", "Json", "Quiet", "Store",
    "counting", "err", "load", "money", "note", "out", "print_json", "print_metrics", "progress", "read_orders",
]  # fmt: skip

out = Console(soft_wrap=True, highlight=False, markup=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Store = Annotated[str | None, typer.Option("--tracking-uri", help="The MLflow store.")]
Cutoff = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="The first instant not observed, such as 2011-12-10."),
]


def load(path: Path) -> Config:
    """Read a configuration."""
    from ..configs.schema import load_config

    return load_config(path)


def read_orders(settings: Config, silent: bool) -> Orders:
    """Read the orders a configuration names, with what reading had to remark."""
    from ..features.reading import read

    orders = read(settings.orders)
    note(orders.report.remarks, silent)
    return orders


def note(remarks: Sequence[str], silent: bool) -> None:
    """Print remarks where warnings go."""
    if not silent:
        for remark in remarks:
            err.print(f"note: {remark}")


def progress(silent: bool) -> Callable[[str], None]:
    """What tells people what is going on: they are there when stderr is a terminal."""

    def say(message: str) -> None:
        if err.is_terminal and not silent:
            err.print(message, style="dim")

    return say


@contextmanager
def counting(silent: bool) -> Iterator[Callable[[int, int], None]]:
    """Shows customers done, their rate and the time that remains, where people watch."""
    columns = (
        "{task.percentage:>3.0f} %",
        BarColumn(),
        "{task.fields[rate]}",
        TimeRemainingColumn(),
    )
    hidden = silent or not err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=None, rate="")
        begin = time.perf_counter()

        def tell(done: int, total: int) -> None:
            rate = done / max(time.perf_counter() - begin, 1e-9)
            told = f"{done:,} of {total:,} customers, {rate:,.0f} a second"
            bar.update(task, completed=done, total=total, rate=told)

        yield tell


def print_metrics(metrics: dict[str, Any], currency: str) -> None:
    """A table of measures per cutoff, then sentences about it."""
    from ..train.summary import TABLE_MEASURES, verdict

    for cutoff, summary in metrics.items():
        customers, days = summary["customers"], summary["horizon_days"]
        title = f"{customers:,} customers, {days} days from {cutoff} that no method had seen"
        table = Table(title=title, title_justify="left")
        table.add_column("method")
        for measure in TABLE_MEASURES:
            table.add_column(measure, justify="right")
        for name, values in summary["methods"].items():
            table.add_row(name, *(_cell(measure, values[measure]) for measure in TABLE_MEASURES))
        out.print(table)
        for sentence in verdict(summary, currency):
            out.print(sentence)
        out.print()


def _cell(measure: str, value: float | None) -> str:
    if value is None:
        return "-"
    if measure in ("MAE", "RMSE"):
        return f"{value:,.1f}"
    return f"{value:+.1%}" if measure == "bias" else f"{value:.3f}"


def money(amount: float, currency: str) -> str:
    """An amount as people read it, in whole units of the currency."""
    return f"{amount:,.0f} {currency}".rstrip()


def print_json(content: object) -> None:
    """Print what a machine reads."""
    print(json.dumps(content, indent=1, default=str))
