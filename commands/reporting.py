"""The command that makes a page for people: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .console import Quiet, Store, note, out, read_config
from .decisions import ConfigOption, Forecasts, OrdersSource


def report(
    forecasts: Forecasts,
    orders: OrdersSource,
    output: Annotated[Path, typer.Option("--output", "-o", help="An .html file.")],
    config: ConfigOption = None,
    previous: Annotated[
        Path | None, typer.Option(help="Earlier forecasts: what changed since.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model that made the forecasts: what it looks at.")
    ] = None,
    backtest: Annotated[
        Path | None, typer.Option(help="What clvcast backtest wrote: how good forecasts were.")
    ] = None,
    with_ids: Annotated[
        bool, typer.Option("--with-ids", help="Name the first customers of each list.")
    ] = False,
    tracking_uri: Store = None,
    quiet: Quiet = False,
) -> None:
    """Write one HTML page: what is expected, where it sits, what is at risk, what to do, how good it is.

    Example: clvcast report forecasts.parquet --orders data/online_retail.parquet
    --config configs/online_retail.yaml --output report.html
    """
    from ..atomic_files import check_folder
    from ..decisions.report.build import report as make

    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"a report's output must be an .html file, got {output}")
    check_folder(output.parent)
    settings = None if config is None else read_config(config)
    store = tracking_uri or (settings.tracking.uri if settings else None)
    loaded = None
    if model is not None:
        from ..models.loading import load_model

        loaded = load_model(model, store)
    made = make(
        forecasts,
        orders,
        settings,
        previous=previous,
        model=loaded,
        backtest=backtest,
        with_ids=with_ids,
    )
    made.save(output)
    note(made.remarks, quiet)
    if not quiet:
        out.print(f"wrote {output}, which opens in any browser and needs no network")
