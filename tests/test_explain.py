"""Why a CLV is what it is: amounts that add up, for one customer as for many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clvcast
from clvcast.errors import ConfigError

Run = Callable[..., tuple[int, str, str]]


def test_amounts_add_up_to_the_clv(shop_model: clvcast.Model, shop_orders: clvcast.Orders) -> None:
    forecast = clvcast.score(shop_model, shop_orders).set_index("customer_id")["clv"]
    reasons = clvcast.explain(shop_model, shop_orders, largest=4)
    assert (reasons.groupby("customer_id").size() == 6).all()  # unknown customer, four, the rest
    added = reasons.groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(added, forecast, rtol=1e-9)
    shown = reasons[reasons["rank"].between(1, 4)]
    falling = shown.groupby("customer_id")["amount"].apply(
        lambda a: a.abs().is_monotonic_decreasing
    )
    assert falling.all()


def test_one_customer_alone_has_the_same_reasons(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    everybody = clvcast.explain(shop_model, shop_orders)
    some = ["C00004", "C00017"]
    alone = clvcast.explain(shop_model, shop_orders, customers=some)
    expected = everybody[everybody["customer_id"].isin(some)].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected, check_exact=False, rtol=1e-12)


def test_groups_add_up_to_the_clv_and_leave_nothing_over(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    groups = clvcast.explain(shop_model, shop_orders, by="group")
    forecast = clvcast.score(shop_model, shop_orders).set_index("customer_id")
    added = groups.groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(added, forecast["clv"], rtol=1e-9)
    names = {"how recent", "how often", "order size", "returns", "season"}
    assert names <= set(groups["reason"])
    shop = groups[groups["rank"] == 0]
    assert set(shop["reason"]) == {"what this shop's customers are like"}
    recent = groups[groups["reason"] == "how recent"].set_index("customer_id")
    assert (recent["value"] // 1 == forecast["days_since_last_order"]).all()
    details = clvcast.explain(shop_model, shop_orders, largest=200)
    features = [name for name in details["reason"].unique() if name.startswith("returns_")]
    own = details[details["reason"].isin([*features, "n_returns", "days_since_last_return"])]
    returns = groups[groups["reason"] == "returns"].set_index("customer_id")["amount"]
    summed = own.groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(returns, summed.reindex(returns.index), atol=1e-9)


def test_a_larger_order_is_a_reason(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    larger = shop_lines.copy()
    larger.loc[larger["customer_id"] == "C00004", "amount"] *= 10

    def of_order_value(orders: clvcast.Orders | pd.DataFrame) -> float:
        reasons = clvcast.explain(shop_model, orders, customers=["C00004"], largest=80)
        return float(reasons.set_index("reason")["amount"]["order value"])

    assert of_order_value(larger) > 2 * abs(of_order_value(shop_orders))


def test_orders_that_end_early_are_refused_as_by_score(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame
) -> None:
    newest = shop_lines["ordered_at"].max()
    early = shop_lines[shop_lines["ordered_at"] < newest - pd.Timedelta(days=30)]
    for forecast in (clvcast.score, clvcast.explain):
        with pytest.raises(ConfigError, match="state until when they are complete"):
            forecast(shop_model, early)


def test_the_command(
    run: Run, shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    shop_model.save(tmp_path / "bundle")
    orders = tmp_path / "orders.parquet"
    shop_lines.to_parquet(orders)
    given = ("explain", "--model", tmp_path / "bundle", "--orders", orders)
    status, out, _ = run(*given, "--customer", "C00004")
    assert status == 0
    assert "C00004: CLV (revenue)" in out
    assert "everything else" not in out
    assert "days ago (typical: " in out
    status, out, _ = run(*given, "--customer", "C00004", "--details")
    assert (status, "everything else" in out) == (0, True)
    status, out, _ = run(*given, "--output", tmp_path / "why.csv")
    assert status == 0
    assert pd.read_csv(tmp_path / "why.csv")["customer_id"].nunique() == shop_model_customers(out)
    status, _, told = run(*given, "--customer", "nobody")
    assert status == 1
    assert "none of the 1 customers asked for has an order before" in told
    status, _, told = run(*given, "--customer", "nobody", "--customer", "C00004")
    assert status == 1
    assert "1 of 2 requested customers have no order before the cutoff" in told
    assert run(*given)[0] == 2


def shop_model_customers(out: str) -> int:
    return int(out.rsplit(":", 1)[1].split()[0].replace(",", ""))


def test_totals_reconcile(shop_model: clvcast.Model, shop_orders: clvcast.Orders) -> None:
    forecast = clvcast.score(shop_model, shop_orders)
    for value, column in (("clv", "clv"), ("spend", "expected_spend")):
        whole = clvcast.total(forecast, value).iloc[0]  # type: ignore[arg-type]
        parts = clvcast.total(forecast, value, by="risk")  # type: ignore[arg-type]
        assert whole["expected"] == pytest.approx(forecast[column].sum())
        assert parts["expected"].sum() == pytest.approx(whole["expected"])
        assert parts["customers"].sum() == whole["customers"] == len(forecast)
        for row in (whole, *(parts.loc[name] for name in parts.index)):
            assert 0 < row["lower"] < row["expected"] < row["upper"]
        # luck cancels out between customers, a shock does not
        assert whole["upper"] < forecast[f"{column}_upper"].sum()
        shock = forecast[f"{value}_shock"].iloc[0]
        assert np.log(whole["upper"] / whole["expected"]) > 1.64 * shock


def test_totals_carry_the_terms_and_are_of_one_cutoff(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    now, before = (clvcast.score(shop_model, shop_orders, day) for day in (None, "2021-01-01"))
    for totals in (clvcast.total(now), clvcast.total(now, "spend", by="tier")):
        assert totals.attrs["clvcast"] == now.attrs["clvcast"]
        assert totals.attrs["clvcast"]["basis"] == "revenue"
    both = pd.concat([now, before])
    with pytest.raises(ConfigError, match="a total must be of one cutoff, got 2"):
        clvcast.total(both)
    assert clvcast.total(both, by="cutoff")["customers"].tolist() == [len(before), len(now)]


def test_what_is_no_forecast_has_no_total(shop_lines: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="a forecast must have the columns clv"):
        clvcast.total(shop_lines)
    with pytest.raises(ConfigError, match="value must be clv or spend"):
        clvcast.total(shop_lines, "money")  # type: ignore[arg-type]
