"""lists: every use by its rule, what is left out and held out, and whether past lists caught the
money.
"""

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

import clvcast
from clvcast.configs.lists import DEFAULT_RULES, parse_condition
from clvcast.configs.schema import OrdersConfig, parse_config
from clvcast.errors import ConfigError
from clvcast.orders import dates
from clvcast.orders.reading.read_orders import read_table

CUTOFF = "2021-01-10"
EVERYBODY = "{lists: {hold_out: 0}, kpis: {has_all_orders: true}}"


@pytest.fixture(scope="module")
def forecasts(shop_orders: clvcast.Orders) -> pd.DataFrame:
    return forecast_file(shop_orders, CUTOFF)


def made(
    forecasts: pd.DataFrame, orders: clvcast.Orders, text: str = EVERYBODY
) -> dict[str, pd.DataFrame]:
    found = clvcast.lists(forecasts, orders, parse_config(text))
    tables = {name: table.to_pandas() for name, table in found.contacts.items()}
    for table in tables.values():
        assert table["priority"].tolist() == list(range(1, len(table) + 1))
        assert (table["value_at_stake"].diff().dropna() <= 0).all(), "most at stake first"
        assert table["reason"].str.len().gt(10).all()
        assert not table["reason"].str.contains(r"[{}?]|nan").any()
        assert (pd.to_datetime(table["suggested_date"]) >= pd.Timestamp(CUTOFF)).all()
        assert table["customer_id"].is_unique
    return {n: t.merge(forecasts, on="customer_id", how="left") for n, t in tables.items()}


@pytest.fixture(scope="module")
def by_name(forecasts: pd.DataFrame, shop_orders: clvcast.Orders) -> dict[str, pd.DataFrame]:
    found = made(forecasts, shop_orders)
    assert all(len(table) for table in found.values()), "every default rule finds somebody here"
    return found


def test_vip_and_loyalty_rewards_are_for_the_high_tier(
    by_name: dict[str, pd.DataFrame], forecasts: pd.DataFrame
) -> None:
    assert set(by_name["vip"]["tier"]) == {"high"}
    assert len(by_name["vip"]) == (forecasts["tier"] == "high").sum()


def test_win_back_is_for_valuable_customers_at_risk(
    by_name: dict[str, pd.DataFrame], forecasts: pd.DataFrame, shop_lines: pd.DataFrame
) -> None:
    listed = by_name["win_back"]
    assert set(listed["risk"]) <= {"medium", "high"}
    assert (listed["n_orders"] >= 2).all()
    known = shop_lines[shop_lines["ordered_at"] < CUTOFF]
    spend = known.groupby("customer_id")["amount"].sum()[forecasts["customer_id"]]
    assert spend[listed["customer_id"]].min() > spend.quantile(0.69)
    at_risk = listed["churn_probability"] * listed["retention_value"]
    np.testing.assert_allclose(listed["value_at_stake"], at_risk, atol=0.006)


