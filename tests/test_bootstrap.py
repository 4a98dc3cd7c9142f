"""The paired bootstrap: the vectorised measures are those of resampled arrays, and intervals
behave.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clvcast.evaluation import measures, standard_measures
from clvcast.evaluation.bootstrap import (
    _count_draws,
    _Ranking,
    bootstrap_bias,
    bootstrap_gini_difference,
    bootstrap_loss_ratio,
    compute_interval,
    draw_samples,
)

customers = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 50), st.integers(0, 3)),
    min_size=2,
    max_size=30,
)


@given(customers)
def test_a_weighed_gini_is_that_of_the_customers_repeated(
    rows: list[tuple[int, int, int, int]],
) -> None:
    forecast, _, actual, times = (np.array(c, dtype=np.float64) for c in zip(*rows, strict=True))
    repeated = np.repeat(np.arange(len(rows)), times.astype(int))
    assume(actual[repeated].sum() > 0)
    weights = times[None, :]
    found = _Ranking(forecast).gini(actual, weights) / _Ranking(actual).gini(actual, weights)
    expected = measures.normalised_gini(forecast[repeated], actual[repeated])
    np.testing.assert_allclose(found[0], expected, atol=1e-9)


def test_estimates_are_the_measures_themselves_and_draws_are_seeded() -> None:
    random = np.random.default_rng(1)
    actual = random.lognormal(0, 1.5, 500) * (random.random(500) < 0.5)
    ours, theirs = actual + random.normal(0, 1, 500), random.lognormal(0, 1, 500)
    gini = bootstrap_gini_difference(ours, theirs, actual)
    expected = measures.normalised_gini(ours, actual) - measures.normalised_gini(theirs, actual)
    assert gini.estimate == pytest.approx(expected)
    assert gini.lower < gini.estimate < gini.upper
    assert gini == bootstrap_gini_difference(ours, theirs, actual)
    assert gini != bootstrap_gini_difference(ours, theirs, actual, seed=1)
    errors = [standard_measures.mean_absolute_error(f, actual) for f in (ours, theirs)]
    ratio = bootstrap_loss_ratio(np.abs(ours - actual), np.abs(theirs - actual))
    assert ratio.estimate == pytest.approx(errors[0] / errors[1] - 1)
    assert bootstrap_bias(ours, actual).estimate == pytest.approx(measures.bias(ours, actual))


def test_a_forecast_beside_itself_is_neither_better_nor_worse() -> None:
    actual = np.arange(50.0)
    forecast = actual[::-1].copy()
    for interval in (
        bootstrap_gini_difference(forecast, forecast, actual),
        bootstrap_loss_ratio(np.abs(forecast - actual), np.abs(forecast - actual)),
    ):
        assert (interval.lower, interval.estimate, interval.upper) == (0.0, 0.0, 0.0)


def test_intervals_cover_what_they_should() -> None:
    """The bias of a forecast that is right on average lies between 90 % bounds in about 90 % of
    samples.
    """
    random = np.random.default_rng(2)
    inside = 0
    for k in range(100):
        actual = random.gamma(2.0, 1.0, 300)
        interval = bootstrap_bias(np.full(300, 2.0), actual, 0.95, seed=k)
        inside += interval.lower <= 0.0 <= interval.upper
    assert 80 <= inside <= 98


def test_nothing_spent_gives_no_interval() -> None:
    nothing = np.zeros(5)
    assert np.isnan(bootstrap_gini_difference(nothing, nothing, nothing).upper)
    assert np.isnan(bootstrap_bias(nothing, nothing).lower)


@pytest.mark.slow
def test_nobody_has_no_gini() -> None:
    nobody = np.empty(0)
    assert np.isnan(_Ranking(nobody).gini(nobody, np.empty((3, 0)))).all()


@pytest.mark.slow
def test_large_shops_draw_less_and_hold_little() -> None:
    blocks = list(draw_samples(300_000))
    assert sum(len(block) for block in blocks) == 666
    assert max(block.size for block in blocks) <= 4_000_000
    assert all((block.sum(axis=1) == 300_000).all() for block in blocks)


@pytest.mark.parametrize(
    ("customers", "draws"),
    [(1, 1000), (200_000, 1000), (200_201, 998), (1_000_000, 200), (2_000_000, 200)],
)
def test_draws_are_bounded_on_both_sides(customers: int, draws: int) -> None:
    assert _count_draws(customers) == draws


def test_an_interval_leaves_out_what_cannot_be_measured() -> None:
    drawn = np.append(np.arange(101.0), np.nan)
    found = compute_interval(50.0, drawn, 0.95)
    assert (found.estimate, found.lower, found.upper) == pytest.approx((50.0, 5.0, 95.0))
    assert np.isnan(compute_interval(1.0, np.full(3, np.nan), 0.95).lower)
