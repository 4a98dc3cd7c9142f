"""Databases through ADBC drivers: Snowflake and BigQuery, and on request PostgreSQL and SQLite.

A driver hands over Arrow tables. What it would translate into other numbers (PostgreSQL's money in
cents, SQLite's fractions as rounded text) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ...configs.addresses import expand_variables
from ...errors import OrdersError, StoreError, quote
from .database_address import DatabaseAddress, QueryResult, build_answer_column
from .read_only_queries import check_one_select

__all__ = ["AdbcKind", "connect_adbc", "find_adbc_kind", "open_adbc_query", "quote_table"]

_LATEST = 253_402_300_800_000_000  # 10000-01-01 in microseconds; PostgreSQL's infinity is later
_ROUNDED = r"^-?\d\.\d{6}e[+-]\d\d"  # how SQLite's driver writes a fraction that stands beside text
_READONLY_TRANSACTION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True)
class AdbcKind:
    """A kind of database that has an ADBC driver."""

    name: str
    package: str
    extra: str
    connect: Callable[[Any, str], Any]  # with the driver's module and what follows `scheme://`
    quote: str = '"'  # around names
    begin: str | None = None  # makes a transaction read-only


def _connect_bigquery(driver: Any, rest: str) -> Any:
    project, _, dataset = rest.strip("/").partition("/")
    options = import_module("adbc_driver_bigquery").DatabaseOptions
    settings = {options.PROJECT_ID.value: project, options.DATASET_ID.value: dataset}
    return driver.connect(
        db_kwargs={name: value for name, value in settings.items() if value}, autocommit=True
    )


_KINDS = {
    "snowflake": AdbcKind(
        "snowflake", "adbc_driver_snowflake", "snowflake", lambda driver, rest: driver.connect(rest)
    ),
    "bigquery": AdbcKind(
        "bigquery", "adbc_driver_bigquery", "bigquery", _connect_bigquery, quote="`"
    ),
    "postgresql+adbc": AdbcKind(
        "postgresql", "adbc_driver_postgresql", "adbc",
        lambda driver, rest: driver.connect(f"postgresql://{rest}"), begin=_READONLY_TRANSACTION,
    ),
    "sqlite+adbc": AdbcKind(
        "sqlite", "adbc_driver_sqlite", "adbc",
        lambda driver, rest: driver.connect(rest.removeprefix("/")), begin="PRAGMA query_only = ON",
    ),
}  # fmt: skip


def find_adbc_kind(asked: DatabaseAddress) -> AdbcKind | None:
    """The kind of database of an address that an ADBC driver reads, else None."""
    return _KINDS.get(expand_variables(asked.address).partition("://")[0].lower())


def quote_table(kind: AdbcKind, name: str) -> str:
    """A table's name, with its schema if it has one, for a statement."""
    quoted = (f"{kind.quote}{part.replace(kind.quote, kind.quote * 2)}{kind.quote}"
              for part in name.split("."))  # fmt: skip
    return ".".join(quoted)


@contextmanager
def connect_adbc(
    asked: DatabaseAddress, kind: AdbcKind, *, may_create: bool = False
) -> Iterator[Any]:
    """Connect with the driver of the address; raises `StoreError` without driver or database."""
    try:
        driver = import_module(f"{kind.package}.dbapi")
    except ImportError:
        package = kind.package.replace("_", "-")
        raise StoreError(
            f"{asked.shown} needs the package {package}: pip install 'clvcast[{kind.extra}]'"
        ) from None
    rest = expand_variables(asked.address).partition("://")[2]
    if kind.name == "sqlite" and not may_create and not Path(rest.removeprefix("/")).is_file():
        raise StoreError(f"there is no SQLite database at {asked.shown}; give the path of its file")
    try:
        connection = kind.connect(driver, rest)
    except driver.Error as error:
        raise StoreError(
            f"the connection to {asked.shown} fails: {asked.reason(error)}; nothing was written"
        ) from None
    with closing(connection):
        yield connection


