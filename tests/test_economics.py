"""economics: CAC, LTV:CAC, payback and the levers, by hand; bad spend in clear words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from forecast_files import forecast_file
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import clvcast
from clvcast.configs.schema import parse_config
from clvcast.decisions.acquisition_spend import coerce_spend
from clvcast.decisions.economics import Economics
from clvcast.decisions.payback import estimate_reach_probability
from clvcast.errors import OrdersError
from clvcast.orders.reading.read_orders import read_table

CUTOFF = "2021-01-01"
LINES = pd.DataFrame(
    [
        ("a", "2020-07-10", 100.0, "a1", "web"),
        ("a", "2020-09-05", 50.0, "a2", "shop"),  # still a customer of the web
        ("b", "2020-07-20", 20.0, "b1", "web"),
        ("b", "2020-12-20", 40.0, "b2", "web"),
        ("c", "2020-12-01", 70.0, "c1", "shop"),
        ("d", "2020-12-05", 30.0, "d1", "shop"),
    ],
    columns=["customer_id", "ordered_at", "amount", "order_id", "channel"],
)
SPEND = pd.DataFrame(
    [("web", "2020-07", 130.0), ("shop", "2020-12", 1000.0)], columns=["channel", "month", "spend"]
)


@pytest.fixture
def world() -> tuple[pd.DataFrame, clvcast.Orders, clvcast.Config]:
    config = parse_config("{economics: {margin_rate: 0.5}, orders: {currency: EUR}}")
    orders = read_table(LINES, config.orders)
    return forecast_file(orders, CUTOFF, config), orders, config


World = tuple[pd.DataFrame, clvcast.Orders, clvcast.Config]


def found(world: World, spend: pd.DataFrame = SPEND) -> Economics:
    forecasts, orders, config = world
    return clvcast.economics(forecasts, orders, spend, config)


def row(
    table: pd.DataFrame, level: str, channel: str | None = None, month: str | None = None
) -> pd.Series:
    own = table[table["level"] == level]
    if channel is not None:
        own = own[own["channel"] == channel]
    if month is not None:
        own = own[own["month"] == month]
    assert len(own) == 1
    return own.iloc[0]


def test_customer_acquisition_cost_by_channel_and_month(world: World) -> None:
    table = found(world).acquisition
    web = row(table, "channel_month", "web", "2020-07")
    assert (web["new_customers"], web["spend"], web["cac"]) == (2, 130, 65)
    assert row(table, "channel", "shop")["cac"] == 500
    assert row(table, "shop")["cac"] == 1130 / 4
    assert row(table, "month", month="2020-12")["cac"] == 500


def expected_until(forecast: Any, days: float, margin: float = 0.5) -> float:
    """What a row expects in so many days: 90 of the first period, then 270 of the others."""
    first = margin * forecast["expected_spend"]
    return float(
        first * min(days / 90, 1) + (forecast["clv"] - first) * max(min((days - 90) / 270, 1), 0)
    )


def test_ltv_to_cac_historic_and_forecast_with_its_interval(world: World) -> None:
    """a is 175 days old at the cutoff and b 165: 190 and 200 days are left to the age of 365."""
    forecasts = world[0].set_index("customer_id")
    web = row(found(world).acquisition, "channel", "web")
    brought = 0.5 * (100 + 50 + 20 + 40)
    coming = expected_until(forecasts.loc["a"], 190) + expected_until(forecasts.loc["b"], 200)
    assert web["ltv_age_days"] == 365
    assert web["ltv_historic"] == brought / 2
    assert web["ltv_cac_historic"] == brought / 130
    assert web["ltv_cac_forecast"] == pytest.approx((brought + coming) / 130)
    assert brought / 130 <= web["ltv_cac_forecast_lower"] < web["ltv_cac_forecast"]
    assert web["ltv_cac_forecast"] < web["ltv_cac_forecast_upper"]
    largest = 75 + expected_until(forecasts.loc["a"], 190)
    assert web["largest_customer_share"] == pytest.approx(largest / (brought + coming))
    assert web["ltv_cac_without_largest"] == pytest.approx((brought + coming - largest) / 130)
    no_interval = world[0].drop(columns=["clv_deviation", "clv_shock"])
    web = row(found((no_interval, *world[1:])).acquisition, "channel", "web")
    assert np.isnan(web["ltv_cac_forecast_lower"])
    assert not np.isnan(web["ltv_cac_forecast"])


def test_ltv_at_equal_age(world: World) -> None:
    """At 60 days a had brought 100 + 50 (57 days on) and b 20; c and d are 31 and 27 days old."""
    table = found(world).ltv_at_age
    at = {
        (channel, age): row(table[table["age_days"] == age], "channel", channel)
        for channel in ("web", "shop")
        for age in (30, 60, 90, 180, 365)
    }
    assert [at["web", age]["ltv"] for age in (30, 60, 90)] == [30, 42.5, 42.5]
    assert at["web", 90]["is_realised"]
    assert not at["web", 180]["is_realised"]
    shop_ = world[0].set_index("customer_id")
    coming = expected_until(shop_.loc["d"], 3)
    assert at["shop", 30]["ltv"] == pytest.approx((0.5 * 100 + coming) / 2)
    assert (at["shop", 30]["realised_share"], at["shop", 30]["ltv_realised"]) == (0.5, 25)
    assert at["shop", 365]["ltv_cac"] == pytest.approx(at["shop", 365]["ltv"] / 500)
    short = (world[0], world[1], parse_config("{periods: 1, economics: {margin_rate: 0.5}}"))
    result = found(short)
    young = row(result.ltv_at_age[result.ltv_at_age["age_days"] == 180], "channel", "shop")
    assert np.isnan(young["ltv"]), "90 days do not reach the age of 180"
    assert row(result.acquisition, "channel", "shop")["ltv_age_days"] == 90
    assert row(result.acquisition, "channel", "web")["ltv_age_days"] == 180


def test_ltv_to_cac_of_three_is_healthy_and_below_one_loses_money(world: World) -> None:
    """Where the interval holds two verdicts there is none."""
    web = row(found(world).acquisition, "channel", "web")
    low, high = (web[f"ltv_forecast_{end}"] / web["ltv_forecast"] for end in ("lower", "upper"))
    for ratio, verdict in (
        (3.01 / low, "healthy"),
        (2.99 / low, "not sure"),
        (3.01 / high, "not sure"),
        (1.01 / high, "not sure"),
        (0.99 / high, "loses money"),
    ):
        spend = SPEND.assign(spend=[2 * web["ltv_forecast"] / ratio, 1.0])
        again = row(found(world, spend).acquisition, "channel", "web")
        assert again["ltv_cac_forecast"] == pytest.approx(ratio, rel=1e-3)
        assert again["verdict"] == verdict, ratio
    narrow = (world[0].assign(clv_deviation=0.0, clv_shock=0.0), *world[1:])
    spend = SPEND.assign(spend=[2 * web["ltv_forecast"] / 2, 1.0])
    assert row(found(narrow, spend).acquisition, "channel", "web")["verdict"] == "thin"


def test_the_first_weeks_of_a_history_hold_old_customers(
    shop_lines: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    """Four of five repeat orders come within some days; first orders until then may be old."""
    forecasts = forecast_file(shop_orders, "2020-12-01")
    months = [f"2020-{month:02}" for month in range(1, 12)]
    spend = pd.DataFrame(
        [(channel, month, 500.0) for channel in ("web", "shop") for month in months],
        columns=["channel", "month", "spend"],
    )
    result = clvcast.economics(forecasts, shop_orders, spend)
    by_month = result.acquisition[result.acquisition["level"] == "month"].set_index("month")
    old = by_month.index[by_month["is_left_truncated"]]
    orders = shop_lines[shop_lines["amount"] > 0].drop_duplicates(["customer_id", "order_id"])
    orders = orders[orders["ordered_at"] < "2020-12-01"]
    gap = orders.groupby("customer_id")["ordered_at"].diff().quantile(0.8)
    last = orders["ordered_at"].min() + min(gap, pd.Timedelta(days=335 / 4))
    assert list(old) == [month for month in months if month <= f"{last:%Y-%m}"]
    assert len(old) > 0
    shop = row(result.acquisition, "shop")
    first = orders.groupby("customer_id").first()
    new = first[first["ordered_at"].dt.strftime("%Y-%m") > old[-1]]
    assert (shop["new_customers"], shop["spend"]) == (len(new), 1000.0 * (11 - len(old)))
    assert (
        shop["customers_left_truncated"]
        == (first["ordered_at"].dt.strftime("%Y-%m") <= old[-1]).sum()
    )
    assert any("may be old ones" in told for told in result.remarks)
    complete = parse_config("kpis: {has_all_orders: true}")
    told = clvcast.economics(forecasts, shop_orders, spend, complete).acquisition
    assert not told["is_left_truncated"].any()
    kpis = [clvcast.kpis(forecasts, shop_orders, config) for config in (None, complete)]
    new_customers = [found_.measures["new_customers"].iloc[0] for found_ in kpis]
    assert new_customers[0] <= new_customers[1]
    triangle = kpis[0].triangles
    assert set(triangle.loc[triangle["is_left_truncated"], "cohort"]) == set(old)
    anniversaries = clvcast.lists(forecasts, shop_orders).contacts["anniversary"]
    assert anniversaries.num_rows == 0


def test_cac_payback_is_the_first_month_whose_cumulated_margin_reaches_the_cac(
    world: World,
) -> None:
    """The web's cohort of July brought 60 in July, 85 by September, 105 by December."""
    for spend, month in ((60, 1), (61, 3), (85, 3), (86, 6), (105, 6)):
        result = found(world, SPEND.assign(spend=[spend, 1]))
        web = row(result.acquisition, "channel_month", "web", "2020-07")
        assert (web["payback_month"], web["payback_is_realised"]) == (month, True), spend
        assert web["payback_probability"] == 1
    later = row(
        found(world, SPEND.assign(spend=[115, 1])).acquisition, "channel_month", "web", "2020-07"
    )
    assert later["payback_month"] > 6
    assert later["payback_is_realised"] == False  # noqa: E712
    assert 0.5 <= later["payback_probability"] < 1
    never = row(
        found(world, SPEND.assign(spend=[1e6, 1])).acquisition, "channel_month", "web", "2020-07"
    )
    assert np.isnan(never["payback_month"])
    assert never["probability_within_mark"] == pytest.approx(0, abs=1e-6)
    curve = found(world).payback
    july = curve[(curve["channel"] == "web") & (curve["month"] == "2020-07")]
    assert july["realised_per_customer"].head(6).tolist() == [30, 30, 42.5, 42.5, 42.5, 52.5]
    assert july["is_realised"].tolist() == [True] * 6 + [False] * (len(july) - 6)
    assert (july["margin_per_customer"].diff().dropna() >= -1e-12).all()


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 1e6), st.floats(0, 1), st.floats(1, 3))
def test_the_chance_to_pay_back_falls_with_the_cost(
    cost: float, realised: float, expected: float, lower: float, upper: float
) -> None:
    def chance(needed: float) -> float:
        return estimate_reach_probability(
            needed, realised, expected, expected * lower, expected * upper
        )

    assert 0 <= chance(cost) <= 1
    assert chance(cost * 1.1 + 1) <= chance(cost)
    assert chance(realised) == 1


