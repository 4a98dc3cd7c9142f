"""Outcomes of forecasts whose prediction window is over: what they are told by, and judged by.

Three lines come first: was the total inside its own interval, which segments were not, is CLV on
its way. A total alarms when it leaves its interval or misses by more than the business bound,
whatever chance explains: a miss of 40 % changes plans even where 300 customers make it likely.
Segments only warn, in one finding: of eleven, one is outside its 90 % interval by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..configs.schema import MonitorConfig
from . import measures
from .monitor_findings import MonitorFinding, Severity, make_finding
from .sampling_error import estimate_share_noise

__all__ = ["ClvProgress", "describe_outcomes", "judge_clv", "judge_outcomes"]

LEAST_CUSTOMERS = 30  # a part with fewer raises no finding; its row is there
_SEGMENTS = ("rfm_segment", "tier")  # the first that the forecasts have
_MOST_NAMED = 3


@dataclass(frozen=True)
class ClvProgress:
    """What of a CLV forecast has been realised; money in the basis of the CLV, discounted."""

    cutoff: str
    forecast: float  # of the whole span, with its 90 % interval
    lower: float
    upper: float
    first: float  # of the forecast's first period
    realised: float
    periods_over: int
    periods: int

    @property
    def miss(self) -> float:
        """Forecast over realised, less 1; NaN until the span is over, or if it brought nothing."""
        is_over = self.periods_over == self.periods and self.realised > 0
        return self.forecast / self.realised - 1.0 if is_over else float("nan")


def judge_outcomes(table: pd.DataFrame, bounds: MonitorConfig) -> Iterator[MonitorFinding]:
    """Findings on one cutoff's measures: the total, probabilities, intervals, ranking, segments."""
    rows = table.to_dict("records")
    everyone = rows[0]["customers"]
    for row in rows:
        if row["part"] == "all":
            yield from _judge_group(row, f"all customers at {row['cutoff']}", bounds)
        elif row["part"] == "model_version" and row["customers"] < everyone:
            who = f"model_version {row['value']} at {row['cutoff']}"
            yield from _judge_group(row, who, bounds)
    yield from _judge_segments(rows, bounds)


def _judge_group(row: dict[Any, Any], who: str, bounds: MonitorConfig) -> Iterator[MonitorFinding]:
    if row["bias"] == row["bias"]:
        yield _judge_total(row, who, bounds)
    numbers = [
        (
            "calibration", row["calibration"], bounds.calibration, row["calibration_by_chance"],
            f"churn probabilities of {who} are off by {row['calibration']:.1%} on average",
        ),
        (
            "coverage", max(measures.NOMINAL_COVERAGE - row["coverage"], 0.0), bounds.coverage,
            estimate_share_noise(measures.NOMINAL_COVERAGE, row["customers"]),
            f"90 % intervals of {who} held {row['coverage']:.1%}",
        ),
        (
            "capture", 1.0 - row["capture_of_perfect"], bounds.capture,
            row["capture_by_chance"],
            f"the top tenth of {who} held {row['capture_of_perfect']:.0%} of what the best tenth "
            "spent",
        ),
    ]  # fmt: skip
    for name, value, bound, chance, sentence in numbers:
        if value == value:
            message = f"{sentence} (chance explains {chance:.1%})"
            yield make_finding(f"{name} of {who}", value, bound, message, chance)


def _judge_total(row: dict[Any, Any], who: str, bounds: MonitorConfig) -> MonitorFinding:
    bias, chance = row["bias"], row["bias_by_chance"]
    severity: Severity = "fine"
    if abs(bias) > bounds.bias or _is_outside(row):
        severity = "alarm"
    elif abs(bias) - chance > bounds.bias / 2:
        severity = "warning"
    sentence = f"the total of {who} missed by {bias:+.1%}: {_describe_total(row)}"
    return MonitorFinding(f"bias of {who}", bias, bounds.bias, severity, sentence, chance)


def _describe_miss(row: dict[Any, Any], form: str = "+.1%") -> str:
    """The relative miss of a total, which has none where nothing was spent."""
    bias = row["bias"]
    return f"forecast {row['forecast']:,.0f}, nothing spent" if bias != bias else f"{bias:{form}}"


def _is_outside(row: dict[Any, Any]) -> bool:
    """Whether what happened lies outside the forecast's own interval; not where it has none."""
    return bool(row["actual"] < row["lower"] or row["actual"] > row["upper"])


