"""Commands that forecast: score, explain."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..errors import ConfigError, OrdersError
from .console import (
    CompleteUntil,
    Cutoff,
    Engine,
    Json,
    Quiet,
    Store,
    format_money,
    note,
    out,
    print_json,
    read_config,
    show_progress_bars,
)


def score(
    model: Annotated[str, typer.Option(help="A bundle folder, or models:/NAME@ALIAS.")],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="A .parquet or .csv file; a folder with --partitions; a database's ADDRESS#TABLE.",
        ),
    ],
    orders: Annotated[
        str | None,
        typer.Option(
            help="A .parquet or .csv file, a glob, a folder or a database; unset, those of --config."
        ),
    ] = None,
    query: Annotated[
        str | None, typer.Option(help="A SELECT, where --orders is a database's address.")
    ] = None,
    customers: Annotated[
        str | None,
        typer.Option(help="Attributes of customers, for a model that learned from any."),
    ] = None,
    cutoff: Cutoff = None,
    complete_until: CompleteUntil = None,
    config: Annotated[
        Path | None, typer.Option(help="Overrides the model's mapping and economics.")
    ] = None,
    only_customers: Annotated[
        Path | None, typer.Option(help="A file of customer ids, one a line; or .parquet.")
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=0, max=10_000, help="Write a folder of so many parquet files.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Forecast again what is done.")] = False,
    engine: Engine = "local",
    tracking_uri: Store = None,
    expect_sha256: Annotated[
        str | None, typer.Option(help="Refuse a bundle whose manifest.json has another sha256.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one forecast per customer, with a manifest beside it; a run that was killed goes on.

    Example: clvcast score --model models:/clv@champion --orders data/online_retail.parquet
    --output forecasts.parquet
    """
    from ..models.loading import load_model
    from ..serve.batch.run import score_files

    stated = config is not None or complete_until is not None
    settings = read_config(config, complete_until) if stated else None
    store = tracking_uri or (settings.tracking.uri if settings else None)
    loaded = load_model(model, store, expect_sha256=expect_sha256)
    if settings is not None:
        loaded = loaded.with_config(settings)
    if engine == "spark":
        from ..serve.spark.batch import score_files as score_in_spark

        if only_customers is not None or query is not None:
            raise ConfigError(
                "--only-customers and --query are for --engine local; give Spark files of the orders "
                "to forecast"
            )
        result = score_in_spark(
            loaded, orders, output, cutoff,
            customers=customers, buckets=partitions or None, force=force,
        )  # fmt: skip
    else:
        limit = settings.memory_limit if settings else None
        with show_progress_bars(quiet or as_json) as progress:
            result = score_files(
                loaded,
                orders,
                output,
                cutoff,
                limit,
                progress,
                query=query,
                customers=customers,
                only_customers=only_customers,
                partitions=partitions,
                force=force,
            )
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    note(result.remarks, quiet)
    if quiet:
        return
    days = loaded.numbers.horizon_days
    span, currency = days * loaded.periods, loaded.orders.currency
    if result.was_done:
        out.print("done before, from the same orders, model and settings (--force does it again):")
    out.print(
        f"{result.customers:,} forecasts at {result.cutoff} by model {result.model_version}:\n"
        f"  expected spend {format_money(result.expected_spend, currency)} in {days} days\n"
        f"  CLV            {format_money(result.clv, currency)} in {span} days\n"
        f"  mean chance of no order in {days} days: {result.churn_rate:.1%}\n"
        f"wrote {result.output}; set aside in {result.rejected}: {result.lines_set_aside:,} lines, "
        f"{result.customers_without_orders:,} customers without an order",
    )


def explain(
    model: Annotated[str, typer.Option(help="A bundle folder, or models:/NAME@ALIAS.")],
    orders: Annotated[str, typer.Option(help="A .parquet or .csv file, a glob or a folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .parquet or .csv file.")
    ] = None,
    customer: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Repeatable; without it, everybody.")
    ] = None,
    customers: Annotated[
        str | None,
        typer.Option(help="Attributes of customers, for a model that learned from any."),
    ] = None,
    largest: Annotated[int, typer.Option(min=1, help="Reasons shown per customer.")] = 5,
    cutoff: Cutoff = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Tell what makes a customer's CLV, in amounts of money that add up to it.

    Example: clvcast explain --model models:/clv@champion --orders data/online_retail.parquet
    --customer 14646
    """
    import pyarrow as pa

    from ..atomic_files import check_writable, write_files
    from ..models.explain import explain as reasons_of
    from ..models.loading import load_model

    if output is None and not customer:
        raise ConfigError("explain needs --customer ID, or --output FILE for everybody")
    if output is not None:
        check_writable(output)
    loaded = load_model(model, tracking_uri)
    reasons = reasons_of(
        loaded, orders, cutoff, customers=customer, attributes=customers, largest=largest
    )
    unknown = sorted(set(customer or ()) - set(reasons["customer_id"]))
    if unknown:
        raise OrdersError(
            f"{len(unknown)} of {len(customer or ())} customers asked for have no order before the "
            "cutoff; look the ids up in the orders"
        )
    if output is not None:
        write_files({output: pa.Table.from_pandas(reasons, preserve_index=False)})
    if as_json:
        print_json(reasons.astype(object).where(reasons.notna(), None).to_dict("records"))
    elif output is not None and not quiet:
        out.print(f"wrote {output}: {reasons['customer_id'].nunique():,} customers")
    elif not quiet:
        for customer_id, rows in reasons.groupby("customer_id", sort=False):
            clv = format_money(rows["clv"].iloc[0], loaded.orders.currency)
            table = Table(title=f"{customer_id}: CLV {clv}", title_justify="left")
            table.add_column("because of")
            table.add_column("its value", justify="right")
            table.add_column("amount", justify="right")
            columns = (rows[name].tolist() for name in ("meaning", "value", "amount"))
            for meaning, value, amount in zip(*columns, strict=True):
                table.add_row(
                    meaning, "" if math.isnan(value) else f"{value:,.2f}", f"{amount:+,.0f}"
                )
            out.print(table)
