"""read_orders: files -> validated, packed `Orders`. All faults are found in one pass, told
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ...configs.addresses import hide_passwords
from ...configs.schema import Config, OrdersConfig, SourceConfig, parse_orders_config
from ...errors import ConfigError, OrdersError
from ..cutoffs import find_complete_until
from ..orders import Orders
from .column_mapping import resolve_columns
from .customer_attributes import attach_customers
from .files import (
    RawTable,
    Resolve,
    check_unchanged,
    list_files,
    list_needed,
    open_tables,
    select_columns,
    stat_files,
)
from .frames import ArrowStream, is_frame, open_frame
from .layout_fitting import fit_rules, fit_source
from .line_collector import LineCollector
from .memory_estimate import estimate_memory
from .packing import pack
from .report_completion import complete_report
from .usable_lines import UsableLines

__all__ = [
    "OrdersSource",
    "coerce_orders",
    "describe_sources",
    "estimate_bytes",
    "iterate_usable_lines",
    "read_configured_orders",
    "read_orders",
    "read_table",
]  # fmt: skip

# what public functions take as orders
OrdersSource: TypeAlias = (
    Orders | pd.DataFrame | ArrowStream | Sequence[Mapping[Any, Any]] | str | Path
)


def read_orders(
    source: OrdersSource | Config | OrdersConfig,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Orders:
    """Read order lines from a file, a glob, a folder or a database.

    Parameters
    ----------
    source : str, Path, frame, Config or OrdersConfig
        A .parquet, .csv, .tsv, .txt, .jsonl, .zip or .xlsx file, a glob, a folder, the address of
        a database, or a frame: pandas, polars, Arrow, DuckDB or a list of dicts. A `Config` states
        everything, customer attributes too.
    columns : mapping of str to str, optional
        Our column names to those of the source, or to arithmetic over them
        (`"Quantity * UnitPrice"`). By default the source has our names.
    **options
        The further keys of `orders:` in a configuration.

    Returns
    -------
    Orders
        The usable lines, by customer and time; `report` counts the others.

    Raises
    ------
    OrdersError
        If the lines cannot be used; it names every fault at once.
    ConfigError
        If an option is wrong.

    """
    if isinstance(source, Config):
        orders = read_configured_orders(source.orders)
        return attach_customers(orders, None, source.customers, source.orders)
    if isinstance(source, OrdersConfig):
        return read_configured_orders(source)
    settings = {"columns": columns or {}, **options}
    if not isinstance(source, str | Path):
        return coerce_orders(source, parse_orders_config(settings))
    return read_configured_orders(parse_orders_config({"source": str(source), **settings}))


def read_configured_orders(
    config: OrdersConfig, now: datetime | None = None, *, own_names_too: bool = False
) -> Orders:
    """Read the orders a configuration names; lines a day later than `now` are in the future.

    With `own_names_too`, files the mapping does not fit are read by our own column names.
    """
    intake = LineCollector(config, now)
    return _assemble_orders(
        intake, list(iterate_usable_lines(intake, own_names_too)), describe_sources(config)
    )


def describe_sources(config: OrdersConfig) -> str:
    """The sources as messages name them; raises `ConfigError` where there are none."""
    sources = config.all_sources()
    if not sources:
        raise ConfigError("orders.source must name a file, a glob or a folder, got nothing")
    return ", ".join(hide_passwords(one.source) for one in sources)


def iterate_usable_lines(
    intake: LineCollector,
    own_names_too: bool,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[UsableLines]:
    """The usable lines of all files an intake's configuration names, block by block.

    `progress` is told the share of the files' bytes that is read.
    """
    every_column = intake.config.duplicates == "drop"
    sources = intake.config.all_sources()
    sizes = [sum(path.stat().st_size for path in list_files(source)) for source in sources]
    states = stat_files(path for source in sources for path in list_files(source))
    before = 0

    def watched(size: int, blocks: Iterator[RawTable]) -> Iterator[RawTable]:
        for raw in blocks:
            yield raw
            progress((before + size * raw.share) / max(1, sum(sizes)))

    for position, source in enumerate(sources):
        source = fit_source(source)
        resolving = _make_resolver(source, own_names_too)
        for table in open_tables(source, resolving, every_column=every_column):
            blocks = watched(table.size, table.blocks) if table.size else table.blocks
            yield from intake.usable(
                blocks, table.file, table.mapping, table.faults, source, position
            )
            before += table.size
    check_unchanged(states, stat_files(path for source in sources for path in list_files(source)))
    yield from intake.returned()


def estimate_bytes(intake: LineCollector, own_names_too: bool) -> int:
    """About how much memory reading all files at once would take; of a database nothing is
    known.
    """
    every_column = intake.config.duplicates == "drop"
    total = 0
    for source in map(fit_source, intake.config.all_sources()):
        text, resolving = source.format, _make_resolver(source, own_names_too)
        for path in list_files(source):
            total += estimate_memory(path, select_columns(path, text, resolving, every_column)[2])
    return total


def _make_resolver(source: SourceConfig, own_names_too: bool) -> Resolve:
    return partial(resolve_columns, source, own_names_too=own_names_too)


def read_table(table: Any, config: OrdersConfig, now: datetime | None = None) -> Orders:
    """Validate and pack order lines that are in memory, with our column names or the mapping's."""
    frame = open_frame(table, config.format.decimal)
    config = fit_rules(config, frame.names)
    intake = LineCollector(config, now)
    mapping, faults = resolve_columns(config, frame.names, own_names_too=True)
    every_column = config.duplicates == "drop"
    needed = list(dict.fromkeys(frame.names)) if every_column else list_needed(mapping)
    lines = frame.select(needed)
    raw = RawTable(lines, np.arange(1, lines.num_rows + 1))
    parts = [*intake.usable(iter([raw]), "", mapping, faults), *intake.returned()]
    return _assemble_orders(intake, parts, "the orders")


def _assemble_orders(intake: LineCollector, parts: list[UsableLines], source: str) -> Orders:
    """The orders of all usable lines, with the report on all lines; refuses what cannot be used."""
    report = intake.report(source)
    config = intake.config
    decimals = config.currency_decimals
    orders, counts = pack(parts, intake.columns, decimals, intake.overlapping)
    end = find_complete_until(config, intake.rules.now)
    return replace(orders, report=complete_report(report, counts, config), complete_until=end)


def coerce_orders(orders: object, config: OrdersConfig | None = None) -> Orders:
    """What a public function was given as orders: `Orders`, order lines in memory, or a path to
    them.
    """
    if isinstance(orders, Orders):
        return orders
    config = config or OrdersConfig()
    if isinstance(orders, str | Path):
        return read_configured_orders(config.reading(str(orders)), own_names_too=True)
    if is_frame(orders):
        return read_table(orders, config)
    raise OrdersError(
        "orders must be Orders, a frame of order lines (pandas, polars, Arrow, DuckDB or a list of "
        f"dicts) or a path, got {type(orders).__name__}"
    )
