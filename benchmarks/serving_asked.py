"""A server in a process of its own, asked over HTTP: one request after the other, or at a steady
rate.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "asked_at",
    "capacity",
    "cpu_seconds",
    "free_port",
    "one_by_one",
    "resident_mb",
    "server",
]

TICKS = os.sysconf("SC_CLK_TCK")
HEADERS = {"content-type": "application/json"}
IDLE_SECONDS = 5.0  # that a connection is used again; the server closes it after ten


@contextmanager
def server(command: list[str], port: int, health: str) -> Iterator[int]:
    """A server as a process; its id once it answers."""
    quiet = subprocess.DEVNULL
    # MLflow calls uvicorn by its name
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command, stdout=quiet, stderr=quiet, start_new_session=True, env=dict(os.environ, PATH=path)
    )
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=1):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield process.pid
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def cpu_seconds(group: int) -> float:
    """CPU seconds of a process and its children so far."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def resident_mb(pid: int) -> float:
    """Megabytes in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def one_by_one(port: int, path: str, bodies: list[bytes]) -> list[float]:
    """Ask one after the other on one connection: seconds of each."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    took = []
    for body in bodies:
        begin = time.perf_counter()
        connection.request("POST", path, body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        took.append(time.perf_counter() - begin)
        assert answer.status == 200, answer.status
    connection.close()
    return took


@contextmanager
def no_collections() -> Iterator[None]:
    """The asker's own garbage collections, a fifth of a second over a heap of answers, are not the
    server's time.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


class Connections:
    """Kept connections to a server; each asks one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, body: bytes) -> str:
        """The status of the answer, or the name of what failed."""
        try:
            reader, writer = await self._take()
            head = (
                "POST /v1/forecasts HTTP/1.1\r\nhost: localhost\r\n"
                "content-type: application/json\r\n"
            )
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            length = re.search(rb"content-length: (\d+)", answer)
            assert length is not None
            await reader.readexactly(int(length[1]))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            return type(error).__name__
        self._idle.append((time.perf_counter(), reader, writer))
        return answer.split(b" ", 2)[1].decode()

    async def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.perf_counter() - since < IDLE_SECONDS:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        for _, _, writer in self._idle:
            writer.close()


async def asked_at(
    port: int, bodies: list[bytes], rate: float, seconds: float
) -> tuple[list[float], Counter[str]]:
    """Ask at a steady rate, answered or not: seconds from when each was due to its 200, and answers
    by status.
    """
    took: list[float] = []
    statuses: Counter[str] = Counter()
    connections = Connections(port)

    async def ask(body: bytes, due: float) -> None:
        status = await connections.ask(body)
        if status == "200":
            took.append(time.perf_counter() - due)
        statuses[status] += 1

    with no_collections():
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as asking:  # keeps only those that are on their way
            for number in range(int(rate * seconds)):
                due = begin + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                asking.create_task(ask(bodies[number % len(bodies)], due))
    connections.close()
    return took, statuses


async def capacity(port: int, bodies: list[bytes], seconds: float) -> float:
    """Answers a second to four clients that ask without a pause: as many as are never
    turned away.
    """
    connections = Connections(port)
    begin = time.perf_counter()
    answered = 0

    async def client(k: int) -> None:
        nonlocal answered
        while time.perf_counter() - begin < seconds:
            status = await connections.ask(bodies[(answered + k) % len(bodies)])
            assert status == "200", status
            answered += 1

    with no_collections():
        await asyncio.gather(*map(client, range(4)))
    connections.close()
    return answered / (time.perf_counter() - begin)
