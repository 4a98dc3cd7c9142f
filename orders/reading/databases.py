"""Databases: the answer to a query, or a table, as Arrow tables of bounded size.

SQLAlchemy speaks to SQLite and PostgreSQL (and to whatever else the user has a driver for), DuckDB
to what it reads: parquet, Iceberg and Delta, near or far, ADBC to warehouses. Rows stream through
one read-only transaction, so that they are one state of the database, and secrets come from the
environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ...configs.addresses import expand_variables, hide_passwords
from ...errors import ConfigError, OrdersError, StoreError
from .database_address import DatabaseAddress, QueryResult, build_answer_column, parse_address
from .read_only_queries import DENIALS, check_duckdb_query, forbid_sqlite_writes, refuse_query
from .warehouses import find_adbc_kind, open_adbc_query

if TYPE_CHECKING:
    import sqlalchemy

__all__ = ["DatabaseAddress", "QueryResult", "create_engine", "open_query", "parse_address"]

_ROWS = 100_000  # of a chunk
_CONNECT_SECONDS = 30


@contextmanager
def open_query(source: str, query: str | None) -> Iterator[QueryResult]:
    """Ask a database; raises `StoreError` where it refuses, `OrdersError` where it has no such
    rows.
    """
    address = parse_address(source)
    if (address.table is None) == (query is None):
        got = "neither" if query is None else "both"
        raise ConfigError(f"{address.shown} takes a query or a table (ADDRESS#TABLE), got {got}")
    kind = find_adbc_kind(address)
    if kind is not None:
        with open_adbc_query(address, kind, query) as answer:
            yield answer
    elif address.is_duckdb:
        with _open_duckdb(address, query) as answer:
            yield answer
    else:
        with _open_sqlalchemy(address, query) as answer:
            yield answer


def create_engine(asked: DatabaseAddress, *, may_create: bool = False) -> sqlalchemy.Engine:
    """A SQLAlchemy engine without a pool; `ConfigError` and `StoreError` where none can be made.

    A SQLite database must be there, unless it `may_create` one.
    """
    try:
        import sqlalchemy
        from sqlalchemy import exc
    except ImportError:
        raise StoreError(
            f"{asked.shown} needs the package SQLAlchemy: pip install 'clvcast[postgres]'"
        ) from None
    try:
        url = sqlalchemy.make_url(expand_variables(asked.address))
    except (exc.ArgumentError, ValueError):
        raise ConfigError(
            f"{asked.shown} is no database address; one is like sqlite:///shop.db or "
            "postgresql://user:${PASSWORD}@host/database"
        ) from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and not may_create and not Path(str(url.database)).is_file():
        raise StoreError(f"there is no SQLite database at {asked.shown}; give the path of its file")
    is_postgres = url.get_backend_name() == "postgresql"
    if is_postgres and "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(_CONNECT_SECONDS)})
    try:
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    except exc.NoSuchModuleError:
        raise ConfigError(
            f"{asked.shown} is of no database SQLAlchemy knows; sqlite, postgresql, "
            "duckdb, snowflake and bigquery are read"
        ) from None
    except ModuleNotFoundError as error:
        extra = ": pip install 'clvcast[postgres]'" if is_postgres else ""
        raise StoreError(f"{asked.shown} needs the Python package {error.name}{extra}") from None


@contextmanager
def _open_sqlalchemy(asked: DatabaseAddress, query: str | None) -> Iterator[QueryResult]:
    engine = create_engine(asked)
    from sqlalchemy import inspect

    is_sqlite = engine.dialect.name == "sqlite"
    try:
        with _translate_errors(asked, is_sqlite), engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            elif is_sqlite:
                connection.exec_driver_sql("PRAGMA query_only = ON")
            streaming = connection.execution_options(
                yield_per=_ROWS, no_parameters=True
            )  # on PostgreSQL a cursor of the server's
            if query is not None:
                if is_sqlite:
                    forbid_sqlite_writes(connection.connection.dbapi_connection)
                with closing(streaming.exec_driver_sql(query)) as result:
                    if not result.returns_rows:
                        raise refuse_query(asked.shown)
                    yield QueryResult(
                        list(result.keys()),
                        lambda names: _iterate_chunks(asked, result, names, is_sqlite),
                    )
                return
            schema, _, table = str(asked.table).rpartition(".")
            table_columns = inspect(connection).get_columns(table, schema or None)
            quoted = engine.dialect.identifier_preparer.quote_identifier
            quoted_table = ".".join(quoted(part) for part in (schema, table) if part)

            def of_table(names: Sequence[str]) -> Iterator[pa.Table]:
                listed = ", ".join(quoted(name) for name in names)
                with (
                    _translate_errors(asked, is_sqlite),
                    closing(
                        streaming.exec_driver_sql(f"SELECT {listed} FROM {quoted_table}")
                    ) as result,
                ):
                    yield from _iterate_chunks(asked, result, names, is_sqlite)

            yield QueryResult([column["name"] for column in table_columns], of_table)
    finally:
        engine.dispose()


def _iterate_chunks(
    asked: DatabaseAddress, result: Any, names: Sequence[str], is_sqlite: bool
) -> Iterator[pa.Table]:
    """The rows of an answer. Faults are told here: whoever iterates may stand outside
    `open_query`.
    """
    at = [list(result.keys()).index(name) for name in names]
    read = 0
    partitions = result.partitions(_ROWS)
    while True:
        with _translate_errors(asked, is_sqlite, read):
            rows = next(partitions, None)
        if rows is None:
            return
        columns = list(zip(*rows, strict=True))
        arrays = [
            build_answer_column(columns[i], name, asked) for i, name in zip(at, names, strict=True)
        ]
        read += len(rows)
        yield pa.table(arrays, names=list(names))


@contextmanager
def _translate_errors(asked: DatabaseAddress, is_sqlite: bool, read: int = 0) -> Iterator[None]:
    """Turn what SQLAlchemy raises into a sentence."""
    from sqlalchemy import exc

    try:
        yield
    except exc.NoSuchTableError:
        raise OrdersError(
            f"{hide_passwords(asked.address)} has no table {asked.table}; name one of its tables "
            "or views, with its schema if it has one (ADDRESS#SCHEMA.TABLE)"
        ) from None
    except exc.SQLAlchemyError as error:
        reason = asked.reason(error)
        if is_sqlite and reason in DENIALS:
            raise refuse_query(asked.shown) from None
        # in SQLite, a wrong query is operational too
        if is_sqlite or not isinstance(error, exc.OperationalError | exc.InterfaceError):
            raise OrdersError(f"{asked.shown}: the database query failed: {reason}") from None
        when = f"was lost after {read:,} rows" if read else "fails"
        raise StoreError(
            f"the connection to {asked.shown} {when}: {reason}; nothing was written"
        ) from None


@contextmanager
def _open_duckdb(asked: DatabaseAddress, query: str | None) -> Iterator[QueryResult]:
    try:
        import duckdb
    except ImportError:
        raise StoreError(
            f"{asked.shown} needs the package duckdb: pip install 'clvcast[duckdb]'"
        ) from None
    path = expand_variables(asked.address)[len("duckdb:") :]
    path = path.removeprefix("///") if path.startswith("///") else path.removeprefix("//")
    if path and not Path(path).is_file():
        raise StoreError(f"there is no DuckDB database at {asked.shown}; give the path of its file")

    @contextmanager
    def in_sentences() -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise OrdersError(
                f"{asked.shown}: the database query failed: {asked.reason(error)}"
            ) from None

    def chunks(reader: Any, names: Sequence[str]) -> Iterator[pa.Table]:
        while True:
            with in_sentences():
                batch = next(reader, None)
            if batch is None:
                return
            yield pa.Table.from_batches([batch]).select(list(names))

    with in_sentences(), duckdb.connect(path or ":memory:", read_only=bool(path)) as connection:
        parts = str(asked.table).split(".")
        table = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
        if query is not None:
            check_duckdb_query(connection, query, asked.shown)
        rows = connection.sql(query if query is not None else f"SELECT * FROM {table}")
        if rows is None:
            raise refuse_query(asked.shown)
        reader: Any = rows.to_arrow_reader(_ROWS)
        yield QueryResult(list(reader.schema.names), lambda names: chunks(reader, names))
