"""What the forecasts rest on: what the model looks at, and what the orders are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...features.catalogue import CATALOGUE
from ...orders.checks.finding import Finding
from ...orders.orders import OrdersReport
from ...orders.reading.validation_issues import join_words
from . import charts
from .headlines import describe_importance
from .number_format import NumberFormat
from .page_model import Chart, ReportSection, build_table

if TYPE_CHECKING:
    from ...models.model import TrainedModel

__all__ = ["build_model_section", "build_quality_section", "compute_feature_importance"]

_MEANINGS = {feature.name: feature.meaning for feature in CATALOGUE}
_SHOWN_FEATURES = 15


def compute_feature_importance(model: TrainedModel) -> pd.DataFrame:
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


def build_model_section(model: TrainedModel, writing: NumberFormat) -> ReportSection:
    """What the model looks at."""
    importance = compute_feature_importance(model)
    lead = (
        f"Model {model.version}, {len(model.numbers.features)} features, "
        f"trees for {join_words(list(model.trees)) or 'nothing'}; BTYD carries "
        f"{writing.share(model.numbers.blend.spend_weight if model.trees else 1.0)} of the money.",
    )
    if not len(importance):
        return ReportSection("model", "What the model looks at", lead, ())
    shown = importance.head(_SHOWN_FEATURES)
    chart = Chart(
        "importance",
        describe_importance(importance, writing),
        "Share of the loss that splits on a feature took off in training, the heads averaged",
        charts.draw_bars(
            shown["feature"].tolist(),
            shown["share"].tolist(),
            writing,
            "share of gain",
            texts=[writing.share(value, 1) for value in shown["share"]],
        ).update_xaxes(tickformat=".0%"),
        build_table(
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
    return ReportSection("model", "What the model looks at", lead, (chart,))


def build_quality_section(
    report: OrdersReport, findings: Sequence[Finding], writing: NumberFormat
) -> ReportSection:
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
            build_table(
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
                build_table(
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
    return ReportSection("quality", "What the data are like", tuple(report.remarks), tuple(found))
