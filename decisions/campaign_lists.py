"""lists: whom to contact, why, when, and the value at stake, ready for import into a CRM.

The configuration's rules are applied in their order. Customers held out, by a hash of their id, are
not contacted: the comparison with contacted customers measures a campaign's effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..atomic_files import write_tables
from ..configs.economics import Basis
from ..configs.lists import DATES, NUMBERS, TEXTS, Condition, ListRule, parse_condition
from ..configs.schema import Config
from ..errors import ConfigError
from ..evaluation.dictionary import build_dictionary
from ..models.forecast_terms import ForecastTerms
from ..orders import dates
from ..orders.columns import Float64, Int64, Mask
from ..spreadsheet_cells import count_formulas
from .customer_base import (
    CustomerBase,
    ForecastSource,
    OrdersSource,
    check_past,
    open_customer_base,
)
from .list_backtest import backtest_lists
from .list_columns import ListColumns, build_list_columns
from .retention_value import describe_retention_value

__all__ = ["Lists", "lists", "select_by_rule"]

_FIELD = re.compile(r"{(\w+)}")
_HASH_KEY = "clvcast hold out"  # 16 characters; another key holds out other customers
SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("priority", pa.int32()),
        ("value_at_stake", pa.float64()),
        ("reason", pa.string()),
        ("suggested_date", pa.date32()),
        ("basis", pa.string()),  # of value_at_stake: revenue, margin or contribution
    ]
)


@dataclass(frozen=True)
class Lists:
    """Every list with its held-out customers and totals; money in the shop's currency."""

    contacts: Mapping[str, pa.Table]  # list -> rows of SCHEMA, by priority
    held_out: Mapping[str, pa.Table]  # list -> rows of SCHEMA that are not contacted
    summary: pd.DataFrame  # one row per list: customers, value, held out, backtest
    budget: pd.DataFrame  # per segment, tier and risk: maximum value of keeping a customer
    remarks: tuple[str, ...]
    terms: ForecastTerms | None = None  # what the forecasts' numbers mean

    def save(self, folder: Path, ending: str = "csv", *, safe_cells: bool = False) -> None:
        """Write one file per list, held_out, summary and budget, all or none.

        In .csv files texts that a spreadsheet would run get an apostrophe; customer ids only with
        `safe_cells`, since campaign tools import them.
        """
        tables: dict[str, pd.DataFrame | pa.Table] = dict(self.contacts)
        held_out = [
            table.add_column(0, "list", pa.repeat(name, table.num_rows))
            for name, table in self.held_out.items()
        ]
        if held_out:
            tables["held_out"] = pa.concat_tables(held_out)
        tables |= {"summary": self.summary, "budget": self.budget}
        tables |= {"dictionary": build_dictionary(tables, self.terms)}
        write_tables(folder, tables, ending, () if safe_cells else ("customer_id",))

    def count_formula_ids(self) -> int:
        """How many customer ids of the lists a spreadsheet would run."""
        return sum(count_formulas(table["customer_id"]) for table in self.contacts.values())


