"""Small tables of money as people keep them: delimiters, marks of decimals and thousands, dates.

Acquisition spend by channel and month is one, the revenue of earlier years another.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from ...errors import ConfigError, OrdersError, quote
from .. import dates
from ..columns import Float64
from .number_formats import NO_NUMBER, make_plain

__all__ = ["check_currency", "parse_amounts", "parse_days", "parse_months", "read_money_table"]

_DELIMITERS = (",", ";", "\t", "|")
_NUMERIC = re.compile(r"^\s*(\d{1,4})\s*([-/.])\s*(\d{1,4})(?:\s*[-/.]\s*(\d{1,4}))?\s*$")
_NAMED = re.compile(r"^\s*([A-Za-z]{3,9})\.?[\s,/-]+(\d{4})\s*$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)


def read_money_table(
    source: object, what: str, names: Mapping[str, tuple[str, ...]]
) -> tuple[str, pd.DataFrame]:
    """What messages call the source, and its table with the columns named as we name them.

    `what` the table holds is a word such as spend; `names` are by our name those a file may use.
    """
    if isinstance(source, pd.DataFrame):
        return f"the {what}", _name_columns(source.reset_index(drop=True), names)
    if isinstance(source, pa.Table):
        return f"the {what}", _name_columns(pd.DataFrame(source.to_pandas()), names)
    if not isinstance(source, str | Path):
        raise OrdersError(f"{what} must be a table or a path, got {type(source).__name__}")
    path = Path(source)
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise ConfigError(f"a {what} file must be a .csv or .parquet file, got {path}")
    if not path.is_file():
        columns = list(names)
        raise OrdersError(
            f"there is no {what} file {path}; give one with {', '.join(columns[:-1])} and "
            f"{columns[-1]}"
        )
    try:
        if path.suffix.lower() == ".csv":
            table = _read_text(path.read_bytes())
        else:
            table = pd.DataFrame(pa.parquet.read_table(path).to_pandas())
    except (pa.ArrowInvalid, OSError, csv.Error) as error:
        reason = str(error).splitlines()[0]
        raise OrdersError(f"the {what} file {path} cannot be read: {reason}") from None
    return str(path), _name_columns(table, names)


def _read_text(content: bytes) -> pd.DataFrame:
    """Rows of texts; the delimiter is the one that stands most often in the header."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=header.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    if not rows:
        return pd.DataFrame()
    uneven = [k for k, row in enumerate(rows, 1) if len(row) != len(rows[0])]
    if uneven:
        raise csv.Error(
            f"line {uneven[0]} must have {len(rows[0])} cells like the header, got "
            f"{len(rows[uneven[0] - 1])}; quote cells that hold the delimiter {delimiter}"
        )
    return pd.DataFrame(rows[1:], columns=rows[0], dtype=object)


