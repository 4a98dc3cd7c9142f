"""Coding: text columns as integer codes into their sorted labels.

Codes come from sorted values, never from first appearance, so that what a code is does not depend
on the order of the input. Cleaning touches each distinct value once, not each line; whole numbers
stay numbers until someone asks for their text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..columns import Int32, Int64, TextColumn
from ..missing_values import MISSING_IDS, MISSING_WORDS
from .cell_parsing import Mask, is_missing

__all__ = [
    "Ids",
    "SharedCodes",
    "WholeNumbers",
    "encode_ids",
    "encode_labels",
    "merge_labels",
    "parse_whole_numbers",
    "read_ids",
    "recode",
    "share_codes",
]

_SPARSEST = 4  # a table of integers may be this many times longer than the column
_LARGEST = 10**18  # whole numbers below have a digit to spare in 64 bits
_compiled = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)


@dataclass(frozen=True)
class WholeNumbers:
    """A text column of whole numbers as they stand; -1 is missing."""

    values: Int32 | Int64
    low: int  # no value is smaller
    high: int  # none is larger

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_missing(self) -> Mask:
        """Which lines have none."""
        return np.asarray(self.values < 0)

    def where(self, keep: Mask) -> WholeNumbers:
        """The column of some lines."""
        return self if keep.all() else WholeNumbers(self.values[keep], self.low, self.high)

    def to_text(self) -> pa.StringArray:
        """The text itself, null where missing."""
        return pa.array(self.values, mask=self.values < 0).cast(pa.string())


Ids = TextColumn | WholeNumbers


@dataclass(frozen=True)
class SharedCodes:
    """Per part of a column, what its numbers are in codes common to all: `table[value - low]`."""

    labels: pa.Array  # distinct values in the order of their text
    parts: list[Int32 | Int64]
    lows: list[int]
    tables: list[Int32]

    def codes(self) -> Int32:
        """The codes of all parts, one after the other; -1 where missing."""
        codes = np.empty(sum(map(len, self.parts)), dtype=np.int32)
        begin = 0
        for part, low, table in zip(self.parts, self.lows, self.tables, strict=True):
            _look_up(part, low, table, codes[begin : begin + len(part)])
            begin += len(part)
        return codes


def encode_labels(values: pa.Array) -> TextColumn:
    """Code text by its sorted distinct values; null becomes -1."""
    encoded = values if pa.types.is_dictionary(values.type) else pc.dictionary_encode(values)
    codes = _fill_integers(encoded.indices.cast(pa.int32()))
    return _rank_codes(codes, encoded.dictionary)


def encode_ids(column: pa.ChunkedArray, *, nulls_by_name: bool) -> tuple[TextColumn, bool]:
    """`read_ids`, coded."""
    ids, as_decimals = read_ids(column, nulls_by_name=nulls_by_name)
    return merge_labels([ids]), as_decimals


def read_ids(
    column: pa.ChunkedArray,
    *,
    nulls_by_name: bool,
    clean: Callable[[pa.StringArray], pa.StringArray] | None = None,
) -> tuple[Ids, bool]:
    """Ids as text: trimmed, `17850.0` as `17850`, `00123` as it stands, -1 where missing.

    With `nulls_by_name` the words exports write for nothing (NULL, NaN, NA ...) are missing too,
    not empty cells and `(not set)` alone. `clean` makes of distinct ids those that they stand for.
    The flag says whether any id was written as a decimal.
    """
    if pa.types.is_dictionary(column.type):
        # pyarrow before 25 cannot make an array of no chunks of large strings
        is_empty = not column.num_chunks
        column = column.cast(column.type.value_type) if is_empty else column.unify_dictionaries()
    flat = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):  # more text than one array holds
        flat = pa.concat_arrays(flat.cast(pa.large_string()).chunks)
    if pa.types.is_integer(flat.type):
        numbers = None if clean else _find_whole_numbers(flat)
        if numbers is not None:
            return numbers, False
    encoded = flat if pa.types.is_dictionary(flat.type) else pc.dictionary_encode(flat)
    codes = _fill_integers(encoded.indices.cast(pa.int32()))
    labels = encoded.dictionary
    is_float = pa.types.is_floating(labels.type) or pa.types.is_decimal(labels.type)
    text = pc.utf8_trim_whitespace(_convert_to_text(labels))
    plain = pc.replace_substring_regex(text, r"^(\d+)\.0$", r"\1")
    as_decimals = is_float or bool(pc.any(pc.not_equal(plain, text)).as_py())
    missing = pa.array(is_missing(plain, MISSING_WORDS if nulls_by_name else MISSING_IDS))
    cleaned = pc.if_else(pc.fill_null(missing, True), None, plain)
    distinct = encode_labels(clean(cleaned) if clean else cleaned)
    return TextColumn(recode(distinct.codes, codes), distinct.values), as_decimals


def merge_labels(parts: Sequence[Ids]) -> TextColumn:
    """Columns one after the other, as one."""
    if len(parts) == 1 and isinstance(parts[0], TextColumn):
        return parts[0]
    united = share_codes(parts)
    return TextColumn(united.codes(), united.labels)


def share_codes(parts: Sequence[Ids]) -> SharedCodes:
    """Codes common to the parts of one column, ready to be looked up."""
    numbers = [part for part in parts if isinstance(part, WholeNumbers)]
    if len(numbers) == len(parts):
        return _encode_dense(numbers) or _encode_sparse(numbers)
    texts = [merge_labels([part]) for part in parts]
    if len(texts) == 1:
        same = np.arange(len(texts[0].values), dtype=np.int32)
        return SharedCodes(texts[0].values, [texts[0].codes], [0], [same])
    united = encode_labels(pa.concat_arrays([part.labels for part in texts]))
    bounds = np.cumsum([len(part.values) for part in texts])
    tables = np.split(united.codes, bounds[:-1])
    return SharedCodes(united.values, [part.codes for part in texts], [0] * len(texts), tables)


def _find_whole_numbers(flat: pa.Array) -> WholeNumbers | None:
    """Integers as they are, where none is negative or of more than 18 digits."""
    bounds = pc.min_max(flat)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is None:
        return WholeNumbers(np.full(len(flat), -1, dtype=np.int32), 0, -1)
    if low < 0 or high >= _LARGEST:
        return None
    kind = pa.int32() if high < 2**31 else pa.int64()
    return WholeNumbers(_fill_integers(flat.cast(kind)), low, high)


def _fill_integers(numbers: pa.Array) -> npt.NDArray[Any]:
    """Integers, -1 where there is none."""
    return np.asarray(numbers.fill_null(-1) if numbers.null_count else numbers)


def parse_whole_numbers(values: Int32 | Int64) -> WholeNumbers:
    """Whole numbers of a column, -1 where missing."""
    valid = values[values >= 0] if values.min(initial=0) < 0 else values
    low, high = (int(valid.min()), int(valid.max())) if len(valid) else (0, -1)
    return WholeNumbers(values, low, high)


def _convert_to_text(labels: pa.Array) -> pa.StringArray:
    """Distinct values as text; whole floats without their point."""
    if pa.types.is_decimal(labels.type):  # through a float, ids beyond 2^53 would fall together
        return pc.replace_substring_regex(labels.cast(pa.string()), r"\.0+$", "")
    if pa.types.is_floating(labels.type):
        values = labels.cast(pa.float64()).to_numpy(zero_copy_only=False)
        is_whole = (values == np.floor(values)) & (np.abs(values) < 2**53)
        usable = pc.if_else(pa.array(np.isfinite(values)), labels, None).cast(pa.string())
        integers = pa.array(np.where(is_whole, values, 0).astype(np.int64)).cast(pa.string())
        return pc.if_else(pa.array(is_whole), integers, usable)
    return labels.cast(pa.string())


def _encode_dense(parts: Sequence[WholeNumbers]) -> SharedCodes | None:
    """Whole numbers coded by a table of those that occur, without hashing; None where they lie too
    far apart.
    """
    low = min((part.low for part in parts if part.high >= 0), default=0)
    high = max((part.high for part in parts), default=-1)
    if high - low > _SPARSEST * sum(map(len, parts)) + 1_000:
        return None
    occurs = np.zeros(high - low + 1, dtype=np.uint8)
    for part in parts:
        _mark(part.values, low, occurs)
    table, in_order = _rank_as_text(occurs, low)
    arrays = [part.values for part in parts]
    return SharedCodes(pa.array(in_order), arrays, [low] * len(parts), [table] * len(parts))


def _encode_sparse(parts: Sequence[WholeNumbers]) -> SharedCodes:
    """Whole numbers that lie far apart, coded by hashing."""
    chunks = [pa.array(part.values, pa.int64(), mask=part.values < 0) for part in parts]
    encoded = pa.chunked_array(chunks).combine_chunks().dictionary_encode()
    labels = encoded.dictionary.to_numpy()
    digits = np.searchsorted(10 ** np.arange(1, 19), labels, side="right")  # less one
    padded = labels * 10 ** (17 - digits)  # as if all had as many; the shorter first where equal
    order = np.lexsort((digits, padded))
    rank = np.empty(len(labels), dtype=np.int32)
    rank[order] = np.arange(len(labels), dtype=np.int32)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    bounds = np.cumsum([len(part) for part in parts])
    split = np.split(codes, bounds[:-1])
    return SharedCodes(pa.array(labels[order]), split, [0] * len(parts), [rank] * len(parts))


def _rank_codes(codes: Int32, labels: pa.Array) -> TextColumn:
    """Renumber codes by the order of their labels; a null label becomes -1."""
    by_value = pc.array_sort_indices(labels, null_placement="at_end").to_numpy()
    present = len(labels) - labels.null_count
    rank = np.full(len(labels), -1, dtype=np.int32)
    rank[by_value[:present]] = np.arange(present, dtype=np.int32)
    return TextColumn(recode(rank, codes), labels.take(pa.array(by_value[:present])))


def recode(table: Int32, codes: Int32) -> Int32:
    """`table[codes]`, and -1 where the code is -1."""
    if not len(table):
        return codes
    recoded = table[codes]
    if codes.min(initial=0) < 0:
        recoded[codes < 0] = -1
    return recoded


@_compiled
def _look_up(values, low, table, found):  # type: ignore[no-untyped-def]
    for line in range(len(values)):
        value = values[line]
        found[line] = table[value - low] if value >= 0 else -1


@_compiled
def _mark(values, low, occurs):  # type: ignore[no-untyped-def]
    for value in values:
        if value >= 0:
            occurs[value - low] = 1


@_compiled
def _rank_as_text(occurs: npt.NDArray[np.uint8], low: int) -> tuple[Int32, Int64]:
    """Where each number that occurs would stand were they sorted as text, and the numbers in that
    order.

    `occurs[k]` is of the number `low + k`. Numbers are walked as the text they are: after 12 comes
    120, after 129 comes 13. Each length's numbers pass in their own order, so that the walk reads a
    few streams.
    """
    n = len(occurs)
    high = low + n - 1
    rank = np.empty(n, dtype=np.int32)
    in_order = np.empty(occurs.sum(), dtype=np.int64)
    shortest = 1  # the least number with as few digits as any has
    while shortest <= low // 10:
        shortest *= 10
    place = 0
    number = shortest
    if n and low == 0 and occurs[0]:
        rank[0] = in_order[0] = 0
        place = 1
    while place < len(in_order):
        if number < low and number > high // 10:  # neither it nor what begins with it
            number = low
        if low <= number and occurs[number - low]:
            rank[number - low] = place
            in_order[place] = number
            place += 1
        if number <= high // 10:
            number *= 10
        else:
            if number == high:
                number //= 10
            number += 1
            while number % 10 == 0 and number // 10 >= shortest:
                number //= 10
    return rank, in_order
