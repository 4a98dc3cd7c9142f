"""The rows of a backtest: what a method forecast for each customer, beside what happened."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ...configs.economics import KnownEconomics
from ...configs.schema import Config
from ...features.targets import Targets
from ...models.discounting import discount_periods
from .baselines import BaselineForecast

__all__ = ["build_backtest_rows"]

_FORECASTS = (
    "churn_probability", "expected_orders",
    "expected_spend", "expected_spend_lower", "expected_spend_upper",
    "clv", "clv_lower", "clv_upper",
)  # fmt: skip
_SCHEMA = pa.schema(
    [
        ("cutoff", pa.timestamp("us")),
        ("method", pa.string()),
        ("model_version", pa.string()),
        ("customer_id", pa.string()),
        *((name, pa.float64()) for name in _FORECASTS),
        ("periods", pa.int32()),
        ("evidence", pa.string()),
        ("actual_spend", pa.float64()),
        ("actual_orders", pa.int32()),
        ("churned", pa.bool_()),
        ("actual_clv", pa.float64()),
    ]
)


def build_backtest_rows(
    method: str,
    forecasts: pa.Table,
    economics: KnownEconomics,
    config: Config,
    happened: Targets,
    baseline: BaselineForecast | None = None,
) -> pa.Table:
    """One method's rows, a customer each; the columns a baseline does not give are null.

    `forecasts` are the model's, of the customers all methods share; `baseline` is another method's
    numbers, None for the model's own rows. Actual CLV is null where one of its periods is not over.
    """
    n = forecasts.num_rows
    spend = happened.spend
    actual_clv = discount_periods(spend, economics, config.horizon_days)
    columns = {
        "cutoff": forecasts["cutoff"],
        "method": pa.repeat(method, n),
        "customer_id": forecasts["customer_id"],
        "periods": pa.repeat(pa.scalar(config.periods, pa.int32()), n),
        "actual_spend": pa.array(spend[:, 0]),
        "actual_orders": pa.array(happened.n_orders[:, 0].astype(np.int32)),
        "churned": pa.array(happened.churned),
        "actual_clv": pa.array(actual_clv, mask=np.isnan(actual_clv)),
    }
    if baseline is None:
        for name in ("model_version", *_FORECASTS, "evidence"):
            columns[name] = forecasts[name]
    else:
        for name in ("churn_probability", "expected_orders", "expected_spend", "clv"):
            if (values := getattr(baseline, name)) is not None:
                columns[name] = pa.array(values)
    return pa.table(
        [columns.get(field.name, pa.nulls(n, field.type)) for field in _SCHEMA],
        schema=_SCHEMA,
    )
