"""Shared fixtures: the sample, a seeded shop, and a model trained on it once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hypothesis
import pandas as pd
import pytest
import worlds

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.orders.reading.read_orders import read_table

if TYPE_CHECKING:
    from postgresql import Server

ROOT = Path(__file__).parent.parent
DATES = ("cutoff", "expected_next_order_at", "next_order_from", "next_order_until")

# no deadline: the first example compiles; the same examples every time where a failure blocks
# others
hypothesis.settings.register_profile(
    "here", deadline=None, max_examples=30, derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("here")


def missing(part: str) -> NoReturn:
    """Skip a test whose part this machine lacks; where everything must be there, fail."""
    if "CI" in os.environ:
        pytest.fail(f"{part}: must not be missing here")
    pytest.skip(part)


def needed(module: str) -> Any:
    """A module of an extra, or its absence: skipped, or failed, as `missing` has it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        missing(module)


def read_nested_forecasts(frame: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of the MLflow model, all of them there, with dates as `clvcast.score` has them."""
    assert frame["reason"].isna().all()
    dates = {name: frame[name].astype("datetime64[us]") for name in DATES}
    return frame.drop(columns="reason").assign(**dates)


@pytest.fixture(autouse=True)
def no_store_of_another_test() -> Iterator[None]:
    """MLflow keeps the store that a test set, for the process: forget it."""
    yield
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sample_config() -> clvcast.Config:
    config = clvcast.load_config(ROOT / "configs" / "online_retail.yaml")
    source = str(ROOT / "data" / "online_retail.parquet")
    return config.model_copy(update={"orders": config.orders.model_copy(update={"source": source})})


@pytest.fixture(scope="session")
def sample(sample_config: clvcast.Config) -> clvcast.Orders:
    from clvcast.orders.reading.read_orders import read_configured_orders

    return read_configured_orders(sample_config.orders)


@pytest.fixture(scope="session")
def small_sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's `data` and `configs` with every fourth customer: seconds instead of a minute.

    Its two customers with a huge order that was cancelled are among them.
    """
    folder = tmp_path_factory.mktemp("small_sample")
    (folder / "data").mkdir()
    (folder / "configs").symlink_to(ROOT / "configs")
    lines = pd.read_parquet(ROOT / "data" / "online_retail.parquet")
    customer = pd.to_numeric(lines["CustomerID"])
    nobody = customer.isna() & (lines.index % 4 == 2)
    kept = lines[(customer % 4 == 2) | nobody]
    kept.to_parquet(folder / "data" / "online_retail.parquet", index=False)
    return folder


@pytest.fixture(scope="session")
def small_sample(small_sample_folder: Path, sample_config: clvcast.Config) -> clvcast.Orders:
    """The orders of `small_sample_folder`."""
    from clvcast.orders.reading.read_orders import read_configured_orders

    path = small_sample_folder / "data" / "online_retail.parquet"
    return read_configured_orders(sample_config.orders.reading(str(path)))


@pytest.fixture(scope="session")
def shop_lines() -> pd.DataFrame:
    return worlds.shop()


@pytest.fixture(scope="session")
def shop_orders(shop_lines: pd.DataFrame) -> clvcast.Orders:
    return read_table(shop_lines, OrdersConfig())


@pytest.fixture(scope="session")
def shop_config() -> clvcast.Config:
    return clvcast.Config(horizon_days=60, periods=3)


@pytest.fixture(scope="session")
def shop_model(shop_orders: clvcast.Orders, shop_config: clvcast.Config) -> clvcast.Model:
    return clvcast.train(shop_orders, shop_config)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    from postgresql import running_server

    yield from running_server()


@pytest.fixture
def postgres(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    from postgresql import PASSWORD

    monkeypatch.setenv("CLV_DB_PASSWORD", PASSWORD)
    return server


@pytest.fixture(scope="session")
def till(shop_lines: pd.DataFrame) -> pd.DataFrame:
    """The shop's lines as a till has them: unit prices, integer products, empty cells."""
    renamed = {"customer_id": "client", "ordered_at": "at", "order_id": "number"}
    frame = shop_lines.rename(columns={**renamed, "product_id": "product"})
    frame["price"] = (frame.pop("amount") / frame["quantity"]).round(4)
    frame["product"] = frame["product"].str[1:].astype("int64")
    frame.loc[::17, "category"] = None
    return frame


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: exit status, stdout, stderr."""
    from clvcast.__main__ import main

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["clvcast", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command
