"""Checkpoint of a batch: finished parts on disk, so that an interrupted run resumes.

It is a folder beside the output while a batch runs, under a key of everything the forecasts
depend on. A part is complete or absent; parts of another key are deleted. The process that holds
its lock file owns it, and with it the output.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from filelock import FileLock, Timeout

from ...atomic_files import replace_file
from ...errors import StoreError

__all__ = ["Checkpoint", "open_checkpoint", "remove_leftovers"]

_KEY, _LOCK = "key", "lock"


@dataclass(frozen=True)
class Checkpoint:
    """The parts of one batch; half-written outputs go into its folder too."""

    folder: Path

    def has(self, part: str) -> bool:
        """Whether a part is finished."""
        return self._path(part).exists()

    def write(self, part: str, table: pa.Table) -> None:
        """Finish a part."""
        with (
            replace_file(self._path(part)) as partial,
            pa.ipc.new_file(str(partial), table.schema) as stream,
        ):
            stream.write_table(table)

    def read(self, part: str) -> pa.Table:
        """A finished part, mapped into memory."""
        with pa.memory_map(str(self._path(part))) as file, pa.ipc.open_file(file) as stream:
            return stream.read_all()

    def clear(self) -> None:
        """Delete all parts."""
        for path in self.folder.glob("*.arrow"):
            path.unlink()

    def close(self) -> None:
        """Delete the checkpoint: its parts are in the output."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, part: str) -> Path:
        return self.folder / f"{part}.arrow"


@contextmanager
def open_checkpoint(output: Path, key: str) -> Iterator[Checkpoint]:
    """The checkpoint of an output; `StoreError` while another process writes the same output."""
    folder = _locate(output)
    folder.mkdir(exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            _remove_stale(folder, key)
            (folder / _KEY).write_text(key, encoding="utf-8")
            try:
                yield Checkpoint(folder)
            finally:
                if not any(folder.glob("*.arrow")):  # nothing to resume from
                    shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        raise StoreError(f"another process is writing {output}; wait for it") from None


def remove_leftovers(output: Path, key: str) -> None:
    """Remove the checkpoint of a run that was killed right after its last output."""
    if _locate(output).exists():
        with open_checkpoint(output, key) as left:
            left.close()


def _locate(output: Path) -> Path:
    return output.with_name(f".{output.name}.journal")


def _remove_stale(folder: Path, key: str) -> None:
    """Remove half-written files and, where the key is another, all parts."""
    known = folder / _KEY
    is_same = known.exists() and known.read_text(encoding="utf-8") == key
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK and not (is_same and path.suffix == ".arrow"):
            path.unlink()
