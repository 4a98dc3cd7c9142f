"""Findings: the sentence a chart is headed by, made from the numbers it shows."""

from __future__ import annotations

from calendar import month_name

import numpy as np
import pandas as pd

from ...evaluation.backtest_frames import OURS
from .number_format import NumberFormat

__all__ = [
    "describe_calibration", "describe_change", "describe_cohorts", "describe_coverage", "describe_deciles",
    "describe_formula", "describe_gain", "describe_importance", "describe_largest_group", "describe_lever",
    "describe_list", "describe_methods", "describe_retention", "describe_risk", "describe_tiers",
]  # fmt: skip

_LIKELY = ("medium", "high")  # risk bands that call for something to be done


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan


def _month(name: str) -> str:
    """2011-03 as people say it; what is no month stays."""
    year, _, month = name.partition("-")
    return f"{month_name[int(month)]} {year}" if month.isdigit() else name


def describe_tiers(tiers: pd.DataFrame, writing: NumberFormat) -> str:
    """How few customers hold how much: tiers have group, customers, clv_total."""
    high = tiers[tiers["group"] == "high"]
    customers = int(high["customers"].sum())
    if not customers:
        return "No customer is in the high tier"
    people = _over(customers, int(tiers["customers"].sum()))
    value = _over(float(high["clv_total"].sum()), float(tiers["clv_total"].sum()))
    return (
        f"{writing.count(customers, 'customer')}, {writing.share(people)} of all, "
        f"{'brings' if customers == 1 else 'bring'} {writing.share(value)} of the expected value"
    )


def describe_largest_group(groups: pd.DataFrame, what: str, writing: NumberFormat) -> str:
    """Which group brings most: groups have group, clv_total."""
    whole = float(groups["clv_total"].sum())
    if not whole > 0:
        return f"No {what} is expected to bring anything"
    best = groups.iloc[int(np.nanargmax(groups["clv_total"].to_numpy(np.float64)))]
    return (
        f"Most comes from {best['group']}: {writing.share(best['clv_total'] / whole)} of the expected "
        f"value, {writing.money(best['clv_total'])}"
    )


def describe_cohorts(cohorts: pd.DataFrame, writing: NumberFormat) -> str:
    """Which month's customers bring most."""
    whole = float(cohorts["clv_total"].sum())
    if not whole > 0:
        return "No cohort is expected to bring anything"
    best = cohorts.iloc[int(np.nanargmax(cohorts["clv_total"].to_numpy(np.float64)))]
    return (
        f"Customers who first ordered in {_month(str(best['group']))} bring {writing.share(best['clv_total'] / whole)} "
        "of the expected value"
    )


def describe_risk(risks: pd.DataFrame, writing: NumberFormat) -> str:
    """How much value rests on customers who may well not order: risks have group, customers, clv_total."""
    likely = risks[risks["group"].isin(_LIKELY)]
    value = float(likely["clv_total"].sum())
    customers = int(likely["customers"].sum())
    if not customers:
        return "No customer is at medium or high risk of leaving"
    return (
        f"{writing.money(value)}, {writing.share(_over(value, float(risks['clv_total'].sum())))} of the "
        f"expected value, rests on {writing.count(customers, 'customer')} at medium or high risk"
    )


def describe_lever(
    name: str, values: pd.Series[float], writing: NumberFormat, *, is_share: bool
) -> str:
    """How a measure moved between the two newest periods in which it is known."""
    known = values.dropna()
    if len(known) < 2:
        return f"{name}: not known for two periods"
    before, now = float(known.iloc[-2]), float(known.iloc[-1])
    if is_share:
        points = 100 * (now - before)
        if abs(points) < 0.5:
            return f"{name} held at {writing.share(now)}"
        way = "rose" if points > 0 else "fell"
        return f"{name} {way} from {writing.share(before)} to {writing.share(now)}"
    change = _over(now - before, abs(before))
    if not np.isfinite(change) or abs(change) < 0.005:
        return f"{name} held"
    return f"{name} {'rose' if change > 0 else 'fell'} by {writing.share(abs(change))}"


