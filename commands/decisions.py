"""Commands that turn forecasts into decisions: kpis."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from .console import Json, Quiet, load, note, out, print_json

if TYPE_CHECKING:
    import pandas as pd

    from ..serve.book import Book

Forecasts = Annotated[Path, typer.Argument(metavar="FORECASTS", help="What clvcast score wrote.")]
OrdersSource = Annotated[
    str, typer.Option("--orders", help="The orders the forecasts were made from.")
]
Folder = Annotated[Path, typer.Option("--output", "-o", help="A folder to write.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A YAML configuration.")]
Format = Annotated[Literal["csv", "parquet"], typer.Option("--format", help="csv or parquet.")]


def kpis(
    forecasts: Forecasts,
    orders: OrdersSource,
    output: Folder,
    config: ConfigOption = None,
    ending: Format = "csv",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure the shop, its channels, cohorts, segments and periods; formula CLV beside the forecast.

    Example: clvcast kpis forecasts.parquet --orders data/online_retail.parquet
    --config configs/online_retail.yaml --output kpis
    """
    from ..serve.kpis import kpis_of
    from ..serve.outputs import check_folder

    check_folder(output)
    found = kpis_of(_book(forecasts, orders, config, quiet or as_json))
    found.save(output, ending)
    if as_json:
        print_json({"measures": _records(found.measures), "remarks": found.remarks})
        return
    note(found.remarks, quiet)
    if quiet:
        return
    table = Table(title="AOV, purchase frequency, margin, churn", title_justify="left")
    columns = {
        "customers": ("customers", ","), "AOV": ("aov", ",.2f"),
        "orders": ("purchase_frequency", ".2f"), "margin": ("margin_rate", ".1%"),
        "churn": ("churn_rate", ".1%"), "formula": ("formula_clv_span", ",.0f"),
        "forecast": ("clv", ",.0f"),
    }  # fmt: skip
    table.add_column("", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right")
    shown = found.measures[found.measures["dimension"].isin(["shop", "channel", "tier", "period"])]
    for row in shown.to_dict("records"):
        name = "the shop" if row["dimension"] == "shop" else f"{row['dimension']} {row['group']}"
        table.add_row(name, *(_number(row[column], style) for column, style in columns.values()))
    out.print(table)
    days = int(found.measures["period_days"].iloc[0])
    out.print(
        f"orders: per active customer in {days} days; churn: of those who ordered in {days} days, who "
        "did not in the next;\nformula: its CLV over the forecast's span, beside the forecast"
    )
    out.print(f"wrote measures, triangles and customers into {output}")


def _book(forecasts: Path, orders: str, config: Path | None, silent: bool) -> Book:
    from ..serve.book import open_book

    book = open_book(forecasts, orders, None if config is None else load(config))
    note(book.orders.report.remarks, silent)
    return book


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for a machine; what is empty is null."""
    return list(json.loads(table.to_json(orient="records", date_format="iso")))


def _number(value: Any, style: str) -> str:
    return "-" if math.isnan(value) else format(value, style)
