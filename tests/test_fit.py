"""Training and scoring: determinism, leakage, parity of every door, coherence, refusals."""

from __future__ import annotations

import dataclasses
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import worlds
from conftest import read_nested_forecasts
from hypothesis import given, settings
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import ModelConfig, OrdersConfig, parse_config
from clvcast.errors import ConfigError, OrdersError
from clvcast.features.table import compute_feature_rows
from clvcast.models.scoring import FORECAST_SCHEMA, forecast_rows
from clvcast.orders import dates, windows
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.reading.read_orders import read_table
from clvcast.serve.pyfunc import NestedModel
from clvcast.train.training_frame import build_training_frame

CUTOFF = "2020-12-01"


def packed(lines: pd.DataFrame) -> clvcast.Orders:
    return read_table(lines, OrdersConfig())


def test_two_trainings_give_the_same_bytes(
    shop_lines: pd.DataFrame, shop_config: clvcast.Config, shop_model: clvcast.Model
) -> None:
    shuffled = packed(shop_lines.sample(frac=1.0, random_state=1))
    again = clvcast.train(shuffled, shop_config)
    assert again.files() == shop_model.files()
    assert again.version == shop_model.version
    other = clvcast.train(shuffled, shop_config.model_copy(update={"seed": 7, "effort": "quick"}))
    assert other.version != shop_model.version


def test_nothing_at_or_after_the_cutoff_touches_model_or_forecast(
    shop_lines: pd.DataFrame, shop_config: clvcast.Config
) -> None:
    cutoff = pd.Timestamp(CUTOFF)
    before = shop_lines[shop_lines["ordered_at"] < cutoff]
    after = shop_lines[shop_lines["ordered_at"] >= cutoff]
    corrupted = pd.concat([before, after.assign(amount=77_777.0, order_id="0-0", channel="new")])
    strangers = pd.concat([before, after.assign(customer_id="a stranger")])
    quick = shop_config.model_copy(update={"effort": "quick"})
    models = [
        clvcast.train(packed(lines), quick, CUTOFF)
        for lines in (before, shop_lines, corrupted, strangers)
    ]
    assert len({model.version for model in models}) == 1
    forecasts = [
        clvcast.score(models[0], packed(lines), CUTOFF)
        for lines in (before, shop_lines, corrupted, strangers)
    ]
    for forecast in forecasts[1:]:
        pd.testing.assert_frame_equal(forecast, forecasts[0], check_exact=True)


@pytest.mark.slow
def test_a_training_may_end_after_the_newest_order_and_says_how_long(
    shop_lines: pd.DataFrame, shop_config: clvcast.Config
) -> None:
    """A nightly retraining states its date, and on some days nobody orders."""
    newest = shop_lines["ordered_at"].max().normalize()
    quick = shop_config.model_copy(update={"effort": "quick"})
    # a warning would be an error
    clvcast.train(shop_lines, quick, newest + pd.Timedelta(days=3))
    with pytest.warns(UserWarning, match="20 days before the cutoff"):
        clvcast.train(shop_lines, quick, newest + pd.Timedelta(days=21))
    with pytest.raises(ConfigError, match="within"):
        clvcast.train(shop_lines, quick, newest + pd.Timedelta(days=2 + quick.horizon_days))


def test_training_and_scoring_see_the_same_features(shop_orders: clvcast.Orders) -> None:
    end = dates.parse_instant("2021-01-30")
    frame = build_training_frame(shop_orders, clvcast.Config(horizon_days=60, periods=1), end)
    for position, cutoff in enumerate(frame.cutoffs.instants):
        scored = compute_feature_rows(
            windows.slice_observed(shop_orders, int(cutoff)), np.array([cutoff])
        )
        trained = frame.rows.where(frame.rows.cutoff_index == position)
        assert (
            trained.customer_ids.take(trained.customer_index).to_pylist()
            == scored.customer_ids.take(scored.customer_index).to_pylist()
        )
        np.testing.assert_array_equal(trained.values, scored.values)
        np.testing.assert_array_equal(trained.whole, scored.whole)


