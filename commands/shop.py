"""What check and train print of the orders read: their sums, and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from .console import err, note, out

if TYPE_CHECKING:
    from ..configs.schema import Config
    from ..discovery.checks.finding import Finding
    from ..discovery.checks.shop_summary import ShopSummary
    from ..discovery.checks.source_profile import SourceProfile

__all__ = ["print_findings", "print_silent_faults", "print_summary", "warn_of_money"]

_MOST_MONTHS = 36  # shown one by one
_BAR_WIDTH = 30
_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


def print_summary(summary: ShopSummary) -> None:
    """What was read, in the numbers of a shop's dashboard."""
    currency = summary.currency
    out.print("What was read (compare it with the shop's own dashboard):")
    lines = f"{summary.lines_used:,}"
    if summary.lines_used != summary.lines_read:
        lines += f" of {summary.lines_read:,} read"
    rows = {
        "order lines": lines,
        "orders": f"{summary.orders:,}",
        "returns": f"{summary.returns:,}, {summary.return_share:.1%} of the money of purchases",
        "customers": f"{summary.customers:,}",
        "period": f"{summary.first_order} to {summary.last_order}",
        "currency": currency or "not stated (orders.currency)",
        "net revenue": _format_exact(summary.net_revenue, currency),
        "largest customer": f"{summary.top_customer}, {summary.top_customer_share:.1%} of it",
    }
    for column, counts in summary.statuses.items():
        rows[column] = ", ".join(f"{value} {count:,}" for value, count in counts.items())
    width = max(map(len, rows))
    for name, value in rows.items():
        out.print(f"  {name:{width}}  {value}")
    _print_months(summary.net_revenue_by_month, currency)
    for remark in summary.remarks:
        out.print(f"  note: {remark}")
    out.print()


def _print_months(months: Mapping[str, float], currency: str) -> None:
    """Net revenue by month: the number, and a bar of its share of the largest."""
    out.print("  net revenue by month")
    recent_months = list(months.items())[-_MOST_MONTHS:]
    earlier = sum(months.values()) - sum(value for _, value in recent_months)
    if len(months) > len(recent_months):
        before = len(months) - len(recent_months)
        out.print(f"    {before:,} months before: {_format_exact(earlier, currency)}")
    largest = max((value for _, value in recent_months), default=0.0)
    numbers = [f"{value:,.2f}" for _, value in recent_months]
    width = max(map(len, numbers), default=0)
    sign = "\u2588" if out.is_terminal else "#"
    for (month, value), number in zip(recent_months, numbers, strict=True):
        bar = sign * round(_BAR_WIDTH * max(value, 0.0) / largest) if largest > 0 else ""
        out.print(f"    {month}  {number:>{width}}  {bar}".rstrip())


def _format_exact(amount: float, currency: str) -> str:
    return f"{amount:,.2f} {currency}".rstrip()


def print_findings(findings: Sequence[Finding]) -> None:
    """Each finding with its verdict; how to mend it below."""
    for finding in findings:
        sentence = f"  {finding.name}: {finding.sentence}"
        out.print(Text.assemble((finding.verdict, _COLOURS[finding.verdict]), sentence))
        if finding.mend and finding.verdict != "pass":
            out.print(f"      mend: {finding.mend}")


def print_silent_faults(faults: Sequence[Finding], profile: SourceProfile) -> None:
    """The silent faults that were found one by one, the names of the others in one line."""
    print_findings([fault for fault in faults if fault.verdict != "pass"])
    passed = [fault.name for fault in faults if fault.verdict == "pass"]
    if passed:
        sentence = f"  silent faults: none in {', '.join(passed)}"
        out.print(Text.assemble(("pass", _COLOURS["pass"]), sentence))
    if profile.is_capped:
        out.print(f"      looked for in the first {profile.n_lines_read:,} lines")


def warn_of_money(settings: Config, lines_read: int, silent: bool) -> list[str]:
    """Print the silent faults that change money where warnings go, and return them."""
    from ..discovery.checks.silent_faults import MONEY_DETECTORS, find_silent_faults
    from ..discovery.checks.source_profile import MOST_LINES, profile_sources

    if lines_read > MOST_LINES:
        note([f"more than {MOST_LINES:,} lines: clvcast check looks for silent faults"], silent)
        return []
    faults = find_silent_faults(profile_sources(settings.orders), MONEY_DETECTORS)
    warnings = [
        f"{fault.name}: {fault.sentence}; {fault.mend}"
        for fault in faults
        if fault.verdict != "pass"
    ]
    if not silent:
        for warning in warnings:
            err.print(f"warning: {warning}")
    return warnings
