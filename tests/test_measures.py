"""Measures against numbers worked by hand and formulas, on either side of each threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from clvcast.evaluation import measures, standard_measures

Array = npt.NDArray[np.float64]


def a(*values: float) -> Array:
    return np.array(values, dtype=np.float64)


def exactly(value: float) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def test_normalised_gini_by_hand() -> None:
    # actual 6, 3, 1: captured .6, .9, 1 -> G = 2/3 * 2.5 - 1 = 2/3; reversed .1, .4, 1 -> 0
    assert measures.normalised_gini(a(3, 2, 1), a(6, 3, 1)) == pytest.approx(1.0)
    assert measures.normalised_gini(a(1, 2, 3), a(6, 3, 1)) == pytest.approx(0.0)
    # all tied: each holds a third -> captured 1/3, 2/3, 1 -> G = 2/3 * 2 - 1 = 1/3; 1/3 over 2/3
    assert measures.normalised_gini(a(5, 5, 5), a(6, 3, 1)) == pytest.approx(0.5)


@pytest.mark.parametrize("measure", [measures.normalised_gini, measures.bias, measures.decile_mape])
def test_measures_of_money_need_some(measure: Callable[[Array, Array], float]) -> None:
    assert np.isnan(measure(a(3, 2, 1), a(0, 0, 0)))
    assert np.isfinite(measure(a(3, 2, 1), a(0, 0, 0.01)))


def test_errors_by_hand() -> None:
    forecast, actual = a(1, 2, 3), a(2, 2, 0)
    assert standard_measures.mean_absolute_error(forecast, actual) == exactly(4 / 3)
    root = standard_measures.root_mean_squared_error(forecast, actual)
    assert root == exactly((10 / 3) ** 0.5)
    assert measures.bias(forecast, actual) == pytest.approx(0.5)


def test_decile_error_by_hand() -> None:
    actual = np.repeat(np.arange(1.0, 11.0), 3)
    assert measures.decile_mape(actual, actual) == pytest.approx(0.0)
    assert measures.decile_mape(actual * 1.2, actual) == pytest.approx(0.2)
    # a tenth that spent nothing has no ratio, one that spent a little has: (|1 - .5| / .5 + 0) / 10
    spent = np.arange(1.0, 11.0)
    assert measures.decile_mape(spent, np.where(spent > 1, spent, 0.0)) == 0.0
    assert measures.decile_mape(spent, np.where(spent > 1, spent, 0.5)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(3, [1, 1, 1]), (10, [1] * 10), (11, [2] + [1] * 9), (19, [2] * 9 + [1]), (20, [2] * 10)],
)
def test_groups_are_equal_to_one_and_lowest_first(n: int, sizes: list[int]) -> None:
    values = np.arange(n)[::-1].astype(np.float64)
    groups = measures.split_into_groups(values)
    assert [len(rows) for rows in groups] == sizes
    assert np.concatenate([values[rows] for rows in groups]).tolist() == list(range(n))


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_groups_are_the_bins_of_scikit_learn_where_no_probabilities_tie(
    size: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    probability = random.permutation(10 * size) / (10.0 * size)
    happened = random.random(10 * size) < probability
    groups = measures.split_into_groups(probability)
    shares, means = calibration_curve(happened, probability, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(measures.average_by_group(probability, groups), means)
    np.testing.assert_allclose(measures.average_by_group(happened, groups), shares)
    error = float(np.abs(means - shares).mean())
    assert measures.calibration_error(probability, happened) == exactly(error)


def test_calibration_error_by_hand() -> None:
    happened = np.array([False] * 5 + [True] * 5)
    assert measures.calibration_error(happened.astype(float), happened) == 0.0
    assert measures.calibration_error(np.full(10, 0.5), happened) == pytest.approx(0.5)
    # eleven: the first group has two, of mean .5, of whom one churned; the others are off by .4
    eleven = a(0.5, 0.5, *[0.6] * 9)
    churned = np.array([True, False] + [True] * 9)
    assert measures.calibration_error(eleven, churned) == pytest.approx(9 * 0.4 / 11)


@pytest.mark.parametrize(("n", "first"), [(1, 1), (14, 1), (15, 2), (24, 2), (26, 3)])
def test_the_top_tenth_is_rounded_and_never_empty(n: int, first: int) -> None:
    spend = np.arange(n, dtype=np.float64)
    assert measures.select_top_tenth(spend, spend).tolist() == spend[::-1][:first].tolist()
    tied = measures.select_top_tenth(np.zeros(n), spend)
    assert tied.tolist() == spend[:first].tolist()


def test_an_interval_holds_its_ends() -> None:
    lower, upper = np.zeros(4), np.ones(4)
    assert measures.coverage(lower, upper, a(0.0, 1.0, -1e-9, 1.0 + 1e-9)) == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_measures_of_churn_are_their_formulas(pairs: list[tuple[float, bool]]) -> None:
    probability = a(*[p for p, _ in pairs])
    happened = np.array([h for _, h in pairs])
    clipped = np.clip(probability, 1e-6, 1.0 - 1e-6)
    losses = -np.log(np.where(happened, clipped, 1.0 - clipped))
    assert standard_measures.log_loss(probability, happened) == exactly(losses.mean())
    found = standard_measures.compute_log_losses(probability, happened)
    np.testing.assert_allclose(found, losses, rtol=1e-12)
    brier = float(((probability - happened) ** 2).mean())
    assert standard_measures.brier_score(probability, happened) == exactly(brier)
    events, others = probability[happened], probability[~happened]
    if not len(events) or not len(others):
        assert np.isnan(standard_measures.auc(probability, happened))
    else:
        above = np.sign(events[:, None] - others[None, :])
        expected = float((above + 1.0).mean() / 2.0)
        assert standard_measures.auc(probability, happened) == exactly(expected)


def test_a_probability_counts_as_a_millionth_at_least() -> None:
    happened = np.array([True])
    least = standard_measures.log_loss(a(1e-6), happened)
    assert least == exactly(6 * np.log(10.0))
    assert standard_measures.log_loss(a(0.0), happened) == least
    assert standard_measures.log_loss(a(0.9e-6), happened) == least
    assert standard_measures.log_loss(a(1.1e-6), happened) < least
    assert standard_measures.log_loss(a(1.0), happened) == pytest.approx(1e-6, rel=1e-5)


@given(st.lists(st.tuples(st.floats(0.01, 1e4), st.floats(0, 1e4)), min_size=1, max_size=30))
def test_tweedie_deviance_is_its_formula(pairs: list[tuple[float, float]]) -> None:
    forecast, actual = a(*[f for f, _ in pairs]), a(*[x for _, x in pairs])
    root = np.sqrt(forecast)
    expected = float((4.0 * (actual / root - 2.0 * np.sqrt(actual) + root)).mean())
    found = standard_measures.mean_tweedie_deviance(forecast, actual)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_spearman_by_hand() -> None:
    assert standard_measures.spearman(a(1, 2, 3), a(10, 20, 30)) == pytest.approx(1.0)
    assert standard_measures.spearman(a(1, 2, 3), a(3, 2, 1)) == pytest.approx(-1.0)
    assert np.isnan(standard_measures.spearman(a(1, 1, 1), a(3, 2, 1)))
    assert np.isnan(standard_measures.spearman(a(3, 2, 1), a(1, 1, 1)))
    assert np.isnan(standard_measures.spearman(a(1), a(2)))


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), min_size=2, max_size=40))
def test_rankings_do_not_depend_on_the_order_of_rows(pairs: list[tuple[int, float]]) -> None:
    forecast, actual = a(*[float(f) for f, _ in pairs]), a(*[x for _, x in pairs])
    for measure in (measures.normalised_gini, standard_measures.spearman):
        np.testing.assert_allclose(
            measure(forecast[::-1], actual[::-1]), measure(forecast, actual), atol=1e-9
        )
    assume(np.ptp(forecast) > 0 and np.ptp(actual) > 0)
    ranks = pd.DataFrame({"forecast": forecast, "actual": actual}).rank()
    expected = np.corrcoef(ranks["forecast"], ranks["actual"])[0, 1]
    assert standard_measures.spearman(forecast, actual) == pytest.approx(expected, abs=1e-12)
