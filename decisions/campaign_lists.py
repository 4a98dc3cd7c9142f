"""lists: whom to contact, why, when, and what is at stake, ready for import into a CRM.

Rules are read from the configuration, in its order. Customers held out by a hash of their id are on
no list's contacts: comparing them with the contacted measures what a campaign did.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..atomic_files import check_folder, write_files
from ..configs.lists import DATES, NUMBERS, TEXTS, Condition, ListRule, parse_condition
from ..configs.schema import Config
from ..errors import ConfigError
from ..orders import dates
from ..orders.columns import Float64, Int64, Mask
from .customer_base import CustomerBase, ForecastSource, OrdersSource, open_customer_base
from .list_backtest import backtest_lists
from .list_columns import ListColumns, build_list_columns

__all__ = ["Lists", "lists", "select_by_rule"]

_FIELD = re.compile(r"{(\w+)}")
_HASH_KEY = "clvcast hold out"  # 16 characters; another key would hold other customers out
SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("priority", pa.int32()),
        ("value_at_stake", pa.float64()),
        ("reason", pa.string()),
        ("suggested_date", pa.date32()),
    ]
)


@dataclass(frozen=True)
class Lists:
    """Every list, those it holds out, what it adds up to; money in the shop's currency."""

    contacts: Mapping[str, pa.Table]  # list -> rows of SCHEMA, by priority
    held_out: Mapping[str, pa.Table]  # list -> whom it would have named
    summary: pd.DataFrame  # a row per list: customers, value, held out, and the backtest
    budget: (
        pd.DataFrame
    )  # a row per segment, tier and risk: what keeping a customer is worth at most
    remarks: tuple[str, ...]

    def save(self, folder: Path, ending: str = "csv") -> None:
        """Write a file per list, one of those held out, the summary and the budget, all or none."""
        check_folder(folder)
        files: dict[Path, pa.Table | str] = {}
        for name, table in self.contacts.items():
            files[folder / f"{name}.{ending}"] = table
        out = [
            table.add_column(0, "list", pa.repeat(name, table.num_rows))
            for name, table in self.held_out.items()
        ]
        if out:
            files[folder / f"held_out.{ending}"] = pa.concat_tables(out)
        for name, frame in (("summary", self.summary), ("budget", self.budget)):
            files[folder / f"{name}.{ending}"] = pa.Table.from_pandas(frame, preserve_index=False)
        write_files(files)


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
    known = build_list_columns(base)
    remarks = list(base.remarks)
    chosen = select_by_rule(base, known, remarks)
    held = _held_out(base)
    rules = base.config.lists.rules
    contacts = {name: members[~held[members]] for name, members in chosen.items()}
    held_out = {name: members[held[members]] for name, members in chosen.items()}
    rows = [
        {
            "list": name,
            "customers": len(members),
            "held_out": len(held_out[name]),
            "value_at_stake": float(_stakes(base, known, rules[name], members).sum()),
            "stake": rules[name].value,
            "aim": rules[name].aim,
        }
        for name, members in contacts.items()
    ]
    columns = ["list", "customers", "held_out", "value_at_stake", "stake", "aim"]
    summary = pd.DataFrame(rows, columns=columns)
    if past is None:
        remarks.append(
            "the lists are not backtested: give past forecasts, made a horizon or more before the end "
            "of the orders by a model trained then"
        )
    else:
        picked = select_by_rule(past, build_list_columns(past), [])
        summary = summary.merge(backtest_lists(past, picked, remarks), on="list", how="left")

    def written(members: Mapping[str, Int64]) -> _Tables:
        return _Tables(members, lambda name: _rows(base, known, rules[name], members[name]))

    budget = _budget(base, known)
    return Lists(written(contacts), written(held_out), summary, budget, tuple(remarks))


class _Tables(Mapping[str, pa.Table]):
    """A table a list, each made when it is asked for: a report needs their counts alone."""

    def __init__(self, names: Collection[str], make: Callable[[str], pa.Table]) -> None:
        self._names, self._make = names, cache(make)

    def __getitem__(self, name: str) -> pa.Table:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def select_by_rule(base: CustomerBase, known: ListColumns, remarks: list[str]) -> dict[str, Int64]:
    """List -> the rows of its customers, most at stake first; held-out customers included."""
    settings = base.config.lists
    wanted = settings.rules if settings.only is None else settings.only
    unknown = [name for name in wanted if name not in settings.rules]
    if unknown:
        raise ConfigError(
            f"lists.only must name lists, got {unknown[0]}; known are {', '.join(settings.rules)}"
        )
    members: dict[str, Mask] = {}
    found: dict[str, Int64] = {}
    for name, rule in settings.rules.items():
        conditions = [parse_condition(column, stated) for column, stated in rule.where.items()]
        lacking = [
            each.column
            for each in conditions
            if each.column not in known.texts and each.column not in known.numbers
        ]
        if lacking:
            members[name] = np.zeros(base.n_rows, dtype=np.bool_)
            if name in wanted:
                remarks.append(f"the list {name} is left out: nothing is known of {lacking[0]}")
            continue
        mask = np.asarray(known.numbers["n_orders"] >= rule.min_orders)
        for each in conditions:
            mask &= _holds(each, known)
        for other in rule.exclude:
            mask &= ~members[other]
        order = np.flatnonzero(mask)
        stake = known.numbers[rule.value][order]
        order = order[np.argsort(-stake, kind="stable")][: rule.most]  # equals by customer_id
        members[name] = np.zeros(base.n_rows, dtype=np.bool_)
        members[name][order] = True
        if name in wanted:
            found[name] = order
    return found