def _name_columns(table: pd.DataFrame, names: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Columns by our names, whatever their case."""
    folded = {str(name).strip().casefold(): name for name in table.columns}
    renamed = {}
    for ours, theirs in names.items():
        column_name = next((folded[name] for name in theirs if name in folded), None)
        if column_name is not None:
            renamed[column_name] = ours
    if "currency" in folded:
        renamed[folded["currency"]] = "currency"
    return table.rename(columns=renamed)


def check_currency(name: str, table: pd.DataFrame, currency: str) -> None:
    """Refuse a table whose column `currency`, if any, names another than the orders' currency."""
    if "currency" not in table.columns:
        return
    currencies = sorted({str(value).strip() for value in table["currency"].dropna()})
    expected = {currency} if currency else set(currencies[:1])
    if set(currencies) - expected:
        rule = f"{currency}, the orders' currency" if currency else "one currency"
        raise OrdersError(
            f"{name} must be in {rule}, got {' and '.join(currencies)}; convert it at the rates of "
            "the day"
        )


def parse_amounts(cells: Sequence[object], name: str, column: str) -> Float64:
    """Amounts of cells, NaN where a cell is none: numbers, or texts such as `1.234,50 EUR`.

    The decimal mark is what the cells prove; `1.234` alone proves nothing and is refused.
    """
    if all(isinstance(cell, int | float | np.number) for cell in cells):
        return np.asarray([float(cell) for cell in cells], dtype=np.float64)  # type: ignore[arg-type]
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    proofs = {mark: text for text in texts if (mark := _prove_decimal(text))}
    if len(proofs) == 2:
        raise OrdersError(
            f"{name} must have one decimal mark, got both {quote(proofs['.'])} and "
            f"{quote(proofs[','])} in "
            f"{column}; write all amounts in one way"
        )
    if not proofs:
        open_cell = next((text for text in texts if re.search(r"\d[.,]\d{3}$", text)), None)
        if open_cell is not None:
            raise OrdersError(
                f"{name} must show its decimal mark, got {quote(open_cell)} in {column}, which "
                "may be "
                "thousands or decimals; write 1234 or 1234.00"
            )
    plain, _ = make_plain(pa.array(texts, pa.string()), next(iter(proofs), "."))
    amounts = [np.nan if value in (NO_NUMBER, "") else float(value) for value in plain.to_pylist()]
    return np.asarray(amounts, dtype=np.float64)


def _prove_decimal(text: str) -> str:
    """The decimal mark that an amount proves: `.`, `,`, or empty where it proves none.

    >>> _prove_decimal("1.234,50"), _prove_decimal("1,234,567"), _prove_decimal("12.5")
    (',', '.', '.')
    >>> _prove_decimal("1.234"), _prove_decimal("1234")
    ('', '')
    """
    digits = re.sub(r"[^\d.,]", "", text).strip(".,")
    marks = re.findall(r"[.,]", digits)
    if not marks:
        return ""
    other = {".": ",", ",": "."}
    if len(set(marks)) == 2:
        return str(marks[-1])
    if len(marks) > 1:
        return other[marks[0]]
    return "" if re.search(r"^\d{1,3}[.,]\d{3}$", digits) else str(marks[0])


def parse_months(cells: Sequence[object], name: str) -> list[int | None]:
    """The calendar month of each cell (see `orders.dates`), None where it is none.

    Read are `2017-06`, `06/2017`, `June 2017` and days; whether a day such as `05/06/2017` or
    `05-06-2017` has its month first is what the other cells prove.
    """
    texts = _list_texts(cells)
    is_day_first = _prove_day_first(texts, name, "month")
    return [_parse_month(text, is_day_first=is_day_first) for text in texts]


def parse_days(cells: Sequence[object], name: str) -> list[int | None]:
    """The day of each cell, counted from 1970, None where it is none; a month is its first day."""
    texts = _list_texts(cells)
    is_day_first = _prove_day_first(texts, name, "date")
    return [_parse_day(text, is_day_first=is_day_first) for text in texts]


def _list_texts(cells: Sequence[object]) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in cells]


def _prove_day_first(texts: Sequence[str], name: str, column: str) -> bool:
    """Whether days such as `25/06/2017` have their day first; refused where nothing proves it.

    So with dashes; with dots, as `25.06.2017`, the day is first.
    """
    found = [
        date
        for date in map(_NUMERIC.match, texts)
        if date and date[4] and date[2] != "." and len(date[1]) < 4 == len(date[4])
    ]
    is_day_first = any(int(date[1]) > 12 for date in found)
    is_month_first = any(int(date[3]) > 12 for date in found)
    if found and is_day_first == is_month_first:
        raise OrdersError(
            f"{name} must say which part of a date is the month, got {quote(found[0][0])} in "
            f"{column}; "
            "write dates such as 2017-06-05"
        )
    return is_day_first


def _parse_day(text: str, *, is_day_first: bool) -> int | None:
    month = _parse_month(text, is_day_first=is_day_first)
    if month is None:
        return None
    start = np.datetime64(month, "M").astype("datetime64[D]").astype(np.int64)
    iso = re.match(r"^\d{4}-\d{2}-(\d{2})(?:[T ].*)?$", text)
    numeric = _NUMERIC.match(text)
    day = 1
    if iso is not None:
        day = int(iso[1])
    elif numeric is not None and numeric[4] is not None:
        if len(numeric[1]) == 4:
            day = int(numeric[4])
        else:
            day = int(numeric[1] if is_day_first or numeric[2] == "." else numeric[3])
    length = int(
        (np.datetime64(month + 1, "M") - np.datetime64(month, "M").astype("M8[D]")).astype(int)
    )
    return int(start) + day - 1 if 1 <= day <= length else None


def _parse_month(text: str, *, is_day_first: bool) -> int | None:
    found = dates.parse_month(text)
    if found is not None:
        return found
    if named := _NAMED.match(text):
        word = named[1].casefold()
        if word in _MONTHS or word in _FULL:
            return (int(named[2]) - 1970) * 12 + _MONTHS.index(word[:3])
        return None
    numeric = _NUMERIC.match(text)
    if numeric is None:
        return None
    parts = [part for part in (numeric[1], numeric[3], numeric[4]) if part is not None]
    if len(parts[0]) == 4:
        year, month = parts[0], parts[1]
    elif len(parts[-1]) == 4:
        year = parts[-1]
        day_first = len(parts) == 3 and (is_day_first or numeric[2] == ".")
        month = parts[1] if day_first else parts[0]
    else:  # 06/17: a year of two digits may be a day
        return None
    if not 1 <= int(month) <= 12:
        return None
    return (int(year) - 1970) * 12 + int(month) - 1
