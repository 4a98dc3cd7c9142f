"""Commands for services: serve, warm."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .console import (
    ConfiguredModel,
    ExpectSha256,
    Json,
    Quiet,
    Store,
    find_model_and_config,
    load_configured_model,
    note,
    out,
    print_json,
    read_optional_config,
)


def serve(
    model: ConfiguredModel = None,
    host: Annotated[
        str, typer.Option(help="Address to bind; any address except 127.0.0.1 needs --tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0: any free one.")] = 8000,
    tokens: Annotated[
        Path | None,
        typer.Option(help="File of bearer tokens, one per line; or CLVCAST_TOKENS."),
    ] = None,
    admin_tokens: Annotated[
        Path | None,
        typer.Option(help="File of tokens for reload and rollback; or CLVCAST_ADMIN_TOKENS."),
    ] = None,
    models_root: Annotated[
        Path | None, typer.Option(help="Folder of bundles that may be loaded by path.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Overrides the model's economics and periods.")
    ] = None,
    forecasts: Annotated[
        Path | None, typer.Option(help="Forecast file to show at /; needs --orders.")
    ] = None,
    orders: Annotated[
        str | None, typer.Option(help="Orders that the forecasts were made from.")
    ] = None,
    docs: Annotated[
        bool, typer.Option("--docs", help="Show the requests and responses at /docs, for people.")
    ] = False,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate, PEM.")] = None,
    private_key: Annotated[
        Path | None, typer.Option(help="Private key of the certificate, PEM.")
    ] = None,
    tracking_uri: Store = None,
    expect_sha256: ExpectSha256 = None,
) -> None:
    """Serve forecasts over HTTP (binds to 127.0.0.1 by default).

    Example: clvcast serve --model models:/clv@champion
    """
    from ..models.model import TrainedModel
    from ..serve.rest.auth import read_tokens
    from ..serve.rest.model_holder import ModelHolder
    from ..serve.rest.server import run
    from ..serve.rest.settings import Settings

    model, config = find_model_and_config(model, config)
    settings = read_optional_config(config)
    store = tracking_uri or (settings.tracking.uri if settings else None)

    def configure(loaded: TrainedModel) -> TrainedModel:
        configured = loaded if settings is None else loaded.with_config(settings)
        configured.check_extra_features()
        return configured

    if (forecasts is None) != (orders is None):
        raise ConfigError("--forecasts and --orders belong together, got one of them")
    loaded = load_configured_model(model, settings, tracking_uri, expect_sha256)
    loaded.check_extra_features()
    note(loaded.unused_settings, silent=False)
    server_settings = Settings(
        host=host,
        port=port,
        tokens=read_tokens(tokens, admin_tokens, os.environ),
        models_root=models_root,
        tracking_uri=store,
        certificate=certificate,
        private_key=private_key,
        has_docs=docs,
    )
    pages = []
    if forecasts is not None and orders is not None:
        from ..serve.rest.explorer import create_explorer

        pages.append(create_explorer(forecasts, orders, loaded, server_settings, settings))
    run(ModelHolder(loaded, models_root, store, configure), server_settings, pages)


def warm(
    model: Annotated[
        str | None, typer.Option(help="Bundle folder or models:/NAME@ALIAS to warm up too.")
    ] = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compile code in advance, so that the first request to clvcast serve is not slow.

    Compiled code is cached beside the package or in NUMBA_CACHE_DIR. Example: clvcast warm
    """
    from ..serve import warmup

    begin = time.perf_counter()
    warmup.warm_code()
    if model is not None:
        warmup.warm(load_configured_model(model, None, tracking_uri))
    seconds = time.perf_counter() - begin
    if as_json:
        print_json({"seconds": round(seconds, 1)})
    elif not quiet:
        out.print(f"warm after {seconds:.1f} s")
