"""Training under a memory limit: customers drawn by a hash, BTYD on all, and the same where all
orders have room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import worlds

import clvcast
from clvcast.configs.schema import Config, ModelConfig, OrdersConfig
from clvcast.errors import ConfigError, OrdersError
from clvcast.features.recency_frequency import collect_order_days
from clvcast.nightly.feed_faults import _judge_history
from clvcast.nightly.run import _hash_training
from clvcast.orders import dates, windows
from clvcast.orders.cutoffs import get_default_cutoff
from clvcast.orders.order_totals import OrderTotals
from clvcast.orders.reading.customer_groups import N_GROUPS, assign_groups
from clvcast.orders.reading.read_orders import read_table
from clvcast.train import boosting, later_trees, limited_orders, memory_plan
from clvcast.train.blending import fit_initial_blend
from clvcast.train.fit import fit
from clvcast.train.gate.data_shift import (
    Champion,
    build_record,
    compare_history,
    measure_data_shift,
)
from clvcast.train.limited_orders import LimitedOrders, limit_orders, open_limited_orders
from clvcast.train.registry.run_settings import list_parameters, write_note
from clvcast.train.registry.tracking import _format_report
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


def read_limited(config: Config, *, in_files: bool, cutoff: str | None = None) -> LimitedOrders:
    if not in_files:
        return limit_orders(clvcast.read_orders(config), config, cutoff)
    with open_limited_orders(None, config, cutoff=cutoff) as limited:
        instants = [limited.end]
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
    assert said == in_memory.orders.report.remarks[-1] == from_files.remark
    assert "raise memory_limit to train on more" in said
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


CUTOFF = "2021-01-10"


@pytest.mark.parametrize("in_files", [True, False])
def test_orders_at_or_after_the_cutoff_decide_nothing(
    small: Config, tmp_path: Path, in_files: bool
) -> None:
    with_later = read_limited(small, in_files=in_files, cutoff=CUTOFF)
    before = save_lines_before(small, tmp_path)
    without = read_limited(before, in_files=in_files, cutoff=CUTOFF)
    assert without.is_sample
    assert without.share < 1.0
    assert with_later.orders.digest() == without.orders.digest()
    assert with_later.share == without.share
    assert with_later.max_rows == without.max_rows
    assert with_later.remark == without.remark
    assert with_later.end == without.end == dates.parse_instant(CUTOFF)
    # the cutoff matters in this world: with the later lines another sample has room
    assert read_limited(small, in_files=in_files).orders.n_customers != without.orders.n_customers


def test_whether_to_sample_is_decided_before_the_cutoff(small: Config) -> None:
    orders = clvcast.read_orders(small)
    roomy = small.model_copy(update={"memory_limit": "1.9MB"})
    assert limit_orders(orders, roomy).is_sample
    for in_files in (True, False):
        assert not read_limited(roomy, in_files=in_files, cutoff="2020-04-01").is_sample


def test_a_cutoff_out_of_range_is_refused(small: Config) -> None:
    for in_files in (True, False):
        with pytest.raises(ConfigError, match="after the first order"):
            read_limited(small, in_files=in_files, cutoff="2001-01-01")


@pytest.mark.slow
@pytest.mark.parametrize("in_files", [True, False])
def test_the_model_of_a_sample_is_that_of_the_orders_before_the_cutoff(
    small: Config, tmp_path: Path, in_files: bool
) -> None:
    before = save_lines_before(small, tmp_path)
    versions = []
    for config in (small, before):
        source = str(config.orders.source) if in_files else clvcast.read_orders(config)
        with pytest.warns(UserWarning, match="memory_limit: trained on"):
            versions.append(clvcast.train(source, config, CUTOFF).version)
    assert versions[0] == versions[1]


def save_lines_before(config: Config, folder: Path) -> Config:
    """The configuration, reading only the lines before CUTOFF."""
    lines = pd.concat([pd.read_csv(folder / name) for name in ("a.csv", "b.csv")])
    past = folder / "past"
    past.mkdir()
    is_past = pd.to_datetime(lines["ordered_at"]) < pd.Timestamp(CUTOFF)
    lines[is_past].to_csv(past / "a.csv", index=False)
    orders = config.orders.model_copy(update={"source": f"{past}/*.csv"})
    return config.model_copy(update={"orders": orders})


def test_totals_are_of_everybody_in_files_and_in_memory(small: Config) -> None:
    whole = OrderTotals.of(clvcast.read_orders(small))
    for in_files in (True, False):
        totals = read_limited(small, in_files=in_files).totals
        assert totals is not None
        assert totals.months == whole.months
        assert sorted(totals.first_orders) == sorted(whole.first_orders)


def test_whole_months_are_those_between_the_first_line_and_the_end() -> None:
    """January is whole only if the first line is on its first day."""
    for first_day, months in (("01", ["2020-01", "2020-02"]), ("02", ["2020-02"])):
        days = [f"2020-01-{first_day}", "2020-01-20", "2020-02-10", "2020-03-05"]
        table = pd.DataFrame({"customer_id": "a", "ordered_at": days, "amount": 10.0})
        totals = OrderTotals.of(read_table(table, OrdersConfig()))
        assert list(totals.sum_whole_months(dates.parse_instant("2020-03-31"))) == months
        assert list(totals.sum_whole_months(dates.parse_instant("2020-03-01"))) == months
        assert "2020-02" not in totals.sum_whole_months(dates.parse_instant("2020-02-29"))
        assert totals.sum_whole_months(dates.parse_instant("2020-03-31"))["2020-02"] == (1, 10.0)


@pytest.mark.slow
def test_a_sample_is_recorded_with_everybody_and_says_what_its_totals_are(small: Config) -> None:
    whole = clvcast.read_orders(small)
    limited = limit_orders(whole, small)
    run = train_limited(limited, small)
    assert run.share == limited.share < 1.0
    record = build_record(run)
    assert record.share == limited.share
    assert record.customers == whole.n_customers
    assert run.totals is not None
    for history in (
        compare_history(run.totals, run.cutoff, record),
        compare_history(OrderTotals.of(whole), run.cutoff, record),
        measure_data_shift(run, Champion("1", None, record)),
    ):
        assert (history.lines, history.money, history.customers) == (1.0, 1.0, 1.0)
    assert not list(_judge_history(whole, run.cutoff, record, 0.0))
    # a third of the customers is missing from the feed
    fewer = OrderTotals.of(whole.keep_customers(np.arange(whole.n_customers) % 3 > 0))
    missing = compare_history(fewer, run.cutoff, record)
    assert missing.lines is not None
    assert missing.lines < 0.8
    # what was not counted is not compared
    unknown = build_record(replace(run, totals=None))
    nothing = compare_history(run.totals, run.cutoff, unknown)
    assert (nothing.lines, nothing.money, nothing.customers) == (None, None, None)
    says = "ounts and totals are those of a sample of the customers; memory_limit: trained on "
    assert says in write_note(run, small)
    assert says in _format_report(run, small)
    parameters = list_parameters(run, small)
    assert parameters["share"] == f"{run.share:.6g}"
    assert parameters["memory_limit"] == "1.2MB"


@pytest.mark.slow
def test_a_learning_curve_of_too_few_rows_does_not_end_a_training(
    small: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OrdersError("training needs 50 customers")

    monkeypatch.setattr("clvcast.train.run.measure_learning_curve", refuse)
    steps: list[str] = []
    run = train_limited(limit_orders(clvcast.read_orders(small), small), small, steps.append)
    assert run.curve == ()
    assert run.evaluation is not None
    assert steps[-1] == "no learning curve: training needs 50 customers"


def test_a_night_trains_again_where_the_limit_leaves_more(small: Config) -> None:
    orders = clvcast.read_orders(small)
    keys = []
    for memory_limit in ("1.2MB", "1.4MB", "1GB", "2GB"):
        config = small.model_copy(update={"memory_limit": memory_limit})
        limited = limit_orders(orders, config)
        keys.append(_hash_training(orders, config, limited.max_rows, limited.share))
    assert keys[2] == keys[3]  # everything has room
    assert len(set(keys)) == 3


def test_the_setting_to_raise_is_the_one_that_binds(small: Config) -> None:
    plan = memory_plan.plan_memory(small, ())
    assert plan.rows_setting == "memory_limit"
    bounds = [(plan.most_rows, "spark_training_rows"), (plan.most_rows + 1, "memory_limit")]
    for rows, setting in bounds:
        config = small.model_copy(update={"spark_training_rows": rows})
        assert memory_plan.plan_memory(config, ()).rows_setting == setting
    config = small.model_copy(update={"spark_training_rows": 300})
    limited = limit_orders(clvcast.read_orders(small), config)
    assert limited.rows_setting == "spark_training_rows"
    assert "raise memory_limit and spark_training_rows to train on more" in limited.remark


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
    n_rows = limited_orders.count_rows(orders, config, end)
    counts = (orders.n_lines, orders.n_customers, n_rows)
    of_one = orders.n_lines * limited.plan.line_bytes + 2_000 * n_rows + 3_500 * orders.n_customers
    tight = replace(limited, plan=replace(limited.plan, room=2 * of_one))
    assert tight.plan.has_room(*counts, models=2)
    assert limited.count_models(config, 3) == 3
    assert tight.count_models(config, 3) == 2
    assert replace(tight, plan=replace(tight.plan, room=1)).count_models(config, 3) == 1


@pytest.mark.parametrize(
    ("limit", "n_rows", "expected"),
    [("1GB", 120_000, 3), ("1GB", 1_000_000, 2), ("8GB", 500_000, 4), ("8GB", 1_000, 16)],
)
def test_more_than_two_boosters_at_a_time_fit_into_a_tenth_of_the_limit(
    limit: str, n_rows: int, expected: int
) -> None:
    assert memory_plan.count_boosters(Config(memory_limit=limit), n_rows, 16) == expected
    assert memory_plan.count_boosters(Config(memory_limit=limit), n_rows, 1) == 1


def test_a_limit_holds_for_the_boosters_of_a_model(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_time: list[int | None] = []

    def run(work: Callable[[Any], Any], tasks: Iterable[Any], most: int | None = None) -> Any:
        tasks = list(tasks)
        if len(tasks) > 2:  # more than the two that rows are counted with
            at_a_time.append(most)
        return map(work, tasks)

    orders = clvcast.read_orders(config)
    config = config.model_copy(update={"model": ModelConfig(seeds=3)})
    monkeypatch.setattr(boosting, "run_side_by_side", run)
    monkeypatch.setattr(later_trees, "run_side_by_side", run)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 16)
    fit(orders, config, get_default_cutoff(orders))
    monkeypatch.setattr(memory_plan, "_BOOSTER_BYTES", 10**15)
    fit(orders, config, get_default_cutoff(orders))
    assert at_a_time == [16, 16, 2, 2]


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
