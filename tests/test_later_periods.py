"""Later periods: learned from realised spans, whatever the shop's growth, and never from after."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_worlds import WorldKind, make_world

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.features.table import compute_feature_rows
from clvcast.models.later_spend import extend_levels
from clvcast.models.parameters import Blend, LaterSpend
from clvcast.orders import dates, windows
from clvcast.orders.cutoffs import choose_later_cutoffs
from clvcast.orders.dates import DAY
from clvcast.orders.reading.read_orders import read_table
from clvcast.train.blending import fit_initial_blend
from clvcast.train.later_frame import LaterFrame, build_later_frame
from clvcast.train.later_periods import _learn_corrections, weigh_shares
from clvcast.train.later_trees import build_later_examples

HORIZON, PERIODS = 30, 4
END = "2020-12-01"


def frame_of(
    lines: pd.DataFrame, until: str = END, horizon: int = HORIZON
) -> tuple[LaterFrame, Blend]:
    orders, end = read_table(lines, OrdersConfig()), dates.parse_instant(until)
    known = windows.slice_observed(orders, end)
    blend = fit_initial_blend(compute_feature_rows(known, np.array([end])), 20.0, 1.0)
    config = clvcast.Config(horizon_days=horizon, periods=PERIODS)
    frame = build_later_frame(orders, config, end, blend)
    assert frame is not None
    return frame, blend


@given(st.integers(0, 4000), st.integers(1, 400), st.integers(1, 12))
def test_two_periods_at_least_are_over_at_each_cutoff(
    days: int, horizon: int, periods: int
) -> None:
    first, end = 12_345, days * DAY
    found = choose_later_cutoffs(first, end, horizon, periods)
    if found is None:
        assert periods == 1 or end - 2 * horizon * DAY < first + max(28, -(-horizon // 2)) * DAY
        return
    assert 1 <= len(found) <= 8
    assert (found + 2 * horizon * DAY <= end).all()
    assert (found > first).all()
    assert (np.diff(found) >= 7 * DAY).all()


def test_nothing_at_or_after_the_end_is_seen(shop_lines: pd.DataFrame) -> None:
    late = shop_lines["ordered_at"] >= END
    corrupted = shop_lines.assign(amount=shop_lines["amount"].where(~late, 9_999.0))
    (whole, _), (cut, _) = frame_of(corrupted), frame_of(shop_lines[~late])
    np.testing.assert_array_equal(whole.spend, cut.spend)
    np.testing.assert_array_equal(whole.shop_totals, cut.shop_totals)


def test_trees_learn_shares_of_a_total_and_not_its_growth(shop_lines: pd.DataFrame) -> None:
    """A shop whose prices double every 100 days teaches who spends more, not that all do."""
    days = (shop_lines["ordered_at"] - shop_lines["ordered_at"].min()) / pd.Timedelta(days=1)
    grown = shop_lines.assign(amount=(shop_lines["amount"] * 2 ** (days / 100)).round(2))
    frame, blend = frame_of(grown)
    lesson = build_later_examples(frame, frame.rows.names, blend)
    assert lesson.teaches
    for cutoff in range(len(frame.instants)):
        rows = frame.rows.cutoff_index == cutoff
        assert lesson.spend[rows].sum() == pytest.approx(np.exp(lesson.start[rows]).sum(), rel=1e-6)


@pytest.mark.slow
def test_new_customers_pass_for_no_decline_of_old_ones_once_cutoffs_span_a_year() -> None:
    """A shop that lives from more and more new customers: the share of those known falls fast."""
    lines = make_world(WorldKind("growth", growth=0.6), 102).lines
    later, early = (
        _learn_corrections(*frame_of(lines, end, horizon=60), 3)[0]
        for end in ("2023-03-12", "2022-03-12")
    )
    assert min(later) > -0.05
    assert later != early
    assert max(early) <= 0.0  # by shares, which cannot tell
    assert early[-1] < -0.1


@pytest.mark.parametrize(
    ("years", "by_share"), [(0.99, 1.0), (1.0, 1.0), (1.05, 0.8), (1.25, 0.0), (3.0, 0.0)]
)
def test_shares_fade_out_from_a_year_of_cutoffs_on(years: float, by_share: float) -> None:
    assert weigh_shares(years) == pytest.approx(by_share)


@pytest.mark.slow
def test_growth_of_the_shop_passes_for_nobodys_habit(shop_lines: pd.DataFrame) -> None:
    days = (shop_lines["ordered_at"] - shop_lines["ordered_at"].min()) / pd.Timedelta(days=1)
    grown = shop_lines.assign(amount=(shop_lines["amount"] * 2 ** (days / 100)).round(2))
    config = clvcast.Config(horizon_days=HORIZON, periods=PERIODS, effort="quick")
    later = clvcast.train(grown, config, END).numbers.later
    assert isinstance(later, LaterSpend)
    assert later.realised_periods == PERIODS
    assert max(np.diff(later.total_ratios)) <= 0  # no later period brings more than one before


def test_levels_go_on_as_the_last_two_did_and_never_rise() -> None:
    np.testing.assert_allclose(
        extend_levels((0.9, 0.8), 4), [0.9, 0.8, 0.8**2 / 0.9, 0.8**3 / 0.81]
    )
    np.testing.assert_array_equal(extend_levels((0.8, 0.9), 3), [0.8, 0.9, 0.9])
    np.testing.assert_array_equal(extend_levels((0.8, 0.9), 1), [0.8])
