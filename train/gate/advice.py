"""What to do about a rule that failed: one thing each."""

from __future__ import annotations

__all__ = ["advise"]

_ADVICE = {
    "evaluation": "wait for more history or shorten horizon_days; until then promote the version "
    "by hand if its forecasts look right",
    "history lines": "compare the export with that of the last training: lines of closed months "
    "are missing or doubled",
    "history money": "compare the export with that of the last training: amounts of closed months "
    "have changed",
    "customers": "compare the export with that of the last training: customers are missing",
    "bias": "look at the total by month in the report; if the season is new to the history, give "
    "earlier years (season.history), else promote by hand once the reason is known",
    "CLV bias": "run clvcast backtest at several cutoffs: if the CLV is off at each of them, use "
    "fewer periods or give a longer history, else promote by hand once the reason is known",
    "calibration": "run clvcast backtest at several cutoffs: if churn is off at each of them, "
    "check the orders of the last months, else train again next month",
    "coverage": "run clvcast backtest at several cutoffs: if intervals are too narrow at each of "
    "them, raise gate.coverage only if nobody uses them",
    "segments": "look at the named segment in the report of the run, and promote by hand if its "
    "forecasts are wanted so",
    "rollback": "promote the version by hand if the reason of its rollback is gone",
    "schema": "give the champion's users the new column or setting first, then promote by hand",
    "total": "run clvcast compare on forecasts of both: promote by hand if the change is real",
    "churn rate": "run clvcast compare on forecasts of both: promote by hand if the change is real",
    "rank correlation": "run clvcast check: look for mixed-up customer ids, else promote by hand",
    "segment totals": "run clvcast compare on forecasts of both: promote by hand if the change of "
    "the named segment is real",
}
_AGAINST_CHAMPION = "nothing: the champion is better, and the next training is judged again"
_AGAINST_BASELINE = (
    "run clvcast backtest at several cutoffs; if the rule wins at each of them, try effort: "
    "thorough, or use the rule"
)


def advise(rule: str) -> str:
    """The one thing to do when a rule of the gate fails."""
    if rule in _ADVICE:
        return _ADVICE[rule]
    return _AGAINST_CHAMPION if rule.endswith("the champion") else _AGAINST_BASELINE
