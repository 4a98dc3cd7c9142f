"""Texts that a spreadsheet would run as formulas, escaped in CSV files for people."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["count_formulas", "escape_cells"]

_FORMULA = r"^[=+\-@\t\r]"  # what spreadsheets take for a formula, or skip before one


def escape_cells(table: pa.Table, exact_columns: Collection[str] = ()) -> pa.Table:
    """A table whose texts begin with an apostrophe where a spreadsheet would run them."""
    for position, name in enumerate(table.column_names):
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if name in exact_columns or not _is_text(column.type):
            continue
        is_formula = pc.match_substring_regex(column, _FORMULA)
        escaped = pc.binary_join_element_wise(
            *(pa.scalar("'", column.type), column, pa.scalar("", column.type))
        )
        column = pc.if_else(pc.fill_null(is_formula, False), escaped, column)
        table = table.set_column(position, name, column)
    return table


def count_formulas(column: pa.ChunkedArray) -> int:
    """How many texts of a column a spreadsheet would run."""
    return int(pc.sum(pc.match_substring_regex(column, _FORMULA)).as_py() or 0)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
