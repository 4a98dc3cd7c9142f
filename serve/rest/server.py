"""The server: a socket, uvicorn on it, and a protocol that cuts off who opens a connection and says nothing."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from typing import Any

import httptools
import uvicorn
from fastapi import APIRouter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ...errors import ConfigError, StoreError
from .app import create_app
from .load_shedding import ARRIVAL, CONNECTIONS, TOO_MANY
from .logs import request_logger, start_logging
from .model_holder import ModelHolder
from .settings import Limits, Settings

__all__ = ["format_url", "prepare", "run"]

_DRAIN_SECONDS = 30
_LONGEST_HEAD = 64 << 10  # bytes


def run(models: ModelHolder, settings: Settings, pages: Sequence[APIRouter] = ()) -> None:
    """Serve until told to stop (SIGTERM, SIGINT); what is on its way is answered first.

    Raises `ConfigError` for an address others can reach without tokens, `StoreError` where the
    address cannot be taken.
    """
    server, listening = prepare(models, settings, pages)
    start_logging()
    # what is loaded stays: left out of collections, it cannot make a request wait for tens of milliseconds
    gc.collect()
    gc.freeze()
    fields = {"event": "listening", "url": format_url(listening, settings)}
    request_logger.info("", extra={"fields": fields | {"model_version": models.current.version}})
    for stop in (signal.SIGTERM, signal.SIGINT):
        # uvicorn drains on either, then raises it anew for whoever was to know: nobody
        signal.signal(stop, lambda number, frame: None)
    # each time the loop sends or receives it must wait for a scoring thread to let it go on
    sys.setswitchinterval(0.0005)
    server.run(sockets=[listening])


def prepare(
    models: ModelHolder, settings: Settings, pages: Sequence[APIRouter] = ()
) -> tuple[uvicorn.Server, socket.socket]:
    """A server that is ready to run, and the socket it listens on."""
    if not settings.is_loopback and not settings.tokens.forecast:
        raise ConfigError(
            f"an address others can reach needs tokens (--tokens FILE, or CLVCAST_TOKENS), got "
            f"--host {settings.host} and none; give some, or leave --host out"
        )
    if (settings.certificate is None) != (settings.private_key is None):
        raise ConfigError("--certificate and --private-key belong together, got one of them")
    for file in (settings.certificate, settings.private_key):
        if file is not None and not file.is_file():
            raise StoreError(f"there is no file {file}")
    config = uvicorn.Config(
        create_app(models, settings, pages),
        http=_protocol(settings.limits),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=max(1, int(settings.limits.slow_seconds)),
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
    )
    try:
        config.load()
    except ssl.SSLError as error:
        raise ConfigError(f"the certificate and its key must be PEM files: {error}") from None
    return uvicorn.Server(config), _listen(settings.host, settings.port)


def format_url(listening: socket.socket, settings: Settings) -> str:
    """Where a server can be reached."""
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
        # connections inherit it; without, a head and a body sent apart wait for each other for 40 ms
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise StoreError(
            f"{host}:{port} cannot be listened on: {why}; name another --port"
        ) from None


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """HTTP/1.1 as uvicorn speaks it, for clients who have only so much time and so many bytes for a head."""
    seconds = limits.slow_seconds

    class Protocol(HttpToolsProtocol):
        is_too_many = False  # opened when there were as many connections as may be
        patience: asyncio.TimerHandle | None = None  # for a request to come
        blocked: asyncio.TimerHandle | None = None  # for an answer to be taken
        head_bytes = 0  # of this request, trailers included
        unparsed_bytes = 0  # of reads in which the parser finished nothing

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.is_too_many = len(self.connections) > limits.connections
            self._wait()

        def data_received(self, data: bytes) -> None:
            self.unparsed_bytes += len(data)
            super().data_received(data)
            if self.unparsed_bytes > _LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response(f"A head must have at most {_LONGEST_HEAD} bytes.")
            if self._is_answering():
                self._stop_waiting()
            else:
                self._wait()

        def on_message_begin(self) -> None:
            self.head_bytes = self.unparsed_bytes = 0
            super().on_message_begin()
            self.scope[CONNECTIONS] = len(self.connections)  # type: ignore[literal-required]
            self.scope[TOO_MANY] = self.is_too_many  # type: ignore[literal-required]

        def on_url(self, url: bytes) -> None:
            super().on_url(url)
            self._count(len(url))

        def on_header(self, name: bytes, value: bytes) -> None:
            super().on_header(name, value)
            self._count(len(name) + len(value) + 4)

        def on_body(self, body: bytes) -> None:
            self.unparsed_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self.unparsed_bytes = 0
            self.scope[ARRIVAL] = time.monotonic()  # type: ignore[literal-required]
            super().on_message_complete()

        def _count(self, n_bytes: int) -> None:
            self.unparsed_bytes = 0
            self.head_bytes += n_bytes
            if self.head_bytes > _LONGEST_HEAD:
                raise httptools.HttpParserError("the head is too long")  # answered with 400

        def pause_writing(self) -> None:
            super().pause_writing()
            self.blocked = self.loop.call_later(seconds, self.transport.abort)

        def resume_writing(self) -> None:
            self._unblock()
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            self._unblock()
            super().connection_lost(exc)

        def _is_answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _wait(self) -> None:
            if self.patience is None:
                self.patience = self.loop.call_later(seconds, self._cut)

        def _stop_waiting(self) -> None:
            if self.patience is not None:
                self.patience.cancel()
                self.patience = None

        def _unblock(self) -> None:
            if self.blocked is not None:
                self.blocked.cancel()
                self.blocked = None

        def _cut(self) -> None:
            self.patience = None
            if not self._is_answering() and not self.transport.is_closing():
                self.transport.close()

    return Protocol
