"""Acquisition spend by channel and month: a small file kept by hand, so every fault is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import OrdersError, quote
from ..orders import dates
from ..orders.columns import Int64
from ..orders.limits import MAX_AMOUNT
from ..orders.reading.money_tables import (
    check_currency,
    parse_amounts,
    parse_months,
    read_money_table,
)
from ..orders.reading.validation_issues import pluralize

__all__ = ["Spend", "coerce_spend", "find_gaps", "match_channels"]

_COLUMNS = {"channel": ("channel",), "month": ("month", "date", "day"), "spend": ("spend",)}
_MOST_FAULTS = 5


@dataclass(frozen=True)
class Spend:
    """Acquisition spend: one row per channel and month."""

    channels: tuple[str, ...]  # n_rows
    months: Int64  # n_rows; calendar months since January 1970
    amounts: Int64  # n_rows, in minor units
    remarks: tuple[str, ...]


def coerce_spend(source: object, *, unit: float, currency: str = "") -> Spend:
    """Read spend from a .csv or .parquet file, or a table, with columns channel, month and spend.

    A column `date` in place of `month` has daily rows.
    `unit` is the number of minor units per unit of the currency. Several rows of one channel and
    month add up. Raises `OrdersError` that names every fault.
    """
    name, table = read_money_table(source, "spend", _COLUMNS)
    missing = [column for column in _COLUMNS if column not in table.columns]
    if missing:
        raise OrdersError(
            f"{name} must have the columns channel, month and spend, but lacks "
            f"{', '.join(missing)}; it has {', '.join(map(str, table.columns)) or 'none'}"
        )
    if table.empty:
        raise OrdersError(f"{name} has no rows; give one row per channel and month")
    check_currency(name, table, currency)
    channels = [str(value).strip() for value in table["channel"].fillna("")]
    months = parse_months(table["month"].tolist(), name)
    spends = parse_amounts(table["spend"].tolist(), name, "spend")
    faults = []
    for row, (channel, month, spend) in enumerate(zip(channels, months, spends, strict=True), 1):
        cells = table.iloc[row - 1]
        if not channel:
            faults.append(f"row {row}: channel must not be empty")
        if month is None:
            faults.append(f"row {row}: month must be such as 2011-03, got {quote(cells['month'])}")
        if not np.isfinite(spend):
            faults.append(f"row {row}: spend must be a number, got {quote(cells['spend'])}")
        elif not 0 <= spend <= MAX_AMOUNT:
            faults.append(f"row {row}: spend must be at least 0 and at most 1e12, got {spend:g}")
    if faults:
        more = len(faults) - _MOST_FAULTS
        if more > 0:
            faults[_MOST_FAULTS:] = [f"and {pluralize(more, 'fault')} more"]
        raise OrdersError("\n".join(f"{name}: {fault}" for fault in faults))
    rows = pd.DataFrame(
        {"channel": channels, "month": months, "minor": np.rint(spends * unit).astype(np.int64)}
    )
    totals = rows.groupby(["channel", "month"], as_index=False, sort=True)["minor"].sum()
    remarks = []
    if len(totals) < len(rows):
        repeated = pluralize(len(rows) - len(totals), "row")
        remarks.append(f"{repeated} of spend repeat a channel and month and were added up")
    return Spend(
        tuple(totals["channel"]),
        totals["month"].to_numpy(np.int64),
        totals["minor"].to_numpy(np.int64),
        tuple(remarks),
    )


def match_channels(spend: Spend, channels: Sequence[str]) -> Spend:
    """The spend with its channels named as the orders name them, whatever their case.

    Raises `OrdersError` where no channel of the spend has a customer.
    """
    folded: dict[str, list[str]] = {}
    for name in channels:
        folded.setdefault(name.strip().casefold(), []).append(name)
    matched = []
    for name in spend.channels:
        others = folded.get(name.strip().casefold(), [])
        matched.append(others[0] if name not in channels and len(others) == 1 else name)
    if not set(matched) & set(channels):
        raise OrdersError(
            f"the spend must name channels of the orders, got {_list(spend.channels)}, and the "
            f"orders have {_list(channels)}; name them alike, or leave orders.columns.channel out"
        )
    rows = pd.DataFrame({"channel": matched, "month": spend.months, "minor": spend.amounts})
    totals = rows.groupby(["channel", "month"], as_index=False, sort=True)["minor"].sum()
    return Spend(
        tuple(totals["channel"]),
        totals["month"].to_numpy(np.int64),
        totals["minor"].to_numpy(np.int64),
        spend.remarks,
    )


def _list(names: Sequence[str]) -> str:
    """The first names of channels."""
    channel_names = sorted(set(names))
    return ", ".join(channel_names[:5]) + (", ..." if len(channel_names) > 5 else "")


def find_gaps(spend: Spend, channels: Sequence[str]) -> list[str]:
    """Remarks on channels with months, between their first and last, without stated spend."""
    remarks = []
    channel_months = list(zip(spend.channels, spend.months.tolist(), strict=True))
    for channel in channels:
        months = {month for name, month in channel_months if name == channel}
        missing = [month for month in range(min(months), max(months) + 1) if month not in months]
        if missing:
            names = ", ".join(dates.format_month(month) for month in missing[:3])
            names += ", ..." if len(missing) > 3 else ""
            remarks.append(
                f"no spend is stated for {channel} in {names}: its new customers of "
                f"{pluralize(len(missing), 'month')} are left out (state 0 if nothing was spent)"
            )
    return remarks
