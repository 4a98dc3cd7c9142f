"""How good forecasts were, as frames: what the data scientists' half of a report draws."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from ..errors import OrdersError
from ..notebook_cards import format_card, format_summary
from ..orders.columns import Float64, Int64
from . import measures

__all__ = ["OURS", "Evaluation"]

OURS = "clvcast"  # the method that is our model, among the baselines
_POINTS = 101  # of a gain curve
_SHOWN = ("nGini", "MAE", "bias")  # in a console
_NEEDED = (
    "cutoff", "method", "customer_id", "churn_probability", "expected_spend",
    "expected_spend_lower", "expected_spend_upper", "actual_spend", "churned",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Forecasts beside what happened (`backtest`'s forecasts.parquet) and its metrics.json."""

    forecasts: pa.Table
    metrics: Mapping[str, Any]

    def _describe(self) -> dict[str, object]:
        """Cutoffs and, of the newest, customers and the measures of each method."""
        cutoffs = sorted(self.metrics)
        newest = self.metrics[cutoffs[-1]]
        facts: dict[str, object] = {"cutoffs": ", ".join(cutoffs)}
        if "customers" in newest:
            facts["customers"] = f"{newest['customers']:,}"
        for name, found in newest.get("methods", {}).items():
            shown = [f"{key} {found[key]:,.3f}" for key in _SHOWN if found.get(key) is not None]
            facts[name] = ", ".join(shown)
        return facts

    def __repr__(self) -> str:
        return format_summary(f"<{type(self).__name__}>", self._describe())

    def _repr_html_(self) -> str:
        return format_card(type(self).__name__, self._describe())

    @classmethod
    def read(cls, folder: Path) -> Evaluation:
        """The folder that `clvcast backtest` wrote; raises `OrdersError` for another."""
        try:
            table = pa.parquet.read_table(folder / "forecasts.parquet")
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            missing = Path(str(error.filename or "forecasts.parquet")).name
            raise OrdersError(
                f"the backtest folder {folder} must hold forecasts.parquet and "
                f"metrics.json, but has no {missing}; clvcast backtest writes both"
            ) from None
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise OrdersError(f"the backtest folder {folder} cannot be read: {reason}") from None
        lacking = [name for name in _NEEDED if name not in table.column_names]
        if lacking or not isinstance(metrics, dict) or not metrics:
            reason = f"lacks the columns {', '.join(lacking)}" if lacking else "has no measures"
            raise OrdersError(
                f"the backtest folder {folder} {reason}; clvcast backtest writes both"
            )
        return cls(table, metrics)

    @property
    def horizon_days(self) -> int:
        """The length of the windows that were forecast."""
        return int(next(iter(self.metrics.values()))["horizon_days"])

    def methods(self) -> pd.DataFrame:
        """A row per method: its measures, the mean over the cutoffs; ours first."""
        rows = [
            {"method": name, "cutoff": cutoff, **values}
            for cutoff, summary in self.metrics.items()
            for name, values in summary["methods"].items()
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
        """Ten equal groups by our forecast, best first: mean forecast, actual, coverage."""
        forecast, actual = self._columns(OURS, "expected_spend", "actual_spend")
        lower, upper, spent = self._intervals()
        groups = measures.split_into_groups(-forecast)
        return _build_frame(
            groups,
            expected_spend=measures.average_by_group(forecast, groups),
            actual_spend=measures.average_by_group(actual, groups),
            is_covered=[measures.coverage(lower[g], upper[g], spent[g]) for g in groups],
        )

    def coverage(self) -> float:
        """The share of customers who spent within their interval."""
        return measures.coverage(*self._intervals())

    def calibration(self) -> pd.DataFrame:
        """Ten equal groups by churn probability, lowest first: its mean, and who churned."""
        probability, churned = self._columns(OURS, "churn_probability", "churned")
        groups = measures.split_into_groups(probability)
        return _build_frame(
            groups,
            churn_probability=measures.average_by_group(probability, groups),
            churned=measures.average_by_group(churned, groups),
        )

    def calibration_error(self) -> float:
        """The mean gap between churn probabilities and what happened, over those groups."""
        probability, churned = self._columns(OURS, "churn_probability", "churned")
        return measures.calibration_error(probability, churned > 0)

    def gains(self) -> pd.DataFrame:
        """Share of the money held by the first customers by forecast: a column per method.

        Money is max(spend, 0); customers whom a method forecasts alike share theirs evenly.
        """
        share = np.linspace(0.0, 1.0, _POINTS)
        curves: dict[str, Float64] = {"customers": share}
        for method in self.methods()["method"]:
            forecast, actual = self._columns(method, "expected_spend", "actual_spend")
            curves[method] = _interpolate_gain(forecast, np.maximum(actual, 0.0), share)
        return pd.DataFrame(curves)

    def _intervals(self) -> list[Float64]:
        """Lower and upper ends, and what was spent, at least 0: forecasts are of max(spend, 0)."""
        names = ("expected_spend_lower", "expected_spend_upper", "actual_spend")
        lower, upper, actual = self._columns(OURS, *names)
        return [lower, upper, np.maximum(actual, 0.0)]

    def _columns(self, method: str, *names: str) -> list[Float64]:
        """Columns of one method's rows; truth as 1, false as 0."""
        rows = self.forecasts.filter(pa.compute.equal(self.forecasts["method"], method))
        return [rows[name].to_numpy().astype(np.float64) for name in names]


def _build_frame(groups: Sequence[Int64], **means: Float64 | list[float]) -> pd.DataFrame:
    """A row per group, numbered from 1: its customers, and means."""
    numbers = np.arange(1, len(groups) + 1)
    return pd.DataFrame({"group": numbers, "customers": [len(g) for g in groups], **means})


def _interpolate_gain(forecast: Float64, money: Float64, share: Float64) -> Float64:
    if not money.sum() > 0:
        return np.full(len(share), np.nan)
    captured = np.concatenate(([0.0], measures.compute_captured_shares(forecast, money)))
    return np.asarray(np.interp(share, np.linspace(0.0, 1.0, len(captured)), captured))
