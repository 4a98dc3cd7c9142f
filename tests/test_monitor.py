"""Monitoring: what happened joined to what was forecast, by hand; drift found where it was made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import MonitorConfig, OrdersConfig
from clvcast.errors import ConfigError, OrdersError
from clvcast.evaluation import monitoring
from clvcast.evaluation.measures import calibration_error
from clvcast.evaluation.monitor_findings import make_finding
from clvcast.evaluation.monitoring import monitor
from clvcast.evaluation.outcomes import ClvProgress, describe_outcomes, judge_clv, judge_outcomes
from clvcast.evaluation.sampling_error import (
    estimate_calibration_noise,
    estimate_capture_noise,
    estimate_share_noise,
    estimate_total_noise,
)
from clvcast.models.drift_reference import build_histogram, compute_stability_index
from clvcast.orders.reading.read_orders import read_table

EARLY = "2020-12-01"


@pytest.fixture(scope="module")
def early_model(shop_orders: clvcast.Orders, shop_config: clvcast.Config) -> clvcast.Model:
    return clvcast.train(shop_orders, shop_config, EARLY)


def test_matured_forecasts_by_hand() -> None:
    lines = [("a", "2020-01-05", 10.0), ("b", "2020-01-06", 20.0), ("a", "2020-02-10", 30.0)]
    lines += [("z", "2020-03-20", 5.0)]  # the window of 30 days from 2020-02-01 is over
    names = ["customer_id", "ordered_at", "amount"]
    orders = read_table(pd.DataFrame(lines, columns=names), OrdersConfig())
    forecasts = pd.DataFrame(
        {
            "customer_id": ["a", "b", "gone"],
            "cutoff": pd.Timestamp("2020-02-01"),
            "model_version": ["m1", "m1", "m2"],
            "churn_probability": [0.2, 0.9, 0.5],
            "expected_spend": [24.0, 3.0, 6.0],
            "expected_spend_lower": 0.0,
            "expected_spend_upper": [40.0, 5.0, 9.0],
            "clv": 1.0,
        }
    )
    result = monitor(forecasts, orders, config=clvcast.Config(horizon_days=30))
    everyone = result.matured.iloc[0]
    assert (everyone["customers"], everyone["forecast"], everyone["actual"]) == (3, 33.0, 30.0)
    assert everyone["bias"] == pytest.approx(0.1)
    # one customer in each group: |.2 - 0|, |.9 - 1|, |.5 - 1|
    assert everyone["calibration"] == pytest.approx(0.8 / 3)
    assert (everyone["coverage"], everyone["capture"]) == (1.0, 1.0)
    assert result.matured["value"].tolist() == ["", "m1", "m2"]
    named = {f.name: f for f in result.findings}
    assert named["missing customers"].value == pytest.approx(1 / 3)
    assert named["missing customers"].severity == "alarm"
    assert result.severity == "alarm"


def history(customers: int, missing: int = 0, tier: int = 0) -> pd.DataFrame:
    """Forecasts of c0, c1, ...: the last `missing` are not in the orders, the first `tier` high."""
    names = [f"c{k}" for k in range(customers - missing)] + [f"gone{k}" for k in range(missing)]
    return pd.DataFrame(
        {
            "customer_id": names,
            "cutoff": pd.Timestamp("2020-02-01"),
            "model_version": "m1",
            "churn_probability": 0.0,
            "expected_spend": 10.0,
            "clv": 1.0,
            "tier": ["high"] * tier + ["low"] * (customers - tier),
        }
    )


def shop_of(customers: int) -> clvcast.Orders:
    """Each orders for 10 before and within the window, which is over."""
    days = ["2020-01-05", "2020-02-10", "2020-03-20"]
    lines = [(f"c{k}", day, 10.0) for k in range(customers) for day in days]
    names = ["customer_id", "ordered_at", "amount"]
    return read_table(pd.DataFrame(lines, columns=names), OrdersConfig())


@pytest.mark.parametrize(
    ("missing", "severity"),
    [
        (1, "fine"),
        (2, "warning"),
        (3, "alarm"),
    ],  # 5 %, 10 %, 15 %; half the bound is 5 %, not above
)
def test_above_half_a_bound_warns_and_above_it_alarms(missing: int, severity: str) -> None:
    config = clvcast.Config(horizon_days=30, monitor=MonitorConfig(missing_customers=0.1))
    result = monitor(history(20, missing), shop_of(20), config=config)
    (finding,) = [f for f in result.findings if f.name == "missing customers"]
    assert finding.severity == severity


@pytest.mark.parametrize(("chance", "severity"), [(0.0, "alarm"), (0.06, "warning"), (0.2, "fine")])
def test_chance_comes_on_top_of_a_bound(chance: float, severity: str) -> None:
    assert make_finding("m", 0.25, 0.2, "s", chance).severity == severity
    may_not = make_finding("m", 0.25, 0.2, "s", chance, may_alarm=False)
    assert may_not.severity == ("fine" if severity == "fine" else "warning")


@pytest.mark.parametrize(("tier", "judged"), [(29, False), (30, True)])
def test_small_parts_raise_no_finding_and_have_their_row(tier: int, judged: bool) -> None:
    result = monitor(history(70, tier=tier), shop_of(70), config=clvcast.Config(horizon_days=30))
    named = {f.name: f for f in result.findings}
    segments = named["segments at 2020-02-01"].sentence
    assert segments.startswith(f"none of {2 if judged else 1} segments (tier) missed")
    assert "bias of model_version m1 at 2020-02-01" not in named  # all customers, said already
    assert "coverage of all customers at 2020-02-01" not in named  # the forecasts have no intervals
    assert result.matured.set_index("value")["customers"]["high"] == tier


@pytest.mark.parametrize(("beyond", "severity"), [(0, "warning"), (1, "alarm")])
def test_many_features_that_move_at_once_alarm(
    early_model: clvcast.Model,
    shop_lines: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    beyond: int,
    severity: str,
) -> None:
    known = read_table(shop_lines[shop_lines["ordered_at"] < EARLY], OrdersConfig())
    assert early_model.reference is not None
    judged = [n for n in early_model.reference.features if n not in monitoring._OF_THE_CALENDAR]
    features = early_model.reference.features
    moved = {id(features[name]) for name in judged[: len(judged) // 4 + beyond]}
    monkeypatch.setattr(
        monitoring, "compute_stability_index", lambda then, now: 9.0 if id(then) in moved else 0.0
    )
    result = monitor(clvcast.score(early_model, known, EARLY), known, early_model)
    (finding,) = [f for f in result.findings if f.name == "features moved"]
    assert (finding.severity, finding.bound) == (severity, 0.25)
    drifting = {f.name.split()[0]: f.bound for f in result.findings if f is not finding}
    assert drifting == {"missing": 0.05, "forecast": 0.25, "feature": 0.25, "new": 0.1}


def test_a_real_model_on_its_own_shop_raises_no_alarm_and_a_broken_feed_does(
    early_model: clvcast.Model, shop_orders: clvcast.Orders, shop_lines: pd.DataFrame
) -> None:
    forecasts = clvcast.score(early_model, shop_orders, EARLY)
    matured = monitor(forecasts, shop_orders, early_model)
    assert len(matured.matured) > 3
    assert matured.severity != "alarm", [f for f in matured.findings if f.severity == "alarm"]
    known = shop_lines[shop_lines["ordered_at"] < EARLY]
    fresh = read_table(known, OrdersConfig())
    drifting = monitor(forecasts, fresh, early_model)
    assert drifting.matured.empty
    assert {f.severity for f in drifting.findings} == {"fine"}  # the very rows it was trained on
    cents = read_table(known.assign(amount=known["amount"] * 100), OrdersConfig())
    with pytest.raises(OrdersError, match="another currency, cents"):
        clvcast.score(early_model, cents, EARLY)
    # amounts that `score` still takes, and channels with new names
    odd = known.assign(amount=known["amount"] * 4.5, channel="phone")
    broken = read_table(odd, OrdersConfig())
    alarmed = monitor(clvcast.score(early_model, broken, EARLY), broken, early_model)
    alarms = {f.name for f in alarmed.findings if f.severity == "alarm"}
    assert {"forecast expected_spend", "new channel"} <= alarms
    lacking = read_table(known.drop(columns="channel"), OrdersConfig())
    told = monitor(forecasts, lacking, early_model)
    assert "column channel" in {f.name for f in told.findings if f.severity == "alarm"}


def test_what_must_be_given(early_model: clvcast.Model, shop_orders: clvcast.Orders) -> None:
    forecasts = clvcast.score(early_model, shop_orders, "2021-02-24")
    silent = forecasts.copy()
    silent.attrs.clear()
    with pytest.raises(ConfigError, match="horizon must be known"):
        monitor(silent, shop_orders)
    with pytest.raises(ConfigError, match=r"mature on 2021-04-25, .* give its --model"):
        monitor(forecasts, shop_orders)  # the horizon is theirs
    with pytest.raises(ConfigError, match=r"mature on 2021-04-25, .* give its --model"):
        monitor(forecasts, shop_orders, config=clvcast.Config(horizon_days=60))
    other = forecasts.assign(model_version="another")
    with pytest.raises(ConfigError, match="must be the one that made the forecasts"):
        monitor(other, shop_orders, early_model)


@given(st.lists(st.floats(-100, 100) | st.just(float("nan")), min_size=1, max_size=200))
def test_nothing_moves_beside_itself(values: list[float]) -> None:
    then = build_histogram(np.array(values))
    now = build_histogram(np.array(values), then.edges)
    assert then == now
    assert sum(now.counts) + now.missing == len(values)
    assert compute_stability_index(then, now) == 0.0


def test_stability_index_by_hand() -> None:
    then = build_histogram(np.repeat([1.0, 2.0], 5_000), edges=(1.0,))
    now = build_histogram(np.repeat([1.0, 2.0], [8_000, 2_000]), edges=(1.0,))
    # (.8 - .5) ln(.8 / .5) + (.2 - .5) ln(.2 / .5) = .4159, less (2 - 1) (2 / 10,000)
    assert compute_stability_index(then, now) == pytest.approx(0.4159 - 0.0002, abs=1e-4)
    random = np.random.default_rng(0)
    noise = [
        compute_stability_index(
            build_histogram(random.random(500), (0.25, 0.5, 0.75)),
            build_histogram(random.random(500), (0.25, 0.5, 0.75)),
        )
        for _ in range(50)
    ]
    assert np.mean(noise) < 0.01


def test_the_command_tells_a_scheduler(
    run: Run,
    early_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    shop_lines: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early_model.save(tmp_path / "bundle")
    shop_lines.to_parquet(tmp_path / "orders.parquet")
    forecasts = clvcast.score(early_model, shop_orders, EARLY)
    forecasts.to_parquet(tmp_path / "good.parquet")
    doubled = {name: forecasts[name] * 2 for name in ("expected_spend", "clv")}
    forecasts.assign(**doubled).to_parquet(tmp_path / "bad.parquet")
    place = ("--orders", tmp_path / "orders.parquet", "--model", tmp_path / "bundle")
    status, out, err = run("monitor", "--forecasts", tmp_path / "good.parquet", *place)
    assert (status, "numbers are fine" in out) == (0, True), err
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["Total", "Segments:", "CLV:"]
    assert "by tier" not in out
    detailed = run("monitor", "--forecasts", tmp_path / "good.parquet", *place, "--details")[1]
    assert "spend at 2020-12-01" in detailed
    assert "by tier" in detailed
    assert max(map(len, detailed.splitlines()[3:])) <= 100
    status, out, _ = run("monitor", "--forecasts", tmp_path / "bad.parquet", *place, "--json")
    told = json.loads(out)
    assert (status, told["severity"]) == (1, "alarm")
    assert told["matured"][0]["part"] == "all"
    # quiet: nothing on stdout, and an alarm on stderr for whoever reads the scheduler's mails
    status, out, err = run("monitor", "--forecasts", tmp_path / "bad.parquet", *place, "--quiet")
    assert (status, out) == (1, "")
    assert all(line.startswith("clvcast: alarm: ") for line in err.splitlines())
    assert "the total of all customers at 2020-12-01 missed by" in err
    # in a shop's folder its configuration is meant, orders and all
    monkeypatch.chdir(tmp_path)
    told = run("monitor", "--forecasts", "good.parquet")
    assert told[0] == 2
    assert "add --orders, or --config (default: clvcast.yaml" in told[2]
    (tmp_path / "clvcast.yaml").write_text("{orders: {source: orders.parquet}, horizon_days: 60}")
    for words in (["--model", "bundle"], []):
        assert (
            run("monitor", "--forecasts", "good.parquet", *words)[:2]
            == (
                run("monitor", "--forecasts", "good.parquet", "--config", "clvcast.yaml", *words)[
                    :2
                ]
            )
        )


def outcome(bias: float, interval: float | None = 0.5, **more: object) -> dict[str, object]:
    """A row of measures: 1,000 was spent, the forecast's interval is so wide on either side."""
    forecast = 1000.0 * (1 + bias)
    width = float("nan") if interval is None else interval * forecast
    row = {"cutoff": "2020-02-01", "part": "all", "value": "", "customers": 100}
    row |= {"forecast": forecast, "actual": 1000.0, "bias": bias, "bias_by_chance": 0.0}
    row |= {"lower": forecast - width, "upper": forecast + width}
    good = {"calibration": 0.0, "coverage": 0.9, "capture_of_perfect": 1.0}
    return row | good | {"calibration_by_chance": 0.0, "capture_by_chance": 0.0} | more


