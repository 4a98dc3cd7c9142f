"""One customer alone: the numbers of a batch, from lines as a service has them, in threads and
forks.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import given, settings

import clvcast
from clvcast.configs.schema import OPTIONAL_COLUMNS, OrdersConfig
from clvcast.features.recency_frequency import OrderDays
from clvcast.models import scoring
from clvcast.models.btyd.forecasts import (
    BgNbd,
    ParetoNbd,
    predict_order_days,
    predict_order_probability,
)
from clvcast.models.scoring import FORECAST_SCHEMA
from clvcast.orders.reading.nested_rows import nest
from clvcast.orders.reading.order_records import LineError, clean_id, is_missing_id, pack_records
from clvcast.orders.reading.read_orders import read_table
from clvcast.serve.pyfunc import NestedModel

CUTOFF = "2021-02-01"


def as_tuples(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame.itertuples(index=False)]


def test_a_forecast_has_the_columns_of_the_contract() -> None:
    names = [field.name for field in dataclasses.fields(clvcast.Forecast)]
    assert names == FORECAST_SCHEMA.names


def test_one_by_one_gives_the_numbers_of_a_batch(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    batch = clvcast.score(shop_model, shop_orders, CUTOFF)
    nested = nest(shop_orders, CUTOFF)
    rows = zip(nested["customer_id"], nested["orders"], strict=True)
    ones = [shop_model.score_one(lines, CUTOFF, name) for name, lines in rows]
    assert [dataclasses.astuple(one) for one in ones] == as_tuples(batch)


@settings(max_examples=25)
@given(worlds.small_worlds())
def test_lines_are_packed_as_the_reader_packs_them(frame: pd.DataFrame) -> None:
    read = read_table(frame, OrdersConfig())
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in frame.assign(ordered_at=frame["ordered_at"].map(pd.Timestamp.isoformat)).to_dict(
        "records"
    ):
        plain: dict[Any, Any] = {k: None if pd.isna(v) else v for k, v in row.items()}
        lines.setdefault(plain.pop("customer_id"), []).append(plain)
    packed = pack_records(list(lines.items()), OPTIONAL_COLUMNS, OrdersConfig())
    assert packed.digest() == read.digest()


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("2020-10-25", None),
        ("2020-10-25 07:08", None),
        ("2020-10-25T07:08:09.5", None),
        ("2020-10-25T01:30:00+01:00", "Europe/London"),  # the hour that comes twice
        ("2020-10-25T07:08:09.123456Z", "America/New_York"),
        ("2020-10-25T07", None),  # left to the reader
        (datetime(2020, 10, 25, 7, 8), None),
    ],
)
def test_times_are_read_as_the_reader_reads_them(
    shop_model: clvcast.Model, written: object, zone: str | None
) -> None:
    config = clvcast.Config(orders=OrdersConfig(timezone=zone))
    model = shop_model.with_config(config)
    optional = dict.fromkeys(model.numbers.optional_columns)
    line = {"customer_id": "c", "ordered_at": written, "amount": 7.25, **optional}
    one = model.score_one([line], "2020-11-01")
    table = clvcast.score(model, pd.DataFrame([line]), "2020-11-01")
    assert dataclasses.astuple(one) == as_tuples(table)[0]


@pytest.mark.parametrize(
    "text", [" 17850.0 ", "00123", "1.00", "\u00a0a\u2003", "\x1fb\x1c", "\u0661.0"]
)
def test_ids_are_cleaned_as_the_reader_cleans_them(text: str) -> None:
    frame = pd.DataFrame({"customer_id": [text], "ordered_at": ["2020-01-01"], "amount": [1.0]})
    assert read_table(frame, OrdersConfig()).customer_ids.to_pylist() == [clean_id(text)]
    assert is_missing_id(clean_id(" NULL "))


def test_what_else_one_customer_may_be_given_as(
    shop_model: clvcast.Model, shop_lines: pd.DataFrame
) -> None:
    own = shop_lines[shop_lines["customer_id"] == "C00001"]
    expected = shop_model.score_one(own, CUTOFF)
    records = cast(list[dict[str, Any]], own.to_dict("records"))
    assert shop_model.score_one(records, CUTOFF) == expected
    assert shop_model.score_one(read_table(own, OrdersConfig()), CUTOFF) == expected
    bare = clvcast.train(
        read_table(shop_lines[["customer_id", "ordered_at", "amount"]], OrdersConfig()),
        clvcast.Config(horizon_days=60, periods=1),
    )
    pairs = [
        (str(time), amount) for time, amount in zip(own["ordered_at"], own["amount"], strict=True)
    ]
    assert bare.score_one(pairs, CUTOFF).n_orders == bare.score_one(own, CUTOFF).n_orders


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": "x"}, "must be a number"),
        ({"amount": None}, "must not be empty"),
        ({"ordered_at": "yesterday"}, "must be a date"),
        ({"ordered_at": "2020-02-30"}, "must be a date"),
        ({"ordered_at": "1969-01-01"}, "must be 1970 or later"),
        ({"ordered_at": "2999-01-01"}, "must not be in the future"),
        ({"ordered_at": "2021-03-01"}, "no order before 2021-02-01"),
        ({"amount": 2e12}, "up to 1e12"),
        ({"customer_id": " "}, "customer_id must be text and not empty"),
    ],
)
def test_what_cannot_be_used_is_refused_in_the_readers_words(
    shop_model: clvcast.Model, change: dict[str, object], message: str
) -> None:
    optional = dict.fromkeys(shop_model.numbers.optional_columns)
    line = {"customer_id": "c", "ordered_at": "2020-05-06", "amount": 1.0, **optional}
    with pytest.raises(clvcast.OrdersError, match=message):
        shop_model.score_one([line | change], CUTOFF)


def test_shapes_that_are_no_customer(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    with pytest.raises(clvcast.OrdersError, match="got 400 customers"):
        shop_model.score_one(shop_orders, CUTOFF)
    refused: list[Any] = [[], "2020", [3]]
    for wrong in refused:
        with pytest.raises(clvcast.OrdersError, match="order line"):
            shop_model.score_one(wrong, CUTOFF)
    lines = [{"ordered_at": "2020-01-01", "amount": amount} for amount in (1.0, float("inf"))]
    with pytest.raises(LineError, match="amount must be finite, which line 1 of customer 0 breaks"):
        pack_records([("c", lines)], (), OrdersConfig())


def test_a_field_that_a_line_lacks_is_null(shop_model: clvcast.Model) -> None:
    plain = [{"ordered_at": f"2020-0{month}-06T10:00:00", "amount": 9.0} for month in (2, 5, 8)]
    full = [line | dict.fromkeys(shop_model.numbers.optional_columns) for line in plain]
    expected = shop_model.score_one(full, CUTOFF, "c")
    assert shop_model.score_one(plain, CUTOFF, "c") == expected
    pairs = [(line["ordered_at"], line["amount"]) for line in plain]
    assert shop_model.score_one(pairs, CUTOFF, "c") == expected
    in_words = [line | {"amount": "9.00"} for line in plain]  # read as a file's cells are
    assert shop_model.score_one(in_words, CUTOFF, "c") == expected
    nested = pd.DataFrame({"customer_id": ["c"], "cutoff": [CUTOFF], "orders": [plain]})
    found = NestedModel(shop_model).predict(nested)
    assert (found["reason"].item(), found["clv"].item()) == (None, expected.clv)
    misspelt = [line | {"quantitiy": 1.0} for line in plain]
    with pytest.raises(clvcast.OrdersError, match="the unknown field 'quantitiy', and lacks "):
        shop_model.score_one(misspelt, CUTOFF)
    more = [line | {"shelf": 1.0} for line in full]  # nothing is missing
    assert shop_model.score_one(more, CUTOFF, "c") == expected


def test_a_cutoff_beyond_a_horizon_from_now_is_refused_and_silence_is_not(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    """One customer's silence is no reason: it is what is forecast from. The time after today is."""
    nested = nest(shop_orders, CUTOFF).head(1)
    lines, horizon = nested["orders"][0], shop_model.numbers.horizon_days
    midnight = pd.Timestamp.now().normalize()
    silent = shop_model.score_one(lines, midnight + pd.Timedelta(days=horizon))
    assert silent.days_since_last_order > 5 * 365
    assert 0.5 < silent.churn_probability <= 1.0
    door = NestedModel(shop_model)
    late = midnight + pd.Timedelta(days=horizon + 2)
    for cutoff in (late, pd.Timestamp("2999-01-01")):
        with pytest.raises(clvcast.ConfigError, match=f"within {horizon} days from now"):
            shop_model.score_one(lines, cutoff)
        late_row = door.predict(nested.assign(cutoff=cutoff.isoformat()))
        assert f"within {horizon} days from now" in late_row["reason"][0]
        assert late_row["clv"][0] is None