def test_every_door_gives_the_same_bits(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, shop_lines: pd.DataFrame
) -> None:
    batch = clvcast.score(shop_model, shop_orders, CUTOFF).set_index("customer_id")
    table = clvcast.score(shop_model, shop_lines, CUTOFF).set_index("customer_id")
    pd.testing.assert_frame_equal(table, batch, check_exact=True)
    nested = clvcast.nest(shop_orders, CUTOFF).sample(frac=1.0, random_state=3)
    nested = nested[nested["customer_id"].isin(batch.index)]
    asked = read_nested_forecasts(NestedModel(shop_model).predict(nested))
    assert asked["customer_id"].tolist() == nested["customer_id"].tolist()
    pd.testing.assert_frame_equal(
        asked.set_index("customer_id").sort_index(), batch.sort_index(), check_exact=True
    )
    for customer_id in batch.index[::40]:
        own = shop_lines[shop_lines["customer_id"] == customer_id]
        alone = forecast_rows(shop_model, packed(own), dates.parse_instant(CUTOFF)).to_pandas()
        pd.testing.assert_frame_equal(
            alone.set_index("customer_id"), batch.loc[[customer_id]], check_exact=True
        )


def test_nested_rows_come_back_in_their_order_whatever_their_ids(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    nested = clvcast.nest(shop_orders, CUTOFF).head(5)
    alone = NestedModel(shop_model).predict(nested)
    renamed = nested.assign(customer_id=["z", "10.0", " 10-a", "10-b ", "é"])
    found = NestedModel(shop_model).predict(renamed)
    assert found["customer_id"].tolist() == ["z", "10", "10-a", "10-b", "é"]
    assert found["clv"].tolist() == alone["clv"].tolist()


@pytest.mark.parametrize(
    "told",
    [
        {"date_format": "%d/%m/%Y %H:%M"},
        {"date_format": "unix"},
        {"decimal": ","},
        {"delimiter": ";"},
        {"encoding": "cp1252"},
    ],
)
def test_a_model_of_files_in_any_format_is_saved_and_loaded(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, told: dict[str, str], tmp_path: Path
) -> None:
    orders = OrdersConfig.model_validate({"format": told, "duplicates": "drop"})
    numbers = shop_model.numbers.model_copy(update={"orders": orders})
    model = dataclasses.replace(shop_model, numbers=numbers)
    model.save(tmp_path / "bundle")
    loaded = clvcast.load_model(tmp_path / "bundle")
    nested = clvcast.nest(shop_orders, CUTOFF).head(5)
    pd.testing.assert_series_equal(
        NestedModel(loaded).predict(nested)["clv"], NestedModel(shop_model).predict(nested)["clv"]
    )


def test_a_configuration_overrides_the_keys_it_states_alone(shop_model: clvcast.Model) -> None:
    first = shop_model.with_config(
        parse_config("economics: {margin_rate: 0.3}\norders: {currency: EUR}")
    )
    second = first.with_config(parse_config("economics: {annual_discount_rate: 0.1}"))
    assert (second.economics.margin_rate, second.economics.annual_discount_rate) == (0.3, 0.1)
    assert second.periods == shop_model.periods
    assert second.orders.currency == "EUR"
    assert second.orders.columns == shop_model.orders.columns
    assert second.version == shop_model.version


def test_public_functions_take_tables_and_paths_and_refuse_the_rest(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, shop_config: clvcast.Config, tmp_path: Path
) -> None:
    shop_lines.to_parquet(tmp_path / "orders.parquet")
    by_path = clvcast.score(shop_model, tmp_path / "orders.parquet")
    pd.testing.assert_frame_equal(by_path, clvcast.score(shop_model, shop_lines))
    assert clvcast.train(shop_lines, shop_config).version == shop_model.version
    assert [finding.verdict for finding in clvcast.check(shop_lines, shop_config)]
    table = clvcast.build_features(packed(shop_lines), "2020-06-01")
    assert (table["cutoff"] == pd.Timestamp("2020-06-01")).all()
    for refused in (7, ["a"], {"a": 1}):
        with pytest.raises(OrdersError, match="orders must be Orders, a frame"):
            clvcast.score(shop_model, refused)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"a model comes from clvcast\.load_model"):
        clvcast.score("bundle", shop_lines)  # type: ignore[arg-type]
    mixed = shop_lines.assign(customer_id=[1, *["b"] * (len(shop_lines) - 1)])
    assert clvcast.score(shop_model, mixed)["customer_id"].tolist() == ["1", "b"]


