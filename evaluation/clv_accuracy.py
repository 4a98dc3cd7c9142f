"""CLV beside what customers brought over its whole span (periods x horizon).

A CLV can be judged at a cutoff whose last period is over; before that, `describe_wait` says from
when on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..orders import dates, windows
from ..orders.columns import Float64, Int64
from . import measures

__all__ = [
    "compare_groups",
    "describe_clv",
    "describe_wait",
    "find_span_end",
    "measure_clv",
    "summarize_clv",
]

_RECENCY_GROUPS = 5


def find_span_end(cutoff: int, horizon_days: int, periods: int) -> int:
    """Find the instant from which on the CLV of a cutoff can be judged: its last period is over."""
    ends = windows.compute_period_ends(np.array([cutoff], dtype=np.int64), horizon_days, periods)
    return int(ends[0, -1])


def measure_clv(
    clv: Float64, actual: Float64, interval: tuple[Float64, Float64] | None = None
) -> dict[str, float]:
    """Measure CLV forecasts of customers against what they brought (numpy only).

    Parameters
    ----------
    clv, actual : array of n_customers
        Forecast and realised value of the span, in one currency.
    interval : pair of arrays of n_customers, optional
        Lower and upper ends of the 90 % intervals.

    Returns
    -------
    dict
        `nGini`, `bias`, `decile_MAPE`, and with `interval` also `coverage_90`.

    Examples
    --------
    >>> found = measure_clv(np.array([3.0, 2.0, 1.0]), np.array([2.0, 2.0, 0.0]))
    >>> found["nGini"], found["bias"]
    (1.0, 0.5)
    """
    measured = {
        "nGini": measures.normalised_gini(clv, actual),
        "bias": measures.bias(clv, actual),
        "decile_MAPE": measures.decile_mape(clv, actual),
    }
    if interval is not None:
        measured["coverage_90"] = measures.coverage(*interval, np.maximum(actual, 0.0))
    return measured


def compare_groups(
    forecast: Float64, actual: Float64, by: Float64 | None = None, n_groups: int = 10
) -> list[dict[str, Any]]:
    """Compare totals in equal groups of customers: highest forecast first, or lowest `by` first.

    Returns
    -------
    list of dict
        `group` from 1, `customers`, `forecast` and `actual` (totals), `bias` (None where nothing
        was spent), and with `by` its range: `lowest`, `highest`.

    Examples
    --------
    >>> groups = compare_groups(np.array([1.0, 6.0]), np.array([2.0, 4.0]), n_groups=2)
    >>> [(one["forecast"], one["bias"]) for one in groups]
    [(6.0, 0.5), (1.0, -0.5)]
    """
    rows = measures.split_into_groups(-forecast if by is None else by, n_groups)
    return [
        _compare_group(number, group, forecast, actual, by) for number, group in enumerate(rows, 1)
    ]


def _compare_group(
    number: int, rows: Int64, forecast: Float64, actual: Float64, by: Float64 | None
) -> dict[str, Any]:
    bias = measures.bias(forecast[rows], actual[rows])
    row = {
        "group": number,
        "customers": len(rows),
        "forecast": float(forecast[rows].sum()),
        "actual": float(actual[rows].sum()),
        "bias": None if np.isnan(bias) else bias,
    }
    if by is not None:
        row |= {"lowest": float(by[rows].min()), "highest": float(by[rows].max())}
    return row


def summarize_clv(
    clv: Float64, actual: Float64, silent_days: Float64, cutoff: int, horizon_days: int
) -> dict[str, Any]:
    """Summarize our CLV at one cutoff for `Backtest.metrics`: totals, by decile and by recency.

    `actual` is NaN where the span is not over, `silent_days` are days since the last order. The
    number of periods is not needed: it is in `actual`.
    """
    if np.isnan(actual).any():
        return {"is_judged": False}
    return {
        "is_judged": True,
        "cutoff": dates.format_instant(cutoff),
        "horizon_days": horizon_days,
        "forecast": float(clv.sum()),
        "actual": float(actual.sum()),
        "deciles": compare_groups(clv, actual),
        "by_recency": compare_groups(clv, actual, silent_days, _RECENCY_GROUPS),
    }


def describe_clv(summary: Mapping[str, Any], coverage: float | None) -> str:
    """Describe how a judged CLV did, from `summarize_clv`: total, intervals, groups by recency."""
    forecast, actual = summary["forecast"], summary["actual"]
    missed = f" ({forecast / actual - 1:+.0%})" if actual > 0 else ""
    coverage_text = "" if coverage is None else f"; its 90 % intervals held {coverage:.0%}"
    groups = ", ".join(
        f"{one['lowest']:.0f} to {one['highest']:.0f} days "
        + ("-" if one["bias"] is None else f"{one['bias']:+.0%}")
        for one in summary["by_recency"]
    )
    return (
        f"CLV forecast {forecast:,.0f} in total, actual {actual:,.0f}{missed}{coverage_text}. "
        f"By days since the last order: {groups}."
    )


def describe_wait(cutoff: int, horizon_days: int, periods: int) -> str:
    """Describe from when on the CLV forecast at a cutoff can be judged."""
    return (
        f"The CLV of {periods} x {horizon_days} days from {dates.format_instant(cutoff)} can be "
        f"judged from {dates.format_instant(find_span_end(cutoff, horizon_days, periods))} on."
    )
