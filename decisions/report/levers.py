"""What moves the value: the four levers side by side, retention, the formula beside the forecast."""

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
    "churn_rate": ("Churn", "did not order again, of those who ordered the period before", "share"),
}


def build_lever_section(content: ReportData, writing: NumberFormat) -> ReportSection:
    """The four levers side by side, period by period; retention; the formula beside the forecast."""
    periods = content.periods
    days = int(content.kpis.measures["period_days"].iloc[0])
    found = [_lever_chart(name, periods, days, writing) for name in _LEVERS]
    triangle = content.kpis.triangles
    if triangle["age_months"].max() >= 1:
        found.append(_retention_chart(triangle, writing))
    shop = content.kpis.measures.iloc[0]
    columns: list[tuple[str, str, Kind]] = [
        ("group", "group", "text"),
        ("customers", "customers", "count"),
        ("formula_clv_span", "by the formula", "money"),
        ("clv", "forecast", "money"),
        ("clv_less_formula", "difference", "money"),
    ]
    rows = content.kpis.measures
    rows = rows[rows["dimension"].isin(["shop", "channel", "cohort"])].copy()
    rows["group"] = [
        "the shop" if d == "shop" else f"{d} {g}"
        for d, g in zip(rows["dimension"], rows["group"], strict=True)
    ]
    found.append(
        Chart(
            "formula",
            describe_formula(float(shop["formula_clv_span"]), float(shop["clv"]), writing),
            f"CLV a customer over {content.span_days} days: order value x frequency x lifetime, beside the forecast",
            None,
            build_table("Formula and forecast, a customer", rows, columns, writing),
            "The formula takes every customer for active and alike. Tiers, segments and risk bands have none: "
            "whom the shop lost in past periods is who is in the low ones today.",
        )
    )
    lead = (
        f"Four levers move the value of customers; each is measured over periods of {days} days.",
        *_worth(content, writing),
    )
    return ReportSection("levers", "What moves it", lead, tuple(found))


def _worth(content: ReportData, writing: NumberFormat) -> tuple[str, ...]:
    rows = content.levers.set_index("lever")
    if not len(rows) or not rows["value"].sum() > 0:
        return ()
    churn, aov = (float(rows["value"][name]) for name in ("churn", "aov"))
    return (
        f"A point less churn is worth at most {writing.money(churn)} of CLV, for part of it comes from "
        "customers who pause and return by themselves; a per cent more of order value, frequency or margin is "
        f"worth {writing.money(aov)}.",
    )


def _lever_chart(name: str, periods: pd.DataFrame, days: int, writing: NumberFormat) -> Chart:
    title, meaning, kind = _LEVERS[name]
    values = periods[name]
    unit = f"{meaning}, {writing.money_unit}" if kind == "money" else meaning
    return Chart(
        name,
        describe_lever(title, values, writing, is_share=kind == "share"),
        f"{unit}; periods of {days} days, by their first day",
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
                ("customers", "customers", "count"),
                ("orders", "orders", "count"),
                ("revenue", "revenue", "money"),
                (name, title.lower(), "cents" if kind == "money" else kind),
            ],
            writing,
        ),
    )


def _retention_chart(triangle: pd.DataFrame, writing: NumberFormat) -> Chart:
    whole = triangle[triangle["is_whole"] & (triangle["age_months"] >= 1)]
    newest = list(dict.fromkeys(whole["cohort"]))[-24:]
    whole = whole[whole["cohort"].isin(newest)]
    wide = whole.pivot(index="cohort", columns="age_months", values="retention").iloc[:, :24]
    texts = [["" if np.isnan(v) else writing.share(v) for v in row] for row in wide.to_numpy()]
    return Chart(
        "retention",
        describe_retention(triangle, writing),
        "Share of a cohort's customers who ordered, by months since the first order; whole months only",
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
            whole,
            [
                ("cohort", "cohort", "text"),
                ("age_months", "month", "count"),
                ("customers", "customers", "count"),
                ("active_customers", "ordered", "count"),
                ("retention", "share", "share"),
                ("cumulated_spend_per_customer", "spend so far, a customer", "money"),
            ],
            writing,
        ),
        is_wide=True,
    )
