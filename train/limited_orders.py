"""Limited orders: what a training sees of orders that need more memory than it may use.

Customers are dealt into groups by a hash of their ids. The first groups that have room are trained
on, their trees learn from the feature rows of a sample of them, and BTYD is fitted on everybody: it
needs a few numbers of each customer. Orders that have room are trained on as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..configs.schema import Config
from ..errors import OrdersError
from ..features.configured_orders import attach_configured
from ..features.table import FeatureRows, compute_feature_rows
from ..orders import dates, windows
from ..orders.columns import Int64
from ..orders.cutoffs import can_train, get_default_cutoff, resolve_training_end
from ..orders.extra_features import ExtraFunction
from ..orders.order_totals import OrderTotals
from ..orders.orders import Orders
from ..orders.reading.customer_attributes import attach_customers
from ..orders.reading.customer_groups import (
    N_GROUPS,
    CustomerGroups,
    GroupSizes,
    assign_groups,
    estimate_needed,
    open_groups,
)
from ..orders.reading.read_orders import (
    OrdersSource,
    coerce_orders,
    read_configured_orders,
)
from .customer_sampling import count_training_rows
from .memory_plan import LEAST_CUSTOMERS, MemoryPlan, plan_memory

__all__ = ["Everyone", "LimitedOrders", "count_rows", "limit_orders", "open_limited_orders"]

# instant -> one row per customer known then, with what BTYD is fitted on
Everyone = Mapping[int, FeatureRows]
_BTYD_GROUPS = ("recency", "money")
_BTYD_FEATURES = (
    "tenure_days",
    "n_orders",
    "n_order_days",
    "active_days",
    "spend_total",
    "order_value_mean",
    "order_value_first",
)


@dataclass(frozen=True)
class LimitedOrders:
    """Orders to train on, with what is known of the customers who are not among them."""

    orders: Orders  # of all customers, or of those drawn
    plan: MemoryPlan
    end: int  # of the training: nothing at or after it decides what is among them
    max_rows: int | None = None  # as in `fit`; None where all rows have room
    share: float = 1.0  # of all customers whose orders these are
    count_everyone: Callable[[Sequence[int]], Everyone] = lambda instants: {}
    totals: OrderTotals | None = None  # of all customers; None where not known, or all are here
    remark: str = ""  # what a sample is of
    rows_setting: str = "memory_limit"  # the one to raise for more feature rows
    concerns: tuple[str, ...] = ()  # about the cutoff

    @property
    def is_sample(self) -> bool:
        """Whether not everything had room."""
        return self.max_rows is not None

    def count_models(self, config: Config, most: int) -> int:
        """How many models may be trained at a time, `most` at most."""
        n_rows = self.max_rows or count_rows(self.orders, config, self.end)
        counts = (self.orders.n_lines, self.orders.n_customers, n_rows)
        return max(
            (n for n in range(1, most + 1) if self.plan.has_room(*counts, models=n)), default=1
        )


def limit_orders(
    orders: Orders, config: Config, cutoff: dates.Instant | None = None
) -> LimitedOrders:
    """The part of orders in memory that a training has room for under `config.memory_limit`.

    Orders at or after `cutoff` decide nothing. Refuses a cutoff out of range.
    """
    plan = plan_memory(config, orders.optional_columns)
    first, complete_until = windows.find_first_order_at(orders), get_default_cutoff(orders)
    concerns: list[str] = []
    end = resolve_training_end(first, complete_until, config.horizon_days, cutoff, concerns.append)
    everything = LimitedOrders(orders, plan, end, concerns=tuple(concerns))
    observed = windows.slice_observed(orders, end)
    n_rows = count_rows(observed, config, end)
    if plan.has_room(observed.n_lines, observed.n_customers, n_rows):
        return everything
    sizes = GroupSizes.of(observed)
    n_groups = plan.count_groups(sizes.lines, sizes.customers, with_rows=True)
    if n_groups >= N_GROUPS:
        limited = replace(everything, max_rows=plan.most_rows)
        return _describe_sample(limited, config, observed.n_customers)
    groups = assign_groups(observed)
    sample = replace(observed.keep_customers(groups < n_groups), complete_until=complete_until)
    share = sample.n_customers / observed.n_customers
    if sample.season_history is not None:
        sample = replace(sample, season_history=sample.season_history.scale(share))

    def count_everyone(instants: Sequence[int]) -> Everyone:
        by_instant = {}
        for instant in instants:
            past = windows.slice_observed(observed, instant)
            rows, known = _count_at(past, instant), assign_groups(past)
            # as files are read: the sample first, then group by group
            ranks = np.where(known < n_groups, 0, known)
            order = np.argsort(ranks[rows.customer_index], kind="stable")
            sorted_rows = replace(rows, values=rows.values[order])
            by_instant[instant] = _join_rows([sorted_rows])
        return by_instant

    limited = replace(
        everything,
        orders=sample,
        max_rows=plan.most_rows,
        share=share,
        count_everyone=count_everyone,
        totals=OrderTotals.of(observed),
    )
    return _describe_sample(limited, config, observed.n_customers)


@contextmanager
def open_limited_orders(
    source: OrdersSource | None,
    config: Config,
    extra_features: ExtraFunction | None = None,
    cutoff: dates.Instant | None = None,
    folder: Path | None = None,
) -> Iterator[LimitedOrders]:
    """What a training has room for of orders as public functions take them, with attributes and
    all that the configuration adds.

    Without a source they are the configuration's. Orders at or after `cutoff` decide nothing. Files
    that need more than the limit are read into temporary files, in `folder` or where the system
    keeps such.
    """
    if source is None or isinstance(source, str | Path):
        reading = config.orders if source is None else config.orders.reading(str(source))
        own_names_too = source is not None
        room = plan_memory(config, ()).room
        if estimate_needed(reading, own_names_too=own_names_too) > room:
            config = config.model_copy(update={"orders": reading})
            end = None if cutoff is None else dates.parse_instant(cutoff)
            with open_groups(
                reading, cutoff=end, own_names_too=own_names_too, folder=folder
            ) as groups:
                yield _limit_groups(groups, config, extra_features, cutoff)
            return
    orders = _read_whole(source, config)
    orders = attach_customers(orders, None, config.customers, config.orders)
    yield limit_orders(attach_configured(orders, config, extra_features), config, cutoff)


def _read_whole(source: OrdersSource | None, config: Config) -> Orders:
    if source is None:
        return read_configured_orders(config.orders)
    return coerce_orders(source, config.orders)


def _limit_groups(
    groups: CustomerGroups,
    config: Config,
    extra_features: ExtraFunction | None,
    cutoff: dates.Instant | None,
) -> LimitedOrders:
    """The customers of files that have room: the same as if all orders were in memory."""
    concerns: list[str] = []
    end = resolve_training_end(
        groups.first_order_at, groups.complete_until, config.horizon_days, cutoff, concerns.append
    )
    plan, sizes = plan_memory(config, groups.optional_columns), groups.sizes
    has_room = plan.count_groups(sizes.lines, sizes.customers, with_rows=False) >= N_GROUPS
    n_groups = N_GROUPS
    if not has_room:
        n_groups = plan.count_groups(sizes.lines, sizes.customers, with_rows=True)
    orders = groups.read(range(n_groups))
    share = int(sizes.customers[:n_groups].sum()) / int(sizes.customers.sum())
    orders = attach_customers(orders, None, config.customers, config.orders)
    orders = attach_configured(orders, config, extra_features, share)
    if has_room:
        return limit_orders(orders, config, cutoff)
    sample = windows.slice_observed(orders, end)

    def count_everyone(instants: Sequence[int]) -> Everyone:
        rows: dict[int, list[FeatureRows]] = {instant: [] for instant in instants}
        for part in (range(n_groups), *([k] for k in range(n_groups, N_GROUPS))):
            if sizes.lines[part].any():
                some = groups.read(part)
                for instant in instants:
                    rows[instant].append(_join_rows([_count_at(some, instant)]))
        return {instant: _join_rows(parts) for instant, parts in rows.items()}

    limited = LimitedOrders(
        sample,
        plan,
        end,
        max_rows=plan.most_rows,
        share=share,
        count_everyone=count_everyone,
        totals=groups.totals,
        concerns=tuple(concerns),
    )
    return _describe_sample(limited, config, int(sizes.customers.sum()))


def count_rows(orders: Orders, config: Config, end: int) -> int:
    """How many feature rows a model learns from; where history is too short for trees, few."""
    if not can_train(windows.find_first_order_at(orders), end, config.horizon_days):
        return orders.n_customers
    return count_training_rows(orders, config.horizon_days, end)


def _count_at(orders: Orders, instant: int) -> FeatureRows:
    """What BTYD needs of the customers known before an instant."""
    observed = windows.slice_observed(orders, instant)
    observed = replace(observed, attributes=None, extra=None, calendar=None)
    return compute_feature_rows(observed, np.array([instant], dtype=np.int64), _BTYD_GROUPS)


def _join_rows(parts: Sequence[FeatureRows]) -> FeatureRows:
    """The columns BTYD is fitted on, of all parts; the rows name no customer."""
    values = np.concatenate([rows.columns(_BTYD_FEATURES) for rows in parts])
    n_rows = len(values)
    nobody: Int64 = np.broadcast_to(np.int64(0), (n_rows,))
    whole = np.broadcast_to(np.int32(0), (n_rows, 3))
    ids = pa.array([], pa.string())
    return FeatureRows(_BTYD_FEATURES, ids, nobody, nobody, values, whole)


def _describe_sample(limited: LimitedOrders, config: Config, n_customers: int) -> LimitedOrders:
    """The same with a remark on what had room; refuses room for too few customers."""
    orders = limited.orders
    if limited.share < 1.0 and orders.n_customers < LEAST_CUSTOMERS:
        raise OrdersError(
            f"memory_limit has room for {orders.n_customers:,} of {n_customers:,} customers, and "
            f"training needs {LEAST_CUSTOMERS}; raise memory_limit"
        )
    has_more_rows = count_rows(orders, config, limited.end) > (limited.max_rows or 0)
    rows_setting = limited.plan.rows_setting if has_more_rows else "memory_limit"
    settings = [rows_setting]
    customers = f"all {n_customers:,} customers"
    if limited.share < 1.0:
        settings = list(dict.fromkeys(["memory_limit", rows_setting]))
        customers = (
            f"{orders.n_customers:,} of {n_customers:,} customers, drawn by a hash of their ids"
        )
    remark = (
        f"memory_limit: trained on {customers}, its trees on about {limited.max_rows:,} feature "
        f"rows of them at most, BTYD on all customers; raise {' and '.join(settings)} to train on "
        "more"
    )
    report = replace(orders.report, remarks=(*orders.report.remarks, remark))
    return replace(
        limited,
        orders=replace(orders, report=report),
        remark=remark,
        rows_setting=rows_setting,
    )
