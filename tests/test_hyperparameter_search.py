"""The search: when it looks, which rows it may learn from, and what its loss is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import needed

from clvcast.configs.schema import ModelConfig
from clvcast.orders.dates import DAY
from clvcast.train import hyperparameter_search as search


@pytest.mark.parametrize(
    ("learn", "judge", "is_searched"),
    [(200, 200, True), (199, 200, False), (200, 199, False)],
)
def test_too_few_rows_are_not_searched(
    monkeypatch: pytest.MonkeyPatch, learn: int, judge: int, is_searched: bool
) -> None:
    needed("optuna")
    rows = np.arange(400)
    monkeypatch.setattr(search, "_split_forward", lambda _: (rows < learn, rows >= 400 - judge))
    monkeypatch.setattr(search, "train_boosters", lambda *_: {})
    monkeypatch.setattr(search, "_compute_loss", lambda *_: 1.0)
    examples: Any = SimpleNamespace(where=lambda mask: None)
    model = ModelConfig(seeds=1)
    frame: Any = SimpleNamespace()
    found = search.search_hyperparameters(frame, examples, model, 0)
    assert (found != model) == is_searched
    if is_searched:  # all trials are alike: the first, our defaults, stands
        assert found.parameters["num_leaves"] == 7


def test_windows_that_end_at_the_newest_cutoff_are_learnt_from_and_later_ones_are_not() -> None:
    instants = np.array([0, 10, 11, 40]) * DAY
    frame: Any = SimpleNamespace(
        cutoffs=SimpleNamespace(instants=instants),
        horizon_days=30,
        rows=SimpleNamespace(cutoff_index=np.array([0, 1, 2, 3, 1])),
    )
    learn, judge = search._split_forward(frame)
    assert learn.tolist() == [True, True, False, False, True]
    assert judge.tolist() == [False, False, False, True, False]


def judged_by(churn: float, spend: list[float]) -> float:
    """The loss of three customers forecast so; one of three churned, and they spent 0, 1 and 4."""
    examples: Any = SimpleNamespace(
        inputs=None,
        churned=np.array([True, False, False]),
        spend=np.array([0.0, 1.0, 4.0]),
        weights=np.ones(3),
        churn_start=np.full(3, np.log(churn / (1.0 - churn))),
        spend_start=np.log(spend),
    )
    flat: Any = (SimpleNamespace(predict=lambda inputs: np.zeros(3)),)
    return search._compute_loss({"churn": flat, "spend": flat}, examples)


def test_the_loss_is_two_for_knowing_nothing_and_scale_is_left_out() -> None:
    assert judged_by(1 / 3, [5 / 3] * 3) == pytest.approx(2.0, rel=1e-12)
    assert judged_by(1 / 3, [500.0] * 3) == pytest.approx(2.0, rel=1e-12)
    # right spend, but for 0.001 where none came: what is left is the log loss over that of a third
    loss = judged_by(0.5, [1e-3, 1.0, 4.0])
    assert loss == pytest.approx(np.log(2.0) / (np.log(3.0) / 3 + np.log(1.5) * 2 / 3), abs=0.05)
    assert judged_by(1 / 3, [4.0, 1.0, 0.5]) > 2.0
