"""Tasks side by side, in threads: LightGBM, BTYD's integrals and feature rows release Python's
lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import joblib

__all__ = ["run_side_by_side"]

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_side_by_side(
    work: Callable[[Task], Result], tasks: Iterable[Task], most: int | None = None
) -> Iterator[Result]:
    """What `work` gives for each task, in their order, `most` at a time (default: one per core)."""
    parallel = joblib.Parallel(
        n_jobs=most or joblib.cpu_count(), require="sharedmem", return_as="generator"
    )
    results: Iterator[Result] = parallel(joblib.delayed(work)(task) for task in tasks)
    return results
