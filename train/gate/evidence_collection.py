"""The trial: measures a candidate beside the champion and the baselines, for the gate to judge.

The champion is judged in one of three ways, and which is said: by its own bundle, where that is old
enough not to have seen the window; else by its settings, fitted again on what was known before the
window; else by the evaluation its own training stored. Then both shipped models forecast today's
orders, and today's orders are counted against those the champion knew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from ...configs.schema import Config
from ...errors import ClvcastError
from ...evaluation import measures, standard_measures
from ...evaluation.backtest_frames import OURS
from ...evaluation.bootstrap import (
    ConfidenceInterval,
    bootstrap_bias,
    bootstrap_gini_difference,
    bootstrap_loss_ratio,
)
from ...evaluation.sampling_error import estimate_calibration_noise
from ...models.scoring import forecast_rows
from ...orders import dates, windows
from ...orders.columns import Float64
from ..backtest.run import Backtest, backtest_at
from ..run import TrainingRun
from .data_shift import (
    Champion,
    Record,
    assign_segments_at,
    find_schema_changes,
    measure_data_shift,
)
from .evidence import CHAMPION, ClvEvidence, Evidence, RivalComparison, SegmentResult

__all__ = ["collect_evidence", "compare_with_rival"]


def collect_evidence(
    run: TrainingRun,
    config: Config,
    champion: Champion | None,
    rolled_back: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Evidence:
    """Measure all the gate looks at; the longest part is a champion that has to be fitted again."""
    evidence = Evidence(
        evaluated=None,
        champion=champion.version if champion else None,
        is_champion_provisional=champion is not None and champion.is_provisional,
        judged_by="there is no champion yet: judged against the baselines alone",
        rolled_back=rolled_back,
        periods=config.periods,
    )
    if champion is not None:
        columns, settings = find_schema_changes(run.model, champion.model)
        evidence = replace(
            evidence,
            judged_by="",
            new_columns=columns,
            other_settings=settings,
            feed=measure_data_shift(run, champion),
        )
    if run.evaluation is None:
        return evidence
    return _evaluate_candidate(run, config, champion, evidence, progress)


def _evaluate_candidate(
    run: TrainingRun,
    config: Config,
    champion: Champion | None,
    evidence: Evidence,
    progress: Callable[[str], None],
) -> Evidence:
    assert run.evaluation is not None
    evaluated = run.evaluation.newest
    cutoff = dates.parse_instant(evaluated)
    table = run.evaluation.at(cutoff)
    sure = config.gate.confidence
    spends = _list_forecasts(table, "expected_spend")
    ours = spends.pop(OURS)
    our_rows = table.filter(pc.equal(table["method"], OURS))
    actual = our_rows["actual_spend"].to_numpy()
    contests = [compare_with_rival(n, ours, spend, actual, sure) for n, spend in spends.items()]
    judged_by = evidence.judged_by
    if champion is not None:
        progress("judging the champion on the same window")
        theirs, judged_by = _forecast_champion(run, champion, cutoff, ours)
        if theirs is not None:
            spends[CHAMPION] = theirs
            contests.insert(0, compare_with_rival(CHAMPION, ours, theirs, actual, sure))
        elif _has_same_horizon(run, champion) and champion.record and champion.record.methods:
            stored = _stored_contest(run.evaluation.metrics[evaluated]["methods"], champion.record)
            contests = ([stored] if stored else []) + contests
    to_beat = spends.get(CHAMPION)
    if to_beat is None and spends:
        to_beat = min(spends.values(), key=lambda spend: _measure_loss(spend, actual))
    methods = run.evaluation.metrics[evaluated]["methods"]
    gaps = {name: measured.get("churn_ECE") for name, measured in methods.items()}
    ece = gaps.pop(OURS)
    return replace(
        evidence,
        evaluated=evaluated,
        bias=bootstrap_bias(ours, actual, sure),
        spent=math.fsum(actual),
        currency=run.model.orders.currency,
        calibration=ece,
        baseline_calibration=min((gap for gap in gaps.values() if gap is not None), default=0.0),
        calibration_noise=estimate_calibration_noise(our_rows["churn_probability"].to_numpy()),
        coverage=_compute_coverage(our_rows, actual),
        coverage_in_season=_compute_coverage(our_rows, actual, _compute_season(spends, actual)),
        contests=tuple(contests),
        clv=_measure_clv(run.evaluation, sure) if config.periods > 1 else None,
        segments=_judge_segments(run, cutoff, ours, to_beat, actual, sure),
        judged_by=judged_by,
    )


def _list_forecasts(table: pa.Table, column: str) -> dict[str, Float64]:
    """Method -> its forecasts; a method that leaves the column empty is not there."""
    named = {
        name: table.filter(pc.equal(table["method"], name))[column] for name in _methods(table)
    }
    return {
        name: np.asarray(values.to_numpy(), dtype=np.float64)
        for name, values in named.items()
        if not values.null_count
    }


def _methods(table: pa.Table) -> list[str]:
    return list(pc.unique(table["method"]).to_pylist())


def _measure_clv(evaluation: Backtest, sure: float) -> ClvEvidence | None:
    """The CLV at the newest cutoff where it can be judged.

    The champion is not there: only a model fitted anew could forecast a cutoff that old.
    """
    judged = [cutoff for cutoff, found in evaluation.metrics.items() if found["clv"]["is_judged"]]
    if not judged:
        return None
    newest = max(judged, key=dates.parse_instant)
    table = evaluation.at(dates.parse_instant(newest))
    forecasts = _list_forecasts(table, "clv")
    ours = forecasts.pop(OURS)
    actual = _list_forecasts(table, "actual_clv")[OURS]
    best = min(forecasts, key=lambda name: _measure_loss(forecasts[name], actual))
    return ClvEvidence(
        evaluated=newest,
        brought=math.fsum(actual),
        bias=bootstrap_bias(ours, actual, sure),
        rival=compare_with_rival(best, ours, forecasts[best], actual, sure),
    )


def compare_with_rival(
    name: str, ours: Float64, theirs: Float64, actual: Float64, sure: float
) -> RivalComparison:
    """Compare the candidate's forecasts with a rival's, on the same customers and window."""
    bias = measures.bias(theirs, actual)
    return RivalComparison(
        rival=name,
        ngini=bootstrap_gini_difference(ours, theirs, actual, sure),
        deviance=_compare_losses(ours, theirs, actual, sure),
        bias=None if np.isnan(bias) else bias,
        loss=_measure_loss(theirs, actual),
    )


def _compare_losses(
    ours: Float64, theirs: Float64, actual: Float64, sure: float
) -> ConfidenceInterval:
    our_losses, other = (
        standard_measures.compute_levelled_deviances(f, actual) for f in (ours, theirs)
    )
    return bootstrap_loss_ratio(our_losses, other, sure)


def _measure_loss(forecast: Float64, actual: Float64) -> float:
    """The mean levelled deviance; infinite for forecasts of nothing, so that others are better."""
    loss = float(standard_measures.compute_levelled_deviances(forecast, actual).mean())
    return float("inf") if np.isnan(loss) else loss


def _forecast_champion(
    run: TrainingRun, champion: Champion, cutoff: int, ours: Float64
) -> tuple[Float64 | None, str]:
    """What the champion expects at the evaluated cutoff, and how it was made to say so."""
    named = f"the champion, version {champion.version}, is judged by"
    model, record = champion.model, champion.record
    stored = f"{named} the evaluation its training stored"
    if model is None:
        return None, f"{stored}, for its bundle cannot be loaded ({champion.trouble})"
    if not _has_same_horizon(run, champion):
        return (
            None,
            f"the champion, version {champion.version}, forecasts another horizon: not compared",
        )
    try:
        if record is not None and dates.parse_instant(record.end) <= cutoff:
            observed = windows.slice_observed(run.known, cutoff)
            spend = forecast_rows(model, observed, cutoff)["expected_spend"].to_numpy()
            return spend, f"{named} its own bundle, which never saw the window"
        if not model.numbers.settings:
            return None, f"{stored}, for its bundle names no settings to fit again"
        orders = model.usable_columns(run.known)
        refitted = f"{named} its settings, fitted again on what was known before the window"
        theirs, candidate_numbers = model.numbers, run.model.numbers
        same_columns = (
            orders.optional_columns == candidate_numbers.optional_columns
            and theirs.attributes == candidate_numbers.attributes
            and theirs.extra_features == candidate_numbers.extra_features
            and theirs.calendar == candidate_numbers.calendar
            and theirs.season_history == candidate_numbers.season_history
        )
        if model.numbers.settings == run.model.numbers.settings and same_columns:
            return ours, f"{refitted}: they are the candidate's own, so the two are one model there"
        settings = Config.model_validate(dict(model.numbers.settings))
        made = backtest_at(
            orders, settings, cutoff, run.cutoff, run.max_rows, everyone=run.everyone
        ).forecasts
        return _list_forecasts(made, "expected_spend").get(OURS), refitted
    except ValidationError:
        return None, f"{stored}, for this version does not know all its settings"
    except ClvcastError as error:
        return None, f"{stored}, for it cannot be fitted to these orders ({error})"


def _has_same_horizon(run: TrainingRun, champion: Champion) -> bool:
    """Whether the champion forecasts the candidate's horizon, as far as its bundle can tell."""
    model = champion.model
    return model is None or model.numbers.horizon_days == run.model.numbers.horizon_days


