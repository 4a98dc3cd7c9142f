"""Constants that decide something in decisions/: a number just below and just above each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from forecast_files import forecast_file

import clvcast
from clvcast.configs.lists import DEFAULT_RULES
from clvcast.configs.schema import parse_config
from clvcast.decisions.acquisition_spend import coerce_spend
from clvcast.decisions.customer_base import open_customer_base
from clvcast.decisions.kpis import compute_measures
from clvcast.decisions.lever_sensitivity import compute_sensitivity
from clvcast.decisions.list_columns import build_list_columns
from clvcast.decisions.payback import estimate_reach_probability
from clvcast.decisions.period_counts import GroupSums
from clvcast.decisions.retention_value import describe_retention_value, read_retention_value
from clvcast.errors import OrdersError
from clvcast.orders.reading.read_orders import read_table

CUTOFF = "2021-01-01"
CONFIG = clvcast.Config()


def read(
    *lines: tuple[object, ...], columns: str = "customer_id ordered_at amount"
) -> clvcast.Orders:
    return read_table(pd.DataFrame(lines, columns=columns.split()), CONFIG.orders)


def two_customers() -> tuple[pd.DataFrame, clvcast.Orders]:
    orders = read(("a", "2020-11-01", 100.0), ("b", "2020-12-01", 50.0))
    return forecast_file(orders, CUTOFF).assign(clv=100.0), orders


@pytest.mark.parametrize(
    ("churn", "gain"),
    [(0.5, 60 * 0.01), (0.01, 60 * 0.01), (0.004, 60 * 0.004), (1.0, 60 * 0.01)],
)
def test_a_point_of_churn_is_at_most_what_is_left_of_it(churn: float, gain: float) -> None:
    forecasts, orders = two_customers()
    levers = compute_sensitivity(
        open_customer_base(
            forecasts.assign(churn_probability=churn, retention_value=60.0), orders, CONFIG
        )
    )
    shop = levers[levers["dimension"] == "shop"].set_index("lever")
    assert shop.loc["churn", "value"] == pytest.approx(2 * gain)
    for lever in ("aov", "purchase_frequency", "margin"):
        assert shop.loc[lever, "value"] == pytest.approx(2.0)
        assert shop.loc[lever, "share_of_clv"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("churn", "kept"), [(0.5, 200.0), (0.989, 100 / 0.011), (0.991, 10_000.0), (1.0, 10_000.0)]
)
def test_without_retention_value_its_bound_stands_in(churn: float, kept: float) -> None:
    """Of files of 0.1.0; a chance to stay below a hundredth counts as one."""
    forecasts, orders = two_customers()
    made = forecasts.assign(churn_probability=churn).drop(columns="retention_value")
    base = open_customer_base(made, orders, CONFIG)
    numbers = build_list_columns(base).numbers
    assert numbers["retention_value"].tolist() == pytest.approx([kept] * 2)
    assert numbers["value_at_risk"].tolist() == pytest.approx([churn * kept] * 2)
    assert "upper bound" in describe_retention_value(base)[0]
    full = open_customer_base(forecasts.assign(retention_value=60.0), orders, CONFIG)
    assert read_retention_value(full).tolist() == [60.0] * 2
    assert describe_retention_value(full) == []
    of_btyd = replace(full, terms=full.terms.model_copy(update={"retention_source": "btyd"}))
    assert "BTYD alone" in describe_retention_value(of_btyd)[0]


def test_the_fifty_busiest_categories_are_looked_at() -> None:
    """50 categories of two lines, which `a` bought all; a 51st has one line and is not missed."""
    columns = "customer_id ordered_at amount order_id category"
    lines = [
        (name, "2020-10-05", 10.0, f"{name}{k}", f"k{k:02d}") for k in range(50) for name in "ab"
    ]
    orders = read(*lines, ("c", "2020-11-05", 10.0, "c0", "rare"), columns=columns)
    base = open_customer_base(forecast_file(orders, CUTOFF), orders, CONFIG)
    assert build_list_columns(base).texts["missing_category"].to_pylist() == [None, None, "k00"]
    fewer = [line for line in lines if line[-1] != "k49"]
    orders = read(*fewer, ("c", "2020-11-05", 10.0, "c0", "rare"), columns=columns)
    base = open_customer_base(forecast_file(orders, CUTOFF), orders, CONFIG)
    missing = build_list_columns(base).texts["missing_category"].to_pylist()
    assert missing == ["rare", "rare", "k00"]


@pytest.mark.parametrize(
    ("spend", "is_refused"), [(-0.01, True), (0, False), (1e12, False), (1.01e12, True)]
)
def test_spend_is_between_0_and_1e12(spend: float, is_refused: bool) -> None:
    table = pd.DataFrame({"channel": ["web"], "month": ["2020-07"], "spend": [spend]})
    if is_refused:
        with pytest.raises(OrdersError, match="at least 0 and at most 1e12"):
            coerce_spend(table, unit=100.0)
    else:
        assert coerce_spend(table, unit=100.0).amounts.tolist() == [spend * 100]


@pytest.mark.parametrize(
    ("n_faults", "more"), [(5, None), (6, "and 1 fault more"), (7, "and 2 faults more")]
)
def test_five_faults_of_spend_are_named(n_faults: int, more: str | None) -> None:
    table = pd.DataFrame({"channel": "web", "month": "2020-07", "spend": [-1.0] * n_faults})
    with pytest.raises(OrdersError) as caught:
        coerce_spend(table, unit=100.0)
    lines = str(caught.value).splitlines()
    assert sum("spend must be" in line for line in lines) == 5
    assert (lines[5].partition(": ")[2] if more else None) == more
    assert len(lines) == 5 + bool(more)


@pytest.mark.parametrize(("needed", "chance"), [(80.0, 0.95), (140.0, 0.05), (100.0, 0.5)])
def test_the_ends_of_a_90_per_cent_interval_are_reached_19_times_and_once_in_20(
    needed: float, chance: float
) -> None:
    assert estimate_reach_probability(needed, 60, 40, 20, 80) == pytest.approx(chance, abs=1e-5)


def verdict_at(ratio: float) -> object:
    """The verdict on a channel whose customers cost their forecast LTV / ratio."""
    columns = "customer_id ordered_at amount order_id channel"
    orders = read(("a", "2020-10-01", 100.0, "1", "web"), columns=columns)
    forecasts = forecast_file(orders, CUTOFF).assign(  # 300 with the 100 of the past
        clv=200.0, clv_deviation=0.0, clv_shock=0.0
    )
    month = {"channel": ["web"], "month": ["2020-10"]}
    spend = pd.DataFrame({**month, "spend": [300.0 / ratio]})
    config = parse_config("acquisition: {ltv_age_days: 452}")  # 92 of the past, 360 to come
    found = clvcast.economics(forecasts, orders, spend, config).acquisition
    return found[found["level"] == "channel"].iloc[0]["verdict"]


def test_three_times_the_cost_is_healthy_and_less_than_once_loses_money() -> None:
    assert [verdict_at(ratio) for ratio in (3.01, 2.98)] == ["healthy", "thin"]
    assert [verdict_at(ratio) for ratio in (1.01, 0.99)] == ["thin", "loses money"]


def test_the_past_is_tried_at_nine_costs(shop_orders: clvcast.Orders) -> None:
    spend = pd.DataFrame({"channel": ["web"], "month": ["2020-07"], "spend": [1.0]})
    past = forecast_file(shop_orders, "2020-11-10")
    now = forecast_file(shop_orders, "2021-02-01")
    tried = clvcast.economics(now, shop_orders, spend, CONFIG, past).backtest
    assert sorted(tried["multiple"].unique()) == [0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.7]


@pytest.mark.parametrize(("day", "share"), [("2019-06-16", 60 / 160), ("2019-06-15", 0.0)])
def test_money_that_stayed_away_is_that_of_the_365_days_before(day: str, share: float) -> None:
    """Before 2020-06-15: `a` spent 60 on the day, `b` 100 lately; neither came back."""
    orders = read(
        ("a", "2019-01-01", 1.0), ("a", day, 60.0), ("b", "2020-06-01", 100.0),
        ("e", "2020-12-31", 1.0),
    )  # fmt: skip # one world on two lines
    config = parse_config("""
