"""Work per byte: what a small body may make the server do, counted and not timed.

Bodies that hold too much are rejected before an object is built of them; large bodies are parsed
in the pool, one at a time; a table is read without repeating a shared text.
"""

from __future__ import annotations

import io
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import missing
from hypothesis import example, given
from hypothesis import strategies as st

import clvcast

try:
    from servers import serving

    from clvcast.serve.json_scan import scan_json
    from clvcast.serve.rest.errors import Refusal
    from clvcast.serve.rest.handlers import JSON, PARQUET, answer_table
    from clvcast.serve.rest.model_holder import ModelHolder
    from clvcast.serve.rest.request_limits import Limits
    from clvcast.serve.rest.schemas import FORECAST_REQUEST, parse_body
except ModuleNotFoundError:
    missing("the serve extra")

LINE = '{"ordered_at":"2020-05-06","amount":1}'
BAD_LINE = '{"ordered_at":1,"amount":"a","order_id":1,"product_id":1}'


def build_body(*customers: str) -> bytes:
    return f'{{"cutoff":"2020-06-01","customers":[{",".join(customers)}]}}'.encode()


def build_customer(name: str, line: str, n_lines: int) -> str:
    return f'{{"customer_id":"{name}","orders":[{",".join([line] * n_lines)}]}}'


class Spy:
    """Stands for a pydantic adapter, and counts how often it parses and in which threads."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.running = self.most_running = 0

    def validate_json(self, body: bytes) -> Any:
        self.threads.append(threading.get_ident())
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            return FORECAST_REQUEST.validate_json(body)
        finally:
            self.running -= 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (build_body(*["{}"] * 2_000_000), 413, "at most 1000 customers, got 2000000"),
        (build_body(build_customer("c", "{}", 100_001)), 413, "order lines, got 100001"),
        (build_body(*["1"] * 1_300_000), 413, "at most 1,200,000 values"),
        (b'{"cutoff":' + b"[" * 3_000_000, 400, "at most 16 levels deep"),
    ],
)
def test_a_body_that_holds_too_much_is_not_parsed(body: bytes, status: int, words: str) -> None:
    spy: Any = Spy()
    scan_json(b"")
    tracemalloc.start()
    try:
        with pytest.raises(Refusal, match=words) as caught:
            parse_body(spy, body, Limits())
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # bytes held beside the body
    finally:
        tracemalloc.stop()
    assert caught.value.status == status
    assert not spy.threads


def test_checking_stops_at_the_first_faulty_line_of_the_first_faulty_customer() -> None:
    customers = [build_customer(f"c{k}", BAD_LINE, 500) for k in range(100)]
    with pytest.raises(Refusal) as caught:
        parse_body(FORECAST_REQUEST, build_body(*customers), Limits())
    paths = [fault["path"] for fault in caught.value.faults]
    names = ("ordered_at", "amount", "order_id", "product_id")
    assert paths == [f"customers[0].orders[0].{name}" for name in names]


def test_the_limits_are_in_the_description() -> None:
    body = FORECAST_REQUEST.json_schema()
    assert body["properties"]["customers"]["maxItems"] == Limits().customers
    assert body["$defs"]["Customer"]["properties"]["orders"]["maxItems"] == Limits().lines


@pytest.fixture(scope="module")
def client(shop_model: clvcast.Model) -> Iterator[httpx.Client]:
    with serving(ModelHolder(shop_model)) as client:
        while client.get("/readyz").status_code != 200:
            pass
        yield client


def test_large_bodies_are_parsed_off_the_loop_and_one_at_a_time(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy()
    for name in ("FORECAST_REQUEST", "EXPLAIN_REQUEST"):
        monkeypatch.setattr(f"clvcast.serve.rest.handlers.{name}", spy)
    small = build_body(build_customer("c", LINE, 1))
    client.post("/v1/forecasts", content=small, headers={"content-type": JSON})
    (loop,) = spy.threads
    large = build_body(*(build_customer(f"c{k}", BAD_LINE, 100) for k in range(50)))
    assert len(large) > Limits().small_bytes
    paths = ["/v1/forecasts", "/v1/explain"] * 4
    threads = [
        threading.Thread(
            target=lambda path=path: httpx.post(
                f"{client.base_url}{path}", content=large, headers={"content-type": JSON}
            )
        )
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spy.threads) == 1 + len(paths)
    assert loop not in spy.threads[1:]
    assert spy.most_running == 1


def test_routes_that_forecast_nothing_read_16_kilobytes_at_most(client: httpx.Client) -> None:
    for path in ("/login", "/metrics", "/livez", "/v1/model"):
        body = b"x" * (Limits().control_bytes + 1)
        assert client.request("POST", path, content=body).status_code == 413, path


def test_a_text_that_many_rows_share_is_not_repeated(shop_model: clvcast.Model) -> None:
    n = 50_000
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["x" * 10_000]))
    table = pa.table(
        {
            "customer_id": ["c"] * n,
            "ordered_at": ["2020-05-01"] * n,
            "amount": [1.0] * n,
            "product_id": shared,
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, store_schema=False, compression="zstd")
    before = pa.total_allocated_bytes()
    pool = pa.default_memory_pool()
    with pytest.raises(Refusal) as caught:
        answer_table(shop_model, sink.getvalue(), PARQUET, "2020-06-01", JSON, Limits())
    assert caught.value.faults[0]["path"] == "product_id"
    assert len(sink.getvalue()) < 20_000
    assert pool.max_memory() - before < 400_000_000  # 500 MB where each row has its own text


KEYS = st.text(max_size=4)


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=5))
@example([("é", True), ("é", False)])
@example([("😀", True), ("😀", False)])
@example([('"', True), ("\\", False)])
def test_a_repeated_field_is_found_however_it_is_written(keys: list[tuple[str, bool]]) -> None:
    import json

    fields = [f"{json.dumps(key, ensure_ascii=escaped)}: {{}}" for key, escaped in keys]
    try:
        body = f"[{{{', '.join(fields)}}}]".encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8
        return
    names = [key for key, _ in keys]
    assert (scan_json(body).fault is not None) == (len(set(names)) < len(names))


def test_a_repeated_field_of_a_request_is_rejected(client: httpx.Client) -> None:
    twice = build_customer("c", LINE.replace("}", ',"amount":2000}'), 1)
    answer = client.post("/v1/forecasts", content=build_body(twice), headers={"content-type": JSON})
    assert answer.status_code == 400
    assert "must not repeat a field" in answer.text
