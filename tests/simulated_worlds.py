"""Shops with known truth: Pareto/NBD and Gamma-Gamma, moved by season, growth, prices and shocks.

A customer comes with a first order, orders at a Poisson rate of their own, and leaves for good
after an exponential time. Order values scatter around a mean of the customer's own. A kind of world
moves that day by day. The truth is the expected spend of each customer given all that made them
(rate, value, still there or not) and the calendar to come: no model knows it, all estimate it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["KINDS", "World", "WorldKind", "make_world"]

Float64 = npt.NDArray[np.float64]
FIRST_DAY = pd.Timestamp("2021-01-01")


@dataclass(frozen=True)
class WorldKind:
    """What moves a shop; the defaults move nothing."""

    name: str
    season: float = 0.0  # half the range of the log of demand over the year
    growth: float = 0.0  # yearly growth of new customers, in logs
    price_drift: float = 0.0  # yearly, in logs
    promotions: int = 0  # irregular weeks a year with twice the orders at 20 % off
    whales: float = 0.0  # share of customers with 15 times the order value
    fading: float = 0.0  # share of customers from a channel whose demand halves every half year
    has_shocks: bool = False  # something to come that no order before the cutoff tells


KINDS = (
    WorldKind("plain"),
    WorldKind("season", season=0.4),
    WorldKind("growth", growth=0.6),
    WorldKind("price drift", price_drift=0.08),
    WorldKind("whales", whales=0.01),
    WorldKind("season, growth and drift", season=0.3, growth=0.4, price_drift=0.05),
    WorldKind("promotions", promotions=4, has_shocks=True),
    WorldKind("fading channel", fading=0.3, has_shocks=True),
)


@dataclass(frozen=True)
class World:
    """One shop: its orders before and after the cutoff, and the expectation of what comes after."""

    kind: WorldKind
    seed: int
    lines: pd.DataFrame  # customer_id, ordered_at, amount, order_id, channel; all before the cutoff
    cutoff: pd.Timestamp
    horizon_days: int
    truth: pd.DataFrame  # customers (index, sorted) x periods: expected spend
    actual: pd.DataFrame  # the same, as it happened
    promotions: pd.DatetimeIndex  # days, past and to come


def make_world(
    kind: WorldKind,
    seed: int,
    customers: int = 1_000,
    history_days: int = 800,
    horizon_days: int = 60,
    periods: int = 4,
) -> World:
    """Draw a shop; the same arguments give the same one."""
    random = np.random.default_rng([seed, *kind.name.encode()])
    days = history_days + horizon_days * periods
    first = _draw_first_days(random, kind, customers, history_days)
    rate = random.gamma(random.uniform(0.6, 1.5), 1 / random.uniform(25, 60), customers)
    leaving = random.gamma(0.7, 1 / random.uniform(150, 400), customers)
    last = first + random.exponential(1 / np.maximum(leaving, 1e-6))
    value = random.uniform(10, 80) * 4 / random.gamma(5, 1, customers)  # inverse gamma, mean 1
    value *= np.where(random.random(customers) < kind.whales, 15.0, 1.0)
    fades = random.random(customers) < kind.fading
    demand, price, promoted = _build_calendar(random, kind, days)
    fade = 0.5 ** (np.arange(days) / 182.5)
    intensity = rate[:, None] * demand * np.where(fades[:, None], fade, 1.0)
    day = np.arange(days)
    alive = (day > first[:, None]) & (day < last[:, None])
    counts = random.poisson(intensity * alive)
    counts[np.arange(customers), first] += 1
    lines = _list_lines(random, counts, value, price, fades)
    cutoff = FIRST_DAY + pd.Timedelta(days=history_days)
    known = lines["ordered_at"] < cutoff
    ids = pd.Index(sorted(lines.loc[known, "customer_id"].unique()))
    # who is there on the first day after the cutoff stays with probability exp(-leaving x days)
    ahead = np.arange(days - history_days)
    stays = np.exp(-leaving[:, None] * ahead) * (last > history_days)[:, None]
    expected = intensity[:, history_days:] * stays * value[:, None] * price[history_days:]
    by_period = expected.reshape(customers, periods, horizon_days).sum(axis=2)
    names = pd.Index([f"C{k:05d}" for k in range(customers)])
    columns = range(1, periods + 1)
    later = lines[~known]
    period = (later["ordered_at"] - cutoff).dt.days // horizon_days + 1
    spent = later["amount"].groupby([later["customer_id"], period]).sum().unstack().fillna(0.0)
    return World(
        kind,
        seed,
        lines[known].reset_index(drop=True),
        cutoff,
        horizon_days,
        pd.DataFrame(by_period, index=names, columns=columns).loc[ids],
        spent.reindex(index=ids, columns=columns, fill_value=0.0),
        FIRST_DAY + pd.to_timedelta(np.flatnonzero(promoted), unit="D"),
    )


def _draw_first_days(
    random: np.random.Generator, kind: WorldKind, customers: int, history_days: int
) -> npt.NDArray[np.int64]:
    """Days of the first orders, ever more of them where a shop grows; all before the cutoff."""
    weights = np.exp(kind.growth * np.arange(history_days) / 365)
    return random.choice(history_days, customers, p=weights / weights.sum())


def _build_calendar(
    random: np.random.Generator, kind: WorldKind, days: int
) -> tuple[Float64, Float64, npt.NDArray[np.bool_]]:
    """What each day does to the rate of orders and to their value, and which are promoted."""
    day = np.arange(days)
    peak = random.uniform(0, 365)
    demand = np.exp(kind.season * np.cos(2 * np.pi * (day - peak) / 365))
    price = np.exp(kind.price_drift * day / 365)
    promoted = np.zeros(days, dtype=np.bool_)
    for _ in range(round(kind.promotions * days / 365)):
        week = slice(begin := int(random.integers(0, days)), begin + 7)
        demand[week], price[week] = demand[week] * 2.0, price[week] * 0.8
        promoted[week] = True
    return demand, price, promoted


def _list_lines(
    random: np.random.Generator,
    counts: npt.NDArray[np.int64],
    value: Float64,
    price: Float64,
    fades: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """One line per order, at a random minute of its day."""
    owner, day = np.nonzero(counts)
    times = counts[owner, day]
    owner, day = np.repeat(owner, times), np.repeat(day, times)
    amount = value[owner] * price[day] * random.gamma(6, 1 / 6, len(owner))
    minutes = day * 1440 + random.integers(0, 1440, len(owner))
    return pd.DataFrame(
        {
            "customer_id": pd.Series([f"C{k:05d}" for k in owner], dtype="str"),
            "ordered_at": FIRST_DAY + pd.to_timedelta(minutes, unit="m"),
            "amount": np.maximum(amount.round(2), 0.01),
            "order_id": pd.Series([f"o{k}" for k in range(len(owner))], dtype="str"),
            "channel": pd.Series(np.where(fades[owner], "fading", "main"), dtype="str"),
        }
    ).sort_values(["ordered_at", "order_id"], ignore_index=True)
