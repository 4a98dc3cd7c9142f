"""The bundle: a model as a folder of text and numbers, without code, customers, dates or paths.

    manifest.json   format version, model version, size and sha256 of every file, library versions
    model.json      the numbers (`Parameters`)
    churn-0.txt...  LightGBM trees as text, one file a head and seed; spend-0.txt likewise
    golden.json     expected forecasts of the golden rows, golden tables and golden trees
    reference.json  histograms of features and forecasts at the training end; optional

Loading checks in order: paths and sizes, digests, format version, numbers, tree structure,
LightGBM, golden rows. A new number gets its rule in `parameters`, and an entry in `golden_tables`
where golden rows do not reach it; `make fuzz` tells. A malformed tree text kills or hangs
LightGBM's parser, so none reaches it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..atomic_files import replace_folder
from ..errors import BundleError, StoreError
from .blend import HEADS, LATER
from .digests import check_digests
from .drift_reference import DriftReference
from .golden_rows import (
    GoldenFile,
    LegacyGolden,
    check_golden_rows,
    forecast_golden_rows,
    forecast_legacy_rows,
)
from .model import TrainedModel, hash_content
from .parameters import LaterPeriodRatios, Parameters
from .trees.lightgbm_trees import Trees
from .trees.validation import check_trees

__all__ = [
    "FORMAT_VERSION",
    "hash_bundle",
    "load_bundle",
    "load_expected_bundle",
    "save_bundle",
]

FORMAT_VERSION = 3
_RATIOS_VERSION = 2  # later periods are ratios to the first; 0.1 wrote and reads it
_MANIFEST = "manifest.json"
_NUMBERS = "model.json"
_GOLDEN = "golden.json"
_REFERENCE = "reference.json"
_LIBRARIES = ("clvcast", "lightgbm", "numba", "numpy", "pyarrow")
_MOST_BYTES = 1 << 30  # of one file; a larger claim is damage
_MOST_MANIFEST_BYTES = 1 << 20
_GOLDEN_FILE: TypeAdapter[GoldenFile | LegacyGolden] = TypeAdapter(GoldenFile | LegacyGolden)


def save_bundle(model: TrainedModel, folder: Path) -> None:
    """Write a bundle, whole or not at all; a bundle that is there already is replaced."""
    model = TrainedModel(model.numbers, model.trees, reference=model.reference)
    if folder.exists() and not (folder / _MANIFEST).is_file():
        raise StoreError(
            f"{folder} exists but is not a clvcast bundle; choose a folder that does not exist yet"
        )
    files = model.files()
    is_ratios = isinstance(model.numbers.later, LaterPeriodRatios)
    golden = forecast_legacy_rows(model) if is_ratios else forecast_golden_rows(model).model_dump()
    files[_GOLDEN] = _check_json(golden)
    if model.reference is not None:
        files[_REFERENCE] = _check_json(model.reference.model_dump(mode="json"))
    manifest = {
        "format_version": _get_format(model.numbers),
        "model_version": model.version,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        },
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    with replace_folder(folder) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)
        (partial / _MANIFEST).write_bytes(_check_json(manifest))


def _get_format(numbers: Parameters) -> int:
    return _RATIOS_VERSION if isinstance(numbers.later, LaterPeriodRatios) else FORMAT_VERSION


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    bytes: int = Field(ge=0, le=_MOST_BYTES)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format_version: int
    model_version: str
    files: dict[Annotated[str, Field(pattern=r"^[a-z]+(-\d+)?\.(json|txt)$")], _File]
    libraries: dict[str, str]


def hash_bundle(folder: Path) -> str:
    """The sha256 of a bundle's manifest, which holds the digests of all its files."""
    return hashlib.sha256(_read_manifest_text(folder)).hexdigest()


def load_expected_bundle(
    folder: Path, given: str | None = None, tags: Mapping[str, str] | None = None
) -> TrainedModel:
    """`load_bundle` of a bundle from elsewhere, which must have every digest that is known of it.

    The manifest's digests guard against damage. Against somebody who means it, who would make them
    fit, guard those kept somewhere else (`models.digests`).
    """
    text = _read_manifest_text(folder)  # read once: nobody can exchange it between check and use
    check_digests(folder, hashlib.sha256(text).hexdigest(), given, tags)
    return _load(folder, text)


def load_bundle(folder: Path) -> TrainedModel:
    """Read a bundle and prove it: raises `BundleError` with the first thing that is wrong."""
    return _load(folder, _read_manifest_text(folder))


