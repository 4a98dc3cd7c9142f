"""Plots of an evaluation, as MLflow shows them among a run's artifacts. The numbers come from `Evaluation`."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ...evaluation.backtest_frames import OURS, Evaluation

__all__ = ["PLOT_FILE", "draw_evaluation"]

PLOT_FILE = "plots/evaluation.svg"
_BLUE, _ORANGE, _GREY = "#1f5fbf", "#d9822b", "#8a8f98"


def draw_evaluation(evaluation: Evaluation, currency: str = "") -> str:
    """Forecast against fact by tenths of customers, the money found, and churn's calibration: SVG text."""
    figure = Figure(
        figsize=(13.5, 4.2), layout="constrained"
    )  # no pyplot: nothing global is left behind
    left, middle, right = figure.subplots(1, 3)
    deciles = evaluation.deciles()
    left.plot(deciles["group"], deciles["expected_spend"], "o-", label="forecast", color=_BLUE)
    left.plot(deciles["group"], deciles["actual_spend"], "D-", label="fact", color=_ORANGE)
    left.set_yscale("symlog", linthresh=1.0)
    left.set_xlabel("tenth of customers, best forecast first")
    left.set_ylabel(f"mean spend in {evaluation.horizon_days} days {currency}".rstrip())
    left.legend(frameon=False)
    gains = evaluation.gains()
    for method in gains.columns.drop("customers"):
        own = {"color": _BLUE, "linewidth": 2.0} if method == OURS else {"linewidth": 0.8}
        middle.plot(100 * gains["customers"], 100 * gains[method], label=method, **own)
    middle.set_xlabel("% of customers, best forecast first")
    middle.set_ylabel("% of the money they spent")
    middle.legend(frameon=False, fontsize=8)
    groups = evaluation.calibration()
    right.plot([0, 1], [0, 1], color=_GREY, linestyle=":")
    right.plot(groups["churn_probability"], groups["churned"], "o-", color=_BLUE)
    right.set_xlabel("churn probability, mean of a tenth")
    right.set_ylabel("share that churned")
    right.set_xticks(np.linspace(0, 1, 6))
    figure.suptitle("From " + ", ".join(evaluation.metrics) + " on, which the models had not seen")
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "clvcast"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
