"""Filters: which lines count at all, by the values of columns such as a status.

A verdict is per line. A blank cell has none of its own: the line takes that of its order, whose
lines may be anywhere in the files, so that it is decided when lines are packed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...configs.schema import LineRules
from ..columns import Int8, Int64, Mask
from ..missing_values import MISSING_WORDS
from .column_expressions import Expression

__all__ = [
    "BLANK_KEPT",
    "BLANK_LEFT_OUT",
    "FILTER",
    "KEPT",
    "LEFT_OUT",
    "RETURNS",
    "Verdicts",
    "apply_filters",
    "count_values",
    "find_returns",
    "fold_value",
    "list_filters",
]

FILTER = "filter "  # before the name of a column that decides which lines count, as a role
RETURNS = "returns "  # before the name of a column that says which lines are returns, as a role
LEFT_OUT, BLANK_LEFT_OUT, BLANK_KEPT, KEPT = (np.int8(k) for k in range(4))  # the lowest wins
_MOST_VALUES = 1_000  # that are counted; a column with more is no status


@dataclass(frozen=True)
class Verdicts:
    """Per line, one of the four numbers above; and what was left out by which value."""

    values: Int8
    left_out: dict[str, int] = field(default_factory=dict)  # "column value" -> lines
    seen: dict[str, dict[str, int]] = field(default_factory=dict)  # role -> value -> lines

    @property
    def is_left_out(self) -> Mask:
        """Lines that do not count, whatever the other lines of their order say."""
        return np.asarray(self.values == LEFT_OUT)


def list_filters(rules: LineRules, currency: str = "") -> list[tuple[str, bool, frozenset[str]]]:
    """Column, whether its listed values are kept (else left out), the values in lower case.

    `currency` is the one to keep where a column tells it.
    """
    filters = [(name, True, values) for name, values in rules.only.items()]
    filters += [(name, False, values) for name, values in rules.except_.items()]
    if rules.currency_column and currency:
        filters.append((rules.currency_column, True, (currency,)))
    return [(name, keeps, frozenset(map(fold_value, values))) for name, keeps, values in filters]


def fold_value(value: str) -> str:
    """A listed value as the cells of a column are compared: Arrow's lower case, which is not
    Python's.
    """
    return str(pc.utf8_lower(pa.scalar(value.strip())).as_py())


def apply_filters(
    table: pa.Table,
    mapping: Mapping[str, Expression],
    filters: Sequence[tuple[str, bool, frozenset[str]]],
) -> Verdicts:
    """The verdict on each line of a block; filters on columns that are not read do not apply."""
    verdicts = np.full(table.num_rows, KEPT, dtype=np.int8)
    left_out: dict[str, int] = {}
    counts_by_filter: dict[str, dict[str, int]] = {}
    for name, keeps, listed in filters:
        if FILTER + name not in mapping:
            continue
        values, codes = _encode(table[name])
        counts_by_filter[FILTER + name] = _count_codes(values, codes)
        nothing = np.array([v in MISSING_WORDS for v in values], dtype=np.bool_)
        is_listed = np.array([v in listed for v in values], dtype=np.bool_)
        is_listed |= nothing & ("" in listed)
        blank, counts = nothing & ~is_listed, is_listed == keeps
        value_verdicts = np.where(
            blank, BLANK_LEFT_OUT if keeps else BLANK_KEPT, np.where(counts, KEPT, LEFT_OUT)
        )
        counted = codes[verdicts != LEFT_OUT]
        lines = np.bincount(counted, minlength=len(values)) * (value_verdicts == LEFT_OUT)
        verdicts = np.minimum(verdicts, value_verdicts[codes])
        if keeps and "" in listed:  # a date of cancellation: its values tell nothing
            left_out |= {f"{name} filled in": int(lines.sum())} if lines.any() else {}
            continue
        left_out |= {f"{name} {values[k] or 'blank'}": int(lines[k]) for k in np.flatnonzero(lines)}
    return Verdicts(verdicts, left_out, counts_by_filter)


def find_returns(
    table: pa.Table, mapping: Mapping[str, Expression], returns: Mapping[str, Sequence[str]]
) -> Mask:
    """The lines that are returns by the value of a column, whatever the sign of their amount."""
    is_return = np.zeros(table.num_rows, dtype=np.bool_)
    for name, listed in returns.items():
        if RETURNS + name in mapping:
            values, codes = _encode(table[name])
            folded = set(map(fold_value, listed))
            is_return |= np.array([value in folded for value in values], dtype=np.bool_)[codes]
    return is_return


def count_values(column: pa.ChunkedArray, lines: Mask) -> dict[str, int]:
    """How many of some lines have each value, in lower case; blank cells are not counted."""
    values, codes = _encode(column)
    return _count_codes(values, codes[lines])


def _count_codes(values: Sequence[str], codes: Int64) -> dict[str, int]:
    """How many lines have each value, of the first thousand that are not blank."""
    counts = np.bincount(codes, minlength=len(values)).tolist()
    value_counts = {values[k]: counts[k] for k in range(len(values)) if counts[k] and values[k]}
    return dict(list(value_counts.items())[:_MOST_VALUES])


def _encode(column: pa.ChunkedArray) -> tuple[list[str], Int64]:
    """The distinct values, trimmed and in lower case, "" for blank; and which each line has."""
    flat = column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], flat.type)
    encoded = flat if pa.types.is_dictionary(flat.type) else flat.dictionary_encode()
    labels = pc.utf8_lower(pc.utf8_trim_whitespace(encoded.dictionary.cast(pa.string())))
    distinct = labels.fill_null("").dictionary_encode()
    values = distinct.dictionary.to_pylist()
    blank = values.index("") if "" in values else len(values)
    ranks = np.append(distinct.indices.to_numpy(), blank)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    if blank == len(values):
        values = [*values, ""]
    return values, ranks[codes]
