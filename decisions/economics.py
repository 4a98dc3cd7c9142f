"""economics: acquisition cost and value of customers, by channel and month of acquisition.

A customer belongs to the channel and the calendar month of the first order. LTV is the value, at
the forecasts' basis, up to an age stated in days: what was brought before the cutoff (historic),
plus what is expected after it (forecast). Sums of spend and of customers cover the same cohorts:
one without stated spend, or that may hold old customers, is left out of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..atomic_files import write_tables
from ..configs.acquisition import AcquisitionConfig
from ..configs.schema import Config
from ..evaluation.dictionary import build_dictionary
from ..models.forecast_terms import ForecastTerms
from ..orders import dates
from .acquisition_cohorts import Cohorts, Level
from .acquisition_spend import coerce_spend, match_channels
from .customer_base import (
    CustomerBase,
    ForecastSource,
    Grouping,
    OrdersSource,
    check_past,
    open_customer_base,
)
from .group_totals import divide, ratio, sum_by_group
from .lever_sensitivity import compute_sensitivity
from .ltv_at_age import AgeValues, GroupAge, RowAge, compute_age_values, list_ages
from .payback import (
    BACKTEST_COLUMNS,
    MarginCurve,
    backtest_payback,
    estimate_reach_probability,
    forecast_margin_curve,
)
from .retention_value import describe_retention_value

__all__ = ["Economics", "economics"]


_SURE = 0.9  # of paying back by a month


@dataclass(frozen=True)
class Economics:
    """Tidy tables; money in the shop's currency, unknown values empty."""

    acquisition: pd.DataFrame  # the shop, each channel, each month, each channel's month
    ltv_at_age: pd.DataFrame  # the same rows at 30, 60, 90, 180 and 365 days of age
    payback: pd.DataFrame  # one row per cohort (channel and month) and month of age
    levers: pd.DataFrame  # value of a point of churn, a percent of AOV, frequency or margin
    backtest: pd.DataFrame  # past payback probabilities and outcomes; empty without `past`
    remarks: tuple[str, ...]
    terms: ForecastTerms | None = None  # what the forecasts' numbers mean

    def save(self, folder: Path, ending: str = "csv") -> None:
        """Write the tables into `folder`, all or none."""
        tables: dict[str, pd.DataFrame | pa.Table] = {
            "acquisition": self.acquisition,
            "ltv_at_age": self.ltv_at_age,
            "payback": self.payback,
            "levers": self.levers,
        }
        if len(self.backtest):
            tables["backtest"] = self.backtest
        write_tables(folder, tables | {"dictionary": build_dictionary(tables, self.terms)}, ending)


def economics(
    forecasts: ForecastSource | CustomerBase,
    orders: OrdersSource | None = None,
    spend: pd.DataFrame | pa.Table | str | Path | None = None,
    config: Config | None = None,
    past: ForecastSource | CustomerBase | None = None,
) -> Economics:
    """Compute CAC, LTV:CAC, payback and the most to pay for a customer, by channel and month.

    Parameters
    ----------
    forecasts : DataFrame, pyarrow.Table, str, Path or CustomerBase
        Forecasts of one cutoff, as `clvcast.score` returns them, or their file.
    orders : Orders, DataFrame, pyarrow.Table, str or Path, optional
        The orders the forecasts were made from, or where to read them. Required unless
        `forecasts` is a CustomerBase, which holds them.
    spend : DataFrame, pyarrow.Table, str or Path, optional
        Acquisition spend with the columns channel, month (such as 2011-03) and spend.
    config : Config, optional
        Settings of the shop; by default those the forecasts were made with.
    past : DataFrame, pyarrow.Table, str, Path or CustomerBase, optional
        Forecasts of an earlier cutoff by a model trained then: adds how often the forecast
        chances of payback came true.

    Returns
    -------
    Economics
        Tables of acquisition, payback, levers and the backtest of payback, and remarks.

    Raises
    ------
    OrdersError
        If the spend cannot be read, is negative or is in another currency, or the forecasts were
        not made from these orders.
    ConfigError
        If the orders are missing, or the configuration contradicts the forecasts.

    """
    base = open_customer_base(forecasts, orders, config)
    if past is not None:
        past = open_customer_base(past, base.orders, config, what="the past forecasts")
    stated_spend = coerce_spend(spend, unit=base.unit, currency=base.config.orders.currency)
    if base.has_channels:
        stated_spend = match_channels(stated_spend, base.grouping("channel").names)
    remarks = [*base.remarks, *stated_spend.remarks, *check_past(base, past)]
    cohorts = Cohorts.of(base, stated_spend, remarks)
    curve = forecast_margin_curve(base, cohorts.grouping, cohorts.months)
    ages = [
        compute_age_values(base, age) for age in list_ages(base.config.acquisition.ltv_age_days)
    ]
    rows, by_age = [], []
    for level in cohorts.levels():
        for row, ages_of_row in _build_rows(base, cohorts, curve, level, ages):
            rows.append(row)
            by_age += ages_of_row
    _check_margin(base, remarks)
    remarks += describe_retention_value(base)
    backtest = pd.DataFrame(columns=BACKTEST_COLUMNS)
    if past is not None:
        backtest = backtest_payback(past)
        remarks.append(_describe_backtest(backtest))
    payback = _build_payback_table(cohorts, curve).assign(basis=base.terms.basis)
    levers = compute_sensitivity(base)
    return Economics(
        pd.DataFrame(rows),
        pd.DataFrame(by_age),
        payback,
        levers,
        backtest,
        tuple(remarks),
        base.terms,
    )


