"""read_orders: files -> validated, packed `Orders`. All faults are found in one pass, told together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ...configs.addresses import without_passwords
from ...configs.schema import Config, FormatConfig, OrdersConfig, SourceConfig, orders_config
from ...errors import ConfigError, OrdersError
from ..orders import Orders
from .column_mapping import resolve
from .customer_attributes import with_customers
from .files import RawTable, Resolve, files_of, found_in, wanted_columns
from .line_collector import Intake, completed
from .memory_estimate import estimate
from .packing import pack
from .usable_lines import UsableLines

__all__ = [
    "as_orders", "estimated_bytes", "orders_from_table", "read", "read_orders", "sources_shown",
    "usable_lines",
]  # fmt: skip


def read_orders(
    source: str | Path | Config | OrdersConfig,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Orders:
    """Read order lines from a .parquet, .csv or .csv.gz file, a glob, a folder or a database.

    `columns` maps ours to theirs, or to arithmetic over theirs (`"Quantity * UnitPrice"`); without
    it the file has our names. `options` are the further keys of `orders:` in a configuration. A
    configuration in place of the source says all of it, attributes of customers too. Raises `OrdersError` naming every fault at
    once, `ConfigError` for a wrong option.
    """
    if isinstance(source, Config):
        orders = read(source.orders)
        return with_customers(orders, None, source.customers, source.orders.timezone)
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
    intake = Intake(config, now)
    return _assembled(intake, list(usable_lines(intake, own_names_too)), sources_shown(config))


def sources_shown(config: OrdersConfig) -> str:
    """The sources as messages name them; raises `ConfigError` where there are none."""
    sources = config.all_sources()
    if not sources:
        raise ConfigError("orders.source must name a file, a glob or a folder, got nothing")
    return ", ".join(without_passwords(one.source) for one in sources)


def usable_lines(
    intake: Intake, own_names_too: bool, watch: Callable[[float], None] = lambda share: None
) -> Iterator[UsableLines]:
    """The usable lines of all files an intake's configuration names, block by block.

    `watch` is told the share of the files' bytes that is read.
    """
    every_column = intake.config.duplicates == "drop"
    sources = intake.config.all_sources()
    sizes = [sum(path.stat().st_size for path in files_of(source)) for source in sources]
    before = 0

    def watched(size: int, blocks: Iterator[RawTable]) -> Iterator[RawTable]:
        for raw in blocks:
            yield raw
            watch((before + size * raw.share) / max(1, sum(sizes)))

    for position, source in enumerate(sources):
        resolving = _resolving(source, own_names_too)
        for found in found_in(source, resolving, every_column=every_column):
            blocks = watched(found.size, found.blocks) if found.size else found.blocks
            yield from intake.usable(
                blocks, found.file, found.mapping, found.faults, source, position
            )
            before += found.size


def estimated_bytes(intake: Intake, own_names_too: bool) -> int:
    """About how much memory reading all files at once would take; of a database nothing is known."""
    every_column = intake.config.duplicates == "drop"
    total = 0
    for source in intake.config.all_sources():
        text, resolving = source.format or FormatConfig(), _resolving(source, own_names_too)
        for path in files_of(source):
            total += estimate(path, wanted_columns(path, text, resolving, every_column)[2])
    return total


def _resolving(source: SourceConfig, own_names_too: bool) -> Resolve:
    return partial(resolve, source.columns, own_names_too=own_names_too)


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
    intake = Intake(config, now)
    mapping, faults = resolve(config.columns, table.column_names, own_names_too=True)
    raw = RawTable(table, np.arange(1, table.num_rows + 1))
    parts = list(intake.usable(iter([raw]), "", mapping, faults))
    return _assembled(intake, parts, "the orders")


def _assembled(intake: Intake, parts: list[UsableLines], source: str) -> Orders:
    """The orders of all usable lines, with the report on all lines; refuses what cannot be used."""
    report = intake.report(source)
    decimals = intake.config.currency_decimals
    orders, counts = pack(parts, intake.columns, decimals)
    return replace(orders, report=completed(report, counts, decimals))


def as_orders(orders: object, config: OrdersConfig | None = None) -> Orders:
    """What a public function was given as orders: `Orders`, a table of order lines, or a path to them."""
    if isinstance(orders, Orders):
        return orders
    config = config or OrdersConfig()
    if isinstance(orders, pd.DataFrame | pa.Table):
        return orders_from_table(orders, config)
    if isinstance(orders, str | Path):
        return read(config.reading(str(orders)), own_names_too=True)
    raise OrdersError(
        f"orders must be Orders, a table of order lines or a path, got {type(orders).__name__}"
    )
