"""The backlog: small requests, answered one after the other on the server's loop, while not too many wait.

A burst is worth waiting for; a queue that never empties makes everybody late and helps nobody. So many requests may
wait until once too many do; then, for half a minute, only a few may, and those are answered about as quickly
as ever. Whoever asks from fewer connections than may wait is never turned away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from .limits import busy

__all__ = ["Backlog"]

Result = TypeVar("Result")
_MOST, _FEW = 40, 4  # requests, the one that is being answered among them
_STRICT_SECONDS = 30.0


class Backlog:
    """A queue before the loop itself; what it is given must be done in milliseconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()  # the first come is the first served
        self._inside = 0
        self._strict_until = -1.0

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Do some work when its turn comes; raises a `Refusal` with 503 where too many wait."""
        now = self._clock()
        is_strict = now < self._strict_until
        if self._inside >= (_FEW if is_strict else _MOST):
            if not is_strict:
                self._strict_until = now + _STRICT_SECONDS
            raise busy()
        self._inside += 1
        try:
            async with self._turn:
                await asyncio.sleep(
                    0
                )  # who came meanwhile queues up, or is told that there is no room
                return work(*arguments)
        finally:
            self._inside -= 1
