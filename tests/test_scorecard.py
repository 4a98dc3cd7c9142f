"""The scorecard: verdicts and grades on forecasts whose quality is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clvcast.evaluation.bootstrap import ConfidenceInterval
from clvcast.evaluation.scorecard import Scorecard, ScorecardLine, _grade, _line, build_scorecard

RANDOM = np.random.default_rng(0)
ACTUAL = RANDOM.gamma(0.5, 100.0, 800)
CHURNED = RANDOM.random(800) < 0.4
GOOD = ACTUAL * RANDOM.lognormal(0.0, 0.2, 800)
POOR = RANDOM.permutation(ACTUAL) * 1.5
SURE, UNSURE = np.where(CHURNED, 0.95, 0.05), np.full(800, 0.4)


@pytest.mark.parametrize(
    ("ours", "theirs", "churn", "grade", "verdict"),
    [
        (GOOD, POOR, (SURE, UNSURE), "A", "significantly better"),
        (POOR, GOOD, (UNSURE, SURE), "D", "significantly worse"),
        (GOOD, GOOD, (SURE, SURE), "B", "the same"),
    ],
)
def test_verdicts_and_grades(
    ours: np.ndarray,
    theirs: np.ndarray,
    churn: tuple[np.ndarray, np.ndarray],
    grade: str,
    verdict: str,
) -> None:
    spends = {"clvcast": ours, "rule": theirs}
    churns = dict(zip(("clvcast", "rule"), churn, strict=True))
    card = build_scorecard(spends, churns, ACTUAL, CHURNED)
    assert (card.grade, len(card.lines)) == (grade, 4)
    assert {line.verdict for line in card.lines} == {verdict}
    assert all(line.lower <= line.difference <= line.upper for line in card.lines)
    assert grade in card.sentence


def interval(estimate: float, lower: float, upper: float) -> ConfidenceInterval:
    return ConfidenceInterval(estimate, lower, upper)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (interval(0.1, 1e-9, 0.2), "significantly better"),
        (interval(0.1, 0.0, 0.2), "better (not significant)"),
        (interval(-0.1, -0.2, -1e-9), "significantly worse"),
        (interval(-0.1, -0.2, 0.0), "worse (not significant)"),
        (interval(0.0, -0.1, 0.1), "the same"),
    ],
)
def test_a_verdict_is_sure_where_the_interval_leaves_out_zero(
    found: ConfidenceInterval, verdict: str
) -> None:
    forecasts = {"clvcast": np.ones(1), "rule": np.zeros(1)}
    line = _line("m", forecasts, lambda forecast: forecast[0], lambda a, b: found, more=True)
    assert (line.verdict, line.ours, line.theirs, line.baseline) == (verdict, 1.0, 0.0, "rule")


@pytest.mark.parametrize(
    ("better", "worse", "grade"),
    [(0, 0, "B"), (1, 0, "A"), (1, 1, "C"), (2, 1, "C"), (0, 1, "D"), (1, 2, "D")],
)
def test_a_grade_weighs_what_is_sure(better: int, worse: int, grade: str) -> None:
    verdicts = ["significantly better"] * better + ["significantly worse"] * worse + ["the same"]
    lines = [ScorecardLine("m", 1.0, "rule", 1.0, 0.0, 0.0, 0.0, verdict) for verdict in verdicts]
    assert _grade(lines)[0] == grade


@pytest.mark.parametrize(("churned", "lines"), [(0, 3), (1, 4), (799, 4), (800, 3)])
def test_churn_has_a_line_where_some_left_and_some_stayed(churned: int, lines: int) -> None:
    spends = {"clvcast": GOOD, "rule": POOR}
    churns = {"clvcast": np.full(800, 0.5), "rule": np.full(800, 0.4)}
    assert len(build_scorecard(spends, churns, ACTUAL, np.arange(800) < churned).lines) == lines


def test_the_best_baseline_is_chosen_per_measure() -> None:
    level = np.full(800, ACTUAL.mean())  # right in total, and ranks nobody
    card = build_scorecard({"clvcast": GOOD, "rank": GOOD * 3, "level": level}, {}, ACTUAL, CHURNED)
    chosen = {line.measure: line.baseline for line in card.lines}
    assert chosen["ranking (nGini)"] == "rank"
    assert chosen["total (bias)"] == "level"


def test_what_cannot_be_measured_has_no_line() -> None:
    nothing = np.zeros(10)
    card = build_scorecard(
        {"clvcast": nothing, "rule": nothing}, {}, nothing, np.ones(10, dtype=bool)
    )
    assert (card.lines, card.grade) == ((), "-")
    flat = build_scorecard(
        {"clvcast": np.ones(10), "rule": np.ones(10)}, {}, np.ones(10), np.zeros(10, dtype=bool)
    )
    json.dumps([vars(line) for line in flat.lines], allow_nan=False)


def card_of(bias: float, gap: float = 0.0, inside: float = 0.9, floor: float = 0.0) -> Scorecard:
    """A forecast that ranks perfectly, with a total, an ECE, and a coverage as stated."""
    actual = np.where(np.arange(1000) < 1000 * floor, 0.0, np.arange(1000) + 1.0)
    churned = actual == 0
    churns = {"clvcast": np.full(1000, churned.mean() + gap), "rule": np.full(1000, 0.5)}
    spends = {"clvcast": actual * (1 + bias), "rule": np.full(1000, actual.mean() * 2)}
    # who spends nothing is inside; of the others as many as it takes
    upper = np.where(np.arange(1000) < round(1000 * inside), np.inf, -1.0)
    return build_scorecard(spends, churns, actual, churned, (np.zeros(1000) - 1.0, upper))


def card_of_clv(bias: float) -> Scorecard:
    """As `card_of(0)`, and its CLV has a total as stated."""
    actual = np.linspace(1.0, 1000.0, 1000)
    flat = np.full(1000, actual.mean() * 2)
    spends = {"clvcast": actual, "rule": flat}
    clvs = {"clvcast": 3 * actual * (1 + bias), "rule": 3 * flat}
    return build_scorecard(spends, {}, actual, actual < 0, clvs=(clvs, 3 * actual))


def test_a_forecast_that_is_too_low_wins_no_line_but_the_ranking() -> None:
    """The MAE would prefer it: most customers spend less than they are expected to."""
    random = np.random.default_rng(0)
    mean = random.gamma(0.5, 200.0, 600)
    actual = np.where(random.random(600) < 0.4, mean * random.gamma(2.0, 0.5, 600) / 0.4, 0.0)
    assert np.abs(mean / 3 - actual).sum() < np.abs(mean - actual).sum()
    card = build_scorecard({"clvcast": mean / 3, "rule": mean}, {}, actual, actual <= 0)
    assert {line.measure: line.verdict for line in card.lines} == {
        "ranking (nGini)": "the same",
        "error per customer (deviance)": "the same",
        "total (bias)": "significantly worse",
    }


@pytest.mark.parametrize(
    ("card", "grade", "words"),
    [
        (card_of_clv(0.199), "A", "its CLV missed by +19.9%."),
        (card_of_clv(-0.201), "C", "its CLV missed by -20.1%, beyond 20%"),
        (card_of_clv(0.351), "D", "its CLV missed by +35.1%, beyond 35%"),
        (card_of(0.199), "A", "missed by +19.9%,"),
        (card_of(0.201), "C", "beyond 20%"),
        (card_of(-0.201), "C", "beyond 20%"),
        (card_of(0.349), "C", "beyond 20%"),
        (card_of(0.351), "D", "beyond 35%"),
        (card_of(-0.351), "D", "beyond 35%"),
        (card_of(0.0, gap=0.079), "A", "off by 7.9%,"),
        (card_of(0.0, gap=0.081), "B", "beyond 8%"),
        (card_of(0.0, inside=0.80), "A", "held 80.0%."),
        (card_of(0.0, inside=0.799), "B", "outside 80% to 97%"),
        (card_of(0.0, inside=0.97), "A", "held 97.0%."),
        (card_of(0.0, inside=0.971), "B", "outside 80% to 97%"),
        (card_of(0.0, inside=0.985, floor=0.98), "A", "held 98.5%."),
        (card_of(0.0, inside=0.995, floor=0.98), "B", "outside 80% to 99%"),
    ],
)
def test_absolute_standards_cap_a_grade(card: Scorecard, grade: str, words: str) -> None:
    assert card.grade == grade
    assert card.sentence.startswith(f"Grade {grade}. Against the baselines: significantly better")
    assert words in card.standards
    assert ("no better than" in card.standards) == (grade != "A")
