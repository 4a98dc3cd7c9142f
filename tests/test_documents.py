"""What the documents promise: generated pages are current, examples run, doctests hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest
from conftest import Run

import clvcast
from clvcast.features.catalogue import CATALOGUE, format_catalogue

PARTS = ("configs", "decisions", "evaluation", "features", "models", "orders", "serve", "train")
MODULES = [
    module.name
    for part in PARTS
    for module in pkgutil.walk_packages(
        [str(Path(clvcast.__file__).parent / part)], f"clvcast.{part}."
    )
]


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_public_name_is_there_and_says_what_it_does() -> None:
    for name in clvcast.__all__:
        assert getattr(clvcast, name) is not None
        assert name == "__version__" or getattr(clvcast, name).__doc__, name


def test_the_page_of_features_is_that_of_the_catalogue(root: Path) -> None:
    page = (root / "docs" / "features.md").read_text()
    assert page == format_catalogue(), "run: python -m clvcast.features.catalogue"
    assert len({feature.name for feature in CATALOGUE}) == len(CATALOGUE) >= 40


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_readme_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """Every clvcast command, then every block of Python, in a folder with the sample and configs."""
    for folder in ("data", "configs"):
        (tmp_path / folder).symlink_to(root / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # the life of a model is test_life.py's
    own = [block for block in blocks(root / "README.md", "sh") if "models rollback" not in block]
    shell = "\n".join(own)
    commands = re.findall(r"^(?:\.venv/bin/)?clvcast (.*?)(?: #.*)?$", shell, re.MULTILINE)
    assert "train configs/online_retail.yaml" in commands
    for command in commands:
        status, _, err = run(*command.split())
        assert status == 0, (command, err)
    python = blocks(root / "README.md", "python")
    assert len(python) >= 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in python:
            exec(compile(block, "README.md", "exec"), {})
    assert len(pd.read_parquet(tmp_path / "forecasts.parquet")) == 4338


def test_the_numbers_in_the_readme_are_those_of_its_command(
    root: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    readme = (root / "README.md").read_text()
    (command,) = re.findall(r"clvcast (backtest \S+ --cutoff 2011-06-10) ", readme)
    status, out, _ = run(*command.split(), "--output", tmp_path / "backtest")
    assert status == 0
    rows = re.findall(r"│ (\w+) +│ +(\S+) │ +(\S+) │ +(\S+) │ +(\S+) │ +(\S+) │", out)
    assert len(rows) == 6
    for name, gini, _, error, _, bias in rows:
        assert f"| {name} | {gini} | {error} | {bias} |" in readme, (name, gini, error, bias)


def test_make_targets_of_the_readme_exist(root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    for page in [root / "README.md", *(root / "docs").glob("*.md")]:
        for target in re.findall(r"make ([a-z][a-z-]*)", "\n".join(blocks(page, "sh"))):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), (page.name, target)


def test_licence_and_attribution_travel_with_the_sample(root: Path) -> None:
    assert "CC BY 4.0" in (root / "data" / "SOURCE.md").read_text()
    size = sum(path.stat().st_size for path in (root / "data").iterdir() if path.is_file())
    assert size < 5_000_000
    assert shutil.which("git") is None or (root / "LICENSE").exists()
