"""Authorisation: bearer tokens compared in constant time; without tokens, localhost only."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from ...errors import ConfigError, StoreError
from .errors import Refusal

__all__ = [
    "ADMIN_VARIABLE",
    "COOKIE",
    "HEALTH_PATHS",
    "PAGE_PATHS",
    "TOKENS_VARIABLE",
    "LoginLimit",
    "Tokens",
    "authorise",
    "is_token",
    "read_tokens",
]

TOKENS_VARIABLE, ADMIN_VARIABLE = "CLVCAST_TOKENS", "CLVCAST_ADMIN_TOKENS"
_SHORTEST = 16
HEALTH_PATHS = ("/livez", "/readyz")  # for schedulers; they disclose nothing
_OPEN_PATHS = (*HEALTH_PATHS, "/login")
# opened in a browser, which sends its token as a cookie
PAGE_PATHS = ("/", "/explore/customers", "/explore/customer")
COOKIE = "clvcast_token"
_ADMIN_PATHS = ("/v1/reload", "/v1/rollback")
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Tokens:
    """Digests of the valid tokens; several, so that they can be rotated."""

    forecast: tuple[bytes, ...] = ()
    admin: tuple[bytes, ...] = ()  # these may forecast too


def read_tokens(
    file: Path | None, admin_file: Path | None, environment: Mapping[str, str]
) -> Tokens:
    """Tokens from files (one per line) or the environment (separated by spaces or commas)."""
    return Tokens(
        _hash_tokens(file, environment.get(TOKENS_VARIABLE, "")),
        _hash_tokens(admin_file, environment.get(ADMIN_VARIABLE, "")),
    )


def authorise(
    path: str, headers: Mapping[bytes, bytes], tokens: Tokens, *, is_loopback: bool
) -> None:
    """Raise a `Refusal` unless the request is allowed."""
    if path in _OPEN_PATHS:
        return
    is_admin_path = path in _ADMIN_PATHS
    if is_admin_path and not tokens.admin:
        raise Refusal(
            403, "forbidden", f"{path} is off: the server was started without admin tokens"
        )
    if is_loopback and not is_admin_path and not (tokens.forecast or tokens.admin):
        # DNS rebinding: a foreign page whose name points here
        if _read_host(headers) not in _LOOPBACK_NAMES:
            raise Refusal(403, "forbidden", "without tokens the server serves localhost only")
        return
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    valid = tokens.admin if is_admin_path else (*tokens.forecast, *tokens.admin)
    if path in PAGE_PATHS and not token:
        cookies = cookie_parser(headers.get(b"cookie", b"").decode("latin-1"))
        scheme, token = b"bearer", cookies.get(COOKIE, "").encode("latin-1", "replace")
    if path == "/" and not _is_among(token.strip(), valid):
        raise Refusal(303, "login", "log in at /login with a token", headers={"Location": "/login"})
    if scheme.lower() != b"bearer" or not _is_among(token.strip(), valid):
        kind = "an admin token" if is_admin_path else "a token"
        raise Refusal(
            401,
            "unauthorised",
            f"the header Authorization: Bearer must carry {kind} of this server",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _read_host(headers: Mapping[bytes, bytes]) -> str | None:
    """The name in the header Host; None where it is none, such as `[`."""
    try:
        return urlsplit("//" + headers.get(b"host", b"").decode("latin-1")).hostname
    except ValueError:
        return None


def is_token(token: str, tokens: Tokens) -> bool:
    """Whether a token may read forecasts."""
    return _is_among(token.strip().encode(), (*tokens.forecast, *tokens.admin))


class LoginLimit:
    """Failed logins per client address: after `most` within a minute, further ones are rejected.

    Behind a proxy all clients have its address, and share the limit. Requests with the header
    Authorization are not limited: a token has at least 16 characters.
    """

    _ADDRESSES = 1_000  # remembered; more than these forget all, so that memory is bounded

    def __init__(self, most: int = 10, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._failed: dict[str, list[float]] = {}

    def check(self, address: str) -> None:
        """Raise a `Refusal` with 429 for an address with too many failed logins."""
        recent = [at for at in self._failed.get(address, ()) if self._clock() - at < 60.0]
        if len(recent) >= self._most:
            raise Refusal(
                429,
                "too_many_logins",
                f"at most {self._most} logins may fail within a minute; try again later",
                headers={"Retry-After": "60"},
            )

    def note_failure(self, address: str) -> None:
        """Note a failed login of an address."""
        if address not in self._failed and len(self._failed) >= self._ADDRESSES:
            self._failed.clear()
        recent = [*self._failed.get(address, ()), self._clock()]
        self._failed[address] = recent[-self._most :]


def _is_among(token: bytes, digests: Iterable[bytes]) -> bool:
    """Whether a token is one of those, in a time that does not depend on which."""
    digest = sha256(token).digest()
    return sum(hmac.compare_digest(digest, valid) for valid in digests) > 0


def _hash_tokens(file: Path | None, variable: str) -> tuple[bytes, ...]:
    words = variable.replace(",", " ").split()
    if file is not None:
        try:
            words += file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError):
            raise StoreError(f"the token file {file} cannot be read") from None
        if not words:
            raise ConfigError(f"the token file {file} must hold one token per line, got nothing")
    if any(len(word) < _SHORTEST for word in words):
        raise ConfigError(f"a token must have at least {_SHORTEST} characters; make it longer")
    return tuple(sha256(word.encode()).digest() for word in words)
