"""The summary of a night: its steps, and the one exit status that a scheduler looks at."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

__all__ = ["ALARM", "DONE", "REFUSED", "NightStep", "NightSummary", "StepOutcome"]

DONE, REFUSED, ALARM = 0, 1, 3  # exit statuses; 2 is of wrong usage
_MEANING = {
    DONE: "done",
    REFUSED: "the candidate was refused, the champion serves",
    ALARM: "alarm: a person should look",
}

StepOutcome = Literal["done", "skipped", "refused", "alarm"]


@dataclass(frozen=True)
class NightStep:
    """One step: what came of it, in a word and in a sentence."""

    name: str
    outcome: StepOutcome
    sentence: str


@dataclass(frozen=True)
class NightSummary:
    """What a night did. Paths are as given, money is in the shop's currency."""

    began_at: str  # ISO
    cutoff: str | None  # of the orders; None where they cannot be read
    champion: str | None  # version that serves now
    forecasts: str | None  # the file, where tonight's were published
    steps: tuple[NightStep, ...]

    @property
    def status(self) -> int:
        """0 done, 1 candidate refused and the champion serves, 3 alarm."""
        outcomes = {step.outcome for step in self.steps}
        return ALARM if "alarm" in outcomes else REFUSED if "refused" in outcomes else DONE

    @property
    def alarms(self) -> tuple[str, ...]:
        """The sentence of each alarm."""
        return tuple(step.sentence for step in self.steps if step.outcome == "alarm")

    def format_json(self) -> str:
        """The summary as JSON text."""
        status = {"status": self.status, "meaning": _MEANING[self.status]}
        return json.dumps(status | dataclasses.asdict(self), indent=1) + "\n"

    def format_text(self) -> str:
        """A line per step, and the status."""
        lines = [f"{step.outcome:9}{step.name:9}{step.sentence}" for step in self.steps]
        return "\n".join([*lines, f"status {self.status}: {_MEANING[self.status]}"])
