"""Excel workbooks (.xlsx, extra `excel`): the sheets that share the first one's header are
a table.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from ...configs.schema import FormatConfig
from ...errors import OrdersError, StoreError
from .file_contents import Content, read_unpacked
from .python_values import build_column
from .raw_table import RawTable

__all__ = ["read_workbook_blocks", "read_workbook_names"]

_MOST_UNPACKED = 1 << 30  # bytes; a workbook is held in memory
_MOST_CELLS = 50_000_000
_CHUNK_BYTES = 1 << 20
_CELL = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"(?:[^>]*[^/>])?>')
# an error such as #REF!, and a formula without a result; the reader gives both as blanks
_ERROR = re.compile(rb'<c (?=[^>]*\bt="e")[^>]*?\br="([A-Z]{1,3}\d{1,7})"')
_UNCALCULATED = re.compile(
    rb'<c (?![^>]*\bt="str")[^>]*?\br="([A-Z]{1,3}\d{1,7})"[^>]*>'
    rb"<f(?:[^>]*/>|[^>]*>[^<]*</f>)(?:<v></v>|<v ?/>)?</c>"
)
_LONGEST_CELL = 1 << 14  # bytes of a cell that may stand on the border of two chunks


def read_workbook_names(path: Path, content: Content, skip_lines: int) -> list[str]:
    """The names in the first row that is not empty."""
    return next(_iterate_tables(path, content, skip_lines)).header


def read_workbook_blocks(
    path: Path, content: Content, names: Sequence[str], text: FormatConfig
) -> Iterator[RawTable]:
    """The columns `names` of all rows, as one block: a column's type is that of all its cells."""
    cells: dict[str, list[Any]] = {name: [] for name in names}
    for table in _iterate_tables(path, content, text.skip_lines):
        positions = [table.header.index(name) for name in names]
        _refuse_merged(path, table, dict(zip(positions, names, strict=True)))
        for line in table.lines:
            for column, position in zip(cells.values(), positions, strict=True):
                column.append(_clean(line[position]))
    columns = [build_column(column, text.decimal) for column in cells.values()]
    block = pa.table(columns, names=list(cells))
    yield RawTable(block, np.arange(1, block.num_rows + 1))


@dataclass(frozen=True)
class _Table:
    """A sheet: its header, the lines below that are not empty, and where cells are merged."""

    header: list[str]
    lines: Iterator[list[Any]]
    header_row: int
    merged: list[tuple[int, int, int]]  # first and last row, and the position of the column


def _refuse_merged(path: Path, table: _Table, names: dict[int, str]) -> None:
    """Of cells merged over several lines only the first holds the value: the others are nobody's.

    `names` are the columns that are read, by their position.
    """
    for first, last, position in table.merged:
        if first < last and last > table.header_row and position in names:
            raise OrdersError(
                f"{path.name}: cells of {names[position]} are merged in rows {first + 1} to "
                f"{last + 1}, so that only the first has the value; unmerge them and fill it down"
            )


def _iterate_tables(path: Path, content: Content, skip_lines: int) -> Iterator[_Table]:
    """Per visible sheet with the first one's columns: its table.

    Sheets of something else (notes, a summary) are passed over; one that looks like more orders
    under another header is refused, for its orders would be missed.
    """
    first: list[str] = []
    for number, sheet in enumerate(_iterate_sheets(path, content), start=1):
        rows = islice(enumerate(sheet.iter_rows()), skip_lines, None)
        filled = ((row, line) for row, line in rows if any(c != "" for c in line))
        header_row, names = next(filled, (0, []))
        header = [str(_clean(cell) or "").strip() for cell in names]
        while header and not header[-1]:
            header.pop()
        first = first or header
        if header and set(first) <= set(header):
            offset = sheet.start[1]  # of the first column that holds anything
            merged = [
                (first, last, column - offset)
                for (first, left), (last, right) in sheet.merged_cell_ranges or ()
                for column in range(left, right + 1)
            ]
            yield _Table(header, (line for _, line in filled), header_row, merged)
        elif header and (len(header) == len(first) or 2 * len({*header} & {*first}) > len(first)):
            raise OrdersError(
                f"{path.name} has another header on sheet {number} than on the first: "
                f"{', '.join(header)}; give its columns the same names, or keep it in another file"
            )
    if not first:
        raise OrdersError(f"{path.name} is empty; give a file with a header and order lines")


def _iterate_sheets(path: Path, content: Content) -> Iterator[Any]:
    """The reader's visible sheets."""
    try:
        import python_calamine as calamine
    except ImportError:
        raise StoreError(
            f"{path.name} needs the package python-calamine: pip install 'clvcast[excel]'"
        ) from None
    source: Any = read_unpacked(path, content) if content.packed else str(path)
    _check_size(path, source)
    if content.packed:
        source.seek(0)
    try:
        book = calamine.load_workbook(source)
        for sheet in book.sheets_metadata:
            if sheet.visible == calamine.SheetVisibleEnum.Visible:
                yield book.get_sheet_by_name(sheet.name)
    except calamine.PasswordError:
        raise OrdersError(f"{path.name} is encrypted; save it without a password") from None
    except (calamine.CalamineError, OSError) as error:
        raise OrdersError(f"{path.name} is damaged, or no workbook: {error}") from None


def _check_size(path: Path, source: str | IO[bytes]) -> None:
    """Refuse a workbook that would not fit into memory, before it is read into it.

    The reader makes room for every cell up to the last row and column, whether it holds anything or
    not.
    """
    last_row = last_column = 0
    try:
        with zipfile.ZipFile(source) as archive:
            n_bytes = sum(entry.file_size for entry in archive.infolist())
            if n_bytes > _MOST_UNPACKED:
                raise OrdersError(
                    f"{path.name} unpacks to {n_bytes >> 20:,} MB, and at most "
                    f"{_MOST_UNPACKED >> 20:,} MB are read; save it as CSV"
                )
            for entry in archive.infolist():
                with archive.open(entry) as stream:
                    row, column = _scan_cells(path, stream)
                last_row, last_column = max(row, last_row), max(column, last_column)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise OrdersError(f"{path.name} is a damaged workbook: {error}") from None
    if last_row * last_column > _MOST_CELLS:
        raise OrdersError(
            f"{path.name} reaches to row {last_row:,} and column {last_column:,}, more than "
            f"{_MOST_CELLS:,} cells; delete what stands far out, or save it as CSV"
        )


def _scan_cells(path: Path, stream: IO[bytes]) -> tuple[int, int]:
    """The last row and column of a sheet's XML in which a cell holds something; all are readable.

    An amount that is an error or was never calculated would else be no amount, or 0.
    """
    last_row = last_column = 0
    before = b""
    while chunk := stream.read(_CHUNK_BYTES):
        text = before + chunk
        if unread := _ERROR.search(text) or _UNCALCULATED.search(text):
            raise OrdersError(
                f"{path.name}: cell {unread[1].decode()} holds an error such as #REF!, or a "
                "formula that was never calculated; open it in a spreadsheet program, mend or "
                "clear such cells, and save it again"
            )
        for letters, digits in set(_CELL.findall(text)):
            column = 0
            for letter in letters:
                column = column * 26 + letter - ord("A") + 1
            last_row, last_column = max(int(digits), last_row), max(column, last_column)
        before = text[-_LONGEST_CELL:]
    return last_row, last_column


def _clean(cell: Any) -> Any:
    """Excel has no whole numbers and no empty cells: it has floats, and empty text."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return None if cell == "" else cell
