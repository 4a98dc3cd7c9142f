"""Simulated shops: their truth is the mean of what happens, and the forecasts come near it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_worlds import KINDS, WorldKind, make_world

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from worlds_of_truth import measure_world, summarize

ALL = WorldKind("all", 0.4, 0.5, 0.1, 4, 0.01, 0.3)


def test_the_truth_is_the_mean_of_what_happens() -> None:
    ratios = []
    for seed in range(12):
        world = make_world(replace(ALL, whales=0.0), seed, 800, 300, 30, 3)
        ratios.append(world.actual.sum() / world.truth.sum())
    found = pd.DataFrame(ratios)
    error = found.std() / np.sqrt(len(found))
    assert ((found.mean() - 1).abs() < 3 * error).all()
    assert (error < 0.05).all()


def test_a_world_is_drawn_again_alike_and_knows_nothing_from_the_cutoff_on() -> None:
    one, again = make_world(ALL, 3, 200, 200), make_world(ALL, 3, 200, 200)
    pd.testing.assert_frame_equal(one.lines, again.lines)
    pd.testing.assert_frame_equal(one.truth, again.truth)
    assert one.lines["ordered_at"].max() < one.cutoff
    assert list(one.truth.index) == sorted(one.lines["customer_id"].unique())
    assert not one.truth.equals(make_world(ALL, 4, 200, 200).truth)


@pytest.mark.parametrize(
    ("kind", "later"),
    [
        (WorldKind("dearer", price_drift=0.5), 1.25),
        (WorldKind("fading", fading=1.0), 0.5),
    ],
)
def test_a_kind_moves_what_is_to_come(kind: WorldKind, later: float) -> None:
    moved, plain = (
        make_world(k, 1, 400, 400, 60, 4).truth.sum() for k in (kind, WorldKind(kind.name))
    )
    # the fourth period lies half a year after the first
    assert moved[4] / moved[1] / (plain[4] / plain[1]) == pytest.approx(later, rel=0.03)


def test_verdicts_count_worlds_without_shocks_alone() -> None:
    row = {"seed": 0} | {
        f"{name}_{what}": value
        for name in ("expected_spend", "clv")
        for what, value in {
            "total": 0.04, "deciles": 0.1, "top_decile": 0.0, "covered": 0.9, "floor": 0.91,
        }.items()
    }  # fmt: skip
    calm = row | {"kind": "plain", "shocks": False}
    shock = row | {"kind": "fading", "shocks": True, "clv_total": 0.9, "clv_covered": 0.5}
    assert sum("met" in line for line in summarize(pd.DataFrame([calm, shock]))) == 4
    for changed in ({"clv_total": 0.051}, {"clv_covered": 0.869}, {"clv_covered": 0.931}):
        told = summarize(pd.DataFrame([calm | changed, shock]))
        assert sum("missed" in line for line in told) == 1, changed
    high = {"clv_covered": 0.94, "clv_floor": 0.935}  # zeros alone force it
    assert not any("missed" in line for line in summarize(pd.DataFrame([calm | high, shock])))


@pytest.mark.slow
def test_forecasts_come_near_the_truth() -> None:
    kinds = [kind for kind in KINDS if kind.name in ("plain", "whales", "price drift")]
    found = pd.DataFrame([measure_world(make_world(kind, 0, 700), "quick") for kind in kinds])
    assert found["expected_spend_total"].abs().mean() < 0.10
    assert found["clv_total"].abs().mean() < 0.15
    assert found["expected_spend_deciles"].mean() < 0.30
    most = np.maximum(0.95, found["expected_spend_floor"] + 0.02)
    assert found["expected_spend_covered"].between(0.85, most).all()
