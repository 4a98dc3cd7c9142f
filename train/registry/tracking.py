"""Tracking: what a training run leaves in the store, and whether its model goes live.

In this order, so that a run killed at any point leaves the old champion serving and the next run
goes on: parameters, data, measures and the record; the bundle and its version; the alias
`candidate`; the gate's verdict; and only then, if it passed, the alias `champion`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet

from ...configs.addresses import format_models_command, hide_passwords
from ...configs.schema import Config
from ...decisions.report.build import report
from ...errors import BundleError, ClvcastError, ConfigError, quote
from ...evaluation.backtest_frames import OURS
from ...models.loading import find_registry, load_model
from ...models.registry_facts import CUTOFF, DATA_SPAN, MEASURE, PROVISIONAL, VERDICT
from ...models.scoring import describe_terms, forecast_rows
from ...models.store_connection import wait_for_store
from ...orders import dates, windows
from ..gate.data_shift import RECORD_FILE, Champion, build_record, parse_record
from ..gate.evidence_collection import collect_evidence
from ..gate.rules import Verdict, judge
from ..learning_curve import CURVE_FILE
from ..run import TrainingRun
from . import promotion
from .mlflow_store import Store, Version, open_for_writing
from .run_settings import (
    CONFIG_FILE,
    describe_sample,
    format_config,
    list_parameters,
    write_note,
)
from .store_location import find_writable_store

__all__ = ["TrackedRun", "check_tracking", "describe_verdict", "format_verdict_table", "track"]

GRADE = "clvcast.grade"  # tag of a run: A to D, of the scorecard at the newest evaluated cutoff
CHAMPION_TAG = "clvcast.champion"  # tag of a run: the version that served after it
NOTE = "mlflow.note.content"  # tag: what MLflow shows at the top of a run, in Markdown
_HEADLINES = ("nGini", "MAE", "bias", "churn_ECE")


@dataclass(frozen=True)
class TrackedRun:
    """Where a run and its model are now, and what the gate said."""

    uri: str
    run_id: str
    name: str
    version: str
    is_new: bool  # False: the same model was registered before
    champion: str | None  # the version that serves now
    promoted: bool  # whether that is this one, by this run
    verdict: Verdict | None  # None: it was the champion already
    concern: str = field(default="", kw_only=True)  # about what was promoted


def track(
    run: TrainingRun,
    config: Config,
    tracking_uri: str | None = None,
    force: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
    tags: Mapping[str, str] | None = None,
    run_name: str | None = None,
    *,
    keep_report: bool = True,
) -> TrackedRun:
    """Log a run, register its model as candidate, judge it, and make it champion where it passes.

    `force` is a reason to make it champion even where it fails. `tags` are set on the run and the
    version. `keep_report` adds the report, of 5 MB, to the run's artifacts. An identical model is
    not registered twice. Raises `StoreError` where the store refuses, `ConfigError` for an empty
    reason or a tag of ours.
    """
    own_tags = check_tracking(config, tracking_uri, force, tags)
    uri, name = find_writable_store(config, tracking_uri), config.tracking.model_name
    with open_for_writing(uri) as store:
        store.end_dead_runs(config.tracking.experiment)
        about = own_tags | {
            promotion.MODEL_VERSION: run.model.version,
            "clvcast.data_digest": run.known.digest(),
            CUTOFF: dates.format_instant(run.cutoff),
            "clvcast.remarks": "; ".join(run.model.numbers.blend.remarks) or "none",
        }
        run_name = run_name or f"train {dates.format_instant(run.cutoff)}"
        parent = store.find_active_run()
        with store.run(config.tracking.experiment, run_name, about, parent) as run_id:
            _log_training(store, run_id, run, config)
            if keep_report:
                store.log_text(run_id, _format_report(run, config), "report.html")
            version, is_new = _register_model(store, run_id, run, name, about)
            store.set_alias(name, promotion.CANDIDATE, version.number)
            serving = store.aliased(name, promotion.CHAMPION)
            if serving is not None and serving.number == version.number:
                number = version.number
                outcome = f"**Version {number} of {name}** is champion already."
                store.tag_run(run_id, {NOTE: write_note(run, config, outcome)})
                return TrackedRun(uri, run_id, name, number, is_new, number, False, None)
            progress("judging the candidate")
            champion = _load_champion(store, name, serving) if serving else None
            undone = promotion.find_rollback(version)
            verdict = judge(collect_evidence(run, config, champion, undone, progress), config.gate)
            store.log_text(run_id, json.dumps(_convert_verdict(verdict), indent=1), "gate.json")
            store.log_text(run_id, format_verdict_table(verdict), "gate.txt")
            before = serving.number if serving else None
            may_serve = verdict.passed or verdict.is_provisional
            promoted = may_serve or force is not None
            why = verdict.reason
            if promoted:
                why = verdict.reason if may_serve else f"forced: {force}; {verdict.reason}"
                kind = PROVISIONAL if verdict.is_provisional else "promoted"
                promotion.promote_in(store, name, version.number, why, before, kind)
            else:
                promotion.refuse_in(store, name, version.number, verdict.reason)
            outcome = (
                f"**Version {version.number} of {name} {'promoted' if promoted else 'refused'}**"
            )
            now = version.number if promoted else before
            concern = ""
            if promoted and champion is not None:
                concern = _describe_age(run, champion, name, uri)
            judged = {
                VERDICT: ("promoted" if promoted else "refused")
                if not verdict.is_provisional
                else PROVISIONAL,
                GRADE: _get_grade(run),
                CHAMPION_TAG: now or "none",
                NOTE: write_note(run, config, f"{outcome}: {why}{concern and '; ' + concern}"),
            }
            store.tag_run(run_id, judged)
            return TrackedRun(
                uri,
                run_id,
                name,
                version.number,
                is_new,
                now,
                promoted,
                verdict,
                concern=concern,
            )


def _describe_age(run: TrainingRun, champion: Champion, name: str, uri: str) -> str:
    """A sentence where the new champion knows less than the one it replaces; else empty."""
    record = champion.record
    if record is None or dates.parse_instant(record.end) <= run.cutoff:
        return ""
    return (
        f"it knows orders until {dates.format_instant(run.cutoff)}, and replaces version "
        f"{champion.version}, which knows them until "
        f"{dates.format_instant(dates.parse_instant(record.end))}; to go back: "
        + format_models_command(name, uri, "rollback")
    )


def _get_grade(run: TrainingRun) -> str:
    """The grade of the newest evaluation; `-` where there is none."""
    if run.evaluation is None:
        return "-"
    return str(run.evaluation.metrics[run.evaluation.newest]["scorecard"]["grade"])


def check_tracking(
    config: Config,
    tracking_uri: str | None = None,
    force: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The user's tags as text; what `track` would refuse is refused now, before a training takes
    its time.

    Raises `ConfigError` for an empty reason or a tag's name that is ours or MLflow's, `StoreError`
    where the store's server does not answer.
    """
    tags = tags or {}
    if force is not None and not force.strip():
        raise ConfigError('--force needs a reason: --force "..."')
    for name in tags:
        if not isinstance(name, str) or not name or name.startswith(("clvcast.", "mlflow.")):
            raise ConfigError(
                "a tag's name must be text, not empty, and not begin with clvcast. or mlflow., got "
                f"{quote(name)}; choose another"
            )
    uri = find_writable_store(config, tracking_uri)
    for store in {uri: None, find_registry(uri): None}:  # one of them, where they are the same
        wait_for_store(store)
    return {name: str(value) for name, value in tags.items()}


