"""The half of the report for those who decide: what is expected, where it sits, what is at risk, what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import charts
from .blocks import Chart, Fact, Section, table
from .content import Content
from .findings import (
    cohort_finding,
    formula_finding,
    largest_group,
    lever_finding,
    list_finding,
    retention_finding,
    risk_finding,
    tier_finding,
)
from .writing import Kind, Writing

__all__ = ["action_section", "facts", "lever_section", "risk_section", "value_section"]

_GROUP_TABLE: list[tuple[str, str, Kind]] = [
    ("group", "group", "text"),
    ("customers", "customers", "count"),
    ("clv_total", "expected CLV", "money"),
    ("clv_total_lower", "at least (90%)", "money"),
    ("clv_total_upper", "at most (90%)", "money"),
    ("clv", "CLV a customer", "money"),
    ("churn_probability", "chance of no order", "share"),
]
_LEVERS: dict[str, tuple[str, str, Kind]] = {
    "aov": ("Average order value", "revenue / orders", "money"),
    "purchase_frequency": ("Purchase frequency", "orders per active customer and period", "points"),
    "margin_rate": ("Margin", "margin / revenue", "share"),
    "churn_rate": ("Churn", "did not order again, of those who ordered the period before", "share"),
}
_MOST_BARS = 15
_SHOWN_IDS = 20


def facts(content: Content, writing: Writing) -> tuple[Fact, ...]:
    """What the report opens with."""
    risks = content.groups("risk")
    risks = risks[risks["group"] == "high"]
    high, at_stake = int(risks["customers"].sum()), float(risks["clv_total"].sum())
    return (
        Fact(
            f"Expected CLV in {content.span_days} days",
            writing.money(content.clv[0]),
            _interval(content.clv, writing),
        ),
        Fact(
            f"Expected spend in {content.horizon_days} days",
            writing.money(content.spend[0]),
            _interval(content.spend, writing),
        ),
        Fact(
            "Customers",
            writing.count(content.customers),
            f"{writing.money(content.clv[0] / content.customers)} of CLV each, on average",
        ),
        Fact(
            "At high risk of leaving",
            writing.count(high, "customer"),
            f"with {writing.money(at_stake)} of expected CLV",
        ),
    )


def _interval(total: tuple[float, float, float], writing: Writing) -> str:
    if np.isnan(total[1]):
        return "no interval: the forecast file has no deviations"
    return f"90% interval {writing.money_range(total[1], total[2])}"


def value_section(content: Content, writing: Writing) -> Section:
    """Where the expected value sits: tiers, segments, channels, cohorts."""
    tiers = content.groups("tier")
    whole = max(float(tiers["clv_total"].sum()), 1e-300)
    shares = {
        "share of customers": (tiers["customers"] / content.customers).tolist(),
        "share of expected CLV": (tiers["clv_total"].fillna(0.0) / whole).tolist(),
    }
    found = [
        Chart(
            "tiers",
            tier_finding(tiers, writing),
            "Customers and expected CLV by value tier, share of the whole",
            charts.grouped([f"{name} tier" for name in tiers["group"]], shares, writing, "share"),
            table("Value tiers", tiers, _GROUP_TABLE, writing),
        )
    ]
    names = {"rfm_segment": "segment", "channel": "channel"}
    for dimension, noun in names.items():
        groups = content.groups(dimension)
        if len(groups):
            found.append(_group_chart(dimension, noun, groups, content, writing))
    found.append(_cohort_chart(content, writing))
    lead = (
        f"The {writing.count(content.customers, 'customer')} known at {content.cutoff} are expected to bring "
        f"{writing.money(content.clv[0])} in the {content.span_days} days that follow"
        + (
            "."
            if content.margin_rate == 1
            else f", at a margin of {writing.share(content.margin_rate)}."
        ),
        "The thin lines are 90% intervals: they tell how far a total may move, most of it together.",
    )
    return Section("value", "Where the value sits", lead, tuple(found))


def _group_chart(
    dimension: str, noun: str, groups: pd.DataFrame, content: Content, writing: Writing
) -> Chart:
    best_first = groups.sort_values("clv_total", ascending=False, kind="stable", na_position="last")
    shown = best_first.head(_MOST_BARS)
    left_out = len(best_first) - len(shown)
    empty = [str(name) for name in groups.loc[groups["customers"] == 0, "group"]]
    note = f"The {left_out} smallest are in the table only. " if left_out else ""
    if empty:
        note += f"Nobody is in {', '.join(empty)}."
    return Chart(
        dimension,
        largest_group(groups, noun, writing),
        f"Expected CLV over {content.span_days} days by {noun}, {writing.money_unit}",
        charts.bars(
            shown["group"].tolist(),
            shown["clv_total"].tolist(),
            writing,
            writing.money_unit,
            bounds=(shown["clv_total_lower"].tolist(), shown["clv_total_upper"].tolist()),
            texts=[writing.money(value) for value in shown["clv_total"]],
        ),
        table(f"Expected CLV by {noun}", best_first, _GROUP_TABLE, writing),
        note.strip(),
    )


def _cohort_chart(content: Content, writing: Writing) -> Chart:
    cohorts = content.groups("cohort")
    return Chart(
        "cohorts",
        cohort_finding(cohorts, writing),
        f"Expected CLV over {content.span_days} days by month of the first order, {writing.money_unit}",
        charts.columns(
            cohorts["group"].tolist(),
            cohorts["clv_total"].tolist(),
            writing,
            writing.money_unit,
            over="month of the first order",
            bounds=(cohorts["clv_total_lower"].tolist(), cohorts["clv_total_upper"].tolist()),
            dates=True,
        ),
        table("Expected CLV by month of the first order", cohorts, _GROUP_TABLE, writing),
        "The first months of a history hold customers who were there before it began.",
    )


def risk_section(content: Content, writing: Writing) -> Section:
    """Who is at risk, and what that is worth."""
    risks = content.groups("risk")
    pairs = content.tier_by_risk
    tiers = list(dict.fromkeys(pairs["tier"]))
    series = {
        f"{risk} risk": pairs.loc[pairs["risk"] == risk, "clv"].tolist()
        for risk in ("low", "medium", "high")
    }
    budget = content.budget("risk")
    likely = budget[budget["group"].isin(["medium", "high"])]
    worth = float(likely["most_to_keep_all"].sum())
    by_risk = Chart(
        "risk",
        risk_finding(risks, writing),
        f"Expected CLV by value tier and risk of leaving, {writing.money_unit}",
        charts.stacked([f"{tier} tier" for tier in tiers], series, writing, writing.money_unit),
        table(
            "Expected CLV by tier and risk",
            pairs,
            [
                ("tier", "tier", "text"),
                ("risk", "risk", "text"),
                ("customers", "customers", "count"),
                ("clv", "expected CLV", "money"),
            ],
            writing,
        ),
    )
    segments = content.budget("rfm_segment").sort_values(
        "most_to_keep_all", ascending=False, kind="stable"
    )
    best = segments.iloc[0]
    keep = Chart(
        "budget",
        f"Most is to be kept among {best['group']}: {writing.money(best['most_to_keep_all'])}",
        f"CLV that an order would add, at most to be spent on keeping, by segment, {writing.money_unit}",
        charts.bars(
            segments["group"].tolist(),
            segments["most_to_keep_all"].tolist(),
            writing,
            writing.money_unit,
            texts=[writing.brief(value) for value in segments["most_to_keep_all"]],
        ),
        table(
            "What keeping customers is worth at most",
            segments,
            [
                ("group", "segment", "text"),
                ("customers", "customers", "count"),
                ("clv", "CLV a customer", "money"),
                ("value_if_kept", "worth if an order comes", "money"),
                ("most_to_keep_one", "most to keep one", "money"),
                ("most_to_keep_all", "most to keep all", "money"),
            ],
            writing,
        ),
    )
    lead = (
        f"At risk is who will probably not order in the next {content.horizon_days} days. If all at medium "
        f"or high risk were sure to order, it would be worth {writing.money(worth)} more: no campaign "
        "reaches that, none should cost it.",
    )
    return Section("risk-of-leaving", "Who is at risk", lead, (by_risk, keep))


def lever_section(content: Content, writing: Writing) -> Section:
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
    rows = rows[rows["dimension"].isin(["shop", "tier", "rfm_segment"])].copy()
    rows["group"] = [
        "the shop" if d == "shop" else f"{g} tier" if d == "tier" else g
        for d, g in zip(rows["dimension"], rows["group"], strict=True)
    ]
    found.append(
        Chart(
            "formula",
            formula_finding(float(shop["formula_clv_span"]), float(shop["clv"]), writing),
            f"CLV a customer over {content.span_days} days: order value x frequency x lifetime, beside the forecast",
            None,
            table("Formula and forecast, a customer", rows, columns, writing),
            "The formula takes every customer for active and alike.",
        )
    )
    lead = (
        f"Four levers move the value of customers; each is measured over periods of {days} days.",
        *_worth(content, writing),
    )
    return Section("levers", "What moves it", lead, tuple(found))


def _worth(content: Content, writing: Writing) -> tuple[str, ...]:
    rows = content.levers.set_index("lever")
    if not len(rows) or not rows["value"].sum() > 0:
        return ()
    churn, aov = (float(rows["value"][name]) for name in ("churn", "aov"))
    return (
        f"A point less churn is worth {writing.money(churn)} of CLV; a per cent more of order value, "
        f"frequency or margin {writing.money(aov)}.",
    )


def _lever_chart(name: str, periods: pd.DataFrame, days: int, writing: Writing) -> Chart:
    title, meaning, kind = _LEVERS[name]
    values = periods[name]
    unit = f"{meaning}, {writing.money_unit}" if kind == "money" else meaning
    return Chart(
        name,
        lever_finding(title, values, writing, is_share=kind == "share"),
        f"{unit}; periods of {days} days, by their first day",
        charts.columns(
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
        table(
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


def _retention_chart(triangle: pd.DataFrame, writing: Writing) -> Chart:
    whole = triangle[triangle["is_whole"] & (triangle["age_months"] >= 1)]
    newest = list(dict.fromkeys(whole["cohort"]))[-24:]
    whole = whole[whole["cohort"].isin(newest)]
    wide = whole.pivot(index="cohort", columns="age_months", values="retention").iloc[:, :24]
    texts = [["" if np.isnan(v) else writing.share(v) for v in row] for row in wide.to_numpy()]
    return Chart(
        "retention",
        retention_finding(triangle, writing),
        "Share of a cohort's customers who ordered, by months since the first order; whole months only",
        charts.grid(
            [str(cohort) for cohort in wide.index],
            [str(age) for age in wide.columns],
            wide.to_numpy().tolist(),
            texts,
            writing,
            ("first order", "months since the first order"),
        ),
        table(
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


def action_section(content: Content, writing: Writing, *, with_ids: bool) -> Section:
    """The campaign lists, with counts and money; names only where they were asked for."""
    summary = content.lists.summary
    columns: list[tuple[str, str, Kind]] = [
        ("list", "list", "text"),
        ("customers", "customers", "count"),
        ("held_out", "held out", "count"),
        ("value_at_stake", "at stake", "money"),
    ]
    best_first = summary.sort_values("value_at_stake", ascending=False, kind="stable")
    found = [
        Chart(
            "lists",
            list_finding(summary, writing),
            f"Value at stake by list, {writing.money_unit}; a customer may be on several",
            charts.bars(
                best_first["list"].tolist(),
                best_first["value_at_stake"].tolist(),
                writing,
                writing.money_unit,
                texts=[writing.brief(value) for value in best_first["value_at_stake"]],
            ),
            table("Campaign lists", best_first, columns, writing),
            "Held out are customers whom no list contacts, to measure the effect against.",
            is_open=True,
        )
    ]
    if with_ids:
        found += [
            _names(name, content, writing)
            for name in best_first["list"]
            if content.lists.contacts[name].num_rows
        ]
    lead = (
        "Each list names its customers, a reason and a date for each: the command clvcast lists writes them.",
        *content.left_out,
    )
    return Section("actions", "What to do", lead, tuple(found))


def _names(name: str, content: Content, writing: Writing) -> Chart:
    rows = content.lists.contacts[name]
    first = rows.slice(0, _SHOWN_IDS).to_pandas()
    columns: list[tuple[str, str, Kind]] = [
        ("customer_id", "customer", "text"),
        ("priority", "priority", "count"),
        ("value_at_stake", "at stake", "money"),
        ("reason", "reason", "text"),
        ("suggested_date", "date", "text"),
    ]
    return Chart(
        f"names-{name}",
        f"{name}: the first {len(first)} of {writing.count(rows.num_rows, 'customer')}",
        "By value at stake",
        None,
        table(f"First customers of {name}", first, columns, writing),
    )