def _load(folder: Path, text: bytes) -> TrainedModel:
    manifest = _parse_manifest(folder, text)
    files = {name: _check_file(folder, name, entry) for name, entry in manifest.files.items()}
    if manifest.format_version not in (_RATIOS_VERSION, FORMAT_VERSION):
        raise BundleError(
            f"the bundle {folder} must be of format {_RATIOS_VERSION} or {FORMAT_VERSION}, got "
            f"{manifest.format_version}; {_name_version_that_can(manifest)}"
        )
    content = {n: bytes_ for n, bytes_ in files.items() if n not in (_GOLDEN, _REFERENCE)}
    if hash_content(content) != manifest.model_version:
        raise BundleError(f"the bundle {folder} is not the model its manifest names")
    try:
        numbers = Parameters.model_validate_json(files[_NUMBERS])
        expected = _GOLDEN_FILE.validate_json(files[_GOLDEN])
        reference = (
            DriftReference.model_validate_json(files[_REFERENCE]) if _REFERENCE in files else None
        )
    except (KeyError, ValidationError) as error:
        reason = f"{type(error).__name__} in {_NUMBERS}, {_GOLDEN} or {_REFERENCE}"
        raise BundleError(f"the bundle {folder} does not hold a model: {reason}") from None
    texts = {name: text.decode("utf-8", "replace") for name, text in content.items()}
    for name, trees in texts.items():
        if name != _NUMBERS:
            check_trees(trees, numbers.features, name)
    names = {name for name in texts if name != _NUMBERS}
    head_names = [*HEADS, *([LATER] if f"{LATER}-0.txt" in names else [])]
    seeds = range(len(names) // len(head_names))
    if names != {f"{head}-{seed}.txt" for head in head_names for seed in seeds}:
        raise BundleError(f"the bundle {folder} does not hold the trees of every head")
    heads = {
        head: tuple(Trees.from_text(texts[f"{head}-{seed}.txt"]) for seed in seeds)
        for head in (head_names if names else ())
    }
    model = TrainedModel(numbers, heads, reference=reference)
    if isinstance(expected, GoldenFile) == (manifest.format_version == _RATIOS_VERSION):
        raise BundleError(
            f"the test rows (golden rows) of the bundle {folder} have a different format "
            "version from the bundle; download it again"
        )
    check_golden_rows(model, expected)
    return model


def _read_manifest_text(folder: Path) -> bytes:
    path = folder / _MANIFEST
    try:
        _check_plain(path)
        if path.stat().st_size > _MOST_MANIFEST_BYTES:
            raise BundleError(
                f"the bundle {folder} is damaged: its manifest must have at most "
                f"{_MOST_MANIFEST_BYTES:,} bytes, got {path.stat().st_size:,}"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{folder} is no bundle: it has no {_MANIFEST}") from None
    except OSError as error:
        raise BundleError(f"the bundle {folder} cannot be read: {error.strerror}") from None


def _check_plain(path: Path) -> None:
    """A bundle holds plain files: a link could lead anywhere, a pipe never ends."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise BundleError(f"the bundle's {path.name} must be a plain file, got a link or a device")


def _parse_manifest(folder: Path, text: bytes) -> _Manifest:
    try:
        return _Manifest.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "it"
        raise BundleError(
            f"the bundle {folder} is damaged: its manifest is not one: {where}: {fault['msg']}"
        ) from None


def _name_version_that_can(manifest: _Manifest) -> str:
    """The version of clvcast that reads a bundle of another format, and what else mends it."""
    maker = manifest.libraries.get("clvcast")
    reads = f"clvcast {maker}, which made it, reads it" if maker else "the clvcast that made it can"
    newer = manifest.format_version > FORMAT_VERSION
    return f"{reads}; {'update clvcast' if newer else 'or train it again with this one'}"


def _check_file(folder: Path, name: str, entry: _File) -> bytes:
    path = folder / name
    try:
        _check_plain(path)
        if path.stat().st_size != entry.bytes:
            raise BundleError(
                f"the bundle {folder} is damaged: {name} must have {entry.bytes} bytes, "
                f"got {path.stat().st_size}; fetch it again"
            )
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"the bundle {folder} lacks {name}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleError(
            f"the bundle {folder} is damaged or was edited: {name} does not match its digest; "
            "fetch it again"
        )
    return content


def _check_json(content: object) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
