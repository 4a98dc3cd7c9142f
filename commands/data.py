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


def init(
    orders: Annotated[str, typer.Argument(metavar="ORDERS", help="A file, glob or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("clvcast.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented configuration from the columns an order file has.

    Example: clvcast init orders.csv --output shop.yaml
    """
    from ..atomic_files import write_files
    from ..orders.reading.config_template import init as first_config

    text = first_config(orders)
    if output.exists() and not force:
        raise StoreError(f"{output} exists; name another --output, or replace it with --force")
    write_files({output: text})
    out.print(f"wrote {output}; look it over, then: clvcast check {output}")


def check(
    config: ConfigFile,
    audit: Annotated[
        bool, typer.Option("--audit", help="Prove that no later order touches a feature.")
    ] = False,
    complete_until: CompleteUntil = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Tell whether the orders are fit for a forecast: pass, warn or fail, with numbers.

    Exit status 1 when anything fails. Example: clvcast check configs/online_retail.yaml --audit
    """
    from ..features.checks.data_checks import check as findings_of

    settings = read_config(config, complete_until)
    orders = read_orders(settings, quiet or as_json)
    findings = findings_of(orders, settings, audit=audit)
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    elif not quiet:
        colours = {"pass": "green", "warn": "yellow", "fail": "red"}
        for finding in findings:
            colour = colours[finding.verdict]
            told = f"  {finding.name}: {finding.sentence}"
            out.print(Text.assemble((finding.verdict, colour), told))
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)
