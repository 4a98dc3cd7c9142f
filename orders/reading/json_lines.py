"""JSON Lines: an object a line; every value is read as the text that stands there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from ...configs.schema import FormatConfig
from ...errors import OrdersError
from .file_contents import Content, get_share, open_unpacked
from .raw_table import RawTable
from .rejected_lines import build_rejected_table

__all__ = ["read_json_blocks", "read_json_names"]

_LONGEST_LINE = 1 << 24
_BLOCK_LINES = 1 << 16
_NAMED_BYTES = 1 << 24  # the columns are those that occur within these


def read_json_names(path: Path, content: Content, text: FormatConfig) -> list[str]:
    """The names that occur in the first lines."""
    names: dict[str, None] = {}
    n_bytes = 0
    with open_unpacked(path, content) as stream:
        for line in _iterate_lines(stream, path, text.skip_lines):
            names.update(dict.fromkeys(_parse(line, text) or ()))
            n_bytes += len(line)
            if n_bytes > _NAMED_BYTES:
                break
    if not n_bytes:
        raise OrdersError(f"{path.name} is empty; give a file with order lines")
    if not names:
        raise OrdersError(
            f"{path.name} must hold a JSON object on each line, but it contains no JSON object"
        )
    return list(names)


def read_json_blocks(
    path: Path, content: Content, names: Sequence[str], text: FormatConfig
) -> Iterator[RawTable]:
    """The columns `names`, block by block; at least one block, if only an empty one."""
    records: list[dict[str, Any]] = []
    rows: list[int] = []
    invalid: list[int] = []
    with open_unpacked(path, content) as stream:
        for row, line in enumerate(_iterate_lines(stream, path, text.skip_lines), 1):
            record = _parse(line, text)
            if record is None:
                invalid.append(row)
                continue
            records.append(record)
            rows.append(row)
            if len(rows) == _BLOCK_LINES:
                yield _build_block(records, rows, names, get_share(stream, path))
                records, rows = [], []
    block = _build_block(records, rows, names, 1.0)
    if invalid:
        bad = np.array(invalid, dtype=np.int64)
        block.rejected.append(build_rejected_table(path.name, bad, "the line is no JSON object"))
    yield block


def _iterate_lines(stream: IO[bytes], path: Path, skipped: int) -> Iterator[bytes]:
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise OrdersError(f"{path.name} has a line longer than {_LONGEST_LINE >> 20} MB")
        if skipped:
            skipped -= 1
        elif line.strip():
            yield line


def _parse(line: bytes, text: FormatConfig) -> dict[str, Any] | None:
    """The object on a line, numbers with the digits and the decimal mark of texts; None where there
    is none, where a field stands twice, or half a character in it.
    """

    def write_number(digits: str) -> str:
        return digits.replace(".", text.decimal or ".")

    try:
        value_read = json.loads(
            line.decode(text.encoding).removeprefix("\ufeff"),
            parse_float=write_number,
            parse_int=str,
            object_pairs_hook=_build_object,
        )
        if b"\\ud" in line.lower():
            json.dumps(value_read, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # Unicode errors are of values too
        return None
    return (
        {name.strip(): value for name, value in value_read.items()}
        if isinstance(value_read, dict)
        else None
    )


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a field stands twice")
    return content


def _build_block(
    records: Sequence[dict[str, Any]], rows: Sequence[int], names: Sequence[str], share: float
) -> RawTable:
    columns = {
        name: pa.array([_to_text(record.get(name)) for record in records], pa.string())
        for name in names
    }
    return RawTable(pa.table(columns), np.array(rows, dtype=np.int64), share=share)


def _to_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