def lists(
    forecasts: ForecastSource | CustomerBase,
    orders: OrdersSource | None = None,
    config: Config | None = None,
    past: ForecastSource | CustomerBase | None = None,
) -> Lists:
    """Build the campaign lists of the configuration's rules.

    Parameters
    ----------
    forecasts : DataFrame, pyarrow.Table, str, Path or CustomerBase
        Forecasts of one cutoff, as `clvcast.score` returns them, or their file.
    orders : Orders, DataFrame, pyarrow.Table, str or Path, optional
        The orders the forecasts were made from, or where to read them. Required unless
        `forecasts` is a CustomerBase, which holds them.
    config : Config, optional
        Settings of the shop; by default those the forecasts were made with.
    past : DataFrame, pyarrow.Table, str, Path or CustomerBase, optional
        Forecasts made at least one horizon before the end of the orders, by a model that knew
        nothing later. The same rules on them show which share of the money the lists caught.

    Returns
    -------
    Lists
        Per list the customers to contact and those held out, a summary, budgets, and remarks.

    Raises
    ------
    OrdersError
        If a file holds no forecasts, or the forecasts were not made from these orders.
    ConfigError
        If the orders are missing, or the configuration contradicts the forecasts.

    """
    base = open_customer_base(forecasts, orders, config)
    if past is not None:
        past = open_customer_base(past, base.orders, config, what="the past forecasts")
    columns = build_list_columns(base)
    remarks = [*base.remarks, *check_past(base, past), *describe_retention_value(base)]
    selected = select_by_rule(base, columns, remarks)
    is_held_out = _draw_held_out(base)
    rules = base.config.lists.rules
    contacts = {name: members[~is_held_out[members]] for name, members in selected.items()}
    held_out = {name: members[is_held_out[members]] for name, members in selected.items()}
    rows = [
        {
            "list": name,
            "customers": len(members),
            "held_out": len(held_out[name]),
            "value_at_stake": float(_compute_stakes(base, columns, rules[name], members).sum()),
            "stake": rules[name].value,
            "basis": _find_basis(base.terms, rules[name].value),
            "aim": rules[name].aim,
        }
        for name, members in contacts.items()
    ]
    summary = pd.DataFrame(
        rows, columns=["list", "customers", "held_out", "value_at_stake", "stake", "basis", "aim"]
    )
    if past is None:
        remarks.append(
            "the lists are not backtested: give past forecasts, made at least one horizon before "
            "the end of the orders by a model trained then"
        )
    else:
        past_members = select_by_rule(past, build_list_columns(past), [])
        summary = summary.merge(backtest_lists(past, past_members, remarks), on="list", how="left")

    contact_tables, held_out_tables = (
        {name: _build_rows(base, columns, rules[name], rows) for name, rows in members.items()}
        for members in (contacts, held_out)
    )
    budget = _build_budget(base, columns)
    return Lists(contact_tables, held_out_tables, summary, budget, tuple(remarks), base.terms)


def select_by_rule(
    base: CustomerBase, columns: ListColumns, remarks: list[str]
) -> dict[str, Int64]:
    """List -> rows of its customers, highest stake first, held-out customers included."""
    settings = base.config.lists
    selection = settings.rules if settings.only is None else settings.only
    unknown = [name for name in selection if name not in settings.rules]
    if unknown:
        raise ConfigError(
            f"lists.only must name lists, got {unknown[0]}; known are {', '.join(settings.rules)}"
        )
    is_member = {name: np.zeros(base.n_rows, dtype=np.bool_) for name in settings.rules}
    members: dict[str, Int64] = {}
    for name, rule in settings.rules.items():
        conditions = [parse_condition(column, text) for column, text in rule.where.items()]
        column_names = columns.texts.keys() | columns.numbers.keys()
        missing = [each.column for each in conditions if each.column not in column_names]
        if missing:
            if name in selection:
                remarks.append(f"the list {name} is left out: {missing[0]} is unknown")
            continue
        mask = np.asarray(columns.numbers["n_orders"] >= rule.min_orders)
        for condition in conditions:
            mask &= _evaluate(condition, columns)
        for other in rule.exclude:
            mask &= ~is_member[other]
        rows = np.flatnonzero(mask)
        stake = columns.numbers[rule.value][rows]
        rows = rows[np.argsort(-stake, kind="stable")][: rule.most]  # ties by customer_id
        is_member[name][rows] = True
        if name in selection:
            members[name] = rows
    return members


def _evaluate(condition: Condition, columns: ListColumns) -> Mask:
    """The customers for whom a condition holds; unknown values never do."""
    if condition.kind in ("known", "in"):
        column = columns.texts[condition.column]
        if condition.kind == "known":
            return np.asarray(pc.is_valid(column))
        return np.asarray(pc.is_in(column, value_set=pa.array(condition.texts, pa.string())))
    values, numbers = columns.numbers[condition.column], condition.numbers
    if condition.kind == "between":
        return np.asarray((values >= numbers[0]) & (values <= numbers[1]))
    if condition.kind == "top":
        present = values[~np.isnan(values)]
        if not len(present):
            return np.zeros(len(values), dtype=np.bool_)
        edge = np.quantile(present, 1 - numbers[0], method="inverted_cdf")
        return np.asarray((values > edge) | ((values == edge) & (numbers[0] == 1)))
    compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}
    return np.asarray(compare.get(condition.kind, np.equal)(values, numbers[0]))


