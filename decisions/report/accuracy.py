"""How good the forecasts were: beside what happened, and beside other methods."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...evaluation.backtest_frames import OURS, Evaluation
from ...evaluation.measures import NOMINAL_COVERAGE
from . import charts
from .headlines import (
    describe_calibration,
    describe_coverage,
    describe_deciles,
    describe_gain,
    describe_methods,
)
from .number_format import Kind, NumberFormat
from .page_model import Chart, ReportSection, build_table
from .palette import ACCENT, GREY

__all__ = ["build_accuracy_section"]

_MEASURES: dict[str, Kind] = {
    "nGini": "ratio", "spearman": "ratio", "MAE": "number", "RMSE": "number", "bias": "share",
    "decile_MAPE": "ratio", "churn_AUC": "ratio", "churn_log_loss": "ratio", "churn_ECE": "share",
}  # fmt: skip


def build_accuracy_section(evaluation: Evaluation, writing: NumberFormat) -> ReportSection:
    """Forecasts beside what happened: methods, deciles, gain, calibration, coverage."""
    methods, deciles = evaluation.methods(), evaluation.deciles()
    gains, groups = evaluation.gains(), evaluation.calibration()
    measures = [(name, name, kind) for name, kind in _MEASURES.items() if name in methods]
    tenths = [str(group) for group in deciles["group"]]
    spend = f"spend in {evaluation.horizon_days} days a customer, {writing.money_unit}"
    shown = methods.sort_values("nGini", ascending=False, kind="stable")
    found = [
        Chart(
            "methods",
            describe_methods(methods, writing),
            "Ranking of customers by coming spend (nGini: 1 is perfect, 0 is chance), by method",
            charts.draw_bars(
                shown["method"].tolist(),
                shown["nGini"].tolist(),
                writing,
                "nGini",
                texts=[writing.cell(float(value), "ratio") for value in shown["nGini"]],
                colours=[ACCENT if name == OURS else GREY for name in shown["method"]],
            ),
            build_table(
                "Measures by method", methods, [("method", "method", "text"), *measures], writing
            ),
            "Means over the cutoffs. MAE and RMSE in the currency.",
        ),
        Chart(
            "gain",
            describe_gain(gains, writing),
            "Share of the money held by the best customers by forecast",
            charts.draw_curves(
                gains["customers"].tolist(),
                {name: gains[name].tolist() for name in gains.columns.drop("customers")},
                writing,
                ("share of customers, best forecast first", "share of the money they spent"),
            ),
            build_table(
                "Share of the money held by the best customers",
                gains.iloc[::10],
                [(name, name, "share") for name in gains.columns],
                writing,
            ),
        ),
        Chart(
            "deciles",
            describe_deciles(deciles, writing),
            f"Mean forecast and mean {spend}; each step of the scale is ten times the one below",
            charts.draw_comparison(
                tenths,
                deciles["expected_spend"].tolist(),
                deciles["actual_spend"].tolist(),
                writing,
                writing.money_unit,
                "tenths of customers by forecast, best first",
            ),
            build_table(
                "Forecast and fact by tenth",
                deciles,
                [
                    ("group", "tenth", "count"),
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
            f"Share of customers whose spend fell into their interval, by tenth; {writing.share(NOMINAL_COVERAGE)} is meant",
            charts.draw_columns(
                tenths,
                deciles["is_covered"].tolist(),
                writing,
                "share within the interval",
                over="tenths of customers by forecast, best first",
                texts=[writing.share(value) for value in deciles["is_covered"]],
                share=True,
            ),
            build_table(
                "Coverage by tenth",
                deciles,
                [
                    ("group", "tenth", "count"),
                    ("customers", "customers", "count"),
                    ("is_covered", "within", "share"),
                ],
                writing,
            ),
            "Where no order is likely enough, an interval starts at 0.",
        ),
        Chart(
            "calibration",
            describe_calibration(evaluation.calibration_error(), writing),
            "Churn probability beside the share that churned, ten equal groups of customers",
            charts.draw_calibration(
                groups["churn_probability"].tolist(), groups["churned"].tolist(), writing
            ),
            build_table(
                "Calibration of churn",
                groups,
                [
                    ("group", "tenth", "count"),
                    ("customers", "customers", "count"),
                    ("churn_probability", "forecast", "share"),
                    ("churned", "happened", "share"),
                ],
                writing,
            ),
        ),
    ]
    cutoffs = evaluation.cutoffs()
    found.append(_cutoffs(cutoffs, writing))
    when = ", ".join(str(cutoff) for cutoff in cutoffs["cutoff"])
    lead = (
        f"Models trained on what was known at {when} alone, each beside the {evaluation.horizon_days} days "
        "that followed.",
    )
    return ReportSection("accuracy", "How good the forecasts were", lead, tuple(found))


def _cutoffs(cutoffs: pd.DataFrame, writing: NumberFormat) -> Chart:
    bias = cutoffs["bias"].astype(np.float64)
    known = bias.dropna()
    if not len(known):
        told = "Nothing was spent, so totals cannot be compared"
    else:
        worst = float(known.iloc[int(np.argmax(known.abs().to_numpy()))])
        way = "above" if worst > 0 else "below"
        told = f"Totals were at most {writing.share(abs(worst), 1)} {way} what was spent"
        if len(known) == 1:
            told = f"The total was {writing.share(abs(worst), 1)} {way} what was spent"
    columns: list[tuple[str, str, Kind]] = [
        ("cutoff", "cutoff", "text"),
        ("customers", "customers", "count"),
        ("churn_rate", "churned", "share"),
        ("actual_spend", "spent", "money"),
        *((name, name, kind) for name, kind in _MEASURES.items() if name in cutoffs),
    ]
    return Chart(
        "cutoffs",
        told,
        "Every cutoff that was evaluated",
        None,
        build_table("Measures by cutoff", cutoffs, columns, writing),
    )
