"""The features as one would write them in DuckDB, polars and pandas: competitors of the benchmark.

Each aggregates the lines to orders once and shares them among the cutoffs. Where two orders of a
customer share their instant, which of them is first or last is arbitrary.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import polars as pl

WINDOWS = (30, 60, 90, 180, 365)
FEATURES: tuple[str, ...] = (
    *("days_since_last_order", "tenure_days", "n_orders", "n_order_days", "active_days"),
    *("orders_per_year", "spend_total", "gross_total", "spend_per_year", "order_value_mean"),
    *("order_value_first", "order_value_last", "order_value_max", "order_value_min"),
    *("order_value_last_over_mean", "largest_order_share", "n_returns", "returns_total"),
    *("returns_share", "days_since_last_return", "gap_mean"),
    *(f"{name}_{days}" for days in WINDOWS for name in ("orders", "spend", "returns")),
    *("orders_change_30", "orders_change_90", "spend_change_30", "spend_change_90"),
    *("orders_recent_share", "spend_recent_share"),
    *("weekend_share", "evening_share", "year_end_share", "lines_per_order"),
    *("n_categories", "n_channels", "quantity_total", "quantity_per_order", "unit_price"),
)
_DAY = 86_400_000_000  # microseconds
_LARGEST = 1 << 40  # cents; order values lie below
_TRAILED = ("is_order", "value", "returned")
_COLUMNS = [*("customer_id", "ordered_at", "amount", "order_id", "category", "channel", "quantity")]

# ------------------------------------------------------------------------------------- DuckDB

_BATCH = 65_536  # rows
_ORDERS_SQL = """
CREATE TEMP TABLE orders AS
WITH grouped AS (
    SELECT
        customer_id,
        any_value(ordered_at) AS moment,
        round(sum(amount) * 100) AS net,
        round(coalesce(sum(amount) FILTER (amount > 0), 0) * 100) AS gross,
        count(*) FILTER (amount > 0) AS lines,
        coalesce(sum(quantity) FILTER (amount > 0), 0)::BIGINT AS quantity,
        bit_or({category}) FILTER (amount > 0) AS categories,
        bit_or({channel}) FILTER (amount > 0) AS channels
    FROM read_parquet($path)
    WHERE ordered_at < $until
    GROUP BY customer_id, order_id
)
SELECT
    customer_id, moment, net, gross, lines::INTEGER AS lines, quantity::INTEGER AS quantity,
    categories, channels,
    CASE WHEN net > 0 THEN net END AS value,
    CASE WHEN net > 0 THEN moment END AS order_moment,
    CASE WHEN net <= 0 THEN -net END AS returned,
    CASE WHEN net <= 0 THEN moment END AS return_moment,
    (net > 0 AND moment::DATE IS DISTINCT FROM lag(moment::DATE) OVER (
        PARTITION BY customer_id, net > 0 ORDER BY moment
    ))::INTEGER AS new_day,
    (net > 0 AND isodow(moment) >= 6)::INTEGER AS weekend,
    (net > 0 AND hour(moment) >= 18)::INTEGER AS evening,
    (net > 0 AND month(moment) >= 11)::INTEGER AS year_end
