"""Commands on order data: init, check."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ..errors import StoreError
from .console import (
    CompleteUntil,
    ConfigFile,
    Json,
    OrdersOption,
    Quiet,
    format_command,
    out,
    print_json,
    read_config_of_orders,
    read_orders,
)
from .shop import print_findings, print_silent_faults, print_summary

if TYPE_CHECKING:
    from ..discovery.proposal import Proposal


def init(
    orders: Annotated[
        str, typer.Argument(metavar="ORDERS", help="File, glob, folder or database address.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "clvcast.yaml"
    ),
    query: Annotated[
        str | None, typer.Option(help="A SELECT, if ORDERS is a database without #TABLE.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a commented configuration from the columns and values of an order file.

    Prints the settings it chose, the evidence, and what it could not decide. Exit status 1 if you
    must answer a question before `clvcast check` can run.

    Example: clvcast init orders.csv --output shop.yaml
    """
    from ..atomic_files import write_files
    from ..configs.addresses import hide_passwords
    from ..discovery.config_template import write_config_text
    from ..discovery.propose import propose_config

    proposal = propose_config(orders, query)  # first: a source that is not there is the first fault
    if output.exists() and not force:
        raise StoreError(f"{output} exists; name another --output, or replace it with --force")
    write_files({output: write_config_text(proposal)})
    if as_json:
        content = dataclasses.asdict(proposal) | {"source": hide_passwords(orders)}
        print_json({"output": str(output), **content, "can_check": proposal.can_check})
    elif not quiet:
        _print_proposal(proposal, output)
    if not proposal.can_check:
        raise typer.Exit(1)


def _print_proposal(proposal: Proposal, output: Path) -> None:
    """What init took, from what evidence, and what it needs."""
    lines = (
        f"{proposal.n_lines:,} lines"
        if proposal.is_whole
        else f"a sample of {proposal.n_lines:,} lines"
    )
    layout = f", found to be of {proposal.layout}" if proposal.layout else ""
    out.print(f"read {lines}{layout}")
    for choice in proposal.choices:
        value = choice.value
        if isinstance(value, dict):
            listed = {k: v if isinstance(v, str) else ", ".join(v) for k, v in value.items()}
            value = "; ".join(f"{name}: {values}" for name, values in listed.items())
        why = f"  ({choice.why})" if choice.why else ""
        out.print(Text.assemble(f"  {choice.key}: ", (_shorten(str(value)), "bold"), f"{why}"))
    for question in proposal.questions:
        colour = "red" if question.is_needed else "yellow"
        verdict = "needed" if question.is_needed else "open"
        out.print(Text.assemble((verdict, colour), f"  {question.key}: {question.asks}"))
        for value, meaning in question.answers:
            last = question.key.rpartition(".")[2]
            out.print(f"    {last}: {value}" + (f"  # {meaning}" if meaning else ""))
    if proposal.can_check:
        out.print(f"wrote {output}; look it over, then: {format_command('check', output)}")
    else:
        command = format_command("check", output)
        out.print(f"wrote {output}; answer what is needed in it, then: {command}")


def _shorten(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def check(
    config: ConfigFile = None,
    orders: OrdersOption = None,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit",
            help="Verify that orders after a cutoff do not change its features (no leakage).",
        ),
    ] = False,
    complete_until: CompleteUntil = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Show what was read, to compare with your dashboard, and check that it suits forecasts.

    Each finding passes, warns or fails, with its number and how to fix it. Exit status 1 if a
    check fails. Example: clvcast check configs/online_retail.yaml --audit
    """
    from ..discovery.checks.shop_summary import summarize_shop
    from ..discovery.checks.silent_faults import find_silent_faults
    from ..discovery.checks.source_profile import profile_sources
    from ..features.checks.data_checks import check as check_data

    _, settings = read_config_of_orders(config, orders, complete_until)
    order_lines = read_orders(settings, quiet or as_json)
    profile = profile_sources(settings.orders)
    summary = summarize_shop(order_lines, settings.orders, profile)
    findings = check_data(order_lines, settings, audit=audit)
    faults = find_silent_faults(profile)
    if as_json:
        read = {**dataclasses.asdict(summary), "lines_checked": profile.n_lines_read}
        records = [dataclasses.asdict(finding) for finding in (*findings, *faults)]
        print_json({"read": read, "findings": records})
    elif not quiet:
        print_summary(summary)
        print_findings(findings)
        print_silent_faults(faults, profile)
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)
