"""The calendar: shares of windows under events, effects of past days, dates to come."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from conftest import Run
from simulated_worlds import WorldKind, make_world

import clvcast
from clvcast.commands.console import read_orders as read_for_commands
from clvcast.configs.schema import OrdersConfig, parse_config
from clvcast.errors import OrdersError
from clvcast.features.table import compute_feature_rows
from clvcast.models.event_effects import EventEffects
from clvcast.nightly import run as night
from clvcast.orders import dates
from clvcast.orders.calendar import build_calendar, load_calendar
from clvcast.orders.reading.read_orders import read_table
from clvcast.train import run as train_run
from clvcast.train.event_estimation import fit_event_effects
from clvcast.train.registry import track_orders
from clvcast.train.training_frame import build_training_frame


def at(*days: str) -> np.ndarray:
    return np.array(dates.parse_instants(days), dtype=np.int64)


def test_shares_of_windows_by_hand() -> None:
    calendar = build_calendar(
        {"sale": ("2020-01-09", "2020-01-10", "2020-01-11", "2020-01-20", "2020-02-09"), "fair": ()}
    ).with_windows(10, 3)
    found = calendar.compute_shares(at("2020-01-10", "2020-01-11"))
    assert list(calendar.days) == ["fair", "sale"]
    assert found[:, 0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
    # before the 10th: the 9th; the windows begin on the 10th, the 20th and the 30th
    assert found[0, 1].tolist() == [0.1, 0.2, 0.1, 0.0]
    assert found[1, 1].tolist() == [0.2, 0.2, 0.0, 0.1]  # the 8th of February is the last day
    noon = calendar.compute_shares(at("2020-01-10") + dates.DAY // 2)
    assert noon[0, 1, :2].tolist() == [0.2, 0.2]  # a day that has begun counts to what was before


def test_rows_have_the_same_shares_for_one_customer_alone() -> None:
    orders = read_table(worlds.shop(customers=40, days=200), OrdersConfig())
    calendar = build_calendar({"sale": ("2020-05-03", "2020-06-20")}).with_windows(30, 2)
    orders = replace(orders, calendar=calendar)
    rows = compute_feature_rows(orders, at("2020-05-01", "2020-06-01"))
    names = ("event_sale_before", "event_sale_1", "event_sale_2")
    assert rows.names[-3:] == names
    alone = compute_feature_rows(orders.slice_customers(5, 6), at("2020-05-01", "2020-06-01"))
    own = rows.where(rows.customer_index == 5)
    assert own.values.tobytes() == alone.values.tobytes()
    first = rows.columns(names)[0].tolist()
    assert first == pytest.approx([0, 1 / 30, 1 / 30])


def test_a_training_frame_has_the_shares_of_its_own_windows() -> None:
    orders = read_table(worlds.shop(customers=40, days=300), OrdersConfig())
    calendar = build_calendar({"sale": ("2020-05-03", "2020-06-20")})
    frames = [
        build_training_frame(
            replace(orders, calendar=calendar.with_windows(windows_days, 2)),
            clvcast.Config(horizon_days=30, periods=2),
            int(at("2020-10-01")[0]),
        )
        for windows_days in (30, 90)
    ]
    assert frames[0].rows.values.tobytes() == frames[1].rows.values.tobytes()


def test_every_way_to_train_has_the_calendar_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "events.csv").write_text("date,event\n2020-05-03,sale\n")
    worlds.shop(customers=30, days=200).to_csv(tmp_path / "shop.csv", index=False)
    config = parse_config(
        f"orders: {{source: {tmp_path}/shop.csv}}\ncalendar: {tmp_path}/events.csv\n"
    )
    seen: list[clvcast.Orders] = []

    def stop(orders: clvcast.Orders, *_: object, **__: object) -> None:
        seen.append(orders)
        raise OrdersError("stopped by the test")

    monkeypatch.setattr(track_orders, "train_limited", lambda limited, *_: stop(limited.orders))
    monkeypatch.setattr(train_run, "train_final_model", stop)
    monkeypatch.setattr(night, "_check_orders", lambda _, orders: stop(orders))
    for train in (clvcast.track, clvcast.train):
        with pytest.raises(OrdersError, match="stopped"):
            train(clvcast.read_orders(config), config)
    store = f"sqlite:///{tmp_path}/m.db"
    night.run_night(config, tmp_path / "nights", tracking_uri=store)
    seen.append(read_for_commands(config, silent=True))
    assert [list(orders.calendar.days) for orders in seen if orders.calendar] == [["sale"]] * 4


def test_a_night_trains_again_for_other_events() -> None:
    orders = read_table(worlds.shop(customers=30, days=200), OrdersConfig())
    days = [("2020-05-03",), ("2020-05-04",)]
    keys = {
        night._hash_training(replace(orders, calendar=calendar), clvcast.Config())
        for calendar in (None, *(build_calendar({"sale": day}) for day in days))
    }
    assert len(keys) == 3


def test_an_effect_is_found_and_shrunk_by_what_it_was_seen() -> None:
    random = np.random.default_rng(1)
    days = np.arange(700)
    usual = 40 * np.exp(0.3 * np.sin(days / 60)) * np.where(days % 7 > 4, 0.5, 1.0)
    under = np.zeros((700, 3), dtype=bool)
    under[np.isin(days % 90, range(5)), 0] = True
    under[650, 1] = True
    counts = random.poisson(usual * np.exp(under @ [np.log(2.0), np.log(2.0), 0.0]))
    often, once, never = fit_event_effects(counts.astype(float), under)
    assert np.exp(often) == pytest.approx(2.0, rel=0.1)
    assert 0.2 < once < often
    assert never == 0.0
    few = fit_event_effects((counts[:700] // 20).astype(float), under)
    assert 0 < few[1] < once  # fewer orders tell less


def test_a_factor_is_beside_that_of_a_usual_window() -> None:
    orders = read_table(worlds.shop(customers=20, days=200), OrdersConfig())
    calendar = build_calendar({"sale": ("2020-05-03",)}).with_windows(10, 2)
    rows = compute_feature_rows(replace(orders, calendar=calendar), at("2020-05-01"))
    effects = EventEffects(names=("sale",), effects=(float(np.log(3.0)),), usual_shares=(0.05,))
    assert effects.compute_factor(rows, 1)[0] == pytest.approx((1 + 0.1 * 2) / (1 + 0.05 * 2))
    days = at("2020-05-02", "2020-05-03") // dates.DAY
    assert effects.compute_day_factors(calendar.days, days).tolist() == pytest.approx([1, 3])
    assert effects.compute_factor(rows, 2)[0] == pytest.approx(1 / (1 + 0.05 * 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("day,event\n2020-01-01,a\n", "must have the columns date and event, got day, event"),
        ("date,event\n2020-01-01,a\n01.02.2020,b\n", "ISO date and an event in each row.*in row 2"),
        ("date,event\n2020-01-01,\n", "in row 1"),
        ("date,event\n", "got no row"),
        ("".join(["date,event\n", *(f"2020-01-01,e{k}\n" for k in range(51))]), "at most 50"),
    ],
)
def test_a_faulty_file_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "events.csv").write_text(text)
    with pytest.raises(clvcast.ConfigError, match=message):
        load_calendar(str(tmp_path / "events.csv"))


def test_names_are_folded(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("date,event\n2020-11-27,Black Friday\n2021-11-26, black-friday \n")
    assert load_calendar(str(path)).to_dates() == {"black_friday": ("2020-11-27", "2021-11-26")}


@pytest.mark.slow
def test_known_promotions_move_the_forecast_and_the_bundle_keeps_their_days(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world = make_world(WorldKind("sales", promotions=5), 2, 500, 500, 30, 2)
    past = world.promotions[world.promotions < world.cutoff]
    world.lines.to_parquet("orders.parquet")

    def write(name: str, days: pd.Index, event: str = "sale") -> None:
        rows = [f"{day:%Y-%m-%d},{event}\n" for day in days]
        Path(name).write_text("".join(["date,event\n", *rows]))

    fortnight = pd.date_range(world.cutoff + pd.Timedelta(days=2), periods=14)
    write("quiet.csv", past)
    write("sale.csv", past.append(fortnight))
    settings = {"horizon_days": 30, "periods": 2, "effort": "quick"}
    config = clvcast.Config.model_validate({**settings, "calendar": "quiet.csv"})
    model = clvcast.train(world.lines, config, cutoff=world.cutoff)
    assert model.numbers.blend.events is not None
    assert np.exp(model.numbers.blend.events.effects[0]) == pytest.approx(2.0, rel=0.3)
    assert not any(name.startswith("event_") for name in model.numbers.features)
    model.save(tmp_path / "bundle")
    loaded = clvcast.load_model(tmp_path / "bundle")
    assert loaded.version == model.version
    with pytest.warns(UserWarning, match="no event at or after the cutoff"):
        quiet = clvcast.score(loaded, world.lines, world.cutoff)
    newer = loaded.with_config(config.model_copy(update={"calendar": "sale.csv"}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sale = clvcast.score(newer, world.lines, world.cutoff)
    # 14 of 30 days with twice the orders
    lift = sale["expected_spend"].sum() / quiet["expected_spend"].sum()
    assert lift == pytest.approx(1 + 14 / 30, rel=0.15)
    assert (sale["churn_probability"] < quiet["churn_probability"]).mean() > 0.95
    later = sale["clv"] - sale["expected_spend"]
    assert later.sum() == pytest.approx((quiet["clv"] - quiet["expected_spend"]).sum(), rel=1e-3)
    one = newer.score_one(
        world.lines[world.lines["customer_id"] == sale["customer_id"][3]], world.cutoff
    )
    assert one.clv == sale["clv"][3]
    write("other.csv", fortnight, "strike")
    Path("shop.yaml").write_text("horizon_days: 30\nperiods: 2\ncalendar: other.csv\n")
    command = ("score", "--model", "bundle", "--orders", "orders.parquet", "--config", "shop.yaml")
    status, _, err = run(*command, "--cutoff", f"{world.cutoff:%Y-%m-%d}", "-o", "f.parquet")
    assert status == 0
    assert "the calendar's strike were not in the training's calendar: counted as no event" in err
    reasons = clvcast.explain(newer, world.lines, world.cutoff, largest=200)
    added = reasons.groupby("customer_id")["amount"].sum()
    np.testing.assert_allclose(added, sale.set_index("customer_id")["clv"], rtol=1e-6)
