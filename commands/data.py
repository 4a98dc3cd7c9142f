"""Commands on order data: init, check."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ..errors import StoreError
from .console import (
    CompleteUntil,
    ConfigFile,
    Json,
    Quiet,
    out,
    print_json,
    read_config,
    read_orders,
)
from .tables import COLOURS


def init(
    orders: Annotated[str, typer.Argument(metavar="ORDERS", help="File, glob or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "clvcast.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented configuration from the columns of an order file.

    Example: clvcast init orders.csv --output shop.yaml
    """
    from ..atomic_files import write_files
    from ..orders.reading import config_template

    text = config_template.init(orders)
    if output.exists() and not force:
        raise StoreError(f"{output} exists; name another --output, or replace it with --force")
    write_files({output: text})
    out.print(f"wrote {output}; review it, then run: clvcast check {output}")


def check(
    config: ConfigFile,
    audit: Annotated[
        bool, typer.Option("--audit", help="Verify that later orders change no feature.")
    ] = False,
    complete_until: CompleteUntil = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check whether the orders are fit for forecasts: pass, warn or fail, with numbers.

    Exit status 1 if a check fails. Example: clvcast check configs/online_retail.yaml --audit
    """
    from ..features.checks import data_checks

    settings = read_config(config, complete_until)
    orders = read_orders(settings, quiet or as_json)
    findings = data_checks.check(orders, settings, audit=audit)
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    elif not quiet:
        for finding in findings:
            verdict = (finding.verdict, COLOURS[finding.verdict])
            out.print(Text.assemble(verdict, f"  {finding.name}: {finding.sentence}"))
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)
