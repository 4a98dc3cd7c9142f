"""Learning curve: how well models of fewer rows forecast the held-out window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from ..configs.schema import Config
from ..evaluation import measures, standard_measures
from ..evaluation.backtest_frames import OURS
from ..features.table import FeatureRows
from ..models.scoring import forecast_rows
from ..orders.orders import Orders
from .backtest.run import Backtest
from .customer_sampling import count_training_rows
from .fit import fit

__all__ = ["CURVE_FILE", "CurvePoint", "describe_curve", "measure_learning_curve"]

CURVE_FILE = "learning_curve.json"  # among the run's artifacts
_SHARES = (0.25, 0.5)  # and all


@dataclass(frozen=True)
class CurvePoint:
    """A number of rows to learn from, and how a model of them did on the held-out window."""

    rows: int  # about: whole customers are sampled
    share: float
    nGini: float  # noqa: N815
    MAE: float
    churn_log_loss: float


def measure_learning_curve(
    known: Orders,
    config: Config,
    cutoff: int,
    max_rows: int,
    evaluation: Backtest,
    progress: Callable[[str], None] = lambda _: None,
    everyone: Mapping[int, FeatureRows] | None = None,
) -> tuple[CurvePoint, ...]:
    """A point for a quarter, a half and all of the rows; all is the `evaluation` itself.

    Only the rows that `fit` limits by `max_rows` change: BTYD, levels and the judged customers are
    the same.
    """
    our_rows = evaluation.forecasts.filter(pc.equal(evaluation.forecasts["method"], OURS))
    spend, churned = (our_rows[name].to_numpy() for name in ("actual_spend", "churned"))
    available = min(max_rows, count_training_rows(known, config.horizon_days, cutoff))
    points = []
    for share in (*_SHARES, 1.0):
        n_rows = int(available * share)
        if share < 1.0:
            progress(f"learning curve: a model of {n_rows:,} rows")
            model = fit(known, config, cutoff, max_rows=n_rows, everyone=everyone)
            forecasts = forecast_rows(model, known, cutoff)
        else:
            forecasts = our_rows
        expected, churn = (
            np.asarray(forecasts[name]) for name in ("expected_spend", "churn_probability")
        )
        points.append(
            CurvePoint(
                n_rows,
                share,
                measures.normalised_gini(expected, spend),
                standard_measures.mean_absolute_error(expected, spend),
                standard_measures.log_loss(churn, churned),
            )
        )
    return tuple(points)


def describe_curve(curve: Sequence[CurvePoint], rows_setting: str) -> list[str]:
    """The curve as people read it, and what it says of a larger sample.

    `rows_setting` is the one to raise for more rows.
    """
    if not curve:
        return []
    sentences = [
        f"learning curve: {point.rows:,} rows: nGini {point.nGini:.3f}, MAE {point.MAE:,.2f}, "
        f"churn log loss {point.churn_log_loss:.4f}"
        for point in curve
    ]
    half, all_rows = curve[-2], curve[-1]
    return [
        *sentences,
        f"The second half of the rows changed nGini by {all_rows.nGini - half.nGini:+.4f} "
        "and MAE by "
        f"{all_rows.MAE / half.MAE - 1.0:+.2%}. Learning curves flatten: twice as many rows "
        f"(raise {rows_setting}) are likely to change them by less.",
    ]