def _holds(asked: Condition, known: ListColumns) -> Mask:
    """For which customers a condition holds; what is not known holds for none."""
    if asked.kind in ("known", "in"):
        column = known.texts[asked.column]
        if asked.kind == "known":
            return np.asarray(pc.is_valid(column))
        return np.asarray(pc.is_in(column, value_set=pa.array(asked.texts, pa.string())))
    values, numbers = known.numbers[asked.column], asked.numbers
    if asked.kind == "between":
        return np.asarray((values >= numbers[0]) & (values <= numbers[1]))
    if asked.kind == "top":
        present = values[~np.isnan(values)]
        if not len(present):
            return np.zeros(len(values), dtype=np.bool_)
        edge = np.quantile(present, 1 - numbers[0], method="inverted_cdf")
        return np.asarray((values > edge) | ((values == edge) & (numbers[0] == 1)))
    compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}
    return np.asarray(compare.get(asked.kind, np.equal)(values, numbers[0]))


def _held_out(base: CustomerBase) -> Mask:
    """Who is held out: by a hash of the id alone, so the same customers in every list and run."""
    ids = base.forecasts["customer_id"].to_pandas().astype(object).to_numpy()
    hashed = pd.util.hash_array(ids, hash_key=_HASH_KEY, categorize=False)
    return np.asarray(hashed / 2.0**64 < base.config.lists.hold_out)


def _stakes(base: CustomerBase, known: ListColumns, rule: ListRule, members: Int64) -> Float64:
    """What is at stake with each member, to the currency's smallest unit."""
    return np.round(known.numbers[rule.value][members], base.orders.currency_decimals)


def _rows(base: CustomerBase, known: ListColumns, rule: ListRule, members: Int64) -> pa.Table:
    """The rows of a list, in the order of `members`."""
    due = known.dates[rule.when][members]
    date = np.maximum(due + rule.days_after * dates.DAY, base.cutoff)
    return pa.Table.from_arrays(
        [
            base.forecasts["customer_id"].take(pa.array(members)).combine_chunks(),
            pa.array(np.arange(1, len(members) + 1), pa.int32()),
            pa.array(_stakes(base, known, rule, members)),
            _reasons(rule.reason, known, members, base.config.orders.currency),
            pa.array(date, pa.timestamp("us")).cast(pa.date32(), safe=False),
        ],
        schema=SCHEMA,
    )


def _reasons(reason: str, known: ListColumns, members: Int64, currency: str) -> pa.StringArray:
    """The reason of each member: its words, with what stands in braces written out."""
    parts = _FIELD.split(reason)
    texts = [
        _written(part, known, members, currency) if position % 2 else pa.scalar(part)
        for position, part in enumerate(parts)
        if part
    ]
    if all(isinstance(text, pa.Scalar) for text in texts):
        return pa.repeat(pa.scalar(reason), len(members))
    return pc.binary_join_element_wise(*texts, "", null_handling="replace", null_replacement="?")


def _written(name: str, known: ListColumns, members: Int64, currency: str) -> pa.StringArray:
    if name in DATES:
        instants = pa.array(known.dates[name][members], mask=known.dates[name][members] < 0)
        return pc.strftime(instants.cast(pa.timestamp("us")), format="%Y-%m-%d")
    if name in TEXTS:
        column = known.texts.get(name)
        return (
            pa.nulls(len(members), pa.string())
            if column is None
            else column.take(pa.array(members))
        )
    values: Float64 = known.numbers[name][members]
    kind = NUMBERS[name]
    whole = np.rint(values * 100 if kind == "share" else values)
    missing = np.isnan(whole)
    number = pa.array(np.where(missing, 0, whole).astype(np.int64), mask=missing).cast(pa.string())
    unit = " %" if kind == "share" else f" {currency}" if kind == "money" and currency else ""
    return pc.binary_join_element_wise(number, unit, "") if unit else number


def _budget(base: CustomerBase, known: ListColumns) -> pd.DataFrame:
    """By segment, tier and risk: what a customer is worth if kept, and keeping one at most."""
    parts = []
    for dimension in ("rfm_segment", "tier", "risk"):
        grouping = base.grouping(dimension)
        counts = grouping.counts()

        def mean(name: str, grouping=grouping, counts=counts) -> Float64:  # type: ignore[no-untyped-def]
            return np.asarray(grouping.sums(known.numbers[name]) / counts)

        parts.append(
            pd.DataFrame(
                {
                    "dimension": dimension,
                    "group": list(grouping.names),
                    "customers": counts,
                    "clv": mean("clv"),
                    "value_if_kept": mean("value_if_kept"),
                    "most_to_keep_one": mean("value_at_risk"),
                    "most_to_keep_all": grouping.sums(known.numbers["value_at_risk"]),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
