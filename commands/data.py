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
    Quiet,
    out,
    print_json,
    read_config,
    read_orders,
)

if TYPE_CHECKING:
    from ..discovery.proposal import Proposal


def init(
    orders: Annotated[
        str, typer.Argument(metavar="ORDERS", help="A file, glob, folder or database address.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("clvcast.yaml"),
    query: Annotated[
        str | None, typer.Option(help="A SELECT, where ORDERS is a database without a table.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a commented configuration from the columns and values of an order file.

    Says what it took, from what evidence, and what it could not tell. Exit status 1 when something
    must be answered before `clvcast check` can run.

    Example: clvcast init orders.csv --output shop.yaml
    """
    from ..atomic_files import write_files
    from ..configs.addresses import hide_passwords
    from ..discovery.config_template import write_config_text
    from ..discovery.propose import propose_config

    if output.exists() and not force:
        raise StoreError(f"{output} exists; name another --output, or replace it with --force")
    proposal = propose_config(orders, query)
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
            value = "; ".join(f"{name}: {', '.join(values)}" for name, values in value.items())
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
        out.print(f"wrote {output}; look it over, then: clvcast check {output}")
    else:
        out.print(f"wrote {output}; answer what is needed in it, then: clvcast check {output}")


def _shorten(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


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
