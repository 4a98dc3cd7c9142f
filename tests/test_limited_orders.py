"""Training under a memory limit: customers drawn by a hash, BTYD on all, and the same where all
orders have room.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds

import clvcast
from clvcast.configs.schema import Config, OrdersConfig
from clvcast.errors import OrdersError
from clvcast.features.recency_frequency import collect_order_days
from clvcast.orders import windows
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.reading.customer_groups import N_GROUPS, assign_groups
from clvcast.orders.reading.read_orders import read_table
from clvcast.train import limited_orders, memory_plan
from clvcast.train import run as training
from clvcast.train.blending import fit_initial_blend
from clvcast.train.fit import fit
from clvcast.train.gate.data_shift import build_record, compare_history
from clvcast.train.limited_orders import LimitedOrders, limit_orders, open_limited_orders
from clvcast.train.run import train_limited

QUICK = {"effort": "quick", "horizon_days": 60, "periods": 2}


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    return worlds.shop(customers=400, days=500, seed=3)


@pytest.fixture
def config(shop: pd.DataFrame, tmp_path: Path) -> Config:
    """Files of the shop, in two parts."""
    half = len(shop) // 2
    shop[:half].to_csv(tmp_path / "a.csv", index=False)
    shop[half:].to_csv(tmp_path / "b.csv", index=False)
    return Config.model_validate({"orders": {"source": f"{tmp_path}/*.csv"}, **QUICK})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, config: Config) -> Config:
    """A limit with room for a third of the customers: the program itself counts nothing here."""
    monkeypatch.setattr(memory_plan, "_PROCESS_BYTES", 0)
    monkeypatch.setattr(memory_plan, "_ROW_BYTES", 100)
    monkeypatch.setattr(memory_plan, "_LEAST_ROWS", 300)
    return config.model_copy(update={"memory_limit": "1.2MB"})


def read_limited(config: Config, *, in_files: bool) -> LimitedOrders:
    if not in_files:
        return limit_orders(clvcast.read_orders(config), config)
    with open_limited_orders(None, config) as limited:
        instants = [get_default_cutoff(limited.orders)]
        everyone = limited.count_everyone(instants)  # temporary files end with the context
        return replace(limited, count_everyone=lambda _: everyone)


def test_what_has_room_is_trained_on_as_it_is(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = clvcast.read_orders(config)
    monkeypatch.setattr(limited_orders, "estimate_needed", lambda *_, **__: 10**15)
    from_files = read_limited(config, in_files=True)  # in groups, though there was room
    assert from_files.orders.digest() == whole.digest()
    assert from_files.orders.report == whole.report
    assert from_files.max_rows is None
    assert from_files.share == 1.0
    assert not from_files.count_everyone([0])


@pytest.mark.slow
def test_a_limit_with_room_gives_the_same_model(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = clvcast.train(clvcast.read_orders(config), config)
    monkeypatch.setattr(limited_orders, "estimate_needed", lambda *_, **__: 10**15)
    assert clvcast.train(str(config.orders.source), config).version == model.version


def test_a_small_limit_draws_customers_by_their_ids_alone(small: Config) -> None:
    whole = clvcast.read_orders(small)
    from_files, in_memory = (read_limited(small, in_files=is_so) for is_so in (True, False))
    orders = from_files.orders
    assert orders.digest() == in_memory.orders.digest()
    assert get_default_cutoff(orders) == get_default_cutoff(whole)
    assert from_files.max_rows == in_memory.max_rows
    assert from_files.share == in_memory.share == orders.n_customers / whole.n_customers
    assert 0.15 < from_files.share < 0.6
    n_groups = int(assign_groups(orders).max()) + 1
    drawn = whole.keep_customers(assign_groups(whole) < n_groups)
    assert drawn.digest() == orders.digest()
    assert n_groups < N_GROUPS
    said = orders.report.remarks[-1]
    assert f"{orders.n_customers:,} of {whole.n_customers:,} customers" in said
    assert said == in_memory.orders.report.remarks[-1]
    # whoever else is in the file: without half of the others, the drawn ones are drawn again
    half = whole.keep_customers(
        (assign_groups(whole) < n_groups) | (np.arange(whole.n_customers) % 2 == 0)
    )
    again = limit_orders(half, small).orders
    assert set(orders.customer_ids.to_pylist()) <= set(again.customer_ids.to_pylist())


def test_btyd_is_fitted_on_everybody_known_before_the_instant(small: Config) -> None:
    whole = clvcast.read_orders(small)
    end = get_default_cutoff(whole)
    past = end - 350 * 86_400_000_000
    assert windows.slice_observed(whole, past).n_customers < whole.n_customers
    tables = []
    for in_files in (True, False):
        with open_limited_orders(None, small) if in_files else _memory(small) as limited:
            tables.append(limited.count_everyone([past, end]))
    for instant in (past, end):
        from_files, in_memory = (table[instant] for table in tables)
        np.testing.assert_array_equal(from_files.values, in_memory.values)
        assert from_files.n_rows == windows.slice_observed(whole, instant).n_customers
        # nothing at or after the instant is in them
        known = limit_orders(whole, small).count_everyone
        of_past = known([past])[past]
        np.testing.assert_array_equal(of_past.values, tables[0][past].values)
        before = windows.slice_observed(whole, past)
        cut = replace(before, complete_until=end)
        n_days = np.sort(collect_order_days(of_past).n_repeat_days)
        rows = limited_orders._count_at(cut, past)
        np.testing.assert_array_equal(np.sort(collect_order_days(rows).n_repeat_days), n_days)


@pytest.mark.slow
def test_a_model_of_a_sample_has_the_btyd_of_everybody(small: Config) -> None:
    whole = clvcast.read_orders(small)
    end = get_default_cutoff(whole)
    sample = limit_orders(whole, small)
    everyone = sample.count_everyone([end])
    model = fit(sample.orders, small, end, max_rows=sample.max_rows, everyone=everyone)
    of_all, of_sample = (
        fit_initial_blend(rows, 1.0, 1.0).order_model
        for rows in (everyone[end], limited_orders._count_at(sample.orders, end))
    )
    assert model.numbers.blend.order_model == of_all != of_sample


def _memory(config: Config):  # type: ignore[no-untyped-def]
    from contextlib import nullcontext

    return nullcontext(limit_orders(clvcast.read_orders(config), config))


@pytest.mark.slow
def test_the_record_of_a_sample_is_compared_by_its_share(
    small: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = clvcast.read_orders(small)
    limited = limit_orders(whole, small)
    monkeypatch.setattr(training, "measure_learning_curve", lambda *_: ())
    run = train_limited(limited, small)
    assert run.share == limited.share
    record = build_record(run)
    assert record.share == limited.share
    same = compare_history(run.known, run.cutoff, record, run.share)
    assert (same.lines, same.money, same.customers) == pytest.approx((1.0, 1.0, 1.0))
    against_all = compare_history(whole, run.cutoff, record)
    assert against_all.customers == pytest.approx(1.0, rel=1e-6)
    assert against_all.lines == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize(("n_lines", "has_room"), [(10_000, True), (10_001, False)])
def test_the_plan_counts_lines_customers_and_rows(
    n_lines: int, has_room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_plan, "_PROCESS_BYTES", 0)
    plan = memory_plan.plan_memory(Config(memory_limit="9.98MB"), ("order_id",))
    # 60 bytes a line, 3,500 a customer, 2,000 a row
    assert plan.line_bytes == 60
    assert plan.has_room(n_lines, 1_000, 2_940) is has_room
    assert not plan.has_room(n_lines, 1_000, 2_940, models=2)
    assert plan.most_rows == 10_000
    roomy = memory_plan.plan_memory(Config(memory_limit="2GB"), ())
    assert roomy.most_rows == int(2e9 * 0.4) // 2_000
    assert memory_plan.plan_memory(Config(memory_limit="8GB"), ()).most_rows == 500_000


def test_fewer_models_at_a_time_where_memory_does_not_allow(config: Config) -> None:
    orders = clvcast.read_orders(config)
    end = get_default_cutoff(orders)
    limited = limit_orders(orders, config)
    n_rows = limited_orders._count_rows(orders, config, end)
    counts = (orders.n_lines, orders.n_customers, n_rows)
    of_one = orders.n_lines * limited.plan.line_bytes + 2_000 * n_rows + 3_500 * orders.n_customers
    tight = replace(limited, plan=replace(limited.plan, room=2 * of_one))
    assert tight.plan.has_room(*counts, models=2)
    assert limited.count_models(config, end, 3) == 3
    assert tight.count_models(config, end, 3) == 2
    assert replace(tight, plan=replace(tight.plan, room=1)).count_models(config, end, 3) == 1


def test_a_sample_of_too_few_customers_is_refused(shop: pd.DataFrame) -> None:
    orders = read_table(shop, OrdersConfig())
    config = Config.model_validate({**QUICK, "memory_limit": "1KB"})
    with pytest.raises(
        OrdersError, match="room for 2 of 400 customers, and training needs 50; raise memory_limit"
    ):
        clvcast.train(orders, config)


@pytest.mark.parametrize(("room", "n_groups"), [(140_000, 10), (139_999, 9)])
def test_room_is_kept_for_rows_and_for_what_btyd_reads(room: int, n_groups: int) -> None:
    plan = memory_plan.MemoryPlan(room, line_bytes=60, most_rows=10)
    lines, customers = np.zeros((2, N_GROUPS), dtype=np.int64)
    lines[:20], customers[:20] = 10, 3
    # a group has 10 lines and 3 customers, 11,100 bytes; rows 20,000, everybody 9,000
    assert plan.count_groups(lines, customers, with_rows=True) == n_groups
    assert plan.count_groups(lines, customers, with_rows=False) == 12
    assert replace(plan, room=0).count_groups(lines, customers, with_rows=True) == 1
