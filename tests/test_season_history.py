"""Revenue of earlier years: read, cut at the training end, levelled, and learned as a season."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import ClvcastError
from clvcast.features.configured_orders import attach_configured, attach_season_history
from clvcast.features.table import compute_feature_rows
from clvcast.nightly import run as night
from clvcast.orders import dates, windows
from clvcast.orders.dates import DAY
from clvcast.orders.orders import Orders
from clvcast.orders.reading.read_orders import read_table
from clvcast.orders.reading.season_history_file import load_season_history
from clvcast.orders.season_history import SeasonHistory
from clvcast.train.blending import fit_initial_blend
from clvcast.train.season_estimation import PastYears, estimate_past_years
from clvcast.train.season_history import compute_daily_totals, join_earlier_years

END, BEGIN = "2022-10-15", "2021-12-15"  # ten months of orders, before the peak


def day(text: str) -> int:
    return dates.parse_instant(text) // DAY


def load(folder: Path, text: str) -> SeasonHistory:
    (folder / "revenue.csv").write_text(text, encoding="utf-8")
    return load_season_history(str(folder / "revenue.csv"))


def test_months_and_days_are_read_as_people_write_them(tmp_path: Path) -> None:
    months = load(tmp_path, "Month;Revenue\n01/2010;1.234,50 €\n02/2010;2.000,00 €\n")
    assert months.starts.tolist() == [day("2010-01-01"), day("2010-02-01")]
    assert months.ends.tolist() == [day("2010-02-01"), day("2010-03-01")]
    assert months.revenue.tolist() == [1234.5, 2000.0]
    month_ends = load(tmp_path, "date,revenue\n2010-02-28,2\n2010-01-31,1\n")
    assert month_ends.starts.tolist() == months.starts.tolist()
    assert month_ends.revenue.tolist() == [1.0, 2.0]
    days = load(tmp_path, "day,revenue\n25/01/2010,1\n28/01/2010,-2\n03/02/2010,4\n")
    assert days.starts.tolist() == [day("2010-01-25"), day("2010-01-28"), day("2010-02-03")]
    assert (days.ends - days.starts).tolist() == [1, 1, 1]
    for rows in (
        "01-25-2010,1\n01-28-2010,-2\n02-03-2010",
        "25.01.2010,1\n28.01.2010,-2\n03.02.2010",
    ):
        other = load(tmp_path, f"day,revenue\n{rows},4\n")
        assert other.starts.tolist() == days.starts.tolist()
    pd.DataFrame(
        {"date": pd.to_datetime(["2010-01-25", "2010-01-26"]), "revenue": [1, 2]}
    ).to_parquet(tmp_path / "revenue.parquet")
    assert load_season_history(str(tmp_path / "revenue.parquet")).starts[1] == day("2010-01-26")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,amount\n2010-01,1\n2010-02,2\n", "lacks revenue; it has date, amount"),
        ("date,revenue\n2010-01,1\n", "row per day or month, got 1"),
        ("date,revenue\n2010-01-25,1\n2010-02-30,2\n", "row 2: date must be .* got '2010-02-30'"),
        ("date,revenue\n2010-01-25,1\n2010-01-26,many\n", "row 2: revenue must be .* got 'many'"),
        (
            "date,revenue\n2010-01-25,1\n2010-01-25,2\n",
            "one row per date, got several for 2010-01-2",
        ),
        ("date,revenue\n2010-01,1\n2010-03,2\n", "none of the days from 2010-02-01 to 2010-02-28"),
        ("date,revenue\n2010-01,1\n2010-01-02,2\n", "got the month '2010-01' beside days"),
        ("date,revenue\n04/05/2010,1\n05/05/2010,2\n", "which part of a date is the month"),
        ("date,revenue\n04-05-2010,1\n05-05-2010,2\n", "which part of a date is the month"),
    ],
)
def test_a_fault_of_the_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ClvcastError, match=message):
        load(tmp_path, text)
    with pytest.raises(ClvcastError, match=r"no season history file .* date and revenue"):
        load_season_history("none.csv")


def test_a_gap_of_27_days_is_a_quiet_time(tmp_path: Path) -> None:
    quiet = load(tmp_path, "date,revenue\n2010-01-01,1\n2010-01-02,1\n2010-01-30,2\n")
    assert quiet.compute_daily(day("2010-01-02"), day("2010-01-31")).tolist() == [1, *[0] * 27, 2]
    with pytest.raises(ClvcastError, match="four weeks"):
        load(tmp_path, "date,revenue\n2010-01-01,1\n2010-01-02,1\n2010-01-31,2\n")


def test_only_whole_spans_before_the_end_are_kept_and_compared() -> None:
    months = SeasonHistory(np.array([0, 31]), np.array([31, 59]), np.array([31.0, 56.0]))
    assert len(months.keep_before(59 * DAY).starts) == 2
    assert months.keep_before(59 * DAY - 1).starts.tolist() == [0]
    assert months.compute_daily(30, 33).tolist() == [1.0, 2.0, 2.0]
    assert months.compare_totals(np.ones(28), 31) == (28.0, 56.0)
    assert months.compare_totals(np.ones(28), 32) is None  # its month is not whole
    assert months.compare_totals(np.zeros(28), 31) is None
    days = SeasonHistory(np.arange(27), np.arange(1, 28), np.ones(27))
    assert days.compare_totals(np.ones(40), 0) is None  # 27 days say too little
    apart = SeasonHistory(np.array([5, 12, 19, 32]), np.array([6, 13, 20, 33]), np.full(4, 7.0))
    assert apart.compare_totals(np.ones(40), 0) == (28.0, 28.0)  # days without a row count
    assert apart.compare_totals(np.ones(32), 0) is None  # 15 days of both
    assert apart.compare_totals(np.ones(4), 0) is None


def test_a_currency_of_the_file_must_be_the_orders(recent: Orders, tmp_path: Path) -> None:
    path = tmp_path / "revenue.csv"
    path.write_text("month,revenue,Currency\n2021-10,1,USD\n2021-11,2,USD\n", encoding="utf-8")
    assert load_season_history(str(path)).revenue.tolist() == [1.0, 2.0]
    assert load_season_history(str(path), "USD").revenue.tolist() == [1.0, 2.0]
    euros = clvcast.Config(season={"history": str(path)}, orders={"currency": "EUR"})
    with pytest.raises(ClvcastError, match="must be in EUR, the orders' currency, got USD"):
        attach_configured(recent, euros)
    path.write_text("month,revenue,currency\n2021-10,1,USD\n2021-11,2,EUR\n", encoding="utf-8")
    with pytest.raises(ClvcastError, match="must be in one currency, got EUR and USD"):
        load_season_history(str(path))


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    return worlds.seasonal_shop()


@pytest.fixture(scope="module")
def recent(shop: pd.DataFrame) -> Orders:
    return read_table(shop[shop["ordered_at"] >= BEGIN], OrdersConfig())


def write_history(shop: pd.DataFrame, path: Path, until: str, level: float = 1.0) -> str:
    early = shop[shop["ordered_at"] < until]
    table = (level * early.groupby("ordered_at")["amount"].sum()).rename("revenue")
    table.rename_axis("date").to_csv(path)
    return str(path)


def learn(orders: Orders) -> PastYears:
    instant = dates.parse_instant(END)
    now = compute_feature_rows(windows.slice_observed(orders, instant), np.array([instant]))
    return estimate_past_years(orders, fit_initial_blend(now, 20.0, 1.0), 60, "spend", instant)


def test_a_short_history_learns_its_season_from_earlier_years(
    shop: pd.DataFrame, recent: Orders, tmp_path: Path
) -> None:
    path = write_history(shop, tmp_path / "early.csv", BEGIN)
    informed = attach_season_history(recent, path)
    assert "have no four weeks of revenue in common" in informed.report.remarks[0]
    assert len(informed.report.remarks) == 1
    assert not learn(recent).season.is_known
    season = learn(informed).season
    truth = [
        np.mean(1 + 0.6 * np.cos(2 * np.pi * (place + np.arange(60) / 365.2425)))
        for place in season.places
    ]
    assert np.corrcoef(season.spend, np.log(truth))[0, 1] > 0.95
    assert np.ptp(season.spend) == pytest.approx(np.ptp(np.log(truth)), rel=0.25)


def test_nothing_of_the_file_after_the_training_end_is_used(
    shop: pd.DataFrame, recent: Orders, tmp_path: Path
) -> None:
    informed = attach_season_history(
        recent, write_history(shop, tmp_path / "all.csv", "2024-01-01")
    )
    history = informed.season_history
    assert history is not None
    late = history.starts * DAY >= dates.parse_instant(END)
    assert late.any()
    bent = replace(history, revenue=np.where(late, 1e6, history.revenue))
    end = dates.parse_instant(END)
    totals = compute_daily_totals(windows.slice_observed(recent, end), "spend", end)
    joined, same = (
        join_earlier_years(totals, replace(recent, season_history=each), "spend", end)
        for each in (history, bent)
    )
    assert joined is not None
    assert same is not None
    np.testing.assert_array_equal(joined[0], same[0])


def test_the_file_is_scaled_to_the_orders_where_both_are(
    shop: pd.DataFrame, recent: Orders, tmp_path: Path
) -> None:
    path = write_history(shop, tmp_path / "gross.csv", "2022-02-01", level=1.26)
    gross = attach_season_history(recent, path)
    assert "must agree on the days of both, got " in gross.report.remarks[0]
    near = attach_season_history(
        recent, write_history(shop, tmp_path / "near.csv", "2022-02-01", level=1.24)
    )
    assert near.report.remarks == ()
    end = dates.parse_instant(END)
    totals = compute_daily_totals(windows.slice_observed(recent, end), "spend", end)
    joined = [join_earlier_years(totals, each, "spend", end) for each in (gross, near)]
    assert joined[0] is not None
    assert joined[1] is not None
    np.testing.assert_allclose(joined[0][0], joined[1][0])
    half = join_earlier_years(totals / 2, gross, "spend", end)  # a sample of half the shop
    assert half is not None
    np.testing.assert_allclose(half[0], joined[0][0] / 2)
    # a customer outside the sample ordered long before all others: the same days are compared
    stray = pd.DataFrame({"customer_id": ["S"], "ordered_at": ["2021-11-05"], "amount": [1.0]})
    lines = shop[shop["ordered_at"] >= BEGIN]
    longer = read_table(pd.concat([stray.astype(lines.dtypes), lines]), OrdersConfig())
    strayed = join_earlier_years(
        totals, replace(longer, season_history=gross.season_history), "spend", end
    )
    assert strayed is not None
    np.testing.assert_allclose(strayed[0], joined[0][0])
    days = joined[0][1]
    assert (np.diff(days) == 1).all()
    assert days[-1] == end // DAY - 1


def test_a_file_that_adds_nothing_is_left_out(
    shop: pd.DataFrame, recent: Orders, tmp_path: Path
) -> None:
    end = dates.parse_instant(END)
    totals = compute_daily_totals(windows.slice_observed(recent, end), "spend", end)
    late = attach_season_history(
        recent, write_history(shop[shop["ordered_at"] >= "2022-01-10"], tmp_path / "l.csv", END)
    )
    assert "no day before the first order" in late.report.remarks[0]
    assert late.season_history is None
    assert join_earlier_years(totals, late, "spend", end) is None
    for until, is_used in (("2021-11-18", True), ("2021-11-17", False)):  # 27 and 28 days before
        old = attach_season_history(recent, write_history(shop, tmp_path / "o.csv", until))
        assert (join_earlier_years(totals, old, "spend", end) is not None) == is_used
        assert (old.season_history is not None) == is_used
        sentence = "taken as it is" if is_used else "ends four weeks or more before the first order"
        assert [sentence in remark for remark in old.report.remarks] == [True]
    early = attach_season_history(recent, write_history(shop, tmp_path / "e.csv", BEGIN))
    assert join_earlier_years(np.ones(730), early, "spend", end) is not None
    assert join_earlier_years(np.ones(731), early, "spend", end) is None


def test_every_way_to_train_has_the_history(
    shop: pd.DataFrame, recent: Orders, tmp_path: Path
) -> None:
    path = write_history(shop, tmp_path / "early.csv", BEGIN)
    config = clvcast.Config(season={"history": path})
    assert path not in str(config.learning())
    keys = {
        night._hash_training(attach_season_history(recent, each), config) for each in (None, path)
    }
    assert len(keys) == 2


@pytest.mark.slow
def test_a_model_says_that_it_knows_the_season_and_keeps_no_file(
    shop: pd.DataFrame, tmp_path: Path
) -> None:
    path = write_history(shop, tmp_path / "early.csv", BEGIN)
    lines = shop[shop["ordered_at"] >= BEGIN]
    begin, until = pd.Timestamp(END), pd.Timestamp(END) + pd.Timedelta(days=60)
    known = lines.loc[lines["ordered_at"] < begin, "customer_id"]
    inside = (lines["ordered_at"] >= begin) & (lines["ordered_at"] < until)
    actual = float(lines.loc[inside & lines["customer_id"].isin(known), "amount"].sum())
    totals = []
    for history in (None, path):
        config = clvcast.Config(horizon_days=60, effort="quick", season={"history": history})
        model = clvcast.train(lines, config, END)
        forecast = clvcast.score(model, lines, END)
        assert forecast["evidence"].str.contains("season_unseen").all() == (history is None)
        totals.append(float(forecast["expected_spend"].sum()) / actual)
        model.save(tmp_path / f"bundle{len(totals)}")
    assert abs(np.log(totals[1])) < 0.5 * abs(np.log(totals[0]))
    for file in (tmp_path / "bundle2").rglob("*"):
        assert file.is_dir() or b"early.csv" not in file.read_bytes()