@pytest.mark.parametrize(
    ("row", "severity"),
    [
        (outcome(0.1), "fine"),
        (outcome(0.101), "warning"),
        (outcome(0.2), "warning"),
        (outcome(0.201), "alarm"),
        (outcome(-0.201), "alarm"),
        (outcome(0.39, bias_by_chance=0.5), "alarm"),  # a shop so small that chance makes it likely
        (outcome(0.02, interval=0.01), "alarm"),  # outside its own interval
        (outcome(0.02, interval=0.02), "fine"),
        (outcome(0.02, interval=None), "fine"),
    ],
)
def test_a_total_alarms_outside_its_interval_or_beyond_the_bound(
    row: dict[str, object], severity: str
) -> None:
    findings = list(judge_outcomes(pd.DataFrame([row]), MonitorConfig()))
    (total,) = [f for f in findings if f.name.startswith("bias")]
    assert total.severity == severity
    assert ("outside" in total.sentence) == (row["actual"] < row["lower"])  # type: ignore[operator]


def test_segments_warn_in_one_finding_and_are_the_second_line() -> None:
    good, bad = outcome(0.1), outcome(0.5, interval=0.2)
    rows = [good]
    for k, row in enumerate((good, bad, good, bad | {"customers": 29})):
        rows.append(row | {"part": "rfm_segment", "value": f"S{k}"})
    table = pd.DataFrame(rows)
    (finding,) = [f for f in judge_outcomes(table, MonitorConfig()) if f.name[:8] == "segments"]
    assert (finding.severity, finding.value) == ("warning", 1.0)
    clv = ClvProgress("2020-02-01", 4000.0, 3000.0, 5000.0, 1100.0, 1000.0, 1, 4)
    lines = describe_outcomes(table, clv, MonitorConfig())
    assert lines == [
        "Total at 2020-02-01: forecast 1,100, actual 1,000, inside its 90 % interval (550 to "
        "1,650) (+10.0%).",
        "Segments: 1 of 3 segments (rfm_segment) missed by more than the interval: S1 (+50%).",
        "CLV: after 1 of 4 periods 25% of the forecast 4,000 was realised; the first period was "
        "forecast to bring 28%.",
    ]
    assert list(judge_clv(clv, MonitorConfig())) == []  # its span is not over
    table.loc[2, ["actual", "bias"]] = 0.0, float("nan")
    assert "(forecast 1,500, nothing spent)" in describe_outcomes(table, None, MonitorConfig())[1]


