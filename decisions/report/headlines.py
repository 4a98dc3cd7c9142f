"""Headlines: the sentence above a chart, computed from the numbers it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...evaluation.backtest_frames import OURS
from ..group_totals import ratio
from .number_format import NumberFormat

__all__ = [
    "describe_bias",
    "describe_calibration",
    "describe_change",
    "describe_cohorts",
    "describe_coverage",
    "describe_deciles",
    "describe_formula",
    "describe_gain",
    "describe_importance",
    "describe_largest_group",
    "describe_lever",
    "describe_list",
    "describe_methods",
    "describe_retention",
    "describe_risk",
    "describe_tiers",
]

_AT_RISK = ("medium", "high")  # risk bands


def describe_tiers(tiers: pd.DataFrame, writing: NumberFormat) -> str:
    """The share of the high tier in customers and value: columns group, customers, clv_total."""
    high = tiers[tiers["group"] == "high"]
    customers = int(high["customers"].sum())
    if not customers:
        return "No customer is in the high tier"
    share = ratio(customers, int(tiers["customers"].sum()))
    value = ratio(float(high["clv_total"].sum()), float(tiers["clv_total"].sum()))
    return (
        f"{writing.count(customers, 'customer')}, {writing.share(share)} of all, "
        f"{'brings' if customers == 1 else 'bring'} {writing.share(value)} of the expected value"
    )


def describe_largest_group(groups: pd.DataFrame, what: str, writing: NumberFormat) -> str:
    """The group with the highest value: columns group, clv_total."""
    total = float(groups["clv_total"].sum())
    if not total > 0:
        return f"No {what} has expected value"
    best = groups.iloc[int(np.nanargmax(groups["clv_total"].to_numpy(np.float64)))]
    return (
        f"Most comes from {best['group']}: {writing.share(best['clv_total'] / total)} of the "
        f"expected value, {writing.money(best['clv_total'])}"
    )


def describe_cohorts(cohorts: pd.DataFrame, writing: NumberFormat) -> str:
    """The cohort with the highest value."""
    names = pd.to_datetime(cohorts["group"]).dt.strftime("%B %Y")
    return describe_largest_group(
        cohorts.assign(group="customers new in " + names), "cohort", writing
    )


def describe_risk(risks: pd.DataFrame, writing: NumberFormat) -> str:
    """The value at medium or high risk: columns group, customers, clv_total."""
    at_risk = risks[risks["group"].isin(_AT_RISK)]
    value = float(at_risk["clv_total"].sum())
    customers = int(at_risk["customers"].sum())
    if not customers:
        return "No customer is at medium or high risk of leaving"
    share = writing.share(ratio(value, float(risks["clv_total"].sum())))
    return (
        f"{writing.money(value)}, {share} of the expected value, rests on "
        f"{writing.count(customers, 'customer')} at medium or high risk"
    )


def describe_lever(
    name: str, values: pd.Series[float], writing: NumberFormat, *, is_share: bool
) -> str:
    """The change of a measure between the two newest periods in which it is known."""
    known_values = values.dropna()
    if len(known_values) < 2:
        return f"{name}: not known for two periods"
    before, now = float(known_values.iloc[-2]), float(known_values.iloc[-1])
    if is_share:
        if abs(now - before) < 0.005:
            return f"{name} held at {writing.share(now)}"
        way = "rose" if now > before else "fell"
        return f"{name} {way} from {writing.share(before)} to {writing.share(now)}"
    change = ratio(now - before, abs(before))
    if not np.isfinite(change) or abs(change) < 0.005:
        return f"{name} held"
    return f"{name} {'rose' if change > 0 else 'fell'} by {writing.share(abs(change))}"


def describe_retention(triangle: pd.DataFrame, writing: NumberFormat) -> str:
    """The share that orders in the month after the first, of cohorts of new customers pooled."""
    is_new = ~triangle["is_left_truncated"]  # months with old customers show how those return
    next_month = triangle[(triangle["age_months"] == 1) & triangle["is_whole"] & is_new]
    share = ratio(float(next_month["active_customers"].sum()), float(next_month["customers"].sum()))
    if not np.isfinite(share):
        return "No cohort of new customers is a whole month old yet"
    return (
        f"{writing.share(share)} of new customers order again in the month after their first order"
    )


def describe_formula(formula: float, forecast: float, writing: NumberFormat) -> str:
    """Formula CLV and forecast, per customer."""
    if not np.isfinite(formula):
        return "The formula has no value: churn or frequency is unknown"
    gap = forecast - formula
    if abs(gap) < 0.005 * abs(formula):
        return f"Formula and forecast agree: {writing.money(forecast)} per customer"
    way = "more" if gap > 0 else "less"
    return (
        f"The forecast is {writing.money(forecast)} per customer, {writing.money(abs(gap))} {way} "
        "than the formula"
    )


def describe_list(lists: pd.DataFrame, writing: NumberFormat) -> str:
    """The list with the highest value at stake: columns list, customers, value_at_stake."""
    if not len(lists) or not lists["customers"].sum():
        return "No list names a customer"
    best = lists.iloc[int(np.nanargmax(lists["value_at_stake"].to_numpy(np.float64)))]
    return (
        f"The list {best['list']} has the most at stake: {writing.money(best['value_at_stake'])} "
        f"with {writing.count(best['customers'], 'customer')}"
    )


def describe_change(before: float, after: float, writing: NumberFormat) -> str:
    """The change of the total since the previous forecast."""
    change = ratio(after - before, before)
    if not np.isfinite(change):
        return f"The expected value is {writing.money(after)}; it was 0 before"
    if abs(change) < 0.0005:
        return f"The expected value held at {writing.money(after)}"
    return (
        f"The expected value {'rose' if change > 0 else 'fell'} by {writing.share(abs(change), 1)} "
        f"to {writing.money(after)}"
    )


def describe_methods(methods: pd.DataFrame, writing: NumberFormat) -> str:
    """The ranking of customers compared with other methods."""
    ginis = methods.dropna(subset=["nGini"]).set_index("method")["nGini"]
    if OURS not in ginis:
        return "The ranking cannot be measured: there was no spend"
    others = ginis.drop(OURS)
    beaten = int((ginis[OURS] > others).sum())
    score = writing.number(float(ginis[OURS]), 3)
    if beaten == len(others):
        return f"It ranks customers by future spend better than every other method (nGini {score})"
    return (
        f"It ranks customers by future spend better than {beaten} of {len(others)} other methods "
        f"(nGini {score}, the best {writing.number(float(others.max()), 3)})"
    )


def describe_deciles(deciles: pd.DataFrame, writing: NumberFormat) -> str:
    """Forecast and spend of the highest decile."""
    best = deciles.iloc[0]
    return (
        f"Highest decile: forecast {writing.money(best['expected_spend'])} per customer, spent "
        f"{writing.money(best['actual_spend'])}"
    )


def describe_gain(gains: pd.DataFrame, writing: NumberFormat) -> str:
    """The share of spend of the best fifth."""
    share = float(np.interp(0.2, gains["customers"], gains[OURS]))
    if not np.isfinite(share):
        return "Nothing was spent in the window"
    return f"The top 20% of customers by forecast made {writing.share(share)} of the spend"


def describe_bias(bias: pd.Series[Any], writing: NumberFormat) -> str:
    """The largest bias of a total among the cutoffs."""
    known_biases = bias.astype(np.float64).dropna()
    if not len(known_biases):
        return "Nothing was spent, so totals cannot be compared"
    worst = float(known_biases.iloc[int(np.argmax(known_biases.abs().to_numpy()))])
    difference = f"{writing.share(abs(worst), 1)} {'above' if worst > 0 else 'below'} actual spend"
    return f"The total was {'' if len(known_biases) == 1 else 'at most '}{difference}"


def describe_calibration(error: float, writing: NumberFormat) -> str:
    """The mean calibration error of churn probabilities."""
    return f"Churn probabilities are off by {writing.share(error, 1)} on average"


def describe_coverage(share: float, writing: NumberFormat) -> str:
    """The share of customers within their interval."""
    return f"{writing.share(share)} of customers spent within their 90% interval"


def describe_importance(importance: pd.DataFrame, writing: NumberFormat) -> str:
    """The most important feature of the trees."""
    best = importance.iloc[0]
    return f"{best['feature']} is most important: {writing.share(best['share'])} of the trees' gain"
