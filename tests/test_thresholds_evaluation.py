"""Constants that decide something in models and evaluation: numbers on both sides of each."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_monitor import history, shop_of

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import OrdersError
from clvcast.evaluation import bridge
from clvcast.evaluation.bootstrap import bootstrap_gini_difference, bootstrap_loss_ratio
from clvcast.evaluation.scorecard import build_scorecard
from clvcast.evaluation.standard_measures import compute_levelled_deviances
from clvcast.features.recency_frequency import OrderDays
from clvcast.models.btyd.forecasts import GammaGamma, Nbd
from clvcast.models.evidence import compute_own_share, describe_evidence
from clvcast.models.next_order import predict_next_order
from clvcast.orders import dates
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.gate import evidence_collection
from clvcast.train.gate.data_shift import Record, assign_segments_at

Array = np.ndarray[tuple[int], np.dtype[np.float64]]


def forecast(groups: list[str], shock: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(
        {"clv": 100.0, "clv_deviation": 0.0, "clv_shock": shock, "tier": groups},
        index=range(len(groups)),
    )


def test_one_group_among_several_may_miss_by_a_tenth_more_than_the_shop() -> None:
    """100 exp(-0.1^2 / 2 -+ 1.6449 x 0.1) is 84.4 to 117.3."""
    alone = clvcast.total(forecast(["high", "high"]), by="tier").loc["high"]
    assert (alone["lower"], alone["upper"]) == (200.0, 200.0)
    among = clvcast.total(forecast(["high", "low"]), by="tier").loc["high"]
    assert among["lower"] == pytest.approx(84.4103, abs=1e-3)
    assert among["upper"] == pytest.approx(117.2906, abs=1e-3)


def test_the_interval_of_a_total_is_that_of_19_in_20_on_either_side() -> None:
    whole = clvcast.total(forecast(["high"], shock=0.2)).iloc[0]
    normal_95 = 1.6448536
    assert whole["lower"] == pytest.approx(100 * math.exp(-0.02 - normal_95 * 0.2))
    assert whole["upper"] == pytest.approx(100 * math.exp(-0.02 + normal_95 * 0.2))


def predict_days(churn: float, span_days: int = 90) -> tuple[float, float, float]:
    """A customer of whom 1 repeat day in 100 days is known; 90 days are a horizon."""
    days = OrderDays.of(*(np.array([value]) for value in (1.0, 60.0, 100.0, 20.0)))
    found = predict_next_order(Nbd(r=1.0, alpha=50.0), days, np.array([churn]), 90, span_days)
    return float(found.days[0]), float(found.earliest[0]), float(found.latest[0])


def test_an_order_is_expected_where_it_is_more_likely_than_not() -> None:
    assert not np.isnan(predict_days(churn=0.499)[0])
    assert np.isnan(predict_days(churn=0.501)).all()


def test_the_window_of_the_next_order_holds_the_middle_eight_of_ten() -> None:
    """0.6 order within the span: half of them by the day, a tenth before and after the window."""
    median, earliest, latest = predict_days(churn=0.4)

    def law(days: float) -> float:
        return 1.0 - math.pow(150.0 / (150.0 + days), 2)

    there = 0.6 / law(90.0)
    assert there * law(median) == pytest.approx(0.5 * 0.6)
    assert there * law(earliest) == pytest.approx(0.1 * 0.6)
    assert there * law(latest) == pytest.approx(0.9 * 0.6)


def test_a_customer_of_two_orders_speaks_for_itself() -> None:
    said = describe_evidence(
        np.array([1, 2], np.int32),
        short_history=False,
        later_unseen=False,
        season_unseen=False,
        btyd_only=False,
    )
    assert said.tolist() == ["cohort", "own"]


def test_the_own_share_is_the_mean_of_two_credibilities(shop_model: clvcast.Model) -> None:
    """Of the rate 20 / (20 + 20), of the value 2 x 2 / (2 x 2 + 3 - 1)."""
    blend = shop_model.numbers.blend.model_copy(
        update={
            "order_model": Nbd(r=1.0, alpha=20.0),
            "order_values": GammaGamma(p=2.0, q=3.0, v=1.0),
        }
    )
    days = OrderDays.of(*(np.array([value]) for value in (1.0, 10.0, 20.0, 5.0)))
    assert compute_own_share(blend, days)[0] == pytest.approx((0.5 + 4 / 6) / 2)


def test_a_model_is_judged_in_tiers_of_50_30_and_20_per_cent_by_past_spend() -> None:
    lines = [(f"c{k:03d}", "2020-01-05", 1.0 + k) for k in range(100)]
    table = pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount"])
    orders = read_table(table, OrdersConfig())
    parts = dict(assign_segments_at(orders, dates.parse_instant("2020-02-01")))
    assert parts["tier low"].tolist() == list(range(50))
    assert parts["tier medium"].tolist() == list(range(50, 80))
    assert parts["tier high"].tolist() == list(range(80, 100))


def test_the_interval_of_a_scorecard_leaves_out_25_draws_in_1000_on_either_side() -> None:
    random = np.random.default_rng(0)
    actual = random.gamma(0.5, 100.0, 300)
    ours, theirs = (actual * random.lognormal(0.0, width, 300) for width in (0.2, 0.3))
    card = build_scorecard({"clvcast": ours, "rule": theirs}, {}, actual, actual <= 0)
    ranking, error, _ = card.lines
    gini = bootstrap_gini_difference(ours, theirs, actual, 0.975)
    assert (ranking.lower, ranking.upper) == (gini.lower, gini.upper)
    left, right = (compute_levelled_deviances(forecast, actual) for forecast in (ours, theirs))
    ratio = bootstrap_loss_ratio(left, right, 0.975)
    assert (error.lower, error.upper) == (-ratio.upper, -ratio.lower)


def test_bounds_of_the_monitor() -> None:
    intervals = {"expected_spend_lower": 0.0, "expected_spend_upper": 20.0}
    result = clvcast.monitor(
        history(40).assign(**intervals), shop_of(40), config=clvcast.Config(horizon_days=30)
    )
    bounds = {finding.name.split(" of ")[0]: finding.bound for finding in result.findings}
    assert bounds == {
        "missing customers": 0.05,
        "bias": 0.2,
        "calibration": 0.1,
        "coverage": 0.1,
        "capture": 0.5,
    }


@pytest.mark.parametrize(("inside", "coverage"), [(36, 0.0), (32, 0.1)])
def test_intervals_are_meant_to_hold_nine_of_ten(inside: int, coverage: float) -> None:
    upper = [20.0] * inside + [5.0] * (40 - inside)
    forecasts = history(40).assign(expected_spend_lower=0.0, expected_spend_upper=upper)
    result = clvcast.monitor(forecasts, shop_of(40), config=clvcast.Config(horizon_days=30))
    (finding,) = [f for f in result.findings if f.name.startswith("coverage of all")]
    assert finding.value == pytest.approx(coverage)


@pytest.mark.parametrize(
    ("missed", "severity"),
    [(0.0999, "fine"), (0.1001, "warning"), (0.1999, "warning"), (0.2001, "alarm")],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_total_that_misses_by_a_tenth_warns_and_by_a_fifth_alarms(
    missed: float, severity: str, sign: int
) -> None:
    """Everybody spent 10 and was forecast the same: chance explains nothing."""
    forecasts = history(40).assign(expected_spend=10.0 * (1 + sign * missed))
    result = clvcast.monitor(forecasts, shop_of(40), config=clvcast.Config(horizon_days=30))
    (finding,) = [f for f in result.findings if f.name.startswith("bias of all")]
    assert finding.severity == severity
    assert finding.chance == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("best", "missed"), [(4, 0.0), (2, 0.5), (0, 1.0)])
def test_capture_is_what_the_top_tenth_missed_of_the_best_tenth(best: int, missed: float) -> None:
    """Of 40 customers four spent 10 and the others nothing; `best` of them are forecast highest."""
    lines = [(f"c{k:02d}", day, 10.0) for k in range(40) for day in ("2020-01-05", "2020-03-20")]
    lines += [(f"c{k:02d}", "2020-02-10", 10.0) for k in range(4)]
    table = pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount"])
    spend = np.zeros(40)
    spend[[*range(best), *range(39, 35 + best, -1)]] = 100.0
    names = [f"c{k:02d}" for k in range(40)]
    forecasts = history(40).assign(customer_id=names, expected_spend=spend)
    orders = read_table(table, OrdersConfig())
    result = clvcast.monitor(forecasts, orders, config=clvcast.Config(horizon_days=30))
    (finding,) = [f for f in result.findings if f.name.startswith("capture of all")]
    assert finding.value == pytest.approx(missed)


def test_an_evaluation_that_was_stored_is_compared_by_its_ranking() -> None:
    """nGini 0.5 against 0.6."""
    now = {"clvcast": {"nGini": 0.5, "MAE": 90.0}, "formula": {"nGini": 0.4, "MAE": 100.0}}
    record = Record(
        first="2020-01-01",
        end="2020-12-01",
        customers=10,
        months={},
        evaluated="2020-09-01",
        methods={
            "clvcast": {"nGini": 0.6, "MAE": 40.0},
            "formula": {"nGini": 0.4, "MAE": 50.0},
            "span_rate": {"nGini": 0.3, "MAE": 70.0},
        },
    )
    found = evidence_collection._stored_contest(now, record)
    assert found is not None
    assert found.ngini.estimate == pytest.approx(-0.1)
    assert np.isnan(found.deviance.estimate)  # errors depend on what was spent in a window
    assert evidence_collection._stored_contest({"formula": now["formula"]}, record) is None


@pytest.mark.parametrize(("share", "is_refused"), [(0.9e-6, False), (1.2e-6, True)])
def test_forecasts_made_again_may_differ_by_a_millionth(
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    is_refused: bool,
) -> None:
    file = pd.DataFrame(
        {
            "customer_id": ["C00001"],
            "cutoff": pd.Timestamp("2021-01-01"),
            "model_version": shop_model.version,
            "churn_probability": 0.5,
            "expected_spend": 1e6,
            "clv": 1e7,
        }
    )
    again = pa.table({"customer_id": ["C00001"], "clv": [1e7 * (1 + share)]})
    monkeypatch.setattr(bridge, "forecast_rows", lambda model, orders, cutoff: again)
    if is_refused:
        with pytest.raises(OrdersError, match="must give B again"):
            clvcast.compare(file, file, shop_model, shop_orders)
    else:
        assert clvcast.compare(file, file, shop_model, shop_orders).after == 1e7


@pytest.mark.parametrize(
    ("days_since", "step"), [(42, "ageing"), (43, "new orders"), (41, "ageing"), (39, "new orders")]
)
def test_a_customer_who_grew_older_by_the_days_between_did_not_order(
    days_since: int, step: str
) -> None:
    """10 days since the last order, 31 days later: 41, give or take one as days are whole."""
    before = pd.DataFrame(
        {
            "customer_id": ["a"],
            "cutoff": pd.Timestamp("2020-01-01"),
            "model_version": "m",
            "churn_probability": 0.5,
            "expected_spend": 1.0,
            "clv": 4.0,
            "n_orders": 2,
            "days_since_last_order": 10,
        }
    )
    after = before.assign(cutoff=pd.Timestamp("2020-02-01"), days_since_last_order=days_since)
    found = clvcast.compare(before, after.assign(clv=3.0))
    assert [term.name for term in found.terms if term.amount] == [step]