@pytest.mark.parametrize(
    ("realised", "severity"),
    [(4000.0, "fine"), (3001.0, "alarm"), (5001.0, "alarm"), (4900.0, "fine")],
)
def test_a_clv_whose_span_is_over_is_judged(realised: float, severity: str) -> None:
    clv = ClvProgress("2020-02-01", 4000.0, 3000.0, 5000.0, 1100.0, realised, 4, 4)
    (finding,) = judge_clv(clv, MonitorConfig())
    assert finding.severity == severity
    assert f"realised {realised:,.0f}" in finding.sentence


def test_chance_is_taken_off_before_an_alarm() -> None:
    """Right probabilities and right means of 200 customers with heavy tails, and of as many shops:
    few alarms.
    """
    random = np.random.default_rng(0)
    over = 0
    for _ in range(200):
        chance = random.beta(2.0, 2.0, 200)
        churned = random.random(200) < chance
        over += calibration_error(chance, churned) > estimate_calibration_noise(chance)
    assert 1 <= over <= 25  # one in twenty
    mean = random.lognormal(3.0, 0.5, 300)
    missed = 0
    for _ in range(200):
        spent = mean * random.lognormal(-0.5, 1.0, 300)
        missed += abs(mean.sum() / spent.sum() - 1.0) > estimate_total_noise(mean, spent)
    assert 1 <= missed <= 45  # one in ten, for a total may miss either way
    assert estimate_share_noise(0.9, 10_000) == pytest.approx(1.645 * 0.003)
    assert estimate_share_noise(0.5, 0) == estimate_share_noise(0.5, 1) == 1.645 / 2
    assert estimate_capture_noise(np.array([5.0, 5.0]), 20.0) == 0.0


