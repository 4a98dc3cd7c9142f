"""Detects compressed buffers in an Arrow stream: a megabyte of them may expand to any size.

The header of a record batch tells, in a flatbuffer (Arrow's format/Message.fbs): a message has
[version, header type, header, body length]; a batch [length, nodes, buffers, compression]; a
dictionary batch holds a batch as its second field.
"""

from __future__ import annotations

import io
import struct

import pyarrow as pa

__all__ = ["is_compressed"]

_HEADER_TYPE, _HEADER = 1, 2
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_DATA, _COMPRESSION = 1, 3


def is_compressed(stream: bytes) -> bool:
    """Whether any batch of a stream is compressed; raises `ValueError` for an invalid stream."""
    reader = pa.ipc.MessageReader.open_stream(io.BytesIO(stream))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return False
        if message.type in ("record batch", "dictionary"):
            try:
                if _has_compression(message.metadata.to_pybytes()):
                    return True
            except struct.error:
                raise ValueError("the header of a batch is cut off") from None


def _has_compression(metadata: bytes) -> bool:
    message = struct.unpack_from("<I", metadata)[0]
    header_type = _find_field(metadata, message, _HEADER_TYPE)
    header = _find_field(metadata, message, _HEADER)
    if header_type is None or header is None:
        raise ValueError("a message has no header")
    table = _follow(metadata, header)
    if metadata[header_type] == _DICTIONARY_BATCH:
        data = _find_field(metadata, table, _DATA)
        if data is None:
            return False
        table = _follow(metadata, data)
    return _find_field(metadata, table, _COMPRESSION) is not None


def _find_field(metadata: bytes, table: int, number: int) -> int | None:
    """The position of a field of a table, None where it has its default."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    if fields < 0:
        raise ValueError("a table points before its buffer")
    size = struct.unpack_from("<H", metadata, fields)[0]
    place = 4 + 2 * number
    offset = struct.unpack_from("<H", metadata, fields + place)[0] if place < size else 0
    return table + offset if offset else None


def _follow(metadata: bytes, place: int) -> int:
    return int(place + struct.unpack_from("<I", metadata, place)[0])
