"""Commands on past forecasts: compare, monitor."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from .console import (
    DEFAULT_CONFIG,
    Format,
    Json,
    Quiet,
    Store,
    err,
    load_configured_model,
    note,
    out,
    print_json,
    read_optional_config,
)
from .forecast_orders import find_orders, read_settings
from .standard_streams import receive
from .tables import COLOURS, PrintedColumn, print_grid, print_table

OptionalModel = Annotated[
    str | None,
    typer.Option("--model", help="Bundle folder, or models:/NAME@ALIAS in the registry."),
]
Overrides = Annotated[
    Path | None, typer.Option(help="Overrides the model's mapping and economics.")
]


# the measures of segments in two tables, each of which fits 100 columns
_DETAILS = {
    "spend": (
        PrintedColumn("customers", "customers", "count"),
        PrintedColumn("forecast", "forecast", "money"),
        PrintedColumn("actual", "actual", "money"),
        PrintedColumn("bias", "bias", "tenths"),
        PrintedColumn("interval from", "lower", "money"),
        PrintedColumn("to", "upper", "money"),
    ),
    "churn, intervals and ranking": (
        PrintedColumn("churn forecast", "churn_forecast", "tenths"),
        PrintedColumn("actual", "churn_actual", "tenths"),
        PrintedColumn("calibration", "calibration", "tenths"),
        PrintedColumn("coverage", "coverage", "tenths"),
        PrintedColumn("top tenth", "capture_of_perfect", "tenths"),
    ),
}


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Earlier forecasts.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Later forecasts.")],
    model: OptionalModel = None,
    orders: Annotated[
        str | None,
        typer.Option(
            help="Orders used for forecast B: shows what customers spent between A and B; with "
            "--model of B also the effect of a new model."
        ),
    ] = None,
    measure: Annotated[
        str, typer.Option(help="Measure to compare: clv or expected_spend.")
    ] = "clv",
    top: Annotated[int, typer.Option(min=0, help="Number of largest rises and falls.")] = 10,
    by: Annotated[
        str | None, typer.Option(help="Also split the change by tier, rfm_segment or risk.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the tables.")
    ] = None,
    ending: Format = "csv",
    config: Overrides = None,
    tracking_uri: Store = None,
    as_json: Json = False,
) -> None:
    """Explain the change of the total between two forecasts, and by which customers.

    Example: clvcast compare october.parquet november.parquet
    """
    from ..atomic_files import check_folder
    from ..evaluation.comparison import compare as compare_forecasts

    settings = read_optional_config(config)
    loaded = None if model is None else load_configured_model(model, settings, tracking_uri)
    if output is not None:
        check_folder(output)
    result = compare_forecasts(
        a, b, loaded, orders, measure=measure, top=top, by=by, config=settings
    )
    if output is not None:
        result.save(output, ending)
    if as_json:
        frames: dict[str, Any] = {"migrations": {}, "rose": None, "fell": None, "segments": None}
        plain = dataclasses.asdict(dataclasses.replace(result, **frames))
        plain["migrations"] = {n: t.to_dict("records") for n, t in result.migrations.items()}
        plain |= {n: getattr(result, n).to_dict("records") for n in ("rose", "fell")}
        if result.segments is not None:
            plain["segments"] = result.segments.to_dict("records")
        print_json(plain)
        return
    note(result.remarks, silent=False)
    unit = f", {result.currency}" if result.currency else ""
    money = f"{result.measure} ({result.basis}{unit})"
    print_grid(
        f"change of {money}",
        ("", "customers", "amount"),
        [
            ("A", "", f"{result.before:,.2f}"),
            *((t.name, f"{t.customers:,}", f"{t.amount:+,.2f}") for t in result.terms),
            ("B", "", f"{result.after:,.2f}"),
        ],
        right=("customers", "amount"),
    )
    if result.segments is not None:
        _print_frame(f"change of {money} by {by}", result.segments)
    for name in result.migrations:
        customers = result.matrix(name).astype(int)
        _print_frame(f"{name}: from A to B, customers", customers.reset_index())
        value = result.matrix(name, "value_after")
        _print_frame(f"{name}: from A to B, {money} in B", value.reset_index())
    for name in ("rose", "fell"):
        _print_frame(f"customers whose {money} {name} most", getattr(result, name))


def monitor(
    forecasts: Annotated[
        str,
        typer.Option(
            callback=receive, help="Forecast file of clvcast score; -: CSV from standard input."
        ),
    ],
    orders: Annotated[
        str | None,
        typer.Option(
            callback=receive,
            help="Newest orders; -: CSV from standard input. Default: those of the configuration.",
        ),
    ] = None,
    model: OptionalModel = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration with horizon, mapping and `monitor`. Default, without --orders: "
            f"{DEFAULT_CONFIG}, if it is here."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the tables.")
    ] = None,
    ending: Format = "csv",
    details: Annotated[
        bool, typer.Option("--details", help="Print the measures of every segment, too.")
    ] = False,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare forecasts with actual orders; while the prediction window is open, check for drift.

    Exit status 1 on an alarm. Example: clvcast monitor --forecasts october.parquet --orders
    data/online_retail.parquet --model models:/clv@champion
    """
    from ..atomic_files import check_folder
    from ..evaluation.monitoring import monitor as monitor_forecasts

    settings = read_settings(config, orders)
    loaded = None if model is None else load_configured_model(model, settings, tracking_uri)
    if output is not None:
        check_folder(output)
    newest = find_orders(orders, settings, quiet or as_json)
    result = monitor_forecasts(forecasts, newest, loaded, settings)
    if output is not None:
        result.save(output, ending)
    if as_json:
        plain = {
            "severity": result.severity,
            "headlines": result.headlines,
            "terms": None if result.terms is None else result.terms.model_dump(mode="json"),
            "findings": [dataclasses.asdict(f) for f in result.findings],
        }
        print_json({**plain, "matured": result.matured.to_dict("records")})
    elif not quiet:
        for line in result.headlines:
            out.print(line)
        if details and len(result.matured):
            for cutoff, rows in result.matured.groupby("cutoff", sort=True):
                _print_details(str(cutoff), rows)
        for finding in result.findings:
            if finding.severity != "fine":
                severity = (finding.severity, COLOURS[finding.severity])
                out.print(Text.assemble(severity, f"  {finding.sentence}"))
        fine = sum(finding.severity == "fine" for finding in result.findings)
        out.print(f"{fine} of {len(result.findings)} numbers are fine; overall: {result.severity}")
    if quiet or as_json:  # a scheduler forwards stderr
        for finding in result.findings:
            if finding.severity == "alarm":
                err.print(f"clvcast: alarm: {finding.sentence}")
    if result.severity == "alarm":
        raise typer.Exit(1)


def _print_details(cutoff: str, rows: Any) -> None:
    """The measures of one cutoff: for all customers, then by kind of segment."""
    named = rows.assign(name=rows["value"].where(rows["part"] != "all", "all customers"))
    parts = {
        "" if part == "all" else f"by {part}": part_rows.to_dict("records")
        for part, part_rows in named.groupby("part", sort=False)
    }
    for title, columns in _DETAILS.items():
        print_table(f"{title} at {cutoff}", parts, columns)


def _print_frame(title: str, frame: Any) -> None:
    rows = [tuple(map(_format_cell, row)) for row in frame.itertuples(index=False)]
    print_grid(title, tuple(map(str, frame.columns)), rows)


def _format_cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return "-"
    return f"{value:,.2f}" if abs(value) >= 10 else f"{value:.3f}"
