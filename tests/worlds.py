"""Worlds to test in: seeded shops, and random small ones for laws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

FIRST_DAY = "2020-01-01"
FEW, MANY = 15, 100


def law(
    *strategies: st.SearchStrategy[Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A law that is tried over a few random worlds in the fast tests, over many in the
    slow ones.
    """

    def decorate(law: Callable[..., None]) -> Callable[..., None]:
        few, many = (settings(max_examples=n)(given(*strategies)(law)) for n in (FEW, MANY))

        def holds(tried: Callable[[], None]) -> None:
            tried()

        holds.__doc__, holds.__module__ = law.__doc__, law.__module__
        sizes = [
            pytest.param(few, id=f"{FEW} worlds"),
            pytest.param(many, id=f"{MANY} worlds", marks=pytest.mark.slow),
        ]
        return pytest.mark.parametrize("tried", sizes)(holds)

    return decorate


def shop(
    customers: int = 400, days: int = 420, seed: int = 0, mean_gap_days: float = 40.0
) -> pd.DataFrame:
    """Order lines of a seeded shop: gamma-distributed rates, dropout, lognormal amounts, some
    returns.
    """
    random = np.random.default_rng(seed)
    lines: list[dict[str, Any]] = []
    for k in range(customers):
        gap = mean_gap_days / random.gamma(1.5, 1 / 1.5)
        day = random.uniform(0, days * 0.8)
        left = day + random.exponential(days)
        level = random.lognormal(3.0, 0.8)
        order = 0
        while day < min(days, left):
            time = pd.Timestamp(FIRST_DAY) + pd.Timedelta(minutes=int(day * 1440))
            for _ in range(1 + random.poisson(1.0)):
                quantity = int(random.integers(1, 6))
                lines.append(
                    {
                        "customer_id": f"C{k:05d}",
                        "ordered_at": time,
                        "amount": round(level * random.lognormal(0.0, 0.4), 2),
                        "order_id": f"{k}-{order}",
                        "product_id": f"P{random.integers(0, 30)}",
                        "category": f"K{random.integers(0, 5)}",
                        "channel": "web" if random.random() < 0.7 else "shop",
                        "quantity": float(quantity),
                    }
                )
            if random.random() < 0.03:
                back = dict(lines[-1], order_id=f"{k}-{order}r", quantity=-1.0)
                back["amount"] = -back["amount"]
                back["ordered_at"] = time + pd.Timedelta(hours=30)
                lines.append(back)
            order += 1
            day += random.exponential(gap)
    frame = pd.DataFrame(lines)
    return frame.sort_values("ordered_at", kind="stable").reset_index(drop=True)


def seasonal_shop(
    customers: int = 700, years: float = 3.5, seed: int = 0, strength: float = 0.6
) -> pd.DataFrame:
    """Order lines of a shop whose customers order by a yearly wave that peaks on New Year's Day."""
    random = np.random.default_rng(seed)
    days = years * 365.2425
    begin = random.uniform(0, days, customers)
    end = np.minimum(begin + random.exponential(500, customers), days)
    rate = random.gamma(1.5, 1 / 1.5, customers) / 40 * (1 + strength)
    n_lines = random.poisson(rate * (end - begin))
    customer = np.repeat(np.arange(customers), n_lines)
    day = random.uniform(begin[customer], end[customer])
    wave = 1 + strength * np.cos(2 * np.pi * day / 365.2425)
    kept = random.uniform(0, 1 + strength, len(day)) < wave
    customer, day = np.append(customer[kept], np.arange(customers)), np.append(day[kept], begin)
    lines = pd.DataFrame(
        {
            "customer_id": np.char.add("C", np.char.zfill(customer.astype(str), 5)),
            "ordered_at": pd.Timestamp(FIRST_DAY) + pd.to_timedelta(np.floor(day), unit="D"),
            "amount": np.round(random.lognormal(3.0, 0.5, len(day)), 2),
        }
    )
    return lines.sort_values(["customer_id", "ordered_at"], ignore_index=True)


@st.composite
def small_worlds(draw: st.DrawFn) -> pd.DataFrame:
    """A few customers with colliding times, orders cut in two, returns and missing cells."""
    line = st.fixed_dictionaries(
        {
            "customer_id": st.sampled_from(["a", "b", "00123", "é"]),
            "minutes": st.integers(0, 500 * 1440) | st.sampled_from([0, 1440, 1441, 2880, 86400]),
            "cents": st.integers(-5_000, 20_000) | st.sampled_from([0, 100, -100]),
            "order_id": st.sampled_from(["o1", "o2", "o3", "o10", None]),
            "product_id": st.sampled_from(["p1", "p2", "p10", None]),
            "category": st.sampled_from(["k1", "k2", None]),
            "channel": st.sampled_from(["web", "shop", None]),
            "quantity": st.sampled_from([1.0, 2.0, -1.0, None]),
            "discount": st.sampled_from([0.0, 1.5, None]),
            "cost": st.sampled_from([0.5, 2.25, None]),
        }
    )
    rows = draw(st.lists(line, min_size=1, max_size=30))
    frame = pd.DataFrame(rows)
    minutes = pd.to_timedelta(frame.pop("minutes"), unit="min")
    frame.insert(1, "ordered_at", (pd.Timestamp(FIRST_DAY) + minutes).astype("datetime64[us]"))
    frame.insert(2, "amount", frame.pop("cents") / 100)
    for name in ("order_id", "product_id", "category", "channel"):
        frame[name] = frame[name].astype("string")
    for name in ("quantity", "discount", "cost"):
        frame[name] = frame[name].astype("float64")
    return frame
