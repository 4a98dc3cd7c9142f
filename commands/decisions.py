"""Commands that turn forecasts into decisions: kpis, economics, lists."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .console import Json, Quiet, format_money, note, out, print_json, read_config
from .tables import PrintedTable, print_legend, print_table

if TYPE_CHECKING:
    import pandas as pd

    from ..configs.schema import Config
    from ..decisions.customer_base import CustomerBase
    from ..decisions.economics import Economics

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
    from ..atomic_files import check_folder
    from ..decisions.kpis import kpis as compute

    check_folder(output)
    base, _ = _books(forecasts, orders, config, None, quiet or as_json)
    found = compute(base)
    found.save(output, ending)
    if as_json:
        print_json({"measures": _records(found.measures), "remarks": found.remarks})
        return
    note(found.remarks, quiet)
    if quiet:
        return
    _print_measures(found.measures, base.config.orders.currency)
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
    from ..atomic_files import check_folder
    from ..decisions.economics import economics as compute

    check_folder(output)
    base, before = _books(forecasts, orders, config, past, quiet or as_json)
    found = compute(base, spend=spend, past=before)
    found.save(output, ending)
    if as_json:
        tables = {"acquisition": found.acquisition, "levers": found.levers}
        print_json({name: _records(t) for name, t in tables.items()} | {"remarks": found.remarks})
        return
    note(found.remarks, quiet)
    if quiet:
        return
    _print_economics(found, base.config)
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
    from ..atomic_files import check_folder
    from ..decisions.campaign_lists import lists as compute

    check_folder(output)
    base, before = _books(forecasts, orders, config, past, quiet or as_json)
    found = compute(base, past=before)
    found.save(output, ending)
    if as_json:
        print_json({"lists": _records(found.summary), "remarks": found.remarks})
        return
    note(found.remarks, quiet)
    if quiet:
        return
    _print_lists(found.summary, base.config.orders.currency)
    out.print(f"wrote a file per list, held_out, summary and budget into {output}")


def _books(
    forecasts: Path, orders: str, config: Path | None, past: Path | None, silent: bool
) -> tuple[CustomerBase, CustomerBase | None]:
    """The forecasts beside their orders, and those of the past where there are any."""
    from ..decisions.customer_base import open_customer_base

    settings = None if config is None else read_config(config)
    base = open_customer_base(forecasts, orders, settings)
    note(base.orders.report.remarks, silent)
    if past is None:
        return base, None
    return base, open_customer_base(past, base.orders, settings, what="the past forecasts")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for a machine; what is empty is null."""
    return list(json.loads(table.to_json(orient="records", date_format="iso")))


def _in(currency: str) -> str:
    return f", {currency}" if currency else ""


def _print_measures(measures: pd.DataFrame, currency: str) -> None:
    """The four levers side by side, and the formula beside the forecast."""
    shown = measures.assign(name=measures["group"])
    circular = ["churn_rate", "formula_clv_span"]
    shown[circular] = shown[circular].mask(shown["is_circular"])
    shown.loc[shown["dimension"] == "shop", "name"] = "the shop"
    records = shown.to_dict("records")
    parts = {
        heading: [row for row in records if row["dimension"] == dimension]
        for heading, dimension in (
            ("", "shop"), ("by channel", "channel"), ("by tier", "tier"), ("by period from", "period"),
        )
    }  # fmt: skip
    print_table(
        f"AOV, purchase frequency, margin, churn; formula and forecast CLV{_in(currency)}",
        parts,
        (
            PrintedTable("customers", "customers", "count"), PrintedTable("AOV", "aov", "money"),
            PrintedTable("orders", "purchase_frequency", "ratio"), PrintedTable("margin", "margin_rate", "share"),
            PrintedTable("churn", "churn_rate", "tenths"), PrintedTable("formula", "formula_clv_span", "money"),
            PrintedTable("forecast", "clv", "money"),
        ),
    )  # fmt: skip
    days = int(measures["period_days"].iloc[0])
    print_legend(
        f"orders: per active customer in {days} days; churn: of those who ordered in {days} days, who did "
        "not in the next; formula: its CLV a customer over the forecast's span. Today's tiers show "
        "neither: whom the shop lost before is who is in the low tier now."
    )


def _print_economics(found: Economics, config: Config) -> None:
    """Cost and value, then payback and the most to pay; what the levers are worth."""
    currency, marks = config.orders.currency, config.acquisition
    rows = found.acquisition
    shown = rows[rows["level"].isin(["shop", "channel"])].copy()
    shown["name"] = shown["channel"].fillna("the shop")
    shown["range"] = [
        "-" if math.isnan(low) else f"{low:.1f} to {high:.1f}"
        for low, high in zip(
            shown["ltv_cac_forecast_lower"], shown["ltv_cac_forecast_upper"], strict=True
        )
    ]
    parts = {"": shown.to_dict("records")}
    print_table(
        f"What customers cost and bring{_in(currency)}",
        parts,
        (
            PrintedTable("new", "new_customers", "count"), PrintedTable("CAC", "cac", "money"),
            PrintedTable("LTV", "ltv_forecast", "money"), PrintedTable("LTV:CAC", "ltv_cac_forecast", "ratio"),
            PrintedTable("90 % interval", "range", "text"), PrintedTable("verdict", "verdict", "text"),
        ),
    )  # fmt: skip
    print_table(
        f"When they pay back, and the most to pay for one{_in(currency)}",
        parts,
        (
            PrintedTable("month", "payback_month", "whole"),
            PrintedTable("chance", "payback_probability", "share"),
            PrintedTable(f"in {marks.payback_months}", "probability_within_mark", "share"),
            PrintedTable("break even", "most_to_break_even", "money"),
            PrintedTable(f"{marks.healthy_ratio:g}:1", "most_for_ratio", "money"),
            PrintedTable("most to pay", "most_to_pay", "money"),
        ),
    )
    shop = shown.iloc[0]
    if shop["unattributed_spend"] > 0:
        print_legend(
            f"CAC is of channels that brought customers; with {format_money(shop['unattributed_spend'], currency)} "
            f"spent on others the shop's is {shop['cac_fully_loaded']:,.2f} (LTV:CAC "
            f"{shop['ltv_cac_fully_loaded']:.2f})"
        )
    levers = found.levers[found.levers["dimension"] == "shop"].set_index("lever")["value"]
    print_legend(
        f"month: the first in which cumulated margin reaches the spend; chance: that it is reached by "
        f"then; in {marks.payback_months}: within {marks.payback_months} months. A point less churn is worth "
        f"at most {format_money(levers['churn'], currency)} of CLV; 1 % more order value, frequency or margin "
        f"{format_money(levers['margin'], currency)} each."
    )


def _print_lists(summary: pd.DataFrame, currency: str) -> None:
    from ..configs.lists import STAKES

    columns = (
        PrintedTable("customers", "customers", "count"), PrintedTable("held out", "held_out", "count"),
        PrintedTable("at stake", "value_at_stake", "money"), PrintedTable("caught", "money_share", "share"),
        PrintedTable("of", "customer_share", "share"), PrintedTable("lift", "lift", "ratio"),
        PrintedTable("at stake is", "stake", "text"),
    )  # fmt: skip
    shown = [each for each in columns if each.column in summary.columns]
    rows = summary.assign(name=summary["list"], stake=summary["stake"].map(STAKES))
    print_table(f"Lists{_in(currency)}", {"": rows.to_dict("records")}, shown)
    if len(shown) == len(columns):
        print_legend(
            "caught: the share of the money the past list held, with a share of the customers"
        )
