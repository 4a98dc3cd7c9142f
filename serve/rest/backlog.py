"""The backlog: small requests, answered one after the other on the server's loop, while they need not wait long.

A burst is worth waiting for; a queue that never empties makes everybody late and helps nobody (Nichols and Jacobson
2012, "Controlling queue delay"). So a request may have waited for a tenth of a second; but where many clients are
connected and the loop has had no pause for as long, it must be fresh, and those that are let in are answered
about as quickly as ever. A few clients that ask without a pause, one request at a time each, wait for each other
and are never turned away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .limits import busy

__all__ = ["ARRIVAL", "Arrival", "Backlog"]

ARRIVAL = "clvcast.arrival"  # where a request's scope has its `Arrival`
_PATIENT_SECONDS, _STRICT_SECONDS = 0.1, 0.003  # that a request may have waited
_FEW_CONNECTIONS = 16
_BUSY_SECONDS = 0.1  # without a pause
_PAUSE_SECONDS = 0.001  # between an answer and the next request


class Arrival(NamedTuple):
    """When a request's last byte came, by the monotonic clock, and how many connections were open then."""

    at: float
    connections: int


class Backlog:
    """Decides whether a request that has waited for its turn is still worth an answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paused_at = self._answered_at = clock()

    @contextmanager
    def turn(self, arrival: Arrival | None) -> Iterator[None]:
        """A request's turn; raises a `Refusal` with 503 where it waited too long. None: it has not waited."""
        now = self._clock()
        at, connections = arrival or (now, 0)
        if at - self._answered_at > _PAUSE_SECONDS:
            self._paused_at = at
        is_overrun = connections > _FEW_CONNECTIONS and at - self._paused_at > _BUSY_SECONDS
        try:
            if now - at > (_STRICT_SECONDS if is_overrun else _PATIENT_SECONDS):
                raise busy()
            yield
        finally:
            self._answered_at = self._clock()
