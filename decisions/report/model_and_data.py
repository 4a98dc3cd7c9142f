"""The basis of the forecasts: the model's features and the quality of the orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...discovery.checks.finding import Finding
from ...features.catalogue import CATALOGUE
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
    """Share of the trees' gain by feature, highest first: heads weigh equally, seeds averaged.

    Gain is the reduction of the training loss by splits on the feature.
    """
    total: dict[str, float] = {}
    for seeds in model.trees.values():
        for trees in seeds:
            gain = np.asarray(trees.booster.feature_importance("gain"), np.float64)
            if gain.sum() > 0:
                shares = gain / gain.sum() / len(seeds)
                for name, value in zip(trees.features, shares, strict=True):
                    total[name] = total.get(name, 0.0) + float(value) / len(model.trees)
    shares = np.array(list(total.values()), np.float64)
    frame = pd.DataFrame(
        {
            "feature": list(total),
            "share": shares / shares.sum() if shares.sum() > 0 else shares,
            "meaning": [_MEANINGS.get(name, "") for name in total],
        }
    )
    return frame.sort_values(["share", "feature"], ascending=[False, True]).reset_index(drop=True)


def build_model_section(model: TrainedModel, writing: NumberFormat) -> ReportSection:
    """The model's features by importance."""
    importance = compute_feature_importance(model)
    lead = (
        f"Model {model.version}, {len(model.numbers.features)} features, "
        f"trees for {join_words(list(model.trees)) or 'nothing'}; weight of BTYD in spend: "
        f"{writing.share(model.numbers.blend.spend_weight if model.trees else 1.0)}.",
    )
    if not len(importance):
        return ReportSection("model", "What the model uses", lead, ())
    top = importance.head(_SHOWN_FEATURES)
    chart = Chart(
        "importance",
        describe_importance(importance, writing),
        "Share of the reduction of the training loss by splits on a feature, mean of the heads",
        charts.draw_bars(
            top["feature"].tolist(),
            top["share"].tolist(),
            writing,
            "share of gain",
            texts=[writing.share(value, 1) for value in top["share"]],
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
        "Gain shows what trees use, not what causes spend.",
        is_wide=True,
    )
    return ReportSection("model", "What the model uses", lead, (chart,))


def build_quality_section(
    report: OrdersReport, findings: Sequence[Finding], writing: NumberFormat
) -> ReportSection:
    """Lines read and rejected, and failed checks."""
    lines = {
        "lines read": report.lines_read,
        "lines used": report.lines_used,
        "without a customer": report.lines_without_customer,
        "duplicates": report.duplicate_lines,
        **{f"rejected: {reason}": n for reason, n in report.rejected.items()},
    }
    counts = pd.DataFrame({"what": list(lines), "lines": list(lines.values())})
    counts["share"] = counts["lines"] / max(report.lines_read, 1)
    headline = "The orders came as a table; no line was set aside"
    if report.lines_read:
        share = writing.share(1 - report.lines_used / report.lines_read)
        headline = (
            f"{writing.count(report.lines_used)} of {writing.count(report.lines_read)} order lines "
            f"were used; {share} were set aside"
        )
    sections = [
        Chart(
            "lines",
            headline,
            "Order lines by outcome",
            None,
            build_table(
                "Order lines",
                counts,
                [
                    ("what", "outcome", "text"),
                    ("lines", "lines", "count"),
                    ("share", "share", "share"),
                ],
                writing,
            ),
        )
    ]
    if findings:
        frame = pd.DataFrame(
            [{"name": f.name, "verdict": f.verdict, "sentence": f.sentence} for f in findings]
        )
        n_failed = int((frame["verdict"] != "pass").sum())
        sections.append(
            Chart(
                "checks",
                f"{n_failed} of {len(frame)} checks of the orders warn or fail"
                if n_failed
                else "All checks of the orders pass",
                "Results of clvcast check",
                None,
                build_table(
                    "Checks of the orders",
                    frame,
                    [
                        ("name", "check", "text"),
                        ("verdict", "verdict", "text"),
                        ("sentence", "finding", "text"),
                    ],
                    writing,
                ),
            )
        )
    return ReportSection("quality", "Data quality", tuple(report.remarks), tuple(sections))
