"""read_customers: a file or table of customers -> facts, joined to orders as `Attributes`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from ...configs.addresses import hide_passwords
from ...configs.schema import CustomersConfig, OrdersConfig, SourceConfig
from ...errors import ConfigError, OrdersError
from ..attributes import ALWAYS, NO_DATE, Attributes
from ..columns import Float64, Int64, Mask, TextColumn
from ..orders import Orders
from .cell_parsing import Parsed, is_number, parse_instant_cells, parse_number_cells
from .column_mapping import resolve_plain_columns
from .customer_ids import CustomerIdRules, load_id_rules
from .files import OpenTable, RawTable, list_needed, open_tables
from .frames import ArrowStream, is_frame, open_frame
from .label_encoding import encode_ids, merge_labels
from .line_validation import Lines, describe_unreadable
from .validation_issues import Fault, pluralize, raise_faults

__all__ = [
    "Customers",
    "Facts",
    "attach_customers",
    "attach_facts",
    "infer_customers_config",
    "join_customers",
    "read_facts",
]  # fmt: skip

_MOST_BAD_SHARE = 0.05
Customers: TypeAlias = str | Path | pd.DataFrame | ArrowStream | Sequence[Mapping[str, Any]]


def join_customers(
    orders: Orders,
    customers: Customers | None,
    config: CustomersConfig,
    timezone: str | None = None,
) -> Orders:
    """Join facts about the customers to the orders.

    Parameters
    ----------
    orders : Orders
        Order histories, as `clvcast.read_orders` returns them.
    customers : DataFrame, pyarrow.Table, str or Path, optional
        The facts, or where to read them; by default from `config.source`.
    config : CustomersConfig
        Which columns there are, and of what types.
    timezone : str, optional
        The shop's time zone, to which times with a zone are converted.

    Returns
    -------
    Orders
        The same orders with `attributes`; remarks about the facts are in `report.remarks`.

    Raises
    ------
    OrdersError
        If the facts cannot be used; it names every fault.

    """
    return _join(orders, customers, config, OrdersConfig(timezone=timezone))


def _join(
    orders: Orders, customers: Customers | None, config: CustomersConfig, reading: OrdersConfig
) -> Orders:
    facts = read_facts(customers, config, reading)
    joined_orders, remarks = attach_facts(orders, facts)
    report = replace(orders.report, remarks=(*orders.report.remarks, *facts.remarks, *remarks))
    return replace(joined_orders, report=report)


def read_facts(
    customers: Customers | None, config: CustomersConfig, reading: OrdersConfig
) -> Facts:
    """The facts a table, a path or `config.source` tells, of whatever customers.

    Ids and times are read as `reading` says of those of orders.
    """
    rules = load_id_rules(reading)
    if isinstance(customers, str | Path):
        config = config.model_copy(update={"source": str(customers), "query": None})
    elif customers is None and config.source is None:
        raise ConfigError("customers.source must name a file, a folder or a database, got nothing")
    in_memory = customers if is_frame(customers) else None
    name = "the customers" if in_memory is not None else hide_passwords(str(config.source))
    refused: list[Fault] = []
    parts: list[_SourcePart] = []
    for table in _open_tables(in_memory, config):
        refused += table.faults
        for raw in table.blocks:
            wrong = describe_unreadable(raw, table.mapping) + _find_types_not_told(
                raw, table, config
            )
            refused += wrong
            if not refused:
                parts.append(_parse(raw, table, config, reading.timezone, rules))
            if wrong:
                break
    if refused:
        raise_faults(refused, name)
    n_rows = sum(part.n_rows for part in parts)
    faults = [fault for part in parts for fault in part.faults]
    for rule in {fault.rule for fault in faults}:
        same_rule = [fault for fault in faults if fault.rule == rule]
        if sum(fault.count for fault in same_rule) > _MOST_BAD_SHARE * n_rows:
            raise_faults(same_rule, name)
    remarks = [f"{name}: taken as missing: {fault.sentence()}" for fault in faults]
    facts = Facts(
        name,
        config,
        merge_labels([part.customers for part in parts]),
        np.concatenate([part.valid_from for part in parts]),
        {n: merge_labels([part.texts[n] for part in parts]) for n in parts[0].texts},
        {n: np.concatenate([part.numbers[n] for part in parts]) for n in parts[0].numbers},
        {n: np.concatenate([part.dates[n] for part in parts]) for n in parts[0].dates},
    )
    aside = n_rows - len(facts.valid_from)
    if aside:
        remarks.append(f"{name}: {pluralize(aside, 'row')} without customer or date are set aside")
    return replace(facts, remarks=tuple(remarks))


def attach_customers(
    orders: Orders,
    customers: Customers | None,
    config: CustomersConfig | None,
    reading: OrdersConfig,
) -> Orders:
    """The orders with what is told of their customers, if anything is, and if they have it
    not yet.
    """
    if config is None:
        if customers is not None:
            raise ConfigError(
                "customers were given, and nothing says which of their columns are attributes; set "
                "customers.columns in the configuration that trains the model"
            )
        return orders
    if customers is None and (config.source is None or orders.attributes is not None):
        return orders
    return _join(orders, customers, config, reading)


def infer_customers_config(customers: pd.DataFrame) -> CustomersConfig:
    """How to read a table with our names: customer_id, maybe valid_from, the attributes by their
    types.
    """
    kinds = {}
    for name, column in customers.items():
        is_date = pd.api.types.is_datetime64_any_dtype(column)
        is_number = pd.api.types.is_numeric_dtype(column)
        kinds[str(name)] = "date" if is_date else "number" if is_number else "text"
    valid_from = "valid_from" if kinds.pop("valid_from", None) else None
    columns = {name: name for name in kinds}
    kinds.pop("customer_id", None)
    try:
        return CustomersConfig.model_validate(
            {"columns": columns, "types": kinds, "valid_from": valid_from}
        )
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise OrdersError(f"a table of customers {reason}, got {', '.join(columns)}") from None


@dataclass(frozen=True)
class Facts:
    """Facts about customers, as they were told, in any order."""

    name: str  # as messages call where they are from
    config: CustomersConfig
    customers: TextColumn
    valid_from: Int64
    texts: dict[str, TextColumn]
    numbers: dict[str, Float64]
    dates: dict[str, Int64]
    remarks: tuple[str, ...] = ()


@dataclass
class _SourcePart:
    customers: TextColumn
    valid_from: Int64
    texts: dict[str, TextColumn] = field(default_factory=dict)
    numbers: dict[str, Float64] = field(default_factory=dict)
    dates: dict[str, Int64] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    n_rows: int = 0


def _open_tables(table: Any, config: CustomersConfig) -> Iterator[OpenTable]:
    wanted_columns = dict(config.columns)
    if config.valid_from is not None:
        wanted_columns["valid_from"] = config.valid_from
    if table is None:
        source = SourceConfig(source=str(config.source), query=config.query, format=config.format)
        yield from open_tables(source, lambda names: resolve_plain_columns(wanted_columns, names))
        return
    frame = open_frame(table, config.format.decimal)
    mapping, faults = resolve_plain_columns(wanted_columns, frame.names)
    lines = frame.select(list_needed(mapping))
    yield OpenTable("", mapping, faults, iter([RawTable(lines, np.arange(1, lines.num_rows + 1))]))


def _find_types_not_told(raw: RawTable, found: OpenTable, config: CustomersConfig) -> list[Fault]:
    """A fault for each typed column of numbers or dates that would silently be read as labels."""
    faults = []
    for name, expression in found.mapping.items():
        if name in ("customer_id", "valid_from") or name in config.types:
            continue
        kind = raw.table.schema.field(expression.columns[0]).type
        column_type = "number" if is_number(kind) else "date" if pa.types.is_temporal(kind) else ""
        if column_type:
            rule = f"the attribute {name} holds {column_type}s and is read as text"
            faults.append(
                Fault(rule, mend=f"set customers.types: {{{name}: {column_type}}}, or text")
            )
    return faults


def _parse(
    raw: RawTable,
    found: OpenTable,
    config: CustomersConfig,
    timezone: str | None,
    rules: CustomerIdRules,
) -> _SourcePart:
    lines = Lines(found.file, raw)
    column = {name: e.columns[0] for name, e in found.mapping.items()}
    table, n_rows = raw.table, len(raw.rows)
    customers = merge_labels([rules.read(table[column["customer_id"]])[0]])
    valid_from = np.full(n_rows, ALWAYS, dtype=np.int64)
    keep = customers.codes >= 0

    def checked(name: str, parsed: Parsed[Any], rule: str) -> None:
        if parsed.bad.any():
            lines.faults.append(lines.fault(rule, column[name], parsed.bad, parsed.mend))

    if "valid_from" in column:
        since = parse_instant_cells(table[column["valid_from"]], config.format, timezone)
        checked("valid_from", since, "must be a date")
        valid_from, keep = since.values, keep & ~(since.bad | since.missing)
    facts = _SourcePart(customers.where(keep), valid_from[keep], faults=lines.faults, n_rows=n_rows)
    for name in config.columns:
        kind = config.types.get(name, "text")
        if name == "customer_id":
            continue
        if kind == "text":
            facts.texts[name] = encode_ids(table[column[name]], nulls_by_name=False)[0].where(keep)
        elif kind == "number":
            numbers = parse_number_cells(table[column[name]], config.format)
            checked(name, numbers, "must be a number")
            usable = ~(numbers.bad | numbers.missing)
            facts.numbers[name] = np.where(usable, numbers.values, np.nan)[keep]
        else:
            dates = parse_instant_cells(table[column[name]], config.format, timezone)
            checked(name, dates, "must be a date")
            usable = ~(dates.bad | dates.missing)
            facts.dates[name] = np.where(usable, dates.values, NO_DATE)[keep]
    return facts


def attach_facts(orders: Orders, facts: Facts) -> tuple[Orders, list[str]]:
    """The orders with the facts about their customers, sorted by date and content; and remarks."""
    config, name = facts.config, facts.name
    place = pc.index_in(facts.customers.labels, orders.customer_ids).fill_null(-1)
    table = np.append(place.to_numpy(zero_copy_only=False), -1).astype(np.int64)
    customer = table[facts.customers.codes]
    contents: list[npt.NDArray[Any]] = [
        *(facts.texts[n].codes for n in facts.texts),
        *(facts.numbers[n] for n in facts.numbers),
        *(facts.dates[n] for n in facts.dates),
    ]
    order = np.lexsort((*contents[::-1], facts.valid_from, customer))
    order = order[customer[order] >= 0]
    same = np.zeros(len(order), dtype=np.bool_)  # as the fact before: customer and date
    again = np.zeros(len(order), dtype=np.bool_)  # and every attribute
    if len(order) > 1:
        keys = (customer[order], facts.valid_from[order])
        same[1:] = np.all([key[1:] == key[:-1] for key in keys], axis=0)
        alike = [(c[order][1:] == c[order][:-1]) | _are_both_nan(c[order]) for c in contents]
        again[1:] = same[1:] & np.all(alike, axis=0)
    conflicts = int((same & ~again).sum())
    remarks = []
    if conflicts and config.valid_from is None:
        raise OrdersError(
            f"{name}: in {pluralize(conflicts, 'row')} the facts contradict an earlier row of the "
            "same customer; keep one row per customer, or set customers.valid_from to the column "
            "with each row's start date"
        )
    if conflicts:
        remarks.append(
            f"{name}: in {pluralize(conflicts, 'row')} the facts contradict an earlier row of the "
            "same customer and date: of those, the last in sorted order is used"
        )
    order = order[~again]
    starts = np.concatenate(
        ([0], np.cumsum(np.bincount(customer[order], minlength=orders.n_customers)))
    )
    without = int((np.diff(starts) == 0).sum())
    if without:
        total = pluralize(orders.n_customers, "customer")
        remarks.append(f"{name}: nothing is known of {without:,} of {total} with orders")
    complete = {n: config.types.get(n, "text") for n in config.columns if n != "customer_id"}
    attributes = Attributes(
        config.model_copy(update={"source": None, "query": None, "types": complete}),
        starts,
        facts.valid_from[order],
        {n: TextColumn(c.codes[order], c.labels) for n, c in facts.texts.items()},
        {n: values[order] for n, values in facts.numbers.items()},
        {n: values[order] for n, values in facts.dates.items()},
    )
    return replace(orders, attributes=attributes), remarks


def _are_both_nan(values: npt.NDArray[Any]) -> Mask:
    if values.dtype.kind != "f":
        return np.zeros(len(values) - 1, dtype=np.bool_)
    gone = np.isnan(np.asarray(values, dtype=np.float64))
    return np.asarray(gone[1:] & gone[:-1])
