"""The evidence: all that the gate looks at, as numbers. `trial` and `feed` measure it, `gate` judges it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...evaluation.bootstrap import Interval

__all__ = ["CHAMPION", "Contest", "Evidence", "Feed", "Part"]

CHAMPION = "the champion"


@dataclass(frozen=True)
class Contest:
    """The candidate's evaluation model against one rival, on the same customers and window."""

    rival: str
    ngini: Interval  # ours minus theirs
    mae: Interval  # ours / theirs - 1
    bias: float | None  # the rival's own
    mean_error: float  # the rival's MAE


@dataclass(frozen=True)
class Part:
    """A segment: how the candidate did in it against the rival to beat, or its total beside the champion's."""

    name: str  # such as tier high, cohort 2011 Q1, channel web
    customers: int
    number: Interval


@dataclass(frozen=True)
class Feed:
    """The shipped candidate beside the champion, on today's orders; None where it could not be measured."""

    lines: float | None = None  # of months the champion knew: now / then
    money: float | None = None
    customers: float | None = None  # customers known then / now, up to the champion's end
    total: float | None = None  # expected spend, candidate / champion
    churn_rate: float | None = None  # mean churn probability, candidate minus champion
    rank_correlation: float | None = None  # Spearman, of expected spend
    segments: tuple[Part, ...] = ()  # expected spend, candidate / champion


@dataclass(frozen=True)
class Evidence:
    """All the gate looks at."""

    evaluated: str | None  # the cutoff of the evaluation; None where history is too short for one
    bias: Interval | None = None
    calibration: float | None = None  # mean gap of churn probabilities (ECE)
    calibration_noise: float = 0.0  # the gap that right probabilities would show by chance
    baseline_calibration: float = 0.0  # the smallest gap of a baseline that forecasts churn
    coverage: float | None = None  # share of customers inside their 90 % interval
    coverage_in_season: float | None = None  # the same, intervals moved as all of spend moved
    contests: tuple[Contest, ...] = ()
    segments: tuple[Part, ...] = ()  # MAE of ours / that of the rival to beat - 1
    champion: str | None = None  # version; None: there is none yet
    judged_by: str = ""  # which way the champion was judged, in a sentence
    new_columns: tuple[str, ...] = ()  # columns the candidate needs and the champion did not
    other_settings: tuple[str, ...] = ()  # what its forecasts mean otherwise, such as horizon_days
    rolled_back: str | None = None  # when and why the same model was taken down before
    feed: Feed = field(default_factory=Feed)
