"""Which columns of a source the checks look at, beside those that are mapped."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from . import vocabulary

__all__ = [
    "MOST_VALUES",
    "add_counts",
    "is_text",
    "iterate_counts",
    "may_name_persons",
    "take_plain_columns",
]

MOST_VALUES = 60  # distinct values of a column that is counted by value
_LONGEST_PERSON = 80  # characters, on average: longer is free text
_MAIL_SHARE = 0.8  # of the cells with an @: the column is of e-mail addresses


def take_plain_columns(table: pa.Table) -> pa.Table:
    """The columns of text, whole numbers or flags, under a name that no other has."""
    columns = {}
    for name in table.column_names:
        if table.column_names.count(name) > 1:
            continue
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_string_view(column.type):  # Arrow cannot filter them yet
            column = column.cast(pa.large_string())
        kind = column.type
        if is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            columns[name] = column
    return pa.table(columns)


def may_name_persons(name: str, column: pa.ChunkedArray) -> bool:
    """Whether a column may tell people apart: by its name, or because it holds e-mail addresses."""
    if is_text(column.type):
        head = column.slice(0, 1_000).cast(pa.string()).drop_null()
        filled = head.filter(pc.not_equal(head, ""))
        if not len(filled) or pc.mean(pc.utf8_length(filled)).as_py() > _LONGEST_PERSON:
            return False
        if pc.mean(pc.match_substring(filled, "@")).as_py() > _MAIL_SHARE:
            return True
    return vocabulary.is_person_column(name)


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def add_counts(counts: dict[str, int], column: pa.ChunkedArray) -> bool:
    """Add a column's values to their counts; False where there are too many to mean a state."""
    if not (is_text(column.type) or pa.types.is_boolean(column.type)):
        return False
    head = column.slice(0, 2_000)
    if pc.count_distinct(head).as_py() > MOST_VALUES:
        return False
    for value, count in iterate_counts(column):
        counts[value] = counts.get(value, 0) + count
        if len(counts) > MOST_VALUES:
            return False
    return True


def iterate_counts(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    """The distinct values as text, with their counts."""
    counted = pc.value_counts(column.cast(pa.string()))
    cells = [(row["values"], row["counts"]) for row in counted.to_pylist()]
    return [((value or "").strip(), count) for value, count in cells]
