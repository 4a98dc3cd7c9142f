"""A sample of a source as text: lines from the start and the end, and how the file is written."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ..configs.addresses import hide_passwords, is_address, is_remote_file
from ..configs.schema import FormatConfig
from ..errors import OrdersError, quote
from ..orders.reading.databases import open_query
from ..orders.reading.file_contents import Content, detect_content, open_unpacked
from ..orders.reading.file_search import find_files, read_partitions
from ..orders.reading.files import read_blocks, read_column_names
from ..orders.reading.remote_files import fetch_files
from .words import is_known_name

__all__ = ["Sample", "read_sample"]

_LINES = 20_000  # from the start of a source
_LAST_LINES = 5_000  # from its end
_HEAD_BYTES = 8 << 20
_TAIL_BYTES = 2 << 20
_SNIFFED_ROWS = 300
_DELIMITERS = ",;\t|"
_MOST_ROWS_ABOVE = 10  # the header of a sheet
_LEAST_FOREIGN = 0.05  # of the characters of a Chinese or Japanese file
_LEGACY = ("cp1252", "cp1250", "cp1254", "cp932", "gb18030")


@dataclass(frozen=True)
class Sample:
    """Some lines of a source, all cells as trimmed text, and the `orders.format` that reads it."""

    names: list[str]
    cells: pd.DataFrame  # text, "" for nothing; a column that stands twice is its first
    format: dict[str, str | int] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)  # evidence for keys of `format`
    is_whole: bool = True  # whether there are no further lines


def read_sample(source: str, query: str | None = None) -> Sample:
    """Some 20,000 lines from the start of a source and 5,000 from its end.

    Raises `OrdersError` where there are no orders to read.
    """
    if is_remote_file(source):
        sample = None
        for fetched in fetch_files(source):  # each is there until the next is asked for
            if sample is not None:
                return replace(sample, is_whole=False)
            sample = _sample_file(fetched.path)
        if sample is not None:
            return sample
    if is_address(source):
        return _sample_database(source, query)
    if query is not None:
        raise OrdersError(f"a query is asked of a database, got the source {source}")
    paths = find_files(source)
    sample = _sample_file(paths[0])
    if len(paths) == 1:
        return sample
    last = _sample_file(paths[-1])
    cells = sample.cells
    if last.names == sample.names:
        cells = pd.concat([cells, last.cells.tail(_LAST_LINES)], ignore_index=True)
    return Sample(sample.names, cells, sample.format, sample.why, is_whole=False)


def _sample_database(source: str, query: str | None) -> Sample:
    with open_query(source, query) as result:
        chunks, n_lines = list[pa.Table](), 0
        for chunk in result.chunks(result.names):
            chunks.append(chunk)
            n_lines += chunk.num_rows
            if n_lines > _LINES:
                break
    if not n_lines:
        raise OrdersError(
            f"{hide_passwords(source)} has no rows; name a table or query with orders"
        )
    table = pa.concat_tables(chunks, promote_options="permissive")
    return Sample(
        result.names, _convert_to_text(table.slice(0, _LINES)), is_whole=n_lines <= _LINES
    )


def _sample_file(path: Path) -> Sample:
    content = detect_content(path)
    if content.kind == "text":
        return _sample_text(path, content)
    text = _find_workbook_header(path) if content.kind == "workbook" else FormatConfig()
    names = read_column_names(path, text)
    first: list[pa.Table] = []
    last: list[pa.Table] = []
    n_lines = 0
    for raw in read_blocks(path, list(dict.fromkeys(names)), text):
        table = raw.table
        if n_lines < _LINES:
            first.append(table.slice(0, _LINES - n_lines))
        rest = table.slice(max(0, _LINES - n_lines))
        last = [rest.slice(max(0, rest.num_rows - _LAST_LINES))] if rest.num_rows else last
        n_lines += table.num_rows
    if not n_lines:
        raise OrdersError(f"{path.name} has a header and no order lines")
    cells = _convert_to_text(pa.concat_tables(first, promote_options="default"))
    if n_lines > _LINES:
        cells = pd.concat([cells, _convert_to_text(last[0])], ignore_index=True)
    form: dict[str, str | int] = {"skip_lines": text.skip_lines} if text.skip_lines else {}
    why = {"skip_lines": f"the header is row {text.skip_lines + 1}"}
    return Sample(names, cells, form, why, is_whole=len(cells) == n_lines)


def _find_workbook_header(path: Path) -> FormatConfig:
    """How many rows stand above the first row of a sheet that names several columns."""
    for skipped in range(_MOST_ROWS_ABOVE):
        text = FormatConfig(skip_lines=skipped)
        names = read_column_names(path, text)
        if len([name for name in names if name.strip()]) >= max(2, 0.6 * len(names)):
            return text
    return FormatConfig()


def _convert_to_text(table: pa.Table) -> pd.DataFrame:
    """All columns as trimmed text, but those of other things than text, numbers and dates."""
    columns = {}
    for name in dict.fromkeys(table.column_names):
        column = table.column(table.column_names.index(name))
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            continue
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
        columns[name] = column.cast(pa.string()).fill_null("").to_pandas().astype(str).str.strip()
    return pd.DataFrame(columns)


def _sample_text(path: Path, content: Content) -> Sample:
    head, tail, is_whole = _read_ends(path, content)
    if not head.strip(b"\x00\r\n\t ,;"):
        raise OrdersError(f"{path.name} is empty; give a file with a header and order lines")
    encoding, why_encoding = _guess_encoding(head)
    text = _decode(head, encoding, is_whole)
    delimiter, skipped, lines_above = _guess_dialect(text, path.name)
    rows = _read_rows(text, delimiter, skipped)
    names = [name.strip() for name in rows[0]] if rows else []
    body = [row for row in rows[1:] if len(row) == len(names)]
    if not body:
        raise OrdersError(f"{path.name} has a header and no order lines")
    sampled_rows = body[:_LINES]
    rest = body[_LINES:] if is_whole else _read_tail(tail, encoding, delimiter, len(names))
    sampled_rows = sampled_rows + rest[-_LAST_LINES:]
    _refuse_data_as_header(names, path.name)
    form: dict[str, str | int] = {}
    why: dict[str, str] = {}
    if encoding != "utf-8":
        form["encoding"], why["encoding"] = encoding, why_encoding
    if delimiter != ",":
        form["delimiter"], why["delimiter"] = delimiter, f"it splits the header into {len(names)}"
    if lines_above:
        form["skip_lines"] = lines_above
        why["skip_lines"] = f"the header is line {lines_above + 1}"
    cells = {
        name: [row[k].strip() for row in sampled_rows] for k, name in _find_first_positions(names)
    }
    for name, value in read_partitions(path).items():  # what the folders' names say
        if name not in names:
            names.append(name)
            cells[name] = [value or ""] * len(sampled_rows)
    is_all = is_whole and len(sampled_rows) == len(body)
    return Sample(names, pd.DataFrame(cells, dtype=str), form, why, is_all)


def _find_first_positions(names: Sequence[str]) -> list[tuple[int, str]]:
    return [(k, name) for k, name in enumerate(names) if name not in names[:k]]


def _read_ends(path: Path, content: Content) -> tuple[bytes, bytes, bool]:
    """The first bytes of a text file, the last of a large one, and whether the first are all."""
    with open_unpacked(path, content) as stream:
        head = stream.read(_HEAD_BYTES)
        if len(head) < _HEAD_BYTES:
            return head, b"", True
        if content.packed:
            return head, b"", False
        size = path.stat().st_size
        stream.seek(max(len(head), size - _TAIL_BYTES))
        return head, stream.read(), size <= len(head)


def _decode(raw: bytes, encoding: str, is_whole: bool) -> str:
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    text = raw.decode(name, errors="ignore" if encoding in ("utf-8", *_LEGACY) else "replace")
    return text if is_whole else text.rpartition("\n")[0]


def _guess_encoding(raw: bytes) -> tuple[str, str]:
    """An encoding that reads all bytes, and why; of several, the one that makes most words."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", "the file begins with its mark"
    zeros = raw[:4000].count(0)
    if zeros > len(raw[:4000]) / 4:
        return ("utf-16-le" if raw[1:2] == b"\x00" else "utf-16-be"), "every other byte is zero"
    try:
        raw[: len(raw) - 4].decode("utf-8")
        return "utf-8", ""
    except UnicodeDecodeError as error:
        if error.start > len(raw) - 8:
            return "utf-8", ""
        bad = raw[error.start : error.start + 1].hex()
    sample = raw[:200_000].rpartition(b"\n")[0] or raw[:200_000]
    scores = {encoding: _rate_encoding(sample, encoding) for encoding in _LEGACY}
    best = max(scores, key=lambda encoding: scores[encoding])
    return best, f"it is not UTF-8 (byte 0x{bad}), and this makes words of it"


