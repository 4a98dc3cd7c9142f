"""The folder of a nightly run: its lock, what earlier nights left, and what is kept of them.

    forecasts.parquet, report.html, summary.json    of the newest night
    state.json                                      what the last training saw
    nights/2026-11-29/                              forecasts and summary of that cutoff

The report, 5 MB with its drawing code, is kept once: `clvcast report` makes that of an earlier
night again from its forecasts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from ..atomic_files import replace_file
from ..errors import StoreError

__all__ = [
    "FORECASTS",
    "NightState",
    "TrainedNight",
    "keep_night",
    "list_nights",
    "lock_nights",
    "read_state",
    "remove_old_nights",
    "write_state",
    "write_text",
]

FORECASTS = "forecasts.parquet"
_STATE = "state.json"
_LOCK_SECONDS = 600.0


class TrainedNight(BaseModel):
    """The last training: the orders and settings it saw, and what the gate said."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    version: str
    refused: str | None  # the gate's reason, where it refused the candidate


class NightState(BaseModel):
    """What the next night must know."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    trained: TrainedNight | None = None
    monitored: tuple[str, ...] = ()  # nights whose forecasts were compared with what happened


@contextmanager
def lock_nights(folder: Path, seconds: float = _LOCK_SECONDS) -> Iterator[None]:
    """Let one run at a time into a folder; a second one waits, then raises `StoreError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=seconds)
    except Timeout:
        raise StoreError(
            f"another nightly run has worked in {folder} for {seconds:.0f} seconds; see whether it "
            "hangs, and run again"
        ) from None
    except OSError as error:
        raise StoreError(
            f"the folder {folder} cannot be written: {error.strerror}; name another --output"
        ) from None
    try:
        yield
    finally:
        lock.release()


def read_state(folder: Path) -> NightState:
    """The state, or an empty one where there is none that can be read: then all is done again."""
    try:
        return NightState.model_validate_json((folder / _STATE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return NightState()


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replace_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_state(folder: Path, state: NightState) -> None:
    """Write the state for the next night."""
    write_text(folder / _STATE, state.model_dump_json(indent=1) + "\n")


def keep_night(folder: Path, night: str) -> Path:
    """Keep the newest forecasts as those of a night; returns its folder."""
    night_folder = folder / "nights" / night
    night_folder.mkdir(parents=True, exist_ok=True)
    for name in (FORECASTS, f"{FORECASTS}.manifest.json"):
        with replace_file(night_folder / name) as partial:
            try:
                os.link(folder / name, partial)  # no second copy: files are replaced, never changed
            except OSError:
                shutil.copyfile(folder / name, partial)
    return night_folder


def list_nights(folder: Path) -> list[str]:
    """The nights whose forecasts are there, oldest first."""
    return sorted(path.parent.name for path in folder.glob(f"nights/*/{FORECASTS}"))


def remove_old_nights(folder: Path, keep: int, monitored: tuple[str, ...]) -> list[str]:
    """Remove all but the newest `keep` nights, and the first of each week not monitored yet."""
    nights = list_nights(folder)
    old = nights[:-keep]
    waiting: dict[tuple[int, int], str] = {}
    for night in nights:
        if night not in monitored:
            year, week, _ = date.fromisoformat(night[:10]).isocalendar()
            waiting.setdefault((year, week), night)
    removed = [night for night in old if night not in waiting.values()]
    for night in removed:
        shutil.rmtree(folder / "nights" / night)
    return removed