def test_past_chances_of_payback_are_compared_with_what_happened(
    shop_orders: clvcast.Orders,
) -> None:
    config = clvcast.Config()
    past = forecast_file(shop_orders, "2020-09-10")
    now = forecast_file(shop_orders, "2021-02-01")
    result = clvcast.economics(now, shop_orders, SPEND.head(1), config, past)
    tried = result.backtest
    assert tried["reached"].nunique() == 2
    by_cost = tried.groupby("multiple")[["chance", "reached"]].mean()
    assert by_cost["chance"].is_monotonic_decreasing
    assert by_cost["reached"].is_monotonic_decreasing
    np.testing.assert_allclose(tried["chance"][tried["multiple"] == 1], 0.5, atol=1e-9)
    assert any("payback probabilities on past forecasts: " in remark for remark in result.remarks)
    assert len(clvcast.economics(now, shop_orders, SPEND.head(1), config).backtest) == 0


def test_what_happened_is_read_off_the_lines() -> None:
    """One cohort of two: 100 by July, 40 more in August; all costs up to 140 are
    reached by then.
    """
    lines = pd.DataFrame(
        [
            ("a", "2020-06-01", 60.0),
            ("b", "2020-06-10", 40.0),
            ("a", "2020-08-20", 40.0),
            ("b", "2020-09-30", 5.0),
        ],
        columns=["customer_id", "ordered_at", "amount"],
    )
    orders = read_table(lines, clvcast.Config().orders)
    past = forecast_file(orders, "2020-07-15")
    tried = clvcast.economics(
        forecast_file(orders, "2020-10-01"), orders, SPEND, clvcast.Config(), past
    ).backtest
    brought = {2: 100.0, 3: 140.0, 4: 145.0}  # by the end of July, August, September
    assert set(tried["age_months"]) == set(brought)
    for row in cast(Any, tried).itertuples():
        assert row.reached == (row.needed <= brought[row.age_months])
    assert tried["reached"].any()
    assert not tried["reached"].all()


