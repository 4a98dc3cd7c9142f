"""What data scientists use in Python: scikit-learn's interface, charts, BTYD, cards, the pages."""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import worlds

import clvcast
from clvcast.api.btyd import BGNBD, GammaGamma, ParetoNBD
from clvcast.errors import ConfigError, OrdersError
from clvcast.estimators import ChurnClassifier, ClvRegressor, FeatureBuilder, RollingOriginSplit
from clvcast.evaluation.standard_measures import compute_levelled_deviances
from clvcast.notebook_cards import show_shares, show_steps
from clvcast.train.backtest.run import Backtest
from clvcast.train.registry.track_orders import TrackedTraining

CUTOFF = "2020-12-01"


@pytest.fixture(scope="module")
def table(shop_orders: clvcast.Orders) -> pd.DataFrame:
    return clvcast.tables.training(shop_orders, ["2020-08-01", "2020-10-01", CUTOFF], 60)


# Made with lifetimes 0.11.3 (BetaGeoFitter, ParetoNBDFitter, GammaGammaFitter, 90 days, 12 months)
# on `worlds.shop(customers=400, seed=11)` without returns.
LIFETIMES: dict[str, Any] = {
    "sums": [1642.0, 48694.0, 102779.0, 18392.933650244122],
    "bg": {"r": 0.8626714, "alpha": 36.7429693, "a": 0.7423317, "b": 6.6625217},
    "pareto": {"r": 1.6799552, "alpha": 72.5995057, "s": 2.9428672, "beta": 944.4336896},
    "gg": {"p": 1.2129449, "q": 2.2546143, "v": 66.1692779},
    "expected": [0.296495428, 1.089921144, 0.031976800, 0.498711394, 0.995825822],
    "alive": [1.0, 0.616110643, 0.054627413, 1.0, 0.362591135],
    "pareto_expected": [0.117662617, 1.032618187, 0.011420915, 0.389804977, 1.095540989],
    "clv": [65.833317474, 112.442358950, 4.166439885, 106.294095122, 111.837185936],
}
SHOWN = [0, 1, 2, 50, 100]


def test_btyd_models_give_the_numbers_of_lifetimes() -> None:
    lines = worlds.shop(customers=400, seed=11)
    summary = clvcast.rfm_summary(lines[lines["amount"] > 0].rename(columns={"amount": "money"}),
                                  monetary_value_col="money")  # fmt: skip
    columns = ["frequency", "recency", "T", "monetary_value"]
    np.testing.assert_allclose(summary[columns].sum(), LIFETIMES["sums"], rtol=1e-12)
    history = summary["frequency"], summary["recency"], summary["T"]
    bg, pareto = BGNBD().fit(*history), ParetoNBD().fit(*history)
    returning = summary[summary["frequency"] > 0]
    value = GammaGamma().fit(returning["frequency"], returning["monetary_value"])
    for model, name in ((bg, "bg"), (pareto, "pareto"), (value, "gg")):
        assert model.params_.to_dict() == pytest.approx(LIFETIMES[name], rel=1e-5)
    found = {
        "expected": bg.expected_purchases(90, *history),
        "alive": bg.probability_alive(*history),
        "pareto_expected": pareto.expected_purchases(90, *history),
        "clv": value.customer_lifetime_value(bg, *history, summary["monetary_value"]),
    }
    for name, values in found.items():
        np.testing.assert_allclose(values[SHOWN], LIFETIMES[name], rtol=1e-5)
    weeks = BGNBD().fit(history[0], history[1] / 7, history[2] / 7)
    assert weeks.params_["alpha"] * 7 == pytest.approx(LIFETIMES["bg"]["alpha"], rel=1e-3)
    assert repr(bg).startswith("<BGNBD fitted: r: 0.8627")


def test_btyd_models_refuse_what_they_cannot_use() -> None:
    with pytest.raises(ConfigError, match="BGNBD is not fitted"):
        BGNBD().probability_alive([1], [2], [3])
    with pytest.raises(OrdersError, match="finite numbers"):
        BGNBD().fit([1, np.nan], [2, 3], [4, 5])
    with pytest.raises(OrdersError, match="do not identify pareto_nbd"):
        ParetoNBD().fit([0, 0], [0, 0], [100, 300])
    lines = [{"customer_id": "a", "ordered_at": "2024-01-02", "amount": 1.0}]
    with pytest.raises(OrdersError, match="no order lies before"):
        clvcast.rfm_summary(lines, observation_period_end="2024-01-01")
    assert len(clvcast.rfm_summary(lines, observation_period_end="2024-01-02")) == 1


