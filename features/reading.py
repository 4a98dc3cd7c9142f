"""read_orders: files -> validated, packed `Orders`. All faults are found in one pass, told together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..configs.schema import Config, OrdersConfig, orders_config
from ..errors import ConfigError, OrdersError
from .coding import joined_columns
from .expressions import Expression
from .faults import Fault, counted, refuse, rejected_table
from .lines import NO_CUSTOMER, Lines, parse_lines, unreadable
from .mapping import NUMBERS, TEXTS, resolve
from .orders import Float64, Orders, OrdersReport, TextColumn
from .packing import pack, to_minor_units
from .parsing import Mask
from .sources import RawTable, column_names, find_files, read_columns

__all__ = ["as_orders", "orders_from_table", "read", "read_orders"]

_MOST_MINOR_UNITS = 2.0**62  # integers of money must add up without overflow


def read_orders(
    source: str | Path | Config | OrdersConfig,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Orders:
    """Read order lines from a .parquet, .csv or .csv.gz file, a glob or a folder.

    `columns` maps ours to theirs, or to arithmetic over theirs (`"Quantity * UnitPrice"`); without
    it the file has our names. `options` are the further keys of `orders:` in a configuration. A
    configuration in place of the source says all of it. Raises `OrdersError` naming every fault at
    once, `ConfigError` for a wrong option.
    """
    if isinstance(source, Config):
        source = source.orders
    if isinstance(source, OrdersConfig):
        return read(source)
    settings = {"source": str(source), "columns": columns or {}, **options}
    return read(orders_config(settings))


def read(
    config: OrdersConfig, now: datetime | None = None, *, own_names_too: bool = False
) -> Orders:
    """Read the orders a configuration names; lines a day later than `now` are in the future.

    With `own_names_too`, files the mapping does not fit are read by our own column names.
    """
    if config.source is None:
        raise ConfigError("orders.source must name a file, a glob or a folder, got nothing")
    parts: list[Lines] = []
    faults: list[Fault] = []
    for path in find_files(config.source):
        names = column_names(path, config.format)
        mapping, missing = resolve(config.columns, names, own_names_too=own_names_too)
        needed = list(dict.fromkeys(name for e in mapping.values() for name in e.columns))
        all_names = list(dict.fromkeys(names))
        raw = read_columns(
            path, all_names if config.duplicates == "drop" else needed, config.format
        )
        faults += missing
        parts += _parse(raw, str(path), mapping, config, now, faults)
    return _assemble(parts, faults, config, config.source)


def orders_from_table(
    table: pa.Table | pd.DataFrame, config: OrdersConfig, now: datetime | None = None
) -> Orders:
    """Validate and pack order lines that are in memory, with our column names or the mapping's."""
    if isinstance(table, pd.DataFrame):
        try:
            table = pa.Table.from_pandas(table, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise OrdersError(f"a column of the orders mixes types or names: {reason}") from None
    mapping, faults = resolve(config.columns, table.column_names, own_names_too=True)
    raw = RawTable(table, np.arange(1, table.num_rows + 1))
    return _assemble(_parse(raw, "", mapping, config, now, faults), faults, config, "the orders")


def as_orders(orders: object, config: OrdersConfig | None = None) -> Orders:
    """What a public function was given as orders: `Orders`, a table of order lines, or a path to them."""
    if isinstance(orders, Orders):
        return orders
    config = config or OrdersConfig()
    if isinstance(orders, pd.DataFrame | pa.Table):
        return orders_from_table(orders, config)
    if isinstance(orders, str | Path):
        return read(config.model_copy(update={"source": str(orders)}), own_names_too=True)
    raise OrdersError(
        f"orders must be Orders, a table of order lines or a path, got {type(orders).__name__}"
    )


def _parse(
    raw: RawTable,
    file: str,
    mapping: Mapping[str, Expression],
    config: OrdersConfig,
    now: datetime | None,
    faults: list[Fault],
) -> list[Lines]:
    """The parsed lines of one file, or none and its faults where a column cannot be parsed at all."""
    wrong_types = unreadable(raw, mapping)
    faults += wrong_types
    return [] if wrong_types else [parse_lines(raw, file, mapping, config, now or datetime.now())]


def _assemble(parts: list[Lines], faults: list[Fault], config: OrdersConfig, source: str) -> Orders:
    """Judge the files together, set unusable lines aside, pack the rest."""
    columns_missing = bool(faults)
    faults = faults + [fault for part in parts for fault in part.faults]
    if columns_missing:
        refuse(faults, source)
    lines_read = sum(len(part.raw.rows) + _ragged(part) for part in parts)
    if lines_read == 0:
        raise OrdersError(f"{source} holds no order lines, only a header; give a file with orders")
    usable = []
    set_aside: list[pa.Table] = []
    for part in parts:
        keep, tables = _set_aside(part)
        usable.append(keep)
        set_aside += tables
    counts: dict[str, int] = {}
    for table in set_aside:
        reason = table["reason"][0].as_py()
        counts[reason] = counts.get(reason, 0) + table.num_rows
    without_customer = counts.pop(NO_CUSTOMER, 0)
    rejected = sum(counts.values())
    if rejected > config.max_rejected_share * (lines_read - without_customer):
        ragged = sum(_ragged(part) for part in parts)
        if ragged:
            faults.append(Fault(f"{counted(ragged, 'line')} have another number of cells"))
        named = counted(lines_read - without_customer, "line")
        share = f"{rejected:,} of {named} with a customer cannot be used"
        mend = f"more than orders.max_rejected_share ({config.max_rejected_share:g}) allows"
        refuse([*faults, Fault(share, mend=mend)], source)
    if not any(keep.any() for keep in usable):
        raise OrdersError(
            f"{source} holds no usable order line: {without_customer:,} of "
            f"{counted(lines_read, 'line')} name no customer; check orders.columns.customer_id"
        )
    remarks = [f"set aside: {fault.sentence()}" for fault in faults]
    remarks += [remark for part in parts for remark in part.remarks]
    report = OrdersReport(
        lines_read=lines_read,
        rejected=counts,
        lines_without_customer=without_customer,
        remarks=tuple(dict.fromkeys(remarks)),
        rejected_lines=pa.concat_tables(set_aside) if set_aside else None,
    )
    return _pack(parts, usable, config, report)


def _ragged(part: Lines) -> int:
    return sum(table.num_rows for table in part.raw.rejected)


def _set_aside(part: Lines) -> tuple[Mask, list[pa.Table]]:
    """Which lines are usable, and a table of the others per reason; the first reason counts."""
    keep = np.ones(len(part.raw.rows), dtype=np.bool_)
    tables = list(part.raw.rejected)
    for reason in part.reasons:
        hit = keep & reason.lines
        keep &= ~reason.lines
        if hit.any():
            customer_ids = part.texts["customer_id"].where(hit).to_text()
            cells = part.cells(reason.column, hit)
            tables.append(
                rejected_table(
                    part.file,
                    part.raw.rows[hit],
                    reason.words,
                    reason.column,
                    customer_ids,
                    cells,
                )
            )
    return keep, tables


def _pack(
    parts: list[Lines], usable: list[Mask], config: OrdersConfig, report: OrdersReport
) -> Orders:
    dropped = 0
    if config.duplicates == "drop":
        dropped = _drop_repeated(parts, usable)
    kept = list(zip(parts, usable, strict=True))

    def text(name: str) -> TextColumn:
        return joined_columns(
            [
                part.texts[name].where(keep)
                if name in part.texts
                else TextColumn(np.full(keep.sum(), -1, np.int32), pa.array([], pa.string()))
                for part, keep in kept
            ]
        )

    def number(name: str) -> Float64:
        missing = np.float64(np.nan)
        return _joined(
            [
                _where(part.numbers[name], keep)
                if name in part.numbers
                else np.full(keep.sum(), missing)
                for part, keep in kept
            ]
        )

    unit = 10.0**config.currency_decimals
    amounts = number("amount")
    if np.abs(amounts).sum() * unit >= _MOST_MINOR_UNITS:
        raise OrdersError(
            f"all amounts together must stay below {_MOST_MINOR_UNITS / unit:.0e}, got "
            f"{np.abs(amounts).sum():.1e}; lower orders.currency_decimals"
        )
    minor, n_rounded, rounding_total = to_minor_units(amounts, unit)
    orders, repeated = pack(
        text("customer_id"),
        _joined([_where(part.times, keep) for part, keep in kept]),
        minor,
        {name: text(name) for name in TEXTS if any(name in part.texts for part in parts)},
        {name: number(name) for name in NUMBERS if any(name in part.numbers for part in parts)},
        currency_decimals=config.currency_decimals,
    )
    report = replace(
        report,
        lines_used=orders.n_lines,
        duplicate_lines=dropped if config.duplicates == "drop" else repeated,
        duplicates_dropped=config.duplicates == "drop",
        rounded_lines=n_rounded,
        rounding_total=rounding_total,
    )
    remarks = (*report.remarks, *_remarks(orders, report))
    return replace(orders, report=replace(report, remarks=remarks))


def _drop_repeated(parts: list[Lines], usable: list[Mask]) -> int:
    """Take lines that repeat an earlier one, in every column of their file, out of `usable`."""
    prints = [_fingerprints(part.raw.table)[keep] for part, keep in zip(parts, usable, strict=True)]
    seen = np.concatenate(prints)
    first = np.zeros(len(seen), dtype=np.bool_)
    first[np.unique(seen, return_index=True)[1]] = True
    ends = np.cumsum([len(part) for part in prints])
    for keep, unique in zip(usable, np.split(first, ends[:-1]), strict=True):
        keep[np.flatnonzero(keep)[~unique]] = False
    return int(np.count_nonzero(~first))


def _fingerprints(table: pa.Table) -> npt.NDArray[np.uint64]:
    """A hash of each line over all its columns."""
    frame = table.to_pandas()
    for position, kind in enumerate(table.schema.types):
        if pa.types.is_nested(kind):  # lists and structures have no hash, their text has
            frame.isetitem(position, frame.iloc[:, position].map(repr))
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)


