"""Customer attributes as of a cutoff: which facts hold, and their values as people read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dates, windows
from .attributes import NO_DATE, Attributes
from .columns import Int64

__all__ = ["find_known_facts", "format_attributes"]


def find_known_facts(attributes: Attributes, cutoff: int) -> Int64:
    """Per customer, the fact that holds at the cutoff, -1 without one: int64, n_customers."""
    instants = np.array([cutoff], dtype=np.int64)
    return windows.find_newest_before(attributes.valid_from, attributes.starts, instants)[:, 0]


def format_attributes(attributes: Attributes, cutoff: int) -> list[dict[str, Any]]:
    """Per customer the attributes known at the cutoff, as in nested rows; None is missing."""
    fact = find_known_facts(attributes, cutoff).tolist()
    columns: dict[str, list[Any]] = {}
    for name in attributes.names:
        if name in attributes.texts:
            columns[name] = attributes.texts[name].to_text().to_pylist()
        elif name in attributes.numbers:
            values = attributes.numbers[name].tolist()
            columns[name] = [None if value != value else value for value in values]
        else:
            instants = attributes.dates[name].tolist()
            columns[name] = [None if at == NO_DATE else dates.format_iso(at) for at in instants]
    return [{name: values[f] if f >= 0 else None for name, values in columns.items()} for f in fact]
