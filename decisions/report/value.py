"""Where the expected value sits: the numbers a report opens with, then tiers, segments, channels, cohorts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import charts
from .headlines import describe_cohorts, describe_largest_group, describe_tiers
from .number_format import Kind, NumberFormat
from .page_model import Chart, Fact, ReportSection, build_table
from .report_data import ReportData

__all__ = ["build_facts", "build_value_section"]

_GROUP_TABLE: list[tuple[str, str, Kind]] = [
    ("group", "group", "text"),
    ("customers", "customers", "count"),
    ("clv_total", "expected CLV", "money"),
    ("clv_total_lower", "at least (90%)", "money"),
    ("clv_total_upper", "at most (90%)", "money"),
    ("clv", "CLV a customer", "money"),
    ("churn_probability", "chance of no order", "share"),
]
_MOST_BARS = 15


def build_facts(content: ReportData, writing: NumberFormat) -> tuple[Fact, ...]:
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


def _interval(total: tuple[float, float, float], writing: NumberFormat) -> str:
    if np.isnan(total[1]):
        return "no interval: the forecast file has no deviations"
    return f"90% interval {writing.money_range(total[1], total[2])}"


def build_value_section(content: ReportData, writing: NumberFormat) -> ReportSection:
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
            describe_tiers(tiers, writing),
            "Customers and expected CLV by value tier, share of the whole",
            charts.draw_grouped(
                [f"{name} tier" for name in tiers["group"]], shares, writing, "share"
            ),
            build_table("Value tiers", tiers, _GROUP_TABLE, writing),
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
    return ReportSection("value", "Where the value sits", lead, tuple(found))


def _group_chart(
    dimension: str, noun: str, groups: pd.DataFrame, content: ReportData, writing: NumberFormat
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
        describe_largest_group(groups, noun, writing),
        f"Expected CLV over {content.span_days} days by {noun}, {writing.money_unit}",
        charts.draw_bars(
            shown["group"].tolist(),
            shown["clv_total"].tolist(),
            writing,
            writing.money_unit,
            bounds=(shown["clv_total_lower"].tolist(), shown["clv_total_upper"].tolist()),
            texts=[writing.money(value) for value in shown["clv_total"]],
        ),
        build_table(f"Expected CLV by {noun}", best_first, _GROUP_TABLE, writing),
        note.strip(),
    )


def _cohort_chart(content: ReportData, writing: NumberFormat) -> Chart:
    cohorts = content.groups("cohort")
    return Chart(
        "cohorts",
        describe_cohorts(cohorts, writing),
        f"Expected CLV over {content.span_days} days by month of the first order, {writing.money_unit}",
        charts.draw_columns(
            cohorts["group"].tolist(),
            cohorts["clv_total"].tolist(),
            writing,
            writing.money_unit,
            over="month of the first order",
            bounds=(cohorts["clv_total_lower"].tolist(), cohorts["clv_total_upper"].tolist()),
            dates=True,
        ),
        build_table("Expected CLV by month of the first order", cohorts, _GROUP_TABLE, writing),
        "The first months of a history hold customers who were there before it began.",
    )
