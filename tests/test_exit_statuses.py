"""Every exit status in docs/operations.md: a situation that ends with it, for each command."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pandas as pd
import pytest
import typer
from conftest import ROOT, Run
from forecast_files import forecast_file

import clvcast
from clvcast.__main__ import _Interrupted, app
from clvcast.nightly.summary import NightStep, NightSummary, StepOutcome
from clvcast.train.gate.rule import Rule
from clvcast.train.gate.rules import Verdict
from clvcast.train.limited_orders import LimitedOrders
from clvcast.train.registry.mlflow_store import open_for_writing
from clvcast.train.registry.promotion import promote
from clvcast.train.registry.tracking import TrackedRun

# of SQLAlchemy about mlflow's store, once, in whichever test opens it first
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")

CUTOFF = "2020-12-01"
SHOP = """\
orders: {source: orders.parquet}
horizon_days: 60
periods: 3
tracking: {uri: 'sqlite:///mlflow.db', model_name: shop}
"""
PLACE = "--name shop --tracking-uri sqlite:///mlflow.db"
BASE = "forecasts.parquet --config shop.yaml"
OTHER = "forecasts.parquet --orders orders.parquet"

# command, status, arguments
CASES = (
    ("init", 0, "clear.csv --output new.yaml"),
    ("init", 1, "orders.parquet --output new.yaml"),  # is the amount of one unit?
    ("init", 1, "orders.parquet --output shop.yaml"),  # it exists
    ("init", 1, "none.csv --output new.yaml"),
    ("init", 2, ""),
    ("check", 0, "shop.yaml"),
    ("check", 1, "--orders short.parquet"),  # a finding fails
    ("check", 1, "--orders none.parquet"),
    ("check", 2, "wrong.yaml"),
    ("check", 2, "none.yaml"),
    ("train", 1, "--orders short.parquet"),
    ("train", 2, "shop.yaml --tag team"),
    ("train", 2, "shop.yaml --cutoff tomorrow"),
    ("backtest", 1, "--orders none.parquet --output new"),
    ("backtest", 1, "shop.yaml --output orders.parquet"),  # no folder
    ("backtest", 2, "shop.yaml --output new --jobs 0"),
    ("score", 0, "--model bundle --orders orders.parquet --output new.csv"),
    ("score", 1, "--model none --orders orders.parquet --output new.csv"),
    ("score", 1, "--config shop.yaml --output none/new.csv"),
    ("score", 1, "--config shop.yaml --output orders.parquet"),  # would replace the orders
    ("score", 2, "--model bundle --orders orders.parquet --output new.txt"),
    ("score", 2, "--model bundle --orders orders.parquet --output new.csv --cutoff 2031-01-01"),
    ("nightly", 2, "none.yaml"),
    ("nightly", 2, "shop.yaml --complete-until 2999-01-01"),
    ("nightly", 3, "shop.yaml --set orders.source=none.parquet"),
    ("nightly", 3, "shop.yaml --output orders.parquet"),  # no folder
    ("explain", 0, "--model bundle --orders orders.parquet --customer C00001"),
    ("explain", 1, "--model bundle --orders orders.parquet --customer nobody"),
    ("explain", 2, "--model bundle --orders orders.parquet"),
    ("serve", 1, "--model none"),
    ("serve", 2, "--model bundle --forecasts forecasts.parquet"),
    ("serve", 2, "--model bundle --host 0.0.0.0"),  # without tokens
    ("warm", 1, "--model none"),
    ("warm", 2, "bundle"),
    ("kpis", 0, f"{BASE} --output new"),
    ("kpis", 1, "none.parquet --config shop.yaml --output new"),
    ("kpis", 2, "forecasts.parquet --output new"),  # of which orders?
    ("economics", 0, f"{BASE} --spend spend.csv --output new"),
    ("economics", 1, f"{BASE} --spend none.csv --output new"),
    ("economics", 2, f"{BASE} --output new"),
    ("lists", 0, f"{BASE} --output new"),
    ("lists", 1, "forecasts.parquet --orders none.parquet --output new"),
    ("lists", 2, f"{BASE} --output new --format xlsx"),
    ("compare", 0, "forecasts.parquet later.parquet"),
    ("compare", 1, "forecasts.parquet none.parquet"),
    ("compare", 2, "forecasts.parquet later.parquet --measure spend"),
    ("monitor", 0, "--forecasts expected.parquet --orders orders.parquet --config shop.yaml"),
    ("monitor", 1, "--forecasts tenfold.parquet --orders orders.parquet --config shop.yaml"),
    ("monitor", 1, "--forecasts none.parquet --orders orders.parquet --config shop.yaml"),
    ("monitor", 2, "--forecasts expected.parquet"),
    ("report", 0, f"{OTHER} --output new.html --set horizon_days=60"),
    ("report", 1, f"{OTHER} --output orders.parquet/new.html"),  # no folder
    ("report", 2, f"{OTHER} --output new.pdf"),
    ("version", 0, ""),
    ("version", 2, "1"),
    ("models list", 0, PLACE),
    ("models list", 0, "--config shop.yaml --json"),
    ("models list", 1, "--name other --tracking-uri sqlite:///mlflow.db"),
    ("models list", 1, "--tracking-uri sqlite:///none.db"),
    ("models list", 2, "--config none.yaml"),
    ("models promote", 0, f"1 --reason checked {PLACE}"),
    ("models promote", 0, f"2 --reason again {PLACE}"),  # the champion already
    ("models promote", 1, f"3 --reason checked {PLACE}"),
    ("models promote", 2, f"1 {PLACE}"),  # no reason
    ("models rollback", 0, PLACE),
    ("models rollback", 1, "--name other --tracking-uri sqlite:///mlflow.db"),
    ("models rollback", 2, "--config wrong.yaml"),
)


@pytest.fixture(scope="module")
def prepared(
    shop_lines: pd.DataFrame,
    shop_orders: clvcast.Orders,
    shop_model: clvcast.Model,
    shop_config: clvcast.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with a shop's files, and a store whose version 2 replaced version 1."""
    folder = tmp_path_factory.mktemp("prepared")
    shop_lines.to_parquet(folder / "orders.parquet")
    shop_lines[shop_lines["ordered_at"] < "2020-02-01"].to_parquet(folder / "short.parquet")
    shop_lines.drop(columns="quantity").to_csv(folder / "clear.csv", index=False)
    (folder / "spend.csv").write_text("channel,month,spend\nweb,2020-03,100\n")
    (folder / "shop.yaml").write_text(SHOP)
    (folder / "wrong.yaml").write_text("horizon: 60\n")
    shop_model.save(folder / "bundle")
    forecasts = forecast_file(shop_orders, CUTOFF, shop_config)
    forecasts.to_parquet(folder / "forecasts.parquet")
    forecast_file(shop_orders, "2021-01-01", shop_config).to_parquet(folder / "later.parquet")
    expected = clvcast.score(shop_model, shop_orders, CUTOFF)
    expected.to_parquet(folder / "expected.parquet")
    money = [str(name) for name in expected.filter(regex="^(expected_spend|clv)")]
    expected[money] *= 10
    expected.to_parquet(folder / "tenfold.parquet")
    uri = f"sqlite:///{folder}/mlflow.db"
    with open_for_writing(uri) as store:
        store.client.create_registered_model("shop")
        for _ in range(2):
            store.client.create_model_version("shop", (folder / "bundle").as_uri())
    for number in ("1", "2"):
        promote("shop", number, "a test", uri)
    return folder


