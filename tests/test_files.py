"""Files of every kind give the same orders; what is no order file is told in one sentence."""

from __future__ import annotations

import csv
import functools
import gzip
import http.server
import io
import os
import re
import sqlite3
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import needed

import clvcast
from clvcast.configs import addresses
from clvcast.configs.schema import FormatConfig
from clvcast.errors import ClvcastError, OrdersError, StoreError
from clvcast.orders.calendar import load_calendar
from clvcast.orders.reading import (
    empty_lines,
    file_contents,
    file_search,
    files,
    json_lines,
    parquet_files,
    rejected_lines,
    remote_files,
    text_files,
    workbooks,
)
from clvcast.orders.reading.files import read_blocks, read_column_names

HEADER = "customer_id,ordered_at,amount,order_id"


def make_lines(n: int = 30) -> pd.DataFrame:
    """Order lines whose ids look like numbers on some lines and not on others."""
    number = np.arange(n)
    return pd.DataFrame(
        {
            "customer_id": [f"{k % 7:03d}" if k % 7 else "José" for k in number],
            "ordered_at": pd.to_datetime("2024-01-01") + pd.to_timedelta(number * 25, unit="h"),
            "amount": 10.25 + number,
            "order_id": [f"C{k}" if k % 5 == 0 else str(k) for k in number],
        }
    )


def write_text(path: Path, delimiter: str = ",", encoding: str = "utf-8", above: str = "") -> None:
    text = make_lines().to_csv(index=False, sep=delimiter)
    path.write_text(above + text, encoding=encoding)


def write_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(make_lines().to_csv(index=False).encode()))


def write_json_lines(path: Path) -> None:
    make_lines().to_json(path, orient="records", lines=True, date_format="iso", date_unit="s")


def write_zip(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)


def write_workbook(path: Path, *sheets: list[list[Any]]) -> None:
    book = needed("openpyxl").Workbook()
    book.remove(book.active)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(path)


def list_rows(frame: pd.DataFrame) -> list[list[Any]]:
    """The rows as a person types them into a workbook: an id that looks like a number is one."""
    rows: list[list[Any]] = [list(frame.columns)]
    for line in frame.to_dict("records"):
        order = str(line["order_id"])
        line["order_id"] = int(order) if order.isdigit() else order
        rows.append(list(line.values()))
    return rows


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(ClvcastError) as refusal:
        clvcast.read_orders(source, **options)
    return str(refusal.value)


@pytest.fixture(scope="module")
def expected() -> str:
    return clvcast.read_orders(make_lines()).digest()


def write_hive(folder: Path) -> None:
    for name, part in make_lines().groupby("order_id"):
        one = folder / "orders" / f"order_id={name}"
        one.mkdir(parents=True)
        part.drop(columns="order_id").to_parquet(one / "part.parquet")


def write_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        make_lines().assign(ordered_at=lambda lines: lines["ordered_at"].astype(str)).to_sql(
            "orders", connection, index=False
        )
    connection.close()


def write_duckdb(path: Path) -> None:
    duckdb = needed("duckdb")
    lines = make_lines()
    with duckdb.connect(str(path)) as connection:
        connection.register("lines", pa.Table.from_pandas(lines, preserve_index=False))
        connection.execute("CREATE TABLE orders AS SELECT * FROM lines")


