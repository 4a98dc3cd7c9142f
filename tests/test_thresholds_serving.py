"""Limits of the server and rollback: a number just below and just above each."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from clvcast.errors import ConfigError, StoreError
from clvcast.train.registry import promotion
from clvcast.train.registry.mlflow_store import Version

fastapi = pytest.importorskip("fastapi")

from pydantic import BaseModel, TypeAdapter  # noqa: E402
from starlette.types import Receive  # noqa: E402

from clvcast.serve.json_scan import scan_json  # noqa: E402
from clvcast.serve.rest.auth import LoginLimit, read_tokens  # noqa: E402
from clvcast.serve.rest.errors import Refusal  # noqa: E402
from clvcast.serve.rest.handlers import ARROW  # noqa: E402
from clvcast.serve.rest.handlers import _read_table as read_lines  # noqa: E402
from clvcast.serve.rest.request_limits import (  # noqa: E402
    BodyReader,
    Limits,
    LoadShedder,
)
from clvcast.serve.rest.schemas import format_field_path, parse_body  # noqa: E402

MEBIBYTE = 1_048_576


def send(*parts: bytes, end: asyncio.Event | None = None) -> Receive:
    """A client that sends some parts, and the last, empty one only after `end`."""
    waiting = list(parts)

    async def receive() -> dict[str, object]:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": True}
        if end is not None:
            await end.wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def read_beside(buffered: int, size: int, limits: Limits) -> int:
    """The status of a body of some bytes while others of `limits.body_bytes` wait for their end."""
    reader, end = BodyReader(limits), asyncio.Event()
    part = b"x" * limits.body_bytes
    others = [asyncio.create_task(reader.read(send(part, end=end), None)) for _ in range(buffered)]
    await asyncio.sleep(0)
    status = 200
    try:
        await reader.read(send(b"x" * size), None)
    except Refusal as refusal:
        status = refusal.status
    end.set()
    assert [len(body) for body in await asyncio.gather(*others)] == [len(part)] * buffered
    # what was read is let go: as many fit again
    await reader.read(send(part), None)
    return status


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 503)])
def test_all_bodies_together_stay_within_the_memory_for_them(size: int, status: int) -> None:
    limits = Limits(body_bytes=200, buffered_bytes=500)
    assert asyncio.run(read_beside(2, size, limits)) == status


def test_eight_bodies_of_8_mebibytes_fit_and_a_byte_more_does_not() -> None:
    limits = Limits()
    assert limits.body_bytes == 8 * MEBIBYTE
    assert asyncio.run(read_beside(7, 8 * MEBIBYTE, limits)) == 200
    assert asyncio.run(read_beside(8, 1, limits)) == 503
    assert asyncio.run(read_beside(0, 8 * MEBIBYTE + 1, limits)) == 413


@pytest.mark.parametrize(("stated", "is_refused"), [(b"8388608", False), (b"8388609", True)])
def test_a_stated_length_is_refused_before_a_byte_is_read(stated: bytes, is_refused: bool) -> None:
    reader = BodyReader(Limits())
    if is_refused:
        with pytest.raises(Refusal, match="at most 8388608 bytes"):
            asyncio.run(reader.read(send(b"x"), stated))
    else:
        assert asyncio.run(reader.read(send(b"x"), stated)) == b"x"


def test_limits_of_a_request() -> None:
    limits = Limits()
    assert (limits.customers, limits.lines, limits.waiting) == (1_000, 100_000, 16)
    assert (limits.small_bytes, limits.small_commas) == (16_384, 1_000)
    assert (limits.request_seconds, limits.slow_seconds, limits.connections) == (30, 10, 1_000)


def is_answered(waited: float, *, connections: int, since_pause: float) -> bool:
    """Whether a request is answered that came `since_pause` after the server's last pause."""
    now = 100.0
    shedder = LoadShedder(lambda: now)
    now = 200.0
    shedder.check(now, 1)  # nothing was asked for 100 seconds
    now += since_pause
    shedder.answered()
    arrived_at = now
    now += waited
    try:
        shedder.check(arrived_at, connections)
    except Refusal:
        return False
    return True