def _describe_backtest(backtest: pd.DataFrame) -> str:
    if not len(backtest):
        return "payback probabilities are not backtested: no month after the past cutoff is over"
    return (
        f"payback probabilities on past forecasts: mean {backtest['chance'].mean():.0%}, observed "
        f"{backtest['reached'].mean():.0%}"
    )


def _build_rows(
    base: CustomerBase,
    cohorts: Cohorts,
    curve: MarginCurve,
    level: Level,
    ages: Sequence[AgeValues],
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The rows of one level (cost, value, payback), each with its LTV at every age."""
    counts, codes = cohorts.grouping.counts(), cohorts.grouping.codes
    is_used = level.used[codes]
    marks = base.config.acquisition
    grouping = Grouping(level.name, level.row_of[codes][is_used], tuple(map(str, level.keys)))
    forecasts = base.forecasts if is_used.all() else base.forecasts.filter(pa.array(is_used))
    totals = sum_by_group(forecasts, grouping)
    with np.errstate(invalid="ignore", divide="ignore"):
        spreads = np.stack([totals.lower, totals.upper], axis=1) / totals.expected[:, None]
    spreads = np.where(totals.expected[:, None] > 0, spreads, 0.0)  # nothing expected: no spread
    values = [GroupAge.of(each, grouping, is_used) for each in ages]
    for position, (channel, month) in enumerate(level.keys):
        members = level.row_of == position
        used = members & level.used
        has_spend = bool(used.any()) and not np.isnan(cohorts.spend[used]).any()
        spend = float(cohorts.spend[used].sum()) if has_spend else math.nan
        customers = int(counts[used].sum())
        without_spend = (members & ~used if has_spend else members) & ~level.old
        names = {
            "level": level.name,
            "channel": channel,
            "month": month,
            "basis": base.terms.basis,
            "is_left_truncated": bool(cohorts.is_old[members].all()),
        }
        row_ages = [each.pick(position, spreads[position]) for each in values]
        at_age = _choose_age(row_ages, marks.ltv_age_days)
        row: dict[str, Any] = {
            **names,
            "customers_without_spend": int(counts[without_spend].sum()),
            "customers_left_truncated": int(counts[members & level.old].sum()),
            "ltv_age_days": at_age.age_days,
            **_compute_value(
                spend, customers, at_age.realised, at_age.bounds, curve.of(used), marks
            ),
        }
        low, high = row["ltv_cac_forecast_lower"], row["ltv_cac_forecast_upper"]
        if row["verdict"] and not math.isnan(low):
            verdicts = {_judge_ratio(bound, marks.healthy_ratio) for bound in (low, high)}
            row["verdict"] = row["verdict"] if len(verdicts) == 1 else "not sure"
        total = at_age.realised + at_age.bounds[0]
        unattributed = float(cohorts.spend[members & level.apart].sum())
        loaded = spend + unattributed  # NaN where the row's own spend is unknown
        row |= {
            "largest_customer_share": ratio(at_age.largest, total),
            "ltv_cac_without_largest": ratio(total - at_age.largest, spend),
            "unattributed_spend": unattributed,
            "cac_fully_loaded": ratio(loaded, customers),
            "ltv_cac_fully_loaded": ratio(row["ltv_forecast"] * customers, loaded),
        }
        yield row, [names | each.describe(customers, spend) for each in row_ages]


def _choose_age(shown: Sequence[RowAge], stated: int) -> RowAge:
    """LTV at the stated age, or at the largest younger one that the forecast reaches."""
    reached = [each for each in shown if each.is_reached and each.age_days <= stated]
    return reached[-1] if reached else shown[0].unknown()


def _compute_value(
    spend: float,
    customers: int,
    historic: float,
    forecast: list[float],
    curve: MarginCurve,
    marks: AcquisitionConfig,
) -> dict[str, Any]:
    """Cost and value of customers, whose LTV is what was historic plus a forecast.

    `forecast` is their expected total, with its lower and upper bound.
    """
    if not customers:  # no value: neither a ratio of zero nor a payback
        historic, forecast = math.nan, [math.nan] * 3
    expected, lower, upper = forecast
    ltv_cac = ratio(historic + expected, spend)
    row = {
        "spend": spend,
        "new_customers": customers,
        "cac": ratio(spend, customers),
        "ltv_historic": ratio(historic, customers),
        "ltv_forecast": ratio(historic + expected, customers),
        "ltv_forecast_lower": ratio(historic + lower, customers),
        "ltv_forecast_upper": ratio(historic + upper, customers),
        "ltv_cac_historic": ratio(historic, spend),
        "ltv_cac_forecast": ltv_cac,
        "ltv_cac_forecast_lower": ratio(historic + lower, spend),
        "ltv_cac_forecast_upper": ratio(historic + upper, spend),
        "verdict": _judge_ratio(ltv_cac, marks.healthy_ratio),
    }
    relative = (lower / expected, upper / expected) if expected > 0 else (0.0, 0.0)
    row |= _find_payback(curve, spend if customers else math.nan, relative, marks.payback_months)
    for_ratio = ratio(historic + expected, customers * marks.healthy_ratio)
    age = marks.payback_months - 1
    margin_in_time = math.nan  # where forecasts do not reach so far
    if _reaches(curve, age):
        margin_in_time = float(curve.realised[0, age] + curve.projected[0, age])
    for_payback = ratio(margin_in_time, customers)
    row |= {
        "most_to_break_even": row["ltv_forecast"],
        "most_for_ratio": for_ratio,
        "most_for_payback": for_payback,
        "most_to_pay": for_ratio if math.isnan(for_payback) else min(for_ratio, for_payback),
    }
    return row


def _find_payback(
    curve: MarginCurve, spend: float, relative: tuple[float, float], months: int
) -> dict[str, Any]:
    """The payback month with its probability, and the probability of payback within `months`."""

    def estimate_probability(age: int) -> float:
        realised, projected = float(curve.realised[0, age]), float(curve.projected[0, age])
        bounds = (projected * share for share in relative)
        return estimate_reach_probability(spend, realised, projected, *bounds)

    row: dict[str, Any] = {
        "payback_month": math.nan,
        "payback_is_realised": None,
        "payback_probability": math.nan,
        "payback_month_90": math.nan,
        "probability_within_mark": math.nan,
    }
    if math.isnan(spend):
        return row
    reached = curve.realised[0] + curve.projected[0] >= spend - 1e-9
    reached &= curve.reach[0] | (curve.realised[0] >= spend - 1e-9)
    if reached.any():
        age = int(np.argmax(reached))
        is_realised = bool(curve.realised[0, age] >= spend - 1e-9)
        row["payback_month"] = age + 1
        row["payback_is_realised"] = is_realised
        row["payback_probability"] = 1.0 if is_realised else estimate_probability(age)
        for sure_age in range(age, curve.reach.shape[1]):
            is_earned = bool(curve.realised[0, sure_age] >= spend - 1e-9)
            if is_earned or (_reaches(curve, sure_age) and estimate_probability(sure_age) >= _SURE):
                row["payback_month_90"] = sure_age + 1
                break
    mark = min(months, curve.reach.shape[1]) - 1
    if curve.realised[0, mark] >= spend - 1e-9:
        row["probability_within_mark"] = 1.0
    elif _reaches(curve, months - 1):
        row["probability_within_mark"] = estimate_probability(months - 1)
    return row


def _reaches(curve: MarginCurve, age: int) -> bool:
    """Whether forecasts cover an age."""
    return bool(age < curve.reach.shape[1] and curve.reach[0, age])


def _judge_ratio(ltv_cac: float, healthy: float) -> str | None:
    """Healthy from the mark on, thin below it, loses money below 1; None where unknown."""
    if math.isnan(ltv_cac):
        return None
    return "healthy" if ltv_cac >= healthy else "thin" if ltv_cac >= 1 else "loses money"


def _build_payback_table(cohorts: Cohorts, curve: MarginCurve) -> pd.DataFrame:
    """Margin per customer of each cohort, realised or expected, by month of age."""
    n_cohorts, n_ages = curve.realised.shape
    position = np.repeat(np.arange(n_cohorts), n_ages)
    counts = cohorts.grouping.counts()[position].astype(np.float64)
    frame = pd.DataFrame(
        {
            "channel": cohorts.channels[position],
            "month": [dates.format_month(int(month)) for month in cohorts.months[position]],
            "age_months": np.tile(np.arange(1, n_ages + 1), n_cohorts),
            "new_customers": counts.astype(np.int64),
            "cac": divide(cohorts.spend[position], counts),
            "margin_per_customer": divide((curve.realised + curve.projected).ravel(), counts),
            "realised_per_customer": divide(curve.realised.ravel(), counts),
            "is_realised": curve.projected.ravel() == 0,
        }
    )
    return frame[curve.reach.ravel()].reset_index(drop=True)


def _check_margin(base: CustomerBase, remarks: list[str]) -> None:
    margin = base.terms.margin_rate
    first = float(np.sum(base.numbers("expected_spend"))) * margin
    clv = float(np.sum(base.numbers("clv")))
    if first > clv * (1 + 1e-9):
        remarks.append(
            f"the forecasts' CLV is below one period's spend x the margin of {margin:.0%}: they "
            "were made with another margin; give the configuration they were scored with"
        )
