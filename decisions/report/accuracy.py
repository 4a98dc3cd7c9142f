"""Accuracy of the forecasts: compared with what happened and with other methods."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...evaluation.backtest_frames import OURS, Evaluation
from ...evaluation.measures import NOMINAL_COVERAGE
from ..group_totals import ratio
from . import charts
from .headlines import (
    describe_bias,
    describe_calibration,
    describe_coverage,
    describe_deciles,
    describe_gain,
    describe_methods,
)
from .number_format import Kind, NumberFormat
from .page_model import Chart, ReportSection, build_table

__all__ = ["build_accuracy_section"]

_MEASURES: dict[str, Kind] = {
    "nGini": "ratio",
    "spearman": "ratio",
    "MAE": "number",
    "RMSE": "number",
    "deviance": "number",
    "bias": "share",
    "decile_MAPE": "ratio",
    "churn_AUC": "ratio",
    "churn_log_loss": "ratio",
    "churn_ECE": "share",
    "clv_nGini": "ratio",
    "clv_bias": "share",
    "clv_decile_MAPE": "ratio",
    "clv_coverage_90": "share",
}


def build_accuracy_section(evaluation: Evaluation, writing: NumberFormat) -> ReportSection:
    """Forecasts and outcomes: methods, deciles, gain, calibration, coverage."""
    methods, deciles = evaluation.methods(), evaluation.deciles()
    gains, groups = evaluation.gains(), evaluation.calibration()
    measures = [(name, name, kind) for name, kind in _MEASURES.items() if name in methods]
    tenths = [str(group) for group in deciles["group"]]
    spend = f"spend per customer in {evaluation.horizon_days} days, {writing.money_unit}"
    ranked = methods.sort_values("nGini", ascending=False, kind="stable")
    cutoffs = evaluation.cutoffs()
    sections = [
        Chart(
            "methods",
            describe_methods(methods, writing),
            "Ranking of customers by future spend (nGini: 1 is perfect, 0 is random), by method",
            charts.draw_bars(
                ranked["method"].tolist(),
                ranked["nGini"].tolist(),
                writing,
                "nGini",
                texts=[writing.cell(float(value), "ratio") for value in ranked["nGini"]],
                colours=[
                    charts.ACCENT if name == OURS else charts.GREY for name in ranked["method"]
                ],
            ),
            build_table(
                "Measures by method", methods, [("method", "method", "text"), *measures], writing
            ),
            "Means over the cutoffs. MAE and RMSE in the currency.",
        ),
        Chart(
            "gain",
            describe_gain(gains, writing),
            "Share of spend of the best customers by forecast",
            charts.draw_curves(
                gains["customers"].tolist(),
                {name: gains[name].tolist() for name in gains.columns.drop("customers")},
                writing,
                ("share of customers, highest forecast first", "share of spend"),
            ),
            build_table(
                "Share of spend of the best customers",
                gains.iloc[::10],
                [(name, name, "share") for name in gains.columns],
                writing,
            ),
        ),
        Chart(
            "deciles",
            describe_deciles(deciles, writing),
            f"Mean forecast and mean {spend}; logarithmic scale",
            charts.draw_comparison(
                tenths,
                deciles["expected_spend"].tolist(),
                deciles["actual_spend"].tolist(),
                writing,
                writing.money_unit,
                "deciles by forecast, highest first",
            ),
            build_table(
                "Forecast and outcome by decile",
                deciles,
                [
                    ("group", "decile", "count"),
                    ("customers", "customers", "count"),
                    ("expected_spend", "forecast", "cents"),
                    ("actual_spend", "spent", "cents"),
                    ("is_covered", "within the interval", "share"),
                ],
                writing,
            ),
        ),
        Chart(
            "coverage",
            describe_coverage(evaluation.coverage(), writing),
            "Share of customers whose spend was within their interval, by decile; target: "
            f"{writing.share(NOMINAL_COVERAGE)}",
            charts.draw_columns(
                tenths,
                deciles["is_covered"].tolist(),
                writing,
                "share within the interval",
                over="deciles by forecast, highest first",
                texts=[writing.share(value) for value in deciles["is_covered"]],
                share=True,
            ),
            build_table(
                "Coverage by decile",
                deciles,
                [
                    ("group", "decile", "count"),
                    ("customers", "customers", "count"),
                    ("is_covered", "within", "share"),
                ],
                writing,
            ),
            "Intervals start at 0 where no order is likely.",
        ),
        Chart(
            "calibration",
            describe_calibration(evaluation.calibration_error(), writing),
            "Churn probability and share that churned, ten equal groups of customers",
            charts.draw_calibration(
                groups["churn_probability"].tolist(), groups["churned"].tolist(), writing
            ),
            build_table(
                "Calibration of churn",
                groups,
                [
                    ("group", "decile", "count"),
                    ("customers", "customers", "count"),
                    ("churn_probability", "forecast", "share"),
                    ("churned", "churned", "share"),
                ],
                writing,
            ),
        ),
        Chart(
            "cutoffs",
            describe_bias(cutoffs["bias"], writing),
            "All evaluated cutoffs",
            None,
            build_table(
                "Measures by cutoff",
                cutoffs,
                [
                    ("cutoff", "cutoff", "text"),
                    ("customers", "customers", "count"),
                    ("churn_rate", "churned", "share"),
                    ("actual_spend", "spent", "money"),
                    *((name, name, kind) for name, kind in _MEASURES.items() if name in cutoffs),
                ],
                writing,
            ),
        ),
    ]
    judged = [one for one in _list_clvs(evaluation) if one["is_judged"]]
    sections += [_chart_clv(clv, writing) for clv in judged[-1:]]
    lead = (
        f"Models trained on data before {', '.join(map(str, cutoffs['cutoff']))} only, compared "
        f"with the {evaluation.horizon_days} days that followed.",
        *(one["wait"] for one in _list_clvs(evaluation)[-1:] if not one["is_judged"]),
    )
    return ReportSection("accuracy", "How good the forecasts were", lead, tuple(sections))


def _list_clvs(evaluation: Evaluation) -> list[dict[str, Any]]:
    """How the CLV did at each cutoff, in their order; backtests of 0.1.0 do not say."""
    return [one["clv"] for one in evaluation.metrics.values() if "clv" in one]


def _chart_clv(clv: dict[str, Any], writing: NumberFormat) -> Chart:
    """The CLV of one cutoff beside what customers brought, by days since the last order."""
    groups = pd.DataFrame(clv["by_recency"])
    groups["days"] = [
        f"{low:.0f} to {high:.0f}" for low, high in groups[["lowest", "highest"]].to_numpy()
    ]
    difference = ratio(clv["forecast"] - clv["actual"], clv["actual"])
    return Chart(
        "clv",
        f"The CLV of {clv['cutoff']} was {writing.money(clv['forecast'])}, customers brought "
        f"{writing.money(clv['actual'])}: {writing.share(abs(difference))} "
        f"{'too high' if difference > 0 else 'too low'}",
        f"CLV over {clv['periods']} x {clv['horizon_days']} days and what customers brought, per "
        "customer, five equal groups by days since the last order",
        charts.draw_comparison(
            groups["days"].tolist(),
            (groups["forecast"] / groups["customers"]).tolist(),
            (groups["actual"] / groups["customers"]).tolist(),
            writing,
            writing.money_unit,
            "days since the last order",
        ),
        build_table(
            "CLV by days since the last order",
            groups,
            [
                ("days", "days since the last order", "text"),
                ("customers", "customers", "count"),
                ("forecast", "CLV", "money"),
                ("actual", "brought", "money"),
                ("bias", "bias", "share"),
            ],
            writing,
        ),
    )
