"""What kpis, economics and lists print: their main columns, with the basis of the money."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .console import format_money
from .tables import PrintedColumn, print_legend, print_table

if TYPE_CHECKING:
    import pandas as pd

    from ..configs.schema import Config
    from ..decisions.economics import Economics
    from ..models.forecast_terms import ForecastTerms

__all__ = ["print_economics", "print_lists", "print_measures"]

_LARGE = 0.05  # share of one customer in the LTV that is worth a sentence


def _name_unit(title: str, currency: str) -> str:
    return f"{title}, {currency}" if currency else title


def print_measures(measures: pd.DataFrame, terms: ForecastTerms) -> None:
    """The four levers, formula CLV and forecast."""
    table = measures.assign(name=measures["group"])
    circular = ["churn_rate", "formula_clv_span"]
    table[circular] = table[circular].mask(table["is_circular"])
    table.loc[table["dimension"] == "shop", "name"] = "the shop"
    headings = {"shop": "", "channel": "by channel", "tier": "by tier", "period": "by period from"}
    parts = {
        heading: table[table["dimension"] == dimension].to_dict("records")
        for dimension, heading in headings.items()
    }
    print_table(
        _name_unit(
            f"AOV, purchase frequency, margin, churn; CLV ({terms.basis})",
            terms.currency,
        ),
        parts,
        (
            PrintedColumn("customers", "customers", "count"),
            PrintedColumn("AOV", "aov", "money"),
            PrintedColumn("orders", "purchase_frequency", "ratio"),
            PrintedColumn("margin", "margin_rate", "share"),
            PrintedColumn("churn", "churn_rate", "tenths"),
            PrintedColumn("formula", "formula_clv_span", "money"),
            PrintedColumn("forecast", "clv", "money"),
        ),
    )
    days = int(measures["period_days"].iloc[0])
    print_legend(
        f"orders: per active customer in {days} days; churn: share of the customers of one period "
        "without an order in the next; formula: formula CLV per customer over the forecast's span. "
        "Tiers have neither: customers lost before are in the low tier now. CLV is "
        f"{terms.describe_basis()}."
    )


def print_economics(result: Economics, config: Config, terms: ForecastTerms) -> None:
    """Cost and value, payback and maximum CAC, the value of the levers."""
    currency, marks = terms.currency, config.acquisition
    rows = result.acquisition
    table = rows[rows["level"].isin(["shop", "channel"])].copy()
    table["name"] = table["channel"].fillna("the shop")
    bounds = table[["ltv_cac_forecast_lower", "ltv_cac_forecast_upper"]].itertuples(index=False)
    table["range"] = [
        "-" if math.isnan(low) else f"{low:.1f} to {high:.1f}" for low, high in bounds
    ]
    parts = {"": table.to_dict("records")}
    ages = sorted(set(table.loc[table["new_customers"] > 0, "ltv_age_days"]))
    span = f"up to {ages[0]} days of age" if len(ages) == 1 else "up to an age in days"
    print_table(
        _name_unit(f"Cost and value of customers; LTV is {terms.basis} {span}", currency),
        parts,
        (
            PrintedColumn("new", "new_customers", "count"),
            PrintedColumn("CAC", "cac", "money"),
            *([PrintedColumn("age", "ltv_age_days", "count")] if len(ages) > 1 else []),
            PrintedColumn("LTV", "ltv_forecast", "money"),
            PrintedColumn("LTV:CAC", "ltv_cac_forecast", "ratio"),
            PrintedColumn("90 % interval", "range", "text"),
            PrintedColumn("verdict", "verdict", "text"),
        ),
    )
    print_table(
        _name_unit(f"Payback, and maximum CAC, by {terms.basis}", currency),
        parts,
        (
            PrintedColumn("month", "payback_month", "whole"),
            PrintedColumn("90 % sure", "payback_month_90", "whole"),
            PrintedColumn(f"in {marks.payback_months}", "probability_within_mark", "share"),
            PrintedColumn("break even", "most_to_break_even", "money"),
            PrintedColumn(f"{marks.healthy_ratio:g}:1", "most_for_ratio", "money"),
            PrintedColumn("maximum", "most_to_pay", "money"),
        ),
    )
    print_legend(
        "LTV: what is after the cutoff is forecast; verdict: not sure where the interval holds two."
    )
    shop = table.iloc[0]
    if shop["largest_customer_share"] > _LARGE:
        print_legend(
            f"The largest customer brings {shop['largest_customer_share']:.0%} of the shop's LTV; "
            f"without it LTV:CAC is {shop['ltv_cac_without_largest']:.2f}."
        )
    if shop["unattributed_spend"] > 0:
        print_legend(
            "CAC counts channels with customers; including "
            f"{format_money(shop['unattributed_spend'], currency)} spent on other channels, the "
            f"shop's CAC is {shop['cac_fully_loaded']:,.2f} (LTV:CAC "
            f"{shop['ltv_cac_fully_loaded']:.2f})"
        )
    levers = result.levers[result.levers["dimension"] == "shop"].set_index("lever")["value"]
    months = marks.payback_months
    point = format_money(levers["churn"], currency)
    percent = format_money(levers["margin"], currency)
    print_legend(
        f"month: the first in which cumulated {terms.basis} reaches the spend, and the one by "
        f"which it is 90 % sure; in {months}: probability of payback within {months} months. One "
        f"point less churn adds at most {point} of CLV; 1 % more order value, frequency or margin "
        f"adds {percent} each. LTV is {terms.describe_basis()}."
    )


def print_lists(summary: pd.DataFrame, currency: str) -> None:
    """Customers, value at stake and, of past lists, what they caught."""
    from ..configs.lists import STAKES

    columns = (
        PrintedColumn("customers", "customers", "count"),
        PrintedColumn("held out", "held_out", "count"),
        PrintedColumn("at stake", "value_at_stake", "money"),
        PrintedColumn("captured", "money_share", "share"),
        PrintedColumn("of", "customer_share", "share"),
        PrintedColumn("lift", "lift", "ratio"),
        PrintedColumn("stake", "stake", "text"),
    )
    present = [each for each in columns if each.column in summary.columns]
    rows = summary.assign(name=summary["list"], stake=summary["stake"].map(STAKES))
    print_table(_name_unit("Lists", currency), {"": rows.to_dict("records")}, present)
    if len(present) == len(columns):
        print_legend("captured: the past list's share of the money; of: its share of the customers")
