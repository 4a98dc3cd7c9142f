"""Heads, names and pages that are meant to confuse: rejected, and never a 5xx."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import missing
from fastapi import APIRouter, Response

import clvcast

try:
    from servers import serving

    from clvcast.models.bundle import load_bundle
    from clvcast.serve.rest import explorer, model_holder
    from clvcast.serve.rest.auth import read_tokens
    from clvcast.serve.rest.customer_index import CustomerIndex
    from clvcast.serve.rest.model_holder import ModelHolder
    from clvcast.serve.rest.settings import Settings
except ModuleNotFoundError:
    missing("the serve extra")

TOKEN, ADMIN = "forecast-token-0123", "admin-token-0123456"
AS_ADMIN = {"authorization": f"Bearer {ADMIN}"}


@pytest.fixture(scope="module")
def client(shop_model: clvcast.Model) -> Iterator[httpx.Client]:
    with serving(ModelHolder(shop_model)) as client:
        yield client


@pytest.fixture(scope="module")
def guarded(
    shop_model: clvcast.Model, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A server with tokens, that may load models from a folder."""
    root = tmp_path_factory.mktemp("models")
    shop_model.save(root / "bundle")
    tokens = read_tokens(None, None, {"CLVCAST_TOKENS": TOKEN, "CLVCAST_ADMIN_TOKENS": ADMIN})
    settings = Settings(tokens=tokens, models_root=root)
    with serving(ModelHolder(shop_model, root), settings) as client:
        yield client


@pytest.mark.parametrize("host", ["[", "]", "[::1", "a]b", "", "localhost.evil"])
def test_a_host_that_is_none_is_rejected(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/model", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "Host"])
def test_a_header_that_counts_once_is_given_once(guarded: httpx.Client, name: str) -> None:
    values = {
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "application/json",
        "Host": "localhost",
    }
    for value in (values[name], "other"):
        for first in (True, False):
            own = [*values.items(), (name, value)]
            status, text = ask(guarded, own if first else own[::-1])
            assert (status, "must be given once" in text) == (400, True)
    assert ask(guarded, list(values.items()))[0] == 200


def ask(client: httpx.Client, headers: list[tuple[str, str]]) -> tuple[int, str]:
    """A request with exactly these headers, which httpx would correct."""
    connection = HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=60)
    connection.putrequest("GET", "/v1/model", skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    try:
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["a\0b", "\0", "models:/a\0@champion", "../bundle", "/etc"])
def test_a_model_that_cannot_be_named_is_rejected(guarded: httpx.Client, name: str) -> None:
    answer = guarded.post("/v1/reload", json={"model": name}, headers=AS_ADMIN)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "unusable_model"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 422),
        ('application/json; charset="UTF-8"', 422),
        ("application/json; profile=x", 422),
        ("application/json; charset=latin-1", 415),
        ("application/json; charset=utf-16", 415),
    ],
)
def test_a_charset_other_than_utf_8_is_rejected(
    client: httpx.Client, kind: str, status: int
) -> None:
    answer = client.post("/v1/forecasts", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == status, answer.text


def test_a_compressed_body_is_rejected(client: httpx.Client) -> None:
    for kind in ("gzip", "br"):
        headers = {"content-type": "application/json", "content-encoding": kind}
        answer = client.post("/v1/forecasts", content=b"{}", headers=headers)
        assert (answer.status_code, "must not be compressed" in answer.text) == (415, True)


@pytest.mark.parametrize(
    ("query", "kind", "rule"),
    [
        ("cutoff=2019-01-01", "application/json", "is no parameter of this query"),
        ("by_period=1", "application/json", "is no parameter of this query"),
        ("cutof=2020-01-01", "application/vnd.apache.parquet", "is no parameter of this query"),
        (
            "cutoff=2020-01-01&cutoff=2019-01-01",
            "application/vnd.apache.parquet",
            "stands twice in the query",
        ),
    ],
)
def test_a_query_that_would_be_overlooked_is_rejected(
    client: httpx.Client, query: str, kind: str, rule: str
) -> None:
    """A cutoff beside that of the body gave forecasts at the other one."""
    for path in (
        ("/v1/forecasts", "/v1/explain") if kind == "application/json" else ("/v1/forecasts",)
    ):
        answer = client.post(f"{path}?{query}", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 422, answer.text
        (fault,) = answer.json()["error"]["faults"]
        assert fault == {"path": query.partition("=")[0], "rule": rule}


def test_every_answer_forbids_frames_and_guessed_types(shop_model: clvcast.Model) -> None:
    router = APIRouter()

    @router.get("/page")
    def page() -> Response:
        return Response("<p>", media_type="text/html; charset=utf-8")

    with serving(ModelHolder(shop_model), pages=[router]) as client:
        for path in ("/livez", "/v1/model", "/none", "/metrics", "/page"):
            answer = client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            policy = answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert ("default-src 'none'" in policy) == (path != "/page")


def test_failed_logins_are_bounded(
    shop_model: clvcast.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms: Any = type("Terms", (), {"basis": "revenue"})
    base: Any = type("Base", (), {"config": clvcast.Config(), "terms": terms})
    shown: Any = type("Shown", (), {"page": lambda self, filters: ""})()
    index: Any = type("Index", (), {"filters": {}})
    monkeypatch.setattr(explorer, "open_customer_base", lambda *_, **__: base)
    monkeypatch.setattr(CustomerIndex, "of", lambda _: index)
    monkeypatch.setattr(explorer, "report", lambda *_, **__: shown)
    settings = Settings(tokens=read_tokens(None, None, {"CLVCAST_TOKENS": TOKEN}))
    pages = explorer.create_explorer(Path(), "", shop_model, settings)
    with serving(ModelHolder(shop_model), settings, [pages]) as client:
        found = [client.post("/login", data={"token": f"guess{k}"}).status_code for k in range(11)]
        assert found == [401] * 10 + [429]
        right = client.post("/login", data={"token": TOKEN})
        assert (right.status_code, right.headers["retry-after"]) == (429, "60")
        header = {"authorization": f"Bearer {TOKEN}"}
        assert client.get("/v1/model", headers=header).status_code == 200


@pytest.mark.slow
def test_reload_works_off_the_loop(guarded: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, work = set[int](), set[int]()
    real_load = load_bundle

    def load(folder: Path) -> Any:
        work.add(threading.get_ident())
        return real_load(folder)

    def note(*_: Any, **__: Any) -> None:
        loop.add(threading.get_ident())

    monkeypatch.setattr(model_holder, "load_bundle", load)
    monkeypatch.setattr(model_holder, "warm", lambda model: work.add(threading.get_ident()))
    monkeypatch.setattr("clvcast.serve.rest.middleware.authorise", note)
    answer = guarded.post("/v1/reload", json={"model": "bundle"}, headers=AS_ADMIN)
    assert answer.status_code == 200, answer.text
    assert len(work) == 1
    assert loop
    assert not work & loop
