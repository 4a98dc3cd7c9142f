"""A night: check the orders, train, score, report, monitor what has matured.

Whatever happens, the champion serves: a step that fails is an alarm, and the steps that need it are
skipped. Where the orders look broken, nothing is trained and nothing published: last night's
forecasts stay. A night that was killed is run again; one whose orders and settings have not changed
trains no second time.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from .. import __version__
from ..configs.schema import Config
from ..decisions.report.build import report
from ..errors import ClvcastError
from ..evaluation.monitoring import is_mature, monitor
from ..features.checks.data_checks import check
from ..features.configured_orders import attach_configured
from ..models.loading import load_model
from ..models.model import TrainedModel
from ..orders import dates
from ..orders.cutoffs import find_complete_until, get_default_cutoff
from ..orders.orders import Orders
from ..orders.reading.read_orders import read_orders
from ..serve.batch.run import score_files
from ..train.gate.data_shift import RECORD_FILE, Record, parse_record
from ..train.limited_orders import limit_orders
from ..train.registry.mlflow_store import open_for_reading
from ..train.registry.promotion import CHAMPION
from ..train.registry.store_location import find_writable_store
from ..train.registry.tracking import track
from ..train.run import TrainingRun, train_limited
from .feed_faults import find_feed_faults
from .nights import (
    FORECASTS,
    TrainedNight,
    keep_night,
    list_nights,
    lock_nights,
    read_state,
    remove_old_nights,
    write_state,
    write_text,
)
from .notify import send_alarm
from .summary import ALARM, NightStep, NightSummary, StepOutcome

__all__ = ["run_night"]

_SUMMARY = "summary.json"

Progress = Callable[[str], None]


@dataclass
class _Night:
    """What is known while a night goes on."""

    config: Config
    folder: Path
    store: str  # address of the MLflow store
    now: datetime
    progress: Progress
    steps: list[NightStep] = field(default_factory=list)
    cutoff: int | None = None
    forecasts: Path | None = None

    def attempt(self, name: str, step: Callable[[], tuple[StepOutcome, str]]) -> bool:
        """Run a step and note what came of it; a failure that a user can mend is an alarm."""
        self.progress(name)
        try:
            outcome, sentence = step()
        except ClvcastError as error:
            outcome, sentence = "alarm", str(error)
        except OSError as error:  # a disk that is full, a folder that went away
            outcome, sentence = "alarm", f"{error.filename or name}: {error.strerror or error}"
        self.note(name, outcome, sentence)
        return outcome != "alarm"

    def note(self, name: str, outcome: StepOutcome, sentence: str) -> None:
        """Note what came of a step."""
        self.steps.append(NightStep(name, outcome, " ".join(sentence.split())))


def run_night(
    config: Config,
    folder: Path,
    *,
    tracking_uri: str | None = None,
    force: bool = False,
    now: datetime | None = None,
    progress: Progress = lambda _: None,
) -> NightSummary:
    """Run a night into a folder, and tell of an alarm as `notify` has it.

    `force` trains although orders and settings are those of the last training. `now` is the
    clock that the age of the orders is measured by. Raises `ConfigError` for settings that no night
    can run with; everything else that a user can mend is an alarm of the summary.
    """
    now = now or datetime.now()
    find_complete_until(config.orders, now)  # a day in the future is a fault of the settings
    store = find_writable_store(config, tracking_uri)
    night = _Night(config, folder, store, now, progress)

    def work() -> tuple[StepOutcome, str]:
        with lock_nights(folder):
            _run_locked(night, force)
            _write_summary(night)
        return "done", ""

    if night.attempt("folder", work):
        night.steps.pop()
    summary = _summarize(night)
    if summary.status == ALARM and config.notify.command is not None:
        trouble = send_alarm(config.notify.command, summary, folder / _SUMMARY)
        if trouble is not None:
            night.note("notify", "alarm", trouble)
            summary = _summarize(night)
    return summary


def _run_locked(night: _Night, force: bool) -> None:
    orders: list[Orders] = []

    def read() -> tuple[StepOutcome, str]:
        order_lines = read_orders(night.config)
        orders.append(attach_configured(order_lines, night.config))
        return _check_orders(night, orders[0])

    if not night.attempt("check", read):
        for name in ("train", "score", "report"):
            night.note(name, "skipped", "the orders are not fit: the forecasts of before stay")
        if orders:
            night.attempt("monitor", lambda: _monitor_matured(night, orders[0]))
        return
    runs: list[TrainingRun] = []
    night.attempt("train", lambda: _train(night, orders[0], force, runs))
    models: list[TrainedModel] = []
    if night.attempt("score", lambda: _score(night, models)):
        evaluation = runs[0].evaluation if runs else None

        def write_report() -> tuple[StepOutcome, str]:
            page = report(
                night.folder / FORECASTS,
                orders[0],
                night.config,
                model=models[0],
                backtest=evaluation,
            )
            page.save(night.folder / "report.html")
            return "done", f"wrote {night.folder / 'report.html'}"

        night.attempt("report", write_report)
        night.attempt("drift", lambda: _monitor_drift(night, orders[0], models[0]))
    night.attempt("monitor", lambda: _monitor_matured(night, orders[0]))
    night.attempt("keep", lambda: _remove_old(night))


def _check_orders(night: _Night, orders: Orders) -> tuple[StepOutcome, str]:
    """Whether the orders are fit for training, and look like this shop's."""
    night.cutoff = get_default_cutoff(orders)
    failed = [f.sentence for f in check(orders, night.config) if f.verdict == "fail"]
    complete_until = find_complete_until(night.config.orders, night.now)
    faults = find_feed_faults(
        orders,
        night.cutoff,
        dates.parse_instant(night.now) if complete_until is None else complete_until,
        night.config.nightly,
        _read_champion_record(night),
        night.config.gate.history,
    )
    if failed or faults:
        return "alarm", "; ".join([*failed, *(fault.sentence for fault in faults)])
    newest = dates.format_instant(int(orders.times.max()) // dates.DAY * dates.DAY)
    return "done", (
        f"{orders.n_lines:,} order lines of {orders.n_customers:,} customers, the newest of "
        f"{newest}"
    )


def _find_champion(night: _Night) -> tuple[str, str] | None:
    """Number and run of the version that serves; None where none does, or there is no store."""
    try:
        store = open_for_reading(night.store)
        version = store.aliased(night.config.tracking.model_name, CHAMPION)
    except ClvcastError:
        return None
    return None if version is None else (version.number, version.run_id)


def _read_champion_record(night: _Night) -> Record | None:
    champion = _find_champion(night)
    if champion is None:
        return None
    return parse_record(open_for_reading(night.store).text(champion[1], RECORD_FILE))


def _hash_function(config: Config) -> str | None:
    """A digest of the file with the shop's own features; None without any."""
    if config.features.extra is None:
        return None
    module = sys.modules[config.features.extra.partition(":")[0]]  # loaded with the orders
    return hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()


def _hash_training(
    orders: Orders, config: Config, max_rows: int | None = None, share: float = 1.0
) -> str:
    """A digest of all that a training depends on, but for the day it is run.

    `max_rows` and `share` are what `memory_limit` leaves of the orders.
    """
    extra = [config.features.model_dump(mode="json"), config.gate.model_dump()]
    events = None if orders.calendar is None else orders.calendar.to_dates()
    history = None if orders.season_history is None else orders.season_history.digest()
    facts = [events, history, _hash_function(config), max_rows, share]
    settings = json.dumps([__version__, config.learning(), *extra, *facts])
    return hashlib.sha256(f"{orders.digest()} {settings}".encode()).hexdigest()


def _train(
    night: _Night, orders: Orders, force: bool, runs: list[TrainingRun]
) -> tuple[StepOutcome, str]:
    state = read_state(night.folder)
    limited = limit_orders(orders, night.config)
    key = _hash_training(orders, night.config, limited.max_rows, limited.share)
    last = state.trained
    if not force and last is not None and last.key == key and _find_champion(night):
        if last.refused is None:
            return "skipped", "orders and settings have not changed since the last training"
        return "refused", f"unchanged; version {last.version} stays refused: {last.refused}"
    run = train_limited(limited, night.config, night.progress)
    tracked = track(run, night.config, night.store, None, night.progress, keep_report=False)
    runs.append(run)
    verdict = tracked.verdict
    refused = None
    if verdict is not None and not tracked.promoted:
        refused = f"{verdict.reason}; what to do: {verdict.next_step}"
    trained = TrainedNight(key=key, version=tracked.version, refused=refused)
    write_state(night.folder, state.model_copy(update={"trained": trained}))
    if verdict is None:
        return "done", f"version {tracked.version} is the same model as before, and champion"
    if refused is None:
        kind = "provisional champion" if verdict.is_provisional else "champion"
        return "done", f"version {tracked.version} is {kind}: {verdict.reason}"
    if tracked.champion is None:
        return "alarm", f"version {tracked.version} was refused, and no version serves: {refused}"
    return "refused", f"version {tracked.version} was refused: {refused}"


def _score(night: _Night, models: list[TrainedModel]) -> tuple[StepOutcome, str]:
    name = night.config.tracking.model_name
    model = load_model(f"models:/{name}@champion", night.store).with_config(night.config)
    output = night.folder / FORECASTS
    result = score_files(model, None, output, memory_limit=night.config.memory_limit)
    keep_night(night.folder, result.cutoff[:10])
    models.append(model)
    night.forecasts = output
    caveat = model.registered.caveat if model.registered else None
    return "done", (
        f"{result.customers:,} forecasts at {result.cutoff}, expected spend "
        f"{result.expected_spend:,.0f} {model.orders.currency}".rstrip()
        + f"; set aside {result.lines_set_aside:,} lines"
        + (f"; {caveat}" if caveat else "")
    )


def _monitor_drift(night: _Night, orders: Orders, model: TrainedModel) -> tuple[StepOutcome, str]:
    """Tonight's customers and forecasts against those the champion learned from."""
    monitoring = monitor(night.folder / FORECASTS, orders, model, night.config)
    alarms = [finding.sentence for finding in monitoring.findings if finding.severity == "alarm"]
    if alarms:
        return "alarm", "; ".join(alarms)
    return (
        "done",
        f"none of {len(monitoring.findings)} numbers moved beyond its limit since training",
    )


def _monitor_matured(night: _Night, orders: Orders) -> tuple[StepOutcome, str]:
    """Forecasts of earlier nights whose prediction window is over since, each once."""
    state, end = read_state(night.folder), get_default_cutoff(orders)
    horizon_days = night.config.horizon_days
    waiting = [name for name in list_nights(night.folder) if name not in state.monitored]
    mature = [name for name in waiting if is_mature(dates.parse_instant(name), horizon_days, end)]
    alarms: list[str] = []
    for name in mature:
        monitoring = monitor(night.folder / "nights" / name / FORECASTS, orders, None, night.config)
        alarms += [
            finding.sentence for finding in monitoring.findings if finding.severity == "alarm"
        ]
    if mature:
        monitored = (*state.monitored, *mature)
        write_state(night.folder, state.model_copy(update={"monitored": monitored}))
    if alarms:
        return "alarm", "; ".join(alarms)
    if not mature:
        return "skipped", "no further prediction window is over"
    return "done", f"the forecasts of {', '.join(mature)} came true within their limits"


def _remove_old(night: _Night) -> tuple[StepOutcome, str]:
    keep = night.config.nightly.keep
    removed = remove_old_nights(night.folder, keep, read_state(night.folder).monitored)
    n_nights = len(list_nights(night.folder))
    return "done", f"forecasts of {n_nights} nights are kept, {len(removed)} removed"


def _summarize(night: _Night) -> NightSummary:
    champion = _find_champion(night)
    return NightSummary(
        began_at=night.now.isoformat(timespec="seconds"),
        cutoff=None if night.cutoff is None else dates.format_instant(night.cutoff),
        champion=champion and champion[0],
        forecasts=None if night.forecasts is None else str(night.forecasts),
        steps=tuple(night.steps),
    )


def _write_summary(night: _Night) -> None:
    summary = _summarize(night)
    write_text(night.folder / _SUMMARY, summary.format_json())
    if night.forecasts is not None and summary.cutoff is not None:
        night_folder = night.folder / "nights" / summary.cutoff[:10]
        write_text(night_folder / _SUMMARY, summary.format_json())
