"""Segments: the grid, scores that survive ties, tiers, risk bands, and thresholds that
stay fixed.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import parse_config
from clvcast.configs.segments import RFM_SEGMENTS, RiskConfig, TiersConfig, build_rfm_grid
from clvcast.errors import BundleError, ConfigError
from clvcast.models import segments

# the customary table, written out as it is printed: R from 5 down, FM from 1 up
GRID = """
Recent Customers | Potential Loyalist | Loyal | Champions | Champions
Promising | Potential Loyalist | Potential Loyalist | Loyal | Champions
Promising | Needing Attention | Potential Loyalist | Loyal | Loyal
About To Sleep | Needing Attention | Needing Attention | At Risk | At Risk
Lost | Hibernating | At Risk | Can't Lose Them | Can't Lose Them
"""


def test_rfm_segments_are_the_customary_eleven() -> None:
    rows = [line.split(" | ") for line in GRID.strip().splitlines()]
    assert [list(row) for row in reversed(build_rfm_grid(RFM_SEGMENTS))] == rows
    assert len({name for row in rows for name in row}) == 11


def test_rfm_fm_is_the_mean_of_f_and_m_halves_rounded_up() -> None:
    f, m = (scores.ravel() for scores in np.meshgrid(range(1, 6), range(1, 6)))
    fm = np.floor((f + m) / 2 + 0.5).astype(int)
    for r in range(1, 6):
        found = segments.name_rfm_segments(np.full(25, r), f, m, build_rfm_grid(RFM_SEGMENTS))
        assert found.tolist() == [build_rfm_grid(RFM_SEGMENTS)[r - 1][k - 1] for k in fm]


@given(
    st.lists(st.integers(-50, 50) | st.just(1), min_size=1, max_size=60),
    st.booleans(),
)
def test_rfm_scores_count_the_cut_points_strictly_passed(
    values: list[int], fewer_is_better: bool
) -> None:
    """Equal customers score alike, better ones never less, and a score is what its
    definition says.
    """
    array = np.array(values)
    cuts = segments.compute_quintile_cuts(array)
    scores = segments.score_rfm(array, cuts, fewer_is_better=fewer_is_better)
    for value, score in zip(values, scores, strict=True):
        passed = sum(value < cut if fewer_is_better else value > cut for cut in cuts)
        assert score == 1 + passed
    assert set(cuts) <= set(values)


def test_rfm_quintiles_survive_ties() -> None:
    once = np.array([1] * 70 + [2] * 20 + [9] * 10)
    scores = segments.score_rfm(once, segments.compute_quintile_cuts(once))
    assert dict(zip(once.tolist(), scores.tolist(), strict=True)) == {1: 1, 2: 4, 9: 5}
    everyone = np.full(30, 3)
    assert set(segments.score_rfm(everyone, segments.compute_quintile_cuts(everyone))) == {1}


def test_value_tiers_cut_by_share_of_value_or_of_customers() -> None:
    clv = np.array([0.0, 50.0, 10.0, 30.0, 10.0])  # half the value is one customer
    by_value = segments.compute_tier_edges(clv, TiersConfig(by="value", high=0.5, medium=0.3))
    assert by_value == (30.0, 50.0)
    assert segments.assign_tiers(clv, by_value).tolist() == ["low", "high", "low", "medium", "low"]
    by_customers = segments.compute_tier_edges(
        clv, TiersConfig(by="customers", high=0.2, medium=0.4)
    )
    assert by_customers == (10.0, 50.0)
    found = segments.assign_tiers(clv, by_customers).tolist()
    assert found == ["low", "high", "medium", "medium", "medium"], "equals stay together"
    nothing = segments.compute_tier_edges(np.zeros(4), TiersConfig())
    assert set(segments.assign_tiers(np.zeros(4), nothing)) == {"low"}


@given(
    st.lists(st.integers(0, 10**8).map(lambda cents: cents / 100), min_size=1, max_size=50),
    st.floats(0.05, 0.9),
)
def test_value_tiers_high_holds_its_share_and_no_customer_too_many(
    values: list[float], share: float
) -> None:
    clv = np.array(values)
    config = TiersConfig(by="value", high=share, medium=0.04)
    high = segments.assign_tiers(clv, segments.compute_tier_edges(clv, config)) == "high"
    if clv.sum() > 0:
        assert clv[high].sum() >= share * clv.sum() * (1 - 1e-9)
        last = clv[high].min()
        assert clv[clv > last].sum() < share * clv.sum()


def test_risk_bands_are_low_below_33_and_high_above_66_per_cent() -> None:
    churn = np.array([0.0, 0.32, 0.33, 0.5, 0.66, 0.67, 1.0])
    assert segments.assign_risk_bands(churn, RiskConfig()).tolist() == [
        "low",
        "low",
        "medium",
        "medium",
        "medium",
        "high",
        "high",
    ]
    assert segments.assign_risk_bands(churn, RiskConfig(low_below=0.1, high_above=0.4))[3] == "high"


def test_risk_limits_fit_customers_whom_the_usual_ones_do_not_tell_apart() -> None:
    usual = np.array([0.1] * 5 + [0.5] * 85 + [0.9] * 10)
    assert segments.choose_risk_limits(RiskConfig(), usual) == RiskConfig()
    few_low = np.concatenate((usual[1:], [0.9]))  # four of a hundred
    assert segments.choose_risk_limits(RiskConfig(), few_low) == RiskConfig(), "nor do thirds"
    loyal = np.linspace(0.01, 0.2, 90)
    found = segments.choose_risk_limits(RiskConfig(), loyal)
    assert found == RiskConfig(low_below=0.07, high_above=0.14)
    bands = segments.assign_risk_bands(loyal, found)
    assert all(25 <= np.count_nonzero(bands == name) <= 35 for name in segments.RISKS)
    stated = RiskConfig(high_above=0.7)
    assert segments.choose_risk_limits(stated, loyal) is stated
    assert segments.choose_risk_limits(RiskConfig(), loyal[:0]) == RiskConfig()


def test_risk_limits_have_as_many_digits_as_three_bands_need() -> None:
    for churn, digits in (
        (np.linspace(0.97, 0.999, 90), 2),
        (np.linspace(0.991, 0.9999, 90), 3),
        (np.linspace(0.9991, 0.99999, 90), 4),
        (np.linspace(0.000001, 0.0001, 90), 6),
    ):
        found = segments.choose_risk_limits(RiskConfig(), churn)
        low, high = np.quantile(churn, (1 / 3, 2 / 3)).round(digits).tolist()
        assert (found.low_below, found.high_above) == (low, high)
        bands = segments.assign_risk_bands(churn, found)
        assert min(np.count_nonzero(bands == name) for name in segments.RISKS) >= 5
    for churn in (np.zeros(90), np.full(90, 0.995), np.ones(90)):
        assert segments.choose_risk_limits(RiskConfig(), churn) == RiskConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("segments: {rfm: {All: [R1-5 FM1-4]}}", "R1 FM5, R2 FM5, R3 FM5 are in no segment"),
        ("segments: {rfm: {All: [R1-5 FM1-5], Best: [R5 FM5]}}", "R5 FM5 is in All and Best"),
        ("segments: {rfm: {All: [R1-6 FM1-5]}}", "must hold named blocks such as R4-5 FM5"),
        ("segments: {tiers: {high: 0.7, medium: 0.4}}", "high + medium must be below 1, got 1.1"),
        ("segments: {risk: {low_below: 0.7}}", "low_below must be at most high_above"),
        ("segments: {risks: {}}", "unknown key segments.risks; did you mean risk?"),
        ("segments: {tiers: {by: size}}", "segments.tiers.by should be 'value' or 'customers'"),
    ],
)
def test_custom_tables_must_be_a_partition(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^shop\.yaml: ") as refusal:
        parse_config(text, "shop.yaml")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_forecasts_carry_segments_that_do_not_depend_on_who_else_is_there(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    forecast = clvcast.score(shop_model, shop_orders)
    thresholds = shop_model.segments
    assert set(forecast["tier"]) == {"low", "medium", "high"}
    assert set(forecast["rfm_segment"]) <= set(RFM_SEGMENTS)
    assert forecast["rfm_segment"].nunique() >= 8
    high = forecast["tier"] == "high"
    held = forecast.loc[high, "clv"].sum() / forecast["clv"].sum()
    assert 0.5 <= held < 0.55, "at the end of training the edges cut what the rule says"
    expected = np.select(
        [forecast["churn_probability"] < 0.33, forecast["churn_probability"] > 0.66],
        ["low", "high"],
        "medium",
    )
    assert forecast["risk"].tolist() == expected.tolist()
    some = shop_orders.keep_customers(np.arange(shop_orders.n_customers) % 7 == 0)
    alone = clvcast.score(shop_model, some, str(forecast["cutoff"][0].date()))
    both = forecast.merge(alone, on="customer_id", suffixes=("", "_alone"))
    for name in ("rfm_segment", "tier", "risk"):
        assert both[name].tolist() == both[f"{name}_alone"].tolist()
    spend = pd.Series(shop_orders.spend_by_customer() / 100)
    assert thresholds.money_cuts == segments.compute_quintile_cuts(
        spend[pd.Series(shop_orders.customer_ids).isin(forecast["customer_id"])].to_numpy()
    )


def test_a_configuration_overrides_names_and_risk_but_not_fixed_edges(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    config = parse_config(
        "segments: {rfm: {Here: [R3-5 FM1-5], Gone: [R1-2 FM1-5]}, risk: {high_above: 0.9}}"
    )
    forecast = clvcast.score(shop_model.with_config(config), shop_orders)
    assert set(forecast["rfm_segment"]) == {"Here", "Gone"}
    medium = forecast[forecast["risk"] == "medium"]
    assert medium["churn_probability"].max() > 0.66
    with pytest.raises(ConfigError, match=r"segments\.tiers must be the model's \(by value"):
        shop_model.with_config(parse_config("segments: {tiers: {by: customers}}"))


def test_cutting_within_the_file_is_an_option(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    text = "segments: {within_file: true, tiers: {by: customers, high: 0.2, medium: 0.3}}"
    some = shop_orders.keep_customers(np.arange(shop_orders.n_customers) < 100)
    forecast = clvcast.score(shop_model.with_config(parse_config(text)), some)
    assert (forecast["tier"] == "high").sum() == -(-len(forecast) // 5)


def test_a_bundle_without_thresholds_says_so(shop_model: clvcast.Model) -> None:
    numbers = shop_model.numbers.model_copy(update={"segments": None})
    with pytest.raises(BundleError, match="no segment thresholds; train it again"):
        _ = dataclasses.replace(shop_model, numbers=numbers).segments


def test_thresholds_survive_the_bundle(shop_model: clvcast.Model, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shop_model.save(folder)
    assert clvcast.load_model(folder).segments == shop_model.segments
