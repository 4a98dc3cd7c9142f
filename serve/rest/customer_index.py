"""The shelf: forecasts in memory, best first, so that any selection of a million is shown at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ...decisions.customer_base import CustomerBase, Grouping
from ...errors import ConfigError, OrdersError
from ...features.table import compute_feature_rows
from ...models.explain import explain_rows
from ...models.model import TrainedModel
from ...models.segments import RISKS, TIERS
from ...models.totals import SEGMENT_SHOCK, total_of_sums
from ...orders import dates, windows
from ...orders.columns import Int64, TextColumn
from ...orders.orders import Orders

__all__ = ["PAGE_ROWS", "CustomerIndex"]

PAGE_ROWS = 25
_DIMENSIONS = ("tier", "rfm_segment", "risk", "channel")
_ORDERED = {"tier": TIERS[::-1], "risk": RISKS[::-1]}


@dataclass(frozen=True)
class CustomerIndex:
    """Forecasts by CLV, best first, and the sums of every cell of tier, segment, risk and channel."""

    base: CustomerBase
    best_first: pa.Table
    groupings: Mapping[str, Grouping]  # of the rows of `best_first`
    cells: pd.DataFrame  # a row a cell: a code per dimension, customers, clv, variance
    shock: float  # NaN where the file has no deviations

    @classmethod
    def of(cls, base: CustomerBase) -> CustomerIndex:
        """Sort and sum, once."""
        clv = base.numbers("clv")
        order = np.argsort(-clv, kind="stable")  # equals by customer_id
        dimensions = [d for d in _DIMENSIONS if d != "channel" or base.has_channels]
        groupings = {}
        for name in dimensions:
            made = base.grouping(name)
            groupings[name] = replace(made, codes=made.codes[order].astype(np.int32))
        has_spread = {"clv_deviation", "clv_shock"} <= set(base.forecasts.column_names)
        deviation = base.numbers("clv_deviation") if has_spread else np.zeros(len(clv))
        frame = pd.DataFrame({name: made.codes for name, made in groupings.items()})
        frame["customers"] = 1
        frame["clv"], frame["variance"] = clv[order], deviation[order] ** 2
        cells = frame.groupby(dimensions, sort=True).sum().reset_index()
        shock = float(base.numbers("clv_shock").max()) if has_spread else math.nan
        return cls(base, base.forecasts.take(pa.array(order)), groupings, cells, shock)

    @property
    def filters(self) -> dict[str, tuple[str, ...]]:
        """What may be chosen: dimension -> its names."""
        found = {}
        for name, grouping in self.groupings.items():
            first = [each for each in _ORDERED.get(name, ()) if each in grouping.names]
            found[name] = (*first, *(each for each in grouping.names if each not in first))
        return found

    def total(self, chosen: Mapping[str, str]) -> dict[str, float]:
        """Customers, expected CLV, lower and upper of a selection, as `clvcast.total` has them.

        Raises `ConfigError` for what is not there to be chosen.
        """
        mask = np.ones(len(self.cells), dtype=np.bool_)
        for name, code in self._codes(chosen).items():
            mask &= self.cells[name].to_numpy() == code
        own = self.cells[mask]
        apart = SEGMENT_SHOCK if 0 < len(own) < len(self.cells) else 0.0
        sums = math.fsum(own["clv"]), math.fsum(own["variance"])
        found = total_of_sums(
            sums[0], sums[1], 0.0 if math.isnan(self.shock) else self.shock, apart
        )
        if math.isnan(self.shock):
            found |= {"lower": math.nan, "upper": math.nan}
        return {"customers": int(own["customers"].sum())} | found

    def page(self, chosen: Mapping[str, str], page: int) -> pa.Table:
        """The rows of one page of a selection, best first, with the channel where it is known."""
        mask = np.ones(self.best_first.num_rows, dtype=np.bool_)
        for name, code in self._codes(chosen).items():
            mask &= self.groupings[name].codes == code
        rows = np.flatnonzero(mask)[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
        return self._with_channel(rows)

    def customer(self, customer_id: str) -> pa.Table:
        """One customer's row; raises `OrdersError` for an id without a forecast."""
        row = pc.index(self.best_first["customer_id"], customer_id).as_py()
        if row < 0:
            raise OrdersError("no forecast has this customer id; look the id up in the forecasts")
        return self._with_channel(np.array([row], dtype=np.int64))

    def history(self, customer_id: str) -> list[tuple[str, float]]:
        """One customer's orders and returns before the cutoff: day and net amount, newest first."""
        row = pc.index(self.base.forecasts["customer_id"], customer_id).as_py()
        entries = self.base.entries
        own = slice(int(entries.starts[row]), int(entries.starts[row + 1]))
        days = [dates.format_instant(int(at) // dates.DAY * dates.DAY) for at in entries.times[own]]
        amounts = (entries.net[own] / self.base.unit).tolist()
        return list(zip(days, amounts, strict=True))[::-1]

    def reasons(self, customer_id: str, model: TrainedModel) -> pd.DataFrame:
        """Why, by the model that made the forecasts; raises `ConfigError` for another, `OrdersError`
        where the orders lack a column it needs.
        """
        made_by = self.best_first["model_version"][0].as_py()
        if model.version != made_by:
            raise ConfigError(
                f"the forecasts were made by model {made_by}, the server has {model.version}"
            )
        position = pc.index(self.base.orders.customer_ids, customer_id).as_py()
        own = model.usable_columns(_one_customer(self.base.orders, position))
        at = np.array([self.base.cutoff], dtype=np.int64)
        return explain_rows(
            model, compute_feature_rows(windows.slice_observed(own, self.base.cutoff), at)
        )

    def _codes(self, chosen: Mapping[str, str]) -> dict[str, int]:
        codes = {}
        for name, value in chosen.items():
            grouping = self.groupings.get(name)
            if grouping is None or value not in grouping.names:
                raise ConfigError(f"{name} must be one of those the page offers")
            codes[name] = grouping.names.index(value)
        return codes

    def _with_channel(self, rows: Int64) -> pa.Table:
        found = self.best_first.take(pa.array(rows))
        channel = self.groupings.get("channel")
        if channel is not None:
            found = found.append_column(
                "channel", pa.array([channel.names[c] for c in channel.codes[rows]], pa.string())
            )
        return found


def _one_customer(orders: Orders, position: int) -> Orders:
    """One customer's lines, without a look at the others."""
    if orders.attributes is not None:
        keep = np.zeros(orders.n_customers, dtype=np.bool_)
        keep[position] = True
        return orders.keep_customers(keep)
    begin, end = int(orders.starts[position]), int(orders.starts[position + 1])
    starts: Int64 = np.array([0, end - begin], dtype=np.int64)
    changes: dict[str, Any] = {
        "customer_ids": orders.customer_ids.slice(position, 1),
        "starts": starts,
        "times": orders.times[begin:end],
        "amounts": orders.amounts[begin:end],
        "texts": {n: TextColumn(c.codes[begin:end], c.values) for n, c in orders.texts.items()},
        "numbers": {name: values[begin:end] for name, values in orders.numbers.items()},
    }
    return replace(orders, **changes)
