"""Commands on the registry: models list, promote, rollback."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Json, Quiet, Store, out, print_json, read_config
from .tables import print_grid

if TYPE_CHECKING:
    from ..train.registry.promotion import Change

app = typer.Typer(
    no_args_is_help=True,
    help="The model registry: list, promote, roll back. Example: clvcast models list",
)

Name = Annotated[str, typer.Option("--name", help="Name of the registered model.")]
Settings = Annotated[
    Path | None, typer.Option("--config", help="Configuration with store and name.")
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
    """List the versions of a model: aliases, data, measures, and the gate's reasons.

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
    print_grid(
        f"versions of {model}",
        ("version", "alias", *measures, "verdict"),
        [
            (
                *(version.version, "\n".join(version.aliases)),
                *(version.measures.get(name, "-") for name in measures),
                version.verdict,
            )
            for version in versions
        ],
    )
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
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Number of the version.")],
    reason: Annotated[str, typer.Option("--reason", help="Reason, kept with the date.")] = "",
    name: Name = "clv",
    config: Settings = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make a version champion, whatever the gate's verdict.

    Example: clvcast models promote 3 --reason "unusual autumn, checked by hand"
    """
    from ..train.registry import promotion

    model, store = _resolve_store(name, config, tracking_uri)
    _print_change(promotion.promote(model, str(version), reason, store), quiet, as_json)


@app.command()
def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Reason, kept with the date.")] = "",
    name: Name = "clv",
    config: Settings = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make the previous champion champion again; a second rollback changes nothing.

    Example: clvcast models rollback --reason "forecasts are twice the sales"
    """
    from ..train.registry import promotion

    model, store = _resolve_store(name, config, tracking_uri)
    _print_change(promotion.rollback(model, reason, store), quiet, as_json)


def _print_change(change: Change, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(change))
    elif not quiet:
        out.print(change.sentence)
