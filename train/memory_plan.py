"""Memory plan: how many customers, feature rows and models at a time a training has room for.

Decided beforehand, from counts alone, so that equal orders and an equal limit give equal models.
The bytes were measured on logs of one and ten million lines, fifteen to a customer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ..configs.schema import Config
from ..orders.columns import Int64
from ..orders.reading.memory_estimate import parse_memory_limit

__all__ = ["LEAST_CUSTOMERS", "MemoryPlan", "count_boosters", "plan_memory"]

LEAST_CUSTOMERS = 50  # that a training needs

_PROCESS_BYTES = 400_000_000  # of the program itself, with LightGBM and MLflow loaded
_LEAST_SHARE = 0.25  # of the limit for orders and rows, whatever the program itself takes
_ROW_BYTES = 2_000  # of a feature row: its table, outcomes, LightGBM's bins and its forecasts
_BOOSTER_BYTES = 550  # of a feature row: what each booster beyond two at a time adds
_BOOSTERS_SHARE = 0.1  # of the limit for those boosters of a model, beside the room
_CUSTOMER_BYTES = 3_500  # of a customer at the newest cutoff: its row, forecasts and baselines
_EVERYONE_BYTES = 150  # of any customer, sampled or not: what BTYD reads, at two instants
_ROWS_SHARE = 0.4  # of the room for feature rows, where not all customers have room
_LEAST_ROWS = 10_000


@dataclass(frozen=True)
class MemoryPlan:
    """The room a memory limit leaves for orders and feature rows, in bytes."""

    room: int
    line_bytes: int
    most_rows: int  # feature rows to learn from where not all have room
    rows_setting: str = "memory_limit"  # the one that allows no more of them

    def has_room(self, n_lines: int, n_customers: int, n_rows: int, models: int = 1) -> bool:
        """Whether so many models can be trained at a time, each on all rows of these orders."""
        of_one = n_rows * _ROW_BYTES + n_customers * _CUSTOMER_BYTES
        return n_lines * self.line_bytes + models * of_one <= self.room

    def count_groups(self, lines: Int64, customers: Int64, *, with_rows: bool) -> int:
        """How many of the first groups of customers have room; at least the first that has any.

        `with_rows` keeps room for feature rows, and for what BTYD reads of everybody.
        """
        room = self.room
        if with_rows:
            room -= self.most_rows * _ROW_BYTES + int(customers.sum()) * _EVERYONE_BYTES
        needed = np.cumsum(lines * self.line_bytes + customers * _CUSTOMER_BYTES)
        least = int(np.flatnonzero(customers)[0]) + 1 if customers.any() else 1
        return max(int(np.searchsorted(needed, room, side="right")), least)


def plan_memory(config: Config, optional_columns: Collection[str]) -> MemoryPlan:
    """The plan for orders with these optional columns under `config.memory_limit`."""
    limit = parse_memory_limit(config.memory_limit)
    room = max(limit - _PROCESS_BYTES, int(limit * _LEAST_SHARE))
    # times and amounts, and each column as codes or numbers; twice, as past orders are a copy
    line_bytes = 2 * (16 + 6 * len(optional_columns)) + 16
    fitting = int(room * _ROWS_SHARE) // _ROW_BYTES
    fitting = max(fitting, _LEAST_ROWS)
    if config.spark_training_rows <= fitting:
        return MemoryPlan(room, line_bytes, config.spark_training_rows, "spark_training_rows")
    return MemoryPlan(room, line_bytes, fitting)


def count_boosters(config: Config, n_rows: int, most: int) -> int:
    """How many boosters of so many rows may be grown at a time, `most` at most.

    The bytes of a row count two of them. More need memory, and change no tree.
    """
    room = int(parse_memory_limit(config.memory_limit) * _BOOSTERS_SHARE)
    return min(most, 2 + room // (max(n_rows, 1) * _BOOSTER_BYTES))
