"""Outputs: whole or not there, on a full disk and on an interrupt too."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import missing

from clvcast import atomic_files
from clvcast.errors import ConfigError, StoreError

OLD, NEW = pa.table({"a": [1]}), pa.table({"a": [2, 3]})


@pytest.mark.parametrize("name", ["f.parquet", "f.csv"])
def test_a_table_replaces_the_old_one(tmp_path: Path, name: str) -> None:
    for table in (OLD, NEW):
        atomic_files.write_files({tmp_path / name: table})
    assert [path.name for path in tmp_path.iterdir()] == [name]
    read = pa.csv.read_csv if name.endswith("csv") else pa.parquet.read_table
    assert read(tmp_path / name).equals(NEW)


def test_the_name_of_an_output_is_not_too_long(tmp_path: Path) -> None:
    atomic_files.check_writable(tmp_path / f"{'x' * 196}.csv")
    with pytest.raises(ConfigError, match="at most 200 characters, got 201"):
        atomic_files.check_writable(tmp_path / f"{'x' * 197}.csv")


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_output_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    atomic_files.write_files(dict.fromkeys(paths, OLD))
    before = [path.read_bytes() for path in paths]

    def fail(path: Path) -> None:
        raise failure

    monkeypatch.setattr(atomic_files, "_sync", fail)
    with pytest.raises((StoreError, KeyboardInterrupt)) as stopped:
        atomic_files.write_files(dict.fromkeys(paths, NEW))
    assert isinstance(stopped.value, KeyboardInterrupt) or "disk is full" in str(stopped.value)
    assert sorted(tmp_path.iterdir()) == paths
    assert [path.read_bytes() for path in paths] == before


def test_a_folder_is_replaced_whole_or_left(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with atomic_files.replace_folder(target) as partial:
        (partial / "one").write_text("1")

    def fail_midway() -> None:
        with atomic_files.replace_folder(target) as partial:
            (partial / "two").write_text("2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "one"]


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must be a \.parquet or \.csv file"):
        atomic_files.check_writable(tmp_path / "f.xlsx")
    with pytest.raises(StoreError, match="does not exist; make it first"):
        atomic_files.check_writable(tmp_path / "none" / "f.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(StoreError, match="is a folder"):
        atomic_files.check_writable(tmp_path / "d.csv")
    # root may write wherever there is a real folder, so for root it is the kernel's own
    closed = Path("/sys") if os.geteuid() == 0 else tmp_path / "closed"
    closed.mkdir(mode=0o555, exist_ok=True)
    with pytest.raises(StoreError, match="cannot be written: no permission"):
        atomic_files.check_writable(closed / "f.csv")


def test_an_output_folder_keeps_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("mine")
    atomic_files.check_folder(tmp_path)
    atomic_files.write_files({tmp_path / "a.csv": OLD, tmp_path / "b.json": "{}"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.json", "photo.jpg"]
    with pytest.raises(StoreError, match="is a file; name a folder"):
        atomic_files.check_folder(tmp_path / "photo.jpg")


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path, root: Path) -> None:
    disk, script = tmp_path / "disk", tmp_path / "run.sh"
    disk.mkdir()
    work = tmp_path / "write.py"
    work.write_text(
        "import pyarrow as pa, sys\n"
        "from pathlib import Path\n"
        "from clvcast.atomic_files import write_files\n"
        "from clvcast.errors import StoreError\n"
        "try:\n"
        f"    write_files({{Path({str(disk)!r}) / 'f.csv': pa.table({{'a': range(99999)}})}})\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    script.write_text(
        f"set -e\nmount -t tmpfs -o size=64k tmpfs {disk}\necho old > {disk}/f.csv\n"
        f"{sys.executable} {work}\ncat {disk}/f.csv\nls -A {disk}\n"
    )
    unshare = shutil.which("unshare")
    command = [str(unshare), "--user", "--map-root-user", "--mount", "sh", str(script)]
    may_mount = unshare and subprocess.run([*command[:4], "true"], check=False).returncode == 0
    if not may_mount:
        missing("this system lets nobody mount a small disk (unshare --user --mount)")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "the disk is full; nothing was written" in done.stdout
    assert done.stdout.splitlines()[1:] == ["old", "f.csv"]
