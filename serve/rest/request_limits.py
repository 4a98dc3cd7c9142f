"""Limits: bodies within a size and a time, a bounded queue before the scorer, and load shedding."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import joblib
from starlette.types import Receive

from .errors import Refusal

__all__ = [
    "ARRIVAL",
    "CONNECTIONS",
    "LONGEST_HEAD",
    "MOST_CUSTOMERS",
    "MOST_LINES",
    "TOO_MANY",
    "BodyReader",
    "Limits",
    "LoadShedder",
    "WorkerPool",
    "check_size",
    "too_many_requests",
]

LONGEST_HEAD = 64 << 10  # bytes: request line, headers and trailers
MOST_CUSTOMERS, MOST_LINES = 1_000, 100_000  # of one request
_VALUES_PER_LINE, _VALUES_PER_CUSTOMER = 10, 200  # at most; a line has 9 fields
# In a request's scope: when its last byte came, by the monotonic clock; how many connections are
# open; and whether its own was opened when the maximum was open.
ARRIVAL, CONNECTIONS, TOO_MANY = "clvcast.arrival", "clvcast.connections", "clvcast.too_many"
_CLOSE = {"Connection": "close"}
_PATIENT_SECONDS, _STRICT_SECONDS = 0.1, 0.003  # that a request may have waited
_FEW_CONNECTIONS = 4
_BUSY_SECONDS = 0.1  # without a pause
_PAUSE_SECONDS = 0.003  # from a response to the next request; parsing a batch of them takes less

Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """Limits of one request and of all together; a request beyond one is rejected as a whole."""

    body_bytes: int = 8 << 20
    customers: int = MOST_CUSTOMERS
    lines: int = MOST_LINES
    threads: int = field(default_factory=lambda: min(4, joblib.cpu_count()))
    small_bytes: int = 16 << 10  # bodies answered on the loop, where a thread would cost more
    control_bytes: int = 16 << 10  # of a body that names a model or a token; the loop parses it
    small_commas: int = 1_000  # in such a body; a bound on its lines, and so on its faults
    waiting: int = 16  # larger requests that wait for a thread; further ones get 503
    buffered_bytes: int = 64 << 20  # bodies of all requests together
    request_seconds: float = 30.0  # from the last byte of a larger body to the response
    slow_seconds: float = 10.0  # for a client to send its headers, its body, or to read on
    connections: int = 1_000

    @property
    def values(self) -> int:
        """Values of a JSON body: generous for every legal request, far below what bytes allow."""
        return _VALUES_PER_LINE * self.lines + _VALUES_PER_CUSTOMER * self.customers


def check_size(customers: int, lines: int, limits: Limits) -> None:
    """Reject a request of too many customers or order lines with 413."""
    for name, count, most in (
        ("customers", customers, limits.customers),
        ("order lines", lines, limits.lines),
    ):
        if count > most:
            raise Refusal(
                413,
                "too_large",
                f"a request must have at most {most} {name}, got {count}; split it",
            )


class BodyReader:
    """Reads request bodies: each within a size and a time, all together within a memory limit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffered = 0

    async def read(
        self, receive: Receive, stated_length: bytes | None, most: int | None = None
    ) -> bytes:
        """A whole body of at most `most` bytes; raises `Refusal` with 413, 408 or 503."""
        most = self._limits.body_bytes if most is None else most
        if stated_length is not None and stated_length.isdigit() and int(stated_length[:20]) > most:
            raise self._too_large(most)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.slow_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(499, "gone", "the client closed the connection")
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    self._buffered += len(part)
                    if size > most:
                        raise self._too_large(most)
                    if self._buffered > self._limits.buffered_bytes:
                        raise too_many_requests()
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            seconds = self._limits.slow_seconds
            raise Refusal(
                408, "too_slow", f"a body must arrive within {seconds:g} s", headers=_CLOSE
            ) from None
        finally:
            self._buffered -= size

    def _too_large(self, most: int) -> Refusal:
        return Refusal(
            413,
            "too_large",
            f"a body must have at most {most} bytes here; send fewer customers",
            headers=_CLOSE,
        )


def too_many_requests(*, close: bool = False) -> Refusal:
    """The response to one request too many; with `close` its connection is closed."""
    headers = {"Retry-After": "1"} | (_CLOSE if close else {})
    return Refusal(503, "busy", "the server is at its limit; try again later", headers=headers)


class WorkerPool:
    """Threads behind a bounded queue."""

    def __init__(self, limits: Limits) -> None:
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="scorer")
        self._room = limits.threads + limits.waiting
        self._seconds = limits.request_seconds

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run some work in a thread; raises `Refusal` with 503 (queue full) or 504 (too long).

        Work that takes too long occupies its thread until it ends.
        """
        if self._room <= 0:
            raise too_many_requests()
        self._room -= 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(future)
        except TimeoutError:
            raise Refusal(
                504, "timeout", f"no answer within {self._seconds:g} s; send fewer customers"
            ) from None

    def _leave(self, future: asyncio.Future[Any]) -> None:
        self._room += 1
        if not future.cancelled():
            future.exception()  # retrieved, since nobody awaits it after a timeout

    def close(self) -> None:
        """Stop the threads once their work is done."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class LoadShedder:
    """Rejects small requests, which are answered one by one on the server's loop, that waited long.

    Short bursts are queued, up to 0.1 s. Once the queue has not emptied for 0.1 s and more than 4
    clients are connected, only fresh requests are answered (CoDel: Nichols and Jacobson 2012,
    "Controlling queue delay"). A few clients that send one request at a time wait for each other.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paused_at = self._answered_at = clock()

    def check(self, arrived_at: float | None, connections: int) -> None:
        """Raise a `Refusal` with 503 if a request waited too long; None means no wait."""
        if arrived_at is None:
            return
        if arrived_at - self._answered_at > _PAUSE_SECONDS:
            self._paused_at = arrived_at
        is_overrun = connections > _FEW_CONNECTIONS and arrived_at - self._paused_at > _BUSY_SECONDS
        if self._clock() - arrived_at > (_STRICT_SECONDS if is_overrun else _PATIENT_SECONDS):
            raise too_many_requests()

    def answered(self) -> None:
        """Note that a request was answered or rejected."""
        self._answered_at = self._clock()