FROM grouped
"""

_WINDOW_SQL = """
        count(value) FILTER (moment >= $cutoff - INTERVAL {days} DAY) AS orders_{days},
        coalesce(sum(net) FILTER (moment >= $cutoff - INTERVAL {days} DAY), 0) / 100
            AS spend_{days},
        coalesce(sum(returned) FILTER (moment >= $cutoff - INTERVAL {days} DAY), 0) / 100
            AS returns_{days},"""

_FEATURES_SQL = """
WITH sums AS (
    SELECT
        count(value) AS n_orders,
        sum(new_day) AS n_order_days,
        epoch_us($cutoff - min(order_moment)) / 86400e6 AS tenure_days,
        epoch_us($cutoff - max(order_moment)) / 86400e6 AS days_since_last_order,
        epoch_us($cutoff - max(return_moment)) / 86400e6 AS days_since_last_return,
        sum(net) / 100 AS spend_total,
        sum(gross) / 100 AS gross_total,
        sum(value) / 100 AS value_total,
        arg_min(value, order_moment) / 100 AS order_value_first,
        arg_max(value, order_moment) / 100 AS order_value_last,
        max(value) / 100 AS order_value_max,
        min(value) / 100 AS order_value_min,
        count(returned) AS n_returns,
        coalesce(sum(returned), 0) / 100 AS returns_total,{windows}
        sum(weekend) / n_orders AS weekend_share,
        sum(evening) / n_orders AS evening_share,
        sum(year_end) / n_orders AS year_end_share,
        sum(lines) / n_orders AS lines_per_order,
        bit_count(bit_or(categories)) AS n_categories,
        bit_count(bit_or(channels)) AS n_channels,
        sum(quantity) AS quantity_total
    FROM orders
    WHERE moment < $cutoff
    GROUP BY customer_id
    HAVING count(value) > 0
), features AS (
    SELECT
        *,
        tenure_days - days_since_last_order AS active_days,
        n_orders / greatest(tenure_days, 28) * 365 AS orders_per_year,
        spend_total / greatest(tenure_days, 28) * 365 AS spend_per_year,
        value_total / n_orders AS order_value_mean,
        order_value_last / order_value_mean AS order_value_last_over_mean,
        order_value_max / value_total AS largest_order_share,
        returns_total / gross_total AS returns_share,
        active_days / nullif(n_orders - 1, 0) AS gap_mean,
        2 * orders_30 - orders_60 AS orders_change_30,
        2 * orders_90 - orders_180 AS orders_change_90,
        2 * spend_30 - spend_60 AS spend_change_30,
        2 * spend_90 - spend_180 AS spend_change_90,
        orders_90 / nullif(orders_365, 0) AS orders_recent_share,
        CASE WHEN spend_365 > 0 THEN spend_90 / spend_365 END AS spend_recent_share,
        quantity_total / n_orders AS quantity_per_order,
        gross_total / nullif(quantity_total, 0) AS unit_price
    FROM sums
)
SELECT {columns} FROM features
"""


def duckdb_blocks(path: str, cutoffs: list[datetime]) -> Iterator[np.ndarray]:
    """SQL: lines to a table of orders, then one aggregation of it per cutoff."""
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        bits = {name: _duckdb_bit(connection, path, name) for name in ("category", "channel")}
        connection.execute(_ORDERS_SQL.format(**bits), {"path": path, "until": max(cutoffs)})
        columns = ", ".join(f"coalesce({name}::FLOAT, 'nan') AS {name}" for name in FEATURES)
        windows = "".join(_WINDOW_SQL.format(days=days) for days in WINDOWS)
        query = _FEATURES_SQL.format(windows=windows, columns=columns)
        for cutoff in cutoffs:
            found = connection.sql(query, params={"cutoff": cutoff})
            for batch in found.to_arrow_reader(_BATCH):
                yield np.stack([column.to_numpy() for column in batch.columns]).T


def _duckdb_bit(connection: duckdb.DuckDBPyConnection, path: str, column: str) -> str:
    """An expression for a label's bit: distinct labels of orders are then a cheap `bit_or`."""
    labels = f"SELECT DISTINCT {column} FROM read_parquet('{path}') WHERE {column} IS NOT NULL"
    connection.execute(f"CREATE TYPE {column}_label AS ENUM ({labels})")
    found = connection.execute(f"SELECT len(enum_range(NULL::{column}_label))").fetchone()
    if found is None or found[0] > 63:
        raise ValueError(f"{column} has more than 63 labels")
    return f"1::BIGINT << enum_code({column}::{column}_label)"


# ------------------------------------------------------------------------------------- polars

_SUMMED = (
    *(*_TRAILED, "gross", "lines", "quantity", "new_day", "weekend", "evening", "year_end"),
    *("new_category", "new_channel"),
)


def polars_blocks(path: str, cutoffs: list[datetime]) -> Iterator[np.ndarray]:
    """Lazy polars: orders sorted by customer; sums at a cutoff are differences of running sums."""
    orders = _polars_orders(path, max(cutoffs))
    starts = orders.select(start=pl.arg_where(pl.col.customer_id.rle_id().diff().fill_null(1) > 0))
    starts = starts.with_columns(
        start=pl.col.start.cast(pl.Int64),
        last=pl.col.start.cast(pl.Int64).shift(-1, fill_value=orders.height) - 1,
    )
    sums, carried = _polars_running(orders)
    base = sums[starts["start"]]
    starts = starts.with_columns(
        *base.select(pl.all().name.prefix("base_")), carried["first_order"].gather(starts["start"])
    )
    for cutoff in cutoffs:
        yield _polars_at(cutoff, orders, starts, sums, carried)


