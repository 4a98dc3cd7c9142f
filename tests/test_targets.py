"""Targets: spend and orders of each prediction window, nets and cut orders included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import assume, given, settings

from clvcast.configs.schema import OrdersConfig
from clvcast.errors import OrdersError
from clvcast.features.table import compute_feature_rows
from clvcast.features.targets import compute_line_values, compute_targets
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.dates import DAY, parse_instant
from clvcast.orders.reading.read_orders import read_table
from clvcast.orders.windows import slice_observed

HORIZON, PERIODS = 60, 3


def plain(lines: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> tuple[float, int]:
    """The same from the glossary, in pandas: net spend, and groups with a positive net amount."""
    inside = lines[(lines["ordered_at"] >= begin) & (lines["ordered_at"] < end)]
    cents = (inside["amount"] * 100).round().astype("int64")
    label = (
        inside["order_id"].astype(object).where(inside["order_id"].notna(), inside["ordered_at"])
    )
    return cents.sum() / 100, int((cents.groupby(label.map(repr)).sum() > 0).sum())


@settings(max_examples=25)
@given(worlds.small_worlds())
def test_targets_equal_the_plain_definition(lines: pd.DataFrame) -> None:
    orders = read_table(lines, OrdersConfig())
    cutoffs = np.array([parse_instant(c) for c in ("2020-02-01", "2020-06-15")])
    end = get_default_cutoff(orders)
    assume(orders.n_lines)
    rows = compute_feature_rows(slice_observed(orders, int(cutoffs[-1])), cutoffs)
    assume(rows.n_rows)
    found = compute_targets(orders, rows, cutoffs, HORIZON, PERIODS, end)
    for row in range(rows.n_rows):
        customer_id = rows.customer_ids[int(rows.customer_index[row])].as_py()
        own = lines[lines["customer_id"] == customer_id]
        cutoff = int(cutoffs[rows.cutoff_index[row]])
        for k in range(PERIODS):
            begin, stop = cutoff + k * HORIZON * DAY, cutoff + (k + 1) * HORIZON * DAY
            if stop > end:
                assert np.isnan(found.spend[row, k])
                assert np.isnan(found.n_orders[row, k])
                continue
            spend, count = plain(own, pd.Timestamp(begin, unit="us"), pd.Timestamp(stop, unit="us"))
            assert np.isclose(found.spend[row, k], spend)
            assert found.n_orders[row, k] == count


def test_the_value_ladder_by_hand() -> None:
    lines = pd.DataFrame(
        {
            "customer_id": "a",
            "ordered_at": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-02-02"]),
            "amount": [100.0, 80.0, -30.0],
            "order_id": ["1", "2", "2r"],
            "discount": [0.0, 20.0, 5.0],
            "cost": [60.0, 50.0, 10.0],
        }
    )
    orders = read_table(lines, OrdersConfig())
    cutoffs = np.array([parse_instant("2020-01-15")])
    rows = compute_feature_rows(slice_observed(orders, int(cutoffs[0])), cutoffs)
    end = parse_instant("2020-04-01")

    def realised(target: Any) -> float:
        return float(compute_targets(orders, rows, cutoffs, 30, 1, end, target).spend[0, 0])

    assert realised("spend") == 80 - 30
    assert realised("gross") == 80 + 20
    assert realised("before_discount") == 80 + 20 - 30 - 5
    assert realised("contribution") == (80 - 50) - (30 - 10)
    with pytest.raises(OrdersError, match="the target contribution needs the column cost"):
        compute_line_values(orders.keep_columns(["order_id"]), "contribution")
