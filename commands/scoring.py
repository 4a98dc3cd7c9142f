"""Commands that forecast: score, explain."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, OrdersError
from .console import (
    CompleteUntil,
    ConfiguredModel,
    Cutoff,
    Engine,
    ExpectSha256,
    Json,
    ModelName,
    Quiet,
    Store,
    err,
    find_model_and_config,
    format_money,
    load_configured_model,
    note,
    out,
    print_json,
    read_config,
    read_optional_config,
    show_progress_bars,
)
from .standard_streams import STREAM, receive, send
from .tables import print_grid

if TYPE_CHECKING:
    from ..models.model import TrainedModel
    from ..serve.batch.run import BatchResult

Attributes = Annotated[
    str | None,
    typer.Option(
        "--customers", help="Customer attributes, needed if the model was trained with any."
    ),
]


def score(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help=".parquet or .csv file; folder with --partitions; ADDRESS#TABLE of a database; "
            "-: CSV to standard output.",
        ),
    ],
    model: ConfiguredModel = None,
    orders: Annotated[
        str | None,
        typer.Option(
            callback=receive,
            help="Order file (.parquet, .csv, .xlsx, ...), glob, folder or database (-: CSV from "
            "standard input); default: those of --config.",
        ),
    ] = None,
    query: Annotated[
        str | None, typer.Option(help="SELECT statement, if --orders is a database.")
    ] = None,
    customers: Attributes = None,
    cutoff: Cutoff = None,
    complete_until: CompleteUntil = None,
    config: Annotated[
        Path | None, typer.Option(help="Overrides the model's mapping and economics.")
    ] = None,
    only_customers: Annotated[
        Path | None, typer.Option(help="File of customer ids, one per line; or .parquet.")
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=0, max=10_000, help="Write a folder of this many parquet files.")
    ] = 0,
    by_period: Annotated[
        bool,
        typer.Option(
            "--by-period", help="Add the columns spend_period_1 to spend_period_n to the output."
        ),
    ] = False,
    periods_table: Annotated[
        Path | None,
        typer.Option(help="Write these columns alone into this .parquet or .csv file."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Forecast again even if already done.")
    ] = False,
    engine: Engine = "local",
    tracking_uri: Store = None,
    expect_sha256: ExpectSha256 = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Forecast every customer into a file, with a manifest; interrupted runs resume.

    Example: clvcast score --model models:/clv@champion --orders data/online_retail.parquet
    --output forecasts.parquet
    """
    from ..serve.batch.run import score_files

    is_streamed = output == STREAM
    if is_streamed and (as_json or partitions or periods_table or engine == "spark"):
        raise ConfigError(
            "--output - writes CSV to standard output: without --json, --partitions, "
            "--periods-table and Spark"
        )
    model, config = find_model_and_config(model, config)
    is_stated = config is not None or complete_until is not None
    settings = read_config(config, complete_until) if is_stated else read_optional_config(None)
    loaded = load_configured_model(model, settings, tracking_uri, expect_sha256)
    if engine == "spark":
        from ..serve.spark.batch import score_files as score_in_spark

        if only_customers is not None or query is not None:
            raise ConfigError(
                "--only-customers and --query need --engine local; give Spark only the order files "
                "to forecast"
            )
        if by_period or periods_table is not None:
            raise ConfigError("--by-period and --periods-table need --engine local")
        result = score_in_spark(
            loaded,
            orders,
            output,
            cutoff,
            customers=customers,
            buckets=partitions or None,
            force=force,
        )
    else:
        limit = settings.memory_limit if settings else None
        with show_progress_bars(quiet or as_json) as progress, send(output) as target:
            result = score_files(
                loaded,
                orders,
                target,
                cutoff,
                limit,
                progress,
                query=query,
                customers=customers,
                only_customers=only_customers,
                partitions=partitions,
                force=force,
                by_period=by_period,
                periods_table=periods_table,
            )
    if loaded.registered is not None and loaded.registered.caveat is not None:
        remarks = (loaded.registered.caveat, *result.remarks)
        result = dataclasses.replace(result, remarks=remarks)
    if as_json:
        print_json(dataclasses.asdict(result))
    elif not quiet:
        note(result.remarks, quiet)
        if is_streamed:
            err.print(f"note: set aside, listed in no file (--output -): {_count_rejected(result)}")
        else:
            _print_result(result, loaded)
            aside = _count_rejected(result)
            out.print(f"wrote {result.output}; set aside in {result.rejected}: {aside}")


