"""Key figures, expected value by tier, segment, channel and cohort, and value at risk."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import charts
from .headlines import describe_cohorts, describe_largest_group, describe_risk, describe_tiers
from .number_format import Kind, NumberFormat
from .page_model import Chart, Fact, ReportSection, build_table
from .report_data import ReportData

__all__ = ["build_facts", "build_risk_section", "build_value_section"]

_GROUP_TABLE: list[tuple[str, str, Kind]] = [
    ("group", "group", "text"),
    ("customers", "customers", "count"),
    ("clv_total", "expected CLV", "value"),
    ("clv_total_lower", "lower (90%)", "value"),
    ("clv_total_upper", "upper (90%)", "value"),
    ("clv", "CLV per customer", "value"),
    ("churn_probability", "churn probability", "share"),
]
_MOST_BARS = 15


def build_facts(content: ReportData, writing: NumberFormat) -> tuple[Fact, ...]:
    """The key figures of the report."""
    risks = content.groups("risk")
    high = risks[risks["group"] == "high"]
    return (
        Fact(
            f"Expected CLV in {content.span_days} days: {writing.basis}",
            writing.money(content.clv[0]),
            _format_interval(content.clv, writing),
        ),
        Fact(
            f"Expected spend in {content.horizon_days} days: {content.terms.spend_basis}",
            writing.money(content.spend[0]),
            _format_interval(content.spend, writing),
        ),
        Fact(
            "Customers",
            writing.count(content.customers),
            f"mean CLV ({writing.basis}) {writing.money(content.clv[0] / content.customers)}",
        ),
        Fact(
            "At high risk of leaving",
            writing.count(int(high["customers"].sum()), "customer"),
            f"with {writing.money(float(high['clv_total'].sum()))} of expected CLV "
            f"({writing.basis})",
        ),
    )


def _format_interval(total: tuple[float, float, float], writing: NumberFormat) -> str:
    if np.isnan(total[1]):
        return "no interval: the forecast file has no deviations"
    return f"90% interval {writing.money_range(total[1], total[2])}"


def build_value_section(content: ReportData, writing: NumberFormat) -> ReportSection:
    """The expected value by tier, segment, channel and cohort."""
    tiers = content.groups("tier")
    total = max(float(tiers["clv_total"].sum()), 1e-300)
    shares = {
        "share of customers": (tiers["customers"] / content.customers).tolist(),
        "share of expected CLV": (tiers["clv_total"].fillna(0.0) / total).tolist(),
    }
    sections = [
        Chart(
            "tiers",
            describe_tiers(tiers, writing),
            "Shares of customers and expected CLV by value tier",
            charts.draw_grouped(
                [f"{name} tier" for name in tiers["group"]], shares, writing, "share"
            ),
            build_table("Value tiers", tiers, _GROUP_TABLE, writing),
        )
    ]
    for dimension, noun in (("rfm_segment", "segment"), ("channel", "channel")):
        groups = content.groups(dimension)
        if len(groups):
            sections.append(_chart_groups(dimension, noun, groups, content, writing))
    sections.append(_chart_cohorts(content, writing))
    if len(content.spend_by_period):
        sections.append(_chart_periods(content, writing))
    lead = (
        f"Expected CLV of {writing.count(content.customers, 'customer')} with an order before "
        f"{content.cutoff}: {writing.money(content.clv[0])} in {content.span_days} days. CLV is "
        f"{content.terms.describe_basis()}.",
        *(f"{sentence[0].upper()}{sentence[1:]}." for sentence in content.plausibility),
        "Thin lines are 90% intervals of the totals; totals mostly deviate together.",
    )
    return ReportSection("value", "Where the value is", lead, tuple(sections))


def _chart_groups(
    dimension: str, noun: str, groups: pd.DataFrame, content: ReportData, writing: NumberFormat
) -> Chart:
    ranked = groups.sort_values("clv_total", ascending=False, kind="stable", na_position="last")
    top = ranked.head(_MOST_BARS)
    left_out = len(ranked) - len(top)
    empty = [str(name) for name in groups.loc[groups["customers"] == 0, "group"]]
    note = f"The {left_out} smallest are in the table only. " if left_out else ""
    if empty:
        note += f"No customers are in {', '.join(empty)}."
    return Chart(
        dimension,
        describe_largest_group(groups, noun, writing),
        f"Expected CLV over {content.span_days} days by {noun}, {writing.value_unit}",
        charts.draw_bars(
            top["group"].tolist(),
            top["clv_total"].tolist(),
            writing,
            writing.value_unit,
            bounds=(top["clv_total_lower"].tolist(), top["clv_total_upper"].tolist()),
            texts=[writing.money(value) for value in top["clv_total"]],
        ),
        build_table(f"Expected CLV by {noun}", ranked, _GROUP_TABLE, writing),
        note.strip(),
    )


def _chart_cohorts(content: ReportData, writing: NumberFormat) -> Chart:
    cohorts = content.groups("cohort")
    return Chart(
        "cohorts",
        describe_cohorts(cohorts, writing),
        f"Expected CLV over {content.span_days} days by month of the first order, "
        f"{writing.value_unit}",
        charts.draw_columns(
            cohorts["group"].tolist(),
            cohorts["clv_total"].tolist(),
            writing,
            writing.value_unit,
            over="month of the first order",
            bounds=(cohorts["clv_total_lower"].tolist(), cohorts["clv_total_upper"].tolist()),
            dates=True,
        ),
        build_table("Expected CLV by month of the first order", cohorts, _GROUP_TABLE, writing),
        "The first months of the history include customers from before it.",
    )


def _chart_periods(content: ReportData, writing: NumberFormat) -> Chart:
    periods = content.spend_by_period
    spend = periods["expected_spend"]
    kept = spend.iloc[-1] / max(float(spend.iloc[0]), 1e-300)
    unit = f"expected spend ({content.terms.spend_basis})"
    return Chart(
        "periods",
        f"Period {len(periods)} is expected to bring {writing.share(kept)} of period 1",
        f"Expected spend in each period of {content.horizon_days} days, not discounted",
        charts.draw_columns(
            [f"period {k}" for k in periods["period"]],
            spend.tolist(),
            writing,
            unit,
            over="period",
        ),
        build_table(
            "Expected spend by period",
            periods,
            [("period", "period", "count"), ("expected_spend", unit, "value")],
            writing,
        ),
        "All customers who are known at the cutoff; new ones are not in it.",
    )


def build_risk_section(content: ReportData, writing: NumberFormat) -> ReportSection:
    """Customers at risk and their value."""
    risks = content.groups("risk")
    pairs = content.tier_by_risk
    tiers = list(dict.fromkeys(pairs["tier"]))
    series = {
        f"{risk} risk": pairs.loc[pairs["risk"] == risk, "clv"].tolist()
        for risk in ("low", "medium", "high")
    }
    budget = content.budget("risk")
    by_band = budget.set_index("group")["most_to_keep_all"]
    parts = " and ".join(
        f"{writing.money(float(by_band[band]))} with {band} risk"
        for band in ("low", "medium", "high")
        if band in by_band
    )
    by_risk = Chart(
        "risk",
        describe_risk(risks, writing),
        f"Expected CLV by value tier and risk of leaving, {writing.value_unit}",
        charts.draw_stacked(
            [f"{tier} tier" for tier in tiers], series, writing, writing.value_unit
        ),
        build_table(
            "Expected CLV by tier and risk",
            pairs,
            [
                ("tier", "tier", "text"),
                ("risk", "risk", "text"),
                ("customers", "customers", "count"),
                ("clv", "expected CLV", "value"),
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
        f"Keeping {best['group']} adds the most: at most {writing.money(best['most_to_keep_all'])}",
        f"Maximum CLV that a certain order would add, by segment, {writing.value_unit}",
        charts.draw_bars(
            segments["group"].tolist(),
            segments["most_to_keep_all"].tolist(),
            writing,
            writing.value_unit,
            texts=[writing.brief(value) for value in segments["most_to_keep_all"]],
        ),
        build_table(
            "Maximum value of keeping customers",
            segments,
            [
                ("group", "segment", "text"),
                ("customers", "customers", "count"),
                ("clv", "CLV per customer", "value"),
                ("value_if_kept", "CLV with an order", "value"),
                ("most_to_keep_one", "maximum per customer", "value"),
                ("most_to_keep_all", "maximum for all", "value"),
            ],
            writing,
        ),
        "Upper bounds: CLV given an order in the next period, less CLV. No campaign reaches "
        "everybody.",
    )
    lead = (
        f"Risk is the probability of no order in the next {content.horizon_days} days. If all "
        f"customers ordered, expected CLV would rise by {writing.money(float(by_band.sum()))} at "
        f"most: {parts}. Campaigns reach, and should cost, less.",
    )
    return ReportSection("risk-of-leaving", "Customers at risk", lead, (by_risk, keep))
