"""What an evaluation says, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...configs.segments import RiskConfig
from ...evaluation.backtest_frames import OURS
from ...evaluation.clv_accuracy import describe_clv
from ...models.parameters import LaterPeriodRatios, LaterSpend
from ...models.season import Season
from ...orders import dates
from ...orders.cutoffs import find_clv_evaluation_start
from ...orders.reading.validation_issues import join_words

__all__ = [
    "TABLE_MEASURES",
    "describe_clv_evaluation",
    "describe_later_periods",
    "describe_risk_bands",
    "describe_season",
    "describe_verdict",
]

TABLE_MEASURES = ("nGini", "spearman", "MAE", "RMSE", "deviance", "bias", "decile_MAPE")


def describe_verdict(summary: dict[str, Any]) -> list[str]:
    """Sentences about one evaluated cutoff (an entry of `Backtest.metrics`)."""
    ours = summary["methods"][OURS]
    return [
        _total(ours["bias"]),
        _describe_churn(ours, summary["churn_rate"]),
        _describe_coverage(ours["coverage_90"]),
        _describe_clv(summary),
        *(f"{remark}." for remark in summary["remarks"]),
    ]


def describe_clv_evaluation(
    metrics: Mapping[str, Any], first: int, horizon_days: int, periods: int
) -> str | None:
    """When `train` can judge the CLV, where no evaluated cutoff could; None where one could.

    `first` is the instant of the first order.
    """
    if any(summary["clv"]["is_judged"] for summary in metrics.values()):
        return None
    start = dates.format_instant(find_clv_evaluation_start(first, horizon_days, periods))
    return (
        f"The CLV of {periods} x {horizon_days} days was not judged: set "
        f"tracking.evaluated_cutoffs to 2 or more, with orders until {start} or later."
    )


def describe_later_periods(later: LaterSpend | LaterPeriodRatios) -> str:
    """What the model takes later periods to bring, beside the first."""
    if isinstance(later, LaterSpend):
        range_texts = [f"{ratio:.2f}" for ratio in later.total_ratios]
    else:
        ranges = [(f"{min(ratios):.2f}", f"{max(ratios):.2f}") for ratios in later.ratios]
        range_texts = [low if low == high else f"{low} to {high}" for low, high in ranges]
    return (
        f"For each unit of money in period 1 it expects {join_words(range_texts)} in later periods "
        f"(history shows {later.realised_periods} of {len(range_texts) + 1})."
    )


def describe_season(season: Season) -> str:
    """What the model knows of the season, for a total of one period."""
    if not season.is_known:
        return (
            "No season is known: history does not show every part of the year yet, so a "
            "total may be far off where the season turns."
        )
    low, high = (math.expm1(edge(season.spend)) for edge in (min, max))
    return (
        f"By the season a period's total lies between {low:+.0%} and {high:+.0%} of the "
        "year's mean."
    )


def describe_risk_bands(risk: RiskConfig) -> str | None:
    """The limits of the risk bands where training chose them; None where they are the usual ones.

    Limits that a configuration states count as chosen too.
    """
    if risk == RiskConfig():
        return None
    return (
        f"Risk is low below a churn probability of {risk.low_below:g} and high above "
        f"{risk.high_above:g}."
    )


def _total(bias: float | None) -> str:
    if bias is None:
        return "Nothing was spent in the window, so the total cannot be compared."
    if abs(bias) < 0.005:
        return "In total it forecast what was spent, to half a per cent."
    return f"In total it forecast {abs(bias):.0%} {'more' if bias > 0 else 'less'} than was spent."


def _describe_churn(ours: dict[str, Any], rate: float) -> str:
    gap = ours["churn_ECE"]
    area = ours["churn_AUC"]
    ranking = (
        "" if area is None else f" It tells who will order from who will not with AUC {area:.2f}."
    )
    return f"Churn was {rate:.0%}; its probabilities are off by {gap:.1%} on average.{ranking}"


def _describe_clv(summary: dict[str, Any]) -> str:
    clv = summary["clv"]
    if not clv["is_judged"]:
        return str(clv["wait"])
    return describe_clv(clv, summary["methods"][OURS].get("clv_coverage_90"))


def _describe_coverage(share: float) -> str:
    return f"Of its 90 % intervals {share:.0%} held what the customer spent."