def test_the_most_that_may_be_paid_keeps_both_marks(world: World) -> None:
    table = found(world).acquisition
    for channel in ("web", "shop"):
        own = row(table, "channel", channel)
        assert own["most_for_ratio"] == pytest.approx(own["ltv_forecast"] / 3)
        assert own["most_to_pay"] == np.nanmin([own["most_for_ratio"], own["most_for_payback"]])
        at_most = SPEND.assign(spend=[own["most_to_pay"] * 2] * 2)
        again = row(found(world, at_most).acquisition, "channel", channel)
        assert again["ltv_cac_forecast"] >= 3 - 1e-3  # spend is whole cents


def test_what_each_lever_is_worth(world: World) -> None:
    forecasts = world[0]
    levers = found(world).levers
    shop = levers[levers["dimension"] == "shop"].set_index("lever")["value"]
    for lever in ("aov", "purchase_frequency", "margin"):
        assert shop[lever] == pytest.approx(0.01 * forecasts["clv"].sum())
    churn = forecasts["churn_probability"]
    points = churn.clip(upper=0.01) * forecasts["retention_value"]
    assert shop["churn"] == pytest.approx(points.sum())
    by_tier = levers[(levers["dimension"] == "tier") & (levers["lever"] == "churn")]
    assert by_tier["value"].sum() == pytest.approx(shop["churn"])