@pytest.fixture
def shop(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the folder, as the current one."""
    shutil.copytree(prepared, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")


@pytest.mark.parametrize(
    ("command", "status", "arguments"), CASES, ids=[f"{c[0]} {c[1]}: {c[2]}" for c in CASES]
)
@pytest.mark.filterwarnings("default")
def test_each_situation_ends_with_its_status(
    run: Run, shop: None, command: str, status: int, arguments: str
) -> None:
    answer, out, err = run(*command.split(), *shlex.split(arguments))
    assert (answer, "Traceback" in err) == (status, False), out + err
    if status and command not in ("check", "monitor", "init", "nightly"):
        assert "clvcast: " in err or "Usage: " in err, out + err


def build_verdict(passed: bool, provisional: bool = False) -> Verdict:
    rule = Rule("total", 2.0, "<= 1.5", "pass" if passed else "fail", "why", is_relative=True)
    return Verdict((rule,), "", ranks_best=provisional, may_be_provisional=provisional)


@pytest.mark.parametrize(
    ("verdict", "promoted", "status"),
    [
        (build_verdict(passed=True), True, 0),
        (build_verdict(passed=False, provisional=True), True, 0),
        (build_verdict(passed=False), True, 0),  # --force
        (None, False, 0),  # the champion already
        (build_verdict(passed=False), False, 1),
    ],
)
@pytest.mark.parametrize("silent", ["", "--quiet", "--json"])
def test_train_ends_with_one_if_the_gate_refuses(
    run: Run,
    shop: None,
    monkeypatch: pytest.MonkeyPatch,
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    verdict: Verdict | None,
    promoted: bool,
    status: int,
    silent: str,
) -> None:
    """Real trainings end so in test_printed_commands.py and test_nightly.py."""
    calls: list[object] = []
    trained = SimpleNamespace(
        model=shop_model,
        evaluation=None,
        curve=(),
        rows_setting="memory_limit",
        known=shop_orders,
    )
    tracked = TrackedRun("sqlite:///mlflow.db", "run", "shop", "2", True, "1", promoted, verdict)

    def skip_training(limited: LimitedOrders, *_: object) -> SimpleNamespace:
        calls.append(limited)
        return trained

    monkeypatch.setattr("clvcast.train.run.train_limited", skip_training)
    monkeypatch.setattr("clvcast.train.registry.tracking.track", lambda *_: tracked)
    assert run("train", "shop.yaml", *silent.split())[0] == status
    assert len(calls) == 1


def summarize(outcome: StepOutcome) -> Callable[..., NightSummary]:
    steps = (NightStep("train", outcome, "why"),)
    return lambda *_, **__: NightSummary("2026-01-01T02:00:00", "2026-01-01", "1", "f", steps)


def fail_with(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize(
    ("night", "status"),
    [
        (summarize("done"), 0),
        (summarize("skipped"), 0),
        (summarize("refused"), 1),
        (summarize("alarm"), 3),
        (fail_with(clvcast.ConfigError("wrong")), 2),
        (fail_with(clvcast.OrdersError("missing")), 3),
        (fail_with(RuntimeError("a fault of clvcast")), 3),
        (fail_with(_Interrupted()), 3),
    ],
)
def test_nightly_ends_with_one_only_if_a_champion_serves(
    run: Run,
    shop: None,
    monkeypatch: pytest.MonkeyPatch,
    night: Callable[..., NightSummary],
    status: int,
) -> None:
    monkeypatch.setattr("clvcast.nightly.run.run_night", night)
    assert run("nightly", "shop.yaml")[0] == status


# what takes long, or does not end by itself, is replaced: the status is the command's
REPLACED: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
    (
        "backtest",
        "shop.yaml --output new",
        "clvcast.train.backtest.run.backtest",
        lambda *_, **__: SimpleNamespace(metrics={}, save=lambda *_: None),
    ),
    ("warm", "--model bundle --quiet", "clvcast.serve.warmup.warm_code", lambda: None),
)


@pytest.mark.parametrize(("command", "arguments", "name", "replacement"), REPLACED)
def test_long_commands_end_with_zero_and_interrupted_with_one(
    run: Run,
    shop: None,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    arguments: str,
    name: str,
    replacement: Callable[..., Any],
) -> None:
    monkeypatch.setattr(name, replacement)
    assert run(command, *arguments.split())[0] == 0
    monkeypatch.setattr(name, fail_with(_Interrupted()))
    status, _, err = run(command, *arguments.split())
    assert (status, "clvcast: interrupted" in err) == (1, True)


def test_serve_ends_with_zero_once_stopped_and_with_one_before_it_listens(
    run: Run, shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real server is stopped by signals in test_rest_server.py."""
    monkeypatch.setattr("clvcast.serve.rest.server.run", lambda *_: None)
    assert run("serve", "--model", "bundle")[0] == 0
    monkeypatch.setattr("clvcast.commands.serving.load_configured_model", fail_with(_Interrupted()))
    status, _, err = run("serve", "--model", "bundle")
    assert (status, "clvcast: interrupted" in err) == (1, True)


def list_commands() -> set[str]:
    """All commands, as they are typed."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    names = set(group.commands) - {"models"}
    models = group.commands["models"]
    assert isinstance(models, typer.core.TyperGroup)
    return names | {f"models {name}" for name in models.commands}


def test_every_documented_status_of_every_command_is_tested() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("## Exit status\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*) \|$", section, re.M)
    heading, *lines = (re.split(r" ?\| ?", row) for row in rows)
    documented = {
        (command, int(status))
        for names, *cells in lines
        for command in re.findall(r"`([a-z ]+)`", names)
        for status, cell in zip(heading[1:], cells, strict=True)
        if cell
    }
    assert {command for command, _ in documented} == list_commands()
    tested = {(command, status) for command, status, _ in CASES}
    tested |= {("train", 0), ("nightly", 0), ("nightly", 1), ("serve", 0)}
    tested |= {(row[0], 0) for row in REPLACED}
    assert documented == tested