def test_a_forecast_has_a_row_per_customer_with_an_order(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders, shop_lines: pd.DataFrame
) -> None:
    forecast = clvcast.score(shop_model, shop_orders)
    assert list(forecast) == FORECAST_SCHEMA.names
    assert forecast["customer_id"].is_monotonic_increasing
    nets = shop_lines.groupby(["customer_id", "order_id"])["amount"].sum().round(2)
    ordered = nets[nets > 0].reset_index()
    counts = ordered.groupby("customer_id").size()
    assert forecast.set_index("customer_id")["n_orders"].to_dict() == counts.to_dict()
    newest = shop_lines["ordered_at"].max().normalize() + pd.Timedelta(days=1)
    assert (forecast["cutoff"] == newest).all()


@pytest.mark.filterwarnings("ignore:the median order value")  # these worlds are another shop's
@settings(max_examples=15)
@given(worlds.small_worlds(), st.integers(1, 8), st.floats(0.0, 1.0))
def test_forecasts_are_finite_and_coherent(
    shop_model: clvcast.Model, lines: pd.DataFrame, periods: int, rate: float
) -> None:
    config = clvcast.Config.model_validate(
        {"periods": periods, "economics": {"margin_rate": 0.4, "annual_discount_rate": rate}}
    )
    model = shop_model.with_config(config)
    longer = shop_model.with_config(config.model_copy(update={"periods": periods + 1}))
    orders = packed(lines.assign(order_id=lines["order_id"].fillna("none")))
    # stated, because these worlds end before the training did
    cutoff = np.datetime64(get_default_cutoff(orders), "us")
    forecast, further = (clvcast.score(each, orders, cutoff) for each in (model, longer))
    for column in ("churn_probability", "expected_spend", "clv"):
        assert np.isfinite(forecast[column]).all()
        assert (forecast[column] >= 0).all()
    assert (forecast["churn_probability"] <= 1).all()
    assert (further["clv"] >= forecast["clv"]).all()
    if periods == 1:
        np.testing.assert_allclose(forecast["clv"], 0.4 * forecast["expected_spend"], rtol=1e-12)
    words = set(";".join(forecast["evidence"]).split(";"))
    assert words <= {"", "own", "cohort", "later_unseen", "season_unseen"}
    bands = np.array(["low", "medium", "high"])
    expected = bands[np.searchsorted([0.33, 0.66], forecast["churn_probability"], side="right")]
    assert forecast["risk"].tolist() == expected.tolist()


