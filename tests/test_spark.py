"""Spark: the rows of one machine, bit for bit, in however many buckets, and whatever is killed on
the way.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import worlds
from conftest import ROOT, Run, missing, read_nested_forecasts
from postgresql import COLUMNS, PASSWORD, Server

import clvcast
from clvcast.configs.schema import OrdersConfig

pyspark = pytest.importorskip("pyspark") if "CI" not in os.environ else __import__("pyspark")
from pyspark.sql import DataFrame, SparkSession  # noqa: E402

from clvcast.orders.spark.files import read_files  # noqa: E402
from clvcast.orders.spark.survey import survey_orders  # noqa: E402
from clvcast.orders.windows import slice_observed  # noqa: E402
from clvcast.train.spark import _limit_sample, sample_orders  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    # pyspark 4.3 says of pandas 3 that some of its features may not work; ours are Arrow's
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support:FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning"
    ),  # sockets that pyspark leaves to its exit
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CUTOFF = "2020-12-01"
CUTOFFS = ["2020-06-01", "2020-10-01"]
NO_SESSION = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "4"}


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """Two cores, little memory, a task tried three times."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        missing("Java 17 (Debian: openjdk-17-jre-headless)")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2,3]").appName("tests")
    settings = {
        **NO_SESSION,
        "spark.driver.memory": "700m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.showConsoleProgress": "false",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def skewed(shop_lines: pd.DataFrame) -> pd.DataFrame:
    """The shop in disorder, one customer with most of the lines, ids and lines as exports have
    them.
    """
    whale = pd.concat([shop_lines.head(1)] * 4_000, ignore_index=True)
    whale["ordered_at"] += pd.to_timedelta(np.arange(4_000), unit="h") % pd.Timedelta(days=300)
    whale["order_id"] = [f"w{k // 3}" for k in range(4_000)]
    whale["customer_id"] = "C90000"
    lines = pd.concat([shop_lines, whale]).sample(frac=1.0, random_state=0, ignore_index=True)
    lines["customer_id"] = lines["customer_id"].str[1:].astype(int).astype(str)
    lines.loc[5::7, "customer_id"] += ".0"
    lines.loc[6::11, "customer_id"] = " " + lines.loc[6::11, "customer_id"]
    lines.loc[::50, "customer_id"] = "NULL"
    lines.loc[9::41, "amount"] = 0.125
    return lines


@pytest.fixture(scope="module")
def source(skewed: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files, a line of them without an amount."""
    folder = tmp_path_factory.mktemp("orders")
    lines = skewed.assign(amount=skewed["amount"].where(skewed.index != 77))
    for k in range(3):
        lines[k::3].to_parquet(folder / f"{k}.parquet", index=False)
    return folder


def sorted_rows(frame: DataFrame, *keys: str) -> pd.DataFrame:
    table = frame.toArrow()
    found: pd.DataFrame = table.sort_by([(key, "ascending") for key in keys]).to_pandas()
    return found


def test_features_are_those_of_one_machine_in_any_number_of_buckets(
    spark: SparkSession, source: Path
) -> None:
    here = clvcast.build_features(clvcast.read_orders(source), CUTOFFS)
    frame = spark.read.parquet(str(source))
    for buckets in (1, 3, 8):
        there = clvcast.spark.build_features(frame, CUTOFFS, buckets=buckets)
        rows = sorted_rows(there, "cutoff", "customer_id")
        pd.testing.assert_frame_equal(rows, here, check_exact=True, check_dtype=False)


def test_forecasts_are_those_of_one_machine_also_with_empty_partitions(
    spark: SparkSession, shop_model: clvcast.Model, source: Path
) -> None:
    here = clvcast.score(shop_model, clvcast.read_orders(source), CUTOFF)
    frame = spark.read.parquet(str(source)).repartition(2)
    empty = frame.limit(0).repartition(3)
    for buckets in (1, 3, 8):
        there = clvcast.spark.score(shop_model, frame.union(empty), CUTOFF, buckets=buckets)
        rows = sorted_rows(there, "customer_id")
        pd.testing.assert_frame_equal(rows, here, check_exact=True)


def test_a_model_with_a_configuration_of_its_own_keeps_it_on_the_way(
    spark: SparkSession, shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    shop_lines.rename(columns={"customer_id": "who", "amount": "cents"}).assign(
        cents=shop_lines["amount"] * 100
    ).to_parquet(tmp_path / "o.parquet")
    columns = {name: name for name in shop_lines.columns}
    columns |= {"customer_id": "who", "amount": "cents / 100"}
    config = clvcast.Config(
        orders=OrdersConfig(columns=columns, duplicates="drop"),
        economics={"margin_rate": 0.25},
        horizon_days=60,
        periods=2,
    )
    model = shop_model.with_config(config)
    here = clvcast.score(model, tmp_path / "o.parquet")
    there = clvcast.spark.score(model, spark.read.parquet(str(tmp_path)), buckets=2)
    pd.testing.assert_frame_equal(sorted_rows(there, "customer_id"), here, check_exact=True)
    whole = clvcast.Config(segments={"within_file": True})
    with pytest.raises(clvcast.ConfigError, match="within_file"):
        clvcast.spark.score(model.with_config(whole), spark.read.parquet(str(tmp_path)))


def test_training_on_all_customers_gives_the_model_of_one_machine_and_on_fewer_a_sample(
    spark: SparkSession,
    shop_model: clvcast.Model,
    shop_config: clvcast.Config,
    source: Path,
    shop_lines: pd.DataFrame,
    tmp_path: Path,
) -> None:
    shop_lines.sample(frac=1.0, random_state=1).to_parquet(tmp_path / "o.parquet", index=False)
    frame = spark.read.parquet(str(tmp_path)).repartition(3)
    assert clvcast.spark.train(frame, shop_config).version == shop_model.version

    few = shop_config.model_copy(update={"spark_training_customers": 120})
    drawn = [
        sample_orders(survey_orders(lines, few.orders), few)
        for lines in (frame, spark.read.parquet(str(tmp_path)))
    ]
    assert drawn[0].orders.digest() == drawn[1].orders.digest()  # the same customers every time
    assert drawn[0].end == clvcast.orders.cutoffs.get_default_cutoff(clvcast.read_orders(tmp_path))
    assert 80 < drawn[0].orders.n_customers < 160
    assert "drawn by a hash of their ids" in drawn[0].orders.report.remarks[-1]
    assert drawn[0].remark == drawn[0].orders.report.remarks[-1]

    # who is drawn at a cutoff does not depend on who came after it
    cutoff = "2020-09-01"
    known = frame.where(frame.ordered_at < cutoff)
    at_cutoff = [
        sample_orders(survey_orders(lines, few.orders, cutoff=cutoff), few)
        for lines in (frame, known)
    ]
    assert at_cutoff[0].share == at_cutoff[1].share > drawn[0].share
    assert at_cutoff[0].remark == at_cutoff[1].remark  # how many are known then
    digests = [slice_observed(each.orders, each.end).digest() for each in at_cutoff]
    assert digests[0] == digests[1]
    ids = [each.orders.customer_ids for each in at_cutoff]
    assert ids[0] == ids[1]  # the others stay where they are
    n_known = known.select("customer_id").distinct().count()
    assert n_known < shop_lines["customer_id"].nunique()
    some = few.model_copy(update={"spark_training_customers": 2 * n_known})
    everybody = sample_orders(survey_orders(frame, some.orders, cutoff=cutoff), some)
    assert (everybody.share, everybody.orders.n_customers) == (1.0, n_known)
    here = clvcast.train(tmp_path, some, cutoff)
    assert clvcast.spark.train(frame, some, cutoff).version == here.version
    limited = _limit_sample(drawn[0], few)
    assert 0.0 < limited.share < 1.0
    assert limited.share == pytest.approx(120 / shop_lines["customer_id"].nunique())
    assert limited.totals is None  # not compared with the champion's
    assert limited.rows_setting == "spark_training_customers"  # fewer than 500,000 rows


@pytest.fixture(scope="module")
def facts(shop_lines: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Facts about most customers, dated; some changed later."""
    ids = sorted(set(shop_lines["customer_id"]))
    known = pd.DataFrame(
        {
            "id": ids,
            "since": pd.Timestamp("2020-01-01"),
            "land": ["NO", "SE", "DK", None, "rare"][:4] * (len(ids) // 4),
            "points": np.arange(len(ids)) * 0.5,
            "signed": pd.Timestamp("2019-06-01") + pd.to_timedelta(np.arange(len(ids)), unit="D"),
        }
    )
    moved = known[::5].assign(since=pd.Timestamp("2020-08-15"), land="DK")
    path = tmp_path_factory.mktemp("facts") / "customers.parquet"
    pd.concat([moved, known[3:]]).to_parquet(path, index=False)
    return path


ATTRIBUTES = {
    "columns": {"customer_id": "id", "land": "land", "points": "points", "signed": "signed"},
    "types": {"points": "number", "signed": "date"},
    "valid_from": "since",
}


def test_attributes_static_and_dated_are_those_of_one_machine(
    spark: SparkSession, shop_lines: pd.DataFrame, facts: Path, tmp_path: Path, run: Run
) -> None:
    shop_lines.to_parquet(tmp_path / "o.parquet", index=False)
    config = clvcast.Config(
        orders=OrdersConfig(source=str(tmp_path / "o.parquet")),
        customers={**ATTRIBUTES, "source": str(facts)},
        horizon_days=60,
        periods=2,
        effort="quick",
    )
    frame = spark.read.parquet(str(tmp_path / "o.parquet")).repartition(3)
    orders = clvcast.read_orders(config)
    model = clvcast.train(orders, config)
    assert any(name.startswith("attribute_") for name in model.numbers.features)
    assert clvcast.spark.train(frame, config).version == model.version
    here = clvcast.build_features(orders, CUTOFFS)
    there = clvcast.spark.build_features(frame, CUTOFFS, config, buckets=3)
    rows = sorted_rows(there, "cutoff", "customer_id")
    pd.testing.assert_frame_equal(rows, here, check_exact=True, check_dtype=False)
    here = clvcast.score(model, tmp_path / "o.parquet", CUTOFF, customers=facts)
    for given in (facts, spark.read.parquet(str(facts))):
        there = clvcast.spark.score(model, frame, CUTOFF, customers=given, buckets=3)
        pd.testing.assert_frame_equal(sorted_rows(there, "customer_id"), here, check_exact=True)
    with pytest.raises(clvcast.OrdersError, match="learned from customer attributes, got none"):
        clvcast.spark.score(model, frame, CUTOFF)

    model.save(tmp_path / "bundle")
    asked: tuple[object, ...] = ("score", "--model", tmp_path / "bundle")
    asked += ("--orders", tmp_path / "o.parquet", "--cutoff", CUTOFF, "--customers", facts)
    status, _, noted = run(*asked, "--output", tmp_path / "here.parquet")
    assert status == 0, noted
    status, _, noted_there = run(*asked, "--output", tmp_path / "there", "--engine", "spark")
    assert status == 0, noted_there
    assert noted == noted_there
    assert "is missing for" in noted
    expected = pa.parquet.read_table(tmp_path / "here.parquet")
    found = pa.parquet.read_table(tmp_path / "there").sort_by("customer_id")
    assert found.cast(expected.schema).equals(expected)


@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_several_sources_are_one_history_as_on_one_machine(
    spark: SparkSession,
    shop_lines: pd.DataFrame,
    tmp_path: Path,
    run: Run,
    duplicates: str,
) -> None:
    lines = shop_lines.drop(columns=["category", "channel"])
    names = {"customer_id": "client", "ordered_at": "at", "amount": "total", "order_id": "number"}
    web = lines[::2].rename(columns=names).assign(total=lambda f: f["total"] * 100)
    both = lines[lines["order_id"].isin(set(lines["order_id"][:60]))]  # stand in the till's too
    till = pd.concat([lines[1::2], both, lines[1:41:2]])
    web.to_parquet(tmp_path / "web.parquet", index=False)
    till.assign(ordered_at=till["ordered_at"].dt.strftime("%d/%m/%Y %H:%M")).to_csv(
        tmp_path / "till.csv", index=False, sep=";", decimal=","
    )
    with (tmp_path / "till.csv").open("a") as file:
        file.write(f"C00001;never;1,5;x{';' * (len(till.columns) - 4)}\n")
    columns = {**names, "amount": "total / 100", "product_id": "product_id"}
    settings = {
        "orders": {
            "sources": [
                {"source": str(tmp_path / "web.parquet"), "columns": columns, "channel": "web"},
                {
                    "source": str(tmp_path / "till.csv"),
                    "channel": "till",
                    "format": {
                        "delimiter": ";",
                        "decimal": ",",
                        "date_format": "%d/%m/%Y %H:%M",
                    },
                    "order_id_prefix": "" if duplicates == "drop" else "till-",
                },
            ],
            "duplicates": duplicates,
        },
        "horizon_days": 60,
        "periods": 2,
        "effort": "quick",
        "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db"},
    }
    config = tmp_path / "shop.yaml"
    config.write_text(json.dumps(settings))  # JSON is YAML
    loaded = clvcast.load_config(config)
    orders = clvcast.read_orders(loaded)
    model = clvcast.train(orders, loaded)

    drawn = sample_orders(survey_orders(read_files(loaded.orders), loaded.orders), loaded)
    assert drawn.orders.digest() == orders.digest()
    assert drawn.orders.report.shared_orders == orders.report.shared_orders
    assert (orders.report.shared_orders > 0) == (duplicates == "drop")
    surveyed = survey_orders(read_files(loaded.orders), loaded.orders, cutoff="2020-09-01")
    early = sample_orders(surveyed, loaded)
    known = slice_observed(orders, early.end)
    assert slice_observed(early.orders, early.end).digest() == known.digest()
    assert early.orders.n_customers == known.n_customers < orders.n_customers

    model.save(tmp_path / "bundle")
    asked = ("score", "--model", tmp_path / "bundle", "--config", config, "--cutoff", CUTOFF)
    status, said, noted = run(*asked, "--output", tmp_path / "here.parquet")
    assert status == 0, noted
    there = tmp_path / "there"
    spark_asked = (*asked, "--output", there, "--engine", "spark", "--partitions", 3)
    status, said_there, noted_there = run(*spark_asked)
    assert status == 0, noted_there
    assert said.split("wrote")[0] == said_there.split("wrote")[0]
    expected = pa.parquet.read_table(tmp_path / "here.parquet")
    found = pa.parquet.read_table(there).sort_by("customer_id")
    assert found.cast(expected.schema).equals(expected)
    aside = [
        pa.parquet.read_table(path, columns=["file", "reason", "column", "value"]).to_pylist()
        for path in (tmp_path / "rejected.parquet", tmp_path / "there-rejected")
    ]
    assert [row["value"] for row in aside[0] if row["value"]] == ["never"]
    assert sorted(map(str, aside[0])) == sorted(map(str, aside[1]))


def test_the_same_config_gives_bit_equal_forecasts_from_files_databases_and_spark(
    spark: SparkSession,
    till: pd.DataFrame,
    shop_model: clvcast.Model,
    postgres: Server,
    tmp_path: Path,
    run: Run,
) -> None:
    till.to_parquet(tmp_path / "till.parquet")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        till.to_sql("till", connection, index=False)
    till.to_sql("till", postgres.engine, index=False, if_exists="replace")
    shop_model.save(tmp_path / "bundle")
    settings = "orders: {{source: '{}', columns: {}}}\n"
    found = {}
    for name, source in {
        "parquet": tmp_path / "till.parquet",
        "sqlite": f"sqlite:///{tmp_path}/shop.db#till",
        "postgresql": f"{postgres.address}#till",
        "spark": tmp_path / "till.parquet",
    }.items():
        config, output = tmp_path / f"{name}.yaml", tmp_path / f"{name}-forecasts"
        config.write_text(settings.format(source, COLUMNS))
        asked = ("score", "--model", tmp_path / "bundle", "--config", config, "--cutoff", CUTOFF)
        if name == "spark":
            status, _, err = run(*asked, "--output", output, "--engine", "spark")
        else:
            output = output.with_suffix(".parquet")
            status, _, err = run(*asked, "--output", output)
        assert status == 0, err
        found[name] = pa.parquet.read_table(output).sort_by("customer_id")
    assert found["parquet"].num_rows > 300
    for name in ("sqlite", "postgresql", "spark"):
        assert found[name].cast(found["parquet"].schema).equals(found["parquet"]), name
    config.write_text(settings.format(f"{postgres.address}#till", COLUMNS))
    status, _, err = run(*asked, "--output", tmp_path / "no", "--engine", "spark")
    assert status == 1
    assert "--engine spark reads files, got the address of a database" in err
    assert "spark.read.jdbc" in err
    assert PASSWORD not in err
    status, _, err = run(*asked, "--output", "${WAREHOUSE}#forecasts", "--engine", "spark")
    assert status == 2
    assert "the output must be a folder that every machine sees, got an address" in err
    status, _, err = run(*asked, "--output", tmp_path / "no", "--engine", "spark", "--by-period")
    assert status == 2
    assert "--by-period and --periods-table need --engine local" in err


def test_instants_with_a_zone_are_the_shops_own_time_as_on_one_machine(
    spark: SparkSession, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    lines = shop_lines.assign(ordered_at=shop_lines["ordered_at"].dt.tz_localize("UTC"))
    lines.to_parquet(tmp_path / "o.parquet", index=False)
    settings = OrdersConfig(source=str(tmp_path / "o.parquet"), timezone="America/New_York")
    here = clvcast.build_features(clvcast.read_orders(settings), CUTOFFS)
    frame = spark.read.parquet(str(tmp_path))
    assert dict(frame.dtypes)["ordered_at"] == "timestamp"
    there = clvcast.spark.build_features(frame, CUTOFFS, settings, buckets=2)
    rows = sorted_rows(there, "cutoff", "customer_id")
    pd.testing.assert_frame_equal(rows, here, check_exact=True, check_dtype=False)


def test_a_customer_with_a_million_lines_is_one_bucket(
    spark: SparkSession, shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    n = 1_000_000
    minutes = pd.to_timedelta(np.arange(n) % 400_000, unit="min")
    whale = pd.DataFrame(
        {
            "customer_id": "C90000",
            "ordered_at": pd.Timestamp("2020-01-02") + minutes,
            "amount": np.arange(n) % 997 / 100,
            "order_id": pd.Series(np.arange(n) // 7).astype(str),
            **{name: shop_lines[name].iloc[0] for name in ("product_id", "category", "channel")},
            "quantity": 1,
        }
    )
    pd.concat([shop_lines, whale]).to_parquet(tmp_path / "o.parquet", index=False)
    here = clvcast.score(shop_model, tmp_path / "o.parquet", CUTOFF)
    there = clvcast.spark.score(shop_model, spark.read.parquet(str(tmp_path)), CUTOFF, buckets=4)
    pd.testing.assert_frame_equal(sorted_rows(there, "customer_id"), here, check_exact=True)
    assert here["n_orders"].max() > 100_000


@pytest.mark.usefixtures("spark")
@pytest.mark.filterwarnings("default")  # MLflow warns of its own
def test_the_commands_of_the_page_run_and_training_has_a_learning_curve(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for folder in ("orders", "configs"):
        Path(folder).mkdir()
    worlds.shop(customers=1_500).to_parquet("orders/o.parquet", index=False)
    Path("configs/shop.yaml").write_text(
        "orders: {source: orders/}\nhorizon_days: 60\nperiods: 2\neffort: quick\n"
        "spark_training_customers: 700\nspark_training_rows: 10_000\n"
    )
    page = (ROOT / "docs" / "spark.md").read_text()
    commands = re.findall(r"^clvcast (.*)$", page, re.MULTILINE)
    train, score = sorted(commands, key=lambda command: command.startswith("score"))
    status, said, noted = run(*train.split(), "--force", "the first of all")
    assert status == 0, noted
    assert "feature rows of them (spark_training_rows)" in noted
    assert said.count("learning curve:") == 3
    store = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    version = store.get_model_version_by_alias("clv", "champion")
    kept = [item.path for item in store.list_artifacts(version.run_id)]  # type: ignore[arg-type]
    assert "learning_curve.json" in kept
    status, said, noted = run(*score.split())
    assert status == 0, noted
    assert (tmp_path / "forecasts" / "_SUCCESS").exists()


def test_the_number_of_customers_is_known_about(spark: SparkSession) -> None:
    from clvcast.orders.reading.line_collector import open_rules
    from clvcast.orders.spark.buckets import SourcePlan, survey_lines

    ids = pa.array([str(k) for k in range(60_000)] * 2)
    n = len(ids)
    batch = pa.record_batch(
        {
            "customer_id": ids,
            "ordered_at": pa.repeat("2020-03-01", n),
            "amount": pa.array(np.ones(n)),
        }
    )
    rules = open_rules(OrdersConfig(), pd.Timestamp("2024-01-01").to_pydatetime())
    how = SourcePlan(rules, tuple(batch.schema.names))
    halves = [survey_lines([batch.slice(0, 70_000)], how), survey_lines([batch.slice(70_000)], how)]
    both = halves[0] + halves[1]
    assert both.tally.lines_read == n
    assert both.sketch.customers == pytest.approx(60_000, rel=0.05)


@pytest.mark.usefixtures("spark")
def test_the_command_writes_what_one_machine_writes(
    shop_model: clvcast.Model, source: Path, tmp_path: Path, run: Run
) -> None:
    bundle = tmp_path / "bundle"
    shop_model.save(bundle)
    asked = ("score", "--model", bundle, "--orders", source, "--cutoff", CUTOFF)
    here, there = tmp_path / "here.parquet", tmp_path / "there"
    status, said, noted = run(*asked, "--output", here)
    assert status == 0
    spark_asked = (*asked, "--engine", "spark", "--output", there, "--partitions", 3)
    status, said_there, noted_there = run(*spark_asked)
    assert status == 0, noted_there
    told = [text.split("wrote")[0] for text in (said, said_there)]
    assert told[0] == told[1]
    counts = [text[text.index(": ", text.index("set aside")) :] for text in (said, said_there)]
    assert counts[0] == counts[1]
    assert {line.split(" (rows")[0] for line in noted.splitlines()} == {
        re.split(", such as|; (?:set|write) ", line)[0] for line in noted_there.splitlines()
    } or sorted(noted) == sorted(noted_there)
    assert (there / "_SUCCESS").exists()
    expected = pa.parquet.read_table(here)
    found = pa.parquet.read_table(there).sort_by("customer_id")
    assert found.cast(expected.schema).equals(expected)
    names = ["customer_id", "reason", "column", "value"]
    set_aside = [
        pa.parquet.read_table(folder, columns=names)
        .to_pandas()
        .sort_values(names, ignore_index=True)
        for folder in (tmp_path / "rejected.parquet", tmp_path / "there-rejected")
    ]
    pd.testing.assert_frame_equal(set_aside[0], set_aside[1])
    status, _, noted = run(*spark_asked)
    assert status == 1
    assert "exists; name a new folder" in noted
    assert run(*spark_asked, "--force")[0] == 0


@pytest.mark.usefixtures("spark")
def test_csv_files_give_what_one_machine_gives(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path, run: Run
) -> None:
    shop_model.save(tmp_path / "bundle")
    lines = shop_lines.assign(product_id=[f'a "b",\n{p}' for p in shop_lines["product_id"]])
    orders = tmp_path / "o.csv"
    lines.to_csv(orders, index=False)
    asked = ("score", "--model", tmp_path / "bundle", "--orders", orders)
    assert run(*asked, "--output", tmp_path / "here.parquet")[0] == 0
    status, _, noted = run(*asked, "--output", tmp_path / "there", "--engine", "spark")
    assert status == 0, noted
    expected = pa.parquet.read_table(tmp_path / "here.parquet")
    found = pa.parquet.read_table(tmp_path / "there").sort_by("customer_id")
    assert found.cast(expected.schema).equals(expected)
    with orders.open("a") as file:
        file.write("C00001,2020-05-05,1.0\n")
    status, _, noted = run(*asked, "--output", tmp_path / "ragged", "--engine", "spark")
    assert status == 1
    assert "another number of cells" in noted
    assert len(noted.splitlines()) == 1
    assert not (tmp_path / "ragged").exists()


@pytest.mark.usefixtures("spark")
def test_partitions_and_tabs_give_what_one_machine_gives(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path, run: Run
) -> None:
    shop_model.save(tmp_path / "bundle")
    for channel, part in shop_lines.groupby("channel"):
        folder = tmp_path / "orders" / f"channel={channel}"
        folder.mkdir(parents=True)
        part.drop(columns="channel").to_csv(folder / "o.tsv", sep="\t", index=False)
    asked = ("score", "--model", tmp_path / "bundle", "--orders", tmp_path / "orders")
    assert run(*asked, "--output", tmp_path / "here.parquet")[0] == 0
    status, _, noted = run(*asked, "--output", tmp_path / "there", "--engine", "spark")
    assert status == 0, noted
    expected = pa.parquet.read_table(tmp_path / "here.parquet")
    found = pa.parquet.read_table(tmp_path / "there").sort_by("customer_id")
    assert found.cast(expected.schema).equals(expected)
    lines = shop_lines.to_json(orient="records", lines=True, date_format="iso")
    (tmp_path / "o.jsonl").write_text(lines)
    asked = ("score", "--model", tmp_path / "bundle", "--orders", tmp_path / "o.jsonl")
    status, _, noted = run(*asked, "--output", tmp_path / "no", "--engine", "spark")
    assert status == 1
    assert "--engine spark reads .parquet files and text" in noted


def test_orders_that_cannot_be_used_are_refused_in_sentences(
    spark: SparkSession, shop_model: clvcast.Model, shop_lines: pd.DataFrame
) -> None:
    def frame(lines: pd.DataFrame) -> DataFrame:
        made = spark.createDataFrame(pa.Table.from_pandas(lines, preserve_index=False))
        return made.withColumn("ordered_at", made["ordered_at"].cast("timestamp_ntz"))

    lines = shop_lines.head(500)
    plain = frame(lines)
    zoned = plain.withColumn("ordered_at", plain["ordered_at"].cast("timestamp"))
    with pytest.raises(clvcast.OrdersError, match=r"set orders\.timezone"):
        clvcast.spark.score(shop_model, zoned)
    broken = frame(lines.assign(amount=["1,234.5"] * 400 + ["1"] * 100)).repartition(4)
    with pytest.raises(clvcast.OrdersError, match=r"(?s)400 of 500 lines|amount must be a number"):
        clvcast.spark.score(shop_model, broken)
    with pytest.raises(clvcast.OrdersError, match="'amount' for amount is missing"):
        clvcast.spark.score(shop_model, frame(lines.rename(columns={"amount": "sum"})))
    with pytest.raises(clvcast.OrdersError, match="needs the columns"):
        clvcast.spark.score(shop_model, frame(lines.drop(columns="channel")))
    with pytest.raises(clvcast.OrdersError, match="no order lines"):
        clvcast.spark.score(shop_model, frame(lines).limit(0))
    with pytest.raises(clvcast.ConfigError, match="after the first order"):
        clvcast.spark.score(shop_model, frame(lines), "2019-01-01")
    with pytest.raises(clvcast.OrdersError, match="must be a Spark DataFrame, got DataFrame"):
        clvcast.spark.score(shop_model, lines)  # type: ignore[arg-type]


def killed_once(marker: Path) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A step that passes rows on, whose process is killed half-way, the first time."""
    name = str(marker)

    def step(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.slice(0, 5)
            try:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                yield batch.slice(5)
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    return step


def test_a_worker_killed_before_and_after_the_shuffle_leaves_no_trace(
    spark: SparkSession, shop_model: clvcast.Model, source: Path, tmp_path: Path
) -> None:
    here = clvcast.score(shop_model, clvcast.read_orders(source), CUTOFF)
    frame = spark.read.parquet(str(source))
    forecasts = clvcast.spark.score(shop_model, frame, CUTOFF, buckets=3)
    after = forecasts.mapInArrow(killed_once(tmp_path / "after"), forecasts.schema)
    after.write.parquet(str(tmp_path / "out"))
    assert (tmp_path / "after").exists()
    found = pa.parquet.read_table(tmp_path / "out").sort_by("customer_id").to_pandas()
    pd.testing.assert_frame_equal(found, here, check_exact=True, check_dtype=False)
    before = frame.mapInArrow(killed_once(tmp_path / "before"), frame.schema)
    there = clvcast.spark.score(shop_model, before, CUTOFF, buckets=3)
    assert (tmp_path / "before").exists()
    pd.testing.assert_frame_equal(sorted_rows(there, "customer_id"), here, check_exact=True)


def test_an_executor_killed_during_a_stage_leaves_no_trace(
    spark: SparkSession, shop_model: clvcast.Model, source: Path, tmp_path: Path
) -> None:
    shop_model.save(tmp_path / "bundle")
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from pyspark.sql import SparkSession
        import clvcast
        folder, source, cutoff = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
        session = (
            SparkSession.builder.master("local-cluster[2,1,600]")
            .config("spark.executor.memory", "600m").config("spark.driver.memory", "600m")
            .config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "2")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("OFF")
        marker = str(folder / "killed")

        def parent(pid):
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

        def step(batches):
            for batch in batches:
                try:
                    os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    yield batch
                else:
                    pid = os.getpid()
                    while Path(f"/proc/{pid}/comm").read_text().strip() != "java":
                        pid = parent(pid)
                    os.kill(pid, signal.SIGKILL)  # the executor this worker belongs to

        model = clvcast.load_model(folder / "bundle")
        frame = session.read.parquet(source)
        forecasts = clvcast.spark.score(model, frame, cutoff, buckets=2)
        forecasts.mapInArrow(step, forecasts.schema).write.parquet(str(folder / "out"))
        """
    )
    here = clvcast.score(shop_model, clvcast.read_orders(source), CUTOFF)
    command = [sys.executable, "-W", "ignore", "-c", script, tmp_path, source, CUTOFF]
    home = Path(str(pyspark.__file__)).parent
    environment = {name: value for name, value in os.environ.items() if "SPARK" not in name}
    environment |= {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    environment["SPARK_WORKER_DIR"] = str(tmp_path / "work")
    done = subprocess.run(
        list(map(str, command)),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert (tmp_path / "killed").exists()
    found = pa.parquet.read_table(tmp_path / "out").sort_by("customer_id").to_pandas()
    pd.testing.assert_frame_equal(found, here, check_exact=True, check_dtype=False)


@pytest.mark.filterwarnings("default")  # MLflow warns of its own
def test_the_mlflow_model_gives_the_same_numbers_on_nested_rows(
    spark: SparkSession, shop_model: clvcast.Model, shop_orders: clvcast.Orders, tmp_path: Path
) -> None:
    import mlflow

    from clvcast.train.registry.mlflow_store import build_signature

    mlflow.pyfunc.save_model(
        str(tmp_path / "model"),
        loader_module="clvcast.serve.pyfunc",
        data_path=str(_saved(shop_model, tmp_path / "bundle")),
        signature=build_signature(shop_model),
        pip_requirements=["clvcast"],
    )
    nested = clvcast.nest(shop_orders, CUTOFF)
    late = nested.head(1).assign(customer_id="nobody", cutoff="2019-01-01")
    frame = spark.createDataFrame(pd.concat([nested, late])).repartition(3)
    udf = mlflow.pyfunc.spark_udf(spark, str(tmp_path / "model"))
    asked = frame.select(udf("customer_id", "cutoff", "orders").alias("forecast"))
    found = sorted_rows(asked.select("forecast.*"), "customer_id")
    (nobody,) = found[found["customer_id"] == "nobody"].to_dict("records")
    assert nobody["reason"] == "no order before the cutoff"
    assert nobody["clv"] != nobody["clv"]
    found = read_nested_forecasts(found[found["customer_id"] != "nobody"].reset_index(drop=True))
    here = clvcast.score(shop_model, shop_orders, CUTOFF)
    pd.testing.assert_frame_equal(found, here, check_exact=True, check_dtype=False)


def _saved(model: clvcast.Model, folder: Path) -> Path:
    model.save(folder)
    return folder


@pytest.mark.parametrize("part", ["pyspark", "java"])
def test_what_spark_needs_and_is_missing_is_one_sentence(part: str, tmp_path: Path) -> None:
    hide = "import sys; sys.modules['pyspark'] = None; " if part == "pyspark" else ""
    start = "import sys; sys.argv = ['clvcast', *sys.argv[1:]]; import clvcast.__main__ as m"
    code = f"{hide}{start}; m.main()"
    config = tmp_path / "c.yaml"
    config.write_text(f"orders: {{source: {ROOT / 'data' / 'online_retail.parquet'}}}\n")
    environment = {n: v for n, v in os.environ.items() if n != "JAVA_HOME"} | {"PATH": "/nowhere"}
    command = [sys.executable, "-c", code, "train", str(config), "--engine", "spark"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    sentence = {"pyspark": "needs the extra spark", "java": "Spark needs Java 17"}[part]
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
