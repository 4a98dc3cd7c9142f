"""The manifest beside a batch's output: input, settings, totals. It is the same for equal runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .forecast_terms import ForecastTerms
from .model import TrainedModel

__all__ = [
    "Manifest",
    "build_manifest",
    "compute_batch_key",
    "hash_file",
    "hash_files",
    "is_done",
    "locate_manifest",
]

_FORMAT = 2


class Manifest(BaseModel):
    """What a batch did; money in the shop's currency."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = _FORMAT
    key: str  # of everything the forecasts depend on
    model_version: str
    cutoff: str
    input_sha256: str
    config_sha256: str  # periods, economics, segments and how orders are read
    made_with: ForecastTerms
    rows: int
    totals: dict[str, float]  # column -> its exact sum, rounded once
    customers_without_orders: int
    lines_set_aside: int
    remarks: tuple[str, ...]
    plausibility: tuple[str, ...] = ()  # the totals beside what was spent before
    files: dict[str, str]  # name beside or below the manifest -> sha256

    def text(self) -> str:
        """The manifest as JSON."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n"


def locate_manifest(output: Path, *, is_folder: bool) -> Path:
    """Where an output's manifest stands."""
    return (
        output / "manifest.json" if is_folder else output.with_name(f"{output.name}.manifest.json")
    )


def compute_batch_key(
    model: TrainedModel, input_sha256: str, settings: Sequence[Any]
) -> tuple[str, str]:
    """The key of a batch, and the digest of its configuration."""
    config = {
        "periods": model.periods,
        "economics": model.economics.model_dump(mode="json"),
        "segments": [
            part and part.model_dump(mode="json") for part in (model.own_segments, model.own_cuts)
        ],
        "orders": model.orders.model_dump(mode="json", exclude={"source"}),
    }
    if model.own_calendar is not None:
        config["calendar"] = model.own_calendar.to_dates()
    config_sha256 = _hash_text(json.dumps(config, sort_keys=True))
    parts = [_FORMAT, model.version, input_sha256, config_sha256, *settings]
    return _hash_text(json.dumps(parts)), config_sha256


def hash_files(paths: Iterable[Path]) -> str:
    """A sha256 over the names and contents of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path} {hash_file(path)}\n".encode())
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """A file's sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_done(path: Path, key: str) -> Manifest | None:
    """The manifest of a finished batch with this key whose files are as it left them, else None."""
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
        is_intact = all(
            hash_file(path.parent / name) == sha256 for name, sha256 in manifest.files.items()
        )
    except (OSError, ValidationError):
        return None
    return manifest if manifest.key == key and is_intact else None


def build_manifest(output: Path) -> Manifest | None:
    """The manifest beside an unchanged forecast file; None where it changed, or has none."""
    path = locate_manifest(output, is_folder=False)
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    is_whole = manifest.files.get(output.name) == hash_file(output)
    return manifest if is_whole else None


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
