"""Entries of a store as plain values: a version of a model, a run's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Dataset", "Version", "build_version"]


@dataclass(frozen=True)
class Version:
    """A registered version of a model."""

    number: str
    run_id: str
    registered_at: str  # ISO, UTC
    aliases: tuple[str, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Dataset:
    """What MLflow's page of a run shows of the orders it learned from."""

    digest: str
    source: str
    profile: Mapping[str, Any]


def build_version(entry: Any, aliases: Sequence[str]) -> Version:
    """What MLflow holds of a version, and the aliases that point at it."""
    made = datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC)
    return Version(
        number=str(entry.version),
        run_id=str(entry.run_id or ""),
        registered_at=made.isoformat(timespec="seconds"),
        aliases=tuple(sorted(aliases)),
        tags={str(key): str(value) for key, value in (entry.tags or {}).items()},
    )
