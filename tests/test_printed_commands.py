"""The commands that clvcast prints work as they are printed, and make's targets know CONFIG."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import worlds
from conftest import Run

SHOP = """\
orders: {source: 'the orders.parquet'}
horizon_days: 60
periods: 2
effort: quick
tracking: {uri: 'sqlite:///kept elsewhere.db', model_name: shop, evaluated_cutoffs: 1}
gate: {mae: 1, ngini: 1, segment: 9, bias: 9}
"""


def find_command(text: str) -> list[str]:
    """The last command of clvcast in a text, as a shell would split it."""
    line = re.findall(r"(clvcast [a-z].*)", text)[-1]
    return shlex.split(line)[1:]


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
    assert (status, find_command(out)[0]) == (0, "check")
    assert run(*find_command(out))[0] == 0
    Path("my shop.yaml").write_text(SHOP)
    status, out, _ = run("train", "my shop.yaml", "--cutoff", "2021-01-20")
    assert (status, "is champion now" in out) == (0, True)
    assert find_command(out)[:3] == ["score", "--config", "my shop.yaml"]
    assert run(*find_command(out))[0] == 0
    assert Path("forecasts.parquet").is_file()
    # nothing passes a gate like this one: the refused version is promoted by the printed command
    Path("my shop.yaml").write_text(SHOP.replace("ngini: 1", "rank_correlation: 1"))
    status, out, _ = run("train", "my shop.yaml")
    assert status == 1
    assert "version 1 is champion" in out
    assert find_command(out)[:3] == ["models", "promote", "2"]
    status, promoted, _ = run(*find_command(out))
    assert (status, "version 2 of shop is champion" in promoted) == (0, True)


def test_the_refusal_that_score_tells_ends_with_a_command_that_names_the_store(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run("score", "--output", "f.parquet")
    assert (status, "no configuration is named" in err) == (2, True)
    assert "clvcast init ORDERS" in err
    Path("clvcast.yaml").write_text("orders: {source: none.csv}\nhorizon: 3\n")
    for command in (("score", "--output", "f.parquet"), ("check",), ("train",), ("serve",)):
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
