"""The report on reading, completed by what packing counted: totals, copies, rounding."""

from __future__ import annotations

from dataclasses import replace

from ...configs.schema import OrdersConfig
from ...errors import OrdersError
from ..orders import OrdersReport
from .multiple_sources import describe_shared_orders
from .usable_lines import Counts
from .validation_issues import join_words, pluralize

__all__ = ["complete_report"]

_NO_TOTAL = "the order has no total on any line"
_UNCLEAR_TOTAL = "the order has more than one total"


def complete_report(report: OrdersReport, counts: Counts, config: OrdersConfig) -> OrdersReport:
    """The report with what packing counted; refuses too many orders whose total is not clear."""
    decimals = config.currency_decimals
    rejected = {
        _NO_TOTAL: counts.without_total,
        _UNCLEAR_TOTAL: counts.unclear_total,
    }
    n_rejected = sum(rejected.values())
    if n_rejected > config.max_rejected_share * (counts.used + n_rejected):
        raise OrdersError(
            f"{n_rejected:,} of {pluralize(counts.used + n_rejected, 'line')} have no clear order "
            f"total ({counts.without_total:,} of orders without one, {counts.unclear_total:,} of "
            "orders with several); is the amount of a line? then leave out orders.amount_per: order"
        )
    left_out = dict(report.left_out)
    if counts.left_out:
        left_out["blank lines of orders left out"] = counts.left_out
    if not counts.used:
        raise OrdersError(
            "orders.only and orders.except must keep some lines, got "
            f"{report.lines_read:,} lines of which all are left out; list other values"
        )
    report = replace(
        report,
        rejected=dict(report.rejected) | {why: n for why, n in rejected.items() if n},
        left_out=left_out,
        lines_used=counts.used,
        duplicate_lines=counts.dropped if report.duplicates_dropped else counts.repeated,
        rounded_lines=counts.rounded,
        rounding_total=counts.rounding / 1e6 / 10.0**decimals,
        shared_orders=counts.shared,
    )
    remarks = list(report.remarks)
    if left_out:
        kinds = [f"{value} ({lines:,})" for value, lines in left_out.items()]
        lines = pluralize(sum(left_out.values()), "line")
        remarks.append(f"{lines} left out by only, except or currency: {join_words(kinds)}")
    remarks += [f"set aside: {pluralize(n, 'line')}, {why}" for why, n in rejected.items() if n]
    if counts.shared:
        remarks.append(describe_shared_orders(counts, report.duplicates_dropped))
    remarks += _describe_copies(counts)
    if report.lines_without_customer:
        share = report.lines_without_customer / report.lines_read
        lines = pluralize(report.lines_without_customer, "line")
        remarks.append(f"{lines} ({share:.1%}) name no customer and are set aside")
    if report.duplicate_lines:
        lines = pluralize(report.duplicate_lines, "line")
        if report.duplicates_dropped:
            remarks.append(f"{lines} repeated another in every column of the file: dropped")
        else:
            mend = "orders.duplicates: drop removes those that do in every column of the file"
            remarks.append(f"{lines} repeat another in every mapped column: kept ({mend})")
    if counts.repeated and report.duplicates_dropped:
        lines = pluralize(counts.repeated, "line")
        remarks.append(f"{lines} repeat another in every mapped column, not in all columns: kept")
    if report.rounded_lines:
        amounts = pluralize(report.rounded_lines, "amount")
        remarks.append(
            f"{amounts} rounded to {pluralize(decimals, 'decimal')}, "
            f"{report.rounding_total:+.4f} in all"
        )
    if counts.customers > 1 and counts.spend > 0 and counts.largest > counts.spend / 2:
        remarks.append(f"one customer holds {counts.largest / counts.spend:.0%} of all revenue")
    return replace(report, remarks=tuple(remarks))


def _describe_copies(counts: Counts) -> list[str]:
    """Orders that several files of one source have."""
    remarks = []
    if counts.superseded_orders:
        remarks.append(
            f"{pluralize(counts.superseded_orders, 'order')} in several files whose dates overlap: "
            f"kept as in the latest file, {pluralize(counts.superseded_lines, 'line')} of "
            f"{join_words(counts.superseded_files)} dropped"
        )
    if counts.divided_orders:
        remarks.append(
            f"{pluralize(counts.divided_orders, 'order')} in several files that are no copies of "
            "each other (other lines or totals): all lines kept"
        )
    return remarks
