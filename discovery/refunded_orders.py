"""Orders called refunded, in a file without refunded amounts: they count in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks.vocabulary import is_true
from .column_profiles import ColumnProfile
from .column_roles import is_flag
from .proposal import Proposal
from .words import is_refunded, rate_name

__all__ = ["ask_of_refunded"]

_MOST_VALUES = 30


def ask_of_refunded(
    proposal: Proposal,
    columns: dict[str, ColumnProfile],
    settings: Mapping[str, Any],
    *,
    is_closed_refunded: bool = False,
) -> None:
    """Ask whether orders that a status, a flag or a date calls refunded are to be left out.

    `settings` are the filters chosen so far. In some platforms closed means refunded too.
    """
    for name, column in columns.items():
        if column.date is not None and not column.is_number:
            n_dates = int(column.filled.sum())
            if rate_name(name, "refund") > 0 and n_dates < len(column.cells):
                _ask(
                    proposal,
                    f"{name} has a date on {n_dates:,} lines",
                    f"list '' under only: {name}",
                )
            continue
        if column.distinct > _MOST_VALUES:
            continue
        counts = column.cells[column.filled].value_counts()
        is_refund_flag = rate_name(name, "refund") > 0 and is_flag(column)
        refunded = {
            str(value): int(n)
            for value, n in counts.items()
            if not _is_left_out(settings, name, str(value))
            and (
                is_true(str(value))
                if is_refund_flag
                else is_refunded(str(value))
                or (is_closed_refunded and str(value).lower() == "closed")
            )
        }
        if refunded:
            says = ", ".join(f"{value} ({n:,} lines)" for value, n in refunded.items())
            words = " and ".join(map(repr, refunded) if is_refund_flag else refunded)
            _ask(proposal, f"{name} is {says}", f"add {words} to except: {name}")


def _is_left_out(settings: Mapping[str, Any], name: str, value: str) -> bool:
    """Whether a filter leaves out a value of a column, or takes it for a return."""
    kept = settings.get("only", {}).get(name)
    listed = [*settings.get("except", {}).get(name, ()), *settings.get("returns", {}).get(name, ())]
    if kept is not None and value.lower() not in {one.lower() for one in kept}:
        return True
    return value.lower() in {one.lower() for one in listed}


def _ask(proposal: Proposal, says: str, mend: str) -> None:
    proposal.ask(
        "except",
        f"{says} and the file has no refunded amounts: they count in full. "
        f"To leave them out, {mend}",
    )
