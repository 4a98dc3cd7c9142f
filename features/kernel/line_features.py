"""Features of single lines (labels, quantity, discount, cost): one function per group.

Each walks the lines of a stretch once and writes its columns whenever the walk reaches a cutoff.
Tables are described in histories.py. Compiled code is cached by the time stamp of this file alone,
so a function here calls no compiled function of another module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np

from ...orders.columns import Float32, Float64, Int32, Int64
from .table_columns import (
    FIRST_LINE,
    FIRST_ROW,
    FIRST_TOTAL,
    GROSS,
    N_ROWS,
    ORDERS,
    PURCHASES,
)

__all__ = ["LINE_GROUPS", "LineColumns", "compute_line_features"]

# As they are numbered here; the reason is in order_features.py.
LINE_GROUPS = ("products", "categories", "channels", "quantity", "discount", "cost")
_PRODUCTS, _CATEGORIES, _CHANNELS, _QUANTITY, _DISCOUNT, _COST = range(6)
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)


class LineColumns(NamedTuple):
    """Columns of the order lines; one that is missing is empty."""

    amounts: Int64
    unit: float
    codes: Sequence[Int32]  # product, category, channel
    numbers: Sequence[Float64]  # quantity, discount, cost
    counts: Int64  # a zero per label of the longest list of labels


def compute_line_features(
    stretches: Int64,
    totals: Int64,
    ends: Int64,
    columns: LineColumns,
    first_columns: Sequence[int],
    out: Float32,
) -> None:
    """Write the columns of every group that is on; `first_columns` has each group's first, else -1.

    A group that is off is not compiled either.
    """
    amounts, unit = columns.amounts, columns.unit
    for group in (_PRODUCTS, _CATEGORIES, _CHANNELS):
        if first_columns[group] >= 0:
            codes = columns.codes[group]
            _fill_variety(
                stretches, ends, amounts, codes, columns.counts, out, first_columns[group]
            )
    quantities, discounts, costs = columns.numbers
    if first_columns[_QUANTITY] >= 0:
        _fill_quantity(
            stretches, totals, ends, amounts, quantities, unit, out, first_columns[_QUANTITY]
        )
    if first_columns[_DISCOUNT] >= 0:
        _discount(stretches, totals, ends, amounts, discounts, unit, out, first_columns[_DISCOUNT])
    if first_columns[_COST] >= 0:
        _fill_cost(stretches, ends, amounts, costs, unit, out, first_columns[_COST])


@_compiled
def _fill_variety(stretches, ends, amounts, codes, counts, out, column):
    """Different labels among purchase lines, the share of the commonest, lines per label."""
    for s in range(len(stretches)):
        first, place, row = (
            stretches[s, FIRST_LINE],
            stretches[s, FIRST_TOTAL],
            stretches[s, FIRST_ROW],
        )
        line = first
        n_labelled = different = commonest = 0
        for j in range(row, row + stretches[s, N_ROWS]):
            while line - first < ends[j, 0] - place:
                if amounts[line] > 0 and codes[line] >= 0:
                    label = codes[line]
                    n_labelled += 1
                    different += counts[label] == 0
                    counts[label] += 1
                    commonest = max(commonest, counts[label])
                line += 1
            out[j, column] = different
            out[j, column + 1] = commonest / n_labelled if n_labelled > 0 else np.nan
            out[j, column + 2] = n_labelled / different if n_labelled > 0 else np.nan
        for used in range(first, line):
            if codes[used] >= 0:
                counts[codes[used]] = 0


@_compiled
def _fill_quantity(stretches, totals, ends, amounts, quantities, unit, out, column):
    for s in range(len(stretches)):
        line, place, row = (
            stretches[s, FIRST_LINE],
            stretches[s, FIRST_TOTAL],
            stretches[s, FIRST_ROW],
        )
        first = line
        gross = 0
        units = 0.0
        for j in range(row, row + stretches[s, N_ROWS]):
            while line - first < ends[j, 0] - place:
                if amounts[line] > 0 and not math.isnan(quantities[line]):
                    units += quantities[line]
                    gross += amounts[line]
                line += 1
            out[j, column] = units
            out[j, column + 1] = units / totals[ends[j, 0], ORDERS]
            out[j, column + 2] = gross / unit / units if units > 0 else np.nan


@_compiled
def _discount(stretches, totals, ends, amounts, discounts, unit, out, column):
    for s in range(len(stretches)):
        line, place, row = (
            stretches[s, FIRST_LINE],
            stretches[s, FIRST_TOTAL],
            stretches[s, FIRST_ROW],
        )
        first = line
        discounted = 0
        discount_sum = 0.0
        for j in range(row, row + stretches[s, N_ROWS]):
            while line - first < ends[j, 0] - place:
                if amounts[line] > 0 and discounts[line] > 0:  # False where missing
                    discount_sum += discounts[line]
                    discounted += 1
                line += 1
            gross, purchases = totals[ends[j, 0], GROSS], totals[ends[j, 0], PURCHASES]
            out[j, column] = discount_sum / (gross / unit + discount_sum) if gross > 0 else np.nan
            out[j, column + 1] = discounted / purchases if purchases > 0 else np.nan


@_compiled
def _fill_cost(stretches, ends, amounts, costs, unit, out, column):
    for s in range(len(stretches)):
        line, place, row = (
            stretches[s, FIRST_LINE],
            stretches[s, FIRST_TOTAL],
            stretches[s, FIRST_ROW],
        )
        first = line
        gross = 0
        cost = 0.0
        for j in range(row, row + stretches[s, N_ROWS]):
            while line - first < ends[j, 0] - place:
                if amounts[line] > 0 and not math.isnan(costs[line]):
                    gross += amounts[line]
                    cost += costs[line]
                line += 1
            out[j, column] = (gross / unit - cost) / (gross / unit) if gross > 0 else np.nan
