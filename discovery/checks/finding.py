"""Findings: what was looked at in the orders, its verdict, and the number behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

__all__ = ["Finding", "Verdict", "format_addition", "format_setting", "format_signed_amount"]

Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: its verdict, the number behind it, a sentence, and how to mend it."""

    name: str
    verdict: Verdict
    value: float
    sentence: str
    mend: str = ""  # a line of configuration, or what to do, where a sentence does not say it


def format_signed_amount(amount: str, quantity: str) -> str:
    """The mapping of an amount that counts below zero where the quantity does.

    Elsewhere it stays as it is: below zero already, or of no pieces, such as a fee.
    """
    is_back = f"(abs(sign({quantity} or 0)) - sign({quantity} or 0)) / 2"
    return f"{amount} - (abs({amount}) + {amount}) * {is_back}"


def format_setting(key: str, value: Any) -> str:
    """A line of configuration that can be copied as it stands.

    >>> format_setting("orders.no_customer", ["0", "guest"])
    "orders.no_customer: ['0', guest]"
    """
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return f"{key}: {text.removesuffix(chr(10)).removesuffix('...').strip()}"


def format_addition(
    key: str, stated: Mapping[str, Sequence[str]], column: str, values: Sequence[str]
) -> str:
    """A line that lists more values of a column; it repeats what is set, which it replaces.

    >>> format_addition("orders.except", {"Status": ("void",)}, "Status", ["failed"])
    'orders.except: {Status: [void, failed]}'
    """
    listed = {name: list(one) for name, one in stated.items()}
    return format_setting(key, {**listed, column: [*listed.get(column, ()), *values]})
