"""The backlog: how long a small request may have waited when its turn comes.

Small requests are answered one after the other on the server's loop. A burst is worth waiting for; a queue
that never empties makes everybody late and helps nobody. So a request may be old while the loop had nothing to
do at some moment of the last tenth of a second, and must be fresh while it had not (after "Controlling queue
delay", Nichols and Jacobson 2012).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .limits import busy

__all__ = ["Backlog"]

_LONG = 0.1  # seconds without a pause, after which the queue is no burst any more
_PAUSE = 0.001  # seconds without a request
_PATIENT, _HURRIED = 0.1, 0.003  # how old a request may be, in a burst and in a queue


class Backlog:
    """The age of requests, and when the loop last had nothing to do."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._done_at = self._free_at = clock()

    def check(self, begun: float) -> None:
        """Raise a `Refusal` with 503 where a request whose last byte came at `begun` has waited too long."""
        if begun - self._done_at > _PAUSE:
            self._free_at = begun
        patience = _PATIENT if begun - self._free_at < _LONG else _HURRIED
        if self._clock() - begun > patience:
            raise busy()

    def done(self) -> None:
        """Note that a request has been answered."""
        self._done_at = self._clock()
