"""Acquisition cohorts: customers by channel and month of the first order, and their cost."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np

from ..orders import dates
from ..orders.columns import Float64, Int64, Mask, Text
from ..orders.reading.validation_issues import pluralize
from .acquisition_spend import Spend, find_gaps
from .customer_base import CustomerBase, Grouping

__all__ = ["Cohorts", "Level"]

ALL = "all"  # the channel of orders without one


@dataclass(frozen=True)
class Cohorts:
    """Every channel and month with customers or spend: arrays of n_cohorts."""

    grouping: Grouping  # customers by cohort
    channels: Text
    months: Int64
    spend: Float64  # NaN where not stated
    is_ours: Mask  # the cohort's channel has a customer, in any month
    is_old: Mask  # the month may hold old customers, so it counts in no total

    @classmethod
    def of(cls, base: CustomerBase, stated: Spend, remarks: list[str]) -> Cohorts:
        """Every channel and month with customers or stated spend; oddities go to `remarks`."""
        channel = base.grouping("channel" if base.has_channels else "shop")
        month = dates.to_months(base.first_order_times)
        spent: dict[tuple[str, int], int] = {}
        latest = dates.to_months(np.array([base.cutoff - 1]))[0]
        rows = zip(stated.channels, stated.months.tolist(), stated.amounts.tolist(), strict=True)
        late = int((stated.months > latest).sum())
        for name, when, amount in rows:
            if when > latest:
                continue
            key = (name if base.has_channels else ALL, when)
            spent[key] = spent.get(key, 0) + amount
        if late:
            remarks.append(
                f"{pluralize(late, 'row')} of spend left out: after the cutoff "
                f"{dates.format_instant(base.cutoff)}"
            )
        if not base.has_channels:
            remarks.append(
                "the orders have no channel: spend is added up by month; map "
                "orders.columns.channel to separate channels"
            )
        _check_channels(base, stated, channel, remarks)
        ours = np.unique(np.stack([channel.codes, month], axis=1), axis=0)
        keys = {(channel.names[code], int(when)) for code, when in ours} | set(spent)
        ordered = sorted(keys)
        place = {key: position for position, key in enumerate(ordered)}
        low, width = int(month.min()), int(month.max() - month.min()) + 1
        lookup = np.zeros(len(channel.names) * width, dtype=np.int64)
        for code, when in ours:
            lookup[code * width + when - low] = place[channel.names[code], int(when)]
        codes = lookup[channel.codes * width + month - low]
        names = tuple(f"{name} {dates.format_month(when)}" for name, when in ordered)
        since = int(dates.to_months(np.array([base.known_since]))[0])
        all_months = np.array([when for _, when in ordered], dtype=np.int64)
        is_old = np.asarray((all_months < since) & bool(base.is_left_truncated.any()))
        first_month = dates.format_month(low)
        if is_old.any() and any(when < since for _, when in spent):
            remarks.append(
                f"customers with a first order before {dates.format_month(since)} may be old ones: "
                "these months are in no total (is_left_truncated); state kpis.has_all_orders if "
                "the orders begin with the shop's first"
            )
        elif not base.config.kpis.has_all_orders and any(when == low for _, when in spent):
            remarks.append(
                f"{first_month} is the first month of the history: existing customers count as new "
                "in it, so its CAC is too low; state kpis.has_all_orders if there were none"
            )
        return cls(
            Grouping("channel_month", codes, names),
            np.array([name for name, _ in ordered], dtype=object),
            np.array([when for _, when in ordered], dtype=np.int64),
            np.array([spent[key] / base.unit if key in spent else np.nan for key in ordered]),
            np.array([name == ALL or name in channel.names for name, _ in ordered]),
            is_old,
        )

    def levels(self) -> list[Level]:
        """The reported levels: shop, channels, months, and months of each channel."""
        names = [dates.format_month(month) for month in self.months.tolist()]
        pairs = list(zip(self.channels.tolist(), names, strict=True))
        keys: dict[str, list[tuple[str | None, str | None]]] = {
            "shop": [(None, None)] * len(pairs),
            "channel": [(channel, None) for channel, _ in pairs],
            "month": [(None, month) for _, month in pairs],
            "channel_month": [(channel, month) for channel, month in pairs],
        }
        levels = []
        for name, level_keys in keys.items():
            # a channel without customers has a row of its own and is in no other
            apart = ~self.is_ours if "channel" not in name else np.zeros(len(pairs), np.bool_)
            old = self.is_old if "month" not in name else np.zeros(len(pairs), np.bool_)
            levels.append(Level.of(name, level_keys, ~np.isnan(self.spend), apart, old))
        return levels


@dataclass(frozen=True)
class Level:
    """One level of the report: its rows, and the row of each cohort."""

    name: str
    keys: tuple[tuple[str | None, str | None], ...]  # channel and month of each row
    row_of: Int64  # n_cohorts
    used: Mask  # n_cohorts; a row counts its cohorts with stated spend, or all where none has
    apart: Mask  # n_cohorts; spend of channels without customers: reported apart, in no ratio
    old: Mask  # n_cohorts; months that may hold old customers: in no total over months

    @classmethod
    def of(
        cls,
        name: str,
        keys: list[tuple[str | None, str | None]],
        stated: Mask,
        apart: Mask,
        old: Mask,
    ) -> Level:
        """One row per distinct key; `keys` are the cohorts' channel and month."""
        rows = list(dict.fromkeys(keys))
        rows.sort(key=lambda key: (key[0] or "", key[1] or ""))
        place = {key: position for position, key in enumerate(rows)}
        row_of = np.array([place[key] for key in keys], dtype=np.int64)
        counted = stated & ~apart & ~old
        has_spend = np.bincount(row_of, weights=counted, minlength=len(rows)) > 0
        used = (counted | ~has_spend[row_of]) & ~apart & ~old
        return cls(name, tuple(rows), row_of, used, apart, old)


def _check_channels(
    base: CustomerBase, stated: Spend, channel: Grouping, remarks: list[str]
) -> None:
    if not base.has_channels:
        return
    for name in sorted(set(stated.channels) - set(channel.names)):
        nearest = difflib.get_close_matches(name, channel.names, n=1)
        mend = f"; did you mean {nearest[0]}?" if nearest else ""
        remarks.append(
            f"spend is stated for {name}, a channel without customers: it counts in no other row's "
            f"CAC, but in unattributed_spend and cac_fully_loaded{mend}"
        )
    without = sorted(set(channel.names) - set(stated.channels))
    if without:
        remarks.append(f"no spend is stated for {', '.join(without)}: CAC is empty there")
    remarks += find_gaps(stated, sorted(set(stated.channels) & set(channel.names)))
