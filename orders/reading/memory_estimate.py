"""Memory: how much there is, and how much reading order files would take."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from .file_contents import detect_content
from .files import measure_parquet

__all__ = ["estimate_memory", "parse_memory_limit"]

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_LINE_BYTES, _COLUMN_BYTES = 24, 12  # of a packed line and of each of its columns, as both are held
_DECODED = 1.5  # parquet pages, decoded
_TEXT = 3.0  # text, as codes and labels
_PACKED_TEXT = 18.0  # the same from gzip or zip, and from workbooks, which are zip files


def parse_memory_limit(memory_limit: str | None) -> int:
    """A limit such as `2GB` in bytes; without one, half of what the machine (or container) has.

    >>> parse_memory_limit("1.5GB")
    1500000000
    """
    if memory_limit is None:
        return _measure_machine() // 2
    number, unit = re.fullmatch(r"([\d.]+)\s*(\w+)", memory_limit.strip()).groups()  # type: ignore[union-attr]
    return int(float(number) * _UNITS[unit.upper()])


def _measure_machine() -> int:
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CONTAINER_LIMITS:
        if path.is_file():
            text = path.read_text().strip()
            most = min(most, int(text)) if text.isdigit() else most
    return most


def estimate_memory(path: Path, names: Collection[str]) -> int:
    """About how many bytes reading the columns `names` of one file into memory takes."""
    size = measure_parquet(path, names)
    if size is None:
        content = detect_content(path)
        is_packed = content.packed or content.kind == "workbook"
        return int(path.stat().st_size * (_PACKED_TEXT if is_packed else _TEXT))
    n_lines, n_bytes = size
    return int(n_lines * (_LINE_BYTES + _COLUMN_BYTES * len(names)) + n_bytes * _DECODED)