def _polars_orders(path: str, until: datetime) -> pl.DataFrame:
    cents = (pl.col.amount * 100).round().cast(pl.Int64)
    bought = pl.col.cents > 0
    lines = (
        pl.scan_parquet(path)
        .filter(pl.col.ordered_at < until)
        .with_columns(cents=cents)
        .select(
            "customer_id",
            "order_id",
            "cents",
            moment="ordered_at",
            gross=pl.col.cents.clip(0),
            lines=bought.cast(pl.Int32),
            quantity=pl.when(bought).then("quantity").otherwise(0),
            new_category=_polars_first(pl.col.category, bought),
            new_channel=_polars_first(pl.col.channel, bought),
        )
    )
    grouped = lines.group_by("customer_id", "order_id").agg(
        pl.col.moment.first(),
        pl.col("cents", "gross", "lines", "quantity", "new_category", "new_channel").sum(),
    )
    return (
        grouped.sort("customer_id", "moment")
        .with_columns(is_order=pl.col.cents > 0)
        .drop("order_id")
        .collect(engine="streaming")
    )


def _polars_first(label: pl.Expr, bought: pl.Expr) -> pl.Expr:
    """1 on the line where a customer first buys a label: lines are sorted by time."""
    pair = pl.col.customer_id * 65_536 + label.to_physical().cast(pl.Int64)
    return (pl.when(bought).then(pair).is_first_distinct() & bought).cast(pl.Int32)


