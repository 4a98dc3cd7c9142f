"""The record: what a training leaves for the next one to compare with. No customer is in it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from ...orders import dates, windows
from ..run import TrainingRun

__all__ = ["RECORD_FILE", "Month", "Record", "build_record", "parse_record"]

RECORD_FILE = "training.json"  # among the run's artifacts


class Month(BaseModel):
    """What the orders held of one whole calendar month."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: int
    money: float  # net, in the shop's currency


class Record(BaseModel):
    """When a training ended, what it knew, and how its evaluation came out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    first: str  # ISO, of the first line
    end: str  # ISO; nothing at or after it was read
    customers: int
    months: Mapping[str, Month]
    evaluated: str | None
    methods: Mapping[str, Mapping[str, float | None]]  # method -> measure -> value


def build_record(run: TrainingRun) -> Record:
    """The record of a finished training."""
    evaluation = run.evaluation
    evaluated = evaluation.newest if evaluation else None
    months = windows.sum_whole_months(run.known, run.cutoff)
    unit = run.known.unit
    return Record(
        first=dates.format_iso(windows.find_first_order_at(run.known)),
        end=dates.format_iso(run.cutoff),
        customers=run.known.n_customers,
        months={n: Month(lines=lines, money=m / unit) for n, (lines, m) in months.items()},
        evaluated=evaluated,
        methods=evaluation.metrics[evaluated]["methods"] if evaluation and evaluated else {},
    )


def parse_record(text: str | None) -> Record | None:
    """A record as it was kept; None where there is none, or none that can be read."""
    if text is None:
        return None
    try:
        return Record.model_validate_json(text)
    except ValidationError:
        return None
