"""The HTML page of a report: one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from .colours import PAIRS
from .page_model import Chart, Fact, ReportSection

__all__ = ["render"]


def render(
    title: str,
    subtitle: str,
    facts: Sequence[Fact],
    parts: Sequence[tuple[str, Sequence[ReportSection]]],
    remarks: Sequence[str],
    made_by: str,
    filters: Mapping[str, Sequence[str]],
) -> str:
    """The page's HTML, from parts of (headline, sections).

    Remarks come first. With filters the page has a customer search, for a server.
    """
    scripts = [
        get_plotlyjs(),
        _read_file("page.js"),
        *([_read_file("explore.js")] if filters else []),
    ]
    environment = Environment(
        loader=PackageLoader("clvcast.decisions", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _to_json
    environment.filters["placed"] = _arrange
    environment.filters["sentence"] = _format_sentence
    environment.filters["slug"] = lambda name: re.sub(r"[^\w-]+", "-", name)
    return environment.get_template("page.html.j2").render(
        title=title,
        subtitle=subtitle,
        facts=facts,
        parts=parts,
        remarks=remarks,
        made_by=made_by,
        filters=filters,
        style=Markup(_read_file("page.css")),
        palette=PAIRS,
        scripts=[Markup(script) for script in scripts],
        digests=[_hash_script(script) for script in scripts],
    )


def _to_json(figure: object) -> Markup:
    """A figure in a script element, escaped so that no `<` of a name can end it."""
    text: str = figure.to_json(engine="json")  # type: ignore[attr-defined]
    return Markup(text.replace("<", "\\u003c"))


def _arrange(charts: Sequence[Chart]) -> list[tuple[Chart, bool]]:
    """Each chart, and whether it takes the full width: on request, or without a neighbour."""
    placed: list[tuple[Chart, bool]] = []
    has_gap = False  # the last chart has an empty place on its right
    for chart in (*charts, None):
        is_wide = chart is None or chart.is_wide or chart.figure is None
        if is_wide and has_gap:
            placed[-1] = (placed[-1][0], True)
        has_gap = not is_wide and not has_gap
        if chart is not None:
            placed.append((chart, is_wide))
    return placed


def _format_sentence(text: str) -> str:
    """A remark as a full sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":", "?")) else ".")


def _read_file(name: str) -> str:
    return files("clvcast.decisions.report").joinpath(name).read_text(encoding="utf-8")


def _hash_script(script: str) -> str:
    """The hash of a script for the content security policy."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
