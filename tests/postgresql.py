"""A PostgreSQL server for tests, and how a till that fills it names its columns."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from conftest import missing

PASSWORD = "p@ss:w/rd#é"
COLUMNS = {
    "customer_id": "client",
    "ordered_at": "at",
    "amount": "quantity * price",
    "order_id": "number",
    "product_id": "product",
    "category": "category",
    "channel": "channel",
    "quantity": "quantity",
}


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of the tests' own."""

    address: str  # with ${CLV_DB_PASSWORD}
    engine: sqlalchemy.Engine


def running_server() -> Iterator[Server]:
    """A PostgreSQL of the tests' own on a free port, until the generator ends."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    found = shutil.which("initdb")
    programs = [Path(found).parent] if found else installed
    if not programs:
        missing("PostgreSQL (Debian's package postgresql)")
    user = None  # PostgreSQL refuses to run as root
    if os.getuid() == 0:
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            missing("a user postgres to run PostgreSQL as")
    folder = Path(tempfile.mkdtemp(prefix="clvcast-pg-"))
    (folder / "password").write_text(PASSWORD)
    if user:
        for path in (folder, folder / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(program: str, *arguments: str) -> None:
        # a server started by pg_ctl would hold a pipe open: its output goes to a file
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            subprocess.run(
                [str(programs[-1] / program), "-D", str(folder / "data"), *arguments],
                check=True,
                cwd=folder,
                stdout=log,
                stderr=log,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )

    password = f"--pwfile={folder / 'password'}"
    call("initdb", "-U", "clv", "-A", "scram-sha-256", password, "-E", "UTF8", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    call("pg_ctl", "-w", "-o", options, "-l", str(folder / "log"), "start")
    url = sqlalchemy.URL.create(
        "postgresql+psycopg", "clv", PASSWORD, "127.0.0.1", port, "postgres"
    )
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    address = f"postgresql://clv:${{CLV_DB_PASSWORD}}@127.0.0.1:{port}/postgres"
    yield Server(address, engine)
    call("pg_ctl", "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder)
    (folder.parent / f"{folder.name}.log").unlink()
