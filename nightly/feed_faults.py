"""The feed: are tonight's orders as old, as many and as large as this shop's usually are?

Validation accepts a file that stopped growing, one that lost half of its lines, and one whose
amounts are cents since yesterday. The last two days, against the same weekdays of the eight weeks
before, show all three; a fault here keeps the night from training and from publishing forecasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..configs.nightly import NightlyConfig
from ..orders import dates, windows
from ..orders.columns import Int64
from ..orders.dates import DAY
from ..orders.order_totals import OrderTotals
from ..orders.orders import Orders
from ..train.gate.data_shift import Record, compare_history

__all__ = ["FeedFault", "find_feed_faults", "measure_age", "measure_amounts", "measure_lines"]

_DAYS = 2  # the newest whole days that are looked at
_WEEKS = 8  # before them, for what is usual
_LEAST_LINES = 20  # usual in two days; with fewer, chance decides
_LEAST_DAYS = 365  # the time in which the longest break counts


@dataclass(frozen=True)
class FeedFault:
    """Something unusual in tonight's orders: its name, the number, and a sentence with the mend."""

    name: str
    value: float
    sentence: str


def find_feed_faults(
    orders: Orders, end: int, now: int, bounds: NightlyConfig, record: Record | None, history: float
) -> list[FeedFault]:
    """All faults; `end` is the first instant not observed, `record` the last training's, if any."""
    return [
        *_judge_age(orders, now, bounds),
        *_judge_lines(orders, end, bounds),
        *_judge_amounts(orders, end, bounds),
        *_judge_history(orders, end, record, history),
    ]


def measure_age(orders: Orders, now: int) -> tuple[float, float]:
    """Days from the newest order to `now`, and the longest break between order days of a year."""
    newest = int(orders.times.max())
    _, lines = windows.count_lines_per_day(orders)
    busy = np.flatnonzero(lines[-_LEAST_DAYS:])
    return (now - newest) / DAY, float(np.diff(busy).max(initial=1))


def _judge_age(orders: Orders, now: int, bounds: NightlyConfig) -> Iterator[FeedFault]:
    age, longest = measure_age(orders, now)
    limit = bounds.max_age_days if bounds.max_age_days is not None else longest + 1.0
    if age > limit:
        newest = dates.format_instant(int(orders.times.max()) // DAY * DAY)
        yield FeedFault(
            "age",
            age,
            f"the newest order, of {newest}, is {age:.1f} days old, and {limit:g} days are "
            "allowed; check the export, or set nightly.max_age_days",
        )


def measure_lines(orders: Orders, end: int) -> tuple[int, Int64]:
    """Order lines of the last two days, and of the same weekdays of each week before."""
    first, lines = windows.count_lines_per_day(orders)
    last = int((end - first) // DAY)  # days to the end
    padded = np.zeros(max(last, len(lines)), dtype=np.int64)
    padded[: len(lines)] = lines
    pairs = [
        padded[max(day - _DAYS, 0) : day].sum()
        for day in range(last, max(last - 7 * (_WEEKS + 1), 0), -7)
        if day >= _DAYS
    ]
    return int(pairs[0]) if pairs else 0, np.array(pairs[1:], dtype=np.int64)


def _judge_lines(orders: Orders, end: int, bounds: NightlyConfig) -> Iterator[FeedFault]:
    recent, before = measure_lines(orders, end)
    usual = float(np.median(before)) if len(before) else 0.0
    if len(before) < 3 or usual < _LEAST_LINES:
        return
    ratio = recent / usual
    is_low = ratio < 1.0 / bounds.lines and recent < before.min()
    if is_low or (ratio > bounds.lines and recent > before.max()):
        yield FeedFault(
            "lines",
            ratio,
            f"the last {_DAYS} days have {recent:,} order lines, where {usual:,.0f} are usual on "
            f"these weekdays ({before.min():,} to {before.max():,} in the {len(before)} weeks "
            "before): lines are missing or doubled; check the export, or raise nightly.lines",
        )


def measure_amounts(orders: Orders, end: int) -> tuple[float, float]:
    """Median positive amount of the last two days' lines, and of those of the weeks before; NaN
    where there are too few.
    """
    bounds = end - DAY * np.array([_DAYS + 7 * _WEEKS, _DAYS, 0], dtype=np.int64)
    slot = windows.find_slots(orders.times, bounds)
    sold = orders.amounts > 0
    parts = [orders.amounts[(slot == k) & sold] / orders.unit for k in (1, 0)]
    if len(parts[0]) < _LEAST_LINES or len(parts[1]) < 3 * _LEAST_LINES:
        return float("nan"), float("nan")
    return float(np.median(parts[0])), float(np.median(parts[1]))


def _judge_amounts(orders: Orders, end: int, bounds: NightlyConfig) -> Iterator[FeedFault]:
    recent, usual = measure_amounts(orders, end)
    ratio = recent / usual
    if max(ratio, 1.0 / ratio) > bounds.amount:
        yield FeedFault(
            "amounts",
            ratio,
            f"the median amount of the last {_DAYS} days' lines is {recent:,.2f}, {ratio:.3g} "
            f"times the {usual:,.2f} of the {_WEEKS} weeks before: another unit or currency; check "
            "the export, or raise nightly.amount",
        )


def _judge_history(
    orders: Orders, end: int, record: Record | None, bound: float
) -> Iterator[FeedFault]:
    if record is None:
        return
    history = compare_history(OrderTotals.of(orders), end, record)
    for noun, ratio in (("lines", history.lines), ("money", history.money)):
        if ratio is not None and abs(ratio - 1.0) > bound:
            yield FeedFault(
                f"history {noun}",
                ratio,
                f"months that the last training knew hold {ratio:.1%} of the {noun} they held "
                "then; check the export, or raise gate.history",
            )
