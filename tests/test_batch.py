"""Batch: parts, checkpoint, manifest; killed runs resume and end with the same bytes."""

from __future__ import annotations

import json
import math
import multiprocessing
import random
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st

import clvcast
from clvcast.errors import ConfigError
from clvcast.models.scoring import describe_hindsight, forecast_rows
from clvcast.orders import dates
from clvcast.orders.reading.rejected_lines import REJECTED_SCHEMA
from clvcast.orders.reading.temporary_folder import make_temporary_folder
from clvcast.serve.batch import checkpoint, run
from clvcast.serve.batch.checkpoint import CheckpointedForecasts, open_checkpoint
from clvcast.serve.batch.run import score_files

CUTOFF = "2021-02-01"


@pytest.fixture
def orders(shop_lines: pd.DataFrame, tmp_path: Path) -> Path:
    source = tmp_path / "orders"
    source.mkdir()
    shop_lines.to_parquet(source / "orders.parquet")
    return source / "orders.parquet"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_PART", 37)


def bytes_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["f.parquet", "f.csv"])
def test_parts_make_the_whole(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, orders: Path, tmp_path: Path, name: str
) -> None:
    steps: list[tuple[str, float, int]] = []
    result = score_files(
        shop_model, str(orders), tmp_path / name, CUTOFF, progress=lambda *step: steps.append(step)
    )
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    whole = clvcast.score(shop_model, shop_orders, CUTOFF)
    pd.testing.assert_frame_equal(
        read(tmp_path / name)[["customer_id", "clv", "expected_spend"]],
        whole[["customer_id", "clv", "expected_spend"]],
        check_exact=True,
        check_dtype=False,
    )
    customers = [done for what, *done in steps if what == "customers"]
    assert customers[-1] == [1.0, len(whole)]
    assert len(customers) == math.ceil(len(whole) / 37)
    assert result.clv == math.fsum(whole["clv"])
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        name,
        f"{name}.manifest.json",
        "rejected.parquet",
    }
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("ending", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_columns_by_period_are_those_of_python_in_the_output_or_beside_it(
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    orders: Path,
    tmp_path: Path,
    ending: str,
    read: Any,
) -> None:
    expected = clvcast.score(shop_model, shop_orders, CUTOFF, by_period=True)
    periods = [f"spend_period_{k}" for k in range(1, shop_model.periods + 1)]
    plain, wide = tmp_path / f"plain.{ending}", tmp_path / f"wide.{ending}"
    table = tmp_path / f"periods.{ending}"
    score_files(shop_model, str(orders), plain, CUTOFF, periods_table=table)
    score_files(shop_model, str(orders), wide, CUTOFF, by_period=True)
    assert read(wide).columns.to_list() == expected.columns.to_list()
    assert read(plain).columns.to_list() == expected.columns.to_list()[: -len(periods)]
    assert read(table).columns.to_list() == ["customer_id", "cutoff", "model_version", *periods]
    for made in (read(wide), read(table)):
        pd.testing.assert_frame_equal(made[periods], expected[periods], check_exact=True)
        assert made["customer_id"].to_list() == expected["customer_id"].to_list()
    again = score_files(shop_model, str(orders), plain, CUTOFF, periods_table=table)
    assert again.was_done
    table.unlink()
    again = score_files(shop_model, str(orders), plain, CUTOFF, periods_table=table)
    assert not again.was_done
    assert table.exists()


def test_parts_of_a_folder_have_columns_by_period(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path
) -> None:
    score_files(shop_model, str(orders), tmp_path / "f", CUTOFF, partitions=2, by_period=True)
    for part in range(2):
        names = pd.read_parquet(tmp_path / "f" / f"part-0000{part}.parquet").columns
        assert names[-1] == f"spend_period_{shop_model.periods}"


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("elsewhere/p.parquet", {}, "a file of its own in the folder of"),
        ("f.parquet", {}, "a file of its own in the folder of"),
        ("rejected.parquet", {}, "a file of its own in the folder of"),
        ("p.xlsx", {}, "is a .parquet or .csv file, got"),
        ("p.parquet", {"partitions": 2}, "with --by-period"),
    ],
)
def test_a_periods_table_that_cannot_be_written_is_refused(
    shop_model: clvcast.Model,
    orders: Path,
    tmp_path: Path,
    name: str,
    more: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=message):
        score_files(
            shop_model,
            str(orders),
            tmp_path / "f.parquet",
            CUTOFF,
            periods_table=tmp_path / name,
            **more,
        )


