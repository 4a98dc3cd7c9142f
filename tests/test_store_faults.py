"""A store in trouble: a full disk, a broken database, no rights, a champion that
somebody deleted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from conftest import Run, missing
from test_scheduled import champion, start, write_shop

import clvcast
from clvcast.errors import BundleError, StoreError
from clvcast.train.registry import promotion
from clvcast.train.registry.mlflow_store import open_for_reading

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

DISK = """\
set -e
mount -t tmpfs -o size=64m tmpfs {disk}
clvcast() {{ {python} -W ignore -m clvcast "$@"; }}
train() {{ set +e; clvcast train {config} "$@" >{out}/train.out 2>{out}/train.err; status=$?
    set -e; }}
serving() {{ clvcast score --model models:/shop@champion --tracking-uri {uri} --orders {orders} \
    --output {out}/$1.parquet --quiet; }}
train --cutoff 2021-01-20; echo first $status
serving before
for left in 0 2500; do # kilobytes
    free=$(df --output=avail -k {disk} | tail -1)
    head -c $(((free - left) * 1024)) /dev/zero >{disk}/fill
    train; echo full $status; tail -n 1 {out}/train.err
    grep -q Traceback {out}/train.err {out}/train.out && echo traceback
    rm {disk}/fill
done
serving after
train; echo last $status
"""


def test_a_disk_that_is_full_leaves_the_old_champion_serving(tmp_path: Path) -> None:
    """Training on a really full disk: at its first write, and at its report. One sentence, exit
    status 1.
    """
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    out.mkdir()
    uri = f"sqlite:///{disk}/mlflow.db"
    config = write_shop(tmp_path, uri)
    script = tmp_path / "script"
    orders = tmp_path / "orders.parquet"
    script.write_text(
        DISK.format(
            disk=disk, out=out, uri=uri, config=config, orders=orders, python=sys.executable
        )
    )
    unshare = [str(shutil.which("unshare")), "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False).returncode:
        missing("this system lets nobody mount a small disk (unshare --user --mount)")
    done = subprocess.run(
        [*unshare, "sh", str(script)], capture_output=True, text=True, check=False
    )
    told = done.stdout.splitlines()
    assert done.returncode == 0, done
    assert "traceback" not in told
    assert [line for line in told if line.startswith(("first", "full", "last"))] == [
        "first 0",
        "full 1",
        "full 1",
        "last 0",
    ]
    sentences = [line for line in told if line.startswith("clvcast: ")]
    assert len(sentences) == 2, told
    assert all(line.endswith("free some space and run it again") for line in sentences), sentences
    before, after = (out / f"{name}.parquet" for name in ("before", "after"))
    assert before.read_bytes() == after.read_bytes()


def test_a_broken_store_is_a_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = write_shop(tmp_path, uri)
    (tmp_path / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"no database at all" * 300)
    content = (tmp_path / "mlflow.db").read_bytes()
    process = start("train", config)
    out, _ = process.communicate(timeout=600)
    assert (process.returncode, "Traceback" in out) == (1, False), out
    assert "the MLflow store" in out
    assert (tmp_path / "mlflow.db").read_bytes() == content


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """As a user who owns nothing, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_no_rights_is_a_sentence(tmp_path: Path, shop_model: clvcast.Model) -> None:
    bundle = tmp_path / "bundle"
    shop_model.save(bundle)
    clvcast.load_model(bundle)  # whatever is imported later is here now
    (bundle / "churn-0.txt").chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o755)
    with nobody(), pytest.raises(BundleError, match=r"churn-0.txt: Permission denied"):
        clvcast.load_model(bundle)
    bundle.chmod(0)
    with nobody(), pytest.raises(BundleError, match="Permission denied"):
        clvcast.load_model(bundle)
    bundle.chmod(0o755)


def test_a_store_without_rights_is_a_sentence(tmp_path: Path, run: Run) -> None:
    uri = f"sqlite:///{tmp_path}/store/mlflow.db"
    (tmp_path / "store").mkdir()
    config = write_shop(tmp_path, uri)
    assert run("train", config, "--cutoff", "2021-01-20")[0] == 0
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o755)
    for path in (tmp_path / "store", *(tmp_path / "store").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with nobody():
        status, _, err = run("models", "promote", "1", "--reason", "why", "--config", config)
    assert (status, "Traceback" in err) == (1, False), err
    assert err.startswith("clvcast: the MLflow store"), err
    assert "Permission denied" in err
    assert champion(uri) == "1"


def test_a_champion_that_was_deleted(tmp_path: Path, run: Run) -> None:
    """Nothing serves then, which is said; the next training is judged as a first one."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = write_shop(tmp_path, uri)
    assert run("train", config, "--cutoff", "2021-01-10")[0] == 0
    assert run("train", config, "--cutoff", "2021-01-20")[0] == 0
    place = ("--config", config)
    open_for_reading(uri).client.delete_model_version("shop", "1")
    status, _, err = run("models", "rollback", "--reason", "odd", *place)
    assert (status, "has no version 1; see: clvcast models list --name shop" in err) == (1, True), (
        err
    )
    assert champion(uri) == "2"
    open_for_reading(uri).client.delete_model_version("shop", "2")
    assert champion(uri) is None
    with pytest.raises(StoreError, match="MLflow cannot give the model models:/shop@champion"):
        clvcast.load_model("models:/shop@champion", uri)
    status, _, err = run("models", "rollback", "--reason", "odd", *place)
    assert (status, "has no champion to roll back from" in err) == (1, True), err
    status, out, _ = run("train", config)
    assert (status, "There is no champion yet" in out) == (0, True), out
    assert champion(uri) == "3"
    listed, history = promotion.list_models("shop", uri)
    assert [version.version for version in listed] == ["3"]
    assert len(history) == 3  # what was done with those that are gone stays
    loaded = clvcast.load_model("models:/shop@champion", uri)
    assert isinstance(clvcast.score(loaded, tmp_path / "orders.parquet"), pd.DataFrame)
