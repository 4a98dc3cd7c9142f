"""The same orders give bit-equal forecasts in any file, frame, database or layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import test_files
import test_frames
from conftest import needed
from export_files import (
    Order,
    mail,
    make_shop,
    write_magento,
    write_paypal,
    write_shopify,
    write_stripe,
    write_woocommerce_items,
    write_woocommerce_orders,
)

import clvcast

pytestmark = pytest.mark.slow  # a model is trained
CUTOFF = "2024-12-21"
# what the platform's file says in another way than the others: the customer, or the zone
EXPORTS: dict[str, tuple[Callable[[list[Order]], str], dict[str, Any]]] = {
    "shopify": (write_shopify, {"timezone": "Etc/GMT+5"}),
    "woocommerce": (write_woocommerce_orders, {}),
    "woocommerce, items": (write_woocommerce_items, {}),
    "stripe": (write_stripe, {"columns": {"customer_id": "Customer Email"}}),
    "paypal": (write_paypal, {}),
    "magento": (write_magento, {}),
}


@pytest.fixture(scope="module")
def orders() -> list[Order]:
    """Orders of one line, at whole minutes, all paid: what every export can say."""
    shop = [order for order in make_shop(3) if order.number % 50]  # no withdrawals in PayPal's file
    return [
        replace(
            order, at=order.at.replace(second=0), lines=order.lines[:1], status="paid", refund=0
        )
        for order in shop
    ]


@pytest.fixture(scope="module")
def lines(orders: list[Order]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": [mail(order) for order in orders],
            "ordered_at": [pd.Timestamp(order.at) for order in orders],
            "amount": [order.total / 100 for order in orders],
            "order_id": [str(order.number) for order in orders],
        }
    )


@pytest.fixture(scope="module")
def model(lines: pd.DataFrame) -> clvcast.Model:
    return clvcast.train(lines, clvcast.Config(horizon_days=60, periods=2), CUTOFF)


@pytest.fixture(scope="module")
def expected(model: clvcast.Model, lines: pd.DataFrame) -> pd.DataFrame:
    return clvcast.score(model, lines, CUTOFF)


def is_equal(model: clvcast.Model, orders: Any, expected: pd.DataFrame) -> None:
    forecasts = clvcast.score(model, orders, CUTOFF)
    pd.testing.assert_frame_equal(forecasts, expected, check_exact=True)


def test_files_frames_and_databases(
    model: clvcast.Model,
    lines: pd.DataFrame,
    expected: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("python_calamine", "polars", "duckdb"):
        needed(module)
    monkeypatch.setattr(test_files, "make_lines", lambda: lines)
    for name, write in test_files.WRITERS.items():
        write(tmp_path / name)
        is_equal(model, tmp_path / name, expected)
    test_files.write_sqlite(tmp_path / "shop.db")
    test_files.write_duckdb(tmp_path / "shop.duckdb")
    for address in (f"sqlite:///{tmp_path}/shop.db", f"duckdb:///{tmp_path}/shop.duckdb"):
        is_equal(model, f"{address}#orders", expected)
    for kind, build in test_frames.FRAMES.items():
        if "mixed" not in kind:
            is_equal(model, build(lines), expected)


def test_layouts(
    model: clvcast.Model, orders: list[Order], expected: pd.DataFrame, tmp_path: Path
) -> None:
    for name, (write, told) in EXPORTS.items():
        (tmp_path / "export.csv").write_text(write(orders))
        found = clvcast.read_orders(tmp_path / "export.csv", layout=name.partition(",")[0], **told)
        is_equal(model, found.keep_columns({"order_id"}), expected)
