"""What an order and a return are: one rule, and the kernel's incremental form equal to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.features.table import compute_feature_rows
from clvcast.orders import windows
from clvcast.orders.order_groups import count_orders, group_orders
from clvcast.orders.order_table import build_order_table
from clvcast.orders.reading.read_orders import read_table


def pack(lines: pd.DataFrame) -> clvcast.Orders:
    return read_table(lines, OrdersConfig())


@st.composite
def worlds_with_long_histories(draw: st.DrawFn) -> pd.DataFrame:
    """Small worlds, some with a customer of more lines than the kernel searches one by one."""
    lines = draw(worlds.small_worlds())
    if draw(st.booleans()):
        return lines
    random = np.random.default_rng(draw(st.integers(0, 99)))
    n = 300
    times = pd.Timestamp(worlds.FIRST_DAY) + pd.to_timedelta(random.integers(0, 90, n), unit="h")
    ids = pd.Series(random.integers(0, 80, n).astype(str), dtype="string")
    long = pd.DataFrame(
        {
            "customer_id": "long",
            "ordered_at": times.astype("datetime64[us]"),
            "amount": random.integers(-300, 400, n) / 100,
            "order_id": ids.where(random.random(n) < 0.8),
        }
    )
    return pd.concat([lines, long], ignore_index=True)


def cutoffs_of(orders: clvcast.Orders) -> np.ndarray:
    """Instants between lines, on lines and after all: orders are cut in two by some."""
    inside = np.quantile(orders.times, [0.2, 0.5, 0.8], method="nearest")
    return np.unique([*inside, inside[1] + 1, orders.times.max() + 1])


@worlds.law(worlds_with_long_histories())
def test_the_kernel_groups_lines_by_the_rule(lines: pd.DataFrame) -> None:
    orders = pack(lines)
    cutoffs = cutoffs_of(orders)
    rows = compute_feature_rows(orders, cutoffs)
    columns = ("n_orders", "n_returns", "returns_total", "days_since_last_order", "tenure_days")
    features = rows.columns(columns)
    seen = 0
    for index, cutoff in enumerate(cutoffs):
        ends = windows.find_positions(orders.times, orders.starts, np.array([cutoff]))[:, 0]
        groups = group_orders(orders, ends)
        for customer in range(orders.n_customers):
            own = slice(groups.starts[customer], groups.starts[customer + 1])
            net, times = groups.net[own], orders.times[groups.first_lines[own]]
            row = (rows.customer_index == customer) & (rows.cutoff_index == index)
            assert row.any() == (net > 0).any()
            if not row.any():
                continue
            ordered = times[net > 0]
            expected = [
                np.count_nonzero(net > 0),
                np.count_nonzero(net <= 0),
                -net[net <= 0].sum() / orders.unit,
                (cutoff - ordered.max()) / 86_400e6,
                (cutoff - ordered.min()) / 86_400e6,
            ]
            np.testing.assert_allclose(features[row][0], expected, rtol=1e-6)
            seen += 1
    assert seen == rows.n_rows


@settings(max_examples=25)
@given(worlds_with_long_histories())
def test_groups_cover_the_window_and_nothing_else(lines: pd.DataFrame) -> None:
    orders = pack(lines)
    for cutoff in cutoffs_of(orders):
        ends = windows.find_positions(orders.times, orders.starts, np.array([cutoff]))[:, 0]
        groups = group_orders(orders, ends)
        is_inside = windows.is_before(orders.times, cutoff)
        assert ((groups.group_of_line >= 0) == is_inside).all()
        assert groups.net.sum() == orders.amounts[is_inside].sum()
        # counting alone gives the same as the groups
        counts = np.add.reduceat(
            np.append(groups.net > 0, False), np.minimum(groups.starts[:-1], len(groups.net))
        ) * (np.diff(groups.starts) > 0)
        np.testing.assert_array_equal(count_orders(orders, orders.starts[:-1], ends), counts)
        table = build_order_table(orders, int(cutoff))
        np.testing.assert_array_equal(table.n_orders, counts)


def test_an_order_on_both_sides_of_a_cutoff_is_another_order_in_each_window() -> None:
    times = pd.to_datetime(["2020-01-01", "2020-01-20", "2020-01-21"])
    lines = pd.DataFrame(
        {"customer_id": "a", "ordered_at": times, "amount": [10.0, -30.0, 5.0], "order_id": "1"}
    )
    orders = pack(lines)
    assert group_orders(orders, np.array([1])).net.tolist() == [1000]
    assert group_orders(orders, np.array([3])).net.tolist() == [-1500]
    # windows may overlap: before the refund, from it on, all
    first, last = np.array([[0, 1, 0]]), np.array([[1, 3, 3]])
    assert count_orders(orders, first, last).tolist() == [[1, 0, 0]]