def _where(values: npt.NDArray[Any], keep: Mask) -> npt.NDArray[Any]:
    return values if keep.all() else values[keep]


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _remarks(orders: Orders, report: OrdersReport) -> list[str]:
    remarks = []
    if report.lines_without_customer:
        share = report.lines_without_customer / report.lines_read
        lines = counted(report.lines_without_customer, "line")
        remarks.append(f"{lines} ({share:.1%}) name no customer and are set aside")
    if report.duplicate_lines:
        lines = counted(report.duplicate_lines, "line")
        if report.duplicates_dropped:
            remarks.append(f"{lines} repeated another in every column of the file: dropped")
        else:
            told = "orders.duplicates: drop removes those that do in every column of the file"
            remarks.append(f"{lines} repeat another in every mapped column: kept ({told})")
    if report.rounded_lines:
        amounts = counted(report.rounded_lines, "amount")
        decimals = counted(orders.currency_decimals, "decimal")
        remarks.append(f"{amounts} rounded to {decimals}, {report.rounding_total:+.4f} in all")
    spend = orders.spend_by_customer()
    total = int(spend.sum())
    if orders.n_customers > 1 and total > 0 and int(spend.max()) > total / 2:
        remarks.append(f"one customer holds {spend.max() / total:.0%} of all revenue")
    return remarks