def format_verdict_table(verdict: Verdict) -> str:
    """The gate's rules as plain text, a line each."""
    lines = [verdict.judged_by] if verdict.judged_by else []
    for rule in verdict.rules:
        value = "-" if rule.value is None else f"{rule.value:.3f}"
        lines.append(
            f"{rule.verdict:8}{rule.name:30}{value:>10}  holds when {rule.bound}: {rule.sentence}"
        )
    return "\n".join([*lines, describe_verdict(verdict)]) + "\n"


def describe_verdict(verdict: Verdict) -> str:
    """The verdict in a line; of a refusal the one thing to do next."""
    if verdict.passed:
        return "passed"
    kind = "provisional champion" if verdict.is_provisional else "refused"
    return f"{kind}; what to do: {verdict.next_step}"


def _convert_verdict(verdict: Verdict) -> dict[str, Any]:
    rules = [dataclasses.asdict(rule) for rule in verdict.rules]
    return {
        "passed": verdict.passed,
        "provisional": verdict.is_provisional,
        "next_step": verdict.next_step,
        "judged_by": verdict.judged_by,
        "rules": rules,
    }


def _log_training(store: Store, run_id: str, run: TrainingRun, config: Config) -> None:
    store.log(run_id, list_parameters(run, config))
    store.log_text(run_id, format_config(config), CONFIG_FILE)
    store.tag_run(run_id, {NOTE: write_note(run, config)})
    reading = run.known.report
    profile = {
        "customers": run.known.n_customers,
        "lines": run.known.n_lines,
        "lines_rejected": sum(reading.rejected.values()),
    }
    named = [hide_passwords(one.source) for one in config.orders.all_sources()]
    source = ", ".join(named) or "given in Python"
    store.log_dataset(run_id, run.known.digest(), source, profile)
    store.log_text(run_id, build_record(run).model_dump_json(indent=1), RECORD_FILE)
    # a point of each curve for every cutoff; its step is the cutoff as days since 1970
    for cutoff, summary in (run.evaluation.metrics if run.evaluation else {}).items():
        measures, day = _name_measures(summary), dates.parse_instant(cutoff) // dates.DAY
        tags = {CUTOFF: cutoff, "clvcast.kind": "evaluation"}
        with store.run(config.tracking.experiment, f"evaluate {cutoff}", tags, run_id) as child:
            store.log(child, {"cutoff": cutoff}, measures, day)
        store.log(run_id, measures=measures, step=day)
    if run.curve:
        points = [dataclasses.asdict(point) for point in run.curve]
        store.log_text(run_id, json.dumps(points, indent=1), CURVE_FILE)
    if reading.rejected_lines is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rejected.parquet"
            pyarrow.parquet.write_table(reading.rejected_lines, path)
            store.log_file(run_id, path)