def _rate_encoding(raw: bytes, encoding: str) -> tuple[float, float]:
    """Known names in the first lines, and the share of letters among what is not ASCII."""
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return (-1.0, 0.0)
    words = re.split(r"[;,\t|\r\n\"]", text[:4000])
    foreign = [c for c in text if ord(c) > 127]
    letters = sum(1 for c in foreign if c.isalpha() or c in "€£")
    half_width = sum(1 for c in foreign if "｡" <= c <= "ﾟ")
    if half_width * 5 > len(foreign):  # what other encodings look like in cp932
        return (-1.0, 0.0)
    n_known_words = sum(1 for word in words if not word.isascii() and is_known_name(word))
    is_rare = encoding in ("cp932", "gb18030") and len(foreign) < _LEAST_FOREIGN * len(text)
    return (float(n_known_words), letters / max(1, len(foreign)) - (0.5 if is_rare else 0))


def _guess_dialect(text: str, name: str) -> tuple[str, int, int]:
    """The delimiter, the rows above the header, and the lines these take."""
    best: tuple[float, str, int, int] | None = None
    for delimiter in _DELIMITERS:
        rows, ends = [], []
        reader = csv.reader(io.StringIO(text[: 4 << 20], newline=""), delimiter=delimiter)
        try:
            for row in reader:
                rows.append(row)
                ends.append(reader.line_num)
                if len(rows) == _SNIFFED_ROWS:
                    break
        except csv.Error as error:
            raise OrdersError(f"{name} has a line that cannot be read: {error}") from None
        filled = [len(row) for row in rows if any(cell.strip() for cell in row)]
        if not filled:
            continue
        width, lines = Counter(filled).most_common(1)[0]
        header = _find_header(rows, width)
        if header is None:
            continue
        score = width * lines / len(filled) if width > 1 else 0.5
        if best is None or score > best[0]:
            best = (score, delimiter, header, ends[header - 1] if header else 0)
    if best is None:
        raise OrdersError(f"{name} has no line that could be a header")
    return best[1], best[2], best[3]


