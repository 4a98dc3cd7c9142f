"""One margin: measured from cost or stated, kept in the bundle, and named beside every number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from forecast_files import forecast_file

import clvcast
from clvcast.configs.economics import EconomicsConfig, KnownEconomics, find_basis
from clvcast.configs.schema import parse_config
from clvcast.errors import ConfigError, OrdersError
from clvcast.models.forecast_terms import ForecastTerms
from clvcast.models.margins import measure_margin, resolve_economics
from clvcast.orders import dates

END = dates.parse_instant("2021-01-01")
LINES = pd.DataFrame(
    [
        ("a", "2020-03-01", 100.0, 60.0),
        ("a", "2020-04-01", -50.0, 30.0),  # a return: not sold
        ("b", "2020-05-01", 60.0, np.nan),  # no cost known
        ("b", "2020-06-01", 100.0, 80.0),
        ("b", "2021-01-01", 100.0, 1.0),  # not observed
    ],
    columns=["customer_id", "ordered_at", "amount", "cost"],
)


def measured(lines: pd.DataFrame, text: str = "{}") -> KnownEconomics:
    return resolve_economics(parse_config(text), clvcast.read_orders(lines), END)


def test_the_margin_is_measured_on_sold_lines_with_a_cost_before_the_end() -> None:
    assert measure_margin(clvcast.read_orders(LINES), END) == pytest.approx(1 - 140 / 200)
    assert measured(LINES).margin_source == "measured"
    assert measured(LINES, "economics: {margin_rate: measured}") == measured(LINES)
    assert measured(LINES).margin_rate == pytest.approx(0.3)
    without = measured(LINES.drop(columns="cost"))
    assert (without.margin_rate, without.margin_source) == (1.0, "unknown")
    gross = measured(LINES.assign(discount=[25.0, 0, 0, 25.0, 0]), "target: gross")
    assert gross.margin_rate == pytest.approx(60 / 250)


def test_a_stated_margin_goes_before_a_measured_one_and_the_bundle_keeps_both() -> None:
    stated = measured(LINES, "economics: {margin_rate: 0.4}")
    assert (stated.margin_rate, stated.margin_source) == (0.4, "stated")
    assert stated.measured_margin == pytest.approx(0.3)
    again = stated.apply_stated(EconomicsConfig(margin_rate="measured"))
    assert (again.margin_rate, again.margin_source) == (stated.measured_margin, "measured")
    assert stated.apply_stated(EconomicsConfig(annual_discount_rate=0.1)).margin_rate == 0.4


@pytest.mark.parametrize(
    ("lines", "text", "told"),
    [
        (LINES.assign(cost=LINES["amount"].abs()), "{}", "measured 0.0% from the cost"),
        (LINES.assign(cost=LINES["amount"].abs() * 2), "{}", "measured -100.0% from the cost"),
        (LINES.assign(cost=-1.0), "{}", "measured 1"),
        (
            LINES.drop(columns="cost"),
            "economics: {margin_rate: measured}",
            "needs a cost, got no sold line with one before 2021-01-01",
        ),
        (
            LINES,
            "{target: contribution, economics: {margin_rate: measured}}",
            "must not be measured with the target contribution",
        ),
    ],
)
def test_a_margin_that_cannot_be_measured_is_refused(
    lines: pd.DataFrame, text: str, told: str
) -> None:
    with pytest.raises(OrdersError, match=told) as refusal:
        measured(lines, text)
    assert "\n" not in str(refusal.value)
    assert resolve_economics(
        parse_config("economics: {margin_rate: 0.5}"), clvcast.read_orders(lines), END
    ).margin_rate == pytest.approx(0.5)


@pytest.mark.parametrize("value", [0, -0.1, 1.01, True, "half", "nan"])
def test_a_margin_is_measured_or_above_0_and_at_most_1(value: object) -> None:
    with pytest.raises(ConfigError, match="should be `measured`, or a number above 0"):
        EconomicsConfig(margin_rate=value)


def test_the_basis_follows_from_target_and_margin() -> None:
    assert find_basis("spend", 1.0, "unknown") == "revenue"
    assert find_basis("spend", 1.0, "stated") == "revenue"
    assert find_basis("spend", 1.0, "measured") == "margin"
    assert find_basis("gross", 0.99, "unknown") == "margin"
    assert find_basis("contribution", 1.0, "unknown") == "contribution"


@pytest.fixture(scope="module")
def costed(shop_lines: pd.DataFrame) -> clvcast.Orders:
    """70 % of every line is cost."""
    return clvcast.read_orders(shop_lines.assign(cost=shop_lines["amount"].abs() * 0.7))


@pytest.fixture(scope="module")
def forecast(costed: clvcast.Orders) -> pd.DataFrame:
    """At the measured margin, in GBP, as the scorer writes it."""
    config = parse_config("{horizon_days: 60, economics: {margin_rate: 0.3}}")
    frame = forecast_file(costed, "2020-12-01", config)
    economics = resolve_economics(parse_config("{}"), costed, dates.parse_instant("2020-12-01"))
    shop = config.model_copy(
        update={"orders": config.orders.model_copy(update={"currency": "GBP"})}
    )
    frame.attrs |= ForecastTerms.of_config(shop, economics).attributes()
    return frame


def test_kpis_economics_and_report_use_the_one_margin_and_name_it(
    costed: clvcast.Orders, forecast: pd.DataFrame
) -> None:
    kpis = clvcast.kpis(forecast, costed)
    shop = kpis.measures.iloc[0]
    assert shop["margin_rate"] == pytest.approx(0.3, abs=1e-3)
    assert set(kpis.measures["basis"]) == {"margin"}
    spend = pd.DataFrame({"channel": ["web"], "month": ["2020-03"], "spend": [10.0]})
    economics = clvcast.economics(forecast, costed, spend)
    assert set(economics.acquisition["basis"]) == {"margin"}
    in_revenue = forecast.copy()
    in_revenue.attrs = {}
    brought = clvcast.economics(in_revenue, costed, spend).acquisition["ltv_historic"].iloc[0]
    assert economics.acquisition["ltv_historic"].iloc[0] == pytest.approx(0.3 * brought, rel=1e-3)
    page = clvcast.report(forecast, costed)
    assert page.facts[0].name.endswith("days: margin")
    assert "measured from cost" in page.html
    assert "at a margin of" not in page.html


def test_without_a_margin_everything_says_revenue(
    shop_orders: clvcast.Orders, forecast: pd.DataFrame
) -> None:
    """The first tile says revenue, and there is no margin to chart."""
    frame = forecast_file(shop_orders, "2020-12-01")
    page = clvcast.report(frame, shop_orders)
    assert page.facts[0].name.endswith("days: revenue")
    assert "revenue, not profit: no margin is known" in page.html
    assert "Margin held at" not in page.html
    assert "No margin is known" in page.html
    shop = clvcast.kpis(frame, shop_orders).measures.iloc[0]
    assert np.isnan(shop["margin_rate"])
    assert np.isnan(shop["ltv_by_churn"])
    assert np.isnan(shop["formula_clv_margin"])
    assert not np.isnan(shop["formula_clv_span"])


def test_forecasts_in_revenue_beside_a_known_cost_are_named(
    costed: clvcast.Orders, forecast: pd.DataFrame
) -> None:
    """The bundle of an earlier version has no margin, the orders have a cost."""
    frame = forecast_file(costed, "2020-12-01")
    spend = pd.DataFrame({"channel": ["web"], "month": ["2020-03"], "spend": [10.0]})
    for result in (clvcast.kpis(frame, costed), clvcast.economics(frame, costed, spend)):
        told = [remark for remark in result.remarks if "CLV is revenue" in remark]
        assert any("a margin of 30%" in remark for remark in told)
    assert set(clvcast.kpis(frame, costed).measures["basis"]) == {"revenue"}


@pytest.mark.slow
def test_a_bundle_keeps_the_measured_margin_and_every_interface_forecasts_with_it(
    shop_lines: pd.DataFrame, tmp_path: Path, run: Run
) -> None:
    lines = shop_lines.assign(cost=shop_lines["amount"].abs() * 0.7)
    orders = clvcast.read_orders(lines)
    model = clvcast.train(orders, clvcast.Config(horizon_days=60, periods=1, effort="quick"))
    model.save(tmp_path / "bundle")
    loaded = clvcast.load_model(tmp_path / "bundle")
    assert loaded.version == model.version
    margin = 1 - lines.loc[lines["amount"] > 0, "cost"].sum() / lines["amount"].clip(lower=0).sum()
    assert loaded.economics.margin_rate == pytest.approx(margin, abs=1e-9)
    found = clvcast.score(loaded, orders)
    np.testing.assert_allclose(found["clv"], found["expected_spend"] * margin)
    terms = found.attrs["clvcast"]
    assert (terms["basis"], terms["margin_source"]) == ("margin", "measured")
    lines.to_parquet(tmp_path / "orders.parquet")
    status, _, _ = run(
        *("score", "--model", tmp_path / "bundle", "--orders", tmp_path / "orders.parquet"),
        *("--output", tmp_path / "f.csv"),
    )
    assert status == 0
    manifest = json.loads((tmp_path / "f.csv.manifest.json").read_text())
    assert manifest["made_with"]["margin_source"] == "measured"
    half = loaded.with_config(parse_config("economics: {margin_rate: 0.5}"))
    again = half.with_config(parse_config("economics: {margin_rate: measured}"))
    assert (half.economics.margin_source, again.economics) == ("stated", loaded.economics)


def test_a_model_without_costs_cannot_score_at_a_measured_margin(shop_model: clvcast.Model) -> None:
    with pytest.raises(ConfigError, match="trained on orders without a margin to measure"):
        shop_model.with_config(parse_config("economics: {margin_rate: measured}"))
