"""Rules about the data: today's orders against those the champion knew, and both models on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...configs.schema import GateConfig
from .evidence import DataShift, Evidence
from .rule import Rule, build_unknown_rule, get_outcome, select_large_segments

__all__ = ["judge_feed", "judge_history", "judge_schema"]


def judge_schema(evidence: Evidence) -> Rule:
    """What the candidate asks of its users, and what its forecasts mean."""
    faults = []
    if evidence.new_columns:
        faults.append(
            f"it needs {', '.join(evidence.new_columns)}, which the champion's users need not give"
        )
    if evidence.other_settings:
        faults.append(f"its forecasts mean something else: {', '.join(evidence.other_settings)}")
    sentence = "; ".join(faults) or "it reads and forecasts what the champion does"
    return Rule("schema", float(len(faults)), "no change", get_outcome(bool(faults)), sentence)


def judge_history(feed: DataShift, bounds: GateConfig) -> Iterable[Rule]:
    """Today's orders against those the champion knew: a broken feed shows here."""
    history = f"within {bounds.history:g} of 1"
    for name, noun, ratio in (
        ("history lines", "lines", feed.lines),
        ("history money", "money", feed.money),
    ):
        sentence = f"months the champion knew hold {{:.1%}} of the {noun} they held then"
        yield _ratio_rule(name, ratio, history, lambda r: abs(r - 1.0) > bounds.history, sentence)
    yield _ratio_rule(
        "customers", feed.customers, f">= {bounds.customers:g}",
        lambda share: share < bounds.customers,
        "{:.1%} as many customers are there as the champion knew",
    )  # fmt: skip


def judge_feed(feed: DataShift, bounds: GateConfig) -> Iterable[Rule]:
    """The shipped candidate and the champion on today's orders."""
    yield _ratio_rule(
        "total", feed.total, f"1/{bounds.total:g} to {bounds.total:g}",
        lambda ratio: _factor(ratio) > bounds.total,
        "its total forecast is {:.2f} times the champion's",
    )  # fmt: skip
    yield _ratio_rule(
        "churn rate", feed.churn_rate, f"within {bounds.churn_rate:g}",
        lambda gap: abs(gap) > bounds.churn_rate,
        "its mean churn probability differs by {:+.1%} from the champion's",
    )  # fmt: skip
    yield _ratio_rule(
        "rank correlation", feed.rank_correlation, f">= {bounds.rank_correlation:g}",
        lambda r: r < bounds.rank_correlation,
        "it ranks customers like the champion to {:.3f} (Spearman)",
    )  # fmt: skip
    bound = f"1/{bounds.segment_total:g} to {bounds.segment_total:g}"
    judged = select_large_segments(feed.segments, bounds)
    if not judged:
        yield build_unknown_rule(
            "segment totals", bound, f"none has {bounds.segment_customers} customers"
        )
        return
    worst = max(judged, key=lambda part: _factor(part.number.estimate))
    ratio = worst.number.estimate
    sentence = (
        f"of {len(judged)} segments {worst.name} moved most: {ratio:.2f} times the champion's total"
    )
    yield Rule(
        "segment totals", ratio, bound, get_outcome(_factor(ratio) > bounds.segment_total), sentence
    )


def _ratio_rule(
    name: str, value: float | None, bound: str, broken: Callable[[float], bool], sentence: str
) -> Rule:
    if value is None or value != value:
        return build_unknown_rule(name, bound, "the champion's record or bundle does not tell")
    return Rule(name, value, bound, get_outcome(broken(value)), sentence.format(value))


def _factor(ratio: float) -> float:
    return max(ratio, 1.0 / ratio) if ratio > 0 else float("inf")
