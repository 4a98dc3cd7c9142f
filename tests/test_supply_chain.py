"""The locked dependencies: licences listed, a bill of materials, no version with an advisory."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def dependencies(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dependencies", root / ".ci" / "dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dependencies"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_locked_package_has_a_licence_on_the_page(
    root: Path, dependencies: ModuleType, tmp_path: Path
) -> None:
    page = (root / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| (\S+) \| (\S+) \| ([^|]*) \|", page, re.MULTILINE)[1:]
    locked = list(dependencies.read_lock(root / "requirements.lock"))
    assert [(name, version) for name, version, _ in rows] == [(d.name, d.version) for d in locked]
    assert all(licence.strip() for _, _, licence in rows)
    dependencies.write_licences(tmp_path / "licences.md")
    assert (tmp_path / "licences.md").read_text() == page


def test_the_bill_of_materials_names_every_locked_package(
    root: Path, dependencies: ModuleType, tmp_path: Path
) -> None:
    dependencies.write_sbom(tmp_path / "bom.json")
    bom = json.loads((tmp_path / "bom.json").read_text())
    locked = {
        f"pkg:pypi/{d.name}@{d.version}" for d in dependencies.read_lock(root / "requirements.lock")
    }
    assert {component["purl"] for component in bom["components"]} == locked
    assert bom["metadata"]["component"]["name"] == "clvcast"


def test_no_lock_has_a_version_with_an_advisory(
    root: Path, dependencies: ModuleType, tmp_path: Path
) -> None:
    locks = [root / name for name in dependencies.LOCKS]
    assert dependencies.list_vulnerable(locks) == []
    for version, is_vulnerable in (("3.1.5", True), ("3.1.6", False)):
        (tmp_path / "old.lock").write_text(f"jinja2=={version} \\\n    --hash=sha256:0\n")
        found = dependencies.list_vulnerable([tmp_path / "old.lock"])
        assert bool(found) == is_vulnerable
        assert not found or "old.lock: jinja2 3.1.5 is vulnerable (CVE-2025-27516" in found[0]


def test_the_container_installs_what_the_large_lock_has(
    root: Path, dependencies: ModuleType
) -> None:
    """The same versions; every package with its hashes."""
    every = {(d.name, d.version) for d in dependencies.read_lock(root / "requirements.lock")}
    text = (root / "requirements-serve.lock").read_text()
    served = list(dependencies.read_lock(root / "requirements-serve.lock"))
    assert {(d.name, d.version) for d in served} <= every
    assert {"fastapi", "lightgbm", "pyarrow", "uvicorn"} <= {d.name for d in served}
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) == len(served)
    assert all("--hash=sha256:" in entry for entry in entries)