def test_what_cannot_be_known_is_empty_and_said(world: World) -> None:
    spend = pd.DataFrame(
        [
            ("web", "2020-07", 130.0),
            ("web", "2020-10", 10.0),
            ("webb", "2020-07", 5.0),
            ("shop", "2021-03", 7.0),
        ],
        columns=["channel", "month", "spend"],
    )
    result = found(world, spend)
    told = "\n".join(result.remarks)
    assert "spend is stated for webb, a channel without customers: it counts in no other" in told
    assert "cac_fully_loaded; did you mean web?" in told
    assert "no spend is stated for web in 2020-08, 2020-09" in told
    assert "1 row of spend left out: after the cutoff 2021-01-01" in told
    assert "2020-07 is the first month of the history" in told
    table = result.acquisition
    nobody = row(table, "channel_month", "web", "2020-10")
    assert (nobody["new_customers"], nobody["spend"]) == (0, 10)
    for name in ("cac", "ltv_forecast", "ltv_cac_forecast", "payback_month", "most_to_pay"):
        assert np.isnan(nobody[name]), name
    assert pd.isna(nobody["verdict"])
    in_shop = row(table, "channel", "shop")
    assert np.isnan(in_shop["cac"])
    assert in_shop["customers_without_spend"] == 2
    assert in_shop["most_to_pay"] > 0, "what a customer is worth is known without spend"
    free = row(found(world, SPEND.assign(spend=[0.0, 1.0])).acquisition, "channel", "web")
    assert free["cac"] == 0
    assert np.isnan(free["ltv_cac_forecast"]), "no ratio to nothing"
    assert not np.isinf(table.select_dtypes("number").to_numpy(np.float64)).any()


