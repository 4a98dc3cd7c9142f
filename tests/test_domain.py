"""What a forecast is for, row by row: the rows that no other file has a test named after.

Descriptive measures are tested by their names in test_kpis.py and test_economics.py, segments in
test_segments.py, uses in test_lists.py, the bridge of the total in test_compare.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from forecast_files import forecast_file

import clvcast
from clvcast.configs.schema import parse_config
from clvcast.decisions.economics import _compute_value
from clvcast.decisions.payback import MarginCurve
from clvcast.models.evidence import describe_evidence

CUTOFF = "2020-12-15"


@pytest.fixture(scope="module")
def forecast(shop_orders: clvcast.Orders, shop_config: clvcast.Config) -> pd.DataFrame:
    """By a model that learned nothing after the cutoff."""
    return clvcast.score(
        clvcast.train(shop_orders, shop_config, cutoff=CUTOFF), shop_orders, CUTOFF
    )


@pytest.fixture(scope="module")
def happened(shop_lines: pd.DataFrame, forecast: pd.DataFrame) -> pd.DataFrame:
    """What each customer did in the 60 days after the cutoff, by pandas."""
    begin = pd.Timestamp(CUTOFF)
    inside = shop_lines["ordered_at"].between(begin, begin + pd.Timedelta(days=60), "left")
    later = shop_lines[inside].groupby(["customer_id", "order_id"])["amount"].sum().reset_index()
    orders = later[later["amount"] > 0].groupby("customer_id").size()
    spend = later.groupby("customer_id")["amount"].sum()
    index = forecast["customer_id"]
    return pd.DataFrame(
        {"orders": orders.reindex(index).fillna(0), "spend": spend.reindex(index).fillna(0)}
    ).reset_index(drop=True)


def test_customer_acquisition_cost_of_50_and_ltv_to_cac_of_3_as_worked() -> None:
    """5,000 spent on 100 new customers, who bring 15,000 of margin: $50, and $150 / $50 = 3."""
    curve = MarginCurve(np.full((1, 12), 15_000.0), np.zeros((1, 12)), np.ones((1, 12), np.bool_))
    found = _compute_value(
        5_000, 100, 9_000, [6_000, 5_000, 7_000], curve, clvcast.Config().acquisition
    )
    assert (found["cac"], found["ltv_forecast"], found["ltv_cac_forecast"]) == (50, 150, 3)
    assert found["verdict"] == "healthy"
    assert (found["payback_month"], found["payback_probability"]) == (1, 1)


def test_measures_for_the_shop_and_per_segment_channel_cohort_and_period(
    shop_orders: clvcast.Orders,
) -> None:
    measures = clvcast.kpis(forecast_file(shop_orders, CUTOFF), shop_orders).measures
    assert set(measures["dimension"]) == {
        "shop",
        "channel",
        "cohort",
        "rfm_segment",
        "tier",
        "risk",
        "period",
    }
    for dimension, rows in measures.groupby("dimension"):
        for name in ("aov", "purchase_frequency", "repeat_rate", "arpu"):
            assert rows[name].notna().any(), (dimension, name)


def test_churn_probability_is_of_no_order_in_the_next_period(
    forecast: pd.DataFrame, happened: pd.DataFrame
) -> None:
    stayed_away = happened["orders"] == 0
    chance = forecast["churn_probability"]
    assert chance.between(0, 1).all()
    assert chance[stayed_away].mean() > chance[~stayed_away].mean() + 0.15
    assert chance.mean() == pytest.approx(stayed_away.mean(), abs=0.1)


def test_expected_orders_add_up_to_about_the_orders_that_came(
    forecast: pd.DataFrame, happened: pd.DataFrame
) -> None:
    assert forecast["expected_orders"].sum() == pytest.approx(happened["orders"].sum(), rel=0.25)


def test_expected_spend_and_its_interval(forecast: pd.DataFrame, happened: pd.DataFrame) -> None:
    assert forecast["expected_spend"].sum() == pytest.approx(happened["spend"].sum(), rel=0.25)
    inside = (
        happened["spend"]
        .clip(lower=0)
        .between(forecast["expected_spend_lower"], forecast["expected_spend_upper"])
    )
    assert 0.8 <= inside.mean() <= 0.97


def test_clv_over_a_stated_horizon_discounted_times_margin(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    """One period is expected spend x margin; more periods add, a discount takes off, bounds go
    along.
    """

    def clv(text: str) -> pd.DataFrame:
        return clvcast.score(shop_model.with_config(parse_config(text)), shop_orders)

    one = clv("{periods: 1, economics: {margin_rate: 0.4}}")
    np.testing.assert_allclose(one["clv"], 0.4 * one["expected_spend"])
    three, dear = clv("periods: 3"), clv("{periods: 3, economics: {annual_discount_rate: 0.5}}")
    assert (three["clv"] >= three["expected_spend"]).all()
    assert three["clv"].sum() > dear["clv"].sum() > three["expected_spend"].sum()
    for frame in (one, three, dear):
        assert (frame["clv_lower"] <= frame["clv"]).all()
        assert (frame["clv"] <= frame["clv_upper"]).all()


def test_the_expected_date_of_the_next_order_and_none_expected(forecast: pd.DataFrame) -> None:
    due = forecast["expected_next_order_at"]
    assert due.isna().any(), "none expected is an answer"
    assert due.notna().any()
    known = forecast[due.notna()]
    assert (known["expected_next_order_at"] >= pd.Timestamp(CUTOFF)).all()
    assert (known["next_order_from"] <= known["expected_next_order_at"]).all()
    assert (known["expected_next_order_at"] <= known["next_order_until"]).all()
    assert forecast.loc[due.isna(), "churn_probability"].mean() > known["churn_probability"].mean()


def test_the_evidence_behind_a_forecast(forecast: pd.DataFrame) -> None:
    assert {"n_orders", "tenure_days", "days_since_last_order"} <= set(forecast)
    told = forecast["evidence"].str.split(";").explode().unique()
    assert set(told) <= {
        "own",
        "cohort",
        "short_history",
        "btyd_only",
        "later_unseen",
        "season_unseen",
    }
    ones = describe_evidence(
        np.array([1, 5]),
        short_history=False,
        later_unseen=False,
        season_unseen=False,
        btyd_only=False,
    )
    assert ones[0] != ones[1], "one order is other evidence than five"


def test_movement_between_tiers_and_segments_in_customers_and_in_money(
    shop_orders: clvcast.Orders,
) -> None:
    """The migration matrices add up to both totals, by customers and by money; and so does the
    bridge.
    """
    before = forecast_file(shop_orders, "2020-10-01")
    after = forecast_file(shop_orders, CUTOFF)
    found = clvcast.compare(before, after)
    everybody = len(set(before["customer_id"]) | set(after["customer_id"]))
    for name in ("tier", "rfm_segment", "risk"):
        moves = found.migrations[name]
        assert moves["customers"].sum() == everybody
        assert moves["value_before"].sum() == pytest.approx(before["clv"].sum())
        assert moves["value_after"].sum() == pytest.approx(after["clv"].sum())
    change = sum(term.amount for term in found.terms)
    assert found.before + change == pytest.approx(found.after, abs=0.006)
    assert (found.rose["change"] > 0).all()
    assert (found.fell["change"] < 0).all()


def test_new_customers_who_look_like_future_high_value_ones_are_found_from_first_orders(
    forecast: pd.DataFrame, shop_orders: clvcast.Orders, happened: pd.DataFrame
) -> None:
    """The early-care list names new customers, and they did spend more than the other new ones."""
    config = parse_config("lists: {hold_out: 0, only: [early_care]}")
    listed = clvcast.lists(forecast, shop_orders, config).contacts["early_care"]
    named = forecast["customer_id"].isin(listed["customer_id"].to_pylist())
    new = (forecast["tenure_days"] <= 60) & (forecast["n_orders"] <= 2)
    assert named.any()
    assert not (named & ~new).any()
    others = new & ~named
    assert happened["spend"][named].mean() > happened["spend"][others].mean()


def test_recurring_charges_are_told_to_look_like_contracts() -> None:
    """Nine of ten customers pay 9.99 on the fifth of every month."""
    days = pd.date_range("2020-01-05", periods=14, freq="MS") + pd.Timedelta(days=4)
    lines = pd.DataFrame(
        [
            (f"C{k:03d}", day, 9.99 if k % 10 else 9.99 + position)
            for k in range(100)
            for position, day in enumerate(days)
        ],
        columns=["customer_id", "ordered_at", "amount"],
    )
    for given, verdict in ((lines, "warn"), (lines.iloc[::3], "pass")):
        (finding,) = [f for f in clvcast.check(given) if f.name == "recurring charges"]  # type: ignore[arg-type]
        assert finding.verdict == verdict
    assert finding.value == 0
    (finding,) = [f for f in clvcast.check(lines) if f.name == "recurring charges"]  # type: ignore[arg-type]
    assert finding.value == 0.9
    assert "look like contracts" in finding.sentence
