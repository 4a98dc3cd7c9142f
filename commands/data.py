"""Commands on order data: init, check."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

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
from .shop import print_findings, print_silent_faults, print_summary


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
    """Show what was read, to compare with the shop's dashboard, and whether it is fit for a forecast.

    Each finding passes, warns or fails, with its number and how to mend it. Exit status 1 when
    anything fails. Example: clvcast check configs/online_retail.yaml --audit
    """
    from ..features.checks.data_checks import check as check_data
    from ..orders.checks.shop_summary import summarize_shop
    from ..orders.checks.silent_faults import find_silent_faults
    from ..orders.checks.source_profile import profile_sources

    settings = read_config(config, complete_until)
    orders = read_orders(settings, quiet or as_json)
    profile = profile_sources(settings.orders)
    summary = summarize_shop(orders, settings.orders, profile)
    findings = check_data(orders, settings, audit=audit)
    faults = find_silent_faults(profile)
    if as_json:
        read = {**dataclasses.asdict(summary), "lines_checked": profile.n_lines_read}
        told = [dataclasses.asdict(finding) for finding in (*findings, *faults)]
        print_json({"read": read, "findings": told})
    elif not quiet:
        print_summary(summary)
        print_findings(findings)
        print_silent_faults(faults, profile)
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)
