"""The server under people who do not behave, under load, and under a signal: real sockets on
loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib.util
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from conftest import missing
from test_rest import ADMIN, CUTOFF, admin, line, request, variant

import clvcast
from clvcast.orders.reading.nested_rows import nest

try:
    from servers import serving

    from clvcast.serve.rest.model_holder import ModelHolder
    from clvcast.serve.rest.request_limits import Limits
    from clvcast.serve.rest.server import prepare
    from clvcast.serve.rest.settings import Settings
except ModuleNotFoundError:
    missing("the serve extra")

HEAD = b"POST /v1/forecasts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def connected(client: httpx.Client) -> socket.socket:
    connection = socket.create_connection((client.base_url.host, client.base_url.port), timeout=20)
    connection.settimeout(20)
    return connection


def test_who_says_nothing_is_cut_off(shop_model: clvcast.Model) -> None:
    limits = Limits(slow_seconds=0.3)
    with serving(ModelHolder(shop_model), Settings(limits=limits)) as client:
        silent, dripping, half, blank = (connected(client) for _ in range(4))
        dripping.sendall(b"POST /v1/forecasts HT")
        blank.sendall(b"\r\n")
        half.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert silent.recv(100) == b""
        assert dripping.recv(100) == b""
        assert blank.recv(100) == b""
        assert half.recv(100).startswith(b"HTTP/1.1 408")
        for connection in (silent, dripping, half, blank):
            connection.close()
        # one that is between two requests is not cut off while it is answered
        for _ in range(3):
            assert client.post("/v1/forecasts", json=request(line())).status_code == 200


def test_who_takes_no_answers_is_cut_off(shop_model: clvcast.Model) -> None:
    limits = Limits(slow_seconds=0.3)
    with serving(ModelHolder(shop_model), Settings(limits=limits)) as client:
        with connected(client) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.settimeout(0.2)
            asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

            def ask() -> None:
                for _ in range(100):
                    with contextlib.suppress(TimeoutError):
                        deaf.sendall(asked * 100)
                    time.sleep(0.05)

            with pytest.raises(ConnectionError):
                ask()
        assert client.get("/livez").status_code == 200
        text = client.get("/metrics").text
        assert "clvcast_requests_in_flight 1.0" in text


def test_a_few_who_ask_without_a_pause_are_all_answered(
    shop_model: clvcast.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that never empties is no overload where few wait for each other."""
    # a busy machine may stop the whole server for longer than a burst may wait
    monkeypatch.setattr("clvcast.serve.rest.request_limits._PATIENT_SECONDS", 5.0)
    with serving(ModelHolder(shop_model)) as client:
        assert client.get("/readyz").status_code in (200, 503)
        while client.get("/readyz").status_code != 200:
            time.sleep(0.05)

        def ask(_: int) -> set[int]:
            with httpx.Client(base_url=client.base_url, timeout=60) as own:
                answers = [own.post("/v1/forecasts", json=request(line())) for _ in range(40)]
                return {answer.status_code for answer in answers}

        with ThreadPoolExecutor(3) as pool:
            assert set().union(*pool.map(ask, range(3))) == {200}