def _polars_running(orders: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Running sums before each row (and after the last), and what rows carry on from
    earlier ones.
    """
    is_order, row = pl.col.is_order, pl.int_range(pl.len(), dtype=pl.Int64)
    moment, net = pl.col.moment, pl.col.cents
    code = pl.col.customer_id.rle_id().cast(pl.Int64)
    day = code * 1_000_000 + moment.dt.epoch("d")
    day_before = pl.when(is_order).then(day).forward_fill().shift()
    rows = orders.select(
        "is_order",
        *("gross", "lines", "quantity", "new_category", "new_channel"),
        value=net.clip(0),
        returned=(-net).clip(0),
        weekend=is_order & (moment.dt.weekday() >= 6),
        evening=is_order & (moment.dt.hour() >= 18),
        year_end=is_order & (moment.dt.month() >= 11),
        new_day=is_order & day.ne_missing(day_before),
    )
    none = pl.DataFrame({name: [0] for name in _SUMMED}, schema=dict.fromkeys(_SUMMED, pl.Int64))
    sums = pl.concat([none, rows.select(pl.col(_SUMMED).cast(pl.Int64).cum_sum())])
    step = code * _LARGEST
    carried = orders.select(
        first_order=pl.when(is_order).then(row).backward_fill(),
        last_order=pl.when(is_order).then(row).forward_fill(),
        last_return=pl.when(~is_order).then(moment).forward_fill(),
        largest=(step + net.clip(0)).cum_max() % _LARGEST,
        smallest=_LARGEST
        - (step + pl.when(is_order).then(_LARGEST - net).otherwise(0)).cum_max() % _LARGEST,
    )
    return sums, carried


def _polars_at(
    cutoff: datetime,
    orders: pl.DataFrame,
    starts: pl.DataFrame,
    sums: pl.DataFrame,
    carried: pl.DataFrame,
) -> np.ndarray:
    instants = {days: cutoff - timedelta(days=days) for days in (0, *WINDOWS)}
    counts = orders.select(
        (pl.col.moment < instant)
        .cast(pl.Int64)
        .cum_sum()
        .gather(starts["last"])
        .alias(f"end_{days}")
        for days, instant in instants.items()
    )
    ends = counts.select(pl.all() - pl.all().shift(fill_value=0) + starts["start"])
    ends = ends.with_columns(*starts)
    known = sums["is_order"].gather(ends["end_0"]) > ends["base_is_order"]
    ends = ends.filter(known)
    now, seen = sums[ends["end_0"]], carried[ends["end_0"] - 1]
    first, last = orders[ends["first_order"]], orders[seen["last_order"]]
    trailing = {
        f"{name}_{days}": now[name] - sums[name].gather(ends[f"end_{days}"])
        for days in WINDOWS
        for name in _TRAILED
    }
    table = pl.DataFrame(
        {
            **{name: now[name] - ends[f"base_{name}"] for name in _SUMMED},
            **trailing,
            "n_returns": ends["end_0"] - ends["start"] - now["is_order"] + ends["base_is_order"],
            "first_moment": first["moment"],
            "last_moment": last["moment"],
            "last_return": seen["last_return"],
            "order_value_first": first["cents"],
            "order_value_last": last["cents"],
            "order_value_max": seen["largest"],
            "order_value_min": seen["smallest"],
        }
    )
    return _polars_features(table.lazy(), cutoff).collect().to_numpy()


def _polars_features(table: pl.LazyFrame, cutoff: datetime) -> pl.LazyFrame:
    c, n = pl.col, pl.col.is_order
    tenure, silence = (
        (cutoff - moment).dt.total_microseconds() / _DAY
        for moment in (c.first_moment, c.last_moment)
    )
    years = pl.max_horizontal(tenure, 28) / 365
    spend = (c.value - c.returned) / 100
    w = {
        name: column
        for days in WINDOWS
        for name, column in (
            (f"orders_{days}", c(f"is_order_{days}")),
            (f"spend_{days}", (c(f"value_{days}") - c(f"returned_{days}")) / 100),
            (f"returns_{days}", c(f"returned_{days}") / 100),
        )
    }
    columns = {
        "days_since_last_order": silence,
        "tenure_days": tenure,
        "n_orders": n,
        "n_order_days": c.new_day,
        "active_days": tenure - silence,
        "orders_per_year": n / years,
        "spend_total": spend,
        "gross_total": c.gross / 100,
        "spend_per_year": spend / years,
        "order_value_mean": c.value / n / 100,
        "order_value_first": c.order_value_first / 100,
        "order_value_last": c.order_value_last / 100,
        "order_value_max": c.order_value_max / 100,
        "order_value_min": c.order_value_min / 100,
        "order_value_last_over_mean": c.order_value_last * n / c.value,
        "largest_order_share": c.order_value_max / c.value,
        "n_returns": c.n_returns,
        "returns_total": c.returned / 100,
        "returns_share": c.returned / c.gross,
        "days_since_last_return": pl.when(c.n_returns > 0).then(
            (cutoff - c.last_return).dt.total_microseconds() / _DAY
        ),
        "gap_mean": pl.when(n > 1).then((tenure - silence) / (n - 1)),
        **w,
        "orders_change_30": 2 * w["orders_30"] - w["orders_60"],
        "orders_change_90": 2 * w["orders_90"] - w["orders_180"],
        "spend_change_30": 2 * w["spend_30"] - w["spend_60"],
        "spend_change_90": 2 * w["spend_90"] - w["spend_180"],
        "orders_recent_share": w["orders_90"] / w["orders_365"],
        "spend_recent_share": pl.when(w["spend_365"] > 0).then(w["spend_90"] / w["spend_365"]),
        "weekend_share": c.weekend / n,
        "evening_share": c.evening / n,
        "year_end_share": c.year_end / n,
        "lines_per_order": c.lines / n,
        "n_categories": c.new_category,
        "n_channels": c.new_channel,
        "quantity_total": c.quantity,
        "quantity_per_order": c.quantity / n,
        "unit_price": pl.when(c.quantity > 0).then(c.gross / 100 / c.quantity),
    }
    return table.select(columns[name].cast(pl.Float32).alias(name) for name in FEATURES)


# ------------------------------------------------------------------------------------- pandas


def pandas_blocks(path: str, cutoffs: list[datetime]) -> Iterator[np.ndarray]:
    """Pandas: orders sorted by customer; sums at a cutoff are differences of running sums."""
    orders = _pandas_orders(path, max(cutoffs))
    begins = _pandas_changes(orders["customer_id"])
    code, start = np.cumsum(begins) - 1, np.flatnonzero(begins)
    sums, carried = _pandas_running(orders, code)
    moment, is_order = orders["moment"].to_numpy(), orders["is_order"].to_numpy()
    rows = np.where(is_order, np.arange(len(orders)), len(orders))
    first_order = np.minimum.accumulate(rows[::-1])[::-1][start]
    n_orders = sums["is_order"].to_numpy()
    for cutoff in cutoffs:
        now = np.datetime64(cutoff, "us").astype(np.int64)
        ends = pd.DataFrame(
            {
                days: start + np.bincount(code[moment < now - days * _DAY], minlength=len(start))
                for days in (0, *WINDOWS)
            }
        ).assign(start=start, first_order=first_order)
        known = n_orders[ends[0]] > n_orders[start]
        yield _pandas_at(now, orders, sums, carried, ends[known])


def _pandas_orders(path: str, until: datetime) -> pd.DataFrame:
    lines = pd.read_parquet(path, columns=_COLUMNS, filters=[("ordered_at", "<", until)])
    cents = pd.Series(np.rint(lines["amount"].to_numpy() * 100).astype(np.int64))
    bought = cents > 0
    keys = ["customer_id", "order_id"]
    summed = pd.DataFrame(
        {
            "cents": cents,
            "gross": np.maximum(cents, 0),
            "lines": bought.astype("int64"),
            "quantity": (lines["quantity"] * bought).astype("int64"),
            "new_category": _pandas_first(lines, "category", bought),
            "new_channel": _pandas_first(lines, "channel", bought),
        },
        copy=False,
    )
    # lines of an order mostly follow each other: summing such runs first spares most of the hashing
    begins = np.flatnonzero(
        _pandas_changes(lines["customer_id"]) | _pandas_changes(lines["order_id"])
    )
    runs = lines[[*keys, "ordered_at"]].iloc[begins].reset_index(drop=True)
    for name in summed:
        runs[name] = np.add.reduceat(summed[name].to_numpy(), begins)
    if runs.duplicated(keys).any():
        sums = dict.fromkeys(summed, "sum")
        runs = runs.groupby(keys, sort=False).agg({"ordered_at": "first", **sums}).reset_index()
    orders = runs.sort_values("customer_id", kind="stable", ignore_index=True)
    moment = orders["ordered_at"].astype("datetime64[us]").astype("int64")
    return orders.assign(is_order=orders["cents"] > 0, moment=moment)


def _pandas_changes(column: pd.Series) -> np.ndarray:
    """Where a value differs from the one before it; the first one does."""
    values = column.to_numpy()
    return np.concatenate(([True], values[1:] != values[:-1]))


def _pandas_first(lines: pd.DataFrame, label: str, bought: pd.Series) -> pd.Series:
    """1 on the line where a customer first buys a label: lines are sorted by time."""
    codes = lines[label].cat
    pair = lines["customer_id"] * len(codes.categories) + codes.codes
    return (bought & ~pair.where(bought, -1).duplicated()).astype("int64")


def _pandas_running(orders: pd.DataFrame, code: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Running sums before each row (and after the last), and what rows carry on from
    earlier ones.
    """
    is_order, cents, time = orders["is_order"], orders["cents"], orders["ordered_at"].dt
    of_day = pd.Series(code * 1_000_000 + orders["moment"].to_numpy() // _DAY)[is_order]
    rows = {
        "is_order": is_order,
        "value": cents.clip(lower=0),
        "returned": (-cents).clip(lower=0),
        **{name: orders[name] for name in ("gross", "lines", "quantity")},
        "new_day": of_day.ne(of_day.shift()).reindex(orders.index, fill_value=False),
        "weekend": is_order & (time.dayofweek >= 5),
        "evening": is_order & (time.hour >= 18),
        "year_end": is_order & (time.month >= 11),
        **{name: orders[name] for name in ("new_category", "new_channel")},
    }
    sums = {}
    for name, column in rows.items():
        sums[name] = np.zeros(len(orders) + 1, dtype=np.int64)
        np.cumsum(column.to_numpy(), out=sums[name][1:])
    index = np.arange(len(orders))
    carried = {
        "last_order": np.maximum.accumulate(np.where(is_order, index, 0)),
        "last_return": np.maximum.accumulate(np.where(is_order, 0, index)),
        "largest": cents.groupby(code).cummax(),
        "smallest": cents.where(is_order, _LARGEST).groupby(code).cummin(),
    }
    return pd.DataFrame(sums, copy=False), pd.DataFrame(carried, copy=False)


def _pandas_at(
    now: np.int64,
    orders: pd.DataFrame,
    sums: pd.DataFrame,
    carried: pd.DataFrame,
    ends: pd.DataFrame,
) -> np.ndarray:
    start, end = ends["start"].to_numpy(), ends[0].to_numpy()
    table = {name: sums[name].to_numpy()[end] - sums[name].to_numpy()[start] for name in sums}
    for days in WINDOWS:
        since = ends[days].to_numpy()
        for name in _TRAILED:
            running = sums[name].to_numpy()
            table[f"{name}_{days}"] = running[end] - running[since]
    seen = {name: carried[name].to_numpy()[end - 1] for name in carried}
    moment, cents = orders["moment"].to_numpy(), orders["cents"].to_numpy()
    first_order = ends["first_order"].to_numpy()
    table |= {
        "n_returns": end - start - table["is_order"],
        "tenure": now - moment[first_order],
        "silence": now - moment[seen["last_order"]],
        "since_return": now - moment[seen["last_return"]],
        "first": cents[first_order],
        "last": cents[seen["last_order"]],
        "largest": seen["largest"],
        "smallest": seen["smallest"],
    }
    return _pandas_features(pd.DataFrame(table, copy=False))


def _pandas_features(t: pd.DataFrame) -> np.ndarray:
    n = t["is_order"]
    tenure, silence = t["tenure"] / _DAY, t["silence"] / _DAY
    years = tenure.clip(lower=28) / 365
    spend = (t["value"] - t["returned"]) / 100
    w = {}
    for days in WINDOWS:
        w[f"orders_{days}"] = t[f"is_order_{days}"]
        w[f"spend_{days}"] = (t[f"value_{days}"] - t[f"returned_{days}"]) / 100
        w[f"returns_{days}"] = t[f"returned_{days}"] / 100
    columns = {
        "days_since_last_order": silence,
        "tenure_days": tenure,
        "n_orders": n,
        "n_order_days": t["new_day"],
        "active_days": tenure - silence,
        "orders_per_year": n / years,
        "spend_total": spend,
        "gross_total": t["gross"] / 100,
        "spend_per_year": spend / years,
        "order_value_mean": t["value"] / n / 100,
        "order_value_first": t["first"] / 100,
        "order_value_last": t["last"] / 100,
        "order_value_max": t["largest"] / 100,
        "order_value_min": t["smallest"] / 100,
        "order_value_last_over_mean": t["last"] * n / t["value"],
        "largest_order_share": t["largest"] / t["value"],
        "n_returns": t["n_returns"],
        "returns_total": t["returned"] / 100,
        "returns_share": t["returned"] / t["gross"],
        "days_since_last_return": (t["since_return"] / _DAY).where(t["n_returns"] > 0),
        "gap_mean": (tenure - silence) / (n - 1).where(n > 1),
        **w,
        "orders_change_30": 2 * w["orders_30"] - w["orders_60"],
        "orders_change_90": 2 * w["orders_90"] - w["orders_180"],
        "spend_change_30": 2 * w["spend_30"] - w["spend_60"],
        "spend_change_90": 2 * w["spend_90"] - w["spend_180"],
        "orders_recent_share": w["orders_90"] / w["orders_365"],
        "spend_recent_share": w["spend_90"] / w["spend_365"].where(w["spend_365"] > 0),
        "weekend_share": t["weekend"] / n,
        "evening_share": t["evening"] / n,
        "year_end_share": t["year_end"] / n,
        "lines_per_order": t["lines"] / n,
        "n_categories": t["new_category"],
        "n_channels": t["new_channel"],
        "quantity_total": t["quantity"],
        "quantity_per_order": t["quantity"] / n,
        "unit_price": t["gross"] / 100 / t["quantity"].where(t["quantity"] > 0),
    }
    return np.stack([columns[name].to_numpy(np.float32) for name in FEATURES]).T
