"""The features again, slowly and plainly: one customer, one cutoff, pandas, a line or two a
feature.

Written from the catalogue's meanings, not from the kernel. Returns None where the customer has no
order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

NAN = float("nan")


def features(lines: pd.DataFrame, cutoff: str, every: bool = True) -> dict[str, float] | None:
    """All features of one customer's order lines at a cutoff."""
    now = pd.Timestamp(cutoff)
    keys = ["ordered_at", "order_id", "product_id", "amount", "category", "channel"]
    seen = lines[lines["ordered_at"] < now].sort_values(keys, na_position="first", kind="stable")
    seen = seen.assign(cents=(seen["amount"] * 100).round().astype("int64"))
    # a line without an order_id belongs to the order of its instant
    label = seen["order_id"].astype(object).where(seen["order_id"].notna(), seen["ordered_at"])
    seen = seen.assign(label=label.map(lambda x: (type(x).__name__, x)))
    groups = seen.groupby("label", sort=False).agg(
        time=("ordered_at", "first"), cents=("cents", "sum"), lines=("cents", "size")
    )
    orders, returns = groups[groups["cents"] > 0], groups[groups["cents"] <= 0]
    if orders.empty:
        return None

    def days(delta: Any) -> float:
        return float(delta / pd.Timedelta(days=1))

    n = len(orders)
    silence = days(now - orders["time"].iloc[-1])
    tenure = days(now - orders["time"].iloc[0])
    spend = seen["cents"].sum() / 100
    bought = seen[seen["cents"] > 0]
    gross = bought["cents"].sum() / 100
    value = orders["cents"] / 100
    gaps = orders["time"].diff().dropna().map(days).to_numpy()
    mean_gap = gaps.mean() if len(gaps) else NAN
    returned = -returns["cents"] / 100
    out = {
        "days_since_last_order": silence,
        "tenure_days": tenure,
        "n_orders": n,
        "n_order_days": orders["time"].dt.normalize().nunique(),
        "active_days": tenure - silence,
        "orders_per_year": n / max(tenure, 28) * 365,
        "spend_total": spend,
        "gross_total": gross,
        "spend_per_year": spend / max(tenure, 28) * 365,
        "order_value_mean": value.mean(),
        "order_value_first": value.iloc[0],
        "order_value_last": value.iloc[-1],
        "order_value_max": value.max(),
        "order_value_min": value.min(),
        "order_value_spread": value.std(ddof=0) if n > 1 else NAN,
        "order_value_last_over_mean": value.iloc[-1] / value.mean(),
        "largest_order_share": value.max() / value.sum(),
        "n_returns": len(returns),
        "returns_total": returned.sum(),
        "returns_share": returned.sum() / gross if gross > 0 else NAN,
        "days_since_last_return": days(now - returns["time"].iloc[-1]) if len(returns) else NAN,
        "gap_mean": mean_gap,
        "gap_spread": gaps.std() if len(gaps) > 1 else NAN,
        "gap_last": gaps[-1] if len(gaps) else NAN,
        "gap_longest": gaps.max() if len(gaps) else NAN,
        "gap_shortest": gaps.min() if len(gaps) else NAN,
        "gap_last_over_mean": gaps[-1] / max(mean_gap, 1) if len(gaps) else NAN,
        "silence_over_gap": silence / max(mean_gap, 1) if len(gaps) else NAN,
    }
    for window in (30, 60, 90, 180, 365):
        since = now - pd.Timedelta(days=window)
        out[f"orders_{window}"] = int((orders["time"] >= since).sum())
        out[f"spend_{window}"] = seen.loc[seen["ordered_at"] >= since, "cents"].sum() / 100
        out[f"returns_{window}"] = returned[returns["time"] >= since].sum()
    out["orders_change_30"] = out["orders_30"] - (out["orders_60"] - out["orders_30"])
    out["orders_change_90"] = out["orders_90"] - (out["orders_180"] - out["orders_90"])
    out["spend_change_30"] = out["spend_30"] - (out["spend_60"] - out["spend_30"])
    out["spend_change_90"] = out["spend_90"] - (out["spend_180"] - out["spend_90"])
    out["orders_recent_share"] = out["orders_90"] / out["orders_365"] if out["orders_365"] else NAN
    out["spend_recent_share"] = out["spend_90"] / out["spend_365"] if out["spend_365"] > 0 else NAN
    time = orders["time"].dt
    out["weekend_share"] = (time.day_of_week >= 5).mean()
    out["evening_share"] = (time.hour >= 18).mean()
    out["year_end_share"] = (time.month >= 11).mean()
    out["first_order_month"] = time.month.iloc[0]
    out["last_order_month"] = time.month.iloc[-1]
    out["last_order_weekday"] = time.day_of_week.iloc[-1]
    angle = 2 * math.pi * ((now - pd.Timestamp(0)) / pd.Timedelta(days=365.2425) % 1)
    out["cutoff_year_sin"], out["cutoff_year_cos"] = math.sin(angle), math.cos(angle)
    out["lines_per_order"] = len(bought) / n
    out["lines_first_order"] = orders["lines"].iloc[0]
    out["lines_last_order"] = orders["lines"].iloc[-1]
    for column, noun, plural in (
        ("product_id", "product", "products"),
        ("category", "category", "categories"),
        ("channel", "channel", "channels"),
    ):
        counts = bought[column].value_counts()
        known = counts.sum()
        out[f"n_{plural}"] = len(counts)
        out[f"top_{noun}_share"] = counts.max() / known if known else NAN
        out[f"lines_per_{noun}"] = known / len(counts) if known else NAN
    counted = bought[bought["quantity"].notna()]
    units = counted["quantity"].sum()
    out["quantity_total"] = units
    out["quantity_per_order"] = units / n
    out["unit_price"] = counted["cents"].sum() / 100 / units if units > 0 else NAN
    reduced = bought[bought["discount"] > 0]
    given = reduced["discount"].sum()
    out["discount_share"] = given / (gross + given) if gross > 0 else NAN
    out["discounted_lines_share"] = len(reduced) / len(bought) if len(bought) else NAN
    costed = bought[bought["cost"].notna()]
    base = costed["cents"].sum() / 100
    out["margin_share"] = (base - costed["cost"].sum()) / base if base > 0 else NAN
    return {name: float(np.float32(x)) for name, x in out.items()}
