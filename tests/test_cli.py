"""The command line: bad input is one sentence and an exit status; outputs stay as they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import worlds
from conftest import Run
from export_files import make_shop, write_shopify

import clvcast

CONFIG = """
orders: {{source: {source}{more}}}
horizon_days: 60
periods: 2
tracking: {{uri: "sqlite:///{folder}/mlflow.db"}}
"""


@pytest.fixture(scope="module")
def shop_file(shop_lines: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "orders.parquet"
    shop_lines.to_parquet(path)
    return path


@pytest.fixture(scope="module")
def bundle(shop_model: clvcast.Model, shop_file: Path) -> Path:
    shop_model.save(shop_file.parent / "bundle")
    return shop_file.parent / "bundle"


def write_config(folder: Path, source: object, more: str = "", extra: str = "") -> Path:
    path = folder / "shop.yaml"
    path.write_text(CONFIG.format(source=source, more=more, folder=folder) + extra)
    return path


def one_sentence(err: str) -> str:
    assert "Traceback" not in err
    assert err.startswith("clvcast: "), err
    return err


def test_score_writes_a_row_per_customer_and_what_was_set_aside(
    run: Run, bundle: Path, shop_file: Path, tmp_path: Path, shop_lines: pd.DataFrame
) -> None:
    returns_only = shop_lines.head(1).assign(customer_id="R", amount=-5.0, order_id="r")
    nobody = shop_lines.head(2).assign(customer_id=None)
    orders = tmp_path / "orders.parquet"
    pd.concat([shop_lines, returns_only, nobody]).to_parquet(orders)
    for name in ("f.parquet", "f.csv"):
        status, out, err = run(
            "score", "--model", bundle, "--orders", orders, "--output", tmp_path / name
        )
        assert (status, "Traceback" in err) == (0, False)
        assert "set aside" in out
    forecasts = pd.read_parquet(tmp_path / "f.parquet")
    assert len(forecasts) == shop_lines["customer_id"].nunique()
    assert f"{len(forecasts):,} forecasts" in out
    assert f"{forecasts['clv'].sum():,.0f}" in out
    csv = pd.read_csv(tmp_path / "f.csv", dtype={"customer_id": str})
    pd.testing.assert_series_equal(csv["clv"], forecasts["clv"])
    rejected = pd.read_parquet(tmp_path / "rejected.parquet")
    assert set(rejected["reason"]) == {
        "customer_id is missing",
        "the customer has no order before 2021-02-24",
    }
    assert rejected.loc[rejected["row"].isna(), "customer_id"].tolist() == ["R"]


def test_config_overrides_what_the_bundle_remembers(
    run: Run, bundle: Path, shop_file: Path, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("periods: 1\neconomics: {margin_rate: 0.5}\n")
    output = tmp_path / "f.parquet"
    args = ("score", "--model", bundle, "--orders", shop_file, "--output", output)
    assert run(*args, "--config", config)[0] == 0
    halved = pd.read_parquet(output)
    assert (halved["clv"] == 0.5 * halved["expected_spend"]).all()
    config.write_text("horizon_days: 30\n")
    status, _, err = run(*args, "--config", config)
    assert status == 2
    assert "horizon_days must be the model's 60, got 30" in one_sentence(err)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("horizon_day: 60", "unknown key horizon_day; did you mean horizon_days?"),
        ("seed: {}", "seed should be a valid integer"),
    ],
)
def test_a_wrong_configuration(run: Run, tmp_path: Path, text: str, message: str) -> None:
    config = write_config(tmp_path, "x.parquet", extra=text + "\n")
    for command in (("check", config), ("train", config), ("backtest", config, "--output", "b")):
        status, out, err = run(*command)
        assert (status, out) == (2, "")
        assert message in one_sentence(err)


def test_orders_that_are_not_there_or_lack_a_column(
    run: Run, tmp_path: Path, shop_file: Path
) -> None:
    status, _, err = run("train", write_config(tmp_path, tmp_path / "none.parquet"))
    assert (status, "there is no file or folder" in one_sentence(err)) == (1, True)
    (tmp_path / "empty").mkdir()
    status, _, err = run("train", write_config(tmp_path, tmp_path / "empty"))
    assert (status, "holds no order files" in one_sentence(err)) == (1, True)
    columns = ", columns: {customer_id: customer, ordered_at: ordered_at, amount: price}"
    lines = pd.read_parquet(shop_file).rename(columns={"customer_id": "customer_no"})
    lines.to_parquet(tmp_path / "o.parquet")
    status, _, err = run("train", write_config(tmp_path, tmp_path / "o.parquet", columns))
    assert status == 1
    assert "column 'customer' for customer_id is missing; did you mean customer_no" in err
    assert "column 'price' for amount is missing" in one_sentence(err)
    assert not (tmp_path / "mlflow.db").exists()


def test_histories_that_are_too_short_or_show_nobody_twice(
    run: Run, tmp_path: Path, shop_lines: pd.DataFrame
) -> None:
    short = shop_lines[shop_lines["ordered_at"] < "2020-02-20"]
    short.to_parquet(tmp_path / "short.parquet")
    config = write_config(tmp_path, tmp_path / "short.parquet")
    status, _, err = run("train", config)
    assert status == 1
    assert "training needs 90 days of orders for a horizon of 60 days, got 49" in one_sentence(err)
    status, out, _ = run("check", config)
    assert status == 1
    assert "fail  history" in out
    single = shop_lines.drop_duplicates("customer_id")
    single.to_parquet(tmp_path / "single.parquet")
    status, _, err = run("train", write_config(tmp_path, tmp_path / "single.parquet"))
    assert status == 1
    assert "no customer ordered twice" in one_sentence(err)


@pytest.mark.parametrize("cutoff", ["2019-06-01", "2022-06-01", "tomorrow"])
def test_cutoffs_out_of_range(
    run: Run, bundle: Path, shop_file: Path, tmp_path: Path, cutoff: str
) -> None:
    output = tmp_path / "f.parquet"
    output.write_text("earlier")
    args = ("score", "--model", bundle, "--orders", shop_file, "--output", output)
    status, _, err = run(*args, "--cutoff", cutoff)
    assert (status, "cutoff" in one_sentence(err)) == (2, True)
    status, _, err = run("train", write_config(tmp_path, shop_file), "--cutoff", cutoff)
    assert (status, "cutoff" in one_sentence(err)) == (2, True)
    assert output.read_text() == "earlier"
    assert not (tmp_path / "rejected.parquet").exists()


def test_damaged_bundles_and_closed_outputs_leave_earlier_outputs(
    run: Run, shop_model: clvcast.Model, shop_file: Path, tmp_path: Path
) -> None:
    shop_model.save(tmp_path / "bundle")
    trees = tmp_path / "bundle" / "spend-1.txt"
    content = trees.read_bytes()
    output = tmp_path / "f.csv"
    output.write_text("earlier")
    for damaged in (content[:-1], content.replace(b"1", b"2", 1)):
        trees.write_bytes(damaged)
        args = ("--model", tmp_path / "bundle", "--orders", shop_file)
        status, _, err = run("score", *args, "--output", output)
        assert (status, "is damaged" in one_sentence(err)) == (1, True)
    assert output.read_text() == "earlier"
    trees.write_bytes(content)
    args = ("--model", tmp_path / "bundle", "--orders", shop_file)
    status, _, err = run("score", *args, "--output", tmp_path / "none" / "f.csv")
    assert (status, "does not exist" in one_sentence(err)) == (1, True)


def test_an_output_never_replaces_the_orders_or_another_output(
    run: Run, bundle: Path, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    orders = tmp_path / "orders.parquet"
    shop_lines.to_parquet(orders)
    before = orders.read_bytes()
    for output in (
        orders,
        tmp_path / "rejected.parquet",
        tmp_path / ".." / tmp_path.name / orders.name,
    ):
        status, _, err = run("score", "--model", bundle, "--orders", orders, "--output", output)
        assert (status, "the output" in one_sentence(err)) == (2, True)
    assert orders.read_bytes() == before
    assert os.listdir(tmp_path) == ["orders.parquet"]


@pytest.mark.slow
def test_a_backtest_writes_into_a_folder_and_leaves_the_rest(
    run: Run, shop_file: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, shop_file)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.jpg").touch()
    args = ("backtest", config, "--cutoff", "2020-10-01", "--output")
    assert run(*args, tmp_path / "out")[0] == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["forecasts.parquet", "metrics.json", "photo.jpg", "report.html"]
    status, _, err = run(*args, config)
    assert (status, "is a file; name a folder" in one_sentence(err)) == (1, True)


def test_json_answers_carry_the_remarks(
    run: Run, bundle: Path, shop_file: Path, tmp_path: Path
) -> None:
    args = ("score", "--model", bundle, "--orders", shop_file, "--output", tmp_path / "f.csv")
    _, out, err = run(*args, "--cutoff", "2021-04-01", "--json")
    assert err == ""
    assert any("more silent than they may be" in remark for remark in json.loads(out)["remarks"])


@pytest.mark.slow
def test_a_missing_extra_is_a_sentence(shop_file: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['sklearn'] = None; from clvcast.__main__ import main; main()"
    config = write_config(tmp_path, shop_file)
    done = subprocess.run(
        [sys.executable, "-c", code, "train", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'clvcast[train]'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_usage_errors_exit_with_2(run: Run) -> None:
    assert run("score")[0] == 2
    assert run("bake")[0] == 2


def test_help_shows_examples(run: Run) -> None:
    for command in ("init", "check", "train", "backtest", "score"):
        status, out, _ = run(command, "--help")
        assert status == 0
        assert "Example" in out, command


def test_init_writes_a_config_that_check_accepts(
    run: Run,
    root: Path,
    small_sample_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(small_sample_folder)
    written = tmp_path / "new.yaml"
    assert run("init", "data/online_retail.parquet", "--output", written)[0] == 0
    config = clvcast.load_config(written)
    shipped = clvcast.load_config(root / "configs" / "online_retail.yaml")
    assert config.orders.columns == shipped.orders.columns
    status, out, _ = run("check", written, "--json")
    assert status == 0
    answer = json.loads(out)
    assert {finding["verdict"] for finding in answer["findings"]} == {"pass"}
    assert answer["read"]["orders"] == 9_066
    assert sum(answer["read"]["net_revenue_by_month"].values()) == pytest.approx(
        answer["read"]["net_revenue"]
    )
    status, _, err = run("init", "data/online_retail.parquet", "--output", written)
    assert (status, "--force" in one_sentence(err)) == (1, True)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_young_shop_is_warned_and_score_tells_how_to_use_its_model(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = worlds.shop(customers=300, days=120, seed=4)
    lines.to_csv("orders.csv", index=False)
    Path("c.yaml").write_text("orders: {source: orders.csv}\neffort: quick\n")
    status, out, _ = run("check", "c.yaml")
    assert (status, "warn  history" in out, "BTYD alone" in out) == (0, True, True)
    store = ("--tracking-uri", "sqlite:///mlflow.db")
    assert run("train", "c.yaml", "--quiet", *store)[0] == 1
    score = ("score", "--orders", "orders.csv", "--output", "f.parquet", *store)
    status, _, err = run(*score, "--model", "models:/clv@champion")
    said = one_sentence(err)
    assert (status, "version 1 was refused: history is too short" in said) == (1, True)
    assert "models:/clv/1" in said
    assert run(*score, "--model", "models:/clv/1")[0] == 0


def test_init_asks_for_what_it_cannot_tell(run: Run, tmp_path: Path) -> None:
    orders = tmp_path / "o.csv"
    orders.write_text("Order Date;Qty;Unit Price\n2020-01-01;2;3\n")
    status, out, _ = run("init", orders, "--output", tmp_path / "c.yaml")
    assert status == 1
    assert "needed  columns.customer_id" in out
    text = (tmp_path / "c.yaml").read_text()
    assert "ordered_at: Order Date" in text
    assert "# amount: 'Qty * `Unit Price`'" in text
    assert "delimiter: ;" in text
    assert "# customer_id:" in text
    status, _, err = run("check", tmp_path / "c.yaml")
    assert (status, "must map customer_id, amount as well" in one_sentence(err)) == (2, True)


def test_init_tells_what_it_took_and_why_to_people_and_machines(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.csv").write_text(write_shopify(make_shop()))
    status, out, _ = run("init", "o.csv")
    assert status == 0
    assert "found to be of shopify" in out
    assert "timezone: Etc/GMT+5  (every time is written with -05:00" in out
    assert "open  timezone:" in out
    status, out, _ = run("init", "o.csv", "--force", "--json")
    content = json.loads(out)
    assert (status, content["layout"], content["can_check"]) == (0, "shopify", True)
    amount = next(c for c in content["choices"] if c["key"] == "columns.amount")
    assert amount["value"] == "Total - abs(`Refunded Amount` or 0)"
    assert run("init", "o.csv", "--force", "--quiet")[1] == ""
    assert run("init", "sqlite:///nowhere.db", "--query", "SELECT 1", "--force")[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_one_sentence_and_leaves_earlier_outputs(
    tmp_path: Path, bundle: Path, shop_file: Path, stop: signal.Signals
) -> None:
    output = tmp_path / "f.parquet"
    output.write_text("earlier")
    code = (
        "import sys, time\n"
        "from clvcast.__main__ import main\n"
        "import clvcast.serve.batch.run as batch\n"
        "def slow(*a, **k):\n    print('scoring', flush=True)\n    time.sleep(1)\n"
        "batch.forecast_rows = slow\nmain()\n"
    )
    arguments = ["score", "--model", bundle, "--orders", shop_file, "--output", output]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "scoring\n"
    time.sleep(0.2)
    process.send_signal(stop)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "interrupted; earlier outputs are unchanged" in one_sentence(err)
    assert output.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["f.parquet"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, clvcast, clvcast.__main__\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'numba', 'lightgbm', 'mlflow', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
