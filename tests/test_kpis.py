"""kpis: every row of the first table of measures, by hand and on worlds; what is empty
stays empty.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import worlds
from conftest import Run
from forecast_files import forecast_file
from hypothesis import assume, given, settings
from pandas.testing import assert_frame_equal

import clvcast
from clvcast.configs.schema import OrdersConfig, parse_config
from clvcast.decisions.kpis import LEVERS, compute_measures
from clvcast.decisions.period_counts import GroupSums
from clvcast.errors import OrdersError
from clvcast.orders import dates
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.reading.read_orders import read_table

CUTOFF = "2021-01-01"


def sums(**given_sums: float) -> GroupSums:
    names = GroupSums.__dataclass_fields__
    values: dict[str, Any] = {name: np.array([float(given_sums.get(name, 0))]) for name in names}
    return GroupSums(**(values | {"whole_periods": True}))


def one(config: clvcast.Config, period_days: int = 365, **given_sums: float) -> pd.Series:
    return compute_measures(sums(**given_sums), config, period_days).iloc[0]


YEARLY = {"revenue": 30_000, "orders": 300, "active_customer_periods": 100, "customers": 100}
TWELVE_YEARS = parse_config("kpis: {expected_lifetime: 12}")


def test_average_order_value() -> None:
    assert one(clvcast.Config(), **YEARLY)["aov"] == 100


def test_purchase_frequency() -> None:
    assert one(clvcast.Config(), **YEARLY)["purchase_frequency"] == 3


def test_customer_value() -> None:
    assert one(clvcast.Config(), **YEARLY)["customer_value"] == 300


def test_expected_customer_lifetime() -> None:
    assert one(TWELVE_YEARS, **YEARLY)["expected_lifetime"] == 12
    a_twelfth_lost = one(clvcast.Config(), **YEARLY, at_start=120, lost=10)
    assert a_twelfth_lost["expected_lifetime"] == pytest.approx(12)


def test_historic_cltv() -> None:
    assert one(TWELVE_YEARS, **YEARLY)["formula_clv"] == 3_600


def test_churn_rate() -> None:
    assert one(clvcast.Config(), at_start=200, lost=50)["churn_rate"] == 0.25


def test_repeat_rate_and_one_time_share() -> None:
    row = one(clvcast.Config(), customers=80, repeaters=20)
    assert (row["repeat_rate"], row["one_time_share"]) == (0.25, 0.75)


def test_arpu() -> None:
    assert one(clvcast.Config(), revenue_ever=1_200, tenure_months=60)["arpu"] == 20


def test_ltv_by_churn() -> None:
    row = one(
        clvcast.Config(),
        365,
        revenue_ever=1_200,
        tenure_months=60,
        costed=100,
        costs=60,
        at_start=100,
        lost=60,
    )
    assert row["ltv_by_churn"] == pytest.approx(20 * 0.4 / (0.6 / 12), rel=1e-3)


def test_lifetime_value_times_margin() -> None:
    config = parse_config("{kpis: {expected_lifetime: 12}, economics: {margin_rate: 0.2}}")
    assert one(config, **YEARLY)["formula_clv_margin"] == pytest.approx(100 * 3 * 12 * 0.2)


def test_gross_margin() -> None:
    assert one(clvcast.Config(), costed=200, costs=150)["gross_margin"] == 0.25


def test_the_four_levers_stand_side_by_side() -> None:
    names = list(compute_measures(sums(), clvcast.Config(), 90).columns)
    place = names.index("aov")
    assert tuple(names[place : place + 4]) == LEVERS


def test_without_customers_a_measure_is_empty_not_zero_or_infinite() -> None:
    row = one(clvcast.Config())
    for name in ("aov", "purchase_frequency", "churn_rate", "formula_clv", "repeat_rate", "arpu"):
        assert np.isnan(row[name]), name
    nobody_lost = one(clvcast.Config(), **YEARLY, at_start=10, lost=0)
    assert nobody_lost["churn_rate"] == 0
    assert np.isnan(nobody_lost["expected_lifetime"])


def test_formula_clv_over_the_span_of_the_forecast() -> None:
    """A customer value of 30 a period, one in four lost: 30 (1 + 3/4 + 9/16 + 27/64) by
    margin 0.5.
    """
    config = parse_config("economics: {margin_rate: 0.5}")
    row = one(config, 90, revenue=300, orders=10, active_customer_periods=10, at_start=8, lost=2)
    assert row["formula_clv_span"] == pytest.approx(0.5 * 30 * (1 + 3 / 4 + 9 / 16 + 27 / 64))


LINES = pd.DataFrame(
    [
        # a: web, three orders over two periods and a return; b: web, once, lost; c: shop, new
        ("a", "2020-07-10", 100.0, "a1", "web", 60.0),
        ("a", "2020-10-05", 50.0, "a2", "web", 20.0),
        ("a", "2020-10-05", 30.0, "a2", "web", np.nan),
        ("a", "2020-12-20", 60.0, "a3", "shop", 30.0),
        ("a", "2020-12-24", -40.0, "a4", "web", np.nan),
        ("b", "2020-08-01", 20.0, "b1", "web", 10.0),
        ("c", "2020-12-31", 70.0, "c1", "shop", 35.0),
        ("c", "2021-01-01", 999.0, "c2", "shop", 1.0),  # at the cutoff: not observed
        ("r", "2020-12-01", -5.0, "r1", "web", np.nan),  # only ever returned
    ],
    columns=["customer_id", "ordered_at", "amount", "order_id", "channel", "cost"],
)


@pytest.fixture
def tiny() -> tuple[pd.DataFrame, clvcast.Orders, clvcast.Config]:
    config = parse_config("horizon_days: 80")
    orders = read_table(LINES, config.orders)
    return forecast_file(orders, CUTOFF, config), orders, config


def group(found: pd.DataFrame, dimension: str, name: str = "all") -> pd.Series:
    rows = found[(found["dimension"] == dimension) & (found["group"] == name)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_a_tiny_shop_by_hand(tiny: tuple[pd.DataFrame, clvcast.Orders, clvcast.Config]) -> None:
    """Two whole periods of 80 days, from 2020-07-25: a orders in both, b in the first, c in the
    second.
    """
    found = clvcast.kpis(*tiny).measures
    shop = group(found, "shop")
    assert (shop["from"], shop["until"]) == ("2020-07-25", CUTOFF)
    assert (shop["customers"], shop["new_customers"]) == (3, 2)
    assert shop["revenue"] == 80 + 20 + 60 - 40 + 70
    assert shop["orders"] == 4
    assert shop["aov"] == 190 / 4
    assert shop["purchase_frequency"] == 4 / 4
    assert (shop["customers_at_start"], shop["customers_lost"], shop["churn_rate"]) == (2, 1, 0.5)
    assert shop["repeat_rate"] == pytest.approx(1 / 3)
    assert shop["gross_margin"] == pytest.approx(1 - 95 / 200), "lines with a known cost alone"
    first, second = (group(found, "period", day) for day in ("2020-07-25", "2020-10-13"))
    assert (first["revenue"], first["orders"], first["customers"]) == (100, 2, 2)
    assert np.isnan(first["churn_rate"]), "nobody is known to have been there before"
    assert (second["revenue"], second["customers"], second["churn_rate"]) == (90, 3, 0.5)
    web, in_shop = (group(found, "channel", name) for name in ("web", "shop"))
    assert (web["customers"], in_shop["customers"]) == (2, 1), "of the first order's channel"
    assert web["revenue"] + in_shop["revenue"] == shop["revenue"]
    assert group(found, "cohort", "2020-09")["customers"] == 0
    assert np.isnan(group(found, "cohort", "2020-09")["repeat_rate"])


def test_cohort_triangles_by_hand(
    tiny: tuple[pd.DataFrame, clvcast.Orders, clvcast.Config],
) -> None:
    found = clvcast.kpis(*tiny).triangles.set_index(["cohort", "age_months"])
    july = found.loc["2020-07"]
    assert july["active_customers"].tolist() == [1, 0, 0, 1, 0, 1]
    assert july["cumulated_spend"].tolist() == [100, 100, 100, 180, 180, 200]
    assert july["is_whole"].all()
    empty = found.loc["2020-09"]
    assert empty["customers"].tolist() == [0, 0, 0, 0]
    assert empty["retention"].isna().all()
    assert empty["cumulated_spend_per_customer"].isna().all()
    assert not clvcast.kpis(*tiny).triangles["retention"].isin([np.inf]).any()


def test_formula_clv_stands_beside_the_forecast(
    tiny: tuple[pd.DataFrame, clvcast.Orders, clvcast.Config],
) -> None:
    found = clvcast.kpis(*tiny)
    shop = group(found.measures, "shop")
    assert shop["clv"] == pytest.approx(tiny[0]["clv"].mean())
    assert shop["clv_less_formula"] == pytest.approx(shop["clv"] - shop["formula_clv_span"])
    each = found.customers.set_index("customer_id")
    assert each.loc["a", "aov"] == 200 / 3
    # own AOV x the shop's frequency (1 a period) x the shop's lifetime (2 periods)
    assert each.loc["a", "formula_clv"] == pytest.approx(200 / 3 * 1 * 2)
    assert each["clv"]["a"] == tiny[0].set_index("customer_id")["clv"]["a"]


def test_past_churn_of_todays_groups_is_marked_circular(
    tiny: tuple[pd.DataFrame, clvcast.Orders, clvcast.Config], run: Run, tmp_path: Path
) -> None:
    """Who was lost before is who is in the low tier now: said in the file, not shown on
    the screen.
    """
    found = clvcast.kpis(*tiny).measures
    circular = set(found.loc[found["is_circular"], "dimension"])
    assert circular == {"rfm_segment", "tier", "risk"}
    tiny[0].to_parquet(tmp_path / "f.parquet")
    LINES.to_parquet(tmp_path / "o.parquet")
    (tmp_path / "c.yaml").write_text("horizon_days: 80")
    status, out, err = run(
        "kpis",
        tmp_path / "f.parquet",
        "--orders",
        tmp_path / "o.parquet",
        "--config",
        tmp_path / "c.yaml",
        "--output",
        tmp_path / "kpis",
    )
    assert status == 0, err
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    assert "50.0%" in lines["the"]
    for tier in set(tiny[0]["tier"]):
        assert lines[tier][-3:-1] == ["-", "-"], "churn and formula"
    assert "Tiers have neither" in " ".join(out.split())


def test_the_formula_counts_what_the_forecasts_target_counts(
    tiny: tuple[pd.DataFrame, clvcast.Orders, clvcast.Config],
) -> None:
    spend = group(clvcast.kpis(*tiny).measures, "shop")
    config = parse_config("{horizon_days: 80, target: contribution}")
    contribution = group(clvcast.kpis(tiny[0], tiny[1], config).measures, "shop")
    # 290 of net spend before the cutoff, of which 155 is cost
    share = (290 - 155) / 290
    assert contribution["formula_clv_span"] == pytest.approx(share * spend["formula_clv_span"])
    assert contribution["revenue"] == spend["revenue"]


@settings(max_examples=15)
@given(worlds.small_worlds())
def test_groups_add_up_to_the_shop(lines: pd.DataFrame) -> None:
    """Whatever the cut, customers, orders, revenue and CLV of the groups are those of the shop."""
    orders = read_table(lines, OrdersConfig())
    end = dates.format_instant(get_default_cutoff(orders))
    forecasts = forecast_file(orders, end)
    assume(len(forecasts))
    found = clvcast.kpis(forecasts, orders, clvcast.Config(horizon_days=30)).measures
    shop = group(found, "shop")
    for dimension in set(found["dimension"]) - {"shop"}:
        part = found[found["dimension"] == dimension]
        for name in ("orders", "revenue", "customers_lost"):
            assert part[name].sum() == pytest.approx(shop[name]), (dimension, name)
        if dimension != "period":
            for name in ("customers", "clv_total"):
                assert part[name].sum() == pytest.approx(shop[name]), (dimension, name)
    assert not np.isinf(found.select_dtypes("number").to_numpy(np.float64)).any()


def test_a_forecast_file_of_other_orders_or_models_is_refused(
    tiny: tuple[pd.DataFrame, clvcast.Orders, clvcast.Config],
) -> None:
    forecasts, orders, config = tiny
    strangers = forecasts.assign(customer_id=["x", "y", "z"])
    with pytest.raises(OrdersError, match="none of the 3 forecast customers is in the orders"):
        clvcast.kpis(strangers, orders, config)
    with pytest.raises(OrdersError, match="3 of 3 customers have a different number of orders"):
        clvcast.kpis(forecasts.assign(n_orders=9), orders, config)
    two = forecasts.assign(model_version=["m1", "m1", "m2"])
    with pytest.raises(OrdersError, match=r"the forecasts of one model, got 2 \(m1, m2\)"):
        clvcast.kpis(two, orders, config)
    with pytest.raises(OrdersError, match="lacks tier, risk; make it with clvcast score"):
        clvcast.kpis(forecasts.drop(columns=["tier", "risk"]), orders, config)
    with pytest.raises(OrdersError, match="each customer once"):
        clvcast.kpis(pd.concat([forecasts, forecasts]), orders, config)
    with pytest.raises(OrdersError, match="must hold numbers in clv"):
        clvcast.kpis(forecasts.assign(clv=np.nan), orders, config)
    some = clvcast.kpis(forecasts.head(2), orders, config)
    assert any("1 customer of 3" in remark for remark in some.remarks)


def test_the_order_of_the_file_does_not_matter(
    shop_orders: clvcast.Orders, shop_config: clvcast.Config
) -> None:
    forecasts = forecast_file(shop_orders, "2020-12-01", shop_config)
    one_way = clvcast.kpis(forecasts, shop_orders, shop_config)
    other = clvcast.kpis(forecasts.sample(frac=1.0, random_state=1), shop_orders, shop_config)
    assert_frame_equal(one_way.measures, other.measures)
    assert_frame_equal(one_way.customers, other.customers)


def test_the_command_writes_what_python_computes(
    run: Run, tmp_path: Path, shop_lines: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    orders = tmp_path / "orders.parquet"
    shop_lines.to_parquet(orders)
    forecast_file(shop_orders, "2020-12-01").to_csv(tmp_path / "f.csv", index=False)
    args = ("kpis", tmp_path / "f.csv", "--orders", orders, "--output", tmp_path / "kpis")
    status, out, err = run(*args, "--format", "parquet")
    assert status == 0, err
    assert "the forecasts do not say what they were made with" in err
    assert "purchase frequency" in out
    assert "…" not in out, "no number is cut short"
    expected = clvcast.kpis(tmp_path / "f.csv", orders).measures
    assert_frame_equal(pd.read_parquet(tmp_path / "kpis" / "measures.parquet"), expected)
    assert {path.name for path in (tmp_path / "kpis").iterdir()} == {
        "measures.parquet",
        "triangles.parquet",
        "customers.parquet",
        "dictionary.parquet",
    }
    status, _, err = run("kpis", tmp_path / "none.csv", "--orders", orders, "-o", tmp_path / "k")
    assert (status, "there is no forecast file" in err) == (1, True)
    status, _, err = run("kpis", orders, "--orders", orders, "-o", tmp_path / "k")
    assert (status, "must have the columns of a forecast file" in err) == (1, True)
