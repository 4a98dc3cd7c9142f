"""check: is this data fit for a forecast? Every finding passes, warns or fails, with its number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from ...configs.schema import Config, require_config
from ...discovery.checks.finding import Finding, Verdict
from ...discovery.checks.silent_faults import find_silent_faults
from ...discovery.checks.source_profile import profile_sources, profile_table
from ...orders import dates, windows
from ...orders.columns import Int64
from ...orders.cutoffs import (
    can_train,
    choose_training_cutoffs,
    get_default_cutoff,
    get_longest_horizon,
    get_newest_realised_cutoff,
    is_too_short_for_trees,
)
from ...orders.extra_features import ExtraFunction
from ...orders.order_table import OrderTable, build_order_table
from ...orders.orders import Orders
from ...orders.reading.customer_attributes import attach_customers
from ...orders.reading.frames import is_frame
from ...orders.reading.read_orders import OrdersSource, coerce_orders
from ...orders.reading.validation_issues import pluralize
from ..extra_features import attach_extra_features
from .extra_audit import audit_extra_features
from .leakage_audit import audit_leakage, choose_audit_cutoff

__all__ = ["check"]

_CUSTOMERS = (50, 1_000)  # fail below, warn below
_REPEAT_SHARE = 0.05
_RETURN_SHARE = 0.3
_GAP_DAYS = 14
_LEAST_ORDERS = 3
_MONTH_DAYS = (27, 32)  # from one charge of a month to the next
_MOSTLY = 0.8  # of a customer's gaps
_MOST_SHARE = 0.2
_LEAST_GAPS = 20  # between successive orders: fewer tell nothing
_WITHIN_SHARE = 0.25  # of the gaps that end within the horizon
_HORIZON_STEP_DAYS = 30
_BREAK = 4.0  # a week with this many times more, or fewer, lines than the eight before
_CLOSED_DAYS = 4  # days without an order in the same week of two years: a yearly closing
_WEEKS_OF_YEAR = 52


def check(
    orders: OrdersSource,
    config: Config | None = None,
    *,
    audit: bool = False,
    extra_features: ExtraFunction | None = None,
) -> list[Finding]:
    """Check whether the orders suit forecasts with the configuration's horizon.

    Parameters
    ----------
    orders : Orders, DataFrame, pyarrow.Table, str or Path
        Orders, a table of order lines, or where to read them.
    config : Config, optional
        Settings of the shop; the defaults if not given.
    audit : bool, default False
        Add a proof that no order at or after a cutoff changes a feature of these orders, and a
        test that your own features depend on nothing but a customer's own lines.
    extra_features : callable, optional
        Your own features, as in `clvcast.build_features`.

    Returns
    -------
    list of Finding
        One finding per check, in fixed order, with a verdict (pass, warn or fail) and a sentence.

    """
    config = require_config(config)
    source = orders
    orders = coerce_orders(source, config.orders)
    orders = attach_customers(orders, None, config.customers, config.orders)
    orders = attach_extra_features(orders, extra_features, config.features)
    end = get_default_cutoff(orders)
    entries = build_order_table(orders, end)
    ordered = entries.n_orders > 0
    n_orders = entries.n_orders[ordered].astype(np.float64)
    n_returns = entries.per_customer((~entries.is_order).astype(np.int64))[ordered]
    return [
        _check_history(orders, end, config.horizon_days),
        _check_customers(len(n_orders)),
        _repeat_buyers(n_orders),
        _repeat_orders(orders, entries, end, config.horizon_days),
        _check_returns(n_orders, n_returns),
        _check_gap(orders),
        _check_breaks(orders),
        _check_recurring_charges(entries),
        _check_unusable(orders),
        *_find_silent_faults(source, config),
        *(_audit(orders, config.horizon_days) if audit else []),
    ]


def _find_silent_faults(orders: object, config: Config) -> list[Finding]:
    """The findings on what was given, before it is packed; none for `Orders`, which are packed."""
    if isinstance(orders, str | Path):
        return find_silent_faults(profile_sources(config.orders.reading(str(orders))))
    if is_frame(orders) and not isinstance(orders, pa.RecordBatchReader):  # it was read already
        return find_silent_faults(profile_table(orders, config.orders))
    return []


def _audit(orders: Orders, horizon_days: int) -> list[Finding]:
    findings = [audit_leakage(orders, horizon_days)]
    if orders.extra is not None:
        cutoff = choose_audit_cutoff(orders, horizon_days)
        findings.append(audit_extra_features(orders, orders.extra, cutoff))
    return findings


def _check_history(orders: Orders, end: int, horizon_days: int) -> Finding:
    days = windows.count_span_days(orders, end)
    horizons = days / horizon_days
    first = windows.find_first_order_at(orders)
    sentence = f"{days:,.0f} days of orders are {horizons:.1f} horizons of {horizon_days} days"
    if not can_train(first, end, horizon_days):
        longest = get_longest_horizon(first, end)
        mend = (
            f"shorten horizon_days to {longest} or less" if longest else "too few for any horizon"
        )
        if is_too_short_for_trees(first, end, horizon_days):
            sentence += (
                ": train forecasts with BTYD alone, which no window can measure, so the "
                "gate leaves its promotion to you (clvcast models promote)"
            )
            return Finding("history", "warn", horizons, f"{sentence}; {mend} for a measured model")
        return Finding("history", "fail", horizons, f"{sentence}; {mend}")
    count = len(choose_training_cutoffs(first, end, horizon_days).instants)
    sentence += f", which allow {pluralize(count, 'training cutoff')}"
    held_out = get_newest_realised_cutoff(end, horizon_days)
    if not can_train(first, held_out, horizon_days):
        return Finding(
            "history", "warn", horizons, f"{sentence}, but no window held out to evaluate"
        )
    return Finding("history", "pass", horizons, sentence)


def _check_customers(n_customers: int) -> Finding:
    verdict: Verdict = "pass"
    if n_customers < _CUSTOMERS[1]:
        verdict = "fail" if n_customers < _CUSTOMERS[0] else "warn"
    limits = "" if verdict == "pass" else f"; {_CUSTOMERS[1]:,} make forecasts dependable"
    return Finding(
        "customers", verdict, n_customers, f"{pluralize(n_customers, 'customer')} ordered{limits}"
    )


def _repeat_buyers(n_orders: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Finding:
    share = float((n_orders > 1).mean()) if len(n_orders) else 0.0
    verdict: Verdict = "fail" if share == 0 else "warn" if share < _REPEAT_SHARE else "pass"
    return Finding(
        "repeat buyers", verdict, share, f"{share:.1%} of customers ordered twice or more"
    )


def _repeat_orders(orders: Orders, entries: OrderTable, end: int, horizon_days: int) -> Finding:
    """Whether customers who come back do so within the horizon, so that it shows them."""
    chosen = np.flatnonzero(entries.is_order)
    owner = entries.customers[chosen]
    gaps = np.diff(entries.times[chosen])[owner[1:] == owner[:-1]] / dates.DAY
    if len(gaps) < _LEAST_GAPS:
        return Finding("repeat orders", "pass", 0.0, "too few repeat orders to tell their rhythm")
    share = float(np.count_nonzero(gaps <= horizon_days) / len(gaps))
    sentence = f"{share:.0%} of repeat orders come within {horizon_days} days of the one before"
    if share >= _WITHIN_SHARE:
        return Finding("repeat orders", "pass", share, sentence)
    median = float(np.median(gaps))
    better = int(np.ceil(median / _HORIZON_STEP_DAYS)) * _HORIZON_STEP_DAYS
    longest = get_longest_horizon(windows.find_first_order_at(orders), end)
    sentence += f", half of them within {median:,.0f} days: most who come back count as churned"
    mend = f"horizon_days: {better}"
    if better > longest:
        mend = "give a longer history"
        if longest > horizon_days:
            mend = f"horizon_days: {longest}, as far as this history allows, or {mend}"
    return Finding("repeat orders", "warn", share, sentence, mend)


def _check_returns(
    n_orders: np.ndarray[tuple[int], np.dtype[np.float64]],
    n_returns: Int64,
) -> Finding:
    total = n_orders.sum() + n_returns.sum()
    share = float(n_returns.sum() / total) if total else 0.0
    return Finding(
        "returns",
        "warn" if share > _RETURN_SHARE else "pass",
        share,
        f"{share:.1%} of orders and returns are returns (net amount zero or less)",
    )


def _check_gap(orders: Orders) -> Finding:
    first, lines = windows.count_lines_per_day(orders)
    busy = np.flatnonzero(lines)
    gaps = np.diff(busy) - 1
    longest = int(gaps.max(initial=0))
    if longest == 0:
        return Finding("calendar", "pass", 0, "every day has orders")
    last_before = int(busy[int(np.argmax(gaps))])
    since = dates.format_instant(first + (last_before + 1) * dates.DAY)
    sentence = f"the longest time without an order is {pluralize(longest, 'day')}, from {since}"
    return Finding("calendar", "warn" if longest > _GAP_DAYS else "pass", longest, sentence)


def _check_breaks(orders: Orders) -> Finding:
    first, lines = windows.count_lines_per_day(orders)
    by_week = lines[: len(lines) // 7 * 7].reshape(-1, 7)
    weeks = by_week.sum(axis=1).astype(np.float64)
    is_closed = (by_week == 0).sum(axis=1) >= _CLOSED_DAYS
    worst, week = 1.0, -1
    for k in range(8, len(weeks)):
        years = [j for j in (k - _WEEKS_OF_YEAR, k + _WEEKS_OF_YEAR) if 0 <= j < len(weeks)]
        if is_closed[k] and any(is_closed[j] for j in years):
            continue  # between the years, say
        usual = float(np.median(weeks[k - 8 : k]))
        factor = max(weeks[k], 1.0) / max(usual, 1.0)
        if max(factor, 1 / factor) > max(worst, 1 / worst):
            worst, week = factor, k
    if week < 0:
        return Finding("breaks", "pass", 1.0, "too few weeks to tell a sudden break")
    since = dates.format_instant(first + week * 7 * dates.DAY)
    sentence = f"the oddest week, from {since}, has {worst:.2f} times the lines of the eight before"
    is_break = max(worst, 1 / worst) > _BREAK
    return Finding("breaks", "warn" if is_break else "pass", worst, sentence)


def _check_recurring_charges(entries: OrderTable) -> Finding:
    """How many customers pay the same amount every month, of those with three orders or more."""
    chosen = np.flatnonzero(entries.is_order)
    owner, net = entries.customers[chosen], entries.net[chosen]
    days = dates.floor_to_days(entries.times[chosen])
    follows = owner[1:] == owner[:-1]
    gap = np.diff(days)
    monthly = follows & (gap >= _MONTH_DAYS[0]) & (gap <= _MONTH_DAYS[1]) & (net[1:] == net[:-1])
    gaps = np.bincount(owner[1:][follows], minlength=entries.n_customers)
    alike = np.bincount(owner[1:][monthly], minlength=entries.n_customers)
    regulars = gaps >= _LEAST_ORDERS - 1
    charged = int(np.count_nonzero(regulars & (alike >= _MOSTLY * gaps)))
    share = charged / max(int(np.count_nonzero(regulars)), 1)
    sentence = (
        f"{share:.1%} of customers with {_LEAST_ORDERS} orders or more pay the same amount "
        "every month"
    )
    if share <= _MOST_SHARE:
        return Finding("recurring charges", "pass", share, sentence)
    mend = (
        "these look like contracts, whose end is announced: clvcast forecasts orders, and knows "
        "no cancelling"
    )
    return Finding("recurring charges", "warn", share, f"{sentence}; {mend}")


def _check_unusable(orders: Orders) -> Finding:
    report = orders.report
    share = sum(report.rejected.values()) / max(report.lines_read, 1)
    anonymous = report.lines_without_customer / max(report.lines_read, 1)
    sentence = f"{share:.1%} of the lines cannot be used, {anonymous:.1%} name no customer"
    return Finding("lines", "warn" if share > 0.01 or anonymous > 0.5 else "pass", share, sentence)
