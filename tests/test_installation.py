"""What an installation promises: types, one version, every folder in the wheel, and a train that is
a function.
"""

from __future__ import annotations

import importlib
import inspect
import pydoc
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import clvcast


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_typed_script_runs(root: Path, tmp_path: Path) -> None:
    """`make check` proves its types."""
    command = [sys.executable, str(root / "tests" / "typed_script.py"), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == f"clvcast {clvcast.__version__}: 200 forecasts\n"


def test_train_is_a_function_and_a_folder_of_modules() -> None:
    text = " ".join(pydoc.plain(pydoc.render_doc(clvcast.train)).split())
    assert "function clvcast.train in" in text
    assert "orders: 'OrdersSource', config: 'Config | None' = None" in text
    run = importlib.import_module("clvcast.train.run")
    ours, theirs = (inspect.signature(train).parameters for train in (clvcast.train, run.train))
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]
    imported: dict[str, Any] = {}
    exec("import clvcast.train.gate.rules\nfrom clvcast.train import run, fit as fitting", imported)
    assert imported["run"] is run is clvcast.train.run  # type: ignore[attr-defined]
    assert imported["fitting"].__name__ == "clvcast.train.fit"
    assert imported["clvcast"].train.gate.rules.__name__ == "clvcast.train.gate.rules"


def test_there_is_one_version_number(root: Path, project: dict[str, Any]) -> None:
    version = project["project"]["version"]
    assert clvcast.__version__ == version, "the installation is older than pyproject.toml: run make"
    command = [sys.executable, "-m", "clvcast", "version"]
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        == version
    )
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert ("## Unreleased" in changes) if ".dev" in version else (f"## {version} - " in changes)


def test_every_folder_of_the_package_is_in_the_wheel(root: Path, project: dict[str, Any]) -> None:
    parts = [path.parent for path in root.glob("*/__init__.py")]
    folders = {module.parent for part in parts for module in part.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
    names = {".".join(("clvcast", *folder.relative_to(root).parts)) for folder in folders}
    assert set(project["tool"]["setuptools"]["packages"]) == {"clvcast"} | names


def test_every_data_file_of_the_package_is_in_the_wheel(
    root: Path, project: dict[str, Any]
) -> None:
    patterns = project["tool"]["setuptools"]["package-data"]
    packed = {
        path
        for package, globs in patterns.items()
        for glob in globs
        for path in root.joinpath(*package.split(".")[1:]).glob(glob)
    }
    parts = [path.parent for path in root.glob("*/__init__.py")]
    data = {
        path
        for part in parts
        for path in part.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc")
    }
    assert data
    assert data - packed == set()


def test_links_follow_the_parts_of_the_package(root: Path, tmp_path: Path) -> None:
    """As after a `git pull` that brought one folder, one module, and took a folder away."""
    clone = tmp_path / "a clone"
    clone.mkdir()
    shutil.copy(root / "Makefile", clone)
    links = clone / "build" / "editable" / "clvcast"

    def find_parts_after_make() -> set[str]:
        subprocess.run(["make", "--quiet", "build/editable/clvcast"], cwd=clone, check=True)
        return {link.name for link in links.iterdir() if link.exists()}

    for path in ("__init__.py", "py.typed", "orders/__init__.py", "old/__init__.py", "docs/x.py"):
        (clone / path).parent.mkdir(exist_ok=True)
        (clone / path).touch()
    assert find_parts_after_make() == {"__init__.py", "py.typed", "orders", "old"}
    (clone / "orders" / "new_file.py").touch()
    assert (links / "orders" / "new_file.py").is_file()
    (links / "__pycache__").mkdir()
    shutil.rmtree(clone / "old")
    for path in ("new/__init__.py", "errors.py"):
        (clone / path).parent.mkdir(exist_ok=True)
        (clone / path).touch()
    expected = {"__init__.py", "py.typed", "orders", "new", "errors.py"}
    assert find_parts_after_make() - {"__pycache__"} == expected
    assert not (links / "old").is_symlink()
