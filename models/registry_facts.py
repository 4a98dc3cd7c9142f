"""Registry facts: dates and measures of a model, which its bundle does not hold, from its tags."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

__all__ = [
    "CUTOFF",
    "DATA_SPAN",
    "MEASURE",
    "PROVISIONAL",
    "VERDICT",
    "VERDICT_REASON",
    "RegistryFacts",
]

CUTOFF = "clvcast.cutoff"  # tag: where the training ended
DATA_SPAN = "clvcast.data_span"  # tag: the first day to the training's end
MEASURE = "clvcast.measure."  # tags: the headline measures of the newest evaluation
VERDICT = "clvcast.verdict"  # tag: promoted or refused, by the gate or by hand
VERDICT_REASON = "clvcast.verdict_reason"  # tag
PROVISIONAL = "provisional"  # verdict: a champion that failed comparisons with baselines alone


class RegistryFacts(BaseModel):
    """A model's name and version, the end and data of its training, and its measures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    number: str
    cutoff: str | None
    data_span: str | None
    measures: Mapping[str, float]
    provisional: str | None = None  # why, where the version serves provisionally

    @property
    def caveat(self) -> str | None:
        """What a user of a provisional champion must know."""
        if self.provisional is None:
            return None
        return (
            f"version {self.number} of {self.name} is a provisional champion: it ranks customers "
            f"better than every baseline, and {self.provisional}"
        )

    @classmethod
    def of(cls, name: str, number: str, tags: Mapping[str, str]) -> RegistryFacts:
        """From the tags of a version; a measure that is no number is left out."""
        measures = {}
        for key, value in tags.items():
            if key.startswith(MEASURE):
                try:
                    measures[key.removeprefix(MEASURE)] = float(value)
                except ValueError:
                    continue
        return cls(
            name=name,
            number=number,
            cutoff=tags.get(CUTOFF),
            data_span=tags.get(DATA_SPAN),
            measures=measures,
            provisional=tags.get(VERDICT_REASON) if tags.get(VERDICT) == PROVISIONAL else None,
        )
