"""Totals beside what the same customers spent before: sums, limits, and where they are said."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import Run

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.models.forecast_terms import ForecastTerms
from clvcast.models.plausibility import (
    BTYD_RETENTION,
    PastSpend,
    describe_plausibility,
    describe_unknown,
    sum_past_spend,
)
from clvcast.models.scoring import describe_terms
from clvcast.orders import dates
from clvcast.orders.reading.read_orders import read_table

CUTOFF = dates.parse_instant("2021-01-01")


def make_terms(margin_rate: float = 1.0) -> ForecastTerms:
    return ForecastTerms(
        horizon_days=30,
        periods=4,
        margin_rate=margin_rate,
        annual_discount_rate=0.0,
        target="spend",
        currency="GBP",
    )


def test_sums_are_of_the_span_before_and_of_the_same_days_a_year_ago() -> None:
    lines = pd.DataFrame(
        [
            ("a", "2019-12-31", 1.0),
            ("a", "2020-01-02", 2.0),  # 2021-01-01 less 365 days: the period a year ago begins
            ("a", "2020-01-31", 4.0),
            ("b", "2020-02-01", 8.0),  # it is over
            ("b", "2020-09-02", 16.0),
            ("b", "2020-09-03", 32.0),  # 120 days before the cutoff: the span begins
            ("b", "2020-12-31", 64.0),
            ("b", "2021-01-01", 128.0),  # not known yet
        ],
        columns=["customer_id", "ordered_at", "amount"],
    )
    orders = read_table(lines, OrdersConfig())
    past = sum_past_spend(orders, CUTOFF, make_terms())
    assert (past.span, past.year_ago) == (9_600, 600)
    halves = [orders.slice_customers(k, k + 1) for k in range(2)]
    one, other = (sum_past_spend(half, CUTOFF, make_terms()) for half in halves)
    assert one + other == past == past + PastSpend()


@pytest.mark.parametrize(
    ("clv", "warned"), [(39.9, True), (40.0, False), (110.0, False), (110.1, True)]
)
def test_a_total_outside_40_to_110_per_cent_warns(clv: float, warned: bool) -> None:
    past = PastSpend(span=100_00, year_ago=50_00, unit=100.0, first=CUTOFF - 365 * dates.DAY)
    told, warnings = describe_plausibility(past, clv, 25.0, CUTOFF, make_terms())
    assert told[0].startswith(f"the CLV of all customers is {clv:.0f}% of their spend of the 120")
    assert (
        told[1]
        == "the expected spend of all customers is 50% of their spend of the same days a year ago"
    )
    assert [text for text in warnings if "CLV" in text] == (
        [f"{told[0]}, outside 40% to 110%: check it before you rely on the total"] if warned else []
    )
    halved, _ = describe_plausibility(past, clv / 2, 25.0, CUTOFF, make_terms(0.5))
    assert halved[0] == told[0].replace("their spend", "their margin")


def test_what_the_history_does_not_reach_is_not_compared() -> None:
    for days, expected in ((119, 0), (120, 1), (364, 1), (365, 2)):
        first = CUTOFF - days * dates.DAY
        past = PastSpend(span=100, year_ago=100, unit=1.0, first=first)
        told, _ = describe_plausibility(past, 80.0, 80.0, CUTOFF, make_terms())
        assert len(told) == expected, days
    nothing = PastSpend(first=CUTOFF - 999 * dates.DAY)
    assert describe_plausibility(nothing, 1.0, 1.0, CUTOFF, make_terms()) == ([], [])
    assert describe_plausibility(PastSpend(), 1.0, 1.0, CUTOFF, make_terms()) == ([], [])


def test_what_is_unknown_is_said_in_one_sentence() -> None:
    assert describe_unknown("own", make_terms()) is None
    said = describe_unknown("cohort;later_unseen;season_unseen", make_terms())
    assert said is not None
    assert said.startswith("unknown: no history shows the last periods of the CLV; the season is")
    of_btyd = make_terms().model_copy(update={"retention_source": "btyd"})
    assert describe_unknown("own", of_btyd) == f"unknown: {BTYD_RETENTION}"
    every_number = describe_unknown("own;btyd_only", of_btyd)
    assert every_number is not None
    assert BTYD_RETENTION not in every_number  # every number is of BTYD, it says


def test_score_its_manifest_and_the_report_say_it(
    run: Run,
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    shop_config: clvcast.Config,
    shop_lines: pd.DataFrame,
    tmp_path: Path,
) -> None:
    shop_lines.to_parquet(tmp_path / "o.parquet")
    shop_model.save(tmp_path / "bundle")
    output = tmp_path / "f.parquet"
    score = ("score", "--model", tmp_path / "bundle", "--orders", tmp_path / "o.parquet")
    status, out, _ = run(*score, "--output", output)
    assert status == 0
    lines = shop_lines[shop_lines["ordered_at"] < "2021-02-24"]
    spent = lines.loc[lines["ordered_at"] >= "2020-08-28", "amount"].sum()
    forecast = pd.read_parquet(output)
    sentence = f"the CLV of all customers is {forecast['clv'].sum() / spent:.0%} of their spend"
    assert sentence in out
    manifest = json.loads((tmp_path / "f.parquet.manifest.json").read_text())
    assert manifest["plausibility"][0].startswith(sentence)
    again = run(*score, "--output", output)[1]
    assert "already done" in again
    assert sentence in again
    unknown = describe_unknown(str(forecast["evidence"].iloc[0]), describe_terms(shop_model))
    assert (unknown in manifest["remarks"]) == (unknown is not None)
    page = clvcast.report(forecast, shop_orders, shop_config).html
    assert sentence.replace("the CLV", "The CLV") in page