def _print_result(result: BatchResult, model: TrainedModel) -> None:
    days, currency = model.numbers.horizon_days, model.orders.currency
    if result.was_done:
        out.print("already done with the same orders, model and settings (--force repeats it):")
    span_days = days * model.periods
    if result.churn_rate is None:
        out.print(
            f"no forecasts at {result.cutoff} by model {result.model_version}: no customer has an "
            "order before the cutoff"
        )
    else:
        out.print(
            f"{result.customers:,} forecasts at {result.cutoff} by model {result.model_version}:\n"
            f"  expected spend {format_money(result.expected_spend, currency)} in {days} days\n"
            f"  CLV            {format_money(result.clv, currency)} in {span_days} days\n"
            f"  mean churn probability in {days} days: {result.churn_rate:.1%}"
        )
        for sentence in result.plausibility:
            out.print(f"  {sentence}")


def _count_rejected(result: BatchResult) -> str:
    lines, customers = result.lines_set_aside, result.customers_without_orders
    return f"{lines:,} lines, {customers:,} customers without an order"


def explain(
    model: ModelName,
    orders: Annotated[
        str,
        typer.Option(
            callback=receive,
            help="Order file (.parquet, .csv, .xlsx, ...), glob, folder or database; -: CSV from "
            "standard input.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=".parquet or .csv file to write.")
    ] = None,
    customer: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Customer to explain, repeatable; default: all."),
    ] = None,
    customers: Attributes = None,
    details: Annotated[
        bool, typer.Option("--details", help="Single features, not groups of them.")
    ] = False,
    largest: Annotated[
        int, typer.Option(min=1, help="Number of features per customer, with --details.")
    ] = 5,
    cutoff: Cutoff = None,
    complete_until: CompleteUntil = None,
    config: Annotated[
        Path | None, typer.Option(help="Overrides the model's mapping and economics.")
    ] = None,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Explain a customer's CLV by reasons whose amounts add up to it.

    Example: clvcast explain --model models:/clv@champion --orders data/online_retail.parquet
    --customer 14646
    """
    import pyarrow as pa

    from ..atomic_files import check_writable, write_files
    from ..models.explain import explain as explain_customers

    if output is None and not customer:
        raise ConfigError("explain needs --customer ID, or --output FILE for all customers")
    if output is not None:
        check_writable(output)
    is_stated = config is not None or complete_until is not None
    settings = read_config(config, complete_until) if is_stated else read_optional_config(None)
    loaded = load_configured_model(model, settings, tracking_uri)
    note(loaded.unused_settings, quiet)
    reasons = explain_customers(
        loaded,
        orders,
        cutoff,
        customers=customer,
        attributes=customers,
        largest=largest,
        by="feature" if details else "group",
    )
    unknown = sorted(set(customer or ()) - set(reasons["customer_id"]))
    if unknown:
        raise OrdersError(
            f"{len(unknown)} of {len(customer or ())} requested customers have no order before the "
            "cutoff; check the ids in the orders"
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
            basis = rows["basis"].iloc[0]
            cells = rows[["meaning", "value", "amount"]].itertuples(index=False)
            print_grid(
                f"{customer_id}: CLV ({basis}) {clv}",
                ("reason", "value", basis),
                [
                    (meaning, "" if math.isnan(value) else f"{value:,.2f}", f"{amount:+,.0f}")
                    for meaning, value, amount in cells
                ],
                right=("value", basis),
            )
