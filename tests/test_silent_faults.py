"""Silent faults: found in random shops, not in clean ones; each threshold from both sides."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from conftest import Run
from faulty_shops import FAULTS, SHAPES, Export, add_fault, build_shop, write_export

import clvcast
from clvcast.commands.shop import warn_of_money
from clvcast.configs.schema import OrdersConfig, parse_orders_config
from clvcast.discovery.checks import amount_checks, customer_checks, order_checks, vocabulary
from clvcast.discovery.checks.finding import Finding
from clvcast.discovery.checks.shop_summary import ShopSummary, summarize_shop
from clvcast.discovery.checks.silent_faults import DETECTORS, find_silent_faults
from clvcast.discovery.checks.source_profile import (
    MOST_LINES,
    SourceProfile,
    profile_sources,
    profile_table,
)
from clvcast.orders.reading.read_orders import read_configured_orders, read_table

Detect = Callable[[SourceProfile], Finding]


def find_in(export: Export, folder: Path) -> dict[str, Finding]:
    config = parse_orders_config(write_export(export, folder))
    return {finding.name: finding for finding in find_silent_faults(profile_sources(config))}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_clean_shop_has_none(shape: str, tmp_path: Path) -> None:
    findings = find_in(build_shop(shape, 7), tmp_path)
    assert [f for f in findings.values() if f.verdict != "pass"] == []
    assert len(findings) == len(DETECTORS)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_found_and_its_mend_ends_the_warning(kind: str, tmp_path: Path) -> None:
    fault = FAULTS[kind]
    shape = fault.shapes[len(kind) % len(fault.shapes)]
    faulty = add_fault(build_shop(shape, 7), kind, 7)
    finding = find_in(faulty, tmp_path)[fault.finding]
    assert finding.verdict == "warn"
    assert finding.mend
    if faulty.mend:
        mended = {**faulty.orders, **faulty.mend}
        again = find_in(Export(shape, faulty.files, mended), tmp_path)
        assert again[fault.finding].verdict == "pass"


def read_summary(export: Export, folder: Path, **orders: Any) -> ShopSummary:
    config = parse_orders_config({**write_export(export, folder), **orders})
    now = datetime(2026, 1, 1)
    return summarize_shop(read_configured_orders(config), config, profile_sources(config), now)


def test_what_was_read_is_what_pandas_adds_up(tmp_path: Path) -> None:
    lines = make_orders(100).assign(status=["paid", "shipped"] * 50)
    lines.loc[99, "amount"] = -5.0
    lines.loc[98, "customer_id"] = ""
    columns = {name: name for name in make_orders(1)}
    export = Export("", {"a": lines}, {"columns": columns, "currency": "EUR"})
    summary = read_summary(export, tmp_path)
    used = lines.drop(98)
    assert (summary.lines_read, summary.lines_used) == (100, 99)
    assert (summary.orders, summary.returns, summary.customers) == (98, 1, 99)
    assert (summary.first_order, summary.last_order) == ("2024-01-01", "2024-01-05")
    assert summary.net_revenue == pytest.approx(used["amount"].sum())
    assert summary.net_revenue_by_month == {"2024-01": summary.net_revenue}
    assert summary.return_share == pytest.approx(5 / used["amount"].clip(lower=0).sum())
    assert (summary.top_customer, summary.currency) == ("c97", "EUR")
    assert summary.top_customer_share == pytest.approx(lines["amount"][97] / summary.net_revenue)
    assert summary.statuses == {"status": {"shipped": 50, "paid": 49}}


def test_empty_months_are_shown_too(tmp_path: Path) -> None:
    lines = make_orders(2).assign(ordered_at=pd.to_datetime(["2023-11-05", "2024-02-01"]))
    export = Export("", {"a": lines}, {"columns": {name: name for name in lines}})
    months = read_summary(export, tmp_path).net_revenue_by_month
    assert months == {"2023-11": 10.0, "2023-12": 0.0, "2024-01": 0.0, "2024-02": 10.37}


@pytest.mark.parametrize(("day", "remarks"), [("2025-12-02", 0), ("2025-12-01", 1)])
def test_orders_that_end_a_month_ago_are_remarked(day: str, remarks: int, tmp_path: Path) -> None:
    lines = make_orders(2).assign(ordered_at=pd.Timestamp(day))
    export = Export("", {"a": lines}, {"columns": {name: name for name in lines}})
    assert len(read_summary(export, tmp_path).remarks) == remarks
    stated = read_summary(export, tmp_path, complete_until="2025-12-20")
    assert stated.remarks == ()


def test_check_and_train_print_the_faults_with_their_mends(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    faulty = add_fault(build_shop("marketplace", 7), "no sales by status", 7)
    orders = write_export(faulty, tmp_path / "shop")
    config = tmp_path / "shop.yaml"
    config.write_text(yaml.safe_dump({"orders": orders, "effort": "quick", "horizon_days": 60}))
    status, out, _ = run("check", config)
    assert status == 0
    assert "What was read" in out
    assert "net revenue by month" in out
    assert "#####" in out
    (line,) = (line for line in out.splitlines() if line.startswith("      mend: orders.except:"))
    (mended,) = yaml.safe_load(line.partition("mend: orders.")[2]).values()
    assert {name: sorted(values) for name, values in mended.items()} == {
        name: sorted(values) for name, values in faulty.mend["except"].items()
    }
    status, out, _ = run("check", config, "--json")
    answer = json.loads(out)
    assert answer["read"]["lines_read"] == answer["read"]["lines_checked"]
    assert {f["name"] for f in answer["findings"] if f["mend"]} == {"status"}
    assert run("check", config, "--quiet")[1:] == ("", "")
    settings = clvcast.load_config(config)
    warnings = warn_of_money(settings, 100, silent=True)
    assert len(warnings) == 1
    assert "orders.except" in warnings[0]
    assert warn_of_money(settings, MOST_LINES, silent=True) == warnings
    assert warn_of_money(settings, MOST_LINES + 1, silent=True) == []


# thresholds


def make_orders(n: int) -> pd.DataFrame:
    """One line each of n orders of n customers, an hour apart, at amounts that differ."""
    return pd.DataFrame(
        {
            "customer_id": [f"c{k}" for k in range(n)],
            "ordered_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), unit="h"),
            "amount": 10.0 + np.arange(n) * 0.37,
            "order_id": [f"o{k}" for k in range(n)],
        }
    )


def verdict(detect: Detect, lines: pd.DataFrame, **orders: Any) -> str:
    config = parse_orders_config({"source": "-", **orders}) if orders else OrdersConfig()
    return detect(profile_table(lines, config)).verdict


def repeat_lines(lines: pd.DataFrame, positions: Any, times: int = 1) -> pd.DataFrame:
    """The lines, those at some positions again so many times, in their order."""
    again = [lines.iloc[list(positions)]] * times
    return pd.concat([lines, *again]).sort_index(kind="stable").reset_index(drop=True)


def test_totals_need_ten_orders_of_several_lines() -> None:
    detect = amount_checks.detect_totals_on_lines
    doubled = make_orders(100).assign(amount=lambda f: np.where(f.index < 10, 60.0, 30.0))
    assert verdict(detect, repeat_lines(doubled, range(9))) == "pass"
    assert verdict(detect, repeat_lines(doubled, range(10))) == "warn"
    assert verdict(detect, repeat_lines(doubled, range(10)), amount_per="order") == "pass"


def test_totals_are_equal_on_nine_of_ten_orders_and_grow() -> None:
    detect = amount_checks.detect_totals_on_lines
    orders = make_orders(100).assign(amount=lambda f: np.where(f.index < 20, 60.0, 30.0))
    lines = repeat_lines(orders, range(20))
    lines.loc[[1, 3], "amount"] = 61.0  # of two orders the second line differs
    assert verdict(detect, lines) == "warn"
    lines.loc[5, "amount"] = 61.0
    assert verdict(detect, lines) == "pass"
    prices = repeat_lines(make_orders(100).assign(amount=30.0), range(20))
    assert verdict(detect, prices) == "pass"  # two tickets at one price are no total


@pytest.mark.parametrize(("factor", "expected"), [(1.22, "pass"), (1.24, "warn")])
def test_a_total_grows_by_a_power_of_the_number_of_lines(factor: float, expected: str) -> None:
    orders = make_orders(100).assign(amount=lambda f: np.where(f.index < 20, 30.0 * factor, 30.0))
    lines = repeat_lines(orders, range(20))  # 2 ** 0.3 is 1.231
    assert verdict(amount_checks.detect_totals_on_lines, lines) == expected


@pytest.mark.parametrize(("others", "expected"), [(0, "pass"), (1, "pass"), (2, "warn")])
def test_a_second_currency_is_on_two_lines(others: int, expected: str) -> None:
    codes = make_orders(1_000).assign(currency=lambda f: np.where(f.index < others, "usd", "EUR"))
    assert verdict(amount_checks.detect_currencies, codes) == expected
    chosen = {"currency_column": "currency", "currency": "EUR"}
    assert verdict(amount_checks.detect_currencies, codes, **chosen) == "pass"
    signs = make_orders(1_000)
    signs["amount"] = [f"{'$' if k < others else '€'}{a}" for k, a in enumerate(signs["amount"])]
    written = {"format": {"decimal": "."}}
    assert verdict(amount_checks.detect_currencies, signs, **written) == expected


def test_a_second_currency_is_on_a_thousandth_of_the_lines() -> None:
    codes = make_orders(3_000).assign(currency=lambda f: np.where(f.index < 2, "USD", "EUR"))
    assert verdict(amount_checks.detect_currencies, codes) == "pass"
    codes.loc[2, "currency"] = "USD"
    assert verdict(amount_checks.detect_currencies, codes) == "warn"


@pytest.mark.parametrize(("orders", "expected"), [(4, "pass"), (5, "warn")])
def test_a_footer_holds_the_sum_of_five_other_lines(orders: int, expected: str) -> None:
    lines = make_orders(orders + 1)
    total = lines["amount"][:orders].sum()
    lines.loc[orders, "amount"] = total
    assert verdict(amount_checks.detect_footers, lines) == expected
    lines.loc[orders, "amount"] = total + 0.02
    assert verdict(amount_checks.detect_footers, lines) == "pass"


@pytest.mark.parametrize(("share", "expected"), [(0.19, "pass"), (0.21, "warn")])
def test_a_line_that_says_total_is_one_where_it_holds_a_fifth(share: float, expected: str) -> None:
    lines = make_orders(20)
    lines.loc[19, "customer_id"] = "Grand Total:"
    rest = lines["amount"][:19].sum()
    lines.loc[19, "amount"] = round(rest * share / (1 - share), 2)
    assert verdict(amount_checks.detect_footers, lines) == expected


@pytest.mark.parametrize(("several", "expected"), [(4, "pass"), (6, "warn")])
def test_order_ids_on_first_lines_are_a_twentieth_of_the_lines(several: int, expected: str) -> None:
    lines = repeat_lines(make_orders(100), range(several))
    lines["order_id"] = lines["order_id"].where(~lines["order_id"].duplicated())
    assert verdict(order_checks.detect_order_ids, lines) == expected


@pytest.mark.parametrize(("bare", "expected"), [(5, "pass"), (6, "warn")])
def test_lines_without_customer_and_order_id_are_a_twentieth(bare: int, expected: str) -> None:
    lines = repeat_lines(make_orders(100), range(bare))
    follows = lines["order_id"].duplicated()
    lines.loc[follows, ["customer_id", "order_id"]] = None
    assert verdict(order_checks.detect_order_ids, lines) == expected
    guests = lines.assign(order_id=lines["order_id"].fillna("till"))
    assert verdict(order_checks.detect_order_ids, guests) == "pass"


@pytest.mark.parametrize(("strays", "expected"), [(2, "warn"), (3, "pass")])
def test_lines_without_order_id_belong_to_the_line_above(strays: int, expected: str) -> None:
    lines = repeat_lines(make_orders(100), range(10))
    lines["order_id"] = lines["order_id"].where(~lines["order_id"].duplicated())
    lines.loc[lines.index[-strays:], "order_id"] = None
    assert verdict(order_checks.detect_order_ids, lines) == expected


@pytest.mark.parametrize(
    ("shared", "of", "expected"), [(1, 50, "pass"), (2, 201, "pass"), (2, 200, "warn")]
)
def test_order_ids_of_several_customers_are_a_fiftieth(shared: int, of: int, expected: str) -> None:
    lines = make_orders(of)
    lines.loc[: shared - 1, "order_id"] = lines["order_id"][-shared:].to_list()
    assert verdict(order_checks.detect_order_ids, lines) == expected


@pytest.mark.parametrize(
    ("orders", "days", "expected"), [(4, 3, "pass"), (4, 4, "warn"), (2, 9, "pass"), (3, 9, "warn")]
)
def test_an_order_spans_three_days_at_most(orders: int, days: int, expected: str) -> None:
    lines = make_orders(100)
    later = lines[:orders].assign(ordered_at=lambda f: f["ordered_at"] + pd.Timedelta(days=days))
    detect = order_checks.detect_order_ids
    assert verdict(detect, pd.concat([lines, later], ignore_index=True)) == expected
    back = later.assign(amount=-1.0)
    assert verdict(detect, pd.concat([lines, back], ignore_index=True)) == "pass"


@pytest.mark.parametrize(("failed", "expected"), [(1, "pass"), (2, "warn"), (1_901, "pass")])
def test_no_sales_are_a_thousandth_and_not_nearly_all(failed: int, expected: str) -> None:
    lines = make_orders(2_000).assign(Status=lambda f: np.where(f.index < failed, "Failed", "Paid"))
    assert verdict(order_checks.detect_no_sales, lines) == expected
    for filters in ({"except": {"Status": ["Failed"]}}, {"only": {"Status": ["Paid"]}}):
        assert verdict(order_checks.detect_no_sales, lines, **filters) == "pass"


@pytest.mark.parametrize(("known", "expected"), [(59, "pass"), (61, "warn")])
def test_a_column_is_of_a_status_where_most_values_say_so(known: int, expected: str) -> None:
    words = ["cancelled"] * 10 + ["paid"] * (known - 10) + ["blue"] * (100 - known)
    lines = make_orders(100).assign(what=words)
    assert verdict(order_checks.detect_no_sales, lines) == expected


def test_values_that_a_filter_keeps_are_looked_at() -> None:
    """A filter on a column says nothing of the values it does not list; the mend keeps the rest."""
    words = ["Storniert"] * 5 + ["void"] * 5 + ["Bezahlt"] * 90
    lines = make_orders(100).assign(Status=words, Kind="web")
    filters = {"Kind": ["test"], "Status": ["void"]}
    config = parse_orders_config({"source": "-", "except": filters})
    finding = order_checks.detect_no_sales(profile_table(lines, config))
    assert (
        "'Storniert' (5 lines), which sound like no sale, and nothing filters" in finding.sentence
    )
    assert finding.mend == "orders.except: {Kind: [test], Status: [void, Storniert]}"
    mended = {"except": {**filters, "Status": ["void", "storniert"]}}
    assert verdict(order_checks.detect_no_sales, lines, **mended) == "pass"
    kept = {"only": {"Status": ["Bezahlt", "Storniert"]}}
    assert verdict(order_checks.detect_no_sales, lines, **kept) == "warn"
    back = {"returns": {"Status": ["storniert", "void"]}}
    assert verdict(order_checks.detect_no_sales, lines, **back) == "pass"


@pytest.mark.parametrize("cells", [("Yes", "No"), ("TRUE", "FALSE"), ("1", "0"), (True, False)])
def test_a_flag_without_quotes_is_matched_as_files_spell_it(cells: tuple[Any, Any]) -> None:
    """YAML reads Yes as true."""
    lines = make_orders(100).assign(Cancelled=[cells[0]] * 5 + [cells[1]] * 95)
    for filters in ("except: {Cancelled: [Yes]}", "only: {Cancelled: [No]}"):
        config = parse_orders_config({"source": "-", **yaml.safe_load(filters)})
        profile = profile_table(lines, config)
        assert order_checks.detect_no_sales(profile).verdict == "pass"
        assert profile.n_lines == 95


def test_flags_of_no_sale() -> None:
    lines = make_orders(100).assign(is_test=lambda f: f.index < 3)
    finding = order_checks.detect_no_sales(profile_table(lines, OrdersConfig()))
    assert (finding.verdict, finding.mend) == ("warn", "orders.except: {is_test: ['true']}")
    assert verdict(order_checks.detect_no_sales, lines.assign(is_test=False)) == "pass"


@pytest.mark.parametrize(
    ("shared", "of", "expected"),
    [(2, 900, "pass"), (3, 900, "warn"), (3, 1_600, "pass"), (4, 1_600, "warn")],
)
def test_files_that_overlap_repeat_three_lines_and_a_five_hundredth(
    shared: int, of: int, expected: str, tmp_path: Path
) -> None:
    lines = make_orders(of)
    files = {"a": lines[: 500 + shared], "b": lines[500:]}
    source = {"columns": {name: name for name in lines.columns}}
    findings = find_in(Export("", files, source), tmp_path)
    assert findings["overlapping files"].verdict == expected
    dropped = find_in(Export("", files, {**source, "duplicates": "drop"}), tmp_path)
    assert dropped["overlapping files"].verdict == "pass"


@pytest.mark.parametrize(("orders", "expected"), [(1, "pass"), (2, "warn")])
def test_a_word_for_nobody_has_two_orders(orders: int, expected: str) -> None:
    lines = make_orders(100)
    lines.loc[: orders - 1, "customer_id"] = "Guest"
    assert verdict(customer_checks.detect_shared_ids, lines) == expected
    assert verdict(customer_checks.detect_shared_ids, lines, no_customer=["guest"]) == "pass"


def test_zero_is_nobody_unless_ids_are_counted_from_it() -> None:
    lines = make_orders(100).assign(customer_id=lambda f: (f.index // 2).astype(str))
    assert verdict(customer_checks.detect_shared_ids, lines) == "pass"
    lines["customer_id"] = lines["customer_id"].replace("1", "501")
    assert verdict(customer_checks.detect_shared_ids, lines) == "warn"


@pytest.mark.parametrize(
    ("orders", "of", "expected"),
    [(19, 300, "pass"), (20, 300, "warn"), (20, 401, "pass"), (20, 400, "warn")],
)
def test_a_shared_id_has_twenty_orders_and_a_twentieth_of_all(
    orders: int, of: int, expected: str
) -> None:
    lines = make_orders(of)
    lines.loc[: orders - 1, "customer_id"] = "c0"
    assert verdict(customer_checks.detect_shared_ids, lines) == expected


@pytest.mark.parametrize(
    ("largest", "power", "expected"), [(400, 1.0, "pass"), (100, 0.2, "pass"), (400, 0.2, "warn")]
)
def test_a_large_customer_is_measured_by_the_tail_of_the_others(
    largest: int, power: float, expected: str
) -> None:
    sizes = [largest, *(int(60 / k**power) for k in range(1, 60))]  # power 1: a wholesaler
    owner = np.repeat(np.arange(len(sizes)), sizes)
    lines = make_orders(len(owner)).assign(customer_id=[f"c{k}" for k in owner])
    assert verdict(customer_checks.detect_shared_ids, lines) == expected


@pytest.mark.parametrize(("customers", "expected"), [(59, "pass"), (60, "warn")])
def test_a_key_account_among_few_customers_is_no_exception(customers: int, expected: str) -> None:
    lines = make_orders(customers + 99)
    lines.loc[:99, "customer_id"] = "c0"
    assert verdict(customer_checks.detect_shared_ids, lines) == expected


@pytest.mark.parametrize(("people", "expected"), [(9, "pass"), (10, "warn")])
def test_an_id_with_ten_people_in_another_column(people: int, expected: str) -> None:
    lines = make_orders(400).assign(email=lambda f: "p" + f.index.astype(str) + "@x.example")
    lines.loc[: people - 1, "customer_id"] = "c0"
    assert verdict(customer_checks.detect_shared_ids, lines) == expected


@pytest.mark.parametrize(
    ("pairs", "of", "expected"), [(1, 100, "pass"), (2, 100, "warn"), (2, 900, "pass")]
)
def test_similar_ids_are_two_pairs_and_a_two_hundredth(pairs: int, of: int, expected: str) -> None:
    lines = make_orders(of)
    lines.loc[: pairs - 1, "customer_id"] = lines["customer_id"][-pairs:].str.upper().to_list()
    assert verdict(customer_checks.detect_similar_ids, lines) == expected
    assert verdict(customer_checks.detect_similar_ids, lines, customer_ids="folded") == "pass"


@pytest.mark.parametrize(("rounded", "expected"), [(0, "pass"), (1, "pass"), (2, "warn")])
def test_ids_in_e_notation(rounded: int, expected: str) -> None:
    lines = make_orders(1_000)
    lines.loc[: rounded - 1, "customer_id"] = ["4.9017E+11", "4.9018E+11"][:rounded]
    if rounded:
        assert verdict(customer_checks.detect_similar_ids, lines) == expected


def test_one_id_in_e_notation_with_many_lines() -> None:
    lines = make_orders(1_000)
    lines.loc[:3, "customer_id"] = "4.9017E+11"
    assert verdict(customer_checks.detect_similar_ids, lines) == "pass"
    lines.loc[:5, "customer_id"] = "4.9017E+11"
    assert verdict(customer_checks.detect_similar_ids, lines) == "warn"


@pytest.mark.parametrize(
    ("orders", "people", "expected"),
    [(30, 10, "pass"), (40, 10, "warn"), (400, 382, "pass"), (400, 377, "warn")],
)
def test_a_customer_id_per_order(orders: int, people: int, expected: str) -> None:
    lines = make_orders(orders)
    lines["email"] = [f"p{k % people}@x.example" for k in range(orders)]
    assert verdict(customer_checks.detect_customer_per_order, lines) == expected
    known = lines.assign(customer_id=lines["email"])
    assert verdict(customer_checks.detect_customer_per_order, known) == "pass"


def test_a_profile_of_many_lines_stops_and_says_so(tmp_path: Path) -> None:
    export = build_shop("single_line", 3)
    config = parse_orders_config(write_export(export, tmp_path))
    whole = profile_sources(config)
    assert not whole.is_capped
    assert not profile_sources(config, whole.n_lines_read).is_capped
    make_orders(10).to_csv(tmp_path / "zz.csv", index=False)
    assert profile_sources(config, 1).is_capped


def test_leading_zeros_also_behind_a_prefix() -> None:
    lines = make_orders(100)
    lines.loc[:3, "customer_id"] = ["K-007", "K-7", "K-010", "K-10"]
    finding = customer_checks.detect_similar_ids(profile_table(lines, OrdersConfig()))
    assert (finding.verdict, "leading zeros" in finding.sentence) == ("warn", True)
    lines.loc[:3, "customer_id"] = ["K-007", "K-70", "anna07@x.example", "anna7@x.example"]
    assert verdict(customer_checks.detect_similar_ids, lines) == "pass"


@pytest.mark.parametrize(("values", "expected"), [(59, "warn"), (60, "pass")])
def test_a_status_has_sixty_values_at_most(values: int, expected: str) -> None:
    lines = make_orders(600).assign(status=lambda f: "step " + (f.index % values).astype(str))
    lines.loc[:9, "status"] = "cancelled"
    assert verdict(order_checks.detect_no_sales, lines) == expected


@pytest.mark.parametrize(("mails", "expected"), [(80, []), (81, ["who"])])
def test_a_column_of_addresses_tells_people_apart(mails: int, expected: list[str]) -> None:
    who = [f"p{k}@x.example" if k < mails else f"p{k}" for k in range(100)]
    assert list(profile_table(make_orders(100).assign(who=who), OrdersConfig()).persons) == expected


@pytest.mark.parametrize(("length", "expected"), [(80, ["user"]), (81, [])])
def test_long_text_tells_nobody_apart(length: int, expected: list[str]) -> None:
    lines = make_orders(10).assign(user="x" * length)
    assert list(profile_table(lines, OrdersConfig()).persons) == expected


@pytest.mark.parametrize(("orders", "expected"), [(40, "pass"), (33, "warn")])
def test_people_on_an_id_are_three_of_ten_orders(orders: int, expected: str) -> None:
    lines = make_orders(140).assign(email=lambda f: f["customer_id"] + "@x.example")
    lines.loc[: orders - 1, "email"] = [f"p{k % 10}@x.example" for k in range(orders)]
    lines.loc[: orders - 1, "customer_id"] = "c0"
    few = lines.drop(index=range(orders, orders + 90))  # so few that only people count
    assert verdict(customer_checks.detect_shared_ids, few) == expected


@pytest.mark.parametrize(("orders", "expected"), [(95, "warn"), (96, "pass")])
def test_lines_without_order_id_are_not_nearly_all(orders: int, expected: str) -> None:
    lines = repeat_lines(make_orders(5), range(5), times=18)
    lines["order_id"] = lines["order_id"].where(~lines["order_id"].duplicated())
    more = [lines.iloc[[-1]]] * (orders - 90)
    assert verdict(order_checks.detect_order_ids, pd.concat([lines, *more])) == expected


def test_columns_of_any_type_stand_beside_the_mapped_ones() -> None:
    lines = pa.Table.from_pandas(make_orders(100), preserve_index=False)
    odd = {
        "status": pa.array(["paid"] * 98 + ["voided"] * 2).dictionary_encode(),
        "items": pa.array([[{"sku": "a"}]] * 100),
        "nothing": pa.nulls(100),
        "bytes": pa.array([b"x"] * 100),
        "lasted": pa.array(range(100), pa.duration("s")),
        "user": pa.array([None, *range(99)]),
        "tax": pa.array([1] * 100, pa.int8()).cast(pa.decimal128(5, 2)),
        "new": pa.array([True] * 100),
        "email": pa.array([f"p{k}@x.example" for k in range(100)], pa.string_view()),
    }
    for name, column in odd.items():
        lines = lines.append_column(name, column)
    twice = lines.append_column("status", pa.array(["paid"] * 100))
    profile = profile_table(lines, OrdersConfig())
    assert list(profile.persons) == ["user", "email"]
    warned = [f.name for f in find_silent_faults(profile) if f.verdict != "pass"]
    assert warned == ["status"]
    assert ["pass"] * len(DETECTORS) == [
        f.verdict for f in find_silent_faults(profile_table(twice, OrdersConfig()))
    ]


@pytest.mark.parametrize(
    ("label", "expected"),
    [("GUEST_USER", True), ("guest-checkout", True), ("Unknown customer", True), ("-1", True)]
    + [("noreply@x.example", True), ("Guest House Ltd", False), ("customer", True)]
    + [("customer 7", False), ("Anonymous Coffee", False), ("guesty", False)],
)
def test_words_for_nobody(label: str, expected: bool) -> None:
    assert vocabulary.is_placeholder(label) is expected
    assert vocabulary.is_no_customer(label) is expected


def test_zeros_are_nobody_where_a_file_has_many_of_them() -> None:
    assert [vocabulary.is_no_customer(label) for label in ("0", "000", "10", "")] == [
        *(True, True, False, False)
    ]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [("currency", ("Euro", "US Dollar"), "warn"), ("land", ("EUR", "USD"), "warn")]
    + [("land", ("USA", "DEU"), "pass"), ("land", ("MAD", "TRY"), "pass")]
    + [("currency_rate", ("1.00", "1.08"), "pass"), ("currency", ("EUR", ""), "pass")],
)
def test_columns_of_currencies(column: str, values: tuple[str, str], expected: str) -> None:
    lines = make_orders(100).assign(**{column: [values[k % 2] for k in range(100)]})
    assert verdict(amount_checks.detect_currencies, lines) == expected


@pytest.mark.parametrize(
    ("value", "column", "expected"),
    [
        ("Cancelled by buyer", "status", True),
        ("payment failed", "status", True),
        ("on-hold", "status", True),
        ("storniert", "Bestellstatus", True),
        ("annulée", "statut", True),
        ("已取消", "订单状态", True),
        ("キャンセル済", "ステータス", True),
        ("pending", "Fulfillment Status", False),
        ("cancelled", "Fulfillment Status", True),
        ("Completed", "status", False),
        ("refunded", "status", False),
        ("contest winner", "status", False),
    ],
)
def test_words_of_no_sale(value: str, column: str, expected: bool) -> None:
    assert vocabulary.is_no_sale(value, column) is expected


def test_the_summary_is_of_all_orders_read_whatever_is_stated_as_complete() -> None:
    lines = pd.DataFrame(
        {"customer_id": ["a", "b", "c"], "amount": 1.0}
        | {"ordered_at": ["2024-01-01", "2024-02-01", "2024-03-01"]}
    )
    config = parse_orders_config({"complete_until": "2024-01-15"})
    summary = summarize_shop(read_table(lines, config), config)
    assert (summary.orders, summary.net_revenue) == (3, 3.0)
