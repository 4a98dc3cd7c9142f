"""The configuration: every fault is one sentence that names the key, the value and the mend."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import clvcast
from clvcast.configs.orders import OrdersConfig
from clvcast.configs.schema import build_json_schema, load_config, parse_config
from clvcast.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("horizon_day: 90", "unknown key horizon_day; did you mean horizon_days?"),
        ("orders: {sourc: x}", "unknown key orders.sourc; did you mean source or sources?"),
        ("orders: {columns: {custmer_id: x}}", "did you mean customer_id?"),
        ("orders: {format: {decimals: '.'}}", "did you mean decimal?"),
        ("horizon_days: ninety", "horizon_days should be a valid integer"),
        ("horizon_days: ninety", "got 'ninety'"),
        ("horizon_days: true", "horizon_days should be a valid integer, got True"),
        ("orders:", "orders must hold keys and values, got NoneType"),
        ("tracking: 'postgresql://me:secret@host'", "tracking must hold keys and values, got str"),
        ("orders: {source: ''}", "must name a file, a glob or a folder"),
        ("horizon_days: 0", "horizon_days should be greater than or equal to 1, got 0"),
        ("orders: {columns: {customer_id: x}}", "must map ordered_at, amount as well"),
        ("orders: {timezone: Mars}", "must be an IANA time zone"),
        ("orders: {format: {encoding: klingon}}", "must be an encoding Python knows"),
        (
            "economics: {margin_rate: 2}",
            "margin_rate should be `measured`, or a number above 0 and at most 1, got 2",
        ),
        ("periods: 4\nperiods: 5", "the key 'periods' stands twice"),
        ("orders: [", "is not valid YAML"),
        ("- 1", "must hold keys and values, got a list"),
    ],
)
def test_each_fault_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, "shop.yaml")
    assert message in str(refusal.value)
    assert "shop.yaml" in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizn_days": 30}, "Config: unknown key horizn_days; did you mean horizon_days?"),
        ({"zzz": 1}, "Config: unknown key zzz; known: orders, customers, horizon_days"),
        ({"economics": {"margin": 0.4}}, "unknown key economics.margin; did you mean margin_rate?"),
        (
            {"orders": {"sources": [{"source": "a.csv", "format": {"decimel": ","}}]}},
            "unknown key orders.sources.0.format.decimel; did you mean decimal or delimiter?",
        ),
        (
            {"lists": {"rules": {"mine": {"where": {"clv": 1}, "reason": "x", "valu": "clv"}}}},
            "unknown key lists.rules.mine.valu; did you mean value?",
        ),
        (
            {"orders": {"columns": {"custmer": "c"}}},
            "orders.columns.custmer; did you mean customer",
        ),
        ({"customers": {"columns": {"country": 3}}}, "customers.columns.country should be a valid"),
        ({"periods": 0}, "Config: periods should be greater than or equal to 1, got 0"),
    ],
)
def test_each_fault_of_a_config_made_in_python_is_a_sentence(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        clvcast.Config(**settings)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_section_made_in_python_names_itself() -> None:
    with pytest.raises(
        ConfigError, match=r"^OrdersConfig: unknown key curency; did you mean curren"
    ):
        OrdersConfig(curency="EUR")  # type: ignore[call-arg]


def test_all_faults_come_at_once_and_addresses_are_not_repeated() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config("periods: 0\nseed: x\ntracking: {uri: [postgresql://me:secret@host/db]}")
    assert str(refusal.value).count("\n") == 2
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nhorizon_days: " + "9" * 5_000, r"line 2: '9{40}\.\.\.' is no valid int"),
        ("horizon_days: 0x" + "f" * 5_000, "got a number of thousands of digits"),
        ("orders: {complete_until: 2024-13-45}", "'2024-13-45' is no valid timestamp"),
        ("effort: !!bool x", "'x' is no valid bool"),
        ("effort: !!timestamp x", "'x' is no valid timestamp"),
        ("seed: !!int ''", "'' is no valid int"),
        ("? [a]\n: b", "unhashable key"),
        ("\n".join(f"k{k}: 1" for k in range(300)), "and 280 more"),
    ],
)
def test_a_value_that_yaml_cannot_hold_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_config(text)
    assert len(str(caught.value)) < 10_000


def test_a_configuration_is_a_file_of_bounded_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name in ("pipe.yaml", "zero.yaml", "."):
        with pytest.raises(ConfigError, match="a configuration must be a file"):
            load_config(tmp_path / name)
    (tmp_path / "orders.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match=r"at most 1,000,000 bytes, .* has 1,000,001"):
        load_config(tmp_path / "orders.yaml")
    (tmp_path / "orders.yaml").write_bytes(b"#" * 1_000_000)
    load_config(tmp_path / "orders.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config("a\0b")


def test_an_empty_configuration_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").touch()
    assert clvcast.load_config(tmp_path / "c.yaml") == clvcast.Config()
    with pytest.raises(ConfigError, match="clvcast init"):
        clvcast.load_config(tmp_path / "none.yaml")


def test_every_shipped_configuration_loads(root: Path) -> None:
    for path in (root / "configs").glob("*.yaml"):
        clvcast.load_config(path)


def test_the_shipped_json_schema_is_that_of_the_code(root: Path) -> None:
    shipped = json.loads((root / "configs" / "schema.json").read_text())
    assert shipped == build_json_schema(), "run: python -m clvcast.configs.schema"


def test_what_a_fit_never_looks_at_makes_no_other_model() -> None:
    aside = {"memory_limit": "1GB", "report": {"locale": "de"}, "gate": {"mae": 0.2}}
    assert clvcast.Config.model_validate(aside).learning() == clvcast.Config().learning()
    assert clvcast.Config(seed=1).learning() != clvcast.Config().learning()
