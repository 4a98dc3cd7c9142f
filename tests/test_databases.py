"""Databases: the same forecasts from SQLite, PostgreSQL and DuckDB as from files, and one sentence
a fault.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy
from conftest import Run, needed
from export_files import make_shop
from postgresql import COLUMNS, PASSWORD, Server
from test_discovery import write_lines

import clvcast
from clvcast.configs.schema import parse_config, parse_orders_config
from clvcast.errors import ClvcastError, ConfigError, OrdersError, StoreError
from clvcast.models.scoring import FORECAST_SCHEMA
from clvcast.orders.reading import databases
from clvcast.orders.reading.database_address import build_answer_column, parse_address
from clvcast.orders.reading.read_orders import read_configured_orders
from clvcast.orders.reading.rejected_lines import REJECTED_SCHEMA
from clvcast.serve.batch.database import check_writable_table, write_tables
from clvcast.serve.batch.run import score_files

CUTOFF = "2020-12-01"


def fill(engine: sqlalchemy.Engine, table: str, *statements: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def sqlite(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "shop.db")


def refused(kind: type[ClvcastError], **settings: Any) -> str:
    with pytest.raises(kind) as refusal:
        read_configured_orders(parse_orders_config(settings))
    assert PASSWORD not in str(refusal.value)
    assert "\n" not in str(refusal.value) or " faults:\n" in str(refusal.value)
    return str(refusal.value)


@pytest.mark.slow
def test_a_config_with_another_source_gives_bit_equal_forecasts(
    till: pd.DataFrame,
    shop_model: clvcast.Model,
    tmp_path: Path,
    postgres: Server,
    run: Run,
) -> None:
    till.to_parquet(tmp_path / "till.parquet")
    (tmp_path / "parts").mkdir()
    for k in range(3):
        till[k::3].to_parquet(tmp_path / "parts" / f"{k}.parquet")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        till.to_sql("till", connection, index=False)
    kinds = {"price": sqlalchemy.Numeric(12, 4), "client": sqlalchemy.Text()}
    till.to_sql("till", postgres.engine, index=False, if_exists="replace", dtype=kinds)
    shop_model.save(tmp_path / "bundle")
    sources = {
        "parquet": {"source": str(tmp_path / "till.parquet")},
        "sqlite": {"source": f"sqlite:///{tmp_path}/shop.db#till"},
        "postgresql": {"source": f"{postgres.address}#public.till"},
        "query": {
            "source": postgres.address,
            "query": "SELECT * FROM till WHERE number NOT LIKE '%:x' ORDER BY price",
        },
        "duckdb": {
            "source": "duckdb:",
            "query": f"SET threads = 1; FROM '{tmp_path}/parts/*.parquet'",
        },
    }
    digests, forecasts = {}, {}
    for name, source in sources.items():
        config = tmp_path / f"{name}.yaml"
        settings = {"orders": {**source, "columns": COLUMNS}}
        config.write_text(json.dumps(settings))  # JSON is YAML
        output = tmp_path / f"{name}.parquet"
        arguments = ("score", "--model", tmp_path / "bundle", "--config", config)
        status, _, err = run(*arguments, "--cutoff", CUTOFF, "--output", output)
        assert status == 0, err
        forecasts[name] = output.read_bytes()
        digests[name] = clvcast.read_orders(clvcast.load_config(config)).digest()
    assert len(set(digests.values())) == 1
    assert len(set(forecasts.values())) == 1
    assert len(pd.read_parquet(tmp_path / "parquet.parquet")) > 300


def test_score_takes_an_address_and_a_query(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path, run: Run
) -> None:
    shop_model.save(tmp_path / "bundle")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        shop_lines.to_sql("lines", connection, index=False)
    address, output = f"sqlite:///{tmp_path}/shop.db", tmp_path / "f.parquet"
    arguments = ("score", "--model", tmp_path / "bundle", "--output", output)
    query = "SELECT * FROM lines WHERE customer_id < 'C00100'"
    status, _, err = run(*arguments, "--orders", address, "--query", query)
    assert status == 0, err
    expected = clvcast.score(shop_model, shop_lines[shop_lines["customer_id"] < "C00100"])
    pd.testing.assert_frame_equal(pd.read_parquet(output), expected, check_exact=True)
    assert run(*arguments, "--orders", f"{address}#lines")[0] == 0
    assert len(pd.read_parquet(output)) > len(expected)
    status, _, err = run(*arguments)
    assert status == 2
    assert "score needs --orders, or a --config that names them" in err


def test_ids_of_any_type_stay_what_they_are(postgres: Server) -> None:
    fill(
        postgres.engine,
        "ids",
        "CREATE TABLE ids (c numeric, o bigint, p uuid, at timestamp, amount numeric(12,2))",
        "INSERT INTO ids VALUES"
        " (17850.00, 9007199254740993, '00000000-0000-0000-0000-00000000000a', '2020-01-01', 1.15),"
        " (123456789012345678901, 1, NULL, '2020-01-02', 2.675)",
    )
    columns = {"customer_id": "c", "order_id": "o", "product_id": "p", "ordered_at": "at"}
    settings = {"source": f"{postgres.address}#ids", "columns": {**columns, "amount": "amount"}}
    orders = read_configured_orders(parse_orders_config(settings))
    assert orders.customer_ids.to_pylist() == ["123456789012345678901", "17850"]
    assert orders.texts["order_id"].to_text().to_pylist() == ["1", "9007199254740993"]
    assert orders.texts["product_id"].to_text().to_pylist()[1].endswith("-00000000000a")
    assert sorted(orders.amounts.tolist()) == [115, 268]


def test_times_with_a_zone_need_the_shops_own(postgres: Server) -> None:
    fill(
        postgres.engine,
        "zoned",
        "CREATE TABLE zoned (customer_id text, ordered_at timestamptz, amount float8)",
        "INSERT INTO zoned VALUES ('a', '2020-07-01 00:30+02', 1), ('b', '2020-01-01 12:00Z', 2)",
    )
    source = f"{postgres.address}#zoned"
    assert "set orders.timezone" in refused(OrdersError, source=source)
    orders = read_configured_orders(
        parse_orders_config({"source": source, "timezone": "Europe/London"})
    )
    assert orders.times.astype("datetime64[us]").astype(str).tolist() == [
        "2020-06-30T23:30:00.000000",
        "2020-01-01T12:00:00.000000",
    ]


@pytest.mark.parametrize(
    ("kind", "cell", "message"),
    [
        ("bytea", "'x'", "must hold text, numbers or dates, got struct<bytes: string>"),
        ("boolean", "true", "must hold text, numbers or dates, got bool"),
        ("jsonb", "'{}'", "must hold text, numbers or dates, got struct<dict: string>"),
        ("int[]", "'{1}'", "must hold text, numbers or dates, got struct<list: string>"),
        ("interval", "'1 day'", "must hold text, numbers or dates, got struct<timedelta: string>"),
        ("numeric", "'NaN'", "amount must be a number: 1 line (rows 1)"),
        ("timestamp", "'2020-01-01'", "amount must be a number: 1 line (rows 1)"),
        ("timestamp", "'infinity'", "the database query failed: timestamp too large"),
    ],
)
def test_types_that_do_not_fit_are_named(
    postgres: Server, kind: str, cell: str, message: str
) -> None:
    fill(
        postgres.engine,
        "odd",
        f"CREATE TABLE odd (customer_id text, ordered_at timestamp, amount {kind})",
        f"INSERT INTO odd VALUES ('a', '2020-01-01', {cell})",
    )
    with pytest.raises(OrdersError) as refusal:
        clvcast.read_orders(f"{postgres.address}#odd")
    assert message in str(refusal.value)


def test_sqlite_keeps_whatever_it_is_given(sqlite: sqlite3.Connection, tmp_path: Path) -> None:
    sqlite.execute("CREATE TABLE t (customer_id, ordered_at, amount)")
    rows = [(7, "2020-01-01", 1.5), ("a", "2020-01-02", ""), (None, "2020-01-03", 2), (7, None, 3)]
    sqlite.executemany("INSERT INTO t VALUES (?, ?, ?)", rows * 1)
    sqlite.commit()
    settings = {"source": f"sqlite:///{tmp_path}/shop.db#t", "max_rejected_share": 0.9}
    orders = read_configured_orders(parse_orders_config(settings))
    assert (orders.customer_ids.to_pylist(), orders.amounts.tolist()) == (["7"], [150])
    assert orders.report.rejected_lines is not None
    found = orders.report.rejected_lines.to_pylist()
    assert {(line["row"], line["reason"]) for line in found} == {
        (2, "amount is empty"),
        (3, "customer_id is missing"),
        (4, "ordered_at is empty"),
    }
    assert {line["file"] for line in found} == {settings["source"]}
    sqlite.execute("INSERT INTO t VALUES ('b', '2020-01-02', 'much')")
    sqlite.commit()
    assert "column 'amount' must hold text or numbers, it mixes them" in refused(
        OrdersError, **settings
    )


def test_what_a_database_cannot_answer_is_one_sentence(
    postgres: Server, sqlite: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgres.engine, "t", "CREATE TABLE t (id text, ordered_at timestamp, amount float8)")
    sqlite.execute("CREATE TABLE t (id, ordered_at, amount)")
    address = postgres.address
    local = f"sqlite:///{tmp_path}/shop.db"
    wrong = "postgresql://clv:no-such-word@" + address.rpartition("@")[2]
    nowhere = "postgresql://clv:x@127.0.0.1:1/postgres"
    sentences = {
        "takes a query or a table (ADDRESS#TABLE), got neither": (ConfigError, address, None),
        "got both": (ConfigError, f"{address}#t", "SELECT 1"),
        "has no table orders; name one of its tables": (OrdersError, f"{address}#orders", None),
        "has no table order; name one": (OrdersError, f"{local}#order", None),
        "column 'customer_id' for customer_id is missing; did you mean": (
            OrdersError,
            address,
            "SELECT amount, id AS customer, ordered_at FROM t",
        ),
        'relation "nowhere" does not exist': (OrdersError, address, "SELECT * FROM nowhere"),
        "no such table: nowhere": (OrdersError, local, "SELECT * FROM nowhere"),
        "the database query failed: syntax error": (OrdersError, address, "DELETE FROM t"),
        "it would write a table": (OrdersError, local, "DELETE FROM t RETURNING *"),
        "the query must be a SELECT": (OrdersError, local, "SAVEPOINT x"),
        "Table with name nothing does not exist": (OrdersError, "duckdb:", "FROM nothing"),
        "No files found": (OrdersError, "duckdb:", "FROM 'nothing/*.parquet'"),
        "there is no DuckDB database at duckdb:nothing.duckdb#t": (
            StoreError,
            "duckdb:nothing.duckdb#t",
            None,
        ),
        "there is no SQLite database at sqlite:///nothing.db#t": (
            StoreError,
            "sqlite:///nothing.db#t",
            None,
        ),
        "password authentication failed": (StoreError, f"{wrong}#t", None),
        "connection refused": (StoreError, f"{nowhere}#t", None),
        "is of no database SQLAlchemy knows": (ConfigError, "oracel://x@y/z#t", None),
        "is no database address": (ConfigError, "postgresql://clv:x@h:port/z#t", None),
        "a query is asked of a database": (ConfigError, "orders.csv", "SELECT 1"),
        "holds no order lines": (
            OrdersError,
            address,
            "SELECT amount, id AS customer_id, ordered_at FROM t",
        ),
    }
    for message, (kind, source, query) in sentences.items():
        told = refused(kind, source=source, query=query)
        assert message.lower() in told.lower()
        assert "no-such-word" not in told
    monkeypatch.delenv("CLV_DB_PASSWORD")
    told = refused(ConfigError, source=f"{address}#t")
    assert "the environment has no CLV_DB_PASSWORD; set it" in told


def test_a_query_leaves_no_files(
    sqlite: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.execute("CREATE TABLE t (customer_id, ordered_at, amount)")
    sqlite.execute("INSERT INTO t VALUES ('c', '2024-01-01', 1)")
    sqlite.commit()
    monkeypatch.chdir(tmp_path)
    rows = "SELECT 'c' AS customer_id, '2024-01-01' AS ordered_at, 1 AS amount"
    queries = {
        "sqlite:///shop.db": [
            "ATTACH 'leak.db' AS l",
            "VACUUM INTO 'leak.db'",
            "PRAGMA journal_mode = WAL",
            "CREATE TEMP TABLE x AS SELECT 1",
        ],
        "duckdb:": [
            f"ATTACH 'leak.duckdb' AS l; {rows}",
            f"ATTACH 'leak.duckdb' AS l -- (READ_ONLY)\n; {rows}",
            f"COPY (SELECT 1) TO 'leak.csv'; {rows}",
            f"SET profiling_output = 'leak.json'; SET enable_profiling = 'json'; {rows}",
            f"ATTACH 'leak.duckdb' AS l (READ_ONLY false); CREATE TABLE l.t AS {rows}; FROM l.t",
            f"ATTACH 'leak.duckdb' AS l (READ_ONLY 0); {rows}",
            f"ATTACH 'leak.duckdb' AS l /* /* */ (READ_ONLY) -- */\n; {rows}",
            f"ATTACH $$leak.duckdb$$ AS l /* $$ (READ_ONLY) -- */\n; {rows}",
            f"SET \"log_query_path\" = 'leak.log'; {rows}",
            f"SET GLOBAL \"log_query_path\" = 'leak.log'; {rows}",
            "EXPORT DATABASE 'leak'",
            "",
        ],
    }
    for source, refusals in queries.items():
        for query in refusals:
            told = refused(OrdersError, source=source, query=query)
            assert "the query must be a SELECT" in told or "before the SELECT may stand" in told
    assert [path.name for path in tmp_path.iterdir()] == ["shop.db"]
    for source, query in {
        "sqlite:///shop.db": "WITH x AS (SELECT *, max(amount) FROM t) SELECT * FROM x",
        "duckdb:": f"CREATE TEMP TABLE x AS {rows}; SET threads = 1; FROM x",
    }.items():
        settings = parse_orders_config({"source": source, "query": query})
        assert read_configured_orders(settings).n_lines == 1
    needed("duckdb").connect("orders.duckdb").execute(f"CREATE TABLE t AS {rows}").close()
    for options in ("READ_ONLY", "TYPE duckdb, READ_ONLY true", "READ_ONLY, TYPE duckdb"):
        query = f"ATTACH 'orders.duckdb' AS o ({options}); SET TimeZone = 'UTC'; FROM o.t"
        settings = parse_orders_config({"source": "duckdb:", "query": query})
        assert read_configured_orders(settings).n_lines == 1


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+adbc", "duckdb"])
def test_a_variable_may_hold_the_whole_address(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "SELECT 'c' AS customer_id, '2024-01-01' AS ordered_at, 1 AS amount"
    path = tmp_path / "shop.db"
    connect: Any = {"duckdb": needed("duckdb").connect}.get(scheme, sqlite3.connect)
    needed("adbc_driver_sqlite")
    connect(str(path)).execute(f"CREATE TABLE t AS {rows}").close()
    monkeypatch.setenv("WAREHOUSE", f"{scheme}:///{path}")
    settings = parse_orders_config({"source": "${WAREHOUSE}#t"})
    assert read_configured_orders(settings).n_lines == 1
    if scheme == "duckdb":
        with pytest.raises(ConfigError, match=r"written to PostgreSQL.*got \$\{WAREHOUSE\}#f"):
            check_writable_table("${WAREHOUSE}#f", FORECAST_SCHEMA)
        return
    nothing = REJECTED_SCHEMA.empty_table()
    write_tables("${WAREHOUSE}#f", FORECAST_SCHEMA.empty_table(), nothing)
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert {name for (name,) in names} == {"t", "f", "f_rejected"}


def test_a_password_in_a_variable_with_an_address_is_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WAREHOUSE", "snowflake://clv:hush%40hush@account/shop")
    asked = parse_address("${WAREHOUSE}#orders")
    for text in ("hush@hush", "hush%40hush"):
        assert asked.reason(ValueError(f"cannot parse clv:{text}@account")) == (
            "cannot parse clv:***@account"
        )


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///${PLACE}/shop.db#t",
        "sqlite:///${PLACE}#t",
        "duckdb:${PLACE}#t",
        "${PLACE}#t",
        "postgresql://clv@${PLACE}:1/db#t",
        "postgresql+${PLACE}://h/db#t",
        "http://127.0.0.1:1/${PLACE}.csv",
        "https://${PLACE}.invalid/orders.csv",
    ],
)
def test_a_variable_is_never_printed(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "Hush-Hush")
    with pytest.raises(ClvcastError) as caught:
        read_configured_orders(parse_orders_config({"source": address}))
    assert "hush" not in str(caught.value).lower()
    if not address.startswith(("sqlite:///${PLACE}#", "http")):
        with pytest.raises(ClvcastError) as caught:
            check_writable_table(address, FORECAST_SCHEMA)
        assert "hush" not in str(caught.value).lower()


def many(postgres: Server) -> str:
    fill(
        postgres.engine,
        "many",
        "CREATE TABLE many (customer_id text, ordered_at timestamp, amount float8)",
        "INSERT INTO many SELECT 'c' || mod(k, 7), '2020-01-01'::timestamp + k * interval '1 "
        "hour', 1"
        " FROM generate_series(1, 1000) k",
    )
    return f"{postgres.address}#many"


def test_rows_come_in_chunks_of_one_state_of_the_database(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = many(postgres)
    monkeypatch.setattr(databases, "_ROWS", 100)
    with databases.open_query(source, None) as answer:
        chunks = answer.chunks(["amount"])
        sizes = [next(chunks).num_rows]
        with postgres.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM many")
        sizes += [chunk.num_rows for chunk in chunks]
    assert sizes == [100] * 10


def test_a_connection_cut_midway_fails_clean(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = many(postgres)
    monkeypatch.setattr(databases, "_ROWS", 100)

    def cut() -> None:
        with databases.open_query(source, None) as answer:
            chunks = answer.chunks(["amount"])
            next(chunks)
            with postgres.engine.begin() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND usename = 'clv' AND datname IS NOT NULL"
                )
            next(chunks)

    with pytest.raises(StoreError) as refusal:
        cut()
    assert "was lost after 100 rows: " in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_command_whose_connection_is_cut_tells_so_and_writes_nothing(
    postgres: Server,
    shop_model: clvcast.Model,
    shop_lines: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    run: Run,
) -> None:
    shop_lines.to_sql("shop", postgres.engine, index=False, if_exists="replace")
    source = f"{postgres.address}#shop"
    shop_model.save(tmp_path / "bundle")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(databases, "_ROWS", 100)
    real = build_answer_column

    def cutting(values: Any, name: str, asked: Any) -> Any:
        with postgres.engine.begin() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND usename = 'clv' AND datname IS NOT NULL"
            )
        return real(values, name, asked)

    monkeypatch.setattr(databases, "build_answer_column", cutting)
    status, _, err = run(
        "score",
        "--model",
        tmp_path / "bundle",
        "--orders",
        source,
        "--output",
        tmp_path / "f.parquet",
    )
    assert status == 1
    assert sorted(tmp_path.iterdir()) == before
    assert "Traceback" not in err
    assert "was lost after 100 rows: " in err
    assert PASSWORD not in err


def test_sqlite_columns_may_change_their_type_on_the_way(
    sqlite: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_ROWS", 2)
    sqlite.execute("CREATE TABLE t (customer_id, ordered_at, amount)")
    cells = [(7, 1), (8, "x"), (9, 2.5), (9, None), ("a", "y"), ("b", "3.25"), (None, None)]
    rows = [(customer, "2020-01-01", amount) for customer, amount in cells if amount != "x"]
    sqlite.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    sqlite.commit()
    settings = {"source": f"sqlite:///{tmp_path}/shop.db#t", "max_rejected_share": 0.9}
    orders = read_configured_orders(parse_orders_config(settings))
    assert orders.customer_ids.to_pylist() == ["7", "9", "b"]
    assert orders.amounts.tolist() == [100, 250, 325]
    assert orders.report.rejected == {"amount is empty": 1, "amount is no number": 1}


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for package, source in (("sqlalchemy", "sqlite:///x.db#t"), ("duckdb", "duckdb:x.db#t")):
        monkeypatch.setitem(sys.modules, package, None)
        told = refused(StoreError, source=source)
        assert f"pip install 'clvcast[{'duckdb' if package == 'duckdb' else 'postgres'}]'" in told
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "needs the Python package psycopg" in refused(
        StoreError, source="postgresql://clv:x@127.0.0.1:1/postgres#t"
    )


@pytest.fixture
def forecasts(shop_model: clvcast.Model, shop_orders: clvcast.Orders) -> pd.DataFrame:
    return clvcast.score(shop_model, shop_orders, CUTOFF)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_forecasts_are_written_back_once_a_customer_and_cutoff(
    kind: str,
    postgres: Server,
    shop_model: clvcast.Model,
    shop_lines: pd.DataFrame,
    tmp_path: Path,
    run: Run,
    forecasts: pd.DataFrame,
) -> None:
    nobody = shop_lines.head(2).assign(customer_id=None)
    pd.concat([shop_lines, nobody]).to_parquet(tmp_path / "orders.parquet")
    shop_model.save(tmp_path / "bundle")
    if kind == "sqlite":
        address, made = (
            f"sqlite:///{tmp_path}/f.db",
            sqlalchemy.create_engine(f"sqlite:///{tmp_path}/f.db", poolclass=sqlalchemy.NullPool),
        )
    else:
        fill(postgres.engine, "f")
        fill(postgres.engine, "f_rejected")
        address, made = postgres.address, postgres.engine
    arguments = ("score", "--model", tmp_path / "bundle", "--orders", tmp_path / "orders.parquet")
    into = ("--output", f"{address}#f")
    for cutoff in (CUTOFF, "2021-02-24", CUTOFF):
        status, out, err = run(*arguments, *into, "--cutoff", cutoff)
        assert status == 0, err
        assert PASSWORD not in out + err
    with made.connect() as connection:
        found = pd.read_sql("SELECT * FROM f ORDER BY customer_id, cutoff", connection)
        aside = pd.read_sql("SELECT * FROM f_rejected", connection)
    for name in forecasts.select_dtypes("datetime"):  # SQLite keeps them as text
        found[name] = pd.to_datetime(found[name])
    again = found[found["cutoff"] == CUTOFF].sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(again, forecasts, check_exact=True, check_dtype=False)
    assert len(found) == len(forecasts) + shop_lines["customer_id"].nunique()
    assert (aside["reason"] == "customer_id is missing").sum() == 2


def test_columns_by_period_go_into_a_table_and_never_outlive_their_forecast(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    shop_lines.to_parquet(tmp_path / "lines.parquet")
    output = f"sqlite:///{tmp_path}/shop.db#f"
    asked = (shop_model, str(tmp_path / "lines.parquet"), output, "2021-02-01")
    expected = clvcast.score(shop_model, shop_lines, "2021-02-01", by_period=True)
    periods = [f"spend_period_{k}" for k in range(1, shop_model.periods + 1)]

    def read() -> pd.DataFrame:
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            return pd.read_sql("SELECT * FROM f ORDER BY customer_id", connection)

    score_files(*asked, by_period=True)
    made = read()
    assert made.columns.to_list() == expected.columns.to_list()
    pd.testing.assert_frame_equal(made[periods], expected[periods], check_exact=True)
    assert made["customer_id"].to_list() == expected["customer_id"].to_list()
    score_files(*asked)  # the same customers and cutoff again, without periods
    made = read()
    assert made[periods].isna().all(axis=None)
    assert made["expected_spend"].to_list() == expected["expected_spend"].to_list()
    with pytest.raises(ConfigError, match="beside one output file, got the output sqlite"):
        score_files(*asked, periods_table=tmp_path / "periods.csv")
    score_files(*asked[:2], f"sqlite:///{tmp_path}/shop.db#plain", asked[3])
    with pytest.raises(StoreError, match="the table plain lacks the columns spend_period_1, "):
        score_files(*asked[:2], f"sqlite:///{tmp_path}/shop.db#plain", asked[3], by_period=True)


@pytest.mark.slow
def test_a_table_that_takes_no_forecasts_is_told_before_the_work(
    postgres: Server, shop_model: clvcast.Model, tmp_path: Path, run: Run
) -> None:
    shop_model.save(tmp_path / "bundle")
    fill(postgres.engine, "thin", "CREATE TABLE thin (customer_id text, cutoff timestamp)")
    every = ", ".join(f"{n} text" for n in ("customer_id", "cutoff"))
    fill(postgres.engine, "unkeyed", f"CREATE TABLE unkeyed ({every})")
    with postgres.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS fresh")
        from clvcast.models.scoring import FORECAST_SCHEMA

        for name in FORECAST_SCHEMA.names[2:]:
            connection.exec_driver_sql(f"ALTER TABLE unkeyed ADD COLUMN {name} text")
    wrong = "postgresql://clv:no-such-word@" + postgres.address.rpartition("@")[2]
    cases = {
        "the table thin lacks the columns model_version": f"{postgres.address}#thin",
        "must have a primary key of customer_id and cutoff": f"{postgres.address}#unkeyed",
        "an output in a database must name its table": postgres.address,
        "forecasts are written to PostgreSQL, SQLite, Snow": "duckdb:x.duckdb#f",
        "password authentication failed": f"{wrong}#f",
        "the folder of the output": f"sqlite:///{tmp_path}/none/f.db#f",
    }
    for message, output in cases.items():
        # the orders do not exist: the output is looked at first
        told = run("score", "--model", tmp_path / "bundle", "--orders", "x.csv", "--output", output)
        assert told[0] in (1, 2)
        assert message in told[2]
        assert "no-such-word" not in told[2]
    fresh = f"{postgres.address}#fresh"
    run("score", "--model", tmp_path / "bundle", "--orders", "x.csv", "--output", fresh)
    assert not sqlalchemy.inspect(postgres.engine).has_table("fresh")


def test_a_run_that_dies_while_writing_leaves_the_table_as_it_was(
    postgres: Server, forecasts: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    from clvcast.models.scoring import FORECAST_SCHEMA
    from clvcast.orders.reading.rejected_lines import REJECTED_SCHEMA
    from clvcast.serve.batch import database

    fill(postgres.engine, "f")
    monkeypatch.setattr(database, "_ROWS", 50)
    table = pa.Table.from_pandas(forecasts, FORECAST_SCHEMA, preserve_index=False)
    nothing = REJECTED_SCHEMA.empty_table()
    database.write_tables(f"{postgres.address}#f", table.slice(0, 10), nothing)
    broken = table.set_column(
        6, "churn_probability", pa.array([None] * 200 + [0.5] * (len(table) - 200), pa.float64())
    )
    with postgres.engine.begin() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE f ADD CHECK (churn_probability IS NOT NULL OR customer_id < 'C00060')"
        )
    with pytest.raises(StoreError, match="violates check constraint") as refusal:
        database.write_tables(f"{postgres.address}#f", broken, nothing)
    assert "\n" not in str(refusal.value)
    with postgres.engine.connect() as connection:
        (count,) = connection.exec_driver_sql("SELECT count(*) FROM f").one()
        assert count == 10


def test_duckdb_types_stay_what_they_are() -> None:
    query = """
        SELECT 12345678901234567891::DECIMAL(20, 0) AS customer_id,
               TIMESTAMPTZ '2020-07-01 00:30:00+02' AS ordered_at, 1.15::DECIMAL(12, 2) AS amount,
               12345678901234567::HUGEINT AS order_id, 0.3::DECIMAL(6, 4) AS cost,
               '00000000-0000-0000-0000-00000000000a'::UUID AS product_id,
               'web'::ENUM ('web', 'till') AS channel
        UNION ALL
        SELECT 17850, '2020-07-02', 2.5, 7, 0.7, NULL, NULL
        """
    orders = read_configured_orders(
        parse_orders_config({"source": "duckdb:", "query": query, "timezone": "Europe/London"})
    )
    assert orders.customer_ids.to_pylist() == ["12345678901234567891", "17850"]
    texts = {name: column.to_text().to_pylist() for name, column in orders.texts.items()}
    assert texts["order_id"] == ["12345678901234567", "7"]
    assert texts["product_id"] == ["00000000-0000-0000-0000-00000000000a", None]
    assert texts["channel"] == ["web", None]
    assert orders.numbers["cost"].tolist() == [0.3, 0.7]
    assert orders.amounts.tolist() == [115, 250]
    with pytest.raises(OrdersError, match=r"set orders\.timezone"):
        read_configured_orders(parse_orders_config({"source": "duckdb:", "query": query}))


def test_init_reads_the_values_of_a_postgresql_table(postgres: Server) -> None:
    """Names alone tell nothing here: an id that repeats, instants, and a price of one unit."""
    lines = pd.DataFrame(write_lines(make_shop(1), "price", is_unit=True))
    lines = lines.astype({"date": "datetime64[us]", "price": float})
    lines.to_sql("sales", postgres.engine, index=False, if_exists="replace")
    text = clvcast.init(f"{postgres.address}#sales")
    orders = clvcast.read_orders(parse_config(text))
    assert orders.amounts.sum() / orders.unit == pytest.approx(
        (lines["qty"] * lines["price"]).sum()
    )
    assert orders.n_customers == lines["user"].nunique()
    assert PASSWORD not in text