def _describe_total(row: dict[Any, Any]) -> str:
    sentence = f"forecast {row['forecast']:,.0f}, actual {row['actual']:,.0f}"
    if row["lower"] != row["lower"]:
        return sentence
    where = "outside" if _is_outside(row) else "inside"
    return f"{sentence}, {where} its 90 % interval ({row['lower']:,.0f} to {row['upper']:,.0f})"


def _find_segments(rows: list[dict[Any, Any]]) -> tuple[str, list[dict[Any, Any]]]:
    """The kind of segment that is judged, and its rows that are large enough."""
    for kind in _SEGMENTS:
        kind_rows = [row for row in rows if row["part"] == kind]
        if len(kind_rows) > 1:
            return kind, [row for row in kind_rows if row["customers"] >= LEAST_CUSTOMERS]
    return "", []


def _find_missed(rows: list[dict[Any, Any]], bound: float) -> list[dict[Any, Any]]:
    """Segments outside their interval and beyond the bound, the largest miss in money first."""
    missed = [row for row in rows if _is_outside(row) and not abs(row["bias"]) <= bound]
    return sorted(missed, key=lambda row: -abs(row["forecast"] - row["actual"]))


def _judge_segments(rows: list[dict[Any, Any]], bounds: MonitorConfig) -> Iterator[MonitorFinding]:
    kind, segments = _find_segments(rows)
    if not segments:
        return
    missed = _find_missed(segments, bounds.bias)
    severity: Severity = "warning" if missed else "fine"
    name = f"segments at {rows[0]['cutoff']}"
    sentence = _describe_segments(kind, segments, missed)
    yield MonitorFinding(name, float(len(missed)), 0.0, severity, sentence)


def _describe_segments(
    kind: str, segments: list[dict[Any, Any]], missed: list[dict[Any, Any]]
) -> str:
    if not missed:
        return f"none of {len(segments)} segments ({kind}) missed by more than its interval"
    named = [f"{row['value']} ({_describe_miss(row, '+.0%')})" for row in missed[:_MOST_NAMED]]
    more = f" and {len(missed) - _MOST_NAMED} more" if len(missed) > _MOST_NAMED else ""
    return (
        f"{len(missed)} of {len(segments)} segments ({kind}) missed by more than the interval: "
        f"{', '.join(named)}{more}"
    )


def judge_clv(clv: ClvProgress, bounds: MonitorConfig) -> Iterator[MonitorFinding]:
    """A finding on a CLV whose span is over."""
    if clv.miss == clv.miss:
        is_outside = not clv.lower <= clv.realised <= clv.upper
        severity: Severity = "alarm" if is_outside or abs(clv.miss) > bounds.bias else "fine"
        name = f"clv of all customers at {clv.cutoff}"
        yield MonitorFinding(name, clv.miss, bounds.bias, severity, describe_clv(clv))


def describe_outcomes(
    table: pd.DataFrame, clv: ClvProgress | None, bounds: MonitorConfig
) -> list[str]:
    """Three lines on one cutoff: the total, the segments, CLV."""
    rows = table.to_dict("records")
    kind, segments = _find_segments(rows)
    lines = [
        f"Total at {rows[0]['cutoff']}: {_describe_total(rows[0])} ({_describe_miss(rows[0])})."
    ]
    if segments:
        sentence = _describe_segments(kind, segments, _find_missed(segments, bounds.bias))
        lines.append(f"Segments: {sentence}.")
    if clv is not None:
        lines.append(f"CLV: {describe_clv(clv)}.")
    return lines


def describe_clv(clv: ClvProgress) -> str:
    """What of the CLV was realised, in words."""
    if clv.miss == clv.miss:
        where = "inside" if clv.lower <= clv.realised <= clv.upper else "outside"
        return (
            f"the whole span is over: forecast {clv.forecast:,.0f}, realised {clv.realised:,.0f} "
            f"({clv.miss:+.1%}), {where} its 90 % interval ({clv.lower:,.0f} to {clv.upper:,.0f})"
        )
    share = measures.divide(clv.realised, clv.forecast)
    first = measures.divide(clv.first, clv.forecast)
    return (
        f"after {clv.periods_over} of {clv.periods} periods {share:.0%} of the forecast "
        f"{clv.forecast:,.0f} was realised; the first period was forecast to bring {first:.0%}"
    )