@contextmanager
def open_adbc_query(
    asked: DatabaseAddress, kind: AdbcKind, query: str | None
) -> Iterator[QueryResult]:
    """Ask a database through its ADBC driver, in a transaction that only reads."""
    if query is not None:
        query = check_one_select(query, asked.shown)
    with connect_adbc(asked, kind) as connection, closing(connection.cursor()) as cursor:
        with _translate_errors(asked):
            if kind.begin is not None:
                cursor.execute(kind.begin)
            if query is None:
                source = quote_table(kind, str(asked.table))
                cursor.execute(f"SELECT * FROM {source} WHERE 1 = 0")
                names = list(cursor.fetch_record_batch().schema.names)
            else:
                cursor.execute(query)
                answer = cursor.fetch_record_batch()
                names = list(answer.schema.names)

        def read(wanted: Sequence[str]) -> Iterator[pa.Table]:
            nonlocal answer
            if query is None:
                listed = ", ".join(quote_table(kind, name.replace(".", "\0")) for name in wanted)
                with _translate_errors(asked):
                    cursor.execute(f"SELECT {listed} FROM {source}".replace("\0", "."))
                    answer = cursor.fetch_record_batch()
            while True:
                with _translate_errors(asked):
                    batch = next(answer, None)
                if batch is None:
                    return
                rows = pa.Table.from_batches([batch]).select(list(wanted))
                with _translate_errors(asked):
                    columns = [_check_column(rows, name, asked) for name in wanted]
                yield pa.table(columns, names=list(wanted))

        yield QueryResult(names, read)


@contextmanager
def _translate_errors(asked: DatabaseAddress) -> Iterator[None]:
    """Turn what a driver raises into a sentence."""
    manager = import_module("adbc_driver_manager")
    try:
        yield
    except (manager.Error, pa.ArrowException, OSError) as error:
        reason = asked.reason(error)
        if "Type mismatch" in reason:  # SQLite's driver takes a type from the first 1,024 rows
            reason += "; CAST the column to REAL or TEXT in a query, or read it by sqlite:///"
        raise OrdersError(f"{asked.shown}: the database query failed: {reason}") from None


def _check_column(rows: pa.Table, name: str, asked: DatabaseAddress) -> pa.Array | pa.ChunkedArray:
    """A column of an answer as a type that the reader knows, with the numbers of the database."""
    column, metadata = rows.column(name), rows.field(name).metadata or {}
    if metadata.get(b"POSTGRESQL:type") == b"money":
        raise OrdersError(
            f"{asked.shown}: column {quote(name)} must not be of the type money, which the driver "
            "returns in hundredths; CAST it to numeric in a query"
        )
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_decimal(kind):
        values = column.to_pylist()
        if getattr(kind, "type_name", "") == "numeric":
            values = [None if value is None else Decimal(value) for value in values]
        elif kind.__class__.__name__ not in ("UuidType", "Decimal128Type", "Decimal256Type"):
            raise OrdersError(
                f"{asked.shown}: column {quote(name)} must hold text, numbers or dates, got {kind}"
            )
        return build_answer_column(values, name, asked)
    if pa.types.is_timestamp(kind):
        instants = column.cast(pa.timestamp("us", kind.tz), safe=kind.unit != "ns")
        ends = pc.min_max(instants.cast(pa.int64())).as_py()
        if (ends["max"] or 0) >= _LATEST or (ends["min"] or 0) <= -_LATEST:
            raise OrdersError(
                f"{asked.shown}: the database query failed: timestamp too large (after year 9999) "
                f"in column {quote(name)}; leave such rows out in a query"
            )
    if pa.types.is_string(kind) and pc.any(pc.match_substring_regex(column, _ROUNDED)).as_py():
        raise OrdersError(
            f"{asked.shown}: column {quote(name)} must hold text or numbers, it mixes them; "
            "CAST it in a query"
        )
    return column
