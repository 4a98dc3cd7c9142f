"""Scheduled use: two trainings at once, and a whole life on a real MLflow server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import worlds
from conftest import missing

import clvcast
from clvcast.errors import ClvcastError
from clvcast.train.registry import promotion
from clvcast.train.registry.mlflow_store import open_for_reading

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def write_shop(folder: Path, uri: str) -> Path:
    worlds.shop(customers=300, seed=11).to_parquet(folder / "orders.parquet")
    config = folder / "shop.yaml"
    config.write_text(
        f"orders: {{source: {folder}/orders.parquet}}\nhorizon_days: 60\nperiods: 2\n"
        f"effort: quick\ntracking: {{uri: '{uri}', model_name: shop, evaluated_cutoffs: 1}}\n"
        # small shops are noisy; not the point here
        "gate: {mae: 1, ngini: 1, segment: 9, bias: 9}\n"
    )
    return config


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "clvcast", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    assert "Traceback" not in out
    return out


def kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def champion(uri: str) -> str | None:
    version = open_for_reading(uri).aliased("shop", promotion.CHAMPION)
    return version.number if version else None


def test_two_trainings_at_once_make_one_store_and_one_version(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = write_shop(tmp_path, uri)
    for out in map(finish, [start("train", config), start("train", config)]):
        assert "version 1 of shop" in out
    versions, history = promotion.list_models("shop", uri)
    assert [version.version for version in versions] == ["1"]
    assert len(history) == 1


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of our own where there is one, run by another user than root; else SQLite."""
    folder = tmp_path_factory.mktemp("backend")
    if shutil.which("initdb") is None or shutil.which("postgres") is None:
        yield f"sqlite:///{folder}/server.db"
        return
    user = "postgres" if os.getuid() == 0 else None
    data, port = Path("/tmp") / f"clvcast-pg-{os.getpid()}", free_port()
    data.mkdir(mode=0o700)
    if user:
        shutil.chown(data, user)
    environment = {**os.environ, "LC_ALL": "C"}
    made = ["initdb", "-D", str(data), "-U", "clv", "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run(made, check=True, user=user, env=environment, capture_output=True, cwd="/tmp")
    options = ["-p", str(port), "-k", str(data), "-c", "listen_addresses=127.0.0.1"]
    server = subprocess.Popen(
        ["postgres", "-D", str(data), *options],
        user=user,
        env=environment,
        cwd="/tmp",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, server)
        yield f"postgresql+psycopg://clv@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mlflow server` on that database, artifacts in a folder that it serves."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        database,
        "--artifacts-destination",
        str(folder / "artifacts"),
        "--serve-artifacts",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
            # seven idle processes
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            missing(f"{process.args!r} does not start")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    missing(f"{process.args!r} does not answer")


def test_a_models_life_on_a_server(server: str, tmp_path: Path) -> None:
    config = write_shop(tmp_path, server)
    assert "is champion now" in finish(start("train", config, "--cutoff", "2021-01-20"))
    assert "is champion now" in finish(start("train", config))
    assert "is champion already" in finish(start("train", config))
    orders = clvcast.read_orders(clvcast.load_config(config))
    loaded = clvcast.load_model("models:/shop@champion", server)
    assert len(clvcast.score(loaded, orders)) > 200
    assert champion(server) == "2"
    assert "version 1 of shop is champion again" in finish(
        start("models", "rollback", "--reason", "odd", "--config", config)
    )
    assert champion(server) == "1"
    with pytest.raises(ClvcastError, match="cannot be reached within 20 s"):
        clvcast.load_model("models:/shop@champion", f"http://127.0.0.1:{free_port()}")
