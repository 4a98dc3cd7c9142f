"""The gate: may this candidate go live? A function of measured numbers and bounds alone.

Every rule says what was measured, what must hold, and what that means in a sentence. A rule whose
number could not be measured passes and says so; only the evaluation itself must be there. Against
baselines, and in segments, what chance moves is judged by the end of its interval that is kinder to
the candidate. Against the champion the estimate of the error decides: a candidate that is more
likely worse than not has no reason to replace what serves. Errors are compared with both totals
levelled, so that nobody wins by forecasting too low; the total has a rule of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...configs.schema import GateConfig
from ...evaluation.bootstrap import ConfidenceInterval
from ...evaluation.measures import NOMINAL_COVERAGE
from .advice import advise
from .data_rules import judge_feed, judge_history, judge_schema
from .evidence import CHAMPION, Evidence, RivalComparison
from .rule import Rule, build_unknown_rule, get_outcome, select_large_segments

__all__ = ["Rule", "Verdict", "judge"]

_MOST_BIAS = 0.5  # beyond it no season excuses a total


@dataclass(frozen=True)
class Verdict:
    """Every rule, and whether the candidate may go live, if only provisionally."""

    rules: tuple[Rule, ...]
    judged_by: str
    ranks_best: bool = False  # a higher nGini than every baseline
    may_be_provisional: bool = False  # no champion there, or a provisional one

    @property
    def failed(self) -> tuple[Rule, ...]:
        """The rules that failed."""
        return tuple(rule for rule in self.rules if rule.verdict == "fail")

    @property
    def passed(self) -> bool:
        """Whether no rule failed."""
        return not self.failed

    @property
    def is_provisional(self) -> bool:
        """Whether it may serve until a better one is there: it ranks better than every baseline,
        and failed nothing but comparisons with them.
        """
        only_relative = all(rule.is_relative for rule in self.failed)
        return bool(self.failed) and only_relative and self.ranks_best and self.may_be_provisional

    @property
    def reason(self) -> str:
        """In one line: why it passed, or each rule that it failed."""
        if self.failed:
            return "; ".join(rule.sentence for rule in self.failed)
        measured = sum(rule.verdict == "pass" for rule in self.rules)
        return (
            f"passed {measured} of {len(self.rules)} rules, the others could not be measured"
            if (measured < len(self.rules))
            else f"passed all {measured} rules"
        )

    @property
    def next_step(self) -> str:
        """The one thing to do about the first rule that failed; empty where none did."""
        return advise(self.failed[0].name) if self.failed else ""


def judge(evidence: Evidence, bounds: GateConfig) -> Verdict:
    """Hold the evidence against the bounds."""
    rules = [_judge_evaluation(evidence)]
    if evidence.champion is not None:  # first what may be wrong with the orders themselves
        rules += judge_history(evidence.feed, bounds)
    if evidence.evaluated is not None:
        rules += [_judge_bias(evidence, bounds), _judge_calibration(evidence, bounds)]
        rules += [_judge_coverage(evidence, bounds)]
        for contest in evidence.contests:
            if contest.rival == CHAMPION:
                rules += _judge_champion(contest, bounds)
            else:
                rules += [_judge_ngini(contest, bounds), _judge_deviance(contest, bounds)]
        rules += [_judge_segments(evidence, bounds), *_clv(evidence, bounds)]
    rules.append(_judge_rollback(evidence))
    if evidence.champion is not None:
        rules += [judge_schema(evidence), *judge_feed(evidence.feed, bounds)]
    baselines = [contest for contest in evidence.contests if contest.rival != CHAMPION]
    return Verdict(
        tuple(rules),
        evidence.judged_by,
        ranks_best=bool(baselines) and all(c.ngini.estimate > 0 for c in baselines),
        may_be_provisional=evidence.champion is None or evidence.is_champion_provisional,
    )


def _judge_evaluation(evidence: Evidence) -> Rule:
    bound, cutoff = "a window no model has seen", evidence.evaluated
    if cutoff is None:
        sentence = (
            "history is too short to hold a window out, so nothing shows that the model is good"
        )
        return Rule("evaluation", None, bound, "fail", sentence)
    return Rule("evaluation", 1.0, bound, "pass", f"evaluated on what happened from {cutoff} on")


def _judge_champion(contest: RivalComparison, bounds: GateConfig) -> Iterable[Rule]:
    """A loss in one measure is made up by a significant gain in the other.

    The estimate of the error decides. That of nGini would depend on a few large customers, so only
    a significant loss counts.
    """
    gini, deviance = contest.ngini, contest.deviance
    name, least = f"nGini against {CHAMPION}", f">= -{bounds.champion_ngini:g}"
    if gini.estimate != gini.estimate:
        yield build_unknown_rule(name, least, "nothing was spent in the window")
    else:
        failed = gini.upper < -bounds.champion_ngini and not deviance.upper < 0
        # of two windows (a stored evaluation) chance is not known, and the estimate decides
        worse = "worse" if gini.lower == gini.upper else "significantly worse"
        worse = worse if failed else f"not {worse}"
        sentence = (
            f"it ranks customers {worse} than {CHAMPION}: nGini {gini.estimate:+.3f}, "
            f"by chance {gini.lower:+.3f} to {gini.upper:+.3f}"
        )
        bound = f"upper end {gini.upper:+.3f} {least}"
        yield Rule(name, gini.estimate, bound, get_outcome(failed), sentence)
    name, most = f"error against {CHAMPION}", f"<= {bounds.champion_deviance:g}"
    if deviance.estimate != deviance.estimate:
        yield build_unknown_rule(name, most, "the two made no forecasts of one window")
    else:
        failed = deviance.estimate > bounds.champion_deviance and not gini.lower > 0
        sentence = (
            f"its errors are {'larger' if failed else 'no larger'} than those of {CHAMPION}: "
            f"deviance {deviance.estimate:+.1%}, by chance {deviance.lower:+.1%} to "
            f"{deviance.upper:+.1%}"
        )
        yield Rule(name, deviance.estimate, most, get_outcome(failed), sentence)


def _judge_ngini(contest: RivalComparison, bounds: GateConfig, of: str = "") -> Rule:
    name, gap = f"{of}nGini against {contest.rival}", contest.ngini
    least = f">= -{bounds.ngini:g}"
    if gap.upper != gap.upper:
        return build_unknown_rule(name, f"upper end {least}", "nothing was spent in the window")
    failed = gap.upper < -bounds.ngini
    worse = "significantly worse than" if failed else "not significantly worse than"
    sentence = (
        f"it ranks customers{_by(of)} {worse} {contest.rival}: nGini {gap.estimate:+.3f}, "
        f"by chance {gap.lower:+.3f} to {gap.upper:+.3f}"
    )
    return Rule(
        name, gap.estimate, f"upper end {gap.upper:+.3f} {least}", get_outcome(failed), sentence
    )


def _by(of: str) -> str:
    return f" by {of.strip()}" if of else ""


def _judge_deviance(contest: RivalComparison, bounds: GateConfig, of: str = "") -> Rule:
    name, ratio = f"{of}error against {contest.rival}", contest.deviance
    most = f"<= {bounds.deviance:g}"
    if ratio.lower != ratio.lower:
        return build_unknown_rule(name, f"lower end {most}", f"{contest.rival} forecast nothing")
    failed = ratio.lower > bounds.deviance
    worse = "significantly larger than" if failed else "not significantly larger than"
    sentence = (
        f"its {of}errors, totals levelled, are {worse} those of {contest.rival}: deviance "
        f"{ratio.estimate:+.1%}, by chance {ratio.lower:+.1%} to {ratio.upper:+.1%}"
    )
    bound = f"lower end {ratio.lower:+.3f} {most}"
    return Rule(name, ratio.estimate, bound, get_outcome(failed), sentence, is_relative=True)


def _judge_bias(evidence: Evidence, bounds: GateConfig) -> Rule:
    """The total, at the end of its interval nearer to none.

    A season no history has shown moves every forecast alike: what the best baseline (by levelled
    deviance, so not for its low total) missed in the same direction is allowed as well.
    """
    baselines = [c for c in evidence.contests if c.rival != CHAMPION and c.bias is not None]
    best = min(baselines, key=lambda contest: contest.loss, default=None)
    money = (evidence.spent, evidence.currency)
    return _judge_total("bias", "total", evidence.bias, best, bounds.bias, money)


def _judge_total(
    name: str,
    noun: str,
    bias: ConfidenceInterval | None,
    best: RivalComparison | None,
    bound_of_bias: float,
    spent: tuple[float | None, str],
) -> Rule:
    """`spent` is the actual total, where it is known, and the currency."""
    if bias is None or bias.estimate != bias.estimate:
        return build_unknown_rule(
            name, f"near end <= {bound_of_bias:.3f}", "nothing was spent in the window"
        )
    same = (best.bias or 0.0) * bias.estimate > 0 if best else False
    missed = min(abs(best.bias or 0.0), _MOST_BIAS) if best and same else 0.0
    allowed = max(bound_of_bias, missed)
    least = 0.0 if bias.lower <= 0 <= bias.upper else min(abs(bias.lower), abs(bias.upper))
    beside = f"; {best.rival} missed by {best.bias:+.1%}" if best and best.bias is not None else ""
    money = ""
    if spent[0] is not None:
        money = f", {bias.estimate * spent[0]:+,.0f} {spent[1]}".rstrip()
    sentence = (
        f"its {noun} missed by {bias.estimate:+.1%}{money}, by chance {bias.lower:+.1%} to "
        f"{bias.upper:+.1%}: surely by {least:.1%}, where {allowed:.1%} is allowed{beside}"
    )
    bound = f"near end {least:.3f} <= {allowed:.3f}"
    return Rule(name, bias.estimate, bound, get_outcome(least > allowed), sentence)


def _clv(evidence: Evidence, bounds: GateConfig) -> Iterable[Rule]:
    """The CLV where its whole span is over, against the baseline with the smallest error.

    The errors are levelled, and a total that is too low fails as one that is too high does.
    """
    clv = evidence.clv
    if evidence.periods == 1:  # it is the spend, which is judged above
        return
    if clv is None:
        why = "the span of no evaluated cutoff is over"
        yield build_unknown_rule("CLV bias", f"near end <= {bounds.clv_bias:.3f}", why)
        return
    noun, money = f"CLV from {clv.evaluated}", (clv.brought, evidence.currency)
    yield _judge_total("CLV bias", noun, clv.bias, clv.rival, bounds.clv_bias, money)
    yield _judge_ngini(clv.rival, bounds, "CLV ")
    yield _judge_deviance(clv.rival, bounds, "CLV ")


def _judge_calibration(evidence: Evidence, bounds: GateConfig) -> Rule:
    # a season moves churn too: what the best baseline missed is allowed as well
    allowed = max(bounds.calibration, evidence.baseline_calibration) + evidence.calibration_noise
    bound = f"<= {allowed:.3f}"
    gap = evidence.calibration
    if gap is None:
        return build_unknown_rule("calibration", bound, "churn probabilities could not be compared")
    sentence = (
        f"its churn probabilities are off by {gap:.1%} on average, where {allowed:.1%} is allowed "
        f"({evidence.calibration_noise:.1%} of it for chance)"
    )
    return Rule("calibration", gap, bound, get_outcome(gap > allowed), sentence)


def _judge_coverage(evidence: Evidence, bounds: GateConfig) -> Rule:
    least = NOMINAL_COVERAGE - bounds.coverage
    bound, share = f">= {least:g}", evidence.coverage
    if share is None:
        return build_unknown_rule("coverage", bound, "the forecasts have no intervals")
    # a season that no rule foresaw moves every customer alike, out of intervals of the right width
    in_season = evidence.coverage_in_season
    best = share if in_season is None else max(share, in_season)
    beside = "" if best == share else f" ({best:.1%} with what no baseline foresaw taken out)"
    sentence = (
        f"{share:.1%} of customers spent within their 90 % interval{beside}, and {least:.0%} must"
    )
    return Rule("coverage", best, bound, get_outcome(best < least), sentence)


def _judge_segments(evidence: Evidence, bounds: GateConfig) -> Rule:
    judged = select_large_segments(evidence.segments, bounds)
    most = f"<= {bounds.segment:g}"
    if not judged:
        why = f"none has {bounds.segment_customers} customers"
        return build_unknown_rule("segments", f"lower end {most}", why)
    worst = max(judged, key=lambda part: part.number.lower)
    failed = [part for part in judged if part.number.lower > bounds.segment]
    if failed:
        sentence = "its errors are significantly larger in " + ", ".join(
            f"{part.name} ({part.number.estimate:+.0%})" for part in failed
        )
    else:
        sentence = (
            f"in none of {len(judged)} segments are its errors much larger; it does worst in "
            f"{worst.name} ({worst.number.estimate:+.0%})"
        )
    bound = f"lower end {worst.number.lower:+.3f} {most}"
    # without a champion the rival is a baseline; a provisional one was not judged by segments
    is_relative = evidence.champion is None or evidence.is_champion_provisional
    return Rule(
        "segments",
        worst.number.estimate,
        bound,
        get_outcome(bool(failed)),
        sentence,
        is_relative=is_relative,
    )


def _judge_rollback(evidence: Evidence) -> Rule:
    bound = "never taken down before"
    if evidence.rolled_back is None:
        return Rule("rollback", 0.0, bound, "pass", "the same model was never rolled back")
    sentence = f"the same model was rolled back before ({evidence.rolled_back}); promote it by hand"
    return Rule("rollback", 1.0, bound, "fail", sentence)