def test_training_tables_hold_outcomes_that_are_over(
    shop_orders: clvcast.Orders, table: pd.DataFrame
) -> None:
    features = clvcast.build_features(shop_orders, ["2020-08-01", "2020-10-01", CUTOFF])
    pd.testing.assert_frame_equal(table[features.columns], features)
    windows = clvcast.rfm_summary(shop_orders, observation_period_end="2020-11-30")
    assert (table["cutoff"] == CUTOFF).sum() == pytest.approx(len(windows), abs=5)
    assert (table.loc[table["churned"], "next_spend"] <= 0).all()
    assert 0.1 < table["churned"].mean() < 0.9
    with pytest.raises(ConfigError, match="must end by 2021-02-24"):
        clvcast.tables.training(shop_orders, ["2021-01-01"], 60)


def test_rolling_origin_leaves_no_outcome_in_the_training_rows(table: pd.DataFrame) -> None:
    horizon = pd.Timedelta(days=60)
    splits = list(RollingOriginSplit(2, horizon_days=60).split(table))
    tested = []
    for train, test in splits:
        (at,) = table["cutoff"].iloc[test].unique()
        tested.append(at)
        assert (table["cutoff"].iloc[train] + horizon <= at).all()
        assert len(train)
    assert tested == sorted(table["cutoff"].unique())[1:]
    by_groups = RollingOriginSplit(2, horizon_days=60).split(
        table[["n_orders"]].to_numpy(), groups=table["cutoff"]
    )
    assert [len(test) for _, test in by_groups] == [len(test) for _, test in splits]
    # 61 days from 2020-08-01 to 2020-10-01 and from there to 2020-12-01
    assert len(list(RollingOriginSplit(2, horizon_days=61).split(table))) == 2
    with pytest.raises(ConfigError, match="n_splits must be from 1 to 1"):
        list(RollingOriginSplit(2, horizon_days=62).split(table))
    with pytest.raises(ConfigError, match="must have a column cutoff"):
        list(RollingOriginSplit().split(np.ones((3, 2))))


def test_estimators_learn_from_a_feature_table(table: pd.DataFrame) -> None:
    from sklearn.model_selection import GridSearchCV, cross_validate

    splits = RollingOriginSplit(2, horizon_days=60)
    spend = table["next_spend"].clip(lower=0)
    quick = {"num_iterations": 20}
    scores = cross_validate(ClvRegressor(parameters=quick), table, spend, cv=splits, scoring="r2")
    assert (scores["test_score"] > 0.05).all()
    search = GridSearchCV(
        ChurnClassifier(),
        {"parameters": [quick, {"num_iterations": 2}]},
        cv=splits,
        scoring="roc_auc",
    )
    search.fit(table, table["churned"])
    assert search.best_score_ > 0.65
    # the outcomes are no inputs: with them in the table the classifier would be perfect
    assert search.best_score_ < 0.95


def test_the_feature_builder_is_a_transformer(
    shop_orders: clvcast.Orders, shop_lines: pd.DataFrame
) -> None:
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline

    builder = clone(FeatureBuilder(cutoffs=CUTOFF)).set_output(transform="pandas")
    features = builder.fit_transform(shop_orders)
    expected = clvcast.build_features(shop_orders, [CUTOFF]).select_dtypes("float32")
    np.testing.assert_array_equal(features.to_numpy(), expected.to_numpy())
    assert list(builder.get_feature_names_out()) == list(expected.columns) == list(features)
    assert features.index.names == ["customer_id", "cutoff"]
    target = clvcast.tables.training(shop_orders, [CUTOFF], 60)["churned"]
    pipeline = make_pipeline(
        FeatureBuilder(cutoffs=CUTOFF), ChurnClassifier(parameters={"num_iterations": 5})
    )
    probability = pipeline.fit(shop_lines, target).predict_proba(shop_lines)
    assert probability.shape == (len(target), 2)
    with pytest.raises(ConfigError, match="cutoffs must name at least one date"):
        FeatureBuilder().fit(shop_orders)


