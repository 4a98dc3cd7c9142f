"""The canonical order of lines, against numpy's sort of all columns at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from clvcast.orders.reading.line_sorting import sort_lines

NUMBERS = np.array([0.0, -0.0, 1.5, -2.5, np.inf, -np.inf, np.nan])


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=8),
    days=st.integers(1, 30),
    is_sorted=st.booleans(),
    columns=st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_lines_are_in_the_order_of_all_their_columns(
    seed: int, sizes: list[int], days: int, is_sorted: bool, columns: list[bool]
) -> None:
    """Few values a column, so that lines tie in the first ones and repeat each other."""
    random = np.random.default_rng(seed)
    starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    n = int(starts[-1])
    owners = np.repeat(np.arange(len(sizes)), sizes)
    times = random.integers(0, days, n)
    if is_sorted:
        times = times[np.lexsort((times, owners))]
    amounts = random.integers(-1, 2, n)
    codes = [random.integers(-1, 2, n if has else 0).astype(np.int32) for has in columns[:4]]
    numbers = [random.choice(NUMBERS, n if has else 0) for has in columns[4:]]
    keys: list[npt.NDArray[Any]] = [times, *codes[:2], amounts, *codes[2:], *numbers]
    keys = [key + 0.0 for key in keys if len(key)]  # -0.0 equals 0.0; NaN comes last
    order = np.lexsort((*keys[::-1], owners))
    table = np.stack([owners, *keys])[:, order]
    repeats = [np.array_equal(table[:, k], table[:, k - 1], equal_nan=True) for k in range(1, n)]
    plain: list[npt.NDArray[Any]] = [times, amounts, *codes]
    expected = [column[order] if len(column) else column for column in plain]

    assert sort_lines(starts, times, amounts, codes, numbers) == sum(repeats)
    for column, values in zip(plain, expected, strict=True):
        np.testing.assert_array_equal(column, values)
    present = [column for column in numbers if len(column)]
    for column, values in zip(present, table[len(table) - len(present) :], strict=True):
        np.testing.assert_array_equal(column, values)
