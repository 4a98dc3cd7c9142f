"""Samples of customers: the same ones whoever else is there, about as many rows as asked for."""

from __future__ import annotations

import time

import numpy as np
import pytest
import worlds

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import OrdersError
from clvcast.orders import dates, windows
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.customer_sampling import (
    count_training_rows,
    hash_customer_ids,
    limit_training_rows,
    sample_customers,
)
from clvcast.train.fit import fit
from clvcast.train.learning_curve import describe_curve
from clvcast.train.run import train_until
from clvcast.train.training_frame import build_training_frame

END = dates.parse_instant("2020-12-01")


@pytest.fixture(scope="module")
def many() -> clvcast.Orders:
    return read_table(worlds.shop(customers=2_500), OrdersConfig())


@pytest.fixture(scope="module")
def quick(shop_config: clvcast.Config) -> clvcast.Config:
    return shop_config.model_copy(update={"effort": "quick"})


def test_whether_a_customer_is_sampled_depends_on_its_id_alone(many: clvcast.Orders) -> None:
    hashed = hash_customer_ids(many.customer_ids, b"key")
    odd = np.arange(many.n_customers) % 2 == 1
    np.testing.assert_array_equal(
        hash_customer_ids(many.keep_customers(odd).customer_ids, b"key"), hashed[odd]
    )
    assert (hashed != hash_customer_ids(many.customer_ids, b"another")).mean() > 0.99
    assert hashed.min() >= 0
    assert hashed.max() < 2**32


def test_a_sample_has_about_as_many_customers_and_all_their_lines(many: clvcast.Orders) -> None:
    assert sample_customers(many, many.n_customers, b"key") is many
    half = sample_customers(many, many.n_customers // 2, b"key")
    assert half.n_customers == pytest.approx(many.n_customers / 2, rel=0.1)
    few = sample_customers(many, many.n_customers // 4, b"key")
    ids = set(half.customer_ids.to_pylist())
    assert ids > set(few.customer_ids.to_pylist())  # a smaller sample is part of a larger
    kept = np.isin(many.customer_ids.to_pylist(), list(ids))
    assert half.n_lines == np.diff(many.starts)[kept].sum()


def test_training_rows_are_limited_by_leaving_customers_out(
    many: clvcast.Orders, shop_config: clvcast.Config
) -> None:
    known = windows.slice_observed(many, END)
    horizon = shop_config.horizon_days
    n_rows = build_training_frame(known, shop_config, END).rows.n_rows
    assert count_training_rows(known, horizon, END) == n_rows
    assert limit_training_rows(known, horizon, END, n_rows).digest() == known.digest()
    # customers who come later must not move who is drawn
    assert many.n_customers > known.n_customers
    for most in (n_rows // 2, n_rows // 3, n_rows // 5):
        drawn = limit_training_rows(many, horizon, END, most)
        assert drawn.digest() == limit_training_rows(known, horizon, END, most).digest()
    limited = limit_training_rows(known, horizon, END, n_rows // 3)
    frame = build_training_frame(limited, shop_config, END)
    assert frame.rows.n_rows == pytest.approx(n_rows / 3, rel=0.1)


@pytest.mark.slow
def test_a_limit_above_the_rows_gives_the_model_of_all(
    shop_orders: clvcast.Orders, quick: clvcast.Config
) -> None:
    version = fit(shop_orders, quick, END).version
    assert fit(shop_orders, quick, END, max_rows=10**9).version == version
    assert fit(shop_orders, quick, END, max_rows=1_000).version != version


def test_steps_are_reported_by_one_thread_at_a_time(
    shop_orders: clvcast.Orders, quick: clvcast.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = object()
    steps: list[str] = []
    crossings: list[str] = []
    is_reporting = False

    def report(step: str) -> None:
        nonlocal is_reporting
        if is_reporting:
            crossings.append(step)
        is_reporting = True
        time.sleep(0.02)
        is_reporting = False
        steps.append(step)

    def refuse(*_: object, **__: object) -> None:
        raise OrdersError("too short")

    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    monkeypatch.setattr("clvcast.train.run.backtest_at", refuse)
    monkeypatch.setattr("clvcast.train.run.train_final_model", lambda *_, **__: model)
    assert train_until(shop_orders, quick, END, report).model is model
    assert len(steps) >= 3
    assert crossings == []


@pytest.mark.slow
def test_a_run_on_limited_rows_has_a_learning_curve(
    shop_orders: clvcast.Orders, quick: clvcast.Config
) -> None:
    run = train_until(shop_orders, quick, END, max_rows=1_200)
    assert [(point.share, point.rows) for point in run.curve] == [
        (0.25, 300),
        (0.5, 600),
        (1.0, 1_200),
    ]
    assert run.evaluation is not None
    ours = next(iter(run.evaluation.metrics.values()))["methods"]["clvcast"]
    assert run.curve[-1].nGini == pytest.approx(ours["nGini"])
    assert pytest.approx(ours["MAE"]) == run.curve[-1].MAE
    sentences = describe_curve(run.curve, "spark_training_rows")
    assert len(sentences) == 4
    assert "600 rows" in sentences[1]
    assert "(raise spark_training_rows)" in sentences[-1]
