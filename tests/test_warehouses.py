"""ADBC drivers: PostgreSQL and SQLite for real, Snowflake and BigQuery against their interface."""

from __future__ import annotations

import inspect
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from conftest import needed
from postgresql import COLUMNS, Server

import clvcast
from clvcast.configs.schema import parse_orders_config
from clvcast.errors import OrdersError, StoreError
from clvcast.models.scoring import FORECAST_SCHEMA
from clvcast.orders.reading import databases, warehouses
from clvcast.orders.reading.read_orders import read_configured_orders
from clvcast.orders.reading.rejected_lines import REJECTED_SCHEMA
from clvcast.serve.batch import warehouse_output
from clvcast.serve.batch.database import check_writable_table, write_tables

SELECT = "SELECT * FROM till"


def through_adbc(address: str) -> str:
    return address.replace("://", "+adbc://", 1)


@pytest.fixture
def shop_file(tmp_path: Path, till: pd.DataFrame) -> str:
    needed("adbc_driver_sqlite")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        till.to_sql("till", connection, index=False)
    return f"sqlite:///{tmp_path}/shop.db"


def test_adbc_reads_the_same_orders(
    till: pd.DataFrame, postgres: Server, shop_file: str, tmp_path: Path
) -> None:
    needed("adbc_driver_postgresql")
    import sqlalchemy

    kinds = {"price": sqlalchemy.Numeric(12, 4), "client": sqlalchemy.Text()}
    till.to_sql("till", postgres.engine, index=False, if_exists="replace", dtype=kinds)
    digests = set()
    for address in (shop_file, postgres.address):
        for source in (address, through_adbc(address)):
            for place in ({"source": f"{source}#till"}, {"source": source, "query": SELECT}):
                settings = parse_orders_config({**place, "columns": COLUMNS})
                digests.add(read_configured_orders(settings).digest())
    assert len(digests) == 1


def read_value(postgres: Server, sql: str) -> Any:
    """What a cell of PostgreSQL becomes through ADBC."""
    with databases.open_query(through_adbc(postgres.address), f"SELECT {sql} AS x") as answer:
        (rows,) = list(answer.chunks(["x"]))
    return rows["x"][0].as_py()


def test_values_of_postgresql_keep_their_digits(postgres: Server) -> None:
    needed("adbc_driver_postgresql")
    assert read_value(postgres, "17850.00::numeric") == 17850
    assert read_value(postgres, "123456789012345678901::numeric") == "123456789012345678901"
    assert read_value(postgres, "1.15::numeric(12,2)") == 1.15
    assert read_value(postgres, "9007199254740993::bigint") == 9007199254740993
    assert read_value(postgres, "timestamp '2020-01-01 10:30'") == datetime(2020, 1, 1, 10, 30)
    assert read_value(postgres, "'00000000-0000-0000-0000-00000000000a'::uuid").endswith("00a")


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("'1.50'::money", "must not be of the type money"),
        ("'{}'::jsonb", "must hold text, numbers or dates, got extension<arrow.json>"),
        ("'infinity'::timestamp", "timestamp too large"),
        ("'-infinity'::timestamp", "timestamp too large"),
        ("x FROM nowhere", 'relation "nowhere" does not exist'),
    ],
)
def test_what_adbc_would_change_or_cannot_read_is_refused(
    postgres: Server, sql: str, sentence: str
) -> None:
    needed("adbc_driver_postgresql")
    with pytest.raises(OrdersError, match=sentence):
        read_value(postgres, sql)


def test_fractions_that_sqlite_rounds_are_refused(tmp_path: Path) -> None:
    needed("adbc_driver_sqlite")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE t (customer_id, ordered_at, amount)")
        rows = [("a", "2020-01-01", 123456.789), ("a", "2020-01-02", "")]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    with pytest.raises(OrdersError, match="column 'amount' must hold text or numbers, it mixes"):
        clvcast.read_orders(f"sqlite+adbc:///{tmp_path}/a.db#t")


def test_fractions_after_many_whole_amounts_are_refused_with_a_mend(tmp_path: Path) -> None:
    needed("adbc_driver_sqlite")
    rows = [("a", "2020-01-01", 5)] * 1_024 + [("a", "2020-01-02", 7.75)]
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE t (customer_id, ordered_at, amount)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    address = f"sqlite+adbc:///{tmp_path}/a.db"
    with pytest.raises(OrdersError, match="CAST the column to REAL or TEXT in a query"):
        clvcast.read_orders(f"{address}#t")
    query = "SELECT customer_id, ordered_at, CAST(amount AS REAL) AS amount FROM t"
    orders = read_configured_orders(parse_orders_config({"source": address, "query": query}))
    assert orders.amounts.sum() == 1_024 * 500 + 775


