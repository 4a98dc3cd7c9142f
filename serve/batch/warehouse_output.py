"""Forecasts into a table of a database that an ADBC driver writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from typing import Any

import pyarrow as pa

from ...errors import StoreError
from ...orders.reading.database_address import DatabaseAddress
from ...orders.reading.warehouses import AdbcKind, connect_adbc, quote_table

__all__ = ["Rows", "create_adbc_tables", "write_adbc_tables"]

Rows = tuple[str, pa.Table, tuple[str, ...]]  # name, rows and key of a table


def create_adbc_tables(target: DatabaseAddress, kind: AdbcKind, tables: Sequence[Rows]) -> None:
    """Create the tables that are missing; raises `StoreError` where one lacks columns."""
    with _open_cursor(target, kind) as (connection, cursor):
        for name, rows, _ in tables:
            present = _list_columns(connection, cursor, kind, name)
            if present is None:
                _send(cursor, name, _store(rows, kind).schema.empty_table(), "create")
                _commit(connection, kind)
                continue
            missing = [column for column in rows.schema.names if column not in present]
            if missing:
                raise StoreError(
                    f"the table {name} lacks the columns {', '.join(missing)}; add them, or name "
                    "a new table"
                )


def write_adbc_tables(target: DatabaseAddress, kind: AdbcKind, tables: Sequence[Rows]) -> None:
    """Write tables: rows replace those with their key, or all where there is no key.

    The rows are first sent to `NAME_staged`. One transaction then moves them into all tables.
    """
    create_adbc_tables(target, kind, tables)
    with _open_cursor(target, kind) as (connection, cursor):
        for name, rows, _ in tables:
            _send(cursor, f"{name}_staged", _store(rows, kind), "replace")
        _commit(connection, kind)
        moves = [move for table in tables for move in _list_moves(kind, *table)]
        if kind.name == "bigquery":  # its driver commits every statement, so they are one
            moves = ["; ".join(["BEGIN TRANSACTION", *moves, "COMMIT TRANSACTION"])]
        for move in moves:
            cursor.execute(move)
        _commit(connection, kind)
        for name, _, _ in tables:
            cursor.execute(f"DROP TABLE {quote_table(kind, f'{name}_staged')}")
        _commit(connection, kind)


@contextmanager
def _open_cursor(target: DatabaseAddress, kind: AdbcKind) -> Iterator[tuple[Any, Any]]:
    """A connection and its cursor; what the driver raises becomes a sentence."""
    with connect_adbc(target, kind, may_create=True) as connection:
        errors = import_module("adbc_driver_manager").Error
        try:
            with closing(connection.cursor()) as cursor:
                yield connection, cursor
        except (errors, pa.ArrowException) as error:
            reason = target.reason(error)
            raise StoreError(
                f"{target.shown} cannot be written: {reason}; nothing was written"
            ) from None


def _commit(connection: Any, kind: AdbcKind) -> None:
    if kind.name != "bigquery":
        connection.commit()


def _send(cursor: Any, name: str, rows: pa.Table, mode: str) -> None:
    schema, _, table = name.rpartition(".")
    place = {"db_schema_name": schema} if schema else {}
    cursor.adbc_ingest(table, rows, mode=mode, **place)


def _list_columns(connection: Any, cursor: Any, kind: AdbcKind, name: str) -> list[str] | None:
    """The columns of a table; None if there is none."""
    try:
        cursor.execute(f"SELECT * FROM {quote_table(kind, name)} WHERE 1 = 0")
    except import_module("adbc_driver_manager").Error:
        if kind.name != "bigquery":
            connection.rollback()
        return None
    return list(cursor.fetch_arrow_table().schema.names)


def _list_moves(kind: AdbcKind, name: str, rows: pa.Table, key: tuple[str, ...]) -> list[str]:
    """The statements that move the staged rows into their table."""
    table, staged = quote_table(kind, name), quote_table(kind, f"{name}_staged")
    listed = ", ".join(quote_table(kind, column) for column in rows.schema.names)
    equal = " AND ".join(
        f"{staged}.{quote_table(kind, column)} = {table}.{quote_table(kind, column)}"
        for column in key
    )
    old = f"EXISTS (SELECT 1 FROM {staged} WHERE {equal})" if key else "1 = 1"
    return [
        f"DELETE FROM {table} WHERE {old}",
        f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {staged}",
    ]


def _store(rows: pa.Table, kind: AdbcKind) -> pa.Table:
    """Rows as they are stored: SQLite has no times, so these are text, as SQLAlchemy writes it."""
    if kind.name != "sqlite":
        return rows
    for at, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(at, field.name, rows.column(at).cast(pa.string()))
    return rows
