"""Season: learned where history shows it, shrunk where it does not return, nowhere else."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.features.table import compute_feature_rows
from clvcast.models.parameters import Blend, Parameters
from clvcast.models.season import compute_later_factor
from clvcast.orders import dates, windows
from clvcast.orders.columns import Float64
from clvcast.orders.cutoffs import choose_season_cutoffs
from clvcast.orders.dates import DAY
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.backtest.summary import describe_season
from clvcast.train.blending import fit_initial_blend
from clvcast.train.season_curve import estimate_curve, estimate_level
from clvcast.train.season_estimation import PastYears, estimate_past_years
from clvcast.train.season_totals import estimate_from_totals, estimate_neutral_total

HORIZON = 60
AUTUMN, SPRING = "2022-10-15", "2023-03-01"  # before the peak and before the trough


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    return worlds.seasonal_shop()


@pytest.fixture(scope="module")
def models(lines: pd.DataFrame) -> dict[str, clvcast.Model]:
    config = clvcast.Config(horizon_days=HORIZON, periods=6, effort="quick")
    return {end: clvcast.train(lines, config, end) for end in (AUTUMN, SPRING)}


def past(lines: pd.DataFrame, end: str) -> PastYears:
    orders, instant = read_table(lines, OrdersConfig()), dates.parse_instant(end)
    now = compute_feature_rows(windows.slice_observed(orders, instant), np.array([instant]))
    return estimate_past_years(orders, fit_initial_blend(now, 20.0, 1.0), HORIZON, "spend", instant)


def actual(lines: pd.DataFrame, cutoff: str, days: int = HORIZON) -> float:
    begin = pd.Timestamp(cutoff)
    window = (lines["ordered_at"] >= begin) & (
        lines["ordered_at"] < begin + pd.Timedelta(days=days)
    )
    known = lines["customer_id"].isin(lines.loc[lines["ordered_at"] < begin, "customer_id"])
    return float(lines.loc[window & known, "amount"].sum())


@given(st.integers(0, 4000), st.integers(1, 400))
def test_season_cutoffs_end_before_the_end_and_show_every_place_of_the_year(
    days: int, horizon: int
) -> None:
    first, end = 12_345, days * DAY
    grid = choose_season_cutoffs(first, end, horizon)
    if grid is None:
        assert horizon < 7 or days < 366 + 1.6 * horizon + 28 + 28
        return
    assert (grid.instants + horizon * DAY <= end).all()
    assert (grid.instants > first).all()
    assert set(grid.phases.tolist()) == set(range(13))
    assert len(grid.places) == 13
    years_back = np.round((end - grid.instants) / DAY / 365.2425 - grid.phases / 13, 2)
    np.testing.assert_array_equal(years_back, grid.years)


def test_what_returns_every_year_is_season_and_drift_is_not() -> None:
    steps = np.arange(13 * 4)
    phases, years = steps % 13, steps // 13
    wave = 0.5 * np.cos(2 * np.pi * phases / 13)
    found = estimate_curve(wave - 0.3 * steps / 13, phases, years)
    np.testing.assert_allclose(found, wave[:13], atol=0.02)
    assert estimate_level(np.full(52, 0.5)) == pytest.approx(
        0.4
    )  # 52 points beside 13 that show nothing


def test_what_does_not_return_is_shrunk_away() -> None:
    steps = np.arange(13 * 4)
    noise = np.random.default_rng(1).normal(0.0, 0.3, len(steps))
    assert np.abs(estimate_curve(noise, steps % 13, steps // 13)).max() < 0.15
    seen_once = estimate_curve(noise[:13] / 8, steps[:13] % 13, steps[:13] // 13)
    np.testing.assert_array_equal(seen_once, np.zeros(13))  # less than a year differs from the next
    missing = np.where(steps == 3, np.nan, noise)[:13]
    np.testing.assert_array_equal(estimate_curve(missing, steps[:13], 0 * steps[:13]), np.zeros(13))


def test_the_season_of_a_shop_is_found(lines: pd.DataFrame) -> None:
    season = past(lines, AUTUMN).season
    truth = [
        np.mean(1 + 0.6 * np.cos(2 * np.pi * (place + np.arange(HORIZON) / 365.2425)))
        for place in season.places
    ]
    assert np.corrcoef(season.spend, np.log(truth))[0, 1] > 0.9
    assert np.corrcoef(season.churn, np.log(truth))[0, 1] < -0.9
    assert np.ptp(season.spend) == pytest.approx(np.ptp(np.log(truth)), rel=0.25)


def test_a_short_history_knows_no_season(lines: pd.DataFrame) -> None:
    assert past(lines, "2020-12-20") == PastYears()
    assert past(lines, "2021-05-01").season.is_known


def yearly_totals(years: float, growth: float = 1.0, waves: float = 0.5) -> Float64:
    """Daily totals that end at a peak of the year, each year `growth` times the one before."""
    back = np.arange(round(years * 365.2425))[::-1]
    season = np.exp(waves * np.cos(2 * np.pi * back / 365.2425))
    return np.asarray(season * growth ** (-back / 365.2425))


def test_a_year_of_totals_shows_half_of_the_season_and_two_all_of_it() -> None:
    half, whole = (estimate_from_totals(yearly_totals(y), 28, 0.0, 0.5) for y in (1.05, 2.05))
    assert np.ptp(whole.spend) == pytest.approx(1.0, abs=0.1)  # from -0.5 to 0.5
    assert np.ptp(half.spend) == pytest.approx(0.55, abs=0.1)
    place = whole.places[int(np.argmax(whole.spend))]
    assert min(place, 1 - place) < 0.08
    np.testing.assert_array_less(np.array(whole.churn) * np.array(whole.spend), 1e-12)


def test_totals_that_double_in_a_year_or_end_before_it_show_no_season() -> None:
    assert estimate_from_totals(yearly_totals(1.2, growth=1.9), 28, 0.0, 0.5).is_known
    assert not estimate_from_totals(yearly_totals(1.2, growth=2.1), 28, 0.0, 0.5).is_known
    assert not estimate_from_totals(yearly_totals(1.2, growth=0.45), 28, 0.0, 0.5).is_known
    assert not estimate_from_totals(yearly_totals(0.9), 28, 0.0, 0.5).is_known
    assert not estimate_from_totals(yearly_totals(1.01), 28, 0.0, 0.5).is_known  # 4 days again


def test_a_whole_years_mean_knows_no_season_and_follows_growth() -> None:
    flat = estimate_neutral_total(yearly_totals(1.3), 30)
    assert flat == pytest.approx(yearly_totals(1.0).mean() * 30, rel=0.01)
    grown = estimate_neutral_total(yearly_totals(1.3, growth=1.5, waves=0.0), 30)
    assert grown == pytest.approx(30.0, rel=0.03)  # the end's level is 1 a day
    assert np.isnan(estimate_neutral_total(yearly_totals(1.0), 30))


def test_nothing_at_or_after_the_end_touches_the_season(lines: pd.DataFrame) -> None:
    late = lines["ordered_at"] >= AUTUMN
    corrupted = lines.assign(amount=lines["amount"].where(~late, 9_999.0))
    assert past(lines[~late], AUTUMN) == past(lines, AUTUMN) == past(corrupted, AUTUMN)


@pytest.mark.slow
def test_forecasts_follow_the_season_at_whatever_cutoff_they_are_made(
    lines: pd.DataFrame, models: dict[str, clvcast.Model]
) -> None:
    for cutoff in (AUTUMN, SPRING):
        for scored_at in (cutoff, str((pd.Timestamp(cutoff) + pd.Timedelta(days=30)).date())):
            known = lines[lines["ordered_at"] < scored_at]
            happened = actual(lines, scored_at)
            total = clvcast.score(models[cutoff], known, scored_at)["expected_spend"].sum()
            assert abs(total / happened - 1) < 0.2


@pytest.mark.slow
def test_a_whole_year_is_worth_the_same_in_every_season(
    lines: pd.DataFrame, models: dict[str, clvcast.Model]
) -> None:
    """Six periods are 360 days: the season of the first must not be carried over all of them."""
    ratios = {
        cutoff: (forecast := clvcast.score(model, lines[lines["ordered_at"] < cutoff], cutoff))[
            "clv"
        ].sum()
        / forecast["expected_spend"].sum()
        for cutoff, model in models.items()
    }
    assert ratios[SPRING] > 1.25 * ratios[AUTUMN]
    season = models[AUTUMN].numbers.blend.season
    places = np.array([0.1, 0.8])
    np.testing.assert_allclose(compute_later_factor(season, places, 365.2425), 1.0, rtol=1e-9)


@pytest.mark.slow
def test_reasons_add_up_with_a_season(
    lines: pd.DataFrame, models: dict[str, clvcast.Model]
) -> None:
    known = lines[lines["ordered_at"] < AUTUMN]
    forecast = clvcast.score(models[AUTUMN], known, AUTUMN).set_index("customer_id")["clv"]
    added = clvcast.explain(models[AUTUMN], known, AUTUMN).groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(added, forecast, rtol=1e-9)


@pytest.mark.slow
def test_one_customer_alone_gets_the_same_forecast(
    lines: pd.DataFrame, models: dict[str, clvcast.Model]
) -> None:
    known = lines[lines["ordered_at"] < AUTUMN]
    everybody = clvcast.score(models[AUTUMN], known, AUTUMN).set_index("customer_id")
    for name, own in list(known.groupby("customer_id"))[::100]:
        alone = models[AUTUMN].score_one(own, AUTUMN)
        assert alone.expected_spend == everybody.loc[str(name), "expected_spend"]
        assert alone.clv == everybody.loc[str(name), "clv"]


def test_what_is_not_known_is_said(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, lines: pd.DataFrame
) -> None:
    assert "No season is known" in describe_season(shop_model.numbers.blend.season)
    assert clvcast.score(shop_model, shop_orders)["evidence"].str.contains("season_unseen").all()
    found = past(lines, AUTUMN).season
    told = describe_season(found)
    assert f"{np.expm1(max(found.spend)):+.0%} of the year's mean" in told


def test_a_bundle_from_before_there_were_seasons_still_loads(shop_model: clvcast.Model) -> None:
    stored = json.loads(shop_model.numbers.model_dump_json())
    del stored["blend"]["season"], stored["blend"]["churn_start"]
    assert Parameters.model_validate(stored) == shop_model.numbers
    assert not Blend.model_validate(stored["blend"]).season.is_known