def describe_retention(triangle: pd.DataFrame, writing: NumberFormat) -> str:
    """How many come back in the month after the first: whole months only, cohorts pooled."""
    next_month = triangle[(triangle["age_months"] == 1) & triangle["is_whole"]]
    share = _over(float(next_month["active_customers"].sum()), float(next_month["customers"].sum()))
    if not np.isfinite(share):
        return "No cohort is a whole month old yet"
    return (
        f"{writing.share(share)} of new customers order again in the month after their first order"
    )


def describe_formula(formula: float, forecast: float, writing: NumberFormat) -> str:
    """The rule of thumb beside the forecast, per customer."""
    if not np.isfinite(formula):
        return "The formula has no answer here: churn or frequency is not known"
    gap = forecast - formula
    if abs(gap) < 0.005 * abs(formula):
        return f"Formula and forecast agree: {writing.money(forecast)} for a customer"
    way = "more" if gap > 0 else "less"
    return (
        f"The forecast expects {writing.money(forecast)} of a customer, {writing.money(abs(gap))} {way} "
        "than the formula"
    )


def describe_list(lists: pd.DataFrame, writing: NumberFormat) -> str:
    """Which list has most at stake: lists have list, customers, value_at_stake."""
    if not len(lists) or not lists["customers"].sum():
        return "No list names a customer"
    best = lists.iloc[int(np.nanargmax(lists["value_at_stake"].to_numpy(np.float64)))]
    return (
        f"The list {best['list']} has most at stake: {writing.money(best['value_at_stake'])} with "
        f"{writing.count(best['customers'], 'customer')}"
    )


def describe_change(before: float, after: float, writing: NumberFormat) -> str:
    """How the total moved since the forecast before."""
    change = _over(after - before, before)
    if not np.isfinite(change):
        return f"The expected value is {writing.money(after)}, after nothing before"
    if abs(change) < 0.0005:
        return f"The expected value held at {writing.money(after)}"
    return (
        f"The expected value {'rose' if change > 0 else 'fell'} by {writing.share(abs(change), 1)} "
        f"to {writing.money(after)}"
    )


def describe_methods(methods: pd.DataFrame, writing: NumberFormat) -> str:
    """How our ranking of money compares with the other methods'."""
    known = methods.dropna(subset=["nGini"]).set_index("method")["nGini"]
    if OURS not in known:
        return "The ranking cannot be measured: nothing was spent"
    others = known.drop(OURS)
    beaten = int((known[OURS] > others).sum())
    score = writing.number(float(known[OURS]), 3)
    if beaten == len(others):
        return f"It ranks customers by coming money better than every other method (nGini {score})"
    return (
        f"It ranks customers by coming money better than {beaten} of {len(others)} other methods "
        f"(nGini {score}, the best {writing.number(float(others.max()), 3)})"
    )


def describe_deciles(deciles: pd.DataFrame, writing: NumberFormat) -> str:
    """What the best tenth was forecast and spent."""
    best = deciles.iloc[0]
    return (
        f"The best tenth was forecast {writing.money(best['expected_spend'])} a customer and spent "
        f"{writing.money(best['actual_spend'])}"
    )


def describe_gain(gains: pd.DataFrame, writing: NumberFormat) -> str:
    """How much money the best fifth held."""
    held = float(np.interp(0.2, gains["customers"], gains[OURS]))
    if not np.isfinite(held):
        return "Nothing was spent in the window"
    return f"The best fifth by forecast spent {writing.share(held)} of the money"


def describe_calibration(error: float, writing: NumberFormat) -> str:
    """How far probabilities are from what happened, on average."""
    return f"Churn probabilities are off by {writing.share(error, 1)} on average"


def describe_coverage(share: float, writing: NumberFormat) -> str:
    """How many customers ended inside their interval."""
    return f"{writing.share(share)} of customers spent within their 90% interval"


def describe_importance(importance: pd.DataFrame, writing: NumberFormat) -> str:
    """Which feature the trees use most."""
    best = importance.iloc[0]
    return f"{best['feature']} leads: {writing.share(best['share'])} of what the trees gain"
