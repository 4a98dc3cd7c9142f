"""One method of lifetimes 0.11.3, in the environment of its own that `accuracy_methods.py` makes
for it.

python accuracy_lifetimes.py METHOD DAYS.parquet CUTOFF HORIZON_DAYS PERIODS OUTPUT.parquet

METHOD is bg_nbd or pareto_nbd, each with Gamma-Gamma. Writes a row per customer: churn_probability
(of no order in the horizon), expected_spend, clv (over all periods); and a column with the
parameters. Where the fit does not converge or forecasts are not finite it is fitted again with the
next penalizer, and at last by the other method, as its users do.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
from lifetimes import BetaGeoFitter, GammaGammaFitter, ParetoNBDFitter
from lifetimes.utils import ConvergenceError

FITTERS = {"bg_nbd": BetaGeoFitter, "pareto_nbd": ParetoNBDFitter}
PENALIZERS = (0.0, 0.001, 0.01, 0.1)
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def histories(days: pd.DataFrame, cutoff: pd.Timestamp) -> tuple[pd.Index, Arrays, np.ndarray]:
    """Customers; x, t_x and T up to the newest known day; the mean value of repeat days (0 without
    one).
    """
    by = days.groupby("customer_id")
    first, last = by["ordered_at"].min(), by["ordered_at"].max()
    repeats = days[days["ordered_at"] > days["customer_id"].map(first)]
    value = repeats.groupby("customer_id")["amount"].mean().reindex(first.index).fillna(0.0)
    tenure = (cutoff - first).dt.days - 1
    return (
        first.index,
        ((by.size() - 1).to_numpy(), (last - first).dt.days.to_numpy(), tenure.to_numpy()),
        value.to_numpy(),
    )


def no_order(model: Any, days: int, x: np.ndarray, t_x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """P(no order in the next `days`); lifetimes has it for Pareto/NBD alone, and for BG/NBD
    P(alive).
    """
    if isinstance(model, ParetoNBDFitter):
        return np.asarray(
            model.conditional_probability_of_n_purchases_up_to_time(0, days, x, t_x, t)
        )
    alive = np.asarray(model.conditional_probability_alive(x, t_x, t))
    r, alpha = model.params_["r"], model.params_["alpha"]
    return np.asarray(1.0 - alive * (1.0 - ((alpha + t) / (alpha + t + days)) ** (r + x)))


def forecast(
    method: str, history: Arrays, horizon_days: int, periods: int
) -> tuple[list[Any], dict[str, Any]]:
    """Churn probability, expected order days in one horizon and in all periods; how it
    was fitted.
    """
    other = next(name for name in FITTERS if name != method)
    for name in (method, other):
        for penalizer in PENALIZERS:
            try:
                model = FITTERS[name](penalizer_coef=penalizer).fit(*history)
            except ConvergenceError:
                continue
            until = model.conditional_expected_number_of_purchases_up_to_time
            columns = [
                no_order(model, horizon_days, *history),
                *(np.asarray(until(horizon_days * k, *history)) for k in (1, periods)),
            ]
            if np.isfinite(columns).all():
                parameters = {key: float(value) for key, value in model.params_.items()}
                return columns, {"fitted": name, "penalizer": penalizer} | parameters
    raise SystemExit("lifetimes fits neither model")


def main(
    method: str, source: str, cutoff: str, horizon_days: str, periods: str, output: str
) -> None:
    """Fit on the days before the cutoff, forecast, write."""
    customers, history, value = histories(pd.read_parquet(source), pd.Timestamp(cutoff))
    (churn, orders, all_orders), fitted = forecast(method, history, int(horizon_days), int(periods))
    again = history[0] > 0
    gamma = GammaGammaFitter().fit(history[0][again], value[again])
    order_value = np.asarray(gamma.conditional_expected_average_profit(history[0], value))
    made = pd.DataFrame({"churn_probability": churn}, index=customers)
    made["expected_spend"], made["clv"] = orders * order_value, all_orders * order_value
    made.attrs["fitted"] = json.dumps(fitted | {f"gamma_{k}": v for k, v in gamma.params_.items()})
    made.to_parquet(output)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
