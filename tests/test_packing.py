"""Packing: codes by value, one canonical order, nothing lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import worlds
from hypothesis import given
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.orders.reading.label_encoding import encode_ids, encode_labels
from clvcast.orders.reading.read_orders import read_table


def packed(lines: pd.DataFrame) -> clvcast.Orders:
    return read_table(lines, OrdersConfig())


@given(st.lists(st.sampled_from(["b", "a", "10", "9", "", "é", None]), max_size=30))
def test_codes_are_ranks_of_the_sorted_values(values: list[str | None]) -> None:
    column = encode_labels(pa.array(values, pa.string()))
    labels = column.labels.to_pylist()
    assert labels == sorted({v for v in values if v is not None}, key=lambda v: v.encode())
    assert [labels[c] if c >= 0 else None for c in column.codes] == values


@given(st.lists(st.integers(0, 10**17) | st.integers(0, 200), min_size=1, max_size=30))
def test_whole_numbers_are_coded_as_the_text_they_are(values: list[int]) -> None:
    numbers, _ = encode_ids(pa.chunked_array([pa.array(values)]), nulls_by_name=False)
    texts, _ = encode_ids(pa.chunked_array([pa.array(list(map(str, values)))]), nulls_by_name=False)
    assert numbers.labels.to_pylist() == texts.labels.to_pylist() == sorted(set(map(str, values)))
    assert numbers.codes.tolist() == texts.codes.tolist()


@worlds.law(worlds.small_worlds())
def test_lines_are_all_there_in_the_canonical_order(lines: pd.DataFrame) -> None:
    orders = packed(lines)
    keys = ["customer_id", "ordered_at", "order_id", "product_id", "amount"]
    expected = lines.sort_values(keys, na_position="first", kind="stable")
    customer = orders.customer_ids.take(pa.array(orders.customer_of_line()))
    assert customer.to_pylist() == expected["customer_id"].tolist()
    assert (orders.times.view("datetime64[us]") == expected["ordered_at"].to_numpy()).all()
    np.testing.assert_array_equal(orders.amounts, np.rint(expected["amount"] * 100))


@worlds.law(worlds.small_worlds(), st.integers(0, 2**31))
def test_the_digest_depends_on_the_lines_not_on_their_order(lines: pd.DataFrame, seed: int) -> None:
    shuffled = lines.sample(frac=1.0, random_state=seed)
    assert packed(shuffled).digest() == packed(lines).digest()
    changed = lines.assign(amount=lines["amount"] + 0.01)
    assert packed(changed).digest() != packed(lines).digest()


@worlds.law(worlds.small_worlds())
def test_two_disjoint_sets_of_customers_concatenate(lines: pd.DataFrame) -> None:
    other = lines.assign(customer_id=lines["customer_id"] + "2")
    cutoffs = ["2020-06-01", "2021-06-01"]
    both = clvcast.build_features(packed(pd.concat([lines, other])), cutoffs)
    parts = [clvcast.build_features(packed(part), cutoffs) for part in (lines, other)]
    expected = pd.concat(parts).sort_values(["cutoff", "customer_id"])
    pd.testing.assert_frame_equal(both, expected.reset_index(drop=True), check_exact=True)


def lines_of_few_instants() -> st.SearchStrategy[pd.DataFrame]:
    """A few lines of two customers that tie in most columns, or many."""
    cells = st.tuples(
        st.sampled_from(["c", "d"]),
        st.sampled_from(["2020-01-01", "2020-01-01", "2020-01-02"]),
        *(st.sampled_from([None, "a", "b"]) for _ in range(4)),
        st.sampled_from([1.0, 2.0]),
        *(st.sampled_from([np.nan, 0.0, -0.0, 2.0]) for _ in range(3)),
    )
    names = ["customer_id", "ordered_at", "order_id", "product_id", "category", "channel", "amount"]
    names += ["quantity", "discount", "cost"]
    sizes = st.sampled_from([1, 2, 5, 20, 60, 120])
    rows = sizes.flatmap(lambda size: st.lists(cells, min_size=size, max_size=size))
    return rows.map(lambda found: pd.DataFrame(found, columns=names))


@worlds.law(lines_of_few_instants(), st.booleans())
def test_ties_are_broken_by_every_column_be_they_few_or_many(
    lines: pd.DataFrame, by_time: bool
) -> None:
    # in either order of arrival: by time each instant is sorted by itself, else all lines at once
    arrived = lines.sort_values("ordered_at", kind="stable") if by_time else lines
    orders = packed(arrived)
    texts, numbers = ["category", "channel"], ["quantity", "discount", "cost"]
    keys = ["customer_id", "ordered_at", "order_id", "product_id", "amount", *texts, *numbers]
    ranks = lines[keys].copy()
    for name in ("order_id", "product_id", *texts):
        ranks[name] = lines[name].map({"a": 1, "b": 2}).fillna(0)  # missing first
    expected = ranks.sort_values(keys, na_position="last").reset_index(drop=True)
    for name in ("order_id", "product_id", *texts):
        labels = dict(enumerate(orders.texts[name].labels.to_pylist()))
        found = [{"a": 1, "b": 2}.get(labels.get(c, ""), 0) for c in orders.texts[name].codes]
        assert found == expected[name].tolist()
    for name in numbers:
        np.testing.assert_array_equal(orders.numbers[name], expected[name])
    assert orders.amounts.tolist() == (expected["amount"] * 100).astype(int).tolist()
    repeated = int(lines.fillna(dict.fromkeys(numbers, -1.0)).duplicated().sum())
    assert orders.report.duplicate_lines == repeated
    assert packed(lines.sample(frac=1.0, random_state=0)).digest() == orders.digest()
