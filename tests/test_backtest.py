"""Backtests: protocol, files, baselines by hand, and the promise the README makes on the sample."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import ConfigError, OrdersError
from clvcast.orders import dates, windows
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.backtest.baselines import METHODS, build_baseline_inputs
from clvcast.train.backtest.plain_lightgbm import (
    FEATURES,
    choose_plain_cutoffs,
    forecast_plain_lightgbm,
)
from clvcast.train.backtest.run import choose_default_cutoffs
from clvcast.train.backtest.summary import describe_verdict


def test_baselines_by_hand() -> None:
    lines = pd.DataFrame(
        [
            ("a", "2020-01-01", 100.0),
            ("a", "2020-03-01", 50.0),
            ("a", "2020-03-02", -30.0),
            ("b", "2020-03-21", 60.0),
        ],
        columns=["customer_id", "ordered_at", "amount"],
    )
    orders = read_table(lines, OrdersConfig())
    known = build_baseline_inputs(orders, dates.parse_instant("2020-03-31"), 30)
    # a: 120 net over 90 days, two orders of 75; b: 60 over max(10, 30) days
    found = {name: method(known).expected_spend.tolist() for name, method in METHODS.items()}
    assert found["historic_rate"] == pytest.approx([120 / 90 * 30, 60 / 30 * 30])
    assert found["span_rate"] == pytest.approx([120 / 90 * 30, 60 / 90 * 30])
    # from 2020-03-01 on, two orders by two active customers: a frequency of 1
    assert found["formula"] == pytest.approx([75.0, 60.0])


def test_plain_lightgbm_learns_from_whole_windows_before_the_cutoff(
    shop_orders: clvcast.Orders,
) -> None:
    assert len(FEATURES) == 20
    first, cutoff = 0, 300 * dates.DAY
    days = choose_plain_cutoffs(first, cutoff, 60) // dates.DAY
    assert days.tolist() == [240 - 14 * k for k in range(7, -1, -1)]
    assert (choose_plain_cutoffs(first, cutoff, 244) // dates.DAY).tolist() == [28, 42, 56]
    assert (choose_plain_cutoffs(first, cutoff, 290) // dates.DAY).tolist() == [10]
    assert len(choose_plain_cutoffs(first, cutoff, 300)) == 0
    at = dates.parse_instant("2020-12-01")
    known = build_baseline_inputs(shop_orders, at, 60, periods=3)
    made = forecast_plain_lightgbm(known)
    assert made.churn_probability is not None
    assert made.clv is not None
    assert ((made.churn_probability > 0) & (made.churn_probability < 1)).all()
    assert made.clv.sum() > made.expected_spend.sum() > 0
    later = shop_orders.keep_lines(shop_orders.times < at + 10 * dates.DAY)
    again = forecast_plain_lightgbm(build_baseline_inputs(later, at, 60, periods=3))
    np.testing.assert_array_equal(again.clv, made.clv)  # later orders change nothing
    long = forecast_plain_lightgbm(build_baseline_inputs(shop_orders, at, 60, periods=6))
    assert long.clv is None  # no span of 360 days was realised
    np.testing.assert_array_equal(long.expected_spend, made.expected_spend)


def test_cutoffs_are_the_newest_realised_ones(shop_orders: clvcast.Orders) -> None:
    end = get_default_cutoff(shop_orders)
    found = choose_default_cutoffs(shop_orders, 60)
    # the newest whose window is over, and a season apart as far as history reaches
    assert found == [end - days * dates.DAY for days in (60 + 2 * 91, 60 + 91, 60)]
    with pytest.raises(OrdersError, match="a backtest needs about"):
        clvcast.backtest(shop_orders, clvcast.Config(horizon_days=365))
    with pytest.raises(ConfigError, match="a backtest's cutoff must be at most"):
        clvcast.backtest(shop_orders, clvcast.Config(horizon_days=60), ["2021-02-01"])


def test_files_and_numbers_of_a_backtest(
    run: Run, shop_lines: pd.DataFrame, shop_config: clvcast.Config, tmp_path: Path
) -> None:
    shop_lines.to_parquet(tmp_path / "orders.parquet")
    config = tmp_path / "c.yaml"
    config.write_text(
        f"orders: {{source: {tmp_path}/orders.parquet}}\nhorizon_days: 60\nperiods: 3\n"
    )
    output = tmp_path / "out"
    status, out, _ = run("backtest", config, "--cutoff", "2020-10-01", "--output", output)
    assert status == 0
    assert "against the best baseline of each measure" in out
    assert "Grade " in out
    table = pd.read_parquet(output / "forecasts.parquet")
    (summary,) = json.loads((output / "metrics.json").read_text()).values()
    assert set(table["method"]) == {"clvcast", "plain_lightgbm", *METHODS}
    assert len(table) == (2 + len(METHODS)) * summary["customers"]
    ours = table[table["method"] == "clvcast"].set_index("customer_id")
    begin, end = pd.Timestamp("2020-10-01"), pd.Timestamp("2020-11-30")
    inside = shop_lines[shop_lines["ordered_at"].between(begin, end, inclusive="left")]
    spend = inside.groupby("customer_id")["amount"].sum().reindex(ours.index, fill_value=0.0)
    np.testing.assert_allclose(ours["actual_spend"], spend, atol=1e-9)
    assert (ours["churned"] == (ours["actual_orders"] == 0)).all()
    assert summary["actual_spend"] == pytest.approx(spend.sum())
    error = (ours["expected_spend"] - ours["actual_spend"]).abs().mean()
    assert summary["methods"]["clvcast"]["MAE"] == pytest.approx(error)
    # three periods of 60 days from 2020-10-01 end 2021-03-30, after the newest order
    assert ours["actual_clv"].isna().all()
    assert (table.groupby("method")["clv"].count() > 0).all()
    for column in ("churn_probability", "expected_orders"):
        given = table.groupby("method")[column].count() > 0
        trees = [] if column == "expected_orders" else ["plain_lightgbm"]
        assert list(given[given].index) == ["bg_nbd", "clvcast", "pareto_nbd", *trees]
    btyd = table[table["method"] == "pareto_nbd"]
    assert btyd["churn_probability"].between(0, 1).all()
    assert (btyd["clv"] >= btyd["expected_spend"]).all()  # a margin of 1, no discount
    rule = table[table["method"] == "span_rate"]
    np.testing.assert_allclose(rule["clv"], 3 * rule["expected_spend"])
    ours_alone = set(summary["methods"]["clvcast"]) - set(summary["methods"]["bg_nbd"])
    assert ours_alone == {"coverage_90"}
    held = ours["actual_spend"].between(ours["expected_spend_lower"], ours["expected_spend_upper"])
    assert summary["methods"]["clvcast"]["coverage_90"] == pytest.approx(held.mean())


@pytest.mark.parametrize(
    ("bias", "said"),
    [(0.0049, "to half a per cent"), (0.0051, "1% more"), (-0.0051, "1% less"), (None, "Nothing")],
)
def test_a_verdict_says_how_the_total_was_met(bias: float | None, said: str) -> None:
    ours = {"bias": bias, "churn_ECE": 0.02, "churn_AUC": 0.8, "coverage_90": 0.9}
    wait = {"is_judged": False, "wait": "Not yet."}
    told = describe_verdict(
        {"methods": {"clvcast": ours}, "churn_rate": 0.5, "clv": wait, "remarks": []}
    )
    assert said in told[0]


@pytest.mark.slow
def test_a_backtest_equals_training_with_only_what_was_known(
    shop_orders: clvcast.Orders, shop_config: clvcast.Config
) -> None:
    cutoff = "2020-10-01"
    result = clvcast.backtest(shop_orders, shop_config, [cutoff]).forecasts.to_pandas()
    known = windows.slice_observed(shop_orders, dates.parse_instant(cutoff))
    forecast = clvcast.score(clvcast.train(known, shop_config, cutoff), known, cutoff)
    ours = result[result["method"] == "clvcast"].reset_index(drop=True)
    for column in ("customer_id", "model_version", "expected_spend", "clv", "churn_probability"):
        pd.testing.assert_series_equal(ours[column], forecast[column], check_exact=True)


@pytest.mark.slow
def test_the_sample_is_forecast_better_than_by_rules(
    small_sample: clvcast.Orders, sample_config: clvcast.Config
) -> None:
    result = clvcast.backtest(small_sample, sample_config, ["2011-06-10"])
    methods = result.metrics["2011-06-10"]["methods"]
    ours = methods["clvcast"]
    for rule in ("historic_rate", "formula"):
        assert ours["nGini"] > methods[rule]["nGini"]
        assert ours["MAE"] < methods[rule]["MAE"]
    assert abs(ours["bias"]) <= 0.15
