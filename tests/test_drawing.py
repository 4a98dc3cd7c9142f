"""Drawing: the same rows in every partitioning, weighted to what they stand for, and one path to a
model.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import worlds

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.orders import dates, windows
from clvcast.orders.cutoffs import get_newest_realised_cutoff
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.fit import fit
from clvcast.train.learning_curve import describe_curve
from clvcast.train.run import train_until
from clvcast.train.stratified_sampling import Draw, DrawnRows, draw_for, drawn_rows, rows_drawn
from clvcast.train.training_frame import build_training_frame

END = dates.parse_instant("2020-12-01")


@pytest.fixture(scope="module")
def many() -> clvcast.Orders:
    return read_table(worlds.shop(customers=2_500), OrdersConfig())


@pytest.fixture(scope="module")
def quick(shop_config: clvcast.Config) -> clvcast.Config:
    return shop_config.model_copy(update={"effort": "quick"})


def drawn(
    orders: clvcast.Orders, draw: Draw, config: clvcast.Config, parts: int = 1, seed: int = 0
) -> DrawnRows:
    """Rows drawn in so many parts of the customers, which come in any order."""
    part = np.arange(orders.n_customers) % parts
    found = [drawn_rows(orders.keep_customers(part == k), [draw], config) for k in range(parts)]
    table = pa.concat_tables(found)
    order = np.random.default_rng(seed).permutation(table.num_rows)
    return rows_drawn(table.take(pa.array(order)), [draw])[0]


def draw_of(orders: clvcast.Orders, config: clvcast.Config, rows: int) -> Draw:
    """As if the pilot were all customers; `rows` may be fewer than a configuration allows."""
    wanted = config.model_copy(update={"spark_training_rows": rows})
    return draw_for(orders, wanted, windows.find_first_order_at(orders), END, 1.0)


@pytest.mark.slow
def test_a_frame_of_all_rows_gives_the_model_of_one_machine(
    shop_orders: clvcast.Orders, quick: clvcast.Config
) -> None:
    draw = draw_of(shop_orders, quick, 10**9)
    frame = drawn(shop_orders, draw, quick, parts=3).frame(quick)
    whole = build_training_frame(windows.slice_observed(shop_orders, END), quick, END)
    assert frame.features == whole.features
    np.testing.assert_array_equal(frame.rows.values, whole.rows.values)
    np.testing.assert_array_equal(frame.targets.spend, whole.targets.spend)
    np.testing.assert_array_equal(frame.weights, whole.weights)
    here = fit(shop_orders, quick, END)
    assert fit(shop_orders, quick, END, drawn=frame).version == here.version


def test_the_same_rows_are_drawn_in_every_partitioning(
    many: clvcast.Orders, shop_config: clvcast.Config
) -> None:
    draw = draw_of(many, shop_config, 5_000)
    one = drawn(many, draw, shop_config)
    other = drawn(many, draw, shop_config, parts=7, seed=1)
    assert 4_500 < one.rows.n_rows < 5_500 < one.n_population / 2
    for name in ("values", "whole", "cutoff_index", "customer_index"):
        np.testing.assert_array_equal(getattr(one.rows, name), getattr(other.rows, name))
    assert one.rows.customer_ids.equals(other.rows.customer_ids)
    np.testing.assert_array_equal(one.place, other.place)
    np.testing.assert_array_equal(one.outcome.spend, other.outcome.spend)
    few, more = (one.place < share for share in (0.25, 0.5))
    assert (few <= more).all()
    assert few.sum() < more.sum() < one.rows.n_rows


def test_drawn_rows_stand_for_all_and_rare_ones_are_there(
    many: clvcast.Orders, shop_config: clvcast.Config
) -> None:
    draw = draw_of(many, shop_config, 5_000)
    found = drawn(many, draw, shop_config, parts=2)
    frame = found.frame(shop_config)
    whole = build_training_frame(windows.slice_observed(many, END), shop_config, END)
    assert found.n_population == whole.rows.n_rows
    stands_for = frame.counts * found.n_population / frame.rows.n_rows
    by_stratum = np.bincount(found.strata, stands_for, len(found.sizes))
    np.testing.assert_allclose(by_stratum[by_stratum > 0], found.sizes[by_stratum > 0])
    assert frame.counts.mean() == pytest.approx(1.0)
    mean_orders = whole.targets.n_orders[:, 0].mean()
    assert np.average(frame.targets.n_orders[:, 0], weights=frame.counts) == pytest.approx(
        mean_orders, rel=0.05
    )
    kept = np.bincount(found.strata, minlength=len(found.sizes))
    present = found.sizes > 0
    shares = kept[present] / found.sizes[present]
    rare = found.sizes[present] <= 30
    assert shares[rare].min() == 1.0
    assert shares[~rare].min() < 0.5


def test_nothing_after_the_end_touches_a_drawn_row(
    shop_lines: pd.DataFrame, shop_config: clvcast.Config
) -> None:
    before = shop_lines[shop_lines["ordered_at"] < pd.Timestamp("2020-12-01")]
    later = before.head(300).assign(ordered_at=pd.Timestamp("2020-12-01"), amount=9_999.0)
    frames = []
    for lines in (before, pd.concat([before, later])):
        orders = read_table(lines, OrdersConfig())
        draw = draw_of(orders, shop_config, 1_000)
        frames.append(drawn(orders, draw, shop_config))
    np.testing.assert_array_equal(frames[0].rows.values, frames[1].rows.values)
    np.testing.assert_array_equal(frames[0].outcome.spend, frames[1].outcome.spend)


@pytest.mark.slow
def test_a_run_on_drawn_rows_has_a_learning_curve(
    shop_orders: clvcast.Orders, quick: clvcast.Config
) -> None:
    config = quick
    evaluated = get_newest_realised_cutoff(END, config.horizon_days)
    first = windows.find_first_order_at(shop_orders)
    wanted = config.model_copy(update={"spark_training_rows": 1_000})
    draws = [draw_for(shop_orders, wanted, first, end, 1.0) for end in (END, evaluated)]
    rows = rows_drawn(drawn_rows(shop_orders, draws, config), draws)
    run = train_until(shop_orders, config, END, drawn={each.draw.end: each for each in rows})
    assert [point.share for point in run.curve] == [0.25, 0.5, 1.0]
    counts = [point.rows for point in run.curve]
    assert counts[0] < counts[1] < counts[2] == rows[1].rows.n_rows
    assert run.evaluation is not None
    ours = next(iter(run.evaluation.metrics.values()))["methods"]["clvcast"]
    assert run.curve[-1].nGini == pytest.approx(ours["nGini"])
    assert pytest.approx(ours["MAE"]) == run.curve[-1].MAE
    told = describe_curve(run.curve)
    assert len(told) == 4
    assert f"{counts[1]:,} rows" in told[1]


@pytest.mark.slow
def test_vocabularies_are_those_of_the_pilot(
    shop_orders: clvcast.Orders, shop_lines: pd.DataFrame
) -> None:
    ids = sorted(set(shop_lines["customer_id"]))
    customers = pd.DataFrame(
        {"customer_id": ids, "country": ["NO" if k % 3 else "SE" for k in range(len(ids))]}
    )
    config = clvcast.Config(
        horizon_days=60,
        effort="quick",
        customers={"columns": {"customer_id": "customer_id", "country": "country"}},
    )
    from clvcast.orders.reading.customer_attributes import attach_customers

    orders = attach_customers(shop_orders, customers, config.customers)
    draw = draw_of(orders, config, 10**9)
    assert draw.coding is not None
    assert draw.coding.vocabulary == {"country": ("NO", "SE")}
    frame = drawn(orders, draw, config, parts=3).frame(config)
    assert frame.rows.names[-1] == "attribute_country"
    assert fit(orders, config, END, drawn=frame).version == fit(orders, config, END).version
