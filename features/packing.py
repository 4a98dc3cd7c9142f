"""Packing: lines in any order -> `Orders`, by a counting sort and a canonical order per customer.

The canonical order is time, order_id, product_id, amount, then the other columns, so that neither
the order of the input nor who else is in the file can change a feature. Text is coded by its
sorted values for the same reason.
"""

from collections.abc import Mapping

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .orders import Float64, Int32, Int64, Orders, TextColumn

__all__ = ["code", "pack"]


def pack(
    customer_ids: pa.StringArray,
    times: Int64,
    amounts: Int64,
    texts: Mapping[str, pa.StringArray],
    numbers: Mapping[str, Float64],
    *,
    currency_decimals: int,
    drop_duplicates: bool,
) -> tuple[Orders, int]:
    """Pack lines (one array element a line) and count those that repeat another line exactly.

    `customer_ids` has no nulls; `amounts` are in the currency's smallest unit.
    """
    customers = code(customer_ids)
    coded = {name: code(values) for name, values in texts.items()}
    starts, line = _by_customer(customers.codes, len(customers.labels))
    keys = np.empty((2 + len(coded) + len(numbers), len(times)), dtype=np.int64)
    row = 0
    for name in ("ordered_at", "order_id", "product_id", "amount", "category", "channel"):
        if name in coded:
            keys[row] = coded[name].codes
        elif name in ("ordered_at", "amount"):
            keys[row] = times if name == "ordered_at" else amounts
        else:
            continue
        row += 1
    for name in numbers:
        keys[row] = _sortable(numbers[name])
        row += 1
    keys = np.ascontiguousarray(keys.T[line])
    order = _canonical_order(starts, keys)
    line, keys = line[order], keys[order]
    repeated = _repeats_previous(starts, keys)
    orders = Orders(
        customer_ids=customers.labels,
        starts=starts,
        times=times[line],
        amounts=amounts[line],
        texts={name: TextColumn(c.codes[line], c.labels) for name, c in coded.items()},
        numbers={name: values[line] for name, values in numbers.items()},
        currency_decimals=currency_decimals,
    )
    if drop_duplicates:
        orders = orders.keep_lines(~repeated)
    return orders, int(repeated.sum())


def code(values: pa.StringArray) -> TextColumn:
    """Code text by its sorted distinct values; null becomes -1."""
    encoded = pc.dictionary_encode(values)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    by_value = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(by_value) + 1, dtype=np.int32)
    rank[by_value.to_numpy()] = np.arange(len(by_value), dtype=np.int32)
    rank[-1] = -1  # where null points
    codes = rank[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return TextColumn(codes, encoded.dictionary.take(by_value))


def _sortable(values: Float64) -> Int64:
    """Integers in the order of the floats; every NaN is one value, and so are 0.0 and -0.0."""
    plain = np.where(np.isnan(values), np.nan, values + 0.0)
    bits = plain.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


@numba.njit(cache=True, nogil=True)
def _by_customer(customers: Int32, n_customers: int) -> tuple[Int64, Int64]:
    """Counting sort: where each customer starts, and the lines in customer order, stable."""
    starts = np.zeros(n_customers + 1, dtype=np.int64)
    for customer in customers:
        starts[customer + 1] += 1
    for customer in range(n_customers):
        starts[customer + 1] += starts[customer]
    following = starts[:-1].copy()
    line = np.empty(len(customers), dtype=np.int64)
    for position in range(len(customers)):
        customer = customers[position]
        line[following[customer]] = position
        following[customer] += 1
    return starts, line


@numba.njit(cache=True, nogil=True)
def _comes_after(keys: Int64, left: int, right: int) -> bool:
    for column in range(keys.shape[1]):
        if keys[left, column] != keys[right, column]:
            return bool(keys[left, column] > keys[right, column])
    return False


@numba.njit(cache=True, nogil=True)
def _canonical_order(starts: Int64, keys: Int64) -> Int64:
    """A stable merge sort of each customer's lines by the columns of `keys`, in turn."""
    order = np.arange(len(keys))
    spare = np.empty(len(keys), dtype=np.int64)
    for customer in range(len(starts) - 1):
        first, last = starts[customer], starts[customer + 1]
        is_sorted = True
        for position in range(first + 1, last):
            if _comes_after(keys, position - 1, position):
                is_sorted = False
                break
        width = 1
        while width < last - first and not is_sorted:
            for low in range(first, last, 2 * width):
                middle, high = min(low + width, last), min(low + 2 * width, last)
                left, right = low, middle
                for position in range(low, high):
                    if left < middle and (
                        right >= high or not _comes_after(keys, order[left], order[right])
                    ):
                        spare[position] = order[left]
                        left += 1
                    else:
                        spare[position] = order[right]
                        right += 1
            order[first:last] = spare[first:last]
            width *= 2
    return order


@numba.njit(cache=True, nogil=True)
def _repeats_previous(starts: Int64, keys: Int64) -> npt.NDArray[np.bool_]:
    repeats = np.zeros(len(keys), dtype=np.bool_)
    for customer in range(len(starts) - 1):
        for position in range(starts[customer] + 1, starts[customer + 1]):
            same = True
            for column in range(keys.shape[1]):
                if keys[position, column] != keys[position - 1, column]:
                    same = False
                    break
            repeats[position] = same
    return repeats