def _stored_contest(now: Mapping[str, Any], record: Record) -> RivalComparison | None:
    """Two evaluations of two windows: nGini alone, for errors depend on what was spent."""
    ours, theirs = now.get(OURS, {}).get("nGini"), record.methods.get(OURS, {}).get("nGini")
    if ours is None or theirs is None:
        return None
    gini, unknown = ours - theirs, float("nan")
    return RivalComparison(
        CHAMPION,
        ConfidenceInterval(gini, gini, gini),
        ConfidenceInterval(unknown, unknown, unknown),
        None,
        float("inf"),
    )


def _compute_season(spends: Mapping[str, Float64], actual: Float64) -> float:
    """Actual spend over the forecast of the best baseline: what no rule foresaw."""
    baselines = [spend for name, spend in spends.items() if name != CHAMPION]
    if not baselines:
        return 1.0
    best = min(baselines, key=lambda spend: _measure_loss(spend, actual))
    spent, expected = math.fsum(actual), math.fsum(best)
    return spent / expected if min(spent, expected) > 0 else 1.0


def _compute_coverage(own: pa.Table, actual: Float64, season: float = 1.0) -> float | None:
    """The share inside the intervals, these moved by what moved every customer."""
    names = ("expected_spend_lower", "expected_spend_upper")
    if not all(n in own.column_names and not own[n].null_count for n in names):
        return None
    lower, upper = (own[name].to_numpy() for name in names)
    spent = np.maximum(actual, 0.0)  # what mean heads forecast
    return measures.coverage(lower * season, upper * season, spent)


def _judge_segments(
    run: TrainingRun,
    cutoff: int,
    ours: Float64,
    to_beat: Float64 | None,
    actual: Float64,
    sure: float,
) -> tuple[SegmentResult, ...]:
    if to_beat is None:
        return ()
    parts = []
    # both are levelled in total: a segment whose level is wrong shows
    our_losses, other = (
        standard_measures.compute_levelled_deviances(f, actual) for f in (ours, to_beat)
    )
    for name, rows in assign_segments_at(windows.slice_observed(run.known, cutoff), cutoff):
        ratio = bootstrap_loss_ratio(our_losses[rows], other[rows], sure)
        parts.append(SegmentResult(name, len(rows), ratio))
    return tuple(parts)
