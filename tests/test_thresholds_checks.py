"""Constants that decide something in the checks of data: numbers on both sides of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clvcast
from clvcast.configs.schema import CustomersConfig, OrdersConfig
from clvcast.errors import OrdersError
from clvcast.orders.reading.read_orders import read_table

Line = tuple[str, pd.Timestamp, float]
DAYS = list(pd.date_range("2020-01-06", periods=105))  # 15 weeks from a Monday


def find_verdict(lines: list[Line], name: str) -> str:
    table = pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount"])
    (finding,) = [f for f in clvcast.check(read_table(table, OrdersConfig())) if f.name == name]
    return finding.verdict


def order_once(n_customers: int, amount: float = 10.0, prefix: str = "c") -> list[Line]:
    return [(f"{prefix}{k}", DAYS[k % len(DAYS)], amount) for k in range(n_customers)]


@pytest.mark.parametrize(
    ("n_customers", "verdict"), [(49, "fail"), (50, "warn"), (999, "warn"), (1_000, "pass")]
)
def test_customers(n_customers: int, verdict: str) -> None:
    assert find_verdict(order_once(n_customers), "customers") == verdict


@pytest.mark.parametrize(("n_customers", "verdict"), [(20, "pass"), (21, "warn")])
def test_one_repeat_buyer_in_twenty_is_enough(n_customers: int, verdict: str) -> None:
    lines = [*order_once(n_customers), ("c0", DAYS[50], 10.0)]
    assert find_verdict(lines, "repeat buyers") == verdict


@pytest.mark.parametrize(("n_returns", "verdict"), [(30, "pass"), (31, "warn")])
def test_three_returns_in_ten_are_many(n_returns: int, verdict: str) -> None:
    lines = order_once(70) + order_once(n_returns, -5.0, prefix="r")
    # returns of customers who never ordered are not counted: each has an order beside it
    lines += [(f"r{k}", DAYS[k % len(DAYS)] + pd.Timedelta(hours=1), 5.0) for k in range(n_returns)]
    lines = [line for line in lines if line[0][0] == "r" or int(line[0][1:]) < 70 - n_returns]
    assert find_verdict(lines, "returns") == verdict


@pytest.mark.parametrize(("gap", "verdict"), [(14, "pass"), (15, "warn")])
def test_a_fortnight_without_an_order_is_a_gap(gap: int, verdict: str) -> None:
    days = DAYS[:40] + DAYS[40 + gap :]
    assert find_verdict([("c", day, 10.0) for day in days], "calendar") == verdict


@pytest.mark.parametrize(("n_lines", "verdict"), [(28, "pass"), (29, "warn")])
def test_a_week_with_more_than_four_times_the_lines_is_a_break(n_lines: int, verdict: str) -> None:
    """Seven lines in every week but the last, which has 28 or 29."""
    lines = [("c", day, 10.0) for day in DAYS]
    lines += [(f"d{k}", DAYS[-3], 10.0) for k in range(n_lines - 7)]
    assert find_verdict(lines, "breaks") == verdict


@pytest.mark.parametrize(
    ("closed_days", "weeks_apart", "verdict"),
    [(4, 52, "pass"), (3, 52, "warn"), (4, 51, "warn")],
)
def test_a_closing_in_the_same_week_of_two_years_is_no_break(
    closed_days: int, weeks_apart: int, verdict: str
) -> None:
    """Twelve lines on each day; closed in week 60 for all days, and for some a year before."""
    days = pd.date_range("2020-01-06", periods=70 * 7)
    week = np.arange(len(days)) // 7
    earlier = (week == 60 - weeks_apart) & (days.day_of_week < closed_days)
    lines = [("c", day, 10.0) for day in days[(week != 60) & ~earlier] for _ in range(12)]
    assert find_verdict(lines, "breaks") == verdict


@pytest.mark.parametrize(("n_rows", "is_refused"), [(20, False), (19, True)])
def test_one_bad_fact_in_twenty_is_taken_as_missing(n_rows: int, is_refused: bool) -> None:
    points = ["many", *(str(k) for k in range(n_rows - 1))]
    facts = pd.DataFrame({"id": [f"c{k}" for k in range(n_rows)], "points": points})
    config = CustomersConfig(
        columns={"customer_id": "id", "points": "points"}, types={"points": "number"}
    )
    table = pd.DataFrame(order_once(20), columns=["customer_id", "ordered_at", "amount"])
    orders = read_table(table, OrdersConfig())
    if is_refused:
        with pytest.raises(OrdersError, match="points must be a number"):
            clvcast.join_customers(orders, facts, config)
    else:
        assert clvcast.join_customers(orders, facts, config).attributes is not None
