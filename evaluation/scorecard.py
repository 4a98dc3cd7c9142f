"""The scorecard: does the model beat the best baseline, and is the difference significant?

The best baseline is chosen per measure after the fact, which no user could do beforehand: a verdict
of "better" is hard to come by, and "no worse" is already a good one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..orders.columns import Float64, Mask
from . import bootstrap, measures, standard_measures
from .backtest_frames import OURS
from .bootstrap import ConfidenceInterval

__all__ = ["Scorecard", "ScorecardLine", "build_scorecard"]

_ONE_SIDED = 0.975  # both bounds together: 95 %


@dataclass(frozen=True)
class ScorecardLine:
    """One measure: ours against the best baseline's, and the difference with its 95 % interval."""

    measure: str
    ours: float
    baseline: str
    theirs: float
    difference: float  # positive is better
    lower: float
    upper: float
    verdict: str


@dataclass(frozen=True)
class Scorecard:
    """The lines of one cutoff, and a grade from A (better, nowhere worse) to D (mostly worse)."""

    lines: tuple[ScorecardLine, ...]
    grade: str
    sentence: str


def build_scorecard(
    spends: Mapping[str, Float64],
    churns: Mapping[str, Float64],
    actual: Float64,
    churned: Mask,
    *,
    clvs: tuple[Mapping[str, Float64], Float64] | None = None,
) -> Scorecard:
    """Compare `clvcast` with other methods: method -> forecast (n_customers), and the outcome.

    `clvs` are each method's CLV and the actual one, where its span is over.
    """
    lines = []
    if actual.sum() > 0:
        lines += [
            _line("ranking (nGini)", spends, lambda f: measures.normalised_gini(f, actual),
                  lambda a, b: bootstrap.bootstrap_gini_difference(a, b, actual, _ONE_SIDED),
                  more=True),
            _line("error per customer (MAE)", spends,
                  lambda f: standard_measures.mean_absolute_error(f, actual),
                  lambda a, b: _negated(bootstrap.bootstrap_error_ratio(a, b, actual, _ONE_SIDED)),
                  more=False),
            _line("total (bias)", spends, lambda f: abs(measures.bias(f, actual)),
                  lambda a, b: _nearer(a, b, actual), more=False),
        ]  # fmt: skip
    if len(churns) > 1 and 0 < churned.sum() < len(churned):
        lines.append(
            _line("churn (log loss)", churns, lambda f: standard_measures.log_loss(f, churned),
                  lambda a, b: _log_loss_gain(a, b, churned), more=False)
        )  # fmt: skip
    if clvs is not None and clvs[1].sum() > 0:
        values, brought = clvs
        lines += [
            _line("CLV ranking (nGini)", values, lambda f: measures.normalised_gini(f, brought),
                  lambda a, b: bootstrap.bootstrap_gini_difference(a, b, brought, _ONE_SIDED),
                  more=True),
            _line("CLV total (bias)", values, lambda f: abs(measures.bias(f, brought)),
                  lambda a, b: _nearer(a, b, brought), more=False),
        ]  # fmt: skip
    # what cannot be measured has no line
    lines = [line for line in lines if np.isfinite([line.ours, line.lower, line.upper]).all()]
    return Scorecard(tuple(lines), *_grade(lines))


def _line(
    name: str,
    forecasts: Mapping[str, Float64],
    measure: Callable[[Float64], float],
    compare: Callable[[Float64, Float64], ConfidenceInterval],
    *,
    more: bool,
) -> ScorecardLine:
    values = {method: measure(forecast) for method, forecast in forecasts.items()}
    ours = values.pop(OURS)
    best = (max if more else min)(values, key=lambda method: values[method])
    found = compare(forecasts[OURS], forecasts[best])
    if found.lower > 0:
        verdict = "surely better"
    elif found.upper < 0:
        verdict = "surely worse"
    elif found.estimate == 0:
        verdict = "the same"
    else:
        verdict = "better, perhaps by luck" if found.estimate > 0 else "worse, perhaps by luck"
    return ScorecardLine(
        name, ours, best, values[best], found.estimate, found.lower, found.upper, verdict
    )


def _negated(found: ConfidenceInterval) -> ConfidenceInterval:
    return ConfidenceInterval(-found.estimate, -found.upper, -found.lower)


def _nearer(ours: Float64, theirs: Float64, actual: Float64) -> ConfidenceInterval:
    """How much nearer our total is to the actual one, as a share of it."""
    sums = np.column_stack((ours, theirs, actual))
    samples = np.concatenate([weights @ sums for weights in bootstrap.draw_samples(len(actual))])
    return bootstrap.compute_interval(
        _gain(sums.sum(axis=0)[None, :])[0], _gain(samples), _ONE_SIDED
    )


def _gain(sums: Float64) -> Float64:
    ours, theirs, actual = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(theirs / actual - 1.0) - np.abs(ours / actual - 1.0))


def _log_loss_gain(ours: Float64, theirs: Float64, churned: Mask) -> ConfidenceInterval:
    gains = standard_measures.compute_log_losses(
        theirs, churned
    ) - standard_measures.compute_log_losses(ours, churned)
    samples = [weights @ gains / len(gains) for weights in bootstrap.draw_samples(len(gains))]
    return bootstrap.compute_interval(float(gains.mean()), np.concatenate(samples), _ONE_SIDED)


def _grade(lines: list[ScorecardLine]) -> tuple[str, str]:
    if not lines:
        return "-", "Nothing was spent in the window, so nothing can be compared."
    better = [line.measure for line in lines if line.verdict == "surely better"]
    worse = [line.measure for line in lines if line.verdict == "surely worse"]
    if worse:
        grade = "D" if len(worse) > len(better) else "C"
        return grade, f"Grade {grade}: surely worse than the best baseline in {', '.join(worse)}."
    if better:
        reason = (
            f"surely better than the best baseline in {', '.join(better)}, surely worse in nothing"
        )
        return "A", f"Grade A: {reason}."
    return (
        "B",
        "Grade B: neither surely better nor surely worse than the best baseline in anything.",
    )
