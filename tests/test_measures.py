"""Measures against numbers worked by hand, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from clvcast.evaluation import measures


def a(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_normalised_gini_by_hand() -> None:
    # actual 6, 3, 1: captured .6, .9, 1 -> G = 2/3 * 2.5 - 1 = 2/3; reversed .1, .4, 1 -> 0
    assert measures.normalised_gini(a(3, 2, 1), a(6, 3, 1)) == pytest.approx(1.0)
    assert measures.normalised_gini(a(1, 2, 3), a(6, 3, 1)) == pytest.approx(0.0)
    # all tied: each holds a third -> captured 1/3, 2/3, 1 -> G = 2/3 * 2 - 1 = 1/3; 1/3 over 2/3
    assert measures.normalised_gini(a(5, 5, 5), a(6, 3, 1)) == pytest.approx(0.5)


def test_errors_by_hand() -> None:
    forecast, actual = a(1, 2, 3), a(2, 2, 0)
    assert measures.mean_absolute_error(forecast, actual) == pytest.approx(4 / 3)
    assert measures.root_mean_squared_error(forecast, actual) == pytest.approx((10 / 3) ** 0.5)
    assert measures.bias(forecast, actual) == pytest.approx(0.5)
    assert np.isnan(measures.bias(forecast, a(0, 0, 0)))


def test_decile_error_by_hand() -> None:
    actual = np.repeat(np.arange(1.0, 11.0), 3)
    assert measures.decile_mape(actual, actual) == pytest.approx(0.0)
    assert measures.decile_mape(actual * 1.2, actual) == pytest.approx(0.2)


def test_spearman_by_hand() -> None:
    assert measures.spearman(a(1, 2, 3), a(10, 20, 30)) == pytest.approx(1.0)
    assert measures.spearman(a(1, 2, 3), a(3, 2, 1)) == pytest.approx(-1.0)
    assert np.isnan(measures.spearman(a(1, 1, 1), a(3, 2, 1)))


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.booleans()), min_size=4, max_size=50))
def test_churn_measures_equal_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    probability = a(*[p for p, _ in pairs])
    happened = np.array([h for _, h in pairs])
    expected = log_loss(happened, probability, labels=[False, True])
    assert measures.log_loss(probability, happened) == pytest.approx(expected)
    if happened.all() or not happened.any():
        assert np.isnan(measures.auc(probability, happened))
    else:
        assert measures.auc(probability, happened) == pytest.approx(
            roc_auc_score(happened, probability)
        )


def test_calibration_error_by_hand() -> None:
    happened = np.array([False] * 5 + [True] * 5)
    assert measures.calibration_error(happened.astype(float), happened) == 0.0
    assert measures.calibration_error(np.full(10, 0.5), happened) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), min_size=2, max_size=40))
def test_rankings_do_not_depend_on_the_order_of_rows(pairs: list[tuple[int, float]]) -> None:
    forecast, actual = a(*[float(f) for f, _ in pairs]), a(*[x for _, x in pairs])
    for measure in (measures.normalised_gini, measures.spearman):
        np.testing.assert_allclose(
            measure(forecast[::-1], actual[::-1]), measure(forecast, actual), atol=1e-9
        )
