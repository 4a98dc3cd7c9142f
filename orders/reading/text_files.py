"""Text files: cells between delimiters, read as text in blocks of bounded size."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ...configs.schema import FormatConfig
from ...errors import OrdersError, quote
from .file_contents import Content, get_share, open_unpacked
from .file_search import find_ending
from .raw_table import RawTable
from .rejected_lines import build_rejected_table
from .validation_issues import Fault, raise_faults

__all__ = ["Header", "read_header", "read_text_blocks"]

_DELIMITERS = ";\t|,"
_BLOCK_BYTES = 1 << 24  # no line may be longer
_HEADER_BYTES = 1 << 20  # the header stands within these
_BYTE_ORDER_MARKS = {  # the longer before the shorter it begins with
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Header:
    """The names of a text file's columns, and where its cells begin."""

    names: list[str]
    n_lines: int  # of the file, up to and with the header
    delimiter: str


def read_header(path: Path, content: Content, text: FormatConfig) -> Header:
    """The header of a text file; refuses bytes in another encoding, cells in another form."""
    with open_unpacked(path, content) as stream:
        start = stream.read(_HEADER_BYTES)
    if not start:
        raise OrdersError(f"{path.name} is empty; give a file with a header and order lines")
    _check_encoding(path, start, text)
    is_whole = len(start) < _HEADER_BYTES
    try:
        decoded = codecs.getincrementaldecoder(text.encoding)().decode(start, is_whole)
    except UnicodeDecodeError:
        raise_faults([_describe_encoding(text)], path.name)
    # the byte order mark Excel writes is no part of the first name
    lines = io.StringIO(decoded.removeprefix("\ufeff"), newline="")
    for _ in range(text.skip_lines):
        lines.readline()
    delimiter = _find_delimiter(content, text, decoded[lines.tell() :])
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        names = next((cells for cells in reader if cells), None)
    except csv.Error as error:
        raise OrdersError(f"{path.name} has a header that cannot be read: {error}") from None
    if not is_whole and not lines.read(1):
        raise OrdersError(
            f"{path.name} has a header longer than 1 MB; is it a table of text, and the delimiter "
            f"{quote(delimiter)}?"
        )
    if names is None:
        raise OrdersError(
            f"{path.name} has no header"
            + (f" after {text.skip_lines} skipped lines" if text.skip_lines else "")
            + "; give a file with a header and order lines"
        )
    if len(names) == 1:
        other = [sign for sign in _DELIMITERS if sign != delimiter and sign in names[0]]
        if other:
            fault = Fault(
                f"cells must be separated by {quote(delimiter)}, got the header {quote(names[0])}",
                mend=f"set orders.format.delimiter: {quote(other[0])}",
            )
            raise_faults([fault], path.name)
    n_lines = text.skip_lines + reader.line_num
    return Header([name.strip() for name in names], n_lines, delimiter)


def _find_delimiter(content: Content, text: FormatConfig, rest: str) -> str:
    """What the settings say; where they say nothing, tabs if a .tsv or .txt file has them."""
    by_tabs = find_ending(content.name).startswith((".tsv", ".txt"))
    first = next((line for line in rest.splitlines() if line.strip()), "")
    if by_tabs and text.delimiter == "," and first.count("\t") > first.count(","):
        return "\t"
    return text.delimiter


def _check_encoding(path: Path, start: bytes, text: FormatConfig) -> None:
    """Refuse UTF-16 that is read as something else: it decodes without an error, to no words."""
    mark = next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)
    sample = start[:4096]
    if codecs.lookup(text.encoding).name.startswith(("utf-16", "utf-32")):
        return
    if mark is None and b"\0" not in sample:
        return
    if mark is None:  # Latin letters have a zero byte each, all on the same side
        first, second = sample[::2].count(0), sample[1::2].count(0)
        if min(first, second) * 4 > max(first, second) or max(first, second) * 8 < len(sample):
            raise OrdersError(f"{path.name} holds zero bytes, as no text file does; is it damaged?")
        mark = "utf-16-be" if first > second else "utf-16-le"
    fault = Fault(
        f"text must be encoded as {text.encoding}, got {mark.upper()}",
        mend=f"set orders.format.encoding: {mark}",
    )
    raise_faults([fault], path.name)


def read_text_blocks(
    path: Path, content: Content, names: Sequence[str], text: FormatConfig
) -> Iterator[RawTable]:
    """The columns `names` as text, block by block; at least one block, if only an empty one."""
    header = read_header(path, content, text)
    positions = [f"{header.names.index(name)}" for name in names]
    invalid: list[int] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        invalid.append(row.number - header.n_lines)
        return "skip"

    before = n_told = 0
    is_plain = not content.packed
    none = pa.table({name: pa.array([], pa.string()) for name in names})
    try:
        with ExitStack() as stack:
            file: Any = (
                pa.OSFile(str(path))
                if is_plain
                else stack.enter_context(open_unpacked(path, content))
            )
            for batch in _open_csv(file, header, positions, text, set_aside):
                bad = np.array(invalid[n_told:], dtype=np.int64)  # also some of later blocks
                rows = np.arange(before + 1, before + batch.num_rows + len(bad) + 1)
                rows = rows[~np.isin(rows, bad)][: batch.num_rows]
                if batch.num_rows:
                    before = int(rows[-1])
                n_told += int(np.searchsorted(bad, before))
                table = pa.Table.from_batches([batch]).select(positions)
                yield RawTable(table.rename_columns(list(names)), rows, share=get_share(file, path))
    except UnicodeDecodeError:
        raise_faults([_describe_encoding(text)], path.name)
    except (OSError, pa.ArrowInvalid) as error:
        if "UTF8" in str(error):
            raise_faults([_describe_encoding(text)], path.name)
        if "straddling" in str(error):
            raise OrdersError(
                f"{path.name} has a line longer than {_BLOCK_BYTES >> 20} MB; a quote may never be "
                "closed, or it is no table of text"
            ) from None
        raise OrdersError(f"{path.name} cannot be read as CSV: {error}") from None
    bad = np.array(invalid, dtype=np.int64)
    rejected = [build_rejected_table(path.name, bad, "the line has another number of cells")]
    yield RawTable(none, np.arange(0), rejected if len(bad) else [])


def _open_csv(
    file: Any, header: Header, positions: Sequence[str], text: FormatConfig, set_aside: Any
) -> Iterator[pa.RecordBatch]:
    options = pa.csv.ReadOptions(
        use_threads=False,
        encoding=text.encoding,
        block_size=_BLOCK_BYTES,
        skip_rows=header.n_lines,
        column_names=[f"{position}" for position in range(len(header.names))],
    )
    try:
        blocks = pa.csv.open_csv(
            file,
            read_options=options,
            parse_options=pa.csv.ParseOptions(
                delimiter=header.delimiter, newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={position: pa.string() for position in positions},
                include_columns=list(positions),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Could not skip initial" in str(error):  # a header without a line break, and no lines
            return
        raise
    yield from blocks


def _describe_encoding(text: FormatConfig) -> Fault:
    guess = "cp1252" if text.encoding.lower().startswith("utf") else "utf-8"
    return Fault(
        f"text must be encoded as {text.encoding}, got bytes that are not",
        mend=f"set orders.format.encoding: {guess} (or what the file was saved as)",
    )
