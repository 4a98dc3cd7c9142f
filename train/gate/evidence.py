"""The evidence: all that the gate judges, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...evaluation.bootstrap import ConfidenceInterval

__all__ = ["CHAMPION", "ClvEvidence", "DataShift", "Evidence", "RivalComparison", "SegmentResult"]

CHAMPION = "the champion"


@dataclass(frozen=True)
class RivalComparison:
    """The candidate's evaluation model against one rival, on the same customers and window."""

    rival: str
    ngini: ConfidenceInterval  # ours minus theirs
    deviance: ConfidenceInterval  # ours / theirs - 1, both totals levelled to the actual one
    bias: float | None  # the rival's own
    loss: float  # the rival's mean levelled deviance


@dataclass(frozen=True)
class ClvEvidence:
    """The CLV of an evaluation model beside what its whole span brought, and the best baseline."""

    evaluated: str  # the cutoff, whose last period is over
    brought: float  # by all customers in the span, in the shop's currency
    bias: ConfidenceInterval
    rival: RivalComparison  # the baseline with the smallest levelled deviance


@dataclass(frozen=True)
class SegmentResult:
    """A segment: the candidate's result against the best rival, or its total over the
    champion's.
    """

    name: str  # such as tier high, cohort 2011 Q1, channel web
    customers: int
    number: ConfidenceInterval


@dataclass(frozen=True)
class DataShift:
    """Candidate and champion on today's orders; None where it could not be measured."""

    lines: float | None = None  # of months the champion knew: now / then
    money: float | None = None
    customers: float | None = None  # customers known then / now, up to the champion's end
    total: float | None = None  # expected spend, candidate / champion
    churn_rate: float | None = None  # mean churn probability, candidate minus champion
    rank_correlation: float | None = None  # Spearman, of expected spend
    segments: tuple[SegmentResult, ...] = ()  # expected spend, candidate / champion


@dataclass(frozen=True)
class Evidence:
    """All the gate looks at."""

    evaluated: str | None  # the cutoff of the evaluation; None where history is too short for one
    bias: ConfidenceInterval | None = None
    spent: float | None = None  # in the window, in the shop's currency
    currency: str = ""
    calibration: float | None = None  # mean gap of churn probabilities (ECE)
    calibration_noise: float = 0.0  # the gap that right probabilities would show by chance
    baseline_calibration: float = 0.0  # the smallest gap of a baseline that forecasts churn
    coverage: float | None = None  # share of customers inside their 90 % interval
    coverage_in_season: float | None = None  # the same, intervals moved as all of spend moved
    contests: tuple[RivalComparison, ...] = ()
    clv: ClvEvidence | None = None  # None where the span of no evaluated cutoff is over
    periods: int = 1  # of a CLV; that of one period is its spend
    # levelled deviance of ours / that of the rival to beat - 1
    segments: tuple[SegmentResult, ...] = ()
    champion: str | None = None  # version; None: there is none yet
    is_champion_provisional: bool = False
    judged_by: str = ""  # which way the champion was judged, in a sentence
    new_columns: tuple[str, ...] = ()  # columns the candidate needs and the champion did not
    other_settings: tuple[str, ...] = ()  # what its forecasts mean otherwise, such as horizon_days
    rolled_back: str | None = None  # when and why the same model was taken down before
    feed: DataShift = field(default_factory=DataShift)
