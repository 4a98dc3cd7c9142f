"""Sources: from what a user names (files near or far, a database) to raw tables, by blocks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ...configs.addresses import hide_passwords, is_address, is_remote_file
from ...configs.schema import FormatConfig, SourceConfig
from ...errors import ConfigError, OrdersError
from .column_expressions import Expression
from .databases import open_query
from .file_contents import Content, detect_content
from .file_search import find_files, read_partitions
from .json_lines import read_json_blocks, read_json_names
from .parquet_files import measure_columns, open_parquet, read_parquet_blocks
from .raw_table import RawTable
from .remote_files import fetch_files
from .text_files import read_header, read_text_blocks
from .validation_issues import Fault
from .workbooks import read_workbook_blocks, read_workbook_names

__all__ = [
    "OpenTable",
    "RawTable",
    "Resolve",
    "check_unchanged",
    "find_files",
    "list_files",
    "list_needed",
    "measure_parquet",
    "open_tables",
    "read_blocks",
    "read_column_names",
    "select_columns",
    "stat_files",
]  # fmt: skip

_MOST_COLUMNS = 5_000


@dataclass(frozen=True)
class OpenTable:
    """A file, or a database's answer: its blocks and which of ours its columns make."""

    file: str  # as messages and rejected lines name it
    mapping: Mapping[str, Expression]
    faults: Sequence[Fault]  # columns that are missing
    blocks: Iterator[RawTable]  # at least one, if only an empty one
    size: int = 0  # bytes, of a file


Resolve = Callable[[list[str]], tuple[dict[str, Expression], list[Fault]]]


def open_tables(
    source: SourceConfig, resolve: Resolve, *, every_column: bool = False
) -> Iterator[OpenTable]:
    """What a source names, file by file; `resolve` maps the names of columns.

    Only those it needs are read, or `every_column`.
    """
    text = source.format
    if is_remote_file(source.source):
        _refuse_query(source)
        for fetched in fetch_files(source.source):
            yield _open_file(fetched.path, fetched.shown, text, resolve, every_column)
    elif is_address(source.source):
        yield from _open_database(source, resolve, every_column)
    else:
        for path in list_files(source):
            yield _open_file(path, str(path), text, resolve, every_column, path.stat().st_size)


def _open_file(
    path: Path, shown: str, text: FormatConfig, resolve: Resolve, every_column: bool, size: int = 0
) -> OpenTable:
    mapping, faults, needed = select_columns(path, text, resolve, every_column)
    return OpenTable(shown, mapping, faults, read_blocks(path, needed, text), size)


def list_files(source: SourceConfig) -> list[Path]:
    """The files on this machine that a source reads; none for an address."""
    if is_address(source.source):
        return []
    _refuse_query(source)
    return find_files(source.source)


def stat_files(paths: Iterable[Path]) -> dict[str, tuple[int, int, int]]:
    """By file, what changes when it is written to: its size, its time of change and its inode."""
    states = {str(path): path.stat() for path in paths}
    return {name: (s.st_size, s.st_mtime_ns, s.st_ino) for name, s in states.items()}


def check_unchanged(
    before: Mapping[str, tuple[int, int, int]], after: Mapping[str, tuple[int, int, int]]
) -> None:
    """Refuse files that were written, added or removed meanwhile: half an order may be missing."""
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if changed:
        raise OrdersError(
            f"{Path(changed[0]).name} changed while it was read; read it again once it is written"
        )


def _refuse_query(source: SourceConfig) -> None:
    if source.query is not None:
        address = hide_passwords(source.source)
        raise ConfigError(f"a query is asked of a database, got the source {address}")


def select_columns(
    path: Path, text: FormatConfig, resolve: Resolve, every_column: bool
) -> tuple[dict[str, Expression], list[Fault], list[str]]:
    """The mapping of one file, its faults, and the columns to read."""
    names = read_column_names(path, text)
    mapping, faults = resolve(names)
    return mapping, faults, list(dict.fromkeys(names)) if every_column else list_needed(mapping)


def list_needed(mapping: Mapping[str, Expression]) -> list[str]:
    """The columns that a mapping reads."""
    return list(dict.fromkeys(name for e in mapping.values() for name in e.columns))


def _open_database(
    source: SourceConfig, resolve: Resolve, every_column: bool
) -> Iterator[OpenTable]:
    with open_query(source.source, source.query) as answer:
        mapping, faults = resolve(answer.names)
        needed = list(dict.fromkeys(answer.names)) if every_column else list_needed(mapping)

        def blocks() -> Iterator[RawTable]:
            before = 0
            for table in () if faults else answer.chunks(needed):
                rows = np.arange(before + 1, before + table.num_rows + 1)
                before += table.num_rows
                yield RawTable(table, rows)
            if not before:
                yield RawTable(pa.table({name: pa.nulls(0) for name in needed}), np.arange(0))

        yield OpenTable(hide_passwords(source.source), mapping, faults, blocks())


def read_column_names(path: Path, text: FormatConfig) -> list[str]:
    """The columns of one file, those its folders state (`dt=2024-01-01/`) after its own."""
    names = _read_own_names(path, detect_content(path), text)
    if len(names) > _MOST_COLUMNS:
        raise OrdersError(
            f"{path.name} has {len(names):,} columns, and orders have at most {_MOST_COLUMNS:,}; "
            "export orders as lines, with a column per field"
        )
    return [*names, *(name for name in read_partitions(path) if name not in names)]


def _read_own_names(path: Path, content: Content, text: FormatConfig) -> list[str]:
    if content.kind == "parquet":
        return list(open_parquet(path, content).schema_arrow.names)
    if content.kind == "workbook":
        return read_workbook_names(path, content, text.skip_lines)
    if content.kind == "json lines":
        return read_json_names(path, content, text)
    return read_header(path, content, text).names


def read_blocks(path: Path, names: Sequence[str], text: FormatConfig) -> Iterator[RawTable]:
    """Read the columns `names` of one file, block by block: typed where the file has types, else as
    text.

    There is always a block, if only an empty one, so that the columns' types are known.
    """
    content = detect_content(path)
    constants = {name: value for name, value in read_partitions(path).items() if name in names}
    if constants:
        own_names = _read_own_names(path, content, text)
        constants = {name: value for name, value in constants.items() if name not in own_names}
    file_columns = [name for name in names if name not in constants]
    for raw in _read_own_blocks(path, content, file_columns, text):
        yield replace(raw, table=_add_constants(raw, constants)) if constants else raw


def _read_own_blocks(
    path: Path, content: Content, names: Sequence[str], text: FormatConfig
) -> Iterator[RawTable]:
    if content.kind == "parquet":
        return read_parquet_blocks(path, content, names)
    if content.kind == "workbook":
        return read_workbook_blocks(path, content, names, text)
    if content.kind == "json lines":
        return read_json_blocks(path, content, names, text)
    return read_text_blocks(path, content, names, text)


def _add_constants(raw: RawTable, stated: Mapping[str, str | None]) -> pa.Table:
    table = raw.table
    for name, value in stated.items():
        column = pa.repeat(pa.scalar(value, pa.string()), len(raw.rows))
        table = table.append_column(name, column)
    return table


def measure_parquet(path: Path, names: Collection[str]) -> tuple[int, int] | None:
    """Lines of a parquet file, and bytes of the columns `names` before compression; None for
    others.
    """
    content = detect_content(path)
    is_plain = content.kind == "parquet" and not content.packed
    return measure_columns(path, names) if is_plain else None
