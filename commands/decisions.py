"""Commands that turn forecasts into decisions: kpis, economics, lists."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich import box
from rich.table import Table

from .console import Json, Quiet, load, money, note, out, print_json

if TYPE_CHECKING:
    import pandas as pd

    from ..serve.book import Book

Forecasts = Annotated[Path, typer.Argument(metavar="FORECASTS", help="What clvcast score wrote.")]
OrdersSource = Annotated[
    str, typer.Option("--orders", help="The orders the forecasts were made from.")
]
Folder = Annotated[Path, typer.Option("--output", "-o", help="A folder to write.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A YAML configuration.")]
Past = Annotated[
    Path | None,
    typer.Option("--past", help="Forecasts of a past cutoff by a model trained then, to backtest."),
]
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
    book, _ = _books(forecasts, orders, config, None, quiet or as_json)
    found = kpis_of(book)
    found.save(output, ending)
    if as_json:
        print_json({"measures": _records(found.measures), "remarks": found.remarks})
        return
    note(found.remarks, quiet)
    if quiet:
        return
    columns = {
        "customers": ("customers", ","), "AOV": ("aov", ",.2f"),
        "orders": ("purchase_frequency", ".2f"), "margin": ("margin_rate", ".0%"),
        "churn": ("churn_rate", ".1%"), "formula": ("formula_clv_span", ",.0f"),
        "forecast": ("clv", ",.0f"),
    }  # fmt: skip
    shown = found.measures[found.measures["dimension"].isin(["shop", "channel", "tier", "period"])]
    names = [
        "the shop" if row["dimension"] == "shop" else f"{row['dimension']} {row['group']}"
        for row in shown.to_dict("records")
    ]
    _print("AOV, purchase frequency, margin, churn", names, shown, columns)
    days = int(found.measures["period_days"].iloc[0])
    out.print(
        f"orders: per active customer in {days} days; churn: of those who ordered in {days} days, who "
        "did not in the next;\nformula: its CLV over the forecast's span, beside the forecast"
    )
    out.print(f"wrote measures, triangles and customers into {output}")


def economics(
    forecasts: Forecasts,
    orders: OrdersSource,
    spend: Annotated[Path, typer.Option(help="A file with the columns channel, month, spend.")],
    output: Folder,
    config: ConfigOption = None,
    past: Past = None,
    ending: Format = "csv",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Tell what customers cost and bring by channel and month: CAC, LTV:CAC, payback, the most to pay.

    Example: clvcast economics forecasts.parquet --orders orders.parquet --spend spend.csv
    --config shop.yaml --output economics
    """
    from ..serve.economics import economics_of
    from ..serve.outputs import check_folder

    check_folder(output)
    book, before = _books(forecasts, orders, config, past, quiet or as_json)
    found = economics_of(book, spend, before)
    found.save(output, ending)
    if as_json:
        tables = {"acquisition": found.acquisition, "levers": found.levers}
        print_json({name: _records(t) for name, t in tables.items()} | {"remarks": found.remarks})
        return
    note(found.remarks, quiet)
    if quiet:
        return
    columns = {
        "new": ("new_customers", ","), "CAC": ("cac", ",.2f"), "LTV": ("ltv_forecast", ",.0f"),
        "LTV:CAC": ("ltv_cac_forecast", ".1f"), "from": ("ltv_cac_forecast_lower", ".1f"),
        "to": ("ltv_cac_forecast_upper", ".1f"), "month": ("payback_month", ".0f"),
        "chance": ("payback_probability", ".0%"), "at most": ("most_to_pay", ",.0f"),
    }  # fmt: skip
    shown = found.acquisition[found.acquisition["level"].isin(["shop", "channel"])]
    names = ["the shop", *(str(channel) for channel in shown["channel"].iloc[1:])]
    _print(f"What customers cost and bring, {book.config.orders.currency}", names, shown, columns)
    for row in found.levers[found.levers["dimension"] == "shop"].to_dict("records"):
        worth = money(row["value"], book.config.orders.currency)
        out.print(f"{row['lever'].replace('_', ' ')} {row['change']} is worth {worth} of CLV")
    out.print(f"wrote acquisition, payback and levers into {output}")


def lists(
    forecasts: Forecasts,
    orders: OrdersSource,
    output: Folder,
    config: ConfigOption = None,
    past: Past = None,
    ending: Format = "csv",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the campaign lists: whom to contact, in which order, why, when, and what is at stake.

    Example: clvcast lists forecasts.parquet --orders data/online_retail.parquet
    --config configs/online_retail.yaml --output lists
    """
    from ..serve.lists import lists_of
    from ..serve.outputs import check_folder

    check_folder(output)
    book, before = _books(forecasts, orders, config, past, quiet or as_json)
    found = lists_of(book, before)
    found.save(output, ending)
    if as_json:
        print_json({"lists": _records(found.summary), "remarks": found.remarks})
        return
    note(found.remarks, quiet)
    if quiet:
        return
    columns = {
        "customers": ("customers", ","), "held out": ("held_out", ","),
        "at stake": ("value_at_stake", ",.0f"), "caught": ("money_share", ".0%"),
        "of": ("customer_share", ".0%"), "lift": ("lift", ".1f"),
    }  # fmt: skip
    shown = found.summary
    columns = {heading: entry for heading, entry in columns.items() if entry[0] in shown.columns}
    _print(f"Lists, {book.config.orders.currency}", list(shown["list"]), shown, columns)
    if past is not None:
        out.print(
            "caught: the share of the money the past list held, with a share of the customers"
        )
    out.print(f"wrote a file per list, held_out, summary and budget into {output}")


def _books(
    forecasts: Path, orders: str, config: Path | None, past: Path | None, silent: bool
) -> tuple[Book, Book | None]:
    """The forecasts beside their orders, and those of the past where there are any."""
    from ..serve.book import open_book

    settings = None if config is None else load(config)
    book = open_book(forecasts, orders, settings)
    note(book.orders.report.remarks, silent)
    if past is None:
        return book, None
    return book, open_book(past, book.orders, settings, what="the past forecasts")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for a machine; what is empty is null."""
    return list(json.loads(table.to_json(orient="records", date_format="iso")))


def _number(value: Any, style: str) -> str:
    return "-" if math.isnan(value) else format(value, style)


def _print(
    title: str, names: list[str], rows: pd.DataFrame, columns: dict[str, tuple[str, str]]
) -> None:
    """A table of some columns: heading -> column and how its numbers are written."""
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in zip(names, rows.to_dict("records"), strict=True):
        table.add_row(name, *(_number(row[column], style) for column, style in columns.values()))
    out.print(table)
