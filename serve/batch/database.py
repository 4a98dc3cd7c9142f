"""Forecasts into a database table: one transaction, one row per customer and cutoff."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ...configs.addresses import expand_variables
from ...errors import ConfigError, StoreError
from ...models.scoring import PERIOD_PREFIX
from ...orders.reading.databases import DatabaseAddress, create_engine, parse_address
from ...orders.reading.rejected_lines import REJECTED_SCHEMA
from ...orders.reading.warehouses import find_adbc_kind
from .warehouse_output import create_adbc_tables, write_adbc_tables

if TYPE_CHECKING:
    import sqlalchemy

__all__ = ["check_writable_table", "write_tables"]

_KEY = ("customer_id", "cutoff")
_ROWS = 5_000  # sent at a time
_DIALECTS = ("postgresql", "sqlite")


def check_writable_table(output: str, forecasts: pa.Schema) -> None:
    """Reject, before long work, a table that cannot take forecasts.

    The tables are created and rolled back, which also checks the permission. Through ADBC, tables
    that are missing are created and stay, without rows.
    """
    target = parse_address(output)
    if _is_new_file(target):
        return
    kind = find_adbc_kind(target)
    if kind is not None:
        create_adbc_tables(target, kind, _list_tables(target, forecasts.empty_table()))
        return
    with _open_transaction(output) as (connection, table):
        _write(connection, table, forecasts.empty_table(), REJECTED_SCHEMA.empty_table())
        connection.rollback()


def write_tables(output: str, forecasts: pa.Table, rejected: pa.Table) -> None:
    """Write forecasts into ADDRESS#TABLE and rejected lines into TABLE_rejected, both or neither.

    A customer's forecast at a cutoff replaces an earlier one; others stay. Missing tables are
    created; TABLE_rejected holds the last run's lines. Raises `StoreError`.
    """
    target = parse_address(output)
    kind = find_adbc_kind(target)
    if kind is not None:
        write_adbc_tables(target, kind, _list_tables(target, forecasts, rejected))
        return
    with _open_transaction(output) as (connection, table):
        _write(connection, table, forecasts, rejected)
        connection.commit()


def _list_tables(
    target: DatabaseAddress, forecasts: pa.Table, rejected: pa.Table | None = None
) -> list[tuple[str, pa.Table, tuple[str, ...]]]:
    """Name, rows and key of the tables of an output."""
    if target.table is None:
        raise ConfigError(f"an output in a database must name its table, got {target.shown}")
    rejected = REJECTED_SCHEMA.empty_table() if rejected is None else rejected
    return [(target.table, forecasts, _KEY), (f"{target.table}_rejected", rejected, ())]


def _is_new_file(target: DatabaseAddress) -> bool:
    """Whether the output is a SQLite database to be created, in an existing folder."""
    address = expand_variables(target.address)
    path = Path(address.partition(":///")[2])
    is_new = address.startswith("sqlite:///") and not path.exists()
    if is_new and not path.parent.is_dir():
        raise StoreError(f"the folder of the output {target.shown} does not exist; make it first")
    return is_new


@contextmanager
def _open_transaction(output: str) -> Iterator[tuple[sqlalchemy.Connection, str]]:
    """A transaction, rolled back unless committed, and the name of the table."""
    target = parse_address(output)
    if target.table is None:
        raise ConfigError(f"an output in a database must name its table, got {target.shown}")
    engine = None if target.is_duckdb else create_engine(target, may_create=True)
    if engine is None or engine.dialect.name not in _DIALECTS:
        raise ConfigError(
            "forecasts are written to PostgreSQL, SQLite, Snowflake or BigQuery, got "
            f"{target.shown}"
        )
    from sqlalchemy import exc

    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":  # its driver begins none before a CREATE TABLE
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection, target.table
    except exc.SQLAlchemyError as error:
        reason = target.reason(error)
        raise StoreError(
            f"{target.shown} cannot be written: {reason}; nothing was written"
        ) from None
    finally:
        engine.dispose()


def _write(
    connection: sqlalchemy.Connection, name: str, forecasts: pa.Table, rejected: pa.Table
) -> None:
    from sqlalchemy.dialects import postgresql, sqlite

    table = _open_table(connection, name, forecasts.schema, _KEY)
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    others: dict[str, Any] = {
        name: insert.excluded[name] for name in forecasts.column_names if name not in _KEY
    }
    # periods that an earlier run with --by-period wrote belong to its forecast, not to this one
    others |= {
        column.name: None
        for column in table.columns
        if column.name.startswith(PERIOD_PREFIX) and column.name not in others
    }
    upsert = insert.on_conflict_do_update(index_elements=_KEY, set_=others)
    rejected_table = _open_table(connection, f"{name}_rejected", rejected.schema, ())
    connection.execute(rejected_table.delete())
    for rows, statement in ((forecasts, upsert), (rejected, rejected_table.insert())):
        for batch in rows.to_batches(max_chunksize=_ROWS):
            if batch.num_rows:
                connection.execute(statement, batch.to_pylist())


def _open_table(
    connection: sqlalchemy.Connection, full_name: str, schema: pa.Schema, key: tuple[str, ...]
) -> sqlalchemy.Table:
    """The table of that name, created if missing; rejects one without the columns."""
    import sqlalchemy

    kinds: dict[pa.DataType, Any] = {
        pa.string(): sqlalchemy.Text(),
        pa.timestamp("us"): sqlalchemy.DateTime(),
        pa.int32(): sqlalchemy.Integer(),
        pa.int64(): sqlalchemy.BigInteger(),
        pa.float64(): sqlalchemy.Double(),
    }
    namespace, _, name = full_name.rpartition(".")
    columns = [
        sqlalchemy.Column(field.name, kinds[field.type], primary_key=field.name in key)
        for field in schema
    ]
    table = sqlalchemy.Table(name, sqlalchemy.MetaData(), *columns, schema=namespace or None)
    inspector = sqlalchemy.inspect(connection)
    if not inspector.has_table(name, table.schema):
        table.create(connection)
        return table
    present = {column["name"] for column in inspector.get_columns(name, table.schema)}
    missing = [field for field in schema.names if field not in present]
    if missing:
        raise StoreError(
            f"the table {full_name} lacks the columns {', '.join(missing)}; add them, or name a "
            "new table"
        )
    unique = [
        inspector.get_pk_constraint(name, table.schema)["constrained_columns"],
        *(u["column_names"] for u in inspector.get_unique_constraints(name, table.schema)),
    ]
    if key and not any(set(names) == set(key) for names in unique):
        raise StoreError(f"the table {full_name} must have a primary key of {' and '.join(key)}")
    for column in sorted(present - set(schema.names)):
        if column.startswith(PERIOD_PREFIX):
            table.append_column(sqlalchemy.Column(column, sqlalchemy.Double()))
    return table
