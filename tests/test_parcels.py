"""Parcels: every line comes once to the bucket of its customer, however the lines are cut."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvcast.configs.schema import OrdersConfig
from clvcast.orders.columns import Int64
from clvcast.orders.spark import buckets, parcels
from clvcast.orders.spark.buckets import SourcePlan, plan_source
from clvcast.orders.spark.parcels import ROW_HASH, Parcels, draw_lines, unpack_parcels

Delivered = dict[int, list[tuple[str | None, float]]]  # bucket -> (customer, amount), by amount
N = 500
CUSTOMERS = [None if k % 7 == 0 else f"c{k % 23}" for k in range(N)]
TABLE = pa.table(
    {
        "customer_id": CUSTOMERS,
        "ordered_at": pa.array([datetime(2020, 1, 1 + k % 28) for k in range(N)]),
        "amount": np.arange(N, dtype=np.float64),
    }
)


@pytest.fixture(scope="module")
def plan() -> SourcePlan:
    return plan_source(TABLE.schema.empty_table(), OrdersConfig(), datetime(2026, 1, 1), "orders")


def cut(table: pa.Table, cuts: list[int]) -> list[pa.RecordBatch]:
    """The table in batches that end at these lines, empty ones among them."""
    bounds = [0, *sorted(cuts), table.num_rows]
    pieces = [table.slice(a, b - a).combine_chunks() for a, b in pairwise(bounds)]
    empty = pa.RecordBatch.from_pylist([], schema=table.schema)
    return [batch for piece in pieces for batch in (piece.to_batches() or [empty])]


def deliver(
    plan: SourcePlan, batches: list[pa.RecordBatch], n_buckets: int, every_line: bool = False
) -> Delivered:
    """What each bucket's parcels hold."""
    packed = list(Parcels(plan, n_buckets, every_line).pack(batches))
    lines: Delivered = {}
    for bucket in {b for batch in packed for b in batch["bucket"].to_pylist()}:
        own = [batch.filter(pc.equal(batch["bucket"], bucket)) for batch in packed]
        (table,) = unpack_parcels(own, 1)
        assert table is not None
        assert table.schema.equals(TABLE.schema)
        pairs = zip(table["customer_id"].to_pylist(), table["amount"].to_pylist(), strict=True)
        lines[bucket] = sorted(pairs, key=lambda pair: pair[1])
    return lines


@given(cuts=st.lists(st.integers(0, N), max_size=4), n_buckets=st.integers(1, 40))
def test_every_line_comes_once_and_a_customers_lines_together(
    plan: SourcePlan, cuts: list[int], n_buckets: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "_BLOCK_LINES", 90)  # blocks end between the batches
        patch.setattr(parcels, "_PARCEL_LINES", 3)  # and a bucket's lines come in several parcels
        lines = deliver(plan, cut(TABLE, cuts), n_buckets)
        whole = deliver(plan, cut(TABLE, []), n_buckets)
    assert lines == whole  # the id alone decides the bucket
    delivered = sorted(amount for own in lines.values() for _, amount in own)
    assert delivered == [float(k) for k in range(N) if CUSTOMERS[k] is not None]
    of_customer = [{customer for customer, _ in own} for own in lines.values()]
    assert sum(map(len, of_customer)) == len(set().union(*of_customer))
    assert all(0 <= bucket < n_buckets for bucket in lines)


def test_lines_of_no_customer_are_spread_by_what_they_hold(plan: SourcePlan) -> None:
    spread = np.arange(N, dtype=np.int64) * 7_919 - 2**62
    table = TABLE.append_column(ROW_HASH, pa.array(spread))
    lines = deliver(plan, cut(table, [100]), 8, True)
    again = deliver(plan, cut(table.take(np.arange(N)[::-1]), [300]), 8, True)
    assert lines == again  # a task that is run again may have its lines in another order
    assert sorted(amount for own in lines.values() for _, amount in own) == list(range(N))
    nobody = [sum(customer is None for customer, _ in own) for own in lines.values()]
    assert max(nobody) < sum(nobody) / 2


def test_a_sample_is_drawn_by_the_hash_of_the_id(plan: SourcePlan) -> None:
    def draw(below: int | None, known: Int64 | None) -> set[str]:
        drawn = pa.Table.from_batches(
            draw_lines(cut(TABLE, [50]), plan, below, known), schema=TABLE.schema
        )
        ids = drawn["customer_id"].to_pylist()
        assert len(ids) == sum(CUSTOMERS.count(one) for one in set(ids))  # with all their lines
        return set(ids)

    everybody = {one for one in CUSTOMERS if one is not None}
    assert draw(None, None) == everybody
    half = draw(0, None)
    assert 0 < len(half) < len(everybody)
    assert draw(-(2**62), None) < half
    hashes, _ = buckets.hash_ids(plan.rules.ids, pa.chunked_array([["c1", "c2"]]))
    assert draw(None, hashes.view(np.int64)) == {"c1", "c2"}
    assert draw(0, hashes.view(np.int64)) == {"c1", "c2"} & half


def test_a_bucket_has_the_columns_of_all_sources(plan: SourcePlan) -> None:
    """Also where none of a source's lines came to it."""
    wide = TABLE.append_column("discount", pa.array(np.ones(N)))
    empty = wide.schema.empty_table()
    other = plan_source(empty, OrdersConfig(), datetime(2026, 1, 1), "others", position=1)
    plain = TABLE.filter(pc.is_valid(TABLE["customer_id"]))
    for missing in (None, empty):
        orders = buckets.fill_bucket([plain, missing], [plan, other]).orders
        assert orders is not None
        assert list(orders.numbers) == ["discount"]
