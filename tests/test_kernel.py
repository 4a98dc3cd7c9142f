"""The kernel against the plain reference, and the laws features must obey, over random worlds."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import reference
import worlds
from hypothesis import assume
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import ConfigError
from clvcast.features import feature_frame
from clvcast.features import table as feature_table
from clvcast.features.catalogue import CATALOGUE, GROUPS
from clvcast.features.kernel.sweep import GROUP_ORDER
from clvcast.orders.reading.read_orders import read_table

CUTOFFS = ["2020-01-02", "2020-02-15", "2020-07-01", "2021-01-01 12:00", "2022-01-01"]
MONEY = {feature.name for feature in CATALOGUE if feature.unit == "money"}
CALENDAR = {f.name for f in CATALOGUE if f.group in ("calendar", "season")}


def build(lines: pd.DataFrame, cutoffs: list[str] = CUTOFFS) -> pd.DataFrame:
    table = clvcast.build_features(read_table(lines, OrdersConfig()), cutoffs)
    return table.set_index(["cutoff", "customer_id"])


@worlds.law(
    worlds.small_worlds(),
    st.lists(st.sampled_from(CUTOFFS), min_size=2, max_size=2, unique=True),
)
def test_the_kernel_equals_the_reference(lines: pd.DataFrame, tried: list[str]) -> None:
    table = build(lines)
    table = table[table.index.isin([pd.Timestamp(cutoff) for cutoff in tried], level="cutoff")]
    expected: dict[Any, dict[str, float]] = {}
    for cutoff in tried:  # the reference is slow
        for customer_id, own in lines.groupby("customer_id"):
            row = reference.features(own, cutoff)
            if row is not None:
                expected[pd.Timestamp(cutoff), customer_id] = row
    assert set(table.index) == set(expected)
    for key, row in expected.items():
        found: pd.Series = table.loc[key]
        assert set(found.index) == set(row)
        values = pd.Series(row, dtype=float)[found.index]
        same = np.isclose(found, values, rtol=2e-5, atol=2e-5, equal_nan=True)
        assert same.all(), (key, found[~same], values[~same])


@worlds.law(worlds.small_worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_lines_changes_nothing(lines: pd.DataFrame, random: object) -> None:
    shuffled = lines.sample(frac=1.0, random_state=random.randrange(2**31))  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(build(shuffled), build(lines), check_exact=True)


@worlds.law(worlds.small_worlds())
def test_nothing_at_or_after_a_cutoff_touches_its_rows(lines: pd.DataFrame) -> None:
    cutoff = CUTOFFS[2]
    before = lines[lines["ordered_at"] < pd.Timestamp(cutoff)]
    after = lines[lines["ordered_at"] >= pd.Timestamp(cutoff)].assign(amount=9e9, order_id="o1")
    assume(not before.empty)
    alone = build(before, [cutoff])
    pd.testing.assert_frame_equal(build(lines, [cutoff]), alone, check_exact=True)
    corrupted = pd.concat([before, after])
    pd.testing.assert_frame_equal(build(corrupted, [cutoff]), alone, check_exact=True)


@worlds.law(worlds.small_worlds())
def test_one_customer_alone_has_the_same_row(lines: pd.DataFrame) -> None:
    together = build(lines)
    for customer_id, own in lines.groupby("customer_id"):
        alone = build(own)
        same = together[together.index.get_level_values("customer_id") == customer_id]
        pd.testing.assert_frame_equal(alone, same, check_exact=True)


@worlds.law(worlds.small_worlds())
def test_doubled_amounts_double_the_money_features_alone(lines: pd.DataFrame) -> None:
    plain = build(lines)
    doubled = build(
        lines.assign(
            amount=lines["amount"] * 2, discount=lines["discount"] * 2, cost=lines["cost"] * 2
        )
    )
    for name in plain:
        expected = plain[name] * 2 if name in MONEY else plain[name]
        np.testing.assert_allclose(doubled[name], expected, rtol=1e-6, err_msg=name)


@worlds.law(worlds.small_worlds(), st.integers(1, 60))
def test_a_shift_by_whole_weeks_changes_calendar_features_alone(
    lines: pd.DataFrame, weeks: int
) -> None:
    shift = pd.Timedelta(weeks=weeks)
    moved = build(
        lines.assign(ordered_at=lines["ordered_at"] + shift),
        [str(pd.Timestamp(cutoff) + shift) for cutoff in CUTOFFS],
    )
    plain = build(lines)
    names = [name for name in plain if name not in CALENDAR] + ["weekend_share", "evening_share"]
    np.testing.assert_array_equal(moved[names].to_numpy(), plain[names].to_numpy())


@pytest.mark.parametrize("n_lines", [120, 300, 2000])
def test_a_long_history_with_orders_in_each_other_equals_the_reference(n_lines: int) -> None:
    random = np.random.default_rng(n_lines)
    minutes = pd.to_timedelta(random.integers(0, 400 * 1440, n_lines), unit="min")
    lines = pd.DataFrame(
        {
            "customer_id": "a",
            "ordered_at": (pd.Timestamp(worlds.FIRST_DAY) + minutes).astype("datetime64[us]"),
            "amount": random.integers(-2_000, 9_000, n_lines) / 100,
            "order_id": pd.array([f"o{k}" for k in random.integers(0, n_lines // 3, n_lines)]),
        }
    )
    lines.loc[::40, "order_id"] = None
    for name in ("product_id", "category", "channel", "quantity", "discount", "cost"):
        lines[name] = None
    lines = lines.astype(dict.fromkeys(("quantity", "discount", "cost"), "float64"))
    table = build(lines)
    for cutoff in CUTOFFS[1:4]:
        row = reference.features(lines, cutoff)
        assert row is not None
        found = cast(pd.Series, table.loc[pd.Timestamp(cutoff), "a"])
        values = pd.Series(row, dtype=float)[found.index]
        same = np.isclose(found, values, rtol=2e-5, atol=2e-5, equal_nan=True)
        assert same.all(), (found[~same], values[~same])


def test_the_kernel_knows_the_groups_of_the_catalogue() -> None:
    assert sorted(GROUP_ORDER) == sorted(group.name for group in GROUPS)


def test_all_cutoffs_in_one_sweep_equal_each_alone(shop_orders: clvcast.Orders) -> None:
    cutoffs = ["2020-06-01", "2020-09-01", "2021-01-15"]
    together = clvcast.build_features(shop_orders, cutoffs)
    alone = pd.concat([clvcast.build_features(shop_orders, [c]) for c in cutoffs])
    pd.testing.assert_frame_equal(together, alone.reset_index(drop=True), check_exact=True)


def test_some_groups_are_the_same_columns_of_all(shop_orders: clvcast.Orders) -> None:
    whole = clvcast.build_features(shop_orders, ["2020-09-01"])
    for groups in (["trend", "channels"], ["season"], ["trailing", "returns", "recency"], ["cost"]):
        some = clvcast.build_features(shop_orders, ["2020-09-01"], groups=groups)
        names = [f.name for f in CATALOGUE if f.group in groups and f.name in whole]
        pd.testing.assert_frame_equal(some, whole[["customer_id", "cutoff", *names]])


def test_a_group_there_is_not_is_refused_with_those_there_are(shop_orders: clvcast.Orders) -> None:
    with pytest.raises(ConfigError, match=r"among recency, .*; got 'rythm'"):
        clvcast.build_features(shop_orders, ["2020-09-01"], groups=["rythm"])


def test_many_orders_cut_by_cutoffs_do_not_outgrow_the_tables() -> None:
    """Each cutoff falls into each order: a stretch a cutoff, more than is gathered at a time."""
    days = np.arange(0, 600, 2)
    lines = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{k}" for k in range(40)], len(days)),
            "ordered_at": np.tile(pd.Timestamp(worlds.FIRST_DAY) + pd.to_timedelta(days, "D"), 40),
            "amount": 1.5,
            "order_id": np.tile([f"o{k % 7}" for k in range(len(days))], 40),
        }
    )
    cutoffs = [
        str((pd.Timestamp("2020-02-01") + pd.Timedelta(days=9 * k)).date()) for k in range(40)
    ]
    together = build(lines, cutoffs)
    alone = build(lines[lines["customer_id"] == "c7"], cutoffs)
    assert len(together) == 40 * len(alone) == 1600
    same = together[together.index.get_level_values("customer_id") == "c7"]
    pd.testing.assert_frame_equal(alone, same, check_exact=True)
    row = reference.features(
        lines[lines["customer_id"] == "c7"]
        .assign(
            **dict.fromkeys(("product_id", "category", "channel", "quantity", "discount", "cost"))
        )
        .astype(dict.fromkeys(("quantity", "discount", "cost"), "float64")),
        cutoffs[5],
    )
    assert row is not None
    found = cast(pd.Series, alone.loc[pd.Timestamp(cutoffs[5]), "c7"])
    np.testing.assert_allclose(found, pd.Series(row)[found.index], rtol=2e-5)


def test_blocks_are_the_table_in_parts(
    shop_orders: clvcast.Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    cutoffs = ["2020-03-01", "2020-09-01"]
    table = clvcast.build_features(shop_orders, cutoffs)
    monkeypatch.setattr(feature_frame, "_BLOCK_ROWS", 2 * (shop_orders.n_customers // 3))
    parts = list(clvcast.build_features(shop_orders, cutoffs, blocks=True))
    assert len(parts) in (3, 4)
    together = pd.concat(parts).sort_values(["cutoff", "customer_id"], kind="stable")
    pd.testing.assert_frame_equal(together.reset_index(drop=True), table)


def test_a_customer_with_returns_alone_leaves_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "c", "d", "e"],
            "ordered_at": pd.to_datetime(
                ["2020-01-05", "2020-01-06", "2020-01-07", "2020-02-07", "2020-02-08", "2020-01-09"]
            ),
            "amount": [10.0, -5.0, -5.0, 9.0, 8.0, 7.0],
            "order_id": list("123456"),
        }
    )
    cutoffs = ["2020-02-01", "2020-03-01"]
    whole = clvcast.build_features(lines, cutoffs)
    assert whole["customer_id"].tolist() == ["a", "e", "a", "c", "d", "e"]
    monkeypatch.setattr(feature_table, "_BLOCK_ROWS", 4)  # two customers
    pd.testing.assert_frame_equal(clvcast.build_features(lines, cutoffs), whole)
