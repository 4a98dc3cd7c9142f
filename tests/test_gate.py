"""The gate: each rule on numbers made for it, at its bound and beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clvcast.configs.schema import GateConfig
from clvcast.evaluation.bootstrap import ConfidenceInterval, bootstrap_bias
from clvcast.train.gate.advice import advise
from clvcast.train.gate.evidence import (
    CHAMPION,
    ClvEvidence,
    DataShift,
    Evidence,
    RivalComparison,
    SegmentResult,
)
from clvcast.train.gate.evidence_collection import compare_with_rival
from clvcast.train.gate.rules import judge

BOUNDS = GateConfig()


def near(value: float, width: float = 0.01) -> ConfidenceInterval:
    return ConfidenceInterval(value, value - width, value + width)


def contest(rival: str = "span_rate", ngini: float = 0.0, deviance: float = 0.0) -> RivalComparison:
    return RivalComparison(rival, near(ngini), near(deviance), -0.05, 100.0)


def clv(
    bias: ConfidenceInterval | None = None, rival: RivalComparison | None = None
) -> dict[str, object]:
    rival = rival or contest("pareto_nbd")
    return {"clv": ClvEvidence("2010-12-10", 1e6, bias or near(0.1), rival), "periods": 4}


GOOD = Evidence(
    evaluated="2011-09-11",
    bias=near(0.05),
    calibration=0.03,
    coverage=0.9,
    contests=(contest(CHAMPION), contest()),
    segments=(SegmentResult("tier high", 500, near(0.0)),),
    champion="3",
    judged_by="by its own bundle",
    feed=DataShift(
        1.0, 1.0, 1.0, 1.1, 0.01, 0.99, (SegmentResult("tier high", 500, near(1.1, 0.0)),)
    ),
    **clv(),  # type: ignore[arg-type]
)


def failed(evidence: Evidence, bounds: GateConfig = BOUNDS) -> list[str]:
    return [rule.name for rule in judge(evidence, bounds).rules if rule.verdict == "fail"]


def test_a_good_candidate_passes_every_rule() -> None:
    verdict = judge(GOOD, BOUNDS)
    assert verdict.passed
    assert {rule.verdict for rule in verdict.rules} == {"pass"}
    assert verdict.reason == f"passed all {len(verdict.rules)} rules"
    assert judge(GOOD, BOUNDS) == verdict  # nothing but its arguments


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"evaluated": None}, "evaluation"),
        ({"contests": (contest(CHAMPION, ngini=-0.03),)}, f"nGini against {CHAMPION}"),
        ({"contests": (contest(CHAMPION, deviance=0.08),)}, f"error against {CHAMPION}"),
        ({"contests": (contest(ngini=-0.03),)}, "nGini against span_rate"),
        ({"contests": (contest(deviance=0.08),)}, "error against span_rate"),
        ({"bias": near(-0.25)}, "bias"),
        ({"bias": near(0.25)}, "bias"),
        (clv(near(-0.4)), "CLV bias"),
        (clv(near(0.4)), "CLV bias"),
        (clv(rival=contest(ngini=-0.03)), "CLV nGini against span_rate"),
        (clv(rival=contest(deviance=0.08)), "CLV error against span_rate"),
        ({"calibration": 0.11}, "calibration"),
        ({"coverage": 0.79}, "coverage"),
        ({"coverage": 0.7, "coverage_in_season": 0.79}, "coverage"),
        ({"segments": (SegmentResult("tier high", 50, near(0.3)),)}, "segments"),
        ({"new_columns": ("channel",)}, "schema"),
        ({"other_settings": ("horizon_days 60 instead of 90",)}, "schema"),
        ({"rolled_back": "2026-11-21: twice what was sold"}, "rollback"),
        ({"feed": replace(GOOD.feed, lines=0.9)}, "history lines"),
        ({"feed": replace(GOOD.feed, lines=1.1)}, "history lines"),
        ({"feed": replace(GOOD.feed, money=100.0)}, "history money"),
        ({"feed": replace(GOOD.feed, customers=0.9)}, "customers"),
        ({"feed": replace(GOOD.feed, total=1.6)}, "total"),
        ({"feed": replace(GOOD.feed, total=0.6)}, "total"),
        ({"feed": replace(GOOD.feed, total=0.0)}, "total"),
        ({"feed": replace(GOOD.feed, churn_rate=-0.2)}, "churn rate"),
        ({"feed": replace(GOOD.feed, rank_correlation=0.7)}, "rank correlation"),
        (
            {
                "feed": replace(
                    GOOD.feed, segments=(SegmentResult("channel web", 50, near(2.5, 0.0)),)
                )
            },
            "segment totals",
        ),
    ],
)
def test_each_rule_fails_alone_with_its_number_in_a_sentence(
    change: dict[str, object], rule: str
) -> None:
    evidence = replace(GOOD, **change)  # type: ignore[arg-type]
    assert failed(evidence) == [rule]
    verdict = judge(evidence, BOUNDS)
    assert not verdict.passed
    (broken,) = [r for r in verdict.rules if r.verdict == "fail"]
    assert broken.sentence in verdict.reason
    assert broken.bound
    assert verdict.next_step == advise(rule)


def exactly(value: float) -> ConfidenceInterval:
    return ConfidenceInterval(value, value, value)


def rival(name: str = "span_rate", **numbers: float) -> dict[str, object]:
    made = {measure: exactly(value) for measure, value in numbers.items()}
    return {"contests": (replace(contest(name), **made),)}  # type: ignore[arg-type]


def total(bias: float, rule: float) -> dict[str, object]:
    """The candidate's bias, and that of the best baseline."""
    return {"bias": exactly(bias), "contests": (replace(contest(), bias=rule),)}