def test_the_manifest_tells_what_was_made_from_what(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path
) -> None:
    result = score_files(shop_model, str(orders), tmp_path / "f.parquet", CUTOFF)
    assert result.manifest is not None
    manifest = json.loads(result.manifest.read_text())
    assert manifest["model_version"] == shop_model.version
    assert manifest["rows"] == result.customers == 400
    assert manifest["totals"]["clv"] == result.clv
    assert set(manifest["files"]) == {"f.parquet", "rejected.parquet"}
    assert str(tmp_path) not in result.manifest.read_text()


def test_what_is_done_is_not_done_again(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "f.parquet"
    first = score_files(shop_model, str(orders), output, CUTOFF)
    made = output.stat().st_mtime_ns

    def again(model: clvcast.Model = shop_model, **change: Any) -> bool:
        return score_files(model, str(orders), output, CUTOFF, **change).was_done

    result = score_files(shop_model, str(orders), output, CUTOFF)
    assert (result.was_done, result.clv) == (True, first.clv)
    assert output.stat().st_mtime_ns == made
    assert not again(force=True)
    assert again()
    economics = clvcast.Config(economics={"margin_rate": 0.5})
    halved = shop_model.with_config(economics)
    assert not again(halved)
    assert again(halved)
    output.write_bytes(output.read_bytes()[:-1])  # damaged since
    assert not again(halved)
    lines = pd.read_parquet(orders)
    lines.iloc[1:].to_parquet(orders)
    assert not again(halved)


def test_only_some_customers(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, orders: Path, tmp_path: Path, run: Run
) -> None:
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("customer_id\nC00007\n C00003 \nnobody\n")
    shop_model.save(tmp_path / "bundle")
    output = tmp_path / "f.parquet"
    args = ("--orders", orders, "--output", output, "--cutoff", CUTOFF, "--only-customers", wanted)
    status, _, err = run("score", "--model", tmp_path / "bundle", *args)
    assert (status, "1 customer named in --only-customers have no" in err) == (0, True), err
    whole = clvcast.score(shop_model, shop_orders, CUTOFF).set_index("customer_id")
    pd.testing.assert_frame_equal(
        pd.read_parquet(output).set_index("customer_id"),
        whole.loc[["C00003", "C00007"]],
        check_exact=True,
    )
    status, out, _ = run("score", "--model", tmp_path / "bundle", *args)
    assert (status, "already done" in out) == (0, True)
    wanted.write_text("nobody")
    status, _, err = run("score", "--model", tmp_path / "bundle", *args)
    assert (status, "none of the customers named" in err) == (1, True)
    wanted.write_text("")
    status, _, err = run("score", "--model", tmp_path / "bundle", *args)
    assert (status, "must hold one customer id per line" in err) == (1, True)


def test_a_folder_of_parts(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, orders: Path, tmp_path: Path
) -> None:
    output = tmp_path / "forecasts"
    result = score_files(shop_model, str(orders), output, CUTOFF, partitions=5)
    parts = sorted(output.glob("part-*.parquet"))
    assert len(parts) == 5
    frames = [pd.read_parquet(part) for part in parts]
    assert all(frame["customer_id"].is_monotonic_increasing for frame in frames)
    joined = pd.concat(frames).sort_values("customer_id", ignore_index=True)
    whole = clvcast.score(shop_model, shop_orders, CUTOFF)
    pd.testing.assert_frame_equal(joined, whole, check_exact=True)
    one = score_files(shop_model, str(orders), tmp_path / "f.parquet", CUTOFF)
    assert (result.clv, result.customers) == (one.clv, one.customers)
    assert score_files(shop_model, str(orders), output, CUTOFF, partitions=5).was_done
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").touch()
    with pytest.raises(clvcast.StoreError, match="holds no forecasts"):
        score_files(shop_model, str(orders), tmp_path / "mine", CUTOFF, partitions=5)
    with pytest.raises(clvcast.ConfigError, match="a partitioned output must be a folder"):
        score_files(shop_model, str(orders), tmp_path / "f.parquet", CUTOFF, partitions=5)


def test_a_run_that_stopped_goes_on(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, output = tmp_path / "clean" / "f.parquet", tmp_path / "resumed" / "f.parquet"
    for path in (clean, output):
        path.parent.mkdir()
    score_files(shop_model, str(orders), clean, CUTOFF)

    def stop(what: str, share: float, count: int) -> None:
        if what == "customers" and share > 0.25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_files(shop_model, str(orders), output, CUTOFF, progress=stop)
    assert not output.exists()
    result = score_files(shop_model, str(orders), output, CUTOFF)
    # the third part stops it; others are made meanwhile, as many as threads get to
    assert 3 <= result.parts_resumed < result.customers / 37
    assert bytes_of(output.parent) == bytes_of(clean.parent)
    with pytest.raises(KeyboardInterrupt):
        score_files(shop_model, str(orders), output, CUTOFF, force=True, progress=stop)
    # another cutoff is another batch: nothing of the first is taken
    assert score_files(shop_model, str(orders), output, "2021-02-10").parts_resumed == 0


def test_a_cutoff_before_the_end_of_the_training_is_told_as_hindsight(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path
) -> None:
    seen = shop_model.numbers.trained_until
    assert seen is not None
    for cutoff, said in ((seen, 0), (seen - 1, 1)):
        assert len(describe_hindsight(shop_model, cutoff)) == said
        output = tmp_path / f"{said}.parquet"
        result = score_files(shop_model, str(orders), output, dates.format_iso(cutoff))
        manifest = json.loads((tmp_path / f"{said}.parquet.manifest.json").read_text())
        for remarks in (result.remarks, manifest["remarks"]):
            assert sum("hindsight" in remark for remark in remarks) == said


def test_shards_give_the_same_rows(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = score_files(shop_model, str(orders), tmp_path / "whole.parquet", CUTOFF)
    monkeypatch.setattr(run, "parse_memory_limit", lambda limit: 30_000)
    steps = []
    parted = score_files(
        shop_model,
        str(orders),
        tmp_path / "parted.parquet",
        CUTOFF,
        progress=lambda what, share, count: steps.append(what),
    )
    assert "order lines" in steps  # they went through files
    frames = [pd.read_parquet(result.output) for result in (whole, parted)]
    pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)
    assert whole.clv == parted.clv


def test_shards_are_merged_without_all_of_them_in_memory(
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Customers scattered over parts come out in order, table by table, each no larger
    than stated.
    """
    monkeypatch.setattr(checkpoint, "_ROWS", 50)
    whole = forecast_rows(shop_model, shop_orders, dates.parse_instant(CUTOFF))
    part_of = np.random.default_rng(1).integers(0, 7, whole.num_rows)
    with open_checkpoint(tmp_path / "f.parquet", "key") as parts:
        for k in range(8):  # the last is empty
            parts.write(f"part-{k}", whole.filter(pa.array(part_of == k)))
        names = [f"part-{k}" for k in range(8)]
        held = CheckpointedForecasts(
            parts, names, 0, False, REJECTED_SCHEMA.empty_table(), pa.array([], pa.string())
        )
        tables = list(held.tables())
        assert max(table.num_rows for table in tables) == 50
        assert pa.concat_tables(tables).equals(whole)
        parts.close()


@settings(max_examples=20)
@given(
    st.lists(st.lists(st.floats(0, allow_nan=False, allow_infinity=False, width=64), max_size=9))
)
def test_totals_are_rounded_once_however_they_come_in_parts(parts: list[list[float]]) -> None:
    scaled = [[value / 1e10 for value in part] for part in parts]
    columns = ("churn_probability", "expected_orders", "expected_spend", "clv")
    with make_temporary_folder() as folder, open_checkpoint(folder / "f.parquet", "key") as stored:
        names = [f"part-{k}" for k in range(len(parts))]
        for name, part in zip(names, scaled, strict=True):
            stored.write(name, pa.table([pa.array(part, pa.float64())] * 4, names=columns))
        nothing = REJECTED_SCHEMA.empty_table()
        no_ids = pa.array([], pa.string())
        summary = CheckpointedForecasts(stored, names, 0, True, nothing, no_ids).totals()
        stored.close()
    assert summary["rows"] == sum(map(len, parts))
    assert summary["totals"]["clv"] == math.fsum(v for part in scaled for v in part)  # type: ignore[index]


def test_a_checkpoint_left_after_the_last_output_goes_with_the_next_run(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path
) -> None:
    output = tmp_path / "f.parquet"
    score_files(shop_model, str(orders), output, CUTOFF)
    whole = bytes_of(tmp_path)
    left = tmp_path / ".f.parquet.journal"
    left.mkdir()
    (left / "0.arrow").write_bytes(b"finished, and killed before it was thrown away")
    assert score_files(shop_model, str(orders), output, CUTOFF).was_done
    assert bytes_of(tmp_path) == whole


def test_two_processes_do_not_write_one_output(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path
) -> None:
    output = tmp_path / "f.parquet"

    def meet(what: str, share: float, count: int) -> None:
        with pytest.raises(clvcast.StoreError, match="another process is writing"):
            score_files(shop_model, str(orders), output, CUTOFF)

    score_files(shop_model, str(orders), output, CUTOFF, progress=meet)


def test_a_crashed_run_leaves_a_half_written_output_to_the_next(
    shop_model: clvcast.Model, orders: Path, tmp_path: Path
) -> None:
    """Its files are in its own folder, whose lock nobody holds; a held lock keeps others out."""
    output, crashed = (
        tmp_path / "f.parquet",
        textwrap.dedent(
            """
        import sys, time
        from pathlib import Path
        from clvcast.atomic_files import replace_file
        from clvcast.serve.batch.checkpoint import open_checkpoint

        output = Path(sys.argv[1])
        with open_checkpoint(output, "key") as stored, replace_file(output, stored.folder) as half:
            half.write_text("half")
            print("writing", flush=True)
            time.sleep(600)
        """
        ),
    )
    command = [sys.executable, "-c", crashed, str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        with pytest.raises(clvcast.StoreError, match="another process is writing"):
            score_files(shop_model, str(orders), output, CUTOFF)
        other.kill()
    assert {path.name for path in tmp_path.iterdir()} == {"orders", ".f.parquet.journal"}
    score_files(shop_model, str(orders), output, CUTOFF)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def _score(model: clvcast.Model, orders: str, output: Path, partitions: int) -> None:
    score_files(model, orders, output, CUTOFF, partitions=partitions)


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [0, 4])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_twenty_kills_change_no_byte(
    shop_model: clvcast.Model,
    orders: Path,
    tmp_path: Path,
    partitions: int,
) -> None:
    chance = random.Random(partitions)
    name = "forecasts" if partitions else "f.parquet"
    context = multiprocessing.get_context("fork")
    for folder in ("clean", "killed"):
        (tmp_path / folder).mkdir()
    arguments = (shop_model, str(orders), tmp_path / "clean" / name, partitions)
    child = context.Process(target=_score, args=arguments)
    begin = time.perf_counter()
    child.start()
    child.join(120)
    took = time.perf_counter() - begin
    expected = bytes_of(tmp_path / "clean")
    kills = 0
    while kills < 20:
        arguments = (shop_model, str(orders), tmp_path / "killed" / name, partitions)
        child = context.Process(target=_score, args=arguments)
        child.start()
        time.sleep(chance.uniform(0.0, took / 2))
        child.kill()
        child.join()
        seen = {n: b for n, b in bytes_of(tmp_path / "killed").items() if not n.startswith(".")}
        assert all(seen[n] == expected[n] for n in seen)
        if child.exitcode == 0:  # it was done before: begin anew
            shutil.rmtree(tmp_path / "killed")
            (tmp_path / "killed").mkdir()
        kills += child.exitcode != 0
    score_files(shop_model, str(orders), tmp_path / "killed" / name, CUTOFF, partitions=partitions)
    assert bytes_of(tmp_path / "killed") == expected
