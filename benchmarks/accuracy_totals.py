"""Totals: does the 90 % interval of a segment's sum hold what its customers spent together?

Segments are the whole base, the value tiers of the forecast, and the monthly cohorts of a hundred
customers or more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from accuracy_data import Cell, actual_spend, known_days

import clvcast

__all__ = ["Case", "cases", "totals_table"]

_LEAST = 100  # customers of a cohort


@dataclass(frozen=True)
class Case:
    """One segment of one cell: the forecast total with its interval, and what was spent."""

    cell: str
    kind: str  # base, tier or cohort
    segment: str
    expected: float
    lower: float
    upper: float
    actual: float

    @property
    def inside(self) -> bool:
        """Whether the interval holds the actual total."""
        return self.lower <= self.actual <= self.upper


def cases(
    cells: Iterable[Cell],
    days_of: Callable[[str], pd.DataFrame],
    forecast_of: Callable[[Cell], pd.DataFrame],
) -> list[Case]:
    """Every segment of every cell."""
    found = []
    for cell in cells:
        days = days_of(cell.data)
        made = forecast_of(cell)
        first = known_days(days, cell).groupby("customer_id")["ordered_at"].min()
        made = made.assign(
            actual=actual_spend(days, cell)[1],
            base="all",
            cohort=first.dt.strftime("%Y-%m").reindex(made.index),
        )
        for kind in ("base", "tier", "cohort"):
            rows = clvcast.total(made, "spend", by=kind)
            actual = made.groupby(kind)["actual"].sum()
            for name, row in rows.iterrows():
                if kind != "cohort" or row["customers"] >= _LEAST:
                    bounds = (row["expected"], row["lower"], row["upper"])
                    came = float(actual[str(name)])
                    found.append(Case(cell.name, kind, str(name), *bounds, came))
    return found


def totals_table(found: Sequence[Case]) -> list[str]:
    """Lines of markdown: how often the interval held the total, by kind of segment and by cell."""
    lines = ["| segments | cases | inside |", "|---|---|---|"]
    for kind in ("base", "tier", "cohort"):
        inside = [case.inside for case in found if case.kind == kind]
        lines.append(f"| {kind} | {len(inside)} | {sum(inside)} |")
    held = sum(case.inside for case in found)
    lines.append(f"| all | {len(found)} | {held} ({held / len(found):.0%}) |")
    lines += [
        "",
        "| cell | segments inside | base: actual / expected | interval |",
        "|---|---|---|---|",
    ]
    for cell in dict.fromkeys(case.cell for case in found):
        own = [case for case in found if case.cell == cell]
        base = next(case for case in own if case.kind == "base")
        lines.append(
            f"| {cell} | {sum(case.inside for case in own)} of {len(own)} | "
            f"{base.actual / base.expected:.2f} | {base.lower / base.expected:.2f} to "
            f"{base.upper / base.expected:.2f} |"
        )
    return lines