WRITERS: dict[str, Callable[[Path], None]] = {
    "o.csv": write_text,
    "o.tsv": lambda path: write_text(path, "\t"),
    "o.txt": lambda path: write_text(path, "\t"),
    "comma.txt": write_text,
    "o.csv.gz": write_gzip,
    "o.parquet": lambda path: make_lines().to_parquet(path),
    "o.jsonl": write_json_lines,
    "o.zip": lambda path: write_zip(
        path, orders__csv=make_lines().to_csv(index=False).encode(), README__md=b"notes"
    ),
    "o.xlsx": lambda path: write_workbook(path, list_rows(make_lines())),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_orders(tmp_path: Path, name: str, expected: str) -> None:
    if name.endswith(".xlsx"):
        needed("python_calamine")
    WRITERS[name](tmp_path / name)
    assert clvcast.read_orders(tmp_path / name).digest() == expected


def test_databases_and_partitions_give_the_same_orders(tmp_path: Path, expected: str) -> None:
    write_hive(tmp_path)
    write_sqlite(tmp_path / "shop.db")
    write_duckdb(tmp_path / "shop.duckdb")
    for source in (
        str(tmp_path / "orders"),
        f"sqlite:///{tmp_path}/shop.db#orders",
        f"duckdb:///{tmp_path}/shop.duckdb#orders",
    ):
        assert clvcast.read_orders(source).digest() == expected, source


@pytest.mark.parametrize("inner", ["o.parquet", "o.xlsx", "o.jsonl", "o.tsv"])
def test_a_zip_file_may_hold_a_table_of_any_kind(tmp_path: Path, inner: str, expected: str) -> None:
    if inner.endswith(".xlsx"):
        needed("python_calamine")
    WRITERS[inner](tmp_path / inner)
    with zipfile.ZipFile(tmp_path / "o.zip", "w") as archive:
        archive.write(tmp_path / inner, f"export/{inner}")
        archive.writestr("__MACOSX/export/._o.csv", b"x")
    assert clvcast.read_orders(tmp_path / "o.zip").digest() == expected


@pytest.mark.parametrize("real", ["o.csv.gz", "o.zip", "o.parquet", "o.xlsx"])
def test_a_file_is_read_by_what_it_is_and_not_by_its_name(
    tmp_path: Path, real: str, expected: str
) -> None:
    if real.endswith(".xlsx"):
        needed("python_calamine")
    WRITERS[real](tmp_path / real)
    (tmp_path / real).rename(tmp_path / "misnamed.csv")
    assert clvcast.read_orders(tmp_path / "misnamed.csv").digest() == expected


def test_a_gzip_that_a_browser_has_unpacked_is_read_too(tmp_path: Path, expected: str) -> None:
    write_text(tmp_path / "o.csv.gz")
    assert clvcast.read_orders(tmp_path / "o.csv.gz").digest() == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("o.parquet", b"customer_id,ordered_at\n", "o.parquet is damaged, or no parquet file"),
        ("o.xlsx", b"customer_id,ordered_at\n", "o.xlsx is damaged, or no xlsx file"),
        ("o.zip", b"customer_id,ordered_at\n", "o.zip is damaged, or no zip file"),
        ("o.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old or encrypted Excel file"),
        ("o.csv", b"PK\x03\x04 no", "o.csv is a damaged zip file"),
        ("o.csv", b"\x1f\x8b\x08\x00 no", "o.csv is a damaged gzip file"),
        ("o.csv", b"customer_id,\x00\x01\x02ordered_at" + b"x" * 99, "holds zero bytes"),
        ("o.csv", b"customer_id,ordered_at\n" + b"\0" * 9_999, "holds zero bytes"),
        ("o.jsonl", b"customer_id,ordered_at\n", "must hold a JSON object on each line"),
        ("o.jsonl", b"", "o.jsonl is empty"),
        ("o.csv", b"\n\n", "o.csv has no header"),
    ],
)
def test_what_no_reader_reads_is_told(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    told = refused(tmp_path / name)
    assert message in told
    assert "\n" not in told


def test_a_zip_file_must_hold_one_table(tmp_path: Path) -> None:
    write_zip(tmp_path / "none.zip", README__md=b"x")
    assert "must hold one table, it holds none; unpack it" in refused(tmp_path / "none.zip")
    write_zip(tmp_path / "two.zip", a__csv=b"x", b__csv=b"x")
    assert "it holds 2, such as a.csv and b.csv" in refused(tmp_path / "two.zip")
    write_zip(tmp_path / "twice.zip", a__csv__gz=b"x")
    assert "holds a.csv.gz, packed twice" in refused(tmp_path / "twice.zip")
    write_zip(tmp_path / "locked.zip", a__csv=b"customer_id")
    content = bytearray((tmp_path / "locked.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag that says so
    content[6] |= 1
    (tmp_path / "locked.zip").write_bytes(content)
    assert "locked.zip is encrypted" in refused(tmp_path / "locked.zip")


def test_a_note_beside_order_files_is_none_and_two_kinds_may_be_copies(
    tmp_path: Path, expected: str
) -> None:
    write_text(tmp_path / "o.csv")
    (tmp_path / "README.txt").write_text("notes")
    assert clvcast.read_orders(tmp_path).digest() == expected
    write_zip(tmp_path / "o.zip", a__csv=b"x")
    assert "holds .csv and .zip files, which may be two copies" in refused(tmp_path)
    (tmp_path / "texts").mkdir()
    write_text(tmp_path / "texts" / "o.txt", "\t")
    assert clvcast.read_orders(tmp_path / "texts").digest() == expected


def test_the_delimiter_of_tsv_and_txt_is_a_tab_where_the_header_has_some(tmp_path: Path) -> None:
    write_text(tmp_path / "o.txt", ";")
    assert "set orders.format.delimiter: ';'" in refused(tmp_path / "o.txt")
    assert clvcast.read_orders(tmp_path / "o.txt", format={"delimiter": ";"}).n_lines == 30
    write_text(tmp_path / "o.csv", "\t")
    assert r"set orders.format.delimiter: '\t'" in refused(tmp_path / "o.csv")


@pytest.mark.parametrize("name", ["o.csv", "o.zip", "o.csv.gz", "o.jsonl", "o.xlsx"])
def test_lines_above_the_header_are_skipped(tmp_path: Path, name: str, expected: str) -> None:
    above = 'Report "of orders\n\nmade, 2024-01-01\n'
    if name == "o.xlsx":
        needed("python_calamine")
        rows: list[list[Any]] = [["Report"], [], ["made", 2024], *list_rows(make_lines())]
        write_workbook(tmp_path / name, rows)
    elif name == "o.jsonl":
        write_json_lines(tmp_path / name)
        (tmp_path / name).write_text(above + (tmp_path / name).read_text())
    else:
        content = (above + make_lines().to_csv(index=False)).encode()
        if name == "o.zip":
            write_zip(tmp_path / name, o__csv=content)
        else:
            (tmp_path / name).write_bytes(gzip.compress(content) if name[-2:] == "gz" else content)
    told: dict[str, Any] = {"format": {"skip_lines": 3}}
    assert clvcast.read_orders(tmp_path / name, **told).digest() == expected
    if name != "o.jsonl":
        assert "is missing" in refused(tmp_path / name) or "header" in refused(tmp_path / name)


def test_rows_are_counted_from_the_header_whatever_stands_above(tmp_path: Path) -> None:
    lines = [f"c{k},2024-01-0{k},1" for k in range(1, 10)]
    lines[3] = "c4,2024-01-04"
    lines[6] = "c7,never,1"
    text = "a report\n\n" + 'customer_id,ordered_at,"amount\nin EUR"\n' + "\n".join(lines) + "\n"
    (tmp_path / "o.csv").write_text(text)
    columns = {"customer_id": "customer_id", "ordered_at": "ordered_at", "amount": "amount\nin EUR"}
    report = clvcast.read_orders(
        tmp_path / "o.csv", columns, format={"skip_lines": 2}, max_rejected_share=1
    ).report
    assert report.rejected_lines is not None
    assert sorted(report.rejected_lines["row"].to_pylist()) == [4, 7]


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz", "o.zip", "o.jsonl"])
def test_the_share_that_was_read_grows_to_one(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_BLOCK_BYTES", 300)
    monkeypatch.setattr(json_lines, "_BLOCK_LINES", 7)
    WRITERS[name](tmp_path / name)
    blocks = read_blocks(tmp_path / name, ["amount"], FormatConfig())
    shares = [block.share for block in blocks]
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert 0 < shares[0] <= shares[-1] == 1


def test_more_lines_skipped_than_there_are(tmp_path: Path) -> None:
    write_text(tmp_path / "o.csv")
    assert "no header after 99 skipped lines" in refused(
        tmp_path / "o.csv", format={"skip_lines": 99}
    )


def test_names_lose_spaces_and_a_byte_order_mark_and_must_stay_different(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(
        '\ufeff"customer_id" , ordered_at,\tamount \na,2024-01-01,1\n', encoding="utf-8"
    )
    assert read_column_names(path, FormatConfig()) == ["customer_id", "ordered_at", "amount"]
    assert clvcast.read_orders(path).n_lines == 1
    path.write_text("customer_id,ordered_at,amount, amount\na,2024-01-01,1,2\n")
    assert "column 'amount' stands twice" in refused(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_told_as_such_and_read(tmp_path: Path, encoding: str, expected: str) -> None:
    path = tmp_path / "o.csv"
    write_text(path, encoding=encoding)
    for wrong in ("utf-8", "cp1252"):
        told = refused(path, format={"encoding": wrong})
        assert f"got {encoding.upper()}; set orders.format.encoding: {encoding}" in told
    assert clvcast.read_orders(path, format={"encoding": encoding}).digest() == expected


def test_utf_16_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "_BLOCK_BYTES", 257)  # within a letter
    write_text(tmp_path / "o.csv", encoding="utf-16", above="x\n")
    orders = clvcast.read_orders(tmp_path / "o.csv", format={"encoding": "utf-16", "skip_lines": 1})
    assert orders.n_lines == 30


def test_partitions_are_columns_where_the_file_has_none_of_that_name(tmp_path: Path) -> None:
    for day in range(1, 10):
        folder = tmp_path / "hive" / f"dt=2024-01-0{day}" / "channel=a%2Fb"
        folder.mkdir(parents=True)
        table = pa.table(
            {"customer_id": [f"c{day}"], "amount": [10.0 + day - 1], "channel": ["own"]}
        )
        pa.parquet.write_table(table, folder / "p.parquet")
    columns = {"customer_id": "customer_id", "ordered_at": "dt", "amount": "amount"}
    orders = clvcast.read_orders(tmp_path / "hive", columns)
    assert (orders.n_lines, int(orders.amounts.sum())) == (9, 12600)
    assert (
        clvcast.read_orders(f"{tmp_path}/hive/*/*/*.parquet", columns).digest() == orders.digest()
    )
    with_channel = clvcast.read_orders(tmp_path / "hive", columns | {"channel": "channel"})
    assert with_channel.texts["channel"].values.to_pylist() == ["own"]
    dropped = clvcast.read_orders(tmp_path / "hive", columns, duplicates="drop")
    assert dropped.n_lines == 9


def test_a_partition_may_be_quoted_or_null(tmp_path: Path) -> None:
    for value in ("a%2Fb", "__HIVE_DEFAULT_PARTITION__"):
        folder = tmp_path / f"channel={value}"
        folder.mkdir()
        write_text(folder / "o.csv")
    channel = clvcast.read_orders(tmp_path).texts["channel"].to_text().to_pylist()
    assert {*channel} == {"a/b", None}


def test_a_line_that_is_no_json_object_is_set_aside(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "o.jsonl")
    with (tmp_path / "o.jsonl").open("a") as file:
        file.write('[1]\n\n{"customer_id": "z", "ordered_at"')
    report = clvcast.read_orders(tmp_path / "o.jsonl", max_rejected_share=0.1).report
    assert report.rejected == {"the line is no JSON object": 2}
    assert report.rejected_lines is not None
    assert report.rejected_lines["row"].to_pylist() == [31, 32]
    assert "2 lines have another number of cells, or are no JSON object" in refused(
        tmp_path / "o.jsonl", max_rejected_share=0
    )


def test_numbers_of_json_keep_their_digits(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text(
        '{"customer_id": 12345678901234567890, "ordered_at": "2024-01-01", "amount": 0.1}\n'
        '{"amount": 5, "customer_id": "x", "ordered_at": "2024-01-01T10:00:00", "more": {"a": 1}}\n'
    )
    orders = clvcast.read_orders(tmp_path / "o.jsonl")
    assert orders.customer_ids.to_pylist() == ["12345678901234567890", "x"]
    assert orders.amounts.tolist() == [10, 500]


def test_sheets_with_the_same_header_are_one_table(tmp_path: Path, expected: str) -> None:
    needed("python_calamine")
    header, *rows = list_rows(make_lines())
    path = tmp_path / "o.xlsx"
    write_workbook(path, [], [header, *rows[:10]], [["notes"], ["x"]], [header, *rows[10:]])
    assert clvcast.read_orders(path).digest() == expected
    write_workbook(path, [])
    assert "o.xlsx is empty" in refused(path)


def test_a_workbook_keeps_days_numbers_and_mixed_ids(tmp_path: Path) -> None:
    needed("python_calamine")
    day = pd.Timestamp("2024-01-02").date()
    rows: list[list[Any]] = [
        ["id", "day", "paid"],
        [7, day, 5],
        ["C8", pd.Timestamp("2024-01-03 10:00"), "6.5"],
    ]
    write_workbook(tmp_path / "o.xlsx", rows)
    columns = {"customer_id": "id", "ordered_at": "day", "amount": "paid"}
    orders = clvcast.read_orders(tmp_path / "o.xlsx", columns)
    assert orders.customer_ids.to_pylist() == ["7", "C8"]
    assert orders.amounts.tolist() == [500, 650]
    times = orders.times.view("datetime64[us]").astype(str).tolist()
    assert times == ["2024-01-02T00:00:00.000000", "2024-01-03T10:00:00.000000"]
    rows[2][2] = "1.234,50"
    rows.append(["C8", day, 1.25])  # a number of the sheet, whatever mark its texts have
    write_workbook(tmp_path / "o.xlsx", rows)
    orders = clvcast.read_orders(tmp_path / "o.xlsx", columns, format={"decimal": ","})
    assert sorted(orders.amounts.tolist()) == [125, 500, 123_450]


@pytest.mark.parametrize("cell", ["#REF!", "=1+1", "=SUM(C2:C3)"])
def test_a_workbook_with_errors_or_formulas_without_a_result_is_refused(
    tmp_path: Path, cell: str
) -> None:
    book = needed("openpyxl").Workbook()
    for row in (["customer_id", "ordered_at", "amount"], ["a", "2024-01-01", 5.0]):
        book.active.append(row)
    book.active.append(["b", "2024-01-02", cell])
    if cell.startswith("#"):
        book.active["C3"].data_type = "e"
    book.save(tmp_path / "o.xlsx")
    assert "cell C3 holds an error such as #REF!" in refused(tmp_path / "o.xlsx")


def test_a_workbook_whose_cells_lie_far_apart_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("python_calamine")
    book = needed("openpyxl").Workbook()
    book.active["A1"] = "customer_id"
    book.active["XFD1048576"] = 1
    book.save(tmp_path / "far.xlsx")
    assert "reaches to row 1,048,576 and column 16,384" in refused(tmp_path / "far.xlsx")
    write_workbook(tmp_path / "o.xlsx", list_rows(make_lines()))
    monkeypatch.setattr(workbooks, "_MOST_UNPACKED", 1000)
    assert "save it as CSV" in refused(tmp_path / "o.xlsx")


def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    write_zip(tmp_path / "o.xlsx", **{"xl/workbook__xml": b"<x/>"})
    assert "needs the package python-calamine: pip install 'clvcast[excel]'" in refused(
        tmp_path / "o.xlsx"
    )
    told = refused("s3://bucket/orders.csv")
    assert "needs packages that are not installed: pip install 'clvcast[cloud]'" in told


# what might not end


def limited(work: Callable[[], str], seconds: float = 20.0) -> str:
    """What a refusal says, if it comes in time."""
    begin = time.monotonic()
    told = work()
    assert time.monotonic() - begin < seconds
    assert "\n" not in told
    return told


def test_pipes_devices_and_folders_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is a named pipe" in limited(lambda: refused(tmp_path / "pipe.csv"))
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    assert "is a device" in limited(lambda: refused(tmp_path / "zero.csv"))
    assert "is a named pipe" in limited(lambda: refused(f"{tmp_path}/p*.csv"))
    (tmp_path / "folder.csv").mkdir()
    assert "holds no order files" in limited(lambda: refused(tmp_path / "folder.csv"))
    assert "is a folder" in limited(lambda: refused(f"{tmp_path}/f*.csv"))


@pytest.mark.parametrize("packed", ["gzip", "zip"])
def test_a_bomb_is_refused_when_it_unpacks_to_too_much(
    tmp_path: Path, packed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_contents, "_UNPACKED_FREELY", 1 << 20)
    content = (HEADER + "\n").encode() + b"a,2024-01-01,1,o\n" * 2_000_000
    path = tmp_path / "bomb.csv"
    if packed == "zip":
        write_zip(path, o__csv=content)
    else:
        path.write_bytes(gzip.compress(content))
    assert "unpacks to more than 100 times its size" in limited(lambda: refused(path))


def test_a_bomb_of_a_table_that_is_unpacked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lines().to_parquet(tmp_path / "o.parquet")
    with zipfile.ZipFile(tmp_path / "o.zip", "w") as archive:
        archive.write(tmp_path / "o.parquet", "o.parquet")
    monkeypatch.setattr(file_contents, "_MOST_IN_MEMORY", 1000)
    assert "unpacks to more than 1 GB" in refused(tmp_path / "o.zip")


@pytest.mark.parametrize("place", ["header", "cell", "line", "quote", "json"])
def test_a_line_without_end_is_refused(tmp_path: Path, place: str) -> None:
    size = 40 << 20
    path = tmp_path / ("o.jsonl" if place == "json" else "o.csv")
    with path.open("wb") as file:
        if place == "json":
            file.write(b'{"customer_id": "')
        elif place == "line":
            file.write((HEADER + "\n").encode())
        elif place == "quote":
            file.write((HEADER + '\na,"2024-01-01,1,o\n').encode())
        block = b"x" * 1000
        if place in ("header", "quote"):
            block = b"a," * 99 if place == "header" else b"a,2024-01-01,1,o\n" * 9
        for _ in range(size // len(block)):
            file.write(block)
    told = limited(lambda: refused(path))
    told_of = {"header": "header longer than 1 MB", "cell": "header that cannot be read"}
    assert told_of.get(place, "line longer than 16 MB") in told


# far away


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A server of the files of a folder, on this machine."""
    needed("fsspec")
    needed("aiohttp")
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A handler that logs nothing, and never answers where it is asked to."""

    def do_GET(self) -> None:
        if "silent" in self.path:
            time.sleep(5)
            return
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.mark.parametrize("name", ["o.csv", "o.parquet", "o.zip"])
def test_files_behind_an_address_are_read(
    tmp_path: Path, name: str, web: str, expected: str
) -> None:
    WRITERS[name](tmp_path / name)
    assert clvcast.read_orders(f"http://{web}/{name}").digest() == expected
    assert clvcast.read_orders(f"http://{web}/{name}?token=abc").digest() == expected


def test_files_that_cannot_be_fetched_are_told_without_secrets(
    tmp_path: Path, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refused(f"http://clv:hush@{web}/nowhere.csv?X-Amz-Signature=hush")
    assert f"there is no file http://clv:***@{web}/nowhere.csv?X-Amz-Signature=***" in told
    monkeypatch.setenv("SHOP_TOKEN", "hush")
    told = refused("http://127.0.0.1:1/orders.csv?t=${SHOP_TOKEN}")
    assert "or its store cannot be reached" in told
    assert "hush" not in told
    assert "names no order file" in refused(f"http://{web}/orders.pdf")
    with pytest.raises(ClvcastError, match="a query is asked of a database"):
        clvcast.read_orders(f"http://{web}/o.csv", query="SELECT 1")
    (tmp_path / "bad.csv").write_text(f"{HEADER}\na,never,1,o\n")
    assert f"http://clv:***@{web}/bad.csv" in refused(f"http://clv:hush@{web}/bad.csv")


def test_a_server_that_never_answers_is_left(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_files, "_ANSWER_SECONDS", 1.0)
    with pytest.raises(StoreError, match="did not answer within 1 seconds"):
        clvcast.read_orders(f"http://{web}/silent.csv")


def test_folders_globs_and_partitions_of_a_store(
    monkeypatch: pytest.MonkeyPatch, expected: str
) -> None:
    fsspec = needed("fsspec")
    monkeypatch.setattr(addresses, "_REMOTE_FILE", re.compile("memory://"))
    store = fsspec.filesystem("memory")
    for name, part in make_lines().groupby("order_id"):
        content = io.BytesIO()
        part.drop(columns="order_id").to_parquet(content)
        store.pipe(f"/shop/order_id={name}/part.parquet", content.getvalue())
    store.pipe("/shop/_SUCCESS", b"")
    assert clvcast.read_orders("memory://shop").digest() == expected
    assert clvcast.read_orders("memory://shop/*/*.parquet").digest() == expected
    store.pipe("/shop/o.csv", b"x")
    assert "holds .csv and .parquet files" in refused("memory://shop")
    store.rm("/shop", recursive=True)
    with pytest.raises(OrdersError, match="memory://shop"):
        clvcast.read_orders("memory://shop")


# cells


def amounts(tmp_path: Path, cells: list[str], decimal: str, **options: Any) -> list[int]:
    with (tmp_path / "o.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer_id", "ordered_at", "amount"])
        writer.writerows([f"c{k:02d}", "2024-01-01", cell] for k, cell in enumerate(cells))
    orders = clvcast.read_orders(tmp_path / "o.csv", format={"decimal": decimal}, **options)
    return [int(amount) for amount in orders.amounts]


def test_amounts_with_signs_and_groups_of_any_country(tmp_path: Path) -> None:
    written = {
        "R$ 12.50": 1250, "kr 12": 1200, "12 zł": 1200, "₹1,23,456.00": 12_345_600, "₺5": 500,
        "₽5": 500, "US$5": 500, "A$5": 500, "CHF 1'234.50": 123_450, "1\u2009234.5": 123_450,
        "(5.00)": -500, "($ 5.00)": -500, "-$5": -500, "$-5": -500, "5.00-": -500,
        "\u22125": -500, "Rs.500": 50_000, "$.50": 50, "12.- CHF": 1200, "500円": 50_000,
        "10,00,000": 100_000_000, "5 EUR": 500, "1e2": 10_000,
    }  # fmt: skip
    assert amounts(tmp_path, list(written), ".") == list(written.values())
    written = {
        "1.234,56 €": 123_456, "12,- €": 1200, "12,50 kr": 1250, "1 234 567,89 zł": 123_456_789,
        "(1.234,5)": -123_450, "EUR -5,5": -550, "1'234,5": 123_450,
    }  # fmt: skip
    assert amounts(tmp_path, list(written), ",") == list(written.values())


@pytest.mark.parametrize(
    "cell", ["12,50 kr", "A1001", "5 %", "(5", "--5", "(-5)", "1 2", "1,2,3", "1,23,4567", "five"]
)
def test_what_could_be_read_in_two_ways_is_no_number(tmp_path: Path, cell: str) -> None:
    message = refused_amount(tmp_path, cell)
    assert f"amount must be a number: 1 line (rows 1), such as {cell!r}" in message
    assert "holds no usable order line of 1: 1 amount is no number" in message
    assert "customer" not in message


def refused_amount(tmp_path: Path, cell: str) -> str:
    with pytest.raises(OrdersError) as refusal:
        amounts(tmp_path, [cell], ".", max_rejected_share=1)
    return str(refusal.value)


def test_dates_as_exports_write_them(tmp_path: Path) -> None:
    written = [
        ("45233.375", "excel", "2023-11-03T09:00:00.000000"),
        ("1699002000", "unix", "2023-11-03T09:00:00.000000"),
        ("1699002000000", "unix_ms", "2023-11-03T09:00:00.000000"),
        ("1699002000123456", "unix_us", "2023-11-03T09:00:00.123456"),
        ("20231103090000", "%Y%m%d%H%M%S", "2023-11-03T09:00:00.000000"),
        ("13/3/2023 9:05", "%d/%m/%Y %H:%M", "2023-03-13T09:05:00.000000"),
        ("Nov 3, 2023, 8:59:15 PM", "%b %d, %Y, %I:%M:%S %p", "2023-11-03T20:59:15.000000"),
        ("November 3, 2023", "%B %d, %Y", "2023-11-03T00:00:00.000000"),
        ("13/11/2023 09:05 UTC", "%d/%m/%Y %H:%M %z", "2023-11-13T09:05:00.000000"),
        ("13/11/2023 09:05 -0500", "%d/%m/%Y %H:%M %z", "2023-11-13T14:05:00.000000"),
        ("13/11/2023 09:05Z", "%d/%m/%Y %H:%M%z", "2023-11-13T09:05:00.000000"),
        ("2023-11-03 20:59:15 UTC", None, "2023-11-03T20:59:15.000000"),
        ("2023-11-03T20:59:15+00:00", None, "2023-11-03T20:59:15.000000"),
        ("2023-11-03 20:59:15 -0500", None, "2023-11-04T01:59:15.000000"),
    ]
    for cell, form, expected_time in written:
        path = tmp_path / "o.csv"
        path.write_text(f"customer_id;ordered_at;amount\na;{cell};1\n")
        text: dict[str, Any] = {"delimiter": ";"}
        if form is not None:
            assert f"set orders.format.date_format: {form}" in refused(path, format=text), cell
            text["date_format"] = form
        if form is None or "%z" in form or "unix" in form:
            assert "set orders.timezone" in refused(path, format=text)
        orders = clvcast.read_orders(path, format=text, timezone="UTC")
        assert orders.times.view("datetime64[us]").astype(str).tolist() == [expected_time], cell


def test_sheets_of_a_workbook_are_one_table_by_their_names(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    lines = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "ordered_at": ["2024-01-01", "2024-01-02"],
            "amount": [1.0, 2.0],
        }
    )

    def write(*sheets: pd.DataFrame) -> str:
        with pd.ExcelWriter(tmp_path / "orders.xlsx") as book:
            for number, sheet in enumerate(sheets):
                sheet.to_excel(book, sheet_name=f"sheet {number}", index=False)
        return str(tmp_path / "orders.xlsx")

    more = lines.assign(note="x")[["note", *lines.columns[::-1]]]
    assert clvcast.read_orders(write(lines, more)).amounts.sum() == 600
    notes = pd.DataFrame({"made by": ["the shop"]})
    assert clvcast.read_orders(write(lines, notes)).amounts.sum() == 300
    with pytest.raises(OrdersError, match="another header on sheet 2 than on the first"):
        clvcast.read_orders(write(lines, lines.rename(columns={"amount": "Amount"})))


def test_cells_merged_over_lines_are_refused_where_they_are_read(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    rows: list[list[Any]] = [["customer_id", "ordered_at", "amount", "note"]]
    rows += [["a", "2024-01-01", 1.5, "x"]]
    rows += [[None, "2024-01-02", 2, None], ["b", "2024-01-03", 3, None]]
    for row, cells in enumerate(rows, start=3):
        for column, cell in enumerate(cells, start=2):
            book.active.cell(row, column, cell)
    book.active.cell(1, 2, "Orders of January")
    book.active.merge_cells("B1:D2")  # a title
    book.active.merge_cells("E4:E6")  # a column that nobody reads
    text: dict[str, Any] = {"format": {"skip_lines": 1}}
    book.save(tmp_path / "o.xlsx")
    assert clvcast.read_orders(tmp_path / "o.xlsx", **text).amounts.sum() == 450  # of "a" and "b"
    book.active.merge_cells("A4:B5")
    book.save(tmp_path / "o.xlsx")
    with pytest.raises(OrdersError, match="cells of customer_id are merged in rows 4 to 5"):
        clvcast.read_orders(tmp_path / "o.xlsx", **text)


def test_a_file_that_claims_millions_of_empty_lines_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_files, "_BLOCK_LINES", 1_000)
    monkeypatch.setattr(empty_lines, "_MOST_EMPTY", 5_000)
    lines = make_lines().assign(amount=1.0)
    for empty in (None, ""):
        blank = pd.DataFrame({name: [empty] * 6_000 for name in lines}, dtype="object")
        blank.to_parquet(tmp_path / "o.parquet")
        assert "o.parquet: 6,000 lines in a row are empty in all of" in refused(
            tmp_path / "o.parquet"
        )
    few = pd.concat([pd.DataFrame({name: [None] * 5_000 for name in lines}), lines.astype(object)])
    few.astype({"amount": "float64", "ordered_at": "str"}).to_parquet(tmp_path / "o.parquet")
    orders = clvcast.read_orders(tmp_path / "o.parquet", max_rejected_share=1.0)
    assert orders.n_lines == len(lines)


def test_rejected_lines_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of Arrow holds 2 GB of text, and a reason stands on every line."""
    rows, ids = np.arange(7), pa.array([f"c{k}" for k in range(7)])
    whole = rejected_lines.build_rejected_table("f", rows, "why", "amount", ids, ids)
    monkeypatch.setattr(rejected_lines, "_MOST_ROWS", 3)
    pieces = rejected_lines.build_rejected_table("f", rows, "why", "amount", ids, ids)
    assert pieces.equals(whole)
    assert pieces["reason"].num_chunks == 3
    assert rejected_lines.build_rejected_table("f", rows[:0], "why").num_rows == 0


def test_more_files_than_can_be_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_search, "_MOST_FILES", 3)
    for k in range(3):
        (tmp_path / f"{k}.csv").write_text(f"{HEADER}\nc{k},2024-01-01,1,o{k}\n")
    (tmp_path / "note.pdf").touch()
    assert len(file_search.find_files(str(tmp_path))) == 3
    assert len(file_search.find_files(f"{tmp_path}/*")) == 3
    (tmp_path / "3.csv").write_text(HEADER)
    for source in (tmp_path, f"{tmp_path}/*.csv"):
        assert "names more than 3 order files; join them" in refused(source)


def test_a_line_whose_field_stands_twice_or_holds_half_a_character_is_set_aside(
    tmp_path: Path,
) -> None:
    line = '{"customer_id": "c", "ordered_at": "2024-01-01", "amount": 1, "order_id": "o"}'
    twice = line.replace('"order_id"', '"amount": 2, "order_id"')
    half = line.replace('"c"', r'"\uD800"')
    whole = line.replace('"c"', r'"\ud83d\ude00"')
    (tmp_path / "o.jsonl").write_text("\n".join([line, twice, half, whole]))
    orders = clvcast.read_orders(tmp_path / "o.jsonl", max_rejected_share=1.0)
    assert orders.customer_ids.to_pylist() == ["c", "\U0001f600"]
    assert orders.report.rejected == {"the line is no JSON object": 2}


def test_a_table_of_too_many_columns_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MOST_COLUMNS", 4)
    (tmp_path / "o.csv").write_text(f"{HEADER}\nc,2024-01-01,1,o\n")
    assert clvcast.read_orders(tmp_path / "o.csv").n_lines == 1
    (tmp_path / "o.csv").write_text(f"{HEADER},x\nc,2024-01-01,1,o,y\n")
    assert "o.csv has 5 columns, and orders have at most 4" in refused(tmp_path / "o.csv")


@pytest.mark.parametrize("key", ["exchange_rates", "customer_aliases", "calendar"])
def test_files_beside_the_orders_are_files_too(tmp_path: Path, key: str) -> None:
    make_lines().assign(cur="EUR").to_csv(tmp_path / "o.csv", index=False)
    (tmp_path / "endless.csv").symlink_to("/dev/zero")
    place = str(tmp_path / "endless.csv")
    if key == "calendar":
        assert "it is a device" in limited(lambda: refuse(lambda: load_calendar(place)))
        return
    settings: dict[str, Any] = {key: place}
    if key == "exchange_rates":
        settings |= {"currency_column": "cur", "currency": "EUR"}
    told = limited(lambda: refuse(lambda: clvcast.read_orders(tmp_path / "o.csv", **settings)))
    assert "it is a device" in told


def refuse(work: Callable[[], Any]) -> str:
    with pytest.raises(ClvcastError) as caught:
        work()
    return str(caught.value)


def test_a_long_chain_of_aliases_is_followed_once(tmp_path: Path) -> None:
    rows = "\n".join(f"c{k},c{k + 1}" for k in range(30_000))
    (tmp_path / "aliases.csv").write_text(f"old,new\n{rows}\n")
    (tmp_path / "o.csv").write_text(f"{HEADER}\nc0,2024-01-01,1,o\n")
    orders = limited(
        lambda: clvcast.read_orders(
            tmp_path / "o.csv", customer_aliases=str(tmp_path / "aliases.csv")
        ).customer_ids.to_pylist()[0]
    )
    assert orders == "c30000"
