"""Faults of order files: gathered in one pass, counted, sampled, and told together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from ...errors import OrdersError, quote

__all__ = [
    "Fault",
    "FaultyOrdersError",
    "join_words",
    "merge_faults",
    "pluralize",
    "raise_faults",
]

_SHOWN = 3


@dataclass(frozen=True)
class Fault:
    """One rule broken in one file: how often, where first, by what, and what would mend it."""

    rule: str
    rows: Sequence[int] = ()  # none where lines have no numbers
    values: Sequence[str] = ()  # the first distinct offending values
    mend: str = ""
    count: int = 0
    where: str = ""  # the file, where there are several

    def sentence(self) -> str:
        """The fault as people read it.

        >>> Fault("amount must be a number", [4, 9], ["$5"], "set orders.format", 2).sentence()
        "amount must be a number: 2 lines (rows 4, 9), such as '$5'; set orders.format"
        """
        parts = [f"{self.where}: " if self.where else "", self.rule]
        if self.count:
            parts.append(f": {pluralize(self.count, 'line')}")
        if self.count and self.rows:
            rows = ", ".join(str(row) for row in self.rows[:_SHOWN])
            more = ", ..." if self.count > _SHOWN else ""
            parts.append(f" (rows {rows}{more})")
        if self.values:
            parts.append(
                f", such as {join_words([quote(value) for value in self.values[:_SHOWN]])}"
            )
        if self.mend:
            parts.append(f"; {self.mend}")
        return "".join(parts)


class FaultyOrdersError(OrdersError):
    """Orders with faults, told in words that show values, and as `faults` for who must not show
    them.
    """

    def __init__(self, message: str, faults: Sequence[Fault]) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


def merge_faults(faults: Sequence[Fault]) -> list[Fault]:
    """Faults of disjoint lines, each rule once: counts added up, the first rows, values and mend
    kept.
    """
    merged: dict[tuple[str, str], Fault] = {}
    for fault in faults:
        first = merged.get((fault.rule, fault.where))
        if first is None:
            merged[fault.rule, fault.where] = fault
            continue
        merged[fault.rule, fault.where] = Fault(
            fault.rule,
            [*first.rows, *fault.rows][: _SHOWN + 1],
            list(dict.fromkeys([*first.values, *fault.values]))[:_SHOWN],
            first.mend or fault.mend,
            first.count + fault.count,
            fault.where,
        )
    return list(merged.values())


def raise_faults(faults: Sequence[Fault], source: str) -> NoReturn:
    """Raise one `OrdersError` that names every fault."""
    sentences = list(dict.fromkeys(fault.sentence() for fault in faults))
    if len(sentences) == 1:
        raise FaultyOrdersError(f"{source}: {sentences[0]}", faults)
    listed = "\n".join(f"  - {sentence}" for sentence in sentences)
    raise FaultyOrdersError(f"{source}: {len(sentences)} faults:\n{listed}", faults)


def pluralize(n: int, noun: str) -> str:
    """`1 line`, `1,200 lines`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def join_words(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