@pytest.mark.slow
def test_estimators_trained_on_orders_are_the_model(
    shop_lines: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr("clvcast.train.run.show_steps", lambda _: nullcontext(steps.append))
    settings: dict[str, Any] = {"horizon_days": 60, "effort": "quick"}
    regressor = ClvRegressor(**settings, periods=3, cutoff="2021-02-01").fit(shop_lines)
    steps.clear()
    model = clvcast.train(shop_lines, clvcast.Config(**settings, periods=3), "2021-02-01")
    assert (steps[0], steps[-1]) == ("features", "levels and intervals")
    assert regressor.model_.version == model.version
    expected = clvcast.score(model, shop_lines, "2021-02-01")
    assert regressor.predict(shop_lines).tolist() == expected["clv"].tolist()
    classifier = ChurnClassifier(**settings, cutoff="2021-02-01").fit(shop_lines)
    probability = classifier.predict_proba(shop_lines)[:, 1]
    np.testing.assert_allclose(probability, expected["churn_probability"], rtol=1e-9)
    assert set(classifier.predict(shop_lines)) == {False, True}


# Without y, X is orders: that is how the model of clvcast.train is trained.
NOT_OURS = {"check_requires_y_none"}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [ClvRegressor(), ChurnClassifier()], ids=type)
def test_scikit_learns_own_checks_pass(estimator: Any) -> None:
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = {each["check_name"] for each in results if each["status"] == "failed"}
    assert failed == NOT_OURS
    assert sum(each["status"] == "passed" for each in results) > 40


@pytest.mark.slow
def test_every_chart_draws_its_table(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, shop_config: clvcast.Config
) -> None:
    quick = shop_config.model_copy(update={"effort": "quick"})
    backtest = clvcast.backtest(shop_orders, quick, [CUTOFF])
    rows = clvcast.score(shop_model, shop_orders, "2021-02-01")
    arguments: dict[str, tuple[Any, ...]] = {
        **dict.fromkeys(("calibration", "deciles", "intervals", "lift"), (backtest,)),
        **dict.fromkeys(("importance", "season", "probability_alive", "expected_orders"),
                        (shop_model,)),
        "dependence": (shop_model, shop_orders, "days_since_last_order"),
        "forecast": (rows, shop_orders),
        "cohorts": (rows, shop_orders),
        "rfm": (rows,),
    }  # fmt: skip
    assert set(clvcast.plot.__all__) == set(arguments)
    for name, given in arguments.items():
        frame = getattr(clvcast.tables, name)(*given)
        figure = getattr(clvcast.plot, name)(*given)
        assert figure.data, name
        assert len(frame) or name == "season", name
    calibration = clvcast.plot.calibration(backtest)
    frame = clvcast.tables.calibration(backtest)
    assert list(calibration.data[1].y) == frame["churned"].tolist()
    forecast = clvcast.tables.forecast(rows, shop_orders)
    assert forecast["expected"].iloc[-1] == pytest.approx(rows["expected_spend"].sum())
    assert forecast["begin"].iloc[-1] == pd.Timestamp("2021-02-01")
    # the window after the cutoff is not over; those before hold what was spent in them
    assert np.isnan(forecast["actual"].iloc[-1])
    days = pd.Timedelta(days=60)
    nested = clvcast.nest(shop_orders, "2021-02-01")
    lines = pd.DataFrame([line for own in nested["orders"] for line in own])
    at = pd.to_datetime(lines["ordered_at"])
    last = lines.loc[at >= pd.Timestamp("2021-02-01") - days, "amount"].sum()
    assert forecast["actual"].iloc[-2] == pytest.approx(last, rel=0.02)
    dependence = clvcast.tables.dependence(shop_model, shop_orders, "days_since_last_order")
    assert dependence["customers"].sum() == len(clvcast.score(shop_model, shop_orders))
    assert dependence["churn_probability"].iloc[-1] > dependence["churn_probability"].iloc[0]
    with pytest.raises(ConfigError, match="there is no feature 'weather'"):
        clvcast.tables.dependence(shop_model, shop_orders, "weather")
    with pytest.raises(ConfigError, match=r"what clvcast\.backtest returns, got DataFrame"):
        clvcast.tables.calibration(rows)  # type: ignore[arg-type]
    alive = clvcast.tables.probability_alive(shop_model, 5, 100)
    assert alive.shape == (101, 6)
    assert (alive[3].diff().dropna() >= 0).all()  # a later last order: rather alive


