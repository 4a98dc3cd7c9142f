"""A forecast file with every column of the contract, made by rules that can be worked
out by eye.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import clvcast
from clvcast.models.segments import Standing, assign_segments, cut_thresholds
from clvcast.orders import dates
from clvcast.orders.order_table import build_order_table

CONTRACT = (
    "customer_id", "cutoff", "model_version", "n_orders", "days_since_last_order", "tenure_days",
    "churn_probability", "expected_orders", "expected_spend", "expected_spend_lower",
    "expected_spend_upper", "clv", "clv_lower", "clv_upper", "expected_next_order_at",
    "rfm_segment", "tier", "risk", "evidence", "next_order_from", "next_order_until",
    "own_share", "spend_deviation", "clv_deviation", "spend_shock", "clv_shock",
    "retention_value", "value_at_risk",
)  # fmt: skip # a table: one item a line takes 21 lines more


def forecast_file(
    orders: clvcast.Orders, cutoff: str, config: clvcast.Config | None = None
) -> pd.DataFrame:
    """Churn grows with silence, spend is the mean order value x (1 - churn), CLV is four times
    that.
    """
    config = config or clvcast.Config()
    instant = dates.parse_instant(cutoff)
    book = build_order_table(orders, instant)
    has_order = book.n_orders > 0
    own = book.of_customers(has_order)
    customers = own.customers[own.is_order]
    last = np.zeros(own.n_customers, np.int64)
    np.maximum.at(last, customers, own.times[own.is_order])
    first = own.times[own.first_orders]
    silent, tenure = (dates.floor_to_days(instant - times) for times in (last, first))
    net = own.per_customer(own.net) / orders.unit
    churn = np.minimum(0.1 + silent / 200, 1.0)
    spend = np.maximum(net, 0) / own.n_orders * (1 - churn)
    clv = spend * 4 * float(config.economics.margin_rate or 1.0)  # 1: no margin is known
    standing = Standing(silent.astype(np.int32), own.n_orders.astype(np.int32), net, clv)
    thresholds = cut_thresholds(config.segments, standing)
    rfm_segment, tier, risk = assign_segments(thresholds, standing, churn)
    due = pd.Series(pd.to_datetime(last + 45 * dates.DAY, unit="us")).astype("datetime64[us]")
    columns = {
        "customer_id": orders.customer_ids.filter(has_order).to_pandas(),
        "cutoff": pd.Series([pd.Timestamp(instant, unit="us")] * own.n_customers).astype(
            "datetime64[us]"
        ),
        "model_version": "a1b2c3d4e5f6",
        "n_orders": own.n_orders.astype(np.int32),
        "days_since_last_order": silent.astype(np.int32),
        "tenure_days": tenure.astype(np.int32),
        "churn_probability": churn,
        "expected_orders": 1 - churn,
        "expected_spend": spend,
        "expected_spend_lower": spend * 0.0,
        "expected_spend_upper": spend * 3,
        "clv": clv,
        "clv_lower": clv * 0.0,
        "clv_upper": clv * 3,
        "expected_next_order_at": due.where(churn < 0.7),
        "rfm_segment": rfm_segment,
        "tier": tier,
        "risk": risk,
        "evidence": "own",
        "next_order_from": due.where(churn < 0.7),
        "next_order_until": due.where(churn < 0.7) + pd.Timedelta(days=30),
        "own_share": 0.5,
        "spend_deviation": spend,
        "clv_deviation": clv,
        "spend_shock": 0.1,
        "clv_shock": 0.2,
        "retention_value": clv,
        "value_at_risk": churn * clv,
    }
    table = pd.DataFrame(columns)
    assert tuple(table.columns) == CONTRACT
    return table