def test_clv_is_the_discounted_margin_over_the_periods(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    economics = {"margin_rate": 0.5, "annual_discount_rate": 0.1}
    config = clvcast.Config.model_validate({"periods": 3, "economics": economics})
    model = shop_model.with_config(config)
    end = dates.parse_instant("2021-02-24")
    known = windows.slice_observed(shop_orders, end)
    found = model.predict(compute_feature_rows(known, np.array([end])))
    spend = found.spend_by_period
    assert spend.shape == (known.n_customers, 3)
    np.testing.assert_array_equal(spend[:, 0], found.expected_spend)
    assert (spend > 0).all()
    by_hand = sum(0.5 * spend[:, k] / 1.1 ** (k * 60 / 365) for k in range(3))
    np.testing.assert_allclose(found.clv, by_hand, rtol=1e-12)
    # 2.5 of them would be the same for all: what follows is a forecast of its own
    beside = spend[:, 1] / spend[:, 0]
    assert np.quantile(beside, 0.9) > 1.2 * np.quantile(beside, 0.1)


def test_columns_by_period_add_up_to_the_undiscounted_total(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    plain = clvcast.score(shop_model, shop_orders)
    wide = clvcast.score(shop_model, shop_orders, by_period=True)
    periods = [f"spend_period_{k}" for k in range(1, shop_model.periods + 1)]
    assert wide.columns.to_list() == [*plain.columns, *periods]
    pd.testing.assert_frame_equal(wide[plain.columns], plain, check_exact=True)
    np.testing.assert_array_equal(wide["spend_period_1"], plain["expected_spend"])
    # without a margin and a discount a CLV is the sum of its periods
    np.testing.assert_allclose(wide[periods].sum(axis=1), plain["clv"], rtol=1e-12)


def test_an_interval_of_clv_holds_that_of_the_first_period(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    forecast = clvcast.score(shop_model, shop_orders)
    for end in ("lower", "upper"):
        assert (forecast[f"clv_{end}"] >= forecast[f"expected_spend_{end}"]).all()


def test_a_certain_churner_is_worth_nothing(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    gone = shop_model.numbers.blend.model_copy(update={"churn_shift": 1e3})
    certain = shop_model.numbers.model_copy(update={"blend": gone})
    forecast = clvcast.score(dataclasses.replace(shop_model, numbers=certain), shop_orders)
    assert (forecast["churn_probability"] == 1).all()
    money = ["expected_orders", "expected_spend", "expected_spend_upper", "clv", "clv_upper"]
    assert (forecast[money] == 0).all(axis=None)
    assert forecast["expected_next_order_at"].isna().all()


def test_periods_history_has_not_shown_are_marked(shop_orders: clvcast.Orders) -> None:
    model = clvcast.train(shop_orders, clvcast.Config(horizon_days=60, periods=12))
    assert 1 < model.numbers.later.realised_periods < 12
    assert clvcast.score(model, shop_orders)["evidence"].str.contains("later_unseen").all()


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        ({}, {"horizon_days": 500}, "training needs 750 days of orders"),
        ({"customer_id": "one"}, {}, "training needs 50 customers"),
        ({"amount": -5.0}, {}, "training needs 50 customers"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    shop_lines: pd.DataFrame, change: dict[str, object], config: dict[str, int], message: str
) -> None:
    with pytest.raises(OrdersError, match=message):
        clvcast.train(packed(shop_lines.assign(**change)), clvcast.Config(**config))  # type: ignore[arg-type]


def test_no_repeat_customer_at_all_is_refused(shop_lines: pd.DataFrame) -> None:
    single = shop_lines.drop_duplicates("customer_id")
    with pytest.raises(OrdersError, match="no customer ordered twice"):
        clvcast.train(packed(single), clvcast.Config(horizon_days=60))


def test_everybody_or_nobody_coming_back_is_refused() -> None:
    days = pd.date_range("2020-01-01", periods=200, freq="D")
    steady = pd.DataFrame(
        [
            {"customer_id": f"c{k}", "ordered_at": day, "amount": 1.0, "order_id": f"{k}{day}"}
            for k in range(60)
            for day in days[::5]
        ]
    )
    with pytest.raises(OrdersError, match="churn cannot be learned"):
        clvcast.train(packed(steady), clvcast.Config(horizon_days=30))
    stopped = pd.concat([steady[steady["ordered_at"] < "2020-01-20"], steady.tail(1)])
    with pytest.raises(OrdersError, match="after a cutoff, got 1;"):
        clvcast.train(packed(stopped), clvcast.Config(horizon_days=30))


def test_missing_columns_are_named_and_extra_ones_ignored(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame
) -> None:
    with pytest.raises(OrdersError, match="needs the columns category, quantity"):
        clvcast.score(shop_model, shop_lines.drop(columns=["category", "quantity"]))
    extra = shop_lines.assign(discount=1.0, cost=2.0, weather="fair")
    pd.testing.assert_frame_equal(
        clvcast.score(shop_model, extra), clvcast.score(shop_model, shop_lines), check_exact=True
    )


def test_late_cutoffs_warn_and_impossible_ones_are_refused(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    with pytest.warns(UserWarning, match="more silent than they may be"):
        clvcast.score(shop_model, shop_orders, "2021-04-01")
    for cutoff in ("2022-01-01", "2019-12-31"):
        with pytest.raises(ConfigError, match="the cutoff must be"):
            clvcast.score(shop_model, shop_orders, cutoff)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("horizon_days: 30", "horizon_days must be the model's 60, got 30"),
        ("target: gross", "target must be the model's spend, got gross"),
        ("orders: {currency: EUR}", "orders.currency must be the model's GBP, got EUR"),
    ],
)
def test_a_configuration_that_contradicts_what_training_fixed_is_refused(
    shop_model: clvcast.Model, text: str, message: str
) -> None:
    orders = shop_model.numbers.orders.model_copy(update={"currency": "GBP"})
    numbers = shop_model.numbers.model_copy(update={"orders": orders})
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(shop_model, numbers=numbers).with_config(parse_config(text))


def test_settings_of_another_type_are_refused_in_a_sentence(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    settings: Any = {"horizon_days": 60}
    for take in (
        lambda: clvcast.train(shop_orders, settings),
        lambda: clvcast.track(shop_orders, settings),
        lambda: clvcast.backtest(shop_orders, settings),
        lambda: shop_model.with_config(settings),
    ):
        with pytest.raises(ConfigError, match=r"config must be a clvcast\.Config, got dict"):
            take()
    tags: Any = {5: "a"}
    with pytest.raises(ConfigError, match=r"a tag's name must be text, .* got 5"):
        clvcast.track(shop_orders, tags=tags)


def test_settings_that_a_model_cannot_heed_are_named(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    """What training fixed stays, and the forecasts say that the setting was not used."""
    text = "{effort: thorough, seed: 3, calendar: events.csv, periods: 3, model: {}}"
    changed = shop_model.with_config(parse_config(text))
    assert changed.unused_settings == (
        "not used: effort thorough, seed 3; the model was trained with effort standard, seed 0",
        "not used: calendar; the model was trained without, train it again",
    )
    with pytest.warns(UserWarning, match="not used") as caught:
        clvcast.score(changed, shop_orders)
    assert [str(one.message) for one in caught] == list(changed.unused_settings)
    learned = parse_config("{effort: standard, horizon_days: 60, target: spend, season: {}}")
    assert shop_model.with_config(learned).unused_settings == ()


def test_a_nested_row_without_a_forecast_has_a_reason_and_the_others_are_as_before(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    nested = clvcast.nest(shop_orders, CUTOFF).head(12)
    lines = nested["orders"].tolist()
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("repeats the customer and cutoff", {"customer_id": nested["customer_id"][0]}),
        ("customer_id must be text, got 7", {"customer_id": 7}),
        ("customer_id must not be empty, got 'NA'", {"customer_id": "NA"}),
        ("orders must be a list of order lines, got NoneType", {"orders": None}),
        ("an order line must have named fields, got 3", {"orders": [3]}),
        ("no order before the cutoff", {"orders": []}),
        ("no order before the cutoff", {"orders": [lines[0][0] | {"amount": -1.0}]}),
        ("no order before the cutoff", {"cutoff": "2019-01-01"}),
        ("a cutoff must be a date", {"cutoff": "soon"}),
        ("unknown field 'price'", {"orders": [lines[0][0] | {"price": 1}]}),
        (
            "ordered_at must be a date, such as 'soon'",
            {"orders": [lines[0][0] | {"ordered_at": "soon"}]},
        ),
    ]
    rows: list[dict[Any, Any]] = nested.to_dict("records")
    for position, (_, change) in enumerate(wrong, start=1):
        rows[position] |= change
    found = NestedModel(shop_model).predict(pd.DataFrame(rows).astype({"customer_id": object}))
    good = NestedModel(shop_model).predict(nested)
    assert found.loc[0].to_dict() == good.loc[0].to_dict()
    for position, (reason, _) in enumerate(wrong, start=1):
        assert reason in found["reason"][position]
        assert found.loc[position, "n_orders":"clv_shock"].isna().all()
    assert found["customer_id"].tolist() == [str(row["customer_id"]) for row in rows]
    empty = NestedModel(shop_model).predict(nested.head(0))
    assert (len(empty), list(empty)) == (0, list(good))
    with pytest.raises(OrdersError, match="a nested row has the columns"):
        NestedModel(shop_model).predict(nested.drop(columns="orders"))


def test_nest_takes_frames_and_leaves_out_who_cannot_be_forecast(
    shop_lines: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    some = shop_lines[shop_lines["customer_id"].isin(shop_lines["customer_id"].unique()[:5])]
    lone = {"customer_id": "only returns", "ordered_at": some["ordered_at"].min(), "amount": -5.0}
    nested = clvcast.nest(pd.concat([some, pd.DataFrame([lone])]), CUTOFF)
    expected = clvcast.nest(shop_orders, CUTOFF)
    expected = expected[expected["customer_id"].isin(some["customer_id"])]
    assert nested["customer_id"].tolist() == expected["customer_id"].tolist()
    assert [len(own) for own in nested["orders"]] == [len(own) for own in expected["orders"]]
    assert nested.attrs == {"customers_without_orders": 1}


@pytest.mark.slow
def test_a_thorough_search_is_repeatable_and_kept(shop_orders: clvcast.Orders) -> None:
    config = clvcast.Config(
        horizon_days=60,
        effort="thorough",
        model=ModelConfig(seeds=1, parameters={"num_iterations": 20, "lambda_l2": 5.0}),
    )
    models = [clvcast.train(shop_orders, config) for _ in range(2)]
    assert models[0].version == models[1].version
    found = models[0].numbers.settings["model"]["parameters"]
    assert set(found) == {"num_iterations", "lambda_l2", "num_leaves", "feature_fraction"}
    # what is given is not searched, and with nothing left to search nothing is
    assert (found["num_iterations"], found["lambda_l2"]) == (20, 5.0)
    given = config.model_copy(update={"model": ModelConfig(seeds=1, parameters=found)})
    again = clvcast.train(shop_orders, given)
    assert again.trees["churn"][0].text == models[0].trees["churn"][0].text


def test_features_are_left_out_and_monotone_constraints_hold(shop_orders: clvcast.Orders) -> None:
    model = ModelConfig(leave_out=("tenure_days",), monotone={"days_since_last_order": -1})
    config = clvcast.Config(horizon_days=60, effort="quick", model=model)
    trained = clvcast.train(shop_orders, config)
    assert "tenure_days" not in trained.numbers.features
    assert "days_since_last_order" in trained.numbers.features
    position = trained.numbers.features.index("days_since_last_order")
    rows = np.zeros((50, len(trained.numbers.features)), dtype=np.float32)
    rows[:, position] = np.linspace(0, 400, 50)
    assert (np.diff(trained.trees["spend"][0].predict(rows)) <= 0).all()
    assert (np.diff(trained.trees["churn"][0].predict(rows)) >= 0).all()
    wrong = config.model_copy(update={"model": ModelConfig(leave_out=("tenure_dais",))})
    with pytest.raises(
        ConfigError, match=r"model\.leave_out names tenure_dais, which is no feature"
    ):
        clvcast.train(shop_orders, wrong)


@pytest.mark.slow
def test_another_target_is_forecast_on_its_own_scale(shop_lines: pd.DataFrame) -> None:
    lines = shop_lines.assign(cost=0.8 * shop_lines["amount"].abs())
    totals = {}
    for target in ("spend", "contribution"):
        config = clvcast.Config.model_validate(
            {"horizon_days": 60, "effort": "quick", "target": target}
        )
        # returned goods come back into stock: their cost comes off as well
        result = clvcast.backtest(packed(lines), config, ["2020-12-01"])
        (summary,) = result.metrics.values()
        table = result.forecasts.to_pandas()
        ours = table[table["method"] == "clvcast"]
        totals[target] = ours["expected_spend"].sum()
        # net spend as the scale of a fifth of it would be five times too much
        assert abs(summary["methods"]["clvcast"]["bias"]) < 0.4
        assert abs(summary["methods"]["historic_rate"]["bias"]) < 0.8
    assert totals["contribution"] == pytest.approx(0.2 * totals["spend"], rel=0.1)


def test_the_relative_interval_of_clv_does_not_depend_on_the_margin(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    thin = shop_model.with_config(
        clvcast.Config.model_validate({"economics": {"margin_rate": 0.1}})
    )
    whole, tenth = (clvcast.score(model, shop_orders) for model in (shop_model, thin))
    for column in ("clv", "clv_lower", "clv_upper", "clv_deviation"):
        np.testing.assert_allclose(tenth[column], 0.1 * whole[column], rtol=1e-9)


def test_more_periods_than_were_trained_for_fade_and_widen(
    shop_orders: clvcast.Orders, shop_config: clvcast.Config
) -> None:
    quick = shop_config.model_copy(update={"effort": "quick", "periods": 1})
    model = clvcast.train(shop_orders, quick)
    forecasts = {
        periods: clvcast.score(model.with_config(clvcast.Config(periods=periods)), shop_orders)
        for periods in (1, 4, 5, 30)
    }
    spend = forecasts[1]["expected_spend"]
    np.testing.assert_allclose(forecasts[1]["clv"], spend, rtol=1e-12)
    # customers thin out: a later period never brings more than the one before it
    four, five = (forecasts[periods]["clv"] for periods in (4, 5))
    assert four.sum() < 4 * spend.sum()
    assert ((five - four) <= (four - spend) / 3 * (1 + 1e-9)).all()
    assert forecasts[30]["clv_shock"].iloc[0] > forecasts[4]["clv_shock"].iloc[0]


def test_a_sample_by_a_common_hash_of_ids_can_be_trained_on(shop_lines: pd.DataFrame) -> None:
    even = {name for name in shop_lines["customer_id"] if zlib.crc32(name.encode()) % 2 == 0}
    orders = packed(shop_lines[shop_lines["customer_id"].isin(even)])
    clvcast.train(orders, clvcast.Config(horizon_days=60, effort="quick"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eta": 0.1}, "eta is none of them"),
        ({"num_leaves": 1}, r"LightGBM refuses model\.parameters"),
    ],
)
def test_parameters_lightgbm_would_not_take_are_refused(
    shop_orders: clvcast.Orders, parameters: dict[str, float], message: str
) -> None:
    settings = {"horizon_days": 60, "effort": "quick", "model": {"parameters": parameters}}
    with pytest.raises(ConfigError, match=message):
        clvcast.train(shop_orders, parse_config(json.dumps(settings)))


def test_overrides_are_not_saved(shop_model: clvcast.Model, tmp_path: Path) -> None:
    changed = shop_model.with_config(clvcast.Config(periods=7))
    changed.save(tmp_path / "bundle")
    assert clvcast.load_model(tmp_path / "bundle").periods == shop_model.periods
