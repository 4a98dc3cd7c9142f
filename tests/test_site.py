"""The documentation site: pages have a purpose, public names a reference, links a target."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from conftest import needed

import clvcast

PURPOSE = re.compile(r"(This page|How to) \w+.*")


@pytest.fixture(scope="module")
def pages(root: Path) -> ModuleType:
    """The hook that gives mkdocs its pages."""
    needed("mkdocs")
    spec = importlib.util.spec_from_file_location("pages", root / "docs" / "site" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_begin_with_what_they_are_for(root: Path) -> None:
    paths = [*(root / "docs").rglob("*.md"), root / "benchmarks" / "results" / "README.md"]
    assert len(paths) > 40
    for path in paths:
        title, blank, purpose = path.read_text(encoding="utf-8").splitlines()[:3]
        assert title.startswith("# "), path
        assert blank == "", path
        assert PURPOSE.match(purpose), (path, purpose)


def test_every_public_name_has_a_place_in_the_reference(pages: ModuleType) -> None:
    listed = {name for _, _, names in pages.REFERENCE.values() for name in names}
    assert set(clvcast.__all__) - listed == {"__version__"}
    assert listed - set(clvcast.__all__) == {"api.btyd", "spark"}
    assert ("clvcast.score", "clvcast.models.scoring.score") in pages.find_home("score")
    assert len(pages.find_home("tables")) == len(clvcast.tables.__all__)


def test_notebooks_are_kept_without_results(root: Path) -> None:
    for path in (root / "docs" / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), path


def test_every_benchmark_says_what_it_measures(root: Path, pages: ModuleType) -> None:
    results = {path.name for path in (root / "benchmarks" / "results").glob("*.md")}
    assert set(pages.find_benchmarks()) == results - {"README.md"}


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_loads_nothing_from_elsewhere(
    root: Path, tmp_path: Path, pages: ModuleType
) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    written = {page.parent.relative_to(tmp_path): page for page in tmp_path.rglob("index.html")}
    assert len(written) > 60
    loaded = re.compile(
        r'<(?:script|img|iframe|source)[^>]*src="?https?:|<link[^>]*stylesheet[^>]*https?:'
    )
    for page in written.values():
        assert not loaded.search(page.read_text(encoding="utf-8")), page
    notebooks = [path.stem for path in (root / "docs" / "notebooks").glob("*.ipynb")]
    assert len(notebooks) == 3
    for name in notebooks:  # they ran: a cell that fails ends the build
        text = written[Path("docs/notebooks") / name].read_text(encoding="utf-8")
        assert 'class="result"' in text
        assert name == "own_model" or "Plotly.newPlot" in text
    for name, (_, _, members) in pages.REFERENCE.items():
        text = written[Path("reference") / name].read_text(encoding="utf-8")
        for member in members:
            for public, home in pages.find_home(member):
                assert f'id="{home}"' in text, public
    text = written[Path("reference/btyd")].read_text(encoding="utf-8")
    for model in ("BGNBD", "ParetoNBD"):  # methods of a class that is not public
        assert f'id="clvcast.api.btyd.{model}.expected_purchases"' in text
