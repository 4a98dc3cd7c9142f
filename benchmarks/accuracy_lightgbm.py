"""The peer `quick_lightgbm`: what a competent data scientist writes in an afternoon.

20 features of recency, frequency, money and trailing windows, eight training cutoffs, a plain
Tweedie regressor for spend and a plain binary classifier for churn. No calibration, no averaging of
seeds; one setting for all data sets, in reach of what was published for such a peer on the same
cells.
"""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd

__all__ = ["FEATURES", "features", "quick_lightgbm"]

_CUTOFFS = 8
_STEP_DAYS = 14
_LEAST_HISTORY_DAYS = 28
_WINDOWS = (30, 60, 90, 180)
_ROUNDS = 150
_PARAMETERS = {
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "verbose": -1,
}
FEATURES = (
    "days_since_last", "tenure", "n_orders", "active_days", "spend", "order_value", "last_value",
    "largest_value", "value_spread", "gap_mean", "gap_spread", "silence_over_gap",
    *(f"orders_{days}" for days in _WINDOWS), *(f"spend_{days}" for days in _WINDOWS),
)  # fmt: skip # a table: one item a line takes 11 lines more


def features(days: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """20 features per customer (index, sorted) from order days sorted by customer and day."""
    known = days[days["ordered_at"] < cutoff]
    age = (cutoff - known["ordered_at"]).dt.days
    by = known["customer_id"]
    gap = (-age.groupby(by).diff()).groupby(by)
    amounts = known["amount"].groupby(by)
    rows = pd.DataFrame({"days_since_last": age.groupby(by).min(), "tenure": age.groupby(by).max()})
    rows["n_orders"] = amounts.size()
    rows["active_days"] = rows["tenure"] - rows["days_since_last"]
    rows["spend"], rows["order_value"] = amounts.sum(), amounts.mean()
    rows["last_value"], rows["largest_value"] = amounts.last(), amounts.max()
    rows["value_spread"] = amounts.std()
    rows["gap_mean"], rows["gap_spread"] = gap.mean(), gap.std()
    rows["silence_over_gap"] = rows["days_since_last"] / rows["gap_mean"]
    for length in _WINDOWS:
        recent = age <= length
        rows[f"orders_{length}"] = recent.astype(float).groupby(by).sum()
        rows[f"spend_{length}"] = (known["amount"] * recent).groupby(by).sum()
    return rows[list(FEATURES)].sort_index()


def quick_lightgbm(
    days: pd.DataFrame, cutoff: pd.Timestamp, horizon_days: int, seed: int
) -> pd.DataFrame:
    """Forecasts at the cutoff from the order days before it: churn_probability, expected_spend."""
    horizon = pd.Timedelta(days=horizon_days)
    newest, oldest = (
        cutoff - horizon,
        days["ordered_at"].min() + pd.Timedelta(days=_LEAST_HISTORY_DAYS),
    )
    step = pd.Timedelta(days=_STEP_DAYS)
    moments = [newest - k * step for k in range(_CUTOFFS) if newest - k * step >= oldest] or [
        newest
    ]
    inputs, spends = [], []
    for moment in moments:
        rows = features(days, moment)
        window = days[(days["ordered_at"] >= moment) & (days["ordered_at"] < moment + horizon)]
        spent = window.groupby("customer_id")["amount"].sum()
        inputs.append(rows)
        spends.append(spent.reindex(rows.index, fill_value=0.0).to_numpy())
    learned, spend = pd.concat(inputs), np.concatenate(spends)
    asked = features(days, cutoff)
    expected, churn = (
        lightgbm.train(
            _PARAMETERS | {"objective": objective, "seed": seed},
            lightgbm.Dataset(learned, label),
            _ROUNDS,
        ).predict(asked)
        for objective, label in (("tweedie", spend), ("binary", (spend == 0).astype(float)))
    )
    return pd.DataFrame({"churn_probability": churn, "expected_spend": expected}, index=asked.index)
