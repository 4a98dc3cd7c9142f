"""check: each finding passes, warns and fails where it should, with its number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import worlds

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.features.checks import leakage_audit
from clvcast.features.table import FeatureRows, compute_feature_rows
from clvcast.orders import windows
from clvcast.orders.cutoffs import get_default_cutoff, get_longest_horizon
from clvcast.orders.reading.read_orders import read_table

LINES = worlds.shop(customers=1_200, seed=3)


def verdict(lines: pd.DataFrame, name: str, horizon_days: int = 60) -> tuple[str, float]:
    found = clvcast.check(lines, clvcast.Config(horizon_days=horizon_days))  # type: ignore[arg-type]
    (finding,) = [finding for finding in found if finding.name == name]
    assert finding.sentence
    return finding.verdict, finding.value


def test_a_shop_in_good_health_passes_everything() -> None:
    assert {finding.verdict for finding in clvcast.check(LINES)} == {"pass"}  # type: ignore[arg-type]


def test_history() -> None:
    status, horizons = verdict(LINES, "history")
    assert status == "pass"
    assert horizons == pytest.approx(420 / 60, abs=0.1)
    assert verdict(LINES, "history", 180)[0] == "warn"  # no window can be held out
    assert verdict(LINES, "history", 360)[0] == "warn"  # BTYD alone forecasts
    assert verdict(LINES, "history", 430)[0] == "fail"


@pytest.mark.parametrize("days", [20, 40, 57, 100, 500])
def test_the_mend_of_a_short_history_holds(days: int) -> None:
    lines = LINES[LINES["ordered_at"] < LINES["ordered_at"].min() + pd.Timedelta(days=days)]
    orders = read_table(lines, OrdersConfig())
    first, end = windows.find_first_order_at(orders), get_default_cutoff(orders)
    longest = get_longest_horizon(first, end)
    sentence = clvcast.check(orders, clvcast.Config(horizon_days=3_000))[0].sentence
    if longest:
        assert f"shorten horizon_days to {longest} or less" in sentence
        assert verdict(lines, "history", longest)[0] != "fail"
    else:
        assert "too few for any horizon" in sentence
    assert verdict(lines, "history", longest + 1)[0] != "pass"
    assert verdict(lines, "history", days + 2)[0] == "fail"


def test_customers_and_repeat_buyers() -> None:
    few = LINES[LINES["customer_id"] < "C00300"]
    assert verdict(few, "customers")[0] == "warn"
    assert verdict(LINES[LINES["customer_id"] < "C00030"], "customers")[0] == "fail"
    single = LINES.drop_duplicates("customer_id")
    assert verdict(single, "repeat buyers") == ("fail", 0.0)
    mostly = pd.concat([single, LINES[LINES["customer_id"] < "C00020"]])
    assert verdict(mostly, "repeat buyers")[0] == "warn"


@pytest.mark.parametrize(("early", "expected"), [(4, "warn"), (5, "pass")])
def test_a_quarter_of_repeat_orders_come_within_the_horizon(early: int, expected: str) -> None:
    first = LINES.drop_duplicates("customer_id").head(20)
    days = pd.to_timedelta(np.arange(20) * 10, unit="D")
    first = first.assign(ordered_at=pd.Timestamp("2024-01-01") + days)
    gaps = pd.to_timedelta([60 if k < early else 61 for k in range(20)], unit="D")
    later = first.assign(ordered_at=first["ordered_at"] + gaps, order_id=first["order_id"] + "-2")
    lines = pd.concat([first, later])
    (finding,) = (
        f
        for f in clvcast.check(lines, clvcast.Config(horizon_days=60))
        if f.name == "repeat orders"
    )
    assert finding.verdict == expected
    assert finding.mend == ("horizon_days: 90" if expected == "warn" else "")
    assert verdict(pd.concat([first, later[1:]]), "repeat orders")[0] == "pass"  # 19 tell nothing


def test_returns() -> None:
    back = LINES.assign(amount=-LINES["amount"], order_id=LINES["order_id"] + "r")
    status, share = verdict(pd.concat([LINES, back]), "returns")
    assert (status, round(share, 1)) == ("warn", 0.5)


def test_gaps_and_breaks_in_the_calendar() -> None:
    day = (LINES["ordered_at"] - LINES["ordered_at"].min()) / pd.Timedelta(days=1)
    assert verdict(LINES[(day < 200) | (day > 231)], "calendar")[0] == "warn"
    few = np.random.default_rng(0).random(len(LINES)) < 0.1
    status, factor = verdict(LINES[(day < 210) | (day > 217) | few], "breaks")
    assert (status, factor < 0.25) == ("warn", True)


def test_unusable_lines() -> None:
    nobody = LINES.assign(customer_id=None)
    assert verdict(pd.concat([LINES, nobody, nobody]), "lines")[0] == "warn"
    bad = LINES.head(len(LINES) // 40).assign(ordered_at=pd.Timestamp("1950-01-01"))
    status, share = verdict(pd.concat([LINES, bad]), "lines")
    assert (status, round(share, 3)) == ("warn", 0.024)


def test_an_audit_proves_that_later_orders_touch_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = clvcast.check(LINES, audit=True)[-1]
    assert (finding.name, finding.verdict) == ("audit", "pass")
    assert "the features stay the same to the byte" in finding.sentence

    def leaking(orders: clvcast.Orders, cutoffs: np.ndarray) -> FeatureRows:
        rows = compute_feature_rows(orders, cutoffs)
        rows.values[0, 0] += orders.n_lines  # a feature that knows how many lines there will be
        return rows

    monkeypatch.setattr(leakage_audit, "compute_feature_rows", leaking)
    finding = clvcast.check(LINES, audit=True)[-1]  # type: ignore[arg-type]
    assert finding.verdict == "fail"
    assert "with the later lines" in finding.sentence
