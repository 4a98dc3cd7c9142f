"""Hashes of cells, to compare the columns of many lines without keeping their texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["UInt64", "has_hash", "hash_cells", "hash_texts"]

UInt64 = npt.NDArray[np.uint64]


def hash_texts(texts: Sequence[str]) -> UInt64:
    """A hash of each text: uint64, the same as `hash_cells` gives a cell of it."""
    return np.asarray(
        pd.util.hash_array(np.array(texts, dtype=object), categorize=False), dtype=np.uint64
    )


def has_hash(table: pa.Table, name: str) -> bool:
    """Whether a column can be hashed: of plain values, under a name that no other has."""
    if table.column_names.count(name) > 1:
        return False
    kind = table[name].type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_plain = not pa.types.is_nested(kind) and not pa.types.is_binary(kind)
    return is_plain and not pa.types.is_null(kind)


def hash_cells(column: pa.ChunkedArray) -> UInt64:
    """A hash of the trimmed text of each cell; that of empty text where there is nothing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode()
    labels = pc.utf8_trim_whitespace(encoded.dictionary.cast(pa.string())).to_pylist()
    hashes = hash_texts([*labels, ""])
    return np.asarray(hashes[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)])
