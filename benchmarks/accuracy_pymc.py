"""BG/NBD and Gamma-Gamma of pymc-marketing, fitted by MAP, in an environment of its own.

python accuracy_pymc.py DAYS.parquet CUTOFF HORIZON_DAYS PERIODS OUTPUT.parquet

Writes a row per customer: churn_probability (of no order in the horizon), expected_spend and clv
(over all periods, undiscounted). Priors are the package's defaults.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
from pymc_marketing.clv import BetaGeoModel, GammaGammaModel


def summarize(days: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Customers with frequency, recency, T (days) and the mean value of repeat days."""
    by = days.groupby("customer_id")
    first, last = by["ordered_at"].min(), by["ordered_at"].max()
    repeats = days[days["ordered_at"] > days["customer_id"].map(first)]
    value = repeats.groupby("customer_id")["amount"].mean().reindex(first.index).fillna(0.0)
    return pd.DataFrame(
        {
            "customer_id": first.index,
            "frequency": (by.size() - 1).to_numpy(),
            "recency": (last - first).dt.days.to_numpy(),
            "T": (cutoff - first).dt.days.to_numpy() - 1,
            "monetary_value": value.to_numpy(),
        }
    )


def _mean(found: Any) -> np.ndarray:
    return np.asarray(found.mean(("chain", "draw")))


def main(source: str, cutoff: str, horizon_days: str, periods: str, output: str) -> None:
    """Fit on the days before the cutoff, forecast, write."""
    history = summarize(pd.read_parquet(source), pd.Timestamp(cutoff))
    horizon, span = int(horizon_days), int(horizon_days) * int(periods)
    orders = BetaGeoModel(data=history[["customer_id", "frequency", "recency", "T"]])
    orders.fit(method="map", progressbar=False)
    again = history["frequency"] > 0
    value = GammaGammaModel(data=history.loc[again, ["customer_id", "frequency", "monetary_value"]])
    value.fit(method="map", progressbar=False)
    order_value = _mean(value.expected_customer_spend(history))
    made = pd.DataFrame(index=pd.Index(history["customer_id"]))
    made["churn_probability"] = _mean(orders.expected_probability_no_purchase(t=horizon))
    made["expected_spend"] = _mean(orders.expected_purchases(future_t=horizon)) * order_value
    made["clv"] = _mean(orders.expected_purchases(future_t=span)) * order_value
    made.to_parquet(output)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
