"""Time: half-open windows, cutoffs for training, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.errors import ConfigError, OrdersError
from clvcast.orders import dates, windows
from clvcast.orders.cutoffs import (
    can_train,
    check_cutoff,
    choose_training_cutoffs,
    get_default_cutoff,
)
from clvcast.orders.dates import DAY
from clvcast.orders.reading.read_orders import read_table


def orders(*times: str) -> clvcast.Orders:
    lines = pd.DataFrame(
        {"customer_id": "a", "ordered_at": pd.to_datetime(list(times), format="ISO8601")}
    )
    return read_table(lines.assign(amount=1.0), OrdersConfig())


def test_a_cutoff_is_the_first_instant_not_observed() -> None:
    known = windows.slice_observed(
        orders("2020-01-01 23:59:59.999999", "2020-01-02"), dates.parse_instant("2020-01-02")
    )
    assert known.n_lines == 1
    assert get_default_cutoff(orders("2020-01-01 23:59")) == dates.parse_instant("2020-01-02")
    assert get_default_cutoff(orders("2020-01-02")) == dates.parse_instant("2020-01-03")


@pytest.mark.parametrize(
    "moment",
    ["soon", "", "2020-02-30", None, "2020-01-01T00:00:00Z", "01/02/2021", "today", 20200601, True],
)
def test_what_is_no_cutoff_is_refused(moment: str) -> None:
    with pytest.raises(ConfigError, match="a cutoff"):
        dates.parse_instant(moment)


def test_cutoffs_out_of_range_are_refused_and_late_ones_noted() -> None:
    known = orders("2020-01-01 10:00", "2020-06-01")
    at = dates.parse_instant
    assert check_cutoff(known, at("2020-06-09"), 90) is None
    assert "silent" in str(check_cutoff(known, at("2020-06-10"), 90))
    assert check_cutoff(known, at("2020-08-31"), 90) is not None
    with pytest.raises(ConfigError, match="at most 2020-08-31"):
        check_cutoff(known, at("2020-09-01"), 90)
    for early in ("2020-01-01 10:00", "2019-01-01"):
        with pytest.raises(ConfigError, match="after the first order"):
            check_cutoff(known, at(early), 90)


@given(st.integers(1, 800), st.integers(1, 3000))
def test_every_training_window_ends_before_the_training_end(horizon: int, days: int) -> None:
    first, end = 12345, days * DAY
    if not can_train(first, end, horizon):
        with pytest.raises(OrdersError, match="training needs"):
            choose_training_cutoffs(first, end, horizon)
        return
    cutoffs = choose_training_cutoffs(first, end, horizon)
    assert (cutoffs.instants + horizon * DAY <= end).all()
    assert (cutoffs.instants >= first + max(28, horizon / 2) * DAY).all()
    assert (np.diff(cutoffs.instants) % (7 * DAY) == 0).all()
    assert 1 <= len(cutoffs.instants) <= 12
    assert cutoffs.ages[-1] == 0
    assert cutoffs.instants[-1] + horizon * DAY == end


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=20),
    st.lists(st.integers(-5, 60), min_size=1, max_size=6, unique=True),
)
def test_positions_are_where_numpy_would_search(times: list[int], instants: list[int]) -> None:
    line_times = np.sort(np.array(times, dtype=np.int64))
    asked = np.sort(np.array(instants, dtype=np.int64))
    starts = np.array([0, len(times)], dtype=np.int64)
    found = windows.find_positions(line_times, starts, asked)
    np.testing.assert_array_equal(found[0], np.searchsorted(line_times, asked, side="left"))
