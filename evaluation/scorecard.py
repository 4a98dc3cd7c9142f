"""The scorecard: does the model beat the best baseline, and are its forecasts good in themselves?

The best baseline is chosen per measure after the fact, which no user could do beforehand: a verdict
of "better" is hard to come by, and "no worse" is already a good one. Rules can all be poor, so
absolute standards cap the grade: a model that beats them all and misses the total by 40 % is a D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..notebook_cards import format_card
from ..orders.columns import Float64, Mask
from . import bootstrap, measures, standard_measures
from .backtest_frames import OURS
from .bootstrap import ConfidenceInterval

__all__ = ["Scorecard", "ScorecardLine", "build_scorecard"]

_ONE_SIDED = 0.975  # both bounds together: 95 %
_BIAS_C, _BIAS_D = 0.2, 0.35  # absolute bias beyond which a grade is no better than C, D
_MOST_ECE = 0.08  # beyond it no better than B
_COVERAGE = (0.8, 0.97)  # of 90 % intervals; outside no better than B


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
    """The lines of one cutoff, and a grade from A (better, nowhere worse) to D (mostly worse).

    `sentence` tells how it does against the baselines, `standards` how it does in itself.
    """

    lines: tuple[ScorecardLine, ...]
    grade: str
    sentence: str
    standards: str = ""

    def _repr_html_(self) -> str:
        facts = {
            line.measure: f"{line.ours:.4g}, {line.baseline} {line.theirs:.4g}: {line.verdict}"
            for line in self.lines
        }
        return format_card(self.sentence, facts)


def build_scorecard(
    spends: Mapping[str, Float64],
    churns: Mapping[str, Float64],
    actual: Float64,
    churned: Mask,
    intervals: tuple[Float64, Float64] | None = None,
    clvs: tuple[Mapping[str, Float64], Float64] | None = None,
) -> Scorecard:
    """Compare `clvcast` with other methods: method -> forecast (n_customers), and the outcome.

    `intervals` are the lower and upper ends of its own 90 % intervals; `clvs` are each method's CLV
    and the actual one, where its span is over.
    """
    lines = []
    if actual.sum() > 0:
        lines += [
            _line("ranking (nGini)", spends, lambda f: measures.normalised_gini(f, actual),
                  lambda a, b: bootstrap.bootstrap_gini_difference(a, b, actual, _ONE_SIDED),
                  more=True),
            _line("error per customer (deviance)", spends,
                  lambda f: float(
                      standard_measures.compute_levelled_deviances(f, actual).mean()
                  ),
                  lambda a, b: _compare_losses(a, b, actual), more=False),
            _line("total (bias)", spends, lambda f: abs(measures.bias(f, actual)),
                  lambda a, b: _compare_totals(a, b, actual), more=False),
        ]  # fmt: skip
    if len(churns) > 1 and 0 < churned.sum() < len(churned):
        lines.append(
            _line("churn (log loss)", churns, lambda f: standard_measures.log_loss(f, churned),
                  lambda a, b: _compare_log_loss(a, b, churned), more=False)
        )  # fmt: skip
    if clvs is not None and clvs[1].sum() > 0:
        values, brought = clvs
        lines += [
            _line("CLV ranking (nGini)", values, lambda f: measures.normalised_gini(f, brought),
                  lambda a, b: bootstrap.bootstrap_gini_difference(a, b, brought, _ONE_SIDED),
                  more=True),
            _line("CLV total (bias)", values, lambda f: abs(measures.bias(f, brought)),
                  lambda a, b: _compare_totals(a, b, brought), more=False),
        ]  # fmt: skip
    # what cannot be measured has no line
    lines = [line for line in lines if np.isfinite([line.ours, line.lower, line.upper]).all()]
    against, sentence = _grade(lines)
    cap, standards = _judge_standards(spends, churns, actual, churned, intervals, clvs)
    if against == "-":
        return Scorecard(tuple(lines), against, sentence, standards)
    grade = max(against, cap)
    return Scorecard(
        tuple(lines), grade, f"Grade {grade}. Against the baselines: {sentence}", standards
    )


def _judge_standards(
    spends: Mapping[str, Float64],
    churns: Mapping[str, Float64],
    actual: Float64,
    churned: Mask,
    intervals: tuple[Float64, Float64] | None,
    clvs: tuple[Mapping[str, Float64], Float64] | None,
) -> tuple[str, str]:
    """The best grade that absolute standards allow, and a sentence with what they are."""
    parts, cap = [], "A"
    totals = {"total": (spends[OURS], actual)}
    if clvs is not None:
        totals["CLV"] = (clvs[0][OURS], clvs[1])
    for noun, (forecast, happened) in totals.items():
        bias = measures.bias(forecast, happened)
        if np.isfinite(bias):
            bias_grade = "D" if abs(bias) > _BIAS_D else "C" if abs(bias) > _BIAS_C else "A"
            limit = {"A": "", "C": f", beyond {_BIAS_C:.0%}", "D": f", beyond {_BIAS_D:.0%}"}
            parts.append(f"its {noun} missed by {bias:+.1%}{limit[bias_grade]}")
            cap = max(cap, bias_grade)
    if OURS in churns:
        error = measures.calibration_error(churns[OURS], churned)
        is_off = error > _MOST_ECE
        beyond = f", beyond {_MOST_ECE:.0%}" if is_off else ""
        parts.append(f"its churn probabilities are off by {error:.1%}{beyond}")
        cap = max(cap, "B" if is_off else "A")
    if intervals is not None:
        lower, upper = intervals
        spent = np.maximum(actual, 0.0)
        share = measures.coverage(lower, upper, spent)
        # who spends nothing is inside any interval from 0: no width can hold fewer than these
        floor = float(np.mean((spent == 0) & (lower <= 0)))
        least, most = _COVERAGE[0], max(_COVERAGE[1], floor + 0.01)
        is_off = not least <= share <= most
        beyond = f", outside {least:.0%} to {most:.0%}" if is_off else ""
        parts.append(f"its 90 % intervals held {share:.1%}{beyond}")
        cap = max(cap, "B" if is_off else "A")
    capped = "" if cap == "A" else f": no better than {cap}"
    return cap, f"In itself: {', '.join(parts)}{capped}." if parts else ""


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
    difference = compare(forecasts[OURS], forecasts[best])
    if difference.lower > 0:
        verdict = "significantly better"
    elif difference.upper < 0:
        verdict = "significantly worse"
    elif difference.estimate == 0:
        verdict = "the same"
    else:
        verdict = (
            "better (not significant)" if difference.estimate > 0 else "worse (not significant)"
        )
    return ScorecardLine(
        name,
        ours,
        best,
        values[best],
        difference.estimate,
        difference.lower,
        difference.upper,
        verdict,
    )


def _compare_losses(ours: Float64, theirs: Float64, actual: Float64) -> ConfidenceInterval:
    """How much smaller our error is, totals levelled, as a share of theirs."""
    left, right = (standard_measures.compute_levelled_deviances(f, actual) for f in (ours, theirs))
    found = bootstrap.bootstrap_loss_ratio(left, right, _ONE_SIDED)
    return ConfidenceInterval(-found.estimate, -found.upper, -found.lower)


def _compare_totals(ours: Float64, theirs: Float64, actual: Float64) -> ConfidenceInterval:
    """How much nearer our total is to the actual one, as a share of it."""
    sums = np.column_stack((ours, theirs, actual))
    samples = np.concatenate([weights @ sums for weights in bootstrap.draw_samples(len(actual))])
    return bootstrap.compute_interval(
        _compute_gain(sums.sum(axis=0)[None, :])[0], _compute_gain(samples), _ONE_SIDED
    )


def _compute_gain(sums: Float64) -> Float64:
    ours, theirs, actual = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(theirs / actual - 1.0) - np.abs(ours / actual - 1.0))


def _compare_log_loss(ours: Float64, theirs: Float64, churned: Mask) -> ConfidenceInterval:
    gains = standard_measures.compute_log_losses(
        theirs, churned
    ) - standard_measures.compute_log_losses(ours, churned)
    samples = [weights @ gains / len(gains) for weights in bootstrap.draw_samples(len(gains))]
    return bootstrap.compute_interval(float(gains.mean()), np.concatenate(samples), _ONE_SIDED)


def _grade(lines: list[ScorecardLine]) -> tuple[str, str]:
    if not lines:
        return "-", "Nothing was spent in the window, so nothing can be compared."
    better = [line.measure for line in lines if line.verdict == "significantly better"]
    worse = [line.measure for line in lines if line.verdict == "significantly worse"]
    if worse:
        grade = "D" if len(worse) > len(better) else "C"
        return grade, f"significantly worse than the best one in {', '.join(worse)}."
    if better:
        return "A", (
            f"significantly better than the best one in {', '.join(better)}, significantly worse "
            "in nothing."
        )
    return (
        "B",
        "neither significantly better nor significantly worse than the best one in anything.",
    )
