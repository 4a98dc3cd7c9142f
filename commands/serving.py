"""Commands for services: serve, warm."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .console import Quiet, Store, out, read_config


def serve(
    model: Annotated[str, typer.Option(help="A bundle folder, or models:/NAME@ALIAS.")],
    host: Annotated[str, typer.Option(help="Other than loopback needs tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535)] = 8000,
    tokens: Annotated[
        Path | None, typer.Option(help="A file of bearer tokens, one a line; or CLVCAST_TOKENS.")
    ] = None,
    admin_tokens: Annotated[
        Path | None,
        typer.Option(help="Tokens for reload and rollback; or CLVCAST_ADMIN_TOKENS."),
    ] = None,
    models_root: Annotated[
        Path | None, typer.Option(help="Bundles below it may be loaded by path.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Overrides the model's economics and periods.")
    ] = None,
    forecasts: Annotated[
        Path | None, typer.Option(help="A forecast file to show at /; needs --orders.")
    ] = None,
    orders: Annotated[
        str | None, typer.Option(help="The orders the forecasts were made from.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="A PEM file, for TLS.")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    tracking_uri: Store = None,
) -> None:
    """Answer for forecasts over HTTP, on this machine alone unless told otherwise.

    Example: clvcast serve --model models:/clv@champion
    """
    from ..models.loading import load_model
    from ..models.model import TrainedModel
    from ..serve.rest.auth import read_tokens
    from ..serve.rest.model_holder import ModelHolder
    from ..serve.rest.server import run
    from ..serve.rest.settings import Settings

    settings = None if config is None else read_config(config)
    store = tracking_uri or (settings.tracking.uri if settings else None)

    def prepare(loaded: TrainedModel) -> TrainedModel:
        return loaded if settings is None else loaded.with_config(settings)

    if (forecasts is None) != (orders is None):
        raise ConfigError("--forecasts and --orders belong together, got one of them")
    loaded = prepare(load_model(model, store))
    stated = Settings(
        host=host,
        port=port,
        tokens=read_tokens(tokens, admin_tokens, os.environ),
        models_root=models_root,
        tracking_uri=store,
        certificate=certificate,
        private_key=private_key,
    )
    pages = []
    if forecasts is not None and orders is not None:
        from ..serve.rest.explorer import create_explorer

        pages.append(create_explorer(forecasts, orders, loaded, stated, settings))
    run(ModelHolder(loaded, models_root, store, prepare), stated, pages)


def warm(
    model: Annotated[
        str | None, typer.Option(help="A bundle folder or models:/ URI to try as well.")
    ] = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
) -> None:
    """Compile what a service runs, so that its first answer is as fast as the rest.

    The compiled code is kept beside the package or in NUMBA_CACHE_DIR. Example: clvcast warm
    """
    from ..models.loading import load_model
    from ..serve.warmup import warm as warm_model
    from ..serve.warmup import warm_code

    begin = time.perf_counter()
    warm_code()
    if model is not None:
        warm_model(load_model(model, tracking_uri))
    if not quiet:
        out.print(f"warm after {time.perf_counter() - begin:.1f} s")
