"""Coding: text columns as integer codes into their sorted labels.

Codes come from sorted values, never from first appearance, so that what a code is does not depend on
the order of the input. Cleaning touches each distinct value once, not each line.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .orders import Int32, Int64, TextColumn
from .parsing import is_missing

__all__ = ["code", "code_ids", "compact", "joined_columns"]


def code(values: pa.Array) -> TextColumn:
    """Code text by its sorted distinct values; null becomes -1."""
    encoded = values if pa.types.is_dictionary(values.type) else pc.dictionary_encode(values)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return _ranked(codes, encoded.dictionary)


def code_ids(column: pa.ChunkedArray, *, nulls_by_name: bool) -> tuple[TextColumn, bool]:
    """Ids as text: trimmed, `17850.0` as `17850`, `00123` as it stands, -1 where missing.

    With `nulls_by_name` the words exports write for nothing (NULL, NaN, NA ...) are missing too, not
    empty cells alone. The flag says whether any id was written as a decimal.
    """
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    flat = column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):  # more text than one array holds
        flat = pa.concat_arrays(flat.cast(pa.large_string()).chunks)
    encoded = flat if pa.types.is_dictionary(flat.type) else pc.dictionary_encode(flat)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    labels = encoded.dictionary
    if pa.types.is_integer(labels.type) and not labels.null_count:
        return _ranked(codes, labels.cast(pa.string()), _order_of_integers(labels)), False
    is_float = pa.types.is_floating(labels.type) or pa.types.is_decimal(labels.type)
    text = pc.utf8_trim_whitespace(_as_text(labels))
    plain = pc.replace_substring_regex(text, r"^(\d+)\.0$", r"\1")
    as_decimals = is_float or bool(pc.any(pc.not_equal(plain, text)).as_py())
    missing = pa.array(is_missing(plain)) if nulls_by_name else pc.equal(plain, "")
    cleaned = pc.if_else(pc.fill_null(missing, True), None, plain)
    distinct = code(cleaned)
    return TextColumn(_through(distinct.codes, codes), distinct.labels), as_decimals


def compact(column: TextColumn) -> TextColumn:
    """The same column without labels that no line uses."""
    used = np.zeros(len(column.labels), dtype=np.bool_)
    used[column.codes[column.codes >= 0]] = True
    if used.all():
        return column
    rank = (np.cumsum(used) - 1).astype(np.int32)
    return TextColumn(_through(rank, column.codes), column.labels.filter(pa.array(used)))


def joined_columns(parts: Sequence[TextColumn]) -> TextColumn:
    """Columns one after the other, as one."""
    if len(parts) == 1:
        return parts[0]
    united = code(pa.concat_arrays([part.labels for part in parts]))
    bounds = np.cumsum([0, *(len(part.labels) for part in parts)])
    codes = [
        _through(united.codes[low:high], part.codes)
        for part, low, high in zip(parts, bounds[:-1], bounds[1:], strict=True)
    ]
    return TextColumn(np.concatenate(codes), united.labels)


def _as_text(labels: pa.Array) -> pa.StringArray:
    """Distinct values as text; whole floats without their point, where all are whole."""
    if pa.types.is_decimal(labels.type):
        labels = labels.cast(pa.float64(), safe=False)
    if pa.types.is_floating(labels.type):
        values = labels.to_numpy(zero_copy_only=False)
        usable = values[np.isfinite(values)]
        if (usable == np.floor(usable)).all() and (np.abs(usable) < 2**53).all():
            whole = pa.array(np.where(np.isfinite(values), values, 0).astype(np.int64))
            labels = pc.if_else(pa.array(np.isfinite(values)), whole, None)
    return labels.cast(pa.string())


def _order_of_integers(labels: pa.Array) -> Int64 | None:
    """The order of integers written as text, found without sorting text; None where that fails."""
    values = labels.cast(pa.int64(), safe=False).to_numpy()
    if not len(values) or values.min() < 0 or values.max() >= 10**18:
        return None
    digits = np.searchsorted(10 ** np.arange(1, 19), values, side="right")  # less one
    if digits.min() == digits.max():
        return np.argsort(values, kind="stable")
    padded = values * 10 ** (17 - digits)  # as if all had 18 digits; the shorter first where equal
    return np.lexsort((digits, padded))


def _ranked(codes: Int32, labels: pa.Array, by_value: Int64 | None = None) -> TextColumn:
    """Renumber codes by the order of their labels; a null label becomes -1."""
    if by_value is None:
        by_value = pc.array_sort_indices(labels, null_placement="at_end").to_numpy()
    present = len(labels) - labels.null_count
    rank = np.full(len(labels), -1, dtype=np.int32)
    rank[by_value[:present]] = np.arange(present, dtype=np.int32)
    return TextColumn(_through(rank, codes), labels.take(pa.array(by_value[:present])))


def _through(table: Int32, codes: Int32) -> Int32:
    """`table[codes]`, and -1 where the code is -1."""
    if not len(table):
        return codes
    found = table[codes]
    if codes.min(initial=0) < 0:
        found[codes < 0] = -1
    return found
