"""Options that all commands share: --version, --set, defaults of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Run

import clvcast
from clvcast.commands.console import replace_settings
from clvcast.errors import ConfigError


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version") == (0, f"{clvcast.__version__}\n", "")
    status, out, _ = run("--help")
    assert status == 0
    for option in ("--install-completion", "--log-level", "--set", "--version"):
        assert option in out


def test_settings_replace_those_of_the_configuration() -> None:
    config = clvcast.Config(horizon_days=30, periods=2)
    found = replace_settings(config, ["economics.margin_rate=0.4", "horizon_days=60"])
    assert (found.economics.margin_rate, found.horizon_days, found.periods) == (0.4, 60, 2)
    assert replace_settings(config, []) is config
    for wrong, message in {
        "economics": "--set must be KEY=VALUE",
        "a..b=1": "--set must be KEY=VALUE",
        "horizon_days=[": "the value of --set horizon_days is not valid YAML",
        f"horizon_days={'9' * 5000}": "is no valid int",
        "horizn_days=3": "horizn_days",
        "horizon_days=0": "horizon_days",
    }.items():
        with pytest.raises(ConfigError, match=message):
            replace_settings(config, [wrong])


def test_set_stands_before_or_after_the_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("horizon_days: 30\n")
    for arguments in (
        ("check", tmp_path / "shop.yaml", "--set", "horizon_days=0"),
        ("--set", "horizon_days=0", "check", tmp_path / "shop.yaml"),
        ("check", tmp_path / "shop.yaml", "--set=horizon_days=0"),
    ):
        status, _, err = run(*arguments)
        assert status == 2
        assert "the configuration with --set: horizon_days" in err


def test_set_counts_without_a_configuration(
    run: Run, tmp_path: Path, shop_model: clvcast.Model
) -> None:
    """It was overlooked by score and others: forecasts of other periods than were asked for."""
    shop_model.save(tmp_path / "bundle")
    score = ("score", "--model", tmp_path / "bundle", "--orders", tmp_path / "none.csv")
    status, _, err = run(*score, "--output", tmp_path / "f.csv", "--set", "periods=1000")
    assert (status, "periods should be less than or equal to 40" in err) == (2, True)
    settings = ("--set", "horizn_days=3")
    for command in (
        ("kpis", "f.csv", "--orders", "o.csv", "--output", tmp_path / "k", *settings),
        ("compare", "f.csv", "f.csv", *settings),
        (
            "explain",
            "--model",
            tmp_path / "bundle",
            "--orders",
            "o.csv",
            "--customer",
            "c",
            *settings,
        ),
    ):
        status, _, err = run(*command)
        assert (status, "unknown key horizn_days" in err) == (2, True), err


def test_the_environment_gives_defaults(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLVCAST_CONFIG", str(tmp_path / "none.yaml"))
    status, _, err = run("check")
    assert status == 2
    assert f"there is no configuration {tmp_path}/none.yaml" in err
    monkeypatch.delenv("CLVCAST_CONFIG")
    monkeypatch.setenv("CLVCAST_MODEL", str(tmp_path / "no-bundle"))
    status, _, err = run("explain", "--orders", "orders.csv", "--customer", "a")
    assert status == 1
    assert "no-bundle" in err
