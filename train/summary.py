"""What an evaluation says, in plain words."""

from __future__ import annotations

from typing import Any

from ..features.faults import joined
from ..serve.numbers import Later

__all__ = ["TABLE_MEASURES", "later_periods", "verdict"]

TABLE_MEASURES = ("nGini", "spearman", "MAE", "RMSE", "bias", "decile_MAPE")
_OURS = "clvcast"


def verdict(summary: dict[str, Any], currency: str = "") -> list[str]:
    """Sentences about one evaluated cutoff (an entry of `Backtest.metrics`)."""
    methods = summary["methods"]
    return [
        _compare(methods, "nGini", "It ranks customers by coming spend", higher_is_better=True),
        _compare(
            methods, "MAE", f"Its mean error per customer{_in(currency)}", higher_is_better=False
        ),
        _total(methods[_OURS]["bias"]),
        _churn(methods[_OURS], summary["churn_rate"]),
    ]


def later_periods(later: Later) -> str:
    """What the model takes later periods to bring, beside the first."""
    if not later.ratios:
        return "CLV spans one period: it is the expected spend times the margin."
    shown = [f"{min(r):.2f} to {max(r):.2f}" for r in later.ratios]
    return (
        f"For each unit of money in period 1 it expects {joined(shown)} in later periods "
        f"(history shows {later.realised_periods} of {len(later.ratios) + 1})."
    )


def _in(currency: str) -> str:
    return f", in {currency}," if currency else ""


def _compare(
    methods: dict[str, dict[str, Any]], measure: str, subject: str, *, higher_is_better: bool
) -> str:
    ours = methods[_OURS][measure]
    rules = {name: values[measure] for name, values in methods.items() if name != _OURS}
    if ours is None or None in rules.values():
        return f"{measure} cannot be measured: nothing was spent in the window."
    beaten = [n for n, v in rules.items() if (ours > v if higher_is_better else ours < v)]
    lost = [name for name in rules if name not in beaten]
    verb = " better than" if higher_is_better else " is smaller than that of"
    reverse = " worse than" if higher_is_better else " larger than that of"
    said = []
    if beaten:
        said.append(f"{verb} {joined(beaten)}")
    if lost:
        said.append(
            f"{reverse} {joined(lost)}"
            if beaten or higher_is_better
            else f" is{reverse} {joined(lost)}"
        )
    shown = ", ".join(f"{name} {_number(value)}" for name, value in rules.items())
    return f"{subject}{' but'.join(said)} ({measure} {_number(ours)}; {shown})."


def _number(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.0f}"


def _total(bias: float | None) -> str:
    if bias is None:
        return "Nothing was spent in the window, so the total cannot be compared."
    if abs(bias) < 0.005:
        return "In total it forecast what was spent, to half a per cent."
    return f"In total it forecast {abs(bias):.0%} {'more' if bias > 0 else 'less'} than was spent."


def _churn(ours: dict[str, Any], rate: float) -> str:
    gap = ours["churn_ECE"]
    area = ours["churn_AUC"]
    told = (
        "" if area is None else f" It tells who will order from who will not with AUC {area:.2f}."
    )
    return f"Churn was {rate:.0%}; its probabilities are off by {gap:.1%} on average.{told}"
