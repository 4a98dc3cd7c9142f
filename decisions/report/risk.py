"""Who is at risk of leaving, what that is worth, and what keeping them may cost at most."""

from __future__ import annotations

from . import charts
from .headlines import describe_risk
from .number_format import NumberFormat
from .page_model import Chart, ReportSection, build_table
from .report_data import ReportData

__all__ = ["build_risk_section"]


def build_risk_section(content: ReportData, writing: NumberFormat) -> ReportSection:
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
        describe_risk(risks, writing),
        f"Expected CLV by value tier and risk of leaving, {writing.money_unit}",
        charts.draw_stacked(
            [f"{tier} tier" for tier in tiers], series, writing, writing.money_unit
        ),
        build_table(
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
        f"Most is to be kept among {best['group']}: at most {writing.money(best['most_to_keep_all'])}",
        f"CLV that a sure order would add, at most; by segment, {writing.money_unit}",
        charts.draw_bars(
            segments["group"].tolist(),
            segments["most_to_keep_all"].tolist(),
            writing,
            writing.money_unit,
            texts=[writing.brief(value) for value in segments["most_to_keep_all"]],
        ),
        build_table(
            "What keeping customers is worth at most",
            segments,
            [
                ("group", "segment", "text"),
                ("customers", "customers", "count"),
                ("clv", "CLV a customer", "money"),
                ("value_if_kept", "worth at most if an order comes", "money"),
                ("most_to_keep_one", "most to keep one", "money"),
                ("most_to_keep_all", "most to keep all", "money"),
            ],
            writing,
        ),
        "Upper bounds: CLV / (1 - chance of no order), less CLV. Who skips a period may still return.",
    )
    lead = (
        f"At risk is who will probably not order in the next {content.horizon_days} days. If all at medium "
        f"or high risk were sure to order, it would be worth at most {writing.money(worth)} more: no campaign "
        "reaches that, none should cost it.",
    )
    return ReportSection("risk-of-leaving", "Who is at risk", lead, (by_risk, keep))
