"""Forecasts into a table of a database that an ADBC driver writes."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from typing import Any

import pyarrow as pa

from ...errors import StoreError
from ...orders.reading.database_address import DatabaseAddress
from ...orders.reading.warehouses import AdbcKind, connect_adbc, quote_table

__all__ = ["Rows", "create_adbc_tables", "write_adbc_tables"]

_logger = logging.getLogger(__name__)

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

    The rows are first sent to tables of this run alone, beside those that they go into. One
    transaction then moves them into all tables.
    """
    create_adbc_tables(target, kind, tables)
    staged = [_name_staged(name) for name, _, _ in tables]
    with _open_cursor(target, kind) as (connection, cursor):
        try:
            for place, (_, rows, _) in zip(staged, tables, strict=True):
                _send(cursor, place, _store(rows, kind), "create")
            _commit(connection, kind)
            moves = [
                move
                for place, table in zip(staged, tables, strict=True)
                for move in _list_moves(kind, place, *table)
            ]
            if kind.name == "bigquery":  # its driver commits every statement, so they are one
                moves = ["; ".join(["BEGIN TRANSACTION", *moves, "COMMIT TRANSACTION"])]
            for move in moves:
                cursor.execute(move)
            _commit(connection, kind)
        finally:
            _drop_staged(target, kind, staged, connection, cursor)


def _name_staged(name: str) -> str:
    """A new table's name in the schema of `name`; PostgreSQL would cut one longer than 63."""
    schema, dot, _ = name.rpartition(".")
    return f"{schema}{dot}clvcast_staged_{secrets.token_hex(8)}"


def _drop_staged(
    target: DatabaseAddress, kind: AdbcKind, staged: Sequence[str], connection: Any, cursor: Any
) -> None:
    """Drop the tables of this run. A failure is logged: what was written is written."""
    try:
        if kind.name != "bigquery":
            connection.rollback()  # of what was not committed
        for place in staged:
            cursor.execute(f"DROP TABLE IF EXISTS {quote_table(kind, place)}")
        _commit(connection, kind)
    except import_module("adbc_driver_manager").Error as error:
        _logger.warning(
            "%s may keep the tables %s, which are no longer needed: %s; drop them",
            target.shown,
            " and ".join(staged),
            target.reason(error),
        )


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


def _list_moves(
    kind: AdbcKind, place: str, name: str, rows: pa.Table, key: tuple[str, ...]
) -> list[str]:
    """The statements that move the rows staged in `place` into their table."""
    table, staged = quote_table(kind, name), quote_table(kind, place)
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
