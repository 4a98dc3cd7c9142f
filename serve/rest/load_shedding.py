"""The backlog: small requests, answered one after the other on the server's loop, while they need not wait long.

A burst is worth waiting for; a queue that never empties makes everybody late and helps nobody (Nichols and Jacobson
2012, "Controlling queue delay"). So a request may have waited for a tenth of a second; but where more than a few
clients are connected and the loop has had no pause for as long, it must be fresh. A few clients that ask without a
pause, one request at a time each, wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .request_limits import too_many_requests

__all__ = ["ARRIVAL", "CONNECTIONS", "TOO_MANY", "LoadShedder"]

# In a request's scope: when its last byte came, by the monotonic clock; how many connections are open; and whether
# its own was one more than may be when it was opened.
ARRIVAL, CONNECTIONS, TOO_MANY = "clvcast.arrival", "clvcast.connections", "clvcast.too_many"
_PATIENT_SECONDS, _STRICT_SECONDS = 0.1, 0.003  # that a request may have waited
_FEW_CONNECTIONS = 4
_BUSY_SECONDS = 0.1  # without a pause
_PAUSE_SECONDS = (
    0.003  # from an answer to the next request; less passes while a heap of requests is parsed
)


class LoadShedder:
    """Decides whether a request that has waited for its turn is still worth an answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paused_at = self._answered_at = clock()

    def check(self, arrived_at: float | None, connections: int) -> None:
        """Raise a `Refusal` with 503 where a request whose turn it is waited too long; None: it has not waited."""
        if arrived_at is None:
            return
        if arrived_at - self._answered_at > _PAUSE_SECONDS:
            self._paused_at = arrived_at
        is_overrun = connections > _FEW_CONNECTIONS and arrived_at - self._paused_at > _BUSY_SECONDS
        if self._clock() - arrived_at > (_STRICT_SECONDS if is_overrun else _PATIENT_SECONDS):
            raise too_many_requests()

    def answered(self) -> None:
        """Note that a request is done with, answered or turned away."""
        self._answered_at = self._clock()
