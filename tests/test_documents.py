"""What the documents promise: generated pages are current, examples run, doctests hold."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import ROOT, Run, needed
from export_files import make_shop, write_shopify

import clvcast
from clvcast.commands import console
from clvcast.features.catalogue import CATALOGUE, format_catalogue

PARTS = ("configs", "decisions", "evaluation", "features", "models", "orders", "serve", "train")
MODULES = sorted(
    ".".join(("clvcast", *module.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for folder in [ROOT, *(path.parent for path in ROOT.glob("*/__init__.py"))]
    for module in (folder.glob("*.py") if folder == ROOT else folder.rglob("*.py"))
)
NEEDS_SPARK = ("clvcast.orders.spark", "clvcast.serve.spark", "clvcast.train.spark")


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str) -> None:
    if name.startswith(NEEDS_SPARK):
        needed("pyspark")
    module: Any = importlib.import_module(name)
    if inspect.isfunction(module):  # clvcast.train is a function that stands in for its folder
        assert ">>>" not in (module.__doc__ or "")
    else:
        assert doctest.testmod(module).failed == 0


def test_doctests_reach_every_folder() -> None:
    parts = {name.split(".")[1] for name in MODULES if name.count(".")}
    assert parts >= {*PARTS, "commands", "spark", "errors", "atomic_files"}
    assert len(MODULES) > 190


def list_public_functions() -> list[tuple[str, Callable[..., object]]]:
    """The functions of `clvcast.__all__`, and the methods the classes in it define themselves."""
    functions: list[tuple[str, Callable[..., object]]] = []
    for name in clvcast.__all__:
        value = getattr(clvcast, name)
        if inspect.isfunction(value):
            functions.append((name, value))
        elif value is clvcast.Model:
            own = [method for method in vars(value) if method[0] != "_"]
            own.remove("of")  # how the package itself makes one
            functions += [(f"{name}.{method}", getattr(value, method)) for method in own]
    return functions


def list_undocumented(function: Callable[..., object]) -> list[str]:
    """Parameters and sections that the numpy docstring of a function lacks.

    The reference prints the first parameter's default for all parameters of an entry, so that only
    those without a default may share one.
    """
    doc = inspect.getdoc(function) or ""
    sections = dict(re.findall(r"^(\w+)\n-{3,}\n(.*?)(?=^\w+\n-{3,}$|\Z)", doc, re.DOTALL | re.M))
    parameters = "\n".join(
        re.findall(r"^(?:\*\*)?(\w[\w, ]*)", sections.get("Parameters", ""), re.M)
    )
    described = set(re.findall(r"\w+", parameters))
    signature = inspect.signature(function)
    for entry in re.findall(r"^\w+(?:, \w+)+", parameters, re.M):
        shared = (signature.parameters[name] for name in entry.split(", "))
        if any(parameter.default is not parameter.empty for parameter in shared):
            described -= set(entry.split(", "))
    lacking = [name for name in signature.parameters if name not in described | {"self"}]
    if signature.return_annotation not in (None, "None") and "Returns" not in sections:
        lacking.append("Returns")
    return lacking


@pytest.mark.parametrize(("name", "function"), list_public_functions())
def test_public_functions_have_numpy_docstrings(name: str, function: Callable[..., object]) -> None:
    assert list_undocumented(function) == []


def test_public_classes_describe_their_attributes() -> None:
    for value in (clvcast.Model, clvcast.Orders, clvcast.Forecast):
        assert "Attributes\n----" in (inspect.getdoc(value) or ""), value
    described = set(re.findall(r"\w+", inspect.getdoc(clvcast.Forecast) or ""))
    assert {field.name for field in fields(clvcast.Forecast)} - described == set()


def test_every_public_name_says_what_it_is() -> None:
    for name in clvcast.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(clvcast, name)), name


def test_a_docstring_that_lacks_a_parameter_is_found() -> None:
    def add(left: int, right: int) -> int:
        """Add.

        Parameters
        ----------
        left : int
            One number; right is not described.

        """
        return left + right

    def multiply(left: int, right: int = 2) -> None:
        """Multiply.

        Parameters
        ----------
        left, right : int
            Two numbers; the default is of one.

        """

    assert list_undocumented(add) == ["right", "Returns"]
    assert list_undocumented(multiply) == ["left", "right"]


def test_the_page_of_features_is_that_of_the_catalogue(root: Path) -> None:
    page = (root / "docs" / "features.md").read_text()
    assert page == format_catalogue(), "run: python -m clvcast.features.catalogue"
    assert len({feature.name for feature in CATALOGUE}) == len(CATALOGUE) >= 40


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_readme_runs(
    root: Path,
    small_sample_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    """Every clvcast command, then every block of Python, in a folder with configs and a part of
    the sample.
    """
    for folder in ("data", "configs"):
        (tmp_path / folder).symlink_to(small_sample_folder / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # the life of a model is test_life.py's
    apart = ("models rollback", "orders_export.csv")  # these have tests of their own
    own = [b for b in blocks(root / "README.md", "sh") if not any(name in b for name in apart)]
    shell = "\n".join(own)
    commands = re.findall(r"^(?:\.venv/bin/)?clvcast (.*?)(?: +#.*)?$", shell, re.MULTILINE)
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
    assert len(pd.read_parquet(tmp_path / "forecasts.parquet")) == 1_474


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_tutorial_runs_and_shows_its_own_numbers(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    page = root / "docs" / "tutorial.md"
    (python,), (settings,) = blocks(page, "python"), blocks(page, "yaml")
    exec(compile(python, "tutorial.md", "exec"), {})
    commands = re.findall(r"^clvcast (.*)$", "\n".join(blocks(page, "sh")), re.MULTILINE)
    assert len(commands) == 7
    printed = {}
    for command in commands:
        status, out, err = run(*command.split())
        assert status == 0, (command, err)
        printed[command.split()[0]] = out
        if command.startswith("init"):
            made = yaml.safe_load(Path("clvcast.yaml").read_text()) | yaml.safe_load(settings)
            made["tracking"]["evaluated_cutoffs"] = 1  # the newest, of which the page tells
            Path("clvcast.yaml").write_text(yaml.safe_dump(made, allow_unicode=True))
    text = page.read_text()
    (few,) = re.findall(r"warns: (\d+) customers", text)
    assert f"warn  customers: {few} customers" in printed["check"]
    (share,) = re.findall(r"it forecast (\d+) % less", text)
    assert f"it forecast {share}% less than was spent" in printed["train"]
    listed = pd.read_csv("lists/win_back.csv").head(3)
    for row in listed.itertuples():
        assert f"| {row.customer_id} | {row.value_at_stake:,.2f} | {row.reason} |" in text


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_shopify_export_becomes_a_forecast_in_three_commands(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "orders_export.csv").write_text(write_shopify(make_shop(0, 500, varied=True)))
    block = next(b for b in blocks(root / "README.md", "sh") if "orders_export.csv" in b)
    commands = re.findall(r"^clvcast (.*?)(?: #.*)?$", block, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        status, _, err = run(*command.split())
        assert status == 0, (command, err)
    assert len(pd.read_parquet(tmp_path / "forecasts.parquet")) > 450


@pytest.mark.slow
def test_the_numbers_in_the_readme_are_those_of_its_command(
    root: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setattr(console.out, "_width", 160)  # else names may be cut
    readme = (root / "README.md").read_text()
    (command,) = re.findall(r"clvcast (backtest \S+ --cutoff 2010-12-10 \S+ \S+) ", readme)
    status, out, _ = run(*command.split(), "--output", tmp_path / "backtest")
    assert status == 0
    starts = (out.index(title) for title in ("CLV of 4 x 90", "90 days from 2011-06-10"))
    tables = [out[start : out.index("mean spend", start)] for start in starts]
    row = re.compile(r"│ (\w+) +│ +(\S+) │ +\S+ │ +(\S+) │ +\S+ │ +\S+ │ +(\S+) │")
    values, periods = ({cells[0]: cells[1:] for cells in row.findall(table)} for table in tables)
    assert len(periods) == 7
    for name, cells in periods.items():
        assert f"| {' | '.join((name, *cells, *values[name]))} |" in readme, name


def test_make_targets_that_are_named_exist_and_help_lists_them(root: Path) -> None:
    """In documents, in CI files and in the hooks; `make` alone is `make help`."""
    makefile = (root / "Makefile").read_text()
    listed = subprocess.run(["make"], cwd=root, check=True, capture_output=True, text=True).stdout
    helped = re.findall(r"^  ([a-z][a-z-]+) +\S", listed, re.MULTILINE)
    assert set(helped) == set(re.findall(r"^([a-z][a-z-]+):", makefile, re.MULTILINE))
    pages = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").glob("*.md")]
    texts = {page: "\n".join(blocks(page, "sh")) for page in pages}
    for path in (".ci/run", ".github/workflows/ci.yml", ".pre-commit-config.yaml"):
        texts[root / path] = (root / path).read_text()
    for page, text in texts.items():
        for target in re.findall(
            r"^(?:.*(?:run|entry): )?make (?:--quiet )?([a-z][a-z-]*)", text, re.M
        ):
            assert target in helped, (page.name, target)


def test_the_ci_file_runs_the_targets_of_the_ci_script(root: Path) -> None:
    script = re.findall(r"^make ([a-z-]+)", (root / ".ci" / "run").read_text(), re.MULTILINE)
    jobs = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    commands = [step.get("run", "").split() for step in jobs["linux"]["steps"]]
    assert [command[1] for command in commands if command[:1] == ["make"]] == script


def test_files_that_the_contributors_page_names_exist(root: Path) -> None:
    for page in (root / "CONTRIBUTING.md", root / "docs" / "architecture.md"):
        paths = re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|md|toml|yml|yaml))`", page.read_text())
        assert len(paths) > 5
        bare = {path.name for part in PARTS for path in (root / part).rglob("*.py")}
        assert [path for path in paths if not (root / path).exists() and path not in bare] == []


def test_licence_and_attribution_travel_with_the_sample(root: Path) -> None:
    assert "CC BY 4.0" in (root / "data" / "SOURCE.md").read_text()
    size = sum(path.stat().st_size for path in (root / "data").iterdir() if path.is_file())
    assert size < 5_000_000
    assert (root / "LICENSE").exists()
