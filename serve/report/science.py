"""The half of the report for data scientists: how good the forecasts were, and what they rest on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...features.catalogue import CATALOGUE
from ...features.faults import joined
from ...features.findings import Finding
from ...features.orders import OrdersReport
from ..model import Model
from . import charts
from .blocks import Chart, Section, table
from .evaluation import OURS, Evaluation
from .findings import (
    calibration_finding,
    coverage_finding,
    decile_finding,
    gain_finding,
    importance_finding,
    method_finding,
)
from .palette import ACCENT, GREY
from .writing import Kind, Writing

__all__ = ["accuracy_section", "feature_importance", "model_section", "quality_section"]

_MEANINGS = {feature.name: feature.meaning for feature in CATALOGUE}
_SHOWN_FEATURES = 15
_TARGET = 0.9
_MEASURES: dict[str, Kind] = {
    "nGini": "ratio", "spearman": "ratio", "MAE": "number", "RMSE": "number", "bias": "share",
    "decile_MAPE": "ratio", "churn_AUC": "ratio", "churn_log_loss": "ratio", "churn_ECE": "share",
}  # fmt: skip


def accuracy_section(evaluation: Evaluation, writing: Writing) -> Section:
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
            method_finding(methods, writing),
            "Ranking of customers by coming spend (nGini: 1 is perfect, 0 is chance), by method",
            charts.bars(
                shown["method"].tolist(),
                shown["nGini"].tolist(),
                writing,
                "nGini",
                texts=[writing.cell(float(value), "ratio") for value in shown["nGini"]],
                colours=[ACCENT if name == OURS else GREY for name in shown["method"]],
            ),
            table(
                "Measures by method", methods, [("method", "method", "text"), *measures], writing
            ),
            "Means over the cutoffs. MAE and RMSE in the currency.",
        ),
        Chart(
            "gain",
            gain_finding(gains, writing),
            "Share of the money held by the best customers by forecast",
            charts.curves(
                gains["customers"].tolist(),
                {name: gains[name].tolist() for name in gains.columns.drop("customers")},
                writing,
                ("share of customers, best forecast first", "share of the money they spent"),
            ),
            table(
                "Share of the money held by the best customers",
                gains.iloc[::10],
                [(name, name, "share") for name in gains.columns],
                writing,
            ),
        ),
        Chart(
            "deciles",
            decile_finding(deciles, writing),
            f"Mean forecast and mean {spend}; each step of the scale is ten times the one below",
            charts.compared(
                tenths,
                deciles["expected_spend"].tolist(),
                deciles["actual_spend"].tolist(),
                writing,
                writing.money_unit,
                "tenths of customers by forecast, best first",
            ),
            table(
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
            coverage_finding(deciles, writing),
            f"Share of customers whose spend fell into their interval, by tenth; {writing.share(_TARGET)} is meant",
            charts.columns(
                tenths,
                deciles["is_covered"].tolist(),
                writing,
                "share within the interval",
                over="tenths of customers by forecast, best first",
                texts=[writing.share(value) for value in deciles["is_covered"]],
                share=True,
            ),
            table(
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
            calibration_finding(groups, writing),
            "Churn probability beside the share that churned, ten equal groups of customers",
            charts.calibration(
                groups["churn_probability"].tolist(), groups["churned"].tolist(), writing
            ),
            table(
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
    return Section("accuracy", "How good the forecasts were", lead, tuple(found))


def _cutoffs(cutoffs: pd.DataFrame, writing: Writing) -> Chart:
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
        table("Measures by cutoff", cutoffs, columns, writing),
    )


def feature_importance(model: Model) -> pd.DataFrame:
    """Share of the trees' gain by feature: each head counts alike, its seeds averaged; most first.

    Gain is what splits on the feature took off the training loss.
    """
    total: dict[str, float] = {}
    for seeds in model.trees.values():
        for trees in seeds:
            gain = np.asarray(trees.booster.feature_importance("gain"), np.float64)
            whole = gain.sum()
            if whole > 0:
                for name, value in zip(trees.features, gain / whole / len(seeds), strict=True):
                    total[name] = total.get(name, 0.0) + float(value) / len(model.trees)
    frame = pd.DataFrame({"feature": list(total), "share": list(total.values())})
    frame["meaning"] = [_MEANINGS.get(name, "") for name in frame["feature"]]
    frame["share"] = frame["share"].astype(np.float64)
    whole = frame["share"].sum()
    frame["share"] = frame["share"] / whole if whole > 0 else frame["share"]
    return frame.sort_values(["share", "feature"], ascending=[False, True]).reset_index(drop=True)


def model_section(model: Model, writing: Writing) -> Section:
    """What the model looks at."""
    importance = feature_importance(model)
    lead = (
        f"Model {model.version}, {len(model.numbers.features)} features, "
        f"trees for {joined(list(model.trees)) or 'nothing'}; BTYD carries "
        f"{writing.share(model.numbers.blend.spend_weight if model.trees else 1.0)} of the money.",
    )
    if not len(importance):
        return Section("model", "What the model looks at", lead, ())
    shown = importance.head(_SHOWN_FEATURES)
    chart = Chart(
        "importance",
        importance_finding(importance, writing),
        "Share of the loss that splits on a feature took off in training, the heads averaged",
        charts.bars(
            shown["feature"].tolist(),
            shown["share"].tolist(),
            writing,
            "share of gain",
            texts=[writing.share(value, 1) for value in shown["share"]],
        ).update_xaxes(tickformat=".0%"),
        table(
            "Features by gain",
            importance,
            [
                ("feature", "feature", "text"),
                ("share", "share", "share"),
                ("meaning", "meaning", "text"),
            ],
            writing,
        ),
        "Gain tells what trees use, not what causes spend.",
        is_wide=True,
    )
    return Section("model", "What the model looks at", lead, (chart,))


def quality_section(report: OrdersReport, findings: Sequence[Finding], writing: Writing) -> Section:
    """What was read, what was left out, and what speaks against the data."""
    lines = {
        "lines read": report.lines_read,
        "lines used": report.lines_used,
        "without a customer": report.lines_without_customer,
        "repeating another line": report.duplicate_lines,
        **{f"refused: {reason}": n for reason, n in report.rejected.items()},
    }
    counts = pd.DataFrame({"what": list(lines), "lines": list(lines.values())})
    counts["share"] = counts["lines"] / max(report.lines_read, 1)
    left = report.lines_read - report.lines_used
    told = (
        f"{writing.count(report.lines_used)} of {writing.count(report.lines_read)} order lines carry the "
        f"forecasts; {writing.share(left / max(report.lines_read, 1))} were set aside"
        if report.lines_read
        else "The orders came as a table; nothing was set aside"
    )
    found = [
        Chart(
            "lines",
            told,
            "Order lines by what became of them",
            None,
            table(
                "Order lines",
                counts,
                [
                    ("what", "what", "text"),
                    ("lines", "lines", "count"),
                    ("share", "share", "share"),
                ],
                writing,
            ),
        )
    ]
    if findings:
        frame = pd.DataFrame(
            [{"name": f.name, "verdict": f.verdict, "told": f.sentence} for f in findings]
        )
        amiss = int((frame["verdict"] != "pass").sum())
        found.append(
            Chart(
                "checks",
                "Every check of the orders passes"
                if not amiss
                else f"{amiss} of {len(frame)} checks of the orders warn or fail",
                "What clvcast check says of the orders",
                None,
                table(
                    "Checks of the orders",
                    frame,
                    [
                        ("name", "check", "text"),
                        ("verdict", "verdict", "text"),
                        ("told", "finding", "text"),
                    ],
                    writing,
                ),
            )
        )
    return Section("quality", "What the data are like", tuple(report.remarks), tuple(found))
