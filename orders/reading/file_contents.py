"""What a file holds, told by its first bytes before its name, and its bytes, unpacked within
limits.

Exports are renamed, and browsers unpack or do not: a gzip named .csv is still a gzip.
"""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from ...errors import OrdersError
from .file_search import find_ending, keep_tables

__all__ = [
    "Content",
    "UnpackedStream",
    "detect_content",
    "get_share",
    "open_unpacked",
    "read_unpacked",
]

Kind = Literal["parquet", "workbook", "json lines", "text"]
_PARQUET, _GZIP, _ZIP, _OLD_EXCEL = b"PAR1", b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
# A zip bomb unpacks to a thousand times its size; exports to ten or thirty times.
_MOST_RATIO = 100
_UNPACKED_FREELY = 1 << 27  # bytes, before the ratio counts
_MOST_IN_MEMORY = 1 << 30  # bytes of a file that cannot be read piece by piece
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile)


@dataclass(frozen=True)
class Content:
    """What is in a file."""

    kind: Kind
    packed: Literal["", "gzip", "zip"]
    name: str  # of the table itself: in a zip file, that of its member


def detect_content(path: Path) -> Content:
    """What a file is; refuses what its name promises and its bytes are not."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise OrdersError(f"{path.name} cannot be read: {error.strerror}") from None
    ending = find_ending(path.name)
    if start.startswith(_PARQUET):
        return Content("parquet", "", path.name)
    if start.startswith(_OLD_EXCEL):
        raise OrdersError(
            f"{path.name} is an old or encrypted Excel file; save it as .xlsx or .csv"
        )
    if start.startswith(_ZIP):
        return _detect_in_zip(path)
    if ending == ".parquet":
        raise OrdersError(f"{path.name} is damaged, or no parquet file")
    if ending in (".zip", ".xlsx"):
        raise OrdersError(f"{path.name} is damaged, or no {ending[1:]} file")
    kind: Kind = "json lines" if ending.startswith(".jsonl") else "text"
    return Content(kind, "gzip" if start.startswith(_GZIP) else "", path.name)


def _detect_in_zip(path: Path) -> Content:
    with _translate_damage(path, "zip"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.startswith("xl/") for name in names):
        return Content("workbook", "", path.name)
    members = [PurePosixPath(name) for name in names if not name.endswith("/")]
    visible = [m for m in members if m.parts[0] != "__MACOSX" and m.name[0] not in "._"]
    tables = [member.as_posix() for member in keep_tables(visible)]
    if len(tables) != 1:
        contents = f"{len(tables)}, such as {' and '.join(tables[:2])}" if tables else "none"
        raise OrdersError(f"{path.name} must hold one table, it holds {contents}; unpack it")
    ending = find_ending(tables[0])
    if ending.endswith((".gz", ".zip")):
        raise OrdersError(f"{path.name} holds {tables[0]}, packed twice; unpack it")
    kinds: dict[str, Kind] = {
        ".parquet": "parquet",
        ".xlsx": "workbook",
        ".jsonl": "json lines",
    }
    return Content(kinds.get(ending, "text"), "zip", tables[0])


class UnpackedStream(io.RawIOBase):
    """The bytes of a packed file, unpacked; refuses more than a packed table could hold."""

    def __init__(self, unpacked: IO[bytes], packed: IO[bytes], name: str) -> None:
        self._unpacked, self._packed, self._name = unpacked, packed, name
        self._n_bytes = 0

    def readable(self) -> bool:
        """A stream to read from."""
        return True

    @property
    def n_packed(self) -> int:
        """Bytes of the packed file that were read."""
        return self._packed.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with the next bytes."""
        chunk = self._unpacked.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._n_bytes += len(chunk)
        ratio = self._n_bytes / max(1, self.n_packed)
        if self._n_bytes > _UNPACKED_FREELY and ratio > _MOST_RATIO:
            raise OrdersError(
                f"{self._name} unpacks to more than {_MOST_RATIO} times its size, which no order "
                "file does; if it is one, unpack it yourself"
            )
        return len(chunk)


def get_share(stream: Any, path: Path) -> float:
    """The share of a file's bytes that a stream of it has read, about."""
    if stream.closed:
        return 1.0
    raw = getattr(stream, "raw", None)
    n_bytes = raw.n_packed if isinstance(raw, UnpackedStream) else stream.tell()
    return float(min(1.0, n_bytes / max(1, path.stat().st_size)))


@contextmanager
def open_unpacked(path: Path, content: Content) -> Iterator[IO[bytes]]:
    """The bytes of the table in a file, from their beginning."""
    with _translate_damage(path, content.packed or "file"), ExitStack() as stack:
        packed = stack.enter_context(path.open("rb"))
        if not content.packed:
            yield packed
            return
        if content.packed == "gzip":
            unpacked: Any = stack.enter_context(gzip.GzipFile(fileobj=packed))
        else:
            archive = stack.enter_context(zipfile.ZipFile(packed))
            if archive.getinfo(content.name).flag_bits & 1:
                raise OrdersError(f"{path.name} is encrypted; unpack it with its password")
            unpacked = stack.enter_context(archive.open(content.name))
        stream = UnpackedStream(unpacked, packed, path.name)
        yield stack.enter_context(io.BufferedReader(stream, 1 << 20))


def read_unpacked(path: Path, content: Content) -> io.BytesIO:
    """The same at once, for formats whose reader must seek."""
    with open_unpacked(path, content) as stream:
        content_bytes = stream.read(_MOST_IN_MEMORY + 1)
    if len(content_bytes) > _MOST_IN_MEMORY:
        raise OrdersError(f"{path.name} unpacks to more than 1 GB; unpack it yourself")
    return io.BytesIO(content_bytes)


@contextmanager
def _translate_damage(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise OrdersError(f"{path.name} is a damaged {kind} file: {error}") from None
    except NotImplementedError as error:
        raise OrdersError(f"{path.name} is packed in an unusual way ({error}); unpack it") from None
    except OSError as error:
        raise OrdersError(f"{path.name} cannot be read: {error.strerror or error}") from None
