"""One thread of linear algebra while models are fitted and judged.

SciPy's L-BFGS-B solves systems of three or four unknowns, and products are of short vectors.
OpenBLAS wakes all its threads for each, and they wait in a loop: a third of the CPU time of a small
training. The limit is of the whole process, as in the OpenBLAS of NumPy's and SciPy's wheels. As a
decorator it limits the function.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

__all__ = ["use_one_blas_thread"]

_lock = threading.Lock()
_limits: list[threadpool_limits] = []  # the same one for each that is inside


@contextmanager
def use_one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread; the last of several threads that are inside restores the limit."""
    with _lock:
        _limits.append(threadpool_limits(1, "blas") if not _limits else _limits[0])
    try:
        yield
    finally:
        with _lock:
            limit = _limits.pop()
            if not _limits:
                limit.restore_original_limits()
