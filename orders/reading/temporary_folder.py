"""Temporary folders that are removed at the end or, after a crash, by the next run."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import StoreError

__all__ = ["make_temporary_folder"]

_PREFIX = ".clvcast-"
_LOCK = ".lock"


@contextmanager
def make_temporary_folder(beside: Path | None = None) -> Iterator[Path]:
    """A folder in `beside` (else where the system keeps temporary files), removed in the end.

    Its owner holds a lock file beside it from before the folder exists, and the system releases
    the lock when the owner dies. So a lock file that nobody holds is left over from a crash, also
    where two containers share a volume and a process id; it and its folder are removed first.
    """
    parent = beside or Path(tempfile.gettempdir())
    folder = parent / f"{_PREFIX}{uuid.uuid4().hex}"
    lock = FileLock(f"{folder}{_LOCK}")
    try:
        for left in parent.glob(f"{_PREFIX}*{_LOCK}"):
            _remove_abandoned(left)
        lock.acquire()
        folder.mkdir()
    except OSError as error:
        raise StoreError(f"temporary files cannot go to {parent}: {error.strerror}") from None
    try:
        yield folder
    finally:
        _remove(folder)
        lock.release()


def _remove_abandoned(lock_file: Path) -> None:
    with suppress(Timeout, OSError), FileLock(lock_file, timeout=0):
        _remove(lock_file.with_suffix(""))


def _remove(folder: Path) -> None:
    """Remove a folder and its lock file, whose lock is held."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        Path(f"{folder}{_LOCK}").unlink()