def shift(**numbers: float) -> dict[str, object]:
    return {"feed": replace(GOOD.feed, **numbers)}  # type: ignore[arg-type]


def segment(error: float, customers: int = 50) -> dict[str, object]:
    return {"segments": (SegmentResult("tier high", customers, exactly(error)),)}


def segment_total(ratio: float, customers: int = 50) -> dict[str, object]:
    part = SegmentResult("tier high", customers, exactly(ratio))
    return {"feed": replace(GOOD.feed, segments=(part,))}


@pytest.mark.parametrize(
    ("rule", "passes", "fails"),
    [
        ("nGini against span_rate", rival(ngini=-0.01), rival(ngini=-0.0101)),
        ("error against span_rate", rival(deviance=0.05), rival(deviance=0.0501)),
        (
            f"nGini against {CHAMPION}",
            rival(CHAMPION, ngini=-0.005),
            rival(CHAMPION, ngini=-0.0051),
        ),
        (
            f"error against {CHAMPION}",
            rival(CHAMPION, deviance=0.0),
            rival(CHAMPION, deviance=0.0001),
        ),
        ("bias", total(-0.36, -0.36), total(-0.361, -0.36)),
        ("bias", total(0.2, -0.63), total(0.201, -0.63)),  # a rule that forecasts too little
        ("bias", total(0.5, 0.9), total(0.501, 0.9)),  # no season excuses that
        ("bias", {"bias": exactly(0.2)}, {"bias": exactly(0.2001)}),
        ("bias", {"bias": exactly(-0.2)}, {"bias": exactly(-0.2001)}),
        ("CLV bias", clv(exactly(-0.35)), clv(exactly(-0.3501))),
        ("CLV bias", clv(exactly(0.35)), clv(exactly(0.3501))),
        (
            "CLV bias",  # what the best rule missed in the same direction is allowed
            clv(exactly(0.45), replace(contest(), bias=0.45)),
            clv(exactly(0.4501), replace(contest(), bias=0.45)),
        ),
        (
            "CLV bias",  # a rule that forecasts too little excuses nothing
            clv(exactly(0.35), replace(contest(), bias=-0.6)),
            clv(exactly(0.3501), replace(contest(), bias=-0.6)),
        ),
        ("calibration", {"calibration": 0.1}, {"calibration": 0.1001}),
        ("coverage", {"coverage": 0.8}, {"coverage": 0.7999}),
        (
            "coverage",
            {"coverage": 0.5, "coverage_in_season": 0.8},
            {"coverage": 0.5, "coverage_in_season": 0.7999},
        ),
        ("segments", segment(0.25), segment(0.2501)),
        ("segments", segment(9.0, customers=49), segment(9.0, customers=50)),
        ("history lines", shift(lines=1.0499), shift(lines=1.0501)),
        ("history lines", shift(lines=0.9501), shift(lines=0.9499)),
        ("history money", shift(money=1.0499), shift(money=1.0501)),
        ("history money", shift(money=0.9501), shift(money=0.9499)),
        ("customers", shift(customers=0.95), shift(customers=0.9499)),
        ("total", shift(total=1.5), shift(total=1.5001)),
        ("total", shift(total=0.6667), shift(total=0.6666)),
        ("churn rate", shift(churn_rate=0.15), shift(churn_rate=0.1501)),
        ("churn rate", shift(churn_rate=-0.15), shift(churn_rate=-0.1501)),
        ("rank correlation", shift(rank_correlation=0.8), shift(rank_correlation=0.7999)),
        ("segment totals", segment_total(2.0), segment_total(2.0001)),
        ("segment totals", segment_total(0.5), segment_total(0.4999)),
        ("segment totals", segment_total(9.0, customers=49), segment_total(9.0, customers=50)),
    ],
)
def test_a_rule_passes_at_its_bound_and_fails_beyond(
    rule: str, passes: dict[str, object], fails: dict[str, object]
) -> None:
    assert failed(replace(GOOD, **passes)) == []  # type: ignore[arg-type]
    assert failed(replace(GOOD, **fails)) == [rule]  # type: ignore[arg-type]


