"""What to do: the campaign lists with counts and money; names only where they were asked for."""

from __future__ import annotations

from ...configs.lists import STAKES
from . import charts
from .headlines import describe_list
from .number_format import Kind, NumberFormat
from .page_model import Chart, ReportSection, build_table
from .report_data import ReportData

__all__ = ["build_action_section"]

_SHOWN_IDS = 20


def build_action_section(
    content: ReportData, writing: NumberFormat, *, with_ids: bool
) -> ReportSection:
    """The campaign lists, with counts and money; names only where they were asked for."""
    summary = content.lists.summary
    columns: list[tuple[str, str, Kind]] = [
        ("list", "list", "text"),
        ("customers", "customers", "count"),
        ("held_out", "held out", "count"),
        ("value_at_stake", "at stake", "money"),
        ("stake_in_words", "at stake is", "text"),
    ]
    summary = summary.assign(stake_in_words=summary["stake"].map(STAKES))
    best_first = summary.sort_values("value_at_stake", ascending=False, kind="stable")
    found = [
        Chart(
            "lists",
            describe_list(summary, writing),
            f"Value at stake by list, {writing.money_unit}; a customer may be on several",
            charts.draw_bars(
                best_first["list"].tolist(),
                best_first["value_at_stake"].tolist(),
                writing,
                writing.money_unit,
                texts=[writing.brief(value) for value in best_first["value_at_stake"]],
            ),
            build_table("Campaign lists", best_first, columns, writing),
            "Held out are customers whom no list contacts, to measure the effect against.",
            is_open=True,
        )
    ]
    if with_ids:
        found += [
            _names(name, content, writing)
            for name in best_first["list"]
            if content.lists.contacts[name].num_rows
        ]
    lead = (
        "Each list names its customers, a reason and a date for each: the command clvcast lists writes them.",
        *content.left_out,
    )
    return ReportSection("actions", "What to do", lead, tuple(found))


def _names(name: str, content: ReportData, writing: NumberFormat) -> Chart:
    rows = content.lists.contacts[name]
    first = rows.slice(0, _SHOWN_IDS).to_pandas()
    columns: list[tuple[str, str, Kind]] = [
        ("customer_id", "customer", "text"),
        ("priority", "priority", "count"),
        ("value_at_stake", "at stake", "money"),
        ("reason", "reason", "text"),
        ("suggested_date", "date", "text"),
    ]
    return Chart(
        f"names-{name}",
        f"{name}: the first {len(first)} of {writing.count(rows.num_rows, 'customer')}",
        "By value at stake",
        None,
        build_table(f"First customers of {name}", first, columns, writing),
    )
