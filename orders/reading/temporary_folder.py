"""Temporary folders that go away: at the end, and where a run was killed, when the next one begins."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import StoreError

__all__ = ["make_temporary_folder"]

_PREFIX = ".clvcast-shards-"
_LOCK = "lock"
_YOUNG_SECONDS = 60.0  # a folder this young may be about to get its lock


@contextmanager
def make_temporary_folder(beside: Path | None = None) -> Iterator[Path]:
    """A folder in `beside` (else where the system keeps temporary files), removed in the end.

    Its owner holds a lock on a file in it; the system lets go of that lock when the owner dies. Folders
    whose lock nobody holds are left over from runs that were killed, and are removed first.
    """
    parent = beside or Path(tempfile.gettempdir())
    try:
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise StoreError(f"temporary files cannot go to {parent}: {error.strerror}") from None
    try:
        with (folder / "new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(folder / "new", folder / _LOCK)  # there is never a lock nobody holds
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another's, or just gone
            if not (folder / _LOCK).exists():
                if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
                    shutil.rmtree(folder)
                continue
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