def test_heads_and_bodies_that_are_no_http(shop_model: clvcast.Model) -> None:
    with serving(ModelHolder(shop_model), Settings(limits=Limits(body_bytes=1_000))) as client:
        for said in (
            b"\x16\x03\x01\x02\x00" * 20,
            HEAD + b"Content-Length: x\r\n\r\n",
        ):
            with connected(client) as connection:
                connection.sendall(said)
                assert connection.recv(100).startswith(b"HTTP/1.1 4")
        with connected(client) as connection:  # a head without an end
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60_000)
            for _ in range(2):
                time.sleep(0.1)
                connection.sendall(b"x" * 60_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
        many = b"".join(b"X%d: y\r\n" % k for k in range(20_000))
        for said in (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n",  # whole, in one piece
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + many,  # trailers are head too
        ):
            with connected(client) as connection:
                connection.sendall(said)
                assert connection.recv(100).startswith(b"HTTP/1.1 400")
        with connected(
            client
        ) as connection:  # many whole requests and the beginning of one are no long head
            asked = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(asked * 2_000 + asked[:20])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        with connected(client) as connection:  # refused by what it says, before it is sent
            connection.sendall(HEAD + b"Content-Length: 999999999999\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 413")
        assert client.get("/livez").status_code == 200


def test_a_head_and_a_body_sent_apart_do_not_wait_for_each_other(
    shop_model: clvcast.Model,
) -> None:
    server, listening = prepare(ModelHolder(shop_model), Settings(port=0))
    with listening:  # connections inherit it
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert not server.started


@pytest.mark.slow
def test_many_connections(shop_model: clvcast.Model) -> None:
    with serving(ModelHolder(shop_model)) as client:
        address = str(client.base_url)

        async def ask_all() -> Counter[int]:
            limits = httpx.Limits(max_connections=200)
            async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as many:
                asked = [many.post("/v1/forecasts", json=request(line())) for _ in range(200)]
                return Counter(answer.status_code for answer in await asyncio.gather(*asked))

        statuses = asyncio.run(ask_all())
        assert set(statuses) <= {200, 503}
        assert statuses[200] > 0
        text = client.get("/metrics").text
        assert "clvcast_requests_in_flight 1.0" in text  # this one: the others have left


def test_one_connection_too_many_is_told_to_come_again(shop_model: clvcast.Model) -> None:
    with serving(ModelHolder(shop_model), Settings(limits=Limits(connections=3))) as client:

        def connection() -> http.client.HTTPConnection:
            return http.client.HTTPConnection(
                client.base_url.host, client.base_url.port, timeout=20
            )

        def answer(
            asked: http.client.HTTPConnection, path: str = "/v1/forecasts"
        ) -> tuple[int, Any]:
            asked.request("GET" if path == "/livez" else "POST", path, b"{}" * (path != "/livez"))
            found = asked.getresponse()
            found.read()
            return found.status, found.headers

        with ExitStack() as stack:
            there = [stack.enter_context(closing(connection())) for _ in range(3)]
            assert [answer(one)[0] for one in there] == [415] * 3  # as many as may be
            one_more = stack.enter_context(closing(connection()))
            assert answer(one_more, "/livez")[0] == 200
            status, headers = answer(one_more)
            assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
            assert [answer(one)[0] for one in there] == [
                415
            ] * 3  # those who were there are served on


def test_tls(shop_model: clvcast.Model, tmp_path: Path) -> None:
    certificate, private_key = self_signed(tmp_path)
    settings = Settings(certificate=certificate, private_key=private_key)
    trust = ssl.create_default_context(cafile=str(certificate))
    with serving(ModelHolder(shop_model), settings) as stranger:
        address = str(stranger.base_url)
        assert address.startswith("https://127.0.0.1:")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get("/livez")
        with httpx.Client(base_url=address, verify=trust, timeout=60, trust_env=False) as client:
            assert client.post("/v1/forecasts", json=request(line())).status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(address.replace("https", "http") + "/livez", trust_env=False)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, as files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


@pytest.mark.slow
def test_reload_under_load_fails_nothing_and_mixes_nothing(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, tmp_path: Path
) -> None:
    variants = [shop_model, variant(shop_model, 33.0)]
    for k, model in enumerate(variants):
        model.save(tmp_path / str(k))
    nested = nest(shop_orders, CUTOFF)
    rows = list(zip(nested["customer_id"], nested["orders"], strict=True))[:20]
    body = {
        "cutoff": CUTOFF,
        "customers": [{"customer_id": name, "orders": lines} for name, lines in rows],
    }
    expected = {
        model.version: [model.score_one(own, CUTOFF, name).clv for name, own in rows]
        for model in variants
    }
    done, seen, faults = threading.Event(), Counter[str](), list[Any]()

    def ask(client: httpx.Client) -> None:
        while not done.is_set():
            answer = client.post("/v1/forecasts", json=body)
            content = answer.json()
            version = content["model_version"]
            own = [(row["model_version"], row["clv"]) for row in content.get("forecasts", ())]
            wanted = [(version, clv) for clv in expected[version]]
            if answer.status_code != 200 or answer.headers["x-model-version"] != version:
                faults.append(answer.text)
            elif own != wanted:
                faults.append((own, wanted))
            seen[version] += 1

    with admin(ModelHolder(shop_model, tmp_path), tmp_path) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for k in (1, 0):
            swapped = client.post("/v1/reload", json={"model": str(k)})
            assert swapped.status_code == 200, swapped.text
            time.sleep(0.5)
        assert client.post("/v1/rollback").status_code == 200
        time.sleep(0.5)
        done.set()
        for thread in threads:
            thread.join()
    assert not faults, faults[:2]
    assert set(seen) == set(expected)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])  # of a scheduler, Ctrl+C
