"""Wait for the server of an MLflow store, but not for long.

MLflow tries a database ten times (100 s) and has no setting for it. A server that restarts is back
within seconds: those are waited for. One that accepts a connection and says nothing is left to
MLflow's own limits.
"""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit
from urllib.request import getproxies

from ..configs.addresses import hide_passwords
from ..errors import StoreError

__all__ = ["wait_for_store"]

_SECONDS = 20.0
_PAUSE_SECONDS = 1.0
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def wait_for_store(uri: str) -> None:
    """Return once the store's server accepts connections; raises `StoreError` after 20 s.

    Files, addresses without a host and servers behind a proxy are left to MLflow.
    """
    place = _find_server(uri)
    if place is None:
        return
    end = time.monotonic() + _SECONDS
    while True:
        try:
            with socket.create_connection(place, max(end - time.monotonic(), 0.1)):
                break
        except OSError as error:
            if time.monotonic() + _PAUSE_SECONDS >= end:
                reason = error.strerror or str(error)
                raise StoreError(
                    f"the MLflow store {hide_passwords(uri)} cannot be reached within "
                    f"{_SECONDS:g} s: {reason} ({place[0]}, port {place[1]}); start its server, or "
                    "name another with --tracking-uri"
                ) from None
        time.sleep(_PAUSE_SECONDS)
    if not uri.lower().startswith("http"):
        _connect_once(uri)


def _find_server(uri: str) -> tuple[str, int] | None:
    """Host and port of a store's server; None where there is none to wait for."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:  # several hosts
        return None
    scheme, proxies = parts.scheme.partition("+")[0], getproxies()
    has_proxy = scheme.startswith("http") and bool({scheme, "all"} & set(proxies))
    is_elsewhere = "host=" in parts.query or "unix_socket=" in parts.query
    if scheme not in _PORTS or not host or is_elsewhere or has_proxy:
        return None
    return host, port or _PORTS[scheme]


def _connect_once(uri: str) -> None:
    """Connect to a database: a wrong password or name is a fault that no retry mends."""
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
        with engine.connect():
            pass
    except (SQLAlchemyError, ImportError) as error:
        reason = hide_passwords((str(error).splitlines() or [type(error).__name__])[0])
        raise StoreError(f"the MLflow store {hide_passwords(uri)} refuses: {reason}") from None
