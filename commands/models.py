"""Commands on the registry: models list, promote, rollback."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .console import Json, Quiet, Store, out, print_json, read_config

app = typer.Typer(no_args_is_help=True, help="The registry: which model serves, and the way back.")

Name = Annotated[str, typer.Option("--name", help="The registered model's name.")]
Settings = Annotated[
    Path | None, typer.Option("--config", help="Take store and name from a configuration.")
]


def _resolve_store(
    name: str, config: Path | None, tracking_uri: str | None
) -> tuple[str, str | None]:
    if config is None:
        return name, tracking_uri
    tracking = read_config(config).tracking
    return tracking.model_name, tracking_uri or tracking.uri


@app.command("list")
def list_(
    name: Name = "clv",
    config: Settings = None,
    tracking_uri: Store = None,
    as_json: Json = False,
) -> None:
    """Show the versions of a model: aliases, dates, data, measures, and why each was promoted or refused.

    Example: clvcast models list
    """
    from ..train.registry.promotion import list_models

    model, store = _resolve_store(name, config, tracking_uri)
    versions, history = list_models(model, store)
    if as_json:
        listed = [dataclasses.asdict(version) for version in versions]
        print_json({"model": model, "versions": listed, "history": history})
        return
    measures = list(dict.fromkeys(name for version in versions for name in version.measures))
    table = Table(title=f"versions of {model}", title_justify="left")
    for heading in ("version", "alias", *measures, "verdict"):
        table.add_column(heading, overflow="fold")
    for version in versions:
        table.add_row(
            version.version, "\n".join(version.aliases),
            *(version.measures.get(name, "-") for name in measures), version.verdict,
        )  # fmt: skip
    out.print(table)
    for version in versions:
        out.print(
            f"version {version.version}: registered {version.registered_at}, orders {version.data}"
        )
        if version.reason:
            out.print(f"  {version.verdict}: {version.reason}")
    out.print()
    for entry in history:
        out.print(entry)


@app.command()
def promote(
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Which version is to serve.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the date.")] = "",
    name: Name = "clv",
    config: Settings = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make a version champion, whatever the gate said of it.

    Example: clvcast models promote 3 --reason "the autumn is known to be odd"
    """
    from ..train.registry import promotion

    model, store = _resolve_store(name, config, tracking_uri)
    _tell(promotion.promote(model, str(version), reason, store), quiet, as_json)


@app.command()
def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the date.")] = "",
    name: Name = "clv",
    config: Settings = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Give the champion's place back to the version it replaced; a second time nothing changes.

    Example: clvcast models rollback --reason "forecasts twice what was sold"
    """
    from ..train.registry import promotion

    model, store = _resolve_store(name, config, tracking_uri)
    _tell(promotion.rollback(model, reason, store), quiet, as_json)


def _tell(change: object, quiet: bool, as_json: bool) -> None:
    from ..train.registry.promotion import Change

    assert isinstance(change, Change)
    if as_json:
        print_json(dataclasses.asdict(change))
    elif not quiet:
        out.print(change.sentence)
