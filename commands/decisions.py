"""Commands that turn forecasts into decisions: kpis, economics, lists, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from .console import (
    Format,
    Json,
    OptionalConfig,
    Quiet,
    Store,
    note,
    out,
    print_json,
)
from .decision_tables import print_economics, print_lists, print_measures
from .forecast_orders import find_orders, read_settings
from .standard_streams import receive, receive_path

if TYPE_CHECKING:
    import pandas as pd

    from ..decisions.customer_base import CustomerBase

Forecasts = Annotated[
    Path,
    typer.Argument(
        metavar="FORECASTS",
        callback=receive_path,
        help="Forecast file of clvcast score; -: CSV from standard input.",
    ),
]
OrdersSource = Annotated[
    str | None,
    typer.Option(
        "--orders",
        callback=receive,
        help="Orders that the forecasts were made from (-: CSV from standard input); default: "
        "those of the configuration.",
    ),
]
Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
Past = Annotated[
    Path | None,
    typer.Option(
        "--past",
        help="Forecasts for a past date, from a model trained only on data before that date: "
        "compared with what happened later.",
    ),
]


def kpis(
    forecasts: Forecasts,
    output: Folder,
    orders: OrdersSource = None,
    config: OptionalConfig = None,
    ending: Format = "csv",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compute measures by channel, cohort, segment and period.

    They include the CLV of a simple formula next to the forecast CLV.

    Example: clvcast kpis forecasts.parquet --orders data/online_retail.parquet
    --config configs/online_retail.yaml --output kpis
    """
    from ..atomic_files import check_folder
    from ..decisions.kpis import kpis as compute_kpis

    check_folder(output)
    base, _ = _open_base(forecasts, orders, config, None, quiet or as_json)
    result = compute_kpis(base)
    result.save(output, ending)
    if as_json:
        print_json(
            {
                "terms": base.terms.model_dump(mode="json"),
                "measures": _to_records(result.measures),
                "remarks": result.remarks,
            }
        )
    elif not quiet:
        note(result.remarks, quiet)
        print_measures(result.measures, base.terms)
        out.print(f"wrote measures, triangles and customers into {output}")


def economics(
    forecasts: Forecasts,
    spend: Annotated[Path, typer.Option(help="File with the columns channel, month, spend.")],
    output: Folder,
    orders: OrdersSource = None,
    config: OptionalConfig = None,
    past: Past = None,
    ending: Format = "csv",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compute CAC, LTV:CAC, payback and the maximum CAC by channel and month.

    Example: clvcast economics forecasts.parquet --orders orders.parquet --spend spend.csv
    --config shop.yaml --output economics
    """
    from ..atomic_files import check_folder
    from ..decisions.economics import economics as compute_economics

    check_folder(output)
    base, past_base = _open_base(forecasts, orders, config, past, quiet or as_json)
    result = compute_economics(base, spend=spend, past=past_base)
    result.save(output, ending)
    if as_json:
        acquisition, levers = _to_records(result.acquisition), _to_records(result.levers)
        print_json(
            {
                "terms": base.terms.model_dump(mode="json"),
                "acquisition": acquisition,
                "levers": levers,
                "remarks": result.remarks,
            }
        )
    elif not quiet:
        note(result.remarks, quiet)
        print_economics(result, base.config, base.terms)
        out.print(f"wrote acquisition, payback and levers into {output}")


def lists(
    forecasts: Forecasts,
    output: Folder,
    orders: OrdersSource = None,
    config: OptionalConfig = None,
    past: Past = None,
    ending: Format = "csv",
    safe_cells: Annotated[
        bool,
        typer.Option("--safe-cells", help="Escape ids that a spreadsheet would run as a formula."),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write campaign lists: whom to contact, priority, reason, date, and value at stake.

    Example: clvcast lists forecasts.parquet --orders data/online_retail.parquet
    --config configs/online_retail.yaml --output lists
    """
    from ..atomic_files import check_folder
    from ..decisions.campaign_lists import lists as build_lists

    check_folder(output)
    base, past_base = _open_base(forecasts, orders, config, past, quiet or as_json)
    result = build_lists(base, past=past_base)
    result.save(output, ending, safe_cells=safe_cells)
    formulas = 0 if safe_cells or ending != "csv" else result.count_formula_ids()
    if formulas:
        formula_note = (
            f"{formulas:,} customer ids begin with = + - @ and stand in the lists as they are, for "
            "imports; before you open the files in a spreadsheet, write them with --safe-cells"
        )
        note([formula_note], quiet or as_json)
    if as_json:
        print_json(
            {
                "terms": base.terms.model_dump(mode="json"),
                "lists": _to_records(result.summary),
                "remarks": result.remarks,
            }
        )
    elif not quiet:
        note(result.remarks, quiet)
        print_lists(result.summary, base.config.orders.currency)
        out.print(f"wrote one file per list, held_out, summary and budget into {output}")


def report(
    forecasts: Forecasts,
    output: Annotated[Path, typer.Option("--output", "-o", help="An .html file to write.")],
    orders: OrdersSource = None,
    config: OptionalConfig = None,
    previous: Annotated[
        Path | None, typer.Option(help="Earlier forecasts, to show changes.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model of the forecasts, to show its features.")
    ] = None,
    backtest: Annotated[
        Path | None, typer.Option(help="Folder of clvcast backtest, to show the accuracy.")
    ] = None,
    with_ids: Annotated[
        bool, typer.Option("--with-ids", help="Show the first customers of each list.")
    ] = False,
    tracking_uri: Store = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write an HTML report: expected value, risk, recommended actions, accuracy.

    Example: clvcast report forecasts.parquet --orders data/online_retail.parquet
    --config configs/online_retail.yaml --output report.html
    """
    from ..atomic_files import check_folder
    from ..decisions.report.build import report as build_report

    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"a report's output must be an .html file, got {output}")
    check_folder(output.parent)
    settings = read_settings(config, orders)
    loaded = None
    if model is not None:
        from ..models.loading import load_model

        loaded = load_model(model, tracking_uri or (settings.tracking.uri if settings else None))
    page = build_report(
        forecasts,
        find_orders(orders, settings, quiet or as_json),
        settings,
        previous=previous,
        model=loaded,
        backtest=backtest,
        with_ids=with_ids,
    )
    page.save(output)
    if as_json:
        print_json({"output": str(output), "remarks": page.remarks})
    elif not quiet:
        note(page.remarks, quiet)
        out.print(f"wrote {output}; open it in any browser, offline too")


def _open_base(
    forecasts: Path, orders: str | None, config: Path | None, past: Path | None, silent: bool
) -> tuple[CustomerBase, CustomerBase | None]:
    """The forecasts joined with their orders, and the past forecasts if any."""
    from ..decisions.customer_base import open_customer_base

    settings = read_settings(config, orders)
    base = open_customer_base(forecasts, find_orders(orders, settings, silent), settings)
    note(base.orders.report.remarks, silent)
    if past is None:
        return base, None
    return base, open_customer_base(past, base.orders, settings, what="the past forecasts")


def _to_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values; empty cells are null."""
    return list(json.loads(table.to_json(orient="records", date_format="iso")))