def _find_basis(terms: ForecastTerms, stake: str) -> Basis:
    """What the money of a stake is: an order is revenue, CLV has the forecasts' basis."""
    if stake == "order_value":
        return "revenue"
    return terms.spend_basis if stake == "expected_spend" else terms.basis


def _draw_held_out(base: CustomerBase) -> Mask:
    """The held-out customers, by a hash of the id alone: the same in every list and run."""
    ids = base.forecasts["customer_id"].to_pandas().astype(object).to_numpy()
    hashed = pd.util.hash_array(ids, hash_key=_HASH_KEY, categorize=False)
    return np.asarray(hashed / 2.0**64 < base.config.lists.hold_out)


def _compute_stakes(
    base: CustomerBase, columns: ListColumns, rule: ListRule, members: Int64
) -> Float64:
    """The value at stake with each member, rounded to the minor unit."""
    return np.round(columns.numbers[rule.value][members], base.orders.currency_decimals)


def _build_rows(
    base: CustomerBase, columns: ListColumns, rule: ListRule, members: Int64
) -> pa.Table:
    """The rows of a list, in the order of `members`."""
    due = columns.dates[rule.when][members]
    date = np.maximum(due + rule.days_after * dates.DAY, base.cutoff)
    return pa.Table.from_arrays(
        [
            base.forecasts["customer_id"].take(pa.array(members)).combine_chunks(),
            pa.array(np.arange(1, len(members) + 1), pa.int32()),
            pa.array(_compute_stakes(base, columns, rule, members)),
            _format_reasons(rule.reason, columns, members, base.config.orders.currency),
            pa.array(date, pa.timestamp("us")).cast(pa.date32(), safe=False),
            pa.repeat(pa.scalar(_find_basis(base.terms, rule.value)), len(members)),
        ],
        schema=SCHEMA,
    )


def _format_reasons(
    reason: str, columns: ListColumns, members: Int64, currency: str
) -> pa.StringArray:
    """The reason of each member: the rule's text with its fields, in braces, filled in."""
    parts = _FIELD.split(reason)
    texts = [
        _format_field(part, columns, members, currency) if position % 2 else pa.scalar(part)
        for position, part in enumerate(parts)
        if part
    ]
    if all(isinstance(text, pa.Scalar) for text in texts):
        return pa.repeat(pa.scalar(reason), len(members))
    return pc.binary_join_element_wise(*texts, "", null_handling="replace", null_replacement="?")


def _format_field(name: str, columns: ListColumns, members: Int64, currency: str) -> pa.StringArray:
    if name in DATES:
        instants = columns.dates[name][members]
        times = pa.array(instants, mask=instants < 0).cast(pa.timestamp("us"))
        return pc.strftime(times, format="%Y-%m-%d")
    if name in TEXTS:
        if name not in columns.texts:
            return pa.nulls(len(members), pa.string())
        return columns.texts[name].take(pa.array(members))
    values: Float64 = columns.numbers[name][members]
    kind = NUMBERS[name]
    rounded = np.rint(values * 100 if kind == "share" else values)
    missing = np.isnan(rounded)
    number = pa.array(np.where(missing, 0, rounded).astype(np.int64), mask=missing).cast(
        pa.string()
    )
    unit = " %" if kind == "share" else f" {currency}" if kind == "money" and currency else ""
    return pc.binary_join_element_wise(number, unit, "") if unit else number


def _build_budget(base: CustomerBase, columns: ListColumns) -> pd.DataFrame:
    """By segment, tier and risk: a customer's value if kept, and the maximum for keeping one."""
    parts = []
    for dimension in ("rfm_segment", "tier", "risk"):
        grouping = base.grouping(dimension)
        counts = grouping.counts()
        sums = {
            name: np.asarray(grouping.sums(columns.numbers[name]), np.float64)
            for name in ("clv", "value_if_kept", "value_at_risk", "retention_value")
        }
        parts.append(
            pd.DataFrame(
                {
                    "dimension": dimension,
                    "group": list(grouping.names),
                    "customers": counts,
                    "basis": base.terms.basis,
                    "clv": sums["clv"] / counts,
                    "value_if_kept": sums["value_if_kept"] / counts,
                    "most_to_keep_one": sums["value_at_risk"] / counts,
                    "most_to_keep_all": sums["value_at_risk"],
                    "retention_value": sums["retention_value"] / counts,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
