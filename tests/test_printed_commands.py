"""The commands that clvcast prints work as they are printed, and make's targets know CONFIG."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import worlds
from conftest import Run

from clvcast.commands.next_steps import list_next_commands
from clvcast.nightly.summary import NightStep, NightSummary
from clvcast.train.gate.advice import _ADVICE, advise

SHOP = """\
orders: {source: 'the orders.parquet'}
horizon_days: 60
periods: 2
effort: quick
tracking: {uri: 'sqlite:///kept elsewhere.db', model_name: shop, evaluated_cutoffs: 1}
gate: {mae: 1, ngini: 1, segment: 9, bias: 9}
"""


def find_commands(text: str) -> list[list[str]]:
    """The commands of clvcast at the end of a text's lines, as a shell would split them."""
    return [shlex.split(line)[1:] for line in re.findall(r": (clvcast [a-z].*)$", text, re.M)]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_what_train_and_init_print_runs_as_printed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store, the model's name and the configuration's are none of the defaults."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    lines = worlds.shop(customers=300, seed=11).drop(columns="quantity")
    lines.to_parquet("the orders.parquet")
    status, out, _ = run("init", "the orders.parquet", "--output", "my shop.yaml")
    (check,) = find_commands(out)
    assert (status, check[0], run(*check)[0]) == (0, "check", 0)
    Path("my shop.yaml").write_text(SHOP)
    complete = ("--complete-until", "2021-02-25")
    status, out, _ = run("train", "my shop.yaml", "--cutoff", "2021-01-20", *complete)
    assert (status, "is champion now" in out) == (0, True)
    (score,) = find_commands(out)
    assert score[:5] == ["score", "--config", "my shop.yaml", *complete]
    assert run(*score)[0] == 0
    assert pd.read_parquet("forecasts.parquet")["cutoff"].eq(pd.Timestamp(complete[1])).all()
    # nothing passes a gate like this one; what differs is set on the command line
    gate = ("--set", "gate.total=1", "--set", "gate.rank_correlation=-1", "--set", "seed=5")
    status, out, _ = run("train", "my shop.yaml", *gate)
    assert (status, "version 1 is champion" in out) == (1, True)
    promote, *steps = find_commands(out)
    assert [step[0] for step in steps] == ["score", "score", "compare"]
    for step in steps:
        assert run(*step)[0] == 0, step
    assert promote[:3] == ["models", "promote", "2"]
    status, promoted, _ = run(*promote)
    assert (status, "version 2 of shop is champion" in promoted) == (0, True)
    # what the registry's refusals print names its store and the model, too
    run("models", "rollback", "--config", "my shop.yaml", "--reason", "a test")
    _, again, _ = run("models", "rollback", "--config", "my shop.yaml", "--reason", "a test")
    _, _, missing = run("models", "promote", "9", "--config", "my shop.yaml", "--reason", "x")
    for text in (again, missing):
        (listing,) = find_commands(text)
        status, versions, _ = run(*listing)
        assert (status, "versions of shop" in versions) == (0, True)


@pytest.mark.parametrize("rule", [*_ADVICE, "error against bg_nbd", "nGini against the champion"])
def test_every_command_that_advice_names_is_printed_with_all_it_needs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """A refused candidate: what the advice says to run exists, and reads the configuration."""
    monkeypatch.chdir(tmp_path)
    advice = advise(rule)
    commands = list_next_commands(
        advice, "shop", Path("my shop.yaml"), "sqlite:///a b.db", complete_until="2021-02-24"
    )
    assert bool(commands) == ("run clvcast" in advice)
    for command in commands:  # all but compare read the orders
        is_reading = not command.startswith("clvcast compare ")
        assert ("--complete-until 2021-02-24" in command) == is_reading
    for command in commands:
        status, _, err = run(*shlex.split(command)[1:])
        missing = ("there is no configuration my shop.yaml", "there is no forecast file")
        assert status in (1, 2)
        assert any(reason in err for reason in missing), (command, err)


def test_what_nightly_prints_reads_the_orders_as_nightly_did(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = NightStep("train", "refused", f"what to do: {advise('coverage')}")
    summary = NightSummary("2021-02-25T02:00:00", "2021-02-24", "1", "f.parquet", (refused,))
    monkeypatch.setattr("clvcast.nightly.run.run_night", lambda *_, **__: summary)
    config = tmp_path / "my shop.yaml"
    config.write_text(SHOP)
    status, out, _ = run("nightly", config, "--complete-until", "2021-02-24")
    assert status == 1
    (backtest,) = find_commands(out)
    assert backtest == [
        *("backtest", str(config), "--complete-until", "2021-02-24", "--output", "backtest")
    ]


def test_a_backtest_refuses_orders_complete_until_a_day_in_the_future(
    run: Run, tmp_path: Path
) -> None:
    orders, output = tmp_path / "orders.parquet", tmp_path / "backtest"
    worlds.shop(customers=30, seed=2).to_parquet(orders)
    complete = ("--complete-until", "2999-01-01")
    status, _, err = run("backtest", "--orders", orders, *complete, "--output", output)
    assert (status, "must not be in the future" in err) == (2, True)


def test_the_refusal_that_score_tells_ends_with_a_command_that_names_the_store(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run("score", "--output", "f.parquet")
    assert (status, "no configuration is named" in err) == (2, True)
    assert "clvcast init ORDERS" in err
    Path("clvcast.yaml").write_text("orders: {source: none.csv}\nhorizon: 3\n")
    for command in (
        ("score", "--output", "f.parquet"),
        ("check",),
        ("train",),
        ("serve",),
        ("kpis", "f.parquet", "--output", "k"),
        ("report", "f.parquet", "--output", "r.html"),
    ):
        status, _, err = run(*command)
        assert (status, "clvcast.yaml" in err, "horizon" in err) == (2, True, True), command


TARGETS = ("train", "score", "backtest", "report", "serve", "ui", "nightly")


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_of_make_takes_a_configuration(
    root: Path, tmp_path: Path, target: str
) -> None:
    shutil.copy(root / "Makefile", tmp_path)

    def plan(*settings: str) -> str:
        made = subprocess.run(
            ["make", "--dry-run", target, *settings],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        )
        (line,) = re.findall(rf"^\@?\.venv/bin/(?:clvcast|mlflow) {target} .*", made.stdout, re.M)
        return str(line)

    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    assert '"configs/online_retail.yaml"' in plan()
    (tmp_path / "clvcast.yaml").touch()
    assert '"clvcast.yaml"' in plan()
    named = plan("CONFIG=a shop.yaml")
    assert '"a shop.yaml"' in named
    assert "online_retail" not in named


def test_every_target_of_make_is_made_though_a_folder_has_its_name(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    (phony,) = re.findall(r"^\.PHONY: (help .*)$", text, re.M)
    targets = re.findall(r"^([a-z-]+):.* ## ", text, re.M)
    assert set(targets) <= set(phony.split())
