"""The journal of a batch: finished parts on disk, so that a killed run goes on where it was.

It stands beside the output while a batch runs, under a key of everything the forecasts depend on. A part
is whole or not there; parts of another key are thrown away. One process at a time may hold it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ...atomic_files import replace_file
from ...errors import StoreError

__all__ = ["Checkpoint", "open_checkpoint", "remove_leftovers"]

_KEY = "key"


@dataclass(frozen=True)
class Checkpoint:
    """The parts of one batch."""

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
        """A finished part."""
        with pa.memory_map(str(self._path(part))) as file, pa.ipc.open_file(file) as stream:
            return stream.read_all()

    def clear(self) -> None:
        """Begin anew."""
        for path in self.folder.glob("*.arrow"):
            path.unlink()

    def close(self) -> None:
        """The batch is done: its parts are in the output."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, part: str) -> Path:
        return self.folder / f"{part}.arrow"


@contextmanager
def open_checkpoint(output: Path, key: str) -> Iterator[Checkpoint]:
    """The journal of an output; raises `StoreError` while another process writes the same output."""
    folder = output.with_name(f".{output.name}.journal")
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another process is writing {output}; wait for it") from None
        try:
            _clear(folder, output, key)
            with replace_file(folder / _KEY) as partial:
                partial.write_text(key)
            yield Checkpoint(folder)
        finally:
            if not any(folder.glob("*.arrow")):  # nothing to go on from
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def remove_leftovers(output: Path, key: str) -> None:
    """Remove what a process left that was killed between the last output and its journal."""
    if output.with_name(f".{output.name}.journal").exists():
        with open_checkpoint(output, key) as left:
            left.close()


def _clear(folder: Path, output: Path, key: str) -> None:
    """Throw away what killed processes left half done here, and the parts of another key."""
    for left in output.parent.glob(".*.partial"):
        own = left.name.startswith(f".{output.name}.")  # nobody else writes this output now
        if own or _is_abandoned(left):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    known = folder / _KEY
    is_same = known.exists() and known.read_text() == key
    for path in folder.iterdir():
        if path.name.endswith(".partial") or not is_same:
            path.unlink()


def _is_abandoned(left: Path) -> bool:
    """Whether the process a partial file is named after is gone; its number may have another by now."""
    process = left.name.split(".")[-2]
    if not process.isdigit() or not Path("/proc/stat").exists():
        return False
    try:
        fields = Path("/proc", process, "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return True
    booted = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    assert booted is not None
    began = int(booted[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return began > left.stat().st_mtime + 2.0  # both clocks are coarse
