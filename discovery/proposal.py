"""What init proposes: the keys of a configuration, each with its evidence, and what it must ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Choice", "Proposal", "Question", "quote_flow"]


@dataclass(frozen=True)
class Choice:
    """A key of the configuration, its value, and the evidence for it."""

    key: str  # dotted, below `orders:` except for horizon_days
    value: Any
    why: str


@dataclass(frozen=True)
class Question:
    """Something the file does not tell: the key that answers it, and lines that would."""

    key: str
    asks: str
    answers: tuple[tuple[str, str], ...] = ()  # value as YAML, what it means
    is_needed: bool = False  # nothing can be read without an answer


@dataclass
class Proposal:
    """A configuration for a source, with evidence and questions."""

    source: str
    query: str | None
    names: list[str]
    n_lines: int  # of the sample
    is_whole: bool
    layout: str | None = None
    says: str = ""
    choices: list[Choice] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    @property
    def can_check(self) -> bool:
        """Whether `clvcast check` can read the orders by what is known."""
        return not any(question.is_needed for question in self.questions)

    def choose(self, key: str, value: Any, why: str) -> None:
        """Take a value for a key."""
        self.choices.append(Choice(key, value, why))

    def ask(self, key: str, asks: str, *answers: tuple[str, str], is_needed: bool = False) -> None:
        """Leave a key to the user."""
        self.questions.append(Question(key, asks, answers, is_needed))

    def settings(self) -> dict[str, Any]:
        """The chosen keys as nested settings, without the source."""
        nested: dict[str, Any] = {}
        for choice in self.choices:
            place = nested
            *path, last = (
                choice.key.split(".", 1) if choice.key != "horizon_days" else ["horizon_days"]
            )
            for part in path:
                place = place.setdefault(part, {})
            place[last] = choice.value
        return nested


def quote_flow(text: str) -> str:
    """Text as YAML in quotes, where it stands in a list or is an answer."""
    return "'" + text.replace("'", "''") + "'"
