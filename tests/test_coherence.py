"""Forecasts that cannot contradict themselves, over random customers and over odd shops."""

from __future__ import annotations

import hypothesis
import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import OrdersError
from clvcast.orders.reading.read_orders import read_table

MONEY = ["expected_spend", "clv"]


def assert_coherent(forecast: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    numbers = forecast.select_dtypes("float64")
    assert np.isfinite(numbers).all(axis=None)
    for name in MONEY:
        assert (forecast[f"{name}_lower"] >= 0).all()
        assert (forecast[f"{name}_lower"] <= forecast[name]).all()
        assert (forecast[name] <= forecast[f"{name}_upper"]).all()
    churn = forecast["churn_probability"]
    assert churn.between(0, 1).all()
    assert (forecast.loc[churn == 1, "expected_spend"] == 0).all()
    assert (forecast["retention_value"] >= 0).all()
    # E[CLV | no order] = clv - (1 - churn) retention_value
    assert ((1 - churn) * forecast["retention_value"] <= forecast["clv"] * (1 + 1e-9)).all()
    np.testing.assert_array_equal(forecast["value_at_risk"], churn * forecast["retention_value"])
    # an expected order is at least the chance of one
    assert (forecast["expected_orders"] >= (1 - churn) * (1 - 1e-12)).all()
    due = forecast[forecast["expected_next_order_at"].notna()]
    assert (due["next_order_from"] <= due["expected_next_order_at"]).all()
    assert (due["expected_next_order_at"] <= due["next_order_until"]).all()
    assert (due["next_order_from"] >= cutoff.normalize()).all()


@pytest.mark.filterwarnings("ignore:the median order value")  # these worlds are another shop's
@hypothesis.given(world=worlds.small_worlds(), days=st.integers(1, 520), periods=st.integers(1, 6))
@hypothesis.settings(
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_any_customers_get_coherent_forecasts(
    shop_model: clvcast.Model, world: pd.DataFrame, days: int, periods: int
) -> None:
    cutoff = pd.Timestamp(worlds.FIRST_DAY) + pd.Timedelta(days=days)
    known = world[world["ordered_at"] < cutoff]
    hypothesis.assume(len(known))
    newest = known["ordered_at"].max().normalize() + pd.Timedelta(days=1)
    cutoff = min(cutoff, newest + pd.Timedelta(days=7))
    orders = read_table(known, OrdersConfig(max_rejected_share=1.0))
    hypothesis.assume(cutoff > known["ordered_at"].min())
    shorter = shop_model.with_config(clvcast.Config(periods=periods))
    longer = shop_model.with_config(clvcast.Config(periods=periods + 1))
    forecast, further = (clvcast.score(m, orders, cutoff) for m in (shorter, longer))
    assert_coherent(forecast, cutoff)
    assert (further["clv"] >= forecast["clv"]).all()


def odd_shop(kind: str) -> pd.DataFrame:
    lines = worlds.shop(customers=150, days=300, seed=5, mean_gap_days=20.0)
    random = np.random.default_rng(0)
    if kind == "every amount the same":
        lines["amount"] = lines["amount"].abs() * 0 + 10.0
    elif kind == "a whale with nine tenths of the money":
        whale = lines["customer_id"] == "C00003"
        lines.loc[whale, "amount"] *= 9 * lines["amount"].sum() / lines.loc[whale, "amount"].sum()
    elif kind == "amounts of a thousand million":
        lines["amount"] *= 1e9 / lines["amount"].max()
    elif kind == "amounts of a cent":
        lines["amount"] = 0.01
    elif kind == "more came back than was kept":
        back = lines.sample(frac=0.9, random_state=1).assign(
            amount=lambda frame: -1.5 * frame["amount"].abs(),
            ordered_at=lambda frame: frame["ordered_at"] + pd.Timedelta(days=20),
            order_id=lambda frame: "r" + frame["order_id"],
        )
        lines = pd.concat([lines, back])
    elif kind == "spend all zero":
        lines["amount"] = 0.0
    elif kind == "one customer":
        lines["customer_id"] = "only"
    elif kind == "one instant a day":
        lines["ordered_at"] = lines["ordered_at"].dt.normalize()
    else:
        lines["amount"] *= random.lognormal(0, 3, len(lines)).round(2)
    return lines[lines["ordered_at"] < pd.Timestamp(worlds.FIRST_DAY) + pd.Timedelta(days=300)]


@pytest.mark.parametrize(
    "kind",
    [
        "every amount the same",
        "a whale with nine tenths of the money",
        "amounts of a thousand million",
        "amounts of a cent",
        "more came back than was kept",
        "spend all zero",
        "one customer",
        "one instant a day",
        "amounts of every size",
    ],
)
def test_odd_shops_are_forecast_coherently_or_refused(kind: str) -> None:
    lines = odd_shop(kind)
    orders = read_table(lines, OrdersConfig())
    config = clvcast.Config(horizon_days=60, effort="quick")
    if kind in ("spend all zero", "one customer"):
        with pytest.raises(OrdersError):
            clvcast.train(orders, config)
        return
    model = clvcast.train(orders, config)
    forecast = clvcast.score(model, orders)
    assert_coherent(forecast, pd.Timestamp(forecast["cutoff"].iloc[0]))
    recent = lines[lines["ordered_at"] >= lines["ordered_at"].max() - pd.Timedelta(days=60)]
    if kind != "more came back than was kept":
        ratio = forecast["expected_spend"].sum() / recent["amount"].sum()
        assert 0.3 < ratio < 3.0, ratio


@pytest.mark.parametrize("horizon_days", [1, 100, 150, 200, 1095])
def test_horizons_from_a_day_to_years(horizon_days: int) -> None:
    lines = worlds.shop(customers=150, days=300, seed=5, mean_gap_days=20.0)
    orders = read_table(lines, OrdersConfig())
    config = clvcast.Config(horizon_days=horizon_days, effort="quick")
    if horizon_days > 300:
        with pytest.raises(OrdersError, match="training needs"):
            clvcast.train(orders, config)
        return
    model = clvcast.train(orders, config)
    forecast = clvcast.score(model, orders)
    assert_coherent(forecast, pd.Timestamp(forecast["cutoff"].iloc[0]))
    evidence = set(";".join(forecast["evidence"]).split(";"))
    # labels of 200 days need 300 days of orders: BTYD alone forecasts, and says so
    assert ("btyd_only" in evidence) == (horizon_days == 200)
    assert ("short_history" in evidence) == (horizon_days >= 150)


def test_a_short_history_lives_through_a_bundle(tmp_path: object) -> None:
    lines = worlds.shop(customers=150, days=120, seed=5, mean_gap_days=20.0)
    orders = read_table(lines, OrdersConfig())
    model = clvcast.train(orders, clvcast.Config(horizon_days=90, effort="quick"))
    assert not model.trees
    model.save(f"{tmp_path}/bundle")
    loaded = clvcast.load_model(f"{tmp_path}/bundle")
    pd.testing.assert_frame_equal(clvcast.score(loaded, orders), clvcast.score(model, orders))
    reasons = clvcast.explain(loaded, orders)
    clv = clvcast.score(loaded, orders).set_index("customer_id")["clv"]
    np.testing.assert_allclose(reasons.groupby("customer_id")["amount"].sum(), clv, rtol=1e-9)
