"""The server: a socket, uvicorn on it, and a protocol that closes idle and slow connections."""

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

import uvicorn
from fastapi import APIRouter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ...errors import ConfigError, StoreError
from .app import create_app
from .logs import request_logger, start_logging
from .model_holder import ModelHolder
from .request_limits import ARRIVAL, CONNECTIONS, LONGEST_HEAD, TOO_MANY, Limits
from .settings import Settings

__all__ = ["format_url", "prepare", "run"]

_DRAIN_SECONDS = 30


def run(models: ModelHolder, settings: Settings, pages: Sequence[APIRouter] = ()) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first.

    Raises `ConfigError` for a public address without tokens, `StoreError` for an address that is
    in use or not available.
    """
    server, listening = prepare(models, settings, pages)
    start_logging()
    # loaded objects stay: frozen, they cost no request tens of milliseconds of garbage collection
    gc.collect()
    gc.freeze()
    fields = {
        "event": "listening",
        "url": format_url(listening, settings),
        "model_version": models.current.version,
    }
    request_logger.info("", extra={"fields": fields})
    for stop in (signal.SIGTERM, signal.SIGINT):
        # uvicorn drains on either, then raises it again for handlers of others: there are none
        signal.signal(stop, lambda number, frame: None)
    # the loop waits for the interpreter lock of a scoring thread at each send and receive
    sys.setswitchinterval(0.0005)
    server.run(sockets=[listening])


def prepare(
    models: ModelHolder, settings: Settings, pages: Sequence[APIRouter] = ()
) -> tuple[uvicorn.Server, socket.socket]:
    """A server that is ready to run, and its listening socket."""
    if not settings.is_loopback and not settings.tokens.forecast:
        raise ConfigError(
            f"a public address needs tokens (--tokens FILE, or CLVCAST_TOKENS), got --host "
            f"{settings.host} and none; give tokens, or leave --host out"
        )
    if (settings.certificate is None) != (settings.private_key is None):
        raise ConfigError("--certificate and --private-key belong together, got one of them")
    for file in (settings.certificate, settings.private_key):
        if file is not None and not file.is_file():
            raise StoreError(f"there is no file {file}")
    config = uvicorn.Config(
        create_app(models, settings, pages),
        http=_create_protocol(settings.limits),
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
    return uvicorn.Server(config), _open_socket(settings.host, settings.port)


def format_url(listening: socket.socket, settings: Settings) -> str:
    """The address of a server."""
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _open_socket(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
        # connections inherit it; without it, a head and a body sent apart take 40 ms longer
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise StoreError(
            f"{host}:{port} cannot be listened on: {why}; name another --port"
        ) from None


def _create_protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """HTTP/1.1 of uvicorn, with limits on the time and bytes of a head and on unread answers.

    Uvicorn itself limits neither, its `limit_concurrency` also refuses health checks, and ASGI
    middleware sees a connection only once a whole head has arrived. So this much is a subclass;
    all other limits are middleware.
    """
    seconds = limits.slow_seconds

    class Protocol(HttpToolsProtocol):
        is_too_many = False  # opened when limits.connections were already open
        head_bytes = 0  # received since the last byte of a body, trailers included
        request_timer: asyncio.TimerHandle | None = None  # until the next head is complete
        write_timer: asyncio.TimerHandle | None = None  # until the client reads again

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.is_too_many = len(self.connections) > limits.connections
            self.request_timer = self.loop.call_later(seconds, self._close_idle)

        def data_received(self, data: bytes) -> None:
            self.head_bytes += len(data)
            super().data_received(data)
            if self.head_bytes > LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response(f"A head must have at most {LONGEST_HEAD} bytes.")

        def on_headers_complete(self) -> None:
            self._cancel(self.request_timer)
            self.scope[CONNECTIONS] = len(self.connections)  # type: ignore[literal-required]
            self.scope[TOO_MANY] = self.is_too_many  # type: ignore[literal-required]
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self.head_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self.head_bytes = 0
            self.scope[ARRIVAL] = time.monotonic()  # type: ignore[literal-required]
            super().on_message_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._cancel(self.request_timer)
            self.request_timer = self.loop.call_later(seconds, self._close_idle)

        def pause_writing(self) -> None:
            super().pause_writing()
            self.write_timer = self.loop.call_later(seconds, self.transport.abort)

        def resume_writing(self) -> None:
            self._cancel(self.write_timer)
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel(self.request_timer)
            self._cancel(self.write_timer)
            super().connection_lost(exc)

        def _cancel(self, timer: asyncio.TimerHandle | None) -> None:
            if timer is not None:
                timer.cancel()

        def _close_idle(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Protocol
