"""What drives the value: the four levers, retention, formula CLV and forecast."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import charts
from .headlines import describe_formula, describe_lever, describe_retention
from .number_format import Kind, NumberFormat
from .page_model import Chart, ReportSection, build_table
from .report_data import ReportData

__all__ = ["build_lever_section"]

_LEVERS: dict[str, tuple[str, str, Kind]] = {
    "aov": ("Average order value", "revenue / orders", "money"),
    "purchase_frequency": ("Purchase frequency", "orders per active customer and period", "points"),
    "margin_rate": ("Margin", "margin / revenue", "share"),
    "churn_rate": ("Churn", "share of the previous period's customers without an order", "share"),
}


def build_lever_section(content: ReportData, writing: NumberFormat) -> ReportSection:
    """The four levers by period, retention, and formula CLV compared with the forecast."""
    measures, triangle = content.kpis.measures, content.kpis.triangles
    days = int(measures["period_days"].iloc[0])
    known_levers = [
        name for name in _LEVERS if content.periods[name].notna().any()
    ]  # no margin: none
    sections = [_chart_lever(name, content.periods, days, writing) for name in known_levers]
    if triangle["age_months"].max() >= 1:
        sections.append(_chart_retention(triangle, writing))
    shop = measures.iloc[0]
    rows = measures[measures["dimension"].isin(["shop", "channel", "cohort"])]
    rows = rows.assign(
        group=(rows["dimension"] + " " + rows["group"]).replace("shop all", "the shop")
    )
    sections.append(
        Chart(
            "formula",
            describe_formula(float(shop["formula_clv_span"]), float(shop["clv"]), writing),
            f"CLV ({writing.basis}) per customer over {content.span_days} days: order value x "
            "frequency x lifetime, and forecast",
            None,
            build_table(
                "Formula and forecast per customer",
                rows,
                [
                    ("group", "group", "text"),
                    ("customers", "customers", "count"),
                    ("formula_clv_span", "formula", "value"),
                    ("clv", "forecast", "value"),
                    ("clv_less_formula", "difference", "value"),
                ],
                writing,
            ),
            "The formula assumes that all customers are active and alike. Tiers, segments and risk "
            "bands have none: customers lost in past periods are in the low ones today.",
        )
    )
    lead = (
        f"Four levers drive customer value; each is measured over periods of {days} days."
        + (
            ""
            if "margin_rate" in known_levers
            else " No margin is known: map cost or state margin_rate."
        ),
        *_describe_lever_values(content, writing),
    )
    return ReportSection("levers", "What drives it", lead, tuple(sections))


def _describe_lever_values(content: ReportData, writing: NumberFormat) -> tuple[str, ...]:
    rows = content.levers.set_index("lever")
    if not len(rows) or not rows["value"].sum() > 0:
        return ()
    churn, aov = (float(rows["value"][name]) for name in ("churn", "aov"))
    return (
        f"One point less churn adds at most {writing.money(churn)} of CLV, since no campaign "
        "reaches everybody; one percent more order value, frequency or margin adds "
        f"{writing.money(aov)}.",
    )


def _chart_lever(name: str, periods: pd.DataFrame, days: int, writing: NumberFormat) -> Chart:
    title, meaning, kind = _LEVERS[name]
    values = periods[name]
    unit = f"{meaning}, {writing.money_unit}" if kind == "money" else meaning
    return Chart(
        name,
        describe_lever(title, values, writing, is_share=kind == "share"),
        f"{unit}; periods of {days} days by first day",
        charts.draw_columns(
            periods["group"].tolist(),
            values.tolist(),
            writing,
            writing.money_unit if kind == "money" else "share" if kind == "share" else "orders",
            over="first day of the period",
            highlight=-1,
            texts=[writing.cell(float(value), kind) for value in values],
            height=260,
            dates=True,
            share=kind == "share",
        ),
        build_table(
            f"{title} by period",
            periods,
            [
                ("from", "from", "text"),
                ("until", "until", "text"),
                ("customers", "customers so far", "count"),
                ("active_customer_periods", "of them ordered", "count"),
                ("orders", "orders", "count"),
                ("revenue", "revenue", "money"),
                (name, title.lower(), "cents" if kind == "money" else kind),
            ],
            writing,
        ),
    )


def _chart_retention(triangle: pd.DataFrame, writing: NumberFormat) -> Chart:
    months = triangle[triangle["is_whole"] & (triangle["age_months"] >= 1)]
    newest = list(dict.fromkeys(months["cohort"]))[-24:]
    months = months[months["cohort"].isin(newest)]
    wide = months.pivot(index="cohort", columns="age_months", values="retention").iloc[:, :24]
    texts = [["" if np.isnan(v) else writing.share(v) for v in row] for row in wide.to_numpy()]
    return Chart(
        "retention",
        describe_retention(triangle, writing),
        "Share of a cohort that ordered, by months since the first order; whole months only",
        charts.draw_grid(
            [str(cohort) for cohort in wide.index],
            [str(age) for age in wide.columns],
            wide.to_numpy().tolist(),
            texts,
            writing,
            ("first order", "months since the first order"),
        ),
        build_table(
            "Retention and spend by cohort and month",
            months,
            [
                ("cohort", "cohort", "text"),
                ("age_months", "month", "count"),
                ("customers", "customers", "count"),
                ("active_customers", "ordered", "count"),
                ("retention", "share", "share"),
                ("cumulated_spend_per_customer", "spend so far per customer", "money"),
            ],
            writing,
        ),
        is_wide=True,
    )