@pytest.mark.parametrize(("waited", "answered"), [(0.099, True), (0.101, False)])
def test_a_request_of_a_burst_waits_for_a_tenth_of_a_second(waited: float, answered: bool) -> None:
    assert is_answered(waited, connections=5, since_pause=0.05) == answered
    assert is_answered(waited, connections=4, since_pause=9.0) == answered


@pytest.mark.parametrize(("waited", "answered"), [(0.0029, True), (0.0031, False)])
def test_in_a_queue_that_does_not_empty_it_waits_for_3_ms(waited: float, answered: bool) -> None:
    assert is_answered(waited, connections=5, since_pause=0.2) == answered


@pytest.mark.parametrize(
    ("connections", "since_pause", "answered"),
    [(5, 0.099, True), (5, 0.101, False), (4, 0.101, True)],
)
def test_a_queue_is_long_after_a_tenth_of_a_second_with_five_clients(
    connections: int, since_pause: float, answered: bool
) -> None:
    found = is_answered(0.05, connections=connections, since_pause=since_pause)
    assert found == answered


@pytest.mark.parametrize(("gap", "answered"), [(0.0029, False), (0.0031, True)])
def test_three_milliseconds_without_a_request_are_a_pause(gap: float, answered: bool) -> None:
    now = 100.0
    shedder = LoadShedder(lambda: now)
    now = 101.0
    shedder.answered()
    arrived_at = now + gap
    now = arrived_at + 0.05
    if answered:
        shedder.check(arrived_at, 100)
    else:
        with pytest.raises(Refusal):
            shedder.check(arrived_at, 100)


def test_a_token_has_16_characters_at_least() -> None:
    assert read_tokens(None, None, {"CLVCAST_TOKENS": "x" * 16}).forecast
    with pytest.raises(ConfigError, match="at least 16 characters"):
        read_tokens(None, None, {"CLVCAST_TOKENS": "x" * 15})


class Numbers(BaseModel):
    """A body for the limits of naming faults."""

    numbers: list[float]


@pytest.mark.parametrize(("n_faults", "named"), [(20, 20), (21, 20)])
def test_twenty_faults_are_named(n_faults: int, named: int) -> None:
    body = f'{{"numbers": [{",".join(["null"] * n_faults)}]}}'.encode()
    with pytest.raises(Refusal) as caught:
        parse_body(TypeAdapter(Numbers), body, Limits())
    assert len(caught.value.faults) == named
    said = str(caught.value)
    assert f"{n_faults} faults" in said
    assert ("20 of them named" in said) == (n_faults > named)


@pytest.mark.parametrize("failed", [9, 10])
def test_ten_logins_of_an_address_may_fail_within_a_minute(failed: int) -> None:
    now = 100.0
    logins = LoginLimit(clock=lambda: now)
    for _ in range(failed):
        logins.note_failure("10.0.0.1")
    logins.check("10.0.0.2")
    now = 159.9
    with contextlib.nullcontext() if failed < 10 else pytest.raises(Refusal, match="at most 10"):
        logins.check("10.0.0.1")
    now = 160.1
    logins.check("10.0.0.1")


@pytest.mark.parametrize(("depth", "is_deep"), [(16, False), (17, True)])
def test_a_body_nests_at_most_16_levels(depth: int, is_deep: bool) -> None:
    assert (scan_json(b"[" * depth + b"]" * depth).fault is not None) == is_deep


@pytest.mark.parametrize(("n_keys", "is_refused"), [(256, False), (257, True)])
def test_an_object_has_at_most_256_fields(n_keys: int, is_refused: bool) -> None:
    body = "{" + ",".join(f'"{k}": 1' for k in range(n_keys)) + "}"
    assert (scan_json(body.encode()).fault is not None) == is_refused