def test_times_in_nanoseconds_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Snowflake's driver hands them over; a stand-in answers."""
    needed("adbc_driver_sqlite")
    times = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))

    class Cursor:
        def execute(self, _: str) -> None: ...

        def close(self) -> None: ...

        def fetch_record_batch(self) -> pa.RecordBatchReader:
            columns = {"ordered_at": times, "customer_id": ["a"], "amount": [1.0]}
            return pa.table(columns).to_reader()

    @contextmanager
    def connect(*_: Any) -> Iterator[Any]:
        yield SimpleNamespace(cursor=Cursor)

    monkeypatch.setattr(warehouses, "connect_adbc", connect)
    orders = clvcast.read_orders("sqlite+adbc:///shop.db#t")
    assert orders.times.astype("datetime64[us]").tolist() == [
        datetime(2023, 11, 14, 22, 13, 20, 123456)
    ]
    times = pa.array([-(2**63)], pa.timestamp("us"))  # minus infinity
    with pytest.raises(OrdersError, match="timestamp too large"):
        clvcast.read_orders("sqlite+adbc:///shop.db#t")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM till",
        "SELECT 1; DELETE FROM till",
        "ATTACH 'leak.db' AS l",
        "",
        "VACUUM",
        "SELECT 1 # '\n; DROP TABLE till; # '",  # what each dialect takes for quotes and comments
        "SELECT 1 // '\n; DROP TABLE till; // '",
        "SELECT `it's` FROM till; DROP TABLE till; SELECT `it's`",
        'SELECT """ " """; DROP TABLE till --"',
        "SELECT $$'$$; DROP TABLE till; SELECT $$'$$",
        "SELECT 1 /* /* */ ' */ ; DROP TABLE till; --'",
    ],
)
def test_a_query_only_reads(shop_file: str, query: str) -> None:
    settings = parse_orders_config({"source": through_adbc(shop_file), "query": query})
    with pytest.raises(OrdersError, match="the query must be a SELECT"):
        read_configured_orders(settings)


def test_a_missing_driver_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme, package, extra in (
        ("snowflake", "adbc-driver-snowflake", "snowflake"),
        ("bigquery", "adbc-driver-bigquery", "bigquery"),
        ("postgresql+adbc", "adbc-driver-postgresql", "adbc"),
    ):
        monkeypatch.setitem(sys.modules, f"{package.replace('-', '_')}.dbapi", None)
        sentence = rf"needs the package {package}: pip install 'clvcast\[{extra}\]'"
        with pytest.raises(StoreError, match=sentence):
            clvcast.read_orders(f"{scheme}://place/shop#orders")


def make_forecasts(customers: str, clv: float) -> pa.Table:
    """Forecasts of customers named by one letter each."""
    cutoff = datetime(2024, 1, 1)
    fill: dict[pa.DataType, Any] = {pa.string(): "x", pa.timestamp("us"): cutoff}
    rows = [
        {field.name: fill.get(field.type, 1) for field in FORECAST_SCHEMA}
        | {"customer_id": customer, "clv": clv}
        for customer in customers
    ]
    return pa.Table.from_pylist(rows, FORECAST_SCHEMA)


def read_clv(address: str) -> dict[str, float]:
    query = "SELECT customer_id, clv FROM forecasts ORDER BY customer_id"
    with databases.open_query(address, query) as answer:
        rows = pa.concat_tables(answer.chunks(["customer_id", "clv"]))
    return dict(zip(rows["customer_id"].to_pylist(), rows["clv"].to_pylist(), strict=True))


def test_forecasts_replace_their_own_rows(postgres: Server, tmp_path: Path) -> None:
    needed("adbc_driver_postgresql")
    with postgres.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS forecasts, forecasts_rejected")
    for plain in (postgres.address, f"sqlite:///{tmp_path}/forecasts.db"):
        address = through_adbc(plain)
        check_writable_table(f"{address}#forecasts", FORECAST_SCHEMA)
        nothing = REJECTED_SCHEMA.empty_table()
        write_tables(f"{address}#forecasts", make_forecasts("abc", 1.0), nothing)
        write_tables(f"{address}#forecasts", make_forecasts("bd", 2.0), nothing)
        assert read_clv(address) == {"a": 1.0, "b": 2.0, "c": 1.0, "d": 2.0}
        # the other way to write finds its rows: the keys are stored alike
        if plain.startswith("sqlite"):
            with sqlite3.connect(tmp_path / "forecasts.db") as connection:
                stored = connection.execute("SELECT DISTINCT cutoff FROM forecasts").fetchall()
                names = connection.execute("SELECT name FROM sqlite_master").fetchall()
            assert stored == [("2024-01-01 00:00:00.000000",)]
            assert {name for (name,) in names} == {"forecasts", "forecasts_rejected"}
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE forecasts (customer_id)")
    with pytest.raises(StoreError, match="the table forecasts lacks the columns cutoff, model"):
        check_writable_table(f"sqlite+adbc:///{tmp_path}/other.db#forecasts", FORECAST_SCHEMA)


def list_tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


