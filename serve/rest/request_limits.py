"""Limits: bodies read whole within bounds of size and time, and a bounded queue before the scorer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from .errors import Refusal
from .settings import Limits

__all__ = ["LONGEST_HEAD", "BodyReader", "Receive", "WorkerPool", "too_many_requests"]

LONGEST_HEAD = 64 << 10  # bytes: request line, headers and trailers

Result = TypeVar("Result")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyReader:
    """Reads request bodies: each within a size and a time, all together within the memory for them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffered = 0

    async def read(self, receive: Receive, stated_length: bytes | None) -> bytes:
        """A whole body; raises `Refusal` with 413, 408 or 503."""
        most = self._limits.body_bytes
        if stated_length is not None and stated_length.isdigit() and int(stated_length[:20]) > most:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.slow_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(499, "gone", "the client went away")
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    self._buffered += len(part)
                    if size > most:
                        raise self._too_large()
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

    def _too_large(self) -> Refusal:
        return Refusal(
            413,
            "too_large",
            f"a body must have at most {self._limits.body_bytes} bytes; send fewer customers",
            headers=_CLOSE,
        )


_CLOSE = {"Connection": "close"}


def too_many_requests(*, close: bool = False) -> Refusal:
    """The answer to one request too many; `close`: and to the connection it came on."""
    headers = {"Retry-After": "1"} | (_CLOSE if close else {})
    return Refusal(503, "busy", "the server is at its limit; come again", headers=headers)


class WorkerPool:
    """A bounded queue before some threads."""

    def __init__(self, limits: Limits) -> None:
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="scorer")
        self._room = limits.threads + limits.waiting
        self._seconds = limits.request_seconds

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Do some work in a thread; raises `Refusal` with 503 (no room) or 504 (too long).

        Work that takes too long keeps its thread, and its place, until it ends.
        """
        if self._room <= 0:
            raise too_many_requests()
        self._room -= 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(work, *arguments)

        def leave(done: Future[Result]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._leave)

        future.add_done_callback(leave)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Refusal(
                504, "timeout", f"no answer within {self._seconds:g} s; send fewer customers"
            ) from None

    def _leave(self) -> None:
        self._room += 1

    def close(self) -> None:
        """Let the threads go once their work is done."""
        self._pool.shutdown(wait=False, cancel_futures=True)