def test_spend_of_a_channel_that_brought_nobody_is_shown_beside_the_cac(world: World) -> None:
    """Four customers for 1,130; 70 more went to a channel through which nobody came."""
    spend = pd.concat([SPEND, pd.DataFrame([("tv", "2020-12", 70.0)], columns=SPEND.columns)])
    result, without = found(world, spend), found(world)
    assert "spend is stated for tv, a channel without customers" in "".join(result.remarks)
    assert not any("its new customers" in told for told in result.remarks)
    shop = row(result.acquisition, "shop")
    assert (shop["spend"], shop["cac"]) == (1_130, 1_130 / 4)
    assert (shop["unattributed_spend"], shop["cac_fully_loaded"]) == (70, 1_200 / 4)
    assert shop["ltv_cac_fully_loaded"] == pytest.approx(4 * shop["ltv_forecast"] / 1_200)
    december = row(result.acquisition, "month", month="2020-12")
    assert (december["cac"], december["cac_fully_loaded"]) == (500, 535)
    tv = row(result.acquisition, "channel", "tv")
    assert (tv["spend"], tv["new_customers"], tv["unattributed_spend"]) == (70, 0, 0)
    assert np.isnan(tv["cac"])
    for level in ("shop", "month"):
        same = [
            table[table["level"] == level].reset_index(drop=True)
            for table in (result.acquisition, without.acquisition)
        ]
        columns = [n for n in same[0].columns if n != "unattributed_spend" and "loaded" not in n]
        assert_frame_equal(same[0][columns], same[1][columns])


def test_spend_of_unknown_channels_alone_is_refused(world: World) -> None:
    spend = pd.DataFrame({"channel": ["tv"], "month": ["2020-12"], "spend": [70.0]})
    with pytest.raises(OrdersError, match="must name channels of the orders, got tv, and the"):
        found(world, spend)


def test_channels_are_matched_whatever_their_case(world: World) -> None:
    spend = SPEND.assign(channel=["WEB ", "Shop"])
    assert_frame_equal(found(world, spend).acquisition, found(world).acquisition)


@pytest.mark.parametrize(
    "text",
    [
        "channel;month;spend\nweb;07/2020;1.130,00\nshop;12/2020;1.000,5\n",
        "Channel,Month,Spend\nweb,Jul 2020,1130\nshop,December 2020,1000.5\n",
        'channel,date,spend\nweb,2020-07-01,"1,000.00"\nweb,2020-07-31,130\nshop,2020-12-05,1000.5\n',
        "channel\tday\tspend\nweb\t31.07.2020\t1130,0\nshop\t05.12.2020\t1 000,5 \u20ac\n",
        "\ufeffchannel;date;spend\nweb;07/31/2020;1130,0\nshop;12/05/2020;1000,5\n",
    ],
)
def test_spend_files_as_people_keep_them(text: str, tmp_path: Path) -> None:
    (tmp_path / "spend.csv").write_text(text, encoding="utf-8")
    spend = coerce_spend(tmp_path / "spend.csv", unit=100)
    assert spend.channels == ("shop", "web")
    assert spend.months.tolist() == [50 * 12 + 11, 50 * 12 + 6]
    assert spend.amounts.tolist() == [100_050, 113_000]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("channel;month;spend\nweb;2020-07;1.234\n", "must show its decimal mark, got '1.234'"),
        ("channel;month;spend\nweb;2020-07;1,5\nweb;2020-08;1.5\n", "must have one decimal mark"),
        ("channel,day,spend\nweb,05/06/2020,1\n", "which part of a date is the month"),
        ("channel,day,spend\nweb,05-06-2020,1\n", "of a date is the month, got '05-06-2020'"),
        ("channel,day,spend\nweb,05 / 06 / 2020,1\n", "which part of a date is the month"),
        (
            "channel,day,spend\nweb,25-06-2020,1\nweb,06-25-2020,1\n",
            "which part of a date is the month",
        ),
        ("channel,month,spend\nweb,06/20,1\n", "month must be such as 2011-03, got '06/20'"),
        ("channel,month,spend\nweb,2020-06,1,234\n", "line 2 must have 3 cells like the header"),
    ],
)
def test_spend_that_may_mean_two_things_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "spend.csv").write_text(text)
    with pytest.raises(OrdersError, match=told):
        coerce_spend(tmp_path / "spend.csv", unit=100)


