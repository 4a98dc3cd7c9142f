"""The bundle: a model as a folder of text and numbers. No code, no pickle, no customer, no clock, no path.

    manifest.json   format version, model version, size and sha256 of every file, library versions
    model.json      the numbers (`Numbers`)
    churn-0.txt...  LightGBM trees as text, one file a head and seed; spend-0.txt likewise
    golden.json     expected forecasts of the golden rows

Loading checks in order: sizes, digests, format version, LightGBM, golden rows. A damaged tree text
can hang LightGBM's parser, so nothing reaches it before its digest is right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import BundleError, StoreError
from .golden import check_golden, golden_forecasts
from .model import Model, Numbers
from .outputs import replaced_folder
from .trees import Trees

__all__ = ["FORMAT_VERSION", "load", "save"]

FORMAT_VERSION = 1
_MANIFEST = "manifest.json"
_NUMBERS = "model.json"
_GOLDEN = "golden.json"
_LIBRARIES = ("lightgbm", "numba", "numpy", "pyarrow")
_MOST_BYTES = 1 << 30  # of one file; a larger claim is damage


def save(model: Model, folder: Path) -> None:
    """Write a bundle, whole or not at all; a bundle that is there already is replaced."""
    if folder.exists() and not (folder / _MANIFEST).is_file():
        raise StoreError(f"{folder} exists and is no bundle; name a new folder")
    files = model.files()
    files[_GOLDEN] = _json(golden_forecasts(model))
    manifest = {
        "format_version": FORMAT_VERSION,
        "model_version": model.version,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        },
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    with replaced_folder(folder) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)
        (partial / _MANIFEST).write_bytes(_json(manifest))


def load(folder: Path) -> Model:
    """Read a bundle and prove it: raises `BundleError` with the first thing that is wrong."""
    manifest = _manifest(folder)
    files = {name: _checked(folder, name, entry) for name, entry in manifest["files"].items()}
    if manifest["format_version"] != FORMAT_VERSION:
        newer = manifest["format_version"] > FORMAT_VERSION
        mend = "update clvcast" if newer else "train it again"
        raise BundleError(
            f"the bundle {folder} must be of format {FORMAT_VERSION}, got "
            f"{manifest['format_version']}; {mend}"
        )
    try:
        numbers = Numbers.model_validate_json(files[_NUMBERS])
        expected = json.loads(files[_GOLDEN])
    except (KeyError, ValidationError, ValueError) as error:
        reason = f"{type(error).__name__} in {_NUMBERS} or {_GOLDEN}"
        raise BundleError(f"the bundle {folder} does not hold a model: {reason}") from None
    heads = {
        head: tuple(
            Trees.from_text(files[name].decode())
            for name in sorted(files)
            if name.startswith(f"{head}-")
        )
        for head in ("churn", "spend")
    }
    if not all(heads.values()):
        raise BundleError(f"the bundle {folder} lacks its trees")
    if any(trees.features != numbers.features for head in heads.values() for trees in head):
        raise BundleError(f"the bundle {folder} has trees grown on other features than it lists")
    model = Model(numbers, heads["churn"], heads["spend"])
    if model.version != manifest["model_version"]:
        raise BundleError(f"the bundle {folder} is not the model its manifest names")
    check_golden(model, expected)
    return model


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / _MANIFEST).read_bytes())
    except FileNotFoundError:
        raise BundleError(f"{folder} is no bundle: it has no {_MANIFEST}") from None
    except OSError as error:
        raise BundleError(f"the bundle {folder} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BundleError(f"the bundle {folder} is damaged: its manifest is no JSON") from None
    well_formed = (
        isinstance(content, dict)
        and isinstance(content.get("format_version"), int)
        and isinstance(content.get("files"), dict)
        and all(_is_entry(name, entry) for name, entry in content["files"].items())
    )
    if not well_formed:
        raise BundleError(f"the bundle {folder} is damaged: its manifest lists no files")
    return dict(content)


def _is_entry(name: str, entry: object) -> bool:
    return (
        Path(name).name == name
        and isinstance(entry, Mapping)
        and isinstance(entry.get("bytes"), int)
        and isinstance(entry.get("sha256"), str)
    )


def _checked(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    path = folder / name
    try:
        if path.stat().st_size != entry["bytes"] or entry["bytes"] > _MOST_BYTES:
            raise BundleError(
                f"the bundle {folder} is damaged: {name} must have {entry['bytes']} bytes, "
                f"got {path.stat().st_size}; fetch it again"
            )
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"the bundle {folder} lacks {name}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise BundleError(
            f"the bundle {folder} is damaged or was edited: {name} does not match its digest; "
            "fetch it again"
        )
    return content


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