def test_a_stop_drains_what_is_on_its_way(
    stop: signal.Signals, shop_model: clvcast.Model, tmp_path: Path
) -> None:
    shop_model.save(tmp_path / "bundle")
    command = [sys.executable, "-m", "clvcast", "serve", "--model", str(tmp_path / "bundle")]
    body = json.dumps(request(line())).encode()
    with subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = ""
        while not address:
            address = json.loads(server.stderr.readline()).get("url", "")
        with httpx.Client(base_url=address, timeout=60) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.1)
            with connected(client) as connection:
                head = f"Content-Length: {len(body)}\r\n\r\n".encode()
                connection.sendall(HEAD + head + body[:20])
                while "clvcast_requests_in_flight 2.0" not in client.get("/metrics").text:
                    pass
                server.send_signal(stop)
                time.sleep(1)
                connection.sendall(body[20:])
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
        said = server.communicate(timeout=60)[1]
    assert server.returncode == 0  # as documented in docs/operations.md
    assert "Traceback" not in said
    assert all(json.loads(text) for text in said.splitlines())


def test_addresses_others_can_reach_need_tokens(
    run: Any, shop_model: clvcast.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLVCAST_TOKENS", raising=False)
    shop_model.save(tmp_path / "bundle")
    serve = ("serve", "--model", tmp_path / "bundle")
    status, _, err = run(*serve, "--host", "0.0.0.0")
    assert (status, "needs tokens (--tokens FILE, or CLVCAST_TOKENS)" in err) == (2, True)
    status, _, err = run(*serve, "--certificate", "c.pem")
    assert (status, "belong together" in err) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, err = run(*serve, "--port", taken.getsockname()[1])
    assert (status, "cannot be listened on: Address already in use" in err) == (1, True)


@pytest.mark.slow
def test_schemathesis_finds_no_failure(shop_model: clvcast.Model, tmp_path: Path) -> None:
    """All its checks. 422 is of rules that a schema cannot state, 413 of too many customers."""
    if importlib.util.find_spec("schemathesis") is None:
        missing("schemathesis")
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(
        "[checks.positive_data_acceptance]\n"
        'expected-statuses = ["2xx", "401", "403", "422"]\n'
        "[checks.negative_data_rejection]\n"
        'expected-statuses = ["400", "401", "403", "405", "413", "415", "422"]\n'
    )
    with serving(ModelHolder(shop_model)) as client:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"]
        address = f"{client.base_url}/openapi.json"
        options = ["--checks", "all", "--max-examples", "25", "--seed", "1", "--no-color"]
        ran = subprocess.run(
            [*command, address, *options],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-3_000:] + ran.stderr[-1_000:]
        assert "8 selected / 8 total" in ran.stdout
        assert ADMIN not in client.get("/metrics").text


@pytest.mark.slow
def test_a_client_generated_from_the_description_round_trips(
    root: Path, shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    """openapi-python-client, in an environment of its own: it needs an older typer than ours."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "openapi-python-client==0.29.1"], check=True)
    generate = [
        str(tmp_path / "venv" / "bin" / "openapi-python-client"), "generate", "--meta", "none",
        "--path", str(root / "docs" / "openapi.json"), "--output-path", str(tmp_path / "client"),
    ]  # fmt: skip
    subprocess.run(generate, check=True, capture_output=True)
    customer = shop_lines["customer_id"].iloc[0]
    lines = shop_lines[shop_lines["customer_id"] == customer].assign(
        ordered_at=lambda table: table["ordered_at"].astype(str)
    )
    orders = json.loads(lines.drop(columns="customer_id").to_json(orient="records"))
    body = {"cutoff": CUTOFF, "customers": [{"customer_id": customer, "orders": orders}]}
    (tmp_path / "ask.py").write_text(GENERATED)
    with serving(ModelHolder(shop_model)) as client:
        ran = subprocess.run(
            [python, "ask.py", str(client.base_url), json.dumps(body)],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        typed, refusal, model = map(json.loads, ran.stdout.splitlines())
        assert typed == client.post("/v1/forecasts", json=body).json()
        assert typed["forecasts"][0]["customer_id"] == customer
        assert refusal["error"]["code"] == "invalid"
        assert model == client.get("/v1/model").json()


GENERATED = """
import json, sys
from client import Client
from client.api.default import forecasts_v1_forecasts_post as forecasts
from client.api.default import model_v1_model_get as model
from client.models import ErrorAnswer, ForecastAnswer
from client.models import ForecastsV1ForecastsPostJsonForecastRequest as Request

server, body = Client(base_url=sys.argv[1]), json.loads(sys.argv[2])
answer = forecasts.sync(client=server, body=Request.from_dict(body))
assert isinstance(answer, ForecastAnswer), answer
print(json.dumps(answer.to_dict()))
refusal = forecasts.sync(client=server, body=Request.from_dict(body | {"cutoff": "2020-13-01"}))
assert isinstance(refusal, ErrorAnswer), refusal
print(json.dumps(refusal.to_dict()))
print(json.dumps(model.sync(client=server).to_dict()))
"""
