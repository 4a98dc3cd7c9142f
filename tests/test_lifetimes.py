"""docs/lifetimes.md: each step of lifetimes' quickstart, on lifetimes' data, with its numbers."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from conftest import missing

import clvcast
from clvcast.api.btyd import BGNBD, GammaGamma, ParetoNBD
from clvcast.errors import ConfigError, OrdersError

FILES = ("cdnow_customers_summary.csv", "cdnow_customers_summary_with_transactions.csv",
         "example_transactions.csv")  # fmt: skip

# Printed by lifetimes 0.11.3 (pandas 1.5.3, numpy 1.24.4, scipy 1.10.1, Python 3.11) for the steps
# of its quickstart on the files above. Bounds: it takes 1.96 for the normal quantile.
SUMMARY = {  # coef, se(coef), lower 95% bound, upper 95% bound
    "r": [0.24259293, 0.01255732, 0.21798058, 0.26720528],
    "alpha": [4.41353227, 0.37822146, 3.67221821, 5.15484632],
    "a": [0.79288597, 0.18571907, 0.42887659, 1.15689535],
    "b": [2.42575238, 0.70534544, 1.04327551, 3.80822926],
}
VALUE_SUMMARY = {  # of Gamma-Gamma
    "p": [6.248802, 1.189687, 3.917016, 8.580589],
    "q": [3.744588, 0.290166, 3.175864, 4.313313],
    "v": [15.447748, 4.159994, 7.294160, 23.601336],
}
CELLS = [(0, 1), (10, 5), (20, 5), (30, 20), (38, 29)]  # recency, frequency, in weeks
EXPECTED = [0.00452785006, 0.00337446971, 0.0379667990, 0.133469749, 0.666134211]
ALIVE = [0.155314550, 0.0274931361, 0.309330491, 0.282035175, 0.974602160]
LAST_RANKED = {509: 0.424877447, 841: 0.474738313, 1981: 0.486526007, 157: 0.662396482,
               1516: 0.710623259}  # fmt: skip
CUSTOMERS = [1411, 439, 214, 100, 62, 38, 29]
MODEL_CUSTOMERS = [1407.68461, 460.324553, 192.460280, 101.163435, 59.8466980, 38.1195567,
                   25.5490876]  # fmt: skip
TRANSACTIONS = {"r": 0.163850902, "alpha": 1.86428077, "a": 1.85034310, "b": 3.18105880}
HOLDOUT = {  # mean purchases by repeats in calibration
    "actual": [0.161078998, 0.233170732, 0.347826087, 0.543795620, 0.710059172, 0.704347826,
               1.606060606],
    "model": [0.269892468, 0.293861760, 0.401600037, 0.422267065, 0.705816424, 0.809352436,
              1.018576077],
}  # fmt: skip
ONE_CUSTOMER = 0.05708560180399356
HISTORY = {0: 1.0, 2: 1.0, 10: 0.3785135949, 50: 0.4296220931, 100: 0.5943086665,
           150: 0.6981499266, 199: 0.0245642575, 200: 0.0227125387}  # fmt: skip
AVERAGE = [24.6586161892, 18.9114798699, 35.1710021525, 35.1710021525, 35.1710021525, 71.4628508045,
           18.9114798699, 35.1710021525, 27.2824075811, 35.1710021525]  # fmt: skip
CLV_DAYS = [140.0962176011, 18.9434662989, 38.1805747088, 38.1805747088, 38.1805747088,
            1003.8682854713, 28.1096811522, 38.1805747088, 167.4182236938,
            38.1805747088]  # fmt: skip
CLV_WEEKS = [36.2784957636, 4.6374663286, 8.3440931218, 8.3440931218, 8.3440931218,
             283.5235925904, 6.8814069080, 8.3440931218, 43.3536423969, 8.3440931218]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_quickstart_of_lifetimes_gives_its_numbers(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files may not be committed (research use); the wheel of `lifetimes` holds them."""
    monkeypatch.chdir(tmp_path)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run([*download, "lifetimes==0.11.3"], capture_output=True, check=False)
    wheels = list(tmp_path.glob("*.whl"))
    if done.returncode or not wheels:
        missing("a package index with lifetimes 0.11.3")
    with zipfile.ZipFile(wheels[0]) as wheel:
        for name in FILES:
            Path(name).write_bytes(wheel.read(f"lifetimes/datasets/{name}"))

    text = (root / "docs" / "lifetimes.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == text.count("```python") == 9
    page: dict[str, Any] = {"__name__": "lifetimes"}
    for title, block in blocks:
        exec(compile(block, title, "exec", dont_inherit=True), page)

    for model, summary in (("bgf", SUMMARY), ("ggf", VALUE_SUMMARY)):
        assert list(page[model].summary) == [
            "coef", "se(coef)", "lower 95% bound", "upper 95% bound",
        ]  # fmt: skip
        for name, numbers in summary.items():
            assert page[model].summary.loc[name].tolist() == pytest.approx(numbers, rel=3e-5)
    matrices = (clvcast.tables.expected_orders, EXPECTED), (clvcast.tables.probability_alive, ALIVE)
    for tabulate, numbers in matrices:
        grid = tabulate(page["bgf"], 29, 38)
        assert grid.shape == (39, 30)
        assert [grid.loc[cell] for cell in CELLS] == pytest.approx(numbers, rel=2e-5)
    assert all(Path(f"{name}.html").is_file() for name in ("expected_orders", "probability_alive"))
    ranked = page["data"].sort_values("purchases")["purchases"].tail(5)
    assert ranked.index.tolist() == list(LAST_RANKED)
    assert ranked.to_dict() == pytest.approx(LAST_RANKED, rel=1e-5)
    assert page["fit"]["customers"].tolist() == CUSTOMERS
    assert page["fit"]["model"].tolist() == pytest.approx(MODEL_CUSTOMERS, rel=1e-5)

    sums = page["summary"][["frequency", "recency", "T"]].sum().tolist()
    assert sums == [9_270, 121_356, 1_211_978]
    assert page["purchases"].params_.to_dict() == pytest.approx(TRANSACTIONS, rel=1e-5)
    assert page["days"] == 121
    assert (len(page["holdout"]), page["holdout"]["actual"].sum()) == (5_000, 1_924)
    means = page["holdout"].groupby("frequency")[["actual", "model"]].mean().head(7)
    for name, values in HOLDOUT.items():
        assert means[name].tolist() == pytest.approx(values, rel=1e-5)
    customer = page["customer"]
    history = customer["frequency"], customer["recency"], customer["T"]
    assert page["purchases"].expected_purchases(10, *history) == pytest.approx(ONE_CUSTOMER)
    assert page["alive"].loc[list(HISTORY)].to_dict() == pytest.approx(HISTORY, rel=1e-5)
    assert page["alive"].sum() == pytest.approx(112.6098062981, rel=1e-5)

    returning = page["returning"]
    assert returning["zbar"].corr(returning["x"]) == pytest.approx(0.113884, abs=1e-6)
    assert page["average"][:10].tolist() == pytest.approx(AVERAGE, rel=1e-5)
    assert page["average"].mean() == pytest.approx(35.25295817604993, rel=1e-5)
    columns = *page["known"], page["valued"]["zbar"]
    for freq, first, total in (
        ("W", CLV_WEEKS, 71509.89931936466),
        ("D", CLV_DAYS, 266621.6044097191),
    ):
        clv = page["ggf"].customer_lifetime_value(page["orders_model"], *columns, freq=freq)
        assert clv[:10].tolist() == pytest.approx(first, rel=1e-5)
        assert clv.sum() == pytest.approx(total, rel=1e-5)
    weeks = page["ggf"].customer_lifetime_value(page["orders_model"], *columns, freq="W")
    np.testing.assert_array_equal(page["clv"], weeks)  # the page's call


def simulate_purchases(random: np.random.Generator) -> list[np.ndarray]:
    """Frequency, recency and T of 2,000 customers of BG/NBD with r 0.8, alpha 30, a 0.7, b 2.5."""
    n = 2_000
    tenure = random.integers(100, 300, n).astype(float)
    rate, leaving = random.gamma(0.8, 1 / 30, n), random.beta(0.7, 2.5, n)
    clock, frequency, recency = np.zeros(n), np.zeros(n), np.zeros(n)
    is_active = np.ones(n, dtype=bool)
    while is_active.any():
        clock = clock + random.exponential(1, n) / rate
        is_active &= clock < tenure
        frequency += is_active
        recency = np.where(is_active, clock, recency)
        is_active &= random.random(n) >= leaving
    return [frequency, np.round(recency), tenure]


def test_counts_of_purchases_add_up_and_equal_simulation() -> None:
    frequency, recency, tenure = simulate_purchases(np.random.default_rng(3))
    model = BGNBD().fit(frequency, recency, tenure)
    shares = np.array([model.probability_of_purchases(n, [0.0, 40.0]) for n in range(400)])
    assert shares[0, 0] == pytest.approx(1.0)  # nobody repeats in no time
    assert shares.sum(axis=0) == pytest.approx(1.0)
    expected = model.expected_purchases(40, [0], [0], [0])[0]
    assert np.arange(400) @ shares[:, 1] == pytest.approx(expected)
    for n in range(4):
        actual = (frequency == n).sum()
        assert abs(model.probability_of_purchases(n, tenure).sum() - actual) < 4 * actual**0.5
    with pytest.raises(ConfigError, match=r"n must be a whole number of at least 0, got 1\.5"):
        model.probability_of_purchases(1.5, [40])  # type: ignore[arg-type]


@pytest.mark.parametrize(("freq", "month"), [("H", 720), ("D", 30), ("W", 4.345), ("M", 1)])
def test_lifetime_value_adds_discounted_months_of_its_unit(
    freq: Literal["H", "D", "W", "M"], month: float
) -> None:
    """Month k is worth what the model expects by its end less what it expects by its start."""
    frequency, recency, tenure = simulate_purchases(np.random.default_rng(4))
    history = frequency, recency, tenure
    amount = np.where(frequency > 0, np.random.default_rng(4).gamma(4, 10, len(frequency)), 0)
    orders, value = BGNBD().fit(*history), GammaGamma().fit(frequency, amount)
    mean = value.expected_average_value(frequency, amount)
    clv = value.customer_lifetime_value(orders, *history, amount, 3, 0.02, freq)
    for k in (0, 7, 1_999):
        until = [
            orders.expected_purchases(end * month, frequency[k], recency[k], tenure[k])[0]
            for end in range(4)
        ]
        months = [until[1] - until[0], until[2] - until[1], until[3] - until[2]]
        spend = [mean[k] * count for count in months]
        expected = spend[0] / 1.02 + spend[1] / 1.02**2 + spend[2] / 1.02**3
        assert clv[k] == pytest.approx(expected)
    if freq == "D":
        by_default = value.customer_lifetime_value(orders, *history, amount, 3, 0.02)
        np.testing.assert_array_equal(by_default, clv)


@pytest.fixture(scope="module")
def fitted() -> tuple[BGNBD, GammaGamma]:
    orders = BGNBD().fit(*simulate_purchases(np.random.default_rng(6)))
    values = np.random.default_rng(6).gamma(4, 10, 500)
    return orders, GammaGamma().fit(np.arange(500) % 5, values)


NOT_COUNTS = (np.nan, np.inf, 1.5, 2.0, -1, "2", [2], None, True)
NOT_NUMBERS = (np.nan, np.inf, -1e-9, "2", [2], None, True)
NOT_COLUMNS: tuple[tuple[Any, str], ...] = (
    ([5, -1e-9], r"got -1e-09 in 1 of 2 rows; drop"),
    ([5, np.nan], r"got nan in 1 of 2 rows; drop"),
    (np.inf, r"got inf in 1 of 1 rows; drop"),
    ("long", r"got 'long'; give numbers"),
    (pd.Series(["x"]), r"got values of type \w+; give numbers"),
    (pd.Series([1, None], dtype="Int64"), r"got nan in 1 of 2 rows; drop"),
    (pd.Series(pd.to_timedelta([3], unit="D")), r"got values of type timedelta64.*; give numbers"),
    ([[1, 2], [3, 4]], r"got 2 dimensions; give one column"),
)


@pytest.mark.parametrize("wrong", NOT_COUNTS, ids=repr)
def test_counts_are_whole_numbers(fitted: tuple[BGNBD, GammaGamma], wrong: Any) -> None:
    orders, value = fitted
    expected = rf"n must be a whole number of at least 0, got {re.escape(repr(wrong))}"
    with pytest.raises(ConfigError, match=expected):
        orders.probability_of_purchases(wrong, [40])
    with pytest.raises(ConfigError, match=expected.replace("n", "time", 1)):
        value.customer_lifetime_value(orders, [1], [2], [3], [4], time=wrong)
    zeros: tuple[Any, ...] = (0, np.int64(0))
    for zero in zeros:
        assert orders.probability_of_purchases(zero, [0]) == pytest.approx(1.0)
        assert value.customer_lifetime_value(orders, [1], [2], [3], [4], time=zero).sum() == 0.0


@pytest.mark.parametrize("wrong", NOT_NUMBERS, ids=repr)
def test_settings_are_finite_numbers(fitted: tuple[BGNBD, GammaGamma], wrong: Any) -> None:
    orders, value = fitted
    expected = rf"must be a finite number of at least 0, got {re.escape(repr(wrong))}"
    with pytest.raises(ConfigError, match=f"^t {expected}"):
        orders.expected_purchases(wrong, [1], [2], [3])
    with pytest.raises(ConfigError, match=f"^discount_rate {expected}"):
        value.customer_lifetime_value(orders, [1], [2], [3], [4], discount_rate=wrong)
    for model in (BGNBD(wrong), ParetoNBD(wrong)):
        with pytest.raises(ConfigError, match=f"^penalizer_coef {expected}"):
            model.fit([1], [2], [3])
    with pytest.raises(ConfigError, match=f"^penalizer_coef {expected}"):
        GammaGamma(wrong).fit([1], [2])
    assert orders.expected_purchases(0, [1], [2], [3]).tolist() == [0.0]


@pytest.mark.parametrize(("wrong", "reason"), NOT_COLUMNS, ids=lambda value: repr(value)[:20])
def test_columns_are_finite_numbers(
    fitted: tuple[BGNBD, GammaGamma], wrong: Any, reason: str
) -> None:
    orders, value = fitted
    rule = f"must be a column of finite numbers of at least 0, {reason}"
    calls: tuple[tuple[str, Callable[[], object]], ...] = (
        ("T", lambda: orders.probability_of_purchases(1, wrong)),
        ("T", lambda: orders.probability_alive([1], [2], wrong)),
        ("recency", lambda: orders.expected_purchases(5, [1], wrong, [3])),
        ("frequency", lambda: value.expected_average_value(wrong, [4])),
        ("frequency", lambda: BGNBD().fit(wrong, [2], [3])),
    )
    for name, call in calls:
        with pytest.raises(OrdersError, match=f"^{name} {rule}"):
            call()


def test_columns_have_one_length_and_refunds_are_values(
    fitted: tuple[BGNBD, GammaGamma],
) -> None:
    orders, value = fitted
    with pytest.raises(
        OrdersError, match="frequency, recency, T must have one length, got 2, 1, 3"
    ):
        orders.probability_alive([1, 2], [2], [3, 4, 5])
    with pytest.raises(
        OrdersError, match="monetary_value must be a column of finite numbers, got n"
    ):
        value.expected_average_value([1], [np.nan])
    assert value.expected_average_value([1], [-4.0]) == value.expected_average_value([1], [0.0])
    with pytest.raises(ConfigError, match=r"freq must be H, D, W, M, got 'Q'; give the unit"):
        value.customer_lifetime_value(orders, 1, 2, 3, 4, freq="Q")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"freq must be H, D, W, M, got \['D'\]"):
        value.customer_lifetime_value(orders, 1, 2, 3, 4, freq=["D"])  # type: ignore[arg-type]


def test_standard_errors_are_the_spread_of_the_estimates() -> None:
    """Over simulated shops, the spread of the estimates is what each fit says of itself."""
    shops = [simulate_purchases(np.random.default_rng(seed)) for seed in range(40)]
    models = [BGNBD().fit(*shop) for shop in shops]
    for name in ("r", "alpha"):
        spread = np.std([model.params_[name] for model in models])
        stated = np.median([model.standard_errors_[name] for model in models])
        assert spread == pytest.approx(stated, rel=0.35)
    frequency, recency, tenure = shops[0]
    days = models[0].summary
    weeks = BGNBD().fit(frequency, recency / 7, tenure / 7).summary
    for column in ("coef", "se(coef)"):
        ratio = float(days[column]["alpha"]) / float(weeks[column]["alpha"])
        assert ratio == pytest.approx(7, rel=0.01)
    with pytest.raises(ConfigError, match="ParetoNBD is not fitted"):
        _ = ParetoNBD().summary
    with pytest.raises(ConfigError, match="GammaGamma is not fitted"):
        _ = GammaGamma().summary


def test_matrices_take_fitted_models(shop_model: clvcast.Model) -> None:
    frequency, recency, tenure = simulate_purchases(np.random.default_rng(5))
    for model in (
        BGNBD().fit(frequency, recency, tenure),
        ParetoNBD().fit(frequency, recency, tenure),
    ):
        grid = clvcast.tables.expected_orders(model, 3, 50, period=30)
        assert grid.loc[20, 2] == pytest.approx(model.expected_purchases(30, 2, 20, 50)[0])
        alive = clvcast.tables.probability_alive(model, 3, 50)
        assert alive.loc[20, 2] == pytest.approx(model.probability_alive(2, 20, 50)[0])
        assert clvcast.plot.expected_orders(model, 3, 50).data[0].z.shape == (51, 4)
    horizon = shop_model.numbers.horizon_days
    pd.testing.assert_frame_equal(
        clvcast.tables.expected_orders(shop_model, 3, 50),
        clvcast.tables.expected_orders(shop_model, 3, 50, period=horizon),
    )
    assert GammaGamma().__repr__() == "GammaGamma(penalizer_coef=0.0)"
