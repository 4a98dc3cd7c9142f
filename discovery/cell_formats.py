"""How cells are written: dates and their order of day and month, decimal marks, time zones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from ..configs.schema import FormatConfig
from ..errors import quote
from ..orders.columns import Float64, Int64, Mask
from ..orders.reading.cell_parsing import parse_instant_cells, parse_number_cells
from ..orders.reading.date_formats import parse_stamps

__all__ = [
    "DateFormat",
    "guess_date_format",
    "guess_decimal",
    "guess_timezone",
    "parse_instants_as_text",
    "parse_numbers",
]  # fmt: skip

_SHARE = 0.98  # of the cells must be written alike
_MOST_DISTINCT = 3_000  # cells that are looked at
_NUMERIC = re.compile(
    r"(?P<a>\d{1,4})(?P<sep>[./-])(?P<b>\d{1,2})(?P=sep)(?P<c>\d{1,4})"
    r"(?:(?P<gap>,? +|T)(?P<time>\d{1,2}[:.]\d{2}(?:[:.]\d{2}(?:[.,]\d+)?)?)"
    r"(?P<half>\s*[AaPp]\.?[Mm]\.?)?)?"
    r"(?P<zone>\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?\.?$"
)
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}(:?\d{2}(:?\d{2}([.,]\d{1,9})?)?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d{2}(:?\d{2})?)?)?$"
)
_MONTH_NAME = re.compile(r"(?=.*[^\W\d_]{3})(?=.*\d)[\w ,./:+-]+$")
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(\s*[AaPp][Mm])?$")
_EPOCHS = ((6.3e8, 4.2e9, "unix"), (6.3e11, 4.2e12, "unix_ms"), (6.3e14, 4.2e15, "unix_us"))
_MOST_YEARS = 8  # of a file whose dates have two digits of the year
_EXCEL_DAYS = (32_874, 73_051)
_NAMED = [
    date + time
    for date in (
        "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%d %B %Y", "%d-%b-%y", "%b %d %Y",
        "%d. %B %Y", "%d. %b %Y", "%B %d %Y", "%d-%B-%Y", "%d de %B de %Y", "%d de %b de %Y",
        "%d/%b/%Y", "%Y-%b-%d",
        "%a, %d %b %Y", "%a %d %b %Y", "%A, %B %d, %Y", "%A, %d %B %Y",
    )
    for time in (
        "", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p",
        ", %H:%M", ", %H:%M:%S", ", %I:%M %p", ", %I:%M:%S %p",
    )
]  # fmt: skip
_ZONES = (
    "UTC", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles",
    "America/Phoenix", "America/Halifax", "America/Sao_Paulo", "America/Bogota",
    "America/Argentina/Buenos_Aires", "America/Mexico_City", "Europe/London", "Europe/Berlin",
    "Europe/Helsinki", "Europe/Istanbul", "Asia/Dubai", "Asia/Kolkata", "Asia/Bangkok",
    "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Australia/Brisbane",
    "Australia/Adelaide", "Pacific/Auckland", "Pacific/Honolulu",
)  # fmt: skip


@dataclass(frozen=True)
class DateFormat:
    """How a column of dates is written."""

    date_format: str | None  # as `orders.format.date_format`; None for ISO 8601
    why: str
    has_offset: bool = False  # the time carries a zone, or counts from 1970 in UTC
    is_utc: bool = False
    other: str | None = None  # as likely: the same with day and month exchanged


def guess_date_format(cells: Sequence[str]) -> DateFormat | None:
    """How some cells are written as dates; None where most are no dates."""
    distinct = list(dict.fromkeys(cells))
    if not distinct:
        return None
    distinct = distinct[:: max(1, len(distinct) // _MOST_DISTINCT)]
    iso = [_ISO.match(cell) for cell in distinct]
    if _do_most_match(iso):
        zones = {m["zone"] for m in iso if m}
        offset = zones != {None}
        is_utc = offset and zones <= {"Z", "UTC", "+00:00", "+0000", "+00"}
        return DateFormat(None, "written as ISO 8601", offset, is_utc)
    numbers = _parse_floats(distinct)
    if numbers is not None:
        return _guess_from_numbers(distinct, numbers)
    numeric = [_NUMERIC.match(cell) for cell in distinct]
    if _do_most_match(numeric):
        return _guess_from_parts([m for m in numeric if m])
    if sum(1 for cell in distinct if _MONTH_NAME.match(cell)) >= _SHARE * len(distinct):
        return _guess_month_names(distinct)
    return None


def _do_most_match(matches: Sequence[re.Match[str] | None]) -> bool:
    return sum(1 for m in matches if m) >= _SHARE * len(matches)


def _parse_floats(cells: Sequence[str]) -> Float64 | None:
    try:
        return np.array([float(cell) for cell in cells], np.float64)
    except ValueError:
        return None


def _guess_from_numbers(cells: Sequence[str], numbers: Float64) -> DateFormat | None:
    def between(low: float, high: float) -> bool:
        return bool(np.mean((numbers >= low) & (numbers < high)) >= _SHARE)

    if between(19_900_101, 21_000_101) and all(len(cell) == 8 for cell in cells):
        days = pd.to_datetime(pd.Series(cells), format="%Y%m%d", errors="coerce")
        if not days.isna().any():
            return DateFormat("%Y%m%d", f"eight digits such as {cells[0]}")
    for low, high, form in _EPOCHS:
        if between(low, high) and len(set(cells)) > 1:
            unit = {"unix": "seconds", "unix_ms": "milliseconds", "unix_us": "microseconds"}[form]
            return DateFormat(form, f"{unit} since 1970, in UTC", has_offset=True, is_utc=True)
    return None


def is_spreadsheet_days(cells: Sequence[str]) -> bool:
    """Whether numbers may be the days of a spreadsheet: between 1990 and 2100, some with a time."""
    numbers = _parse_floats(list(dict.fromkeys(cells))[:_MOST_DISTINCT])
    low, high = _EXCEL_DAYS
    return numbers is not None and bool(
        len(numbers) and np.all((numbers >= low) & (numbers < high))
    )


def _guess_from_parts(matches: Sequence[re.Match[str]]) -> DateFormat | None:
    first = matches[0]
    separator = first["sep"]
    parts = np.array([[int(m["a"]), int(m["b"]), int(m["c"])] for m in matches])
    has_century = [all(len(m[end]) == 4 for m in matches) for end in "ac"]
    year_first = has_century[0] or (not has_century[1] and _begins_with_year(parts))
    year = "%Y" if any(has_century) else "%y"
    time = _guess_time(matches)
    if time is None or any(m["sep"] != separator for m in matches):
        return None
    has_offset = any(m["zone"] for m in matches)

    def written(day_first: bool) -> str:
        both = ["%d", "%m"] if day_first else ["%m", "%d"]
        return separator.join([year, *both] if year_first else [*both, year]) + time

    x, y = (parts[:, 1], parts[:, 2]) if year_first else (parts[:, 0], parts[:, 1])
    if max(x.max(), y.max()) > 31 or min(x.max(), y.max()) > 12:
        return None
    if x.max() > 12:
        return DateFormat(
            written(True), f"the first number goes up to {x.max()}: it is the day", has_offset
        )
    if y.max() > 12:
        return DateFormat(
            written(False), f"the second number goes up to {y.max()}: it is the day", has_offset
        )
    if separator == "." and not year_first:
        return DateFormat(written(True), "dates with points have the day first", has_offset)
    if year_first:
        return DateFormat(written(False), "the year stands first, then the month", has_offset)
    return DateFormat(
        written(True), "no number above 12 tells day from month", has_offset, other=written(False)
    )


def _begins_with_year(parts: Int64) -> bool:
    """Whether the first numbers are few, as years are, and the last many: 24/05/31."""
    firsts, lasts = (len(np.unique(parts[:, k])) for k in (0, 2))
    return lasts > _MOST_YEARS >= firsts


def _guess_time(matches: Sequence[re.Match[str]]) -> str | None:
    """The strptime format of the times of day after numeric dates; None where they differ."""
    times = [m["time"] for m in matches]
    if not any(times):
        return "" if not any(m["zone"] for m in matches) else None
    if not all(times):
        return None
    gaps = {m["gap"] for m in matches}
    lengths = {
        len(re.split("[:.]", re.sub(r"[.,]\d+$", "", t) if t.count(":") == 2 else t)) for t in times
    }
    if len(gaps) > 1 or len(lengths) > 1:
        return None
    mark = "." if "." in times[0] and ":" not in times[0] else ":"
    halves = any(m["half"] for m in matches)
    clock = mark.join((["%I"] if halves else ["%H"]) + ["%M", "%S"][: lengths.pop() - 1])
    fraction = ".%f" if mark == ":" and re.search(r":\d{2}:\d{2}\.\d", times[0]) else ""
    half = (" %p" if re.match(r"\s", str(matches[0]["half"])) else "%p") if halves else ""
    zone = matches[0]["zone"] or ""
    zoned = (" %z" if zone[:1].isspace() else "%z") if zone else ""
    return gaps.pop() + clock + fraction + half + zoned


def _guess_month_names(cells: Sequence[str]) -> DateFormat | None:
    sample = pa.array([re.sub(r"\s+", " ", cell) for cell in cells[:200]], pa.string())
    for form in _NAMED:
        if not parse_stamps(sample, form).isna().any():
            return DateFormat(form, f"written like {cells[0]}")
    return None


def is_time_of_day(cells: Sequence[str]) -> bool:
    """Whether cells are times of day alone, such as 20:59:15."""
    sample = cells[:: max(1, len(cells) // 500)]
    return bool(sample) and all(_TIME_OF_DAY.match(cell) for cell in sample)


def parse_instants_as_text(
    cells: Sequence[str], date_format: str | None, zone: str
) -> tuple[Int64, Mask]:
    """Microseconds since 1970, and which cells are no dates."""
    column = pa.chunked_array([pa.array(list(cells), pa.string())])
    parsed = parse_instant_cells(column, FormatConfig(date_format=date_format), zone)
    return parsed.values, parsed.bad | parsed.missing


def parse_numbers(cells: Sequence[str], decimal: str | None) -> tuple[Float64, Mask]:
    """Numbers, NaN where a cell is none; and which cells hold something that is no number."""
    column = pa.chunked_array([pa.array(list(cells), pa.string())])
    parsed = parse_number_cells(column, FormatConfig(decimal=decimal), with_mend=False)
    return parsed.values, parsed.bad


_FEW_GROUPED = 3


def guess_decimal(columns: Sequence[Sequence[str]]) -> tuple[str | None, str, bool]:
    """The decimal mark of some columns of money, why, and whether it is sure.

    None where all cells are plain numbers. `1,234` alone fits both marks: then it is not sure.
    """
    cells = [cell for column in columns for cell in dict.fromkeys(column)]
    if not parse_numbers(cells, None)[1].any():
        return _find_grouping_points(columns) or (None, "plain numbers", True)
    share = {mark: 1 - float(parse_numbers(cells, mark)[1].mean()) for mark in (".", ",")}
    best = max(share, key=lambda mark: share[mark])
    example = next((cell for cell in cells if parse_numbers([cell], None)[1][0]), cells[0])
    if share["."] != share[","]:
        return best, f"amounts such as {quote(example)}", True
    thousands = _find_thousands(cells)
    if thousands:
        return (
            ("." if thousands == "," else ","),
            f"{quote(example)} beside whole numbers: thousands",
            True,
        )
    has_comma = any("," in cell for cell in cells)
    if not has_comma or any(re.search(r"\d\.\d{1,2}(\D|$)", cell) for cell in cells):
        return ".", f"amounts such as {quote(example)}", True
    return ".", f"amounts such as {quote(example)} may be read in two ways", False


def _find_grouping_points(columns: Sequence[Sequence[str]]) -> tuple[str, str, bool] | None:
    """Points that group thousands, in a column where each stands before exactly three digits.

    Prices of three decimals look alike, but every cell has them: whole numbers beside make it sure.
    """
    for column in columns:
        pointed = [cell.strip() for cell in dict.fromkeys(column) if "." in cell]
        grouped = [c for c in pointed if re.fullmatch(r"-?[1-9]\d{0,2}(\.\d{3})+", c)]
        if len(grouped) >= _FEW_GROUPED and len(grouped) == len(pointed):
            is_sure = any(cell.strip().lstrip("-").isdigit() for cell in column)
            return ",", f"{quote(grouped[0])} and no other decimals: thousands", is_sure
    return None


def _find_thousands(cells: Sequence[str]) -> str:
    """The mark that groups thousands: all cells are whole numbers, some with two groups or none.

    Decimals would be written in every cell, and three of them are rare.
    """
    plain = [re.sub(r"[^\d.,]", "", cell) for cell in cells]
    for mark in ",.":
        if all(re.match(rf"\d{{1,3}}(\{mark}\d{{3}})*$", cell) for cell in plain if cell):
            counts = [cell.count(mark) for cell in plain]
            if max(counts) > 1 or counts.count(0) * 100 >= len(counts):
                return mark
    return ""


def guess_timezone(cells: Sequence[str], date_format: str | None) -> tuple[str, str, bool]:
    """The zone whose local times are as written, why, and whether it is more than a fixed offset.

    The offset of each cell must be the zone's at that instant.
    """
    distinct = list(dict.fromkeys(cells))
    distinct = distinct[:: max(1, len(distinct) // _MOST_DISTINCT)]
    offsets = [_read_offset(cell) for cell in distinct]
    utc, bad = parse_instants_as_text(distinct, date_format, "UTC")
    pairs = {
        (int(instant) // 1_000_000, offset)
        for instant, offset, is_bad in zip(utc, offsets, bad, strict=True)
        if not is_bad and offset is not None
    }
    if not pairs:
        return "UTC", "the times are in UTC", False
    minutes = {offset for _, offset in pairs}
    if len(minutes) == 1:
        offset = minutes.pop()
        if offset == 0:
            return "UTC", "the times are in UTC", False
        if offset % 60 == 0:
            zone = f"Etc/GMT{-offset // 60:+d}"
            return zone, f"every time is written with {_show_offset(offset)}, all year", False
    for zone in _ZONES:
        info = ZoneInfo(zone)
        if all(_find_offset(info, seconds) == offset for seconds, offset in pairs):
            return zone, f"its offsets are those of the times ({_list_offsets(pairs)})", True
    return "UTC", f"the offsets ({_list_offsets(pairs)}) are of several zones", False


def _read_offset(cell: str) -> int | None:
    """Minutes east of UTC, as the cell's end says; None where it says nothing."""
    if re.search(r"(Z|UTC|GMT)$", cell):
        return 0
    match = re.search(r"([+-])(\d{2}):?(\d{2})?$", cell)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return -minutes if match[1] == "-" else minutes


def _find_offset(zone: ZoneInfo, seconds: int) -> int:
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    return int(offset.total_seconds()) // 60 if offset is not None else 0


def _show_offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _list_offsets(pairs: set[tuple[int, int]]) -> str:
    return ", ".join(_show_offset(m) for m in sorted({offset for _, offset in pairs})[:4])
