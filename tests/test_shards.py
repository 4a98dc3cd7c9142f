"""Shards: orders ten times the memory limit give what reading them at once gives, to the byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import OrdersConfig, parse_config
from clvcast.features.table import compute_feature_rows
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.dates import parse_instants
from clvcast.orders.orders import OrdersReport
from clvcast.orders.reading.memory_estimate import parse_memory_limit
from clvcast.orders.reading.read_orders import read_configured_orders
from clvcast.orders.reading.sharding import read_shards
from clvcast.orders.reading.temporary_folder import make_temporary_folder
from clvcast.serve.batch.run import score_files

CUTOFFS = np.array(parse_instants(["2020-06-01", "2020-10-01"]))
PLENTY = 10**12


def in_shards(
    config: OrdersConfig, limit: int
) -> tuple[pd.DataFrame, OrdersReport, tuple[int, int]]:
    """Feature rows by cutoff and customer, the report and the span, read under a limit."""
    tables = []
    with read_shards(config, limit) as shards:
        for orders in shards:
            rows = compute_feature_rows(orders, CUTOFFS)
            table = pd.DataFrame(rows.values, columns=list(rows.names))
            ids = orders.customer_ids.take(pa.array(rows.customer_index))
            keys = {"cutoff": rows.cutoff_index, "customer_id": ids.to_pandas()}
            tables.append(table.assign(**keys))
        assert shards.count == 1 or len(tables) > 1
        merged = pd.concat(tables).sort_values(["cutoff", "customer_id"], ignore_index=True)
        return merged, shards.report, (shards.first, shards.end)


def assert_the_same(config: OrdersConfig, limit: int) -> None:
    together, report, span = in_shards(config, PLENTY)
    apart, report_apart, span_apart = in_shards(config, limit)
    pd.testing.assert_frame_equal(apart, together, check_exact=True)
    assert span_apart == span
    assert report_apart == report
    orders = read_configured_orders(config)
    assert orders.report == report
    assert (orders.times.min(), get_default_cutoff(orders)) == span


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    """Blocks so small that these files have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clvcast.orders.reading.text_files._BLOCK_BYTES", 8_192)
        patch.setattr("clvcast.orders.reading.parquet_files._BLOCK_LINES", 300)
        yield


@pytest.fixture
def messy(shop_lines: pd.DataFrame) -> pd.DataFrame:
    """The shop as text, with what exports get wrong."""
    lines = shop_lines.sample(frac=1.0, random_state=0).reset_index(drop=True).astype(object)
    lines["customer_id"] = lines["customer_id"].str[1:]
    lines.loc[::2, "customer_id"] = lines.loc[::2, "customer_id"].astype(int).astype(str)
    lines.loc[5::7, "customer_id"] += ".0"
    lines.loc[::50, "customer_id"] = "NULL"
    lines.loc[3::61, "ordered_at"] = "31/12/2020"
    lines.loc[4::67, "amount"] = "1,234.5"
    lines.loc[8::31, "quantity"] = "many"
    lines.loc[9::41, "amount"] = 0.125
    return pd.concat([lines[:200], lines, lines[:9]]).astype(str)


@pytest.mark.slow
@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_messy_files_are_told_and_read_the_same(
    messy: pd.DataFrame, tmp_path: Path, duplicates: str
) -> None:
    text = messy.to_csv(index=False).splitlines()
    text.insert(700, "too,few")
    text.insert(1500, "too,few")
    (tmp_path / "1.csv").write_text("\n".join(text[:1600]) + "\n", encoding="utf-8")
    rest = pd.DataFrame([line.split(",") for line in text[1600:] if "1,234" not in line])
    rest.columns = pd.Index(messy.columns)
    rest.drop(columns="channel").to_csv(tmp_path / "2.csv", index=False)
    config = OrdersConfig(source=str(tmp_path), duplicates=duplicates, max_rejected_share=0.2)
    _, report, _ = in_shards(config, PLENTY)
    assert min(report.lines_without_customer, report.rounded_lines, report.duplicate_lines) > 0
    assert {"the line has another number of cells", "ordered_at is no date"} <= set(report.rejected)
    assert_the_same(config, 30_000)


@settings(max_examples=15)
@given(worlds.small_worlds(), st.booleans())
def test_random_worlds_are_the_same_in_shards(lines: pd.DataFrame, as_numbers: bool) -> None:
    if as_numbers:  # ids as whole numbers, some of them missing
        lines = lines.assign(order_id=lines["order_id"].str[1:].astype("Int64"))
        lines["customer_id"] = lines["customer_id"].map({"a": 7, "b": 70, "00123": 5, "é": 10**12})
    with make_temporary_folder() as folder:
        path = folder / "orders.parquet"
        lines.to_parquet(path, index=False)
        config = OrdersConfig(source=str(path))
        together, report, span = built(config, PLENTY)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("clvcast.orders.reading.parquet_files._BLOCK_LINES", 7)
            apart, report_apart, span_apart = built(config, 1)
        pd.testing.assert_frame_equal(apart, together, check_exact=True)
        assert (report_apart, span_apart) == (report, span)