def test_ltv_counts_what_the_forecasts_target_counts(world: World) -> None:
    """Contribution: 40 % of every order is cost, so what customers brought is 60 % of it."""
    config = parse_config("{target: contribution, orders: {currency: EUR}}")
    lines = LINES.assign(cost=LINES["amount"] * 0.4)
    orders = read_table(lines, config.orders)
    web = row(found((world[0], orders, config)).acquisition, "channel", "web")
    assert web["ltv_historic"] == pytest.approx(0.6 * 210 / 2)
    curve = found((world[0], orders, config)).payback
    july = curve[(curve["channel"] == "web") & (curve["month"] == "2020-07")]
    assert july["realised_per_customer"].head(3).tolist() == pytest.approx([36, 36, 51])


def test_spend_in_months_without_customers_alone(world: World) -> None:
    spend = pd.DataFrame({"channel": ["web"], "month": ["2020-09"], "spend": [50.0]})
    table = found(world, spend).acquisition
    shop = row(table, "shop")
    assert (shop["spend"], shop["new_customers"], shop["customers_without_spend"]) == (50, 0, 4)
    assert np.isnan(shop["cac"])
    assert np.isnan(shop["payback_month"])


def test_customers_whose_spend_is_not_stated_do_not_lower_the_cac(world: World) -> None:
    lines = pd.concat([LINES, LINES.head(1).assign(customer_id="e", ordered_at="2020-10-01")])
    orders = read_table(lines.assign(order_id=None), world[2].orders)
    forecasts = forecast_file(orders, CUTOFF, world[2])
    web = row(found((forecasts, orders, world[2])).acquisition, "channel", "web")
    assert (web["new_customers"], web["customers_without_spend"], web["cac"]) == (2, 1, 65)


def test_orders_without_channels_are_shown_by_month(world: World) -> None:
    orders = read_table(LINES.drop(columns="channel"), world[2].orders)
    result = found((world[0], orders, world[2]))
    assert row(result.acquisition, "channel", "all")["spend"] == 1130
    assert any("the orders have no channel" in remark for remark in result.remarks)


@pytest.mark.parametrize(
    ("spend", "message"),
    [
        (SPEND.drop(columns="month"), "must have the columns channel, month and spend"),
        (SPEND.assign(spend=-1), "row 1: spend must be at least 0 and at most 1e12, got -1"),
        (SPEND.assign(spend="much"), "row 1: spend must be a number, got 'much'"),
        (SPEND.assign(month="July"), "row 1: month must be such as 2011-03, got 'July'"),
        (SPEND.assign(month="2020-13"), "month must be such as 2011-03, got '2020-13'"),
        (SPEND.assign(channel=None), "row 1: channel must not be empty"),
        (SPEND.head(0), "has no rows; give one row"),
        (SPEND.assign(currency="USD"), "must be in EUR, the orders' currency, got USD"),
        (SPEND.assign(currency=["EUR", "USD"]), "got EUR and USD"),
    ],
)
def test_bad_spend_is_refused_in_a_sentence(
    world: World, spend: pd.DataFrame, message: str
) -> None:
    with pytest.raises(OrdersError) as refusal:
        found(world, spend)
    assert message in str(refusal.value)