def test_what_luck_could_explain_does_not_fail() -> None:
    unsure = ConfidenceInterval(-0.05, -0.12, 0.01)  # worse, but not surely
    assert failed(replace(GOOD, contests=(replace(contest(), ngini=unsure),))) == []
    larger = replace(contest(), deviance=ConfidenceInterval(0.2, 0.04, 0.4))
    assert failed(replace(GOOD, contests=(larger,))) == []
    assert failed(replace(GOOD, bias=ConfidenceInterval(-0.3, -0.45, -0.15))) == []
    assert failed(replace(GOOD, calibration=0.14, calibration_noise=0.05)) == []
    assert failed(replace(GOOD, calibration=0.14, baseline_calibration=0.15)) == []


def test_a_rule_shows_the_number_that_is_held_against_its_bound() -> None:
    """The estimate alone may look out of bounds: the end of its interval is what is judged, and is
    there to read.
    """
    rival = replace(
        contest(deviance=0.06), ngini=ConfidenceInterval(-0.05, -0.12, 0.012), bias=-0.369
    )
    season = replace(GOOD, contests=(rival,), bias=ConfidenceInterval(-0.377, -0.41, -0.344))
    rules = {rule.name: rule for rule in judge(season, BOUNDS).rules}
    shown = {name: (rules[name].bound, rules[name].verdict) for name in rules}
    assert shown["bias"] == ("near end 0.344 <= 0.369", "pass")
    assert "surely by 34.4%, where 36.9% is allowed" in rules["bias"].sentence
    assert shown["nGini against span_rate"] == ("upper end +0.012 >= -0.01", "pass")
    assert shown["error against span_rate"] == ("lower end +0.050 <= 0.05", "pass")
    assert shown["segments"] == ("lower end -0.010 <= 0.25", "pass")
    nearer = {near(0.005): "0.000", near(0.05): "0.040", near(-0.25): "0.240"}
    for bias, end in nearer.items():
        (rule,) = [r for r in judge(replace(GOOD, bias=bias), BOUNDS).rules if r.name == "bias"]
        assert rule.bound == f"near end {end} <= 0.200"
        assert rule.verdict == ("fail" if float(end) > 0.2 else "pass")


def test_a_season_that_no_rule_saw_either_is_forgiven() -> None:
    """The total may miss by what the best baseline missed, not by what a poor one did."""
    best = replace(contest("span_rate"), bias=-0.37, loss=90.0)
    poor = replace(contest("formula"), bias=0.9, loss=200.0)
    surely = ConfidenceInterval(-0.33, -0.34, -0.32)
    assert failed(replace(GOOD, bias=surely, contests=(best, poor))) == []
    assert failed(replace(GOOD, bias=near(-0.4), contests=(best, poor))) == ["bias"]
    assert failed(replace(GOOD, bias=near(0.6), contests=(best, poor))) == ["bias"]
    # intervals that hold once what no baseline foresaw is taken out are of the right width
    assert failed(replace(GOOD, coverage=0.7, coverage_in_season=0.81)) == []
    champion = replace(contest(CHAMPION), bias=-0.9, loss=1.0)  # no baseline
    assert failed(replace(GOOD, bias=near(-0.4), contests=(best, champion))) == ["bias"]


def test_a_clv_is_judged_where_its_span_is_over() -> None:
    judged = judge(GOOD, BOUNDS).rules
    (rule,) = [r for r in judged if r.name == "CLV bias"]
    assert "its CLV from 2010-12-10 missed by +10.0%, +100,000," in rule.sentence
    (open_span,) = [r for r in judge(replace(GOOD, clv=None), BOUNDS).rules if "CLV" in r.name]
    assert (open_span.verdict, open_span.value) == ("unknown", None)
    one_period = judge(replace(GOOD, clv=None, periods=1), BOUNDS).rules
    assert not [rule for rule in one_period if "CLV" in rule.name]


