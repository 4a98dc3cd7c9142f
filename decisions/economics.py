"""economics: what customers cost and what they bring, by channel and month of acquisition.

A customer belongs to the channel and the calendar month of the first order. LTV is margin: what the
customers brought before the cutoff (historic), and with their forecast CLV added (forecast). Sums of
spend and of customers run over the same cohorts: one whose spend is not stated is left out of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..atomic_files import check_folder, write_files
from ..configs.decisions import AcquisitionConfig
from ..configs.schema import Config
from ..orders import dates
from .acquisition_cohorts import Cohorts, Level
from .acquisition_spend import coerce_spend
from .customer_base import CustomerBase, ForecastSource, Grouping, OrdersSource, open_customer_base
from .group_totals import sum_by_group
from .lever_sensitivity import compute_sensitivity
from .payback import MarginCurve, estimate_reach_probability, forecast_margin_curve
from .payback_backtest import backtest_payback, make_empty_backtest

__all__ = ["Economics", "economics"]


@dataclass(frozen=True)
class Economics:
    """Tidy tables; money in the shop's currency, what cannot be known is empty."""

    acquisition: pd.DataFrame  # a row for the shop, each channel, each month, each channel's month
    payback: pd.DataFrame  # a row per cohort (channel and month) and month of age
    levers: pd.DataFrame  # what a point of churn, a per cent of AOV, frequency or margin is worth
    backtest: pd.DataFrame  # past chances of payback beside what happened; no rows without a past
    remarks: tuple[str, ...]

    def save(self, folder: Path, ending: str = "csv") -> None:
        """Write the tables into `folder`, all or none."""
        check_folder(folder)
        tables = {
            "acquisition": self.acquisition,
            "payback": self.payback,
            "levers": self.levers,
        }
        if len(self.backtest):
            tables["backtest"] = self.backtest
        write_files(
            {
                folder / f"{name}.{ending}": pa.Table.from_pandas(table, preserve_index=False)
                for name, table in tables.items()
            }
        )


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
    stated = coerce_spend(spend, unit=base.unit, currency=base.config.orders.currency)
    remarks = [*base.remarks, *stated.remarks]
    cohorts = Cohorts.of(base, stated, remarks)
    curve = forecast_margin_curve(base, cohorts.grouping, cohorts.months)
    rows = [row for level in cohorts.levels() for row in _rows(base, cohorts, curve, level)]
    table = pd.DataFrame(rows)
    _say_margin(base, remarks)
    backtest = backtest_payback(past) if past is not None else make_empty_backtest()
    if past is not None:
        remarks.append(_came_true(backtest))
    payback = _payback_table(cohorts, curve)
    return Economics(table, payback, compute_sensitivity(base), backtest, tuple(remarks))


def _came_true(backtest: pd.DataFrame) -> str:
    if not len(backtest):
        return "chances of payback are not backtested: no month after the past cutoff is over"
    return (
        f"chances of payback, tried on the past: {backtest['chance'].mean():.0%} on average, and "
        f"{backtest['reached'].mean():.0%} came true"
    )


def _rows(
    base: CustomerBase, cohorts: Cohorts, curve: MarginCurve, level: Level
) -> list[dict[str, Any]]:
    """The rows of one level: cost, value, payback."""
    counts = cohorts.grouping.counts()
    worth = cohorts.grouping.sums(base.entries.per_customer(base.worth))
    historic = np.asarray(worth, np.float64) / base.unit * base.config.economics.margin_rate
    counted_in = level.used[cohorts.grouping.codes]
    own = Grouping(
        level.name,
        level.row_of[cohorts.grouping.codes][counted_in],
        tuple(map(str, level.keys)),
    )
    forecasts = base.forecasts if counted_in.all() else base.forecasts.filter(pa.array(counted_in))
    totals = sum_by_group(forecasts, own)
    rows = []
    for position, (channel, month) in enumerate(level.keys):
        mine = level.row_of == position
        used = mine & level.used
        has_spend = bool(used.any()) and not np.isnan(cohorts.spend[used]).any()
        row: dict[str, Any] = {
            "level": level.name,
            "channel": channel,
            "month": month,
            "customers_without_spend": int(
                counts[mine & ~used].sum() if has_spend else counts[mine].sum()
            ),
        }
        bounds = (totals.expected, totals.lower, totals.upper)
        row |= _value(
            float(cohorts.spend[used].sum()) if has_spend else math.nan,
            int(counts[used].sum()),
            float(historic[used].sum()),
            (float(bounds[0][position]), float(bounds[1][position]), float(bounds[2][position])),
            curve.of(used),
            base.config.acquisition,
        )
        apart = float(cohorts.spend[mine & level.apart].sum())
        loaded = row["spend"] + apart  # NaN where the row's own spend is not known
        row |= {
            "unattributed_spend": apart,
            "cac_fully_loaded": _over(loaded, row["new_customers"]),
            "ltv_cac_fully_loaded": _over(row["ltv_forecast"] * row["new_customers"], loaded),
        }
        rows.append(row)
    return rows