def test_where_nothing_was_spent_chance_explains_nothing() -> None:
    forecast, nothing = np.array([1.0, 3.0]), np.zeros(2)
    assert estimate_total_noise(forecast, nothing) == 0.0
    assert estimate_total_noise(forecast, np.array([0.0, 0.01])) > 0
    assert estimate_capture_noise(forecast, 0.0) == 0.0
    assert estimate_capture_noise(forecast, 0.01) > 0
    assert estimate_calibration_noise(np.empty(0)) == 0.0


def test_rare_categories_are_no_news_and_a_renamed_one_is(
    shop_config: clvcast.Config, shop_lines: pd.DataFrame
) -> None:
    """Two hundred categories, of which a bundle keeps fifty: the others are not new. Only newest
    lines count.
    """
    random = np.random.default_rng(1)
    names = pd.Series([f"K{k}" for k in random.integers(0, 200, len(shop_lines))])
    lines = shop_lines.assign(category=names.to_numpy())
    model = clvcast.train(read_table(lines, OrdersConfig()), shop_config)
    late = lines["ordered_at"] >= "2021-01-15"
    renamed = lines.assign(category=lines["category"].where(~late, "renamed"))

    def news(table: pd.DataFrame) -> float:
        orders = read_table(table, OrdersConfig())
        found = monitor(clvcast.score(model, orders), orders, model).findings
        return next(f.value for f in found if f.name == "new category")

    assert news(lines) < 0.05
    share = late.mean()
    assert news(renamed) > 3 * share  # of the last 60 days, not of all lines