def test_two_currencies_are_refused_where_none_is_configured() -> None:
    with pytest.raises(OrdersError, match="must be in one currency, got EUR and USD"):
        coerce_spend(SPEND.assign(currency=["EUR", "USD"]), unit=100)


def test_repeated_rows_of_spend_add_up(world: World) -> None:
    result = found(world, pd.concat([SPEND, SPEND]))
    assert row(result.acquisition, "channel", "web")["cac"] == 130
    assert any("2 rows of spend repeat a channel and month" in told for told in result.remarks)


def test_tables_show_whole_numbers_in_80_columns(run: Run, tmp_path: Path, world: World) -> None:
    """Yen and long names: nothing is cut, on a narrow screen or in a pipe."""
    forecasts, _, _ = world
    big = LINES.assign(amount=LINES["amount"] * 12_345, channel="Paid search, brand terms")
    big.to_csv(tmp_path / "orders.csv", index=False)
    money = [n for n in forecasts.columns if n.startswith(("clv", "expected_spend", "spend"))]
    money = [n for n in money if not n.endswith("shock")]
    forecasts.assign(**{n: forecasts[n] * 12_345 for n in money}).to_parquet(tmp_path / "f.parquet")
    spend = pd.DataFrame(
        [("Paid search, brand terms", m, 1_234_567.0) for m in ("2020-07", "2020-12")]
        + [("Television", "2020-12", 2_000_000.0)],
        columns=["channel", "month", "spend"],
    )
    spend.to_csv(tmp_path / "spend.csv", index=False)
    common = [
        tmp_path / "f.parquet",
        "--orders",
        tmp_path / "orders.csv",
        "--output",
        tmp_path / "o",
    ]
    _, out, _ = run("economics", *common, "--spend", tmp_path / "spend.csv")
    _, measured, _ = run("kpis", *common)
    _, listed, _ = run("lists", *common)
    for text in (out, measured, listed):
        assert max(len(line) for line in text.splitlines() if "wrote" not in line) <= 80, text
        assert "…" not in text
    acquisition = pd.read_csv(tmp_path / "o" / "acquisition.csv")
    shop = acquisition.iloc[0]
    for number in ("cac", "ltv_forecast", "most_to_break_even", "most_to_pay"):
        assert f"{shop[number]:,.0f}" in out, number
    assert f"{shop['ltv_cac_forecast_lower']:.1f} to {shop['ltv_cac_forecast_upper']:.1f}" in out
    assert (
        f"2,000,000 spent on other channels, the shop's CAC is {shop['cac_fully_loaded']:,.2f}"
        in " ".join(out.split())
    )
    assert "One point less churn adds at most" in " ".join(out.split())
    assert f"{pd.read_csv(tmp_path / 'o' / 'measures.csv')['aov'][0]:,.0f}" in measured


def test_the_command_writes_what_python_computes(run: Run, tmp_path: Path, world: World) -> None:
    forecasts, orders, config = world
    LINES.to_csv(tmp_path / "orders.csv", index=False)
    forecasts.to_parquet(tmp_path / "f.parquet")
    SPEND.to_csv(tmp_path / "spend.csv", index=False)
    (tmp_path / "c.yaml").write_text("{economics: {margin_rate: 0.5}, orders: {currency: EUR}}")
    args = ["economics", tmp_path / "f.parquet", "--orders", tmp_path / "orders.csv"]
    args += ["--config", tmp_path / "c.yaml", "--output", tmp_path / "out", "--format", "parquet"]
    status, out, err = run(*args, "--spend", tmp_path / "spend.csv")
    assert status == 0, err
    assert "LTV:CAC" in out
    assert "…" not in out, "no number is cut short"
    written = pd.read_parquet(tmp_path / "out" / "acquisition.parquet")
    expected = clvcast.economics(forecasts, orders, SPEND, config).acquisition
    numbers = expected.select_dtypes("number").columns
    assert_frame_equal(written[numbers], expected[numbers])
    status, _, err = run(*args, "--spend", tmp_path / "none.csv")
    assert (status, "there is no spend file" in err) == (1, True)
    status, _, err = run(*args)
    assert status == 2, "spend must be given"
