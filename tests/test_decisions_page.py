"""docs/decisions.md, lists.md, segments.md: configurations are valid, columns and lists are those
of the tables.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from forecast_files import forecast_file

import clvcast
from clvcast.configs.lists import DEFAULT_RULES
from clvcast.configs.schema import parse_config


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "decisions.md").read_text()


def named(page: str, heading: str) -> list[str]:
    """The names in the first cells of the table below a heading."""
    part = page.split(f"## {heading}")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("name", ["lists.md", "segments.md"])
def test_its_configuration_is_valid(root: Path, name: str) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (root / "docs" / name).read_text(), re.DOTALL)
    parse_config(block)


def test_its_columns_are_those_of_the_tables(page: str, shop_orders: clvcast.Orders) -> None:
    forecasts = forecast_file(shop_orders, "2020-12-01")
    spend = pd.DataFrame({"channel": ["web"], "month": ["2020-03"], "spend": [10.0]})
    measures = clvcast.kpis(forecasts, shop_orders).measures
    acquisition = clvcast.economics(forecasts, shop_orders, spend).acquisition
    for heading, table in (("Measures", measures), ("Economics", acquisition)):
        assert len(named(page, heading)) >= 8
        for name in named(page, heading):
            assert any(column.startswith(name) for column in table.columns), name


def test_its_lists_are_the_default_rules(root: Path) -> None:
    text = (root / "docs" / "lists.md").read_text()
    assert [n for n in named(text, "Lists") if n in DEFAULT_RULES] == list(DEFAULT_RULES)