def _format_report(run: TrainingRun, config: Config) -> str:
    """The report of the run's forecasts and evaluation; it names no customer.

    Of a sample, the first remark says what its totals are of.
    """
    forecasts = forecast_rows(run.model, run.known, run.cutoff)
    page = report(
        describe_terms(run.model).carried_by(forecasts),
        run.known,
        config,
        model=run.model,
        backtest=run.evaluation,
    )
    if not run.sample_remark:
        return page.html
    return dataclasses.replace(page, remarks=(describe_sample(run), *page.remarks)).html


def _name_measures(summary: Mapping[str, Any]) -> dict[str, float]:
    """Our measures by name, a baseline's with its name before them."""
    return {
        measure if method == OURS else f"{method}.{measure}": value
        for method, measures in summary["methods"].items()
        for measure, value in measures.items()
        if value is not None and math.isfinite(value)
    }


def _register_model(
    store: Store, run_id: str, run: TrainingRun, name: str, tags: Mapping[str, str]
) -> tuple[Version, bool]:
    """The version of this model, and whether it is new."""
    for registered in store.versions(name):
        if registered.tags.get(promotion.MODEL_VERSION) == run.model.version:
            return registered, False
    first = dates.format_instant(windows.find_first_order_at(run.known) // dates.DAY * dates.DAY)
    version_tags = {**tags, DATA_SPAN: f"{first} to {dates.format_instant(run.cutoff)}"}
    if run.evaluation is not None:
        measures = _name_measures(run.evaluation.metrics[run.evaluation.newest])
        headlines = [measure for measure in _HEADLINES if measure in measures]
        version_tags |= {f"{MEASURE}{measure}": f"{measures[measure]:.4g}" for measure in headlines}
    return store.register(run_id, run.model, name, version_tags), True


def _load_champion(store: Store, name: str, serving: Version) -> Champion:
    record = parse_record(store.text(serving.run_id, RECORD_FILE))
    is_provisional = serving.tags.get(VERDICT) == PROVISIONAL
    try:
        model = load_model(f"models:/{name}/{serving.number}", store.uri)
    except ClvcastError as error:
        kind = "its bundle is damaged" if isinstance(error, BundleError) else "the store lost it"
        return Champion(serving.number, None, record, f"{kind}: {error}", is_provisional)
    return Champion(serving.number, model, record, is_provisional=is_provisional)
