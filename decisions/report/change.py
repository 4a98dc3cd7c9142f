"""What changed since the previous forecast: steps between the totals, moves between tiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from ...models.segments import TIERS
from . import charts
from .headlines import describe_change
from .number_format import NumberFormat
from .page_model import Chart, ReportSection, build_table

if TYPE_CHECKING:
    from ...evaluation.comparison import Comparison

__all__ = ["build_change_section"]


def build_change_section(
    change: Comparison, since: str, until: str, writing: NumberFormat, *, with_ids: bool
) -> ReportSection:
    """Steps between the totals, moves between tiers, and largest changes on request."""
    steps = pd.DataFrame(
        {
            "step": [f"at {since}", *(term.name for term in change.terms), f"at {until}"],
            "customers": [None, *(term.customers for term in change.terms), None],
            "amount": [change.before, *(term.amount for term in change.terms), change.after],
        }
    )
    steps["customers"] = steps["customers"].astype("float64")
    sections = [
        Chart(
            "bridge",
            describe_change(change.before, change.after, writing),
            f"Expected CLV at {since}, changes, and at {until}, {writing.value_unit}",
            charts.draw_steps(
                steps["step"].tolist(), steps["amount"].tolist(), writing, writing.value_unit
            ),
            build_table(
                "Changes between the two forecasts",
                steps,
                [
                    ("step", "step", "text"),
                    ("customers", "customers", "count"),
                    ("amount", "amount", "value"),
                ],
                writing,
            ),
            is_wide=True,
        )
    ]
    if "tier" in change.migrations:
        sections.append(_chart_migration(change.migrations["tier"], writing))
    if with_ids:
        sections += [
            _chart_movers("rose", change.rose, writing),
            _chart_movers("fell", change.fell, writing),
        ]
    lead = (f"The previous forecast is of {since}; the changes add up to the difference.",)
    return ReportSection("change", "What changed", lead, tuple(sections))


def _chart_migration(moves: pd.DataFrame, writing: NumberFormat) -> Chart:
    rank = {tier: k for k, tier in enumerate(TIERS)}
    ranked_moves = moves[moves["from"].isin(rank) & moves["to"].isin(rank)]
    up = ranked_moves["to"].map(rank) > ranked_moves["from"].map(rank)
    down = ranked_moves["to"].map(rank) < ranked_moves["from"].map(rank)
    rose, fell = (
        int(ranked_moves.loc[up, "customers"].sum()),
        int(ranked_moves.loc[down, "customers"].sum()),
    )
    before, after = _sort_tiers(moves["from"], rank), _sort_tiers(moves["to"], rank)
    wide = moves.pivot(index="from", columns="to", values="customers").reindex(
        index=before, columns=after
    )
    counts: Sequence[Sequence[Any]] = wide.to_numpy(dtype="float64").tolist()
    return Chart(
        "migration",
        f"{writing.count(rose, 'customer')} rose to a higher tier, {writing.number(fell)} fell",
        "Customers by tier before and now",
        charts.draw_grid(
            before,
            after,
            counts,
            [["" if count != count else writing.number(count) for count in row] for row in counts],
            writing,
            ("tier before", "tier now"),
        ),
        build_table(
            "Moves between tiers",
            moves.assign(change=moves["value_after"] - moves["value_before"]),
            [
                ("from", "from tier", "text"),
                ("to", "to tier", "text"),
                ("customers", "customers", "count"),
                ("value_before", "CLV before", "value"),
                ("value_after", "CLV now", "value"),
                ("change", "change", "value"),
            ],
            writing,
        ),
        is_open=True,
    )


def _sort_tiers(names: pd.Series[Any], rank: dict[str, int]) -> list[str]:
    """Tiers from high to low, then the labels of customers without a tier."""
    return sorted({str(name) for name in names}, key=lambda name: -rank.get(name, -1))


def _chart_movers(way: str, rows: pd.DataFrame, writing: NumberFormat) -> Chart:
    return Chart(
        f"who-{way}",
        f"The {writing.count(len(rows), 'customer')} that {way} most",
        "By change of expected CLV",
        None,
        build_table(
            f"Customers that {way} most",
            rows,
            [
                ("customer_id", "customer", "text"),
                ("before", "CLV before", "value"),
                ("after", "CLV now", "value"),
                ("change", "change", "value"),
            ],
            writing,
        ),
    )
