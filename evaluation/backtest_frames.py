"""How good forecasts were, as frames: what the data scientists' half of a report draws."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from ..errors import OrdersError
from ..orders.columns import Float64, Int64

__all__ = ["OURS", "Evaluation"]

OURS = "clvcast"
_GROUPS = 10
_POINTS = 101  # of a gain curve
_NEEDED = (
    "cutoff", "method", "customer_id", "churn_probability", "expected_spend", "expected_spend_lower",
    "expected_spend_upper", "actual_spend", "churned",
)  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """Forecasts beside what happened (`backtest`'s forecasts.parquet) and its metrics.json."""

    forecasts: pa.Table
    metrics: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Evaluation:
        """The folder that `clvcast backtest` wrote; raises `OrdersError` for another."""
        try:
            table = pa.parquet.read_table(folder / "forecasts.parquet")
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            missing = Path(str(error.filename or "forecasts.parquet")).name
            raise OrdersError(
                f"the backtest folder {folder} must hold forecasts.parquet and metrics.json, but has "
                f"no {missing}; clvcast backtest writes both"
            ) from None
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise OrdersError(f"the backtest folder {folder} cannot be read: {reason}") from None
        lacking = [name for name in _NEEDED if name not in table.column_names]
        if lacking or not isinstance(metrics, dict) or not metrics:
            told = f"lacks the columns {', '.join(lacking)}" if lacking else "has no measures"
            raise OrdersError(f"the backtest folder {folder} {told}; clvcast backtest writes both")
        return cls(table, metrics)

    @property
    def horizon_days(self) -> int:
        """The length of the windows that were forecast."""
        return int(next(iter(self.metrics.values()))["horizon_days"])

    def methods(self) -> pd.DataFrame:
        """A row per method: its measures, the mean over the cutoffs; ours first."""
        rows = [
            {"method": name, "cutoff": cutoff, **measures}
            for cutoff, summary in self.metrics.items()
            for name, measures in summary["methods"].items()
        ]
        frame = pd.DataFrame(rows).drop(columns="cutoff")
        numbers = frame.columns.drop("method")
        frame[numbers] = frame[numbers].astype(np.float64)
        return frame.groupby("method", sort=False).mean().reset_index()

    def cutoffs(self) -> pd.DataFrame:
        """A row per cutoff: customers, churn, money, and how our model did."""
        return pd.DataFrame(
            [
                {
                    "cutoff": cutoff,
                    "customers": summary["customers"],
                    "churn_rate": summary["churn_rate"],
                    "actual_spend": summary["actual_spend"],
                    **summary["methods"][OURS],
                }
                for cutoff, summary in self.metrics.items()
            ]
        )

    def deciles(self) -> pd.DataFrame:
        """Ten equal groups of customers by our forecast, best first: mean forecast, actual, coverage."""
        rows = self._rows(OURS)
        ranked = rows.sort_values("expected_spend", ascending=False, kind="stable")
        ranked["is_covered"] = (
            ranked["actual_spend"]
            .clip(lower=0.0)
            .between(ranked["expected_spend_lower"], ranked["expected_spend_upper"])
        )
        grouped = ranked.groupby(_equal_groups(len(ranked)))
        means = grouped[["expected_spend", "actual_spend", "is_covered"]].mean()
        means.insert(0, "customers", grouped.size())
        return means.rename_axis("group").reset_index()

    def calibration(self) -> pd.DataFrame:
        """Ten equal groups by churn probability, lowest first: mean probability, share that churned."""
        rows = self._rows(OURS).sort_values("churn_probability", kind="stable")
        grouped = rows.groupby(_equal_groups(len(rows)))
        means = grouped[["churn_probability", "churned"]].mean()
        means.insert(0, "customers", grouped.size())
        return means.rename_axis("group").reset_index().astype({"churned": np.float64})

    def gains(self) -> pd.DataFrame:
        """Share of the money held by the first customers by forecast: a column per method.

        Money is max(spend, 0); customers whom a method forecasts alike share theirs evenly.
        """
        share = np.linspace(0.0, 1.0, _POINTS)
        curves: dict[str, Float64] = {"customers": share}
        for method in self.methods()["method"]:
            rows = self._rows(method)
            curves[method] = _gain(
                rows["expected_spend"].to_numpy(np.float64),
                np.maximum(rows["actual_spend"].to_numpy(np.float64), 0.0),
                share,
            )
        return pd.DataFrame(curves)

    def _rows(self, method: str) -> pd.DataFrame:
        mask = pa.compute.equal(self.forecasts["method"], method)
        names = [name for name in _NEEDED if name not in ("method", "customer_id")]
        rows: pd.DataFrame = self.forecasts.filter(mask).select(names).to_pandas()
        return rows


def _equal_groups(n: int) -> Int64:
    """The group of each of n ranked rows, from 1; sizes differ by at most one."""
    groups = min(_GROUPS, n)
    return np.arange(n, dtype=np.int64) * groups // max(n, 1) + 1


def _gain(forecast: Float64, money: Float64, share: Float64) -> Float64:
    whole = money.sum()
    if not whole > 0:
        return np.full(len(share), np.nan)
    _, group = np.unique(-forecast, return_inverse=True)
    even = np.bincount(group, weights=money) / np.bincount(group)
    held = np.concatenate(([0.0], np.cumsum(even[np.sort(group)]))) / whole
    return np.asarray(np.interp(share, np.linspace(0.0, 1.0, len(held)), held))
