"""Totals: what customers are expected to bring together, with an interval of the sum.

A sum of intervals is far too wide, for customers' luck cancels out; an interval that lets
everything cancel is too narrow, for a season or a lost channel moves all at once. So the spread of
a total has parts, added as variances of the total's logarithm:

    own luck      sum of the customers' variances / total^2    shrinks as customers are added
    shock         the bundle's shared shock, squared           does not
    segment       0.1 squared, for one group among several     what moves it apart from the others
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd

from ..errors import ConfigError, quote

__all__ = ["SEGMENT_SHOCK", "total", "total_of_sums"]

SEGMENT_SHOCK = 0.1  # how far segments of nine public cells missed their shop's own miss
_TWO_SIDED_90 = 1.6448536269514722  # the normal's 95 % quantile
_COLUMNS = {
    "clv": ("clv", "clv_deviation", "clv_shock"),
    "spend": ("expected_spend", "spend_deviation", "spend_shock"),
}


def total(
    forecast: pd.DataFrame,
    value: Literal["clv", "spend"] = "clv",
    by: str | None = None,
) -> pd.DataFrame:
    """Sum a forecast: the expected total of its customers and its 90 % interval.

    Parameters
    ----------
    forecast : DataFrame
        Forecasts, as `clvcast.score` returns them.
    value : {'clv', 'spend'}, default 'clv'
        What is added up.
    by : str, optional
        A column of the forecast, such as a segment or a tier: one row per value of it.

    Returns
    -------
    DataFrame
        customers, expected, lower and upper, in the shop's currency, with
        0 <= lower <= expected <= upper. The `expected` of groups add up to the whole's. Their
        intervals do not, because random errors of single customers partly cancel in a sum. `attrs`
        holds the terms of the forecast, if it has them: what its money means.

    Raises
    ------
    ConfigError
        If the forecast lacks a column, or is of several cutoffs, which would count customers
        several times (unless `by` is `cutoff`).

    Examples
    --------
    >>> one = {"clv": [100.0], "clv_deviation": [0.0], "clv_shock": [0.1]}
    >>> total(pd.DataFrame(one)).round(1).values.tolist()
    [[1.0, 100.0, 84.4, 117.3]]

    """
    if value not in _COLUMNS:
        raise ConfigError(f"value must be clv or spend, got {quote(value)}")
    names = list(_COLUMNS[value])
    missing = [name for name in (*names, *([by] if by else [])) if name not in forecast.columns]
    if missing:
        raise ConfigError(
            f"a forecast must have the columns {', '.join(missing)}; give one made by clvcast.score"
        )
    n_cutoffs = forecast["cutoff"].nunique() if "cutoff" in forecast.columns else 1
    if n_cutoffs > 1 and by != "cutoff":
        raise ConfigError(
            f"a total must be of one cutoff, got {n_cutoffs}, each with its own forecast of a "
            "customer; keep one of them, or give by='cutoff'"
        )
    if by is None:
        return _with_terms(pd.DataFrame([_sum_group(forecast[names])]), forecast)
    groups = forecast.groupby(by, sort=True, dropna=False, observed=True)
    apart = SEGMENT_SHOCK if groups.ngroups > 1 else 0.0
    rows = {key: _sum_group(group[names], apart) for key, group in groups}
    totals = pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)
    return _with_terms(totals, forecast)


def _with_terms(totals: pd.DataFrame, forecast: pd.DataFrame) -> pd.DataFrame:
    """The totals, carrying what the forecast's attributes say of its money."""
    totals.attrs = dict(forecast.attrs)
    return totals


def _sum_group(group: pd.DataFrame, apart: float = 0.0) -> dict[str, float]:
    expected, deviation, shock = (group.iloc[:, i].to_numpy(dtype=np.float64) for i in range(3))
    if not np.isfinite(expected).all():
        raise ConfigError("a forecast's amounts must be numbers, got some that are missing")
    variance = math.fsum((deviation**2).tolist())  # of a list: three times as fast
    highest = float(shock.max()) if len(shock) else 0.0
    sum_ = math.fsum(expected.tolist())
    return {"customers": len(group)} | total_of_sums(sum_, variance, highest, apart)


def total_of_sums(
    sum_: float, variance: float, shock: float, apart: float = 0.0
) -> dict[str, float]:
    """A total and its interval from the customers' sum, the sum of their variances and their shock.

    `apart` is `SEGMENT_SHOCK` for one group among several.
    """
    if not sum_ > 0:
        return {"expected": 0.0, "lower": 0.0, "upper": 0.0}
    own_variance = variance / sum_**2
    logs = (
        math.log1p(own_variance) + shock**2 + apart**2
    )  # the variance of a lognormal with this mean
    spread = _TWO_SIDED_90 * math.sqrt(logs)
    return {
        "expected": sum_,
        "lower": min(sum_ * math.exp(-logs / 2.0 - spread), sum_),
        "upper": max(sum_ * math.exp(-logs / 2.0 + spread), sum_),
    }
