"""Where a store is: its address as chosen, and the lock of one that is a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from ...configs.schema import Config, load_config
from ...errors import StoreError
from ...models.loading import resolve_sqlite_path

__all__ = ["find_writable_store", "lock_store"]

_DEFAULT_STORE = "sqlite:///mlflow.db"
_LOCK_SECONDS = 600.0


def find_writable_store(config: Config, tracking_uri: str | None = None) -> str:
    """The store of a run: the argument, the config, MLFLOW_TRACKING_URI or ./mlflow.db."""
    configured = tracking_uri or config.tracking.uri
    chosen = configured or os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT_STORE
    return resolve_sqlite_path(chosen)


@contextmanager
def lock_store(uri: str) -> Iterator[None]:
    """Hold the lock file beside an SQLite database; a server keeps its own order."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    lock = FileLock(f"{uri.removeprefix('sqlite:///')}.lock")
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        raise StoreError(
            f"another run has been writing to {uri} for {_LOCK_SECONDS:.0f} seconds; try "
            "again later"
        ) from None
    except OSError as error:
        raise StoreError(f"the MLflow store {uri} cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


if __name__ == "__main__":  # for the Makefile: what a configuration says of its registry
    asked, settings = sys.argv[1], load_config(sys.argv[2])
    answers = {
        "store": find_writable_store(settings),
        "champion": f"models:/{settings.tracking.model_name}@champion",
    }
    sys.stdout.write(f"{answers[asked]}\n")
