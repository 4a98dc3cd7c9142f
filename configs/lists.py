"""Campaign lists as a shop wants them: each rule one entry that reads as a sentence.

win_back:
  where: {risk: high, spend_so_far: top 30%, n_orders: ">= 2"}
  value: value_at_risk
  reason: "spent {spend_so_far}, silent for {days_since_last_order} days"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from ..errors import quote
from .section import Section

__all__ = [
    "DATES",
    "DEFAULT_RULES",
    "NUMBERS",
    "STAKES",
    "TEXTS",
    "Condition",
    "ListRule",
    "ListsConfig",
    "parse_condition",
]

# what rules may speak of: numbers (how a reason writes them), texts and dates
NUMBERS: dict[str, Literal["count", "money", "share"]] = {
    "n_orders": "count",
    "days_since_last_order": "count",
    "tenure_days": "count",
    "churn_probability": "share",
    "expected_spend": "money",
    "clv": "money",
    "spend_so_far": "money",
    "order_value": "money",
    "retention_value": "money",
    "value_if_kept": "money",
    "value_at_risk": "money",
    "days_to_next_order": "count",
    "days_to_anniversary": "count",
    "years": "count",
    "horizon_days": "count",
    "span_days": "count",
}
# what may be at stake, in words
STAKES: dict[str, str] = {
    "clv": "CLV",
    "expected_spend": "spend in the next period",
    "order_value": "an order",
    "retention_value": "CLV with an order less CLV without",
    "value_if_kept": "CLV if an order comes",
    "value_at_risk": "CLV a sure order adds",
}
TEXTS = ("tier", "risk", "rfm_segment", "evidence", "channel", "missing_category")
DATES = ("cutoff", "next_order_at", "anniversary_at")
Where = str | int | float | tuple[str, ...]
_NUMBER = r"-?\d+(?:\.\d+)?"
_FIELD = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Condition:
    """One condition on a column: a kind and what it compares with."""

    column: str
    kind: Literal["in", "known", "between", "top", ">", ">=", "<", "<=", "="]
    texts: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()


def parse_condition(column: str, stated: Where) -> Condition:
    """Read what a rule states of a column; raises `ValueError` in a sentence.

    >>> parse_condition("n_orders", ">= 2")
    Condition(column='n_orders', kind='>=', texts=(), numbers=(2.0,))
    >>> parse_condition("clv", "top 5%").numbers
    (0.05,)
    """
    if column in TEXTS:
        if stated == "known":
            return Condition(column, "known")
        texts = (stated,) if isinstance(stated, str) else stated
        if not isinstance(texts, tuple) or not texts:
            raise ValueError(f"{column} must be one text or a list of them, got {quote(stated)}")
        return Condition(column, "in", texts=texts)
    if column not in NUMBERS:
        column_names = ", ".join((*NUMBERS, *TEXTS))
        raise ValueError(f"a rule knows no column {column}; known are {column_names}")
    if isinstance(stated, int | float):
        return Condition(column, "=", numbers=(float(stated),))
    if isinstance(stated, str):
        if match := re.fullmatch(rf"(>=|<=|>|<|=)\s*({_NUMBER})", stated.strip()):
            return Condition(column, match[1], numbers=(float(match[2]),))  # type: ignore[arg-type]
        if match := re.fullmatch(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})", stated.strip()):
            return Condition(column, "between", numbers=(float(match[1]), float(match[2])))
        if match := re.fullmatch(rf"top ({_NUMBER})\s*%", stated.strip()):
            share = float(match[1]) / 100
            if 0 < share <= 1:
                return Condition(column, "top", numbers=(share,))
    raise ValueError(
        f"{column} must be a number or a condition like '>= 2', '7..90' or 'top 20%', got "
        f"{quote(stated)}"
    )


class ListRule(Section):
    """One campaign list: its customers, their value, the reason and the date."""

    where: dict[str, Where] = Field(
        description="Condition for each column. All conditions must hold."
    )
    value: Literal[
        "clv", "expected_spend", "order_value", "retention_value", "value_if_kept", "value_at_risk"
    ] = Field(default="clv", description="Money at stake; the list is sorted by it, highest first.")
    reason: str = Field(
        min_length=1,
        description="Reason in words. {column} is replaced by the value of the column.",
    )
    when: Literal["cutoff", "next_order_at", "anniversary_at"] = Field(
        default="cutoff", description="Date from which days_after counts."
    )
    days_after: Annotated[int, Field(strict=True, ge=-365, le=365)] = Field(
        default=0,
        description="Days from `when` to the suggested date, which is never before the cutoff.",
    )
    min_orders: Annotated[int, Field(strict=True, ge=1)] = Field(
        default=1, description="Smallest number of orders of a customer on the list."
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        description="Leave out customers who are on these lists, which must come earlier.",
    )
    most: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="Largest number of customers; those with most at stake are kept."
    )
    aim: Literal["grow", "keep"] = Field(
        default="grow",
        description="What a backtest counts. grow: money that came. keep: money that stayed away.",
    )

    @field_validator("where")
    @classmethod
    def _readable(cls, value: dict[str, Where]) -> dict[str, Where]:
        if not value:
            raise ValueError("must hold at least one condition")
        for column, condition in value.items():
            parse_condition(column, condition)
        return value

    @field_validator("reason")
    @classmethod
    def _known_fields(cls, value: str) -> str:
        for name in _FIELD.findall(value):
            if name not in (*NUMBERS, *TEXTS, *DATES):
                raise ValueError(f"must speak of known columns; {{{name}}} is none")
        if "{" in _FIELD.sub("", value) or "}" in _FIELD.sub("", value):
            raise ValueError("may hold only column names between { and }")
        return value


def _make_rule_field(**stated: Any) -> ListRule:
    return ListRule.model_validate(stated)


DEFAULT_RULES: dict[str, ListRule] = {
    "vip": _make_rule_field(
        where={"tier": "high"},
        reason="high tier: {clv} expected in {span_days} days, {n_orders} orders so far",
    ),
    "win_back": _make_rule_field(
        where={
            "risk": ("medium", "high"),
            "spend_so_far": "top 30%",
            "days_since_last_order": ">= 60",
        },
        min_orders=2,
        value="value_at_risk",
        reason="spent {spend_so_far} so far, silent for {days_since_last_order} days: "
        "{churn_probability} chance of no order in {horizon_days} days",
        aim="keep",
    ),
    "second_order": _make_rule_field(
        where={"n_orders": 1, "days_since_last_order": "7..120"},
        value="value_at_risk",
        reason="ordered once, {days_since_last_order} days ago, and not again",
    ),
    "replenishment": _make_rule_field(
        where={"days_to_next_order": "-7..14", "risk": ("low", "medium")},
        min_orders=2,
        value="order_value",
        reason="next order expected on {next_order_at}",
        when="next_order_at",
        days_after=-3,
    ),
    "cross_sell": _make_rule_field(
        where={"missing_category": "known", "tier": ("high", "medium"), "risk": "low"},
        min_orders=2,
        value="order_value",
        reason="never bought {missing_category}, which most other customers do first",
    ),
    "anniversary": _make_rule_field(
        where={"days_to_anniversary": "0..30", "years": ">= 1"},
        reason="anniversary {years} of the first order, on {anniversary_at}",
        when="anniversary_at",
    ),
    "early_care": _make_rule_field(
        where={"tenure_days": "<= 60", "n_orders": "<= 2", "tier": ("high", "medium")},
        reason="new since {tenure_days} days and already {tier} tier: {clv} expected in "
        "{span_days} days",
    ),
    "look_alike_seed": _make_rule_field(
        where={"clv": "top 5%"},
        min_orders=2,
        reason="among the best 5 %: {clv} expected in {span_days} days",
    ),
}


class ListsConfig(Section):
    """Campaign lists: their rules, and a hold-out group to measure their effect."""

    hold_out: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of customers whom no list contacts, chosen by a hash of the customer "
        "id.",
    )
    only: tuple[str, ...] | None = Field(default=None, description="Lists to write. Default: all.")
    rules: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ListRule] = Field(
        default_factory=lambda: DEFAULT_RULES,
        description="Rules to add to the default lists. A rule with the name of a default "
        "replaces it.",
        validate_default=True,
    )

    @field_validator("rules")
    @classmethod
    def _with_defaults(cls, value: dict[str, ListRule]) -> dict[str, ListRule]:
        rules = DEFAULT_RULES | value
        earlier: set[str] = set()
        for name, rule in rules.items():
            unknown = [other for other in rule.exclude if other not in earlier]
            if unknown:
                raise ValueError(f"{name} may exclude lists that stand before it, got {unknown[0]}")
            earlier.add(name)
        return rules
