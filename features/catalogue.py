"""The feature catalogue: every feature's name, group, unit and meaning, as data.

The kernel fills a group's columns in the order given here; documents and reports read the rest. A
new feature is one entry here and one line in that group's function (kernel/order_features.py,
kernel/line_features.py).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CATALOGUE",
    "GROUPS",
    "TRAILING_DAYS",
    "Feature",
    "Group",
    "format_catalogue",
    "select_features",
]

TRAILING_DAYS = (30, 60, 90, 180, 365)


@dataclass(frozen=True)
class Feature:
    """One column of the feature table."""

    name: str
    group: str
    unit: str  # days, money, orders, share, ...
    meaning: str
    one_order: str  # the value for a customer with a single order


@dataclass(frozen=True)
class Group:
    """Features that one function of the kernel fills; `needs` is the optional column behind it."""

    name: str
    needs: str | None
    features: tuple[Feature, ...]


def _group(name: str, needs: str | None, *rows: tuple[str, str, str, str]) -> Group:
    return Group(name, needs, tuple(Feature(row[0], name, *row[1:]) for row in rows))


def _list_trailing() -> list[tuple[str, str, str, str]]:
    rows = []
    for days in TRAILING_DAYS:
        window = f"in the {days} days before the cutoff"
        rows += [
            (f"orders_{days}", "orders", f"orders {window}", "0 or 1"),
            (f"spend_{days}", "money", f"spend {window}", "0 or its value"),
            (f"returns_{days}", "money", f"money returned {window}", "0"),
        ]
    return rows


def _list_variety(noun: str, plural: str) -> list[tuple[str, str, str, str]]:
    return [
        (f"n_{plural}", "count", f"number of different {plural} bought", "at least 1"),
        (f"top_{noun}_share", "share", f"share of lines with the most bought {noun}", "0 to 1"),
        (f"lines_per_{noun}", "lines", f"purchase lines / different {plural}", "at least 1"),
    ]


GROUPS: tuple[Group, ...] = (
    _group(
        "recency", None,
        ("days_since_last_order", "days", "cutoff minus last order", "as tenure_days"),
        ("tenure_days", "days", "cutoff minus first order", "as days_since_last_order"),
        ("n_orders", "orders", "orders before the cutoff", "1"),
        ("n_order_days", "days", "number of days with an order", "1"),
        ("active_days", "days", "last order minus first order", "0"),
        ("orders_per_year", "orders", "n_orders / max(tenure_days, 28) x 365", "by tenure"),
    ),
    _group(
        "money", None,
        ("spend_total", "money", "spend before the cutoff", "its value, less returns"),
        ("gross_total", "money", "sum of all positive lines", "its positive lines"),
        ("spend_per_year", "money", "spend_total / max(tenure_days, 28) x 365", "by tenure"),
        ("order_value_mean", "money", "mean net value of an order", "its value"),
        ("order_value_first", "money", "net value of the first order", "its value"),
        ("order_value_last", "money", "net value of the last order", "its value"),
        ("order_value_max", "money", "net value of the largest order", "its value"),
        ("order_value_min", "money", "net value of the smallest order", "its value"),
        ("order_value_spread", "money", "standard deviation of order values", "missing"),
        ("order_value_last_over_mean", "ratio", "last order's value / mean", "1"),
        ("largest_order_share", "share", "largest order / all orders' value", "1"),
    ),
    _group(
        "returns", None,
        ("n_returns", "returns", "returns before the cutoff", "0 unless it was returned"),
        ("returns_total", "money", "money returned before the cutoff", "0 unless it was returned"),
        ("returns_share", "share", "returns_total / gross_total", "0 unless it was returned"),
        ("days_since_last_return", "days", "cutoff minus last return", "missing without a return"),
    ),
    _group(
        "rhythm", None,
        ("gap_mean", "days", "mean time between orders", "missing"),
        ("gap_spread", "days", "standard deviation of gaps", "missing (needs three orders)"),
        ("gap_last", "days", "time between the last two orders", "missing"),
        ("gap_longest", "days", "longest time between two orders", "missing"),
        ("gap_shortest", "days", "shortest time between two orders", "missing"),
        ("gap_last_over_mean", "ratio", "gap_last / max(gap_mean, 1)", "missing"),
        ("silence_over_gap", "ratio", "days_since_last_order / max(gap_mean, 1)", "missing"),
    ),
    _group("trailing", None, *_list_trailing()),
    _group(
        "trend", None,
        ("orders_change_30", "orders", "orders_30 minus orders of the 30 days before", "-1 to 1"),
        ("orders_change_90", "orders", "orders_90 minus orders of the 90 days before", "-1 to 1"),
        ("spend_change_30", "money", "spend_30 minus spend of the 30 days before", "by its age"),
        ("spend_change_90", "money", "spend_90 minus spend of the 90 days before", "by its age"),
        ("orders_recent_share", "share", "orders_90 / orders_365", "0 or 1; missing if older"),
        ("spend_recent_share", "share", "spend_90 / spend_365", "0 or 1; missing without spend"),
    ),
    _group(
        "calendar", None,
        ("weekend_share", "share", "share of orders on Saturdays and Sundays", "0 or 1"),
        ("evening_share", "share", "share of orders from 18:00 to midnight", "0 or 1"),
        ("year_end_share", "share", "share of orders in November and December", "0 or 1"),
        ("first_order_month", "month", "month of the first order, 1 to 12", "its month"),
        ("last_order_month", "month", "month of the last order, 1 to 12", "its month"),
        ("last_order_weekday", "weekday", "weekday of the last order, Monday 0", "its weekday"),
    ),
    _group(
        "season", None,
        ("cutoff_year_sin", "ratio", "sine of the cutoff's place in the year", "of the cutoff"),
        ("cutoff_year_cos", "ratio", "cosine of the cutoff's place in the year", "of the cutoff"),
    ),
    _group(
        "basket", None,
        ("lines_per_order", "lines", "purchase lines / orders", "its lines"),
        ("lines_first_order", "lines", "lines of the first order", "its lines"),
        ("lines_last_order", "lines", "lines of the last order", "its lines"),
    ),
    _group("products", "product_id", *_list_variety("product", "products")),
    _group("categories", "category", *_list_variety("category", "categories")),
    _group("channels", "channel", *_list_variety("channel", "channels")),
    _group(
        "quantity", "quantity",
        ("quantity_total", "units", "units bought", "its units"),
        ("quantity_per_order", "units", "units bought / orders", "its units"),
        ("unit_price", "money", "gross_total / units bought", "its mean price"),
    ),
    _group(
        "discount", "discount",
        ("discount_share", "share", "discounts / (gross_total + discounts)", "0 to 1"),
        ("discounted_lines_share", "share", "share of purchase lines with a discount", "0 to 1"),
    ),
    _group(
        "cost", "cost",
        ("margin_share", "share", "(gross_total - its cost) / gross_total", "up to 1"),
    ),
)  # fmt: skip

CATALOGUE: tuple[Feature, ...] = tuple(feature for group in GROUPS for feature in group.features)


def format_catalogue() -> str:
    """The catalogue as the page docs/features.md."""
    needs = ", ".join(f"{group.name} (`{group.needs}`)" for group in GROUPS if group.needs)
    lines = [
        "# Features",
        "",
        f"This page lists the {len(CATALOGUE)} features per customer and cutoff. All come from the",
        "customer's own orders before the cutoff. *One order* is the value for a customer with one",
        "order; *by tenure* and *by its age* mean that it depends on the days since that order.",
        "A gap is the time between two orders in a row. Trees use missing values as they are.",
        "",
        "These groups need an optional column of the orders:",
        f"{needs}.",
        "",
        "This page is generated: `python -m clvcast.features.catalogue`.",
        "",
        "| group | feature | unit | meaning | one order |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {f.group} | `{f.name}` | {f.unit} | {f.meaning} | {f.one_order} |" for f in CATALOGUE
    ]
    return "\n".join(lines) + "\n"


def select_features(
    columns: Collection[str], groups: Collection[str] | None = None
) -> tuple[Feature, ...]:
    """The features of orders with these optional columns, of some groups, in the kernel's order."""
    return tuple(
        feature
        for group in GROUPS
        if group.needs is None or group.needs in columns
        if groups is None or group.name in groups
        for feature in group.features
    )


if __name__ == "__main__":
    page = Path(__file__).resolve().parents[1] / "docs" / "features.md"
    page.write_text(format_catalogue(), encoding="utf-8")
