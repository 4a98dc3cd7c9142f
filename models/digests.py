"""The digests that a bundle must have, and where each comes from.

A digest is the sha256 of a bundle's manifest.json, which holds the digests of its other files. All
that are known are checked: one does not replace another.

    given                  --expect-sha256, or `expect_sha256` of `load_model` and of a reload
    CLVCAST_EXPECT_SHA256  in the environment, for programs that load models through MLflow
    MLmodel                written beside the bundle when it was logged; 0.1.0 wrote none
    the version's tag      clvcast.bundle_sha256, written when the version was registered
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..configs.yaml_text import parse_yaml
from ..errors import BundleError, ConfigError

__all__ = ["BUNDLE_SHA256", "EXPECT_VARIABLE", "check_digests"]

BUNDLE_SHA256 = "clvcast.bundle_sha256"  # the tag of a version, and the key in MLmodel
EXPECT_VARIABLE = "CLVCAST_EXPECT_SHA256"
_SHA256 = re.compile("[0-9a-f]{64}")
_MOST_MLMODEL_BYTES = 1 << 20


def check_digests(
    folder: Path, found: str, given: str | None = None, tags: Mapping[str, str] | None = None
) -> None:
    """Raise `BundleError` unless a bundle's digest `found` is every digest that it must have.

    `tags` are those of its registered version; None for a bundle that is none. Raises
    `ConfigError` for a given digest that is none.
    """
    expected = {}
    for source, text in (
        ("the expected sha256", given),
        (EXPECT_VARIABLE, os.environ.get(EXPECT_VARIABLE)),
    ):
        if text is not None:
            expected[source] = _parse_digest(source, text)
    logged = _read_logged_digest(folder)
    if logged is not None:
        expected["its MLmodel file"] = logged
    if tags is not None:
        if BUNDLE_SHA256 in tags:
            expected[f"the version's tag {BUNDLE_SHA256}"] = tags[BUNDLE_SHA256]
        elif given is None:
            raise BundleError(
                f"the registered version has no tag {BUNDLE_SHA256} (deleted, or not registered by "
                "clvcast): pass --expect-sha256 with the digest you know, or train again"
            )
    for source, digest in expected.items():
        if digest != found:
            raise BundleError(
                f"the bundle {folder} must have the sha256 {digest}, by {source}, got {found} (of "
                "its manifest.json): it is another bundle, or was tampered with"
            )


def _parse_digest(source: str, text: str) -> str:
    digest = text.strip().lower()
    if not _SHA256.fullmatch(digest):
        raise ConfigError(
            f"{source} must be 64 hexadecimal digits, got {len(digest)} characters; take them from "
            "sha256sum bundle/manifest.json"
        )
    return digest


def _read_logged_digest(folder: Path) -> str | None:
    """The digest in the MLmodel file of the MLflow model that the bundle lies in, if any."""
    path = folder.absolute().parents[1] / "MLmodel" if len(folder.absolute().parents) > 1 else None
    if path is None or not path.is_file():
        return None
    try:
        if path.stat().st_size > _MOST_MLMODEL_BYTES:
            raise BundleError(f"the file {path} must have at most {_MOST_MLMODEL_BYTES:,} bytes")
        content = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError, ConfigError):
        raise BundleError(f"the file {path} of the model cannot be read; fetch it again") from None
    metadata = content.get("metadata") if isinstance(content, dict) else None
    digest = metadata.get(BUNDLE_SHA256) if isinstance(metadata, dict) else None
    return None if digest is None else str(digest)
