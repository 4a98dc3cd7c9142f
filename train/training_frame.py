"""The training frame: feature rows at many cutoffs, with what happened after each."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

import numpy as np

from ..configs.schema import Config
from ..errors import ConfigError, OrdersError
from ..features.calendar_features import EVENT_PREFIX
from ..features.table import FeatureRows, compute_feature_rows
from ..features.targets import Targets, compute_targets
from ..orders import dates, windows
from ..orders.columns import Float64
from ..orders.cutoffs import TrainingCutoffs, choose_training_cutoffs
from ..orders.orders import Orders

__all__ = ["TrainingFrame", "build_training_frame"]

_HALF_LIFE_HORIZONS = 1.0  # a cutoff one horizon older than the newest weighs half
_SEASON = (
    "cutoff_year_sin",
    "cutoff_year_cos",
)  # heads start from it


@dataclass(frozen=True)
class TrainingFrame:
    """Rows sorted by (cutoff, customer), with targets and weights; nothing at or after `end`."""

    rows: FeatureRows
    targets: Targets
    weights: Float64  # n_rows; newer cutoffs weigh more
    cutoffs: TrainingCutoffs
    features: tuple[str, ...]  # the features to learn from
    horizon_days: int
    end: int

    @property
    def spend(self) -> Float64:
        """What mean heads learn: max(spend, 0) of the first period."""
        return np.maximum(self.targets.spend[:, 0], 0.0)


def build_training_frame(orders: Orders, config: Config, end: int) -> TrainingFrame:
    """Features at the training cutoffs before `end`.

    Raises `OrdersError` where history is too short, `ConfigError` for settings of features there
    are not.
    """
    observed = windows.slice_observed(orders, end)
    if not observed.n_lines:
        raise OrdersError(f"there are no orders before {dates.format_instant(end)} to learn from")
    horizon_days, periods = config.horizon_days, config.periods
    first = windows.find_first_order_at(observed)
    cutoffs = choose_training_cutoffs(first, end, horizon_days)
    if observed.calendar is not None:  # its windows are those of this frame, maybe shorter ones
        calendar = observed.calendar.with_windows(horizon_days, periods)
        observed = replace(observed, calendar=calendar)
    rows = compute_feature_rows(observed, cutoffs.instants)
    outcome = compute_targets(
        observed, rows, cutoffs.instants, horizon_days, periods, end, config.target
    )
    _check_names(config, rows.names)
    left_out = {*config.model.leave_out, *_SEASON}
    names = tuple(
        name for name in rows.names if name not in left_out and not name.startswith(EVENT_PREFIX)
    )
    age_weights = 0.5 ** (cutoffs.ages / (_HALF_LIFE_HORIZONS * horizon_days))
    weights = np.asarray(age_weights)[rows.cutoff_index]
    return TrainingFrame(rows, outcome, weights, cutoffs, names, horizon_days, end)


def _check_names(config: Config, known: tuple[str, ...]) -> None:
    """Refuse settings about features that these orders do not have."""
    for key in ("leave_out", "monotone"):
        for name in getattr(config.model, key):
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                mend = f"did you mean {nearest[0]}?" if nearest else "docs/features.md lists them"
                raise ConfigError(f"model.{key} names {name}, which is no feature here; {mend}")
