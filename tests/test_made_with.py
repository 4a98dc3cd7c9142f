"""What forecasts were made with travels with them, and no other horizon or margin is laid on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run
from forecast_files import forecast_file
from pandas.testing import assert_frame_equal

import clvcast
from clvcast.configs.schema import parse_config
from clvcast.decisions.customer_base import open_customer_base
from clvcast.errors import ConfigError, OrdersError
from clvcast.evaluation.forecast_file import read_forecast_history
from clvcast.models.forecast_terms import ForecastTerms

CONFIG = parse_config(
    "{horizon_days: 60, periods: 3, economics: {margin_rate: 0.4, annual_discount_rate: 0.1}, "
    "orders: {currency: GBP}}"
)
MADE = ForecastTerms(
    horizon_days=60,
    periods=3,
    margin_rate=0.4,
    annual_discount_rate=0.1,
    target="spend",
    currency="GBP",
    margin_source="stated",
    retention_source="history",
)
SPEND = pd.DataFrame({"channel": ["web"], "month": ["2020-03"], "spend": [10.0]})


@pytest.fixture(scope="module")
def forecasts(shop_orders: clvcast.Orders) -> pd.DataFrame:
    frame = forecast_file(shop_orders, "2020-12-01", CONFIG)
    frame.attrs |= MADE.attributes()
    return frame


@pytest.fixture(scope="module")
def scored(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with what `clvcast score` wrote, as parquet and as text."""
    from clvcast.serve.batch.run import score_files

    folder = tmp_path_factory.mktemp("scored")
    shop_lines.to_parquet(folder / "orders.parquet")
    for name in ("f.parquet", "f.csv"):
        (folder / name[2:]).mkdir()
        score_files(
            shop_model.with_config(CONFIG),
            str(folder / "orders.parquet"),
            folder / name[2:] / name,
        )
    score_files(
        shop_model.with_config(CONFIG),
        str(folder / "orders.parquet"),
        folder / "parts",
        partitions=2,
    )
    return folder


