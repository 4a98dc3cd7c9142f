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

_SPARSEST = 4  # a table of integers may be this many times longer than the column


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
    if pa.types.is_integer(flat.type) and not flat.null_count and len(flat):
        dense = _dense_integers(flat.cast(pa.int64(), safe=False).to_numpy())
        if dense is not None:
            return dense, False
    encoded = flat if pa.types.is_dictionary(flat.type) else pc.dictionary_encode(flat)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    labels = encoded.dictionary
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


def _dense_integers(values: Int64) -> TextColumn | None:
    """Integers coded by a table of those that occur, without hashing; None where they lie too far apart."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high - low > _SPARSEST * len(values) + 1_000:
        return None
    occurs = np.zeros(high - low + 1, dtype=np.bool_)
    occurs[values - low] = True
    labels = np.flatnonzero(occurs) + low
    rank = np.empty(len(occurs), dtype=np.int32)
    rank[labels - low] = _rank_as_text(labels)
    text = pa.array(labels).cast(pa.string())
    if len(str(low)) < len(str(high)):
        text = text.take(pc.array_sort_indices(text))
    return TextColumn(rank[values - low], text)


def _rank_as_text(labels: Int64) -> Int32:
    """The place of each of some ascending whole numbers among them, were they sorted as text."""
    rank = np.arange(len(labels), dtype=np.int32)
    digits = np.searchsorted(10 ** np.arange(1, 19), labels, side="right")  # less one
    if digits[0] < digits[-1]:
        padded = labels * 10 ** (
            17 - digits
        )  # as if all had as many; the shorter first where equal
        rank[np.lexsort((digits, padded))] = np.arange(len(labels), dtype=np.int32)
    return rank


def _ranked(codes: Int32, labels: pa.Array) -> TextColumn:
    """Renumber codes by the order of their labels; a null label becomes -1."""
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