def test_who_was_silent_for_years_does_not_lead_win_back(
    by_name: dict[str, pd.DataFrame], forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    """What an order of somebody lost would bring is little: clv / (1 - churn) put them first."""
    listed = by_name["win_back"]
    lost = listed["customer_id"].iloc[0]
    changed = forecasts.set_index("customer_id")
    lost_clv, highest = 1.0, changed["clv"].max()
    changed.loc[lost, ["days_since_last_order", "churn_probability"]] = [1_462, 0.9999]
    changed.loc[lost, ["clv", "clv_lower", "expected_spend"]] = [lost_clv, 0.0, 0.001]
    changed.loc[lost, ["expected_spend_lower", "retention_value"]] = [0.0, 2.0]
    assert lost_clv / (1 - 0.9999) > highest
    changed["risk"] = changed["risk"].where(changed.index != lost, "high")
    found = made(changed.reset_index()[forecasts.columns], shop_orders)["win_back"]
    assert found["customer_id"].iloc[0] == listed["customer_id"].iloc[1]
    place = found.index[found["customer_id"] == lost]
    assert found["value_at_stake"][place].tolist() == [pytest.approx(2.0, abs=0.01)]
    assert place[0] > len(found) / 2


def test_the_second_order_nudge_is_for_one_time_buyers(by_name: dict[str, pd.DataFrame]) -> None:
    assert set(by_name["second_order"]["n_orders"]) == {1}
    assert by_name["second_order"]["days_since_last_order"].between(7, 120).all()


def test_replenishment_is_when_the_next_order_is_due(by_name: dict[str, pd.DataFrame]) -> None:
    listed = by_name["replenishment"]
    due = listed["expected_next_order_at"].dt.normalize()
    days = (due - pd.Timestamp(CUTOFF)).dt.days
    assert days.between(-7, 14).all()
    suggested = pd.to_datetime(listed["suggested_date"])
    expected = (due - pd.Timedelta(days=3)).clip(lower=pd.Timestamp(CUTOFF))
    assert suggested.tolist() == expected.tolist()
    assert listed["reason"][0] == f"next order expected on {due[0].date()}"


def test_cross_sell_names_a_category_the_customer_never_bought(
    by_name: dict[str, pd.DataFrame], shop_lines: pd.DataFrame
) -> None:
    known = shop_lines[(shop_lines["ordered_at"] < CUTOFF) & (shop_lines["amount"] > 0)]
    bought = known.groupby("customer_id")["category"].agg(set)
    popular = known.drop_duplicates(["customer_id", "category"])["category"].value_counts()
    assert len(by_name["cross_sell"]) > 0
    for row in cast(Any, by_name["cross_sell"]).itertuples():
        named = row.reason.split()[2].rstrip(",")
        missing = [name for name in popular.index if name not in bought[row.customer_id]]
        assert named in missing
        assert popular[named] == popular[missing].max()


def test_purchase_anniversaries_fall_on_the_day_of_the_first_order(
    by_name: dict[str, pd.DataFrame], shop_lines: pd.DataFrame
) -> None:
    first = shop_lines[shop_lines["amount"] > 0].groupby("customer_id")["ordered_at"].min()
    assert len(by_name["anniversary"]) > 0
    for row in cast(Any, by_name["anniversary"]).itertuples():
        day = pd.Timestamp(row.suggested_date)
        began = first[row.customer_id]
        assert (day.month, day.day) == (began.month, began.day)
        assert 0 <= (day - pd.Timestamp(CUTOFF)).days <= 30
        assert row.reason.startswith(f"anniversary {day.year - began.year} of")


def test_early_care_is_for_promising_new_customers(by_name: dict[str, pd.DataFrame]) -> None:
    listed = by_name["early_care"]
    assert (listed["tenure_days"] <= 60).all()
    assert set(listed["tier"]) <= {"high", "medium"}
    assert "high" in set(listed["tier"]), "the most promising are not lost to the list of the best"


def test_the_seed_list_for_look_alikes_holds_the_best(
    by_name: dict[str, pd.DataFrame], forecasts: pd.DataFrame
) -> None:
    best = forecasts.nlargest(round(len(forecasts) * 0.05), "clv")
    best = best[best["n_orders"] >= 2]
    assert set(by_name["look_alike_seed"]["customer_id"]) == set(best["customer_id"])


def test_budget_per_segment_is_what_a_kept_customer_is_worth_at_most(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    budget = clvcast.lists(forecasts, shop_orders).budget
    for dimension in ("rfm_segment", "tier", "risk"):
        own = budget[budget["dimension"] == dimension]
        assert own["customers"].sum() == len(forecasts)
        np.testing.assert_allclose(own["value_if_kept"] - own["clv"], own["most_to_keep_one"])


def test_held_out_customers_are_the_same_in_every_list_and_run(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    everybody = "rules: {all: {where: {n_orders: '>= 1'}, reason: everybody}}"
    config = parse_config(f"lists: {{hold_out: 0.25, {everybody}}}")
    found = clvcast.lists(forecasts, shop_orders, config)
    again = clvcast.lists(forecasts.sample(frac=1.0, random_state=1), shop_orders, config)
    out = {i for table in found.held_out.values() for i in table["customer_id"].to_pylist()}
    for name, table in found.contacts.items():
        assert not out & set(table["customer_id"].to_pylist())
        assert again.contacts[name].equals(table)
    some = clvcast.lists(forecasts.head(50), shop_orders, config)
    for table in some.held_out.values():
        assert set(table["customer_id"].to_pylist()) <= out, "whoever else is in the file"
    assert 0.15 < len(out) / len(forecasts) < 0.3
    more = clvcast.lists(
        forecasts, shop_orders, parse_config(f"lists: {{hold_out: 0.4, {everybody}}}")
    )
    assert out <= {i for t in more.held_out.values() for i in t["customer_id"].to_pylist()}


def test_the_hash_that_holds_out_is_the_same_for_ever() -> None:
    """Golden: another hash would move customers between the two groups of a running campaign."""
    lines = pd.DataFrame(
        {"customer_id": list("abcdefghij"), "ordered_at": "2020-12-01", "amount": 10.0}
    )
    orders = read_table(lines, OrdersConfig())
    rule = "{where: {clv: '>= 0'}, reason: every one}"
    text = f"lists: {{hold_out: 0.5, only: [all], rules: {{all: {rule}}}}}"
    found = clvcast.lists(forecast_file(orders, CUTOFF), orders, parse_config(text))
    assert found.held_out["all"]["customer_id"].to_pylist() == ["b", "c", "f", "h", "i"]


def test_a_rule_of_ones_own_is_one_entry(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    text = """
lists:
  hold_out: 0
  only: [sleepers]
  rules:
    sleepers:
      where: {days_since_last_order: 90..200, rfm_segment: [At Risk, About To Sleep]}
      value: expected_spend
      reason: "{rfm_segment}: silent for {days_since_last_order} days"
      min_orders: 3
      exclude: [vip]
      most: 5
      days_after: 10
"""
    (sleepers,) = made(forecasts, shop_orders, text).values()
    assert 0 < len(sleepers) <= 5
    assert sleepers["days_since_last_order"].between(90, 200).all()
    assert (sleepers["n_orders"] >= 3).all()
    assert set(sleepers["tier"]) <= {"low", "medium"}
    row = sleepers.iloc[0]
    assert row["reason"] == f"{row['rfm_segment']}: silent for {row['days_since_last_order']} days"
    assert str(row["suggested_date"]) == "2021-01-20"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "{where: {clv: many}, reason: x}",
            "clv must be a number or a condition like '>= 2', '7..90'",
        ),
        ("{where: {price: 2}, reason: x}", "a rule knows no column price; known are n_orders"),
        ("{where: {clv: top 0%}, reason: x}", "clv must be a number"),
        ("{where: {}, reason: x}", "must hold at least one condition"),
        (
            "{where: {clv: 1}, reason: 'since {when}'}",
            "must speak of known columns; {when} is none",
        ),
        ("{where: {clv: 1}, reason: 'since {clv:.2f}'}", "only column names between { and }"),
        (
            "{wher: {clv: 1}, reason: x}",
            "unknown key lists.rules.mine.wher; did you mean where or when?",
        ),
        ("{where: {clv: 1}, reason: x, exclude: [them]}", "may exclude lists that stand before it"),
    ],
)
def test_a_wrong_rule_is_refused_in_a_sentence(rule: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(f"lists: {{rules: {{mine: {rule}}}}}", "shop.yaml")
    assert message in str(refusal.value)


def test_a_list_that_is_not_there_cannot_be_asked_for(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    with pytest.raises(ConfigError, match=r"lists\.only must name lists, got vips"):
        clvcast.lists(forecasts, shop_orders, parse_config("lists: {only: [vips]}"))


def test_what_the_orders_do_not_tell_leaves_a_list_out_and_is_said(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    plain = shop_orders.keep_columns(("order_id",))
    found = clvcast.lists(forecasts.drop(columns="expected_next_order_at"), plain)
    assert not {"cross_sell", "replenishment"} & set(found.contacts)
    told = "\n".join(found.remarks)
    assert "the list cross_sell is left out: missing_category is unknown" in told
    assert "the list replenishment is left out: days_to_next_order is unknown" in told


@given(st.lists(st.floats(0, 100) | st.just(7.0), min_size=1, max_size=40), st.integers(1, 100))
def test_top_takes_at_most_its_share(values: list[float], percent: int) -> None:
    from clvcast.decisions.campaign_lists import _evaluate
    from clvcast.decisions.list_columns import ListColumns

    known = ListColumns({"clv": np.array(values)}, {}, {})
    top = _evaluate(parse_condition("clv", f"top {percent}%"), known)
    assert top.sum() <= np.ceil(len(values) * percent / 100)
    if top.any() and not top.all():
        assert np.array(values)[top].min() > np.array(values)[~top].max()


PAST = pd.DataFrame(
    [
        ("a", "2020-03-01", 100.0, "a1"),
        ("a", "2020-07-10", 300.0, "a2"),  # came back
        ("b", "2020-03-05", 50.0, "b1"),  # stayed away
        ("c", "2020-05-01", 20.0, "c1"),
        ("c", "2020-07-01", 100.0, "c2"),
        ("d", "2020-05-20", 30.0, "d1"),
        ("d", "2020-09-25", 999.0, "d2"),  # after the horizon
        ("e", "2020-12-31", 1.0, "e1"),
    ],
    columns=["customer_id", "ordered_at", "amount", "order_id"],
)


def test_the_lift_of_a_past_list_by_hand() -> None:
    """Of 400 that came in 90 days, a list of a alone caught 300; of 80 that stayed away, b's 50."""
    orders = read_table(PAST, OrdersConfig())
    config = parse_config("""
lists:
  hold_out: 0.5
  only: [best, gone]
  rules:
    best: {where: {spend_so_far: ">= 100"}, reason: spent the most}
    gone: {where: {spend_so_far: = 50}, reason: may not come back, aim: keep}
""")
    past = forecast_file(orders, "2020-06-15", config)
    found = clvcast.lists(forecast_file(orders, "2021-01-01", config), orders, config, past=past)
    lift = found.summary.set_index("list")
    assert lift.loc["best", "past_customers"] == 1
    assert lift.loc["best", "money_share"] == 300 / 400
    assert lift.loc["best", "lift"] == 0.75 / 0.25
    assert lift.loc["gone", "money_share"] == 50 / 80
    late = clvcast.lists(past, orders, config, past=forecast_file(orders, "2020-12-31", config))
    assert any("the orders end before" in remark for remark in late.remarks)
    assert late.summary["lift"].isna().all()


def test_anniversaries_of_leap_days() -> None:
    first = np.array(
        [dates.parse_instant(day) for day in ("2020-02-29", "2019-12-31", "2020-03-01")]
    )
    found = dates.find_next_anniversaries(first, dates.parse_instant("2021-03-01"))
    assert [dates.format_instant(int(day)) for day in found] == [
        "2021-03-01",
        "2021-12-31",
        "2021-03-01",
    ]
    leap = dates.find_next_anniversaries(first[:1], dates.parse_instant("2023-06-01"))
    assert dates.format_instant(int(leap[0])) == "2024-02-29"


def test_the_command_writes_a_file_per_list(
    run: Run,
    tmp_path: Path,
    shop_lines: pd.DataFrame,
    forecasts: pd.DataFrame,
    shop_orders: clvcast.Orders,
) -> None:
    shop_lines.to_parquet(tmp_path / "orders.parquet")
    forecasts.to_parquet(tmp_path / "f.parquet")
    forecast_file(shop_orders, "2020-10-01").to_parquet(tmp_path / "past.parquet")
    args = ["lists", tmp_path / "f.parquet", "--orders", tmp_path / "orders.parquet"]
    status, out, err = run(*args, "--past", tmp_path / "past.parquet", "-o", tmp_path / "lists")
    assert status == 0, err
    assert "lift" in out
    assert "…" not in out, "no number is cut short"
    names = {path.stem for path in (tmp_path / "lists").glob("*.csv")}
    assert names == {*DEFAULT_RULES, "held_out", "summary", "budget", "dictionary"}
    vip = pd.read_csv(tmp_path / "lists" / "vip.csv")
    columns = "customer_id priority value_at_stake reason suggested_date basis"
    assert list(vip) == columns.split()
    assert set(vip["basis"]) == {"revenue"}
    expected = clvcast.lists(forecasts, shop_orders).contacts["vip"].to_pandas()
    assert vip["customer_id"].tolist() == expected["customer_id"].tolist()
    assert vip["value_at_stake"].tolist() == expected["value_at_stake"].tolist()
