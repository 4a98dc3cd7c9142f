"""Profiles: the columns of a sample, and what their cells are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..orders.columns import Float64, Int64, Mask
from .cell_formats import DateFormat, guess_date_format, is_time_of_day, parse_numbers
from .words import rate_name

__all__ = ["SHARE", "ColumnProfile", "find_named", "profile_columns"]

SHARE = 0.98  # of cells that must be as their column's role asks


@dataclass(frozen=True)
class ColumnProfile:
    """A column of a sample, and what its cells are."""

    name: str
    cells: pd.Series[str]  # trimmed, "" for nothing

    @cached_property
    def filled(self) -> Mask:
        """Which cells hold something."""
        return np.asarray(self.cells != "", np.bool_)

    @cached_property
    def values(self) -> list[str]:
        """The cells that hold something."""
        return list(self.cells[self.filled])

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return int(self.cells[self.filled].nunique())

    @cached_property
    def codes(self) -> Int64:
        """A number per value, -1 for nothing."""
        codes = pd.factorize(self.cells)[0]
        return np.asarray(np.where(self.filled, codes, -1), np.int64)

    @cached_property
    def date(self) -> DateFormat | None:
        """How its cells are written as dates, if they are."""
        return guess_date_format(self.values)

    @cached_property
    def is_time(self) -> bool:
        """Whether its cells are times of day alone."""
        return is_time_of_day(self.values)

    @cached_property
    def is_email(self) -> bool:
        """Whether its cells are e-mail addresses."""
        sample = self.values[:500]
        return sum(bool(re.match(r"\S+@\S+$", v)) for v in sample) > 0.8 * len(sample)

    @cached_property
    def decimal(self) -> str | None:
        """The mark its numbers need to be read, or None; see `numbers`."""
        best, share = None, -1.0
        for mark in (None, ".", ","):
            bad = parse_numbers(self.values, mark)[1]
            good = 1 - float(bad.mean()) if len(bad) else 0.0
            if good > share + 0.01:
                best, share = mark, good
            if share >= 0.99:  # no other can be better
                break
        return best

    @cached_property
    def numbers(self) -> Float64:
        """Its cells as numbers, NaN where a cell is none."""
        return parse_numbers(list(self.cells), self.decimal)[0]

    @cached_property
    def is_number(self) -> bool:
        """Whether its cells are numbers."""
        return bool(self.values) and bool(np.isfinite(self.numbers[self.filled]).mean() >= SHARE)

    @cached_property
    def is_whole(self) -> bool:
        """Whether its numbers have no decimals."""
        numbers = self.numbers[np.isfinite(self.numbers)]
        return bool(np.all(numbers == np.rint(numbers)))


def profile_columns(cells: pd.DataFrame) -> dict[str, ColumnProfile]:
    """Each column of a sample that holds anything."""
    columns = {name: ColumnProfile(str(name), cells[name]) for name in cells.columns}
    return {name: column for name, column in columns.items() if column.filled.any()}


def find_named(
    columns: dict[str, ColumnProfile], role: str, taken: Sequence[str] = ()
) -> list[ColumnProfile]:
    """Columns whose names suggest a role, the likeliest first."""
    rated = [
        (rate_name(name, role), column) for name, column in columns.items() if name not in taken
    ]
    return [column for rate, column in sorted(rated, key=lambda r: -r[0]) if rate > 0]
