"""The file that `season.history` names: a shop's revenue by day or month, read with every check."""

from __future__ import annotations

import re

import numpy as np

from ...errors import OrdersError, quote
from ..columns import Int64
from ..limits import MAX_AMOUNT
from ..season_history import SeasonHistory
from .money_tables import check_currency, parse_amounts, parse_days, read_money_table

__all__ = ["load_season_history"]

_COLUMNS = {"date": ("date", "day", "month"), "revenue": ("revenue",)}
_MONTH_DAYS = 28  # rows at least so far apart, each in a month of its own, are of months
_MOST_GAP_DAYS = 27  # without a row, between rows
_MONTH = re.compile(r"\d{4}-\d{2}|\d{1,2}/\d{4}")  # without a day


def load_season_history(path: str, currency: str = "") -> SeasonHistory:
    """Revenue from a .csv or .parquet file with the columns date and revenue, a row a day or month.

    Raises `OrdersError` or `ConfigError`, also where a column `currency` names another one than
    `currency`, the orders'. Days without a row in a file of days had no revenue.
    """
    name, table = read_money_table(path, "season history", _COLUMNS)
    missing = [column for column in _COLUMNS if column not in table.columns]
    if missing:
        raise OrdersError(
            f"{name} must have the columns date and revenue, but lacks {', '.join(missing)}; it "
            f"has {', '.join(map(str, table.columns)) or 'none'}"
        )
    if len(table) < 2:
        raise OrdersError(f"{name} must have a row per day or month, got {len(table)} rows")
    check_currency(name, table, currency)
    days = parse_days(table["date"].tolist(), name)
    amounts = parse_amounts(table["revenue"].tolist(), name, "revenue")
    for row, (day, revenue) in enumerate(zip(days, amounts.tolist(), strict=True), 1):
        cells = table.iloc[row - 1]
        if day is None:
            raise OrdersError(
                f"{name}: row {row}: date must be such as 2011-03-25 or 2011-03, got "
                f"{quote(cells['date'])}"
            )
        if not np.isfinite(revenue) or abs(revenue) > MAX_AMOUNT:
            raise OrdersError(
                f"{name}: row {row}: revenue must be a number of at most 1e12, got "
                f"{quote(cells['revenue'])}"
            )
    dates = np.asarray(days, dtype=np.int64)
    order = np.argsort(dates, kind="stable")
    starts, ends = _find_spans(dates[order])
    gaps = starts[1:] - ends[:-1]
    if (np.diff(starts) == 0).any():
        repeated = _format_day(starts[:-1][np.diff(starts) == 0][0])
        raise OrdersError(f"{name} must have one row per date, got several for {repeated}")
    months = [text for text in map(str, table["date"]) if _MONTH.fullmatch(text.strip())]
    if months and (ends - starts == 1).all():
        raise OrdersError(
            f"{name} must have a row per day, or a row per month, got the month {quote(months[0])} "
            "beside days; write both in one way"
        )
    if (gaps > _MOST_GAP_DAYS).any():
        place = int(np.argmax(gaps > _MOST_GAP_DAYS))
        raise OrdersError(
            f"{name} must have no gap of four weeks or more, got none of the days from "
            f"{_format_day(ends[place])} to {_format_day(starts[place + 1] - 1)}; add them, or "
            "begin the file after the gap"
        )
    return SeasonHistory(starts, ends, amounts[order])


def _find_spans(days: Int64) -> tuple[Int64, Int64]:
    """The days that each row is of: its month where no two rows are of one, else its day."""
    months = days.view("datetime64[D]").astype("datetime64[M]")
    if (np.diff(months.astype(np.int64)) > 0).all() and (np.diff(days) >= _MONTH_DAYS).all():
        starts, ends = ((months + k).astype("datetime64[D]").astype(np.int64) for k in range(2))
        return starts, ends
    return days, days + 1


def _format_day(day: int) -> str:
    return str(np.datetime64(int(day), "D"))