def _value(
    spend: float,
    customers: int,
    historic: float,
    forecast: tuple[float, float, float],
    curve: MarginCurve,
    marks: AcquisitionConfig,
) -> dict[str, Any]:
    """What customers cost and bring; `forecast` is their total CLV, expected, lower and upper."""
    if not customers:  # nobody to bring anything: neither a ratio of zero nor a payback
        historic, forecast = math.nan, (math.nan, math.nan, math.nan)
    expected, lower, upper = forecast
    ltv_cac = _over(historic + expected, spend)
    row = {
        "spend": spend,
        "new_customers": customers,
        "cac": _over(spend, customers),
        "ltv_historic": _over(historic, customers),
        "ltv_forecast": _over(historic + expected, customers),
        "ltv_forecast_lower": _over(historic + lower, customers),
        "ltv_forecast_upper": _over(historic + upper, customers),
        "ltv_cac_historic": _over(historic, spend),
        "ltv_cac_forecast": ltv_cac,
        "ltv_cac_forecast_lower": _over(historic + lower, spend),
        "ltv_cac_forecast_upper": _over(historic + upper, spend),
        "verdict": _verdict(ltv_cac, marks.healthy_ratio),
    }
    relative = (lower / expected, upper / expected) if expected > 0 else (0.0, 0.0)
    row |= _payback(curve, spend if customers else math.nan, relative, marks.payback_months)
    for_ratio = _over(historic + expected, customers * marks.healthy_ratio)
    for_payback = _over(_at_age(curve, marks.payback_months), customers)
    row |= {
        "most_to_break_even": row["ltv_forecast"],
        "most_for_ratio": for_ratio,
        "most_for_payback": for_payback,
        "most_to_pay": for_ratio if math.isnan(for_payback) else min(for_ratio, for_payback),
    }
    return row


def _payback(
    curve: MarginCurve, spend: float, relative: tuple[float, float], months: int
) -> dict[str, Any]:
    """The payback month with its probability, and the probability to pay back within `months`."""

    def probability(age: int) -> float:
        realised, projected = float(curve.realised[0, age]), float(curve.projected[0, age])
        bounds = (projected * share for share in relative)
        return estimate_reach_probability(spend, realised, projected, *bounds)

    row: dict[str, Any] = {
        "payback_month": math.nan,
        "payback_is_realised": None,
        "payback_probability": math.nan,
        "probability_within_mark": math.nan,
    }
    if math.isnan(spend):
        return row
    reached = curve.realised[0] + curve.projected[0] >= spend - 1e-9
    reached &= curve.reach[0] | (curve.realised[0] >= spend - 1e-9)
    if reached.any():
        age = int(np.argmax(reached))
        realised = bool(curve.realised[0, age] >= spend - 1e-9)
        row["payback_month"] = age + 1
        row["payback_is_realised"] = realised
        row["payback_probability"] = 1.0 if realised else probability(age)
    if months <= curve.realised.shape[1] and curve.reach[0, months - 1]:
        row["probability_within_mark"] = probability(months - 1)
    return row


def _at_age(curve: MarginCurve, months: int) -> float:
    """The margin expected within `months`; NaN where forecasts do not reach so far."""
    if months > curve.realised.shape[1] or not curve.reach[0, months - 1]:
        return math.nan
    return float(curve.realised[0, months - 1] + curve.projected[0, months - 1])


def _over(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan


def _verdict(ratio: float, healthy: float) -> str | None:
    """Healthy from the mark on, thin below it, loses money below 1; None where it is not known."""
    if math.isnan(ratio):
        return None
    return "healthy" if ratio >= healthy else "thin" if ratio >= 1 else "loses money"


def _payback_table(cohorts: Cohorts, curve: MarginCurve) -> pd.DataFrame:
    """Cohort by cohort: the margin a customer brought, or is expected to bring, by each month of age."""
    n_cohorts, n_ages = curve.realised.shape
    position = np.repeat(np.arange(n_cohorts), n_ages)
    counts = cohorts.grouping.counts()[position].astype(np.float64)
    spend = cohorts.spend[position]
    total = (curve.realised + curve.projected).ravel()
    each, cac = np.full(len(total), np.nan), np.full(len(total), np.nan)
    np.divide(total, counts, out=each, where=counts > 0)
    np.divide(spend, counts, out=cac, where=counts > 0)
    frame = pd.DataFrame(
        {
            "channel": cohorts.channels[position],
            "month": [dates.format_month(int(month)) for month in cohorts.months[position]],
            "age_months": np.tile(np.arange(1, n_ages + 1), n_cohorts),
            "new_customers": counts.astype(np.int64),
            "cac": cac,
            "margin_per_customer": each,
            "realised_per_customer": np.where(
                counts > 0, curve.realised.ravel() / np.maximum(counts, 1), np.nan
            ),
            "is_realised": curve.projected.ravel() == 0,
        }
    )
    return frame[curve.reach.ravel()].reset_index(drop=True)


def _say_margin(base: CustomerBase, remarks: list[str]) -> None:
    margin = base.config.economics.margin_rate
    first = float(np.sum(base.numbers("expected_spend"))) * margin
    clv = float(np.sum(base.numbers("clv")))
    if first > clv * (1 + 1e-9):
        remarks.append(
            f"the forecasts' CLV is below one period's spend x the margin of {margin:.0%}: they were "
            "made with another margin; give the configuration they were scored with"
        )
