"""In-memory index of forecasts, sorted by value, for instant filtering."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ...decisions.customer_base import CustomerBase, Grouping
from ...errors import ConfigError, OrdersError
from ...features.table import compute_feature_rows
from ...models.explain_groups import explain_row_groups
from ...models.model import TrainedModel
from ...models.scoring import describe_terms
from ...models.segments import RISKS, TIERS
from ...models.totals import SEGMENT_SHOCK, total_of_sums
from ...orders import dates, windows
from ...orders.columns import Int64, Mask

__all__ = ["PAGE_ROWS", "CustomerIndex"]

PAGE_ROWS = 25
_DIMENSIONS = ("tier", "rfm_segment", "risk", "channel")
_ORDERED = {"tier": TIERS[::-1], "risk": RISKS[::-1]}


@dataclass(frozen=True)
class CustomerIndex:
    """Forecasts by falling CLV, and sums per combination of tier, segment, risk and channel."""

    base: CustomerBase
    best_first: pa.Table
    groupings: Mapping[str, Grouping]  # of the rows of `best_first`
    cells: pd.DataFrame  # a row per combination: a code per dimension, customers, clv, variance
    shock: float  # NaN where the file has no deviations

    @classmethod
    def of(cls, base: CustomerBase) -> CustomerIndex:
        """Build the index of a customer base."""
        clv = base.numbers("clv")
        order = np.argsort(-clv, kind="stable")  # equals by customer_id
        dimensions = [d for d in _DIMENSIONS if d != "channel" or base.has_channels]
        groupings = {}
        for name in dimensions:
            grouping = base.grouping(name)
            groupings[name] = replace(grouping, codes=grouping.codes[order].astype(np.int32))
        has_spread = {"clv_deviation", "clv_shock"} <= set(base.forecasts.column_names)
        deviation = base.numbers("clv_deviation") if has_spread else np.zeros(len(clv))
        frame = pd.DataFrame({name: grouping.codes for name, grouping in groupings.items()})
        frame["customers"] = 1
        frame["clv"], frame["variance"] = clv[order], deviation[order] ** 2
        cells = frame.groupby(dimensions, sort=True).sum().reset_index()
        shock = float(base.numbers("clv_shock").max()) if has_spread else math.nan
        return cls(base, base.forecasts.take(pa.array(order)), groupings, cells, shock)

    @property
    def filters(self) -> dict[str, tuple[str, ...]]:
        """The choices: dimension -> its names."""
        choices = {}
        for name, grouping in self.groupings.items():
            levels = [level for level in _ORDERED.get(name, ()) if level in grouping.names]
            choices[name] = tuple(dict.fromkeys((*levels, *grouping.names)))
        return choices

    def total(self, chosen: Mapping[str, str]) -> dict[str, float]:
        """Customers, expected CLV, lower and upper of a selection, as `clvcast.total` has them.

        Raises `ConfigError` for an unknown dimension or name.
        """
        codes = {name: self.cells[name].to_numpy() for name in self.groupings}
        cells = self.cells[self._select(chosen, codes, len(self.cells))]
        segment_shock = SEGMENT_SHOCK if 0 < len(cells) < len(self.cells) else 0.0
        clv, variance = math.fsum(cells["clv"]), math.fsum(cells["variance"])
        total = total_of_sums(clv, variance, np.nan_to_num(self.shock), segment_shock)
        if math.isnan(self.shock):
            total |= {"lower": math.nan, "upper": math.nan}
        return {"customers": int(cells["customers"].sum())} | total

    def page(self, chosen: Mapping[str, str], page: int) -> pa.Table:
        """One page of a selection, highest CLV first, with the channel where it is known."""
        codes = {name: grouping.codes for name, grouping in self.groupings.items()}
        mask = self._select(chosen, codes, self.best_first.num_rows)
        rows = np.flatnonzero(mask)[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
        return self._add_channel(rows)

    def customer(self, customer_id: str) -> pa.Table:
        """One customer's row; raises `OrdersError` for an id without a forecast."""
        row = pc.index(self.best_first["customer_id"], customer_id).as_py()
        if row < 0:
            raise OrdersError("no forecast has this customer id; look the id up in the forecasts")
        return self._add_channel(np.array([row], dtype=np.int64))

    def history(self, customer_id: str) -> list[tuple[str, float]]:
        """One customer's orders and returns before the cutoff: day and net amount, newest first."""
        row = pc.index(self.base.forecasts["customer_id"], customer_id).as_py()
        entries = self.base.entries
        rows = slice(int(entries.starts[row]), int(entries.starts[row + 1]))
        midnights = entries.times[rows] // dates.DAY * dates.DAY
        days = [dates.format_instant(midnight) for midnight in midnights.tolist()]
        amounts = (entries.net[rows] / self.base.unit).tolist()
        return list(zip(days, amounts, strict=True))[::-1]

    def reasons(self, customer_id: str, model: TrainedModel) -> pd.DataFrame:
        """The reasons of one customer's CLV, a row per group of features.

        Raises `ConfigError` where another model made the forecasts, `OrdersError` where the orders
        lack a column the model needs.
        """
        made_by = self.best_first["model_version"][0].as_py()
        if model.version != made_by:
            raise ConfigError(
                f"the forecasts were made by model {made_by}, the server has {model.version}"
            )
        if differing := self.base.terms.list_differences(describe_terms(model)):
            raise ConfigError(
                f"the forecasts have {self.base.terms.describe_keys(differing)}, the server "
                f"{describe_terms(model).describe_keys(differing)}; start it with the --config of "
                "the forecasts"
            )
        position = pc.index(self.base.orders.customer_ids, customer_id).as_py()
        orders = self.base.orders.slice_customers(position, position + 1)
        observed = windows.slice_observed(model.usable_columns(orders), self.base.cutoff)
        cutoffs = np.array([self.base.cutoff], dtype=np.int64)
        return explain_row_groups(model, compute_feature_rows(observed, cutoffs))

    def _select(self, chosen: Mapping[str, str], codes: Mapping[str, Int64], n: int) -> Mask:
        """Which of `n` rows a selection contains; `codes` are their groups by dimension."""
        mask = np.ones(n, dtype=np.bool_)
        for name, value in chosen.items():
            grouping = self.groupings.get(name)
            if grouping is None or value not in grouping.names:
                raise ConfigError(f"{name} must be one of the choices of the page")
            mask &= codes[name] == grouping.names.index(value)
        return mask

    def _add_channel(self, rows: Int64) -> pa.Table:
        table = self.best_first.take(pa.array(rows))
        channel = self.groupings.get("channel")
        if channel is not None:
            names = [channel.names[code] for code in channel.codes[rows]]
            table = table.append_column("channel", pa.array(names, pa.string()))
        return table