def built(config: OrdersConfig, limit: int) -> tuple[pd.DataFrame, OrdersReport, tuple[int, int]]:
    with read_shards(config, limit) as shards:
        cutoffs = ["2020-06-01", "2021-06-01"]
        parts = [clvcast.build_features(orders, cutoffs) for orders in shards]
        merged = pd.concat(parts).sort_values(["cutoff", "customer_id"], ignore_index=True)
        return merged, shards.report, (shards.first, shards.end)


def test_a_customer_is_in_one_shard_in_whatever_type_the_id_stands(tmp_path: Path) -> None:
    numbers = pd.DataFrame({"customer_id": range(200), "ordered_at": "2020-03-01", "amount": 1.0})
    numbers.to_parquet(tmp_path / "1.parquet")
    numbers.assign(customer_id=numbers["customer_id"].astype(str)).to_parquet(
        tmp_path / "2.parquet"
    )
    numbers.assign(customer_id=numbers["customer_id"].astype(float)).to_parquet(
        tmp_path / "3.parquet"
    )
    with read_shards(OrdersConfig(source=str(tmp_path)), 3_000) as shards:
        parts = [(orders.n_customers, orders.n_lines) for orders in shards]
    assert len(parts) > 5
    assert sum(customers for customers, _ in parts) == 200
    assert sum(lines for _, lines in parts) == 600


def test_scoring_ten_times_the_limit_gives_the_same_files(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    source = tmp_path / "orders.parquet"
    lines = shop_lines.assign(amount=shop_lines["amount"].where(shop_lines.index % 97 != 0))
    lines.to_parquet(source, index=False)
    model = shop_model.with_config(
        clvcast.Config(orders=OrdersConfig(max_rejected_share=0.1), horizon_days=60, periods=3)
    )
    outputs = []
    shares: list[tuple[str, float, int]] = []
    for limit in (None, "0.05MB"):
        shares.clear()
        folder = tmp_path / str(limit)
        folder.mkdir()
        result = score_files(
            model,
            str(source),
            folder / "f.parquet",
            "2020-09-01",
            limit,
            lambda what, share, count: shares.append((what, share, count)),
        )
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        # no temporary file
        assert set(files) == {"f.parquet", "f.parquet.manifest.json", "rejected.parquet"}
        outputs.append((files, result.remarks, result.clv, result.customers_without_orders))
    assert outputs[0] == outputs[1]
    assert outputs[0][3] > 0
    for what in ("order lines", "customers"):
        done = [(share, count) for name, share, count in shares if name == what]
        assert len(done) > 10
        assert done == sorted(done)
        assert done[-1][0] == 1.0
    assert (
        done[-1][1] == outputs[0][3] + pyarrow.parquet.read_metadata(folder / "f.parquet").num_rows
    )


def test_what_a_killed_run_left_goes_when_the_next_begins(
    shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    shop_lines.to_parquet(tmp_path / "orders.parquet", index=False)
    killed = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from clvcast.configs.schema import OrdersConfig
        from clvcast.orders.reading.sharding import read_shards

        def halfway(what, share, count):
            if share > 0.5:
                os.kill(os.getpid(), signal.SIGKILL)

        folder = Path(sys.argv[1])
        config = OrdersConfig(source=str(folder / "orders.parquet"))
        with read_shards(config, 20_000, folder=folder, progress=halfway):
            pass
        """
    )
    done = subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    left = sorted(path for path in tmp_path.iterdir() if path.name != "orders.parquet")
    assert [path.suffix for path in left] == ["", ".lock"]
    assert len(os.listdir(left[0])) > 5
    config = OrdersConfig(source=str(tmp_path / "orders.parquet"))
    with read_shards(config, 20_000, folder=tmp_path) as shards:
        assert not any(path.exists() for path in left)
        assert sum(orders.n_lines for orders in shards) == len(shop_lines)
    assert os.listdir(tmp_path) == ["orders.parquet"]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with make_temporary_folder(tmp_path) as one, make_temporary_folder(tmp_path) as other:
        assert one.exists()
        assert other != one
    assert not os.listdir(tmp_path)


def test_a_folder_in_use_by_another_process_is_left_alone_until_that_process_is_gone(
    tmp_path: Path,
) -> None:
    """A lock tells who owns a folder, whatever the process ids: containers may share them."""
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from clvcast.orders.reading.temporary_folder import make_temporary_folder

        with make_temporary_folder(Path(sys.argv[1])) as folder:
            print(folder, flush=True)
            time.sleep(600)
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with make_temporary_folder(tmp_path) as ours:
            assert theirs.exists()
            assert ours != theirs
        assert theirs.exists()
        other.kill()
    with make_temporary_folder(tmp_path):
        assert not theirs.exists()
    assert not os.listdir(tmp_path)


def test_limits_are_read_and_wrong_ones_refused() -> None:
    assert parse_memory_limit("2GB") == 2 * 10**9
    assert parse_memory_limit(" 0.5 mb ") == 500_000
    assert parse_memory_limit(None) > 10**8
    for wrong in ("lots", "2"):
        with pytest.raises(clvcast.ConfigError, match="memory_limit must be a size such as 4GB"):
            parse_config(f"memory_limit: {wrong}")