def test_only_tables_of_the_run_are_dropped(postgres: Server, tmp_path: Path) -> None:
    """The table of a user that is called NAME_staged stays, also where PostgreSQL cuts names."""
    needed("adbc_driver_postgresql")
    nothing = REJECTED_SCHEMA.empty_table()
    path = tmp_path / "f.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE f_staged (mine)")
        connection.execute("INSERT INTO f_staged VALUES (1)")
    write_tables(f"sqlite+adbc:///{path}#f", make_forecasts("a", 1.0), nothing)
    assert list_tables(path) == {"f", "f_rejected", "f_staged"}
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM f_staged").fetchall() == [(1,)]
    longest = "f" * (63 - len("_rejected"))
    address = through_adbc(postgres.address)
    with postgres.engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS till_forecasts")
        connection.exec_driver_sql(
            f"DROP TABLE IF EXISTS till_forecasts.{longest}, till_forecasts.{longest}_rejected"
        )
    for clv in (1.0, 2.0):
        write_tables(f"{address}#till_forecasts.{longest}", make_forecasts("ab", clv), nothing)
    with postgres.engine.begin() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT sum(clv), count(*) FROM till_forecasts.{longest}"
        ).one()
        assert tuple(rows) == (4.0, 2)
        left = connection.exec_driver_sql(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'clvcast_staged%%'"
        )
        assert left.fetchall() == []


@pytest.mark.parametrize("forbidden", ["DROP", "INSERT"])
def test_a_failure_says_what_was_written(
    forbidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A login that may not drop has written its forecasts; one that may not insert has not."""
    manager = needed("adbc_driver_manager")
    path = tmp_path / "f.db"
    address, nothing = f"sqlite+adbc:///{path}#f", REJECTED_SCHEMA.empty_table()
    write_tables(address, make_forecasts("a", 1.0), nothing)
    connect = warehouses.connect_adbc

    class Strict:
        """A connection or cursor whose user lacks a right."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def cursor(self) -> Strict:
            return Strict(self.real.cursor())

        def execute(self, statement: str) -> None:
            if statement.startswith(forbidden):
                code = manager.AdbcStatusCode.UNAUTHORIZED
                raise manager.OperationalError("no such right", status_code=code)
            self.real.execute(statement)

    @contextmanager
    def connect_strictly(*arguments: Any, **settings: Any) -> Iterator[Any]:
        with connect(*arguments, **settings) as connection:
            yield Strict(connection)

    monkeypatch.setattr(warehouse_output, "connect_adbc", connect_strictly)
    if forbidden == "DROP":
        write_tables(address, make_forecasts("a", 2.0), nothing)
        staged = list_tables(path) - {"f", "f_rejected"}
        assert len(staged) == 2
        (line,) = caplog.messages
        assert "are no longer needed: no such right; drop them" in line
        assert all(name in line for name in staged)
    else:
        with pytest.raises(StoreError, match="no such right; nothing was written"):
            write_tables(address, make_forecasts("a", 2.0), nothing)
        assert list_tables(path) == {"f", "f_rejected"}
    address = address.partition("#")[0]
    with databases.open_query(address, "SELECT clv FROM f") as answer:
        rows = pa.concat_tables(answer.chunks(["clv"]))
    assert rows["clv"].to_pylist() == [2.0 if forbidden == "DROP" else 1.0]


@pytest.mark.parametrize("name", ["snowflake", "bigquery"])
def test_warehouses_are_called_as_their_drivers_want(
    name: str, shop_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in answers from SQLite; the real driver's `connect` takes what it was called with."""
    import adbc_driver_sqlite.dbapi as sqlite

    called: list[dict[str, Any]] = []
    path = shop_file.removeprefix("sqlite:///")

    def connect(uri: str | None = None, db_kwargs: Any = None, **kwargs: Any) -> Any:
        called.append({"uri": uri, "db_kwargs": db_kwargs, **kwargs})
        return sqlite.connect(path)

    real = needed(f"adbc_driver_{name}.dbapi")
    driver = ModuleType(real.__name__)
    driver.connect, driver.Error = connect, real.Error  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, driver.__name__, driver)
    monkeypatch.setenv("CLV_DB_PASSWORD", "p@ss")
    address = {
        "snowflake": "snowflake://clv:${CLV_DB_PASSWORD}@account/shop/public?warehouse=small",
        "bigquery": "bigquery://project/shop",
    }[name]
    orders = read_configured_orders(
        parse_orders_config({"source": address, "query": SELECT, "columns": COLUMNS})
    )
    assert orders.n_customers > 300
    assert (
        called[-1]
        == {
            "snowflake": {
                "uri": "clv:p%40ss@account/shop/public?warehouse=small",
                "db_kwargs": None,
            },
            "bigquery": {
                "uri": None,
                "db_kwargs": {
                    "adbc.bigquery.sql.project_id": "project",
                    "adbc.bigquery.sql.dataset_id": "shop",
                },
                "autocommit": True,
            },
        }[name]
    )
    given = {key: value for key, value in called[-1].items() if value is not None}
    inspect.signature(real.connect).bind(**given)