def test_nobody_wins_by_forecasting_too_low() -> None:
    """Against a right forecast, one that is a third of it has the same errors, and fails alone."""
    random = np.random.default_rng(0)
    mean = random.gamma(0.5, 200.0, 600)
    actual = np.where(random.random(600) < 0.4, mean * random.gamma(2.0, 0.5, 600) / 0.4, 0.0)
    low, right = mean / 3, mean
    assert np.abs(low - actual).sum() < np.abs(right - actual).sum()  # what the MAE would say
    rival = compare_with_rival("rule", low, right, actual, 0.95)
    assert rival.deviance.estimate == pytest.approx(0.0, abs=1e-9)
    evidence = replace(GOOD, **clv(bootstrap_bias(low, actual), rival))  # type: ignore[arg-type]
    assert failed(evidence) == ["CLV bias"]


def test_small_segments_are_not_judged() -> None:
    small = SegmentResult("cohort 2011 Q3", BOUNDS.segment_customers - 1, near(3.0))
    verdict = judge(replace(GOOD, segments=(small,)), BOUNDS)
    (rule,) = [r for r in verdict.rules if r.name == "segments"]
    assert (rule.verdict, rule.value) == ("unknown", None)
    assert verdict.passed
    assert "could not be measured" in verdict.reason


def test_the_first_model_is_judged_against_baselines_alone() -> None:
    first = Evidence(evaluated="2011-09-11", bias=near(0.0), calibration=0.0, contests=(contest(),))
    names = [rule.name for rule in judge(first, BOUNDS).rules]
    assert not [name for name in names if CHAMPION in name or name in ("total", "schema")]
    assert judge(first, BOUNDS).passed


def test_a_loss_against_the_champion_is_made_up_by_a_significant_gain() -> None:
    def judged(ngini: ConfidenceInterval, deviance: ConfidenceInterval) -> list[str]:
        champion = RivalComparison(CHAMPION, ngini, deviance, None, 1.0)
        return failed(replace(GOOD, contests=(champion,)))

    assert judged(ConfidenceInterval(-0.02, -0.05, 0.01), exactly(0.0)) == []  # or by chance
    assert judged(exactly(-0.02), exactly(0.0)) == [f"nGini against {CHAMPION}"]
    assert judged(exactly(-0.02), near(-0.05)) == []
    assert judged(near(0.03), near(0.05)) == []
    assert judged(near(0.005), near(0.05)) == [f"error against {CHAMPION}"]


BETTER = replace(contest("span_rate", ngini=0.07), deviance=near(0.2))
FIRST = replace(GOOD, champion=None, contests=(BETTER, contest("formula", ngini=0.1)))


def test_a_first_model_that_ranks_best_serves_provisionally_unless_it_has_a_fault() -> None:
    verdict = judge(FIRST, BOUNDS)
    assert (verdict.passed, verdict.is_provisional) == (False, True)
    part = SegmentResult("tier low", 500, near(0.6))
    assert judge(replace(FIRST, segments=(part,)), BOUNDS).is_provisional
    faults = (
        {"bias": near(0.7)},
        {"calibration": 0.3},
        {"coverage": 0.5},
        {"rolled_back": "yesterday"},
        {"evaluated": None},
        {"contests": (BETTER, contest("formula", ngini=-0.001))},
        {"champion": "1"},
    )
    for fault in faults:
        assert not judge(replace(FIRST, **fault), BOUNDS).is_provisional, fault
    later = replace(FIRST, champion="1", is_champion_provisional=True)
    assert judge(later, BOUNDS).is_provisional
    assert not judge(replace(later, feed=replace(GOOD.feed, lines=0.5)), BOUNDS).is_provisional
    assert not judge(GOOD, BOUNDS).is_provisional  # it passed


def test_what_is_wrong_with_the_orders_is_told_first() -> None:
    broken = replace(GOOD, bias=near(0.7), feed=replace(GOOD.feed, lines=0.5, total=0.4))
    assert failed(broken)[0] == "history lines"
    assert "compare the export" in judge(broken, BOUNDS).next_step


def test_bounds_come_from_the_configuration() -> None:
    worse = replace(GOOD, contests=(contest(deviance=0.08),))
    assert failed(worse) == ["error against span_rate"]
    assert failed(worse, GateConfig(deviance=0.1)) == []
    named_as_in_0_1_0 = GateConfig.model_validate({"mae": 0.1})
    assert failed(worse, named_as_in_0_1_0) == []
