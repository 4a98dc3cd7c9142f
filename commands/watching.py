"""Commands that look back at forecasts: compare, monitor."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from .console import Json, Quiet, Store, err, out, print_json, read_config

if TYPE_CHECKING:
    from ..models.model import TrainedModel

ModelOption = Annotated[
    str | None, typer.Option("--model", help="A bundle folder, or models:/NAME@ALIAS.")
]
Overrides = Annotated[
    Path | None, typer.Option(help="Overrides the model's mapping and economics.")
]


def _model(model: str | None, config: Path | None, tracking_uri: str | None) -> TrainedModel | None:
    from ..models.loading import load_model

    settings = None if config is None else read_config(config)
    if model is None:
        return None
    loaded = load_model(model, tracking_uri or (settings.tracking.uri if settings else None))
    return loaded if settings is None else loaded.with_config(settings)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="The earlier forecasts.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The later forecasts.")],
    model: ModelOption = None,
    orders: Annotated[
        str | None, typer.Option(help="With --model (B's): tells model, ageing and orders apart.")
    ] = None,
    measure: Annotated[str, typer.Option(help="clv or expected_spend.")] = "clv",
    top: Annotated[int, typer.Option(min=0, help="How many risers and fallers.")] = 10,
    config: Overrides = None,
    tracking_uri: Store = None,
    as_json: Json = False,
) -> None:
    """Explain how the total moved between two forecasts, and who moved.

    Example: clvcast compare october.parquet november.parquet
    """
    from ..evaluation.comparison import compare as compared

    result = compared(a, b, _model(model, config, tracking_uri), orders, measure=measure, top=top)
    if as_json:
        plain = dataclasses.asdict(
            dataclasses.replace(result, migrations={}, rose=None, fell=None)  # type: ignore[arg-type]
        )
        plain["migrations"] = {n: t.to_dict("records") for n, t in result.migrations.items()}
        plain |= {n: getattr(result, n).to_dict("records") for n in ("rose", "fell")}
        print_json(plain)
        return
    bridge = Table(title=f"how {result.measure} moved", title_justify="left")
    for heading in ("", "customers", "amount"):
        bridge.add_column(heading, justify="left" if not heading else "right")
    bridge.add_row("A", "", f"{result.before:,.2f}")
    for term in result.terms:
        bridge.add_row(term.name, f"{term.customers:,}", f"{term.amount:+,.2f}")
    bridge.add_row("B", "", f"{result.after:,.2f}")
    out.print(bridge)
    for name, migration in result.migrations.items():
        _print_frame(f"{name}: from A to B", migration)
    for name in ("rose", "fell"):
        _print_frame(f"who {name} most", getattr(result, name))


def monitor(
    forecasts: Annotated[str, typer.Option(help="Forecasts as `score` wrote them.")],
    orders: Annotated[str, typer.Option(help="Orders, as new as there are.")],
    model: ModelOption = None,
    config: Annotated[
        Path | None, typer.Option(help="Gives horizon, mapping and the bounds of `monitor`.")
    ] = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Tell whether forecasts came true, or, before they can, whether the customers are still the same.

    Exit status 1 on an alarm. Example: clvcast monitor --forecasts october.parquet --orders
    data/online_retail.parquet --model models:/clv@champion
    """
    from ..evaluation.monitoring import monitor as watched

    settings = None if config is None else read_config(config)
    result = watched(forecasts, orders, _model(model, config, tracking_uri), settings)
    if as_json:
        plain = {
            "severity": result.severity,
            "findings": [dataclasses.asdict(f) for f in result.findings],
        }
        print_json({**plain, "matured": result.matured.to_dict("records")})
    elif not quiet:
        if len(result.matured):
            shown = [name for name in result.matured if not str(name).endswith("_by_chance")]
            _print_frame("what was forecast beside what happened", result.matured[shown])
        colours = {"fine": "green", "warning": "yellow", "alarm": "red"}
        for finding in result.findings:
            if finding.severity != "fine":
                told = f"  {finding.sentence}"
                out.print(Text.assemble((finding.severity, colours[finding.severity]), told))
        fine = sum(finding.severity == "fine" for finding in result.findings)
        out.print(f"{fine} of {len(result.findings)} numbers are fine; in all: {result.severity}")
    if quiet or as_json:  # a scheduler passes on what stands on stderr
        for finding in result.findings:
            if finding.severity == "alarm":
                err.print(f"clvcast: alarm: {finding.sentence}")
    if result.severity == "alarm":
        raise typer.Exit(1)


def _print_frame(title: str, frame: Any) -> None:
    table = Table(title=title, title_justify="left")
    for name in frame.columns:
        table.add_column(str(name), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        if value != value:
            return "-"
        return f"{value:,.2f}" if abs(value) >= 10 else f"{value:.3f}"
    return str(value)
