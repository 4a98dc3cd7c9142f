"""A store whose server is not there: one sentence, soon."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import pytest

import clvcast
from clvcast.errors import StoreError
from clvcast.models import store_connection
from clvcast.models.store_connection import wait_for_store
from clvcast.train.registry.mlflow_store import open_for_reading

if TYPE_CHECKING:
    from postgresql import Server


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_connection, "_SECONDS", 0.3)
    monkeypatch.setattr(store_connection, "_PAUSE_SECONDS", 0.1)


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg", "mysql+pymysql"])
@pytest.mark.parametrize(
    "use",
    [
        wait_for_store,
        open_for_reading,
        lambda uri: clvcast.load_model("models:/a@champion", uri),
        lambda uri: clvcast.track("not read before the store answers", tracking_uri=uri),
    ],
    ids=["wait", "registry", "load", "train"],
)
def test_a_server_that_is_not_there_is_a_sentence(
    impatient: None, scheme: str, use: Callable[[str], object]
) -> None:
    port = free_port()
    with pytest.raises(StoreError) as error:
        use(f"{scheme}://clv:secret@127.0.0.1:{port}/mlflow")
    assert str(error.value) == (
        f"the MLflow store {scheme}://clv:***@127.0.0.1:{port}/mlflow cannot be reached within "
        f"0.3 s: Connection refused (127.0.0.1, port {port}); start its server, or name another "
        "with --tracking-uri"
    )


def test_a_server_that_restarts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_connection, "_PAUSE_SECONDS", 0.05)
    port, tried = free_port(), threading.Event()
    waiting = threading.Thread(target=wait_for_store, args=(f"http://127.0.0.1:{port}",))
    monkeypatch.setattr(time, "sleep", lambda _: tried.set())
    waiting.start()
    assert tried.wait(20)
    with socket.create_server(("127.0.0.1", port)):
        waiting.join(20)
    assert not waiting.is_alive()


def test_a_wrong_password_is_not_tried_again(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: float) -> NoReturn:
        raise AssertionError

    address = postgres.engine.url.render_as_string(hide_password=False)
    wait_for_store(address)
    monkeypatch.setattr(time, "sleep", fail)
    wrong = postgres.engine.url.set(password="guess").render_as_string(hide_password=False)
    with pytest.raises(StoreError, match="authentication failed") as error:
        open_for_reading(wrong)
    assert "guess" not in str(error.value)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("http://mlflow:5000", ("mlflow", 5000)),
        ("https://mlflow/path", ("mlflow", 443)),
        ("postgresql+psycopg://clv@db/mlflow", ("db", 5432)),
        ("mysql+pymysql://clv@db/mlflow", ("db", 3306)),
        ("postgresql://clv@/mlflow?host=/var/run/postgresql", None),
        ("postgresql://clv@a:1,b:2/mlflow", None),
        ("sqlite:///mlflow.db", None),
        ("databricks", None),
        ("/srv/mlruns", None),
    ],
)
def test_only_servers_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, uri: str, place: tuple[str, int] | None
) -> None:
    monkeypatch.setattr(store_connection, "getproxies", dict)
    assert store_connection._find_server(uri) == place
    monkeypatch.setattr(store_connection, "getproxies", lambda: {"all": "x"})
    assert store_connection._find_server(uri) == (None if uri.startswith("http") else place)
