"""Short texts and HTML cards of objects, for consoles and notebooks."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

__all__ = ["format_card", "format_summary", "show_shares", "show_steps"]

_WIDTH = 78  # of a line of progress
_BAR = 20

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


def is_watched() -> bool:
    """Whether a person sees what goes to stderr now: in a terminal, or in a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


@contextmanager
def show_steps(title: str) -> Iterator[Callable[[str], None]]:
    """A line of progress that names the present step of work, where a person watches."""
    with _open_line() as write:
        yield lambda step: write(f"{title}: {step}")


@contextmanager
def show_shares(title: str) -> Iterator[Callable[[str, float, int], None]]:
    """A line with a bar of how much of the work is done, where a person watches."""

    def draw(what: str, share: float, count: int) -> None:
        bar = "#" * round(_BAR * share)
        write(f"{title}: {what} [{bar:.<{_BAR}}] {share:.0%}")

    with _open_line() as write:
        yield draw


@contextmanager
def _open_line() -> Iterator[Callable[[str], None]]:
    """A line of stderr that is written over, and empty in the end."""
    begun, shown = time.monotonic(), False

    def write(text: str) -> None:
        nonlocal shown
        if is_watched():
            line = f"{text}, {time.monotonic() - begun:.0f} s"
            sys.stderr.write(f"\r{line[:_WIDTH]:<{_WIDTH}}")
            sys.stderr.flush()
            shown = True

    try:
        yield write
    finally:
        if shown:
            sys.stderr.write(f"\r{'':<{_WIDTH}}\r")
            sys.stderr.flush()
