"""Findings: what was looked at in the orders, its verdict, and the number behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import yaml

__all__ = ["Finding", "Verdict", "format_setting"]

Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: its verdict, the number behind it, a sentence, and how to mend it."""

    name: str
    verdict: Verdict
    value: float
    sentence: str
    mend: str = ""  # a line of configuration, or what to do, where a sentence does not say it


def format_setting(key: str, value: Any) -> str:
    """A line of configuration that can be copied as it stands.

    >>> format_setting("orders.no_customer", ["0", "guest"])
    "orders.no_customer: ['0', guest]"
    """
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return f"{key}: {text.removesuffix(chr(10)).removesuffix('...').strip()}"
