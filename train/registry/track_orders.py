"""track: what `clvcast train` does, from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields

from ...configs.addresses import hide_passwords
from ...configs.schema import Config, require_config
from ...models.api import Model
from ...notebook_cards import format_card, format_summary, show_steps
from ...orders import dates
from ...orders.extra_features import ExtraFunction
from ...orders.reading.read_orders import OrdersSource
from ..backtest.run import Backtest
from ..limited_orders import open_limited_orders
from ..run import train_limited
from .tracking import TrackedRun, check_tracking
from .tracking import track as track_run

__all__ = ["TrackedTraining", "track"]


@dataclass(frozen=True)
class TrackedTraining(TrackedRun):
    """A tracked run with its model.

    Attributes
    ----------
    uri, run_id : str
        The MLflow store, and the run in it.
    name, version : str
        The registered model, and the number of its version.
    is_new : bool
        False if an identical model was registered before.
    champion : str or None
        The version that serves now.
    promoted : bool
        Whether that is this one, made champion by this run.
    verdict : Verdict or None
        What the gate found; None if the model was champion already.
    concern : str
        A sentence if it replaced a champion that knew later orders; else empty.
    model : Model
        The trained model.
    evaluation : Backtest or None
        Its evaluation at past cutoffs; None if history is too short to hold a window out.

    """

    model: Model
    evaluation: Backtest | None

    def _describe(self) -> dict[str, object]:
        """Where the run is and what came of it, in a few facts."""
        return {
            "run": self.run_id,
            "store": hide_passwords(self.uri),
            "promoted": "yes" if self.promoted else "no",
            "champion": f"version {self.champion}" if self.champion else "none",
            "model": self.model.version,
        }

    def __repr__(self) -> str:
        return format_summary(f"<{self.name} version {self.version}>", self._describe())

    def _repr_html_(self) -> str:
        return format_card(f"{self.name} version {self.version}", self._describe())


def track(
    orders: OrdersSource,
    config: Config | None = None,
    cutoff: dates.Instant | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    run_name: str | None = None,
    tracking_uri: str | None = None,
    force: str | None = None,
    extra_features: ExtraFunction | None = None,
    progress: Callable[[str], None] | None = None,
) -> TrackedTraining:
    """Train and evaluate a model, register it in MLflow, and promote it if it passes the gate.

    This is what `clvcast train` does. The run is nested under your active MLflow run, if the
    store has one.

    Parameters
    ----------
    orders : Orders, frame, str or Path
        Orders, order lines in memory, or where to read them.
    config : Config, optional
        Settings of the shop; the defaults if not given. `tracking` names experiment and model.
    cutoff : str, date or datetime, optional
        The first instant that is not observed; by default the midnight after the newest order line.
    tags : mapping of str to str, optional
        Tags of the run and of the model's version.
    run_name : str, optional
        Name of the run; by default `train` and the cutoff.
    tracking_uri : str, optional
        The MLflow store; by default that of the config, MLFLOW_TRACKING_URI or ./mlflow.db.
    force : str, optional
        A reason to make it champion even if it fails the gate.
    extra_features : callable, optional
        Your own features, as in `clvcast.train`.
    progress : callable, optional
        Called with a sentence at each step, for example `print`; by default a line in a terminal or
        notebook names the step.

    Returns
    -------
    TrackedTraining
        The run, the version, what the gate found, and the model.

    Raises
    ------
    OrdersError
        If the orders cannot be used.
    ConfigError
        If a setting, a tag or the cutoff is invalid.
    StoreError
        If the store cannot be written.

    Examples
    --------
    >>> run = clvcast.track("orders.parquet", tags={"team": "crm"})  # doctest: +SKIP
    >>> run.version, run.promoted  # doctest: +SKIP
    ('1', True)

    """
    config = require_config(config)
    check_tracking(config, tracking_uri, force, tags)
    with (
        open_limited_orders(orders, config, extra_features, cutoff) as limited,
        nullcontext(progress) if progress else show_steps("training") as tell,
    ):
        if limited.is_sample:
            tell(limited.remark)
        run = train_limited(limited, config, tell)
        done = track_run(run, config, tracking_uri, force, tell, tags, run_name)
    return TrackedTraining(
        **{field.name: getattr(done, field.name) for field in fields(done)},
        model=Model.of(run.model),
        evaluation=run.evaluation,
    )
