"""Reading and validation: what is accepted, what is set aside, and what every fault says."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import clvcast
from clvcast.configs.schema import FormatConfig, OrdersConfig
from clvcast.errors import ConfigError, OrdersError
from clvcast.orders.reading import read_orders as reading
from clvcast.orders.reading.files import open_tables, read_blocks
from clvcast.orders.reading.read_orders import read_table

HEADER = "customer_id,ordered_at,amount,order_id"


def csv(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def good(n: int = 30) -> list[str]:
    return [f"c{k % 7},2020-01-{1 + k % 28:02d} 10:00:00,{10 + k}.50,o{k}" for k in range(n)]


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(OrdersError) as refusal:
        clvcast.read_orders(source, **options)
    return str(refusal.value)


LONG = "9" * 5_000


@pytest.mark.parametrize(
    ("header", "line", "cut"),
    [
        (HEADER, f"a,2020-01-01,{LONG},o", "'9{120}' ... \\(5,000 characters\\)"),
        (HEADER, f"a,{LONG},1,o", "'9{120}' ... \\(5,000 characters\\)"),
        (f"{LONG},ordered_at,amount", "a,2020-01-01,1", "found: 9{500} ... \\(5,020 characters\\)"),
    ],
)
def test_messages_cut_long_values(tmp_path: Path, header: str, line: str, cut: str) -> None:
    text = refused(csv(tmp_path / "long.csv", line, header=header))
    assert re.search(cut, text)
    assert len(text) < 700


@pytest.mark.parametrize("change", ["append", "replace", "add", "remove"])
def test_a_source_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Half of an order may be missing, and a row may be torn."""
    for name in ("a.csv", "b.csv"):
        csv(tmp_path / name, *good(40))

    def open_and_change(*arguments: Any, **options: Any) -> Any:
        for number, table in enumerate(open_tables(*arguments, **options)):
            yield table
            if number == 1:
                if change == "append":
                    with (tmp_path / "a.csv").open("a") as file:
                        file.write(good()[0] + "\n")
                elif change == "replace":
                    csv(tmp_path / "new", *good(40)).replace(tmp_path / "a.csv")
                elif change == "add":
                    csv(tmp_path / "c.csv", *good())
                else:
                    (tmp_path / "a.csv").unlink()

    monkeypatch.setattr(reading, "open_tables", open_and_change)
    assert "csv changed while it was read" in refused(tmp_path)


