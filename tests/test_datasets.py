"""Data sets that are downloaded: checked, cached, and one sentence where that fails."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import missing

from clvcast import datasets
from clvcast.errors import StoreError

TEXT = b" customer_id date cds value\r\n 00001 19970101 1 11.77\r\n 00002 19970112 5 77.00\r\n"


def fake_pip(calls: list[list[str]], content: bytes | None) -> Any:
    """A pip that puts a wheel with the file into its folder, or finds none."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        calls.append(command)
        if content is not None:
            folder = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(folder / "lifetimes.whl", "w") as wheel:
                wheel.writestr("lifetimes/datasets/CDNOW_master.txt", content)
        return subprocess.CompletedProcess(command, 0 if content is not None else 1)

    return run


def test_cdnow_is_downloaded_once_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(datasets, "_CDNOW_SHA256", hashlib.sha256(TEXT).hexdigest())
    monkeypatch.setattr(subprocess, "run", fake_pip(calls, None))
    sentence = r"pip found no lifetimes==0\.11\.3; connect to a package index .* into "
    with pytest.raises(StoreError, match=sentence):
        datasets.load_cdnow(tmp_path)
    monkeypatch.setattr(subprocess, "run", fake_pip(calls, TEXT + b"\r\n"))
    with pytest.raises(StoreError, match="must have the sha256"):
        datasets.load_cdnow(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(subprocess, "run", fake_pip(calls, TEXT))
    orders = datasets.load_cdnow(tmp_path)
    assert "research and teaching; not to be redistributed" in capsys.readouterr().err
    assert orders["amount"].tolist() == [11.77, 77.0]
    assert orders["customer_id"].tolist() == ["00001", "00002"]
    assert orders["ordered_at"].astype(str).tolist() == ["1997-01-01", "1997-01-12"]
    assert orders.attrs["currency"] == "USD"
    datasets.load_cdnow(tmp_path)
    assert len(calls) == 3
    assert capsys.readouterr().err == ""
    (tmp_path / "CDNOW_master.txt").write_bytes(TEXT[:-3])  # damaged: fetched again
    assert len(datasets.load_cdnow(tmp_path)) == 2
    assert len(calls) == 4


@pytest.mark.slow
def test_cdnow_is_the_published_one(tmp_path: Path) -> None:
    try:
        orders = datasets.load_cdnow(tmp_path)
    except StoreError:
        missing("a package index with lifetimes 0.11.3")
    assert (len(orders), orders["customer_id"].nunique()) == (69_659, 23_570)
    assert orders["ordered_at"].max().isoformat() == "1998-06-30T00:00:00"
