"""Short texts and HTML cards of objects, for consoles and notebooks."""

from __future__ import annotations

import html
from collections.abc import Mapping

__all__ = ["format_card", "format_summary"]

_CELL = "text-align:left;padding:2px 12px 2px 0"


def format_summary(title: str, facts: Mapping[str, object]) -> str:
    """A title and facts as text, a line each.

    >>> print(format_summary("Model abc", {"periods": "4 of 90 days"}))
    Model abc
      periods: 4 of 90 days
    """
    return "\n".join([title, *(f"  {name}: {value}" for name, value in facts.items())])


def format_card(title: str, facts: Mapping[str, object]) -> str:
    """The same as an HTML table for notebooks.

    >>> format_card("a < b", {})
    '<table><caption>a &lt; b</caption></table>'
    """
    rows = "".join(
        f'<tr><th style="{_CELL}">{html.escape(str(name))}</th>'
        f'<td style="{_CELL}">{html.escape(str(value))}</td></tr>'
        for name, value in facts.items()
    )
    return f"<table><caption>{html.escape(title)}</caption>{rows}</table>"
