"""Ratios of later periods, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clvcast.train import ratios

NAN = float("nan")


def frame(spend: list[list[float]]) -> Any:
    rows = SimpleNamespace(customer_index=np.arange(len(spend)))
    return SimpleNamespace(targets=SimpleNamespace(spend=np.array(spend)), rows=rows)


def test_a_band_has_its_own_ratio_and_a_thin_one_that_of_the_base(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ratios, "_LEAST_BUYERS", 2)
    spend = [
        [100.0, 50.0, 20.0],  # low
        [100.0, 70.0, -5.0],  # low; a negative spend counts as none
        [50.0, 10.0, 0.0],  # medium: one buyer is too few
        [0.0, 30.0, 5.0],  # high: nobody bought in period 1
    ]
    found, realised = ratios.period_ratios(frame(spend), np.array([0, 0, 1, 2]), 3)
    base = (1.0, 160 / 250, 25 / 250)
    assert realised == 3
    assert found["low"] == pytest.approx((1.0, 120 / 200, 20 / 200))
    assert found["medium"] == pytest.approx(base)
    assert found["high"] == pytest.approx(base)


def test_periods_history_has_not_shown_hold_the_last_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratios, "_LEAST_BUYERS", 1)
    spend = [[100.0, 40.0, NAN, NAN], [100.0, NAN, NAN, NAN]]
    found, realised = ratios.period_ratios(frame(spend), np.array([0, 0]), 4)
    assert realised == 2
    # the second row's period 2 is not over: only the first compares
    assert found["low"] == pytest.approx((1.0, 0.4, 0.4, 0.4))