def test_every_door_of_the_scorer_says_what_forecasts_were_made_with(
    scored: Path, shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    frame = clvcast.score(shop_model.with_config(CONFIG), shop_orders)
    assert frame.attrs == MADE.model_copy(update={"model_version": shop_model.version}).attributes()
    assert frame.attrs["clvcast"]["basis"] == "margin"
    for given in (
        frame,
        frame[frame["clv"] > 0].sort_values("clv").assign(more=1),
        pq.read_table(scored / "parquet" / "f.parquet"),
        pd.read_parquet(scored / "parquet" / "f.parquet"),
        scored / "parquet" / "f.parquet",
        scored / "csv" / "f.csv",
        scored / "parts" / "part-00000.parquet",
    ):
        book = open_customer_base(given, shop_orders)
        assert book.config == MADE.within(clvcast.Config())
        assert (book.horizon_days, book.span_days) == (60, 180)
        assert not any("do not say what they were made with" in told for told in book.remarks)


def test_frames_written_by_pandas_keep_it(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, tmp_path: Path
) -> None:
    forecasts.to_parquet(tmp_path / "f.parquet")
    assert open_customer_base(tmp_path / "f.parquet", shop_orders).config == MADE.within(
        clvcast.Config()
    )


def test_keys_the_configuration_does_not_state_are_those_of_the_forecasts(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    """Also sections stated in part, and keys of no concern to forecasts."""
    stated = clvcast.kpis(forecasts, shop_orders, CONFIG).measures
    for text in ("{}", "{periods: 3}", "{economics: {margin_rate: 0.4}, effort: quick}"):
        assert_frame_equal(
            clvcast.kpis(forecasts, shop_orders, parse_config(text)).measures, stated
        )
    assert_frame_equal(clvcast.kpis(forecasts, shop_orders).measures, stated)


@pytest.mark.parametrize(
    ("text", "theirs", "ours"),
    [
        ("horizon_days: 90", "horizon_days 60", "horizon_days 90"),
        ("periods: 4", "periods 3", "periods 4"),
        ("economics: {margin_rate: 0.3}", "economics.margin_rate 0.4", "economics.margin_rate 0.3"),
        (
            "economics: {annual_discount_rate: 0}",
            "economics.annual_discount_rate 0.1",
            "economics.annual_discount_rate 0.0",
        ),
        ("target: gross", "target spend", "target gross"),
        ("orders: {currency: EUR}", "orders.currency GBP", "orders.currency EUR"),
        (
            "{horizon_days: 90, periods: 4}",
            "horizon_days 60 and periods 3",
            "horizon_days 90 and periods 4",
        ),
    ],
)
def test_another_horizon_margin_target_or_currency_is_refused_in_one_sentence(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, text: str, theirs: str, ours: str
) -> None:
    config = parse_config(text)
    doors: list[Any] = [
        lambda: clvcast.kpis(forecasts, shop_orders, config),
        lambda: clvcast.lists(forecasts, shop_orders, config),
        lambda: clvcast.economics(forecasts, shop_orders, SPEND, config),
        lambda: clvcast.report(forecasts, shop_orders, config),
    ]
    for door in doors:
        with pytest.raises(ConfigError) as refusal:
            door()
        assert str(refusal.value) == (
            f"the forecasts were made with {theirs}, the configuration says {ours}; leave that "
            "out of "
            "it, or score again with it"
        )


def test_past_and_previous_forecasts_are_asked_too(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    past = forecast_file(shop_orders, "2020-09-01", CONFIG)
    past.attrs |= MADE.model_copy(update={"margin_rate": 0.5}).attributes()
    told = r"^the past forecasts were made with economics\.margin_rate 0\.5, the configuration says"
    with pytest.raises(ConfigError, match=told):
        clvcast.lists(forecasts, shop_orders, CONFIG, past=past)
    with pytest.raises(ConfigError, match=told):
        clvcast.economics(forecasts, shop_orders, SPEND, CONFIG, past)


def test_forecasts_that_carry_nothing_are_read_by_the_configuration_which_is_said(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, scored: Path, tmp_path: Path
) -> None:
    bare = forecasts.copy()
    bare.attrs.clear()
    changed = tmp_path / "f.csv"
    lines = (scored / "csv" / "f.csv").read_text().splitlines()
    changed.write_text("\n".join(lines[:300]))
    manifest = scored / "csv" / "f.csv.manifest.json"
    (tmp_path / manifest.name).write_bytes(manifest.read_bytes())  # of the whole file
    taken = "4 x 50 days, no margin (CLV is revenue) and a discount of 0% a year are taken"
    for given in (bare, changed):
        told = "\n".join(
            open_customer_base(given, shop_orders, parse_config("horizon_days: 50")).remarks
        )
        assert "the forecasts do not say what they were made with" in told
        assert taken in told


def test_attributes_that_are_not_ours_are_no_obstacle(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    other = forecasts.copy()
    other.attrs = {"made by": "somebody"}
    assert "do not say" in " ".join(open_customer_base(other, shop_orders).remarks)
    other.attrs = {"clvcast": {"horizon_days": "many"}}
    with pytest.raises(OrdersError, match="attributes of clvcast that cannot be read"):
        open_customer_base(other, shop_orders)


def test_a_model_given_beside_forecasts_of_another_does_not_set_their_terms(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, shop_model: clvcast.Model
) -> None:
    assert (
        open_customer_base(forecasts, shop_orders, model=shop_model).config.economics.margin_rate
        == 0.4
    )
    bare = forecasts.copy()
    bare.attrs.clear()
    book = open_customer_base(bare, shop_orders, model=shop_model)
    assert (book.horizon_days, book.config.periods) == (60, 3), "else what the model remembers"
    book = open_customer_base(bare, shop_orders, parse_config("periods: 2"), model=shop_model)
    assert (book.horizon_days, book.config.periods) == (60, 2), "unless it is stated otherwise"


def test_the_commands_refuse_with_exit_status_2(
    run: Run, scored: Path, tmp_path: Path, shop_model: clvcast.Model
) -> None:
    SPEND.to_csv(tmp_path / "spend.csv", index=False)
    shop_model.save(tmp_path / "bundle")
    (tmp_path / "c.yaml").write_text("horizon_days: 61\n")
    common = ("--orders", scored / "orders.parquet", "--config", tmp_path / "c.yaml", "--output")
    for file in (scored / "parquet" / "f.parquet", scored / "csv" / "f.csv"):
        for command, target in (
            (("kpis",), "kpis"),
            (("lists",), "lists"),
            (("economics", "--spend", tmp_path / "spend.csv"), "economics"),
            (("report",), "report.html"),
        ):
            status, out, err = run(*command, file, *common, tmp_path / target)
            assert status == 2
            assert "were made with horizon_days 60, the configuration says horizon_days 61" in err
            assert out == ""
            assert not list(tmp_path.rglob("*.html"))


def test_another_segment_table_is_another_batch(
    run: Run, scored: Path, tmp_path: Path, shop_model: clvcast.Model
) -> None:
    """Forecasts that are there are left alone only where their segments are those asked for."""
    shop_model.save(tmp_path / "bundle")
    (tmp_path / "c.yaml").write_text("segments: {risk: {high_above: 0.9}}\n")
    args = ["score", "--model", tmp_path / "bundle", "--orders", scored / "orders.parquet"]
    args += ["--output", tmp_path / "f.parquet"]
    assert run(*args)[0] == 0
    before = pd.read_parquet(tmp_path / "f.parquet")["risk"]
    assert run(*args, "--config", tmp_path / "c.yaml")[0] == 0
    assert (pd.read_parquet(tmp_path / "f.parquet")["risk"] != before).any()


def test_the_manifest_names_it(scored: Path, shop_model: clvcast.Model) -> None:
    manifest = json.loads((scored / "csv" / "f.csv.manifest.json").read_text())
    made = MADE.model_copy(update={"model_version": shop_model.version})
    assert manifest["made_with"] == made.model_dump(mode="json")


@pytest.mark.parametrize("column", ["retention_value", "value_at_risk"])
@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-5.0, "no negative {column}, got -5;"),
        (float("nan"), "numbers in {column}, got empty cells or NaN;"),
        (float("inf"), "numbers in {column}, got empty cells or NaN;"),
        (None, "numbers in {column}, got empty cells or NaN;"),
        ("much", "double in {column}, got "),
    ],
)
def test_what_an_order_adds_must_be_a_number_of_at_least_0(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, column: str, value: object, told: str
) -> None:
    table = pa.Table.from_pandas(forecasts, preserve_index=False)
    cells = forecasts[column].tolist()
    given = ["much"] * len(cells) if value == "much" else [value, *cells[1:]]
    changed = table.set_column(table.column_names.index(column), column, pa.array(given))
    with pytest.raises(OrdersError, match=told.format(column=column)):
        open_customer_base(changed, shop_orders)
    open_customer_base(table.drop_columns([column]), shop_orders)  # as files of 0.1.0


def test_history_may_mix_files_with_and_without_what_an_order_adds(
    forecasts: pd.DataFrame,
) -> None:
    early = forecasts.drop(columns=["retention_value", "value_at_risk"])
    early["cutoff"] -= pd.Timedelta(days=30)
    whole = read_forecast_history(pd.concat([early, forecasts]))
    assert whole.rows.num_rows == 2 * len(forecasts)


TERMS: dict[str, object] = {
    "horizon_days": 30,
    "periods": 1,
    "margin_rate": 0.9,
    "annual_discount_rate": 0.0,
    "target": "gross",
    "currency": "EUR",
}


@pytest.mark.parametrize("key", TERMS)
def test_every_command_refuses_or_names_a_past_or_previous_forecast_of_other_terms(
    key: str, forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    """kpis has no second forecast; a configuration of other terms is refused above."""
    past = forecast_file(shop_orders, "2020-09-01", CONFIG)
    past.attrs |= MADE.model_copy(update={key: TERMS[key]}).attributes()
    told = f"{key} {TERMS[key]}"
    doors: list[Any] = [
        lambda: clvcast.lists(forecasts, shop_orders, past=past),
        lambda: clvcast.economics(forecasts, shop_orders, SPEND, past=past),
        lambda: clvcast.report(forecasts, shop_orders, previous=past),
        lambda: clvcast.compare(past, forecasts),
    ]
    if key in ("target", "currency"):
        refusing = doors
    else:
        is_margin = key == "margin_rate"  # a step of its own where the total is compared
        refusing = [] if is_margin else doors[2:]
    for door in doors:
        if door in refusing:
            with pytest.raises(OrdersError, match=told):
                door()
        else:
            assert any(told in remark for remark in door().remarks)


@pytest.mark.parametrize("key", ["horizon_days", "target", "currency"])
def test_monitor_believes_the_file_and_refuses_a_configuration_that_says_otherwise(
    key: str, forecasts: pd.DataFrame, shop_orders: clvcast.Orders
) -> None:
    early = forecast_file(shop_orders, "2020-10-01", CONFIG)
    early.attrs |= MADE.attributes()
    stated = {"currency": f"orders: {{currency: {TERMS[key]}}}"}.get(key, f"{key}: {TERMS[key]}")
    with pytest.raises(ConfigError, match=rf"{key} (60|spend|GBP), the configuration says"):
        clvcast.monitor(early, shop_orders, config=parse_config(stated))
    found = clvcast.monitor(early, shop_orders)
    assert found.terms == MADE
    begin = pd.Timestamp("2020-10-01")
    assert found.matured["forecast"].iloc[0] == pytest.approx(early["expected_spend"].sum())
    assert begin + pd.Timedelta(days=60) < pd.Timestamp("2020-12-31")


def test_monitor_counts_what_the_target_counts(shop_lines: pd.DataFrame) -> None:
    """A cost of 75 % of each line: what came is a quarter of the spend."""
    orders = clvcast.read_orders(shop_lines.assign(cost=shop_lines["amount"].abs() * 0.75))
    early = forecast_file(orders, "2020-10-01", CONFIG)
    found = {}
    for target in ("spend", "contribution"):
        early.attrs.update(MADE.model_copy(update={"target": target}).attributes())
        found[target] = clvcast.monitor(early, orders).matured["actual"].iloc[0]
    assert found["contribution"] == pytest.approx(found["spend"] / 4, rel=1e-3)


def test_monitor_refuses_a_model_of_another_horizon(
    forecasts: pd.DataFrame, shop_orders: clvcast.Orders, shop_model: clvcast.Model
) -> None:
    other = forecasts.copy()
    other.attrs |= MADE.model_copy(update={"horizon_days": 30, "currency": ""}).attributes()
    with pytest.raises(ConfigError, match="were made with horizon_days 30, the model says 60"):
        clvcast.monitor(other, shop_orders, shop_model)
