"""The pages of the documentation site: Markdown of the repository, and a reference of docstrings.

A hook of mkdocs (`mkdocs.yml`). Pages keep the paths that they have in the repository, so that
their links work on the site as they do in the repository.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "data/SOURCE.md",
    "data/*.parquet",
    "benchmarks/results/*.md", "docs/*.md", "docs/*.svg", "docs/*.png", "docs/*.json",
    "docs/platforms/*.md", "docs/recipes/*",
)  # fmt: skip

# page -> title, purpose, names; a module stands for all names in its `__all__`
REFERENCE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "orders": (
        "Orders and settings",
        "the names that read orders, check them and turn them into features",
        ("read_orders", "Orders", "join_customers", "nest", "check", "init", "load_config",
         "Config", "CustomersConfig", "build_features"),
    ),
    "models": (
        "Models and forecasts",
        "the names that train a model, load it and forecast with it",
        ("train", "Model", "load_model", "score", "Forecast", "total", "explain"),
    ),
    "decisions": (
        "Evaluation and decisions",
        "the names that evaluate forecasts and turn them into tables and the report",
        ("backtest", "monitor", "compare", "kpis", "economics", "lists", "report"),
    ),
    "mlflow": (
        "MLflow",
        "the names that track runs in MLflow and manage the versions of a model",
        ("track", "registry"),
    ),
    "estimators": (
        "scikit-learn", "the estimators, the transformer and the splitter for scikit-learn",
        ("estimators",),
    ),
    "plot": ("Charts", "the charts of `clvcast.plot`, which are plotly figures", ("plot",)),
    "tables": (
        "Tables", "the frames of `clvcast.tables`: those behind the charts, and training tables",
        ("tables",),
    ),
    "btyd": (
        "BTYD models",
        "the counterparts of lifetimes: BG/NBD, Pareto/NBD, Gamma-Gamma and their summary",
        ("rfm_summary", "api.btyd"),
    ),
    "spark": ("Spark", "the functions of `clvcast.spark` for DataFrames of Spark", ("spark",)),
    "datasets": ("Data sets", "the orders that you can try clvcast with", ("datasets",)),
    "errors": (
        "Errors", "the errors that clvcast raises",
        ("ClvcastError", "OrdersError", "ConfigError", "BundleError", "StoreError"),
    ),
}  # fmt: skip


def find_home(name: str) -> list[tuple[str, str]]:
    """Public names and where their code is: one, or all of a module."""
    import clvcast

    if name == "train":
        return [("clvcast.train", "clvcast.train.train")]
    if name in clvcast._HOME:
        return [(f"clvcast.{name}", f"{clvcast._HOME[name]}.{name}")]
    module = __import__(f"clvcast.{name}", fromlist=["__all__"])
    shown = name.removeprefix("api.") if name != "api.btyd" else name
    return [
        (f"clvcast.{shown}.{member}", f"{find_module(module, member)}.{member}")
        for member in module.__all__
    ]


def find_module(module: Any, member: str) -> str:
    """The module that defines a member: the documentation is read from its source."""
    home = getattr(getattr(module, member), "__module__", module.__name__)
    return str(home) if str(home).startswith("clvcast.") else str(module.__name__)


def format_reference(page: str) -> str:
    """A page of the reference, for mkdocstrings."""
    title, purpose, names = REFERENCE[page]
    parts = [f"# {title}", f"This page describes {purpose}. It is made from the docstrings."]
    for public, home in (each for name in names for each in find_home(name)):
        short = public.removeprefix("clvcast.")
        options = f"heading: {public}, toc_label: {short}"
        if page == "btyd":  # BGNBD and ParetoNBD have their methods from a class that is not public
            options += ", inherited_members: true"
        parts.append(f"::: {home}\n    options: {{{options}}}")
    return "\n\n".join(parts) + "\n"


def format_contents() -> str:
    """The first page of the reference: all names, and the page of each."""
    lines = [
        "# Reference\n",
        "This page lists all public names of clvcast. Other modules may change without notice.\n",
        "| page | names |\n|---|---|",
    ]
    for page, (title, _, names) in REFERENCE.items():
        members = ", ".join(f"`{public}`" for name in names for public, _ in find_home(name))
        lines.append(f"| [{title}]({page}.md) | {members} |")
    return "\n".join(lines) + "\n"


def find_benchmarks() -> dict[str, str]:
    """What each benchmark measures, from their table of contents."""
    contents = (ROOT / "benchmarks" / "results" / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"\| \[(\w+\.md)\]\(.*?\) \| (.*?) \|", contents))


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Pages of benchmarks begin with what they measure; links to notebooks lead to their pages."""
    markdown = re.sub(r"\((notebooks/\w+)\.ipynb\)", r"(\1.md)", markdown)
    folder, _, name = page.file.src_uri.rpartition("/")
    if folder != "benchmarks/results" or name == "README.md":
        return markdown
    title, _, rest = markdown.partition("\n")
    return f"{title}\n\nThis page measures {find_benchmarks()[name]}.\n{rest}"


def on_files(files: Files, config: Any) -> Files:
    """All pages of the site, in place of what mkdocs found in `docs`."""
    paths = sorted(path for pattern in FILES for path in ROOT.glob(pattern) if path.is_file())
    found = [
        File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path))
        for path in paths
    ]
    style = Path(__file__).with_name("site.css")
    found.append(File.generated(config, "assets/site.css", abs_src_path=str(style)))
    sys.path.insert(0, str(ROOT / "build" / "editable"))
    pages = {page: format_reference(page) for page in REFERENCE} | {"README": format_contents()}
    found += [
        File.generated(config, f"reference/{page}.md", content=text) for page, text in pages.items()
    ]
    return Files([*(file for file in files if file.src_uri.startswith("assets/")), *found])
