"""Inputs of the measures: orders, revenue, retained and lost customers by whole period."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..orders import dates, windows
from ..orders.columns import Float64, Int64
from .customer_base import CustomerBase, Grouping

__all__ = ["DAYS_PER_MONTH", "GroupSums", "PeriodCounts"]

DAYS_PER_MONTH = dates.YEAR_DAYS / 12


@dataclass(frozen=True)
class GroupSums:
    """Inputs of the measures of some groups: arrays of n_groups, money in the currency."""

    customers: Int64
    new_customers: Int64
    active_customer_periods: Int64  # customers with an order in a period, over the periods
    orders: Int64
    revenue: Float64  # net
    at_start: Int64  # customers who ordered in the period before, over the periods
    lost: Int64  # those of them who did not order in the period
    repeaters: Int64  # customers with two orders or more, ever
    revenue_ever: Float64
    tenure_months: Float64
    costed: Float64  # amount sold with a known cost
    costs: Float64  # that cost
    whole_periods: bool = True


@dataclass(frozen=True)
class PeriodCounts:
    """Orders per customer and whole period; the first period only tells who was active."""

    period_days: int
    bounds: Int64  # n_periods + 1
    first_measured: int  # the first measured period
    orders: Int64  # n_rows x n_periods
    net: Int64  # n_rows x n_periods, in minor units
    costed: Int64  # n_rows x n_periods, in minor units
    costs: Float64  # n_rows x n_periods, in the currency
    base: CustomerBase

    @classmethod
    def of(cls, base: CustomerBase) -> PeriodCounts:
        """Count the orders of every customer in each period."""
        config, entries = base.config.kpis, base.entries
        days = config.period_days or base.horizon_days
        first = int(base.first_order_times.min())
        bounds = windows.compute_trailing_periods(first, base.cutoff, days, config.periods + 1)
        if len(bounds) == 1:  # no whole period: take what there is
            bounds = np.array([min(first, base.cutoff), base.cutoff], dtype=np.int64)
        n_periods = len(bounds) - 1
        slot = windows.find_slots(entries.times, bounds)
        inside = (slot >= 0) & (slot < n_periods)
        cell = entries.customers[inside] * n_periods + slot[inside]
        shape = (base.n_rows, n_periods)

        # a customer's entries ascend in time, so cells ascend: each is one run
        begins = np.flatnonzero(np.diff(cell, prepend=-1))

        def per_cell(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            total = np.zeros(base.n_rows * n_periods, dtype=values.dtype)
            if len(begins):
                total[cell[begins]] = np.add.reduceat(values[inside], begins)
            return total.reshape(shape)

        return cls(
            days,
            bounds,
            max(n_periods - config.periods, 0),
            np.asarray(per_cell(entries.is_order.astype(np.int64)), np.int64),
            np.asarray(per_cell(entries.net), np.int64),
            np.asarray(per_cell(entries.costed), np.int64),
            np.asarray(per_cell(entries.costs), np.float64),
            base,
        )

    @property
    def n_whole(self) -> int:
        """Number of measured whole periods."""
        has_whole = self.bounds[-1] - self.bounds[0] >= self.period_days * dates.DAY
        return len(self.bounds) - 1 - self.first_measured if has_whole else 0

    @cached_property
    def _per_customer(self) -> dict[str, npt.NDArray[np.generic]]:
        """The values that groups add up: arrays of n_rows by name, money in minor units."""
        base, measured = self.base, slice(self.first_measured, None)
        active = self.orders > 0
        came, stayed = active[:, :-1], active[:, 1:]
        first = windows.find_slots(base.first_order_times, self.bounds)
        return {
            "new_customers": ((first >= self.first_measured) & ~base.is_left_truncated).astype(
                np.int64
            ),
            "active_customer_periods": active[:, measured].sum(axis=1),
            "orders": self.orders[:, measured].sum(axis=1),
            "revenue": self.net[:, measured].sum(axis=1),
            "at_start": came.sum(axis=1),
            "lost": (came & ~stayed).sum(axis=1),
            "repeaters": (base.entries.n_orders >= 2).astype(np.int64),
            "revenue_ever": base.entries.spend,
            "costed": self.costed[:, measured].sum(axis=1),
            "tenure_months": (base.cutoff - base.first_order_times) / dates.DAY / DAYS_PER_MONTH,
            "costs": self.costs[:, measured].sum(axis=1),
        }

    def sums_by(self, grouping: Grouping) -> GroupSums:
        """The sums of each group over the measured periods."""
        sums = {name: grouping.sums(values) for name, values in self._per_customer.items()}
        for name in ("revenue", "revenue_ever", "costed"):
            sums[name] = np.asarray(sums[name], np.float64) / self.base.unit
        sums["customers"] = grouping.counts()
        return GroupSums(whole_periods=self.n_whole > 0, **sums)  # type: ignore[arg-type]

    def sums_of_periods(self) -> GroupSums:
        """The sums of each measured period over all customers; lifetime sums run to its end."""
        base, measured = self.base, slice(self.first_measured, None)
        active = self.orders > 0
        n_periods = self.orders.shape[1]
        before = np.zeros((base.n_rows, 1), dtype=np.bool_)
        came = np.concatenate((before, active[:, :-1]), axis=1)
        slot = np.minimum(windows.find_slots(base.entries.times, self.bounds), n_periods - 1)
        first = windows.find_slots(base.first_order_times, self.bounds)
        n_customers = np.array([np.count_nonzero(first <= k) for k in range(n_periods)])
        tenure, ever = np.zeros(n_periods), np.zeros(n_periods, np.int64)
        repeaters = np.zeros(n_periods, np.int64)
        for k in range(self.first_measured, n_periods):
            there = first <= k
            end = self.bounds[k + 1]
            days = (end - base.first_order_times[there]).sum() / dates.DAY
            tenure[k] = days / DAYS_PER_MONTH
            ever[k] = base.entries.net[slot <= k].sum()
            so_far = base.entries.per_customer(
                (base.entries.is_order & (slot <= k)).astype(np.int64)
            )
            repeaters[k] = np.count_nonzero(so_far >= 2)
        return GroupSums(
            customers=n_customers[measured],
            new_customers=np.bincount(
                np.maximum(first[~base.is_left_truncated], -1) + 1, minlength=n_periods + 1
            )[1:][measured],
            active_customer_periods=active.sum(axis=0)[measured],
            orders=self.orders.sum(axis=0)[measured],
            revenue=self.net.sum(axis=0)[measured] / base.unit,
            at_start=came.sum(axis=0)[measured],
            lost=(came & ~active).sum(axis=0)[measured],
            repeaters=repeaters[measured],
            revenue_ever=ever[measured] / base.unit,
            tenure_months=tenure[measured],
            costed=self.costed.sum(axis=0)[measured] / base.unit,
            costs=self.costs.sum(axis=0)[measured],
            whole_periods=self.n_whole > 0,
        )