def _find_header(rows: Sequence[Sequence[str]], width: int) -> int | None:
    """The first row that is as wide as most and names its columns."""
    for k, row in enumerate(rows):
        named = [cell for cell in row if cell.strip()]
        if len(row) == width and len(named) >= 0.6 * width:
            return k
    return None


def _read_rows(text: str, delimiter: str, skipped: int) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    try:
        for k, row in enumerate(reader):
            if k >= skipped and row:
                rows.append(row)
    except csv.Error:  # a cell without an end: what came before is a sample
        pass
    return rows


def _read_tail(raw: bytes, encoding: str, delimiter: str, width: int) -> list[list[str]]:
    """Lines from the end of a large file; it begins inside one, perhaps inside quotes."""
    if encoding.startswith("utf-16"):
        return []
    text = _decode(raw, encoding, True)
    rows: list[list[str]] = []
    for _ in range(3):
        text = text.partition("\n")[2]
        rows = _read_rows(text, delimiter, 0)
        if rows and sum(len(row) == width for row in rows) > 0.9 * len(rows):
            return [row for row in rows if len(row) == width]
    return []


def _refuse_data_as_header(names: Sequence[str], file: str) -> None:
    """A file whose first line is data has no names to map."""
    is_data = [bool(re.match(r"[-+]?\d[\d.,:/ -]*$", name.strip())) for name in names]
    if (
        any(is_data)
        and not any(is_known_name(name) for name in names)
        and sum(is_data) * 3 >= len(names)
    ):
        raise OrdersError(
            f"{file} has no header: its first line is {', '.join(quote(n) for n in names[:4])}; "
            "put a line with the names of the columns above it"
        )
