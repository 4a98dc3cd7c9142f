"""Which column of an unknown file is the customer, the time, the order, the status.

Names suggest (words.py), values decide: ids repeat, instants parse, an order has one day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from .cell_formats import is_spreadsheet_days
from .checks.vocabulary import (
    find_no_sales,
    is_currency_code,
    is_flag_value,
    is_no_customer,
    is_true,
)
from .column_profiles import SHARE, ColumnProfile, find_named
from .words import is_no_sale, is_paid_flag, rate_name

__all__ = [
    "choose_customer",
    "choose_date",
    "choose_order",
    "find_currency",
    "find_no_sale_dates",
    "find_refund",
    "find_statuses",
    "is_flag",
    "list_no_sales",
]

_LEAST_DATED = 0.2  # of lines have a time; it may stand on the first of an order alone
_MOST_STATUSES = 30
_MOST_NO_SALES = 0.5  # of lines; a date on more of them is no exception
_LEAST_ORDERS = 20  # for ids that are another one on each order to say something


def choose_date(
    columns: dict[str, ColumnProfile],
) -> tuple[ColumnProfile, ColumnProfile | None, list[str]] | None:
    """The column of order times, that of the time of day if it stands apart, and other dates."""
    rated = []
    for name, column in columns.items():
        rate = rate_name(name, "ordered_at")
        is_date = column.filled.mean() > _LEAST_DATED and (
            column.date is not None or (rate > 0 and is_spreadsheet_days(column.values))
        )
        if is_date:  # a number without such a name is the last that is taken
            doubt = 2 if column.is_number and rate <= 0 else 0
            rated.append((rate + column.filled.mean() - doubt, _tells_time(column), column))
    if not rated:
        return None
    best = max(rated, key=lambda r: (round(r[0], 2), r[1]))
    others = [column.name for _, _, column in rated if column is not best[2]]
    time = None
    if not best[1]:
        times = [c for c in columns.values() if c.is_time and c.filled.mean() > SHARE]
        time = next(iter(sorted(times, key=lambda c: -rate_name(c.name, "time"))), None)
    return best[2], time, others


def _tells_time(column: ColumnProfile) -> bool:
    return any(":" in value for value in column.values[:20]) or bool(
        column.date and str(column.date.date_format).startswith("unix")
    )


def choose_order(
    columns: dict[str, ColumnProfile], date: ColumnProfile, taken: Sequence[str]
) -> tuple[ColumnProfile | None, str]:
    """The column of order ids and why; a name that suggests one is not enough if ids restart."""
    for column in find_named(columns, "order_id", taken):
        if (
            column.filled.mean() < 0.9
            or column.distinct < 2
            or (column.date is not None and not column.is_number)
        ):
            continue
        lines = column.filled.sum()
        days = (
            date.cells.str.slice(0, 10)
            if date.date and date.date.date_format is None
            else date.cells
        )
        dated = column.filled & date.filled
        per_id = days[dated].groupby(column.cells[dated]).nunique()
        several = float((per_id > 1).mean())
        if several > 0.1:
            return column, f"restarts: {several:.0%} of its values stand on several days"
        if column.distinct < lines:
            share = "" if not several else f"{1.0 - several:.0%} of them "
            return column, f"{lines / column.distinct:.1f} lines each, {share}of one day"
        return column, "another one on each line"
    return None, ""


def choose_customer(
    columns: dict[str, ColumnProfile], order: ColumnProfile | None, taken: Sequence[str]
) -> list[tuple[float, ColumnProfile]]:
    """Columns that may hold the customer, best first, each with its score.

    A customer orders again: ids that are another one on each order are none. One person has one
    customer id, so of several columns that repeat, those with few blanks are better.
    """
    n_lines = len(next(iter(columns.values())).cells)
    n_orders = order.distinct if order is not None else n_lines
    rated = []
    for name, column in columns.items():
        if name in taken or column is order:
            continue
        rate = max(
            rate_name(name, "customer"), rate_name(name, "email"), 1.0 if column.is_email else 0
        )
        if rate <= 0 or column.distinct < 2 or column.is_time:
            continue
        if column.is_number and not column.is_whole and rate < 3:
            continue
        orders_each = min(n_orders, int(column.filled.sum())) / column.distinct
        repeats = min(1.0, orders_each - 1)
        top = column.cells[column.filled].value_counts(normalize=True)
        nobody = sum(share for value, share in top.head(3).items() if is_no_customer(str(value)))
        is_of_order = n_orders > _LEAST_ORDERS and column.distinct >= SHARE * n_orders
        score = rate + 2 * repeats + 2 * float(column.filled.mean()) - 8 * float(nobody)
        score -= 2 if is_of_order else 0
        rated.append((score - (2 if top.iloc[0] > 0.5 else 0), column))
    return sorted(rated, key=lambda r: -r[0])


def find_statuses(
    columns: dict[str, ColumnProfile], taken: Sequence[str]
) -> list[tuple[ColumnProfile, dict[str, int]]]:
    """Columns with few values, of which some sound like no sale, and how many lines have each.

    Flags such as `cancelled: yes` and `paid: no` are among them.
    """
    candidates = []
    for name, column in columns.items():
        is_named = is_no_sale(name) or is_paid_flag(name)
        if is_named and is_flag(column) and name not in taken:
            counts = {str(v): int(n) for v, n in column.cells[column.filled].value_counts().items()}
            candidates.append((column, counts))
            continue
        is_text = column.values and not column.is_number and not column.is_email
        if name in taken or not is_text or column.distinct > _MOST_STATUSES:
            continue
        counts = {str(v): int(n) for v, n in column.cells[column.filled].value_counts().items()}
        if rate_name(name, "status") > 0 or find_no_sales(name, counts):
            candidates.append((column, counts))
    return sorted(candidates, key=lambda f: -rate_name(f[0].name, "status"))


def find_no_sale_dates(
    columns: dict[str, ColumnProfile], order: ColumnProfile | None, taken: Sequence[str]
) -> list[ColumnProfile]:
    """Columns such as `cancelled_at`: a date on all lines of some orders, blank on the others."""
    date_columns = []
    for name, column in columns.items():
        is_date = column.date is not None and 0 < column.filled.mean() < _MOST_NO_SALES
        if name in taken or not is_date or not is_no_sale(name):
            continue
        agree = 1.0
        if order is not None:
            lines = pd.DataFrame({"order": order.cells, "filled": column.filled})[order.filled]
            agree = float((lines.groupby("order")["filled"].nunique() == 1).mean())
        if agree >= SHARE:
            date_columns.append(column)
    return date_columns


def list_no_sales(column: ColumnProfile, counts: Mapping[str, int]) -> list[str]:
    """The values of a status, or of a flag such as `cancelled` or `paid`, that mean no sale."""
    if is_paid_flag(column.name) and is_flag(column):
        return [value for value in counts if not is_true(value)]
    if is_no_sale(column.name) and is_flag(column):
        return [value for value in counts if is_true(value)]
    return list(find_no_sales(column.name, counts))


def is_flag(column: ColumnProfile) -> bool:
    """Whether the cells are yes and no, true and false or 1 and 0, and not all of them yes."""
    values = set(column.values[:5_000])
    return all(map(is_flag_value, values)) and not all(map(is_true, values))


def find_currency(columns: dict[str, ColumnProfile]) -> ColumnProfile | None:
    """The column of three-letter currency codes."""
    candidates = [
        c for c in columns.values()
        if c.distinct <= 40 and all(map(is_currency_code, set(c.values[:5_000])))
    ]  # fmt: skip
    return max(candidates, key=lambda c: rate_name(c.name, "currency"), default=None)


def find_refund(columns: dict[str, ColumnProfile], taken: Sequence[str]) -> ColumnProfile | None:
    """The column with the money that was given back; flags of 0 and 1 are no money."""
    for column in find_named(columns, "refund", taken):
        is_money = column.is_number and column.distinct > 1 and not is_flag(column)
        if is_money and rate_name(column.name, "refund") >= 2:
            return column
    return None