@pytest.mark.parametrize("name", [f.name for f in FORECAST_SCHEMA if f.type == "double"])
def test_no_column_of_numbers_leaves_the_scorer_as_nan(
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Break each column in turn, as a damaged number of the bundle might, and ask at every door."""
    lines = nest(shop_orders, CUTOFF)["orders"][0]
    usual = scoring._check_numbers

    def broken(model: clvcast.Model, columns: dict[str, Any]) -> None:
        columns[name] = columns[name].copy()
        columns[name][-1] = np.nan
        usual(model, columns)

    monkeypatch.setattr(scoring, "_check_numbers", broken)
    with pytest.raises(clvcast.BundleError, match=f"no numbers in {name}"):
        shop_model.score_one(lines, CUTOFF)
    with pytest.raises(clvcast.BundleError, match=f"no numbers in {name}"):
        clvcast.score(shop_model, shop_orders, CUTOFF)


def test_a_bundle_whose_intervals_overflow_is_refused(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    table = shop_model.numbers.intervals.clv
    endless = table.model_copy(update={"upper": tuple(np.inf for _ in table.upper)})
    intervals = shop_model.numbers.intervals.model_copy(
        update={"clv": endless, "clv_sure": endless}
    )
    numbers = shop_model.numbers.model_copy(update={"intervals": intervals})
    broken = dataclasses.replace(shop_model, numbers=numbers)
    with pytest.raises(clvcast.BundleError, match="no numbers in clv_upper"):
        clvcast.score(broken, shop_orders, CUTOFF)


def test_threads_share_a_model(shop_model: clvcast.Model, shop_orders: clvcast.Orders) -> None:
    nested = nest(shop_orders, CUTOFF)["orders"].tolist()[:100]
    alone = [shop_model.score_one(lines, CUTOFF) for lines in nested]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda lines: shop_model.score_one(lines, CUTOFF), nested * 3))
    assert together == alone * 3


def _in_child(model: clvcast.Model, orders: clvcast.Orders, lines: Any, answers: Any) -> None:
    many = clvcast.score(model, orders, CUTOFF)["clv"].sum()
    answers.put((model.score_one(lines, CUTOFF), many))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_scores(shop_model: clvcast.Model, shop_orders: clvcast.Orders) -> None:
    """OpenMP's waiting threads are not there after a fork: whoever calls for them waits
    for ever.
    """
    lines = nest(shop_orders, CUTOFF)["orders"][0]
    expected = shop_model.score_one(lines, CUTOFF)
    total = clvcast.score(shop_model, shop_orders, CUTOFF)["clv"].sum()
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(shop_model, shop_orders, lines, answers))
    child.start()
    child.join(60)
    child.kill()
    child.join()
    assert child.exitcode == 0, "the child hangs or failed"
    assert answers.get() == (expected, total)


def test_a_model_travels_to_another_process(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    lines = nest(shop_orders, CUTOFF)["orders"][0]
    shop_model.score_one(lines, CUTOFF)  # handles into LightGBM are made
    copy = pickle.loads(pickle.dumps(shop_model))
    assert copy.score_one(lines, CUTOFF) == shop_model.score_one(lines, CUTOFF)
    assert np.isfinite(copy.score_one(lines, CUTOFF).clv)


@pytest.mark.parametrize(
    "model",
    [BgNbd(r=0.24, alpha=31.0, a=0.79, b=2.4), ParetoNbd(r=0.55, alpha=74.0, s=0.6, beta=82.0)],
)
def test_few_rows_add_up_to_the_bits_of_many(model: BgNbd | ParetoNbd) -> None:
    random = np.random.default_rng(0)
    tenure = np.floor(random.uniform(0, 700, 500))
    repeats = np.floor(random.exponential(2.0, 500)) * (tenure > 0)
    many = OrderDays.of(repeats, np.floor(tenure * random.uniform(0, 1, 500)), tenure, tenure)
    for forecast in (predict_order_days, predict_order_probability):
        together = forecast(model, many, 60)
        alone = [forecast(model, many.where(np.arange(500) == k), 60)[0] for k in range(500)]
        assert together.tolist() == alone
