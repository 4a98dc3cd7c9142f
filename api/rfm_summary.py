"""Frequency, recency, T and monetary value per customer, as lifetimes users know them."""

from __future__ import annotations

import pandas as pd

from ..errors import ConfigError, OrdersError
from ..features.recency_frequency import count_order_days
from ..orders import dates, windows
from ..orders.cutoffs import get_default_cutoff
from ..orders.reading.read_orders import OrdersSource, coerce_orders, read_orders

__all__ = ["rfm_summary"]


def rfm_summary(
    transactions: OrdersSource,
    customer_id_col: str = "customer_id",
    datetime_col: str = "ordered_at",
    monetary_value_col: str | None = "amount",
    observation_period_end: dates.Instant | None = None,
) -> pd.DataFrame:
    """Summarize each customer's history as frequency, recency, T and monetary value.

    The counterpart of `lifetimes.utils.summary_data_from_transaction_data` and
    `pymc_marketing.clv.rfm_summary`, in days. Amounts are summed by day, and days whose sum is not
    positive are dropped.

    Parameters
    ----------
    transactions : frame, Orders, str or Path
        Order lines.
    customer_id_col : str
        Name of the column of customers.
    datetime_col : str
        Name of the column of order times.
    monetary_value_col : str or None
        Name of the column of amounts; None leaves monetary_value out.
    observation_period_end : str, date or datetime, optional
        The last observed day; by default the day of the newest line.

    Returns
    -------
    DataFrame
        A row per customer, by customer_id: frequency (repeat days), recency (days from the first to
        the last order day), T (days from the first order day to the end of observation) and
        monetary_value (mean value of a repeat day).

    Raises
    ------
    OrdersError
        If the lines cannot be read, or none lies before the end of observation.

    Examples
    --------
    >>> lines = [
    ...     {"customer_id": "a", "ordered_at": "2024-01-01", "amount": 10.0},
    ...     {"customer_id": "a", "ordered_at": "2024-01-11", "amount": 30.0},
    ...     {"customer_id": "b", "ordered_at": "2024-01-21", "amount": 20.0},
    ... ]
    >>> rfm_summary(lines)  # doctest: +NORMALIZE_WHITESPACE
       customer_id  frequency  recency     T  monetary_value
    0           a        1.0     10.0  20.0            30.0
    1           b        0.0      0.0   0.0             0.0

    """
    without_value = monetary_value_col is None
    if monetary_value_col is None:
        if not isinstance(transactions, pd.DataFrame):
            raise ConfigError("without monetary_value_col, transactions must be a pandas DataFrame")
        transactions = transactions.assign(_amount=1.0)
        monetary_value_col = "_amount"
    names = {
        "customer_id": customer_id_col,
        "ordered_at": datetime_col,
        "amount": monetary_value_col,
    }
    if all(ours == name for ours, name in names.items()):
        orders = coerce_orders(transactions)
    else:
        orders = read_orders(transactions, columns=names)
    end = get_default_cutoff(orders)
    if observation_period_end is not None:
        end = dates.parse_instant(observation_period_end) // dates.DAY * dates.DAY + dates.DAY
    orders = windows.slice_observed(orders, end)
    if not orders.n_customers:
        raise OrdersError("no order lies before the end of observation; choose a later one")
    days = count_order_days(orders, end)
    table = pd.DataFrame(
        {
            "customer_id": orders.customer_ids.to_pandas(),
            "frequency": days.n_repeat_days,
            "recency": days.active_days,
            "T": days.tenure_days,
            "monetary_value": days.repeat_value,
        }
    )
    return table.drop(columns="monetary_value") if without_value else table
