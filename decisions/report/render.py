"""The page: blocks laid out as one HTML file that needs nothing else, no network least of all."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from .page_model import Chart, Fact, ReportSection
from .palette import PAIRS

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
    """The page's HTML: parts are (headline, sections); remarks are shown before everything else;
    with filters it has a place to look customers up, which asks the server it came from.
    """
    scripts = [get_plotlyjs(), _read("page.js"), *([_read("explore.js")] if filters else [])]
    environment = Environment(
        loader=PackageLoader("clvcast.decisions", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _as_json
    environment.filters["placed"] = _placed
    environment.filters["sentence"] = _sentence
    environment.filters["slug"] = lambda name: re.sub(r"[^\w-]+", "-", name)
    return environment.get_template("page.html.j2").render(
        title=title,
        subtitle=subtitle,
        facts=facts,
        parts=parts,
        remarks=remarks,
        made_by=made_by,
        filters=filters,
        style=Markup(_read("page.css")),
        palette=PAIRS,
        scripts=[Markup(script) for script in scripts],
        digests=[_digest(script) for script in scripts],
    )


def _as_json(figure: object) -> Markup:
    """A figure within a script element: no `<` of a name can end it."""
    text: str = figure.to_json(engine="json")  # type: ignore[attr-defined]
    return Markup(text.replace("<", "\\u003c"))


def _placed(charts: Sequence[Chart]) -> list[tuple[Chart, bool]]:
    """Each chart, and whether it takes the whole width: where it asks for it, or nobody is beside it."""
    placed: list[tuple[Chart, bool]] = []
    waits = False  # a chart on the left waits for one on its right
    for chart in charts:
        is_wide = chart.is_wide or chart.figure is None
        if is_wide and waits:
            placed[-1] = (placed[-1][0], True)
        waits = not is_wide and not waits
        placed.append((chart, is_wide))
    if waits:
        placed[-1] = (placed[-1][0], True)
    return placed


def _sentence(text: str) -> str:
    """A remark as a sentence of its own."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":", "?")) else ".")


def _read(name: str) -> str:
    return files("clvcast.decisions.report").joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """What the page's policy knows a script by."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
