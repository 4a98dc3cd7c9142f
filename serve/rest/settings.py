"""Settings of a server: address, tokens, limits."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from .auth import Tokens

__all__ = ["Limits", "Settings"]


@dataclass(frozen=True)
class Limits:
    """Limits of one request and of all together; a request beyond one is rejected as a whole."""

    body_bytes: int = 8 << 20
    customers: int = 1_000
    lines: int = 100_000  # order lines of one request
    threads: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))
    small_bytes: int = 16 << 10  # bodies answered on the loop, where a thread would cost more
    small_commas: int = 1_000  # in such a body; a bound on its lines, and so on its faults
    waiting: int = 16  # larger requests that wait for a thread; further ones get 503
    buffered_bytes: int = 64 << 20  # bodies of all requests together
    request_seconds: float = 30.0  # from the last byte of a larger body to the response
    slow_seconds: float = 10.0  # for a client to send its headers, its body, or to read on
    connections: int = 1_000


@dataclass(frozen=True)
class Settings:
    """Settings of a server."""

    host: str = "127.0.0.1"
    port: int = 8000
    tokens: Tokens = field(default_factory=Tokens)
    limits: Limits = field(default_factory=Limits)
    models_root: Path | None = None  # bundles below it may be loaded by path
    tracking_uri: str | None = None
    certificate: Path | None = None
    private_key: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in ("127.0.0.1", "::1", "localhost")
