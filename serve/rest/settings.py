"""Settings of a server: address, tokens, limits, models."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .auth import Tokens
from .request_limits import Limits

__all__ = ["Settings"]


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
    has_docs: bool = False  # the page /docs

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in ("127.0.0.1", "::1", "localhost")