def test_the_scorecard_tells_a_better_method_from_a_worse() -> None:
    draw = np.random.default_rng(0)
    mean = draw.gamma(1.0, 50.0, 400)
    actual = draw.poisson(mean).astype(np.float64)
    card = clvcast.tables.scorecard(actual, {"good": mean, "flat": np.full(400, mean.mean())})
    assert card.attrs["grade"] == "A"
    error = card.set_index("measure").loc["error per customer (deviance)"]
    assert error["good"] == pytest.approx(compute_levelled_deviances(mean, actual).mean())
    assert (error["best_other"], error["difference"] > 0) == ("flat", True)
    with pytest.raises(ConfigError, match="at least two methods, got 1"):
        clvcast.tables.scorecard(actual, {"good": mean})


def test_objects_are_short_in_consoles_and_cards_in_notebooks(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    line = {"ordered_at": "2021-01-05", "amount": 5.0}
    lines = [line | dict.fromkeys(shop_model.numbers.optional_columns)]
    forecast = shop_model.score_one(lines, "2021-02-01", customer_id="<b>")
    assert repr(shop_model).startswith(f"<Model {shop_model.version}>\n  forecasts: 3 periods")
    assert f"customers: {shop_orders.n_customers:,}" in repr(shop_orders)
    assert "CLV: revenue" in repr(shop_model)
    assert "margin rate" not in repr(shop_model)
    for value in (shop_model, shop_orders):
        assert len(repr(value)) < 500
    for shown in (shop_model, shop_orders, forecast):
        assert shown._repr_html_().startswith("<table><caption>")
    assert "&lt;b&gt;" in forecast._repr_html_()
    tracked = TrackedTraining(
        "postgresql://me:secret@server/mlflow", "abc", "shop", "2", True, "1", False, None,
        shop_model, None,
    )  # fmt: skip
    assert repr(tracked).splitlines() == [
        "<shop version 2>",
        "  run: abc",
        "  store: postgresql://me:***@server/mlflow",
        "  promoted: no",
        "  champion: version 1",
        f"  model: {shop_model.version}",
    ]
    assert tracked._repr_html_().startswith("<table><caption>shop version 2")
    methods = {"clvcast": {"nGini": 0.5, "MAE": 12.0, "bias": None}}
    found = {name: {"customers": 1200, "methods": methods} for name in ("2021-02-01", "2021-01-01")}
    backtest = Backtest(pa.table({"cutoff": []}), found)
    assert repr(backtest).splitlines() == [
        "<Backtest>",
        "  cutoffs: 2021-01-01, 2021-02-01",
        "  customers: 1,200",
        "  clvcast: nGini 0.500, MAE 12.000",
    ]
    assert backtest._repr_html_().startswith("<table><caption>Backtest")


def test_progress_is_a_line_where_a_person_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        with show_steps("training") as tell:
            tell("features")
        with show_shares("backtest") as draw:
            draw("2 cutoffs", 0.5, 1)
        shown = capsys.readouterr()
        assert shown.out == ""
        if sys.stderr.isatty():
            break
        assert shown.err == ""
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    steps, shares = shown.err.strip("\r").split("\r" + " " * 78 + "\r")[:2]
    assert steps.startswith("training: features, 0 s")
    assert shares.strip("\r").startswith("backtest: 2 cutoffs [##########..........] 50%, 0 s")


def test_the_sample_is_in_the_package(sample: clvcast.Orders) -> None:
    frame = clvcast.datasets.load_online_retail()
    assert "CC BY 4.0" in frame.attrs["licence"]
    orders = clvcast.read_orders(frame[frame["customer_id"].isin(["12346", "14646"])])
    assert orders.n_customers == 2
    assert len(frame) == sample.report.lines_read


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_page_runs(
    root: Path, shop_lines: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shop_lines.to_parquet("orders.parquet")
    text = (root / "docs" / "data-science.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"__name__": "data-science"}
    for block in blocks:
        assert len(block.splitlines()) <= 12, block
        exec(compile(block, "data-science", "exec", dont_inherit=True), names)
    assert len(blocks) == 11
    (version, *_) = clvcast.registry.list_versions()
    assert "champion" in version.aliases
    assert {"importance.html", "lift.html"} <= {path.name for path in tmp_path.iterdir()}