@pytest.mark.parametrize(("length", "is_refused"), [(1_000, False), (1_001, True)])
@pytest.mark.parametrize("kind", ["text", "shared", "view"])
def test_a_text_of_a_table_has_at_most_1000_characters(
    length: int, is_refused: bool, kind: str
) -> None:
    text = pa.array(["é" * length, None])
    kinds = {"text": text, "shared": text.dictionary_encode(), "view": text.cast("string_view")}
    table, sink = pa.table({"product_id": kinds[kind]}), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    caught = pytest.raises(Refusal, match="fault") if is_refused else contextlib.nullcontext()
    with caught:
        read_lines(sink.getvalue(), ARROW, Limits())


def test_64_letters_of_a_field_are_shown() -> None:
    assert format_field_path(("a", "x" * 64)) == "a." + "x" * 64
    assert format_field_path(("a", "x" * 65)) == "a." + "x" * 64


@dataclass
class FakeStore:
    """A registry of versions in memory: tags as MLflow keeps them, and who is champion."""

    tags: dict[str, dict[str, str]]
    champion: str
    log: list[str] = field(default_factory=list)
    uri: str = "sqlite:///mlflow.db"

    def version(self, name: str, number: str) -> Version:
        return Version(number, "run", "2026-01-01T00:00:00Z", (), self.tags[number])

    def versions(self, name: str) -> list[Version]:
        return [self.version(name, number) for number in self.tags]

    def aliased(self, name: str, alias: str) -> Version | None:
        return self.version(name, self.champion)

    def set_alias(self, name: str, alias: str, number: str) -> None:
        self.champion = number

    def tag_version(self, name: str, number: str, tags: dict[str, str]) -> None:
        self.tags[number] = self.tags[number] | tags

    def tag_model(self, name: str, key: str, value: str) -> None:
        self.log.append(value)


ROLLED_BACK_AT = "2026-03-01T12:00:00.000005Z"


def roll_back(
    monkeypatch: pytest.MonkeyPatch, *, verdict_at: str, replaced: str = "2", reason: str = "why"
) -> FakeStore:
    """2 replaced 1 at `verdict_at`; 3 replaced `replaced` and was rolled back; roll back 2."""
    tags = {
        "1": {"clvcast.verdict_at": "2026-01-01T00:00:00.000000Z"},
        "2": {"clvcast.verdict_at": verdict_at, "clvcast.previous_champion": "1"},
        "3": {
            "clvcast.previous_champion": replaced,
            "clvcast.rolled_back": f"{ROLLED_BACK_AT}: sold twice",
        },
    }
    store = FakeStore(tags, champion="2")

    @contextmanager
    def open_store(uri: str) -> Iterator[FakeStore]:
        yield store

    monkeypatch.setattr(promotion, "open_for_writing", open_store)
    promotion.rollback("shop", reason, "http://registry.test")
    return store


@pytest.mark.parametrize(
    ("verdict_at", "champion"),
    [("2026-03-01T12:00:00.000004Z", "2"), ("2026-03-01T12:00:00.000006Z", "1")],
)
def test_a_champion_since_a_rollback_stays_and_one_promoted_again_may_go(
    monkeypatch: pytest.MonkeyPatch, verdict_at: str, champion: str
) -> None:
    assert roll_back(monkeypatch, verdict_at=verdict_at).champion == champion


def test_a_rollback_to_another_version_is_no_reason_to_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early = "2026-02-01T00:00:00.000000Z"
    assert roll_back(monkeypatch, verdict_at=early, replaced="1").champion == "1"


def test_a_thousand_characters_of_a_reason_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    late = "2026-04-01T00:00:00.000000Z"
    store = roll_back(monkeypatch, verdict_at=late, reason="x" * 1_001)
    assert store.tags["2"]["clvcast.rolled_back"].count("x") < 1_000
    assert len(store.tags["2"]["clvcast.rolled_back"]) == 1_000
    assert store.log[0].count("x") == 1_000


def test_a_decision_on_another_champion_is_not_carried_out() -> None:
    store = FakeStore({"1": {}, "2": {}}, champion="1")
    with pytest.raises(StoreError, match="promoted version 1 of shop meanwhile"):
        promotion.promote_in(store, "shop", "2", "gate", expected=None)  # type: ignore[arg-type]
    assert promotion.promote_in(store, "shop", "2", "gate", expected="1").changed  # type: ignore[arg-type]
    assert store.champion == "2"
