"""Baselines: what a shop can do without a model. A new one is one function and one entry in METHODS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..features import windows
from ..features.orders import Orders
from ..features.table import feature_rows

__all__ = ["METHODS", "Known", "known_at"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """What a baseline may look at: each customer at the cutoff (arrays of n_rows), and the base."""

    spend: Float64  # net, before the cutoff
    n_orders: Float64
    order_value: Float64  # mean net value of an order (AOV)
    tenure_days: Float64
    shop_days: float  # since the shop's first order
    base_frequency: float  # orders / active customers in the newest horizon
    horizon_days: int


def known_at(orders: Orders, cutoff: int, horizon_days: int) -> Known:
    """Gather it from the orders before the cutoff, for the customers that feature rows have."""
    known = windows.observed(orders, cutoff)
    earlier = windows.newest_realised_cutoff(cutoff, horizon_days)
    rows = feature_rows(known, np.array([earlier, cutoff], dtype=np.int64))
    n_orders = np.zeros((2, known.n_customers))
    n_orders[rows.cutoff_index, rows.customer_index] = rows.whole[:, 0]
    recent = n_orders[1] - n_orders[0]
    at_cutoff = rows.where(rows.cutoff_index == 1)
    spend, count, value, tenure = at_cutoff.columns(
        ("spend_total", "n_orders", "order_value_mean", "tenure_days")
    ).T.astype(np.float64)
    return Known(
        spend=spend,
        n_orders=count,
        order_value=value,
        tenure_days=tenure,
        shop_days=windows.span_days(known, cutoff),
        base_frequency=float(recent.sum() / max(np.count_nonzero(recent > 0), 1)),
        horizon_days=horizon_days,
    )


def _historic_rate(known: Known) -> Float64:
    """The customer's own net spend per day since its first order, at least a horizon ago."""
    return known.spend / np.maximum(known.tenure_days, known.horizon_days) * known.horizon_days


def _span_rate(known: Known) -> Float64:
    """The customer's net spend per day since the shop's first order: newcomers start low."""
    return known.spend / known.shop_days * known.horizon_days


def _formula(known: Known) -> Float64:
    """The textbook's customer value: own average order value x the base's purchase frequency."""
    return known.order_value * known.base_frequency


METHODS: Mapping[str, Callable[[Known], Float64]] = {
    "historic_rate": _historic_rate,
    "span_rate": _span_rate,
    "formula": _formula,
}