lists:
  only: [gone]
  rules: {gone: {where: {spend_so_far: = 61}, reason: may not come back, aim: keep}}
""")
    past = forecast_file(orders, "2020-06-15", config)
    found = clvcast.lists(forecast_file(orders, CUTOFF, config), orders, config, past=past)
    assert found.summary["money_share"].tolist() == [share]


def test_bounds_of_the_default_lists() -> None:
    """What a campaign is about stands in the rules as written here."""
    where = {
        name: {column: str(value) for column, value in rule.where.items() if column not in
               ("tier", "risk", "missing_category")}
        for name, rule in DEFAULT_RULES.items()
    }  # fmt: skip # the columns that hold words are tested in test_lists.py
    assert where["win_back"] == {"spend_so_far": "top 30%", "days_since_last_order": ">= 60"}
    assert where["second_order"] == {"n_orders": "1", "days_since_last_order": "7..120"}
    assert where["replenishment"] == {"days_to_next_order": "-7..14"}
    assert where["anniversary"] == {"days_to_anniversary": "0..30", "years": ">= 1"}
    assert where["early_care"] == {"tenure_days": "<= 60", "n_orders": "<= 2"}
    assert where["look_alike_seed"] == {"clv": "top 5%"}
    least = {name: rule.min_orders for name, rule in DEFAULT_RULES.items() if rule.min_orders > 1}
    assert least == {"win_back": 2, "replenishment": 2, "cross_sell": 2, "look_alike_seed": 2}


def test_a_customer_repeats_with_the_second_order() -> None:
    orders = read(
        ("a", "2020-10-01", 10.0), ("b", "2020-10-02", 10.0), ("b", "2020-11-02", 10.0)
    )  # fmt: skip # one world on one line
    measures = clvcast.kpis(forecast_file(orders, CUTOFF), orders, CONFIG).measures
    shop = measures[measures["dimension"] == "shop"].iloc[0]
    assert (shop["repeat_rate"], shop["one_time_share"]) == (0.5, 0.5)


def measure(config: clvcast.Config, period_days: int) -> pd.Series:
    given = {
        "revenue": 300.0, "orders": 10.0, "active_customer_periods": 10.0, "at_start": 10.0,
        "lost": 2.0, "revenue_ever": 600.0, "tenure_months": 20.0,
    }  # fmt: skip # two lines of numbers
    names = [name for name in GroupSums.__dataclass_fields__ if name != "whole_periods"]
    values = {name: np.array([given.get(name, 0.0)]) for name in names}
    return compute_measures(GroupSums(**values, whole_periods=True), config, period_days).iloc[0]


def test_a_discount_is_of_a_year_of_365_days() -> None:
    """A customer value of 30 in the first year, of 0.8 x 30 / 1.1 in the second."""
    config = parse_config("{horizon_days: 365, periods: 2, economics: {annual_discount_rate: 0.1}}")
    assert measure(config, 365)["formula_clv_span"] == pytest.approx(30 + 0.8 * 30 / 1.1)
    half = parse_config("{horizon_days: 365, periods: 1, kpis: {period_days: 730}}")
    assert measure(half, 730)["formula_clv_span"] == pytest.approx(15)


def test_a_month_is_a_twelfth_of_a_calendar_year() -> None:
    """365.2425 / 12 days: the Gregorian calendar has 97 leap years in 400."""
    row = measure(parse_config("economics: {margin_rate: 0.5}"), 60)
    assert row["arpu"] == 30.0
    assert row["ltv_by_churn"] == pytest.approx(15.0 / (0.2 * (365 + 97 / 400) / 12 / 60), rel=1e-9)
