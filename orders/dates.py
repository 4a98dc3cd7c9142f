"""Dates: instants as people give and read them, and the calendar.

Instants are int64 microseconds since 1970 in the shop's own zone. Nothing here knows of orders:
what of them lies before an instant is asked of windows.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConfigError, quote
from .columns import Float64, Int64

__all__ = [
    "DAY",
    "ISO_CELL",
    "ISO_INSTANT",
    "ISO_LOCAL",
    "NEVER",
    "RATE_YEAR_DAYS",
    "YEAR_DAYS",
    "Instant",
    "add_days",
    "find_next_anniversaries",
    "find_unfinished_month",
    "floor_to_days",
    "format_instant",
    "format_iso",
    "format_month",
    "format_quarters",
    "get_midnight_after",
    "parse_instant",
    "parse_instants",
    "parse_month",
    "to_month_starts",
    "to_months",
]

DAY = 86_400_000_000  # microseconds
NEVER = 2**63 - 1  # an instant later than all others
YEAR_DAYS = 365.2425  # of the calendar, on average: seasons and anniversaries do not drift
RATE_YEAR_DAYS = 365  # of annual rates (actual/365, as in finance) and of "the last year"
Instant = str | date | datetime | pd.Timestamp | np.datetime64

# ISO 8601, as each kind of source writes it. A local instant carries no offset from UTC.
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"  # not \d, which takes the digits of every script
_TIME = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
ISO_LOCAL = rf"{_DATE}(?:{_TIME})?"
ISO_INSTANT = rf"{_DATE}(?:{_TIME}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?"
# files: the separators may be missing, the fraction may follow a comma and reach nanoseconds
ISO_CELL = (
    rf"{_DATE}(?:[T ]\d{{2}}(?::?\d{{2}}(?::?\d{{2}}(?:[.,]\d{{1,9}})?)?)?"
    r"\s*(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?"
)
# cutoffs: any fraction; an offset is recognised, to be rejected with its own message
_CUTOFF = rf"{_DATE}(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:Z|[+-]\d{{2}}:?\d{{2}})?)?$"
_EPOCH = datetime(1970, 1, 1)


def parse_instant(moment: Instant) -> int:
    """A cutoff (ISO text such as `2011-06-10`, a date, a datetime) in microseconds since 1970.

    >>> parse_instant("1970-01-02") == DAY
    True
    """
    if isinstance(moment, str):
        return _parse_text(moment)
    if type(moment) is datetime and moment.tzinfo is None:  # no pandas for the commonest
        since = moment - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return _parse_any(moment)


@lru_cache(maxsize=256)
def _parse_text(moment: str) -> int:
    """The same of text, remembered: a service is asked for few cutoffs, each time again."""
    return _parse_any(moment)


def _parse_any(moment: Instant) -> int:
    rule = f"a cutoff must be a date such as 2011-06-10, got {quote(str(moment))}"
    is_date = isinstance(moment, date | np.datetime64)  # datetimes and timestamps are dates
    if not is_date and not (isinstance(moment, str) and re.match(_CUTOFF, moment)):
        raise ConfigError(rule)
    try:
        stamp = pd.Timestamp(moment)
    except ValueError:
        raise ConfigError(rule) from None
    if pd.isna(stamp):
        raise ConfigError(rule)
    if stamp.tzinfo is not None:
        raise ConfigError(
            f"a cutoff is in the shop's own time and carries no zone, got {quote(str(moment))}"
        )
    return int(stamp.to_datetime64().astype("datetime64[us]").astype(np.int64))


def parse_instants(moments: object) -> list[int]:
    """One or several cutoffs, ascending, each once; a single one need not stand in a list."""
    if isinstance(moments, str | date | np.datetime64) or not isinstance(moments, Iterable):
        return [parse_instant(moments)]  # type: ignore[arg-type]
    return sorted({parse_instant(moment) for moment in moments})


def format_instant(instant: int) -> str:
    """An instant as people write it: 2011-06-10, or with the time where it is no midnight."""
    stamp = pd.Timestamp(instant, unit="us")
    return str(stamp.date()) if instant % DAY == 0 else str(stamp)


def format_iso(instant: int) -> str:
    """An instant as ISO text, to the microsecond where it has any."""
    return pd.Timestamp(instant, unit="us").isoformat()


def get_midnight_after(instant: int) -> int:
    """The first midnight after an instant."""
    return (instant // DAY + 1) * DAY


def floor_to_days(microseconds: Int64 | int) -> Int64:
    """Whole days, floored."""
    return np.asarray(microseconds, dtype=np.int64) // DAY


def add_days(instant: int, days: Float64) -> Int64:
    """The midnights that begin the day some days after an instant: int64, n."""
    later = instant + np.asarray(days * DAY, dtype=np.int64)
    return np.asarray(later // DAY * DAY)


def to_months(times: Int64) -> Int64:
    """The calendar month of each instant, counted from January 1970: 2011-03 is 494."""
    return np.asarray(
        np.asarray(times, np.int64).view("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    )


def to_month_starts(numbers: Int64) -> Int64:
    """The first instant of each calendar month."""
    starts = np.asarray(numbers, np.int64).view("datetime64[M]").astype("datetime64[us]")
    return np.asarray(starts.astype(np.int64))


def format_month(number: int) -> str:
    """A calendar month as people write it.

    >>> format_month(494)
    '2011-03'
    """
    return f"{1970 + number // 12}-{number % 12 + 1:02d}"


def parse_month(name: str) -> int | None:
    """The calendar month of text such as `2011-03` or `2011-03-15`; None where it is none."""
    match = re.match(r"(\d{4})-(\d{2})(-\d{2}([T ][\d:.]*)?)?$", name)
    if match is None or not 1 <= int(match[2]) <= 12:
        return None
    return (int(match[1]) - 1970) * 12 + int(match[2]) - 1


def find_unfinished_month(cutoff: int) -> int:
    """The first calendar month that is not wholly before the cutoff."""
    return int(to_months(np.array([cutoff]))[0])


def format_quarters(instants: Int64) -> list[str]:
    """The calendar quarter of each instant, such as 2011 Q1."""
    months = instants.view("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return [f"{1970 + m // 12} Q{m % 12 // 3 + 1}" for m in months.tolist()]


def find_next_anniversaries(times: Int64, cutoff: int) -> Int64:
    """Each instant's first anniversary, by calendar day, that is not before the cutoff's day.

    The 29th of February is kept on the 1st of March in years that have none.
    """
    days = np.asarray(times, np.int64).view("datetime64[us]").astype("datetime64[D]")
    month = days.astype("datetime64[M]")
    day_of_month = (days - month).astype(np.int64)
    month_of_year = month.astype(np.int64) % 12
    today = np.datetime64(cutoff, "us").astype("datetime64[D]")
    year = int(today.astype("datetime64[Y]").astype(np.int64))

    def in_year(number: int) -> npt.NDArray[np.datetime64]:
        start = (number * 12 + month_of_year).astype("datetime64[M]").astype("datetime64[D]")
        return np.asarray(start + day_of_month)

    this_year = in_year(year)
    anniversaries = np.where(this_year >= today, this_year, in_year(year + 1))
    return np.asarray(anniversaries.astype("datetime64[us]").astype(np.int64))
