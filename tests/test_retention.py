"""Retention value: what an order adds, learned from what followed orders and silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_later_periods import HORIZON, PERIODS, frame_of

from clvcast.configs.economics import KnownEconomics
from clvcast.models.blend import Expected
from clvcast.models.later_spend import predict_spend_by_period
from clvcast.models.parameters import LaterSpend, RetentionFactors
from clvcast.models.retention import (
    compute_order_ratio,
    compute_retention_value,
    expect_later_days,
    split_later,
)
from clvcast.train.retention_factors import learn_retention_factors

LATER = LaterSpend(
    levels=(1.0,) * 7,
    trees_weight=1.0,
    trees_level=1.0,
    first_level=1.0,
    total_ratios=(1.0,) * 7,
    realised_periods=PERIODS,
)


def test_the_parts_of_later_money_add_up_to_it() -> None:
    later, churn = np.array([100.0, 80.0, 0.0, 50.0]), np.array([0.3, 0.0, 0.5, 1.0])
    ratio = np.array([4.0, 2.0, 7.0, 1.0])
    ordered, silent = split_later(later, churn, ratio)
    np.testing.assert_allclose((1 - churn) * ordered + churn * silent, later)
    np.testing.assert_allclose(ordered, ratio * silent)


def test_an_order_never_lowers_what_is_expected() -> None:
    low = RetentionFactors(churn_knots=(0.5,), log_factors=(-3.0,))
    ratio = compute_order_ratio(low, np.array([2.0, 9.0, 0.0]), np.ones(3), np.full(3, 0.5))
    assert ratio.tolist() == [1.0, 1.0, 1.0]
    ratio = compute_order_ratio(None, np.array([2.0, 9.0]), np.array([1.0, 0.0]), np.zeros(2))
    np.testing.assert_allclose(ratio, [2.0, 1e6])


def test_a_factor_is_applied_to_the_ratio_it_was_learned_on() -> None:
    """BTYD may expect less after an order: a ratio of 1, in learning and in scoring alike."""
    thrice = RetentionFactors(churn_knots=(0.5,), log_factors=(np.log(3.0),))
    after_order, after_silence = np.array([1.0, 4.0, 0.0]), np.array([2.0, 2.0, 0.0])
    churn = np.full(3, 0.5)
    learned = compute_order_ratio(None, after_order, after_silence, churn)
    assert learned.tolist() == [1.0, 2.0, 1.0]
    scored = compute_order_ratio(thrice, after_order, after_silence, churn)
    np.testing.assert_allclose(scored, 3.0 * learned)


@pytest.mark.parametrize("periods", [1, PERIODS])
@pytest.mark.parametrize("stays", [0.5, 1e-6])
def test_the_value_is_the_difference_an_order_makes_or_its_bound(
    shop_lines: pd.DataFrame, periods: int, stays: float
) -> None:
    """Also of somebody almost surely gone, and where the CLV is above three times BTYD's."""
    frame, blend = frame_of(shop_lines)
    margin, btyd = 0.4, frame.btyd
    n = frame.rows.n_rows
    churn = np.full(n, 1.0 - stays)
    factors = RetentionFactors(churn_knots=(0.5,), log_factors=(0.3,))
    scale = np.linspace(0.1, 20.0, n)  # of what BTYD expects of everybody
    spend = np.repeat(
        (scale * btyd.days_if_ordered * btyd.order_value * stays)[:, None], periods, 1
    )
    clv = margin * spend.sum(axis=1)
    value = compute_retention_value(
        factors, blend, btyd, churn, spend, clv, KnownEconomics(margin_rate=margin), HORIZON
    )
    bound = 3 * margin * btyd.days_if_ordered * btyd.order_value
    if periods == 1:
        raw = margin * spend[:, 0] / stays
    else:
        days = expect_later_days(blend, btyd.history, HORIZON, periods)
        ratio = compute_order_ratio(factors, *days, churn)
        _, without = split_later(clv - margin * spend[:, 0], churn, ratio)
        raw = (clv - without) / stays  # (1 - churn) value = clv - E[CLV | no order]
        bound = bound + 3 * margin * days[0] * btyd.order_value
    most = np.maximum(bound, clv)
    np.testing.assert_allclose(value, np.minimum(raw, most), rtol=1e-6)
    assert (raw < most).any()
    assert (raw > most).any()


@pytest.mark.parametrize("planted", [1.0, 3.0])
def test_history_corrects_what_btyd_expects_after_an_order(
    shop_lines: pd.DataFrame, planted: float
) -> None:
    """Past orderers brought `planted` times what BTYD's ratio says; the growth counts for
    nothing.
    """
    frame, blend = frame_of(shop_lines)
    n = frame.rows.n_rows
    frame = replace(frame, shop_totals=np.ones_like(frame.shop_totals))  # all are realised
    churn = np.linspace(0.2, 0.8, n)
    ordered = np.arange(n) % 10 < 10 * (1 - churn)
    unseen = Expected(churn, np.ones(n), frame.btyd.spend)
    spend = predict_spend_by_period(
        LATER, blend, frame.rows, frame.btyd, unseen, None, HORIZON, PERIODS
    )
    days = expect_later_days(blend, frame.btyd.history, HORIZON, PERIODS)
    ratio = planted * compute_order_ratio(None, *days, churn)
    with_order, without = split_later(spend[:, 1:].sum(axis=1), churn, ratio)
    later = 5.0 * np.where(ordered, with_order, without)
    actual = np.column_stack([spend[:, 0], later, np.zeros((n, PERIODS - 2))])
    factors = learn_retention_factors(
        replace(frame, spend=actual, ordered=ordered), unseen, None, LATER, blend
    )
    assert factors is not None
    assert len(factors.churn_knots) == 5
    logs = np.array(factors.log_factors)  # few customers: part of the way from BTYD's ratio
    if planted == 1.0:
        np.testing.assert_allclose(logs, 0.0, atol=0.1)
    else:
        assert (logs > 0.3 * np.log(planted)).all()
        assert (logs < np.log(planted) + 0.1).all()


def test_nothing_is_learned_where_everybody_ordered(shop_lines: pd.DataFrame) -> None:
    frame, blend = frame_of(shop_lines)
    n = frame.rows.n_rows
    unseen = Expected(np.full(n, 0.5), np.ones(n), np.ones(n))
    everybody = replace(frame, ordered=np.ones(n, dtype=bool))
    assert learn_retention_factors(everybody, unseen, None, LATER, blend) is None
