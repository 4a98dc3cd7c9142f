"""What to do: campaign lists with counts and money; customer ids only on request."""

from __future__ import annotations

from ...configs.lists import STAKES
from . import charts
from .headlines import describe_list
from .number_format import NumberFormat
from .page_model import Chart, ReportSection, build_table
from .report_data import ReportData

__all__ = ["build_action_section"]

_SHOWN_IDS = 20


def build_action_section(
    content: ReportData, writing: NumberFormat, *, with_ids: bool
) -> ReportSection:
    """The campaign lists with counts and money; customer ids only on request."""
    summary = content.lists.summary
    summary = summary.assign(stake_in_words=summary["stake"].map(STAKES))
    ranked = summary.sort_values("value_at_stake", ascending=False, kind="stable")
    by_clv = ranked[ranked["stake"] == "clv"]  # orders and upper bounds are other money
    sections = [
        Chart(
            "lists",
            describe_list(by_clv, writing),
            f"Expected CLV by list, {writing.value_unit}; a customer may be on several",
            charts.draw_bars(
                by_clv["list"].tolist(),
                by_clv["value_at_stake"].tolist(),
                writing,
                writing.value_unit,
                texts=[writing.brief(value) for value in by_clv["value_at_stake"]],
            ),
            build_table(
                "Campaign lists",
                ranked,
                [
                    ("list", "list", "text"),
                    ("customers", "customers", "count"),
                    ("held_out", "held out", "count"),
                    ("value_at_stake", "at stake", "amount"),
                    ("stake_in_words", "stake", "text"),
                    ("basis", "basis", "text"),
                ],
                writing,
            ),
            "Lists with another stake than CLV are in the table only. Held-out customers are not "
            "contacted; they are the control group.",
            is_open=True,
        )
    ]
    if with_ids:
        sections += [
            _chart_members(name, content, writing)
            for name in ranked["list"]
            if content.lists.contacts[name].num_rows
        ]
    lead = (
        "Each list has customers with a reason and a date; the command clvcast lists writes them.",
        *content.left_out,
    )
    return ReportSection("actions", "What to do", lead, tuple(sections))


def _chart_members(name: str, content: ReportData, writing: NumberFormat) -> Chart:
    rows = content.lists.contacts[name]
    first = rows.slice(0, _SHOWN_IDS).to_pandas()
    return Chart(
        f"names-{name}",
        f"{name}: the first {len(first)} of {writing.count(rows.num_rows, 'customer')}",
        "By value at stake",
        None,
        build_table(
            f"First customers of {name}",
            first,
            [
                ("customer_id", "customer", "text"),
                ("priority", "priority", "count"),
                ("value_at_stake", "at stake", "amount"),
                ("reason", "reason", "text"),
                ("suggested_date", "date", "text"),
            ],
            writing,
        ),
    )
