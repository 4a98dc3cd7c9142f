"""CLV judged: measures by hand, the cutoff at which it can be judged, and who says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clvcast
from clvcast.evaluation import clv_accuracy
from clvcast.evaluation.scorecard import build_scorecard
from clvcast.orders import dates
from clvcast.orders.cutoffs import can_train, find_clv_cutoff, find_clv_evaluation_start
from clvcast.train.backtest.run import Backtest, add_clv_cutoff
from clvcast.train.backtest.summary import describe_clv_evaluation, describe_verdict

DAY = dates.DAY


def test_groups_by_recency_and_by_forecast_hold_every_customer() -> None:
    silent = np.arange(100.0)
    actual = np.where(silent < 20, 40.0, 10.0)
    clv = np.full(100, 20.0)
    found = clv_accuracy.summarize_clv(clv, actual, silent, 0, 30)
    assert found["is_judged"]
    assert [one["bias"] for one in found["by_recency"]] == [-0.5, 1.0, 1.0, 1.0, 1.0]
    newest = found["by_recency"][0]
    assert (newest["lowest"], newest["highest"]) == (0.0, 19.0)
    for groups in (found["by_recency"], found["deciles"]):
        assert sum(one["customers"] for one in groups) == 100
        assert sum(one["actual"] for one in groups) == pytest.approx(actual.sum())
    sentence = clv_accuracy.describe_clv(found, 0.9)
    assert "2,000 in total, actual 1,600 (+25%)" in sentence
    assert "0 to 19 days -50%" in sentence
    unknown = np.where(silent > 98, np.nan, actual)
    assert clv_accuracy.summarize_clv(clv, unknown, silent, 0, 30) == {"is_judged": False}


def test_a_cutoff_is_found_from_the_day_that_is_named_on() -> None:
    first = 5 * DAY + 7
    start = find_clv_evaluation_start(first, 60, 3)
    assert find_clv_cutoff(first, start, 60, 3) == start - 180 * DAY
    assert find_clv_cutoff(first, start - DAY, 60, 3) is None
    assert can_train(first, start - 180 * DAY, 60)


def test_the_oldest_cutoff_gives_way_to_one_at_which_the_clv_is_over(
    shop_orders: clvcast.Orders, shop_config: clvcast.Config
) -> None:
    end = dates.parse_instant("2021-02-24")
    old = end - 180 * DAY
    newest = [end - 151 * DAY, end - 60 * DAY]
    assert add_clv_cutoff(newest, shop_orders, shop_config, end) == [old, *newest]
    assert add_clv_cutoff(newest, shop_orders, shop_config, end, 2) == [old, newest[1]]
    assert add_clv_cutoff(newest, shop_orders, shop_config, end, 1) == [newest[1]]
    assert add_clv_cutoff([old - DAY, newest[1]], shop_orders, shop_config, end) == [
        old - DAY,
        newest[1],
    ]
    long = shop_config.model_copy(update={"periods": 9})
    assert add_clv_cutoff(newest, shop_orders, long, end) == newest


def test_a_scorecard_has_lines_of_the_clv_where_its_span_is_over() -> None:
    random = np.random.default_rng(0)
    actual = random.gamma(0.5, 100.0, 400)
    churned = random.random(400) < 0.4
    good, poor = actual * random.lognormal(0.0, 0.2, 400), random.permutation(actual) * 1.5
    spends, churns = {"clvcast": good, "rule": good}, {"clvcast": np.full(400, 0.4)}
    card = build_scorecard(
        spends, churns, actual, churned, clvs=({"clvcast": poor, "rule": good}, actual)
    )
    lines = {line.measure: line for line in card.lines}
    assert lines["CLV ranking (nGini)"].upper < 0
    assert lines["CLV total (bias)"].upper < 0
    assert "CLV" in card.sentence
    without = build_scorecard(spends, churns, actual, churned)
    assert not [line for line in without.lines if "CLV" in line.measure]


@pytest.fixture(scope="module")
def judged(shop_orders: clvcast.Orders, shop_config: clvcast.Config) -> Backtest:
    quick = shop_config.model_copy(update={"effort": "quick"})
    return clvcast.backtest(shop_orders, quick, ["2020-08-28", "2020-12-26"])


def test_a_backtest_judges_the_clv_where_it_can_and_names_the_day_where_not(
    judged: Backtest, tmp_path: Path
) -> None:
    old, new = judged.metrics["2020-08-28"], judged.metrics["2020-12-26"]
    rows = judged.forecasts.to_pandas()
    ours = rows[(rows["method"] == "clvcast") & (rows["cutoff"] == pd.Timestamp("2020-08-28"))]
    measured = old["methods"]["clvcast"]
    assert measured["clv_bias"] == pytest.approx(ours["clv"].sum() / ours["actual_clv"].sum() - 1)
    inside = ours["actual_clv"].clip(lower=0).between(ours["clv_lower"], ours["clv_upper"])
    assert measured["clv_coverage_90"] == pytest.approx(inside.mean())
    assert measured["clv_deviance"] > 0
    assert {"clv_nGini", "clv_MAE"} <= set(old["methods"]["span_rate"])
    retention = old["clv"]["retention"]
    for rows_of in (retention["risk"], retention["deciles"]):
        assert sum(row["customers"] for row in rows_of) == len(ours)
        assert sum(row["ordered"] for row in rows_of) == (~ours["churned"].astype(bool)).sum()
    medium = next(row for row in retention["risk"] if row["group"] == "medium")
    stated = medium["stated_with_order"] - medium["stated_without"]
    assert 0 < medium["stated"] == pytest.approx(stated)
    assert "CLV total (bias)" in [line["measure"] for line in old["scorecard"]["lines"]]
    assert not [name for name in new["methods"]["clvcast"] if name.startswith("clv_")]
    told = [" ".join(describe_verdict(one)) for one in (old, new)]
    assert "By days since the last order" in told[0]
    assert "The CLV of 3 x 60 days from 2020-12-26 can be judged from 2021-06-24 on." in told[1]
    judged.save(tmp_path / "b")
    assert json.loads((tmp_path / "b" / "metrics.json").read_text())["2020-08-28"]["clv"]["actual"]
    assert "CLV by days since the last order" in (tmp_path / "b" / "report.html").read_text()


def test_train_says_from_when_on_it_can_judge_the_clv(judged: Backtest) -> None:
    assert describe_clv_evaluation(judged.metrics, 0, 60, 3) is None
    only_new = {"2020-12-26": judged.metrics["2020-12-26"]}
    said = describe_clv_evaluation(only_new, 0, 60, 3)
    start = dates.format_instant(find_clv_evaluation_start(0, 60, 3))
    assert said is not None
    assert f"with orders until {start} or later" in said
