"""Drawing: rows to grow trees on, where the orders have more than one machine should hold.

Rows fall into strata: training cutoff x number of orders x days since the last order. Of each stratum a
share is kept, decided by a hash of customer and cutoff, so that the same rows are drawn every time and in
every partitioning. Within a cutoff the share falls with the root of the stratum's size (power allocation:
Bankier 1988), so that what is rare is there, and newer cutoffs have more rows, as they have more weight.
The shares come from a pilot, the orders of some customers (double sampling: Neyman 1938). What a drawn row
stands for comes from the exact sizes of the strata, which every part of the orders counts as it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..configs.schema import Config
from ..features.attribute_features import (
    AttributeCoding,
    build_attribute_columns,
    encode_attributes,
    learn_coding,
)
from ..features.table import FeatureRows, compute_feature_rows, iterate_feature_blocks
from ..features.targets import Targets, compute_targets
from ..orders import windows
from ..orders.columns import Float64, Int64
from ..orders.cutoffs import TrainingCutoffs, choose_training_cutoffs
from ..orders.orders import Orders
from ..orders.spark.buckets import hash_ids, scramble_bits
from .training_frame import TrainingFrame, build_frame, compute_age_weights

__all__ = ["Draw", "DrawnRows", "draw_for", "drawn_rows", "drawn_schema", "rows_drawn"]

_ORDERS = (1, 2, 3, 5, 10)  # the number of orders at which a band begins
_SILENCE = (1 / 3, 1.0, 2.0)  # days since the last order, in horizons
_BANDS = (len(_ORDERS) + 1) * (len(_SILENCE) + 1)
_LEAST_DRAWN = 30.0  # rows of a stratum, where it has so many
_STEPS = 60
_GOLDEN = 0x9E37_79B9_7F4A_7C15
_KEYS = [
    ("customer_id", pa.string()),  # null in a row that counts a stratum
    ("draw", pa.int32()),
    ("cutoff_index", pa.int32()),
    ("stratum", pa.int32()),
    ("place", pa.float64()),  # in [0, 1) among the kept; or the size of the stratum
    ("n_orders", pa.int32()),
    ("days_since_last_order", pa.int32()),
    ("tenure_days", pa.int32()),
]


@dataclass(frozen=True)
class Draw:
    """Which rows to draw for the model of one training end: all that a part of the orders must know."""

    end: int
    first: int  # the instant of the first of all lines
    cutoffs: TrainingCutoffs
    shares: Float64  # n_strata; the share of its rows that is kept
    coding: AttributeCoding | None
    names: tuple[str, ...]  # the features


def draw_for(pilot: Orders, config: Config, first: int, end: int, share: float) -> Draw:
    """What to draw, about `config.spark_training_rows` rows, as a pilot with a share of the customers tells."""
    cutoffs = choose_training_cutoffs(first, end, config.horizon_days)
    coding = learn_coding(pilot, end)
    known = windows.slice_observed(encode_attributes(pilot, coding), end)
    sizes = np.zeros(len(cutoffs.instants) * _BANDS)
    names: tuple[str, ...] = ()
    for block in iterate_feature_blocks(known, cutoffs.instants):
        names = block.names
        sizes += np.bincount(_strata(block, config.horizon_days), minlength=len(sizes))
    weights = np.repeat(compute_age_weights(cutoffs, config.horizon_days), _BANDS)
    shares = _shares(sizes / share, weights, float(config.spark_training_rows))
    none = np.empty(0, dtype=np.int64)
    names = (*names, *build_attribute_columns(known, cutoffs.instants, none, none)[0])
    return Draw(end, first, cutoffs, shares, coding, names)


def _strata(rows: FeatureRows, horizon_days: int) -> Int64:
    """The stratum of each row."""
    n_orders, silence = rows.whole[:, 0], rows.whole[:, 1]
    edges = np.ceil(np.array(_SILENCE) * horizon_days)
    band = np.searchsorted(_ORDERS, n_orders, side="right") * (len(_SILENCE) + 1)
    band += np.searchsorted(edges, silence, side="right")
    return np.asarray(rows.cutoff_index * _BANDS + band)


def _shares(sizes: Float64, weights: Float64, wanted: float) -> Float64:
    """Shares in proportion to weight / root of the size, at most 1, with `wanted` rows in all: by bisection.

    A stratum the pilot did not see is rare, and kept whole.
    """
    seen = np.maximum(sizes, 1.0)
    least = np.where(sizes > 0, np.minimum(_LEAST_DRAWN / seen, 1.0), 1.0)
    if sizes.sum() <= wanted:
        return np.ones(len(sizes))
    low, high = 0.0, float((np.sqrt(seen) / weights).max())
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        shares = np.clip(middle * weights / np.sqrt(seen), least, 1.0)
        low, high = (middle, high) if (shares * sizes).sum() < wanted else (low, middle)
    return np.asarray(np.clip(low * weights / np.sqrt(seen), least, 1.0))


def drawn_schema(draw: Draw, config: Config) -> pa.Schema:
    """The columns of `drawn_rows`; those of several draws are the same."""
    outcomes = [f"{what}_{k}" for what in ("spend", "orders") for k in range(config.periods)]
    features = [(f"feature_{k}", pa.float32()) for k in range(len(draw.names))]
    return pa.schema([*_KEYS, *((name, pa.float64()) for name in outcomes), *features])


def drawn_rows(orders: Orders, draws: Sequence[Draw], config: Config) -> pa.Table:
    """The rows of some customers that are drawn, and how many rows each stratum has: `drawn_schema`."""
    parts = [_drawn(orders, position, draw, config) for position, draw in enumerate(draws)]
    return pa.concat_tables(parts)


def _drawn(orders: Orders, position: int, draw: Draw, config: Config) -> pa.Table:
    known = windows.slice_observed(encode_attributes(orders, draw.coding), draw.end)
    instants = draw.cutoffs.instants
    rows = compute_feature_rows(known, instants)
    strata = _strata(rows, config.horizon_days)
    sizes = np.bincount(strata, minlength=len(draw.shares)).astype(np.float64)
    ids = hash_ids(known.customer_ids).to_numpy().view(np.uint64)
    cutoffs = instants.astype(np.uint64) * np.uint64(_GOLDEN)
    mixed = scramble_bits(ids[rows.customer_index] ^ cutoffs[rows.cutoff_index])
    place = (mixed >> np.uint64(11)) * 2.0**-53 / draw.shares[strata]
    kept = place < 1.0
    rows, strata, place = rows.where(kept), strata[kept], place[kept]
    outcome = compute_targets(
        known, rows, instants, config.horizon_days, config.periods, draw.end, config.target
    )
    n = rows.n_rows
    present = np.flatnonzero(sizes)
    nothing = partial(pa.nulls, len(present))
    columns = [
        known.customer_ids.take(pa.array(rows.customer_index)),
        pa.array(np.full(n, position, np.int32)),
        pa.array(rows.cutoff_index.astype(np.int32)),
        pa.array(strata.astype(np.int32)),
        pa.array(place),
        *(pa.array(np.ascontiguousarray(column)) for column in rows.whole.T),
        *(pa.array(np.ascontiguousarray(column)) for column in outcome.spend.T),
        *(pa.array(np.ascontiguousarray(column)) for column in outcome.n_orders.T),
        *(pa.array(np.ascontiguousarray(column)) for column in rows.values.T),
    ]
    schema = drawn_schema(draw, config)
    counted = {
        "draw": pa.array(np.full(len(present), position, np.int32)),
        "stratum": pa.array(present.astype(np.int32)),
        "place": pa.array(sizes[present]),
    }
    about = [counted.get(field.name, nothing(field.type)) for field in schema]
    tables = [pa.Table.from_arrays(each, schema=schema) for each in (columns, about)]
    return pa.concat_tables(tables)


@dataclass(frozen=True)
class DrawnRows:
    """The rows drawn for one training end, by cutoff and customer."""

    rows: FeatureRows
    outcome: Targets
    strata: Int64  # n_rows
    place: Float64  # n_rows; a share s of the sample has place < s
    sizes: Float64  # n_strata; rows before drawing
    draw: Draw

    @property
    def n_population(self) -> int:
        """Rows there were."""
        return int(self.sizes.sum())

    def frame(self, config: Config, share: float = 1.0) -> TrainingFrame:
        """A frame of the rows, or of a share of the rows of each stratum."""
        keep = self.place < share
        strata = self.strata[keep]
        drawn = np.bincount(strata, minlength=len(self.sizes))
        stands_for = (self.sizes / np.maximum(drawn, 1))[strata]
        outcome = Targets(self.outcome.spend[keep], self.outcome.n_orders[keep])
        return build_frame(
            self.rows.where(keep),
            outcome,
            self.draw.cutoffs,
            config,
            self.draw.end,
            stands_for / stands_for.mean(),
        )


def rows_drawn(table: pa.Table, draws: Sequence[Draw]) -> list[DrawnRows]:
    """What all parts of the orders drew, in whatever order it came, put together per draw."""
    found = []
    for position, draw in enumerate(draws):
        own = table.filter(pc.equal(table["draw"], position))
        about = own.filter(pc.is_null(own["customer_id"]))
        sizes: Float64 = np.zeros(len(draw.shares))
        np.add.at(sizes, about["stratum"].to_numpy(), about["place"].to_numpy())
        own = own.filter(pc.is_valid(own["customer_id"]))
        own = own.sort_by([("cutoff_index", "ascending"), ("customer_id", "ascending")])
        found.append(_put_together(own, sizes, draw))
    return found


def _put_together(table: pa.Table, sizes: Float64, draw: Draw) -> DrawnRows:
    ids = table["customer_id"].combine_chunks()
    customers = pc.unique(ids).sort()

    def matrix(columns: Sequence[str], kind: type) -> npt.NDArray[np.generic]:
        out = np.empty((table.num_rows, len(columns)), dtype=kind)
        for k, name in enumerate(columns):
            out[:, k] = table[name].to_numpy()
        return out

    def outcomes(what: str) -> Float64:
        columns = [name for name in table.column_names if name.startswith(what)]
        return matrix(columns, np.float64)  # type: ignore[return-value]

    whole = ("n_orders", "days_since_last_order", "tenure_days")
    rows = FeatureRows(
        draw.names,
        customers,
        table["cutoff_index"].to_numpy().astype(np.int64),
        pc.index_in(ids, customers).to_numpy().astype(np.int64),
        matrix([f"feature_{k}" for k in range(len(draw.names))], np.float32),  # type: ignore[arg-type]
        matrix(whole, np.int32),  # type: ignore[arg-type]
    )
    return DrawnRows(
        rows,
        Targets(outcomes("spend_"), outcomes("orders_")),
        table["stratum"].to_numpy().astype(np.int64),
        table["place"].to_numpy(),
        sizes,
        draw,
    )
