"""Sources: from what a user names (a file, a glob, a folder, a database) to raw tables, by blocks."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ...configs.addresses import hide_passwords, is_address
from ...configs.schema import FormatConfig, SourceConfig
from ...errors import ConfigError, OrdersError
from ..columns import Int64
from .column_expressions import Expression
from .databases import open_query
from .validation_issues import Fault, build_rejected_table, raise_faults

__all__ = [
    "OpenTable",
    "RawTable",
    "find_files",
    "list_files",
    "measure_parquet",
    "open_tables",
    "read_blocks",
    "read_column_names",
    "select_columns",
]  # fmt: skip

_CSV = (".csv", ".csv.gz")
_KINDS = (".parquet", *_CSV)
_LONGEST_NAME = 255
_DELIMITERS = ";\t|,"
_BLOCK_LINES = 1 << 19  # of parquet
_BLOCK_BYTES = 1 << 24  # of CSV; no line may be longer


@dataclass(frozen=True)
class RawTable:
    """The columns asked for, as they stand in a block of one file, and which row each line is."""

    table: pa.Table
    rows: Int64  # the first row after the header is 1; 0 where lines have no numbers
    rejected: list[pa.Table] = field(default_factory=list)  # lines with too few or many cells
    share: float = 1.0  # of the file that is read with this block, about


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
    if is_address(source.source):
        yield from _found_in_database(source, resolve, every_column)
        return
    for path in list_files(source):
        mapping, faults, wanted = select_columns(path, text, resolve, every_column)
        size = path.stat().st_size
        yield OpenTable(str(path), mapping, faults, read_blocks(path, wanted, text), size)


def list_files(source: SourceConfig) -> list[Path]:
    """The files a source reads; none for a database."""
    if is_address(source.source):
        return []
    if source.query is not None:
        raise ConfigError(f"a query is asked of a database, got the source {source.source}")
    return find_files(source.source)


def select_columns(
    path: Path, text: FormatConfig, resolve: Resolve, every_column: bool
) -> tuple[dict[str, Expression], list[Fault], list[str]]:
    """The mapping of one file, its faults, and the columns to read."""
    names = read_column_names(path, text)
    mapping, faults = resolve(names)
    return mapping, faults, list(dict.fromkeys(names)) if every_column else _needed(mapping)


def _needed(mapping: Mapping[str, Expression]) -> list[str]:
    return list(dict.fromkeys(name for e in mapping.values() for name in e.columns))


def _found_in_database(
    source: SourceConfig, resolve: Resolve, every_column: bool
) -> Iterator[OpenTable]:
    with open_query(source.source, source.query) as answer:
        mapping, faults = resolve(answer.names)
        wanted = list(dict.fromkeys(answer.names)) if every_column else _needed(mapping)

        def blocks() -> Iterator[RawTable]:
            before = 0
            for table in () if faults else answer.chunks(wanted):
                rows = np.arange(before + 1, before + table.num_rows + 1)
                before += table.num_rows
                yield RawTable(table, rows)
            if not before:
                yield RawTable(pa.table({name: pa.nulls(0) for name in wanted}), np.arange(0))

        yield OpenTable(hide_passwords(source.source), mapping, faults, blocks())


def find_files(source: str) -> list[Path]:
    """The order files `source` names, sorted; refuses none, unknown or mixed kinds."""
    path = Path(source)
    if not source or len(path.name) > _LONGEST_NAME:
        raise OrdersError("orders must be in a file, a glob or a folder; give its path")
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.is_file() and _kind(p) and p.name[0] not in "._"]
        missing = f"the folder {source} holds no order files ({', '.join(_KINDS)})"
    elif path.exists():
        if not _kind(path):
            raise OrdersError(f"orders must be in a {', '.join(_KINDS)} file, got {source}")
        return [path]
    elif any(sign in source for sign in "*?["):
        anchor = Path(path.anchor or ".")
        try:
            found = [p for p in anchor.glob(str(path.relative_to(path.anchor))) if _kind(p)]
        except ValueError as error:
            raise OrdersError(f"{source} is no glob: {error}") from None
        missing = f"no order file ({', '.join(_KINDS)}) matches {source}"
    else:
        raise OrdersError(f"there is no file or folder {source}; give the path of your orders")
    if not found:
        raise OrdersError(missing)
    kinds = sorted({".csv" if _kind(p) in _CSV else ".parquet" for p in found})
    if len(kinds) > 1:
        raise OrdersError(
            f"{source} holds {' and '.join(kinds)} files, which may be two copies of the same "
            "orders; name one kind, such as '*.parquet'"
        )
    return sorted(found)


def _kind(path: Path) -> str:
    return next((kind for kind in reversed(_KINDS) if path.name.lower().endswith(kind)), "")


def read_column_names(path: Path, text: FormatConfig) -> list[str]:
    """The columns of one file."""
    if _kind(path) == ".parquet":
        return list(_open_parquet(path).schema_arrow.names)
    try:
        with _open_text(path, text.encoding) as lines:
            names = next(csv.reader(lines, delimiter=text.delimiter), None)
    except UnicodeDecodeError:
        raise_faults([_encoding_fault(text)], path.name)
    except csv.Error as error:
        raise OrdersError(f"{path.name} has a header that cannot be read: {error}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OrdersError(f"{path.name} is a damaged gzip file: {error}") from None
    except OSError as error:
        raise OrdersError(f"{path.name} cannot be read: {error.strerror}") from None
    if names is None:
        raise OrdersError(f"{path.name} is empty; give a file with a header and order lines")
    if len(names) == 1:
        other = [sign for sign in _DELIMITERS if sign != text.delimiter and sign in names[0]]
        if other:
            fault = Fault(
                f"cells must be separated by {text.delimiter!r}, got the header {names[0]!r}",
                mend=f"set orders.format.delimiter: {other[0]!r}",
            )
            raise_faults([fault], path.name)
    return names


def _open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    binary = gzip.GzipFile(path) if path.name.lower().endswith(".gz") else path.open("rb")
    # the byte order mark Excel writes is no part of the first name
    name = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    return io.TextIOWrapper(binary, encoding=name, newline="")


def _open_parquet(path: Path) -> pa.parquet.ParquetFile:
    try:
        # buffered beforehand, all that was read would stay in memory until the last block
        return pa.parquet.ParquetFile(path, pre_buffer=False)
    except OSError as error:
        raise OrdersError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except pa.ArrowInvalid:
        raise OrdersError(f"{path.name} is damaged, or no parquet file") from None


def read_blocks(path: Path, names: Sequence[str], text: FormatConfig) -> Iterator[RawTable]:
    """Read the columns `names` of one file, block by block: typed from parquet, all as text from CSV.

    There is always a block, if only an empty one, so that the columns' types are known.
    """
    if _kind(path) == ".parquet":
        yield from _parquet_blocks(path, names)
    else:
        yield from _csv_blocks(path, names, text)


def _parquet_blocks(path: Path, names: Sequence[str]) -> Iterator[RawTable]:
    file = _open_parquet(path)
    n_lines = file.metadata.num_rows
    before = 0
    try:
        for batch in file.iter_batches(_BLOCK_LINES, columns=list(names), use_threads=False):
            table = pa.Table.from_batches([batch])
            rows = np.arange(before + 1, before + batch.num_rows + 1)
            before += batch.num_rows
            yield RawTable(table, rows, share=before / n_lines)
        if not before:
            yield RawTable(file.read(columns=list(names)), np.arange(0))
    except (OSError, pa.ArrowInvalid):
        raise OrdersError(f"{path.name} is damaged: its pages cannot be read") from None


def measure_parquet(path: Path, names: Collection[str]) -> tuple[int, int] | None:
    """Lines of a parquet file, and bytes of the columns `names` before compression; None for others."""
    if _kind(path) != ".parquet":
        return None
    found = _open_parquet(path).metadata
    groups = [found.row_group(k) for k in range(found.num_row_groups)]
    columns = [group.column(k) for group in groups for k in range(group.num_columns)]
    wanted = [c.total_uncompressed_size for c in columns if c.path_in_schema.split(".")[0] in names]
    return found.num_rows, sum(wanted)


def _csv_blocks(path: Path, names: Sequence[str], text: FormatConfig) -> Iterator[RawTable]:
    invalid: list[int] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        invalid.append(row.number - 1)  # Arrow counts the header as row 1
        return "skip"

    before = told = 0
    try:
        file = pa.OSFile(str(path))
        packed = path.name.lower().endswith(".gz")
        blocks = pa.csv.open_csv(
            pa.CompressedInputStream(file, "gzip") if packed else file,
            read_options=pa.csv.ReadOptions(
                use_threads=False, encoding=text.encoding, block_size=_BLOCK_BYTES
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=text.delimiter,
                newlines_in_values=True,
                invalid_row_handler=set_aside,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                include_columns=list(names),
                strings_can_be_null=False,
            ),
        )
        none = pa.Table.from_batches([], schema=blocks.schema)
        for batch in blocks:
            bad = np.array(invalid[told:], dtype=np.int64)  # also some of later blocks
            rows = np.arange(before + 1, before + batch.num_rows + len(bad) + 1)
            rows = rows[~np.isin(rows, bad)][: batch.num_rows]
            if batch.num_rows:
                before = int(rows[-1])
            told += int(np.searchsorted(bad, before))
            share = 1.0 if file.closed else file.tell() / max(file.size(), 1)
            yield RawTable(pa.Table.from_batches([batch]), rows, share=share)
    except UnicodeDecodeError:
        raise_faults([_encoding_fault(text)], path.name)
    except (OSError, pa.ArrowInvalid) as error:
        if "UTF8" in str(error):
            raise_faults([_encoding_fault(text)], path.name)
        raise OrdersError(f"{path.name} cannot be read as CSV: {error}") from None
    bad = np.array(invalid, dtype=np.int64)
    rejected = [build_rejected_table(path.name, bad, "the line has another number of cells")]
    yield RawTable(none, np.arange(0), rejected if len(bad) else [])


def _encoding_fault(text: FormatConfig) -> Fault:
    guess = "cp1252" if text.encoding.lower().startswith("utf") else "utf-8"
    return Fault(
        f"text must be encoded as {text.encoding}, got bytes that are not",
        mend=f"set orders.format.encoding: {guess} (or what the file was saved as)",
    )