def test_parquet_csv_gzip_glob_and_folder_give_the_same_orders(tmp_path: Path) -> None:
    plain = csv(tmp_path / "all.csv", *good())
    (tmp_path / "zipped").mkdir()
    (tmp_path / "zipped" / "all.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    frame = pd.read_csv(plain, parse_dates=["ordered_at"])
    (tmp_path / "typed").mkdir()
    frame.to_parquet(tmp_path / "typed" / "all.parquet")
    (tmp_path / "parts").mkdir()
    csv(tmp_path / "parts" / "a.csv", *good()[:11])
    csv(tmp_path / "parts" / "b.csv", *good()[11:])
    expected = clvcast.read_orders(plain).digest()
    for source in ("zipped", "typed/all.parquet", "parts", "parts/*.csv", "zipped/all.csv.gz"):
        assert clvcast.read_orders(tmp_path / source).digest() == expected, source


def test_blocks_that_were_read_leave_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(4 << 20)
    table = pa.table({"amount": values})
    pa.parquet.write_table(table, tmp_path / "o.parquet", row_group_size=1 << 19)
    del table
    before = pa.total_allocated_bytes()
    held = [
        pa.total_allocated_bytes() - before
        for _ in read_blocks(tmp_path / "o.parquet", ["amount"], FormatConfig())
    ]
    assert len(held) == 8
    assert max(held) < values.nbytes / 2


def test_arithmetic_over_columns_never_evaluates_code(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", "a,2020-01-01,2,3.5", header="id,day,n items,price")
    columns = {"customer_id": "id", "ordered_at": "day", "amount": "(`n items` + 1) * price - .5"}
    assert clvcast.read_orders(path, columns).amounts.tolist() == [1000]
    for hostile in ("__import__('os')", "price ** 9", "price; price", "", "(price", "price price"):
        with pytest.raises(ConfigError, match="a column mapping is"):
            clvcast.read_orders(path, columns | {"amount": hostile})


def test_customer_ids_stay_text(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", *(f"{c},2020-01-01,1,o" for c in ("00123", "17850.0", " x ")))
    orders = clvcast.read_orders(path)
    assert orders.customer_ids.to_pylist() == ["00123", "17850", "x"]
    assert any("17850.0" in remark for remark in orders.report.remarks)
    table = pa.table(
        {
            "customer_id": pa.array([17850.0, None, 7.0]),
            "ordered_at": pa.array(["2020-01-01"] * 3),
            "amount": pa.array([1, 2, 3]),
        }
    )
    pa.parquet.write_table(table, tmp_path / "f.parquet")
    orders = clvcast.read_orders(tmp_path / "f.parquet")
    assert orders.customer_ids.to_pylist() == ["17850", "7"]
    assert orders.report.lines_without_customer == 1


@pytest.mark.parametrize("missing", ["", "NULL", "nan", "None", "N/A"])
def test_lines_without_a_customer_are_set_aside_and_never_stop_a_run(
    tmp_path: Path, missing: str
) -> None:
    path = csv(tmp_path / "o.csv", *good(), *[f"{missing},2020-02-01,5,o"] * 40)
    report = clvcast.read_orders(path).report
    assert report.lines_without_customer == 40
    assert report.lines_used == 30
    assert report.rejected_lines is not None
    assert report.rejected_lines["row"].to_pylist() == list(range(31, 71))


def test_a_few_bad_lines_are_set_aside_with_row_and_reason(tmp_path: Path) -> None:
    bad = ["c1,2020-13-01,5,o", "c1,2020-01-05,five,o", "c1,,5,o", "c1,2020-01-05,5,o,extra"]
    path = csv(tmp_path / "o.csv", *good(96), *bad)
    report = clvcast.read_orders(path).report
    assert report.lines_used == 96
    assert report.rejected_lines is not None
    found = {(row["row"], row["reason"], row["value"]) for row in report.rejected_lines.to_pylist()}
    assert found == {
        (97, "ordered_at is no date", "2020-13-01"),
        (98, "amount is no number", "five"),
        (99, "ordered_at is empty", ""),
        (100, "the line has another number of cells", None),
    }
    assert sum(report.rejected.values()) == 4


def test_more_bad_lines_than_allowed_stop_the_run_and_all_faults_are_told(tmp_path: Path) -> None:
    bad = ["c1,31/12/2019,5,o", "c1,2020-01-05,$5,o", "c1,2020-01-05,1e13,o"]
    message = refused(csv(tmp_path / "o.csv", *good(), *bad))
    assert "ordered_at must be a date: 1 line (rows 31), such as '31/12/2019'" in message
    assert "set orders.format.date_format: %d/%m/%Y" in message
    assert "amount must be a number: 1 line (rows 32), such as '$5'" in message
    assert "set orders.format.decimal" in message
    assert "amount must be an amount up to 1e12: 1 line (rows 33)" in message
    assert (
        "3 of 33 lines with a customer cannot be used; more than orders.max_rejected_share"
        in message
    )
    orders = clvcast.read_orders(tmp_path / "o.csv", max_rejected_share=0.2)
    assert orders.n_lines == 30


def test_missing_columns_are_named_with_the_nearest_names(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", "a,2020-01-01,1", header="CustomerID,InvoiceDate,Total")
    columns = {"customer_id": "CustomerId", "ordered_at": "InvoiceDat", "amount": "Total * Rate"}
    message = refused(path, columns=columns)
    assert "column 'CustomerId' for customer_id is missing; did you mean CustomerID?" in message
    assert "column 'InvoiceDat' for ordered_at is missing; did you mean InvoiceDate?" in message
    assert "column 'Rate' for amount is missing" in message


@pytest.mark.parametrize(
    ("cells", "mend", "option"),
    [
        (["31/12/2019"], "%d/%m/%Y", {"date_format": "%d/%m/%Y"}),
        (["12/31/2019"], "%m/%d/%Y", {"date_format": "%m/%d/%Y"}),
        (["31.12.2019 14:30"], "%d.%m.%Y %H:%M", {"date_format": "%d.%m.%Y %H:%M"}),
        (["1/5/2019 2:30 PM"], "%d/%m/%Y %I:%M %p", {"date_format": "%d/%m/%Y %I:%M %p"}),
        (["20191231"], "%Y%m%d", {"date_format": "%Y%m%d"}),
    ],
)
def test_dates_in_another_format_name_the_format_that_fits(
    tmp_path: Path, cells: list[str], mend: str, option: dict[str, str]
) -> None:
    path = csv(tmp_path / "o.csv", *(f"a,{cell},1,o" for cell in cells * 5))
    message = refused(path)
    assert "ordered_at must be a date: 5 lines (rows 1, 2, 3, ...)" in message
    assert f"set orders.format.date_format: {mend}" in message
    assert clvcast.read_orders(path, format=option).n_lines == 5


@pytest.mark.parametrize(
    ("cell", "decimal", "cents"),
    [
        ('"1.234,56"', ",", 123456),
        ("$5", ".", 500),
        ('"1,234.56"', ".", 123456),
        ('"12,50 €"', ",", 1250),
        ("(3.25)", ".", -325),
        ("EUR 7.00", ".", 700),
    ],
)
def test_amounts_written_otherwise_name_the_key_that_reads_them(
    tmp_path: Path, cell: str, decimal: str, cents: int
) -> None:
    path = csv(tmp_path / "o.csv", *[f"a,2020-01-01,{cell},o"] * 3)
    message = refused(path)
    assert "set orders.format.decimal: " in message
    assert f'"{decimal}"' in message
    assert clvcast.read_orders(path, format={"decimal": decimal}).amounts.tolist() == [cents] * 3


def test_an_empty_file_a_header_alone_and_no_customers(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    assert "is empty" in refused(tmp_path / "empty.csv")
    assert "holds no order lines" in refused(csv(tmp_path / "header.csv"))
    message = refused(csv(tmp_path / "anonymous.csv", ",2020-01-01,1,o"))
    assert "1 of 1 line name no customer" in message


def test_a_wrong_delimiter_or_encoding_names_its_key(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("customer_id;ordered_at;amount\na;2020-01-01;1\n")
    assert "set orders.format.delimiter: ';'" in refused(path)
    assert clvcast.read_orders(path, format={"delimiter": ";"}).n_lines == 1
    path.write_bytes("customer_id,ordered_at,amount\nJosé,2020-01-01,1\n".encode("cp1252"))
    assert "set orders.format.encoding: cp1252" in refused(path)
    orders = clvcast.read_orders(path, format={"encoding": "cp1252"})
    assert orders.customer_ids.to_pylist() == ["José"]
    path.write_bytes("customér_id,ordered_at,amount\nx,2020-01-01,1\n".encode("cp1252"))
    assert "set orders.format.encoding: cp1252" in refused(path)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("\ufeffcustomer_id,ordered_at,amount\na,2020-01-01,1\n", encoding="utf-8")
    assert clvcast.read_orders(path).n_lines == 1


def test_duplicate_lines_are_counted_and_kept_unless_dropped(tmp_path: Path) -> None:
    lines = [f"{line},note {k}" for k, line in enumerate(good(10))]
    again = [lines[0], lines[0], f"{good(10)[1]},another note"]
    path = csv(tmp_path / "o.csv", *lines, *again, header=f"{HEADER},note")
    kept, dropped = clvcast.read_orders(path), clvcast.read_orders(path, duplicates="drop")
    assert (kept.n_lines, kept.report.duplicate_lines) == (13, 3)
    assert any("3 lines repeat another in every mapped" in told for told in kept.report.remarks)
    # a line that differs in a column nobody mapped is another line
    assert (dropped.n_lines, dropped.report.duplicate_lines) == (11, 2)


def test_lines_with_lists_in_them_can_be_told_apart(tmp_path: Path) -> None:
    table = pa.table(
        {
            "customer_id": ["a", "a", "a"],
            "ordered_at": ["2020-01-01"] * 3,
            "amount": [1.0, 1.0, 1.0],
            "tags": [["x"], ["x"], ["y"]],
        }
    )
    pa.parquet.write_table(table, tmp_path / "o.parquet")
    orders = clvcast.read_orders(tmp_path / "o.parquet", duplicates="drop")
    assert (orders.n_lines, orders.report.duplicate_lines) == (2, 1)


def test_dates_in_the_future_or_before_1970_are_set_aside(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", *good(100), "a,2199-01-01,1,o", "a,1969-12-31,1,o")
    report = clvcast.read_orders(path).report
    assert report.rejected == {"ordered_at is before 1970": 1, "ordered_at is in the future": 1}


def test_times_with_an_offset_need_the_shops_zone(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", "a,2020-07-01T23:30:00Z,1,o", "a,2020-01-01 23:30:00+00:00,1,p")
    assert "set orders.timezone" in refused(path)
    orders = clvcast.read_orders(path, timezone="Europe/Paris")
    times = orders.times.view("datetime64[us]").astype(str).tolist()
    assert times == ["2020-01-02T00:30:00.000000", "2020-07-02T01:30:00.000000"]
    table = pa.table(
        {
            "customer_id": ["a"],
            "ordered_at": pa.array([1593646200_000000], pa.timestamp("us", tz="UTC")),
            "amount": [1.0],
        }
    )
    pa.parquet.write_table(table, tmp_path / "z.parquet")
    assert "set orders.timezone" in refused(tmp_path / "z.parquet")
    zoned = clvcast.read_orders(tmp_path / "z.parquet", timezone="Europe/Paris")
    assert zoned.times[0] == orders.times[1]


@pytest.mark.parametrize(
    ("date_format", "number"),
    [("unix", 1577880000), ("unix_ms", 1577880000000), ("excel", 43831.5)],
)
def test_numeric_dates_must_be_told(tmp_path: Path, date_format: str, number: float) -> None:
    table = pa.table({"customer_id": ["a"], "ordered_at": [number], "amount": [1.0]})
    path = tmp_path / "n.parquet"
    pa.parquet.write_table(table, path)
    assert f"set orders.format.date_format: {date_format}" in refused(path)
    told = {"format": {"date_format": date_format}}
    if date_format.startswith("unix"):  # they count in UTC
        assert "set orders.timezone" in refused(path, **told)
    orders = clvcast.read_orders(path, timezone="America/New_York", **told)
    hour = "12" if date_format == "excel" else "07"
    assert orders.times.view("datetime64[us]").astype(str)[0] == f"2020-01-01T{hour}:00:00.000000"


def test_dates_written_as_whole_numbers_are_read_by_their_format(tmp_path: Path) -> None:
    table = pa.table({"customer_id": ["a"], "ordered_at": [20110610], "amount": [1.0]})
    pa.parquet.write_table(table, tmp_path / "n.parquet")
    assert "set orders.format.date_format: %Y%m%d" in refused(tmp_path / "n.parquet")
    orders = clvcast.read_orders(tmp_path / "n.parquet", format={"date_format": "%Y%m%d"})
    assert orders.times.view("datetime64[us]").astype(str)[0] == "2011-06-10T00:00:00.000000"
    table = table.set_column(1, "ordered_at", pa.array([123]))
    pa.parquet.write_table(table, tmp_path / "n.parquet")
    assert "they are no dates" in refused(tmp_path / "n.parquet")


def test_a_wrong_format_setting_is_mended_too(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", *['a,31/12/2020,"1.234,56",o'] * 3)
    message = refused(path, format={"date_format": "%m/%d/%Y", "decimal": "."})
    assert "set orders.format.date_format: %d/%m/%Y" in message
    assert 'set orders.format.decimal: ","' in message
    offsets = csv(tmp_path / "z.csv", "a,31/12/2020 23:30 +0000,1,o")
    told = {"date_format": "%d/%m/%Y %H:%M %z"}
    assert "set orders.timezone" in refused(offsets, format=told)
    orders = clvcast.read_orders(offsets, format=told, timezone="Europe/Paris")
    assert orders.times.view("datetime64[us]").astype(str)[0] == "2021-01-01T00:30:00.000000"
    for wrong in ("mixed", "ISO8601", "%Q", "%d/%m"):
        with pytest.raises(ConfigError, match="must be a strptime format"):
            clvcast.read_orders(path, format={"date_format": wrong})


def test_a_comma_as_decimal_mark_leaves_no_point_that_is_none(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", *['a,2020-01-01,"3,5",o', "a,2020-01-01,12.50,o"])
    assert "amount must be a number: 1 line (rows 2), such as '12.50'" in refused(
        path, format={"decimal": ","}
    )


def test_a_mapping_that_fits_wins_over_our_own_names(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", "a,2020-01-01,2,3", header="customer_id,ordered_at,amount,qty")
    columns = {"customer_id": "customer_id", "ordered_at": "ordered_at", "amount": "amount * qty"}
    assert clvcast.read_orders(path, columns).amounts.tolist() == [600]
    assert "column 'cust' for customer_id is missing" in refused(
        path, columns=columns | {"customer_id": "cust"}
    )
    with pytest.raises(ConfigError, match="a column mapping is"):
        clvcast.read_orders(path, columns | {"amount": "amount @ 2"})


def test_the_share_of_bad_lines_is_of_those_with_a_customer(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", *good(5), *[",2020-01-01,1,o"] * 900, *["a,2020-01-01,x,o"] * 45)
    assert "45 of 50 lines with a customer cannot be used" in refused(path)


def test_columns_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    table = pa.table({"customer_id": [["a"]], "ordered_at": ["2020-01-01"], "amount": [True]})
    pa.parquet.write_table(table, tmp_path / "n.parquet")
    message = refused(tmp_path / "n.parquet")
    assert "column 'customer_id' must hold text, numbers or dates, got list" in message
    assert "column 'amount' must hold text, numbers or dates, got bool" in message


def test_categories_named_na_are_categories_and_customers_named_so_are_missing() -> None:
    lines = pd.DataFrame(
        {
            "customer_id": ["a", "NA", "b"],
            "ordered_at": "2020-01-01",
            "amount": 1.0,
            "category": ["NA", "x", ""],
        }
    )
    orders = read_table(lines, OrdersConfig())
    assert orders.customer_ids.to_pylist() == ["a", "b"]
    assert orders.texts["category"].to_text().to_pylist() == ["NA", None]


def test_sums_that_would_overflow_are_refused() -> None:
    lines = pd.DataFrame({"customer_id": "a", "ordered_at": "2020-01-01", "amount": [1e12] * 1000})
    with pytest.raises(OrdersError, match="all amounts together must stay below"):
        read_table(lines, OrdersConfig(currency_decimals=4))


def test_one_customer_with_most_of_the_revenue_is_a_remark(tmp_path: Path) -> None:
    orders = clvcast.read_orders(csv(tmp_path / "o.csv", *good(), "whale,2020-01-01,99999,o"))
    assert any("one customer holds" in remark for remark in orders.report.remarks)


def test_what_rounding_changes_is_counted(tmp_path: Path) -> None:
    path = csv(tmp_path / "o.csv", "a,2020-01-01,1.239,o", "a,2020-01-02,2.50,p")
    report = clvcast.read_orders(path).report
    assert report.rounded_lines == 1
    assert np.isclose(report.rounding_total, 0.001)


def test_sources_that_are_not_there_or_not_orders(tmp_path: Path) -> None:
    assert "there is no file or folder" in refused(tmp_path / "nowhere.csv")
    (tmp_path / "folder").mkdir()
    assert "holds no order files" in refused(tmp_path / "folder")
    assert "no order file" in refused(f"{tmp_path}/*.parquet")
    (tmp_path / "orders.pdf").touch()
    assert "must be in a .parquet" in refused(tmp_path / "orders.pdf")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    assert "damaged, or no parquet file" in refused(tmp_path / "broken.parquet")
    (tmp_path / "broken.csv.gz").write_bytes(gzip.compress(HEADER.encode() * 9999)[:60])
    assert "damaged gzip" in refused(tmp_path / "broken.csv.gz")
    csv(tmp_path / "folder" / "a.csv", *good())
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "folder" / "b.parquet")
    assert "two copies" in refused(tmp_path / "folder")


def test_the_sample_is_read_with_all_its_dirt(sample: clvcast.Orders) -> None:
    report = sample.report
    assert (report.lines_read, report.lines_without_customer) == (1_044_847, 235_287)
    assert (sample.n_customers, sample.n_lines) == (5_942, 809_560)
    assert (report.duplicate_lines, report.rounded_lines) == (11_678, 18)
    assert round(report.rounding_total, 4) == -0.018
