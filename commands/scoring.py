"""Commands that forecast: score."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from .console import Cutoff, Json, Quiet, Store, load, money, note, out, print_json


def score(
    model: Annotated[str, typer.Option(help="A bundle folder, or models:/NAME@ALIAS.")],
    orders: Annotated[str, typer.Option(help="A .parquet or .csv file, a glob or a folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .parquet or .csv file.")],
    cutoff: Cutoff = None,
    config: Annotated[
        Path | None, typer.Option(help="Overrides the model's mapping and economics.")
    ] = None,
    tracking_uri: Store = None,
    expect_sha256: Annotated[
        str | None, typer.Option(help="Refuse a bundle whose manifest.json has another sha256.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one forecast per customer.

    Example: clvcast score --model models:/clv@champion --orders data/online_retail.parquet
    --output forecasts.parquet
    """
    from ..serve.batch import score_files
    from ..serve.loading import load_model

    settings = None if config is None else load(config)
    store = tracking_uri or (settings.tracking.uri if settings else None)
    loaded = load_model(model, store, expect_sha256=expect_sha256)
    if settings is not None:
        loaded = loaded.with_config(settings)
    result = score_files(loaded, orders, output, cutoff)
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    note(result.remarks, quiet)
    if quiet:
        return
    days = loaded.numbers.horizon_days
    span, currency = days * loaded.periods, loaded.orders.currency
    out.print(
        f"{result.customers:,} forecasts at {result.cutoff} by model {result.model_version}:\n"
        f"  expected spend {money(result.expected_spend, currency)} in {days} days\n"
        f"  CLV            {money(result.clv, currency)} in {span} days\n"
        f"  mean chance of no order in {days} days: {result.churn_rate:.1%}\n"
        f"wrote {result.output}; set aside in {result.rejected}: {result.lines_set_aside:,} lines, "
        f"{result.customers_without_orders:,} customers without an order",
    )
