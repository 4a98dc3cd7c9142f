"""REST: the numbers of every other way, strict payloads, tokens, caps, reload; nothing repeated,
nothing unversioned.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import missing
from hypothesis import given, settings
from hypothesis import strategies as st

import clvcast
from clvcast.orders.reading.nested_rows import nest

try:
    from servers import serving

    from clvcast.serve.rest import app as rest_app
    from clvcast.serve.rest.app import build_document
    from clvcast.serve.rest.auth import COOKIE, read_tokens
    from clvcast.serve.rest.errors import Refusal
    from clvcast.serve.rest.handlers import ARROW, PARQUET
    from clvcast.serve.rest.logs import JsonLines
    from clvcast.serve.rest.model_holder import ModelHolder
    from clvcast.serve.rest.request_limits import Limits, LoadShedder
    from clvcast.serve.rest.settings import Settings
except ModuleNotFoundError:
    missing("the serve extra")

CUTOFF = "2021-02-01"
SECRET = "secret-7391"
FORECAST, ADMIN = "forecast-token-0123", "admin-token-0123456"


def variant(model: clvcast.Model, value: float) -> clvcast.Model:
    """Another model: one number differs, and with it the version."""
    blend = model.numbers.blend.model_copy(update={"typical_order_value": value})
    numbers = model.numbers.model_copy(update={"blend": blend})
    return dataclasses.replace(model, numbers=numbers)


@pytest.fixture(scope="module")
def client(shop_model: clvcast.Model) -> Iterator[httpx.Client]:
    with serving(ModelHolder(shop_model)) as client:
        yield client


@pytest.fixture(scope="module")
def customers(shop_orders: clvcast.Orders) -> list[dict[str, Any]]:
    nested = nest(shop_orders, CUTOFF)
    return [
        {"customer_id": name, "orders": lines}
        for name, lines in zip(nested["customer_id"], nested["orders"], strict=True)
    ]


def line(**change: object) -> dict[str, object]:
    plain: dict[str, object] = {"ordered_at": "2020-05-06", "amount": 3.5, "order_id": "o"}
    others = {"product_id": None, "category": "k", "channel": None, "quantity": 1}
    return plain | others | change


def request(*lines: dict[str, object], **change: object) -> dict[str, object]:
    return {"cutoff": CUTOFF, "customers": [{"customer_id": "c", "orders": list(lines)}]} | change


def test_the_numbers_are_those_of_a_batch(
    client: httpx.Client,
    customers: list[dict[str, Any]],
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
) -> None:
    batch = clvcast.score(shop_model, shop_orders, CUTOFF).set_index("customer_id")
    asked = customers[::-1] + [{"customer_id": "late", "orders": [line(ordered_at=CUTOFF)]}]
    answer = client.post("/v1/forecasts", json={"cutoff": CUTOFF, "customers": asked})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["model_version"] == answer.headers["x-model-version"] == shop_model.version
    assert content["without_orders"] == ["late"]
    rows = pd.DataFrame(content["forecasts"]).set_index("customer_id")
    assert rows.index.tolist() == [c["customer_id"] for c in customers[::-1]]
    for name in batch.select_dtypes("datetime").columns:
        rows[name] = pd.to_datetime(rows[name]).astype("datetime64[us]")
    pd.testing.assert_frame_equal(rows, batch.loc[rows.index], check_exact=True, check_dtype=False)


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_tables_in_and_out_give_the_same(
    client: httpx.Client,
    shop_lines: pd.DataFrame,
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    kind: str,
) -> None:
    table, sink = pa.Table.from_pandas(shop_lines, preserve_index=False), io.BytesIO()
    if kind == "arrow":
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    else:
        pq.write_table(table, sink)
    headers = {"content-type": ARROW if kind == "arrow" else PARQUET, "accept": ARROW}
    where = f"/v1/forecasts?cutoff={CUTOFF}"
    answer = client.post(where, content=sink.getvalue(), headers=headers)
    assert answer.status_code == 200, answer.text
    frame = pa.ipc.open_stream(answer.content).read_pandas()
    pd.testing.assert_frame_equal(
        frame, clvcast.score(shop_model, shop_orders, CUTOFF), check_exact=True
    )
    plain = client.post(where, content=sink.getvalue(), headers=headers | {"accept": "*/*"})
    assert [row["clv"] for row in plain.json()["forecasts"]] == frame["clv"].tolist()
    torn = client.post(where, content=sink.getvalue()[: len(sink.getvalue()) // 2], headers=headers)
    assert torn.status_code == 400


def test_explanations_add_up_to_the_forecast(
    client: httpx.Client, customers: list[dict[str, Any]]
) -> None:
    silent = {"customer_id": "silent", "orders": [line(ordered_at="2020-01-02")]}
    body = {"cutoff": CUTOFF, "customers": [*customers[:3], silent]}
    told = client.post("/v1/explain", json=body)
    assert told.status_code == 200, told.text
    rows = client.post("/v1/forecasts", json=body).json()["forecasts"]
    for row, explained in zip(rows, told.json()["explanations"], strict=True):
        assert row["customer_id"] == explained["customer_id"]
        amounts = [reason["amount"] for reason in explained["reasons"]]
        assert sum(amounts) == pytest.approx(row["clv"], abs=1e-9)
    assert client.post("/v1/explain", json=request()).status_code == 422


@pytest.mark.parametrize("details", [False, True])
def test_explanations_are_those_of_python(
    client: httpx.Client,
    customers: list[dict[str, Any]],
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    details: bool,
) -> None:
    """By group of features, and by feature on request, with the same numbers."""
    names = [customer["customer_id"] for customer in customers[:3]]
    body = {"cutoff": CUTOFF, "customers": customers[:3]} | ({"details": True} if details else {})
    answer = client.post("/v1/explain", json=body)
    assert answer.status_code == 200, answer.text
    explained = pd.DataFrame(
        [
            {"customer_id": each["customer_id"], "rank": rank, **reason, "clv": each["clv"]}
            for each in answer.json()["explanations"]
            for rank, reason in enumerate(each["reasons"])
        ]
    )
    expected = clvcast.explain(
        shop_model,
        shop_orders,
        CUTOFF,
        customers=names,
        by="feature" if details else "group",
    )
    assert ("everything else" in set(explained["reason"])) == details
    assert set(expected.pop("basis")) == {answer.json()["basis"]}
    if details:
        assert explained.pop("typical").isna().all()
    numbers = expected.columns.drop(["customer_id", "reason", "meaning"])
    explained = explained[expected.columns].astype(expected[numbers].dtypes)
    pd.testing.assert_frame_equal(
        explained.set_index("customer_id").loc[names].reset_index(),
        expected.set_index("customer_id").loc[names].reset_index(),
        check_exact=True,
        check_dtype=False,
    )


def test_details_are_true_or_false(client: httpx.Client, customers: list[dict[str, Any]]) -> None:
    body = {"cutoff": CUTOFF, "customers": customers[:1], "details": "yes"}
    answer = client.post("/v1/explain", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["faults"][0] == {
        "path": "details",
        "rule": "must be true or false",
    }
    assert client.post("/v1/forecasts", json=body | {"details": True}).status_code == 422


def test_a_compressed_stream_is_not_unfolded(client: httpx.Client) -> None:
    table, sink = pa.table({"customer_id": ["a"] * 1_000, "text": ["b"] * 1_000}), io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    answer = client.post(
        f"/v1/forecasts?cutoff={CUTOFF}", content=sink.getvalue(), headers={"content-type": ARROW}
    )
    assert answer.status_code == 415
    assert "must not be compressed" in answer.text


@pytest.mark.parametrize(
    ("body", "path", "rule"),
    [
        (request(line(amount=SECRET)), "customers[0].orders[0].amount", "must be a number"),
        (request(line(amount="4")), "customers[0].orders[0].amount", "must be a number"),
        (request(line(amount=True)), "customers[0].orders[0].amount", "must be a number"),
        (request(line(amount=float("nan"))), "customers[0].orders[0].amount", "finite"),
        (request(line(amount=10**400)), "customers[0].orders[0].amount", "must be"),
        (request(line(amount=None)), "customers[0].orders[0].amount", "must be a number"),
        (request(line(), line(quantity="1")), "customers[0].orders[1].quantity", "a number"),
        (request(line(order_id=7)), "customers[0].orders[0].order_id", "must be text"),
        (request(line(colour=SECRET)), "customers[0].orders[0].colour", "is no field"),
        (request(line(), extra=SECRET), "extra", "is no field"),
        (request(line(ordered_at=SECRET)), "customers[0].orders[0].ordered_at", "ISO 8601"),
        (request(line(), line(ordered_at="2020-02-30")), "orders[1].ordered_at", "calendar"),
        (request(line(ordered_at="1969-12-31")), "orders[0].ordered_at", "1970 or later"),
        (request(line(ordered_at="2999-12-31")), "orders[0].ordered_at", "in the future"),
        (request(line(ordered_at="2020-01-01T00:00Z")), "orders[0].ordered_at", "no time zone"),
        (request(line(), cutoff="soon"), "cutoff", "ISO 8601"),
        (request(line(), cutoff="2021-02-29"), "cutoff", "calendar"),
        (request(line(), cutoff="2999-01-01"), "cutoff", "the model's horizon"),
        (request(), "customers[0].orders", "must not be empty"),
        (request(line(), customers=[]), "customers", "must not be empty"),
        ({"customers": []}, "cutoff", "is required"),
        (
            request(customers=[{"customer_id": " NULL ", "orders": [line()]}]),
            "customers[0].customer_id",
            "must name a customer",
        ),
        (
            request(customers=[{"customer_id": n, "orders": [line()]} for n in ("7", "7.0")]),
            "customers[1].customer_id",
            "must not repeat an id",
        ),
        ([], "body", "must be an object"),
    ],
)
def test_what_breaks_a_rule_is_named_by_its_path_and_never_repeated(
    client: httpx.Client, body: object, path: str, rule: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/forecasts", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422, answer.text
    faults = answer.json()["error"]["faults"]
    assert any(fault["path"].endswith(path) and rule in fault["rule"] for fault in faults), faults
    assert SECRET not in answer.text
    assert answer.json()["model_version"] == answer.headers["x-model-version"]


def test_a_field_that_a_line_lacks_is_null_and_a_column_that_a_table_lacks_is_named(
    client: httpx.Client, shop_model: clvcast.Model
) -> None:
    bare = {"ordered_at": "2020-05-06T00:00:00", "amount": 3.5}
    answer = client.post("/v1/forecasts", json=request(bare))
    assert answer.status_code == 200, answer.text
    full = bare | dict.fromkeys(shop_model.numbers.optional_columns)
    both = client.post("/v1/forecasts", json=request(full))
    assert answer.json()["forecasts"] == both.json()["forecasts"]
    misspelt = client.post("/v1/forecasts", json=request(bare | {"quantitiy": 1}))
    assert (misspelt.status_code, "quantitiy" in misspelt.text) == (422, True)
    sink = io.BytesIO()
    pd.DataFrame([bare | {"customer_id": "c"}]).to_parquet(sink)
    headers = {"content-type": PARQUET}
    table = client.post(f"/v1/forecasts?cutoff={CUTOFF}", content=sink.getvalue(), headers=headers)
    assert table.status_code == 422
    missing = [fault["path"] for fault in table.json()["error"]["faults"]]
    assert missing == list(shop_model.numbers.optional_columns)


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b'{"cutoff": ', "application/json", 400, "must be JSON: EOF"),
        (b"[" * 100_000, "application/json", 400, "at most 16 levels deep"),
        (b'{"a":' * 100_000, "application/json", 400, "at most 16 levels deep"),
        (b"\xff\xfe", "application/json", 400, "must be JSON"),
        (b'{"cutoff": "\\ud800"}', "application/json", 400, "must be JSON"),
        (b"a,b", "text/csv", 415, "the content type must be"),
        (b"PAR1", PARQUET, 400, "must be a parquet file"),
        (b"", ARROW, 400, "must be an Arrow stream"),
    ],
)
def test_bodies_that_are_none(
    client: httpx.Client, content: bytes, kind: str, status: int, words: str
) -> None:
    query = f"?cutoff={CUTOFF}" if kind in (ARROW, PARQUET) else ""
    answer = client.post(f"/v1/forecasts{query}", content=content, headers={"content-type": kind})
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_faults_of_a_table_show_rows_and_rules_alone(client: httpx.Client) -> None:
    frame = pd.DataFrame([line(customer_id="c", amount=SECRET)])
    sink = io.BytesIO()
    frame.to_parquet(sink)
    headers = {"content-type": PARQUET}
    answer = client.post(f"/v1/forecasts?cutoff={CUTOFF}", content=sink.getvalue(), headers=headers)
    assert answer.status_code == 422
    assert "amount must be a number" in answer.text
    assert SECRET not in answer.text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
LINES = st.fixed_dictionaries(
    {
        "ordered_at": st.dates().map(str) | st.datetimes().map(str) | JSON_VALUES,
        "amount": st.floats() | JSON_VALUES,
    },
    optional={
        name: st.text(max_size=5) | JSON_VALUES
        for name in ("order_id", "product_id", "category", "channel", "quantity", "other")
    },
)
REQUESTS = st.fixed_dictionaries(
    {
        "cutoff": st.dates().map(str) | JSON_VALUES,
        "customers": JSON_VALUES
        | st.lists(
            st.fixed_dictionaries(
                {"customer_id": st.text(), "orders": st.lists(LINES, max_size=4) | JSON_VALUES}
            ),
            max_size=3,
        ),
    }
)


@settings(max_examples=25)
@given(REQUESTS | JSON_VALUES)
def test_no_payload_makes_the_server_fail(client: httpx.Client, body: object) -> None:
    content = json.dumps(body, ensure_ascii=True).encode()
    answer = client.post(
        "/v1/forecasts", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (200, 400, 422), answer.text
    assert answer.headers["x-model-version"]
    if answer.status_code == 200:
        for row in answer.json()["forecasts"]:
            assert row["clv"] >= 0
            assert 0 <= row["churn_probability"] <= 1


def test_the_committed_description_is_that_of_the_routes(root: Path, client: httpx.Client) -> None:
    page = (root / "docs" / "openapi.json").read_text()
    assert page == build_document(), "run: python -m clvcast.serve.rest.app"
    assert json.loads(page) == client.get("/openapi.json").json()
    example = json.loads(page)["paths"]["/v1/forecasts"]["post"]["requestBody"]["content"]
    body = example["application/json"]["example"]
    for own in body["customers"][0]["orders"]:  # this shop's model learned from two columns more
        own |= {"category": "k", "channel": "web"}
    assert client.post("/v1/forecasts", json=body).status_code == 200


def test_the_root_says_what_is_where(client: httpx.Client) -> None:
    answer = client.get("/").json()
    assert answer["name"] == "clvcast"
    for link in answer["links"].values():
        method, path = link.split()
        found = client.request(method, path, json={} if method == "POST" else None)
        assert found.status_code not in (404, 405), link


def test_docs_are_a_page_that_loads_nothing_and_need_the_flag(
    client: httpx.Client, shop_model: clvcast.Model, root: Path
) -> None:
    assert client.get("/docs").status_code == 404
    assert "docs" not in client.get("/").json()["links"]
    with serving(ModelHolder(shop_model), Settings(has_docs=True)) as own:
        assert own.get("/").json()["links"]["docs"] == "GET /docs"
        page = own.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        for path in own.get("/openapi.json").json()["paths"]:
            assert path in page.text
        assert "customers[].orders[].amount" in page.text
        assert not re.search("<script|<link|src=|@import|url\\(", page.text)
        # the example of the documents, as it stands
        (body,) = re.findall(r"-d '(.*?)'\n", (root / "docs" / "serving.md").read_text(), re.S)
        answer = own.post("/v1/forecasts", json=json.loads(body))
        assert (answer.status_code, len(answer.json()["forecasts"])) == (200, 1), answer.text
        assert "Authorization" not in page.text


def test_the_commands_of_the_docs_carry_a_token_where_the_server_asks_for_one(
    shop_model: clvcast.Model,
) -> None:
    tokens = read_tokens(None, None, {"CLVCAST_TOKENS": FORECAST})
    with serving(ModelHolder(shop_model), Settings(tokens=tokens, has_docs=True)) as own:
        # /docs is no page that a browser can open: it sends its token as a cookie
        assert own.get("/docs", headers={"Cookie": f"{COOKIE}={FORECAST}"}).status_code == 401
        token = {"Authorization": f"Bearer {FORECAST}"}
        page = own.get("/docs", headers=token)
        commands = [unescape(one) for one in re.findall("<pre>(.*?)</pre>", page.text, re.S)]
        assert len(commands) == len(own.get("/openapi.json", headers=token).json()["paths"])
        for command in commands:
            assert FORECAST not in command
            _, address, *options = shlex.split(command.replace("TOKEN", FORECAST))
            headers = dict(value.split(": ") for name, value in pairwise(options) if name == "-H")
            assert ("Authorization" in headers) == (not address.endswith("z")), command
            method = "POST" if "POST" in options else "GET"
            content = options[options.index("-d") + 1] if "-d" in options else None
            status = own.request(method, address, headers=headers, content=content).status_code
            # without admin tokens reload and rollback are off
            assert status != 401, command
            assert (status == 403) == ("/v1/r" in address), command


def test_what_else_can_be_asked(client: httpx.Client, shop_model: clvcast.Model) -> None:
    assert client.get("/livez").json()["status"] == "live"
    about = client.get("/v1/model").json()
    assert (about["model_version"], about["horizon_days"]) == (shop_model.version, 60)
    assert about["features"] == list(shop_model.numbers.features)
    client.post("/v1/forecasts", json=request(line()))
    text = client.get("/metrics").text
    assert f'clvcast_model_info{{version="{shop_model.version}"}} 1.0' in text
    assert 'clvcast_requests_total{route="/v1/forecasts",status="200"}' in text
    unknown = client.get("/v1/nothing")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    assert client.put("/v1/forecasts").status_code == 405


def test_it_is_ready_once_it_is_warm(
    shop_model: clvcast.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, cold = ModelHolder(shop_model), threading.Event()
    monkeypatch.setattr("clvcast.serve.rest.model_holder.warm", lambda model: cold.wait(60))
    with serving(models) as client:
        assert client.get("/livez").status_code == 200
        answer = client.get("/readyz")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        cold.set()
        while not models.is_warm:
            pass
        assert client.get("/readyz").json()["status"] == "ready"


def test_tokens(shop_model: clvcast.Model, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{FORECAST}\nanother-token-0123\n")
    tokens = read_tokens(file, None, {"CLVCAST_ADMIN_TOKENS": ADMIN})

    settings = Settings(host="0.0.0.0", tokens=tokens)
    with serving(ModelHolder(shop_model), settings) as client:

        def status(token: str | None, path: str = "/v1/model", method: str = "GET") -> int:
            headers = {} if token is None else {"Authorization": token}
            return client.request(method, path, headers=headers).status_code

        assert status(None, "/livez") == 200
        assert status(f"Bearer {FORECAST}") == 200
        assert status("bearer another-token-0123") == 200
        assert status(f"Bearer {ADMIN}") == 200
        for wrong in (None, "", FORECAST, f"Basic {FORECAST}", "Bearer", f"Bearer {FORECAST}x"):
            assert status(wrong) == 401, wrong
            assert status(wrong, "/metrics") == 401
            assert status(wrong, "/v1/forecasts", "POST") == 401
        assert status(f"Bearer {FORECAST}", "/v1/rollback", "POST") == 401
        assert status(f"Bearer {ADMIN}", "/v1/rollback", "POST") == 422
    with pytest.raises(clvcast.ConfigError, match="at least 16 characters"):
        read_tokens(None, None, {"CLVCAST_TOKENS": "short"})
    with pytest.raises(clvcast.StoreError, match="cannot be read"):
        read_tokens(tmp_path / "none", None, {})


def test_without_tokens_only_this_machine_is_answered(client: httpx.Client) -> None:
    assert client.get("/v1/model", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/v1/model", headers={"host": "127.0.0.1:8000"}).status_code == 200
    reload = client.post("/v1/reload", json={"model": "b"})
    assert (reload.status_code, "without admin tokens" in reload.text) == (403, True)


def test_caps(shop_model: clvcast.Model) -> None:
    limits = Limits(body_bytes=3_000, customers=2, lines=3)
    long = request(line(order_id="x" * 900), line(order_id="x" * 900), line(order_id="x" * 900))
    three = [{"customer_id": str(k), "orders": [line()]} for k in range(3)]
    with serving(ModelHolder(shop_model), Settings(limits=limits)) as client:
        for body, words in (
            (long | {"extra": "x" * 900}, "at most 3000 bytes"),
            (request(customers=three), "at most 2 customers, got 3"),
            (request(*[line()] * 4), "at most 3 order lines, got 4"),
        ):
            answer = client.post("/v1/forecasts", json=body)
            assert (answer.status_code, words in answer.text) == (413, True), answer.text
        chunks = iter([b"x" * 1_000] * 4)  # without a stated length
        assert client.post("/v1/forecasts", content=chunks).status_code == 413


def test_one_request_too_many_is_told_to_come_again(
    shop_model: clvcast.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    real = rest_app.answer_json  # type: ignore[attr-defined]

    def slow(*arguments: Any) -> Any:
        free.wait(30)
        return real(*arguments)

    monkeypatch.setattr(rest_app, "answer_json", slow)
    limits = Limits(threads=1, waiting=1, request_seconds=30, small_bytes=0)
    with serving(ModelHolder(shop_model), Settings(limits=limits)) as client:
        answers: list[httpx.Response] = []
        ask: Callable[[], None] = lambda: answers.append(  # noqa: E731
            client.post("/v1/forecasts", json=request(line()))
        )
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(answers) < 2:
            pass
        assert [(a.status_code, a.headers["retry-after"]) for a in answers] == [(503, "1")] * 2
        free.set()
        for thread in threads:
            thread.join()
        assert sorted(a.status_code for a in answers) == [200, 200, 503, 503]


def test_a_burst_may_wait_and_in_a_queue_that_never_empties_nobody_may() -> None:
    now = 0.0
    backlog = LoadShedder(lambda: now)

    def answered(waited: float, connections: int = 100) -> bool:
        """Whether one is that has waited for some seconds; it takes 3 ms."""
        nonlocal now
        found = None
        try:
            backlog.check(now - waited, connections)
        except Refusal as refusal:
            found = (refusal.status, refusal.headers)
        now += 0.003
        backlog.answered()
        assert found in (None, (503, {"Retry-After": "1"}))
        return found is None

    now = 1.0
    assert all(answered(0.003 * k) for k in range(30))  # a burst
    assert not answered(0.11)
    now = 2.0
    in_queue = [answered(0.010) for _ in range(100)]
    assert in_queue[0]
    assert not any(in_queue[-30:])
    assert answered(0.002)
    assert all(answered(0.040, connections=4) for _ in range(100))  # they wait for each other
    now += 0.050
    assert answered(0.040)  # there was a pause before it came
    backlog.check(None, 100)


def test_what_takes_too_long_is_given_up(
    shop_model: clvcast.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    monkeypatch.setattr(rest_app, "answer_json", lambda *arguments: free.wait(30))
    settings = Settings(limits=Limits(request_seconds=0.05, small_bytes=0))
    with serving(ModelHolder(shop_model), settings) as client:
        assert client.post("/v1/forecasts", json=request(line())).status_code == 504
        free.set()


def test_a_failure_of_ours_shows_nothing(
    shop_model: clvcast.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(rest_app, "answer_json", fail)
    with serving(ModelHolder(shop_model)) as client:
        answer = client.post("/v1/forecasts", json=request(line()))
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "failed")
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text


def test_logs_name_places_and_no_data() -> None:
    try:
        raise RuntimeError(SECRET)
    except RuntimeError as error:
        raised = (type(error), error, error.__traceback__)
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "failed", (), raised)
    logged = json.loads(JsonLines().format(record))
    assert logged["error"] == "RuntimeError"
    assert "test_rest.py" in logged["places"][0]
    assert SECRET not in json.dumps(logged)


@pytest.fixture
def bundles(shop_model: clvcast.Model, tmp_path: Path) -> Path:
    root = tmp_path / "bundles"
    variant(shop_model, 33.0).save(root / "next")
    variant(shop_model, 44.0).save(root / "broken")
    text = root / "broken" / "churn-0.txt"
    text.write_text(text.read_text().replace("left_child=", "left_child=9", 1))
    return root


@contextmanager
def admin(models: ModelHolder, root: Path) -> Iterator[httpx.Client]:
    tokens = read_tokens(None, None, {"CLVCAST_ADMIN_TOKENS": ADMIN})
    with serving(models, Settings(tokens=tokens, models_root=root)) as client:
        client.headers["Authorization"] = f"Bearer {ADMIN}"
        yield client


@pytest.mark.slow
def test_reload_and_rollback(
    shop_model: clvcast.Model, bundles: Path, shop_orders: clvcast.Orders
) -> None:
    models = ModelHolder(shop_model, bundles)
    with admin(models, bundles) as client:
        for name, words in (
            ("broken", "is damaged"),
            ("nowhere", "there is no bundle folder"),
            ("../bundles/next/../../etc", "must lie below --models-root"),
            ("file:/etc", "must be|below --models-root"),
        ):
            answer = client.post("/v1/reload", json={"model": name})
            assert answer.status_code == 422
            assert any(word in answer.text for word in words.split("|")), answer.text
            assert models.current is shop_model
        answer = client.post("/v1/reload", json={"model": "next"})
        assert answer.status_code == 200, answer.text
        new = variant(shop_model, 33.0)
        swapped = {"model_version": new.version, "previous_version": shop_model.version}
        assert answer.json() == swapped
        lines = nest(shop_orders, CUTOFF)["orders"][0]
        body = request(customers=[{"customer_id": "c", "orders": lines}])
        row = client.post("/v1/forecasts", json=body).json()["forecasts"][0]
        assert row["expected_spend"] == new.score_one(lines, CUTOFF).expected_spend
        assert client.post("/v1/rollback").json()["model_version"] == shop_model.version
        assert client.post("/v1/rollback").json() == swapped


def test_a_model_that_kills_its_process_is_not_taken(
    shop_model: clvcast.Model, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clvcast.serve.rest.model_holder._CHILD", "import os; os.abort()")
    models = ModelHolder(shop_model, bundles)
    with admin(models, bundles) as client:
        answer = client.post("/v1/reload", json={"model": "next"})
    assert (answer.status_code, "crashes the process" in answer.text) == (422, True)
    assert models.current is shop_model
